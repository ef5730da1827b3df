//! The life of a key, over ports: create, rotate, revoke; and those that were made elsewhere ([`import`]). The secret
//! leaves exactly once.

pub mod import;

use super::{
    KIND,
    config::{ApiKeyConfig, Terms},
    credential::{KeyFormats, PlainKey, shown},
    record::{ApiKeyRecord, KeyDigest, KeyId, KeyState, Origin, RevocationReason},
    store::{ApiKeyStore, Revoked, Rotation},
    verify::{Failure, Judged, look_up, possession},
};
use crate::{
    exposure::Exposed,
    principal::{caller::Caller, store::PrincipalStore},
    user_pass::Wiped,
};
use countersign_core::{
    Node, PrincipalId, RequestId, ScopeSet, StoreError, Timestamp,
    audit::{Actor, AuditEvent},
    check::limit::{PlanName, RateLimit},
    principal::Principal,
};
use countersign_crypto::{
    Entropy, SecretString,
    token::{
        digest::{Peppers, TokenParts},
        format::WordError,
    },
};
use ipnet::IpNet;
use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// Two new keys never share an id in practice; a generator that repeats itself must not be asked for ever.
const ATTEMPTS: usize = 3;

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

/// How a key is replaced.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rotate {
    /// How long the predecessor stays good.
    pub grace: Duration,
    /// The successor's.
    pub lifetime: Lifetime,
    /// Of the predecessor, as the caller last saw it; `None`: whatever stands.
    pub version: Option<i64>,
}

/// A record and the one chance to read its secret. Debug shows no secret.
pub struct Issued {
    pub record: ApiKeyRecord,
    secret: SecretString,
}

impl Issued {
    /// The whole key, `cs_live_...`.
    pub fn reveal(self) -> (ApiKeyRecord, SecretString) {
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

/// What was found out about a key that somebody showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyVerdict {
    /// Nothing that could be a key.
    NoKey,
    Good(ApiKeyRecord),
    /// The record only where the secret was right.
    Bad(Failure, Option<ApiKeyRecord>),
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Now,
    Already,
}

/// Issues and ends keys.
#[derive(Debug)]
pub struct ApiKeyIssuer {
    store: Arc<dyn ApiKeyStore>,
    principals: Arc<dyn PrincipalStore>,
    peppers: Arc<Peppers>,
    config: ApiKeyConfig,
    formats: KeyFormats,
    terms: RwLock<Arc<Terms>>,
    entropy: Arc<dyn Entropy>,
}

impl ApiKeyIssuer {
    pub fn new(
        store: Arc<dyn ApiKeyStore>,
        principals: Arc<dyn PrincipalStore>,
        peppers: Arc<Peppers>,
        config: ApiKeyConfig,
        plans: Arc<[PlanName]>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, WordError> {
        let formats = KeyFormats::new(&config)?;
        let terms = RwLock::new(Arc::new(config.terms(plans)));
        Ok(Self { store, principals, peppers, config, formats, terms, entropy })
    }

    /// Is it one of ours by its beginning, of whichever environment? Says nothing about the rest.
    pub fn is_prefix_of(&self, value: &[u8]) -> bool {
        self.formats.claims(value)
    }

    /// For keys from now on. One that was made before goes on naming its plan, whether it is still there or not.
    pub fn set_terms(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    fn terms(&self) -> Arc<Terms> {
        self.terms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn create(&self, new: NewKey, caller: &Caller, now: Timestamp) -> Result<Issued, IssueError> {
        let owner = self.owner(&new.owner).await;
        let draft = self.draft(new, owner, caller, now)?;
        for _ in 0..ATTEMPTS {
            let issued = self.mint(&draft, now)?;
            let record = &issued.record;
            let event = caller.event(now, "api_key.create", record.id.as_str(), described(record));
            let event = caller.once(event, record.id.as_str());
            match self.store.create(record.clone(), event).await {
                Ok(()) => return Ok(issued),
                Err(StoreError::Conflict("key_exists")) => {}
                Err(StoreError::Conflict("owner_unknown")) => return Err(IssueError::OwnerUnknown),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("every new key id was taken".into()).into())
    }

    /// Within the bounds of configuration, caller and owner.
    fn draft(
        &self,
        new: NewKey,
        owner: Result<Principal, IssueError>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        if let Some(beyond) = caller.beyond(&new.scopes) {
            return Err(IssueError::ScopesBeyondCaller(beyond));
        }
        if new.plan.as_ref().is_some_and(|plan| !self.terms().plans.contains(plan)) {
            return Err(IssueError::PlanUnknown);
        }
        let expires_at = self.end_of(new.lifetime, caller, now)?;
        if let Some(beyond) = beyond(&new.scopes, &owner?.scopes) {
            return Err(IssueError::ScopesBeyondOwner(beyond));
        }
        Ok(Draft {
            owner: new.owner,
            label: new.label,
            scopes: new.scopes,
            networks: new.networks,
            limit: new.limit,
            plan: new.plan,
            parents: caller.parents().to_vec(),
            expires_at,
        })
    }

    /// The successor keeps owner, scopes, plan, limits and networks; the predecessor stays good for `grace`. Who rotates
    /// gets a secret, so the bounds are those of creating.
    pub async fn rotate(
        &self,
        id: &KeyId,
        Rotate { grace, lifetime, version }: Rotate,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let predecessor = self.store.find(id).await?.ok_or(IssueError::KeyUnknown)?;
        if version.is_some_and(|seen| seen != predecessor.version) {
            return Err(IssueError::KeyChanged);
        }
        if let Some(beyond) = caller.beyond(&predecessor.scopes) {
            return Err(IssueError::ScopesBeyondCaller(beyond));
        }
        let longest = self.terms().max_lifetime;
        if grace > longest {
            return Err(IssueError::LifetimeTooLong(longest));
        }
        let expires_at = self.end_of(lifetime, caller, now)?;
        self.owner(&predecessor.owner).await?;
        let draft = Draft {
            owner: predecessor.owner.clone(),
            label: predecessor.label.clone(),
            scopes: predecessor.scopes.clone(),
            networks: predecessor.networks.clone(),
            limit: predecessor.limit,
            plan: predecessor.plan.clone(),
            // What the predecessor descended from, its successor does too.
            parents: union(&predecessor.parents, caller.parents()),
            expires_at,
        };
        let issued = self.mint(&draft, now)?;
        let version = predecessor.version;
        let rotated = predecessor
            .rotated(now, grace, issued.record.id)
            .map_err(|standing| IssueError::KeyNotActive(standing.as_str()))?;
        let ends = rotated.expires_at.unwrap_or(now);
        let mut detail = described(&issued.record);
        detail.insert(0, ("successor", issued.record.id.to_string()));
        detail.push(("predecessor_expires_at", seconds(Some(ends))));
        let event = caller.event(now, "api_key.rotate", id.as_str(), detail);
        let event = caller.once(event, issued.record.id.as_str());
        let rotation = Rotation {
            predecessor: *id,
            version,
            at: now,
            predecessor_expires_at: ends,
            successor: issued.record.clone(),
        };
        match self.store.rotate(rotation, event).await {
            Ok(()) => Ok(issued),
            Err(StoreError::Conflict("owner_unknown")) => Err(IssueError::OwnerUnknown),
            Err(StoreError::Conflict("key_changed" | "key_exists")) => Err(IssueError::KeyChanged),
            Err(error) => Err(error.into()),
        }
    }

    /// Of anybody's key by whoever may ask: taking away is bounded by nothing but the right to ask. `version`: only while
    /// the key is at it; otherwise `KeyChanged`.
    pub async fn revoke(
        &self,
        id: &KeyId,
        version: Option<i64>,
        reason: RevocationReason,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Ended, IssueError> {
        let detail = vec![("reason", reason.as_str().to_string())];
        let event = caller.event(now, "api_key.revoke", id.as_str(), detail);
        match self.store.revoke(id, version, now, reason, event).await? {
            Revoked::Now => Ok(Ended::Now),
            Revoked::Already => Ok(Ended::Already),
            Revoked::Changed => Err(IssueError::KeyChanged),
            Revoked::Unknown => Err(IssueError::KeyUnknown),
        }
    }

    /// `POST /revoke`: whoever holds a key can kill it by showing it (RULES 5.7). Its secret is verified first, or a
    /// public id with rubbish behind it would end a stranger's key (RULES 1.7). Expired and rotated keys end too: their
    /// descendants may not have. `Ok(None)`: nothing that we could end.
    pub async fn revoke_presented(
        &self,
        key: &[u8],
        source: Option<IpAddr>,
        request: Option<RequestId>,
        now: Timestamp,
    ) -> Result<Option<KeyId>, StoreError> {
        let Ok(key) = self.formats.parse(key) else { return Ok(None) };
        let record = look_up(&*self.store, &key, &self.peppers).await?;
        let id = match possession(&key, record.as_ref(), self.judged(now)) {
            Ok(record) => record.id,
            Err(Failure::PepperMissing) => {
                return Err(StoreError::Unavailable("the pepper of a key is not configured".into()));
            }
            Err(_) => return Ok(None),
        };
        let reason = RevocationReason::Holder;
        let event = AuditEvent {
            at: now,
            actor: Actor::Holder,
            action: "api_key.revoke",
            subject: id.to_string(),
            source,
            request,
            detail: vec![("reason", reason.as_str().to_string())],
            once: None,
        };
        let revoked = self.store.revoke(&id, None, now, reason, event).await?;
        Ok((revoked == Revoked::Now).then_some(id))
    }

    /// Whose key was shown, and is it good? For `POST /admin/v1/api-keys/verify`.
    pub async fn verify_presented(&self, key: &[u8], now: Timestamp) -> Result<KeyVerdict, StoreError> {
        let Ok(key) = self.formats.parse(key) else { return Ok(KeyVerdict::NoKey) };
        let record = look_up(&*self.store, &key, &self.peppers).await?;
        let place = countersign_core::Place::Header;
        let verdict = super::verify::verify(&key, place, record.as_ref(), self.judged(now));
        Ok(match (verdict, record) {
            (Ok(_), Some(record)) => KeyVerdict::Good(record),
            (Ok(_), None) => KeyVerdict::Bad(Failure::Unknown, None),
            (Err(failure), record) => {
                let proved = matches!(failure, Failure::Expired | Failure::Revoked);
                KeyVerdict::Bad(failure, record.filter(|_| proved))
            }
        })
    }

    /// Whose key was seen where it should not have been, if anybody's: its secret is right, and it is still good.
    pub async fn exposed(
        &self,
        exposed: &Exposed,
        now: Timestamp,
    ) -> Result<Option<ApiKeyRecord>, StoreError> {
        let mut buffer = Wiped::new();
        let Ok(shown) = shown(exposed.place, exposed.credential.expose(), &mut buffer) else {
            return Ok(None);
        };
        match self.verify_presented(shown, now).await? {
            KeyVerdict::Good(record) => Ok(Some(record)),
            KeyVerdict::NoKey | KeyVerdict::Bad(..) => Ok(None),
        }
    }

    fn judged(&self, now: Timestamp) -> Judged<'_> {
        Judged { peppers: &self.peppers, config: &self.config, prefix: self.formats.ours().name(), now }
    }

    async fn owner(&self, id: &PrincipalId) -> Result<Principal, IssueError> {
        let owner = self.principals.find(id).await?.ok_or(IssueError::OwnerUnknown)?;
        if !owner.enabled {
            return Err(IssueError::OwnerDisabled);
        }
        Ok(owner)
    }

    /// `None`: never. A lifetime that nobody asked for is cut to the caller's own end; one that was asked for is refused
    /// where it goes beyond it (RULES 2.6).
    fn end_of(
        &self,
        lifetime: Lifetime,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, IssueError> {
        let terms = self.terms();
        let longest = terms.max_lifetime;
        let end = match lifetime {
            Lifetime::Default => {
                let end = now + terms.default_lifetime.min(longest);
                let end = caller.ends_at().map_or(end, |bound| end.min(bound));
                return if end <= now { Err(IssueError::LifetimeOver) } else { Ok(Some(end)) };
            }
            Lifetime::Never if !terms.allow_never => return Err(IssueError::NeverNotAllowed),
            Lifetime::Never => None,
            Lifetime::For(duration) if duration > longest => {
                return Err(IssueError::LifetimeTooLong(longest));
            }
            Lifetime::For(duration) => Some(now + duration),
            Lifetime::Until(end) if end.since(now) > longest => {
                return Err(IssueError::LifetimeTooLong(longest));
            }
            Lifetime::Until(end) => Some(end),
        };
        if end.is_some_and(|end| end <= now) {
            return Err(IssueError::LifetimeOver);
        }
        match caller.ends_at() {
            Some(bound) if end.is_none_or(|end| end > bound) => Err(IssueError::OutlivesCaller(bound)),
            _ => Ok(end),
        }
    }

    fn mint(&self, draft: &Draft, now: Timestamp) -> Result<Issued, StoreError> {
        let broken = || StoreError::Unavailable("a new key breaks its own format".into());
        let made = self.formats.ours().generate(&*self.entropy);
        let Ok(PlainKey::Issued(token)) = self.formats.parse(made.token.expose().as_bytes()) else {
            return Err(broken());
        };
        let prefix = self.formats.ours().name();
        let parts = TokenParts { kind: KIND, prefix, id: token.id(), secret: token.secret() };
        let digest = KeyDigest { pepper: self.peppers.current(), hash: self.peppers.digest(&parts) };
        let id = KeyId::parse(token.id()).ok_or_else(broken)?;
        let record = self.record(id, Origin::Issued, prefix.to_owned(), digest, draft, now);
        Ok(Issued { record, secret: made.token })
    }

    fn record(
        &self,
        id: KeyId,
        origin: Origin,
        prefix: String,
        digest: KeyDigest,
        draft: &Draft,
        now: Timestamp,
    ) -> ApiKeyRecord {
        ApiKeyRecord {
            id,
            origin,
            environment: self.config.environment,
            prefix,
            owner: draft.owner.clone(),
            label: draft.label.clone(),
            digest,
            scopes: draft.scopes.clone(),
            networks: draft.networks.clone(),
            limit: draft.limit,
            plan: draft.plan.clone(),
            parents: draft.parents.clone(),
            created_at: now,
            expires_at: draft.expires_at,
            last_used_at: None,
            state: KeyState::Active,
            version: 1,
        }
    }
}

/// A key before it has an id and a secret.
struct Draft {
    owner: PrincipalId,
    label: String,
    scopes: ScopeSet,
    networks: Vec<IpNet>,
    limit: Option<RateLimit>,
    plan: Option<PlanName>,
    parents: Vec<Node>,
    expires_at: Option<Timestamp>,
}

fn beyond(asked: &ScopeSet, had: &ScopeSet) -> Option<ScopeSet> {
    let beyond = ScopeSet::new(asked.iter().filter(|s| !had.contains(s)).cloned());
    (!beyond.is_empty()).then_some(beyond)
}

fn union(one: &[Node], other: &[Node]) -> Vec<Node> {
    let mut nodes: Vec<Node> = one.iter().chain(other).cloned().collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

fn described(record: &ApiKeyRecord) -> Vec<(&'static str, String)> {
    vec![
        ("owner", record.owner.to_string()),
        ("scopes", record.scopes.to_string()),
        ("expires_at", seconds(record.expires_at)),
    ]
}

fn seconds(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".into(), |at| at.as_seconds().to_string())
}
