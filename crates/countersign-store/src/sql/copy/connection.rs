//! Connections of a copy's own: a read that takes long is not cut off as the server's own reads are.

use super::CopyError;
use crate::sql::{
    dialect::Conn,
    open::{create_private, durable, postgres_options, sqlite_options},
};
use countersign_core::StoreError;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use std::{path::Path, time::Duration};

/// Another process writes in between; it does not take long.
const BUSY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(super) async fn to_read(url: &str) -> Result<Self, CopyError> {
        if let Some(path) = sqlite_path(url)? {
            let options = sqlite_options(path).busy_timeout(BUSY).pragma("query_only", "ON");
            return Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?));
        }
        Self::postgres(url).await
    }

    /// Creates SQLite's file where there is none.
    pub(super) async fn to_write(url: &str) -> Result<Self, CopyError> {
        if let Some(path) = sqlite_path(url)? {
            create_private(path).map_err(sqlx::Error::Io)?;
            let options = durable(sqlite_options(path)).busy_timeout(BUSY);
            return Ok(Self::Sqlite(SqliteConnection::connect_with(&options).await?));
        }
        Self::postgres(url).await
    }

    async fn postgres(url: &str) -> Result<Self, CopyError> {
        let options = postgres_options(url).map_err(CopyError::Store)?.options([
            ("statement_timeout", "0"),
            ("lock_timeout", "10000"),
            // whoever copies may be slow, on its other end
            ("idle_in_transaction_session_timeout", "0"),
        ]);
        Ok(Self::Postgres(PgConnection::connect_with(&options).await?))
    }

    pub(super) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(connection) => Conn::Sqlite(connection),
            Self::Postgres(connection) => Conn::Postgres(connection),
        }
    }

    pub(super) async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.ok(),
            Self::Postgres(connection) => connection.close().await.ok(),
        };
    }
}

fn sqlite_path(url: &str) -> Result<Option<&Path>, CopyError> {
    match url.strip_prefix("sqlite:") {
        Some(path) => Ok(Some(Path::new(path))),
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => Ok(None),
        None => Err(CopyError::Store(StoreError::Unavailable(
            "a store is `sqlite:PATH` or `postgres://...`".into(),
        ))),
    }
}
