//! SQLite's one writer. Writes queue up; all that wait share one transaction and one `fdatasync`, and are answered
//! when it is over (RULES 4.1):
//!
//! ```text
//! BEGIN IMMEDIATE
//!   SAVEPOINT w; write 1; RELEASE w          a refused write takes back itself alone
//!   SAVEPOINT w; write 2; ROLLBACK TO w; ..
//!   audit rows, feed rows                    numbered for the whole group
//! COMMIT -> changes into local memory -> answers
//! ```
//!
//! Where SQLite ended the transaction, or `COMMIT` fails, nobody of the group is told that it was kept, and the
//! connection is opened anew.

mod reserve;

use super::{
    Sinks,
    dialect::{Conn, Failed, Trouble},
    file::DatabaseFile,
    health::Health,
    unit::{Effects, Purpose, Unit, Write, seal},
};
use countersign_core::{BoxFuture, StoreError};
use countersign_methods::revocation::store::Change;
use reserve::Reserve;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};

/// Writes that share one commit.
const MOST_TOGETHER: usize = 256;

/// The sending end. When it is dropped, the thread answers what is queued and ends.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer(..)")
    }
}

/// What the thread starts from.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) path: PathBuf,
    pub(super) file: Arc<DatabaseFile>,
    pub(super) options: SqliteConnectOptions,
    pub(super) queue: usize,
    pub(super) sinks: Arc<Sinks>,
    pub(super) health: Arc<Health>,
}

impl Writer {
    /// `prepare` gets the first connection, before any write.
    pub(super) async fn start<F>(setup: Setup, prepare: F) -> Result<Self, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Conn<'_>) -> BoxFuture<'a, Result<(), StoreError>> + Send + 'static,
    {
        let (queue, jobs) = mpsc::channel(setup.queue);
        let (started, start) = oneshot::channel();
        let work = move || {
            // before the connection is opened: SQLite's own thread inherits the core, and no wake-up crosses cores
            keep_to_one_core();
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let failed = StoreError::Unavailable(format!("cannot start the writer: {error}"));
                    return drop(started.send(Err(failed)));
                }
            };
            runtime.block_on(async move {
                match Loop::open(setup, prepare).await {
                    Ok(mut work) => {
                        started.send(Ok(())).ok();
                        work.run(jobs).await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(work)
            .map_err(|error| StoreError::Unavailable(format!("cannot start the writer: {error}")))?;
        start.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        purpose: Purpose,
        write: Write<T>,
    ) -> Result<(T, Vec<Change>), StoreError> {
        let (answer, answered) = oneshot::channel();
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = queue.as_ref().ok_or_else(gone)?;
            // RULES 4.1: the queue is bounded, and full is 503, not a longer wait
            queue.try_send(Box::new(Queued { purpose, write, answer })).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    StoreError::Unavailable("too many writes are waiting".into())
                }
                mpsc::error::TrySendError::Closed(_) => gone(),
            })?;
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Writes that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().map_or(0, |queue| queue.max_capacity().saturating_sub(queue.capacity()))
    }

    /// Takes no more writes; answers the queued ones, closes the file and hands the thread over to be waited for.
    pub(super) fn finish(&self) -> Option<JoinHandle<()>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the writer has ended".into())
}

/// The last of the cores that this process may use. Not being allowed to costs speed and nothing else.
fn keep_to_one_core() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let [_, .., last] = cores.as_slice() else { return };
    let mut one = CpuSet::new();
    one.set(*last);
    if let Err(error) = sched_setaffinity(None, &one) {
        tracing::debug!(%error, "the store's writer is not bound to a core");
    }
}

/// A queued write, its result type forgotten.
trait Job: Send {
    fn purpose(&self) -> Purpose;
    fn run<'a>(self: Box<Self>, unit: &'a mut Unit<'_>) -> BoxFuture<'a, Ran>;
    fn refuse(self: Box<Self>, why: StoreError);
}

struct Queued<T> {
    purpose: Purpose,
    write: Write<T>,
    answer: oneshot::Sender<Result<(T, Vec<Change>), StoreError>>,
}

/// What is left of a write that ran: whether it stands, and how to tell its caller once the group's end is known.
struct Ran {
    outcome: Outcome,
    answer: Box<dyn FnOnce(Result<Vec<Change>, StoreError>) + Send>,
}

enum Outcome {
    Stands,
    TakenBack,
    /// Taken back because of an error of the engine.
    Failed(Trouble, String),
}

impl<T: Send + 'static> Job for Queued<T> {
    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn run<'a>(self: Box<Self>, unit: &'a mut Unit<'_>) -> BoxFuture<'a, Ran> {
        Box::pin(async move {
            let Queued { write, answer, .. } = *self;
            let result = write(unit).await;
            let outcome = match &result {
                Ok(_) => Outcome::Stands,
                Err(Failed::Sql(error)) => Outcome::Failed(Trouble::of(error), error.to_string()),
                Err(_) => Outcome::TakenBack,
            };
            let tell = move |committed: Result<Vec<Change>, StoreError>| {
                let told = match (result, committed) {
                    (_, Err(error)) => Err(error),
                    (Ok(value), Ok(changes)) => Ok((value, changes)),
                    (Err(failed), Ok(_)) => Err(failed.into()),
                };
                // a caller who went away has left nothing behind that must be told
                answer.send(told).ok();
            };
            Ran { outcome, answer: Box::new(tell) }
        })
    }

    fn refuse(self: Box<Self>, why: StoreError) {
        self.answer.send(Err(why)).ok();
    }
}

struct Loop {
    file: Arc<DatabaseFile>,
    options: SqliteConnectOptions,
    /// `None` after a group whose end is not known.
    connection: Option<SqliteConnection>,
    reserve: Reserve,
    sinks: Arc<Sinks>,
    health: Arc<Health>,
}

/// How a whole group ended.
enum Group {
    Committed(Vec<Change>),
    /// All writes were refused, so there is nothing to keep.
    Empty,
}

impl Loop {
    async fn open<F>(setup: Setup, prepare: F) -> Result<Self, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Conn<'_>) -> BoxFuture<'a, Result<(), StoreError>>,
    {
        let Setup { path, file, options, sinks, health, .. } = setup;
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| {
            health.ill(Trouble::of(&error), &error.to_string());
            StoreError::Unavailable(format!("`{}`: {error}", path.display()))
        })?;
        prepare(&mut Conn::Sqlite(&mut connection)).await?;
        // from here on the file is there; one that vanished is not silently begun anew
        let options = options.create_if_missing(false);
        let reserve = Reserve::beside(&path);
        Ok(Self { file, options, connection: Some(connection), reserve, sinks, health })
    }

    async fn run(&mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut jobs = Vec::with_capacity(MOST_TOGETHER);
        while queue.recv_many(&mut jobs, MOST_TOGETHER).await > 0 {
            let jobs = self.admit(std::mem::take(&mut jobs));
            if !jobs.is_empty() {
                self.group(jobs).await;
            }
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await.ok();
        }
    }

    /// RULES 3.9: ordinary writes need the reserve whole; what ends something does not.
    fn admit(&mut self, jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
        let ordinary = |job: &dyn Job| job.purpose() == Purpose::Ordinary;
        if !jobs.iter().any(|job| ordinary(&**job)) || self.reserve.stands() {
            return jobs;
        }
        let (refused, admitted): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| ordinary(&**job));
        for job in refused {
            job.refuse(StoreError::Unavailable("the disk is full; only revocations are written".into()));
        }
        admitted
    }

    async fn group(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut ran = Vec::with_capacity(jobs.len());
        match self.transaction(jobs, &mut ran).await {
            Ok(Group::Committed(changes)) => {
                self.health.well();
                // RULES 4.1: commit, then invalidate, then answer
                self.sinks.apply(&changes);
                answer(ran, changes);
            }
            Ok(Group::Empty) => answer(ran, Vec::new()),
            Err(error) => {
                self.note(Trouble::of(&error), &error.to_string());
                for (_, one) in ran {
                    (one.answer)(Err(StoreError::Unavailable(error.to_string())));
                }
            }
        }
    }

    /// `ran`: how many changes each write made, and how to answer it. The connection is put back only when its
    /// transaction is known to be over.
    async fn transaction(
        &mut self,
        jobs: Vec<Box<dyn Job>>,
        ran: &mut Vec<(usize, Ran)>,
    ) -> sqlx::Result<Group> {
        // before a connection could be opened to what stands there now
        if let Err(error) = self.file.stands() {
            return Err(refuse_all(jobs, error));
        }
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return Err(refuse_all(jobs, error)),
        };
        if let Err(error) = execute(&mut connection, "BEGIN IMMEDIATE").await {
            return Err(refuse_all(jobs, error));
        }
        // a write that is alone needs no savepoint: the transaction is its own
        let alone = jobs.len() == 1;
        let mut effects = Effects::default();
        let mut standing = 0_usize;
        let mut rest = jobs.into_iter();
        while let Some(job) = rest.next() {
            if !alone && let Err(error) = execute(&mut connection, "SAVEPOINT w").await {
                job.refuse(StoreError::Unavailable(error.to_string()));
                return Err(refuse_all(rest.collect(), error));
            }
            let mut unit = Unit::new(Conn::Sqlite(&mut connection));
            let one = job.run(&mut unit).await;
            let own = unit.effects;
            let stands = matches!(one.outcome, Outcome::Stands);
            if let Outcome::Failed(trouble, error) = &one.outcome {
                self.note(*trouble, error);
            }
            ran.push((if stands { own.changes() } else { 0 }, one));
            if stands {
                effects.append(own);
                standing += 1;
            }
            if alone {
                break;
            }
            // RULES 4.1, after any error: `ROLLBACK TO` finds its savepoint only in a transaction that still stands.
            // Going on without asking would begin another one with the next SAVEPOINT.
            let end = if stands { "RELEASE w" } else { "ROLLBACK TO w; RELEASE w" };
            if let Err(error) = execute(&mut connection, end).await {
                return Err(refuse_all(rest.collect(), error));
            }
        }
        if standing == 0 {
            match execute(&mut connection, "ROLLBACK").await {
                Ok(()) => self.connection = Some(connection),
                // SQLite had ended it already: each write answers with its own error, the next finds a fresh connection
                Err(error) => tracing::debug!(%error, "the transaction was already over"),
            }
            return Ok(Group::Empty);
        }
        let changes =
            seal(&mut Conn::Sqlite(&mut connection), effects).await.map_err(|failed| match failed {
                Failed::Sql(error) => error,
                other => sqlx::Error::Protocol(StoreError::from(other).to_string()),
            })?;
        self.file.stands()?;
        execute(&mut connection, "COMMIT").await?;
        self.connection = Some(connection);
        Ok(Group::Committed(changes))
    }

    async fn connect(&mut self) -> sqlx::Result<SqliteConnection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => SqliteConnection::connect_with(&self.options).await,
        }
    }

    fn note(&mut self, trouble: Trouble, error: &str) {
        if trouble == Trouble::Full {
            self.reserve.release();
        }
        self.health.ill(trouble, error);
    }
}

fn refuse_all(jobs: Vec<Box<dyn Job>>, error: sqlx::Error) -> sqlx::Error {
    for job in jobs {
        job.refuse(StoreError::Unavailable(error.to_string()));
    }
    error
}

fn answer(ran: Vec<(usize, Ran)>, changes: Vec<Change>) {
    let mut changes = changes.into_iter();
    for (own, one) in ran {
        (one.answer)(Ok(changes.by_ref().take(own).collect()));
    }
}

async fn execute(connection: &mut SqliteConnection, text: &'static str) -> sqlx::Result<()> {
    sqlx::query(text).execute(connection).await.map(|_| ())
}

#[cfg(test)]
mod tests;
