//! The life of a key, over ports: create, rotate, revoke. The secret leaves exactly once.

use super::record::{ApiKeyRecord, KeyId, RevocationReason};
use crate::principal::caller::Caller;
use countersign_core::{
    PrincipalId, ScopeSet, StoreError, Timestamp,
    check::limit::{PlanName, RateLimit},
};
use ipnet::IpNet;
use std::{fmt, time::Duration};

/// When a new key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lifetime {
    /// By configuration: 90 days.
    #[default]
    Default,
    For(Duration),
    Until(Timestamp),
    Never,
}

#[derive(Debug, Clone)]
pub struct NewKey {
    pub owner: PrincipalId,
    pub label: String,
    pub scopes: ScopeSet,
    pub lifetime: Lifetime,
    pub networks: Vec<IpNet>,
    pub limit: Option<RateLimit>,
    pub plan: Option<PlanName>,
}

/// A record and the one chance to read its secret. Debug shows no secret.
pub struct Issued {
    pub record: ApiKeyRecord,
    pub(super) secret: String,
}

impl Issued {
    /// The whole key, `cs_live_...`.
    pub fn reveal(self) -> (ApiKeyRecord, String) {
        (self.record, self.secret)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("record", &self.record).finish_non_exhaustive()
    }
}

/// Why a key was not issued or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    #[error("no such principal")]
    OwnerUnknown,
    #[error("the principal is disabled")]
    OwnerDisabled,
    /// Scopes that the owner does not have.
    #[error("the owner does not have: {0}")]
    ScopesBeyondOwner(ScopeSet),
    /// RULES 2.6: scopes that the credential that asks does not have.
    #[error("the credential that asks does not have: {0}")]
    ScopesBeyondCaller(ScopeSet),
    /// RULES 2.6: it would outlive the credential that asks.
    #[error("it would outlive the credential that asks, which ends at {0:?}")]
    OutlivesCaller(Timestamp),
    #[error("the longest lifetime here is {0:?}")]
    LifetimeTooLong(Duration),
    #[error("keys that never expire are not allowed here")]
    NeverNotAllowed,
    #[error("it would already be over")]
    LifetimeOver,
    #[error("no plan of that name")]
    PlanUnknown,
    #[error("no such key")]
    KeyUnknown,
    /// Revoked, expired or already rotated: what it is instead.
    #[error("the key is {0}")]
    KeyNotActive(&'static str),
    /// Somebody else changed it first.
    #[error("the key changed meanwhile")]
    KeyChanged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Now,
    Already,
}

/// Issues and ends keys.
#[derive(Debug)]
pub struct ApiKeyIssuer {}

impl ApiKeyIssuer {
    pub async fn create(
        &self,
        _new: NewKey,
        _caller: &Caller,
        _now: Timestamp,
    ) -> Result<Issued, IssueError> {
        unimplemented!()
    }

    /// The successor keeps owner, scopes, plan, limits and networks; the predecessor stays good for `grace`.
    pub async fn rotate(
        &self,
        _id: &KeyId,
        _grace: Duration,
        _lifetime: Lifetime,
        _caller: &Caller,
        _now: Timestamp,
    ) -> Result<Issued, IssueError> {
        unimplemented!()
    }

    pub async fn revoke(
        &self,
        _id: &KeyId,
        _reason: RevocationReason,
        _caller: &Caller,
        _now: Timestamp,
    ) -> Result<Ended, IssueError> {
        unimplemented!()
    }

    /// `POST /revoke`: whoever holds a key can kill it by showing it (RULES 5.7). Its secret is verified first.
    /// `Ok(None)`: nothing that we could end.
    pub async fn revoke_presented(
        &self,
        _key: &[u8],
        _source: Option<std::net::IpAddr>,
        _request: Option<countersign_core::RequestId>,
        _now: Timestamp,
    ) -> Result<Option<KeyId>, StoreError> {
        unimplemented!()
    }
}
