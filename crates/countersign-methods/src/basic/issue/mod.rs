//! The life of a password, over ports: set, change, remove. Beside it that of app passwords ([`app_password`]) and of
//! people who come from another product ([`import`]).

pub mod app_password;
pub mod import;

use super::{
    app_password::format,
    authenticator::{BasicAuthenticator, Parts},
    record::PasswordRecord,
    store::BasicStore,
    verify::Failure,
};
use crate::{
    password::{
        breached::Breached,
        normal::{self, NORMAL_VERSION, Password, UserName},
        policy::{About, Weak},
        throttle::SourceNetwork,
    },
    principal::{caller::Caller, store::PrincipalStore},
};
use countersign_core::{
    PrincipalId, RequestId, ScopeSet, StoreError, Timestamp,
    audit::{Actor, AuditEvent},
    principal::{Principal, PrincipalKind},
};
use countersign_crypto::{
    password::{self, PasswordHash},
    token::format::{TokenFormat, WordError},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

/// Why a password was not set, or an app password not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    #[error("no such principal")]
    Unknown,
    #[error("the principal is disabled")]
    Disabled,
    /// Services have keys.
    #[error("only users have passwords")]
    NotAUser,
    #[error(transparent)]
    Form(#[from] normal::PasswordError),
    #[error(transparent)]
    Weak(#[from] Weak),
    /// RULES 5.1: said alike of a wrong one, of nobody's, and of too many failures.
    #[error("the current password is not right")]
    Wrong,
    /// Somebody else changed it first.
    #[error("the password changed meanwhile")]
    Changed,
    /// RULES 2.6: a password does not end with the credential that asked for it.
    #[error("the credential that asks may not grant what outlives it")]
    GrantNeeded,
    #[error("the owner does not have: {0}")]
    ScopesBeyondOwner(ScopeSet),
    #[error("the credential that asks does not have: {0}")]
    ScopesBeyondCaller(ScopeSet),
    #[error("it would outlive the credential that asks, which ends at {0:?}")]
    OutlivesCaller(Timestamp),
    #[error("the longest lifetime here is {0:?}")]
    LifetimeTooLong(Duration),
    #[error("it would already be over")]
    LifetimeOver,
    #[error("no such app password")]
    AppPasswordUnknown,
    /// Every thread that hashes is busy.
    #[error("too many passwords are being hashed")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sets and ends passwords and app passwords.
#[derive(Debug)]
pub struct BasicIssuer {
    parts: Parts,
    principals: Arc<dyn PrincipalStore>,
    authenticator: Arc<BasicAuthenticator>,
    breached: Arc<dyn Breached>,
    format: TokenFormat,
}

impl BasicIssuer {
    pub fn new(
        parts: Parts,
        principals: Arc<dyn PrincipalStore>,
        authenticator: Arc<BasicAuthenticator>,
        breached: Arc<dyn Breached>,
    ) -> Result<Self, WordError> {
        let format = format(&parts.config.word)?;
        Ok(Self { parts, principals, authenticator, breached, format })
    }

    /// Is it an app password by its beginning? Says nothing about the rest.
    pub fn is_app_password(&self, value: &[u8]) -> bool {
        self.format.is_prefix_of(value)
    }

    fn store(&self) -> &dyn BasicStore {
        &*self.parts.store
    }

    /// By an operator: whatever the password was, this is it. `seen`: only as long as it is at this version, 0 where there is
    /// none; otherwise `Changed`.
    pub async fn set_password(
        &self,
        principal: &PrincipalId,
        (typed, seen): (&str, Option<i64>),
        caller: &Caller,
        now: Timestamp,
    ) -> Result<PasswordRecord, BasicError> {
        let principal = self.user(principal).await?;
        self.may_grant(&principal.scopes, caller)?;
        let standing = self.store().find_password(&principal.id).await?;
        let version = standing.as_ref().map_or(0, |record| record.version);
        if seen.is_some_and(|seen| seen != version) {
            return Err(BasicError::Changed);
        }
        let event = caller.event(now, "password.set", principal.id.as_str(), Vec::new());
        self.replace(&principal, standing.map(|record| record.version), typed, event).await
    }

    /// Whose name and password are these? Counted and slowed down as at every door; `Wrong` also of who is disabled.
    pub async fn sign_in(
        &self,
        user: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(Principal, PasswordRecord), BasicError> {
        let signed_in = self.authenticator.sign_in(user, password, from, now).await;
        let (principal, record) = signed_in.map_err(|failure| match failure {
            Failure::Busy | Failure::PepperMissing => BasicError::Busy,
            _ => BasicError::Wrong,
        })?;
        if principal.enabled { Ok((principal, record)) } else { Err(BasicError::Wrong) }
    }

    /// By the person: who knows the current one. Counted and slowed down as any attempt to sign in is.
    pub async fn change_password(
        &self,
        user: &str,
        (current, new): (&str, &str),
        from: IpAddr,
        request: RequestId,
        now: Timestamp,
    ) -> Result<PasswordRecord, BasicError> {
        let (principal, record) = self.sign_in(user, current, from, now).await?;
        let event = AuditEvent {
            at: now,
            actor: Actor::Principal {
                id: principal.id.clone(),
                credential: format!("basic:{}", record.node().id),
            },
            action: "password.change",
            subject: principal.id.to_string(),
            source: Some(from),
            request: Some(request),
            detail: Vec::new(),
            once: None,
        };
        let changed = self.replace(&principal, Some(record.version), new, event).await?;
        // whoever knew the old one and sits there knows the new one
        if let Ok(name) = UserName::parse(user) {
            let account = self.parts.throttle.account(&name);
            self.parts.throttle.remember(account, SourceNetwork::from(from), now);
        }
        Ok(changed)
    }

    /// `false`: there was none. `version`: only while it is at that one; otherwise `Changed`.
    pub async fn remove_password(
        &self,
        principal: &PrincipalId,
        version: Option<i64>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, BasicError> {
        let event = caller.event(now, "password.remove", principal.as_str(), Vec::new());
        let removed = match self.store().remove_password(principal, version, event).await {
            Err(StoreError::Conflict("password_changed")) => return Err(BasicError::Changed),
            removed => removed?,
        };
        if removed && let Some(found) = self.principals.find(principal).await? {
            self.forget(&found);
        }
        Ok(removed)
    }

    /// What is kept, never the hash itself.
    pub async fn password(&self, principal: &PrincipalId) -> Result<Option<PasswordRecord>, StoreError> {
        self.store().find_password(principal).await
    }

    async fn replace(
        &self,
        principal: &Principal,
        replaces: Option<i64>,
        typed: &str,
        event: AuditEvent,
    ) -> Result<PasswordRecord, BasicError> {
        let password = Password::parse(typed)?;
        let user_name = UserName::parse(principal.name.as_str()).ok();
        let realm = self.parts.config.realm.clone();
        let services = [realm.as_str()];
        let about = About { user_name: user_name.as_ref(), services: &services, ..About::default() };
        self.parts.config.policy.judge(&password, &about, &*self.breached)?;
        let (argon2, entropy) = (self.parts.config.argon2, self.parts.entropy.clone());
        let hash = self
            .on_the_pool(event.source, move || {
                password::hash(password.expose().as_bytes(), &argon2, &*entropy).ok()
            })
            .await?
            .ok_or(BasicError::Busy)?;
        let record = PasswordRecord {
            principal: principal.id.clone(),
            hash,
            normal: NORMAL_VERSION,
            version: version(replaces, event.at),
            set_at: event.at,
        };
        match self.store().set_password(record.clone(), replaces, event).await {
            Ok(()) => {
                self.forget(principal);
                Ok(record)
            }
            Err(StoreError::Conflict("password_changed")) => Err(BasicError::Changed),
            Err(StoreError::Conflict("principal_unknown")) => Err(BasicError::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// RULES 5.1: a place that knew the old password need not know this one.
    fn forget(&self, principal: &Principal) {
        if let Ok(name) = UserName::parse(principal.name.as_str()) {
            self.parts.throttle.password_changed(self.parts.throttle.account(&name));
        }
    }

    async fn on_the_pool<T: Send + 'static>(
        &self,
        source: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BasicError> {
        let network = SourceNetwork::from(source.unwrap_or(Ipv4Addr::LOCALHOST.into()));
        let waiting = self.parts.pool.submit(network, work).map_err(|_| BasicError::Busy)?;
        waiting.await.ok_or(BasicError::Busy)
    }

    async fn user(&self, id: &PrincipalId) -> Result<Principal, BasicError> {
        let principal = self.principals.find(id).await?.ok_or(BasicError::Unknown)?;
        match principal.kind {
            PrincipalKind::User => Ok(principal),
            PrincipalKind::Service => Err(BasicError::NotAUser),
        }
    }

    /// A password lends everything that the person may do, for as long as it stands.
    fn may_grant(&self, scopes: &ScopeSet, caller: &Caller) -> Result<(), BasicError> {
        if caller.bound.as_ref().is_some_and(|bound| !bound.may_grant) {
            return Err(BasicError::GrantNeeded);
        }
        match caller.beyond(scopes) {
            Some(beyond) => Err(BasicError::ScopesBeyondCaller(beyond)),
            None => Ok(()),
        }
    }
}

fn version(replaces: Option<i64>, now: Timestamp) -> i64 {
    replaces.map_or(0, |before| before.saturating_add(1)).max(now.as_micros())
}

/// What explains that a hash was replaced by a better one.
pub(super) fn rehashed(record: &PasswordRecord, hash: &PasswordHash, now: Timestamp) -> AuditEvent {
    AuditEvent {
        at: now,
        actor: Actor::System,
        action: "password.rehash",
        subject: record.principal.to_string(),
        source: None,
        request: None,
        detail: vec![("before", record.hash.scheme().to_owned()), ("scheme", hash.scheme().to_owned())],
        once: None,
    }
}
