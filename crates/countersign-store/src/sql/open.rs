//! From a URL to a store: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.

use super::{
    Engine, Sinks, Store,
    dialect::{Conn, Trouble},
    figures::Figures,
    file::DatabaseFile,
    health::Health,
    migrate::migrate,
    writer::{Setup, Writer},
};
use countersign_core::{Clock, StoreError};
use sqlx::{
    ConnectOptions, Connection, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Handle;

#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where connections are opened and driven.
    pub control: Handle,
    pub clock: Arc<dyn Clock>,
    /// How long a write waits for another process that holds the database, before it is unavailable.
    pub busy_timeout: Duration,
    /// Writes that may wait for SQLite's writer; more are unavailable at once.
    pub queue: usize,
    /// Connections to read with (SQLite) or altogether (PostgreSQL).
    pub connections: u32,
    /// Pages that SQLite's file may grow to; `None`: as the disk allows.
    pub max_page_count: Option<u32>,
}

impl StoreOptions {
    pub fn new(control: Handle, clock: Arc<dyn Clock>) -> Self {
        Self {
            control,
            clock,
            busy_timeout: Duration::from_secs(1),
            queue: 1024,
            connections: 8,
            max_page_count: None,
        }
    }
}

impl Store {
    /// Opens, creates what is missing, and brings the schema up to this release. A newer or altered schema is refused.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Arc<Self>, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return sqlite(PathBuf::from(path), options).await;
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return postgres(url, options).await;
        }
        // the URL itself may hold a password
        Err(StoreError::Unavailable("a store is `sqlite:PATH` or `postgres://...`".into()))
    }
}

async fn sqlite(path: PathBuf, options: StoreOptions) -> Result<Arc<Store>, StoreError> {
    let StoreOptions { control, clock, busy_timeout, queue, connections, max_page_count } = options;
    let file = create_private(&path).and_then(|()| DatabaseFile::at(&path));
    let file = file.map_err(|e| StoreError::Unavailable(format!("`{}`: {e}", path.display())))?;
    let database = Arc::new(file);
    let name = path.display().to_string();
    let (reading, writing) = (Arc::new(Health::of_reading(&name)), Arc::new(Health::of_writing(&name)));
    let sinks = Arc::new(Sinks::new(clock.clone()));
    let common = sqlite_options(&path).busy_timeout(busy_timeout);
    let mut file = durable(common.clone());
    if let Some(pages) = max_page_count {
        file = file.pragma("max_page_count", pages.to_string());
    }
    let setup = Setup {
        path,
        file: database.clone(),
        options: file,
        queue,
        sinks: sinks.clone(),
        health: writing.clone(),
    };
    let now = clock.now();
    let writer = Writer::start(setup, move |conn| Box::pin(async move { migrate(conn, now).await })).await?;
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(3))
        .idle_timeout(None)
        .max_lifetime(None);
    // what one of them read is in the system's memory, and not needed once more in that of each: KiB
    let look_only = common.pragma("query_only", "ON").pragma("cache_size", "-500");
    let readers = {
        // a pool starts its housekeeping on the runtime that it is made on
        let _on_control = control.enter();
        pool.connect_lazy_with(look_only)
    };
    Ok(Arc::new(Store {
        engine: Engine::Sqlite { writer, readers, file: database },
        control,
        sinks,
        reading,
        writing,
        figures: Figures::default(),
    }))
}

pub(super) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        // a schema is data, and data is not trusted
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

/// What was committed is on disk.
pub(super) fn durable(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
}

pub(super) fn postgres_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    // the URL may hold a password, and so may the error about it
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Unavailable("the store's URL cannot be read".into()))?;
    Ok(options.application_name("countersign").disable_statement_logging())
}

/// Nobody else reads what is kept. SQLite gives its other files (`-wal`, `-shm`) the mode of this one.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match new {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(path)?.mode() & 0o077 != 0 {
                let path = path.display();
                tracing::warn!("others on this machine may read `{path}`; `chmod 600` it and its folder");
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn postgres(url: &str, options: StoreOptions) -> Result<Arc<Store>, StoreError> {
    let StoreOptions { control, clock, busy_timeout, connections, .. } = options;
    let connect = postgres_options(url)?;
    let database = connect.get_database().unwrap_or_else(|| connect.get_username());
    let name = format!("postgres {}/{database}", connect.get_host());
    let (reading, writing) = (Arc::new(Health::of_reading(&name)), Arc::new(Health::of_writing(&name)));
    let sinks = Arc::new(Sinks::new(clock.clone()));
    let connect = connect.options([
        ("statement_timeout", "5000"),
        ("lock_timeout", &busy_timeout.as_millis().max(1).to_string()),
        ("idle_in_transaction_session_timeout", "10000"),
        // guarded statements are written for this level
        ("default_transaction_isolation", "read committed"),
    ]);
    let now = clock.now();
    let migrating = connect.clone();
    let noted = writing.clone();
    let pool = control.spawn(async move {
        let mut connection = PgConnection::connect_with(&migrating).await.map_err(|error| {
            noted.ill(Trouble::of(&error), &error.to_string());
            StoreError::Unavailable(error.to_string())
        })?;
        migrate(&mut Conn::Postgres(&mut connection), now).await?;
        connection.close().await.ok();
        Ok::<_, StoreError>(
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(3))
                .connect_lazy_with(connect),
        )
    });
    let pool = pool.await.map_err(|_| StoreError::Unavailable("the control runtime has ended".into()))??;
    let engine = Engine::Postgres { pool };
    Ok(Arc::new(Store { engine, control, sinks, reading, writing, figures: Figures::default() }))
}
