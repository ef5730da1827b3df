//! A look at a database from outside, for advice: nothing is created, migrated or changed.

use super::migrate;
use countersign_core::{StoreError, Timestamp};
use sqlx::{
    ConnectOptions, Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use std::{path::PathBuf, str::FromStr, time::Duration};

/// A server behind a dead network says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// Of the engine: `SQLite 3.46.0`, `PostgreSQL 15.4`.
    pub engine: String,
    /// The newest migration that was applied; `None`: nobody began here yet.
    pub schema: Option<i64>,
    /// The newest one that this release knows.
    pub newest: i64,
    /// By name, as the engine says them.
    pub settings: Vec<(&'static str, String)>,
    /// The server's clock, where it has one of its own.
    pub clock: Option<Timestamp>,
    /// Of SQLite: what is wrong with the file, as far as a quick look tells. Empty: nothing.
    pub damage: Vec<String>,
    /// Peppers that keys and app passwords name which are still good.
    pub peppers: Vec<i64>,
    /// Of the names that were asked for, those that no principal has.
    pub unknown: Vec<String>,
    /// Bytes that it takes.
    pub size: Option<u64>,
}

impl Inspection {
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// `sqlite:PATH` or `postgres://...`, as a store is opened.
pub async fn inspect(url: &str, now: Timestamp, names: &[&str]) -> Result<Inspection, StoreError> {
    let looking = async {
        match url.strip_prefix("sqlite:") {
            Some(path) => sqlite(PathBuf::from(path), now, names).await,
            None => postgres(url, now, names).await,
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(looked) => looked.map_err(|error| StoreError::Unavailable(error.to_string())),
        Err(_) => Err(StoreError::Unavailable(format!("no answer in {} s", PATIENCE.as_secs()))),
    }
}

/// What names a pepper, and the schema that first had it.
const PEPPERS: [(i64, &str); 2] = [
    (
        1,
        "SELECT DISTINCT pepper FROM api_key WHERE state <> 'revoked' AND (expires_at IS NULL OR expires_at > $1)",
    ),
    (5, "SELECT DISTINCT pepper FROM app_password WHERE revoked_at IS NULL AND expires_at > $1"),
];

const NAMED: &str = "SELECT COUNT(*) FROM principal WHERE name = $1";

async fn sqlite(path: PathBuf, now: Timestamp, names: &[&str]) -> sqlx::Result<Inspection> {
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let one = async |connection: &mut SqliteConnection, text: &'static str| {
        sqlx::query_scalar::<_, String>(text).fetch_one(connection).await
    };
    let version = one(&mut connection, "SELECT sqlite_version()").await?;
    let journal = one(&mut connection, "PRAGMA journal_mode").await?;
    let damage: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(10)").fetch_all(&mut connection).await?;
    let ledger = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_migration'";
    let begun: i64 = sqlx::query_scalar(ledger).fetch_one(&mut connection).await?;
    let (mut schema, mut peppers, mut unknown) = (None, Vec::new(), Vec::new());
    if begun > 0 {
        schema =
            sqlx::query_scalar("SELECT MAX(number) FROM schema_migration").fetch_one(&mut connection).await?;
        for (_, text) in
            PEPPERS.iter().filter(|(since, _)| schema.is_some_and(|schema: i64| schema >= *since))
        {
            let named: Vec<i64> =
                sqlx::query_scalar(*text).bind(now.as_micros()).fetch_all(&mut connection).await?;
            peppers.extend(named);
        }
        peppers.sort_unstable();
        peppers.dedup();
        for name in names {
            let named: i64 = sqlx::query_scalar(NAMED).bind(*name).fetch_one(&mut connection).await?;
            if named == 0 {
                unknown.push((*name).to_owned());
            }
        }
    }
    connection.close().await.ok();
    Ok(Inspection {
        engine: format!("SQLite {version}"),
        schema,
        newest: migrate::newest(),
        settings: vec![("journal_mode", journal)],
        damage: damage.into_iter().filter(|line| line != "ok").collect(),
        peppers,
        unknown,
        size: std::fs::metadata(&path).ok().map(|about| about.len()),
        ..Inspection::default()
    })
}

async fn postgres(url: &str, now: Timestamp, names: &[&str]) -> sqlx::Result<Inspection> {
    // the URL may hold a password, and so may the error about it
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| sqlx::Error::Configuration("the store's URL cannot be read".into()))?;
    let mut connection = PgConnection::connect_with(
        &options.application_name("countersign doctor").disable_statement_logging(),
    )
    .await?;
    let one = async |connection: &mut PgConnection, text: &'static str| {
        sqlx::query_scalar::<_, String>(text).fetch_one(connection).await
    };
    let mut settings = Vec::new();
    for (name, text) in [
        ("server_version", "SHOW server_version"),
        ("synchronous_commit", "SHOW synchronous_commit"),
        ("fsync", "SHOW fsync"),
        ("full_page_writes", "SHOW full_page_writes"),
        ("max_connections", "SHOW max_connections"),
        ("is_replica", "SELECT CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END"),
        (
            "ssl",
            "SELECT CASE WHEN COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) \
             THEN 'on' ELSE 'off' END",
        ),
        (
            "is_remote",
            "SELECT CASE WHEN inet_server_addr() IS NULL OR inet_server_addr() << '127.0.0.0/8' \
             OR inet_server_addr() = '::1' THEN 'off' ELSE 'on' END",
        ),
    ] {
        settings.push((name, one(&mut connection, text).await?));
    }
    let clock: i64 =
        sqlx::query_scalar("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
            .fetch_one(&mut connection)
            .await?;
    let size: i64 =
        sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&mut connection).await?;
    let begun: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() \
         AND table_name = 'schema_migration'",
    )
    .fetch_one(&mut connection)
    .await?;
    let (mut schema, mut peppers, mut unknown) = (None, Vec::new(), Vec::new());
    if begun > 0 {
        schema =
            sqlx::query_scalar("SELECT MAX(number) FROM schema_migration").fetch_one(&mut connection).await?;
        for (_, text) in
            PEPPERS.iter().filter(|(since, _)| schema.is_some_and(|schema: i64| schema >= *since))
        {
            let named: Vec<i64> =
                sqlx::query_scalar(*text).bind(now.as_micros()).fetch_all(&mut connection).await?;
            peppers.extend(named);
        }
        peppers.sort_unstable();
        peppers.dedup();
        for name in names {
            let named: i64 = sqlx::query_scalar(NAMED).bind(*name).fetch_one(&mut connection).await?;
            if named == 0 {
                unknown.push((*name).to_owned());
            }
        }
    }
    connection.close().await.ok();
    let version = settings.iter().find(|(name, _)| *name == "server_version").map(|(_, v)| v.clone());
    Ok(Inspection {
        engine: format!("PostgreSQL {}", version.unwrap_or_default()),
        schema,
        newest: migrate::newest(),
        settings,
        clock: Some(Timestamp::from_micros(clock)),
        peppers,
        unknown,
        size: u64::try_from(size).ok(),
        ..Inspection::default()
    })
}
