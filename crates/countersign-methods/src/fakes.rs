//! The ports of this crate in memory, for its own tests. What a real store must do is tested by the conformance suite.

use crate::{
    api_key::{
        config::ApiKeyConfig,
        record::{ApiKeyRecord, Covers, KeyId, KeyState, Lookup, Origin, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore, Revoked, Rotation, Upgrade},
    },
    basic::{
        app_password::{AppPasswordRecord, AppPasswordState},
        record::{PasswordRecord, Person},
        store::{AppPasswordQuery, AppPasswordRevoked, BasicStore, ImportedPerson, UseQuery},
        uses::BasicUse,
    },
    operator::administers,
    password::{Pause, normal::NORMAL_VERSION},
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalStore},
};
use countersign_core::{
    BoxFuture, CredentialId, PrincipalId, Scope, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    page::Page,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    Entropy,
    password::PasswordHash,
    token::digest::{Pepper, Peppers},
};
use std::{
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
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
    pub(crate) passwords: Mutex<BTreeMap<PrincipalId, PasswordRecord>>,
    pub(crate) app_passwords: Mutex<BTreeMap<CredentialId, AppPasswordRecord>>,
    pub(crate) events: Mutex<Vec<AuditEvent>>,
    /// Does not answer.
    pub(crate) down: AtomicBool,
    /// Answers the next so many `create` and `create_app_password` with `key_exists` and `app_password_exists`.
    pub(crate) taken: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Runs once, inside the next read of a principal or person, after it was read.
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

    fn after_reading<'a, T: Send + 'a>(&self, found: T) -> BoxFuture<'a, T> {
        let hook = self.after_read.lock().unwrap().take();
        Box::pin(async move {
            if let Some(Hook(hook)) = hook {
                hook();
            }
            found
        })
    }

    fn is_taken(&self) -> bool {
        let one_less = |n: u64| n.checked_sub(1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
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
            if self.is_taken() {
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

impl BasicStore for FakeStore {
    fn find_person<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Person>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.up().map(|()| {
            let principal = self.principals.lock().unwrap().values().find(|p| p.name == *name).cloned();
            principal.map(|principal| {
                let password = self.passwords.lock().unwrap().get(&principal.id).cloned();
                Person { principal, password }
            })
        });
        self.after_reading(found)
    }

    fn find_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<PasswordRecord>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        done(self.up().map(|()| self.passwords.lock().unwrap().get(principal).cloned()))
    }

    fn set_password<'a>(
        &'a self,
        record: PasswordRecord,
        replaces: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            if !self.principals.lock().unwrap().contains_key(&record.principal) {
                return Err(StoreError::Conflict("principal_unknown"));
            }
            let mut passwords = self.passwords.lock().unwrap();
            if passwords.get(&record.principal).map(|standing| standing.version) != replaces {
                return Err(StoreError::Conflict("password_changed"));
            }
            passwords.insert(record.principal.clone(), record);
            self.explain(event);
            Ok(())
        }))
    }

    fn remove_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        done(self.up().and_then(|()| {
            let mut passwords = self.passwords.lock().unwrap();
            let standing = passwords.get(principal).map(|record| record.version);
            if version.is_some() && standing.is_some() && version != standing {
                return Err(StoreError::Conflict("password_changed"));
            }
            let removed = passwords.remove(principal).is_some();
            if removed {
                self.explain(event);
            }
            Ok(removed)
        }))
    }

    fn rehash<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: i64,
        was: PasswordHash,
        hash: PasswordHash,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().map(|()| {
            let mut passwords = self.passwords.lock().unwrap();
            let standing = passwords.get_mut(principal).filter(|r| r.version == version && r.hash == was);
            if let Some(record) = standing {
                record.hash = hash;
                record.normal = NORMAL_VERSION;
                self.explain(event);
            }
        }))
    }

    fn import_people<'a>(&'a self, people: Vec<ImportedPerson>) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            let (mut principals, mut passwords) =
                (self.principals.lock().unwrap(), self.passwords.lock().unwrap());
            for ImportedPerson { principal, password, .. } in &people {
                let taken = |new: &Principal| principals.values().any(|p| p.name == new.name);
                if principal.as_ref().is_some_and(|(new, _)| taken(new)) {
                    return Err(StoreError::Conflict("name_taken"));
                }
                if passwords.contains_key(&password.principal) {
                    return Err(StoreError::Conflict("password_changed"));
                }
            }
            for ImportedPerson { principal, password, event } in people {
                if let Some((principal, event)) = principal {
                    principals.insert(principal.id.clone(), principal);
                    self.explain(event);
                }
                passwords.insert(password.principal.clone(), password);
                self.explain(event);
            }
            Ok(())
        }))
    }

    fn find_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
    ) -> BoxFuture<'a, Result<Option<(AppPasswordRecord, Principal)>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        done(self.up().map(|()| {
            let record = self.app_passwords.lock().unwrap().get(id).cloned()?;
            let owner = self.principals.lock().unwrap().get(&record.owner).cloned()?;
            Some((record, owner))
        }))
    }

    fn list_app_passwords<'a>(
        &'a self,
        _: AppPasswordQuery,
    ) -> BoxFuture<'a, Result<Page<AppPasswordRecord>, StoreError>> {
        done(Err(StoreError::Unavailable("not for this test".into())))
    }

    fn create_app_password<'a>(
        &'a self,
        record: AppPasswordRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up().and_then(|()| {
            if self.is_taken() {
                return Err(StoreError::Conflict("app_password_exists"));
            }
            if !self.principals.lock().unwrap().get(&record.owner).is_some_and(|o| o.enabled) {
                return Err(StoreError::Conflict("owner_unknown"));
            }
            self.app_passwords.lock().unwrap().insert(record.id.clone(), record);
            self.explain(event);
            Ok(())
        }))
    }

    fn revoke_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
        at: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<AppPasswordRevoked, StoreError>> {
        done(self.up().map(|()| {
            let mut records = self.app_passwords.lock().unwrap();
            let Some(record) = records.get_mut(id) else { return AppPasswordRevoked::Unknown };
            if record.state != AppPasswordState::Active {
                return AppPasswordRevoked::Already;
            }
            record.state = AppPasswordState::Revoked { at };
            record.version += 1;
            self.explain(event);
            AppPasswordRevoked::Now
        }))
    }

    fn app_passwords_used<'a>(
        &'a self,
        _: Vec<(CredentialId, Timestamp)>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up())
    }

    fn used<'a>(&'a self, _: Vec<BasicUse>) -> BoxFuture<'a, Result<(), StoreError>> {
        done(self.up())
    }

    fn uses<'a>(&'a self, _: UseQuery) -> BoxFuture<'a, Result<Vec<BasicUse>, StoreError>> {
        done(self.up().map(|()| Vec::new()))
    }

    fn app_password_peppers<'a>(&'a self, _: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        done(self.up().map(|()| Vec::new()))
    }
}

impl PrincipalStore for FakeStore {
    fn find<'a>(&'a self, id: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.up().map(|()| self.principals.lock().unwrap().get(id).cloned());
        self.after_reading(found)
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

/// A person of this name; its id is another than that of the service of the same name.
pub(crate) fn person(name: &str, held: &str) -> Principal {
    let body: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let id = PrincipalId::parse(&format!("usr_{body:0>20}")).unwrap();
    let name = PrincipalName::parse(name).unwrap();
    Principal { id, kind: PrincipalKind::User, name, ..principal("nobody", held) }
}

/// Waits for nothing, and remembers for how long it should have.
#[derive(Debug, Default)]
pub(crate) struct Pauses(pub(crate) Mutex<Vec<Duration>>);

impl Pause for Pauses {
    fn pause(&self, length: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(length);
        Box::pin(ready(()))
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
