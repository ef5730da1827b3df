//! Forward only: each migration runs once, and its checksum is kept. A schema that this release does not know, or
//! that was not made by these texts, is refused before anything is read from it (RULES 4.6).

use super::dialect::{Conn, Failed, is_foreign, lock_schema, script, sql};
use countersign_core::{StoreError, Timestamp};
use countersign_crypto::hash::sha256;

struct Migration {
    number: i64,
    name: &'static str,
    text: &'static str,
}

const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "foundation",
    text: include_str!("../../migrations/0001_foundation.sql"),
}];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, applied_at BIGINT NOT NULL)";

/// That this release knows.
pub(super) fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.number).max().unwrap_or(0)
}

pub(super) async fn migrate(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), StoreError> {
    // IMMEDIATE is SQLite's word; PostgreSQL's own lock follows
    let begin = if matches!(conn, Conn::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
    script(conn, begin).await.map_err(unavailable)?;
    match apply(conn, now).await {
        Ok(()) => script(conn, "COMMIT").await.map_err(unavailable),
        Err(failed) => {
            script(conn, "ROLLBACK").await.ok();
            Err(failed.into())
        }
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

async fn apply(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), Failed> {
    if is_foreign(conn).await? {
        return Err(Failed::Unreadable("this database was not made by Countersign".into()));
    }
    lock_schema(conn).await?;
    script(conn, LEDGER).await?;
    let applied: Vec<(i64, Vec<u8>)> =
        sql("SELECT number, checksum FROM schema_migration ORDER BY number").all(conn).await?;
    for (number, checksum) in &applied {
        let Some(known) = MIGRATIONS.iter().find(|m| m.number == *number) else {
            return Err(Failed::Unreadable(format!(
                "the schema is at number {number}, this release knows up to {}; run a newer release",
                MIGRATIONS.len()
            )));
        };
        if checksum.as_slice() != sha256(&[known.text.as_bytes()]) {
            return Err(Failed::Unreadable(format!(
                "migration {number} of this database is another one than this release's; restore a backup"
            )));
        }
    }
    for migration in MIGRATIONS.iter().filter(|m| applied.iter().all(|(number, _)| *number != m.number)) {
        script(conn, migration.text).await?;
        sql("INSERT INTO schema_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)")
            .bind(migration.number)
            .bind(migration.name)
            .bind(sha256(&[migration.text.as_bytes()]).as_slice())
            .bind(now.as_micros())
            .execute(conn)
            .await?;
        tracing::info!(number = migration.number, name = migration.name, "migration applied");
    }
    Ok(())
}
