//! The chain of the audit trail notices what was done to it past the store (RULES 3.9).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use countersign_core::audit::{AuditEvent, AuditQuery, AuditStore, ChainState};
use countersign_store::Store;
use countersign_testkit::conformance::{at, event, key, service};
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
        let ChainState::Whole { records: 10, removed: 0, head } = store.verify().await.unwrap() else {
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

/// What is done to a trail of which the first four records were removed, and where it breaks.
const AFTER_REMOVAL: [(&str, &str, i64); 5] = [
    ("removed: more than is said", "DELETE FROM audit_event WHERE number = 5", 5),
    ("another mark", "UPDATE meta SET value = '5 ' || substr(value, 3) WHERE key = 'audit_removed'", 6),
    ("no mark", "DELETE FROM meta WHERE key = 'audit_removed'", 1),
    // a mark that fits the chain, and that no record explains
    (
        "removed as if by us",
        "DELETE FROM audit_event WHERE number = 5; UPDATE meta SET value = '5 HASH5' WHERE key = 'audit_removed'",
        5,
    ),
    ("removed to its end", "DELETE FROM audit_event", 5),
];

async fn the_oldest_go_and_the_chain_holds(url: &str) {
    let store = Store::open(url, support::options()).await.unwrap();
    let ports = ports(&store);
    for n in 0..10 {
        let event = AuditEvent { at: at(10 * i64::from(n)), ..event("principal.create", "x") };
        ports.principals.create(service(n), event).await.unwrap();
    }
    // nothing is that old
    assert_eq!(store.remove_audit(at(0), 100, at(1000)).await.unwrap(), 0);
    let fifth = store.page(AuditQuery { after: Some(4), limit: 1, ..AuditQuery::default() }).await.unwrap();
    // in parts
    assert_eq!(store.remove_audit(at(40), 3, at(1000)).await.unwrap(), 3);
    assert_eq!(store.remove_audit(at(40), 3, at(1000)).await.unwrap(), 1);
    assert_eq!(store.remove_audit(at(40), 3, at(1000)).await.unwrap(), 0);
    let state = store.verify().await.unwrap();
    // six are left, and two records of the removals
    assert!(matches!(state, ChainState::Whole { records: 8, removed: 4, .. }), "{state:?}");
    let removals = ports.trail("audit.remove").await;
    assert_eq!(removals.iter().map(|r| r.event.subject.as_str()).collect::<Vec<_>>(), ["3", "4"]);
    assert_eq!(removals[0].event.actor, "system");
    store.close().await;
    drop(ports);

    let hash: String = fifth[0].hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for (what, deed, broken_at) in AFTER_REMOVAL {
        let store = Store::open(url, support::options()).await.unwrap();
        let keep = "CREATE TABLE e AS SELECT * FROM audit_event; CREATE TABLE m AS SELECT * FROM meta";
        let back = "DELETE FROM audit_event; INSERT INTO audit_event SELECT * FROM e; DROP TABLE e;
            DELETE FROM meta; INSERT INTO meta SELECT * FROM m; DROP TABLE m";
        support::execute(url, &format!("{keep}; {}", deed.replace("HASH5", &hash))).await;
        assert_eq!(store.verify().await.unwrap(), ChainState::BrokenAt { number: broken_at }, "{what}");
        support::execute(url, back).await;
        assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { removed: 4, .. }), "{what}");
        store.close().await;
    }

    // everything is old: the last record stays, and what says so is behind it
    let store = Store::open(url, support::options()).await.unwrap();
    while store.remove_audit(at(10_000), 3, at(2000)).await.unwrap() > 0 {
        assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { .. }));
        if matches!(store.verify().await.unwrap(), ChainState::Whole { records: ..=2, .. }) {
            break;
        }
    }
    assert!(matches!(store.verify().await.unwrap(), ChainState::Whole { removed: 10.., .. }));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_and_the_chain_holds_on_sqlite() {
    the_oldest_go_and_the_chain_holds(&SqliteFile::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_go_and_the_chain_holds_on_postgres() {
    let Some(database) = PostgresDatabase::new("trail::the_oldest_go_and_the_chain_holds").await else {
        return;
    };
    the_oldest_go_and_the_chain_holds(&database.url()).await;
    database.drop().await;
}

/// RULES 4.6: by two processes at once, and again: what goes is the same, and nothing goes twice.
async fn removing_at_once_is_as_removing_once(url: &str) {
    let store = Store::open(url, support::options()).await.unwrap();
    for n in 0..50 {
        ports(&store).owner(n).await;
    }
    let removals: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.remove_audit(at(1), 10, at(1)).await })
        })
        .collect();
    let mut gone = 0;
    for removal in removals {
        gone += removal.await.unwrap().unwrap();
    }
    let left = 50
        + store
            .page(AuditQuery { action: Some("audit.remove".into()), limit: 500, ..AuditQuery::default() })
            .await
            .unwrap()
            .len() as u64
        - gone;
    let state = store.verify().await.unwrap();
    assert!(
        matches!(state, ChainState::Whole { records, .. } if records.unsigned_abs() <= left && gone >= 10),
        "{state:?}, {gone} gone"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_at_once_is_as_removing_once_on_both_engines() {
    removing_at_once_is_as_removing_once(&SqliteFile::new().url()).await;
    let Some(database) = PostgresDatabase::new("trail::removing_at_once").await else { return };
    removing_at_once_is_as_removing_once(&database.url()).await;
    database.drop().await;
}

async fn a_job_is_one_holders_at_a_time(url: &str) {
    let store = Store::open(url, support::options()).await.unwrap();
    let take = |holder: &'static str, now, until| store.take_lease("audit", holder, at(now), at(until));
    assert!(take("a", 0, 10).await.unwrap());
    assert!(!take("b", 5, 15).await.unwrap());
    assert!(take("a", 5, 20).await.unwrap());
    assert!(!take("b", 19, 30).await.unwrap());
    assert!(take("b", 20, 30).await.unwrap());
    assert!(!take("a", 25, 40).await.unwrap());
    assert!(store.take_lease("other", "a", at(25), at(40)).await.unwrap());
    let together: Vec<_> = (0..50)
        .map(|n: u32| {
            let store = store.clone();
            tokio::spawn(
                async move { store.take_lease("audit", &n.to_string(), at(30), at(40)).await.unwrap() },
            )
        })
        .collect();
    let mut taken = 0;
    for one in together {
        taken += u32::from(one.await.unwrap());
    }
    assert_eq!(taken, 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_one_holders_at_a_time_on_both_engines() {
    a_job_is_one_holders_at_a_time(&SqliteFile::new().url()).await;
    let Some(database) = PostgresDatabase::new("trail::a_job_is_one_holders_at_a_time").await else { return };
    a_job_is_one_holders_at_a_time(&database.url()).await;
    database.drop().await;
}
