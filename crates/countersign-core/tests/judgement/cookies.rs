//! RULES 1.6: a session cookie is what a browser happens to have; where it is no good it is as if it were not there.

use crate::support::{methods, route, told, with_alice};
use countersign_core::{
    Authentication,
    MethodName::{ApiKey, Basic, Jwt},
    MethodRule, Node, Rejection, Timestamp,
    authenticator::Fault,
    check::{
        decision::{Decision, Denial},
        limit::RateLimit,
        request::Transport,
        route::Route,
    },
};
use countersign_testkit::{Answer, Fixture, Headers, principal};
use http::Method;
use std::{sync::Arc, time::Duration};

const ALICE: (&str, &str) = ("cookie", "x=1; __Host-session=alice; y=2");
const STALE: (&str, &str) = ("cookie", "__Host-session=nobody");

fn with_cookies(path: &str, requirement: &str) -> Route {
    let mut route = route(path, requirement);
    route.presentation = vec![(Jwt, MethodRule { cookies: true, ..MethodRule::DEFAULT })];
    route
}

fn fixture() -> Fixture {
    let failures = RateLimit { quota: 3, window: Duration::from_secs(60) };
    let fixture = Fixture::builder()
        .route(with_cookies("/", "jwt"))
        .route(with_cookies("/more", "jwt | api_key | basic"))
        .route(with_cookies("/scope", "jwt c"))
        .route(route("/none", "jwt"))
        .settings(|s| s.failures = failures)
        .build();
    with_alice(&fixture);
    let alice = principal("alice", "a b c");
    let jwt = fixture.room(Jwt);
    let script = |value: &str, change: &dyn Fn(&mut Authentication)| {
        let mut authentication = jwt.authentication(value, &alice.id, "a");
        change(&mut authentication);
        jwt.script(value, Answer::Good(Box::new(authentication)));
    };
    script("expired", &|a| a.expires_at = Some(Timestamp::EPOCH));
    script("early", &|a| a.not_before = Some(Timestamp::from_seconds(i64::MAX / 2_000_000)));
    script("elsewhere", &|a| a.audiences = Some(Arc::new(["https://other.example".into()])));
    script("revoked", &|_| {});
    fixture.feed.revoke(jwt.node("revoked"));
    script("ghost", &|a| a.principal = principal("ghost", "").id);
    let mut off = principal("off", "a");
    off.enabled = false;
    fixture.directory.set(&off);
    script("disabled", &|a| a.principal = off.id.clone());
    script("unproven", &|_| {});
    let unproven = Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "no proof" };
    jwt.confirm_with("unproven", Err(unproven));
    let malformed = Rejection { fault: Fault::Malformed, code: "credential_malformed", reason: "odd" };
    jwt.script("malformed", Answer::Rejected(malformed));
    jwt.script("down", Answer::Unavailable);
    let network = Rejection { fault: Fault::Forbidden, code: "network_not_allowed", reason: "network" };
    jwt.script("foreign", Answer::Rejected(network));
    fixture
}

async fn denied(fixture: &Fixture, transport: Transport, headers: Headers<'_>) -> Denial {
    match fixture.ask(Method::GET, "/more", headers, "192.0.2.1", transport).await {
        Decision::Allow(permit) => panic!("{headers:?} was allowed: {permit:?}"),
        Decision::Deny(denial) => denial,
    }
}

#[tokio::test]
async fn rule_1_6_a_good_one_counts_where_the_route_says_so() {
    let fixture = fixture();
    assert_eq!(methods(&fixture.allowed("/", &[ALICE]).await), [Jwt]);
    assert_eq!(methods(&fixture.allowed("/more", &[("cookie", "a=b"), ALICE]).await), [Jwt]);
    assert_eq!(told(&fixture.denied("/none", &[ALICE]).await), (401, "credential_missing"));
    // two of our name are none
    let two = [ALICE, ("cookie", "__Host-session=alice")];
    assert_eq!(told(&fixture.denied("/", &two).await), (401, "credential_missing"));
}

/// Whatever would be 401 or 400, from any step of the check.
#[tokio::test]
async fn rule_1_6_a_bad_one_counts_as_absent_and_costs_its_network_nothing() {
    let fixture = fixture();
    let bad =
        ["nobody", "expired", "early", "elsewhere", "revoked", "ghost", "disabled", "unproven", "malformed"];
    for value in bad {
        let cookie = format!("__Host-session={value}");
        for headers in [&[("cookie", &*cookie)][..], &[("cookie", &cookie), ("origin", "null")]] {
            let denial = fixture.denied("/", headers).await;
            assert_eq!(told(&denial), (401, "credential_missing"), "{value}: {}", denial.reason);
            assert!(denial.known.is_empty(), "{value}");
        }
        // what remains decides
        let beside = [("cookie", &*cookie), ("x-api-key", "alice")];
        assert_eq!(methods(&fixture.allowed("/more", &beside).await), [ApiKey], "{value}");
        // and is judged as it would be alone
        let beside = [("cookie", &*cookie), ("x-api-key", "down")];
        fixture.room(ApiKey).script("down", Answer::Unavailable);
        assert_eq!(told(&denied(&fixture, Transport::Tls, &beside).await), (503, "store_unavailable"));
    }
    // more of them than the budget of failures: an uncached key is still looked at
    fixture.room(ApiKey).good("fresh", &principal("alice", "").id, "a");
    fixture.allowed("/more", &[("x-api-key", "fresh")]).await;
    // a key that is bad beside one is as bad as ever
    let wrong = [STALE, ("x-api-key", "nobody")];
    assert_eq!(told(&denied(&fixture, Transport::Tls, &wrong).await), (401, "credential_invalid"));
}

/// It was good, and is not any more: also where the cache knows it.
#[tokio::test]
async fn rule_1_6_one_that_goes_stale_is_gone_at_once() {
    let fixture = fixture();
    let alice = principal("alice", "a b c");
    let jwt = fixture.room(Jwt);
    let now = countersign_core::Clock::now(&*fixture.clock);
    let mut short = jwt.authentication("short", &alice.id, "a");
    short.expires_at = Some(now + Duration::from_secs(10));
    jwt.script("short", Answer::Good(Box::new(short)));
    let short = [("cookie", "__Host-session=short")];
    fixture.allowed("/", &short).await;
    fixture.clock.advance(Duration::from_secs(10));
    assert_eq!(told(&fixture.denied("/", &short).await), (401, "credential_missing"));

    fixture.allowed("/", &[ALICE]).await;
    fixture.feed.revoke(Node::principal(&alice.id));
    assert_eq!(told(&fixture.denied("/", &[ALICE]).await), (401, "credential_missing"));
}

/// Neither an outage nor what is forbidden is the cookie's age.
#[tokio::test]
async fn rule_1_6_what_does_not_make_it_stale() {
    let fixture = fixture();
    let down = [("cookie", "__Host-session=down")];
    assert_eq!(told(&fixture.denied("/", &down).await), (503, "store_unavailable"));
    let foreign = [("cookie", "__Host-session=foreign")];
    assert_eq!(told(&fixture.denied("/", &foreign).await), (403, "network_not_allowed"));
    assert_eq!(told(&fixture.denied("/scope", &[ALICE]).await), (403, "scope_missing"));
    fixture.feed.set_blind(true);
    assert_eq!(told(&fixture.denied("/", &[ALICE]).await), (503, "feed_blind"));
}

/// RULES 1.6 and 1.4: beside `Authorization`, whatever stands there, a cookie is nobody's; and it does not answer for that
/// field.
#[tokio::test]
async fn rule_1_6_beside_authorization_it_counts_as_absent() {
    let fixture = fixture();
    for (authorization, expected) in [
        ("Digest x", (401, "credential_missing")),
        ("Basic x", (401, "credential_missing")),
        ("Bearer x", (401, "credential_invalid")),
        ("x", (400, "credential_malformed")),
    ] {
        let before = fixture.room(Jwt).verified();
        let headers = [ALICE, ("authorization", authorization)];
        assert_eq!(told(&fixture.denied("/", &headers).await), expected, "{authorization}");
        assert_eq!(fixture.room(Jwt).verified(), before, "{authorization}: not even looked up");
    }
    let doubled = [ALICE, ("authorization", "Bearer jwt.alice"), ("authorization", "Bearer jwt.alice")];
    assert_eq!(told(&fixture.denied("/", &doubled).await), (400, "credential_doubled"));
    // another credential is none of its business
    let fixture = self::fixture();
    let password = [ALICE, ("x-basic", "alice")];
    assert_eq!(methods(&fixture.allowed("/more", &password).await), [Jwt]);
    let password = [ALICE, ("x-basic", "alice"), ("authorization", "Basic x")];
    assert_eq!(methods(&fixture.allowed("/more", &password).await), [Basic]);
}

/// RULES 1.7: before any lookup, and so whether it is good, stale or beside something else.
#[tokio::test]
async fn rule_1_7_over_plain_http_a_cookie_was_seen_by_everybody() {
    let fixture = fixture();
    for headers in [&[ALICE][..], &[STALE], &[STALE, ("authorization", "Digest x")]] {
        let denial = denied(&fixture, Transport::Plain, headers).await;
        assert_eq!(told(&denial), (403, "tls_required"), "{headers:?}");
    }
    assert_eq!(fixture.room(Jwt).verified(), 0);
    // one that counts as absent by its look
    let two = [("cookie", "__Host-session=a; __Host-session=b")];
    assert_eq!(told(&denied(&fixture, Transport::Plain, &two).await), (401, "credential_missing"));
    let none = denied(&fixture, Transport::Plain, &[("cookie", "x=1")]).await;
    assert_eq!(told(&none), (401, "credential_missing"));
}

/// RULES 2.4: over budget only what is cached passes, a cookie as anything else; it was not looked at, so it is not stale.
#[tokio::test]
async fn rule_2_4_over_budget_a_cookie_waits_as_well() {
    let fixture = fixture();
    fixture.allowed("/", &[ALICE]).await;
    for _ in 0..3 {
        denied(&fixture, Transport::Tls, &[("x-api-key", "nobody")]).await;
    }
    fixture.allowed("/", &[ALICE]).await;
    assert_eq!(told(&fixture.denied("/", &[STALE]).await), (429, "too_many_failures"));
}
