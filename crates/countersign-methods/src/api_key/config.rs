//! What an operator decides about API keys. Already valid.

use super::record::Environment;
use countersign_core::check::limit::PlanName;
use std::{sync::Arc, time::Duration};

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
    /// What keys that were brought from elsewhere may begin with; `""`: with anything, in a header or parameter of
    /// their own. None: no such key is taken, and none is looked up.
    pub imported_prefixes: Vec<String>,
}

/// What holds for a new key; other terms may come while the process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub default_lifetime: Duration,
    pub max_lifetime: Duration,
    pub allow_never: bool,
    /// Those that a key may name.
    pub plans: Arc<[PlanName]>,
}

impl ApiKeyConfig {
    pub fn terms(&self, plans: Arc<[PlanName]>) -> Terms {
        let Self { default_lifetime, max_lifetime, allow_never, .. } = *self;
        Terms { default_lifetime, max_lifetime, allow_never, plans }
    }
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
            imported_prefixes: Vec::new(),
        }
    }
}
