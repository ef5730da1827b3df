//! What stands in front of a hash, which costs some twenty milliseconds, and what a new password is judged by.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

use countersign_core::Timestamp;
use countersign_crypto::{FingerprintKey, SystemEntropy};
use countersign_methods::password::{
    breached::{Breached, CommonPasswords, FilterBuilder},
    normal::{Password, UserName},
    policy::{About, PasswordPolicy},
    throttle::{AccountKey, Gate, SourceNetwork, Throttle, ThrottleSettings},
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, net::IpAddr, time::Duration};

criterion_group!(benches, throttle, choosing);
criterion_main!(benches);

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn throttle(c: &mut Criterion) {
    let throttle = Throttle::new(ThrottleSettings::default(), FingerprintKey::new(&SystemEntropy));
    let home: SourceNetwork = IpAddr::from([192, 0, 2, 1]).into();
    let owner = throttle.account(&UserName::parse("alice").expect("a name"));
    throttle.remember(owner, home, NOW);
    // full tables: every further name makes another give way
    let accounts: Vec<AccountKey> = (0..200_000)
        .map(|n| throttle.account(&UserName::parse(&format!("user{n}")).expect("a name")))
        .collect();
    let mut n = 0_u32;
    let mut stranger = || {
        n = n.wrapping_add(1);
        let account = accounts.get(n as usize % accounts.len()).copied().unwrap_or(owner);
        let now = NOW + Duration::from_secs(n.into()) * 900;
        (account, SourceNetwork::from(IpAddr::from(n.wrapping_mul(0x9e37_79b9).to_be_bytes())), now)
    };
    for _ in 0..400_000 {
        let (account, network, _) = stranger();
        drop(throttle.before(account, network, NOW));
    }
    c.bench_function("throttle: the key of an account", |b| {
        let name = UserName::parse("alice@example.com").expect("a name");
        b.iter(|| throttle.account(black_box(&name)));
    });
    c.bench_function("throttle: before and succeeded, at home", |b| {
        b.iter(|| match throttle.before(black_box(owner), home, NOW) {
            Gate::Open(attempt) => attempt.succeeded(NOW),
            Gate::Delayed { .. } | Gate::Closed { .. } => {}
        });
    });
    c.bench_function("throttle: before and failed, strangers, tables full", |b| {
        b.iter(|| {
            let (account, network, now) = stranger();
            match throttle.before(black_box(account), network, now) {
                Gate::Open(attempt) => attempt.failed(now),
                Gate::Delayed { .. } | Gate::Closed { .. } => {}
            }
        });
    });
    c.bench_function("throttle: before, delayed", |b| {
        let network: SourceNetwork = IpAddr::from([192, 0, 2, 2]).into();
        (0..6).for_each(|_| drop(throttle.before(owner, network, NOW)));
        b.iter(|| drop(throttle.before(black_box(owner), network, NOW)));
    });
}

fn choosing(c: &mut Criterion) {
    c.bench_function("parse: ascii", |b| {
        b.iter(|| Password::parse(black_box("verdant kettle orbits mildly")).map(drop));
    });
    c.bench_function("parse: not ascii", |b| {
        b.iter(|| Password::parse(black_box("zwei hühner legen drei eier")).map(drop));
    });
    c.bench_function("parse: a user name", |b| {
        b.iter(|| UserName::parse(black_box("alice@example.com")).map(drop));
    });
    let name = UserName::parse("alice@example.com").expect("a name");
    let about = About {
        user_name: Some(&name),
        display_name: Some("Alice Smith"),
        services: &["portal"],
        ..About::default()
    };
    for (what, text) in [
        ("judge: 28 characters", "verdant kettle orbits mildly".to_owned()),
        ("judge: 256 characters, the worst", "abcdefghijklmno ".repeat(16)),
    ] {
        let password = Password::parse(&text).expect("a password");
        let policy = PasswordPolicy::default();
        c.bench_function(what, |b| b.iter(|| policy.judge(black_box(&password), &about, &CommonPasswords)));
    }
    let mut builder = FilterBuilder::new(1_000_000);
    for n in 0..1_000_000_u64 {
        builder.line(&format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).expect("a line");
    }
    let filter = builder.finish(|bytes| {
        let mut out = [0; 20];
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        out
    });
    let filter = filter.expect("a filter");
    let bits = filter.size() as f64 * 8.0 / filter.entries() as f64;
    c.bench_function(&format!("filter: {bits:.2} bits an entry, asked without the digest"), |b| {
        b.iter(|| filter.contains(black_box("verdant kettle")));
    });
}
