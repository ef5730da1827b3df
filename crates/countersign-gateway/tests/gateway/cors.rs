//! RULES 3.5: preflights are answered here, from the route's `cors`, and never forwarded.

use crate::support::{Act, Rig, Upstream, code, fields, needs, status};
use countersign_core::check::route::{Cors, CorsOrigins, MethodSet, Route};
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;

fn cors() -> Cors {
    Cors {
        origins: CorsOrigins::Of(vec![HeaderValue::from_static("https://app.example")]),
        methods: vec![Method::GET, Method::PUT],
        headers: vec![HeaderName::from_static("x-api-key")],
        expose: vec![HeaderName::from_static("etag")],
        credentials: true,
        max_age: Duration::from_secs(600),
    }
}

async fn rig() -> Rig {
    let mut shared = Route::new("/shared", "api", needs(""));
    shared.methods = MethodSet::Of(vec![Method::GET, Method::PUT]);
    shared.cors = Some(cors());
    let mut any = Route::new("/any", "api", needs(""));
    any.cors = Some(Cors { origins: CorsOrigins::Any, credentials: false, ..cors() });
    let closed = Route::new("/closed", "api", needs(""));
    let upstream = Upstream::start(|_| {
        Act::answer(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: https://evil.example\r\n\
             Access-Control-Allow-Credentials: true\r\nVary: Accept\r\n\r\nok",
        )
    })
    .await;
    Rig::with(upstream, vec![shared, any, closed], |_| {}).await
}

fn preflight(path: &str, origin: &str, method: &str, extra: &str) -> String {
    format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: a.example\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: {method}\r\n{extra}\r\n"
    )
}

#[tokio::test]
async fn rules_3_5_a_preflight_is_granted_from_the_route() {
    let rig = rig().await;
    let asked = "Access-Control-Request-Headers: x-api-key, Accept\r\n";
    let answer = rig.send(preflight("/shared", "https://app.example", "PUT", asked)).await;
    assert_eq!(status(&answer), 204, "{answer}");
    assert_eq!(fields(&answer, "access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(fields(&answer, "access-control-allow-methods"), ["GET, PUT"]);
    assert_eq!(fields(&answer, "access-control-allow-headers"), ["x-api-key"]);
    assert_eq!(fields(&answer, "access-control-allow-credentials"), ["true"]);
    assert_eq!(fields(&answer, "access-control-max-age"), ["600"]);
    assert!(fields(&answer, "vary").join(",").to_lowercase().contains("origin"));
    assert!(rig.upstream.requests().is_empty(), "never forwarded");
}

#[tokio::test]
async fn rules_3_5_what_the_route_does_not_grant_is_denied() {
    let rig = rig().await;
    let app = "https://app.example";
    let header = "Access-Control-Request-Headers: x-other\r\n";
    for (what, request, expected) in [
        ("another origin", preflight("/shared", "https://evil.example", "GET", ""), 403),
        ("a null origin", preflight("/shared", "null", "GET", ""), 403),
        ("an origin that begins alike", preflight("/shared", "https://app.example.evil", "GET", ""), 403),
        ("another header", preflight("/shared", app, "GET", header), 403),
        ("another method", preflight("/shared", app, "DELETE", ""), 405),
        ("a method outside cors", preflight("/any", app, "DELETE", ""), 403),
        ("no cors", preflight("/closed", app, "GET", ""), 403),
        ("no route", preflight("/nowhere", app, "GET", ""), 404),
        ("two origins", preflight("/shared", app, "GET", "Origin: https://b.example\r\n"), 400),
        ("a method that is none", preflight("/shared", app, "G T", ""), 400),
        ("a hidden path", preflight("/shared%2f", app, "GET", ""), 400),
    ] {
        let answer = rig.send(request).await;
        assert_eq!(status(&answer), expected, "{what}: {answer}");
        assert!(fields(&answer, "access-control-allow-origin").is_empty(), "{what}: {answer}");
    }
    assert!(rig.upstream.requests().is_empty(), "never forwarded");
}

#[tokio::test]
async fn any_origin_is_a_star_and_never_with_credentials() {
    let rig = rig().await;
    let answer = rig.send(preflight("/any", "https://who.example", "GET", "")).await;
    assert_eq!(status(&answer), 204, "{answer}");
    assert_eq!(fields(&answer, "access-control-allow-origin"), ["*"]);
    assert!(fields(&answer, "access-control-allow-credentials").is_empty());
}

/// The upstream has no say where the route has cors.
#[tokio::test]
async fn actual_answers_carry_the_routes_cors_and_not_the_upstreams() {
    let rig = rig().await;
    let answer = rig.get("/shared", "Origin: https://app.example\r\n").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(fields(&answer, "access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(fields(&answer, "access-control-expose-headers"), ["etag"]);
    for fields_sent in ["", "Origin: https://evil.example\r\n"] {
        let answer = rig.get("/shared", fields_sent).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(fields(&answer, "access-control-allow-origin").is_empty(), "{answer}");
        assert!(fields(&answer, "access-control-allow-credentials").is_empty(), "{answer}");
        let vary = fields(&answer, "vary").join(", ").to_lowercase();
        assert!(vary.contains("origin") && vary.contains("accept"), "{answer}");
    }
}

/// A page may read why it was refused.
#[tokio::test]
async fn refusals_carry_cors_too() {
    let rig = rig().await;
    let answer =
        rig.send("GET /shared HTTP/1.1\r\nHost: a.example\r\nOrigin: https://app.example\r\n\r\n").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (401, "credential_missing"), "{answer}");
    assert_eq!(fields(&answer, "access-control-allow-origin"), ["https://app.example"]);
}

/// OPTIONS without the preflight's fields is a request like any other.
#[tokio::test]
async fn an_ordinary_options_is_judged() {
    let rig = rig().await;
    let answer = rig.send("OPTIONS /closed HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(status(&answer), 401, "{answer}");
    assert!(rig.upstream.requests().is_empty());
}
