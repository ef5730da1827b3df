//! Pure: a password for one service, made by us and never chosen: scoped, expiring, ended alone. It stands where the person's
//! own would, and is known by its form: `cs_app_<id:12><secret:32><crc:6>`. Full entropy needs no slow hash (RULES 4.3).

use countersign_core::{CredentialId, Node, NodeKind, PrincipalId, ScopeSet, Timestamp};
use countersign_crypto::token::format::{TokenFormat, WordError};
use std::fmt;

/// What a digest of an app password is made for (RULES 4.3).
pub(super) const KIND: &str = "app_password";

/// `word`: that of keys.
pub fn format(word: &str) -> Result<TokenFormat, WordError> {
    TokenFormat::new(word, "app")
}

/// HMAC under the pepper of that number.
#[derive(Clone, PartialEq, Eq)]
pub struct AppPasswordDigest {
    pub pepper: u32,
    pub hash: [u8; 32],
}

impl fmt::Debug for AppPasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppPasswordDigest(pepper {}, ..)", self.pepper)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPasswordRecord {
    /// 12 base62 characters, shown freely.
    pub id: CredentialId,
    pub owner: PrincipalId,
    /// Which service it is for, as people call it.
    pub service: String,
    pub digest: AppPasswordDigest,
    /// What it asks for; what counts is its intersection with the owner's, taken at every use.
    pub scopes: ScopeSet,
    /// The lineage of the credential that made it, unless that held `countersign:grant` (RULES 2.6).
    pub parents: Vec<Node>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub state: AppPasswordState,
    pub version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppPasswordState {
    Active,
    Revoked { at: Timestamp },
}

/// The state, with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppPasswordStanding {
    Active,
    Expired,
    Revoked,
}

impl AppPasswordStanding {
    pub fn as_str(self) -> &'static str {
        match self {
            AppPasswordStanding::Active => "active",
            AppPasswordStanding::Expired => "expired",
            AppPasswordStanding::Revoked => "revoked",
        }
    }
}

impl AppPasswordRecord {
    pub fn node(&self) -> Node {
        node(&self.id)
    }

    pub fn standing(&self, now: Timestamp) -> AppPasswordStanding {
        match self.state {
            AppPasswordState::Revoked { .. } => AppPasswordStanding::Revoked,
            // at `expires_at` it is over, as a key is
            AppPasswordState::Active if self.expires_at <= now => AppPasswordStanding::Expired,
            AppPasswordState::Active => AppPasswordStanding::Active,
        }
    }
}

pub fn node(id: &CredentialId) -> Node {
    Node::new(NodeKind::AppPassword, id.as_str())
}
