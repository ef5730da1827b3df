use super::*;
use crate::{
    ChangeSink, Store, StoreOptions,
    local::SystemClock,
    sql::{dialect::sql, revocation::NewChange},
};
use countersign_core::{
    Node, NodeKind, Timestamp, audit::AuditStore, audit::ChainState, check::revocation::Position,
};
use countersign_methods::revocation::store::{ChangeKind, FeedStore};
use countersign_testkit::{conformance, eventually};
use std::{sync::Mutex as StdMutex, time::Duration};
use tokio::{runtime::Handle, task::JoinHandle};

const SOON: Duration = Duration::from_secs(20);

struct Fresh {
    store: Arc<Store>,
    _folder: tempfile::TempDir,
}

async fn fresh(change: impl FnOnce(&mut StoreOptions)) -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(Handle::current(), Arc::new(SystemClock));
    change(&mut options);
    let url = format!("sqlite:{}/countersign.db", folder.path().display());
    Fresh { store: Store::open(&url, options).await.unwrap(), _folder: folder }
}

/// A write of one word into `meta`, with an audit record and a change.
async fn put(store: Arc<Store>, key: String) -> Result<Vec<Change>, StoreError> {
    let node = Node::new(NodeKind::Certificate, &key);
    let written = store.write(Purpose::Ordinary, move |unit| {
        Box::pin(async move {
            sql("INSERT INTO meta (key, value) VALUES ($1, 'x')").bind(key).execute(&mut unit.conn).await?;
            unit.audit(conformance::event("meta.put", "x"));
            unit.change(NewChange { kind: ChangeKind::Changed, node, at: Timestamp::EPOCH, until: None });
            Ok(())
        })
    });
    written.await.map(|((), changes)| changes)
}

/// A write of its own that changes nothing and runs until it is let go: what is queued meanwhile becomes one group.
struct Gate {
    open: oneshot::Sender<()>,
    write: JoinHandle<Result<((), Vec<Change>), StoreError>>,
}

impl Gate {
    async fn close(store: &Arc<Store>) -> Self {
        let (open, opened) = oneshot::channel::<()>();
        let (begun, running) = oneshot::channel();
        let store = store.clone();
        let write = tokio::spawn(async move {
            let write = store.write(Purpose::Ordinary, move |_| {
                Box::pin(async move {
                    begun.send(()).ok();
                    opened.await.ok();
                    Ok(())
                })
            });
            write.await
        });
        running.await.unwrap();
        Self { open, write }
    }

    /// When `queued` writes wait behind it.
    async fn open_behind(self, store: &Arc<Store>, queued: usize) {
        let Self { open, write } = self;
        eventually(SOON, || async { waiting(store) == queued }).await;
        open.send(()).unwrap();
        write.await.unwrap().unwrap();
    }
}

fn writer(store: &Store) -> &Writer {
    match &store.engine {
        crate::sql::Engine::Sqlite { writer, .. } => writer,
        crate::sql::Engine::Postgres { .. } => panic!("a store on SQLite"),
    }
}

fn waiting(store: &Store) -> usize {
    let queue = writer(store).queue.lock().unwrap();
    let queue = queue.as_ref().unwrap();
    queue.max_capacity() - queue.capacity()
}

async fn kept(store: &Store, like: &'static str) -> i64 {
    let count = store.read(move |conn| {
        Box::pin(async move {
            let (count,): (i64,) =
                sql("SELECT COUNT(*) FROM meta WHERE key LIKE $1").bind(like).one(conn).await?;
            Ok(count)
        })
    });
    count.await.unwrap()
}

async fn records(store: &Store) -> i64 {
    match store.verify().await.unwrap() {
        ChainState::Whole { records, .. } => records,
        ChainState::BrokenAt { number } => panic!("broken at {number}"),
    }
}

fn spawn_put(store: &Arc<Store>, key: &str) -> JoinHandle<Result<Vec<Change>, StoreError>> {
    tokio::spawn(put(store.clone(), key.to_owned()))
}

// RULES 4.1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_write_takes_back_itself_alone() {
    let Fresh { store, _folder } = fresh(|_| ()).await;
    let gate = Gate::close(&store).await;
    let ten: Vec<_> =
        (0..10).map(|n| spawn_put(&store, &format!("k{}", if n == 5 { 4 } else { n }))).collect();
    gate.open_behind(&store, 10).await;
    let mut positions = Vec::new();
    let mut refused = 0;
    for one in ten {
        match one.await.unwrap() {
            Ok(changes) => {
                assert_eq!(changes.len(), 1, "each is told its own changes");
                positions.push(changes[0].position.0);
            }
            Err(StoreError::Unavailable(why)) => {
                assert!(why.contains("UNIQUE"), "{why}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    positions.sort_unstable();
    assert_eq!((positions, refused), ((1..=9).collect(), 1));
    assert_eq!((kept(&store, "k%").await, records(&store).await), (9, 9));
}

/// A write after which SQLite no longer has the transaction that it was given.
async fn end_the_transaction(store: Arc<Store>, say_ok: bool) -> Result<(), StoreError> {
    let written = store.write(Purpose::Ordinary, move |unit| {
        Box::pin(async move {
            sql("ROLLBACK").execute(&mut unit.conn).await?;
            if say_ok { Ok(()) } else { Err(Failed::Conflict("ended")) }
        })
    });
    written.await.map(|_| ())
}

// RULES 4.1: [disk full in member B: A was told ok and lost, C committed alone]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_sqlite_ended_the_transaction_nobody_is_told_ok() {
    for say_ok in [true, false] {
        let Fresh { store, _folder } = fresh(|_| ()).await;
        let gate = Gate::close(&store).await;
        let a = spawn_put(&store, "a");
        eventually(SOON, || async { waiting(&store) == 1 }).await;
        let b = tokio::spawn(end_the_transaction(store.clone(), say_ok));
        eventually(SOON, || async { waiting(&store) == 2 }).await;
        let c = spawn_put(&store, "c");
        gate.open_behind(&store, 3).await;
        for (name, answer) in [
            ("a", a.await.unwrap().map(|_| ())),
            ("b", b.await.unwrap()),
            ("c", c.await.unwrap().map(|_| ())),
        ] {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{name}: {answer:?}");
        }
        assert_eq!((kept(&store, "_").await, records(&store).await), (0, 0));
        put(store.clone(), "d".into()).await.unwrap();
        assert_eq!((kept(&store, "_").await, records(&store).await), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_alone_whose_transaction_ended_does_not_spoil_the_next() {
    let Fresh { store, _folder } = fresh(|_| ()).await;
    for say_ok in [true, false] {
        end_the_transaction(store.clone(), say_ok).await.unwrap_err();
    }
    put(store.clone(), "d".into()).await.unwrap();
    assert_eq!(records(&store).await, 1);
}

// RULES 4.1: a COMMIT that fails
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_commit_fails_nobody_is_told_ok() {
    let Fresh { store, _folder } = fresh(|_| ()).await;
    let gate = Gate::close(&store).await;
    let a = spawn_put(&store, "a");
    eventually(SOON, || async { waiting(&store) == 1 }).await;
    let spoiling = store.clone();
    // a constraint that is looked at only at the end, which no write of ours may have
    let b = tokio::spawn(async move {
        let written = spoiling.write(Purpose::Ordinary, |unit| {
            Box::pin(async move {
                sql("PRAGMA defer_foreign_keys = ON").execute(&mut unit.conn).await?;
                sql("INSERT INTO api_key (id, environment, prefix, owner, label, pepper, digest, scopes, networks, parents, created_at, state, version)
                     VALUES ('x', 'live', 'x', 'nobody', '', 1, x'00', '', '', '[]', 1, 'active', 1)")
                    .execute(&mut unit.conn)
                    .await?;
                Ok(())
            })
        });
        written.await
    });
    gate.open_behind(&store, 2).await;
    assert!(matches!(a.await.unwrap(), Err(StoreError::Unavailable(_))));
    assert!(matches!(b.await.unwrap(), Err(StoreError::Unavailable(_))));
    put(store.clone(), "d".into()).await.unwrap();
    assert_eq!((kept(&store, "_").await, records(&store).await), (1, 1));
}

// RULES 4.1: conformance with `max_page_count`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_in_the_middle_of_a_group_what_was_acknowledged_is_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/countersign.db", folder.path().display());
    let options = |pages| StoreOptions {
        max_page_count: pages,
        ..StoreOptions::new(Handle::current(), Arc::new(SystemClock))
    };
    let open = async |pages| Store::open(&url, options(pages)).await.unwrap();
    let store = open(None).await;
    let (pages,): (i64,) = {
        let count = store.read(|conn| {
            Box::pin(async move { Ok(sql("SELECT page_count FROM pragma_page_count").one(conn).await?) })
        });
        count.await.unwrap()
    };
    store.close().await;
    let store = open(Some(u32::try_from(pages).unwrap() + 4)).await;
    let gate = Gate::close(&store).await;
    let many: Vec<_> = (0..400).map(|n| spawn_put(&store, &format!("full-{n:060}"))).collect();
    gate.open_behind(&store, 400).await;
    let (mut acknowledged, mut refused) = (0, 0);
    for one in many {
        match one.await.unwrap() {
            Ok(_) => acknowledged += 1,
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0, "the file was meant to be too small");
    assert_eq!(kept(&store, "full-%").await, acknowledged);
    assert_eq!(records(&store).await, acknowledged);
    assert_eq!(store.head().await.unwrap(), Position(acknowledged));
    // and it comes back by itself: here, when the rows' room is given back
    let freed = store.write(Purpose::Revocation, |unit| {
        Box::pin(async move { Ok(sql("DROP INDEX audit_event_by_subject").execute(&mut unit.conn).await?) })
    });
    freed.await.unwrap();
    put(store.clone(), "after".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_unavailable_at_once() {
    let Fresh { store, _folder } = fresh(|options| options.queue = 4).await;
    let gate = Gate::close(&store).await;
    let four: Vec<_> = (0..4).map(|n| spawn_put(&store, &format!("k{n}"))).collect();
    eventually(SOON, || async { waiting(&store) == 4 }).await;
    let fifth = put(store.clone(), "k5".into()).await;
    assert!(matches!(fifth, Err(StoreError::Unavailable(_))), "{fifth:?}");
    gate.open_behind(&store, 4).await;
    for one in four {
        one.await.unwrap().unwrap();
    }
    put(store.clone(), "k6".into()).await.unwrap();
    assert_eq!(kept(&store, "k%").await, 5);
}

#[derive(Debug, Default)]
struct Noted(StdMutex<Vec<Change>>);

impl ChangeSink for Noted {
    fn apply(&self, changes: &[Change], _now: Timestamp) {
        self.0.lock().unwrap().extend_from_slice(changes);
    }
    fn heard(&self, _now: Timestamp) {}
    fn revoked(&self, _page: &[Change], _now: Timestamp) {}
    fn reload(&self, _head: Position, _now: Timestamp) {}
}

// RULES 4.1: commit, then invalidate, then answer
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_memory_knows_before_the_answer() {
    let Fresh { store, _folder } = fresh(|_| ()).await;
    let noted = Arc::new(Noted::default());
    let sink: Arc<dyn ChangeSink> = noted.clone();
    store.sinks.add(&sink);
    for n in 0..20 {
        let changes = put(store.clone(), format!("k{n}")).await.unwrap();
        assert_eq!(noted.0.lock().unwrap().last(), changes.last());
    }
    put(store.clone(), "k0".into()).await.unwrap_err();
    assert_eq!(noted.0.lock().unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_answers_what_is_queued() {
    let Fresh { store, _folder } = fresh(|_| ()).await;
    let gate = Gate::close(&store).await;
    let queued = spawn_put(&store, "k");
    eventually(SOON, || async { waiting(&store) == 1 }).await;
    let closing = tokio::spawn({
        let store = store.clone();
        async move { store.close().await }
    });
    eventually(SOON, || async { writer(&store).queue.lock().unwrap().is_none() }).await;
    gate.open.send(()).unwrap();
    queued.await.unwrap().unwrap();
    closing.await.unwrap();
    let late = put(store.clone(), "late".into()).await;
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
}

// RULES 3.9
#[test]
fn the_reserve_is_made_given_up_and_made_again() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let mut reserve = Reserve::beside(&folder.path().join("countersign.db"));
    let file = folder.path().join("countersign.db-reserve");
    assert!(reserve.stands());
    let made = std::fs::metadata(&file).unwrap();
    assert_eq!((made.len(), made.mode() & 0o777), (8 * 1024 * 1024, 0o600));
    reserve.release();
    assert!(!file.exists());
    assert!(reserve.stands() && file.exists());
}
