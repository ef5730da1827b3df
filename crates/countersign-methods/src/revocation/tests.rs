use super::{
    memory::ChangeMemory,
    store::{Change, ChangeKind},
};
use crate::{
    fakes::{FakeStore, NOW, Sequence, now_or_never, principal},
    principal::directory::LocalDirectory,
};
use countersign_core::{
    Node, NodeKind, Timestamp,
    check::revocation::{Position, RevocationFeed},
    directory::Directory,
};
use futures_util::FutureExt;
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn node(n: usize) -> Node {
    Node::new(NodeKind::ApiKey, &format!("{n:012}"))
}

fn change(position: i64, n: usize) -> Change {
    Change { position: Position(position), kind: ChangeKind::Changed, node: node(n), at: NOW, until: None }
}

fn revoked(position: i64, n: usize, until: Option<Timestamp>) -> Change {
    Change { kind: ChangeKind::Revoked, until, ..change(position, n) }
}

fn directory() -> Arc<LocalDirectory> {
    Arc::new(LocalDirectory::new(FakeStore::with([principal("demo", "a")]), 100))
}

fn memory(capacity: usize) -> ChangeMemory {
    ChangeMemory::with_capacity(directory(), SECOND * 5, capacity, &Sequence::default())
}

/// What `core/check/verified` asks of the feed: may an entry that was filled at `filled` still be believed?
fn lives(memory: &ChangeMemory, filled: Position, node: &Node) -> bool {
    filled >= memory.floor()
        && !memory.is_revoked(node)
        && memory.changed_at(node).is_none_or(|at| at <= filled)
}

/// RULES 2.5: 503 after 5 s blind, and from the start.
#[test]
fn who_has_not_heard_is_blind() {
    let memory = memory(10);
    assert!(memory.is_blind(NOW), "never heard");
    memory.apply(&[change(1, 1)], NOW);
    assert!(memory.is_blind(NOW), "a local write is not what the others wrote");
    memory.heard(NOW);
    assert!(!memory.is_blind(NOW + SECOND * 5));
    assert!(memory.is_blind(NOW + SECOND * 5 + Duration::from_micros(1)));
}

/// RULES 2.5: a revocation is known within a second or waited for; a word that does not come wakes those who wait as well.
#[test]
fn who_has_not_heard_for_a_moment_waits_for_the_next_word() {
    let memory = memory(10);
    assert!(!memory.is_fresh(NOW), "never heard");
    memory.heard(NOW);
    assert!(memory.is_fresh(NOW) && memory.is_fresh(NOW + Duration::from_millis(900)));
    for later in [NOW + Duration::from_millis(901), NOW.saturating_sub(SECOND)] {
        assert!(!memory.is_fresh(later) && !memory.is_blind(later), "{later:?}");
    }
    let (mut first, mut second) = (memory.next_word(), memory.next_word());
    assert_eq!((&mut first).now_or_never(), None);
    memory.unheard();
    assert_eq!(((&mut first).now_or_never(), (&mut second).now_or_never()), (Some(()), Some(())));
    let mut third = memory.next_word();
    assert_eq!((&mut third).now_or_never(), None, "an old word is none");
    memory.heard(NOW + SECOND);
    assert_eq!((&mut third).now_or_never(), Some(()));
}

/// RULES 2.5, "serve cached yes for up to N": after the usual five seconds nobody waits, and what is known is believed; but
/// only while the store does not answer, and not for longer than was said.
#[test]
fn who_bears_to_be_blind_for_longer_is_answered_from_what_is_known() {
    let memory = |after| ChangeMemory::new(directory(), after, &Sequence::default());
    let (usual, patient) = (memory(ChangeMemory::BLIND_AFTER), memory(SECOND * 60));
    // seconds since it was heard, asked in vain since; usual: fresh, blind; patient: fresh, blind
    let rows = [
        (2, true, (false, false), (false, false)),
        (5, true, (false, false), (false, false)),
        (6, false, (false, true), (false, false)),
        (6, true, (false, true), (true, false)),
        (60, true, (false, true), (true, false)),
        (61, true, (false, true), (false, true)),
    ];
    for (after, in_vain, of_usual, of_patient) in rows {
        for (memory, expected) in [(&usual, of_usual), (&patient, of_patient)] {
            memory.heard(NOW);
            if in_vain {
                memory.unheard();
            }
            let then = NOW + SECOND * after;
            assert_eq!((memory.is_fresh(then), memory.is_blind(then)), expected, "{after} {in_vain}");
        }
    }
    let never = memory(SECOND * 60);
    never.unheard();
    assert!(!never.is_fresh(NOW) && never.is_blind(NOW), "never heard");
}

/// RULES 2.5, and the clock is set back by an hour: a word from the future is none, and the next one counts.
#[test]
fn a_clock_that_was_set_back_makes_nobody_see() {
    let memory = memory(10);
    memory.heard(NOW);
    let earlier = NOW.saturating_sub(SECOND * 3600);
    assert!(memory.is_blind(earlier), "set back, and not heard since");
    memory.heard(earlier);
    assert!(!memory.is_blind(earlier + SECOND * 5));
    assert!(memory.is_blind(earlier + SECOND * 6), "not heard for longer than it bears");
}

#[test]
fn a_change_kills_what_was_filled_before_it() {
    let memory = memory(10);
    let before = memory.position();
    memory.apply(&[change(1, 1), revoked(2, 2, None)], NOW);
    assert_eq!(memory.position(), Position(2));
    assert!(!lives(&memory, before, &node(1)) && !lives(&memory, before, &node(2)));
    assert!(lives(&memory, before, &node(3)) && lives(&memory, Position(1), &node(1)));
    assert!(memory.is_revoked(&node(2)) && !memory.is_revoked(&node(1)));
    assert!(!memory.is_revoked(&Node::new(NodeKind::Session, "000000000002")), "the kind counts");
}

/// RULES 2.5: two transactions commit, the later is heard of first. The earlier is not lost, also where everything was
/// looked at in between: the position stands, but the revision moves.
#[test]
fn what_comes_late_counts() {
    let memory = memory(10);
    memory.apply(&[change(1, 1)], NOW);
    let filled = memory.position();
    memory.apply(&[revoked(3, 3, None)], NOW); // a write of our own, ahead of the follower
    assert_eq!(memory.position(), Position(3));
    let (looked_at, position) = (memory.revision(), memory.position());
    assert!(lives(&memory, filled, &node(2)) && !lives(&memory, filled, &node(3)));
    memory.apply(&[change(2, 2)], NOW);
    assert_eq!(memory.position(), position);
    assert_ne!(memory.revision(), looked_at);
    assert!(!lives(&memory, filled, &node(2)));
    // read after 3 was committed, and so after 2 was
    assert!(lives(&memory, position, &node(2)));
}

/// Nothing is learned without the revision saying so.
#[test]
fn every_way_of_learning_moves_the_revision() {
    let memory = memory(10);
    let mut last = memory.revision();
    for learn in [
        |m: &ChangeMemory| m.apply(&[change(2, 1)], NOW),
        |m: &ChangeMemory| m.apply(&[change(1, 1)], NOW),
        |m: &ChangeMemory| m.reload(Position(1), NOW),
        |m: &ChangeMemory| m.revoked(&[revoked(9, 9, None)], NOW),
        |m: &ChangeMemory| m.reload(Position(9), NOW),
    ] {
        learn(&memory);
        assert_ne!(memory.revision(), last);
        last = memory.revision();
    }
}

/// Revocations end with the last descendant and the leeway, and not before.
#[test]
fn revocations_are_swept_when_they_are_over() {
    let memory = memory(10);
    let until = NOW + SECOND * 100;
    memory.apply(&[revoked(1, 1, Some(until)), revoked(2, 2, None)], NOW);
    memory.heard(until);
    assert!(memory.is_revoked(&node(1)), "at its end it still counts");
    memory.heard(until + SECOND * 61);
    assert!(!memory.is_revoked(&node(1)) && memory.is_revoked(&node(2)));
    assert_eq!(memory.revoked_count(), 1);
    memory.apply(&[revoked(3, 3, Some(NOW))], until);
    assert!(!memory.is_revoked(&node(3)), "it was over when it came");
}

/// The longer word wins, in whatever order they come.
#[test]
fn a_revocation_is_never_shortened() {
    let (short, long) = (Some(NOW + SECOND), Some(NOW + SECOND * 1000));
    for (first, second) in [(short, long), (long, short), (None, short), (short, None)] {
        let memory = memory(10);
        memory.apply(&[revoked(1, 1, first), revoked(2, 1, second)], NOW);
        memory.heard(NOW + SECOND * 500);
        assert!(memory.is_revoked(&node(1)), "{first:?} {second:?}");
    }
}

/// An end is kept as a whole second: never an earlier one.
#[test]
fn a_revocation_lasts_at_least_as_long_as_was_said() {
    let odd = NOW + Duration::from_micros(1);
    let far = Timestamp::from_seconds(i64::from(u32::MAX) + 10);
    for (until, counts, is_over) in [
        (Some(NOW), NOW, Some(NOW + Duration::from_micros(1))),
        (Some(odd), odd, Some(NOW + SECOND * 61)),
        (Some(far), far, None),
        (None, far, None),
    ] {
        let memory = memory(10);
        memory.apply(&[revoked(1, 1, until)], NOW);
        memory.heard(counts);
        assert!(memory.is_revoked(&node(1)), "{until:?}");
        let end = is_over.unwrap_or(far + SECOND * 1_000_000);
        memory.heard(end + SECOND * 60);
        assert_eq!(memory.is_revoked(&node(1)), is_over.is_none(), "{until:?}");
    }
}

/// Of what this process wrote itself the feed brings nothing new.
#[test]
fn what_was_applied_is_known() {
    let memory = memory(2);
    let changes = [change(4, 1), revoked(5, 2, None), change(6, 1), change(7, 3)];
    assert!(changes.iter().all(|change| !memory.knows(change)));
    memory.apply(&changes, NOW);
    assert!(changes.iter().all(|change| memory.knows(change)), "also what made room");
    assert!(!memory.knows(&change(8, 1)) && !memory.knows(&revoked(8, 9, None)));
    memory.reload(Position(8), NOW);
    assert!(memory.knows(&change(8, 9)));
}

/// Bounded, but never by forgetting a revocation, and never by letting a dead entry live.
#[test]
fn memory_is_bounded_and_forgets_safely() {
    let memory = memory(8);
    let filled = memory.position();
    memory.apply(&[revoked(1, 1, None), change(2, 2)], NOW);
    let later: Vec<_> = (3..100).map(|p| change(p, p as usize)).collect();
    memory.apply(&later, NOW);
    assert_eq!(memory.changed_at(&node(2)), None, "forgotten");
    assert!(
        !lives(&memory, filled, &node(2)) && !lives(&memory, filled, &node(5000)),
        "the floor rose over it"
    );
    assert!(memory.is_revoked(&node(1)));
    assert!(lives(&memory, memory.position(), &node(2)));
    let known = (0..100).filter(|n| memory.changed_at(&node(*n)).is_some()).count();
    assert_eq!(known, 8);
}

#[test]
fn changing_again_keeps_a_node_in_memory() {
    let memory = memory(2);
    memory.apply(&[change(1, 1), change(2, 2), change(3, 1), change(4, 1)], NOW);
    assert_eq!(memory.changed_at(&node(1)), Some(Position(4)));
    assert!(!lives(&memory, Position(1), &node(2)));
}

/// After a lost connection: whatever was filled before may have missed something.
#[test]
fn a_reload_raises_the_floor_and_keeps_what_is_newer() {
    let directory = directory();
    let memory = ChangeMemory::new(directory.clone(), SECOND * 5, &Sequence::default());
    let demo = principal("demo", "").id;
    memory.apply(&[change(1, 1), revoked(2, 2, None)], NOW);
    now_or_never(directory.load(&demo)).unwrap();
    memory.apply(&[revoked(9, 9, None)], NOW); // written here, while the reload was being read at 7
    memory.revoked(&[revoked(5, 5, None), change(6, 6)], NOW);
    assert_eq!(memory.position(), Position(9), "a page is no position");
    assert!(memory.is_blind(NOW), "nor is it all that counts");
    assert!(memory.is_revoked(&node(5)) && !memory.is_revoked(&node(6)));
    memory.reload(Position(7), NOW);
    assert!(!memory.is_blind(NOW));
    assert_eq!((memory.floor(), memory.position()), (Position(7), Position(9)));
    for n in [2, 5, 9] {
        assert!(memory.is_revoked(&node(n)), "{n}");
    }
    assert!(!lives(&memory, Position(6), &node(1)) && lives(&memory, Position(7), &node(1)));
    assert_eq!(memory.changed_at(&node(9)), Some(Position(9)));
    assert_eq!(directory.standing(&demo), None, "principals too");
    memory.apply(&[change(8, 8)], NOW);
    // one that was read earlier and comes later takes nothing back
    memory.reload(Position(3), NOW);
    assert_eq!((memory.floor(), memory.position()), (Position(7), Position(9)));
    assert!(memory.is_revoked(&node(9)) && memory.changed_at(&node(8)).is_some());
}

/// Disabling a principal reaches what the directory remembers.
#[test]
fn a_changed_principal_is_forgotten() {
    let directory = directory();
    let memory = ChangeMemory::new(directory.clone(), SECOND * 5, &Sequence::default());
    let demo = principal("demo", "").id;
    for kind in [ChangeKind::Changed, ChangeKind::Revoked] {
        now_or_never(directory.load(&demo)).unwrap();
        memory.apply(&[change(1, 1)], NOW);
        assert!(directory.standing(&demo).is_some(), "a key's change is not the principal's");
        memory.apply(&[Change { kind, node: Node::principal(&demo), ..change(2, 0) }], NOW);
        assert_eq!(directory.standing(&demo), None);
    }
}

proptest! {
    /// Idempotent and order-safe: any order, any batches, any repeats end in the same knowledge.
    #[test]
    fn order_and_repeats_do_not_matter(
        order in Just((1..=30_i64).collect::<Vec<_>>()).prop_shuffle(),
        repeats in proptest::collection::vec(0..30_usize, 0..10),
        batch in 1..7_usize,
    ) {
        let all: Vec<Change> = (1..=30)
            .map(|p| if p % 5 == 0 { revoked(p, p as usize % 7, None) } else { change(p, p as usize % 7) })
            .collect();
        let straight = memory(1000);
        straight.apply(&all, NOW);
        let shuffled = memory(1000);
        let mut given: Vec<Change> = order.iter().map(|p| all[*p as usize - 1].clone()).collect();
        given.extend(repeats.iter().map(|n| all[*n].clone()));
        given.chunks(batch).for_each(|chunk| shuffled.apply(chunk, NOW));
        prop_assert_eq!(straight.position(), shuffled.position());
        prop_assert_eq!(straight.position(), Position(30));
        for n in 0..7 {
            prop_assert_eq!(straight.changed_at(&node(n)), shuffled.changed_at(&node(n)));
            prop_assert_eq!(straight.is_revoked(&node(n)), shuffled.is_revoked(&node(n)));
        }
    }

    /// Whatever is dropped for room: an entry that should be dead never lives.
    #[test]
    fn forgetting_never_revives(
        nodes in proptest::collection::vec(0..20_usize, 1..60),
        capacity in 1..10_usize,
        filled in 0..60_i64,
    ) {
        let memory = memory(capacity);
        let changes: Vec<_> = nodes.iter().zip(1..).map(|(n, p)| change(p, *n)).collect();
        memory.apply(&changes, NOW);
        for n in 0..20 {
            let dead = changes.iter().any(|c| c.node == node(n) && c.position > Position(filled));
            prop_assert!(!(dead && lives(&memory, Position(filled), &node(n))));
        }
    }

    /// However revocations come and end: what counts is refused, what was never revoked is not, and what is over goes.
    #[test]
    fn what_is_revoked_is_what_a_list_would_say(
        steps in proptest::collection::vec((0..40_usize, 0..300_u64, any::<bool>()), 1..80),
    ) {
        let memory = memory(1000);
        let mut list = std::collections::BTreeMap::new();
        let mut now = NOW;
        for ((n, seconds, sweeps), position) in steps.into_iter().zip(1..) {
            let until = now + SECOND * u32::try_from(seconds).unwrap();
            memory.apply(&[revoked(position, n, Some(until))], now);
            let longest = list.entry(n).or_insert(until);
            *longest = until.max(*longest);
            if sweeps {
                now = now + SECOND * 61;
                memory.heard(now);
                list.retain(|_, until| *until >= now);
            }
            for n in 0..50 {
                prop_assert_eq!(memory.is_revoked(&node(n)), list.contains_key(&n), "{}", n);
            }
            prop_assert_eq!(memory.revoked_count(), list.len());
        }
    }
}
