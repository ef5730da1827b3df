//! What this process knows of the feed. Asked several times on every request, so it answers from local memory under a
//! short read lock; fed by whoever follows the store, and by every local write before that write is answered.
//!
//! ```text
//! order of the feed    ... 6   7   8   [9]  10
//! applied here             6   7   8        10     (a write of our own, ahead of what another process wrote)
//! position()                                10     what is read from the store now has 9 and 10 in it
//! 9 arrives                             9          position() stands, revision() moves: everything is judged anew
//! ```

use super::{
    revoked::Revoked,
    store::{Change, ChangeKind},
};
use crate::{
    id_hash::{IdMap, Shards},
    principal::directory::LocalDirectory,
};
use countersign_core::{
    BoxFuture, Node, NodeKind, PrincipalId, Timestamp,
    check::revocation::{Position, RevocationFeed},
};
use countersign_crypto::Entropy;
use event_listener::Event;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

/// Changes remembered at once. At a thousand a second this reaches back a minute; what is older raises the floor.
pub const DEFAULT_CAPACITY: usize = 65_536;
/// With what a request takes of its own, a revocation is a second old at most where it is not known yet. The store is
/// asked several times as often.
const FRESH: Duration = Duration::from_millis(900);
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// For how long what is not heard is waited for. Who bears to be blind for longer is then answered from what is known.
const PATIENCE: Duration = ChangeMemory::BLIND_AFTER;

#[derive(Debug)]
pub struct ChangeMemory {
    directory: Arc<LocalDirectory>,
    blind_after: Duration,
    capacity: usize,
    revoked: Revoked,
    shards: Shards<RwLock<Shard>>,
    writer: Mutex<Writer>,
    position: AtomicI64,
    revision: AtomicI64,
    floor: AtomicI64,
    /// Microseconds; `i64::MIN`: never.
    heard_at: AtomicI64,
    /// The store was asked since it was last heard, and did not answer.
    in_vain: AtomicBool,
    /// The store was asked, whatever it said.
    words: Event,
}

#[derive(Debug, Default)]
struct Shard {
    changed: IdMap<Node, Position>,
}

#[derive(Debug, Default)]
struct Writer {
    /// What `changed` holds, in the order in which it came: the oldest is dropped first.
    order: VecDeque<(Position, Node)>,
    swept_at: Timestamp,
}

impl ChangeMemory {
    /// RULES 2.5: who was not heard of for longer is answered with 503, unless the configuration bears more.
    pub const BLIND_AFTER: Duration = Duration::from_secs(5);

    /// Above [`Self::BLIND_AFTER`] a revocation may go unheard for `blind_after`: while the store does not answer, what
    /// is known is believed.
    pub fn new(directory: Arc<LocalDirectory>, blind_after: Duration, entropy: &dyn Entropy) -> Self {
        Self::with_capacity(directory, blind_after, DEFAULT_CAPACITY, entropy)
    }

    pub fn with_capacity(
        directory: Arc<LocalDirectory>,
        blind_after: Duration,
        capacity: usize,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            directory,
            blind_after,
            capacity: capacity.max(1),
            revoked: Revoked::new(entropy),
            shards: Shards::default(),
            writer: Mutex::default(),
            position: AtomicI64::new(0),
            revision: AtomicI64::new(0),
            floor: AtomicI64::new(0),
            heard_at: AtomicI64::new(i64::MIN),
            in_vain: AtomicBool::new(false),
            words: Event::new(),
        }
    }

    /// Changes in any order, once or again.
    pub fn apply(&self, changes: &[Change], now: Timestamp) {
        let mut writer = self.writer();
        for change in changes {
            if change.kind == ChangeKind::Revoked {
                self.revoked.insert(change, now);
            }
            self.note(&mut writer, change);
            if change.node.kind == NodeKind::Principal
                && let Some(principal) = PrincipalId::parse(&change.node.id)
            {
                self.directory.forget(&principal);
            }
        }
        self.make_room(&mut writer);
        self.publish(changes.iter().map(|c| c.position).max());
    }

    /// The store answered; nothing that it had before `now` is unknown here.
    pub fn heard(&self, now: Timestamp) {
        // The latest word, not the highest: there is one follower, and where its clock was set back the old word would
        // seem fresh until that time comes again.
        self.heard_at.store(now.as_micros(), Ordering::Release);
        self.in_vain.store(false, Ordering::Release);
        self.words.notify(usize::MAX);
        let mut writer = self.writer();
        if now.since(writer.swept_at) >= SWEEP_EVERY {
            writer.swept_at = now;
            self.revoked.sweep(now);
        }
    }

    /// The store was asked and did not answer, or not yet: whoever waits looks again whether that is worth it.
    pub fn unheard(&self) {
        self.in_vain.store(true, Ordering::Release);
        self.words.notify(usize::MAX);
    }

    /// A page of every revocation that still counts, ahead of [`Self::reload`]. Added to what is known, never in place of
    /// it: a local write may be newer than what was read.
    pub fn revoked(&self, page: &[Change], now: Timestamp) {
        let _writer = self.writer();
        for change in page.iter().filter(|c| c.kind == ChangeKind::Revoked) {
            self.revoked.insert(change, now);
        }
        self.publish(None);
    }

    /// Everything anew, at a start or after a lost connection: every revocation that still counted at `position` came,
    /// page by page. What else changed in between is not known, so whatever was filled before dies.
    pub fn reload(&self, position: Position, now: Timestamp) {
        {
            let mut writer = self.writer();
            self.floor.fetch_max(position.0, Ordering::AcqRel);
            // The floor says it for all of these.
            writer.order.retain(|(at, _)| *at > position);
            for shard in self.shards.iter() {
                write(shard).changed.retain(|_, at| *at > position);
            }
            self.directory.forget_all();
            self.publish(Some(position));
        }
        self.heard(now);
    }

    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// When the store last answered.
    pub fn heard_at(&self) -> Option<Timestamp> {
        let at = self.heard_at.load(Ordering::Acquire);
        (at != i64::MIN).then_some(Timestamp::from_micros(at))
    }

    fn heard_within(&self, time: Duration, now: Timestamp) -> bool {
        let Some(heard) = self.heard_at() else { return false };
        // from the future: the clock was set back since, and how long ago it was nobody knows
        now.since(heard) <= time && heard.since(now) <= time
    }

    /// Is this in what is known already? So it is of this process's own writes before the feed brings them.
    pub fn knows(&self, change: &Change) -> bool {
        change.position <= self.floor()
            || self.changed_at(&change.node).is_some_and(|at| at >= change.position)
    }

    /// How many nodes are revoked here, for metrics.
    pub fn revoked_count(&self) -> usize {
        self.revoked.len()
    }

    /// After everything else: who sees these numbers must find what they stand for.
    fn publish(&self, reached: Option<Position>) {
        if let Some(reached) = reached {
            self.position.fetch_max(reached.0, Ordering::AcqRel);
        }
        self.revision.fetch_add(1, Ordering::AcqRel);
    }

    fn note(&self, writer: &mut Writer, change: &Change) {
        let mut shard = write(self.shard(&change.node));
        let known = shard.changed.get(&change.node).copied();
        // The floor covers it already; or it was applied before.
        if change.position <= self.floor() || known.is_some_and(|at| at >= change.position) {
            return;
        }
        shard.changed.insert(change.node.clone(), change.position);
        writer.order.push_back((change.position, change.node.clone()));
    }

    fn make_room(&self, writer: &mut Writer) {
        while writer.order.len() > self.capacity {
            let Some((position, node)) = writer.order.pop_front() else { return };
            let mut shard = write(self.shard(&node));
            if shard.changed.get(&node) != Some(&position) {
                continue; // it changed again later, and that is still remembered
            }
            // Before it is forgotten: an entry from before it must not come back to life in between.
            self.floor.fetch_max(position.0, Ordering::AcqRel);
            shard.changed.remove(&node);
        }
    }

    fn shard(&self, node: &Node) -> &RwLock<Shard> {
        self.shards.of(node)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RevocationFeed for ChangeMemory {
    fn position(&self) -> Position {
        ChangeMemory::position(self)
    }

    fn revision(&self) -> i64 {
        self.revision.load(Ordering::Acquire)
    }

    fn changed_at(&self, node: &Node) -> Option<Position> {
        read(self.shard(node)).changed.get(node).copied()
    }

    fn is_revoked(&self, node: &Node) -> bool {
        self.revoked.contains(node)
    }

    fn floor(&self) -> Position {
        Position(self.floor.load(Ordering::Acquire))
    }

    fn is_blind(&self, now: Timestamp) -> bool {
        !self.heard_within(self.blind_after, now)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        if self.heard_within(FRESH, now) {
            return true;
        }
        // only where the store was asked in vain: who was merely stopped for a while asks first
        self.in_vain.load(Ordering::Acquire)
            && !self.heard_within(PATIENCE, now)
            && self.heard_within(self.blind_after, now)
    }

    fn next_word(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.words.listen())
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
