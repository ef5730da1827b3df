//! What an operator decides about API keys. Already valid.

use super::record::Environment;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyConfig {
    /// The word before `_live_`: 1 to 16 of `a-z 0-9`. `cs` unless the deployment has its own.
    pub word: String,
    pub environment: Environment,
    pub default_lifetime: Duration,
    pub max_lifetime: Duration,
    /// May a key be created that never expires?
    pub allow_never: bool,
    /// The `realm` of challenges.
    pub realm: String,
}

impl Default for ApiKeyConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            word: "cs".into(),
            environment: Environment::Live,
            default_lifetime: DAY * 90,
            max_lifetime: DAY * 365,
            allow_never: false,
            realm: "countersign".into(),
        }
    }
}
