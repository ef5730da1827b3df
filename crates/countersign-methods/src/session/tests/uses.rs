//! When a session was last used: written down once a minute, and the last of it at the end.

use super::super::uses::Uses;
use crate::fakes::NOW;
use countersign_core::{CredentialId, Timestamp};
use std::{collections::BTreeMap, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn id(n: u32) -> CredentialId {
    CredentialId::new(&format!("{n:012}"))
}

fn taken(uses: &Uses, now: Timestamp) -> BTreeMap<String, Timestamp> {
    uses.take(now).into_iter().map(|(id, at)| (id.to_string(), at)).collect()
}

#[test]
fn once_a_minute_however_often_it_is_used() {
    let uses = Uses::default();
    let mut written = Vec::new();
    for second in 0..180 {
        let now = NOW + SECOND * second;
        uses.note(&id(1), now);
        written.extend(uses.take(now).into_iter().map(|(_, at)| at));
    }
    assert_eq!(written, [NOW, NOW + SECOND * 60, NOW + SECOND * 120]);
}

#[test]
fn nothing_that_was_noted_is_lost_and_nothing_is_told_twice() {
    let uses = Uses::default();
    for n in 0..1000 {
        uses.note(&id(n), NOW + SECOND * n);
    }
    // at the end, long after: all of them
    let all = taken(&uses, NOW + SECOND * 5000);
    assert_eq!(all.len(), 1000);
    assert!((0..1000).all(|n| all[&id(n).to_string()] == NOW + SECOND * n));
    assert!(taken(&uses, NOW + SECOND * 5001).is_empty());
    // forgotten, they are noted anew
    uses.note(&id(1), NOW + SECOND * 5002);
    assert_eq!(taken(&uses, NOW + SECOND * 5002).len(), 1);
}

#[test]
fn a_use_within_the_minute_is_not_another_and_one_after_it_is() {
    let uses = Uses::default();
    uses.note(&id(1), NOW);
    assert_eq!(taken(&uses, NOW).len(), 1);
    uses.note(&id(1), (NOW + SECOND * 60).saturating_sub(Duration::from_micros(1)));
    assert!(taken(&uses, NOW + SECOND * 59).is_empty());
    uses.note(&id(1), NOW + SECOND * 60);
    // what was not taken yet is the later one
    assert_eq!(taken(&uses, NOW + SECOND * 60)[&id(1).to_string()], NOW + SECOND * 60);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_that_was_noted() {
    let uses = Uses::default();
    uses.note(&id(1), NOW);
    uses.note(&id(1), NOW.saturating_sub(SECOND * 3600));
    assert_eq!(taken(&uses, NOW.saturating_sub(SECOND * 3600))[&id(1).to_string()], NOW);
}

/// A flood of sessions takes no more memory than was meant for them.
#[test]
fn there_is_an_end_to_what_is_remembered() {
    let uses = Uses::default();
    for n in 0..250_000 {
        uses.note(&id(n), NOW);
    }
    let kept = taken(&uses, NOW).len();
    assert!((100_000..=200_000).contains(&kept), "{kept}");
}
