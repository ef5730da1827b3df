//! One logical write: what a port's method does inside a transaction, with what it leaves to be done at its end.

use super::{
    audit,
    dialect::{Conn, Failed, notify},
    revocation::{self, NewChange},
};
use countersign_core::{BoxFuture, audit::AuditEvent};
use countersign_methods::revocation::store::Change;

/// What a write works on. Its event and its changes are only named here: they are numbered as the transaction's last
/// statements, in the order audit, feed, always, so that the locked head rows are held shortly and never crosswise
/// (RULES 2.5, 3.9).
#[derive(Debug)]
pub(crate) struct Unit<'c> {
    pub(crate) conn: Conn<'c>,
    pub(super) effects: Effects,
}

#[derive(Debug, Default)]
pub(super) struct Effects {
    events: Vec<AuditEvent>,
    changes: Vec<NewChange>,
}

/// What a port's method is made of. It runs once: inside a savepoint of a group on SQLite, in a transaction of its
/// own on PostgreSQL. It must leave at its first error.
pub(crate) type Write<T> =
    Box<dyn for<'a, 'c> FnOnce(&'a mut Unit<'c>) -> BoxFuture<'a, Result<T, Failed>> + Send>;

/// How a write is treated when the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ordinary,
    /// It ends something: may use the space kept in reserve (RULES 3.9).
    Revocation,
}

impl<'c> Unit<'c> {
    pub(super) fn new(conn: Conn<'c>) -> Self {
        Self { conn, effects: Effects::default() }
    }

    pub(crate) fn audit(&mut self, event: AuditEvent) {
        self.effects.events.push(event);
    }

    pub(crate) fn change(&mut self, change: NewChange) {
        self.effects.changes.push(change);
    }
}

impl Effects {
    pub(super) fn append(&mut self, mut other: Effects) {
        self.events.append(&mut other.events);
        self.changes.append(&mut other.changes);
    }

    pub(super) fn changes(&self) -> usize {
        self.changes.len()
    }
}

/// The last statements of a transaction. Answers with the changes as they were numbered.
pub(super) async fn seal(conn: &mut Conn<'_>, effects: Effects) -> Result<Vec<Change>, Failed> {
    audit::append(conn, effects.events).await?;
    let changes = revocation::append(conn, effects.changes).await?;
    if !changes.is_empty() {
        notify(conn).await?;
    }
    Ok(changes)
}
