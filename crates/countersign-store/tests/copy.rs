//! Copies: into a file while others write, out of it into an empty store only, and from one engine to the other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use countersign_core::{
    Node, NodeKind, PrincipalId, Timestamp,
    audit::{AuditEvent, AuditQuery, AuditRecord, AuditStore, ChainState},
    check::revocation::Position,
    page::PageRequest,
    principal::Principal,
};
use countersign_methods::{
    api_key::{
        record::{KeyState, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore, Rotation},
    },
    jwt::store::JwtStore,
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalStore},
    revocation::store::{Change, ChangeKind, FeedStore, each_revoked},
    session::{
        record::{EndReason, SessionRecord, SessionState},
        store::{SessionQuery, SessionStore},
    },
    signing::{
        record::{SigningKeyRecord, SigningKeyState},
        store::{SigningKeyChange, SigningKeyStore},
    },
};
use countersign_store::{
    Store,
    copy::{self, CopyError, Restore, Restored},
};
use countersign_testkit::conformance::{
    Ports, at, event, key, key_id, scopes,
    session::{ROOM, rotation, session, session_id},
    signing::signing_key,
};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};
use support::{PostgresDatabase, SqliteFile, options, ports};
use tokio::{runtime::Handle, task::block_in_place};

const LATER: i64 = 1_000_000;

fn restore(newer: Option<Vec<AuditRecord>>) -> Restore<'static> {
    let newer = newer.map(|records| Box::new(records.into_iter().map(Ok)) as copy::Newer<'static>);
    Restore { now: at(LATER), by: "tester".into(), newer }
}

async fn write(url: &str) -> Vec<u8> {
    let mut file = Vec::new();
    copy::write(url, at(100), &mut file, &mut |_| {}).await.unwrap();
    file
}

async fn bring(url: &str, mut file: &[u8], with: Restore<'_>) -> Result<Restored, CopyError> {
    copy::restore(url, &mut file, with, &mut |_| {}).await.map(|(_, restored)| restored)
}

/// Three principals, forty keys of the first, one of them revoked, one rotated, one principal disabled.
async fn furnish(store: &Arc<Store>) -> Principal {
    let ports = ports(store);
    let owner = ports.owner(0).await;
    for n in 1..=40 {
        ports.create(&key(n, &owner)).await;
    }
    ports
        .keys
        .revoke(&key_id(1), None, at(50), RevocationReason::Operator, event("api_key.revoke", "x"))
        .await
        .unwrap();
    rotate(&ports, 2, 41, &owner).await;
    for n in 1..=2 {
        ports.owner(n).await;
    }
    disable(&ports, 2).await;
    store.set_meta("pepper_1", "abc").await.unwrap();
    owner
}

/// Three signing keys; of the owner four sessions, which are open, open with a cookie, ended, and over.
async fn sign_in(store: &Arc<Store>, owner: &Principal) {
    let states = [SigningKeyState::Retired, SigningKeyState::Active, SigningKeyState::Published];
    let keys = (1..).zip(states).map(|(n, state)| signing_key(n, state));
    let change = SigningKeyChange { inserts: keys.collect(), ..SigningKeyChange::default() };
    SigningKeyStore::change(&**store, change, at(0)).await.unwrap();
    let lasting = |n| SessionRecord { expires_at: at(LATER * 2), ..session(n, owner) };
    let cookie =
        SessionRecord { refresh: None, cookie: session(2, owner).refresh.map(|f| f.current), ..lasting(2) };
    for record in [lasting(1), cookie, lasting(3), session(4, owner)] {
        let event = event("session.create", record.id.as_str());
        SessionStore::create(&**store, record, 0, ROOM, event).await.unwrap();
    }
    SessionStore::rotate(&**store, rotation(1, 0, 1, at(60)), event("session.refresh", "x")).await.unwrap();
    end(store, 3).await;
}

async fn end(store: &Arc<Store>, n: u32) {
    let (id, event) = (session_id(n), event("session.end", session_id(n).as_str()));
    store.end(&id, EndReason::SignedOut, at(70), at(9000), event).await.unwrap();
}

async fn sessions(store: &Arc<Store>) -> Vec<SessionRecord> {
    SessionStore::list(&**store, SessionQuery::default()).await.unwrap().items
}

async fn signing_keys(store: &Arc<Store>) -> Vec<SigningKeyRecord> {
    SigningKeyStore::list(&**store).await.unwrap()
}

async fn rotate(ports: &Ports, from: u32, to: u32, owner: &Principal) {
    let rotation = Rotation {
        predecessor: key_id(from),
        version: 1,
        at: at(60),
        predecessor_expires_at: at(60 + 3600),
        successor: key(to, owner),
    };
    let mut event = event("api_key.rotate", key_id(from).as_str());
    event.detail.push(("predecessor_expires_at", at(60 + 3600).as_seconds().to_string()));
    ports.keys.rotate(rotation, event).await.unwrap();
}

async fn disable(ports: &Ports, n: u32) {
    let principal = countersign_testkit::conformance::service(n);
    let change = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
    let event = event("principal.disable", principal.id.as_str());
    ports.principals.change(&principal.id, 1, change, event).await.unwrap().unwrap();
}

/// Everything that can be seen through the ports and that a restore leaves as it was.
async fn seen(store: &Arc<Store>) -> String {
    let page = || PageRequest { after: None, limit: 500 };
    let keys = ApiKeyStore::list(&**store, ApiKeyQuery { page: page(), ..ApiKeyQuery::default() });
    let principals =
        PrincipalStore::list(&**store, PrincipalQuery { page: page(), ..PrincipalQuery::default() });
    let mut feed = store.since(Position(0), 500).await.unwrap();
    // a restore goes on behind what came over
    feed.retain(|change| change.position.0 < at(LATER).as_micros());
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:?}\n{:?}",
        keys.await.unwrap().items,
        principals.await.unwrap().items,
        feed,
        signing_keys(store).await.iter().map(|key| (key, key.sealed.clone())).collect::<Vec<_>>(),
        store.meta("pepper_1").await.unwrap()
    )
}

async fn trail(store: &Arc<Store>) -> Vec<AuditRecord> {
    store.page(AuditQuery { limit: 500, ..AuditQuery::default() }).await.unwrap()
}

async fn head(store: &Arc<Store>) -> i64 {
    FeedStore::head(&**store).await.unwrap().0
}

/// A copy of one store into another: all that was there, in another epoch.
async fn goes_over(from: &str, to: &str) {
    let source = Store::open(from, options()).await.unwrap();
    let owner = furnish(&source).await;
    sign_in(&source, &owner).await;
    let (was, records, feed) = (seen(&source).await, trail(&source).await, head(&source).await);
    let file = write(from).await;
    let restored = bring(to, &file, restore(None)).await.unwrap();
    assert_eq!((restored.epoch, restored.ended, restored.records), (2, 0, 0));
    let target = Store::open(to, options()).await.unwrap();
    assert_eq!(seen(&target).await, was);
    assert_eq!(target.meta("epoch").await.unwrap().as_deref(), Some("2"));

    // RULES 4.6: numbers jump ahead
    let now = at(LATER).as_micros();
    assert!(head(&target).await >= now && feed < now);
    let again = trail(&target).await;
    assert_eq!(again[..records.len()], records);
    let [begins] = &again[records.len()..] else { panic!("{again:?}") };
    assert_eq!((begins.event.action.as_str(), begins.event.actor.as_str()), ("store.restore", "host"));
    assert!(begins.number > now && begins.event.detail.contains("\"by\":\"tester\""));
    let all = i64::try_from(again.len()).unwrap();
    let whole = |state| matches!(state, ChainState::Whole { records, .. } if records == all);
    assert!(whole(target.verify().await.unwrap()));

    // it goes on
    let ports = ports(&target);
    ports.owner(7).await;
    disable(&ports, 7).await;
    assert!(matches!(target.verify().await.unwrap(), ChainState::Whole { .. }));
    source.close().await;
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_sqlite_to_sqlite() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    goes_over(&from.url(), &to.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_the_engines_both_ways() {
    let Some(database) = PostgresDatabase::new("copy::between_the_engines_both_ways").await else { return };
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    goes_over(&from.url(), &database.url()).await;
    database.drop().await;
    let Some(database) = PostgresDatabase::new("copy::between_the_engines_both_ways").await else { return };
    goes_over(&database.url(), &to.url()).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_of_one_moment_while_others_write() {
    /// Writes to the store in the middle of the copy.
    struct Meddling {
        ports: Ports,
        owner: Principal,
        n: u32,
        bytes: Vec<u8>,
    }
    impl Write for Meddling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.bytes.len() / 2000 >= self.n as usize {
                self.n += 1;
                let key = key(100 + self.n, &self.owner);
                block_in_place(|| Handle::current().block_on(self.ports.create(&key)));
            }
            self.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    async fn on(url: &str) {
        let store = Store::open(url, options()).await.unwrap();
        let owner = furnish(&store).await;
        let (was, records) = (seen(&store).await, trail(&store).await.len());
        let mut file = Meddling { ports: ports(&store), owner, n: 0, bytes: Vec::new() };
        copy::write(url, at(100), &mut file, &mut |_| {}).await.unwrap();
        assert!(file.n >= 5, "{}", file.n);
        assert_eq!(trail(&store).await.len(), records + file.n as usize);
        let target = SqliteFile::new();
        bring(&target.url(), &file.bytes, restore(None)).await.unwrap();
        let target = target.open().await;
        assert_eq!(seen(&target).await, was);
        assert!(matches!(target.verify().await.unwrap(), ChainState::Whole { .. }));
        store.close().await;
        target.close().await;
    }
    on(&SqliteFile::new().url()).await;
    let Some(database) = PostgresDatabase::new("copy::a_copy_is_of_one_moment_while_others_write").await
    else {
        return;
    };
    on(&database.url()).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_empty_stays_as_it_is() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let (source, target) = (from.open().await, to.open().await);
    furnish(&source).await;
    let file = write(&from.url()).await;
    // one word suffices
    target.set_meta("development", "yes").await.unwrap();
    let refused = bring(&to.url(), &file, restore(None)).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty(_)), "{refused}");
    assert_eq!(target.meta("development").await.unwrap().as_deref(), Some("yes"));
    ports(&target).owner(5).await;
    let was = seen(&target).await;
    let refused = bring(&to.url(), &file, restore(None)).await.unwrap_err();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
    let refused = copy::transfer(&from.url(), &to.url(), at(0), "x".into(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty(_)), "{refused}");
    assert_eq!(seen(&target).await, was);
    target.close().await;
    to.open().await.close().await;
    source.close().await;
}

/// A file that is not ours at all is not touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_others_is_refused() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let file = write(&from.url()).await;
    let file_of_others =
        sqlx::sqlite::SqliteConnectOptions::new().filename(to.path()).create_if_missing(true);
    let mut raw = sqlx::ConnectOptions::connect(&file_of_others).await.unwrap();
    sqlx::raw_sql("CREATE TABLE theirs (x)").execute(&mut raw).await.unwrap();
    let refused = bring(&to.url(), &file, restore(None)).await.unwrap_err();
    assert!(refused.to_string().contains("not made by Countersign"), "{refused}");
    source.close().await;
}

/// RULES 4.6: start refuses a newer schema; so does a restore.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused_both_ways() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let file = write(&from.url()).await;
    let schema = copy::header(&mut &file[..]).unwrap().schema;
    let next = schema + 1;
    let as_made = format!("\"engine\":\"sqlite\",\"schema\":{schema}");
    // as long as it was, whatever the numbers are
    let engine = "x".repeat(as_made.len() - format!("\"engine\":\"\",\"schema\":{next}").len());
    let newer = replaced(&file, &as_made, &format!("\"engine\":\"{engine}\",\"schema\":{next}"));
    let refused = bring(&to.url(), &newer, restore(None)).await.unwrap_err();
    assert!(matches!(refused, CopyError::Newer { copy, .. } if copy == next), "{refused}");
    assert!(!to.path().exists());
    support::execute(&from.url(), &format!("INSERT INTO schema_migration VALUES ({next}, 'x', x'00', 0)"))
        .await;
    let refused = copy::write(&from.url(), at(0), &mut Vec::new(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Newer { copy, .. } if copy == next), "{refused}");
    source.close().await;
}

/// An older copy is brought up after it was loaded (RULES 4.6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_schema_is_brought_up() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let owner = furnish(&source).await;
    let was = seen(&source).await;
    source.close().await;
    // as the first release made it
    support::execute(
        &from.url(),
        "DROP TABLE session; DROP TABLE signing_key; ALTER TABLE principal DROP COLUMN generation;
         DROP TABLE basic_use; DROP TABLE app_password; DROP TABLE password; DROP INDEX api_key_by_lookup;
         ALTER TABLE api_key DROP COLUMN lookup; ALTER TABLE api_key DROP COLUMN origin;
         DROP TABLE lease; DROP TABLE idempotency; DELETE FROM schema_migration WHERE number > 1",
    )
    .await;
    let file = write(&from.url()).await;
    assert_eq!(copy::header(&mut &file[..]).unwrap().schema, 1);
    bring(&to.url(), &file, restore(None)).await.unwrap();
    let target = to.open().await;
    assert_eq!(seen(&target).await, was);
    assert!(target.take_lease("x", "y", at(0), at(1)).await.unwrap());
    assert!(target.generation(&owner.id).await.unwrap() > Some(0), "the next epoch began in what is new too");
    target.close().await;
}

/// Of the moment: whoever did a job then does not do it in the restored store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_4_6_what_is_of_the_moment_is_left_out() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    assert!(source.take_lease("job", "gone", at(0), at(LATER * 2)).await.unwrap());
    let file = write(&from.url()).await;
    bring(&to.url(), &file, restore(None)).await.unwrap();
    let target = to.open().await;
    assert!(target.take_lease("job", "new", at(1), at(2)).await.unwrap());
    source.close().await;
    target.close().await;
}

fn replaced(file: &[u8], what: &str, with: &str) -> Vec<u8> {
    assert_eq!(what.len(), with.len());
    let at = file.windows(what.len()).position(|w| w == what.as_bytes()).unwrap();
    let mut file = file.to_vec();
    file[at..at + what.len()].copy_from_slice(with.as_bytes());
    file
}

/// Whatever is wrong with a copy: nothing of it counts, nobody opens what is there, and another try goes through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_not_whole_leaves_a_store_that_is_refused_until_it_is_done_again() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    furnish(&source).await;
    let was = seen(&source).await;
    let file = write(&from.url()).await;
    let head = 5 + u32::from_be_bytes(file[1..5].try_into().unwrap()) as usize;
    let mut altered: Vec<(String, Vec<u8>)> = Vec::new();
    for length in
        [head, head + 3, head + 13, file.len() / 2, file.len() - 38, file.len() - 37, file.len() - 1]
    {
        altered.push((format!("cut at {length}"), file[..length].to_vec()));
    }
    for place in (head..file.len()).step_by(211) {
        let mut copy = file.clone();
        copy[place] ^= 0x20;
        altered.push((format!("flipped at {place}"), copy));
    }
    altered.push(("longer".into(), [&file[..], b"x"].concat()));
    altered.push(("a count".into(), replaced(&file, "\"rows\":41", "\"rows\":42")));
    altered.push(("a column".into(), replaced(&file, "\"digest\"", "\"digess\"")));
    altered.push(("a table".into(), replaced(&file, "\"principal\"", "\"principat\"")));
    altered.push(("a format".into(), replaced(&file, "\"format\":1", "\"format\":2")));
    for (what, copy) in altered {
        let Err(refused) = bring(&to.url(), &copy, restore(None)).await else {
            panic!("{what} went through")
        };
        // a row that no schema takes says so itself
        assert!(matches!(refused, CopyError::NotWhole(_) | CopyError::Store(_)), "{what}: {refused}");
        if what != "a format" && to.path().exists() {
            let closed = Store::open(&to.url(), options()).await.unwrap_err().to_string();
            assert!(closed.contains("did not get to its end; do it again"), "{what}: {closed}");
        }
    }
    bring(&to.url(), &file, restore(None)).await.unwrap();
    let target = to.open().await;
    assert_eq!(seen(&target).await, was);
    target.close().await;
    source.close().await;
}

/// As if the process were killed: the future is dropped in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_ends_half_way_is_noticed_on_both_engines() {
    struct Failing<'f>(&'f [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::Error::other("gone")) } else { self.0.read(to) }
        }
    }
    async fn on(url: &str) {
        let from = SqliteFile::new();
        let source = from.open().await;
        furnish(&source).await;
        let file = write(&from.url()).await;
        let mut half = Failing(&file[..file.len() / 2]);
        let refused = copy::restore(url, &mut half, restore(None), &mut |_| {}).await.unwrap_err();
        assert_eq!(refused.to_string(), "the copy cannot be read: gone");
        let closed = Store::open(url, options()).await.unwrap_err().to_string();
        assert!(closed.contains("did not get to its end"), "{closed}");
        let refused = copy::write(url, at(0), &mut Vec::new(), &mut |_| {}).await.unwrap_err();
        assert!(refused.to_string().contains("did not get to its end"), "{refused}");
        bring(url, &file, restore(None)).await.unwrap();
        Store::open(url, options()).await.unwrap().close().await;
        source.close().await;
    }
    on(&SqliteFile::new().url()).await;
    let Some(database) = PostgresDatabase::new("copy::a_restore_that_ends_half_way").await else { return };
    on(&database.url()).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_4_6_what_ended_after_the_copy_ends_again() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let owner = furnish(&source).await;
    let file = write(&from.url()).await;

    let ports_of_source = ports(&source);
    let revoke = async |n| {
        let event = event("api_key.revoke", key_id(n).as_str());
        ports_of_source.keys.revoke(&key_id(n), None, at(200), RevocationReason::Holder, event).await
    };
    revoke(5).await.unwrap();
    // made and gone after the copy: nothing to end
    ports_of_source.create(&key(50, &owner)).await;
    revoke(50).await.unwrap();
    rotate(&ports_of_source, 6, 51, &owner).await;
    disable(&ports_of_source, 1).await;
    let change = PrincipalChange { scopes: Some(scopes("orders:read new")), ..PrincipalChange::default() };
    let mut narrows = event("principal.change", owner.id.as_str());
    narrows.detail.push(("scopes_before", owner.scopes.to_string()));
    narrows.detail.push(("scopes", "orders:read new".into()));
    PrincipalStore::change(&*source, &owner.id, 1, change, narrows).await.unwrap();
    let node = Node::principal(&countersign_testkit::conformance::service(2).id);
    ports_of_source
        .feed
        .revoke(node.clone(), at(210), None, event("revocation.create", &node.to_string()))
        .await
        .unwrap();
    // another issuer's, of which there is no row (RULES 1.8)
    let foreign = Node::principal(&PrincipalId::foreign(&[7; 32]));
    ports_of_source
        .feed
        .revoke(foreign.clone(), at(211), None, event("revocation.create", &foreign.to_string()))
        .await
        .unwrap();
    // of its tokens one by itself; one of ours ends with everything that was signed here, and one of long ago by itself
    let day = 24 * 3600;
    for (id, called_back) in
        [("staff:new", LATER - 6 * day), ("ours", LATER - 60), ("staff:old", LATER - 8 * day)]
    {
        let event = AuditEvent { at: at(called_back), ..event("token.revoke", id) };
        source.revoke_token(id, at(called_back), at(LATER + day), event).await.unwrap();
    }
    let newer = trail(&source).await;
    source.close().await;

    let restored = bring(&to.url(), &file, restore(Some(newer.clone()))).await.unwrap();
    assert_eq!((restored.ended, restored.records), (7, 11));
    // of the change only what was taken away came back
    assert_eq!(restored.lost, [("api_key.create".to_owned(), 1), ("principal.change".to_owned(), 1)]);
    let target = to.open().await;
    let ports_of_target = ports(&target);
    let ended = ports_of_target.key(&key_id(5)).await;
    assert_eq!(ended.state, KeyState::Revoked { at: at(0), reason: RevocationReason::Operator });
    let rotated = ports_of_target.key(&key_id(6)).await;
    assert_eq!((rotated.state, rotated.expires_at), (KeyState::Active, Some(at(60 + 3600))));
    assert!(
        !PrincipalStore::find(&*target, &countersign_testkit::conformance::service(1).id)
            .await
            .unwrap()
            .unwrap()
            .enabled
    );
    let narrowed = PrincipalStore::find(&*target, &owner.id).await.unwrap().unwrap();
    assert_eq!(narrowed.scopes, scopes("orders:read"));
    let mut revoked = Vec::new();
    let take = |page: &[Change]| revoked.extend_from_slice(page);
    each_revoked(&*target, Timestamp::from_seconds(0), take).await.unwrap();
    let again: Vec<_> = revoked.iter().filter(|c| c.position.0 > at(LATER).as_micros()).collect();
    assert!(again.iter().any(|c| c.node == key_id(5).node() && c.kind == ChangeKind::Revoked), "{again:?}");
    assert!(again.iter().any(|c| c.node == node), "{again:?}");
    let tokens: Vec<_> = again.iter().filter(|c| c.node.kind == NodeKind::Token).collect();
    let [one] = &tokens[..] else { panic!("{tokens:?}") };
    assert_eq!((&*one.node.id, one.until), ("staff:new", Some(at(LATER + day + 60))));
    assert!(again.iter().any(|c| c.node == foreign && c.kind == ChangeKind::Revoked), "{again:?}");
    // the trail knows both what happened and what was lost
    let all = trail(&target).await;
    assert_eq!(all[..newer.len()], newer);
    assert!(
        matches!(target.verify().await.unwrap(), ChainState::Whole { records, .. } if records == i64::try_from(all.len()).unwrap())
    );
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_trail_that_does_not_fit_is_refused() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    furnish(&source).await;
    let file = write(&from.url()).await;
    disable(&ports(&source), 1).await;
    ports(&source).owner(8).await;
    let newer = trail(&source).await;
    let copied = usize::try_from(copy::header(&mut &file[..]).unwrap().audit).unwrap();
    source.close().await;

    let mut altered = newer.clone();
    altered[copied].event.subject = "x".into();
    let mut foreign = newer.clone();
    foreign[copied - 1].hash = [7; 32];
    for (what, records) in [
        ("a gap", newer[copied + 1..].to_vec()),
        ("altered", altered),
        ("of another store", foreign),
        ("doubled", [&newer[..], &newer[copied..]].concat()),
    ] {
        let refused = bring(&to.url(), &file, restore(Some(records))).await.unwrap_err();
        assert!(matches!(refused, CopyError::Audit(_)), "{what}: {refused}");
        Store::open(&to.url(), options()).await.unwrap_err();
    }
    // what the copy has itself may be left out
    bring(&to.url(), &file, restore(Some(newer[copied..].to_vec()))).await.unwrap();
}

/// Whoever was signed in signs in again; what was signed before is good no more, whichever refresh token was used since.
async fn sessions_end(from: &str, to: &str) {
    let source = Store::open(from, options()).await.unwrap();
    let owner = furnish(&source).await;
    sign_in(&source, &owner).await;
    let (was, file) = (sessions(&source).await, write(from).await);
    // after the copy: another one, and everything called back
    let late = event("session.create", "late");
    SessionStore::create(&*source, session(9, &owner), 0, ROOM, late).await.unwrap();
    let all = event("token.revoke_all", owner.id.as_str());
    assert_eq!(source.end_generation(&owner.id, at(200), at(9000), all).await.unwrap(), Some((0, 4)));
    let newer = trail(&source).await;
    source.close().await;

    let restored = bring(to, &file, restore(Some(newer))).await.unwrap();
    assert_eq!((restored.sessions, restored.ended, restored.lost), (2, 0, Vec::new()));
    let target = Store::open(to, options()).await.unwrap();
    let ended = SessionState::Ended { at: at(LATER), reason: EndReason::Revoked };
    let expected: Vec<SessionRecord> = was
        .into_iter()
        .map(|record| match record.state {
            SessionState::Open if record.expires_at > at(LATER) => SessionRecord { state: ended, ..record },
            _ => record,
        })
        .collect();
    assert_eq!(sessions(&target).await, expected);
    assert_eq!(expected.iter().filter(|record| record.state == ended).count(), 2);

    let revoked = revocations(&target).await;
    for n in 0..=2 {
        let principal = countersign_testkit::conformance::service(n).id;
        let node = Node::generation(&principal, 0);
        assert!(revoked.iter().any(|c| c.node == node && c.until.is_none()), "{n}: {revoked:?}");
        // nor does what was signed after that, for whom everything was called back after the copy
        let later = Node::generation(&principal, 1);
        assert_eq!(revoked.iter().any(|c| c.node == later), principal == owner.id, "{n}: {revoked:?}");
        // none that began after the copy begins again
        let generation = target.generation(&principal).await.unwrap().unwrap();
        assert_eq!(generation, at(LATER).as_micros());
    }
    let try_to = |generation| {
        SessionStore::create(&*target, session(20, &owner), generation, ROOM, event("session.create", "x"))
    };
    try_to(0).await.unwrap_err();
    try_to(1).await.unwrap_err();
    try_to(at(LATER).as_micros()).await.unwrap();
    target.close().await;

    // a second time, at the same moment by a clock that stood: the generation goes on all the same
    let (again, file) = (SqliteFile::new(), write(to).await);
    bring(&again.url(), &file, restore(None)).await.unwrap();
    let again = again.open().await;
    assert_eq!(again.generation(&owner.id).await.unwrap(), Some(at(LATER).as_micros() + 1));
    let revoked = revocations(&again).await;
    assert!(revoked.iter().any(|c| c.node == Node::generation(&owner.id, at(LATER).as_micros())));
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_4_6_sessions_end() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    sessions_end(&from.url(), &to.url()).await;
    let Some(database) = PostgresDatabase::new("copy::rules_4_6_sessions_end").await else { return };
    sessions_end(&SqliteFile::new().url(), &database.url()).await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_4_6_a_signing_key_that_was_revoked_after_the_copy_is_gone() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let owner = furnish(&source).await;
    sign_in(&source, &owner).await;
    let (was, file) = (signing_keys(&source).await, write(&from.url()).await);
    let removed = was[1].clone().remove(at(200)).unwrap();
    let change = SigningKeyChange {
        updates: vec![removed.clone()],
        revoked: vec![(removed.node(), at(9000))],
        events: vec![event("signing_key.revoke", &removed.kid), event("signing_key.revoke", "unknown")],
        ..SigningKeyChange::default()
    };
    SigningKeyStore::change(&*source, change, at(200)).await.unwrap();
    let newer = trail(&source).await;
    source.close().await;

    let restored = bring(&to.url(), &file, restore(Some(newer))).await.unwrap();
    assert_eq!((restored.ended, restored.lost), (1, Vec::new()));
    let target = to.open().await;
    // since when the trail says
    let removed = SigningKeyRecord { since: at(0), ..removed };
    assert_eq!(signing_keys(&target).await, [was[0].clone(), removed.clone(), was[2].clone()]);
    let revoked = revocations(&target).await;
    assert!(revoked.iter().any(|c| c.node == removed.node()), "{revoked:?}");
    target.close().await;
}

/// The first operator's key is good once; the copy does not know whether it was used up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_4_6_the_first_operators_key_ends() {
    let (from, to) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    furnish(&source).await;
    source.set_meta("first_operator_key", key_id(9).as_str()).await.unwrap();
    let file = write(&from.url()).await;
    let restored = bring(&to.url(), &file, restore(None)).await.unwrap();
    assert_eq!(restored.ended, 1);
    let target = to.open().await;
    assert!(matches!(ports(&target).key(&key_id(9)).await.state, KeyState::Revoked { .. }));
    assert_eq!(target.meta("first_operator_key").await.unwrap().as_deref(), Some(""));
    source.close().await;
    target.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_to_the_other_engine_and_back() {
    let Some(database) = PostgresDatabase::new("copy::a_store_moves_to_the_other_engine_and_back").await
    else {
        return;
    };
    let (from, back) = (SqliteFile::new(), SqliteFile::new());
    let source = from.open().await;
    let owner = furnish(&source).await;
    sign_in(&source, &owner).await;
    let was = seen(&source).await;

    // somebody still serves
    let (ports_of_source, mut n) = (ports(&source), 60);
    let mut meddle = |_: copy::Progress<'_>| {
        if n == 60 {
            n += 1;
            block_in_place(|| Handle::current().block_on(ports_of_source.create(&key(n, &owner))));
        }
    };
    let refused =
        copy::transfer(&from.url(), &database.url(), at(300), "x".into(), &mut meddle).await.unwrap_err();
    assert!(matches!(refused, CopyError::WrittenMeanwhile), "{refused}");
    Store::open(&database.url(), options()).await.unwrap_err();
    let (was_then, were) = (seen(&source).await, sessions(&source).await);
    assert_ne!(was, was_then);

    let moved = copy::transfer(&from.url(), &database.url(), at(300), "x".into(), &mut |_| {}).await.unwrap();
    assert_eq!(moved.header.tables.iter().find(|t| t.name == "api_key").unwrap().rows, 42);
    copy::transfer(&database.url(), &back.url(), at(400), "x".into(), &mut |_| {}).await.unwrap();
    for (url, records) in [(database.url(), 54), (back.url(), 55)] {
        let store = Store::open(&url, options()).await.unwrap();
        assert_eq!(seen(&store).await, was_then, "{url}");
        assert_eq!(sessions(&store).await, were, "{url}: nobody has to sign in again");
        // it is the same store
        assert_eq!(store.meta("epoch").await.unwrap().as_deref(), Some("1"));
        let state = store.verify().await.unwrap();
        assert!(matches!(state, ChainState::Whole { records: all, .. } if all == records), "{state:?}");
        store.close().await;
    }
    source.close().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_store_is_not_copied() {
    let nothing = SqliteFile::new();
    let refused = copy::write(&nothing.url(), at(0), &mut Vec::new(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Store(_)) && !nothing.path().exists(), "{refused}");
    std::fs::write(nothing.path(), "").unwrap();
    let refused = copy::write(&nothing.url(), at(0), &mut Vec::new(), &mut |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("there is no store"), "{refused}");
    let refused = copy::write("mysql://x:secret@y/z", at(0), &mut Vec::new(), &mut |_| {}).await.unwrap_err();
    assert!(!refused.to_string().contains("secret"), "{refused}");
}

/// A writer that has no room: the error says so, and nothing hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let from = SqliteFile::new();
    let source = from.open().await;
    furnish(&source).await;
    let refused = copy::write(&from.url(), at(0), &mut Full(3000), &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Write(_)), "{refused}");
    source.close().await;
}

/// Those that count long after.
async fn revocations(store: &Store) -> Vec<Change> {
    let mut all = Vec::new();
    each_revoked(store, at(LATER * 100), |page| all.extend_from_slice(page)).await.unwrap();
    all
}
