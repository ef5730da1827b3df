//! RULES 2.4: failures per source network.

use crate::support::{route, told, with_alice};
use countersign_core::{
    MethodName::ApiKey,
    Rejection,
    authenticator::Fault,
    check::{
        decision::{Decision, Denial},
        limit::RateLimit,
        request::Transport,
    },
};
use countersign_testkit::{Answer, Fixture, Headers};
use http::Method;
use std::time::Duration;

const KEY: Headers<'_> = &[("x-api-key", "alice")];
const WRONG: Headers<'_> = &[("x-api-key", "nobody")];

fn fixture() -> Fixture {
    let failures = RateLimit { quota: 3, window: Duration::from_secs(60) };
    let fixture = Fixture::builder()
        .route(route("/", "api_key"))
        .route(route("/scope", "api_key c"))
        .settings(|s| s.failures = failures)
        .build();
    with_alice(&fixture);
    fixture
}

async fn denied(fixture: &Fixture, from: &str, headers: Headers<'_>) -> Option<Denial> {
    match fixture.ask(Method::GET, "/", headers, from, Transport::Tls).await {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial),
    }
}

#[tokio::test]
async fn rule_2_4_over_budget_only_cached_credentials_pass() {
    let fixture = fixture();
    let room = fixture.room(ApiKey);
    let offline = Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "checksum" };
    room.script("typo", Answer::Bad(offline));
    assert!(denied(&fixture, "192.0.2.1", KEY).await.is_none());
    for _ in 0..3 {
        assert_eq!(told(&denied(&fixture, "192.0.2.1", WRONG).await.unwrap()), (401, "credential_invalid"));
    }
    let before = room.verified();
    for headers in [WRONG, &[("x-api-key", "typo")], &[("authorization", "Bearer x")]] {
        let denial = denied(&fixture, "192.0.2.1", headers).await.unwrap();
        assert_eq!(told(&denial), (429, "too_many_failures"), "{headers:?}");
        assert!(denial.retry_after.is_some_and(|wait| wait <= Duration::from_secs(20)));
    }
    assert_eq!(room.verified(), before, "refused before any lookup");
    assert!(denied(&fixture, "192.0.2.1", KEY).await.is_none(), "cached");
    // nothing shown, nothing guessed
    assert_eq!(told(&denied(&fixture, "192.0.2.1", &[]).await.unwrap()), (401, "credential_missing"));
    // another network has its own budget
    assert!(denied(&fixture, "192.0.2.2", KEY).await.is_none());
    assert_eq!(told(&denied(&fixture, "192.0.2.2", WRONG).await.unwrap()), (401, "credential_invalid"));
    // and time heals
    fixture.clock.advance(Duration::from_secs(21));
    assert_eq!(told(&denied(&fixture, "192.0.2.1", WRONG).await.unwrap()), (401, "credential_invalid"));
}

/// RULES 2.4: a good credential that is not cached waits as well.
#[tokio::test]
async fn rule_2_4_over_budget_an_uncached_good_credential_gets_429() {
    let fixture = fixture();
    for _ in 0..3 {
        denied(&fixture, "2001:db8::1", WRONG).await;
    }
    // the same /64
    let denial = denied(&fixture, "2001:db8::ffff:1", KEY).await.unwrap();
    assert_eq!(told(&denial), (429, "too_many_failures"));
    assert!(denied(&fixture, "2001:db8:0:1::1", KEY).await.is_none());
}

/// RULES 2.4: mapped addresses are unmapped.
#[tokio::test]
async fn rule_2_4_a_mapped_address_is_the_same_network() {
    let fixture = fixture();
    for _ in 0..3 {
        denied(&fixture, "::ffff:192.0.2.1", WRONG).await;
    }
    assert_eq!(told(&denied(&fixture, "192.0.2.1", KEY).await.unwrap()), (429, "too_many_failures"));
}

/// Neither an outage, nor a missing scope, nor a missing credential is a failure of the caller's network.
#[tokio::test]
async fn rule_2_4_what_is_no_failure() {
    let fixture = fixture();
    fixture.room(ApiKey).script("down", Answer::Unavailable);
    for _ in 0..10 {
        assert_eq!(told(&denied(&fixture, "192.0.2.1", &[("x-api-key", "down")]).await.unwrap()).0, 503);
        assert_eq!(told(&denied(&fixture, "192.0.2.1", &[]).await.unwrap()).0, 401);
        assert_eq!(told(&fixture.denied("/scope", KEY).await).0, 403);
    }
    assert_eq!(told(&denied(&fixture, "192.0.2.1", WRONG).await.unwrap()).0, 401);
}

/// A broken field counts, and is still told 400 when over budget.
#[tokio::test]
async fn rule_2_4_a_broken_field_counts() {
    let fixture = fixture();
    for _ in 0..5 {
        let denial = denied(&fixture, "192.0.2.1", &[("authorization", "x")]).await.unwrap();
        assert_eq!(told(&denial), (400, "credential_malformed"));
    }
    assert_eq!(told(&denied(&fixture, "192.0.2.1", KEY).await.unwrap()), (429, "too_many_failures"));
}
