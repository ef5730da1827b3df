//! Forward only: each migration runs once, and its checksum is kept. A schema that this release does not know, or
//! that was not made by these texts, is refused before anything is read from it (RULES 4.6).

use super::{
    copy,
    dialect::{Conn, Failed, begin_write, is_foreign, lock_schema, script, sql},
};
use countersign_core::{StoreError, Timestamp};
use countersign_crypto::hash::sha256;

struct Migration {
    number: i64,
    name: &'static str,
    text: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "foundation", text: include_str!("../../migrations/0001_foundation.sql") },
    Migration { number: 2, name: "idempotency", text: include_str!("../../migrations/0002_idempotency.sql") },
    Migration { number: 3, name: "lease", text: include_str!("../../migrations/0003_lease.sql") },
    Migration {
        number: 4,
        name: "imported_key",
        text: include_str!("../../migrations/0004_imported_key.sql"),
    },
    Migration { number: 5, name: "basic", text: include_str!("../../migrations/0005_basic.sql") },
    Migration { number: 6, name: "basic_use", text: include_str!("../../migrations/0006_basic_use.sql") },
    Migration { number: 7, name: "session", text: include_str!("../../migrations/0007_session.sql") },
    Migration {
        number: 8,
        name: "feed_by_node",
        text: include_str!("../../migrations/0008_feed_by_node.sql"),
    },
    Migration {
        number: 9,
        name: "open_session",
        text: include_str!("../../migrations/0009_open_session.sql"),
    },
];

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    number BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, applied_at BIGINT NOT NULL)";

/// The number of the newest migration that this release knows.
pub fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.number).max().unwrap_or(0)
}

pub(super) async fn migrate(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), StoreError> {
    begin_write(conn).await.map_err(unavailable)?;
    match bring_up(conn, now).await {
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

async fn bring_up(conn: &mut Conn<'_>, now: Timestamp) -> Result<(), Failed> {
    let applied = applied(conn).await?;
    if applied > 0 && copy::is_unfinished(conn).await? {
        return Err(Failed::Unreadable(
            "a copy was being brought into this store and did not get to its end; do it again, into this store or \
             into a new one"
                .into(),
        ));
    }
    apply(conn, newest(), now).await
}

/// The number of the newest migration that was applied; 0: none. Nobody else changes the schema from here on.
pub(super) async fn applied(conn: &mut Conn<'_>) -> Result<i64, Failed> {
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
    Ok(applied.last().map_or(0, |(number, _)| *number))
}

/// The migrations that are missing up to this one; after [`applied`].
pub(super) async fn apply(conn: &mut Conn<'_>, up_to: i64, now: Timestamp) -> Result<(), Failed> {
    let (newest,): (Option<i64>,) = sql("SELECT MAX(number) FROM schema_migration").one(conn).await?;
    let missing = newest.unwrap_or(0) + 1..=up_to;
    for migration in MIGRATIONS.iter().filter(|migration| missing.contains(&migration.number)) {
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
