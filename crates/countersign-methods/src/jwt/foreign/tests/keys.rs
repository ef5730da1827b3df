//! RULES 5.3: when keys are fetched again, and how long they last where they cannot be.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn after(freshness: &Freshness) -> Duration {
    freshness.due().since(NOW)
}

fn fresh(max_age: Option<Duration>) -> Freshness {
    let mut freshness = Freshness::new(NOW);
    freshness.succeeded(NOW, max_age);
    freshness
}

#[test]
fn at_once_and_then_as_the_answer_says() {
    assert!(Freshness::new(NOW).is_due(NOW));
    for (max_age, expected) in [
        (None, 15 * MINUTE),
        (Some(Duration::ZERO), 5 * MINUTE),
        (Some(MINUTE), 5 * MINUTE),
        (Some(HOUR), HOUR),
        (Some(24 * HOUR), 20 * HOUR),
        (Some(Duration::MAX), 20 * HOUR),
    ] {
        let freshness = fresh(max_age);
        assert_eq!(after(&freshness), expected, "{max_age:?}");
        assert!(!freshness.is_due(NOW) && !freshness.is_due(NOW + (expected - SECOND)));
        assert!(freshness.is_due(NOW + expected));
        assert_eq!((freshness.fetched_at(), freshness.failures()), (Some(NOW), 0));
    }
}

#[test]
fn a_key_that_is_missing_is_asked_for_twice_a_minute_at_most() {
    let mut freshness = fresh(None);
    freshness.wanted(NOW);
    assert_eq!(after(&freshness), 30 * SECOND);
    freshness.wanted(NOW + 10 * SECOND);
    assert_eq!(after(&freshness), 30 * SECOND);
    let mut later = fresh(None);
    later.wanted(NOW + 5 * MINUTE);
    assert_eq!(after(&later), 5 * MINUTE, "at once");
    // it does not put off what is due
    let mut due = fresh(None);
    due.wanted(NOW + HOUR);
    assert_eq!(after(&due), 15 * MINUTE);
}

#[test]
fn after_a_failure_it_waits_longer_each_time_whoever_asks() {
    let mut freshness = fresh(None);
    let minutes = [0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 12.0, 12.0];
    for (n, expected) in minutes.into_iter().enumerate() {
        let mut most = freshness.clone();
        freshness.failed(NOW, 0);
        most.failed(NOW, 255);
        assert_eq!(after(&freshness), MINUTE.mul_f64(expected), "{n}");
        assert!(after(&most) > after(&freshness) && after(&most) <= 15 * MINUTE);
        freshness.wanted(NOW);
        assert_eq!(after(&freshness), MINUTE.mul_f64(expected), "a caller's token does not hurry it");
    }
    assert_eq!((freshness.failures(), freshness.fetched_at()), (8, Some(NOW)));
    freshness.succeeded(NOW, None);
    assert_eq!((freshness.failures(), after(&freshness)), (0, 15 * MINUTE));
}

#[test]
fn a_clock_that_was_set_back_does_not_put_it_off_for_years() {
    let freshness = fresh(None);
    assert!(freshness.is_due(NOW.saturating_sub(1000 * HOUR)));
    assert!(!freshness.is_due(NOW.saturating_sub(HOUR)));
}

#[test]
fn known_keys_last_a_day_and_those_of_this_machine_for_ever() {
    for (fetched_at, now, usable) in [
        (Some(NOW), NOW, true),
        (Some(NOW), NOW + (24 * HOUR - SECOND), true),
        (Some(NOW), NOW + 24 * HOUR, false),
        (Some(NOW), NOW + 1000 * HOUR, false),
        (None, NOW + 1000 * HOUR, true),
    ] {
        assert_eq!(KnownKeys { set: published().into(), fetched_at }.are_usable(now), usable);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u32),
    Wanted,
    Answered(Option<u32>),
    Failed(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..100_000u32).prop_map(Step::Wait),
        Just(Step::Wanted),
        any::<Option<u32>>().prop_map(Step::Answered),
        any::<u8>().prop_map(Step::Failed),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Whatever happens: attempts are 30 seconds apart, and the next one is never further away than 20 hours.
    #[test]
    fn never_too_often_and_never_too_late(steps in steps()) {
        let (mut freshness, mut now, mut last) = (Freshness::new(NOW), NOW, None::<Timestamp>);
        for step in steps {
            let due = freshness.is_due(now);
            if due && let Some(last) = last {
                prop_assert!(now.since(last) >= 30 * SECOND);
            }
            match step {
                Step::Wait(seconds) => now = now + seconds * SECOND,
                Step::Wanted => freshness.wanted(now),
                // an attempt is made when it is due, and at no other time
                Step::Answered(age) if due => {
                    freshness.succeeded(now, age.map(|age| age * SECOND));
                    last = Some(now);
                }
                Step::Failed(chance) if due => {
                    freshness.failed(now, chance);
                    last = Some(now);
                }
                Step::Answered(_) | Step::Failed(_) => {}
            }
            prop_assert!(freshness.due().since(now) <= 20 * HOUR);
        }
    }
}
