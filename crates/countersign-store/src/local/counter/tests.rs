use super::*;
use std::time::Duration;

const TEN_A_MINUTE: RateLimit = RateLimit { quota: 10, window: Duration::from_secs(60) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn is_over(charge: Charge) -> bool {
    matches!(charge, Charge::Over { .. })
}

#[test]
fn the_quota_and_not_one_more() {
    let counter = LocalCounter::new(1000);
    for n in 0..10 {
        assert!(!is_over(counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(0))), "{n}");
    }
    assert!(is_over(counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(0))));
    assert!(is_over(counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(5))));
    assert!(!is_over(counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(6))));
}

#[test]
fn both_halves_of_the_key_count() {
    let counter = LocalCounter::new(1000);
    let one = RateLimit { quota: 1, window: Duration::from_secs(60) };
    assert!(!is_over(counter.charge(LimitKey(1, 1), &one, at(0))));
    assert!(!is_over(counter.charge(LimitKey(1, 2), &one, at(0))));
    assert!(!is_over(counter.charge(LimitKey(2, 1), &one, at(0))));
    assert!(is_over(counter.charge(LimitKey(1, 1), &one, at(0))));
}

#[test]
fn peeking_counts_nothing() {
    let counter = LocalCounter::new(1000);
    for _ in 0..100 {
        assert!(!is_over(counter.peek(LimitKey(1, 1), &TEN_A_MINUTE, at(0))));
    }
    let charged = counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(0));
    assert!(matches!(charged, Charge::Within { remaining: 9, .. }), "{charged:?}");
}

#[test]
fn a_flood_of_keys_neither_grows_nor_frees() {
    let counter = LocalCounter::new(64 * 16);
    let victim = LimitKey(7, 7);
    while !is_over(counter.charge(victim, &TEN_A_MINUTE, at(0))) {}
    for n in 0..20_000 {
        counter.charge(LimitKey(n, 99), &TEN_A_MINUTE, at(0));
    }
    let kept: usize = counter.shards.iter().map(|s| s.lock().unwrap().len()).sum();
    assert!(kept <= 64 * 16, "{kept}");
    assert!(is_over(counter.charge(victim, &TEN_A_MINUTE, at(0))), "the flood freed the one over its limit");
}

#[test]
fn what_has_run_out_makes_room_first() {
    let counter = LocalCounter::new(1);
    for n in 0..2000 {
        counter.charge(LimitKey(n, 0), &TEN_A_MINUTE, at(0));
    }
    counter.charge(LimitKey(1, 1), &TEN_A_MINUTE, at(3600));
    let late = counter.peek(LimitKey(1, 1), &TEN_A_MINUTE, at(3600));
    assert!(matches!(late, Charge::Within { remaining: 8, .. }), "{late:?}");
}

#[test]
fn two_threads_share_one_quota() {
    let counter = LocalCounter::new(1000);
    let hundred = RateLimit { quota: 100, window: Duration::from_secs(3600) };
    let within: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..100).filter(|_| !is_over(counter.charge(LimitKey(1, 1), &hundred, at(0)))).count()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(within, 100);
}
