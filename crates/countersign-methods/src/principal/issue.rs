//! The life of a principal, over ports: create, change, enable, disable.

use super::{
    caller::Caller,
    store::{PrincipalChange, PrincipalStore},
};
use countersign_core::{
    PrincipalId, ScopeSet, StoreError, Timestamp,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{Entropy, random_id};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct NewPrincipal {
    pub kind: PrincipalKind,
    pub name: PrincipalName,
    pub scopes: ScopeSet,
    pub groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalError {
    #[error("the name is taken")]
    NameTaken,
    #[error("no such principal")]
    Unknown,
    #[error("the principal changed meanwhile")]
    Changed,
    /// RULES 2.6
    #[error("the credential that asks does not have: {0}")]
    ScopesBeyondCaller(ScopeSet),
    /// Disabling or narrowing the last enabled operator who can let others in would lock everybody out.
    #[error("this is the last operator")]
    LastOperator,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes and changes principals.
#[derive(Debug)]
pub struct PrincipalIssuer {
    store: Arc<dyn PrincipalStore>,
    entropy: Arc<dyn Entropy>,
}

impl PrincipalIssuer {
    pub fn new(store: Arc<dyn PrincipalStore>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy }
    }

    pub async fn create(
        &self,
        new: NewPrincipal,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Principal, PrincipalError> {
        // RULES 2.6, 1.8
        if let Some(beyond) = caller.beyond(&new.scopes) {
            return Err(PrincipalError::ScopesBeyondCaller(beyond));
        }
        let principal = Principal {
            id: self.fresh_id(new.kind)?,
            kind: new.kind,
            name: new.name,
            scopes: new.scopes,
            groups: new.groups,
            enabled: true,
            version: 1,
            created_at: now,
        };
        let detail = vec![
            ("kind", principal.kind.as_str().to_string()),
            ("name", principal.name.to_string()),
            ("scopes", principal.scopes.to_string()),
            ("groups", join(&principal.groups)),
        ];
        let event = caller.event(now, "principal.create", principal.id.as_str(), detail);
        let event = caller.once(event, principal.id.as_str());
        match self.store.create(principal.clone(), event).await {
            Ok(()) => Ok(principal),
            Err(StoreError::Conflict("name_taken")) => Err(PrincipalError::NameTaken),
            Err(error) => Err(error.into()),
        }
    }

    /// `version`: what the caller last saw; `None`: whatever stands.
    pub async fn change(
        &self,
        id: &PrincipalId,
        version: Option<i64>,
        change: PrincipalChange,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Principal, PrincipalError> {
        let current = self.store.find(id).await?.ok_or(PrincipalError::Unknown)?;
        if version.is_some_and(|seen| seen != current.version) {
            return Err(PrincipalError::Changed);
        }
        let after = applied(&current, &change);
        if let Some(beyond) = caller.beyond(&gained(&current, &after)) {
            return Err(PrincipalError::ScopesBeyondCaller(beyond));
        }
        if after == current {
            return Ok(current);
        }
        let event = caller.event(now, action(&current, &after), id.as_str(), difference(&current, &after));
        match self.store.change(id, current.version, change, event).await {
            Ok(Some(principal)) => Ok(principal),
            Ok(None) => Err(PrincipalError::Unknown),
            Err(StoreError::Conflict("principal_changed")) => Err(PrincipalError::Changed),
            Err(StoreError::Conflict("last_operator")) => Err(PrincipalError::LastOperator),
            Err(error) => Err(error.into()),
        }
    }

    /// RULES 1.8: random, typed, never used twice.
    fn fresh_id(&self, kind: PrincipalKind) -> Result<PrincipalId, StoreError> {
        let text = format!("{}{}", kind.prefix(), random_id(&*self.entropy, PrincipalId::BODY));
        PrincipalId::parse(&text)
            .ok_or_else(|| StoreError::Unavailable("a new id breaks its own grammar".into()))
    }
}

fn applied(current: &Principal, change: &PrincipalChange) -> Principal {
    let mut after = current.clone();
    if let Some(scopes) = &change.scopes {
        after.scopes = scopes.clone();
    }
    if let Some(groups) = &change.groups {
        after.groups = groups.clone();
    }
    if let Some(enabled) = change.enabled {
        after.enabled = enabled;
    }
    after
}

/// What the change gives: new scopes, and all of them where a disabled principal comes back, for its credentials come
/// back with it.
fn gained(current: &Principal, after: &Principal) -> ScopeSet {
    if after.enabled && !current.enabled {
        return after.scopes.clone();
    }
    ScopeSet::new(after.scopes.iter().filter(|s| !current.scopes.contains(s)).cloned())
}

fn action(current: &Principal, after: &Principal) -> &'static str {
    match (current.enabled, after.enabled) {
        (true, false) => "principal.disable",
        (false, true) => "principal.enable",
        _ => "principal.change",
    }
}

fn difference(current: &Principal, after: &Principal) -> Vec<(&'static str, String)> {
    let mut detail = vec![("name", current.name.to_string())];
    if current.scopes != after.scopes {
        detail.push(("scopes_before", current.scopes.to_string()));
        detail.push(("scopes", after.scopes.to_string()));
    }
    if current.groups != after.groups {
        detail.push(("groups_before", join(&current.groups)));
        detail.push(("groups", join(&after.groups)));
    }
    detail
}

fn join(groups: &[Group]) -> String {
    groups.iter().map(Group::as_str).collect::<Vec<_>>().join(" ")
}
