//! Who asks for something to be issued or ended, and how much of that word may be passed on (RULES 2.6).

use crate::operator;
use countersign_core::{
    CredentialId, Node, PrincipalId, RequestId, ScopeSet, Timestamp,
    audit::{Actor, AuditEvent},
    check::decision::Permit,
    idempotency::{Mark, Once},
};
use std::net::IpAddr;

#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub source: Option<IpAddr>,
    pub request: Option<RequestId>,
    /// `None`: the host itself, which nothing bounds.
    pub bound: Option<Bound>,
    /// What it asks for may be asked again and is made once.
    pub mark: Option<Mark>,
}

/// Nothing issued exceeds the credential that asked (scopes, expiry, lineage), unless it holds `countersign:grant`.
/// Operators' scopes are passed on only by who has them, grant or not: otherwise whoever may grant could grant itself
/// everything (RULES 1.8).
#[derive(Debug, Clone)]
pub struct Bound {
    pub scopes: ScopeSet,
    pub expires_at: Option<Timestamp>,
    pub lineage: Vec<Node>,
    pub may_grant: bool,
}

impl Caller {
    pub fn host() -> Self {
        Self { actor: Actor::Host, source: None, request: None, bound: None, mark: None }
    }

    /// From a decision; `None` on a public route, which has no caller.
    pub fn from_permit(permit: &Permit, source: IpAddr, request: RequestId) -> Option<Self> {
        let known = permit.subject()?;
        let authentication = &known.authentication;
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
                may_grant: known.scopes.iter().any(|s| s.as_str() == operator::GRANT),
            }),
            mark: None,
        })
    }
}

impl Caller {
    /// The same, by whoever holds this session.
    pub fn signed_in(self, principal: &PrincipalId, session: &CredentialId) -> Self {
        let credential = format!("session:{session}");
        Self { actor: Actor::Principal { id: principal.clone(), credential }, ..self }
    }

    /// What of `scopes` this caller may not pass on; `None`: it may pass on all of them.
    pub fn beyond(&self, scopes: &ScopeSet) -> Option<ScopeSet> {
        let bound = self.bound.as_ref()?;
        let beyond = ScopeSet::new(scopes.iter().filter(|s| !bound.may_pass_on(s)).cloned());
        (!beyond.is_empty()).then_some(beyond)
    }

    /// When whatever this caller issues must end; `None`: nothing bounds it.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.bound.as_ref().filter(|b| !b.may_grant)?.expires_at
    }

    /// What must die with the caller's credential is derived from it.
    pub fn parents(&self) -> &[Node] {
        self.bound.as_ref().filter(|b| !b.may_grant).map_or(&[], |b| &b.lineage)
    }

    /// By whose `Idempotency-Key` a request is known again.
    pub fn name(&self) -> &str {
        match &self.actor {
            Actor::Principal { id, .. } => id.as_str(),
            _ => "",
        }
    }

    pub(crate) fn event(
        &self,
        at: Timestamp,
        action: &'static str,
        subject: &str,
        detail: Vec<(&'static str, String)>,
    ) -> AuditEvent {
        let (actor, subject) = (self.actor.clone(), subject.to_string());
        AuditEvent {
            at,
            actor,
            action,
            subject,
            source: self.source,
            request: self.request,
            detail,
            once: None,
        }
    }

    /// Of a write that makes `made`.
    pub(crate) fn once(&self, event: AuditEvent, made: &str) -> AuditEvent {
        let once = self.mark.clone().map(|mark| Once { mark, made: made.to_owned() });
        AuditEvent { once, ..event }
    }
}

impl Bound {
    fn may_pass_on(&self, scope: &countersign_core::Scope) -> bool {
        self.scopes.contains(scope) || (self.may_grant && !scope.is_operators())
    }
}
