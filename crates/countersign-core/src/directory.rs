//! Port: is a principal active, and what may it do now?

use crate::{
    authenticator::BoxFuture,
    identifiers::PrincipalId,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
    scope::ScopeSet,
    store_error::StoreError,
};
use std::{fmt, sync::Arc};

/// The present state of a principal, as far as every request must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    pub name: PrincipalName,
    pub active: bool,
    pub scopes: ScopeSet,
    pub groups: Arc<[Group]>,
}

impl From<&Principal> for Standing {
    fn from(p: &Principal) -> Self {
        Self {
            principal: p.id.clone(),
            kind: p.kind,
            name: p.name.clone(),
            active: p.enabled,
            scopes: p.scopes.clone(),
            groups: p.groups.clone().into(),
        }
    }
}

pub trait Directory: fmt::Debug + Send + Sync {
    /// From local memory only; `None`: not loaded (or just changed), ask [`Directory::load`].
    fn standing(&self, principal: &PrincipalId) -> Option<Arc<Standing>>;
    /// From the store into local memory. `Ok(None)`: there is no such principal.
    fn load<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<Arc<Standing>>, StoreError>>;
}
