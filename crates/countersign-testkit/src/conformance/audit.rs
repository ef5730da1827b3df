//! The trail (RULES 3.9).

use super::{Ports, at, event, fifty, key, service};
use countersign_core::{
    RequestId, Timestamp,
    audit::{Actor, AuditEvent, AuditQuery, ChainState, StoredEvent},
};

async fn numbers(ports: &Ports, query: AuditQuery) -> Vec<i64> {
    ports.audit.page(query).await.unwrap().iter().map(|record| record.number).collect()
}

async fn assert_whole(ports: &Ports, expected: i64) {
    let state = ports.audit.verify().await.unwrap();
    assert!(matches!(state, ChainState::Whole { records, .. } if records == expected), "{state:?}");
}

pub async fn an_event_is_kept_word_for_word(ports: Ports) {
    let acting = service(3);
    let at = Timestamp::from_micros(1_800_000_000_123_456);
    let event = AuditEvent {
        at,
        actor: Actor::Principal { id: acting.id.clone(), credential: "api_key:aaaaaaaaaaaa".into() },
        action: "principal.create",
        subject: "svc_x".into(),
        source: Some("2001:db8::7".parse().unwrap()),
        request: Some(RequestId([0xab; 16])),
        detail: vec![("scopes", "a b".into()), ("label", "\"quoted\" \0 \u{1f511}".into())],
        once: None,
    };
    ports.principals.create(service(1), event.clone()).await.unwrap();
    let bare = AuditEvent { actor: Actor::Holder, source: None, request: None, detail: Vec::new(), ..event };
    ports.principals.create(service(2), bare).await.unwrap();
    let trail = ports.trail("principal.create").await;
    let expected = StoredEvent {
        at,
        actor: acting.id.to_string(),
        credential: "api_key:aaaaaaaaaaaa".into(),
        action: "principal.create".into(),
        subject: "svc_x".into(),
        source: "2001:db8::7".into(),
        request: "abababababababababababababababab".into(),
        detail: "{\"scopes\":\"a b\",\"label\":\"\\\"quoted\\\" \\u0000 \u{1f511}\"}".into(),
    };
    assert_eq!((trail[0].number, &trail[0].event), (1, &expected));
    let second = &trail[1].event;
    assert_eq!((second.actor.as_str(), second.credential.as_str()), ("holder", ""));
    assert_eq!((second.source.as_str(), second.request.as_str(), second.detail.as_str()), ("", "", "{}"));
    assert_ne!(trail[0].hash, trail[1].hash);
    assert_whole(&ports, 2).await;
}

pub async fn pages_by_action_subject_number_and_order(ports: Ports) {
    for n in 1..=3 {
        let owner = ports.owner(n).await;
        ports.create(&key(n, &owner)).await;
    }
    let query = || AuditQuery { limit: 10, ..AuditQuery::default() };
    let subject = Some(service(2).id.to_string());
    let action = Some("api_key.create".to_owned());
    let table = [
        (query(), vec![1, 2, 3, 4, 5, 6]),
        (AuditQuery { newest_first: true, limit: 2, ..query() }, vec![6, 5]),
        (AuditQuery { after: Some(4), ..query() }, vec![5, 6]),
        (AuditQuery { after: Some(2), newest_first: true, ..query() }, vec![6, 5, 4, 3]),
        (AuditQuery { action: action.clone(), ..query() }, vec![2, 4, 6]),
        (AuditQuery { subject: subject.clone(), ..query() }, vec![3]),
        (AuditQuery { action, subject, ..query() }, vec![]),
        (AuditQuery { limit: 0, ..query() }, vec![1]),
        (AuditQuery { before: Some(5), newest_first: true, limit: 2, ..query() }, vec![4, 3]),
        (AuditQuery { actor: Some("host".into()), ..query() }, vec![1, 2, 3, 4, 5, 6]),
        (AuditQuery { actor: Some("holder".into()), ..query() }, vec![]),
        (AuditQuery { after: Some(1), before: Some(4), ..query() }, vec![2, 3]),
        (AuditQuery { before: Some(1), ..query() }, vec![]),
    ];
    for (query, expected) in table {
        assert_eq!(numbers(&ports, query.clone()).await, expected, "{query:?}");
    }
}

pub async fn every_write_leaves_one_record_and_a_refused_one_none(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    ports.keys.create(key(1, &owner), event("api_key.create", "again")).await.unwrap_err();
    let node = countersign_core::Node::principal(&owner.id);
    ports.feed.revoke(node, at(0), None, event("principal.revoke", "x")).await.unwrap();
    assert_whole(&ports, 3).await;
}

pub async fn the_chain_holds_after_fifty_writes_at_once(ports: Ports) {
    let owner = ports.owner(1).await;
    let results = fifty(|n| {
        let (ports, key) = (ports.clone(), key(n % 40, &owner));
        async move { ports.keys.create(key, event("api_key.create", "x")).await.is_ok() }
    });
    // ten of them twice
    assert_eq!(results.await.into_iter().filter(|ok| *ok).count(), 40);
    assert_whole(&ports, 41).await;
}

pub async fn an_empty_chain_is_whole(ports: Ports) {
    assert_whole(&ports, 0).await;
}

/// Times follow the numbers but for moments; what is asked for is the first of that time or later.
pub async fn the_first_record_since_a_time_is_found(ports: Ports) {
    assert_eq!(ports.audit.first_since(at(0)).await.unwrap(), None);
    for (n, seconds) in [0, 10, 9, 20, 20_000, 19_999, 30_000].into_iter().enumerate() {
        let event = AuditEvent { at: at(seconds), ..event("principal.create", "x") };
        ports.principals.create(service(u32::try_from(n).unwrap()), event).await.unwrap();
    }
    for (since, first) in [
        (-1, Some(1)),
        (0, Some(1)),
        (1, Some(2)),
        (10, Some(2)),
        (11, Some(4)),
        (21, Some(5)),
        (20_000, Some(5)),
        (20_001, Some(7)),
        (30_001, None),
    ] {
        assert_eq!(ports.audit.first_since(at(since)).await.unwrap(), first, "{since}");
    }
}

pub async fn the_head_is_the_last_record(ports: Ports) {
    let before = ports.audit.chain_head().await.unwrap();
    assert_eq!((before.number, before.hash, before.epoch), (0, [0; 32], 1));
    ports.owner(1).await;
    ports.owner(2).await;
    let head = ports.audit.chain_head().await.unwrap();
    let last = &ports.trail("principal.create").await[1];
    assert_eq!((head.number, head.hash), (last.number, last.hash));
}
