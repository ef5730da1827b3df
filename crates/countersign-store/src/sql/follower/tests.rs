use super::*;
use countersign_core::{Node, NodeKind};
use countersign_methods::revocation::store::ChangeKind;

fn changes(positions: &[i64]) -> Vec<Change> {
    let change = |position: &i64| Change {
        position: Position(*position),
        kind: ChangeKind::Changed,
        node: Node::new(NodeKind::Certificate, "c"),
        at: Timestamp::EPOCH,
        until: None,
    };
    positions.iter().map(change).collect()
}

#[test]
fn a_hole_is_noticed_wherever_it_is() {
    let table: [(i64, &[i64], Option<i64>); 7] = [
        (0, &[1], Some(1)),
        (4, &[5, 6, 7], Some(7)),
        (4, &[], None),
        (4, &[6], None),
        (4, &[5, 7], None),
        (4, &[4, 5], None),
        (4, &[6, 5], None),
    ];
    for (at, positions, last) in table {
        assert_eq!(contiguous(Position(at), &changes(positions)), last.map(Position), "{positions:?}");
    }
}

#[derive(Debug)]
struct Knows(i64);

impl ChangeSink for Knows {
    fn apply(&self, _changes: &[Change], _now: Timestamp) {}
    fn heard(&self, _now: Timestamp) {}
    fn revoked(&self, _page: &[Change], _now: Timestamp) {}
    fn reload(&self, _head: Position, _now: Timestamp) {}
    fn knows(&self, change: &Change) -> bool {
        change.position.0 == self.0
    }
}

/// The lag is of what others wrote.
#[test]
fn what_this_process_wrote_is_not_late() {
    let late = unknown(&Knows(6), &changes(&[5, 6, 7]));
    assert_eq!(late.iter().map(|(position, _)| position.0).collect::<Vec<_>>(), [5, 7]);
}
