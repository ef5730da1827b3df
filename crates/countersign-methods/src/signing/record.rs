//! Pure: what we keep of a signing key. One is active for each purpose and algorithm; a change consumes the state before it.

use countersign_core::{Node, NodeKind, Timestamp};
use countersign_crypto::jose::Algorithm;
use std::{sync::Arc, time::Duration};

/// What a key signs. A token of one purpose never verifies under a key of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Access tokens of first-party sessions.
    Session,
    /// What upstreams are told of who calls.
    Identity,
}

impl KeyPurpose {
    pub const ALL: [KeyPurpose; 2] = [KeyPurpose::Session, KeyPurpose::Identity];

    pub fn as_str(self) -> &'static str {
        match self {
            KeyPurpose::Session => "session",
            KeyPurpose::Identity => "identity",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningKeyState {
    /// In the JWKS, so that everybody has it before it signs.
    Published,
    Active,
    /// Signs no more; what it signed still verifies.
    Retired,
    /// Gone from the JWKS; its private half is gone altogether.
    Removed,
}

impl SigningKeyState {
    pub const ALL: [SigningKeyState; 4] = [
        SigningKeyState::Published,
        SigningKeyState::Active,
        SigningKeyState::Retired,
        SigningKeyState::Removed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            SigningKeyState::Published => "published",
            SigningKeyState::Active => "active",
            SigningKeyState::Retired => "retired",
            SigningKeyState::Removed => "removed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// RFC 7638: the thumbprint of its public half.
    pub kid: Arc<str>,
    pub purpose: KeyPurpose,
    pub algorithm: Algorithm,
    /// The private half, sealed; empty once it is removed.
    pub sealed: Vec<u8>,
    pub state: SigningKeyState,
    /// Since when it is in this state.
    pub since: Timestamp,
    pub created_at: Timestamp,
    /// Raised by every change; a write names the one that it makes.
    pub version: i64,
}

impl std::fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKeyRecord({}, {}, {})", self.kid, self.purpose.as_str(), self.state.as_str())
    }
}

/// How long each state lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTimes {
    /// How long one signs.
    pub active: Duration,
    /// Before it signs: longer than anybody keeps a JWKS.
    pub published: Duration,
    /// After it signed: longer than the longest token lives.
    pub retired: Duration,
}

/// How long a JWKS may be kept by whoever fetched it (`Cache-Control: max-age`).
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(15 * 60);

impl Default for KeyTimes {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { active: DAY * 30, published: DAY, retired: DAY }
    }
}

impl SigningKeyRecord {
    /// RULES 2.5, 5.3: what it signed dies with it.
    pub fn node(&self) -> Node {
        signing_key_node(&self.kid)
    }

    /// May what it signed be believed?
    pub fn verifies(&self) -> bool {
        self.state != SigningKeyState::Removed
    }

    fn to(self, state: SigningKeyState, now: Timestamp) -> Self {
        Self { state, since: now, version: self.version + 1, ..self }
    }

    /// `Err`: it is not published, and stays what it was.
    pub fn activate(self, now: Timestamp) -> Result<Self, Self> {
        match self.state {
            SigningKeyState::Published => Ok(self.to(SigningKeyState::Active, now)),
            _ => Err(self),
        }
    }

    /// The next one is published. It signs on; only its version says so, so that of several who publish one at once the first
    /// does. `Err`: it is not active, and stays what it was.
    pub fn announce(self) -> Result<Self, Self> {
        match self.state {
            SigningKeyState::Active => Ok(Self { version: self.version + 1, ..self }),
            _ => Err(self),
        }
    }

    /// `Err`: it is not active, and stays what it was.
    pub fn retire(self, now: Timestamp) -> Result<Self, Self> {
        match self.state {
            SigningKeyState::Active => Ok(self.to(SigningKeyState::Retired, now)),
            _ => Err(self),
        }
    }

    /// From any state; `Err`: it was removed already.
    pub fn remove(self, now: Timestamp) -> Result<Self, Self> {
        match self.state {
            SigningKeyState::Removed => Err(self),
            _ => Ok(Self { sealed: Vec::new(), ..self.to(SigningKeyState::Removed, now) }),
        }
    }
}

pub fn signing_key_node(kid: &str) -> Node {
    Node::new(NodeKind::SigningKey, kid)
}
