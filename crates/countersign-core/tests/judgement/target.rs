//! RULES 2.2, 2.3: what is judged is what is forwarded.

use crate::support::{fixture, route, told, with_alice};
use countersign_core::{
    MethodName::ApiKey,
    MethodRule,
    check::{
        DecisionPoint,
        decision::Decision,
        request::{CheckRequest, Peer, Transport},
    },
};
use countersign_testkit::{Fixture, Headers};
use http::{HeaderMap, Method, uri::PathAndQuery};

const KEY: Headers<'_> = &[("x-api-key", "alice")];

#[tokio::test]
async fn rule_2_3_the_permit_holds_the_canonical_target() {
    let fixture = fixture(&[("/orders/{id}", "api_key"), ("/admin/*", "api_key c"), ("/*", "api_key")]);
    for (target, forwarded) in [
        ("/orders/7?a=%2f", "/orders/7?a=%2f"),
        ("//x/../orders/%37", "/orders/7"),
        ("/public/../orders/7", "/orders/7"),
    ] {
        let permit = fixture.allowed(target, KEY).await;
        assert_eq!(permit.target().as_str(), forwarded);
        assert_eq!(&*permit.route().path, "/orders/{id}");
        assert_eq!(permit.method(), Method::GET);
    }
    // each of them would be `/admin/...` to somebody
    for target in
        ["/x/../admin/x", "//admin/x", "/%61dmin/x", "/./admin/x", "/admin/", "/admin", "/%61%64%6d%69%6e"]
    {
        assert_eq!(told(&fixture.denied(target, KEY).await), (403, "scope_missing"), "{target}");
    }
    for target in [
        "/x/..%2fadmin",
        "/admin;x/y",
        "/..;/admin",
        "/x%5c..%5cadmin",
        "/%252e%252e/admin",
        "/../admin",
        "/admin%00",
    ] {
        let denial = fixture.denied(target, KEY).await;
        assert_eq!(told(&denial), (400, "request_malformed"), "{target}");
        assert!(denial.route.is_none());
    }
}

#[tokio::test]
async fn rule_2_2_no_route_and_no_method() {
    let fixture = fixture(&[("/orders", "api_key")]);
    assert_eq!(told(&fixture.denied("/other", KEY).await), (404, "route_unknown"));
    let Decision::Deny(denial) =
        fixture.ask(Method::TRACE, "/orders", KEY, "192.0.2.1", Transport::Tls).await
    else {
        panic!("TRACE was allowed")
    };
    assert_eq!(told(&denial), (405, "method_not_allowed"));
    assert!(denial.allow.contains(&Method::GET) && !denial.allow.contains(&Method::TRACE));
}

/// RULES 3.2: where the route allows a key in the query, it does not go on.
#[tokio::test]
async fn rule_3_2_the_permit_has_no_key_in_its_target() {
    let mut with_query = route("/", "api_key");
    with_query.presentation =
        vec![(ApiKey, MethodRule { header: None, query: Some("key".into()), ..MethodRule::DEFAULT })];
    let fixture = Fixture::builder().route(with_query).route(route("/strict", "api_key")).build();
    with_alice(&fixture);
    let permit = fixture.allowed("/?a=1&key=alice&b=2", &[]).await;
    assert_eq!(permit.target().as_str(), "/?a=1&b=2");
    assert!(!format!("{permit:?}").contains("key=alice"));
    // whichever way the caller came in
    assert_eq!(fixture.allowed("/?key=bob", KEY).await.target().as_str(), "/");
    // RULES: no credential in a query string unless the route allows it
    assert_eq!(told(&fixture.denied("/strict?key=alice", &[]).await), (401, "credential_missing"));
}

async fn authority(
    fixture: &Fixture,
    authority: &str,
    transport: Transport,
) -> Result<String, (u16, &'static str)> {
    let headers = HeaderMap::new();
    let peer = Peer { address: [192, 0, 2, 1].into(), transport };
    let target = PathAndQuery::from_static("/");
    let request = CheckRequest { method: &Method::GET, authority, target: &target, headers: &headers, peer };
    match fixture.point.check(&request).await {
        Decision::Allow(permit) => Ok(permit.authority().to_owned()),
        Decision::Deny(denial) => Err(told(&denial)),
    }
}

#[tokio::test]
async fn rule_2_2_the_permit_holds_the_canonical_authority() {
    use countersign_core::check::route::{HostPattern, Route, SecurityRequirement};
    let mut public = Route::new("/", "orders", SecurityRequirement::Public);
    public.host = HostPattern::Exact("api.example".into());
    let fixture = Fixture::builder().route(public).build();
    let rows = [
        ("api.example", Transport::Tls, Ok("api.example")),
        ("API.Example.", Transport::Tls, Ok("api.example")),
        ("api.example:443", Transport::Tls, Ok("api.example")),
        ("api.example:80", Transport::Tls, Ok("api.example:80")),
        ("api.example:80", Transport::Plain, Ok("api.example")),
        ("api.example:8443", Transport::Tls, Ok("api.example:8443")),
        ("API.example.:8443", Transport::Tls, Ok("api.example:8443")),
        ("api.example:08443", Transport::Tls, Ok("api.example:8443")),
        ("other.example", Transport::Tls, Err((404, "route_unknown"))),
        ("u@api.example", Transport::Tls, Err((400, "request_malformed"))),
        ("api.example:x", Transport::Tls, Err((400, "request_malformed"))),
        ("", Transport::Tls, Err((400, "request_malformed"))),
    ];
    for (asked, transport, expected) in rows {
        assert_eq!(
            authority(&fixture, asked, transport).await.as_deref(),
            expected.as_ref().copied(),
            "{asked}"
        );
    }
}

/// A decision may be awaited on any runtime.
#[test]
fn decisions_are_send() {
    fn is_send<T: Send>(_: T) {}
    fn never_called(point: &DecisionPoint, request: &CheckRequest<'_>) {
        is_send(point.check(request));
        is_send(point.rehearse(request));
    }
    let _ = never_called;
}
