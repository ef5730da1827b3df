//! The ports of this crate in memory, for its own tests. What a real store must do is tested by the conformance suite.

use crate::{
    api_key::{
        config::ApiKeyConfig,
        record::{ApiKeyRecord, Covers, KeyId, KeyState, Lookup, Origin, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore, Revoked, Rotation, Upgrade},
    },
    operator::administers,
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalStore},
};
use countersign_core::{
    BoxFuture, PrincipalId, Scope, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    page::Page,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    Entropy,
    token::digest::{Pepper, Peppers},
};
use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// SplitMix64: different every time, the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Sequence(AtomicU64);

impl Entropy for Sequence {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) keys: Mutex<BTreeMap<KeyId, ApiKeyRecord>>,
    pub(crate) principals: Mutex<BTreeMap<PrincipalId, Principal>>,
    pub(crate) events: Mutex<Vec<AuditEvent>>,
    /// Does not answer.
    pub(crate) down: AtomicBool,
    /// Answers the next so many `create` with `key_exists`.
    pub(crate) taken: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Runs once, inside the next read of a principal, after it was read.
    pub(crate) after_read: Mutex<Option<Hook>>,
}

pub(crate) struct Hook(pub(crate) Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl FakeStore {
    pub(crate) fn with(principals: impl IntoIterator<Item = Principal>) -> Arc<Self> {
        let store = Self::default();
        store.principals.lock().unwrap().extend(principals.into_iter().map(|p| (p.id.clone(), p)));
        Arc::new(store)
    }

    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn key(&self, id: &KeyId) -> ApiKeyRecord {
        self.keys.lock().unwrap()[id].clone()
    }

    pub(crate) fn edit(&self, id: &KeyId, edit: impl FnOnce(&mut ApiKeyRecord)) {
        edit(self.keys.lock().unwrap().get_mut(id).unwrap());
    }

    fn up(&self) -> Result<(), StoreError> {
        match self.down.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("down".into())),
            false => Ok(()),
        }
    }

    fn explain(&self, event: AuditEvent) {
        self.events.lock().unwrap().push(event);
    }
}

fn done<'a, T: Send + 'a>(result: T) -> BoxFuture<'a, T> {
    Box::pin(ready(result))
}

impl ApiKeyStore for FakeStore {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        done(self.up().map(|()| self.keys.lock().unwrap().get(id).cloned()))
    }

    fn list<'a>(&'a self, _: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>> {
        done(Err(StoreError::Unavailable("not for this test".into())))
    }

    fn create<'a>(
        &'a self,
        record: ApiKeyRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            let one_less = |n: u64| n.checked_sub(1);
            if self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                return Err(StoreError::Conflict("key_exists"));
            }
            self.explain(event);
            self.keys.lock().unwrap().insert(record.id, record);
            Ok(())
        }))
    }

    fn find_imported<'a>(
        &'a self,
        lookups: Vec<Lookup>,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        done(self.up().map(|()| {
            let keys = self.keys.lock().unwrap();
            let one_of = |r: &&ApiKeyRecord| r.origin.lookup().is_some_and(|l| lookups.contains(&l));
            keys.values().filter(one_of).cloned().collect()
        }))
    }

    fn import<'a>(&'a self, keys: Vec<(ApiKeyRecord, AuditEvent)>) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().map(|()| {
            for (key, event) in keys {
                self.keys.lock().unwrap().insert(key.id, key);
                self.explain(event);
            }
        }))
    }

    fn upgrade<'a>(&'a self, upgrade: Upgrade, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().map(|()| {
            self.edit(&upgrade.id, |key| {
                key.digest = upgrade.digest;
                key.origin = Origin::Imported { lookup: upgrade.lookup, covers: Covers::Value };
            });
            self.explain(event);
        }))
    }

    fn rotate<'a>(&'a self, rotation: Rotation, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            let mut keys = self.keys.lock().unwrap();
            let old = keys.get_mut(&rotation.predecessor).ok_or(StoreError::Conflict("key_changed"))?;
            if old.version != rotation.version || old.state != KeyState::Active {
                return Err(StoreError::Conflict("key_changed"));
            }
            old.state = KeyState::Rotated { at: rotation.at, successor: rotation.successor.id };
            old.expires_at = Some(rotation.predecessor_expires_at);
            old.version += 1;
            keys.insert(rotation.successor.id, rotation.successor);
            self.explain(event);
            Ok(())
        }))
    }

    fn revoke<'a>(
        &'a self,
        id: &'a KeyId,
        version: Option<i64>,
        at: Timestamp,
        reason: RevocationReason,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Revoked, StoreError>> {
        done(self.up().map(|()| {
            let mut keys = self.keys.lock().unwrap();
            let Some(key) = keys.get_mut(id) else { return Revoked::Unknown };
            if version.is_some_and(|asked| asked != key.version) {
                return Revoked::Changed;
            }
            match key.clone().revoked(at, reason) {
                Err(_) => Revoked::Already,
                Ok(revoked) => {
                    *key = revoked;
                    self.explain(event);
                    Revoked::Now
                }
            }
        }))
    }

    fn used<'a>(&'a self, _: Vec<(KeyId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up())
    }

    fn peppers<'a>(&'a self, _: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        done(self.up().map(|()| Vec::new()))
    }
}

impl PrincipalStore for FakeStore {
    fn find<'a>(&'a self, id: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.up().map(|()| self.principals.lock().unwrap().get(id).cloned());
        let hook = self.after_read.lock().unwrap().take();
        Box::pin(async move {
            if let Some(Hook(hook)) = hook {
                hook();
            }
            found
        })
    }

    fn find_by_name<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        done(self.up().map(|()| self.principals.lock().unwrap().values().find(|p| p.name == *name).cloned()))
    }

    fn list<'a>(&'a self, _: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>> {
        done(Err(StoreError::Unavailable("not for this test".into())))
    }

    fn create<'a>(
        &'a self,
        principal: Principal,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            let mut principals = self.principals.lock().unwrap();
            if principals.values().any(|p| p.name == principal.name) {
                return Err(StoreError::Conflict("name_taken"));
            }
            principals.insert(principal.id.clone(), principal);
            self.explain(event);
            Ok(())
        }))
    }

    fn change<'a>(
        &'a self,
        id: &'a PrincipalId,
        version: i64,
        change: PrincipalChange,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        done(self.up().and_then(|()| {
            let mut principals = self.principals.lock().unwrap();
            let Some(principal) = principals.get(id) else { return Ok(None) };
            if principal.version != version {
                return Err(StoreError::Conflict("principal_changed"));
            }
            let mut after = principal.clone();
            after.scopes = change.scopes.unwrap_or(after.scopes);
            after.groups = change.groups.unwrap_or(after.groups);
            after.enabled = change.enabled.unwrap_or(after.enabled);
            after.version += 1;
            let last = !principals.values().any(|p| p.id != *id && administers(p));
            if last && administers(principal) && !administers(&after) {
                return Err(StoreError::Conflict("last_operator"));
            }
            principals.insert(id.clone(), after.clone());
            self.explain(event);
            Ok(Some(after))
        }))
    }

    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>> {
        let operates = |p: &&Principal| p.enabled && p.scopes.iter().any(Scope::is_operators);
        done(self.up().map(|()| self.principals.lock().unwrap().values().filter(operates).cloned().collect()))
    }
}

pub(crate) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) fn principal(name: &str, held: &str) -> Principal {
    Principal {
        id: PrincipalId::parse(&format!("svc_{name:0>20}")).unwrap(),
        kind: PrincipalKind::Service,
        name: PrincipalName::parse(name).unwrap(),
        scopes: scopes(held),
        groups: Vec::new(),
        enabled: true,
        version: 1,
        created_at: NOW,
    }
}

pub(crate) fn peppers() -> Arc<Peppers> {
    Arc::new(Peppers::new(Pepper::new(1, &[1; 32]).unwrap(), Vec::new()).unwrap())
}

pub(crate) fn config() -> ApiKeyConfig {
    ApiKeyConfig::default()
}

/// Runs what never really waits.
pub(crate) fn now_or_never<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("a fake never waits"),
    }
}
