//! The port of the signing keys.

use super::{Ports, at, event, fifty};
use countersign_core::StoreError;
use countersign_crypto::jose::Algorithm;
use countersign_methods::{
    revocation::store::ChangeKind,
    signing::{
        record::{KeyPurpose, SigningKeyRecord, SigningKeyState},
        store::SigningKeyChange,
    },
};

const CHANGED: Result<(), StoreError> = Err(StoreError::Conflict("signing_key_changed"));

/// Number `n` of some keys: made in the second `n`.
pub fn signing_key(n: u32, state: SigningKeyState) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: format!("kid_-{n:038}").into(),
        purpose: KeyPurpose::Session,
        algorithm: Algorithm::Es256,
        sealed: vec![0, 0, 0, 1, 0xff, u8::try_from(n % 251).unwrap()],
        state,
        since: at(i64::from(n)),
        created_at: at(i64::from(n)),
        version: 1,
    }
}

fn active(n: u32) -> SigningKeyRecord {
    signing_key(n, SigningKeyState::Active)
}

fn published(n: u32) -> SigningKeyRecord {
    signing_key(n, SigningKeyState::Published)
}

fn inserts(records: &[SigningKeyRecord]) -> SigningKeyChange {
    let events = records.iter().map(|record| event("signing_key.create", &record.kid)).collect();
    SigningKeyChange { inserts: records.to_vec(), events, ..SigningKeyChange::default() }
}

fn updates(records: &[SigningKeyRecord]) -> SigningKeyChange {
    let events = records.iter().map(|record| event("signing_key.change", &record.kid)).collect();
    SigningKeyChange { updates: records.to_vec(), events, ..SigningKeyChange::default() }
}

async fn change(ports: &Ports, change: SigningKeyChange) -> Result<(), StoreError> {
    ports.signing.change(change, at(500)).await
}

async fn list(ports: &Ports) -> Vec<SigningKeyRecord> {
    ports.signing.list().await.unwrap()
}

pub async fn signing_keys_are_listed_as_they_were(ports: Ports) {
    assert_eq!(list(&ports).await, []);
    let retired = signing_key(1, SigningKeyState::Retired);
    let other_purpose = SigningKeyRecord { purpose: KeyPurpose::Identity, ..active(2) };
    let other_algorithm =
        SigningKeyRecord { algorithm: Algorithm::Ed25519, sealed: vec![7; 2000], version: 9, ..active(4) };
    let all = [retired, other_purpose, active(3), other_algorithm, published(5)];
    // the oldest first, however they came
    for record in all.iter().rev() {
        change(&ports, inserts(std::slice::from_ref(record))).await.unwrap();
    }
    assert_eq!(list(&ports).await, all);
    assert_eq!(ports.trail("signing_key.create").await.len(), 5);
    assert_eq!(ports.changes().await, []);
}

pub async fn one_retires_and_the_next_signs_in_one_step(ports: Ports) {
    change(&ports, inserts(&[active(1), published(2)])).await.unwrap();
    let (first, second) = (active(1).retire(at(9)).unwrap(), published(2).activate(at(9)).unwrap());
    let mut step = updates(&[first.clone(), second.clone()]);
    step.inserts.push(published(3));
    change(&ports, step).await.unwrap();
    assert_eq!(list(&ports).await, [first, second, published(3)]);
    assert_eq!(ports.trail("signing_key.change").await.len(), 2);
    assert_eq!(ports.changes().await, [], "what was signed stays good");
}

pub async fn a_change_of_signing_keys_is_all_or_nothing(ports: Ports) {
    change(&ports, inserts(&[active(1), published(2), published(3)])).await.unwrap();
    let was = list(&ports).await;
    let stands = [
        ("a second one that is active", updates(&[published(2).activate(at(9)).unwrap()])),
        ("a new one that is active", inserts(&[published(4), active(5)])),
        ("activated before the other retires", {
            updates(&[published(2).activate(at(9)).unwrap(), active(1).retire(at(9)).unwrap()])
        }),
        ("two at once", {
            let (two, three) = (published(2).activate(at(9)).unwrap(), published(3).activate(at(9)).unwrap());
            updates(&[active(1).retire(at(9)).unwrap(), two, three])
        }),
        ("the version that stands", updates(&[active(1)])),
        ("a version ahead", {
            updates(&[SigningKeyRecord { version: 3, ..active(1).retire(at(9)).unwrap() }])
        }),
        ("an unknown kid", updates(&[active(9).retire(at(9)).unwrap()])),
        ("another purpose", {
            updates(&[SigningKeyRecord {
                purpose: KeyPurpose::Identity,
                ..published(2).activate(at(9)).unwrap()
            }])
        }),
        ("another algorithm", {
            updates(&[SigningKeyRecord {
                algorithm: Algorithm::Ed25519,
                ..published(2).activate(at(9)).unwrap()
            }])
        }),
        ("a kid that is taken", inserts(&[published(4), published(3)])),
        ("twice in one", inserts(&[published(4), published(4)])),
    ];
    for (what, mut step) in stands {
        step.updates.insert(0, published(3).remove(at(8)).unwrap());
        if step.updates.iter().filter(|record| record.kid == published(3).kid).count() > 1 {
            step.updates.remove(0);
        }
        step.revoked.push((published(3).node(), at(900)));
        assert_eq!(change(&ports, step).await, CHANGED, "{what}");
        assert_eq!(list(&ports).await, was, "{what}");
    }
    assert_eq!(ports.changes().await, []);
    assert_eq!(ports.trail("signing_key.change").await, []);
    assert_eq!(ports.trail("signing_key.create").await.len(), 3);
}

// RULES 5.3
pub async fn a_removed_signing_key_is_empty_and_in_the_feed(ports: Ports) {
    change(&ports, inserts(&[active(1), published(2)])).await.unwrap();
    let removed = active(1).remove(at(9)).unwrap();
    let mut step = updates(&[removed.clone(), published(2).activate(at(9)).unwrap()]);
    step.revoked = vec![(removed.node(), at(900)), (published(7).node(), at(901))];
    step.events.truncate(1);
    change(&ports, step).await.unwrap();
    let found = list(&ports).await;
    assert_eq!(found[0], removed);
    assert_eq!((found[0].state, &found[0].sealed), (SigningKeyState::Removed, &Vec::new()));
    let changes = ports.changes().await;
    let seen: Vec<_> = changes.iter().map(|c| (c.kind, c.node.clone(), c.at, c.until)).collect();
    assert_eq!(
        seen,
        [
            (ChangeKind::Revoked, removed.node(), at(500), Some(at(900))),
            (ChangeKind::Revoked, published(7).node(), at(500), Some(at(901))),
        ]
    );
    assert_eq!(ports.trail("signing_key.change").await.len(), 1);
    // gone for good: nobody brings it back without its version
    assert_eq!(change(&ports, updates(&[active(1).retire(at(10)).unwrap()])).await, CHANGED);
}

/// As many processes would: each retires the one that signs and has one of its own take its place.
pub async fn of_fifty_rotations_of_signing_keys_one_wins(ports: Ports) {
    let all: Vec<SigningKeyRecord> = (1..=50).map(published).collect();
    change(&ports, inserts(&[&all[..], &[active(0)]].concat())).await.unwrap();
    let results = fifty(|n| {
        let ports = ports.clone();
        let next = published(n + 1).activate(at(9)).unwrap();
        async move { change(&ports, updates(&[active(0).retire(at(9)).unwrap(), next])).await }
    });
    one_of(&results.await);
    let signs = list(&ports).await.iter().filter(|record| record.state == SigningKeyState::Active).count();
    assert_eq!((signs, ports.trail("signing_key.change").await.len()), (1, 2));
}

/// Nothing signs yet, and each activates another one.
pub async fn of_fifty_first_signing_keys_one_wins(ports: Ports) {
    // several times: what does not wait for the others is found out only by chance
    let algorithms = [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519];
    for (round, algorithm) in (0..).zip(algorithms) {
        let key = move |n: u32| SigningKeyRecord { algorithm, ..published(round * 50 + n) };
        change(&ports, inserts(&(0..50).map(key).collect::<Vec<_>>())).await.unwrap();
        let results = fifty(|n| {
            let ports = ports.clone();
            async move { change(&ports, updates(&[key(n).activate(at(9)).unwrap()])).await }
        });
        one_of(&results.await);
    }
    let signs = list(&ports).await.iter().filter(|record| record.state == SigningKeyState::Active).count();
    assert_eq!((signs, ports.trail("signing_key.change").await.len()), (4, 4));
}

/// There is none at all, and each makes one.
pub async fn of_fifty_new_signing_keys_one_wins(ports: Ports) {
    let results = fifty(|n| {
        let ports = ports.clone();
        async move {
            let step = SigningKeyChange {
                inserts: vec![active(n)],
                events: vec![event("signing_key.change", "x")],
                ..SigningKeyChange::default()
            };
            change(&ports, step).await
        }
    });
    one_of(&results.await);
    assert_eq!((list(&ports).await.len(), ports.trail("signing_key.change").await.len()), (1, 1));
}

fn one_of(results: &[Result<(), StoreError>]) {
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|result| **result == CHANGED).count(), 49, "{results:?}");
}
