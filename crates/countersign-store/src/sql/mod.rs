//! One SQL text for SQLite and PostgreSQL. [`dialect`] is the seam, [`unit`] what a write is made of, [`writer`]
//! SQLite's one writer, and then one file for each port. Owns connections, transactions and what follows a commit;
//! the rules that a write keeps are those of its port. Next in the walk: the database.

mod api_key;
mod audit;
mod basic;
pub mod copy;
pub(crate) mod dialect;
mod directory;
mod figures;
mod file;
mod follower;
mod health;
mod idempotency;
mod inspect;
mod jwt;
mod lease;
mod meta;
mod migrate;
mod open;
mod revocation;
mod session;
mod signing;
mod unit;
mod writer;

pub use figures::{KeyCounts, LAG_BOUNDS, StoreFigures, TIME_BOUNDS, Times};
pub use follower::{ChangeSink, FollowerHandle};
pub use inspect::{Inspection, inspect};
pub use migrate::newest as newest_schema;
pub use open::StoreOptions;

use countersign_core::{BoxFuture, Clock, StoreError, page::Page};
use countersign_methods::revocation::store::Change;
use dialect::{Conn, Failed, Read, Trouble};
use figures::Figures;
use file::DatabaseFile;
use health::Health;
use sqlx::{PgPool, SqlitePool};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};
use tokio::runtime::Handle;
use unit::{Purpose, Unit, Write, seal};
use writer::Writer;

/// Everything that is kept. Implements the rooms' ports; their futures may be awaited on any runtime, the work is
/// done on the control runtime (a connection driven from a foreign one hangs when its own is idle).
pub struct Store {
    engine: Engine,
    control: Handle,
    sinks: Arc<Sinks>,
    reading: Arc<Health>,
    writing: Arc<Health>,
    figures: Figures,
}

/// What a URL of a store begins with.
pub const ENGINES: [&str; 2] = ["sqlite", "postgres"];

enum Engine {
    Sqlite { writer: Writer, readers: SqlitePool, file: Arc<DatabaseFile> },
    Postgres { pool: PgPool },
}

/// When an answer has not come by then, it is [`StoreError::Unavailable`]: a server behind a dead network says nothing.
const PATIENCE: Duration = Duration::from_secs(8);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("reading", &self.reading)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

/// Who in this process is told of changes after a commit and before its answer.
#[derive(Debug)]
pub(crate) struct Sinks {
    /// Weak: a memory leads back to this store.
    sinks: RwLock<Vec<Weak<dyn ChangeSink>>>,
    clock: Arc<dyn Clock>,
}

impl Sinks {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self { sinks: RwLock::default(), clock }
    }

    fn add(&self, sink: &Arc<dyn ChangeSink>) {
        let mut sinks = self.sinks.write().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|sink| sink.strong_count() > 0);
        sinks.push(Arc::downgrade(sink));
    }

    fn apply(&self, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let now = self.clock.now();
        let sinks = self.sinks.read().unwrap_or_else(PoisonError::into_inner);
        for sink in sinks.iter().filter_map(Weak::upgrade) {
            sink.apply(changes, now);
        }
    }
}

impl Store {
    /// Answers what is queued and closes all connections. Dropping the store does the same without waiting.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { writer, readers, .. } => {
                readers.close().await;
                if let Some(thread) = writer.finish() {
                    self.control.spawn_blocking(|| thread.join().ok()).await.ok();
                }
            }
            Engine::Postgres { pool } => {
                let pool = pool.clone();
                self.control.spawn(async move { pool.close().await }).await.ok();
            }
        }
    }

    fn read<T, F>(&self, read: F) -> BoxFuture<'_, Result<T, StoreError>>
    where
        T: Send + 'static,
        F: for<'a, 'c> FnOnce(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Failed>> + Send + 'static,
    {
        let read: Read<T> = Box::new(read);
        let work: BoxFuture<'static, _> = match &self.engine {
            Engine::Sqlite { readers, file, .. } => {
                Box::pin(read_on_sqlite(readers.clone(), file.clone(), read))
            }
            Engine::Postgres { pool } => Box::pin(read_on_postgres(pool.clone(), read)),
        };
        Box::pin(self.on_control(&self.reading, work))
    }

    /// With the changes that it put into the feed, as they were numbered.
    fn write<T, F>(&self, purpose: Purpose, write: F) -> BoxFuture<'_, Result<(T, Vec<Change>), StoreError>>
    where
        T: Send + 'static,
        F: for<'a, 'c> FnOnce(&'a mut Unit<'c>) -> BoxFuture<'a, Result<T, Failed>> + Send + 'static,
    {
        let write: Write<T> = Box::new(write);
        match &self.engine {
            Engine::Sqlite { writer, .. } => Box::pin(self.figures.write(writer.write(purpose, write))),
            Engine::Postgres { pool } => {
                let work = write_on_postgres(pool.clone(), write, self.sinks.clone());
                Box::pin(self.figures.write(self.on_control(&self.writing, Box::pin(work))))
            }
        }
    }

    /// One write for each part of them: what a process noted for a while, where nothing hangs on all or none. The caller
    /// puts them in one order everywhere, so that two processes never wait for each other crosswise.
    fn write_noted<'s, T: Clone + Send + Sync + 'static>(
        &'s self,
        noted: Vec<T>,
        write: for<'a, 'c> fn(&'a mut Unit<'c>, T) -> BoxFuture<'a, Result<(), Failed>>,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        Box::pin(async move {
            for part in noted.chunks(256) {
                let part = part.to_vec();
                let written = self.write(Purpose::Ordinary, move |unit| {
                    Box::pin(async move {
                        for one in part {
                            write(unit, one).await?;
                        }
                        Ok(())
                    })
                });
                written.await?;
            }
            Ok(())
        })
    }

    /// Spawned at once: a caller who goes away does not leave a transaction half done.
    fn on_control<T: Send + 'static>(
        &self,
        health: &Arc<Health>,
        work: BoxFuture<'static, Result<T, Failed>>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T> {
        let health = health.clone();
        let task = self.control.spawn(async move { tokio::time::timeout(PATIENCE, work).await });
        async move {
            match task.await {
                Ok(Ok(Ok(value))) => {
                    health.well();
                    Ok(value)
                }
                Ok(Ok(Err(failed))) => {
                    if let Failed::Sql(error) = &failed {
                        health.ill(Trouble::of(error), &error.to_string());
                    }
                    Err(failed.into())
                }
                Ok(Err(_)) => {
                    let silent = format!("no answer in {} s", PATIENCE.as_secs());
                    health.ill(Trouble::Unreachable, &silent);
                    Err(StoreError::Unavailable(silent))
                }
                Err(_) => Err(StoreError::Unavailable("the control runtime has ended".into())),
            }
        }
    }
}

async fn read_on_sqlite<T>(readers: SqlitePool, file: Arc<DatabaseFile>, read: Read<T>) -> Result<T, Failed> {
    // the follower reads too: where the file is gone for longer, everything is denied (RULES 2.5)
    file.stands()?;
    let mut connection = readers.acquire().await?;
    read(&mut Conn::Sqlite(&mut connection)).await
}

async fn read_on_postgres<T>(pool: PgPool, read: Read<T>) -> Result<T, Failed> {
    let mut connection = pool.acquire().await?;
    read(&mut Conn::Postgres(&mut connection)).await
}

async fn write_on_postgres<T>(
    pool: PgPool,
    write: Write<T>,
    sinks: Arc<Sinks>,
) -> Result<(T, Vec<Change>), Failed> {
    let mut transaction = pool.begin().await?;
    let mut unit = Unit::new(Conn::Postgres(&mut transaction));
    let value = match write(&mut unit).await {
        Ok(value) => value,
        Err(failed) => {
            transaction.rollback().await.ok();
            return Err(failed);
        }
    };
    let effects = unit.effects;
    let changes = seal(&mut Conn::Postgres(&mut transaction), effects).await?;
    transaction.commit().await?;
    // RULES 4.1: commit, then invalidate, then answer
    sinks.apply(&changes);
    Ok((value, changes))
}

/// One page out of `limit + 1` rows; the row beyond says that there is another page.
fn page<R, T>(
    mut rows: Vec<R>,
    limit: u32,
    read: impl Fn(R) -> Result<T, Failed>,
    cursor: impl Fn(&T) -> String,
) -> Result<Page<T>, Failed> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let items = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| more).map(cursor);
    Ok(Page { items, next })
}
