//! The life of an app password: create, revoke. The secret leaves exactly once.

use super::{BasicError, BasicIssuer};
use crate::{
    basic::{
        app_password::{AppPasswordDigest, AppPasswordRecord, AppPasswordState, KIND},
        store::AppPasswordRevoked,
        verify::{Failure, possession},
    },
    principal::caller::Caller,
};
use countersign_core::{
    CredentialId, PrincipalId, RequestId, ScopeSet, StoreError, Timestamp,
    audit::{Actor, AuditEvent},
};
use countersign_crypto::{SecretString, token::digest::TokenParts};
use std::{fmt, net::IpAddr, time::Duration};

/// Two new ids never meet in practice; a generator that repeats itself must not be asked for ever.
const ATTEMPTS: usize = 3;

#[derive(Debug, Clone)]
pub struct NewAppPassword {
    pub owner: PrincipalId,
    pub service: String,
    pub scopes: ScopeSet,
    /// `None`: by configuration.
    pub lifetime: Option<Duration>,
}

/// A record and the one chance to read its secret. Debug shows no secret.
pub struct IssuedAppPassword {
    pub record: AppPasswordRecord,
    secret: SecretString,
}

impl IssuedAppPassword {
    pub fn reveal(self) -> (AppPasswordRecord, SecretString) {
        (self.record, self.secret)
    }
}

impl fmt::Debug for IssuedAppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedAppPassword").field("record", &self.record).finish_non_exhaustive()
    }
}

impl BasicIssuer {
    pub async fn create_app_password(
        &self,
        new: NewAppPassword,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<IssuedAppPassword, BasicError> {
        if let Some(beyond) = caller.beyond(&new.scopes) {
            return Err(BasicError::ScopesBeyondCaller(beyond));
        }
        let expires_at = self.end_of(new.lifetime, caller, now)?;
        let owner = self.user(&new.owner).await?;
        if !owner.enabled {
            return Err(BasicError::Disabled);
        }
        let beyond = ScopeSet::new(new.scopes.iter().filter(|s| !owner.scopes.contains(s)).cloned());
        if !beyond.is_empty() {
            return Err(BasicError::ScopesBeyondOwner(beyond));
        }
        for _ in 0..ATTEMPTS {
            let issued = self.mint(&new, caller, expires_at, now)?;
            let record = issued.record.clone();
            let detail = vec![
                ("owner", record.owner.to_string()),
                ("service", record.service.clone()),
                ("scopes", record.scopes.to_string()),
                ("expires_at", record.expires_at.as_seconds().to_string()),
            ];
            let event = caller.event(now, "app_password.create", record.id.as_str(), detail);
            let event = caller.once(event, record.id.as_str());
            match self.store().create_app_password(record, event).await {
                Ok(()) => return Ok(issued),
                Err(StoreError::Conflict("app_password_exists")) => {}
                Err(StoreError::Conflict("owner_unknown")) => return Err(BasicError::Unknown),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("every new app password's id was taken".into()).into())
    }

    /// A lifetime that nobody asked for is cut to the caller's own end; one that was asked for is refused where it goes
    /// beyond it (RULES 2.6).
    fn end_of(
        &self,
        lifetime: Option<Duration>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Timestamp, BasicError> {
        let longest = self.parts.config.max_lifetime;
        let bound = caller.ends_at();
        let end = match lifetime {
            None => {
                let end = now + self.parts.config.default_lifetime.min(longest);
                bound.map_or(end, |bound| end.min(bound))
            }
            Some(lifetime) if lifetime > longest => return Err(BasicError::LifetimeTooLong(longest)),
            Some(lifetime) => match bound {
                Some(bound) if now + lifetime > bound => return Err(BasicError::OutlivesCaller(bound)),
                _ => now + lifetime,
            },
        };
        if end <= now { Err(BasicError::LifetimeOver) } else { Ok(end) }
    }

    fn mint(
        &self,
        new: &NewAppPassword,
        caller: &Caller,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<IssuedAppPassword, StoreError> {
        let broken = |_| StoreError::Unavailable("a new app password breaks its own format".into());
        let made = self.format.generate(&*self.parts.entropy);
        let token = self.format.parse(made.token.expose().as_bytes()).map_err(broken)?;
        let prefix = self.format.name();
        let parts = TokenParts { kind: KIND, prefix, id: token.id(), secret: token.secret() };
        let peppers = &self.parts.peppers;
        let digest = AppPasswordDigest { pepper: peppers.current(), hash: peppers.digest(&parts) };
        let record = AppPasswordRecord {
            id: CredentialId::new(token.id()),
            owner: new.owner.clone(),
            service: new.service.clone(),
            digest,
            scopes: new.scopes.clone(),
            parents: caller.parents().to_vec(),
            created_at: now,
            expires_at,
            last_used_at: None,
            state: AppPasswordState::Active,
            version: 1,
        };
        Ok(IssuedAppPassword { record, secret: made.token })
    }

    /// Revoking what is revoked already is not an error. Taking away is bounded by nothing but the right to ask.
    pub async fn revoke_app_password(
        &self,
        id: &CredentialId,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), BasicError> {
        let event = caller.event(now, "app_password.revoke", id.as_str(), Vec::new());
        match self.store().revoke_app_password(id, now, event).await? {
            AppPasswordRevoked::Now | AppPasswordRevoked::Already => Ok(()),
            AppPasswordRevoked::Unknown => Err(BasicError::AppPasswordUnknown),
        }
    }

    /// `POST /revoke`: whoever holds an app password can kill it by showing it (RULES 5.7). `Ok(None)`: nothing that we could
    /// end.
    pub async fn revoke_presented(
        &self,
        shown: &[u8],
        source: IpAddr,
        request: RequestId,
        now: Timestamp,
    ) -> Result<Option<CredentialId>, StoreError> {
        let Ok(token) = self.format.parse(shown) else { return Ok(None) };
        let id = CredentialId::new(token.id());
        let found = self.store().find_app_password(&id).await?;
        match possession(&token, found.as_ref(), (&self.parts.peppers, self.format.name()), now) {
            Ok(_) => {}
            Err(Failure::PepperMissing) => {
                return Err(StoreError::Unavailable(
                    "the pepper of an app password is not configured".into(),
                ));
            }
            Err(_) => return Ok(None),
        }
        let event = AuditEvent {
            at: now,
            actor: Actor::Holder,
            action: "app_password.revoke",
            subject: id.to_string(),
            source: Some(source),
            request: Some(request),
            detail: Vec::new(),
            once: None,
        };
        let revoked = self.store().revoke_app_password(&id, now, event).await?;
        Ok((revoked == AppPasswordRevoked::Now).then_some(id))
    }
}
