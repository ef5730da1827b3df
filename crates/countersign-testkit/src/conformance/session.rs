//! The port of the sessions.

use super::{Ports, at, event, fifty, key, key_id, scopes, service};
use countersign_core::{
    CredentialId, Node, NodeKind, PrincipalId, StoreError, Timestamp, page::PageRequest, principal::Principal,
};
use countersign_methods::{
    api_key::{
        record::{ApiKeyRecord, KeyId, RevocationReason},
        store::Rotation as ApiKeyRotation,
    },
    principal::store::PrincipalChange,
    revocation::store::ChangeKind,
    session::{
        record::{
            EndReason, RefreshFamily, SessionKind, SessionRecord, SessionState, TokenDigest, session_node,
        },
        store::{Before, KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery},
    },
};
use std::time::Duration;

pub fn session_id(n: u32) -> CredentialId {
    CredentialId::new(&format!("s{n:011}"))
}

fn token(n: u32) -> TokenDigest {
    let mut digest = [0xfe; 32];
    digest.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
    TokenDigest(digest)
}

/// Number `n` of some sessions, with a refresh token: begun in the second `n`, over when it was not used for 1000 s, and
/// 5000 s later in any case.
pub fn session(n: u32, principal: &Principal) -> SessionRecord {
    let begun = at(i64::from(n));
    SessionRecord {
        id: session_id(n),
        principal: principal.id.clone(),
        kind: SessionKind::Native,
        host: "orders.example".into(),
        scopes: scopes("orders:read"),
        audiences: ["https://orders.example".into()].into(),
        parents: vec![Node::generation(&principal.id, 0)],
        amr: "pwd".into(),
        authenticated_at: begun,
        created_at: begun,
        last_used_at: begun,
        idle: Duration::from_secs(1000),
        expires_at: begun + Duration::from_secs(5000),
        agent: String::new(),
        address: None,
        cookie: None,
        refresh: Some(RefreshFamily { current: token(0), previous: None, generation: 0, rotated_at: begun }),
        state: SessionState::Open,
    }
}

/// From token `from` to token `to` of session `n`.
pub fn rotation(n: u32, from: u32, to: u32, when: Timestamp) -> Rotation {
    let sealed = to.to_be_bytes().repeat(12);
    Rotation { id: session_id(n), from: token(from), to: token(to), sealed, at: when }
}

/// More than any test fills but the one that means to.
pub const ROOM: Room = Room { most: 1000, until: at(9000) };

async fn create(ports: &Ports, record: &SessionRecord) {
    let made = ports.sessions.create(record.clone(), 0, ROOM, event("session.create", record.id.as_str()));
    made.await.unwrap();
}

async fn found(ports: &Ports, n: u32) -> SessionRecord {
    ports.sessions.find(&session_id(n)).await.unwrap().expect("a session of that id")
}

async fn rotate(ports: &Ports, rotation: Rotation) -> Rotated {
    let event = event("session.refresh", rotation.id.as_str());
    ports.sessions.rotate(rotation, event).await.unwrap()
}

async fn end(ports: &Ports, n: u32, when: i64) -> SessionEnded {
    let event = event("session.end", session_id(n).as_str());
    ports.sessions.end(&session_id(n), EndReason::SignedOut, at(when), at(9000), event).await.unwrap()
}

async fn end_generation(ports: &Ports, principal: &PrincipalId, when: i64) -> Option<(i64, u64)> {
    let event = event("session.end_all", principal.as_str());
    ports.sessions.end_generation(principal, at(when), at(9000), event).await.unwrap()
}

/// Of everything in the feed: what was revoked, when, and until when that counts.
async fn revoked(ports: &Ports) -> Vec<(Node, Timestamp, Option<Timestamp>)> {
    let changes = ports.changes().await;
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Revoked), "{changes:?}");
    let mut revoked: Vec<_> = changes.into_iter().map(|c| (c.node, c.at, c.until)).collect();
    revoked.sort();
    revoked
}

pub async fn a_created_session_is_found_as_it_was(ports: Ports) {
    let owner = ports.owner(1).await;
    let cookie = SessionRecord {
        kind: SessionKind::Cookie,
        cookie: Some(TokenDigest([0xff; 32])),
        refresh: None,
        address: Some("192.0.2.7".parse().unwrap()),
        ..session(2, &owner)
    };
    let full = SessionRecord {
        kind: SessionKind::JwtCookie,
        host: "orders.example:8443".into(),
        scopes: scopes(""),
        audiences: ["https://a.example/\"x\"".into(), "urn:b, c".into()].into(),
        parents: vec![
            Node::new(NodeKind::Password, "usr_x.3"),
            Node::new(NodeKind::Certificate, "an id: with spaces, \"quotes\" and : colons"),
        ],
        amr: "pwd otp".into(),
        authenticated_at: Timestamp::from_micros(at(1).as_micros() + 1),
        last_used_at: at(77),
        idle: Duration::from_micros(1_234_567),
        agent: "a browser \u{e9} 'x' \"y\" $1".into(),
        address: Some("2001:db8::7".parse().unwrap()),
        cookie: Some(TokenDigest([0; 32])),
        refresh: Some(RefreshFamily {
            current: token(8),
            previous: Some((token(7), vec![0, 0xff, 1])),
            generation: 41,
            rotated_at: at(76),
        }),
        ..session(3, &owner)
    };
    let bare =
        SessionRecord { audiences: [].into(), parents: Vec::new(), refresh: None, ..session(4, &owner) };
    let ended = SessionRecord {
        state: SessionState::Ended { at: at(5), reason: EndReason::Reuse },
        ..session(5, &owner)
    };
    for record in [session(1, &owner), cookie, full, bare, ended] {
        create(&ports, &record).await;
        assert_eq!(ports.sessions.find(&record.id).await.unwrap(), Some(record));
    }
    assert_eq!(ports.sessions.find(&session_id(99)).await.unwrap(), None);
    assert_eq!(ports.trail("session.create").await.len(), 5);
    assert_eq!(ports.changes().await, []);
}

pub async fn a_session_needs_its_principal_as_it_was_read(ports: Ports) {
    let owner = ports.owner(1).await;
    assert_eq!(ports.sessions.generation(&owner.id).await.unwrap(), Some(0));
    assert_eq!(ports.sessions.generation(&service(9).id).await.unwrap(), None);
    create(&ports, &session(1, &owner)).await;
    let try_to = |record: SessionRecord, generation| {
        let ports = ports.clone();
        async move { ports.sessions.create(record, generation, ROOM, event("session.create", "refused")).await }
    };
    let other = SessionRecord { host: "other.example".into(), ..session(1, &owner) };
    assert_eq!(try_to(other, 0).await, Err(StoreError::Conflict("session_exists")));
    assert_eq!(found(&ports, 1).await, session(1, &owner));
    let changed = Err(StoreError::Conflict("principal_changed"));
    assert_eq!(try_to(session(2, &service(9)), 0).await, changed, "unknown");
    assert_eq!(try_to(session(2, &owner), 1).await, changed, "another generation");
    let disable = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
    ports.principals.change(&owner.id, 1, disable, event("principal.disable", "x")).await.unwrap();
    assert_eq!(try_to(session(2, &owner), 0).await, changed, "disabled");
    assert_eq!(ports.sessions.find(&session_id(2)).await.unwrap(), None);
    assert_eq!(ports.trail("session.create").await.len(), 1);
}

pub async fn for_one_more_than_there_is_room_for_the_oldest_ends(ports: Ports) {
    let (owner, other) = (ports.owner(1).await, ports.owner(2).await);
    for n in 1..=4 {
        create(&ports, &session(n, &owner)).await;
    }
    create(&ports, &session(11, &other)).await;
    let parents = vec![Node::new(NodeKind::Password, "another")];
    create(&ports, &SessionRecord { parents, ..session(12, &owner) }).await;
    // what ended takes no room, and what was not used for too long makes room first
    end(&ports, 2, 10).await;
    let rested = SessionRecord { idle: Duration::from_secs(1), ..session(5, &owner) };
    create(&ports, &rested).await;
    assert_eq!(ports.trail("session.create").await.len(), 7);
    let begin = async |n: u32, most: u32| {
        let room = Room { most, ..ROOM };
        let record = SessionRecord { created_at: at(20), ..session(n, &owner) };
        let made = ports.sessions.create(record, 0, room, event("session.create", session_id(n).as_str()));
        made.await.unwrap();
    };
    begin(6, 4).await;
    assert_eq!(
        revoked(&ports).await.len(),
        2,
        "1, 3, 4 and the new one have room; the ends are those of 2 and 5"
    );
    begin(7, 3).await;
    let displaced = SessionState::Ended { at: at(20), reason: EndReason::Displaced };
    let state = async |n| found(&ports, n).await.state;
    assert_eq!([state(5).await, state(1).await, state(3).await], [displaced; 3]);
    for n in [4, 6, 7, 11, 12] {
        assert_eq!(state(n).await, SessionState::Open, "{n}");
    }
    let nodes: Vec<Node> = revoked(&ports).await.into_iter().map(|(node, ..)| node).collect();
    assert_eq!(nodes, [1, 2, 3, 5].map(|n| session_node(&session_id(n))));
    assert!(revoked(&ports).await.iter().all(|(.., until)| *until == Some(at(9000))));
    let told = async |n: u32| {
        let trail = ports.trail("session.create").await;
        let of = trail.iter().find(|record| record.event.subject == session_id(n).as_str()).unwrap();
        of.event.detail.clone()
    };
    assert!(!told(4).await.contains("displaced"));
    let one = format!(r#""displaced":"{}""#, session_id(5));
    assert!(told(6).await.contains(&one), "{}", told(6).await);
    let two = format!(r#""displaced":"{} {}""#, session_id(1), session_id(3));
    assert!(told(7).await.contains(&two), "{}", told(7).await);
}

/// Whoever had room for more: the writer is not held up by all of them at once.
pub async fn for_one_that_begins_a_bounded_number_ends(ports: Ports) {
    let owner = ports.owner(1).await;
    for n in 1..=Room::AT_ONCE + 5 {
        create(&ports, &session(n, &owner)).await;
    }
    let begin = async |n: u32| {
        let room = Room { most: 1, ..ROOM };
        let made = ports.sessions.create(session(n, &owner), 0, room, event("session.create", "x"));
        made.await.unwrap();
        ports.changes().await.len()
    };
    let at_once = Room::AT_ONCE as usize;
    assert_eq!(begin(900).await, at_once);
    assert_eq!(begin(901).await, at_once + 6);
    assert_eq!(begin(902).await, at_once + 7);
    let open = SessionQuery { open_at: Some(at(903)), ..SessionQuery::default() };
    let open = ports.sessions.list(open).await.unwrap().items;
    assert_eq!(open, [session(902, &owner)]);
}

/// RULES 2.6.
pub async fn a_key_that_was_exchanged_ends_as_it_does_itself(ports: Ports) {
    let owner = ports.owner(1).await;
    let end = async |id: &KeyId| ports.sessions.key_end(&id.node()).await.unwrap();
    let made = [
        ApiKeyRecord { expires_at: Some(at(5000)), ..key(1, &owner) },
        ApiKeyRecord { expires_at: None, ..key(2, &owner) },
    ];
    for record in &made {
        ports.keys.create(record.clone(), event("api_key.create", record.id.as_str())).await.unwrap();
    }
    assert_eq!(end(&key_id(1)).await, KeyEnd::At(at(5000)));
    assert_eq!(end(&key_id(2)).await, KeyEnd::Never);
    assert_eq!(end(&key_id(3)).await, KeyEnd::Over);
    let rotation = ApiKeyRotation {
        predecessor: key_id(1),
        version: made[0].version,
        at: at(100),
        predecessor_expires_at: at(200),
        successor: key(3, &owner),
    };
    // what it was exchanged for ends with it, and what else hangs on it does not
    let generation = Node::generation(&owner.id, 0);
    let (own, other) = (key_id(1).node(), key_id(2).node());
    let parents =
        [vec![own.clone(), generation.clone()], vec![other.clone(), own.clone()], vec![generation, own]];
    for (n, parents) in (1..).zip(parents) {
        create(&ports, &SessionRecord { parents, ..session(n, &owner) }).await;
    }
    let ends = async |n| found(&ports, n).await.expires_at;
    let before = [ends(1).await, ends(2).await, ends(3).await];
    ports.keys.rotate(rotation, event("api_key.rotate", key_id(1).as_str())).await.unwrap();
    assert_eq!(end(&key_id(1)).await, KeyEnd::At(at(200)));
    assert_eq!([ends(1).await, ends(2).await, ends(3).await], [at(200), before[1], before[2]]);
    let reason = RevocationReason::Operator;
    ports.keys.revoke(&key_id(2), None, at(100), reason, event("api_key.revoke", "2")).await.unwrap();
    assert_eq!(end(&key_id(2)).await, KeyEnd::Over);
}

pub async fn sessions_are_listed_the_newest_first(ports: Ports) {
    let (one, two) = (ports.owner(1).await, ports.owner(2).await);
    for n in [3, 1, 5, 2] {
        create(&ports, &session(n, &one)).await;
    }
    create(&ports, &session(4, &two)).await;
    // begun in the same moment: the id decides
    create(&ports, &SessionRecord { id: session_id(6), ..session(5, &one) }).await;
    // idle at 1001, ended, over at 5003
    create(&ports, &SessionRecord { last_used_at: at(4999), ..session(30, &one) }).await;
    assert_eq!(end(&ports, 2, 10).await, SessionEnded::Now);
    let all = || SessionQuery::default();
    let of = |owner: &Principal| SessionQuery { principal: Some(owner.id.clone()), ..all() };
    let open_at = |seconds, query: SessionQuery| SessionQuery { open_at: Some(at(seconds)), ..query };
    let table = [
        (all(), vec![30, 6, 5, 4, 3, 2, 1]),
        (of(&one), vec![30, 6, 5, 3, 2, 1]),
        (of(&two), vec![4]),
        (of(&service(9)), vec![]),
        (open_at(1000, all()), vec![30, 6, 5, 4, 3, 1]),
        (open_at(1001, all()), vec![30, 6, 5, 4, 3]),
        (open_at(1004, of(&one)), vec![30, 6, 5]),
        (open_at(5029, all()), vec![30]),
        (open_at(5030, all()), vec![]),
    ];
    for (query, expected) in table {
        let expected: Vec<CredentialId> = expected.into_iter().map(session_id).collect();
        for limit in 1..=8 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = PageRequest { after, limit };
                let page = ports.sessions.list(SessionQuery { page, ..query.clone() }).await.unwrap();
                assert!(page.items.len() <= limit as usize);
                seen.extend(page.items.into_iter().map(|record| record.id));
                after = page.next;
                if after.is_none() || seen.len() > 8 {
                    break;
                }
            }
            assert_eq!(seen, expected, "{query:?} {limit}");
        }
    }
    for after in ["", "x", "1.", "1.~", "y.s00000000001", "1.' OR '1'='1"] {
        let page = PageRequest { after: Some(after.into()), limit: 5 };
        let refused = ports.sessions.list(SessionQuery { page, ..all() }).await;
        assert_eq!(refused.unwrap_err(), StoreError::Conflict("cursor_invalid"), "{after}");
    }
}

pub async fn a_rotation_goes_on_from_the_present_token(ports: Ports) {
    let owner = ports.owner(1).await;
    create(&ports, &session(1, &owner)).await;
    create(&ports, &session(2, &owner)).await;
    for step in 1..=3 {
        let when = at(100 * i64::from(step));
        let next = rotation(1, step - 1, step, when);
        assert_eq!(rotate(&ports, next.clone()).await, Rotated::Done);
        let family = RefreshFamily {
            current: token(step),
            previous: Some((token(step - 1), next.sealed)),
            generation: i64::from(step),
            rotated_at: when,
        };
        let expected = SessionRecord { refresh: Some(family), last_used_at: when, ..session(1, &owner) };
        assert_eq!(found(&ports, 1).await, expected);
    }
    // one of an earlier step, one that never was, one of another session
    for (n, from) in [(1, 2), (1, 1), (1, 77), (2, 3), (9, 0)] {
        assert_eq!(rotate(&ports, rotation(n, from, 50, at(400))).await, Rotated::Lost, "{n} {from}");
    }
    assert_eq!(found(&ports, 2).await, session(2, &owner));
    // a clock that is behind moves the last use of nothing
    assert_eq!(rotate(&ports, rotation(1, 3, 4, at(200))).await, Rotated::Done);
    assert_eq!(found(&ports, 1).await.last_used_at, at(300));
    assert_eq!(ports.trail("session.refresh").await.len(), 4);
    assert_eq!(ports.changes().await, [], "rotations stay out of the feed");
}

pub async fn what_is_over_is_not_rotated(ports: Ports) {
    let owner = ports.owner(1).await;
    for n in 1..=4 {
        create(&ports, &session(n, &owner)).await;
    }
    create(&ports, &SessionRecord { refresh: None, ..session(5, &owner) }).await;
    assert_eq!(end(&ports, 1, 50).await, SessionEnded::Now);
    ports.sessions.used(vec![(session_id(2), at(4900))]).await.unwrap();
    let table = [
        ("ended", 1, at(60)),
        ("its end", 2, at(5002)),
        ("long after its end", 2, Timestamp::from_micros(i64::MAX)),
        ("idle", 3, at(1003)),
        ("no refresh token", 5, at(10)),
    ];
    for (what, n, when) in table {
        let was = found(&ports, n).await;
        assert_eq!(rotate(&ports, rotation(n, 0, 1, when)).await, Rotated::Lost, "{what}");
        assert_eq!(found(&ports, n).await, was, "{what}");
    }
    assert_eq!(ports.trail("session.refresh").await, []);
    let last_moment = Timestamp::from_micros(at(1004).as_micros() - 1);
    assert_eq!(rotate(&ports, rotation(4, 0, 1, last_moment)).await, Rotated::Done);
}

// RULES 4.2
pub async fn of_fifty_rotations_at_once_one_is_done(ports: Ports) {
    let owner = ports.owner(1).await;
    create(&ports, &session(1, &owner)).await;
    let results = fifty(|n| {
        let ports = ports.clone();
        async move { rotate(&ports, rotation(1, 0, n + 1, at(100))).await }
    });
    let results = results.await;
    let winners: Vec<usize> = (0..50).filter(|n| results[*n] == Rotated::Done).collect();
    let [winner] = winners[..] else { panic!("{results:?}") };
    let won = u32::try_from(winner).unwrap() + 1;
    let family = found(&ports, 1).await.refresh.unwrap();
    let sealed = rotation(1, 0, won, at(100)).sealed;
    let expected = RefreshFamily {
        current: token(won),
        previous: Some((token(0), sealed)),
        generation: 1,
        rotated_at: at(100),
    };
    assert!(family == expected, "{family:?}");
    assert_eq!(ports.trail("session.refresh").await.len(), 1);
}

pub async fn a_session_ends_once(ports: Ports) {
    let owner = ports.owner(1).await;
    create(&ports, &session(1, &owner)).await;
    assert_eq!(rotate(&ports, rotation(1, 0, 1, at(20))).await, Rotated::Done);
    let was = found(&ports, 1).await;
    assert_eq!(end(&ports, 99, 50).await, SessionEnded::Unknown);
    assert_eq!(end(&ports, 1, 50).await, SessionEnded::Now);
    assert_eq!(end(&ports, 1, 60).await, SessionEnded::Already);
    let ended = SessionState::Ended { at: at(50), reason: EndReason::SignedOut };
    assert_eq!(found(&ports, 1).await, SessionRecord { state: ended, ..was });
    assert_eq!(revoked(&ports).await, [(session_node(&session_id(1)), at(50), Some(at(9000)))]);
    assert_eq!(ports.trail("session.end").await.len(), 1);
}

pub async fn of_fifty_ends_at_once_one_writes(ports: Ports) {
    let owner = ports.owner(1).await;
    create(&ports, &session(1, &owner)).await;
    let results = fifty(|n| {
        let ports = ports.clone();
        async move { end(&ports, 1, i64::from(n) + 1).await }
    });
    let results = results.await;
    assert_eq!(results.iter().filter(|r| **r == SessionEnded::Now).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|r| **r == SessionEnded::Already).count(), 49, "{results:?}");
    assert_eq!((revoked(&ports).await.len(), ports.trail("session.end").await.len()), (1, 1));
}

pub async fn the_other_sessions_end_and_this_one_stays(ports: Ports) {
    let (one, two) = (ports.owner(1).await, ports.owner(2).await);
    for n in 1..=4 {
        create(&ports, &session(n, &one)).await;
    }
    create(&ports, &session(5, &two)).await;
    create(&ports, &SessionRecord { expires_at: at(90), ..session(6, &one) }).await;
    assert_eq!(end(&ports, 3, 50).await, SessionEnded::Now);
    let end_others = |except, when| {
        let (ports, one) = (ports.clone(), one.id.clone());
        async move {
            let event = event("session.end_others", one.as_str());
            ports.sessions.end_others(&one, &session_id(except), at(when), at(9000), event).await.unwrap()
        }
    };
    assert_eq!(end_others(2, 100).await, 2);
    let ended = SessionState::Ended { at: at(100), reason: EndReason::Revoked };
    for (n, state) in [(1, ended), (2, SessionState::Open), (4, ended), (5, SessionState::Open)] {
        assert_eq!(found(&ports, n).await.state, state, "{n}");
    }
    assert_eq!(found(&ports, 6).await.state, SessionState::Open, "over before");
    let kept = SessionState::Ended { at: at(50), reason: EndReason::SignedOut };
    assert_eq!(found(&ports, 3).await.state, kept, "as it ended first");
    let node = |n| session_node(&session_id(n));
    let until = Some(at(9000));
    assert_eq!(
        revoked(&ports).await,
        [(node(1), at(100), until), (node(3), at(50), until), (node(4), at(100), until)]
    );
    assert_eq!(end_others(2, 110).await, 0, "nothing left to end, and nothing to explain");
    assert_eq!(ports.trail("session.end_others").await.len(), 1);
    // idle by what is written; its last use may be on its way
    assert_eq!(end_others(99, 1500).await, 1);
    assert_eq!(ports.trail("session.end_others").await.len(), 2);
}

// RULES 2.5
pub async fn everything_before_now_ends_with_its_generation(ports: Ports) {
    let (one, two) = (ports.owner(1).await, ports.owner(2).await);
    for n in 1..=2 {
        create(&ports, &session(n, &one)).await;
    }
    create(&ports, &session(3, &two)).await;
    assert_eq!(end_generation(&ports, &service(9).id, 50).await, None);
    assert_eq!(end_generation(&ports, &one.id, 50).await, Some((0, 2)));
    let generation = |n| Node::generation(&one.id, n);
    assert_eq!(revoked(&ports).await, [(generation(0), at(50), Some(at(9000)))]);
    let ended = SessionState::Ended { at: at(50), reason: EndReason::Revoked };
    for (n, state) in [(1, ended), (2, ended), (3, SessionState::Open)] {
        assert_eq!(found(&ports, n).await.state, state, "{n}");
    }
    let create = |generation| {
        let record = session(4, &one);
        ports.sessions.create(record, generation, ROOM, event("session.create", "late"))
    };
    assert_eq!(create(0).await, Err(StoreError::Conflict("principal_changed")));
    create(1).await.unwrap();
    assert_eq!(ports.sessions.generation(&one.id).await.unwrap(), Some(1));
    assert_eq!(ports.sessions.generation(&two.id).await.unwrap(), Some(0));
    // also where nothing is open: tokens may be about
    assert_eq!(end_generation(&ports, &one.id, 60).await, Some((1, 1)));
    assert_eq!(end_generation(&ports, &one.id, 70).await, Some((2, 0)));
    let nodes: Vec<Node> = revoked(&ports).await.into_iter().map(|(node, ..)| node).collect();
    assert_eq!(nodes, [generation(0), generation(1), generation(2)]);
    assert_eq!(ports.trail("session.end_all").await.len(), 3);
    // the principal's own version guards other changes
    assert_eq!(ports.principals.find(&one.id).await.unwrap(), Some(one));
}

/// Whoever is signing in meanwhile is refused, or ends with the rest.
pub async fn no_session_slips_past_the_end_of_its_generation(ports: Ports) {
    let owner = ports.owner(1).await;
    let results = fifty(|n| {
        let (ports, owner) = (ports.clone(), owner.clone());
        async move {
            if n == 25 {
                let (ended, _) = end_generation(&ports, &owner.id, 100).await.unwrap();
                assert_eq!(ended, 0);
                return Ok(());
            }
            ports.sessions.create(session(n, &owner), 0, ROOM, event("session.create", "x")).await
        }
    });
    let results = results.await;
    let changed = Err(StoreError::Conflict("principal_changed"));
    assert!(results.iter().all(|r| r.is_ok() || *r == changed), "{results:?}");
    let query = SessionQuery { page: PageRequest { after: None, limit: 100 }, ..SessionQuery::default() };
    let all = ports.sessions.list(query).await.unwrap().items;
    assert_eq!(all.len() + 1, results.iter().filter(|r| r.is_ok()).count());
    assert!(all.iter().all(|record| record.state != SessionState::Open), "{all:?}");
    assert_eq!(ports.trail("session.create").await.len(), all.len());
}

/// Two who end everything, others who refresh, sign out and write uses: nobody waits for another crosswise.
pub async fn fifty_of_all_kinds_at_once_come_to_an_end(ports: Ports) {
    let owner = ports.owner(1).await;
    // the last id lies first
    for n in (0..50).rev() {
        create(&ports, &session(n, &owner)).await;
    }
    let results = fifty(|n| {
        let (ports, owner) = (ports.clone(), owner.id.clone());
        async move {
            match n % 5 {
                0 => drop(end_generation(&ports, &owner, 100).await.unwrap()),
                1 => {
                    let event = event("session.end_others", "x");
                    let except = session_id(n);
                    ports.sessions.end_others(&owner, &except, at(100), at(9000), event).await.unwrap();
                }
                2 => drop(rotate(&ports, rotation(n, 0, 1, at(100))).await),
                3 => drop(end(&ports, n, 100).await),
                _ => {
                    let uses = (0..50).rev().map(|n| (session_id(n), at(100))).collect();
                    ports.sessions.used(uses).await.unwrap();
                }
            }
        }
    });
    assert_eq!(results.await.len(), 50);
    assert_eq!(ports.sessions.generation(&owner.id).await.unwrap(), Some(10));
    let open = SessionQuery { open_at: Some(at(100)), ..SessionQuery::default() };
    assert_eq!(ports.sessions.list(open).await.unwrap().items, []);
}

pub async fn last_use_of_a_session_only_moves_forward(ports: Ports) {
    let owner = ports.owner(1).await;
    create(&ports, &session(1, &owner)).await;
    let uses = vec![(session_id(1), at(40)), (session_id(99), at(40)), (session_id(1), at(20))];
    ports.sessions.used(uses).await.unwrap();
    ports.sessions.used(vec![(session_id(1), at(30))]).await.unwrap();
    assert_eq!(found(&ports, 1).await, SessionRecord { last_used_at: at(40), ..session(1, &owner) });
    ports.sessions.used(Vec::new()).await.unwrap();
    assert_eq!(ports.changes().await, []);
}

pub async fn only_what_is_over_is_pruned(ports: Ports) {
    let owner = ports.owner(1).await;
    for n in 1..=9 {
        create(&ports, &session(n, &owner)).await;
    }
    for n in [1, 2] {
        assert_eq!(end(&ports, n, 100 * i64::from(n)).await, SessionEnded::Now);
    }
    let far = Duration::from_secs(100_000);
    create(&ports, &SessionRecord { idle: far, expires_at: at(150), ..session(10, &owner) }).await;
    create(&ports, &SessionRecord { idle: far, expires_at: at(50_000), ..session(11, &owner) }).await;
    let prune = |before, most| {
        let ports = ports.clone();
        let before = Before { over: at(before), ended_by_holder: at(0) };
        async move { ports.sessions.prune(before, most).await.unwrap() }
    };
    let left = || async {
        let page = ports.sessions.list(SessionQuery::default()).await.unwrap();
        let all: Vec<u32> =
            page.items.iter().map(|r| r.id.as_str().trim_start_matches('s').parse().unwrap()).collect();
        all
    };
    assert_eq!(prune(100, 10).await, 0, "ended then, not before");
    assert_eq!(prune(200, 10).await, 2);
    assert_eq!(left().await, [11, 9, 8, 7, 6, 5, 4, 3, 2]);
    assert_eq!(prune(201, 10).await, 1);
    ports.sessions.used(vec![(session_id(3), at(900))]).await.unwrap();
    assert_eq!(prune(1009, 2).await, 2, "at most so many");
    assert_eq!(prune(1009, 10).await, 3);
    assert_eq!(left().await, [11, 9, 3]);
    assert_eq!(prune(1009, 10).await, 0);
    assert_eq!((prune(3000, 0).await, prune(3000, 10).await), (0, 2));
    assert_eq!(left().await, [11]);
    assert_eq!(prune(60_000, 10).await, 1);
    assert_eq!(ports.trail("session.end").await.len(), 2);
}

pub async fn what_its_holder_ended_is_pruned_sooner(ports: Ports) {
    let owner = ports.owner(1).await;
    for n in 1..=4 {
        let room = Room { most: 2, ..ROOM };
        let made = ports.sessions.create(session(n, &owner), 0, room, event("session.create", "x"));
        made.await.unwrap();
    }
    assert_eq!(end(&ports, 3, 5).await, SessionEnded::Now);
    let (revoked, event) = (session_id(4), event("session.end", "x"));
    let revoke = ports.sessions.end(&revoked, EndReason::Revoked, at(5), at(9000), event);
    assert_eq!(revoke.await, Ok(SessionEnded::Now));
    let prune = async |ended, most| {
        let before = Before { over: at(0), ended_by_holder: at(ended) };
        ports.sessions.prune(before, most).await.unwrap()
    };
    assert_eq!(prune(3, 10).await, 0, "1 ended then, not before");
    assert_eq!((prune(4, 10).await, prune(5, 10).await), (1, 1), "1 and 2");
    assert_eq!((prune(5000, 0).await, prune(5000, 10).await, prune(5000, 10).await), (0, 1, 0));
    let left = ports.sessions.list(SessionQuery::default()).await.unwrap().items;
    let left: Vec<CredentialId> = left.into_iter().map(|record| record.id).collect();
    assert_eq!(left, [session_id(4)]);
}
