//! What an operator decides about passwords. Already valid.

use crate::password::policy::PasswordPolicy;
use countersign_crypto::password::Argon2Parameters;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicConfig {
    /// The word before `_app_` of app passwords, and before `_live_` of keys: 1 to 16 of `a-z 0-9`.
    pub word: String,
    /// The `realm` of challenges, where a route has none of its own.
    pub realm: String,
    /// New hashes are made with these; others are made anew at their next success.
    pub argon2: Argon2Parameters,
    pub policy: PasswordPolicy,
    /// Of app passwords.
    pub default_lifetime: Duration,
    pub max_lifetime: Duration,
}

impl Default for BasicConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            word: "cs".into(),
            realm: "countersign".into(),
            argon2: Argon2Parameters::default(),
            policy: PasswordPolicy::default(),
            default_lifetime: DAY * 365,
            max_lifetime: DAY * 365,
        }
    }
}
