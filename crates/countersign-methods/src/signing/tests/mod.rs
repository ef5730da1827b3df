//! The states of a key: only what the door draws. What its life means to a store and to others is in `tests/tokens`.

use super::record::{KeyPurpose, SigningKeyRecord, SigningKeyState};
use crate::fakes::NOW;
use countersign_core::NodeKind;
use countersign_crypto::jose::Algorithm;
use proptest::prelude::*;
use std::time::Duration;

fn published() -> SigningKeyRecord {
    SigningKeyRecord {
        kid: "kid".into(),
        purpose: KeyPurpose::Session,
        algorithm: Algorithm::Es256,
        sealed: vec![0xee; 60],
        state: SigningKeyState::Published,
        since: NOW,
        created_at: NOW,
        version: 1,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Announce,
    Activate,
    Retire,
    Remove,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![Just(Step::Announce), Just(Step::Activate), Just(Step::Retire), Just(Step::Remove)];
    proptest::collection::vec(one, 0..12)
}

/// What the diagram of the door allows; `None`: nothing.
fn drawn(state: SigningKeyState, step: Step) -> Option<SigningKeyState> {
    use SigningKeyState::{Active, Published, Removed, Retired};
    match (state, step) {
        (Active, Step::Announce) | (Published, Step::Activate) => Some(Active),
        (Active, Step::Retire) => Some(Retired),
        (Published | Active | Retired, Step::Remove) => Some(Removed),
        _ => None,
    }
}

proptest! {
    #[test]
    fn only_what_is_drawn_happens(steps in steps()) {
        let mut record = published();
        for (at, step) in steps.into_iter().enumerate() {
            let now = NOW + Duration::from_secs(at as u64 + 1);
            let before = record.clone();
            let after = match step {
                Step::Announce => record.announce(),
                Step::Activate => record.activate(now),
                Step::Retire => record.retire(now),
                Step::Remove => record.remove(now),
            };
            record = match (after, drawn(before.state, step)) {
                (Ok(after), Some(state)) => {
                    prop_assert_eq!(after.state, state);
                    prop_assert_eq!(after.version, before.version + 1);
                    prop_assert_eq!(after.since, if state == before.state { before.since } else { now });
                    // what it is never changes, and what is removed keeps no private half
                    let same = SigningKeyRecord {
                        state: before.state,
                        since: before.since,
                        version: before.version,
                        sealed: before.sealed.clone(),
                        ..after.clone()
                    };
                    prop_assert_eq!(&same, &before);
                    prop_assert_eq!(after.sealed.is_empty(), state == SigningKeyState::Removed);
                    prop_assert_eq!(after.verifies(), state != SigningKeyState::Removed);
                    after
                }
                (Err(same), None) => {
                    prop_assert_eq!(&same, &before);
                    same
                }
                (after, drawn) => return Err(TestCaseError::fail(format!("{before:?} {step:?}: {after:?} {drawn:?}"))),
            };
        }
    }
}

#[test]
fn words_are_read_as_they_are_written() {
    for state in SigningKeyState::ALL {
        assert_eq!(SigningKeyState::parse(state.as_str()), Some(state));
    }
    for purpose in KeyPurpose::ALL {
        assert_eq!(KeyPurpose::parse(purpose.as_str()), Some(purpose));
    }
    for text in ["", "Active", "active ", "revoked", "Session"] {
        assert_eq!((SigningKeyState::parse(text), KeyPurpose::parse(text)), (None, None), "{text}");
    }
}

#[test]
fn what_it_signed_hangs_on_it_and_debug_shows_no_blob() {
    let record = published();
    let node = record.node();
    assert_eq!((node.kind, &*node.id), (NodeKind::SigningKey, "kid"));
    assert_eq!(format!("{record:?}"), "SigningKeyRecord(kid, session, published)");
}
