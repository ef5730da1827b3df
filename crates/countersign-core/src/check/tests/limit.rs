//! RULES 2.4: the count itself.

use crate::{
    Timestamp,
    check::limit::{Arrival, Charge, LimitKey, RateLimit, gcra},
};
use proptest::prelude::*;
use std::{net::IpAddr, time::Duration};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn limit(quota: u32, seconds: u64) -> RateLimit {
    RateLimit { quota, window: Duration::from_secs(seconds) }
}

/// How many of `tries` at the same moment pass.
fn burst(arrival: &mut Arrival, limit: &RateLimit, now: Timestamp, tries: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..tries {
        let (next, charge) = gcra(*arrival, limit, now);
        *arrival = next;
        passed += u32::from(matches!(charge, Charge::Within { .. }));
    }
    passed
}

#[test]
fn rule_2_4_a_whole_quota_at_once_then_one_by_one() {
    for quota in [1, 3, 7, 60, 1000] {
        let (limit, mut arrival) = (limit(quota, 60), 0);
        assert_eq!(burst(&mut arrival, &limit, NOW, quota + 5), quota);
        let step = Duration::from_micros(u64::from(60_000_000 / quota) + 1);
        assert_eq!(burst(&mut arrival, &limit, NOW + step, 5), 1, "one comes back at a time");
        assert_eq!(burst(&mut arrival, &limit, NOW + step + limit.window, quota + 5), quota);
    }
}

#[test]
fn rule_2_4_says_what_is_left_and_when() {
    let limit = limit(4, 60);
    let (arrival, charge) = gcra(0, &limit, NOW);
    assert_eq!(charge, Charge::Within { remaining: 3, reset_after: Duration::from_secs(15) });
    let mut arrival = arrival;
    assert_eq!(burst(&mut arrival, &limit, NOW, 3), 3);
    let over = Charge::Over { retry_after: Duration::from_secs(15) };
    assert_eq!(gcra(arrival, &limit, NOW), (arrival, over), "what is refused does not prolong the wait");
}

#[test]
fn rule_2_4_a_clock_set_back_closes_nothing_for_long() {
    let limit = limit(2, 60);
    let mut arrival = 0;
    burst(&mut arrival, &limit, NOW + Duration::from_secs(86_400), 2);
    let (_, charge) = gcra(arrival, &limit, NOW);
    assert_eq!(charge, Charge::Over { retry_after: Duration::from_secs(30) });
}

#[test]
fn rule_2_4_extremes() {
    let none = RateLimit { quota: 0, window: Duration::from_secs(1) };
    assert!(matches!(gcra(0, &none, NOW), (_, Charge::Over { .. })));
    let endless = RateLimit { quota: 1, window: Duration::MAX };
    assert!(matches!(gcra(0, &endless, NOW), (_, Charge::Within { .. })));
    let dense = RateLimit { quota: u32::MAX, window: Duration::from_nanos(1) };
    assert!(matches!(gcra(0, &dense, NOW), (_, Charge::Within { .. })));
    assert!(matches!(gcra(i64::MAX, &limit(1, 1), NOW), (_, Charge::Over { .. })));
    assert!(matches!(gcra(i64::MIN, &limit(1, 1), NOW), (_, Charge::Within { .. })));
}

proptest! {
    /// In any window, whenever they come, at most twice the quota passes (a full bucket and what drips in).
    #[test]
    fn never_more_than_the_quota(quota in 1_u32..50, gaps in proptest::collection::vec(0_u64..40_000_000, 1..200)) {
        let limit = limit(quota, 60);
        let (mut arrival, mut now, mut passed) = (0, NOW, Vec::new());
        for gap in gaps {
            now = now + Duration::from_micros(gap);
            let (next, charge) = gcra(arrival, &limit, now);
            arrival = next;
            if matches!(charge, Charge::Within { .. }) {
                passed.push(now);
            }
        }
        for (n, start) in passed.iter().enumerate() {
            let inside = passed[n..].iter().take_while(|at| at.since(*start) < limit.window).count();
            prop_assert!(inside <= 2 * quota as usize);
        }
    }
}

#[test]
fn rule_2_4_networks_are_32_or_64_with_mapped_addresses_unmapped() {
    let key = |text: &str| LimitKey::network(text.parse::<IpAddr>().unwrap());
    assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_ne!(key("0.0.0.1"), key("::1"));
}
