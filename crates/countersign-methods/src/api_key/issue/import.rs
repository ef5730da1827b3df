//! Keys that were made elsewhere: taken in, all of a list or none of it, and kept better once they have been shown.

use super::{ApiKeyIssuer, Draft, IssueError, NewKey, described};
use crate::{
    api_key::{
        credential::ForeignError,
        foreign::{self, Brought},
        record::{ApiKeyRecord, KeyId, Lookup},
        store::Upgrade,
    },
    principal::caller::Caller,
};
use countersign_core::{
    StoreError, Timestamp,
    audit::{Actor, AuditEvent},
};
use countersign_crypto::random_id;
use std::collections::{HashMap, hash_map::Entry};

/// One key that was made elsewhere.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub key: NewKey,
    pub brought: Brought,
}

/// How many are brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Import {
    /// A key that is there already is left as it is; otherwise it is a fault.
    pub skip_existing: bool,
    /// Everything is looked at, and nothing written.
    pub dry_run: bool,
}

/// What became of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Imported(KeyId),
    Existed(KeyId),
}

/// Why nothing was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("keys from elsewhere are not taken here")]
    Off,
    /// Each bad row by its place, counted from 0.
    #[error("{} of the keys cannot be imported", .0.len())]
    Rows(Vec<(usize, RowError)>),
    /// Somebody else imported one of them in the same moment.
    #[error("one of the keys was imported by somebody else meanwhile")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("the key {0}")]
    Foreign(#[from] ForeignError),
    /// Of the row before it, counted from 0.
    #[error("it is the same key as row {0}")]
    Doubled(usize),
    #[error("it is here already, as `{0}`")]
    Exists(KeyId),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl ApiKeyIssuer {
    /// Keys that were made elsewhere, all of them or none. What becomes of each stands at its place. The bounds are those
    /// of creating.
    pub async fn import(
        &self,
        keys: Vec<ForeignKey>,
        how: Import,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, ImportError> {
        if !self.formats.takes_imported() {
            return Err(ImportError::Off);
        }
        let existing = self.existing(&keys).await?;
        let mut owners = HashMap::new();
        let mut seen = HashMap::new();
        let mut faults: Vec<(usize, RowError)> = Vec::new();
        let mut outcome = Vec::with_capacity(keys.len());
        let mut write = Vec::with_capacity(keys.len());
        for (row, ForeignKey { key, brought }) in keys.into_iter().enumerate() {
            let mut fault = |error: RowError| faults.push((row, error));
            if let Brought::Value(value) = &brought
                && let Err(error) = self.formats.foreign(value.expose().as_bytes())
            {
                fault(error.into());
                continue;
            }
            let hash = brought.sha256();
            let first = *seen.entry(hash).or_insert(row);
            if first != row {
                fault(RowError::Doubled(first));
                continue;
            }
            let known = foreign::lookups(&hash, &self.peppers).into_iter().find_map(|l| existing.get(&l));
            match known {
                Some(id) if how.skip_existing => {
                    outcome.push(Outcome::Existed(*id));
                    continue;
                }
                Some(id) => {
                    fault(RowError::Exists(*id));
                    continue;
                }
                None => {}
            }
            let owner = match owners.entry(key.owner.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(match self.owner(&key.owner).await {
                    Err(IssueError::Store(error)) => return Err(error.into()),
                    other => other,
                }),
            };
            match self.draft(key, owner.clone(), caller, now) {
                Err(error) => fault(error.into()),
                Ok(draft) => {
                    let record = self.imported(&draft, &brought, now)?;
                    let mut detail = described(&record);
                    detail.push(("origin", "imported".into()));
                    let event = caller.event(now, "api_key.import", record.id.as_str(), detail);
                    outcome.push(Outcome::Imported(record.id));
                    write.push((record, event));
                }
            }
        }
        if !faults.is_empty() {
            return Err(ImportError::Rows(faults));
        }
        if !how.dry_run && !write.is_empty() {
            self.store.import(write).await.map_err(|error| match error {
                // a new id that is taken is as rare as it is with `create`, and the same answer helps
                StoreError::Conflict(_) => ImportError::Changed,
                error => error.into(),
            })?;
        }
        Ok(outcome)
    }

    async fn existing(&self, keys: &[ForeignKey]) -> Result<HashMap<Lookup, KeyId>, StoreError> {
        let lookups = keys.iter().flat_map(|key| foreign::lookups(&key.brought.sha256(), &self.peppers));
        let found = self.store.find_imported(lookups.collect()).await?;
        Ok(found.iter().filter_map(|record| Some((record.origin.lookup()?, record.id))).collect())
    }

    fn imported(&self, draft: &Draft, brought: &Brought, now: Timestamp) -> Result<ApiKeyRecord, StoreError> {
        let id = KeyId::parse(&random_id(&*self.entropy, KeyId::LENGTH))
            .ok_or_else(|| StoreError::Unavailable("a new key id breaks its own format".into()))?;
        let (origin, digest) = brought.kept(&id, &self.peppers);
        Ok(self.record(id, origin, String::new(), digest, draft, now))
    }

    /// Writes down what the use of imported keys has shown of them.
    pub async fn upgrade(&self, upgrade: Upgrade, now: Timestamp) -> Result<(), StoreError> {
        let event = AuditEvent {
            at: now,
            actor: Actor::System,
            action: "api_key.upgrade",
            subject: upgrade.id.to_string(),
            source: None,
            request: None,
            detail: Vec::new(),
            once: None,
        };
        self.store.upgrade(upgrade, event).await
    }
}
