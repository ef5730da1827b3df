//! The life of our own keys (RULES 5.3), and what of it others see.

use crate::{
    house::{DAY, House, MICRO, seal},
    slow::Slow,
};
use countersign_core::{Node, NodeKind, Timestamp, check::revocation::RevocationFeed};
use countersign_crypto::{
    jose::{Algorithm, UnverifiedJwt},
    key::{SealError, SealKeys},
};
use countersign_methods::{
    principal::caller::Caller,
    signing::{
        issue::{RotatedKey, SigningConfig, SigningError, SigningKeyIssuer},
        keys::{KeysError, SigningKeys},
        record::{KeyPurpose, SigningKeyRecord, SigningKeyState},
        store::{SigningKeyChange, SigningKeyStore},
    },
};
use countersign_testkit::{MemoryStore, SeededEntropy};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

const SESSION: KeyPurpose = KeyPurpose::Session;
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// One process.
fn process(store: Arc<dyn SigningKeyStore>, config: SigningConfig, seed: u64) -> SigningKeyIssuer {
    let keys = Arc::new(SigningKeys::new(seal()));
    SigningKeyIssuer::new(store, keys, config, Arc::new(SeededEntropy::new(seed)))
}

fn alone() -> (Arc<MemoryStore>, SigningKeyIssuer) {
    let store = Arc::new(MemoryStore::new());
    (store.clone(), process(store, SigningConfig::default(), 1))
}

async fn of_session(issuer: &SigningKeyIssuer) -> Vec<SigningKeyRecord> {
    let mut all = issuer.list().await.unwrap();
    all.retain(|record| record.purpose == SESSION);
    all
}

async fn states(issuer: &SigningKeyIssuer) -> Vec<&'static str> {
    of_session(issuer).await.iter().map(|record| record.state.as_str()).collect()
}

fn kids(keys: &SigningKeys, purpose: KeyPurpose) -> Vec<String> {
    let document: Value = serde_json::from_slice(&keys.jwks(purpose).body).unwrap();
    let keys = document["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signed_by(keys: &SigningKeys) -> String {
    let token = keys.sign((SESSION, Algorithm::Es256), "at+jwt", &Map::new()).unwrap();
    UnverifiedJwt::parse(&token).unwrap().kid().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_keys_sign_at_once_one_of_each_purpose() {
    let (store, issuer) = alone();
    assert!(issuer.keys().sign((SESSION, Algorithm::Es256), "at+jwt", &Map::new()).is_none());
    assert!(kids(issuer.keys(), SESSION).is_empty());
    issuer.advance(NOW).await.unwrap();
    let all = issuer.list().await.unwrap();
    assert_eq!(all.len(), KeyPurpose::ALL.len());
    assert!(all.iter().all(|record| record.state == SigningKeyState::Active && record.version == 1));
    assert_eq!(signed_by(issuer.keys()), kids(issuer.keys(), SESSION)[0]);
    assert_eq!(store.actions(), ["signing_key.create", "signing_key.create"]);
    // nothing is due: nothing is written, and nothing moves
    let revision = issuer.keys().revision();
    issuer.advance(NOW + DAY).await.unwrap();
    assert_eq!((store.actions().len(), issuer.keys().revision()), (2, revision));
}

#[tokio::test]
async fn the_next_one_is_published_takes_over_and_goes_each_in_its_time() {
    let (store, issuer) = alone();
    let times = issuer.config().times;
    issuer.advance(NOW).await.unwrap();
    let first = signed_by(issuer.keys());
    let due = NOW + (times.active - times.published);
    issuer.advance(due.saturating_sub(MICRO)).await.unwrap();
    assert_eq!(states(&issuer).await, ["active"]);
    issuer.advance(due).await.unwrap();
    assert_eq!(states(&issuer).await, ["active", "published"]);
    // everybody has it before it signs
    assert_eq!((kids(issuer.keys(), SESSION).len(), signed_by(issuer.keys())), (2, first.clone()));
    issuer.advance((due + times.published).saturating_sub(MICRO)).await.unwrap();
    assert_eq!(signed_by(issuer.keys()), first);
    issuer.advance(due + times.published).await.unwrap();
    assert_eq!(states(&issuer).await, ["retired", "active"]);
    assert_ne!(signed_by(issuer.keys()), first);
    // what the first one signed still verifies
    assert!(issuer.keys().verifying(SESSION, &first).is_some());
    let gone = due + times.published + times.retired;
    issuer.advance(gone.saturating_sub(MICRO)).await.unwrap();
    assert!(issuer.keys().verifying(SESSION, &first).is_some());
    issuer.advance(gone).await.unwrap();
    assert_eq!(states(&issuer).await, ["removed", "active"]);
    assert!(issuer.keys().verifying(SESSION, &first).is_none());
    assert!(!kids(issuer.keys(), SESSION).contains(&first));
    assert!(of_session(&issuer).await[0].sealed.is_empty());
    let of = |action: &str| store.actions().iter().filter(|known| *known == action).count();
    for action in ["create", "publish", "activate", "retire", "remove"] {
        assert_eq!(of(&format!("signing_key.{action}")), KeyPurpose::ALL.len(), "{action}");
    }
}

/// A process that stood still for months catches up without a gap: what nobody could fetch does not sign.
#[tokio::test]
async fn a_key_that_is_published_late_still_waits_its_time() {
    let (_, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    let (first, late) = (signed_by(issuer.keys()), NOW + DAY * 300);
    for _ in 0..3 {
        issuer.advance(late).await.unwrap();
        assert_eq!(states(&issuer).await, ["active", "published"]);
        assert_eq!(signed_by(issuer.keys()), first);
    }
    issuer.advance(late + issuer.config().times.published).await.unwrap();
    assert_eq!(states(&issuer).await, ["retired", "active"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_moves_nothing() {
    let (_, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    issuer.advance(NOW + DAY * 29).await.unwrap();
    let before = issuer.list().await.unwrap();
    issuer.advance(NOW.saturating_sub(DAY * 1000)).await.unwrap();
    assert_eq!(issuer.list().await.unwrap(), before);
}

/// At every step of a key's life, many processes at once: one takes it.
#[tokio::test]
async fn of_many_processes_one_takes_each_step() {
    let store = Arc::new(MemoryStore::new());
    let processes: Vec<_> =
        (0..8).map(|seed| process(Arc::new(Slow(store.clone())), SigningConfig::default(), seed)).collect();
    let times = SigningConfig::default().times;
    let steps: [(Timestamp, &[&str]); 4] = [
        (NOW, &["active"]),
        (NOW + (times.active - times.published), &["active", "published"]),
        (NOW + times.active, &["retired", "active"]),
        (NOW + times.active + times.retired, &["removed", "active"]),
    ];
    for (at, expected) in steps {
        let all = futures_util::future::join_all(processes.iter().map(|issuer| issuer.advance(at))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert_eq!(states(&processes[0]).await, expected);
        let signers: Vec<String> = processes.iter().map(|issuer| signed_by(issuer.keys())).collect();
        assert!(signers.iter().all(|kid| *kid == signers[0]), "{signers:?}");
    }
}

#[tokio::test]
async fn of_many_operators_one_rotates() {
    for at_once in [true, false] {
        let store = Arc::new(MemoryStore::new());
        let processes: Vec<_> = (0..8)
            .map(|seed| process(Arc::new(Slow(store.clone())), SigningConfig::default(), seed))
            .collect();
        processes[0].advance(NOW).await.unwrap();
        let host = Caller::host();
        let all = processes.iter().map(|issuer| issuer.rotate(SESSION, at_once, &host, NOW + SECOND));
        let all = futures_util::future::join_all(all).await;
        assert_eq!(all.iter().filter(|answer| answer.is_ok()).count(), 1, "{all:?}");
        let lost = all.iter().filter(|answer| answer.is_err());
        assert!(lost.clone().all(|answer| *answer == Err(SigningError::Changed)), "{all:?}");
        let expected = if at_once { ["retired", "active"] } else { ["active", "published"] };
        assert_eq!(states(&processes[0]).await, expected);
    }
}

#[tokio::test]
async fn an_operator_rotates_now_or_when_everybody_has_the_next_one() {
    let (_, issuer) = alone();
    let host = Caller::host();
    issuer.advance(NOW).await.unwrap();
    let first = signed_by(issuer.keys());
    let (times, asked) = (issuer.config().times, NOW + SECOND);
    let RotatedKey::Published(next, from) = issuer.rotate(SESSION, false, &host, asked).await.unwrap() else {
        panic!("it is published first");
    };
    assert_eq!((from, signed_by(issuer.keys())), (asked + times.published, first.clone()));
    // asked again, it is the same one, until it may sign
    let early = from.saturating_sub(MICRO);
    let again = issuer.rotate(SESSION, false, &host, early).await.unwrap();
    assert!(matches!(again, RotatedKey::Published(same, at) if same.kid == next.kid && at == from));
    let RotatedKey::Active(active) = issuer.rotate(SESSION, false, &host, from).await.unwrap() else {
        panic!("everybody had time to fetch it");
    };
    assert_eq!((&active.kid, &*active.kid), (&next.kid, &*signed_by(issuer.keys())));
    assert_eq!(states(&issuer).await, ["retired", "active"]);
    // at once: whoever keeps an old JWKS refuses what it signs, and the operator wants it so
    let RotatedKey::Active(now) = issuer.rotate(SESSION, true, &host, from).await.unwrap() else {
        panic!("at once");
    };
    assert_eq!(*now.kid, *signed_by(issuer.keys()));
    assert_eq!(states(&issuer).await.iter().filter(|state| **state == "active").count(), 1);
    assert!(issuer.keys().verifying(SESSION, &first).is_some());
}

/// RULES 5.3, of a key in every state.
#[tokio::test]
async fn a_key_that_is_called_back_is_gone_in_the_same_step() {
    let house = House::new().await;
    let (issuer, host) = (&house.signing, Caller::host());
    house.advance(SECOND);
    issuer.rotate(SESSION, true, &host, house.now()).await.unwrap();
    house.advance(SECOND);
    issuer.rotate(SESSION, false, &host, house.now()).await.unwrap();
    assert_eq!(states(issuer).await, ["retired", "active", "published"]);
    let kid = |records: &[SigningKeyRecord], at: usize| records[at].kid.clone();
    let before = of_session(issuer).await;
    let (retired, active, published) = (kid(&before, 0), kid(&before, 1), kid(&before, 2));
    for (kid, then) in [
        (&retired, ["removed", "active", "published"]),
        // the published one takes over
        (&active, ["removed", "removed", "active"]),
    ] {
        let tag = issuer.keys().jwks(SESSION).etag;
        let removed = issuer.revoke(kid, &host, house.now()).await.unwrap();
        assert_eq!((&removed.kid, removed.state), (kid, SigningKeyState::Removed));
        assert!(removed.sealed.is_empty());
        assert_eq!(states(issuer).await, then);
        assert!(issuer.keys().verifying(SESSION, kid).is_none());
        assert!(!kids(issuer.keys(), SESSION).contains(&kid.to_string()));
        assert_ne!(issuer.keys().jwks(SESSION).etag, tag);
        assert!(house.memory.is_revoked(&Node::new(NodeKind::SigningKey, kid)));
        let again = issuer.revoke(kid, &host, house.now()).await;
        assert_eq!(again.unwrap_err(), SigningError::Removed);
    }
    assert_eq!(signed_by(issuer.keys()), *published);
    // the last one: a new one is made
    house.advance(SECOND);
    issuer.revoke(&published, &host, house.now()).await.unwrap();
    assert_eq!(states(issuer).await, ["removed", "removed", "removed", "active"]);
    assert_ne!(signed_by(issuer.keys()), *published);
    // a published one leaves the one that signs alone
    let signer = signed_by(issuer.keys());
    let RotatedKey::Published(next, _) = issuer.rotate(SESSION, false, &host, house.now()).await.unwrap()
    else {
        panic!("published first");
    };
    issuer.revoke(&next.kid, &host, house.now()).await.unwrap();
    assert_eq!(signed_by(issuer.keys()), signer);
    for unknown in ["", "nobody", "../../etc/passwd", &"k".repeat(300)] {
        assert_eq!(issuer.revoke(unknown, &host, house.now()).await.unwrap_err(), SigningError::Unknown);
    }
    let revokes = house.store.actions().iter().filter(|action| *action == "signing_key.revoke").count();
    assert_eq!(revokes, 4);
}

#[tokio::test]
async fn another_algorithm_in_the_configuration_takes_over() {
    let (store, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    issuer.rotate(SESSION, false, &Caller::host(), NOW + SECOND).await.unwrap();
    let first = signed_by(issuer.keys());
    let algorithms = [(SESSION, Algorithm::Ed25519), (KeyPurpose::Identity, Algorithm::Es256)];
    let other = process(store, SigningConfig { algorithms, ..SigningConfig::default() }, 2);
    other.load().await.unwrap();
    assert_eq!(signed_by(other.keys()), first, "another algorithm's rather than none");
    for _ in 0..3 {
        other.advance(NOW + SECOND * 2).await.unwrap();
        assert_eq!(states(&other).await, ["retired", "removed", "active"]);
    }
    let active = of_session(&other).await.pop().unwrap();
    assert_eq!((active.algorithm, &*active.kid), (Algorithm::Ed25519, &*signed_by(other.keys())));
    assert!(other.keys().verifying(SESSION, &first).is_some(), "what it signed still verifies");
    assert_eq!(other.list().await.unwrap().iter().filter(|r| r.purpose == KeyPurpose::Identity).count(), 1);
}

#[tokio::test]
async fn a_store_that_is_down_or_a_missing_seal_is_an_error_and_nothing_changes() {
    let (store, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    let (kid, host) = (signed_by(issuer.keys()), Caller::host());
    store.set_down(true);
    assert!(matches!(issuer.advance(NOW + DAY * 29).await, Err(SigningError::Store(_))));
    assert!(matches!(issuer.rotate(SESSION, true, &host, NOW).await, Err(SigningError::Store(_))));
    assert!(matches!(issuer.revoke(&kid, &host, NOW).await, Err(SigningError::Store(_))));
    // what is known goes on being believed
    assert_eq!(signed_by(issuer.keys()), kid);
    store.set_down(false);
    // RULES 4.3: a seal that a live row names and the keyring lacks
    let other = Arc::new(SealKeys::new(vec![(2, [3; 32])]).unwrap());
    let keys = Arc::new(SigningKeys::new(other));
    let missing = SigningKeyIssuer::new(
        store.clone(),
        keys.clone(),
        SigningConfig::default(),
        Arc::new(SeededEntropy::new(5)),
    );
    let error = missing.load().await.unwrap_err();
    assert!(
        matches!(error, SigningError::Keys(KeysError::Sealed { error: SealError::Unknown(1), .. })),
        "{error}"
    );
    assert!(kids(&keys, SESSION).is_empty());
    let none = Arc::new(SigningKeys::new(Arc::new(SealKeys::new(Vec::new()).unwrap())));
    let empty = Arc::new(MemoryStore::new());
    let without =
        SigningKeyIssuer::new(empty.clone(), none, SigningConfig::default(), Arc::new(SeededEntropy::new(6)));
    assert_eq!(without.advance(NOW).await.unwrap_err(), SigningError::Seal(SealError::NoSeal));
    assert!(without.list().await.unwrap().is_empty());
}

/// Whoever can write to the store cannot make one key pass for another, neither to a process that starts nor to one that runs.
#[tokio::test]
async fn a_row_that_was_tampered_with_is_refused() {
    let (_, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    let all = issuer.list().await.unwrap();
    let of = |purpose: KeyPurpose| all.iter().find(|r| r.purpose == purpose).unwrap().clone();
    let (session, identity) = (of(SESSION), of(KeyPurpose::Identity));
    let strange = {
        let (_, other) = alone();
        other.advance(NOW).await.unwrap();
        of_session(&other).await.pop().unwrap()
    };
    let version = session.version + 1;
    let rows = [
        ("another key under a known kid", SigningKeyRecord { kid: session.kid.clone(), ..strange.clone() }),
        ("our key under another kid", SigningKeyRecord { kid: strange.kid.clone(), ..session.clone() }),
        (
            "the blob of another purpose",
            SigningKeyRecord { sealed: identity.sealed.clone(), ..session.clone() },
        ),
        (
            "a key of the identity that says it is of sessions",
            SigningKeyRecord { purpose: SESSION, version, ..identity.clone() },
        ),
        (
            "a key of sessions that says it is of the identity",
            SigningKeyRecord { purpose: KeyPurpose::Identity, version, ..session.clone() },
        ),
        ("another algorithm", SigningKeyRecord { algorithm: Algorithm::Ed25519, version, ..session.clone() }),
        ("nothing sealed", SigningKeyRecord { sealed: Vec::new(), ..session.clone() }),
        (
            "a removed one that stood up again",
            SigningKeyRecord { state: SigningKeyState::Active, ..session.clone().remove(NOW).unwrap() },
        ),
    ];
    for (what, row) in rows {
        let fresh = SigningKeys::new(seal());
        assert!(fresh.replace(std::slice::from_ref(&row)).is_err(), "{what}: to one that starts");
        assert!(fresh.verifying(row.purpose, &row.kid).is_none(), "{what}");
    }
    // one that runs has opened its keys already
    for (what, row) in [
        ("of sessions", SigningKeyRecord { purpose: SESSION, version, ..identity.clone() }),
        ("of the identity", SigningKeyRecord { purpose: KeyPurpose::Identity, version, ..session.clone() }),
        ("algorithm", SigningKeyRecord { algorithm: Algorithm::Ed25519, version, ..session.clone() }),
    ] {
        let running = SigningKeys::new(seal());
        running.replace(&all).unwrap();
        assert!(running.replace(std::slice::from_ref(&row)).is_err(), "{what}: to one that runs");
        assert!(running.verifying(row.purpose, &row.kid).is_none() || what == "algorithm", "{what}");
    }
}

/// A row that cannot be used must not keep alive what was called back.
#[tokio::test]
async fn a_bad_row_does_not_hold_up_the_end_of_another_key() {
    let house = House::new().await;
    let (issuer, host) = (&house.signing, Caller::host());
    let stolen = house.active(SESSION).await;
    let (_, other) = alone();
    other.advance(NOW).await.unwrap();
    let strange = of_session(&other).await.pop().unwrap();
    let bad = SigningKeyRecord {
        sealed: vec![0; 60],
        purpose: KeyPurpose::Identity,
        state: SigningKeyState::Retired,
        ..strange
    };
    let change = SigningKeyChange { inserts: vec![bad], ..SigningKeyChange::default() };
    SigningKeyStore::change(&*house.store, change, house.now()).await.unwrap();
    assert!(matches!(issuer.revoke(&stolen.kid, &host, house.now()).await, Err(SigningError::Keys(_))));
    assert!(issuer.keys().verifying(SESSION, &stolen.kid).is_none());
    assert!(!kids(issuer.keys(), SESSION).contains(&stolen.kid.to_string()));
    assert_ne!(signed_by(issuer.keys()), *stolen.kid);
    // asked again and again it moves nothing
    let revision = issuer.keys().revision();
    assert!(issuer.load().await.is_err());
    assert_eq!(issuer.keys().revision(), revision);
}

/// RULES 1.4: a key of one purpose verifies nothing of the other, and is in no JWKS of it.
#[tokio::test]
async fn purposes_stay_apart() {
    let house = House::new().await;
    let keys = house.signing.keys();
    let (session, identity) = (kids(keys, SESSION), kids(keys, KeyPurpose::Identity));
    assert_eq!((session.len(), identity.len()), (1, 1));
    assert!(keys.verifying(SESSION, &identity[0]).is_none());
    assert!(keys.verifying(KeyPurpose::Identity, &session[0]).is_none());
    assert_ne!(keys.jwks(SESSION).etag, keys.jwks(KeyPurpose::Identity).etag);
    let token = keys.sign((KeyPurpose::Identity, Algorithm::Es256), "at+jwt", &Map::new()).unwrap();
    assert_eq!(UnverifiedJwt::parse(&token).unwrap().kid(), Some(&*identity[0]));
}

#[tokio::test]
async fn the_jwks_says_what_is_public_and_nothing_else() {
    let (_, issuer) = alone();
    issuer.advance(NOW).await.unwrap();
    let jwks = issuer.keys().jwks(SESSION);
    let document: Value = serde_json::from_slice(&jwks.body).unwrap();
    let mut names: Vec<_> = document["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert!(jwks.etag.starts_with('"') && jwks.etag.ends_with('"') && jwks.etag.len() == 34);
    issuer.load().await.unwrap();
    assert_eq!(issuer.keys().jwks(SESSION), jwks);
    issuer.rotate(SESSION, false, &Caller::host(), NOW + SECOND).await.unwrap();
    assert_ne!(issuer.keys().jwks(SESSION).etag, jwks.etag);
    let shown = format!("{issuer:?} {:?} {:?}", issuer.keys(), issuer.list().await.unwrap());
    let sealed = format!("{:?}", &of_session(&issuer).await[0].sealed[20..32]);
    assert!(!shown.contains(sealed.trim_matches(['[', ']'])), "{shown}");
}
