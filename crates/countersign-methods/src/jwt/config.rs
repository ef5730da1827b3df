//! What a deployment says of its signed tokens.

use countersign_crypto::jose::Algorithm;
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    pub realm: String,
    /// The `iss` of everything signed here; `None`: nothing is, and only other issuers' tokens are read.
    pub issuer: Option<Arc<str>>,
    /// What ours are signed with.
    pub algorithm: Algorithm,
    /// Of an access token.
    pub access: Duration,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            realm: "countersign".into(),
            issuer: None,
            algorithm: Algorithm::Es256,
            access: Duration::from_secs(5 * 60),
        }
    }
}
