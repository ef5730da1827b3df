//! The established fact: who called, by which credential, and what hangs on it.

use crate::{
    check::limit::{PlanName, RateLimit},
    clock::Timestamp,
    directory::Standing,
    identifiers::{CredentialId, PrincipalId},
    scope::ScopeSet,
};
use ipnet::IpNet;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// What a credential can descend from (RULES 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    Principal,
    Password,
    AppPassword,
    Client,
    Session,
    ApiKey,
    Consent,
    Certificate,
    /// One signed token, by its `jti`; one of an external issuer by that one's name too.
    Token,
    /// What it was signed with, by its `kid`.
    SigningKey,
    /// Everything signed for a principal until somebody said "no more of that" (RULES 2.5).
    Generation,
}

impl NodeKind {
    pub const ALL: [NodeKind; 11] = [
        NodeKind::Principal,
        NodeKind::Password,
        NodeKind::AppPassword,
        NodeKind::Client,
        NodeKind::Session,
        NodeKind::ApiKey,
        NodeKind::Consent,
        NodeKind::Certificate,
        NodeKind::Token,
        NodeKind::SigningKey,
        NodeKind::Generation,
    ];

    /// What somebody was given to show for themselves, and not what was got for it since.
    pub fn is_given(self) -> bool {
        matches!(self, NodeKind::Password | NodeKind::AppPassword | NodeKind::ApiKey)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            NodeKind::Principal => "principal",
            NodeKind::Password => "password",
            NodeKind::AppPassword => "app_password",
            NodeKind::Client => "client",
            NodeKind::Session => "session",
            NodeKind::ApiKey => "api_key",
            NodeKind::Consent => "consent",
            NodeKind::Certificate => "certificate",
            NodeKind::Token => "token",
            NodeKind::SigningKey => "signing_key",
            NodeKind::Generation => "generation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

/// One thing whose change or revocation reaches everything that descends from it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub kind: NodeKind,
    pub id: Arc<str>,
}

impl Node {
    pub fn new(kind: NodeKind, id: &str) -> Self {
        Self { kind, id: id.into() }
    }

    pub fn principal(id: &PrincipalId) -> Self {
        Self { kind: NodeKind::Principal, id: id.shared() }
    }

    pub fn generation(of: &PrincipalId, generation: i64) -> Self {
        Self::new(NodeKind::Generation, &format!("{of}.{generation}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Everything a credential descends from: a set; what is derived carries the nodes of all its parents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage(Arc<[Node]>);

impl Lineage {
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut nodes: Vec<Node> = nodes.into_iter().collect();
        nodes.sort();
        nodes.dedup();
        Self(nodes.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter()
    }

    /// Keeps this node's text once. Costs nothing where somebody else holds the lineage already.
    fn share(&mut self, node: &Node) {
        for own in Arc::get_mut(&mut self.0).into_iter().flatten().filter(|own| *own == node) {
            own.id = node.id.clone();
        }
    }
}

/// Where in the request a credential stood. Part of the cache key: what one route reads, another may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Authorization,
    /// The password of `Authorization: Basic`, where it is no person's.
    Password,
    /// A header of its own.
    Header,
    /// The query string: only where the route allows it, redacted everywhere.
    Query,
    Cookie,
    /// The TLS handshake.
    Handshake,
}

/// What credential and record establish, and nothing of this request, this route or the present state: those are
/// judged after it, on every request (RULES 1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    pub principal: PrincipalId,
    pub method: crate::MethodName,
    pub credential: CredentialId,
    pub lineage: Lineage,
    /// The issuer or trust anchor that vouched for it; `None`: our own store.
    pub issuer: Option<Arc<str>>,
    /// The audiences it is good for; `None`: it names none and is good wherever its method is accepted.
    pub audiences: Option<Arc<[Arc<str>]>>,
    /// What the record carries. What counts is its intersection with the principal's present scopes.
    pub scopes: ScopeSet,
    pub authenticated_at: Timestamp,
    /// Where it may be used from; empty: anywhere.
    pub networks: Arc<[IpNet]>,
    pub place: Place,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// A limit of the credential's own, beside those of route and principal.
    pub limit: Option<RateLimit>,
    pub plan: Option<PlanName>,
    /// The principal as its issuer describes it, who is in no store of ours (RULES 1.8); `None`: ours.
    pub foreign: Option<Arc<Standing>>,
    pub noted: Noted,
}

/// When a use was last noted: beside what every request reads anyway, so that most are noted nowhere else. No part of what is
/// established.
#[derive(Debug)]
pub struct Noted(AtomicI64);

impl Noted {
    /// A date that is so old says as much to whoever looks for keys that nobody uses.
    pub const EVERY: Duration = Duration::from_secs(30);

    /// Is it time to note one? Says so once.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_micros(self.0.load(Ordering::Relaxed));
        // a clock that was set back begins anew
        let is_due = now < last || now.since(last) >= Self::EVERY;
        if is_due {
            self.0.store(now.as_micros(), Ordering::Relaxed);
        }
        is_due
    }
}

impl Default for Noted {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Clone for Noted {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Noted {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Noted {}

impl Authentication {
    /// Somebody else vouches for it.
    pub fn is_foreign(&self) -> bool {
        self.issuer.is_some() || self.foreign.is_some()
    }

    /// What it says as its principal does is kept once for all of the principal's credentials: a process remembers many.
    pub(crate) fn share(&mut self, standing: &Standing) {
        if self.principal != standing.principal {
            return;
        }
        self.principal = standing.principal.clone();
        self.lineage.share(&Node::principal(&self.principal));
        if self.scopes == standing.scopes {
            self.scopes = standing.scopes.clone();
        }
    }
}
