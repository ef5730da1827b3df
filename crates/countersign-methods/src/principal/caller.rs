//! Who asks for something to be issued or ended, and how much of that word may be passed on (RULES 2.6).

use countersign_core::{Node, RequestId, Scope, ScopeSet, Timestamp, audit::Actor, check::decision::Permit};
use std::net::IpAddr;

#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub source: Option<IpAddr>,
    pub request: Option<RequestId>,
    /// `None`: the host itself, which nothing bounds.
    pub bound: Option<Bound>,
}

/// Nothing issued exceeds the credential that asked, unless it holds `countersign:grant`.
#[derive(Debug, Clone)]
pub struct Bound {
    pub scopes: ScopeSet,
    pub expires_at: Option<Timestamp>,
    pub lineage: Vec<Node>,
    pub may_grant: bool,
}

impl Caller {
    pub fn host() -> Self {
        Self { actor: Actor::Host, source: None, request: None, bound: None }
    }

    /// From a decision; `None` on a public route, which has no caller.
    pub fn from_permit(permit: &Permit, source: IpAddr, request: RequestId) -> Option<Self> {
        let known = permit.subject()?;
        let authentication = &known.authentication;
        let grant = Scope::parse("countersign:grant")?;
        Some(Self {
            actor: Actor::Principal {
                id: authentication.principal.clone(),
                credential: format!("{}:{}", authentication.method.as_str(), authentication.credential),
            },
            source: Some(source),
            request: Some(request),
            bound: Some(Bound {
                scopes: known.scopes.clone(),
                expires_at: authentication.expires_at,
                lineage: authentication.lineage.iter().cloned().collect(),
                may_grant: known.scopes.contains(&grant),
            }),
        })
    }
}
