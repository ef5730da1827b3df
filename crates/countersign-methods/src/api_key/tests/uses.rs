use crate::{
    api_key::{record::KeyId, uses::Uses},
    fakes::NOW,
};
use std::time::Duration;

fn key(n: u32) -> KeyId {
    KeyId::parse(&format!("{n:012}")).unwrap()
}

#[test]
fn the_last_use_stays_and_is_taken_once() {
    let uses = Uses::default();
    let later = NOW + Duration::from_secs(5);
    uses.note(key(1), later);
    uses.note(key(1), NOW);
    uses.note(key(2), NOW);
    let mut taken = uses.take();
    taken.sort();
    assert_eq!(taken, [(key(1), later), (key(2), NOW)]);
    assert!(uses.take().is_empty());
}

#[test]
fn memory_is_bounded() {
    let uses = Uses::new(64);
    (0..10_000).for_each(|n| uses.note(key(n), NOW));
    assert!(uses.take().len() <= 64);
    uses.note(key(1), NOW);
    assert_eq!(uses.take(), [(key(1), NOW)], "room again after taking");
}
