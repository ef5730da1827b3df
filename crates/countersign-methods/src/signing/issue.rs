//! The life of a signing key, over ports: the first one, the next one in time, one that is called back. Every step is a guarded
//! write, so that of several processes that take it one does, and the others find it done.

use super::{
    keys::{KeysError, SigningKeys},
    record::{KeyPurpose, KeyTimes, SigningKeyRecord, SigningKeyState},
    store::{SigningKeyChange, SigningKeyStore},
};
use crate::principal::caller::Caller;
use countersign_core::{StoreError, Timestamp};
use countersign_crypto::{
    Entropy,
    jose::Algorithm,
    key::{SealError, SigningKey, SigningKeyError},
};
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("no such signing key")]
    Unknown,
    #[error("the signing key is removed already")]
    Removed,
    /// Somebody else changed the keys first.
    #[error("the signing keys changed meanwhile")]
    Changed,
    #[error("nothing is signed with `{0}` here")]
    Algorithm(&'static str),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningConfig {
    /// What each purpose is signed with.
    pub algorithms: [(KeyPurpose, Algorithm); KeyPurpose::ALL.len()],
    pub times: KeyTimes,
    /// The longest that anything signed lives, with leeway: so long a key that was called back is remembered.
    pub longest: Duration,
}

impl SigningConfig {
    pub fn algorithm(&self, purpose: KeyPurpose) -> Algorithm {
        let of = self.algorithms.iter().find(|(known, _)| *known == purpose);
        of.map_or(Algorithm::Es256, |(_, algorithm)| *algorithm)
    }
}

impl Default for SigningConfig {
    fn default() -> Self {
        Self {
            algorithms: KeyPurpose::ALL.map(|purpose| (purpose, Algorithm::Es256)),
            times: KeyTimes::default(),
            longest: Duration::from_secs(20 * 60),
        }
    }
}

#[derive(Debug)]
pub struct SigningKeyIssuer {
    store: Arc<dyn SigningKeyStore>,
    keys: Arc<SigningKeys>,
    config: SigningConfig,
    entropy: Arc<dyn Entropy>,
}

/// What became of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotatedKey {
    /// It signs from now on.
    Active(SigningKeyRecord),
    /// Everybody can fetch it; it signs from then on.
    Published(SigningKeyRecord, Timestamp),
}

impl SigningKeyIssuer {
    pub fn new(
        store: Arc<dyn SigningKeyStore>,
        keys: Arc<SigningKeys>,
        config: SigningConfig,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, keys, config, entropy }
    }

    pub fn keys(&self) -> &Arc<SigningKeys> {
        &self.keys
    }

    pub fn config(&self) -> &SigningConfig {
        &self.config
    }

    pub async fn list(&self) -> Result<Vec<SigningKeyRecord>, StoreError> {
        self.store.list().await
    }

    /// What the store has, into this process. Asked often.
    pub async fn load(&self) -> Result<(), SigningError> {
        let records = self.store.list().await?;
        Ok(self.keys.replace(&records)?)
    }

    /// Whatever is due: a first key, the next one published, one that takes over, one that is removed. Idempotent; of several
    /// processes at once one is first, and the others do nothing.
    pub async fn advance(&self, now: Timestamp) -> Result<(), SigningError> {
        for purpose in KeyPurpose::ALL {
            let records = self.store.list().await?;
            let Some(change) = self.due(purpose, records, now)? else { continue };
            match self.store.change(change, now).await {
                Ok(()) | Err(StoreError::Conflict("signing_key_changed")) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.load().await
    }

    fn due(
        &self,
        purpose: KeyPurpose,
        records: Vec<SigningKeyRecord>,
        now: Timestamp,
    ) -> Result<Option<SigningKeyChange>, SigningError> {
        let algorithm = self.config.algorithm(purpose);
        let times = &self.config.times;
        let system = Caller { actor: countersign_core::audit::Actor::System, ..Caller::host() };
        let mut step = Step::new(&system, now);
        let (mut active, mut published) = (None, None);
        for record in records.into_iter().filter(|record| record.purpose == purpose) {
            let age = now.since(record.since);
            match record.state {
                SigningKeyState::Retired if age >= times.retired => step.remove(record)?,
                // the configuration names another algorithm now
                SigningKeyState::Active if record.algorithm != algorithm => step.retire(record)?,
                SigningKeyState::Published if record.algorithm != algorithm => step.remove(record)?,
                SigningKeyState::Active => active = Some(record),
                SigningKeyState::Published => published = Some(record),
                SigningKeyState::Retired | SigningKeyState::Removed => {}
            }
        }
        match (active, published) {
            // nothing signs, so whoever keeps an old JWKS loses nothing by it
            (None, Some(next)) => step.activate(next)?,
            (None, None) => step.insert(self.fresh(purpose, algorithm, SigningKeyState::Active, now)?),
            (Some(active), Some(next)) => {
                let over = now.since(active.since) >= times.active;
                if over && now.since(next.since) >= times.published {
                    step.retire(active)?;
                    step.activate(next)?;
                }
            }
            (Some(active), None) => {
                if now.since(active.since) + times.published >= times.active {
                    let next = self.fresh(purpose, algorithm, SigningKeyState::Published, now)?;
                    step.publish(active, next)?;
                }
            }
        }
        Ok((!step.change.events.is_empty()).then_some(step.change))
    }

    /// By an operator. Without `at_once` the next key is published first, and signs when everybody had time to fetch it; one
    /// that is published already signs now.
    pub async fn rotate(
        &self,
        purpose: KeyPurpose,
        at_once: bool,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<RotatedKey, SigningError> {
        let algorithm = self.config.algorithm(purpose);
        let records = self.store.list().await?;
        let of = |state: SigningKeyState| {
            let one =
                |r: &&SigningKeyRecord| r.purpose == purpose && r.algorithm == algorithm && r.state == state;
            records.iter().find(one).cloned()
        };
        let (active, published) = (of(SigningKeyState::Active), of(SigningKeyState::Published));
        let mut step = Step::new(caller, now);
        let rotated = match (active, published) {
            (Some(active), None) if !at_once => {
                let next = self.fresh(purpose, algorithm, SigningKeyState::Published, now)?;
                step.publish(active, next.clone())?;
                RotatedKey::Published(next, now + self.config.times.published)
            }
            // it was published a moment ago: who has not fetched it would refuse what it signs
            (_, Some(next)) if !at_once && now.since(next.since) < self.config.times.published => {
                return Ok(RotatedKey::Published(next.clone(), next.since + self.config.times.published));
            }
            (active, next) => {
                if let Some(active) = active {
                    step.retire(active)?;
                }
                RotatedKey::Active(self.take_over(&mut step, next, (purpose, algorithm), now)?)
            }
        };
        self.write(step, now).await?;
        Ok(rotated)
    }

    /// RULES 5.3: gone from the JWKS, and everything that it signed is refused. Where it was the one that signs, another takes
    /// over in the same step.
    pub async fn revoke(
        &self,
        kid: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<SigningKeyRecord, SigningError> {
        self.revoke_seen(kid, None, caller, now).await
    }

    /// `seen`: only as long as it is at this version; otherwise `Changed`.
    pub async fn revoke_seen(
        &self,
        kid: &str,
        seen: Option<i64>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<SigningKeyRecord, SigningError> {
        let records = self.store.list().await?;
        let found = records.iter().find(|record| &*record.kid == kid).cloned();
        let record = found.ok_or(SigningError::Unknown)?;
        if seen.is_some_and(|seen| seen != record.version) {
            return Err(SigningError::Changed);
        }
        let (purpose, was) = (record.purpose, record.state);
        let node = record.node();
        let mut step = Step::new(caller, now);
        let removed = step.end(record, "signing_key.revoke")?;
        step.change.revoked.push((node, now + self.config.longest));
        if was == SigningKeyState::Active {
            let algorithm = removed.algorithm;
            let next = records.into_iter().find(|r| {
                r.purpose == purpose && r.algorithm == algorithm && r.state == SigningKeyState::Published
            });
            self.take_over(&mut step, next, (purpose, algorithm), now)?;
        }
        self.write(step, now).await?;
        Ok(removed)
    }

    /// The published one, or a new one where there is none.
    fn take_over(
        &self,
        step: &mut Step<'_>,
        next: Option<SigningKeyRecord>,
        (purpose, algorithm): (KeyPurpose, Algorithm),
        now: Timestamp,
    ) -> Result<SigningKeyRecord, SigningError> {
        if let Some(next) = next {
            step.activate(next.clone())?;
            return next.activate(now).map_err(|_| SigningError::Changed);
        }
        let fresh = self.fresh(purpose, algorithm, SigningKeyState::Active, now)?;
        step.insert(fresh.clone());
        Ok(fresh)
    }

    async fn write(&self, step: Step<'_>, now: Timestamp) -> Result<(), SigningError> {
        match self.store.change(step.change, now).await {
            Ok(()) => self.load().await,
            Err(StoreError::Conflict("signing_key_changed")) => Err(SigningError::Changed),
            Err(error) => Err(error.into()),
        }
    }

    fn fresh(
        &self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        state: SigningKeyState,
        now: Timestamp,
    ) -> Result<SigningKeyRecord, SigningError> {
        let key = SigningKey::generate(algorithm)?;
        let kid = key.verifying_key().thumbprint().ok_or(SigningError::Algorithm(algorithm.name()))?;
        let sealed = self.keys.seal(purpose, kid, &key.to_pkcs8()?, &*self.entropy)?;
        let kid = kid.into();
        Ok(SigningKeyRecord {
            kid,
            purpose,
            algorithm,
            sealed,
            state,
            since: now,
            created_at: now,
            version: 1,
        })
    }
}

/// One step as it grows, with the events that explain it.
struct Step<'c> {
    change: SigningKeyChange,
    caller: &'c Caller,
    now: Timestamp,
}

impl<'c> Step<'c> {
    fn new(caller: &'c Caller, now: Timestamp) -> Self {
        Self { change: SigningKeyChange::default(), caller, now }
    }

    fn insert(&mut self, record: SigningKeyRecord) {
        let action = match record.state {
            SigningKeyState::Published => "signing_key.publish",
            _ => "signing_key.create",
        };
        self.explain(action, &record);
        self.change.inserts.push(record);
    }

    /// Beside the one that signs.
    fn publish(&mut self, active: SigningKeyRecord, next: SigningKeyRecord) -> Result<(), SigningError> {
        self.change.updates.push(active.announce().map_err(|_| SigningError::Changed)?);
        self.insert(next);
        Ok(())
    }

    fn activate(&mut self, record: SigningKeyRecord) -> Result<(), SigningError> {
        let record = record.activate(self.now).map_err(|_| SigningError::Changed)?;
        self.explain("signing_key.activate", &record);
        self.change.updates.push(record);
        Ok(())
    }

    fn retire(&mut self, record: SigningKeyRecord) -> Result<(), SigningError> {
        let record = record.retire(self.now).map_err(|_| SigningError::Changed)?;
        self.explain("signing_key.retire", &record);
        self.change.updates.push(record);
        Ok(())
    }

    fn remove(&mut self, record: SigningKeyRecord) -> Result<(), SigningError> {
        self.end(record, "signing_key.remove").map(|_| ())
    }

    fn end(
        &mut self,
        record: SigningKeyRecord,
        action: &'static str,
    ) -> Result<SigningKeyRecord, SigningError> {
        let record = record.remove(self.now).map_err(|_| SigningError::Removed)?;
        self.explain(action, &record);
        self.change.updates.push(record.clone());
        Ok(record)
    }

    fn explain(&mut self, action: &'static str, record: &SigningKeyRecord) {
        let detail = vec![
            ("purpose", record.purpose.as_str().to_owned()),
            ("algorithm", record.algorithm.name().to_owned()),
        ];
        self.change.events.push(self.caller.event(self.now, action, &record.kid, detail));
    }
}
