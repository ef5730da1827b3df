//! The life of a key as a machine of states.

use super::{DAY, House};
use crate::{
    api_key::record::{ApiKeyRecord, KeyId, KeyStanding, KeyState, RevocationReason},
    fakes::NOW,
};
use countersign_core::Timestamp;
use proptest::prelude::*;
use std::time::Duration;

fn record() -> ApiKeyRecord {
    House::new().key().0
}

fn id(n: u8) -> KeyId {
    KeyId::parse(&format!("{n:012}")).unwrap()
}

#[test]
fn ids_are_twelve_base62_characters() {
    for bad in ["", "00000000000", "0000000000000", "00000000000_", "00000000000é", "0000000000é"] {
        assert!(KeyId::parse(bad).is_none(), "`{bad}`");
    }
    assert_eq!(KeyId::parse("0aZ000000000").unwrap().as_str(), "0aZ000000000");
}

/// At `expires_at` it is over, not after it.
#[test]
fn the_end_is_exclusive() {
    let record = ApiKeyRecord { expires_at: Some(NOW + DAY), ..record() };
    assert_eq!(record.standing(Timestamp::from_micros((NOW + DAY).as_micros() - 1)), KeyStanding::Active);
    assert_eq!(record.standing(NOW + DAY), KeyStanding::Expired);
    assert_eq!(
        ApiKeyRecord { expires_at: None, ..record }.standing(NOW + DAY * 100_000),
        KeyStanding::Active
    );
}

#[test]
fn what_is_over_cannot_be_rotated() {
    let at = NOW + DAY;
    let rotate = |r: ApiKeyRecord| r.rotated(at, DAY, id(1)).map(|_| ());
    assert_eq!(rotate(ApiKeyRecord { expires_at: Some(at), ..record() }), Err(KeyStanding::Expired));
    let reason = RevocationReason::Leaked;
    assert_eq!(rotate(record().revoked(NOW, reason).unwrap()), Err(KeyStanding::Revoked));
    assert_eq!(rotate(record().rotated(NOW, DAY * 2, id(2)).unwrap()), Err(KeyStanding::Rotated));
}

/// The grace shortens a life and never lengthens it.
#[test]
fn a_predecessor_ends_with_its_grace_or_before() {
    let ends = |end: Option<Timestamp>, grace: Duration| {
        ApiKeyRecord { expires_at: end, ..record() }.rotated(NOW, grace, id(1)).unwrap().expires_at
    };
    assert_eq!(ends(Some(NOW + DAY * 90), DAY), Some(NOW + DAY));
    assert_eq!(ends(Some(NOW + DAY), DAY * 2), Some(NOW + DAY));
    assert_eq!(ends(None, DAY), Some(NOW + DAY));
    assert_eq!(ends(None, Duration::ZERO), Some(NOW));
}

#[test]
fn the_first_reason_of_a_revocation_stays() {
    let once = record().revoked(NOW, RevocationReason::Leaked).unwrap();
    let state = once.state.clone();
    assert_eq!(once.revoked(NOW + DAY, RevocationReason::Operator), Err(KeyStanding::Revoked));
    assert_eq!(state, KeyState::Revoked { at: NOW, reason: RevocationReason::Leaked });
}

#[test]
fn words_are_read_as_they_are_written() {
    for reason in [RevocationReason::Operator, RevocationReason::Holder, RevocationReason::Leaked] {
        assert_eq!(RevocationReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(RevocationReason::parse("Operator"), None);
}

#[derive(Debug, Clone)]
enum Step {
    Rotate(u32),
    Revoke,
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seconds = 0..10_000_000_u32;
    let step =
        prop_oneof![seconds.clone().prop_map(Step::Rotate), Just(Step::Revoke), seconds.prop_map(Step::Wait)];
    proptest::collection::vec(step, 0..12)
}

proptest! {
    /// Whatever happens in whatever order: nothing comes back, no end moves away, every transition is one version.
    #[test]
    fn a_life_only_goes_forward(steps in steps()) {
        let mut record = record();
        let mut now = NOW;
        for step in steps {
            let (before, end, version) = (record.standing(now), record.expires_at.unwrap(), record.version);
            let result = match step {
                Step::Rotate(grace) => record.clone().rotated(now, Duration::from_secs(grace.into()), id(1)),
                Step::Revoke => record.clone().revoked(now, RevocationReason::Operator),
                Step::Wait(seconds) => {
                    now = now + Duration::from_secs(seconds.into());
                    prop_assert!(before.is_usable() || record.standing(now) == before);
                    continue;
                }
            };
            match (&step, result) {
                (Step::Rotate(_), Ok(after)) => {
                    prop_assert_eq!(before, KeyStanding::Active);
                    let rotated = matches!(after.state, KeyState::Rotated { .. });
                    prop_assert!(rotated);
                    record = after;
                }
                (Step::Rotate(_), Err(standing)) => {
                    prop_assert_ne!(before, KeyStanding::Active);
                    prop_assert_eq!(standing, before);
                    continue;
                }
                (_, Ok(after)) => {
                    prop_assert_ne!(before, KeyStanding::Revoked);
                    prop_assert_eq!(after.standing(now), KeyStanding::Revoked);
                    record = after;
                }
                (_, Err(standing)) => {
                    prop_assert_eq!((before, standing), (KeyStanding::Revoked, KeyStanding::Revoked));
                    continue;
                }
            }
            prop_assert_eq!(record.version, version + 1);
            prop_assert!(record.expires_at.unwrap() <= end);
        }
    }
}
