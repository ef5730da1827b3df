//! Who is sent to the login page: a person whose browser comes for a page that a session would open, and nobody else.

use crate::support::{route, told, with_alice};
use countersign_core::{
    MethodName::{ApiKey, Jwt},
    MethodRule,
    check::{
        decision::{Decision, Denial},
        request::Transport,
        route::Route,
    },
};
use countersign_testkit::{Fixture, Headers};
use http::Method;

const NAVIGATES: (&str, &str) = ("sec-fetch-mode", "navigate");
const PAGE: (&str, &str) = ("sec-fetch-dest", "document");
const ALICE: (&str, &str) = ("cookie", "__Host-session=alice");

fn fixture() -> Fixture {
    let with = |path: &str, requirement: &str, sign_in| -> Route {
        let mut route = route(path, requirement);
        let rule = MethodRule { cookies: true, sign_in, ..MethodRule::DEFAULT };
        let key = MethodRule { query: Some("key".into()), ..MethodRule::DEFAULT };
        route.presentation = vec![(Jwt, rule), (ApiKey, key)];
        route
    };
    let fixture = Fixture::builder()
        .route(with("/page/*", "jwt | api_key", true))
        .route(with("/scope", "jwt c", true))
        .route(with("/both", "jwt & api_key", true))
        .route(with("/certificate", "jwt & mtls", true))
        .route(with("/quiet", "jwt", false))
        .route(with("/key", "api_key", true))
        .build();
    with_alice(&fixture);
    fixture
}

async fn denied(fixture: &Fixture, method: Method, target: &str, headers: Headers<'_>) -> Denial {
    match fixture.ask(method, target, headers, "192.0.2.1", Transport::Tls).await {
        Decision::Allow(permit) => panic!("`{target}` with {headers:?} was allowed: {permit:?}"),
        Decision::Deny(denial) => denial,
    }
}

/// Where a browser is sent, and what it comes back to.
#[tokio::test]
async fn a_person_comes_back_to_what_was_asked_for() {
    let fixture = fixture();
    let stale = ("cookie", "__Host-session=nobody");
    for (target, back) in [
        ("/page/a?b=c", "/page/a?b=c"),
        // as a permit would hold it
        ("/page/./%61//b?c=%61", "/page/a/b?c=%61"),
        ("/page/a?key=secret&b=c", "/page/a?b=c"),
        ("/page/a?%6bey=secret", "/page/a"),
    ] {
        for headers in [&[NAVIGATES, PAGE][..], &[NAVIGATES], &[NAVIGATES, PAGE, stale]] {
            for method in [Method::GET, Method::HEAD] {
                let denial = denied(&fixture, method, target, headers).await;
                assert_eq!(denial.kind.status(), 401, "{target} {headers:?}");
                let told = denial.sign_in.as_ref().map(|target| target.as_str());
                assert_eq!(told, Some(back), "{target} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_else_is_sent_there() {
    let fixture = fixture();
    const GET: Method = Method::GET;
    const MISSING: (u16, &str) = (401, "credential_missing");
    let rows: &[(Method, &str, Headers<'_>, (u16, &str))] = &[
        // programs, and what a page fetches
        (GET, "/page/a", &[], MISSING),
        (GET, "/page/a", &[("sec-fetch-mode", "cors"), PAGE], MISSING),
        (GET, "/page/a", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], MISSING),
        (GET, "/page/a", &[NAVIGATES, NAVIGATES], MISSING),
        (GET, "/page/a", &[NAVIGATES, ("sec-fetch-dest", "iframe")], MISSING),
        (GET, "/page/a", &[NAVIGATES, ("sec-fetch-dest", "frame")], MISSING),
        (GET, "/page/a", &[NAVIGATES, ("sec-fetch-dest", "")], MISSING),
        (GET, "/page/a", &[NAVIGATES, PAGE, PAGE], MISSING),
        // what would not be the same request afterwards
        (Method::POST, "/page/a", &[NAVIGATES, PAGE], MISSING),
        (Method::OPTIONS, "/page/a", &[NAVIGATES, PAGE], MISSING),
        // where the route does not say so, or has no session
        (GET, "/quiet", &[NAVIGATES, PAGE], MISSING),
        (GET, "/key", &[NAVIGATES, PAGE], MISSING),
        // who has a session, and lacks something else
        (GET, "/scope", &[NAVIGATES, PAGE, ALICE], (403, "scope_missing")),
        (GET, "/both", &[NAVIGATES, PAGE, ALICE], MISSING),
        (GET, "/certificate", &[NAVIGATES, PAGE, ALICE], (403, "certificate_required")),
        // whose session does not count beside what else is sent (RULES 1.6)
        (GET, "/page/a", &[NAVIGATES, PAGE, ALICE, ("authorization", "Basic x")], MISSING),
        (GET, "/page/a", &[NAVIGATES, PAGE, ("authorization", "x")], (400, "credential_malformed")),
        // other refusals are what they are
        (GET, "/nowhere", &[NAVIGATES, PAGE], (404, "route_unknown")),
    ];
    for (method, target, headers, expected) in rows {
        let denial = denied(&fixture, method.clone(), target, headers).await;
        assert_eq!(told(&denial), *expected, "{method} {target} {headers:?}");
        assert_eq!(denial.sign_in, None, "{method} {target} {headers:?}");
    }
    let plain = fixture.ask(GET, "/page/a", &[NAVIGATES, PAGE, ALICE], "192.0.2.1", Transport::Plain).await;
    let Decision::Deny(plain) = plain else { panic!("allowed over plain http") };
    assert_eq!((told(&plain), plain.sign_in), ((403, "tls_required"), None));
    let plain = fixture.ask(GET, "/page/a", &[NAVIGATES, PAGE], "192.0.2.1", Transport::Plain).await;
    let Decision::Deny(plain) = plain else { panic!("allowed over plain http") };
    assert_eq!((told(&plain), plain.sign_in), (MISSING, None));
}
