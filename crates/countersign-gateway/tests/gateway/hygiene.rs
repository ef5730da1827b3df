//! M.2 rules 2 and 3: what a caller may not say does not arrive, however it is spelled or smuggled.

use crate::support::{Act, Got, KEY, OK, Rig, Upstream, needs, routes, status};
use countersign_core::{
    MethodName, MethodRule,
    check::route::{Route, SecurityRequirement},
};
use http::HeaderName;

const ROBOT: &str = "svc_robot000000000000000";

/// M.2 rule 2: every variant that passes as HTTP is dropped or refused; the upstream sees our value once and no other.
#[tokio::test]
async fn m2_2_no_spelling_of_an_identity_header_arrives() {
    for name in [
        "countersign-principal",
        "Countersign-Principal",
        "COUNTERSIGN-PRINCIPAL",
        "Countersign_Principal",
        "countersign_principal",
        "Countersign.Principal",
        "countersign-Principal_",
        "Countersign-Identity",
        "Countersign-Anything",
        "X-Countersign-User",
        "X-Auth-Request-User",
        "X-Auth-Request-Email",
        "x_auth_request_user",
        "X-Auth-Request.User",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Access-Token",
        "Remote-User",
        "REMOTE_USER",
        "remote.user",
        "Remote-Groups",
        "Remote-Name",
        "Remote-Email",
        "X-Consumer-ID",
        "X-Consumer-Username",
        "X-Consumer-Custom-ID",
        "X-Credential-Identifier",
        "X-Anonymous-Consumer",
        "X-Authenticated-Scope",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Forwarded-Client-Cert",
        "X-SSL-Client-Cert",
        "SSL-Client-Verify",
        "X-WEBAUTH-USER",
        "X-Remote-User",
        "X-Amzn-Oidc-Identity",
        "X-Amzn-Mtls-Clientcert-Subject",
        "X-ARR-ClientCert",
        "X-Apigateway-Api-Userinfo",
        "X-Endpoint-API-UserInfo",
        "X-Userinfo",
        "X-Auth-User",
        "X-Appengine-User-Email",
        "X-Azure-ClientIP",
        "Fly-Client-IP",
        "X-TLS-Client-Cert",
        "Oidc-Claim-Email",
        "Teleport-Jwt-Assertion",
        "Cf-Access-Jwt-Assertion",
        "X-Goog-Authenticated-User-Email",
    ] {
        let rig = Rig::plain().await;
        let answer = rig.get("/a", &format!("{name}: evil\r\n{name}: evil2\r\n")).await;
        if name.contains('_') {
            assert_eq!(status(&answer), 400, "{name}: {answer}");
            assert!(rig.upstream.requests().is_empty(), "{name}");
            continue;
        }
        assert_eq!(status(&answer), 200, "{name}: {answer}");
        let got = rig.upstream.only();
        assert!(!got.text().contains("evil"), "{name}: {}", got.text());
        assert_eq!(got.field("countersign-principal"), [ROBOT], "{name}");
    }
}

/// The same on a public route, where nothing of ours overwrites it.
#[tokio::test]
async fn m2_2_a_public_route_carries_no_identity_at_all() {
    let rig = Rig::plain().await;
    let answer = rig
        .send("GET /open/a HTTP/1.1\r\nHost: a.example\r\nCountersign-Principal: evil\r\nRemote-User: evil\r\n\r\n")
        .await;
    assert_eq!(status(&answer), 200);
    let got = rig.upstream.only();
    assert!(!got.text().contains("evil") && got.field("countersign-principal").is_empty(), "{}", got.text());
}

/// M.2 rule 1 and RULES 3.1: no peer is believed about how the request came.
#[tokio::test]
async fn m2_1_no_forwarded_field_is_believed() {
    let rig = Rig::plain().await;
    let fields = [
        "Forwarded: for=10.0.0.1;host=evil;proto=https",
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Host: evil",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: evil",
        "X-Forwarded-Uri: /open/evil",
        "X-Forwarded-Method: DELETE",
        "X-Forwarded-Prefix: /evil",
        "X-Original-URL: /open/evil",
        "X-Original-URI: /open/evil",
        "X-Original-Method: evil",
        "X-Rewrite-URL: /evil",
        "X-Real-IP: 10.0.0.1",
        "True-Client-IP: 10.0.0.1",
        "CF-Connecting-IP: 10.0.0.1",
        "Client-IP: 10.0.0.1",
        "X-Cluster-Client-IP: 10.0.0.1",
        "X-Envoy-Original-Path: /evil",
        "X-Request-Id: evil",
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-HTTP-Host-Override: evil",
        "X-Host: evil",
        "X-Method-Override: DELETE",
        "Proxy: evil",
    ]
    .join("\r\n");
    let answer = rig.get("/orders/1", &format!("{fields}\r\n")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let got = rig.upstream.only();
    let text = got.text();
    for planted in ["evil", "10.0.0.1", "DELETE"] {
        assert!(!text.contains(planted), "{planted}: {text}");
    }
    assert_eq!(got.line(), "GET /orders/1 HTTP/1.1");
    assert_eq!(got.field("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(got.field("x-forwarded-proto"), ["http"]);
    assert_eq!(got.field("x-forwarded-host"), ["api.example"]);
}

/// A forwarded field is not believed for the decision either: the route is that of the request line.
#[tokio::test]
async fn m2_1_a_forwarded_target_opens_nothing() {
    let rig = Rig::plain().await;
    let answer = rig
        .send(
            "GET /orders/1 HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Uri: /open/a\r\nX-Original-URL: /open/a\r\n\
             X-HTTP-Method-Override: OPTIONS\r\n\r\n",
        )
        .await;
    assert_eq!(status(&answer), 401);
    assert!(rig.upstream.requests().is_empty());
}

/// M.2 rule 3: hop-by-hop first, then ours; nominations reach neither our fields nor those for all recipients.
#[tokio::test]
async fn m2_3_connection_cannot_remove_what_we_say() {
    let rig = Rig::plain().await;
    let answer = rig
        .get(
            "/a",
            "Connection: countersign-principal, X-Forwarded-For, host, x-mine, origin, cookie\r\n\
             Connection: Countersign-Request-Id, x-forwarded-proto\r\nX-Mine: 1\r\nOrigin: https://a.example\r\n\
             Cookie: a=b\r\n",
        )
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let got = rig.upstream.only();
    assert_eq!(got.field("countersign-principal"), [ROBOT]);
    assert_eq!(got.field("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(got.field("x-forwarded-proto"), ["http"]);
    assert_eq!(got.field("countersign-request-id").len(), 1);
    assert_eq!(got.field("host"), [rig.upstream.address.to_string()]);
    assert_eq!(got.field("origin"), ["https://a.example"]);
    assert_eq!(got.field("cookie"), ["a=b"]);
    // RFC 9110 7.6.1: an ordinary nomination is honoured
    assert!(got.field("x-mine").is_empty());
    assert!(got.field("connection").is_empty());
}

#[tokio::test]
async fn m2_3_hop_by_hop_fields_stay_on_their_hop() {
    let rig = Rig::plain().await;
    let answer = rig
        .get(
            "/a",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\
             Proxy-Authorization: Basic eA==\r\nUpgrade: websocket\r\nTrailer: x-a\r\n",
        )
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let got = rig.upstream.only();
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "proxy-authorization", "upgrade", "trailer"]
    {
        assert!(got.field(name).is_empty(), "{name}: {}", got.text());
    }
}

/// RULES 3.2: on every route, also where the route does not name the method.
#[tokio::test]
async fn rules_3_2_credentials_are_stripped_on_every_route() {
    let mut own = Route::new("/own/*", "api", needs(""));
    let rule = MethodRule {
        header: Some(HeaderName::from_static("x-own-key")),
        query: Some("key".into()),
        ..MethodRule::DEFAULT
    };
    own.presentation = vec![(MethodName::ApiKey, rule)];
    let mut all = routes();
    all.push(own);
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, all, |config| {
        config.key_headers = vec![HeaderName::from_static("x-own-key")];
        config.query_parameters = vec!["key".into()];
    })
    .await;
    let everything = "Authorization: Bearer cs_live_x\r\nX-Own-Key: good\r\n";
    for (target, expected) in [
        ("/open/a?a=1&key=good&b=2", "GET /open/a?a=1&b=2 HTTP/1.1"),
        ("/open/a?%6bey=good", "GET /open/a HTTP/1.1"),
        ("/own/a?key=good&c=3", "GET /own/a?c=3 HTTP/1.1"),
    ] {
        // one credential a request: the query's alone where the route reads it
        let fields = if target.starts_with("/own") { "" } else { everything };
        let answer = rig.send(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")).await;
        assert_eq!(status(&answer), 200, "{target}: {answer}");
        let got = rig.upstream.requests().pop().unwrap();
        assert_eq!(got.line(), expected);
        assert!(!got.text().contains("good") && !got.text().contains("cs_live_x"), "{}", got.text());
    }
}

/// M.2 rule 2: another spelling of a field that we consume is the field itself to a server that reads names as CGI
/// does: a key that was never checked, or a length that we did not frame.
#[tokio::test]
async fn m2_2_no_other_spelling_of_what_we_consume_arrives() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let own = HeaderName::from_static("x-own-key");
    let rig = Rig::with(upstream, routes(), |config| config.key_headers = vec![own]).await;
    let names = [
        "X.Api.Key",
        "x-api!key",
        "X-Own'Key",
        "Transfer.Encoding",
        "Content!Length",
        "Keep*Alive",
        "Proxy.Authorization",
    ];
    let fields: String = names.iter().map(|name| format!("{name}: evil\r\n")).collect();
    let answer = rig.get("/a", &format!("{fields}X.Kept: yes\r\n")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    let got = rig.upstream.only();
    assert!(!got.text().contains("evil"), "{}", got.text());
    assert_eq!(got.field("x.kept"), ["yes"]);
}

#[tokio::test]
async fn rules_3_2_a_route_may_forward_the_credential() {
    let mut route = Route::new("/*", "api", needs(""));
    route.forward_credential = true;
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![route], |_| {}).await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    assert_eq!(rig.upstream.only().field("x-api-key"), ["good"]);
}

/// RULES 2.3 and M.2 rule 4: the upstream gets the canonical target that was judged, whatever was sent.
#[tokio::test]
async fn m2_4_exactly_the_canonical_target_goes_upstream() {
    let rig = Rig::plain().await;
    for (sent, forwarded) in [
        ("/orders/./1", "/orders/1"),
        ("/open/../orders/1", "/orders/1"),
        ("/%6frders/1", "/orders/1"),
        ("//orders//1", "/orders/1"),
        ("/orders/1?q=%2e%2e/x", "/orders/1?q=%2e%2e/x"),
    ] {
        let answer = rig.get(sent, "").await;
        assert_eq!(status(&answer), 200, "{sent}: {answer}");
        assert_eq!(rig.upstream.requests().pop().unwrap().line(), format!("GET {forwarded} HTTP/1.1"));
    }
    let before = rig.upstream.requests().len();
    for sent in ["/open/..%2forders", "/open/%2e%2e%2forders", "/a%00b", "/a%5cb", "/a;b", "/../a", "/%25"] {
        let answer = rig.send(format!("GET {sent} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        assert_eq!(status(&answer), 400, "{sent}: {answer}");
    }
    assert_eq!(rig.upstream.requests().len(), before);
}

/// RULES 2.3: what is judged is the whole path; what the upstream sees of it is the route's to say, not the caller's.
#[tokio::test]
async fn m2_4_a_route_rewrites_the_prefix_that_was_judged() {
    let mut route = Route::new("/api/*", "api", SecurityRequirement::Public);
    (route.strip_prefix, route.add_prefix) = ("/api".into(), "/v2".into());
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![route], |_| {}).await;
    for (sent, forwarded) in [
        ("/api/orders/7?a=/api", "/v2/orders/7?a=/api"),
        ("/api", "/v2"),
        ("//%61pi/./x/", "/v2/x/"),
        ("/api/a/../b", "/v2/b"),
    ] {
        let head = format!("GET {sent} HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Prefix: /evil\r\n\r\n");
        let answer = rig.send(head).await;
        assert_eq!(status(&answer), 200, "{sent}: {answer}");
        let got = rig.upstream.requests().pop().unwrap();
        assert_eq!(got.line(), format!("GET {forwarded} HTTP/1.1"));
        assert_eq!(got.field("x-forwarded-prefix"), ["/api"]);
    }
    let before = rig.upstream.requests().len();
    for sent in ["/api/..", "/api/../v2/x", "/apix", "/v2/x", "/other"] {
        let answer = rig.send(format!("GET {sent} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        assert_eq!(status(&answer), 404, "{sent}: {answer}");
    }
    assert_eq!(rig.upstream.requests().len(), before);
}

/// M.2 rule 9: the upstream's Host is from the route or the configuration, never the caller's.
#[tokio::test]
async fn m2_9_host_comes_from_route_or_configuration() {
    use countersign_core::check::route::HostPattern;
    let mut exact = Route::new("/exact", "api", SecurityRequirement::Public);
    exact.host = HostPattern::Exact("orders.example".into());
    let mut kept = Route::new("/kept", "api", SecurityRequirement::Public);
    kept.preserve_host = true;
    let any = Route::new("/any", "api", SecurityRequirement::Public);
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![exact, kept, any], |_| {}).await;
    let upstream = rig.upstream.address.to_string();
    for (target, host, expected, forwarded) in [
        ("/exact", "Orders.Example:8443", "orders.example", "orders.example:8443"),
        ("/any", "evil.example", upstream.as_str(), "evil.example"),
        ("/kept", "Some.Example.", "some.example", "some.example"),
    ] {
        let answer = rig.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(status(&answer), 200, "{target}: {answer}");
        let got = rig.upstream.requests().pop().unwrap();
        assert_eq!(got.field("host"), [expected], "{target}");
        assert_eq!(got.field("x-forwarded-host"), [forwarded], "{target}");
    }
}

/// RULES 3.1: a trailer comes after the decision, so it says nothing.
#[tokio::test]
async fn rules_3_1_no_trailer_goes_upstream() {
    let rig = Rig::plain().await;
    let answer = rig
        .send(format!(
            "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Transfer-Encoding: chunked\r\nTrailer: x-a, remote-user\r\n\
             \r\n3\r\nabc\r\n0\r\nX-A: evil\r\nRemote-User: evil\r\n\r\n"
        ))
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    let got: Got = rig.upstream.only();
    assert!(!got.text().contains("evil") && got.text().ends_with("0\r\n\r\n"), "{}", got.text());
}

/// RFC 9113 8.2.3 is tested over HTTP/2; here: several cookie lines become one.
#[tokio::test]
async fn cookies_go_upstream_in_one_field() {
    let rig = Rig::plain().await;
    assert_eq!(status(&rig.get("/a", "Cookie: a=1\r\nCookie: b=2\r\n").await), 200);
    assert_eq!(rig.upstream.only().field("cookie"), ["a=1; b=2"]);
}

/// RFC 9110 7.6.2.
#[tokio::test]
async fn max_forwards_counts_down_and_ends_here() {
    let rig = Rig::plain().await;
    let ask =
        |left: &str| format!("OPTIONS /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Max-Forwards: {left}\r\n\r\n");
    assert_eq!(status(&rig.send(ask("0")).await), 204);
    assert!(rig.upstream.requests().is_empty());
    assert_eq!(status(&rig.send(ask("5")).await), 200);
    assert_eq!(rig.upstream.only().field("max-forwards"), ["4"]);
    // who may not ask is not answered either
    let answer = rig.send("OPTIONS /a HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n").await;
    assert_eq!(status(&answer), 401);
}
