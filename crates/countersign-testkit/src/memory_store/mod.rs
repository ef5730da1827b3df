//! All stores in one, in memory: what the handlers of the control plane are tested against. Keeps the promises of the
//! ports (guards, conflicts, one audit record a write) and none of durability; `conformance/` is for stores that must.

mod jwt;
mod session;
mod signing;

use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, StoreError, Timestamp,
    audit::{Actor, AuditEvent, AuditHead, AuditQuery, AuditRecord, AuditStore, ChainState, StoredEvent},
    check::revocation::Position,
    idempotency::{IdempotencyStore, Once, REPEATED},
    page::{Page, PageRequest},
    principal::{Principal, PrincipalName},
};
use countersign_crypto::password::PasswordHash;
use countersign_methods::password::normal::NORMAL_VERSION;
use countersign_methods::{
    api_key::{
        record::{ApiKeyRecord, Covers, KeyId, KeyState, Lookup, Origin, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore, KeySort, Revoked, Rotation, Upgrade},
    },
    basic::{
        app_password::{self, AppPasswordRecord, AppPasswordStanding, AppPasswordState},
        record::{PasswordRecord, Person, password_node},
        store::{AppPasswordQuery, AppPasswordRevoked, BasicStore, ImportedPerson, UseQuery},
        uses::BasicUse,
    },
    operator::administers,
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalSort, PrincipalStore},
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind, FeedStore},
    },
    session::record::SessionRecord,
    signing::record::SigningKeyRecord,
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    down: AtomicBool,
    /// Told of every change before the write is answered, as a store does for its own process.
    memory: Mutex<Weak<ChangeMemory>>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<KeyId, ApiKeyRecord>,
    principals: BTreeMap<PrincipalId, Principal>,
    passwords: BTreeMap<PrincipalId, PasswordRecord>,
    app_passwords: BTreeMap<CredentialId, AppPasswordRecord>,
    basic_uses: Vec<BasicUse>,
    signing_keys: Vec<SigningKeyRecord>,
    sessions: BTreeMap<CredentialId, SessionRecord>,
    /// Of principals for whom something was called back.
    generations: BTreeMap<PrincipalId, i64>,
    changes: Vec<Change>,
    audit: Vec<AuditRecord>,
    once: Vec<Once>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn tell(&self, memory: Weak<ChangeMemory>) {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }

    /// From now on every call is `Unavailable`, until it is told that it is up again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The trail so far, for assertions.
    pub fn actions(&self) -> Vec<String> {
        self.lock().audit.iter().map(|r| r.event.action.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the memory store was told to be down".into()));
        }
        Ok(self.lock())
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let answer = self.up().and_then(|mut state| {
            let before = state.changes.len();
            let answer = work(&mut state)?;
            let changes: Vec<Change> = state.changes.iter().skip(before).cloned().collect();
            Ok((answer, changes))
        });
        Box::pin(async move {
            let (answer, changes) = answer?;
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            if let (Some(memory), Some(last)) = (memory, changes.last()) {
                memory.apply(&changes, last.at);
            }
            Ok(answer)
        })
    }
}

impl State {
    fn claim(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let Some(Once { mark, .. }) = &event.once else { return Ok(()) };
        let is_same = |known: &Once| known.mark.caller == mark.caller && known.mark.key == mark.key;
        if self.once.iter().any(is_same) { Err(StoreError::Conflict(REPEATED)) } else { Ok(()) }
    }

    fn tell(&mut self, event: AuditEvent) {
        self.once.extend(event.once.clone());
        let (actor, credential) = match event.actor {
            Actor::Principal { id, credential } => (id.to_string(), credential),
            Actor::Host => ("host".into(), String::new()),
            Actor::System => ("system".into(), String::new()),
            Actor::Holder => ("holder".into(), String::new()),
        };
        let pairs: Vec<String> = event.detail.iter().map(|(k, v)| format!("{k:?}:{v:?}")).collect();
        let number = i64::try_from(self.audit.len() + 1).unwrap_or(i64::MAX);
        let mut hash = [0; 32];
        hash.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
        self.audit.push(AuditRecord {
            number,
            hash,
            event: StoredEvent {
                at: event.at,
                actor,
                credential,
                action: event.action.into(),
                subject: event.subject,
                source: event.source.map(|s| s.to_string()).unwrap_or_default(),
                request: event.request.map(|r| r.to_string()).unwrap_or_default(),
                detail: format!("{{{}}}", pairs.join(",")),
            },
        });
    }

    fn change(&mut self, kind: ChangeKind, node: Node, at: Timestamp, until: Option<Timestamp>) -> Position {
        let position = Position(i64::try_from(self.changes.len() + 1).unwrap_or(i64::MAX));
        self.changes.push(Change { position, kind, node, at, until });
        position
    }
}

/// One page of what comes in ascending order of its key.
fn page<T>(
    all: impl DoubleEndedIterator<Item = (String, T)>,
    request: &PageRequest,
    descending: bool,
) -> Page<T> {
    let ordered: Box<dyn Iterator<Item = (String, T)>> =
        if descending { Box::new(all.rev()) } else { Box::new(all) };
    let after = request.after.clone();
    let mut rest = ordered.filter(|(key, _)| {
        after.as_ref().is_none_or(|after| if descending { key < after } else { key > after })
    });
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let taken: Vec<(String, T)> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    let next = taken.last().map(|(key, _)| key.clone()).filter(|_| more);
    Page { items: taken.into_iter().map(|(_, item)| item).collect(), next }
}

impl ApiKeyStore for MemoryStore {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        self.answer(|state| Ok(state.keys.get(id).cloned()))
    }

    fn list<'a>(&'a self, query: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>> {
        self.answer(|state| {
            let usable = |r: &ApiKeyRecord| match query.usable_at {
                Some(at) => {
                    !matches!(r.state, KeyState::Revoked { .. }) && r.expires_at.is_none_or(|end| end > at)
                }
                None => true,
            };
            let wanted = |r: &&ApiKeyRecord| {
                query.owner.as_ref().is_none_or(|o| *o == r.owner)
                    && usable(r)
                    && query.standing.is_none_or(|(is, at)| r.standing(at) == is)
                    && query.environment.is_none_or(|e| e == r.environment)
                    && query.expires_before.is_none_or(|at| r.expires_at.is_some_and(|end| end < at))
                    && query.label.as_ref().is_none_or(|label| r.label.starts_with(label))
            };
            let place = |r: &ApiKeyRecord| {
                let at = match query.sort {
                    KeySort::CreatedAt => r.created_at.as_micros(),
                    KeySort::ExpiresAt => r.expires_at.map_or(i64::MAX, Timestamp::as_micros),
                    KeySort::LastUsedAt => r.last_used_at.map_or(0, Timestamp::as_micros),
                };
                format!("{at:020}.{}", r.id)
            };
            let mut all: Vec<(String, ApiKeyRecord)> =
                state.keys.values().filter(wanted).map(|r| (place(r), r.clone())).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(page(all.into_iter(), &query.page, query.descending))
        })
    }

    fn create<'a>(
        &'a self,
        record: ApiKeyRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.claim(&event)?;
            if state.keys.contains_key(&record.id) {
                return Err(StoreError::Conflict("key_exists"));
            }
            if !state.principals.get(&record.owner).is_some_and(|o| o.enabled) {
                return Err(StoreError::Conflict("owner_unknown"));
            }
            state.keys.insert(record.id, record);
            state.tell(event);
            Ok(())
        })
    }

    fn find_imported<'a>(
        &'a self,
        lookups: Vec<Lookup>,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        self.answer(|state| {
            let one_of = |r: &&ApiKeyRecord| r.origin.lookup().is_some_and(|l| lookups.contains(&l));
            Ok(state.keys.values().filter(one_of).cloned().collect())
        })
    }

    fn import<'a>(&'a self, keys: Vec<(ApiKeyRecord, AuditEvent)>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            let taken = |key: &ApiKeyRecord| {
                let same = |r: &ApiKeyRecord| r.id == key.id || r.origin.lookup() == key.origin.lookup();
                state.keys.values().any(same)
            };
            if keys.iter().any(|(key, _)| taken(key)) {
                return Err(StoreError::Conflict("key_exists"));
            }
            for (key, event) in keys {
                state.keys.insert(key.id, key);
                state.tell(event);
            }
            Ok(())
        })
    }

    fn upgrade<'a>(&'a self, upgrade: Upgrade, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            let Some(record) = state.keys.get_mut(&upgrade.id).filter(|r| r.digest == upgrade.was) else {
                return Ok(());
            };
            record.digest = upgrade.digest;
            record.origin = Origin::Imported { lookup: upgrade.lookup, covers: Covers::Value };
            state.tell(event);
            Ok(())
        })
    }

    fn rotate<'a>(&'a self, rotation: Rotation, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.claim(&event)?;
            let Some(predecessor) = state.keys.get_mut(&rotation.predecessor) else {
                return Err(StoreError::Conflict("key_changed"));
            };
            if predecessor.state != KeyState::Active || predecessor.version != rotation.version {
                return Err(StoreError::Conflict("key_changed"));
            }
            predecessor.state = KeyState::Rotated { at: rotation.at, successor: rotation.successor.id };
            predecessor.expires_at = Some(rotation.predecessor_expires_at);
            predecessor.version += 1;
            let (node, end) = (predecessor.id.node(), rotation.predecessor_expires_at);
            for session in state.sessions.values_mut().filter(|session| session.key() == Some(&node)) {
                session.expires_at = session.expires_at.min(end);
            }
            state.keys.insert(rotation.successor.id, rotation.successor);
            state.change(ChangeKind::Changed, node, rotation.at, None);
            state.tell(event);
            Ok(())
        })
    }

    fn revoke<'a>(
        &'a self,
        id: &'a KeyId,
        version: Option<i64>,
        at: Timestamp,
        reason: RevocationReason,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Revoked, StoreError>> {
        self.answer(|state| {
            let Some(record) = state.keys.get_mut(id) else { return Ok(Revoked::Unknown) };
            if version.is_some_and(|asked| asked != record.version) {
                return Ok(Revoked::Changed);
            }
            if matches!(record.state, KeyState::Revoked { .. }) {
                return Ok(Revoked::Already);
            }
            record.state = KeyState::Revoked { at, reason };
            record.version += 1;
            let node = record.id.node();
            state.change(ChangeKind::Revoked, node, at, None);
            state.tell(event);
            Ok(Revoked::Now)
        })
    }

    fn used<'a>(&'a self, uses: Vec<(KeyId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            for (id, at) in uses {
                if let Some(record) = state.keys.get_mut(&id) {
                    record.last_used_at = record.last_used_at.max(Some(at));
                }
            }
            Ok(())
        })
    }

    fn peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        self.answer(|state| {
            let live = state.keys.values().filter(|r| {
                !matches!(r.state, KeyState::Revoked { .. }) && r.expires_at.is_none_or(|end| end > now)
            });
            let mut numbers: Vec<u32> = live.map(|r| r.digest.pepper).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Ok(numbers)
        })
    }
}

impl BasicStore for MemoryStore {
    fn find_person<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Person>, StoreError>> {
        self.answer(|state| {
            let principal = state.principals.values().find(|p| p.name == *name).cloned();
            Ok(principal.map(|principal| {
                let password = state.passwords.get(&principal.id).cloned();
                Person { principal, password }
            }))
        })
    }

    fn find_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<PasswordRecord>, StoreError>> {
        self.answer(|state| Ok(state.passwords.get(principal).cloned()))
    }

    fn set_password<'a>(
        &'a self,
        record: PasswordRecord,
        replaces: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            if !state.principals.contains_key(&record.principal) {
                return Err(StoreError::Conflict("principal_unknown"));
            }
            if state.passwords.get(&record.principal).map(|standing| standing.version) != replaces {
                return Err(StoreError::Conflict("password_changed"));
            }
            if let Some(version) = replaces {
                let node = password_node(&record.principal, version);
                state.change(ChangeKind::Revoked, node, record.set_at, None);
            }
            state.passwords.insert(record.principal.clone(), record);
            state.tell(event);
            Ok(())
        })
    }

    fn remove_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(|state| {
            let standing = state.passwords.get(principal).map(|record| record.version);
            if version.is_some() && standing.is_some() && version != standing {
                return Err(StoreError::Conflict("password_changed"));
            }
            let Some(record) = state.passwords.remove(principal) else { return Ok(false) };
            state.change(ChangeKind::Revoked, record.node(), event.at, None);
            state.tell(event);
            Ok(true)
        })
    }

    fn rehash<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: i64,
        was: PasswordHash,
        hash: PasswordHash,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            let standing = state.passwords.get_mut(principal);
            if let Some(record) = standing.filter(|r| r.version == version && r.hash == was) {
                record.hash = hash;
                record.normal = NORMAL_VERSION;
                state.tell(event);
            }
            Ok(())
        })
    }

    fn import_people<'a>(&'a self, people: Vec<ImportedPerson>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            for ImportedPerson { principal, password, .. } in &people {
                let taken = |new: &Principal| state.principals.values().any(|p| p.name == new.name);
                if principal.as_ref().is_some_and(|(new, _)| taken(new)) {
                    return Err(StoreError::Conflict("name_taken"));
                }
                if state.passwords.contains_key(&password.principal) {
                    return Err(StoreError::Conflict("password_changed"));
                }
            }
            for ImportedPerson { principal, password, event } in people {
                if let Some((principal, event)) = principal {
                    state.principals.insert(principal.id.clone(), principal);
                    state.tell(event);
                }
                state.passwords.insert(password.principal.clone(), password);
                state.tell(event);
            }
            Ok(())
        })
    }

    fn find_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
    ) -> BoxFuture<'a, Result<Option<(AppPasswordRecord, Principal)>, StoreError>> {
        self.answer(|state| {
            let record = state.app_passwords.get(id).cloned();
            Ok(record.and_then(|record| {
                let owner = state.principals.get(&record.owner)?.clone();
                Some((record, owner))
            }))
        })
    }

    fn list_app_passwords<'a>(
        &'a self,
        query: AppPasswordQuery,
    ) -> BoxFuture<'a, Result<Page<AppPasswordRecord>, StoreError>> {
        self.answer(|state| {
            let wanted = |r: &&AppPasswordRecord| {
                query.owner.as_ref().is_none_or(|owner| *owner == r.owner)
                    && query.usable_at.is_none_or(|at| r.standing(at) == AppPasswordStanding::Active)
            };
            let place = |r: &AppPasswordRecord| format!("{}.{}", r.created_at.as_micros(), r.id);
            let mut all: Vec<(String, AppPasswordRecord)> =
                state.app_passwords.values().filter(wanted).map(|r| (place(r), r.clone())).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(page(all.into_iter(), &query.page, false))
        })
    }

    fn create_app_password<'a>(
        &'a self,
        record: AppPasswordRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.claim(&event)?;
            if state.app_passwords.contains_key(&record.id) {
                return Err(StoreError::Conflict("app_password_exists"));
            }
            if !state.principals.get(&record.owner).is_some_and(|o| o.enabled) {
                return Err(StoreError::Conflict("owner_unknown"));
            }
            state.app_passwords.insert(record.id.clone(), record);
            state.tell(event);
            Ok(())
        })
    }

    fn revoke_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
        at: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<AppPasswordRevoked, StoreError>> {
        self.answer(|state| {
            let Some(record) = state.app_passwords.get_mut(id) else {
                return Ok(AppPasswordRevoked::Unknown);
            };
            if record.state != AppPasswordState::Active {
                return Ok(AppPasswordRevoked::Already);
            }
            record.state = AppPasswordState::Revoked { at };
            record.version += 1;
            state.change(ChangeKind::Revoked, app_password::node(id), at, None);
            state.tell(event);
            Ok(AppPasswordRevoked::Now)
        })
    }

    fn app_passwords_used<'a>(
        &'a self,
        uses: Vec<(CredentialId, Timestamp)>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            for (id, at) in uses {
                if let Some(record) = state.app_passwords.get_mut(&id) {
                    record.last_used_at = record.last_used_at.max(Some(at));
                }
            }
            Ok(())
        })
    }

    fn used<'a>(&'a self, uses: Vec<BasicUse>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            for new in uses {
                let same =
                    |known: &&mut BasicUse| known.principal == new.principal && known.route == new.route;
                match state.basic_uses.iter_mut().find(same) {
                    Some(known) => {
                        known.uses += new.uses;
                        known.last_used_at = known.last_used_at.max(new.last_used_at);
                    }
                    None => state.basic_uses.push(new),
                }
            }
            Ok(())
        })
    }

    fn uses<'a>(&'a self, query: UseQuery) -> BoxFuture<'a, Result<Vec<BasicUse>, StoreError>> {
        self.answer(|state| {
            let wanted = |known: &&BasicUse| {
                query.principal.as_ref().is_none_or(|p| *p == known.principal)
                    && query.route.as_ref().is_none_or(|route| **route == *known.route)
                    && query.since.is_none_or(|since| known.last_used_at >= since)
            };
            let mut uses: Vec<BasicUse> = state.basic_uses.iter().filter(wanted).cloned().collect();
            uses.sort_by_key(|known| std::cmp::Reverse(known.last_used_at));
            uses.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
            Ok(uses)
        })
    }

    fn app_password_peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        self.answer(|state| {
            let live =
                state.app_passwords.values().filter(|r| r.standing(now) == AppPasswordStanding::Active);
            let mut numbers: Vec<u32> = live.map(|r| r.digest.pepper).collect();
            numbers.sort_unstable();
            numbers.dedup();
            Ok(numbers)
        })
    }
}

impl PrincipalStore for MemoryStore {
    fn find<'a>(&'a self, id: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.answer(|state| Ok(state.principals.get(id).cloned()))
    }

    fn find_by_name<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.answer(|state| Ok(state.principals.values().find(|p| p.name == *name).cloned()))
    }

    fn list<'a>(&'a self, query: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>> {
        self.answer(|state| {
            let wanted = |p: &&Principal| {
                query.kind.is_none_or(|k| k == p.kind)
                    && query.enabled.is_none_or(|enabled| enabled == p.enabled)
                    && query.name.as_ref().is_none_or(|name| p.name.as_str().starts_with(name))
            };
            let place = |p: &Principal| match query.sort {
                PrincipalSort::Name => p.name.to_string(),
                PrincipalSort::CreatedAt => format!("{:020}.{}", p.created_at.as_micros(), p.id),
            };
            let mut all: Vec<(String, Principal)> =
                state.principals.values().filter(wanted).map(|p| (place(p), p.clone())).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(page(all.into_iter(), &query.page, query.descending))
        })
    }

    fn create<'a>(
        &'a self,
        principal: Principal,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.claim(&event)?;
            if state.principals.values().any(|p| p.name == principal.name) {
                return Err(StoreError::Conflict("name_taken"));
            }
            state.principals.insert(principal.id.clone(), principal);
            state.tell(event);
            Ok(())
        })
    }

    fn change<'a>(
        &'a self,
        id: &'a PrincipalId,
        version: i64,
        change: PrincipalChange,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.answer(|state| {
            let Some(before) = state.principals.get(id) else { return Ok(None) };
            if before.version != version {
                return Err(StoreError::Conflict("principal_changed"));
            }
            let mut now = before.clone();
            now.scopes = change.scopes.unwrap_or(now.scopes);
            now.groups = change.groups.unwrap_or(now.groups);
            now.enabled = change.enabled.unwrap_or(now.enabled);
            now.version += 1;
            let last = !state.principals.values().any(|p| p.id != *id && administers(p));
            if last && administers(before) && !administers(&now) {
                return Err(StoreError::Conflict("last_operator"));
            }
            state.principals.insert(id.clone(), now.clone());
            state.change(ChangeKind::Changed, Node::principal(id), event.at, None);
            state.tell(event);
            Ok(Some(now))
        })
    }

    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>> {
        self.answer(|state| {
            let operators = |p: &&Principal| p.enabled && p.scopes.iter().any(|s| s.is_operators());
            Ok(state.principals.values().filter(operators).cloned().collect())
        })
    }
}

impl FeedStore for MemoryStore {
    fn head<'a>(&'a self) -> BoxFuture<'a, Result<Position, StoreError>> {
        self.answer(|state| Ok(state.changes.last().map(|c| c.position).unwrap_or_default()))
    }

    fn since<'a>(&'a self, position: Position, limit: u32) -> BoxFuture<'a, Result<Vec<Change>, StoreError>> {
        self.answer(|state| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Ok(state.changes.iter().filter(|c| c.position > position).take(limit).cloned().collect())
        })
    }

    fn revoked<'a>(
        &'a self,
        now: Timestamp,
        position: Position,
        head: Position,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Change>, StoreError>> {
        self.answer(|state| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let asked = |c: &&Change| c.position > position && c.position <= head;
            let counts =
                |c: &&Change| c.kind == ChangeKind::Revoked && c.until.is_none_or(|until| until >= now);
            Ok(state.changes.iter().filter(asked).filter(counts).take(limit).cloned().collect())
        })
    }

    fn revoke<'a>(
        &'a self,
        node: Node,
        at: Timestamp,
        until: Option<Timestamp>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Position, StoreError>> {
        self.answer(|state| {
            state.tell(event);
            Ok(state.change(ChangeKind::Revoked, node, at, until))
        })
    }
}

impl IdempotencyStore for MemoryStore {
    fn made<'a>(&'a self, caller: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Once>, StoreError>> {
        self.answer(|state| {
            Ok(state.once.iter().find(|once| once.mark.caller == caller && once.mark.key == key).cloned())
        })
    }
}

impl AuditStore for MemoryStore {
    fn note<'a>(&'a self, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.tell(event);
            Ok(())
        })
    }

    fn page<'a>(&'a self, query: AuditQuery) -> BoxFuture<'a, Result<Vec<AuditRecord>, StoreError>> {
        self.answer(|state| {
            let wanted = |r: &&AuditRecord| {
                query.action.as_ref().is_none_or(|a| *a == r.event.action)
                    && query.subject.as_ref().is_none_or(|s| *s == r.event.subject)
                    && query.actor.as_ref().is_none_or(|a| *a == r.event.actor)
                    && query.after.is_none_or(|after| r.number > after)
                    && query.before.is_none_or(|before| r.number < before)
            };
            let mut records: Vec<AuditRecord> = state.audit.iter().filter(wanted).cloned().collect();
            if query.newest_first {
                records.reverse();
            }
            records.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
            Ok(records)
        })
    }

    fn verify<'a>(&'a self) -> BoxFuture<'a, Result<ChainState, StoreError>> {
        self.answer(|state| {
            let records = i64::try_from(state.audit.len()).unwrap_or(i64::MAX);
            Ok(ChainState::Whole {
                records,
                removed: 0,
                head: state.audit.last().map_or([0; 32], |r| r.hash),
            })
        })
    }

    fn chain_head<'a>(&'a self) -> BoxFuture<'a, Result<AuditHead, StoreError>> {
        self.answer(|state| {
            let last = state.audit.last();
            Ok(AuditHead {
                store: "memory".into(),
                epoch: 1,
                number: last.map_or(0, |r| r.number),
                hash: last.map_or([0; 32], |r| r.hash),
            })
        })
    }

    fn first_since<'a>(&'a self, at: Timestamp) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        self.answer(move |state| Ok(state.audit.iter().find(|r| r.event.at >= at).map(|r| r.number)))
    }
}
