//! Fresh stores for tests: a SQLite file in a folder of its own, or a database of its own on the PostgreSQL server
//! that `COUNTERSIGN_TEST_PG_URL` names (`postgres://user@host:port/database`, a user who may create databases).

#![allow(dead_code, clippy::unwrap_used, reason = "tests, and each binary uses its part")]

use countersign_core::Timestamp;
use countersign_store::{Store, StoreOptions, local::SystemClock};
pub(crate) use countersign_testkit::skip;
use countersign_testkit::{conformance::Ports, environment};
use sqlx::{Connection, PgConnection};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock))
}

pub(crate) fn ports(store: &Arc<Store>) -> Ports {
    Ports {
        principals: store.clone(),
        keys: store.clone(),
        basic: store.clone(),
        signing: store.clone(),
        jwt: store.clone(),
        sessions: store.clone(),
        feed: store.clone(),
        audit: store.clone(),
        idempotency: store.clone(),
    }
}

/// Statements past the store.
pub(crate) async fn execute(url: &str, text: &str) {
    let text = sqlx::AssertSqlSafe(text.to_owned());
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut raw = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::raw_sql(text).execute(&mut raw).await.unwrap();
        }
        None => {
            let mut raw = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql(text).execute(&mut raw).await.unwrap();
        }
    }
}

pub(crate) struct SqliteFile {
    pub(crate) folder: tempfile::TempDir,
}

impl SqliteFile {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("countersign.db")
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    pub(crate) async fn open(&self) -> Arc<Store> {
        Store::open(&self.url(), options()).await.unwrap()
    }

    /// A connection past the store, to look and to tamper.
    pub(crate) async fn raw(&self) -> sqlx::SqliteConnection {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path());
        sqlx::SqliteConnection::connect_with(&options).await.unwrap()
    }
}

/// A database that is dropped at the end.
pub(crate) struct PostgresDatabase {
    server: String,
    name: String,
}

impl PostgresDatabase {
    /// `None`, said aloud, where no server is named.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(server) = environment("COUNTERSIGN_TEST_PG_URL") else {
            skip("postgres", test);
            return None;
        };
        let name =
            format!("countersign_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.command("CREATE DATABASE").await;
        Some(database)
    }

    pub(crate) fn url(&self) -> String {
        let (server, parameters) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (server, _) = server.rsplit_once('/').unwrap();
        format!("{server}/{}?{parameters}", self.name)
    }

    pub(crate) async fn open(&self) -> Arc<Store> {
        Store::open(&self.url(), options()).await.unwrap()
    }

    pub(crate) async fn raw(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    pub(crate) async fn drop(self) {
        self.command("DROP DATABASE").await;
    }

    async fn command(&self, what: &str) {
        let mut server = PgConnection::connect(&self.server).await.unwrap();
        let force = if what.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        let command = format!("{what} {}{force}", self.name);
        sqlx::raw_sql(sqlx::AssertSqlSafe(command)).execute(&mut server).await.unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    countersign_testkit::conformance::at(0)
}
