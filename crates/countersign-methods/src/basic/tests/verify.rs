//! Credential against record: one row per `Failure`.

use super::{DAY, HOME, House, RIGHT, WRONG, alice, basic, code};
use crate::{
    basic::{
        app_password::{self, AppPasswordRecord, AppPasswordState},
        verify::{Failure, app_password as judge, signed_in},
    },
    fakes::{NOW, Sequence, peppers, person, scopes},
};
use countersign_core::{
    Authentication, CredentialId, MethodName, MethodRule, Node, NodeKind, Place, Refusal, Timestamp,
    authenticator::Fault, principal::Principal,
};
use std::{collections::HashSet, sync::atomic::Ordering};

/// The right shape and checksum, and nobody's.
fn stranger() -> String {
    let (format, entropy) = (app_password::format("cs").unwrap(), Sequence::default());
    for _ in 0..100 {
        format.generate(&entropy); // the first of this sequence may be somebody's
    }
    format.generate(&entropy).token.expose().to_owned()
}

fn held(
    user: &str,
    secret: &str,
    found: Option<&(AppPasswordRecord, Principal)>,
    now: Timestamp,
) -> Result<Authentication, Failure> {
    let format = app_password::format("cs").unwrap();
    let token = format.parse(secret.as_bytes()).unwrap();
    judge(user, &token, found, (&peppers(), format.name()), now)
}

/// The whole table; those that need the room stand at its end.
#[tokio::test]
async fn every_failure() {
    let house = House::new();
    let (record, secret) = house.app_password().await;
    let is = |edit: fn(&mut AppPasswordRecord)| {
        let mut record = record.clone();
        edit(&mut record);
        Some((record, alice()))
    };
    let revoked = is(|r| r.state = AppPasswordState::Revoked { at: NOW });
    let (good, strange) = (secret.as_str(), &*stranger());
    let rows = [
        ("alice", good, None, NOW, Failure::UnknownAppPassword),
        ("alice", strange, None, NOW, Failure::UnknownAppPassword),
        ("alice", strange, is(|_| ()), NOW, Failure::UnknownAppPassword),
        // who does not hold it learns nothing of its state
        ("alice", strange, revoked.clone(), NOW, Failure::UnknownAppPassword),
        ("bob", strange, is(|_| ()), NOW, Failure::UnknownAppPassword),
        ("alice", strange, is(|_| ()), NOW + DAY * 400, Failure::UnknownAppPassword),
        ("alice", good, is(|r| r.digest.hash[31] ^= 1), NOW, Failure::UnknownAppPassword),
        // a store that answers with another row, or with somebody else's owner
        ("alice", good, is(|r| r.id = CredentialId::new("000000000000")), NOW, Failure::UnknownAppPassword),
        ("alice", good, is(|r| r.owner = person("bob", "").id), NOW, Failure::UnknownAppPassword),
        ("bob", good, Some((record.clone(), person("bob", ""))), NOW, Failure::UnknownAppPassword),
        ("bob", good, is(|_| ()), NOW, Failure::WrongUser),
        ("", good, is(|_| ()), NOW, Failure::WrongUser),
        // not even that is said of what somebody else holds
        ("bob", good, revoked.clone(), NOW, Failure::WrongUser),
        ("alice", good, is(|_| ()), record.expires_at, Failure::AppPasswordExpired),
        ("alice", good, revoked.clone(), NOW, Failure::AppPasswordRevoked),
        ("alice", good, revoked, record.expires_at, Failure::AppPasswordRevoked),
        // RULES 4.3: a pepper that a row names and the configuration lacks is our fault
        ("alice", good, is(|r| r.digest.pepper = 9), NOW, Failure::PepperMissing),
    ];
    let mut met = HashSet::new();
    for (n, (user, secret, found, now, failure)) in rows.iter().enumerate() {
        assert_eq!(held(user, secret, found.as_ref(), *now).unwrap_err(), *failure, "row {n}");
        met.insert(*failure);
    }
    house.right();
    let home = HOME.parse().unwrap();
    for (user, password, failure) in [
        ("", RIGHT, Failure::Impossible),
        ("al ice", RIGHT, Failure::Impossible),
        ("alice", "", Failure::Impossible),
        ("alice", "p\u{85}w", Failure::Impossible),
        ("nobody", RIGHT, Failure::Unknown),
        // somebody without one
        ("bob", RIGHT, Failure::Unknown),
        ("alice", " verdant kettle orbits mildly", Failure::WrongPassword),
        ("alice", "Verdant kettle orbits mildly", Failure::WrongPassword),
        ("alice", WRONG, Failure::WrongPassword),
        ("alice", WRONG, Failure::WrongPassword),
        ("alice", WRONG, Failure::WrongPassword),
        ("alice", RIGHT, Failure::Throttled),
    ] {
        let answer = house.authenticator.sign_in(user, password, home, NOW).await;
        assert_eq!(answer.unwrap_err(), failure, "{user}:{password}");
        met.insert(failure);
    }
    house.store.down.store(true, Ordering::Relaxed);
    assert_eq!(house.authenticator.sign_in("bob", RIGHT, home, NOW).await.unwrap_err(), Failure::Busy);
    met.insert(Failure::Busy);
    for key in ["cs_live_", "cs_test_rubbish", "cs_live_0123456789ab"] {
        let answer = house.use_it(&basic("alice", key), HOME, &MethodRule::DEFAULT).await;
        assert_eq!(answer, Err(Failure::Key.refusal()), "{key}");
        met.insert(Failure::Key);
    }
    for failure in Failure::ALL {
        assert!(met.contains(&failure), "{failure:?} has no row");
    }
}

/// Nothing tells who exists, nor who was guessed at too often; the operator is told them apart.
#[test]
fn what_the_caller_is_told() {
    let told = |failure: Failure| match failure.refusal() {
        Refusal::Rejected(r) => {
            assert_eq!(r.fault, Fault::Invalid);
            Some(r)
        }
        Refusal::Unavailable => None,
    };
    for failure in Failure::ALL {
        let expected = match failure {
            Failure::AppPasswordExpired => Some("app_password_expired"),
            Failure::AppPasswordRevoked => Some("app_password_revoked"),
            // our fault
            Failure::PepperMissing | Failure::Busy => None,
            _ => Some("credential_invalid"),
        };
        assert_eq!(told(failure).map(|r| r.code), expected, "{failure:?}");
    }
    let reasons: HashSet<_> = Failure::ALL.into_iter().filter_map(told).map(|r| r.reason).collect();
    assert_eq!(reasons.len(), Failure::ALL.len() - 2);
}

#[tokio::test]
async fn unknown_wrong_and_throttled_read_the_same() {
    let house = House::new();
    house.right();
    let mut told = HashSet::new();
    for (user, password) in [("nobody", RIGHT), ("bob", RIGHT), ("alice", WRONG)] {
        for _ in 0..5 {
            told.insert(code(house.sign_in(user, password).await));
        }
        assert_eq!(house.pauses(), 0);
        told.insert(code(house.sign_in(user, password).await));
        assert_eq!(house.pauses.0.lock().unwrap().drain(..).count(), 1, "{user} is not slowed down");
    }
    assert_eq!(told, HashSet::from(["credential_invalid"]));
    assert_eq!(house.hashed().await, 15, "whether there is such a person or not");
}

/// RULES 1.3, 2.5
#[test]
fn what_a_password_establishes() {
    let house = House::new();
    let record = house.right();
    let known = signed_in(&alice(), &record, NOW + DAY);
    assert_eq!((known.method, &known.principal), (MethodName::Basic, &alice().id));
    assert_eq!(known.credential.as_str(), &*record.node().id);
    let lineage: HashSet<_> = known.lineage.iter().cloned().collect();
    assert_eq!(lineage, HashSet::from([Node::principal(&alice().id), record.node()]));
    assert_eq!(known.scopes, alice().scopes);
    assert_eq!((known.place, known.authenticated_at), (Place::Authorization, NOW + DAY));
    assert_eq!((known.expires_at, known.audiences.is_none(), known.issuer.is_none()), (None, true, true));
}

/// RULES 2.5, 2.6: it dies with its owner, itself, and whatever made it; and holds its own scopes.
#[tokio::test]
async fn what_an_app_password_establishes() {
    let house = House::new();
    let (record, secret) = house.app_password().await;
    let parent = Node::new(NodeKind::Session, "s1");
    let record = AppPasswordRecord { parents: vec![parent.clone()], ..record };
    let known = held("alice", &secret, Some(&(record.clone(), alice())), NOW).unwrap();
    assert_eq!((known.method, &known.credential), (MethodName::Basic, &record.id));
    let lineage: HashSet<_> = known.lineage.iter().cloned().collect();
    assert_eq!(lineage, HashSet::from([Node::principal(&alice().id), record.node(), parent]));
    assert_eq!((known.scopes, known.expires_at), (scopes("orders:read"), Some(record.expires_at)));
    // and nothing of the person's password
    assert!(!known.lineage.iter().any(|node| node.kind == NodeKind::Password));
}

/// One digest, one kind: what a key's row holds opens no app password (RULES 4.3).
#[tokio::test]
async fn a_digest_of_another_kind_is_none() {
    let house = House::new();
    let (mut record, secret) = house.app_password().await;
    let format = app_password::format("cs").unwrap();
    let token = format.parse(secret.as_bytes()).unwrap();
    for (kind, prefix) in [("api_key", format.name()), ("app_password", "cs_live"), ("app_password", "")] {
        let parts = countersign_crypto::token::digest::TokenParts {
            kind,
            prefix,
            id: token.id(),
            secret: token.secret(),
        };
        record.digest.hash = peppers().digest(&parts);
        let found = (record.clone(), alice());
        assert_eq!(held("alice", &secret, Some(&found), NOW).unwrap_err(), Failure::UnknownAppPassword);
    }
}
