//! A million revocations: what they take, and that none of them is lost or stays.

use countersign_core::{
    Node, NodeKind, Timestamp,
    check::revocation::{Position, RevocationFeed},
};
use countersign_methods::{
    principal::directory::LocalDirectory,
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind},
    },
};
use countersign_testkit::{MemoryStore, SeededEntropy};
use std::{sync::Arc, time::Duration};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const MILLION: i64 = 1_000_000;
const MOST: i64 = 64 * 1024 * 1024;

fn node(n: i64) -> Node {
    Node::new(NodeKind::Session, &format!("{n:020}"))
}

fn revoked(n: i64, until: Option<Timestamp>) -> Change {
    Change { position: Position(n), kind: ChangeKind::Revoked, node: node(n), at: NOW, until }
}

fn memory() -> ChangeMemory {
    let directory = Arc::new(LocalDirectory::new(Arc::new(MemoryStore::new()), 100));
    ChangeMemory::new(directory, ChangeMemory::BLIND_AFTER, &SeededEntropy::new(1))
}

#[test]
fn a_million_revocations_fit_and_end() {
    let memory = memory();
    let until = Some(NOW + HOUR);
    // as the feed brings them, with what is remembered of changes
    let taken = allocation_counter::measure(|| {
        for first in (1..=MILLION).step_by(1000) {
            let page: Vec<Change> = (first..first + 1000).map(|n| revoked(n, until)).collect();
            memory.apply(&page, NOW);
        }
    });
    println!("a million revocations: {} bytes, at most {}", taken.bytes_current, taken.bytes_max);
    assert!(taken.bytes_current > 16 * MILLION, "it counts this thread's");
    assert!(taken.bytes_current <= MOST && taken.bytes_max <= taken.bytes_current.unsigned_abs() * 2);
    assert_eq!(memory.revoked_count(), 1_000_000);
    assert!((1..=MILLION).all(|n| memory.is_revoked(&node(n))));
    assert!(!(MILLION + 1..=MILLION + 100_000).any(|n| memory.is_revoked(&node(n))));

    // a hundredth of them for longer, another for ever; the others said again, and shorter
    let again = |n: i64| match n % 100 {
        0 => revoked(n, Some(NOW + HOUR * 2)),
        1 => revoked(n, None),
        _ => revoked(n, Some(NOW + HOUR / 2)),
    };
    (1..=MILLION).step_by(1000).for_each(|first| {
        memory.revoked(&(first..first + 1000).map(again).collect::<Vec<_>>(), NOW);
    });
    assert_eq!(memory.revoked_count(), 1_000_000);
    memory.heard(NOW + HOUR);
    assert_eq!(memory.revoked_count(), 1_000_000, "none ends early");

    let given_back = allocation_counter::measure(|| memory.heard(NOW + HOUR + Duration::from_secs(61)));
    assert!(given_back.bytes_current < -10 * MILLION, "{} bytes", given_back.bytes_current);
    assert_eq!(memory.revoked_count(), 20_000);
    assert!((1..=MILLION).all(|n| memory.is_revoked(&node(n)) == (n % 100 < 2)));
    memory.heard(NOW + HOUR * 3);
    assert_eq!(memory.revoked_count(), 10_000);
    assert!((1..=MILLION).all(|n| memory.is_revoked(&node(n)) == (n % 100 == 1)));
}
