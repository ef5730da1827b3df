//! Several processes on one store: here two stores, each with its own memory, as two gateways would have.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![expect(clippy::print_stdout, reason = "how long it took is said aloud")]

mod support;

use countersign_core::{
    Node, NodeKind,
    check::revocation::{Position, RevocationFeed},
    directory::Directory,
};
use countersign_methods::{
    principal::{directory::LocalDirectory, store::PrincipalChange, store::PrincipalStore},
    revocation::{memory::ChangeMemory, store::FeedStore},
};
use countersign_store::{FollowerHandle, LAG_BOUNDS, Store, local::SystemClock};
use countersign_testkit::{
    SeededEntropy,
    conformance::{at, event, key, key_id, service},
    eventually,
};
use sqlx::{AssertSqlSafe, Connection};
use std::{sync::Arc, time::Duration};
use support::{PostgresDatabase, SqliteFile, options, ports};

/// Issue: a revoked key gets 401 within a second.
const ONE_SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(15);

struct Process {
    store: Arc<Store>,
    memory: Arc<ChangeMemory>,
    directory: Arc<LocalDirectory>,
    follower: FollowerHandle,
}

impl Process {
    async fn start(url: &str) -> Self {
        let store = Store::open(url, options()).await.unwrap();
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let memory =
            Arc::new(ChangeMemory::new(directory.clone(), ChangeMemory::BLIND_AFTER, &SeededEntropy::new(3)));
        let mut follower = store.clone().follow(memory.clone(), Arc::new(SystemClock));
        follower.caught_up().await;
        Self { store, memory, directory, follower }
    }

    async fn stop(self) {
        drop(self.follower);
        self.store.close().await;
    }
}

fn now() -> countersign_core::Timestamp {
    countersign_core::Clock::now(&SystemClock)
}

async fn a_revocation_is_seen_by_both(url: &str) {
    let (here, there) = (Process::start(url).await, Process::start(url).await);
    assert!(!here.memory.is_blind(now()) && !there.memory.is_blind(now()));
    let owner = ports(&here.store).owner(1).await;
    ports(&here.store).create(&key(1, &owner)).await;
    let node = key_id(1).node();
    assert!(!there.memory.is_revoked(&node));
    let revoke = ports(&here.store).keys;
    let (moment, reason) = (now(), countersign_methods::api_key::record::RevocationReason::Operator);
    revoke.revoke(&key_id(1), None, moment, reason, event("api_key.revoke", "x")).await.unwrap();
    assert!(here.memory.is_revoked(&node), "the writing process knows with the answer");
    eventually(ONE_SECOND, || async { there.memory.is_revoked(&node) }).await;
    assert_eq!(there.memory.position(), Position(1));

    // a disabled principal is forgotten by the other directory
    there.directory.load(&owner.id).await.unwrap().unwrap();
    assert!(there.directory.standing(&owner.id).is_some_and(|standing| standing.active));
    let disable = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
    PrincipalStore::change(&*here.store, &owner.id, 1, disable, event("principal.disable", "x"))
        .await
        .unwrap();
    eventually(ONE_SECOND, || async { there.directory.standing(&owner.id).is_none() }).await;
    assert!(!there.directory.load(&owner.id).await.unwrap().unwrap().active);

    // one who comes later knows what was revoked before
    let late = Process::start(url).await;
    assert!(late.memory.is_revoked(&node));
    assert_eq!(late.memory.position(), Position(2));
    for process in [here, there, late] {
        process.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_seen_by_both_on_sqlite() {
    a_revocation_is_seen_by_both(&SqliteFile::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_seen_by_both_on_postgres() {
    let name = "sharing::a_revocation_is_seen_by_both_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    a_revocation_is_seen_by_both(&database.url()).await;
    database.drop().await;
}

/// RULES 2.5: acknowledged in one process, known in another within a second; and the other one says how long it took.
async fn a_revocation_is_known_elsewhere_within_a_second(url: &str) {
    const ROUNDS: u64 = 20;
    let (here, there) = (Process::start(url).await, Process::start(url).await);
    let (began, mut lags) = (now(), Vec::new());
    for n in 0..ROUNDS {
        let node = Node::new(NodeKind::Session, &format!("s{n}"));
        let write = FeedStore::revoke(&*here.store, node.clone(), now(), None, event("session.revoke", "x"));
        write.await.unwrap();
        let acknowledged = now();
        eventually(ONE_SECOND, || async { there.memory.is_revoked(&node) }).await;
        lags.push(now().since(acknowledged));
    }
    lags.sort_unstable();
    println!(
        "known elsewhere after {:?} in the middle, {:?} at most",
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
    let counted = |process: &Process| process.store.figures().lag;
    eventually(ONE_SECOND, || async { counted(&there).counts.iter().sum::<u64>() == ROUNDS }).await;
    // counted from before each was written down, which takes as long as the disk takes
    let sum = counted(&there).sum;
    assert!(sum > Duration::ZERO && sum <= now().since(began), "{:?}", counted(&there));
    here.stop().await;
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_known_elsewhere_within_a_second_on_sqlite() {
    a_revocation_is_known_elsewhere_within_a_second(&SqliteFile::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_known_elsewhere_within_a_second_on_postgres() {
    let name = "sharing::a_revocation_is_known_elsewhere_within_a_second_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    a_revocation_is_known_elsewhere_within_a_second(&database.url()).await;
    database.drop().await;
}

/// What a reload brings that came after all that was heard is late too, and counts with its whole delay; what a start
/// brings is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_reload_brings_late_is_counted() {
    let file = SqliteFile::new();
    let first = Store::open(&file.url(), options()).await.unwrap();
    let old = Node::new(NodeKind::Session, "old");
    FeedStore::revoke(&*first, old, at(0), None, event("session.revoke", "x")).await.unwrap();
    first.close().await;
    let process = Process::start(&file.url()).await;
    let counted = || process.store.figures().lag;
    assert_eq!(counted().counts.iter().sum::<u64>(), 0, "nothing is late at a start");
    // a hole: everything is read anew
    let (minute_ago, mut raw) = (now().as_micros() - 60_000_000, file.raw().await);
    let insert = format!(
        "BEGIN IMMEDIATE; INSERT INTO feed VALUES (7, 'revoked', 'session', 'late', {minute_ago}, NULL);
         UPDATE feed_head SET position = 7; COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut raw).await.unwrap();
    let late = Node::new(NodeKind::Session, "late");
    eventually(SOON, || async { process.memory.is_revoked(&late) && counted().sum > Duration::ZERO }).await;
    let lag = counted();
    assert_eq!((lag.counts[LAG_BOUNDS.len()], lag.counts.iter().sum::<u64>()), (1, 1));
    assert!(lag.sum >= Duration::from_secs(60) && lag.sum < Duration::from_secs(120), "{lag:?}");
    process.stop().await;
}

/// What a start with many costs; `--ignored --nocapture` prints it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a million rows to measure how they are read"]
async fn a_million_revocations_are_read_at_a_start() {
    let file = SqliteFile::new();
    Store::open(&file.url(), options()).await.unwrap().close().await;
    let insert = "BEGIN IMMEDIATE;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
        INSERT INTO feed SELECT i, 'revoked', 'session', printf('%020d', i), 0, NULL FROM n;
        UPDATE feed_head SET position = 1000000; COMMIT";
    sqlx::raw_sql(insert).execute(&mut file.raw().await).await.unwrap();
    let began = now();
    let process = Process::start(&file.url()).await;
    println!("a million revocations were read in {:?}", now().since(began));
    assert_eq!(process.memory.revoked_count(), 1_000_000);
    process.stop().await;
}

async fn both_write_at_once(url: &str) {
    let (here, there) = (Process::start(url).await, Process::start(url).await);
    let writers: Vec<_> = (0..40)
        .map(|n| {
            let store = if n % 2 == 0 { here.store.clone() } else { there.store.clone() };
            tokio::spawn(async move {
                let node = Node::new(NodeKind::Certificate, &format!("c{n}"));
                FeedStore::revoke(&*store, node, now(), None, event("certificate.revoke", "x")).await.unwrap()
            })
        })
        .collect();
    let mut positions = Vec::new();
    for writer in writers {
        positions.push(writer.await.unwrap().0);
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=40).collect::<Vec<_>>());
    for process in [&here, &there] {
        let all = || {
            (0..40).all(|n| process.memory.is_revoked(&Node::new(NodeKind::Certificate, &format!("c{n}"))))
        };
        eventually(ONE_SECOND, || async { all() }).await;
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_once_on_sqlite() {
    both_write_at_once(&SqliteFile::new().url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_once_on_postgres() {
    let name = "sharing::both_write_at_once_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    both_write_at_once(&database.url()).await;
    database.drop().await;
}

// RULES 2.5: reload whole after a gap; here somebody removed old changes that this process had not read
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_feed_is_read_anew() {
    let file = SqliteFile::new();
    let process = Process::start(&file.url()).await;
    let mut raw = file.raw().await;
    let insert = "BEGIN IMMEDIATE;
        INSERT INTO feed VALUES (7, 'revoked', 'certificate', 'late', 0, NULL);
        INSERT INTO feed VALUES (9, 'changed', 'certificate', 'other', 0, NULL);
        UPDATE feed_head SET position = 9; COMMIT";
    sqlx::raw_sql(insert).execute(&mut raw).await.unwrap();
    let node = Node::new(NodeKind::Certificate, "late");
    eventually(ONE_SECOND, || async { process.memory.is_revoked(&node) }).await;
    eventually(ONE_SECOND, || async { process.memory.position() == Position(9) }).await;
    assert_eq!(process.memory.floor(), Position(9), "what was filled before cannot be judged any more");
    process.stop().await;
}

async fn what_counts_no_more_is_removed(url: &str) {
    let process = Process::start(url).await;
    let store = &process.store;
    let owner = ports(store).owner(1).await;
    let change = || event("principal.change", "x");
    PrincipalStore::change(&**store, &owner.id, 1, PrincipalChange::default(), change()).await.unwrap();
    for (second, until) in [(0, None), (0, Some(at(50))), (0, Some(at(5000))), (2000, Some(at(50)))] {
        let node = Node::new(NodeKind::Certificate, "c");
        FeedStore::revoke(&**store, node, at(second), until, event("x.revoke", "x")).await.unwrap();
    }
    let left = async || {
        let left = ports(store).changes().await;
        left.iter().map(|change| change.position.0).collect::<Vec<_>>()
    };
    assert_eq!(store.prune_feed(at(0)).await.unwrap(), 0);
    assert_eq!(left().await, [1, 2, 3, 4, 5]);
    assert_eq!(store.prune_feed(at(1000)).await.unwrap(), 2);
    assert_eq!(left().await, [2, 4, 5]);
    assert_eq!(store.head().await.unwrap(), Position(5), "numbers go on");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_no_more_is_removed_on_both() {
    let file = SqliteFile::new();
    what_counts_no_more_is_removed(&file.url()).await;
    let name = "sharing::what_counts_no_more_is_removed_on_both";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    what_counts_no_more_is_removed(&database.url()).await;
    database.drop().await;
}

/// A follower whose connections are all cut comes back, and takes nothing for granted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_followed_by_a_reload() {
    let name = "sharing::a_lost_connection_is_followed_by_a_reload";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    let process = Process::start(&database.url()).await;
    let mut raw = database.raw().await;
    // changes that revoke nothing move the position, not the floor; a young one, because old ones are pruned
    let at = now().as_micros();
    let change = format!(
        "BEGIN; INSERT INTO feed VALUES (1, 'changed', 'certificate', 'c', {at}, NULL);
         UPDATE feed_head SET position = 1; COMMIT"
    );
    sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut raw).await.unwrap();
    eventually(SOON, || async { process.memory.position() == Position(1) }).await;
    assert_eq!(process.memory.floor(), Position(0));
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(cut).execute(&mut raw).await.unwrap();
    eventually(SOON, || async { process.memory.floor() == Position(1) }).await;
    let before = now();
    eventually(SOON, || async { !process.memory.is_blind(before + Duration::from_secs(5)) }).await;
    process.stop().await;
    raw.close().await.ok();
    database.drop().await;
}

// HOUSE, "one text, two engines": a pool asked from a foreign runtime hangs while its own is idle
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_may_be_awaited_on_a_foreign_runtime() {
    let name = "sharing::a_port_may_be_awaited_on_a_foreign_runtime";
    let file = SqliteFile::new();
    let database = PostgresDatabase::new(name).await;
    let urls = std::iter::once(file.url()).chain(database.iter().map(PostgresDatabase::url));
    for url in urls {
        let store = Store::open(&url, options()).await.unwrap();
        let ports = ports(&store);
        // as a gateway's worker has it: a runtime of one thread, and none of its own drivers for the store
        let foreign = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let owner = ports.owner(1).await;
                ports.create(&key(1, &owner)).await;
                ports.key(&key_id(1)).await.owner
            })
        });
        let owner = tokio::task::spawn_blocking(|| foreign.join().unwrap()).await.unwrap();
        assert_eq!(owner, service(1).id);
        store.close().await;
    }
    if let Some(database) = database {
        database.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_bounded_in_time_on_postgres() {
    let name = "sharing::statements_are_bounded_in_time_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    let store = database.open().await;
    let mut raw = database.raw().await;
    let lock = "BEGIN; LOCK TABLE principal IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut raw).await.unwrap();
    let refused = PrincipalStore::create(&*store, service(1), event("principal.create", "x")).await;
    assert!(matches!(refused, Err(countersign_core::StoreError::Unavailable(_))), "{refused:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut raw).await.unwrap();
    PrincipalStore::create(&*store, service(1), event("principal.create", "x")).await.unwrap();
    store.close().await;
    raw.close().await.ok();
    database.drop().await;
}

/// RULES 4.6: behind the same address stands another store, restored from a copy; whatever its numbers are, nothing that
/// was known is taken for true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_epoch_is_read_whole() {
    let file = SqliteFile::new();
    let process = Process::start(&file.url()).await;
    let (before, other) = (Node::new(NodeKind::Certificate, "c1"), Node::new(NodeKind::Certificate, "c2"));
    let event = event("certificate.revoke", "x");
    FeedStore::revoke(&*process.store, before, now(), None, event).await.unwrap();
    eventually(SOON, || async { process.memory.position() == Position(1) }).await;
    let deed =
        "BEGIN; UPDATE feed SET node_id = 'c2'; UPDATE meta SET value = '2' WHERE key = 'epoch'; COMMIT";
    sqlx::raw_sql(deed).execute(&mut file.raw().await).await.unwrap();
    eventually(SOON, || async { process.memory.is_revoked(&other) }).await;
    process.stop().await;
}
