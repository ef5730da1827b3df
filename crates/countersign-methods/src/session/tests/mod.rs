//! What is pure of a session: its tokens, its end, its uses. Its life over a store is in `tests/tokens`.

mod token;
mod uses;

use super::record::{EndReason, SessionKind, SessionRecord, SessionState, TokenDigest};
use crate::fakes::{NOW, person, scopes};
use countersign_core::CredentialId;
use std::{sync::Arc, time::Duration};

const MICRO: Duration = Duration::from_micros(1);
const HOUR: Duration = Duration::from_secs(3600);

fn record() -> SessionRecord {
    SessionRecord {
        id: CredentialId::new("0aB3dE6gH9jK"),
        principal: person("ada", "orders:read").id,
        kind: SessionKind::Cookie,
        host: "api.example.com".into(),
        scopes: scopes("orders:read"),
        audiences: Arc::new([]),
        parents: Vec::new(),
        amr: "pwd".into(),
        authenticated_at: NOW,
        created_at: NOW,
        last_used_at: NOW,
        idle: HOUR,
        expires_at: NOW + HOUR * 3,
        agent: String::new(),
        address: None,
        cookie: Some(TokenDigest([0xee; 32])),
        refresh: None,
        state: SessionState::Open,
    }
}

#[test]
fn it_ends_at_whichever_end_is_first() {
    let mut record = record();
    let rows = [
        (NOW, NOW + HOUR),
        (NOW + HOUR, NOW + HOUR * 2),
        (NOW + HOUR * 2, NOW + HOUR * 3),
        // used to the last, it ends all the same
        ((NOW + HOUR * 3).saturating_sub(MICRO), NOW + HOUR * 3),
    ];
    for (used, end) in rows {
        record.last_used_at = used;
        assert_eq!(record.ends_at(), end);
        assert!(record.is_open(end.saturating_sub(MICRO)) && !record.is_open(end), "{used:?}");
    }
    // an idle time that is no time never opens it, and one beyond all never overflows
    record.last_used_at = NOW;
    record.idle = Duration::ZERO;
    assert!(!record.is_open(NOW));
    record.idle = Duration::MAX;
    assert_eq!(record.ends_at(), record.expires_at);
    for reason in EndReason::ALL {
        record.state = SessionState::Ended { at: NOW, reason };
        assert!(!record.is_open(NOW), "{reason:?}");
    }
}

#[test]
fn words_are_read_as_they_are_written() {
    for kind in SessionKind::ALL {
        assert_eq!(SessionKind::parse(kind.as_str()), Some(kind));
    }
    for reason in EndReason::ALL {
        assert_eq!(EndReason::parse(reason.as_str()), Some(reason));
    }
    for text in ["", "Cookie", "cookie ", "ended"] {
        assert_eq!((SessionKind::parse(text), EndReason::parse(text)), (None, None), "{text}");
    }
    assert!(!format!("{:?}", record()).contains("238, 238"));
}
