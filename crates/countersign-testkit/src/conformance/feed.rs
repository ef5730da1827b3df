//! The port of the feed (RULES 2.5).

use super::{Ports, at, event, fifty, key, key_id};
use countersign_core::{Node, NodeKind, Timestamp, check::revocation::Position};
use countersign_methods::revocation::store::{Change, ChangeKind, each_revoked};

fn node(n: u32) -> Node {
    Node::new(NodeKind::Certificate, &format!("certificate {n}"))
}

async fn revoke(ports: &Ports, n: u32, until: Option<Timestamp>) -> Position {
    ports.feed.revoke(node(n), at(i64::from(n)), until, event("certificate.revoke", "x")).await.unwrap()
}

fn positions(changes: &[Change]) -> Vec<i64> {
    changes.iter().map(|change| change.position.0).collect()
}

pub async fn positions_follow_each_other(ports: Ports) {
    assert_eq!(ports.feed.head().await.unwrap(), Position(0));
    assert_eq!(ports.changes().await, []);
    for n in 1..=5 {
        assert_eq!(revoke(&ports, n, Some(at(9000))).await, Position(i64::from(n)));
    }
    assert_eq!(ports.feed.head().await.unwrap(), Position(5));
    let after_two = ports.feed.since(Position(2), 2).await.unwrap();
    assert_eq!(positions(&after_two), [3, 4]);
    let expected = Change {
        position: Position(3),
        kind: ChangeKind::Revoked,
        node: node(3),
        at: at(3),
        until: Some(at(9000)),
    };
    assert_eq!(after_two[0], expected);
    assert_eq!(ports.feed.since(Position(5), 10).await.unwrap(), []);
}

pub async fn what_counts_no_more_is_left_out(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    revoke(&ports, 1, Some(at(100))).await;
    revoke(&ports, 2, None).await;
    revoke(&ports, 3, Some(at(200))).await;
    // a change that revokes nothing
    let change = countersign_methods::principal::store::PrincipalChange::default();
    ports.principals.change(&owner.id, 1, change, event("principal.change", "x")).await.unwrap();
    for (now, left) in [(at(99), vec![1, 2, 3]), (at(100), vec![2, 3]), (at(200), vec![2])] {
        let mut changes = Vec::new();
        let head = each_revoked(&*ports.feed, now, |page| changes.extend_from_slice(page)).await.unwrap();
        assert_eq!(head, Position(4));
        assert_eq!(positions(&changes), left);
    }
    // a page at a time, and nothing that came after the head
    for (position, head, limit, page) in [
        (0, 4, 2, vec![1, 2]),
        (2, 4, 2, vec![3]),
        (3, 4, 2, vec![]),
        (0, 2, 9, vec![1, 2]),
        (1, 1, 9, vec![]),
    ] {
        let read = ports.feed.revoked(at(99), Position(position), Position(head), limit).await.unwrap();
        assert_eq!(positions(&read), page, "{position} {head} {limit}");
    }
}

pub async fn a_refused_write_leaves_no_hole(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    revoke(&ports, 1, None).await;
    for _ in 0..3 {
        let change = countersign_methods::principal::store::PrincipalChange::default();
        let stale = ports.principals.change(&owner.id, 7, change, event("principal.change", "x")).await;
        stale.unwrap_err();
    }
    revoke(&ports, 2, None).await;
    assert_eq!(positions(&ports.changes().await), [1, 2]);
    assert!(ports.keys.find(&key_id(1)).await.unwrap().is_some());
}

/// Two transactions that commit out of order would lose a revocation for ever to a reader who goes by position.
pub async fn fifty_revocations_at_once_become_visible_in_order(ports: Ports) {
    let watched = ports.clone();
    let reader = tokio::spawn(async move {
        let mut looks = 0_u32;
        loop {
            let seen = positions(&watched.changes().await);
            let whole: Vec<i64> = (1..=seen.len() as i64).collect();
            assert_eq!(seen, whole, "a hole was visible");
            looks += 1;
            if seen.len() == 50 || looks == 100_000 {
                return (seen.len(), looks);
            }
        }
    });
    let answered = fifty(|n| {
        let ports = ports.clone();
        async move { (n, revoke(&ports, n, None).await) }
    });
    let answered = answered.await;
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 50);
    for (n, position) in answered {
        let own = &changes[position.0 as usize - 1];
        assert_eq!((own.position, &own.node), (position, &node(n)), "each is told its own position");
    }
    assert_eq!(reader.await.unwrap().0, 50);
}
