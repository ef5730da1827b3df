//! RULES 1.1, 1.5, 1.7: what depends on this request, this route and this moment.

use crate::support::{fixture, route, told, with_alice};
use countersign_core::{
    Authentication, Clock,
    MethodName::{ApiKey, Jwt},
    check::{
        decision::{Decision, Denial},
        request::Transport,
    },
};
use countersign_testkit::{Answer, Fixture, Headers, principal};
use http::Method;
use std::{sync::Arc, time::Duration};

const KEY: Headers<'_> = &[("x-api-key", "alice")];

fn scripted(fixture: &Fixture, change: impl FnOnce(&mut Authentication)) {
    let room = fixture.room(ApiKey);
    let mut authentication = room.authentication("alice", &principal("alice", "").id, "a b");
    change(&mut authentication);
    room.script("alice", Answer::Good(Box::new(authentication)));
}

async fn denied_from(
    fixture: &Fixture,
    from: &str,
    transport: Transport,
    headers: Headers<'_>,
) -> Option<Denial> {
    match fixture.ask(Method::GET, "/", headers, from, transport).await {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial),
    }
}

#[tokio::test]
async fn rule_1_1_expiry_is_judged_on_a_cached_yes() {
    let fixture = fixture(&[("/", "api_key | jwt")]);
    let begun = fixture.clock.now();
    scripted(&fixture, |a| a.expires_at = Some(begun + Duration::from_secs(10)));
    fixture.allowed("/", KEY).await;
    fixture.clock.advance(Duration::from_secs(10));
    assert_eq!(told(&fixture.denied("/", KEY).await), (401, "key_expired"));
    assert_eq!(fixture.room(ApiKey).verified(), 1);

    let jwt = fixture.room(Jwt);
    let mut token = jwt.authentication("late", &principal("alice", "").id, "");
    token.not_before = Some(begun + Duration::from_secs(20));
    token.expires_at = Some(begun + Duration::from_secs(25));
    jwt.script("late", Answer::Good(Box::new(token)));
    assert_eq!(told(&fixture.denied("/", &[("x-jwt", "late")]).await), (401, "credential_invalid"));
    fixture.clock.advance(Duration::from_secs(10));
    fixture.allowed("/", &[("x-jwt", "late")]).await;
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(told(&fixture.denied("/", &[("x-jwt", "late")]).await), (401, "token_expired"));
}

/// RULES 1.1: a yes from home is no yes from abroad.
#[tokio::test]
async fn rule_1_1_networks_are_judged_on_a_cached_yes() {
    let fixture = fixture(&[("/", "api_key")]);
    scripted(&fixture, |a| {
        a.networks = Arc::new(["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()])
    });
    for from in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"] {
        assert!(denied_from(&fixture, from, Transport::Tls, KEY).await.is_none(), "{from}");
    }
    for from in ["192.0.3.7", "::ffff:198.51.100.1", "2001:db9::1", "::1"] {
        let denial = denied_from(&fixture, from, Transport::Tls, KEY).await.unwrap();
        assert_eq!(told(&denial), (403, "network_not_allowed"), "{from}");
        assert_eq!(denial.known.len(), 1);
    }
    assert_eq!(fixture.room(ApiKey).verified(), 1);
}

/// RULES 1.5: a yes at upstream B is no yes at A, and where a route names no resource nothing is meant for it.
#[tokio::test]
async fn rule_1_5_audience_is_judged_on_a_cached_yes() {
    let resource = |path: &str, resource: Option<&str>| {
        let mut route = route(path, "api_key");
        route.resource = resource.map(Into::into);
        route
    };
    let fixture = Fixture::builder()
        .routes([
            resource("/a", Some("https://a.example")),
            resource("/b", Some("https://b.example")),
            resource("/none", None),
        ])
        .build();
    with_alice(&fixture);
    fixture.allowed("/none", KEY).await; // it names no audience yet
    scripted(&fixture, |a| {
        a.audiences = Some(Arc::new(["https://b.example".into(), "https://c.example".into()]))
    });
    fixture.feed.change(fixture.room(ApiKey).node("alice"));
    fixture.allowed("/b", KEY).await;
    for path in ["/a", "/none"] {
        assert_eq!(told(&fixture.denied(path, KEY).await), (401, "credential_invalid"), "{path}");
    }
    assert_eq!(fixture.room(ApiKey).verified(), 2);
}

/// RULES 1.7: over plain HTTP no credential is looked at, good, bad or cached; what breaks a grammar is still 400.
#[tokio::test]
async fn rule_1_7_plain_http() {
    let fixture = fixture(&[("/", "api_key | basic")]);
    let rows: &[(Headers<'_>, (u16, &str))] = &[
        (KEY, (403, "tls_required")),
        (&[("x-api-key", "nobody")], (403, "tls_required")),
        (&[("authorization", "Bearer rubbish")], (403, "tls_required")),
        (&[("x-api-key", "alice"), ("x-api-key", "alice")], (400, "credential_doubled")),
        (&[], (401, "credential_missing")),
    ];
    for (headers, expected) in rows {
        let denial = denied_from(&fixture, "192.0.2.1", Transport::Plain, headers).await.unwrap();
        assert_eq!(told(&denial), *expected, "{headers:?}");
    }
    assert_eq!(fixture.room(ApiKey).verified(), 0);
    assert!(denied_from(&fixture, "127.0.0.1", Transport::PlainTrusted, KEY).await.is_none());
    fixture.allowed("/", KEY).await;
    let denial = denied_from(&fixture, "192.0.2.1", Transport::Plain, KEY).await.unwrap();
    assert_eq!(told(&denial), (403, "tls_required"), "cached or not");
}

/// Every presented credential must hold, also one that is not needed.
#[tokio::test]
async fn rule_2_1_a_second_credential_that_does_not_hold_is_a_failure() {
    let fixture = fixture(&[("/", "jwt | api_key")]);
    scripted(&fixture, |a| a.networks = Arc::new(["203.0.113.0/24".parse().unwrap()]));
    let both: Headers<'_> = &[("x-jwt", "alice"), ("x-api-key", "alice")];
    assert_eq!(told(&fixture.denied("/", both).await), (403, "network_not_allowed"));
    // 401 before 403 (RULES 2.1)
    let jwt = fixture.room(Jwt);
    let mut token = jwt.authentication("old", &principal("alice", "").id, "");
    token.expires_at = Some(fixture.clock.now());
    jwt.script("old", Answer::Good(Box::new(token)));
    let both: Headers<'_> = &[("x-api-key", "alice"), ("x-jwt", "old")];
    assert_eq!(told(&fixture.denied("/", both).await), (401, "token_expired"));
}
