//! The port of the principals.

use countersign_core::{
    BoxFuture, PrincipalId, ScopeSet, StoreError,
    audit::AuditEvent,
    page::{Page, PageRequest},
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrincipalQuery {
    pub kind: Option<PrincipalKind>,
    pub enabled: Option<bool>,
    /// What their name begins with.
    pub name: Option<String>,
    pub sort: PrincipalSort,
    pub descending: bool,
    pub page: PageRequest,
}

/// By what principals are listed; those of one instant by their id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PrincipalSort {
    #[default]
    Name,
    CreatedAt,
}

/// What a change sets; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrincipalChange {
    pub scopes: Option<ScopeSet>,
    pub groups: Option<Vec<Group>>,
    pub enabled: Option<bool>,
}

pub trait PrincipalStore: fmt::Debug + Send + Sync {
    fn find<'a>(&'a self, id: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>>;
    fn find_by_name<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>>;
    /// In the order of the query. Its cursor is good for that order only.
    fn list<'a>(&'a self, query: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>>;
    /// `Conflict("name_taken")`.
    fn create<'a>(&'a self, principal: Principal, event: AuditEvent)
    -> BoxFuture<'a, Result<(), StoreError>>;
    /// Guarded by `version` (`Conflict("principal_changed")`); puts the principal's node into the feed and answers
    /// with what now stands. `Ok(None)`: no such principal.
    ///
    /// `Conflict("last_operator")`: nobody would be left who [administers](crate::operator::administers). Judged in the
    /// writing transaction, since two processes may each take away the operator that the other one counts on.
    fn change<'a>(
        &'a self,
        id: &'a PrincipalId,
        version: i64,
        change: PrincipalChange,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>>;
    /// Enabled principals that hold an operator's scope (`countersign:`).
    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>>;
}
