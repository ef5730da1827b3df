//! Keeps one process's memory of the feed up to date: a poll every 250 ms, beside PostgreSQL's LISTEN, and everything
//! anew after a lost connection or a gap (RULES 2.5).

use super::{
    Engine, Store,
    dialect::{CHANNEL, Trouble},
};
use countersign_core::{Clock, StoreError, Timestamp, check::revocation::Position};
use countersign_methods::revocation::{
    memory::ChangeMemory,
    store::{Change, FeedStore, each_revoked},
};
use sqlx::postgres::PgListener;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

const POLL: Duration = Duration::from_millis(250);
/// Changes read at a time.
const PAGE: u32 = 500;
/// How often what counts no more is removed, and how long it is kept. Far longer than any process stays away and then
/// goes on; and that one finds the gap.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
const KEEP: Duration = Duration::from_secs(86_400);

/// What is told of changes. Told of some of them twice: by the write that made them and by the feed.
pub trait ChangeSink: fmt::Debug + Send + Sync {
    fn apply(&self, changes: &[Change], now: Timestamp);
    /// The store answered, and everything up to now was applied.
    fn heard(&self, now: Timestamp);
    /// The store was asked and did not answer, or not yet.
    fn unheard(&self) {}
    /// Of everything that counts a page, ahead of [`ChangeSink::reload`].
    fn revoked(&self, page: &[Change], now: Timestamp);
    /// All pages came, and are true of `head`; what was known before may have holes.
    fn reload(&self, head: Position, now: Timestamp);
    /// Was it told of this before, by the write that made it?
    fn knows(&self, _change: &Change) -> bool {
        false
    }
}

impl ChangeSink for ChangeMemory {
    fn apply(&self, changes: &[Change], now: Timestamp) {
        ChangeMemory::apply(self, changes, now);
    }

    fn heard(&self, now: Timestamp) {
        ChangeMemory::heard(self, now);
    }

    fn unheard(&self) {
        ChangeMemory::unheard(self);
    }

    fn revoked(&self, page: &[Change], now: Timestamp) {
        ChangeMemory::revoked(self, page, now);
    }

    fn reload(&self, head: Position, now: Timestamp) {
        ChangeMemory::reload(self, head, now);
    }

    fn knows(&self, change: &Change) -> bool {
        ChangeMemory::knows(self, change)
    }
}

/// Following ends when this is dropped.
#[derive(Debug)]
pub struct FollowerHandle {
    task: tokio::task::JoinHandle<()>,
    caught_up: watch::Receiver<bool>,
}

impl FollowerHandle {
    /// Until the memory was loaded for the first time.
    pub async fn caught_up(&mut self) {
        self.caught_up.wait_for(|caught_up| *caught_up).await.ok();
    }
}

impl Drop for FollowerHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Store {
    /// From now on `memory` is told of every change: of this process's own writes before their answers, of the
    /// others' within a poll.
    pub fn follow(self: Arc<Self>, memory: Arc<dyn ChangeSink>, clock: Arc<dyn Clock>) -> FollowerHandle {
        self.sinks.add(&memory);
        let (loaded, caught_up) = watch::channel(false);
        let control = self.control.clone();
        let follower = Follower {
            store: self,
            memory,
            clock,
            at: None,
            reached: None,
            epoch: String::new(),
            pruned_at: Timestamp::EPOCH,
        };
        let task = control.spawn(follower.run(loaded));
        FollowerHandle { task, caught_up }
    }
}

struct Follower {
    store: Arc<Store>,
    memory: Arc<dyn ChangeSink>,
    clock: Arc<dyn Clock>,
    /// How far the feed was read without a hole. Not the memory's own position: this process's writes run ahead of
    /// the others' there. `None`: everything must be read anew.
    at: Option<Position>,
    /// How far it ever was in this epoch, for the lag of what is heard of late.
    reached: Option<Position>,
    /// Of which `at` is true.
    epoch: String,
    pruned_at: Timestamp,
}

impl Follower {
    async fn run(mut self, loaded: watch::Sender<bool>) {
        let mut bell = Bell::of(&self.store);
        loop {
            let memory = self.memory.clone();
            match or_say_so(self.catch_up(), || memory.unheard()).await {
                Ok(()) => {
                    loaded.send_replace(true);
                }
                // logged where it happened; after an outage nothing is taken for granted
                Err(_) => {
                    self.at = None;
                    memory.unheard();
                }
            }
            if bell.wait().await == Heard::Lost {
                self.at = None;
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        // read before the feed is: what the feed said was true at that time
        let asked = self.clock.now();
        let (epoch, head) = self.store.head_of_epoch().await?;
        if self.epoch != epoch {
            self.reached = None;
        }
        let mut at = match self.at {
            Some(at) if at <= head && self.epoch == epoch => at,
            // the first time, after a loss or a restore, or a feed that went backwards
            _ => self.reload(asked).await?,
        };
        while at < head {
            let changes = self.store.since(at, PAGE).await?;
            let Some(last) = contiguous(at, &changes) else {
                at = self.reload(asked).await?;
                continue;
            };
            let new = unknown(&*self.memory, &changes);
            self.memory.apply(&changes, asked);
            self.followed(&new);
            at = last;
        }
        self.at = Some(at);
        self.reached = Some(at);
        self.epoch = epoch;
        self.memory.heard(asked);
        if asked.since(self.pruned_at) >= PRUNE_EVERY {
            self.pruned_at = asked;
            // Every process may: it is the same whoever does it, and however often. Aside: following does not wait.
            let store = self.store.clone();
            tokio::spawn(async move {
                store.prune_feed(asked.saturating_sub(KEEP)).await.ok();
                store.prune_idempotency(asked).await.ok();
            });
        }
        Ok(())
    }

    async fn reload(&self, now: Timestamp) -> Result<Position, StoreError> {
        let take = |page: &[Change]| {
            let mut new = unknown(&*self.memory, page);
            // at the first time nothing is late
            new.retain(|(position, _)| self.reached.is_some_and(|reached| *position > reached));
            self.memory.revoked(page, now);
            self.followed(&new);
        };
        let head = each_revoked(&*self.store, now, take).await?;
        self.memory.reload(head, now);
        Ok(head)
    }

    fn followed(&self, new: &[(Position, Timestamp)]) {
        let now = self.clock.now();
        new.iter().for_each(|(_, at)| self.store.figures.followed(*at, now));
    }
}

/// What others wrote. This process's own writes are known with their answers; one that the feed brings before that was
/// learned from the feed, and counts.
fn unknown(memory: &dyn ChangeSink, changes: &[Change]) -> Vec<(Position, Timestamp)> {
    let unknown = changes.iter().filter(|change| !memory.knows(change));
    unknown.map(|change| (change.position, change.at)).collect()
}

/// Says now and then that it still takes.
async fn or_say_so<T>(work: impl Future<Output = T>, still: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(POLL, &mut work).await {
            Ok(done) => return done,
            Err(_) => still(),
        }
    }
}

/// The last position, where they follow `at` and each other without a hole.
fn contiguous(at: Position, changes: &[Change]) -> Option<Position> {
    let mut expected = at.0;
    for change in changes {
        expected += 1;
        if change.position.0 != expected {
            return None;
        }
    }
    (expected > at.0).then_some(Position(expected))
}

/// What wakes the follower.
struct Bell {
    pool: Option<sqlx::PgPool>,
    rope: Option<Rope>,
}

#[derive(PartialEq, Eq)]
enum Heard {
    Something,
    /// The listening connection ended.
    Lost,
}

impl Bell {
    fn of(store: &Store) -> Self {
        let pool = match &store.engine {
            Engine::Sqlite { .. } => None,
            Engine::Postgres { pool } => Some(pool.clone()),
        };
        Self { pool, rope: None }
    }

    async fn wait(&mut self) -> Heard {
        if self.rope.is_none()
            && let Some(pool) = &self.pool
        {
            self.rope = listen(pool).await.map(Rope::new);
        }
        let Some(rope) = &mut self.rope else {
            tokio::time::sleep(POLL).await;
            return Heard::Something;
        };
        match tokio::time::timeout(POLL, rope.rings.recv()).await {
            Err(_) | Ok(Some(())) => Heard::Something,
            Ok(None) => {
                self.rope = None;
                Heard::Lost
            }
        }
    }
}

/// A listener in a task of its own. sqlx does not say that reading a notification may be given up half way, which the
/// timer of a poll would do; reading a channel may.
struct Rope {
    rings: mpsc::Receiver<()>,
    listening: tokio::task::AbortHandle,
}

impl Rope {
    fn new(mut listener: PgListener) -> Self {
        let (ring, rings) = mpsc::channel(1);
        // ends with the connection; the channel ends with it
        let listening = tokio::spawn(async move {
            while let Ok(Some(_)) = listener.try_recv().await {
                // full: it will ring anyway
                ring.try_send(()).ok();
            }
        });
        Self { rings, listening: listening.abort_handle() }
    }
}

impl Drop for Rope {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(pool: &sqlx::PgPool) -> Option<PgListener> {
    let listening = async {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    match tokio::time::timeout(POLL, listening).await {
        Ok(Ok(listener)) => Some(listener),
        Ok(Err(error)) => {
            tracing::debug!(%error, trouble = ?Trouble::of(&error), "not listening; polling goes on");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
