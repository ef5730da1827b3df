//! What the store counts of its own work, for whoever watches.

use super::{Engine, Store, dialect::sql};
use countersign_core::{StoreError, Timestamp};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// Upper bounds of the times that are told apart.
pub const TIME_BOUNDS: [Duration; 10] = [
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// The same of what is heard of others: a poll is 250 ms, and a second is too late.
pub const LAG_BOUNDS: [Duration; TIME_BOUNDS.len()] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(5),
];

/// How long something took, by bounds; the last count is of what took longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    pub counts: [u64; TIME_BOUNDS.len() + 1],
    pub sum: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct StoreFigures {
    pub reads: bool,
    pub writes: bool,
    /// From the question to the answer, a failed one too; by [`TIME_BOUNDS`].
    pub write_times: Times,
    pub failed_writes: u64,
    /// Writes that wait for the one writer; of SQLite only.
    pub queue: Option<usize>,
    /// From a change that another process made, by its clock, to this process acting on it; by [`LAG_BOUNDS`].
    pub lag: Times,
}

/// Keys that can be used, and those of them that end soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyCounts {
    pub usable: u64,
    pub in_a_day: u64,
    pub in_a_week: u64,
    pub in_a_month: u64,
}

#[derive(Debug)]
pub(super) struct Figures {
    writes: Histogram,
    failed_writes: AtomicU64,
    lag: Histogram,
}

impl Default for Figures {
    fn default() -> Self {
        let (writes, lag) = (Histogram::new(&TIME_BOUNDS), Histogram::new(&LAG_BOUNDS));
        Self { writes, failed_writes: AtomicU64::new(0), lag }
    }
}

impl Figures {
    /// Around one write.
    pub(super) async fn write<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        let result = work.await;
        self.writes.note(asked.elapsed());
        if let Err(StoreError::Unavailable(_)) = &result {
            self.failed_writes.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn followed(&self, made: Timestamp, now: Timestamp) {
        self.lag.note(now.since(made));
    }
}

#[derive(Debug)]
struct Histogram {
    bounds: &'static [Duration; TIME_BOUNDS.len()],
    counts: [AtomicU64; TIME_BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [Duration; TIME_BOUNDS.len()]) -> Self {
        Self { bounds, counts: Default::default(), microseconds: AtomicU64::new(0) }
    }

    fn note(&self, took: Duration) {
        let place = self.bounds.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> Times {
        Times {
            counts: self.counts.each_ref().map(|count| count.load(Ordering::Relaxed)),
            sum: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)),
        }
    }
}

impl Store {
    pub fn figures(&self) -> StoreFigures {
        StoreFigures {
            reads: self.reading.is_well(),
            writes: self.writing.is_well(),
            write_times: self.figures.writes.read(),
            failed_writes: self.figures.failed_writes.load(Ordering::Relaxed),
            queue: match &self.engine {
                Engine::Sqlite { writer, .. } => Some(writer.waiting()),
                Engine::Postgres { .. } => None,
            },
            lag: self.figures.lag.read(),
        }
    }

    pub async fn key_counts(&self, now: Timestamp) -> Result<KeyCounts, StoreError> {
        const DAY: u64 = 86_400;
        self.read(move |conn| {
            Box::pin(async move {
                let by = |days: u64| (now + Duration::from_secs(days * DAY)).as_micros();
                let text = "SELECT COUNT(*), \
                    COUNT(CASE WHEN expires_at <= $2 THEN 1 END), \
                    COUNT(CASE WHEN expires_at <= $3 THEN 1 END), \
                    COUNT(CASE WHEN expires_at <= $4 THEN 1 END) \
                    FROM api_key WHERE state = 'active' AND (expires_at IS NULL OR expires_at > $1)";
                let query = sql(text).bind(now.as_micros()).bind(by(1)).bind(by(7)).bind(by(30));
                let (usable, day, week, month): (i64, i64, i64, i64) = query.one(conn).await?;
                let count = |n: i64| u64::try_from(n).unwrap_or_default();
                Ok(KeyCounts {
                    usable: count(usable),
                    in_a_day: count(day),
                    in_a_week: count(week),
                    in_a_month: count(month),
                })
            })
        })
        .await
    }
}
