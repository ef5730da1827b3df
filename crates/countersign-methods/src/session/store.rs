//! The port of the sessions: one method, one transaction, with the audit event that explains it.

use super::record::{EndReason, SessionRecord, TokenDigest};
use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
};
use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    pub principal: Option<PrincipalId>,
    /// Only those that are open at this time.
    pub open_at: Option<Timestamp>,
    /// The newest first.
    pub page: PageRequest,
}

/// How many may be that began with one credential, those whose first parent is the same, and that nobody ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// With the new one.
    pub most: u32,
    /// Until then it is remembered that one ended.
    pub until: Timestamp,
}

impl Room {
    /// So many end at most for one that begins: where `most` was lowered the writer does not stand still.
    pub const AT_ONCE: u32 = 100;

    /// Whose place the new one has, for the trail.
    pub fn tell(mut event: AuditEvent, displaced: &[CredentialId]) -> AuditEvent {
        if !displaced.is_empty() {
            let ids: Vec<&str> = displaced.iter().map(CredentialId::as_str).collect();
            event.detail.push(("displaced", ids.join(" ")));
        }
        event
    }
}

/// What is removed: what ended before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Or was over, whatever the reason.
    pub over: Timestamp,
    /// By signing out, or because others began: whoever does so again and again would fill the store with them.
    pub ended_by_holder: Timestamp,
}

/// One step of a chain of refresh tokens.
#[derive(Clone)]
pub struct Rotation {
    pub id: CredentialId,
    /// The one that was shown: it must be the present one.
    pub from: TokenDigest,
    pub to: TokenDigest,
    /// `to`'s token, sealed under `from`'s (RULES 4.2).
    pub sealed: Vec<u8>,
    pub at: Timestamp,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    Done,
    /// `from` is not the present one, or the session is not open at that time: nothing was written.
    Lost,
}

/// Until when a key is good that was exchanged for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEnd {
    Never,
    /// Its own end, or that of its grace where it was rotated.
    At(Timestamp),
    /// Revoked, or there is none.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnded {
    Now,
    /// It already was; nothing was written.
    Already,
    Unknown,
}

pub trait SessionStore: fmt::Debug + Send + Sync {
    /// How often everything signed for this principal was called back: what a new session says it belongs to
    /// ([`countersign_core::Node::generation`]). `None`: there is no such principal.
    fn generation<'a>(&'a self, principal: &'a PrincipalId)
    -> BoxFuture<'a, Result<Option<i64>, StoreError>>;
    /// `Conflict("principal_changed")` where the principal is gone, disabled, or at another generation than the one that is
    /// given; `Conflict("session_exists")`. Where there is no room, of its credential's that nobody ended
    /// those that are over end, and then the oldest; each node into the feed, and all of them into the event.
    fn create<'a>(
        &'a self,
        record: SessionRecord,
        generation: i64,
        room: Room,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// RULES 2.6: what became of the key of this node. A rotation moves its end forward, and that of what it was exchanged for.
    fn key_end<'a>(&'a self, key: &'a Node) -> BoxFuture<'a, Result<KeyEnd, StoreError>>;
    fn find<'a>(&'a self, id: &'a CredentialId) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>>;
    fn list<'a>(&'a self, query: SessionQuery) -> BoxFuture<'a, Result<Page<SessionRecord>, StoreError>>;
    /// Compare and swap, in one guarded statement: of many at once one is `Done`. Counts as a use.
    fn rotate<'a>(
        &'a self,
        rotation: Rotation,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Rotated, StoreError>>;
    /// Puts its node into the feed as revoked until then.
    fn end<'a>(
        &'a self,
        id: &'a CredentialId,
        reason: EndReason,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<SessionEnded, StoreError>>;
    /// Every open session of the principal but `except`, each node into the feed; how many there were.
    fn end_others<'a>(
        &'a self,
        principal: &'a PrincipalId,
        except: &'a CredentialId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;
    /// RULES 2.5, "everything before now": the principal's generation rises, the node of the one before goes into the feed as
    /// revoked until then, and every open session ends. The generation that ended, and how many sessions; `None`: there is no
    /// such principal.
    fn end_generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<(i64, u64)>, StoreError>>;
    /// Last use, written in bulk and late; never moves backwards, explains nothing and so carries no event.
    fn used<'a>(&'a self, uses: Vec<(CredentialId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// At most so many. Explains nothing and so carries no event.
    fn prune<'a>(&'a self, before: Before, most: u32) -> BoxFuture<'a, Result<u64, StoreError>>;
}
