//! RULES 2.4: limits count every authenticated request, allowed or denied.

use crate::support::{route, told, with_alice};
use countersign_core::{
    Authentication, Lineage,
    MethodName::{ApiKey, Jwt, OAuth},
    Node, NodeKind, ScopeSet,
    check::{
        limit::{PlanName, RateLimit},
        route::{Alternative, LimitBy, Route, RouteLimit, SecurityRequirement},
    },
};
use countersign_testkit::{Answer, Fixture, Headers, principal};
use std::time::Duration;

const KEY: Headers<'_> = &[("x-api-key", "alice")];

fn per_minute(quota: u32) -> RateLimit {
    RateLimit { quota, window: Duration::from_secs(60) }
}

fn limited(mut route: Route, by: LimitBy, quota: u32) -> Route {
    route.limits.push(RouteLimit { by, limit: per_minute(quota) });
    route
}

fn fixture(routes: impl IntoIterator<Item = Route>) -> Fixture {
    let fixture = Fixture::builder().routes(routes).plan("free", per_minute(3)).build();
    with_alice(&fixture);
    fixture.directory.set(&principal("bob", "a"));
    fixture.room(ApiKey).good("second", &principal("alice", "").id, "a");
    fixture.room(ApiKey).good("bob", &principal("bob", "").id, "a");
    fixture
}

/// How many of ten requests pass.
async fn pass(fixture: &Fixture, target: &str, headers: Headers<'_>) -> usize {
    let mut passed = 0;
    for _ in 0..10 {
        match fixture.get(target, headers).await {
            countersign_core::check::decision::Decision::Allow(_) => passed += 1,
            countersign_core::check::decision::Decision::Deny(denial) => {
                assert_eq!(told(&denial), (429, "limit_exceeded"));
                assert!(denial.retry_after.is_some() && denial.limit.is_some_and(|l| l.remaining == 0));
                assert_eq!(denial.known.len(), 1, "the operator sees who");
            }
        }
    }
    passed
}

#[tokio::test]
async fn rule_2_4_by_principal_credential_and_route() {
    let second: Headers<'_> = &[("x-api-key", "second")];
    let bob: Headers<'_> = &[("x-api-key", "bob")];
    // who shares a count with whom: alice's two keys, and bob
    for (by, expected) in
        [(LimitBy::Principal, [3, 0, 3]), (LimitBy::Credential, [3, 3, 3]), (LimitBy::Route, [3, 0, 0])]
    {
        let fixture =
            fixture([limited(route("/", "api_key"), by, 3), limited(route("/other", "api_key"), by, 3)]);
        for (headers, expected) in [KEY, second, bob].into_iter().zip(expected) {
            assert_eq!(pass(&fixture, "/", headers).await, expected, "{by:?} {headers:?}");
        }
        assert_eq!(pass(&fixture, "/other", KEY).await, 3, "{by:?}: another route counts for itself");
        fixture.clock.advance(Duration::from_secs(60));
        assert_eq!(pass(&fixture, "/", KEY).await, 3, "{by:?}: a window later");
    }
}

/// Otherwise whoever has a key would have as many as it is exchanged for sessions.
#[tokio::test]
async fn rule_2_4_what_was_given_for_a_credential_counts_as_it_does() {
    let either = Alternative(vec![(Jwt, ScopeSet::default())]);
    let mut all = route("/", "api_key");
    if let SecurityRequirement::AnyOf(alternatives) = &mut all.security {
        alternatives.push(either);
    }
    let fixture = fixture([limited(all, LimitBy::Credential, 3)]);
    let (key, jwt) = (fixture.room(ApiKey).node("alice"), fixture.room(Jwt));
    let alice = principal("alice", "").id;
    for (name, parents) in [
        ("of-key", vec![key.clone()]),
        ("of-key-too", vec![key]),
        ("of-password", vec![Node::new(NodeKind::Password, "alice.1")]),
        ("of-password-too", vec![Node::new(NodeKind::Password, "alice.1")]),
        ("of-another", vec![Node::new(NodeKind::Password, "bob.1")]),
        ("of-its-own", vec![]),
    ] {
        let mut session = jwt.authentication(name, &alice, "");
        let own = [Node::principal(&alice), Node::new(NodeKind::Session, name)];
        session.lineage = Lineage::new(own.into_iter().chain(parents));
        jwt.script(name, Answer::Good(Box::new(session)));
    }
    let theirs =
        Authentication { issuer: Some("https://idp.example".into()), ..jwt.authentication("", &alice, "") };
    for name in ["theirs", "theirs-too"] {
        let lineage = Lineage::new([Node::principal(&alice), Node::new(NodeKind::Token, name)]);
        jwt.script(name, Answer::Good(Box::new(Authentication { lineage, ..theirs.clone() })));
    }
    assert_eq!(pass(&fixture, "/", KEY).await, 3);
    for (name, expected) in [
        ("theirs", 3),
        ("theirs-too", 0),
        ("of-key", 0),
        ("of-key-too", 0),
        ("of-password", 3),
        ("of-password-too", 0),
        ("of-another", 3),
        ("of-its-own", 3),
    ] {
        assert_eq!(pass(&fixture, "/", &[("x-jwt", name)]).await, expected, "{name}");
    }
}

#[tokio::test]
async fn rule_2_4_the_keys_own_limit_and_its_plan() {
    let fixture = fixture([route("/", "api_key"), route("/other", "api_key")]);
    let room = fixture.room(ApiKey);
    let mut own = room.authentication("own", &principal("alice", "").id, "");
    own.limit = Some(per_minute(4));
    room.script("own", Answer::Good(Box::new(own)));
    assert_eq!(pass(&fixture, "/", &[("x-api-key", "own")]).await, 4);
    assert_eq!(pass(&fixture, "/other", &[("x-api-key", "own")]).await, 0, "wherever it calls");
    // a plan counts per principal, over all its keys
    for value in ["plan1", "plan2"] {
        let mut planned = room.authentication(value, &principal("bob", "").id, "");
        planned.plan = PlanName::parse("free");
        room.script(value, Answer::Good(Box::new(planned)));
    }
    assert_eq!(pass(&fixture, "/", &[("x-api-key", "plan1")]).await, 3);
    assert_eq!(pass(&fixture, "/other", &[("x-api-key", "plan2")]).await, 0);
}

#[tokio::test]
async fn rule_2_4_a_plan_of_the_route_and_one_that_is_unknown() {
    let mut free = route("/free", "api_key");
    free.plan = PlanName::parse("free");
    let mut unknown = route("/unknown", "api_key c");
    unknown.plan = PlanName::parse("gone");
    let fixture = fixture([free, unknown]);
    assert_eq!(pass(&fixture, "/free", KEY).await, 3);
    assert_eq!(
        told(&fixture.denied("/unknown", KEY).await),
        (503, "plan_unknown"),
        "before the 403 (RULES 2.1)"
    );
}

/// Denied is counted as well; who is not known is not.
#[tokio::test]
async fn rule_2_4_denied_requests_count() {
    let limits = |needs| limited(route("/", needs), LimitBy::Principal, 3);
    let fixture = fixture([limits("api_key c | jwt")]);
    for _ in 0..3 {
        assert_eq!(told(&fixture.denied("/", KEY).await), (403, "scope_missing"));
        assert_eq!(told(&fixture.denied("/", &[]).await), (401, "credential_missing"));
    }
    // 403 before 429 (RULES 2.1), and the count is spent
    assert_eq!(told(&fixture.denied("/", KEY).await), (403, "scope_missing"));
    assert_eq!(told(&fixture.denied("/", &[("x-jwt", "alice")]).await), (429, "limit_exceeded"));
}

/// Who is authenticated and not allowed here is counted; an expired key authenticates nobody.
#[tokio::test]
async fn rule_2_4_an_expired_key_spends_nothing() {
    let fixture = fixture([limited(route("/", "api_key"), LimitBy::Principal, 3)]);
    let room = fixture.room(ApiKey);
    let mut expired = room.authentication("expired", &principal("alice", "").id, "");
    expired.expires_at = Some(countersign_core::Timestamp::EPOCH);
    room.script("expired", Answer::Good(Box::new(expired)));
    let mut foreign = room.authentication("foreign", &principal("alice", "").id, "");
    foreign.networks = ["203.0.113.0/24".parse().unwrap()].into();
    room.script("foreign", Answer::Good(Box::new(foreign)));
    for _ in 0..5 {
        assert_eq!(told(&fixture.denied("/", &[("x-api-key", "expired")]).await), (401, "key_expired"));
    }
    assert_eq!(told(&fixture.denied("/", &[("x-api-key", "foreign")]).await), (403, "network_not_allowed"));
    assert_eq!(pass(&fixture, "/", KEY).await, 2);
}

/// The permit tells the tightest of all limits.
#[tokio::test]
async fn the_tightest_limit_is_told() {
    let route = limited(limited(route("/", "api_key"), LimitBy::Route, 100), LimitBy::Principal, 5);
    let fixture = fixture([route]);
    for expected in [4, 3, 2] {
        let state = *fixture.allowed("/", KEY).await.limit().unwrap();
        assert_eq!((state.limit.quota, state.remaining), (5, expected));
    }
}

/// Another good credential beside it does not move the count to another principal.
#[tokio::test]
async fn rule_2_4_the_one_who_is_let_in_is_charged() {
    let fixture = fixture([limited(route("/", "api_key | oauth"), LimitBy::Principal, 3)]);
    fixture.room(OAuth).good("bob", &principal("bob", "").id, "");
    assert_eq!(pass(&fixture, "/", KEY).await, 3);
    let both: Headers<'_> = &[("x-api-key", "alice"), ("x-oauth", "bob")];
    assert_eq!(pass(&fixture, "/", both).await, 0);
    assert_eq!(fixture.room(Jwt).verified(), 0);
}

/// A public route has its own count and nobody else's.
#[tokio::test]
async fn a_public_route_counts_by_route_alone() {
    let public = Route::new("/", "orders", SecurityRequirement::Public);
    let fixture = fixture([limited(limited(public, LimitBy::Principal, 1), LimitBy::Route, 2)]);
    fixture.allowed("/", &[]).await;
    fixture.allowed("/", &[]).await;
    assert_eq!(told(&fixture.denied("/", &[]).await), (429, "limit_exceeded"));
}
