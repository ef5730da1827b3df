//! The chain of the audit trail notices what was done to it past the store (RULES 3.9).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use countersign_core::audit::{AuditStore, ChainState};
use countersign_testkit::conformance::{at, key};
use sqlx::AssertSqlSafe;
use support::{PostgresDatabase, SqliteFile, ports};

/// What is done to ten records, and where the chain breaks.
const DEEDS: [(&str, &str, i64); 17] = [
    ("altered: time", "UPDATE audit_event SET at = at + 1 WHERE number = 4", 4),
    ("altered: actor", "UPDATE audit_event SET actor = 'system' WHERE number = 4", 4),
    ("altered: credential", "UPDATE audit_event SET credential = 'x' WHERE number = 4", 4),
    ("altered: action", "UPDATE audit_event SET action = 'api_key.creat' WHERE number = 4", 4),
    ("altered: subject", "UPDATE audit_event SET subject = 'x' WHERE number = 4", 4),
    ("altered: source", "UPDATE audit_event SET source = '::1' WHERE number = 4", 4),
    ("altered: request", "UPDATE audit_event SET request = '00' WHERE number = 4", 4),
    ("altered: detail", "UPDATE audit_event SET detail = '{\"a\":\"b\"}' WHERE number = 4", 4),
    // the same text, its border moved: each field counts with its length
    (
        "moved: a letter",
        "UPDATE audit_event SET action = action || 'k', subject = substr(subject, 2) WHERE number = 4",
        4,
    ),
    ("removed: the first", "DELETE FROM audit_event WHERE number = 1", 1),
    ("removed: one within", "DELETE FROM audit_event WHERE number = 5", 5),
    ("removed: the last", "DELETE FROM audit_event WHERE number = 10", 10),
    ("removed: all", "DELETE FROM audit_event", 1),
    (
        "removed: one, the rest moved up",
        "DELETE FROM audit_event WHERE number = 5; UPDATE audit_event SET number = number - 101 WHERE number > 5; UPDATE audit_event SET number = number + 100 WHERE number < 0",
        5,
    ),
    (
        "reordered",
        "UPDATE audit_event SET number = -3 WHERE number = 3; UPDATE audit_event SET number = 3 WHERE number = 4; UPDATE audit_event SET number = 4 WHERE number = -3",
        3,
    ),
    (
        "cut short with its head",
        "DELETE FROM audit_event WHERE number = 10; UPDATE audit_head SET number = 9",
        9,
    ),
    ("another head", "UPDATE audit_head SET hash = (SELECT hash FROM audit_event WHERE number = 1)", 10),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deed_is_noticed_on_sqlite() {
    for (what, deed, broken_at) in DEEDS {
        let file = SqliteFile::new();
        let store = file.open().await;
        let ports = ports(&store);
        let owner = ports.owner(0).await;
        for n in 1..10 {
            ports.create(&key(n, &owner)).await;
        }
        let ChainState::Whole { records: 10, head } = store.verify().await.unwrap() else {
            panic!("not whole")
        };
        assert_eq!(store.audit_head().await.unwrap(), (10, head));
        sqlx::raw_sql(deed).execute(&mut file.raw().await).await.unwrap();
        assert_eq!(store.verify().await.unwrap(), ChainState::BrokenAt { number: broken_at }, "{what}");
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deeds_are_noticed_on_postgres() {
    let Some(database) = PostgresDatabase::new("trail::deeds_are_noticed_on_postgres").await else { return };
    let store = database.open().await;
    let ports = ports(&store);
    let owner = ports.owner(0).await;
    for n in 1..10 {
        ports.create(&key(n, &owner)).await;
    }
    assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { records: 10, .. }));
    for (what, deed, broken_at) in DEEDS {
        // each is taken back again
        let keep = "CREATE TABLE e AS SELECT * FROM audit_event; CREATE TABLE h AS SELECT * FROM audit_head";
        let back = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM e; DROP TABLE e;
            DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM h; DROP TABLE h";
        let mut raw = database.raw().await;
        sqlx::raw_sql(AssertSqlSafe(format!("{keep}; {deed}"))).execute(&mut raw).await.unwrap();
        assert_eq!(store.verify().await.unwrap(), ChainState::BrokenAt { number: broken_at }, "{what}");
        sqlx::raw_sql(back).execute(&mut raw).await.unwrap();
        assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { records: 10, .. }), "{what}");
    }
    store.close().await;
    database.drop().await;
}

/// Longer than one part of the verification.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_chain_is_verified_to_its_end() {
    let file = SqliteFile::new();
    let store = file.open().await;
    let ports = ports(&store);
    let owner = ports.owner(0).await;
    let mut writes = tokio::task::JoinSet::new();
    for n in 0..2500 {
        let (ports, mut key) = (ports.clone(), key(n, &owner));
        key.created_at = at(0);
        // no more at once than the queue takes
        if writes.len() >= 500 {
            writes.join_next().await.unwrap().unwrap();
        }
        writes.spawn(async move { ports.create(&key).await });
    }
    writes.join_all().await;
    assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { records: 2501, .. }));
    let deed = "UPDATE audit_event SET detail = '' WHERE number = 2300";
    sqlx::raw_sql(deed).execute(&mut file.raw().await).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), ChainState::BrokenAt { number: 2300 });
    store.close().await;
}
