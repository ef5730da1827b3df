//! A store that is locked, damaged, foreign, newer or gone: an error that says so, never a panic; and back by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use countersign_core::StoreError;
use countersign_methods::principal::store::PrincipalStore;
use countersign_store::{Store, StoreOptions, newest_schema};
use countersign_testkit::{
    conformance::{event, service},
    eventually,
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::Arc,
    time::Duration,
};
use support::{PostgresDatabase, SqliteFile, options, ports};

const SOON: Duration = Duration::from_secs(15);

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>, why: &str) {
    match result {
        Err(StoreError::Unavailable(said)) => assert!(said.contains(why), "`{said}` does not say `{why}`"),
        other => panic!("{other:?}"),
    }
}

async fn create(store: &Store, n: u32) -> Result<(), StoreError> {
    PrincipalStore::create(store, service(n), event("principal.create", "x")).await
}

async fn impatient(file: &SqliteFile) -> Result<Arc<Store>, StoreError> {
    Store::open(&file.url(), StoreOptions { busy_timeout: Duration::from_millis(50), ..options() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_is_unavailable_and_comes_back() {
    let file = SqliteFile::new();
    let store = impatient(&file).await.unwrap();
    create(&store, 1).await.unwrap();
    let mut other = file.raw().await;
    for n in [2, 3] {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        assert_unavailable(create(&store, n).await, "locked");
        // reading goes on
        assert!(ports(&store).principals.find(&service(1).id).await.unwrap().is_some());
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        create(&store, n).await.unwrap();
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_locked_at_the_start_is_unavailable_then_opens() {
    let file = SqliteFile::new();
    file.open().await.close().await;
    let mut other = file.raw().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert_unavailable(impatient(&file).await, "locked");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    impatient(&file).await.unwrap().close().await;
}

// RULES 4.1: what would be written into a file that nobody finds again is not "kept"
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moved_or_replaced_below_us_is_unavailable() {
    let file = SqliteFile::new();
    let store = file.open().await;
    create(&store, 1).await.unwrap();
    let aside = file.folder.path().join("aside.db");
    fs::rename(file.path(), &aside).unwrap();
    let another = SqliteFile::new();
    another.open().await.close().await;
    for replaced in [false, true] {
        if replaced {
            fs::copy(another.path(), file.path()).unwrap();
        }
        assert_unavailable(create(&store, 2).await, "moved, deleted or replaced");
        // reading is the follower's way to know: without it everything is denied after a while (RULES 2.5)
        assert_unavailable(ports(&store).feed.head().await, "moved, deleted or replaced");
    }
    fs::rename(&aside, file.path()).unwrap();
    create(&store, 3).await.unwrap();
    store.close().await;
    let store = file.open().await;
    assert_eq!(
        (exists(&store, 1).await, exists(&store, 2).await, exists(&store, 3).await),
        (true, false, true)
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_database_is_refused() {
    for bytes in
        [vec![0xff; 100], vec![b'x'; 100_000], b"SQLite format 3\0 and then nothing of it".repeat(50)]
    {
        let file = SqliteFile::new();
        fs::write(file.path(), &bytes).unwrap();
        assert_unavailable(file_open(&file).await, "database");
        assert_eq!(fs::read(file.path()).unwrap(), bytes, "left as it was");
    }
}

async fn file_open(file: &SqliteFile) -> Result<Arc<Store>, StoreError> {
    Store::open(&file.url(), options()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_were_overwritten_are_an_error_and_no_panic() {
    let file = SqliteFile::new();
    let store = file.open().await;
    for n in 0..200 {
        create(&store, n).await.unwrap();
    }
    store.close().await;
    // all but the first page, which says that it is a database
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(file.path(), bytes).unwrap();
    match file_open(&file).await {
        Err(error) => assert_unavailable::<()>(Err(error), "malformed"),
        Ok(store) => {
            assert_unavailable(create(&store, 1000).await, "malformed");
            assert_unavailable(ports(&store).principals.find(&service(1).id).await, "malformed");
            store.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_database_is_left_alone() {
    let file = SqliteFile::new();
    sqlx::raw_sql("CREATE TABLE theirs (x)").execute(&mut create_raw(&file).await).await.unwrap();
    assert_unavailable(file_open(&file).await, "not made by Countersign");
}

async fn create_raw(file: &SqliteFile) -> sqlx::SqliteConnection {
    fs::write(file.path(), b"").unwrap();
    file.raw().await
}

/// What the next release would have written.
fn newer(checksum: &str) -> String {
    let number = newest_schema() + 1;
    format!("INSERT INTO schema_migration VALUES ({number}, 'of the future', {checksum}, 0)")
}

// RULES 4.6: start refuses a newer schema
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_or_altered_schema_is_refused() {
    let newer = newer("x'00'");
    let altered = "UPDATE schema_migration SET checksum = x'00' WHERE number = 1";
    for (deed, why) in [(&*newer, "run a newer release"), (altered, "another one than this release's")] {
        let file = SqliteFile::new();
        file.open().await.close().await;
        support::execute(&file.url(), deed).await;
        assert_unavailable(file_open(&file).await, why);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused_on_postgres() {
    let name = "trouble::a_newer_schema_is_refused_on_postgres";
    let Some(database) = PostgresDatabase::new(name).await else { return };
    database.open().await.close().await;
    support::execute(&database.url(), &newer("''")).await;
    assert_unavailable(Store::open(&database.url(), options()).await, "run a newer release");
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_start_at_once_migrate_once() {
    let name = "trouble::two_that_start_at_once_migrate_once";
    let file = SqliteFile::new();
    let database = PostgresDatabase::new(name).await;
    for url in std::iter::once(file.url()).chain(database.iter().map(PostgresDatabase::url)) {
        let starting: Vec<_> = (0..4)
            .map(|_| {
                let url = url.clone();
                let options = StoreOptions { busy_timeout: Duration::from_secs(10), ..options() };
                tokio::spawn(async move { Store::open(&url, options).await })
            })
            .collect();
        for store in starting {
            store.await.unwrap().unwrap().close().await;
        }
    }
    if let Some(database) = database {
        database.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_its_owner_reads_the_files() {
    let file = SqliteFile::new();
    let store = file.open().await;
    create(&store, 1).await.unwrap();
    let mut seen = Vec::new();
    for entry in fs::read_dir(file.folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{entry:?}");
        seen.push(entry.file_name().into_string().unwrap());
    }
    seen.sort();
    let names = ["countersign.db", "countersign.db-reserve", "countersign.db-shm", "countersign.db-wal"];
    assert_eq!(seen, names);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_can_be_made_it_says_so() {
    let file = SqliteFile::new();
    let url = format!("sqlite:{}/no/such/folder/countersign.db", file.folder.path().display());
    assert_unavailable(Store::open(&url, options()).await, "no/such/folder");
    assert_unavailable(Store::open(&format!("sqlite:{}", file.folder.path().display()), options()).await, "");
    for url in ["", "mysql://root:secret@host/db", "postgres//user:secret@host", "countersign.db"] {
        let refused = Store::open(url, options()).await.unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
    let refused = Store::open("postgres://u:secret@127.0.0.1:99999/x", options()).await.unwrap_err();
    assert!(!refused.to_string().contains("secret"), "{refused}");
    let nobody_there = Store::open("postgres://u:secret@127.0.0.1:1/x", options()).await.unwrap_err();
    assert!(!nobody_there.to_string().contains("secret"), "{nobody_there}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_open_file_is_opened_and_a_closed_store_answers() {
    let file = SqliteFile::new();
    file.open().await.close().await;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let store = file.open().await;
    store.close().await;
    assert_unavailable(create(&store, 1).await, "");
    assert_unavailable(ports(&store).principals.find(&service(1).id).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_about_the_store_are_kept() {
    let file = SqliteFile::new();
    let store = file.open().await;
    assert_eq!(store.meta("epoch").await.unwrap().as_deref(), Some("1"));
    assert_eq!(store.meta("development").await.unwrap(), None);
    store.set_meta("development", "yes").await.unwrap();
    store.set_meta("development", "no").await.unwrap();
    store.close().await;
    let store = file.open().await;
    assert_eq!(store.meta("development").await.unwrap().as_deref(), Some("no"));
    store.close().await;
}

/// The connections of a server that went away are replaced when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_are_replaced() {
    let Some(database) = PostgresDatabase::new("trouble::cut_connections_are_replaced").await else { return };
    let store = database.open().await;
    create(&store, 1).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(cut).execute(&mut database.raw().await).await.unwrap();
    eventually(SOON, || async {
        create(&store, 2).await != Err(StoreError::Conflict("")) && exists(&store, 2).await
    })
    .await;
    store.close().await;
    database.drop().await;
}

async fn exists(store: &Arc<Store>, n: u32) -> bool {
    matches!(ports(store).principals.find(&service(n).id).await, Ok(Some(_)))
}
