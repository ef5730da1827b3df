//! The scopes that act on Countersign itself. They come only from our own store, and no wildcard covers them
//! (RULES 1.8).

use countersign_core::{Scope, ScopeSet, principal::Principal};

/// List and show everything but the audit trail.
pub const READ: &str = "countersign:read";
/// Create, rotate and revoke API keys.
pub const KEYS: &str = "countersign:keys";
/// Create, change, enable and disable principals.
pub const PRINCIPALS: &str = "countersign:principals";
/// Rotate and revoke the keys that tokens are signed with.
pub const SIGNING_KEYS: &str = "countersign:signing-keys";
/// Revoke: a node of the feed, a session, a token, everything of a principal's. A signing key takes [`SIGNING_KEYS`] as well.
pub const REVOCATIONS: &str = "countersign:revocations";
/// Read and verify the audit trail.
pub const AUDIT: &str = "countersign:audit";
/// Read what is counted: `/metrics`, and nothing else.
pub const METRICS: &str = "countersign:metrics";
/// Issue beyond one's own scopes, expiry and lineage (RULES 2.6); operators' scopes excepted.
pub const GRANT: &str = "countersign:grant";

pub const ALL: [&str; 8] = [READ, KEYS, SIGNING_KEYS, PRINCIPALS, REVOCATIONS, AUDIT, METRICS, GRANT];

/// All of them: what a first operator holds.
pub fn all() -> ScopeSet {
    ScopeSet::new(ALL.into_iter().filter_map(Scope::parse))
}

/// Whoever holds both can let everybody else in again: make an operator and give it a key.
pub fn can_administer(scopes: &ScopeSet) -> bool {
    [PRINCIPALS, KEYS].into_iter().all(|name| scopes.iter().any(|s| s.as_str() == name))
}

/// Could it let others in today? The last that can is neither disabled nor narrowed ([`crate::principal::store`]).
pub fn administers(principal: &Principal) -> bool {
    principal.enabled && can_administer(&principal.scopes)
}
