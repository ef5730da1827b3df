//! What is kept, and what follows from it and the clock.

use super::{DAY, House, RIGHT, alice};
use crate::{
    basic::{
        app_password::{AppPasswordStanding, AppPasswordState, node},
        record::{PasswordRecord, password_node},
    },
    fakes::{NOW, person},
    principal::caller::Caller,
};
use countersign_core::{NodeKind, Timestamp};
use std::time::Duration;

/// RULES 2.5: a node of its own for every password that somebody ever had, and for nobody else's.
#[test]
fn every_version_is_a_node() {
    let house = House::new();
    let record = house.right();
    assert_eq!(record.node().kind, NodeKind::Password);
    assert_eq!(record.node(), password_node(&alice().id, record.version));
    let next = PasswordRecord { version: record.version + 1, ..record.clone() };
    let other = PasswordRecord { principal: person("bob", "").id, ..record.clone() };
    assert!(record.node() != next.node() && record.node() != other.node());
    // a better hash of the same password leaves what was signed in with it
    let hash = super::made(RIGHT, countersign_crypto::password::Argon2Parameters::default());
    assert_eq!(PasswordRecord { hash, normal: 7, ..record.clone() }.node(), record.node());
}

#[tokio::test]
async fn app_passwords_end_at_their_end() {
    let house = House::new();
    let (record, _) = house.app_password().await;
    assert_eq!(record.expires_at, NOW + DAY * 365);
    let last = Timestamp::from_micros(record.expires_at.as_micros() - 1);
    assert_eq!(record.standing(last), AppPasswordStanding::Active);
    assert_eq!(record.standing(record.expires_at), AppPasswordStanding::Expired);
    let revoked = AppPasswordState::Revoked { at: NOW };
    let record = super::AppPasswordRecord { state: revoked, ..record };
    for at in [NOW, NOW + DAY * 400] {
        assert_eq!(record.standing(at), AppPasswordStanding::Revoked, "revoked stays revoked");
    }
    assert_eq!((record.node(), record.node().kind), (node(&record.id), NodeKind::AppPassword));
}

/// No version comes twice while a row stands, also where the clock does not move or steps back.
#[tokio::test]
async fn versions_only_rise() {
    let house = House::new();
    let host = Caller::host();
    let mut before = i64::MIN;
    for (password, at) in [
        ("verdant kettle orbits mildly", NOW),
        ("tulips drift past a lantern", NOW),
        ("nine otters borrow umbrellas", Timestamp::from_seconds(1)),
        ("quiet harbour sells turnips", NOW + Duration::from_secs(60)),
    ] {
        let record = house.issuer.set_password(&alice().id, (password, None), &host, at).await.unwrap();
        assert!(record.version > before, "{password}");
        before = record.version;
    }
}
