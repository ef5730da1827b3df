use super::tables::TABLES;
use crate::sql::dialect::{Conn, sql};
use crate::{Store, StoreOptions, local::SystemClock};
use sqlx::Connection;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A migration that adds a table must say what becomes of it in a copy: one that is not named would be lost.
#[tokio::test]
async fn every_table_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.db");
    let options = StoreOptions::new(Handle::current(), Arc::new(SystemClock));
    Store::open(&format!("sqlite:{}", path.display()), options).await.unwrap().close().await;
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut file = sqlx::SqliteConnection::connect_with(&file).await.unwrap();
    let mut there: Vec<(String,)> =
        sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_migration'")
            .all(&mut Conn::Sqlite(&mut file))
            .await
            .unwrap();
    there.sort();
    let mut named: Vec<(String,)> = TABLES.iter().map(|table| (table.name.to_owned(),)).collect();
    named.sort();
    assert_eq!(there, named);
}
