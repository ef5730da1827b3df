//! Pure: what we keep of a key; its states, and transitions that consume the old state.

use countersign_core::{
    CredentialId, Node, NodeKind, PrincipalId, ScopeSet, Timestamp,
    check::limit::{PlanName, RateLimit},
};
use ipnet::IpNet;
use std::{fmt, time::Duration};

/// One environment per gateway; the other's keys are refused (RULES 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Environment {
    Live,
    Test,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Live => "live",
            Environment::Test => "test",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "live" => Some(Environment::Live),
            "test" => Some(Environment::Test),
            _ => None,
        }
    }
}

/// The public half of a key: 12 base62 characters, logged and shown freely.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 12]);

impl KeyId {
    pub const LENGTH: usize = 12;

    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 12] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn credential(&self) -> CredentialId {
        CredentialId::new(self.as_str())
    }

    pub fn node(&self) -> Node {
        Node::new(NodeKind::ApiKey, self.as_str())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// HMAC under a pepper that is not in the store, with the pepper's number beside it (RULES 4.3).
#[derive(Clone, PartialEq, Eq)]
pub struct KeyDigest {
    pub pepper: u32,
    pub hash: [u8; 32],
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest(pepper {}, ..)", self.pepper)
    }
}

/// What a key that was brought from elsewhere is found by, having no id within it: its value, keyed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lookup(pub [u8; 32]);

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup(..)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made here; its id stands within it.
    Issued,
    Imported {
        lookup: Lookup,
        covers: Covers,
    },
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Issued => "issued",
            Origin::Imported { .. } => "imported",
        }
    }

    pub fn lookup(self) -> Option<Lookup> {
        match self {
            Origin::Issued => None,
            Origin::Imported { lookup, .. } => Some(lookup),
        }
    }
}

/// What the digest of an imported key is a digest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The whole key.
    Value,
    /// Its SHA-256, which is all that was brought: until it is first shown.
    Sha256,
}

/// The life of a key: active -> rotated (still good until its grace ends) -> ended by expiry; or revoked from any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    Active,
    /// A successor was made; this one ends at `expires_at` of the record, which the rotation brought forward.
    Rotated {
        at: Timestamp,
        successor: KeyId,
    },
    Revoked {
        at: Timestamp,
        reason: RevocationReason,
    },
}

impl KeyState {
    /// Only an active key has a successor, and only one.
    pub fn rotated(self, at: Timestamp, successor: KeyId) -> Result<Self, KeyStanding> {
        match self {
            KeyState::Active => Ok(KeyState::Rotated { at, successor }),
            KeyState::Rotated { .. } => Err(KeyStanding::Rotated),
            KeyState::Revoked { .. } => Err(KeyStanding::Revoked),
        }
    }

    /// From anywhere, once: the first reason stays.
    pub fn revoked(self, at: Timestamp, reason: RevocationReason) -> Result<Self, KeyStanding> {
        match self {
            KeyState::Active | KeyState::Rotated { .. } => Ok(KeyState::Revoked { at, reason }),
            KeyState::Revoked { .. } => Err(KeyStanding::Revoked),
        }
    }
}

/// What a key is at a given time: its state, with the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyStanding {
    Active,
    /// Replaced, and still good.
    Rotated,
    /// Its time is over, replaced or not.
    Expired,
    Revoked,
}

impl KeyStanding {
    pub fn as_str(self) -> &'static str {
        match self {
            KeyStanding::Active => "active",
            KeyStanding::Rotated => "rotated",
            KeyStanding::Expired => "expired",
            KeyStanding::Revoked => "revoked",
        }
    }

    pub fn is_usable(self) -> bool {
        matches!(self, KeyStanding::Active | KeyStanding::Rotated)
    }
}

/// Why a key was revoked; shown to operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RevocationReason {
    /// An operator said so.
    Operator,
    /// Whoever held it showed it to `POST /revoke`.
    Holder,
    /// It was leaked.
    Leaked,
}

impl RevocationReason {
    pub fn as_str(self) -> &'static str {
        match self {
            RevocationReason::Operator => "operator",
            RevocationReason::Holder => "holder",
            RevocationReason::Leaked => "leaked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [RevocationReason::Operator, RevocationReason::Holder, RevocationReason::Leaked]
            .into_iter()
            .find(|r| r.as_str() == text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRecord {
    pub id: KeyId,
    pub origin: Origin,
    pub environment: Environment,
    /// What stands before the id: `cs_live` unless the deployment chose another word for `cs`; empty where imported.
    pub prefix: String,
    pub owner: PrincipalId,
    /// A label for people; empty where none was given.
    pub label: String,
    pub digest: KeyDigest,
    /// What the key asks for; what counts is its intersection with the owner's, taken at every use.
    pub scopes: ScopeSet,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    pub limit: Option<RateLimit>,
    pub plan: Option<PlanName>,
    /// Beside owner and key itself: the lineage of the credential that created it, unless that held
    /// `countersign:grant` (RULES 2.6).
    pub parents: Vec<Node>,
    pub created_at: Timestamp,
    /// `None`: never, which only the configuration can allow.
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub state: KeyState,
    pub version: i64,
}

impl ApiKeyRecord {
    pub fn standing(&self, now: Timestamp) -> KeyStanding {
        match self.state {
            KeyState::Revoked { .. } => KeyStanding::Revoked,
            // At `expires_at` it is over, as with `exp` (RFC 7519 4.1.4).
            _ if self.expires_at.is_some_and(|end| end <= now) => KeyStanding::Expired,
            KeyState::Rotated { .. } => KeyStanding::Rotated,
            KeyState::Active => KeyStanding::Active,
        }
    }

    /// The predecessor of `successor`: good until the grace ends, and never longer than it would have been.
    pub fn rotated(mut self, at: Timestamp, grace: Duration, successor: KeyId) -> Result<Self, KeyStanding> {
        let standing = self.standing(at);
        if standing != KeyStanding::Active {
            return Err(standing);
        }
        self.state = self.state.rotated(at, successor)?;
        let grace_ends = at + grace;
        self.expires_at = Some(self.expires_at.map_or(grace_ends, |end| end.min(grace_ends)));
        self.version += 1;
        Ok(self)
    }

    pub fn revoked(mut self, at: Timestamp, reason: RevocationReason) -> Result<Self, KeyStanding> {
        self.state = self.state.revoked(at, reason)?;
        self.version += 1;
        Ok(self)
    }
}
