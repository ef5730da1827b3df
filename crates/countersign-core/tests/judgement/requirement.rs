//! RULES 2.1: alternatives, and the three answers absent, good, bad.

use crate::support::{fixture, methods, route, told, with_alice};
use countersign_core::{
    MethodName::{self, ApiKey, Basic, Jwt, Mtls, OAuth},
    Rejection,
    authenticator::Fault,
    check::{
        DecisionPoint, Parts, Settings,
        route::{Route, RouteTable, SecurityRequirement},
    },
};
use countersign_testkit::{Answer, Fixture, Headers, StaticRoutes, principal};
use std::sync::Arc;

const INVALID: Rejection =
    Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "scripted" };
const MALFORMED: Rejection =
    Rejection { fault: Fault::Malformed, code: "credential_malformed", reason: "scripted" };
const FORBIDDEN: Rejection =
    Rejection { fault: Fault::Forbidden, code: "network_not_allowed", reason: "scripted" };

/// RULES 2.1: who gets in, and by which methods.
#[tokio::test]
async fn rule_2_1_the_first_satisfied_alternative_in_written_order() {
    let rows: &[(&str, Headers<'_>, &[MethodName])] = &[
        ("api_key", &[("x-api-key", "alice")], &[ApiKey]),
        ("api_key a b", &[("x-api-key", "alice")], &[ApiKey]),
        // OR
        ("oauth a | api_key a", &[("x-api-key", "alice")], &[ApiKey]),
        ("oauth a | api_key a", &[("x-oauth", "alice")], &[OAuth]),
        // both good: the first written, and the other gives nothing
        ("api_key | oauth", &[("x-oauth", "alice"), ("x-api-key", "alice")], &[ApiKey]),
        ("oauth | api_key", &[("x-oauth", "alice"), ("x-api-key", "alice")], &[OAuth]),
        // the first lacks a scope, the second does not
        ("oauth c | api_key a", &[("x-oauth", "alice"), ("x-api-key", "alice")], &[ApiKey]),
        // AND; the subject is the first of oauth, jwt, basic, api_key, mtls, however written
        (
            "mtls & api_key a & oauth b",
            &[("x-mtls", "alice"), ("x-api-key", "alice"), ("x-oauth", "alice")],
            &[OAuth, ApiKey, Mtls],
        ),
        ("api_key & basic", &[("x-basic", "alice"), ("x-api-key", "alice")], &[Basic, ApiKey]),
        ("mtls & jwt | api_key", &[("x-mtls", "alice"), ("x-api-key", "alice")], &[ApiKey]),
    ];
    for (requirement, headers, expected) in rows {
        let permit = fixture(&[("/", requirement)]).allowed("/", headers).await;
        assert_eq!(methods(&permit), *expected, "{requirement} with {headers:?}");
    }
}

/// RULES 2.1: absent is 401 `credential_missing`, good without scope 403, bad 401 even beside a good one.
#[tokio::test]
async fn rule_2_1_absent_good_and_bad_stay_apart() {
    let rows: &[(&str, Headers<'_>, (u16, &str))] = &[
        ("api_key", &[], (401, "credential_missing")),
        ("api_key", &[("x-oauth", "alice")], (401, "credential_missing")),
        ("api_key", &[("x-api-key", "nobody")], (401, "credential_invalid")),
        ("api_key c", &[("x-api-key", "alice")], (403, "scope_missing")),
        ("oauth | api_key", &[("x-api-key", "alice"), ("x-oauth", "nobody")], (401, "credential_invalid")),
        // half an alternative
        ("oauth & api_key", &[("x-api-key", "alice")], (401, "credential_missing")),
        // half of one, all of another without its scope
        ("oauth & mtls | api_key c", &[("x-api-key", "alice"), ("x-oauth", "alice")], (403, "scope_missing")),
        // two credentials of one kind
        ("api_key", &[("x-api-key", "alice"), ("x-api-key", "alice")], (400, "credential_doubled")),
        (
            "oauth | api_key",
            &[("x-oauth", "alice"), ("x-api-key", "a"), ("x-api-key", "b")],
            (400, "credential_doubled"),
        ),
    ];
    for (requirement, headers, expected) in rows {
        let denial = fixture(&[("/", requirement)]).denied("/", headers).await;
        assert_eq!(told(&denial), *expected, "{requirement} with {headers:?}: {}", denial.reason);
    }
}

/// RULES 2.1: each method by its own scopes, never pooled.
#[tokio::test]
async fn rule_2_1_scopes_are_never_pooled() {
    let fixture = fixture(&[("/", "oauth a & mtls b")]);
    let alice = principal("alice", "a b c");
    fixture.room(OAuth).good("half", &alice.id, "b");
    fixture.room(Mtls).good("half", &alice.id, "a");
    let denial = fixture.denied("/", &[("x-oauth", "half"), ("x-mtls", "half")]).await;
    assert_eq!(told(&denial), (403, "scope_missing"));
    assert_eq!(denial.needs.unwrap().to_string(), "a b");
    assert_eq!(denial.known.len(), 2, "the operator sees who it was");
}

/// RULES 2.1: of several failures the first of 400, 401, 503, 403.
#[tokio::test]
async fn rule_2_1_order_of_failures() {
    let fixture = fixture(&[("/", "oauth | basic | api_key c | mtls")]);
    for room in MethodName::ALL.map(|m| fixture.room(m)) {
        room.script("malformed", Answer::Bad(MALFORMED));
        room.script("offline", Answer::Bad(INVALID));
        room.script("invalid", Answer::Rejected(INVALID));
        room.script("down", Answer::Unavailable);
        room.script("foreign", Answer::Rejected(FORBIDDEN));
    }
    let ordered = [
        ("malformed", 400),
        ("offline", 401),
        ("invalid", 401),
        ("down", 503),
        ("foreign", 403),
        ("alice", 403),
    ];
    for (n, (one, status)) in ordered.iter().enumerate() {
        for (other, _) in &ordered[n..] {
            for headers in
                [[("x-oauth", *one), ("x-api-key", *other)], [("x-oauth", *other), ("x-api-key", *one)]]
            {
                if headers[0].1 == "alice" {
                    continue; // good, and satisfies an alternative alone
                }
                let denial = fixture.denied("/", &headers).await;
                assert_eq!(denial.kind.status().as_u16(), *status, "{headers:?}");
            }
        }
    }
}

/// RULES 2.1: an outage counts only for a credential that was presented.
#[tokio::test]
async fn rule_2_1_an_outage_is_503_and_only_for_what_was_presented() {
    let fixture = fixture(&[("/", "oauth | api_key")]);
    fixture.room(OAuth).script("down", Answer::Unavailable);
    assert_eq!(told(&fixture.denied("/", &[("x-oauth", "down")]).await), (503, "store_unavailable"));
    fixture.allowed("/", &[("x-api-key", "alice")]).await;
    // not remembered: when the store is back, so is the caller
    fixture.room(OAuth).good("down", &principal("alice", "").id, "");
    fixture.allowed("/", &[("x-oauth", "down")]).await;
}

/// RULES 1.4: a Bearer value that nobody claims is a bad credential of the first Bearer method.
#[tokio::test]
async fn rule_1_4_an_unclaimed_bearer_value_is_bad() {
    let rows: &[(&str, Headers<'_>, (u16, &str))] = &[
        ("api_key", &[("authorization", "Bearer rubbish")], (401, "credential_invalid")),
        ("api_key", &[("authorization", "bearer rubbish")], (401, "credential_invalid")),
        (
            "jwt | api_key",
            &[("authorization", "Bearer x"), ("x-api-key", "alice")],
            (401, "credential_invalid"),
        ),
        // no room for it: not a credential here
        ("basic", &[("authorization", "Bearer rubbish")], (401, "credential_missing")),
        ("api_key", &[("authorization", "Basic dTpw")], (401, "credential_missing")),
        // RULES 2.1: grammar
        ("api_key", &[("authorization", "rubbish")], (400, "credential_malformed")),
        ("api_key", &[("authorization", "")], (400, "credential_malformed")),
        (
            "api_key",
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            (400, "credential_doubled"),
        ),
    ];
    for (requirement, headers, expected) in rows {
        let denial = fixture(&[("/", requirement)]).denied("/", headers).await;
        assert_eq!(told(&denial), *expected, "{requirement} with {headers:?}: {}", denial.reason);
    }
    let claimed =
        fixture(&[("/", "oauth | api_key")]).allowed("/", &[("authorization", "Bearer api_key.alice")]).await;
    assert_eq!(methods(&claimed), [ApiKey]);
}

/// RULES 1.9, PRODUCT: every 401 has a challenge, strongest first, none twice; mtls has none.
#[tokio::test]
async fn rule_1_9_challenges() {
    type Row<'a> = (&'a str, Headers<'a>, (u16, &'a str), &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        (
            "basic | api_key | oauth",
            &[],
            (401, "credential_missing"),
            &["Bearer realm=\"test\"", "Basic realm=\"test\", charset=\"UTF-8\""],
        ),
        ("basic", &[], (401, "credential_missing"), &["Basic realm=\"test\", charset=\"UTF-8\""]),
        ("mtls", &[], (403, "certificate_required"), &[]),
        ("mtls", &[("x-mtls", "nobody")], (403, "certificate_required"), &[]),
        ("mtls & oauth", &[("x-oauth", "alice")], (403, "certificate_required"), &[]),
        ("mtls & oauth", &[], (401, "credential_missing"), &["Bearer realm=\"test\""]),
        ("mtls | oauth", &[], (401, "credential_missing"), &["Bearer realm=\"test\""]),
    ];
    for (requirement, headers, expected, challenges) in rows {
        let denial = fixture(&[("/", requirement)]).denied("/", headers).await;
        assert_eq!(told(&denial), *expected, "{requirement} with {headers:?}");
        let sent: Vec<&str> = denial.challenges.iter().map(|c| c.value().to_str().unwrap()).collect();
        assert_eq!(sent, *challenges, "{requirement} with {headers:?}");
    }
}

/// A public route asks nobody, and nobody's credential is looked at.
#[tokio::test]
async fn rule_2_1_a_public_route_is_open_and_looks_at_nothing() {
    let fixture = Fixture::builder().route(Route::new("/", "orders", SecurityRequirement::Public)).build();
    with_alice(&fixture);
    let permit = fixture.allowed("/", &[("x-api-key", "nobody"), ("authorization", "rubbish")]).await;
    assert!(permit.subject().is_none());
    assert_eq!(fixture.room(ApiKey).verified() + fixture.room(Jwt).verified(), 0);
}

/// A route that asks for a method that is not there is closed, not open.
#[tokio::test]
async fn rule_2_1_a_method_without_an_authenticator_is_503() {
    let mut fixture = fixture(&[]);
    let table = RouteTable::new(vec![route("/", "api_key")], &[]).unwrap();
    fixture.point = Arc::new(DecisionPoint::new(Parts {
        routes: Arc::new(StaticRoutes::new(table)),
        authenticators: Vec::new(),
        feed: fixture.feed.clone(),
        directory: fixture.directory.clone(),
        counter: fixture.counter.clone(),
        clock: fixture.clock.clone(),
        settings: Settings::default(),
    }));
    assert_eq!(told(&fixture.denied("/", &[("x-api-key", "alice")]).await), (503, "store_unavailable"));
    assert_eq!(told(&fixture.denied("/", &[]).await), (503, "store_unavailable"));
}
