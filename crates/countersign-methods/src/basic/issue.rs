//! The life of passwords and app passwords, over ports: set, change, remove, import; create, revoke.

use super::{
    app_password::{self, AppPasswordDigest, AppPasswordRecord, AppPasswordState, KIND},
    authenticator::{BasicAuthenticator, Parts},
    record::{PasswordRecord, Person},
    store::{AppPasswordRevoked, BasicStore, ImportedPerson},
    verify::{Failure, possession},
};
use crate::{
    password::{
        breached::Breached,
        normal::{self, NORMAL_VERSION, Password, UserName, UserNameError},
        policy::{About, Weak},
        throttle::SourceNetwork,
    },
    principal::{caller::Caller, store::PrincipalStore},
};
use countersign_core::{
    CredentialId, PrincipalId, RequestId, ScopeSet, StoreError, Timestamp,
    audit::{Actor, AuditEvent},
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    SecretString,
    password::{self, ImportError, PasswordHash},
    random_id,
    token::{
        digest::TokenParts,
        format::{TokenFormat, WordError},
    },
};
use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

/// Two new ids never meet in practice; a generator that repeats itself must not be asked for ever.
const ATTEMPTS: usize = 3;

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

/// One person of another product. Debug shows no hash.
#[derive(Clone)]
pub struct ForeignPerson {
    pub name: String,
    pub hash: SecretString,
}

impl fmt::Debug for ForeignPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignPerson").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How people are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportPeople {
    /// Of those who are not here yet.
    pub scopes: ScopeSet,
    pub groups: Vec<Group>,
    /// Who has a password here already keeps it; otherwise it is a fault.
    pub skip_existing: bool,
    /// Everything is looked at, and nothing written.
    pub dry_run: bool,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody new.
    Made(PrincipalId, &'static str),
    /// Somebody who was here and had no password; under what kind of hash it came.
    Given(PrincipalId, &'static str),
    Existed(PrincipalId),
}

/// Why nobody was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportPeopleError {
    /// Each bad row by its place, counted from 0.
    #[error("{} of the people cannot be imported", .0.len())]
    Rows(Vec<(usize, RowError)>),
    #[error(transparent)]
    Refused(#[from] BasicError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("{0}")]
    Name(#[from] UserNameError),
    #[error("a user name here is 1 to 64 of `a-z 0-9 . _ - @`, first a letter or digit")]
    Alphabet,
    #[error("it is the same name as row {0}")]
    Doubled(usize),
    #[error("the name is a service's")]
    NotAUser,
    #[error("there is somebody of that name, with a password")]
    Exists,
    #[error("{0}")]
    Hash(#[from] ImportError),
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
        let format = app_password::format(&parts.config.word)?;
        Ok(Self { parts, principals, authenticator, breached, format })
    }

    fn store(&self) -> &dyn BasicStore {
        &*self.parts.store
    }

    /// By an operator: whatever the password was, this is it.
    pub async fn set_password(
        &self,
        principal: &PrincipalId,
        typed: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<PasswordRecord, BasicError> {
        let principal = self.user(principal).await?;
        self.may_grant(&principal.scopes, caller)?;
        let standing = self.store().find_password(&principal.id).await?;
        let event = caller.event(now, "password.set", principal.id.as_str(), Vec::new());
        self.replace(&principal, standing.map(|record| record.version), typed, event).await
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
        let signed_in = self.authenticator.sign_in(user, current, from, now).await;
        let (principal, record) = signed_in.map_err(|failure| match failure {
            Failure::Busy | Failure::PepperMissing => BasicError::Busy,
            _ => BasicError::Wrong,
        })?;
        if !principal.enabled {
            return Err(BasicError::Wrong);
        }
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

    /// `false`: there was none.
    pub async fn remove_password(
        &self,
        principal: &PrincipalId,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<bool, BasicError> {
        let event = caller.event(now, "password.remove", principal.as_str(), Vec::new());
        let removed = self.store().remove_password(principal, event).await?;
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

    /// People with hashes of another product, all of them or none.
    pub async fn import_people(
        &self,
        people: Vec<ForeignPerson>,
        how: ImportPeople,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, ImportPeopleError> {
        self.may_grant(&how.scopes, caller)?;
        let mut seen = HashMap::new();
        let mut faults = Vec::new();
        let mut outcomes = Vec::with_capacity(people.len());
        let mut write = Vec::with_capacity(people.len());
        for (row, person) in people.into_iter().enumerate() {
            let judged = self.import_person(row, person, &how, &mut seen, caller, now).await;
            match judged {
                Ok((outcome, person)) => {
                    outcomes.push(outcome);
                    write.extend(person);
                }
                Err(Ok(fault)) => faults.push((row, fault)),
                Err(Err(refused)) => return Err(refused.into()),
            }
        }
        if !faults.is_empty() {
            return Err(ImportPeopleError::Rows(faults));
        }
        if !how.dry_run && !write.is_empty() {
            self.store().import_people(write).await.map_err(|error| match error {
                StoreError::Conflict(_) => BasicError::Changed,
                error => error.into(),
            })?;
        }
        Ok(outcomes)
    }

    /// `Err(Ok(..))`: this row is bad; `Err(Err(..))`: nothing more can be said.
    async fn import_person(
        &self,
        row: usize,
        ForeignPerson { name, hash }: ForeignPerson,
        how: &ImportPeople,
        seen: &mut HashMap<PrincipalName, usize>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(Outcome, Option<ImportedPerson>), Result<RowError, BasicError>> {
        let user = UserName::parse(&name).map_err(|error| Ok(error.into()))?;
        let name = PrincipalName::parse(user.as_str()).ok_or(Ok(RowError::Alphabet))?;
        let first = *seen.entry(name.clone()).or_insert(row);
        if first != row {
            return Err(Ok(RowError::Doubled(first)));
        }
        let unavailable = |error: StoreError| Err(BasicError::from(error));
        let person = self.store().find_person(&name).await.map_err(unavailable)?;
        match &person {
            Some(person) if person.principal.kind != PrincipalKind::User => {
                return Err(Ok(RowError::NotAUser));
            }
            Some(Person { principal, password: Some(_) }) => {
                return match how.skip_existing {
                    true => Ok((Outcome::Existed(principal.id.clone()), None)),
                    false => Err(Ok(RowError::Exists)),
                };
            }
            // they keep the scopes that they have, which may be more than these
            Some(Person { principal, password: None }) => {
                self.may_grant(&principal.scopes, caller).map_err(Err)?;
            }
            None => {}
        }
        let (argon2, entropy) = (self.parts.config.argon2, self.parts.entropy.clone());
        let hash = self
            .on_the_pool(caller.source, move || password::imported(hash.expose(), &argon2, &*entropy))
            .await
            .map_err(Err)?
            .map_err(|error| Ok(error.into()))?;
        let scheme = hash.scheme();
        let (id, new) = match person {
            Some(person) => (person.principal.id, None),
            None => {
                let principal = self.new_person(name, how, now).map_err(Err)?;
                let detail = vec![
                    ("kind", principal.kind.as_str().to_owned()),
                    ("name", principal.name.to_string()),
                    ("scopes", principal.scopes.to_string()),
                    ("origin", "imported".to_owned()),
                ];
                let event = caller.event(now, "principal.create", principal.id.as_str(), detail);
                (principal.id.clone(), Some((principal, event)))
            }
        };
        let detail = vec![("scheme", scheme.to_owned())];
        let event = caller.event(now, "password.import", id.as_str(), detail);
        let password = PasswordRecord {
            principal: id.clone(),
            hash,
            normal: 0,
            version: version(None, now),
            set_at: now,
        };
        let outcome = if new.is_some() { Outcome::Made(id, scheme) } else { Outcome::Given(id, scheme) };
        Ok((outcome, Some(ImportedPerson { principal: new, password, event })))
    }

    fn new_person(
        &self,
        name: PrincipalName,
        how: &ImportPeople,
        now: Timestamp,
    ) -> Result<Principal, BasicError> {
        let kind = PrincipalKind::User;
        let text = format!("{}{}", kind.prefix(), random_id(&*self.parts.entropy, PrincipalId::BODY));
        let id = PrincipalId::parse(&text)
            .ok_or_else(|| StoreError::Unavailable("a new id breaks its own grammar".into()))?;
        Ok(Principal {
            id,
            kind,
            name,
            scopes: how.scopes.clone(),
            groups: how.groups.clone(),
            enabled: true,
            version: 1,
            created_at: now,
        })
    }

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
}

fn version(replaces: Option<i64>, now: Timestamp) -> i64 {
    replaces.map_or(0, |before| before.saturating_add(1)).max(now.as_micros())
}

impl BasicIssuer {
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
