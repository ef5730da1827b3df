//! Who may try, and how often (RULES 5.1).

use crate::password::{
    normal::UserName,
    throttle::{
        AccountKey, Because, Device, Gate, Pace, Source, SourceNetwork, Throttle, ThrottleFigures,
        ThrottleSettings,
    },
};
use countersign_core::{Timestamp, check::limit::LimitKey};
use countersign_crypto::{FingerprintKey, SystemEntropy};
use proptest::prelude::*;
use std::{net::IpAddr, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ALICE: AccountKey = AccountKey(1, 1);
const BOB: AccountKey = AccountKey(2, 2);

fn throttle() -> Throttle {
    Throttle::new(ThrottleSettings::default(), FingerprintKey::new(&SystemEntropy))
}

fn network(n: u32) -> SourceNetwork {
    IpAddr::from(n.to_be_bytes()).into()
}

/// One failed attempt, where there may be one.
fn fail(throttle: &Throttle, account: AccountKey, source: impl Into<Source>, now: Timestamp) -> bool {
    match throttle.before(account, source, now) {
        Gate::Open(attempt) => {
            attempt.failed(now);
            true
        }
        Gate::Delayed { .. } | Gate::Closed { .. } => false,
    }
}

fn succeed(throttle: &Throttle, account: AccountKey, source: impl Into<Source>, now: Timestamp) {
    match throttle.before(account, source, now) {
        Gate::Open(attempt) => attempt.succeeded(now),
        shut => panic!("{shut:?}"),
    }
}

fn is_open(throttle: &Throttle, account: AccountKey, source: impl Into<Source>, now: Timestamp) -> bool {
    match throttle.before(account, source, now) {
        Gate::Open(attempt) => {
            attempt.withdrawn();
            true
        }
        Gate::Delayed { .. } | Gate::Closed { .. } => false,
    }
}

/// From `n` networks each one failure, so that no place and no network is delayed.
fn fail_from_many(throttle: &Throttle, account: AccountKey, n: u32, now: Timestamp) -> u32 {
    (0..n).map(|i| u32::from(fail(throttle, account, network(0x0a00_0000 + i), now))).sum()
}

#[test]
fn a_network_is_that_of_the_judgement() {
    let addresses: Vec<IpAddr> = [
        "192.0.2.1",
        "192.0.2.2",
        "::ffff:192.0.2.1",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
        "::1",
        "::192.0.2.1",
    ]
    .map(|a| a.parse().unwrap())
    .into();
    for a in &addresses {
        for b in &addresses {
            assert_eq!(
                SourceNetwork::from(*a) == SourceNetwork::from(*b),
                LimitKey::network(*a) == LimitKey::network(*b),
                "{a} {b}"
            );
        }
    }
    assert_eq!(SourceNetwork::from(addresses[2]).to_string(), "192.0.2.1/32");
    assert_eq!(SourceNetwork::from(addresses[3]).to_string(), "2001:db8::/64");
}

#[test]
fn names_are_counted_by_a_keyed_hash() {
    let (one, other) = (throttle(), throttle());
    let name = |text| UserName::parse(text).unwrap();
    assert_eq!(one.account(&name("alice")), one.account(&name("ALICE")));
    assert_ne!(one.account(&name("alice")), one.account(&name("alicf")));
    assert_ne!(one.account(&name("alice")), other.account(&name("alice")));
}

#[test]
fn failures_at_a_place_delay_it_and_double() {
    let throttle = throttle();
    let mut now = START;
    for n in 0..5 {
        assert!(fail(&throttle, ALICE, network(1), now), "{n}");
    }
    for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        match throttle.before(ALICE, network(1), now) {
            Gate::Delayed { until, because } => {
                assert_eq!((until, because), (now + SECOND * seconds, Because::Place));
            }
            gate => panic!("{gate:?}"),
        }
        assert!(!fail(&throttle, ALICE, network(1), now + (SECOND * seconds - Duration::from_micros(1))));
        now = now + SECOND * seconds;
        // what was refused did not prolong the wait, and no one else waits
        assert!(is_open(&throttle, ALICE, network(2), now));
        assert!(is_open(&throttle, BOB, network(1), now));
        assert!(fail(&throttle, ALICE, network(1), now));
    }
}

/// The clock was set back: nobody waits until it has caught up.
#[test]
fn a_clock_that_was_set_back_closes_nothing_for_long() {
    let throttle = throttle();
    (0..5).for_each(|_| assert!(fail(&throttle, ALICE, network(1), START + HOUR * 24)));
    assert!(!is_open(&throttle, ALICE, network(1), START));
    assert!(is_open(&throttle, ALICE, network(1), START + SECOND));
}

#[test]
fn failures_decay() {
    let throttle = throttle();
    // eight: a delay of eight seconds
    let mut now = START;
    while throttle.snapshot(1, now).networks.first().is_none_or(|n| n.failures < 8) {
        now = now + SECOND;
        fail(&throttle, ALICE, network(1), now);
    }
    let wait = |now| match throttle.before(ALICE, network(1), now) {
        Gate::Open(attempt) => {
            attempt.failed(now);
            Duration::ZERO
        }
        Gate::Delayed { until, .. } => until.since(now),
        Gate::Closed { .. } => panic!("closed"),
    };
    assert_eq!(wait(now), SECOND * 8);
    // an hour later four are left, and one more is within the free ones
    assert_eq!(wait(now + HOUR), Duration::ZERO);
    assert_eq!(wait(now + HOUR), SECOND);
    // ten hours later none is
    let later = now + HOUR * 11;
    assert!(throttle.snapshot(9, later).networks.is_empty());
    (0..5).for_each(|_| assert_eq!(wait(later), Duration::ZERO));
}

#[test]
fn a_success_forgives_its_own_account_and_no_other() {
    let throttle = throttle();
    (0..4).for_each(|_| assert!(fail(&throttle, ALICE, network(1), START)));
    (0..4).for_each(|_| assert!(fail(&throttle, BOB, network(1), START)));
    assert_eq!(throttle.snapshot(1, START).networks[0].failures, 8);
    succeed(&throttle, ALICE, network(1), START);
    assert_eq!(throttle.snapshot(1, START).networks[0].failures, 4);
    succeed(&throttle, BOB, network(1), START);
    assert_eq!(throttle.snapshot(1, START), Default::default());
}

/// Spraying: one guess at each of many accounts from one network.
#[test]
fn a_network_is_delayed_over_all_accounts() {
    let throttle = throttle();
    let mut open = 0;
    for n in 10..1000_u64 {
        open += u32::from(fail(&throttle, AccountKey(n, n), network(1), START));
    }
    assert_eq!(open, 20);
    match throttle.before(ALICE, network(1), START) {
        Gate::Delayed { until, because: Because::Network } => assert_eq!(until, START + SECOND),
        gate => panic!("{gate:?}"),
    }
    // an account of the guesser's own washes nothing clean
    succeed(&throttle, BOB, network(2), START);
    throttle.remember(BOB, network(1), START);
    (0..5).for_each(|_| succeed(&throttle, BOB, network(1), START));
    assert!(!is_open(&throttle, ALICE, network(1), START));
    assert!(is_open(&throttle, ALICE, network(3), START));
}

#[test]
fn after_a_hundred_in_a_row_unknown_places_are_closed_and_they_alone() {
    let throttle = throttle();
    succeed(&throttle, ALICE, network(1), START);
    assert_eq!(fail_from_many(&throttle, ALICE, 300, START), 100);
    match throttle.before(ALICE, network(99), START + SECOND) {
        Gate::Closed { failures, since } => assert_eq!((failures, since), (100, START)),
        gate => panic!("{gate:?}"),
    }
    // the owner's place, another account, and what comes later
    succeed(&throttle, ALICE, network(1), START + SECOND);
    assert!(is_open(&throttle, BOB, network(99), START + SECOND));
    // a success at a known place opens nothing
    assert!(!is_open(&throttle, ALICE, network(99), START + HOUR * 24));
    assert!(is_open(&throttle, ALICE, network(99), START + HOUR * 24 * 7));

    let attacked = throttle.snapshot(3, START + SECOND).accounts[0];
    assert_eq!((attacked.account, attacked.failures, attacked.closed), (ALICE, 100, true));
    assert!((20..=64).contains(&attacked.networks), "{attacked:?}");
}

#[test]
fn what_opens_a_closed_account() {
    for open in [Throttle::reopen, Throttle::password_changed] {
        let throttle = throttle();
        assert_eq!(fail_from_many(&throttle, ALICE, 101, START), 100);
        assert!(!is_open(&throttle, ALICE, network(7), START));
        open(&throttle, ALICE);
        assert!(is_open(&throttle, ALICE, network(7), START));
    }
}

/// A row is in a row: the owner on a journey ends it.
#[test]
fn a_success_at_a_new_place_ends_the_row() {
    let throttle = throttle();
    assert_eq!(fail_from_many(&throttle, ALICE, 99, START), 99);
    succeed(&throttle, ALICE, network(5), START);
    assert_eq!(throttle.snapshot(1, START).accounts, []);
    assert_eq!(fail_from_many(&throttle, ALICE, 300, START), 100);
}

#[test]
fn a_known_place_is_known_until_the_password_changes() {
    let throttle = throttle();
    let knows = |n: u32| match throttle.before(ALICE, network(n), START) {
        Gate::Open(attempt) => {
            let known = attempt.is_known();
            attempt.withdrawn();
            known
        }
        gate => panic!("{gate:?}"),
    };
    assert!(!knows(1));
    succeed(&throttle, ALICE, network(1), START);
    throttle.remember(ALICE, network(2), START);
    assert!(knows(1) && knows(2) && !knows(3));
    // hashed while the password changed: what succeeded was the old one
    let Gate::Open(attempt) = throttle.before(ALICE, network(1), START) else { panic!() };
    throttle.password_changed(ALICE);
    attempt.succeeded(START);
    assert!(!knows(1) && !knows(2));
    throttle.remember(ALICE, network(2), START);
    assert!(!knows(1) && knows(2));
    // the eight last used
    (10..17).for_each(|n| succeed(&throttle, ALICE, network(n), START));
    assert!(knows(2) && knows(10));
    succeed(&throttle, ALICE, network(2), START);
    succeed(&throttle, ALICE, network(17), START);
    assert!(knows(2) && !knows(10) && knows(11));
}

#[test]
fn a_known_device_is_at_home_everywhere() {
    let throttle = throttle();
    let at = |n, device| Source { network: network(n), device: Some(Device(device)) };
    succeed(&throttle, ALICE, at(1, 7), START);
    assert_eq!(fail_from_many(&throttle, ALICE, 300, START), 100);
    assert!(is_open(&throttle, ALICE, at(2, 7), START));
    assert!(!is_open(&throttle, ALICE, at(2, 8), START));
    assert!(!is_open(&throttle, ALICE, network(2), START));
    // its network became known with it
    assert!(is_open(&throttle, ALICE, network(1), START));
    // a device is no way round the count of a place that is not known: each try with another mark
    let tried = (0..100).filter(|n| fail(&throttle, BOB, at(3, 100 + n), START)).count();
    assert_eq!(tried, 5);
}

/// A place that is known waits for its own failures alone, and is known no longer after a hundred of them.
#[test]
fn a_known_place_answers_for_its_own() {
    let throttle = throttle();
    succeed(&throttle, ALICE, network(1), START);
    let mut now = START;
    let mut tried = 0;
    loop {
        match throttle.before(ALICE, network(1), now) {
            Gate::Open(attempt) if attempt.is_known() => {
                attempt.failed(now);
                tried += 1;
            }
            Gate::Open(attempt) => break attempt.withdrawn(),
            Gate::Delayed { until, because } => {
                assert!(tried >= 10 && because == Because::Place, "{tried} {because:?}");
                now = until;
            }
            Gate::Closed { .. } => panic!("closed"),
        }
    }
    assert_eq!(tried, 100);
    assert!(now.since(START) > HOUR * 20);
}

#[test]
fn attempts_that_run_count_as_failures() {
    let throttle = throttle();
    // a thousand at once at one place
    let mut running = Vec::new();
    let mut shut = 0;
    for _ in 0..1000 {
        match throttle.before(ALICE, network(1), START) {
            Gate::Open(attempt) => running.push(attempt),
            Gate::Delayed { because: Because::Running, .. } => shut += 1,
            gate => panic!("{gate:?}"),
        }
    }
    assert_eq!((running.len(), shut), (5, 995));
    // withdrawn is as if it had not been
    running.into_iter().for_each(|attempt| attempt.withdrawn());
    assert_eq!(throttle.figures().remembered, 0);

    // and from a thousand places at one account
    let open: Vec<_> = (0..1000)
        .filter_map(|n| match throttle.before(ALICE, network(n), START) {
            Gate::Open(attempt) => Some(attempt),
            _ => None,
        })
        .collect();
    assert_eq!(open.len(), 100);
    // dropped: failed
    drop(open);
    assert_eq!(throttle.snapshot(1, START).accounts[0].failures, 100);
    assert!(matches!(throttle.before(ALICE, network(5000), START), Gate::Closed { .. }));
}

/// One right password on many connections at once is no attack.
#[test]
fn a_known_place_may_run_many_at_once() {
    let throttle = throttle();
    succeed(&throttle, ALICE, network(1), START);
    let open: Vec<_> = (0..64).map(|_| throttle.before(ALICE, network(1), START)).collect();
    assert!(open.iter().all(|gate| matches!(gate, Gate::Open(_))));
    for gate in open {
        let Gate::Open(attempt) = gate else { unreachable!() };
        attempt.succeeded(START);
    }
    assert_eq!(throttle.figures().remembered, 1);
}

/// While others fail all around, the count of a guesser stays: it is not the lightest.
#[test]
fn a_flood_of_names_wipes_no_count() {
    let settings = ThrottleSettings { failing: 4096, ..ThrottleSettings::default() };
    let throttle = Throttle::new(settings, FingerprintKey::new(&SystemEntropy));
    let mut now = START;
    // ten failures at one place, and fifty of one account from many
    for _ in 0..10 {
        while !fail(&throttle, ALICE, network(1), now) {
            now = now + SECOND;
        }
    }
    assert_eq!(fail_from_many(&throttle, BOB, 50, now), 50);
    for n in 0..100_000_u32 {
        fail(&throttle, AccountKey(spread(n), spread(!n)), network(0x1000_0000 + n), now);
    }
    assert!(throttle.figures().evicted > 50_000);
    assert!(matches!(throttle.before(ALICE, network(1), now), Gate::Delayed { because: Because::Place, .. }));
    let bob = throttle.snapshot(2, now).accounts[0];
    assert_eq!((bob.account, bob.failures), (BOB, 50));
}

/// As a keyed hash would.
fn spread(n: u32) -> u64 {
    let mut x = u64::from(n).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[test]
fn memory_is_bounded_under_a_million_names_and_networks() {
    const N: u32 = 1_000_000;
    let throttle = throttle();
    succeed(&throttle, ALICE, network(1), START);
    for n in 0..N {
        let now = START + Duration::from_micros(u64::from(n) * 10);
        assert!(fail(&throttle, AccountKey(spread(n), spread(!n)), network(0x2000_0000 + n), now), "{n}");
    }
    let figures = throttle.figures();
    assert_eq!((figures.failed, figures.opened), (u64::from(N), u64::from(N) + 1));
    assert!(figures.remembered <= 3 * 65_536 + 1, "{figures:?}");
    assert!(figures.evicted > u64::from(N), "{figures:?}");
    // nobody pushed out who is known
    assert_eq!(fail_from_many(&throttle, ALICE, 200, START + SECOND * 11), 100);
    assert!(is_open(&throttle, ALICE, network(1), START + SECOND * 11));
}

#[test]
fn figures_count_what_was_answered() {
    let throttle = throttle();
    fail_from_many(&throttle, ALICE, 110, START);
    assert_eq!((0..6).filter(|_| fail(&throttle, BOB, network(1), START)).count(), 5);
    succeed(&throttle, BOB, network(2), START);
    let ThrottleFigures { opened, delayed, closed, failed, succeeded, .. } = throttle.figures();
    assert_eq!((opened, delayed, closed, failed, succeeded), (106, 1, 10, 105, 1));
}

#[derive(Debug, Clone)]
enum Step {
    Fail { account: u8, from: u8, device: Option<u8> },
    Succeed { account: u8, from: u8 },
    Hang { account: u8, from: u8 },
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    // network 0 is the owner's, and account 0 the owner: only others fail for it, from elsewhere
    prop_oneof![
        8 => (0_u8..6, 1_u8..40, prop::option::of(0_u8..3)).prop_map(|(account, from, device)| Step::Fail { account, from, device }),
        2 => (1_u8..6, 0_u8..40).prop_map(|(account, from)| Step::Fail { account, from, device: None }),
        2 => (1_u8..6, 0_u8..40).prop_map(|(account, from)| Step::Succeed { account, from }),
        1 => (1_u8..6, 0_u8..40).prop_map(|(account, from)| Step::Hang { account, from }),
        1 => (0_u32..4000).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// RULES 5.1: whatever others do, the owner is let in at home.
    #[test]
    fn the_owner_is_let_in_at_home(steps in prop::collection::vec(step(), 1..600), at_once in any::<bool>()) {
        let throttle = throttle();
        let account = |n: u8| AccountKey(u64::from(n), u64::from(n));
        let mut now = START;
        let mut hanging = Vec::new();
        succeed(&throttle, account(0), network(0), now);
        for step in steps {
            match step {
                Step::Fail { account: a, from, device } => {
                    let device = device.map(|d| Device(u64::from(d)));
                    fail(&throttle, account(a), Source { network: network(from.into()), device }, now);
                }
                Step::Succeed { account: a, from } => {
                    if let Gate::Open(attempt) = throttle.before(account(a), network(from.into()), now) {
                        attempt.succeeded(now);
                    }
                }
                Step::Hang { account: a, from } => {
                    let gate = throttle.before(account(a), network(from.into()), now);
                    if at_once {
                        hanging.push(gate);
                    }
                }
                Step::Pass(seconds) => now = now + Duration::from_secs(seconds.into()),
            }
            prop_assert!(is_open(&throttle, account(0), network(0), now));
        }
    }

    /// From one place nobody has more guesses than the pace gives, however they are spread over time.
    #[test]
    fn no_place_has_more_than_its_pace(gaps in prop::collection::vec(0_u32..2000, 1..200)) {
        let throttle = throttle();
        let Pace { free, first, .. } = ThrottleSettings::default().unknown;
        let mut now = START;
        let mut tried = Vec::new();
        for gap in gaps {
            now = now + Duration::from_secs(gap.into());
            if fail(&throttle, ALICE, network(1), now) {
                tried.push(now);
            }
        }
        // within any hour: the free ones, and those whose delays fit
        for (n, from) in tried.iter().enumerate() {
            let within = tried[n..].iter().take_while(|t| t.since(*from) < HOUR).count();
            prop_assert!(within <= free as usize + 14, "{within} {first:?}");
        }
        prop_assert!(tried.len() <= 100);
    }

    /// In silence every count comes to nothing.
    #[test]
    fn counts_come_to_nothing(failures in 1_u32..60) {
        let throttle = throttle();
        let mut now = START;
        for _ in 0..failures {
            fail(&throttle, ALICE, network(1), now);
            now = now + Duration::from_secs(901);
        }
        let mut last = u32::MAX;
        for hour in 0..12 {
            let seen = throttle.snapshot(1, now + HOUR * hour).networks.first().map_or(0, |n| n.failures);
            prop_assert!(seen <= last);
            last = seen;
        }
        prop_assert_eq!(last, 0);
        prop_assert_eq!(throttle.snapshot(1, now + HOUR * 24 * 8).accounts, vec![]);
    }
}
