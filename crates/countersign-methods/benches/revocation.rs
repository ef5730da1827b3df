//! What a request pays for what is revoked: a lineage of six nodes, as a session token has it, against nothing and
//! against a million. The aim: at most 150 ns between the two.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

use countersign_core::{
    Lineage, Node, NodeKind, Timestamp,
    check::revocation::{Position, RevocationFeed},
};
use countersign_crypto::SystemEntropy;
use countersign_methods::{
    principal::directory::LocalDirectory,
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind},
    },
};
use countersign_testkit::MemoryStore;
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Duration};

criterion_group!(benches, lineages);
criterion_main!(benches);

const REVOKED: i64 = 1_000_000;
/// Many, so that no lineage is where the last one was.
const LINEAGES: usize = 20_000;

fn lineages(c: &mut Criterion) {
    let lineages: Vec<Lineage> = (0..LINEAGES).map(lineage).collect();
    for (name, revoked) in [("none", 0), ("a million", REVOKED)] {
        let memory = memory(revoked);
        let mut turn = lineages.iter().cycle();
        c.bench_function(&format!("a lineage of six, {name} revoked"), |b| {
            b.iter(|| {
                let lineage = turn.next().expect("it goes round");
                assert!(holds(black_box(lineage), &memory));
            });
        });
    }
}

/// As `core/check/revocation` walks it.
fn holds(lineage: &Lineage, feed: &dyn RevocationFeed) -> bool {
    let read_at = feed.position();
    !lineage.iter().any(|node| feed.is_revoked(node))
        && read_at >= feed.floor()
        && !lineage.iter().any(|node| feed.changed_at(node).is_some_and(|at| at > read_at))
}

fn lineage(n: usize) -> Lineage {
    let node = |kind, prefix: &str| Node::new(kind, &format!("{prefix}{:020}", n * 7919));
    Lineage::new([
        node(NodeKind::Principal, "usr_"),
        node(NodeKind::Password, "usr_"),
        node(NodeKind::Client, "cli_"),
        node(NodeKind::Session, "ses_"),
        node(NodeKind::Consent, "con_"),
        node(NodeKind::Certificate, "cert_"),
    ])
}

fn memory(revoked: i64) -> ChangeMemory {
    let now = Timestamp::from_seconds(1_800_000_000);
    let directory = Arc::new(LocalDirectory::new(Arc::new(MemoryStore::new()), 1000));
    let memory = ChangeMemory::new(directory, ChangeMemory::BLIND_AFTER, &SystemEntropy);
    let all: Vec<Change> = (1..=revoked)
        .map(|n| Change {
            position: Position(n),
            kind: ChangeKind::Revoked,
            node: Node::new(NodeKind::Session, &format!("{n:020}")),
            at: now,
            until: Some(now + Duration::from_secs(3600)),
        })
        .collect();
    memory.revoked(&all, now);
    memory.reload(Position(revoked), now);
    memory
}
