//! Pure: what we keep of a session, and of the refresh tokens that descend from one another within it.

use countersign_core::{CredentialId, Node, NodeKind, PrincipalId, ScopeSet, Timestamp};
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// How whoever signed in comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// A cookie that holds an opaque id: nothing that a script can read, and nothing that says anything.
    Cookie,
    /// The access token in one cookie, the refresh token in another.
    JwtCookie,
    /// Both in the body: who is no browser keeps them.
    Native,
}

impl SessionKind {
    pub const ALL: [SessionKind; 3] = [SessionKind::Cookie, SessionKind::JwtCookie, SessionKind::Native];

    pub fn as_str(self) -> &'static str {
        match self {
            SessionKind::Cookie => "cookie",
            SessionKind::JwtCookie => "jwt_cookie",
            SessionKind::Native => "native",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    SignedOut,
    /// By an operator, or by the person from another session.
    Revoked,
    /// A refresh token came a second time: somebody has a copy.
    Reuse,
    /// Too many others began since with the same credential.
    Displaced,
}

impl EndReason {
    pub const ALL: [EndReason; 4] =
        [EndReason::SignedOut, EndReason::Revoked, EndReason::Reuse, EndReason::Displaced];

    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::SignedOut => "signed_out",
            EndReason::Revoked => "revoked",
            EndReason::Reuse => "reuse",
            EndReason::Displaced => "displaced",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    Open,
    Ended { at: Timestamp, reason: EndReason },
}

/// SHA-256 of a token of 256 random bits (OAuth 2.1 4.3, ASVS 10.4.5): there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// Where the chain of refresh tokens stands.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshFamily {
    /// Of the one that is good now.
    pub current: TokenDigest,
    /// Of the one before, and the present one sealed under it (RULES 4.2).
    pub previous: Option<(TokenDigest, Vec<u8>)>,
    /// How often it was rotated.
    pub generation: i64,
    /// When it last was; at first when the session began.
    pub rotated_at: Timestamp,
}

impl fmt::Debug for RefreshFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshFamily(generation {}, ..)", self.generation)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Twelve base62 characters, public: `sid`.
    pub id: CredentialId,
    pub principal: PrincipalId,
    pub kind: SessionKind,
    /// The host that it began at; its cookie is that host's alone.
    pub host: String,
    /// What was granted; what counts is cut to the principal's present ones.
    pub scopes: ScopeSet,
    /// RULES 1.5: the resources that it is for.
    pub audiences: Arc<[Arc<str>]>,
    /// What it must die with, beside its principal: a password's version, a generation, the key that was exchanged. The
    /// credential that was shown stands first.
    pub parents: Vec<Node>,
    /// RFC 8176: how they signed in, such as `pwd`.
    pub amr: String,
    pub authenticated_at: Timestamp,
    pub created_at: Timestamp,
    /// Written late and in bulk, but by a refresh.
    pub last_used_at: Timestamp,
    /// It ends when it was not used for so long.
    pub idle: Duration,
    /// It ends then, however much it is used.
    pub expires_at: Timestamp,
    /// What the client said of itself, cut and printable: for the person's list.
    pub agent: String,
    pub address: Option<IpAddr>,
    /// Of the cookie; `None`: it has none.
    pub cookie: Option<TokenDigest>,
    /// `None`: it has no refresh token.
    pub refresh: Option<RefreshFamily>,
    pub state: SessionState,
}

impl SessionRecord {
    pub fn node(&self) -> Node {
        session_node(&self.id)
    }

    /// The key that was exchanged for it.
    pub fn key(&self) -> Option<&Node> {
        self.parents.first().filter(|node| node.kind == NodeKind::ApiKey)
    }

    /// Neither ended nor over.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == SessionState::Open && now < self.ends_at()
    }

    /// When it ends if nothing more happens.
    pub fn ends_at(&self) -> Timestamp {
        (self.last_used_at + self.idle).min(self.expires_at)
    }
}

pub fn session_node(id: &CredentialId) -> Node {
    Node::new(NodeKind::Session, id.as_str())
}
