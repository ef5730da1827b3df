//! How long sessions last, and what their tokens are called.

use std::{sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// What our opaque tokens begin with.
    pub word: String,
    /// RULES 1.5: the resources that a session is for.
    pub audiences: Arc<[Arc<str>]>,
    /// Of an access token. RFC 9068, and what a revocation must outlive.
    pub access: Duration,
    /// A session ends when it was not used for so long.
    pub idle: Duration,
    /// It ends then, however much it is used.
    pub absolute: Duration,
    /// RULES 4.2: so long the refresh token before the present one gets that same one again.
    pub grace: Duration,
    /// So many are open that began with one credential; for one more the oldest of those ends.
    pub per_credential: u32,
    /// The access token itself stands in the cookie.
    pub jwt_cookie: bool,
}

impl SessionConfig {
    pub const LONGEST_ACCESS: Duration = Duration::from_secs(15 * 60);
    /// Nothing that a session signed lives longer, leeway included: so long it is remembered as ended.
    pub const REMEMBERED: Duration = Duration::from_secs(20 * 60);
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            word: "cs".into(),
            audiences: Arc::new([]),
            access: 5 * MINUTE,
            idle: 7 * DAY,
            absolute: 30 * DAY,
            grace: Duration::from_secs(10),
            per_credential: 500,
            jwt_cookie: false,
        }
    }
}
