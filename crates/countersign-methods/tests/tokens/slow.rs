//! The store in memory behind a wait: of many at once all have read before the first writes.

use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, StoreError, Timestamp, audit::AuditEvent, page::Page,
};
use countersign_methods::{
    session::{
        record::{EndReason, SessionRecord},
        store::{Before, KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery, SessionStore},
    },
    signing::{
        record::SigningKeyRecord,
        store::{SigningKeyChange, SigningKeyStore},
    },
};
use countersign_testkit::MemoryStore;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Slow(pub(crate) Arc<MemoryStore>);

/// What was found is old by the time that it is answered.
async fn answered<T>(found: T) -> T {
    tokio::task::yield_now().await;
    found
}

impl SigningKeyStore for Slow {
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<SigningKeyRecord>, StoreError>> {
        Box::pin(async { answered(SigningKeyStore::list(&*self.0).await).await })
    }

    fn change<'a>(
        &'a self,
        change: SigningKeyChange,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { SigningKeyStore::change(&*self.0, change, at).await })
    }
}

impl SessionStore for Slow {
    fn generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        Box::pin(async { answered(self.0.generation(principal).await).await })
    }

    fn create<'a>(
        &'a self,
        record: SessionRecord,
        generation: i64,
        room: Room,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { SessionStore::create(&*self.0, record, generation, room, event).await })
    }

    fn key_end<'a>(&'a self, key: &'a Node) -> BoxFuture<'a, Result<KeyEnd, StoreError>> {
        Box::pin(async { answered(self.0.key_end(key).await).await })
    }

    fn find<'a>(&'a self, id: &'a CredentialId) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async { answered(SessionStore::find(&*self.0, id).await).await })
    }

    fn list<'a>(&'a self, query: SessionQuery) -> BoxFuture<'a, Result<Page<SessionRecord>, StoreError>> {
        Box::pin(async move { SessionStore::list(&*self.0, query).await })
    }

    fn rotate<'a>(
        &'a self,
        rotation: Rotation,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Rotated, StoreError>> {
        Box::pin(async move { answered(SessionStore::rotate(&*self.0, rotation, event).await).await })
    }

    fn end<'a>(
        &'a self,
        id: &'a CredentialId,
        reason: EndReason,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<SessionEnded, StoreError>> {
        Box::pin(async move { self.0.end(id, reason, at, until, event).await })
    }

    fn end_others<'a>(
        &'a self,
        principal: &'a PrincipalId,
        except: &'a CredentialId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { self.0.end_others(principal, except, at, until, event).await })
    }

    fn end_generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<(i64, u64)>, StoreError>> {
        Box::pin(async move { self.0.end_generation(principal, at, until, event).await })
    }

    fn used<'a>(&'a self, uses: Vec<(CredentialId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { SessionStore::used(&*self.0, uses).await })
    }

    fn prune<'a>(&'a self, before: Before, most: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move { SessionStore::prune(&*self.0, before, most).await })
    }
}
