//! The life of a principal, over ports: create, change, enable, disable.

use super::{caller::Caller, store::PrincipalChange};
use countersign_core::{
    PrincipalId, ScopeSet, StoreError, Timestamp,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};

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
    /// Disabling or narrowing the last enabled operator would lock everybody out.
    #[error("this is the last operator")]
    LastOperator,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub struct PrincipalIssuer {}

impl PrincipalIssuer {
    pub async fn create(
        &self,
        _new: NewPrincipal,
        _caller: &Caller,
        _now: Timestamp,
    ) -> Result<Principal, PrincipalError> {
        unimplemented!()
    }

    /// `version`: what the caller last saw; `None`: whatever stands.
    pub async fn change(
        &self,
        _id: &PrincipalId,
        _version: Option<i64>,
        _change: PrincipalChange,
        _caller: &Caller,
        _now: Timestamp,
    ) -> Result<Principal, PrincipalError> {
        unimplemented!()
    }
}
