//! Sessions, in memory.

use super::{MemoryStore, State, page};
use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, StoreError, Timestamp, audit::AuditEvent, page::Page,
};
use countersign_methods::{
    api_key::record::{ApiKeyRecord, KeyState},
    revocation::store::ChangeKind,
    session::{
        record::{EndReason, SessionRecord, SessionState, session_node},
        store::{Before, KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery, SessionStore},
    },
};

impl SessionStore for MemoryStore {
    fn generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        self.answer(|state| Ok(state.generation(principal)))
    }

    fn create<'a>(
        &'a self,
        record: SessionRecord,
        generation: i64,
        room: Room,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            state.claim(&event)?;
            if state.sessions.contains_key(&record.id) {
                return Err(StoreError::Conflict("session_exists"));
            }
            let enabled = state.principals.get(&record.principal).is_some_and(|p| p.enabled);
            if !enabled || state.generation(&record.principal) != Some(generation) {
                return Err(StoreError::Conflict("principal_changed"));
            }
            let at = record.created_at;
            let mut known: Vec<(bool, Timestamp, CredentialId)> = (state.sessions.values())
                .filter(|other| other.principal == record.principal && other.state == SessionState::Open)
                .filter(|other| other.parents.first() == record.parents.first())
                .map(|other| (other.is_open(at), other.created_at, other.id.clone()))
                .collect();
            known.sort();
            let beyond = (known.len() + 1).saturating_sub(room.most as usize);
            known.truncate(beyond.min(Room::AT_ONCE as usize));
            state.sessions.insert(record.id.clone(), record);
            let mut displaced: Vec<CredentialId> = known.into_iter().map(|(.., id)| id).collect();
            displaced.sort();
            for id in &displaced {
                if let Some(other) = state.sessions.get_mut(id) {
                    other.state = SessionState::Ended { at, reason: EndReason::Displaced };
                }
                state.change(ChangeKind::Revoked, session_node(id), at, Some(room.until));
            }
            state.tell(Room::tell(event, &displaced));
            Ok(())
        })
    }

    fn key_end<'a>(&'a self, key: &'a Node) -> BoxFuture<'a, Result<KeyEnd, StoreError>> {
        self.answer(|state| {
            let kept = state.keys.values().find(|record| record.id.as_str() == &*key.id);
            let end = |record: &ApiKeyRecord| record.expires_at.map_or(KeyEnd::Never, KeyEnd::At);
            let kept = kept.filter(|record| !matches!(record.state, KeyState::Revoked { .. }));
            Ok(kept.map_or(KeyEnd::Over, end))
        })
    }

    fn find<'a>(&'a self, id: &'a CredentialId) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        self.answer(|state| Ok(state.sessions.get(id).cloned()))
    }

    fn list<'a>(&'a self, query: SessionQuery) -> BoxFuture<'a, Result<Page<SessionRecord>, StoreError>> {
        self.answer(|state| {
            let is_cursor = |after: &String| {
                let parts = after.split_once('.');
                parts.is_some_and(|(at, id)| {
                    at.parse::<i64>().is_ok()
                        && id.bytes().all(|b| b.is_ascii_alphanumeric())
                        && !id.is_empty()
                })
            };
            if !query.page.after.as_ref().is_none_or(is_cursor) {
                return Err(StoreError::Conflict("cursor_invalid"));
            }
            let wanted = |r: &&SessionRecord| {
                query.principal.as_ref().is_none_or(|principal| *principal == r.principal)
                    && query.open_at.is_none_or(|at| r.is_open(at))
            };
            let place = |r: &SessionRecord| format!("{:020}.{}", r.created_at.as_micros(), r.id);
            let mut all: Vec<(String, SessionRecord)> =
                state.sessions.values().filter(wanted).map(|r| (place(r), r.clone())).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(page(all.into_iter(), &query.page, true))
        })
    }

    fn rotate<'a>(
        &'a self,
        rotation: Rotation,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Rotated, StoreError>> {
        self.answer(|state| {
            let Rotation { id, from, to, sealed, at } = rotation;
            let Some(record) = state.sessions.get_mut(&id).filter(|r| r.is_open(at)) else {
                return Ok(Rotated::Lost);
            };
            let Some(family) = record.refresh.as_mut().filter(|family| family.current == from) else {
                return Ok(Rotated::Lost);
            };
            family.current = to;
            family.previous = Some((from, sealed));
            family.generation += 1;
            family.rotated_at = at;
            record.last_used_at = record.last_used_at.max(at);
            state.tell(event);
            Ok(Rotated::Done)
        })
    }

    fn end<'a>(
        &'a self,
        id: &'a CredentialId,
        reason: EndReason,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<SessionEnded, StoreError>> {
        self.answer(|state| {
            let Some(record) = state.sessions.get_mut(id) else { return Ok(SessionEnded::Unknown) };
            if record.state != SessionState::Open {
                return Ok(SessionEnded::Already);
            }
            record.state = SessionState::Ended { at, reason };
            state.change(ChangeKind::Revoked, session_node(id), at, Some(until));
            state.tell(event);
            Ok(SessionEnded::Now)
        })
    }

    fn end_others<'a>(
        &'a self,
        principal: &'a PrincipalId,
        except: &'a CredentialId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.answer(|state| {
            let ended = state.end_all(principal, Some(except), at);
            if !ended.is_empty() {
                state.tell(event);
            }
            for id in &ended {
                state.change(ChangeKind::Revoked, session_node(id), at, Some(until));
            }
            Ok(ended.len() as u64)
        })
    }

    fn end_generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<(i64, u64)>, StoreError>> {
        self.answer(|state| {
            let Some(generation) = state.generation(principal) else { return Ok(None) };
            state.generations.insert(principal.clone(), generation + 1);
            let ended = state.end_all(principal, None, at);
            state.change(ChangeKind::Revoked, Node::generation(principal, generation), at, Some(until));
            state.tell(event);
            Ok(Some((generation, ended.len() as u64)))
        })
    }

    fn used<'a>(&'a self, uses: Vec<(CredentialId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            for (id, at) in uses {
                if let Some(record) = state.sessions.get_mut(&id) {
                    record.last_used_at = record.last_used_at.max(at);
                }
            }
            Ok(())
        })
    }

    fn prune<'a>(&'a self, before: Before, most: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.answer(|state| {
            let over = |r: &&SessionRecord| match r.state {
                SessionState::Ended { at, reason: EndReason::Displaced | EndReason::SignedOut }
                    if at < before.ended_by_holder =>
                {
                    true
                }
                SessionState::Ended { at, .. } if at < before.over => true,
                _ => r.ends_at() < before.over,
            };
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let found: Vec<CredentialId> =
                state.sessions.values().filter(over).take(most).map(|r| r.id.clone()).collect();
            for id in &found {
                state.sessions.remove(id);
            }
            Ok(found.len() as u64)
        })
    }
}

impl State {
    fn generation(&self, principal: &PrincipalId) -> Option<i64> {
        self.principals.get(principal)?;
        Some(self.generations.get(principal).copied().unwrap_or_default())
    }

    /// Also one that only seems idle: its last use may not have been written.
    fn end_all(
        &mut self,
        principal: &PrincipalId,
        except: Option<&CredentialId>,
        at: Timestamp,
    ) -> Vec<CredentialId> {
        let mut ended = Vec::new();
        for record in self.sessions.values_mut() {
            let lasts = record.state == SessionState::Open && record.expires_at > at;
            if lasts && record.principal == *principal && Some(&record.id) != except {
                record.state = SessionState::Ended { at, reason: EndReason::Revoked };
                ended.push(record.id.clone());
            }
        }
        ended
    }
}
