//! RULES 1.6: what a browser adds by itself counts for no foreign page.

use crate::support::{route, told, with_alice};
use countersign_core::{
    MethodName, MethodRule,
    check::{
        decision::{Decision, Denial},
        request::{CheckRequest, Peer, Transport},
        route::{Cors, CorsOrigins},
    },
};
use countersign_testkit::{Fixture, Headers};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::time::Duration;

const PASSWORD: (&str, &str) = ("x-basic", "alice");
const SESSION: (&str, &str) = ("cookie", "__Host-session=alice");
const ORIGIN: &str = "origin";
const SITE: &str = "sec-fetch-site";

fn cors(origins: CorsOrigins) -> Cors {
    Cors {
        origins,
        methods: vec![Method::POST],
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: false,
        max_age: Duration::ZERO,
    }
}

fn fixture() -> Fixture {
    let listed = vec![HeaderValue::from_static("https://app.example")];
    let mut routes = ["/", "/listed", "/any"].map(|path| route(path, "basic | api_key | mtls | jwt"));
    for route in &mut routes {
        route.presentation = vec![(MethodName::Jwt, MethodRule { cookies: true, ..MethodRule::DEFAULT })];
    }
    let [_, of, any] = &mut routes;
    of.cors = Some(cors(CorsOrigins::Of(listed)));
    any.cors = Some(cors(CorsOrigins::Any));
    let fixture = Fixture::builder().routes(routes).build();
    with_alice(&fixture);
    fixture
}

/// Where it was asked for, and by whom.
#[derive(Clone)]
struct Asked {
    method: Method,
    path: &'static str,
    authority: &'static str,
    transport: Transport,
}

const POST: Asked =
    Asked { method: Method::POST, path: "/", authority: "api.example", transport: Transport::Tls };

async fn denied(fixture: &Fixture, asked: &Asked, headers: Headers<'_>) -> Option<Denial> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let request = CheckRequest {
        method: &asked.method,
        authority: asked.authority,
        target: &PathAndQuery::from_static(asked.path),
        headers: &map,
        peer: Peer { address: [192, 0, 2, 1].into(), transport: asked.transport },
    };
    match fixture.point.check(&request).await {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial),
    }
}

async fn is_foreign(fixture: &Fixture, asked: &Asked, headers: Headers<'_>) -> bool {
    match denied(fixture, asked, headers).await {
        None => false,
        Some(denial) => {
            assert_eq!(told(&denial), (403, "origin_not_allowed"), "{headers:?}");
            true
        }
    }
}

#[tokio::test]
async fn rule_1_6_unsafe_methods_from_foreign_pages() {
    let fixture = fixture();
    let rows: &[(Headers<'_>, bool)] = &[
        // no browser, or one from before 2020 and a form of ours
        (&[], false),
        (&[(ORIGIN, "https://api.example")], false),
        (&[(SITE, "same-origin")], false),
        // typed, or from a bookmark
        (&[(SITE, "none")], false),
        (&[(ORIGIN, "https://api.example"), (SITE, "same-origin")], false),
        (&[(SITE, "cross-site")], true),
        // a sibling host is a stranger
        (&[(SITE, "same-site")], true),
        (&[(SITE, "")], true),
        (&[(SITE, "Same-Origin")], true),
        (&[(SITE, "same-origin, none")], true),
        (&[(SITE, "same-origin"), (SITE, "same-origin")], true),
        (&[(ORIGIN, "https://evil.example")], true),
        (&[(ORIGIN, "https://www.api.example")], true),
        (&[(ORIGIN, "https://api.example.evil.example")], true),
        (&[(ORIGIN, "https://evil.example#https://api.example")], true),
        // a sandboxed frame, a redirect over another site, a file
        (&[(ORIGIN, "null")], true),
        (&[(ORIGIN, "")], true),
        // another scheme or port is another origin
        (&[(ORIGIN, "http://api.example")], true),
        (&[(ORIGIN, "https://api.example:8443")], true),
        (&[(ORIGIN, "https://api.example:80")], true),
        (&[(ORIGIN, "api.example")], true),
        (&[(ORIGIN, "https://api.example/")], true),
        (&[(ORIGIN, "https://API.example")], true),
        (&[(ORIGIN, "https://api.example https://evil.example")], true),
        (&[(ORIGIN, "https://api.example"), (ORIGIN, "https://api.example")], true),
        // either header is enough to say so
        (&[(ORIGIN, "https://evil.example"), (SITE, "same-origin")], true),
        (&[(ORIGIN, "https://evil.example"), (SITE, "none")], true),
        (&[(ORIGIN, "https://api.example"), (SITE, "cross-site")], true),
        (&[(ORIGIN, "null"), (SITE, "same-origin")], true),
        // listed on another route only
        (&[(ORIGIN, "https://app.example")], true),
        (&[(ORIGIN, "https://app.example"), (SITE, "cross-site")], true),
    ];
    for credential in [PASSWORD, ("x-mtls", "alice")] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let asked = Asked { method, ..POST };
            for (headers, foreign) in rows {
                let headers = [&[credential], *headers].concat();
                assert_eq!(is_foreign(&fixture, &asked, &headers).await, *foreign, "{headers:?}");
            }
        }
    }
    // what a page must add by itself, it was given
    for credential in [("x-api-key", "alice"), ("x-jwt", "alice")] {
        for (headers, _) in rows {
            assert!(!is_foreign(&fixture, &POST, &[&[credential], *headers].concat()).await, "{headers:?}");
        }
    }
}

/// Reading is what CORS is for.
#[tokio::test]
async fn rule_1_6_reading_is_free_and_an_upgrade_is_not() {
    let fixture = fixture();
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let asked = Asked { method, ..POST };
        let foreign = [PASSWORD, (ORIGIN, "https://evil.example"), (SITE, "cross-site")];
        assert!(!is_foreign(&fixture, &asked, &foreign).await, "{}", asked.method);
        // RFC 6455 4.1; RFC 8441 5: over HTTP/2 there is no `Upgrade`
        for upgrade in [("upgrade", "websocket"), ("upgrade", "x"), ("sec-websocket-version", "13")] {
            let foreign = [&foreign[..], &[upgrade]].concat();
            assert!(is_foreign(&fixture, &asked, &foreign).await, "{} {upgrade:?}", asked.method);
            let own = [PASSWORD, upgrade, (ORIGIN, "https://api.example"), (SITE, "same-origin")];
            assert!(!is_foreign(&fixture, &asked, &own).await, "{} {upgrade:?}", asked.method);
            assert!(!is_foreign(&fixture, &asked, &[PASSWORD, upgrade]).await);
        }
    }
}

/// Only who is named may act; whoever lets any page read lets none act.
#[tokio::test]
async fn rule_1_6_listed_origins() {
    let fixture = fixture();
    let listed = Asked { path: "/listed", ..POST };
    for (headers, foreign) in [
        (&[(ORIGIN, "https://app.example")][..], false),
        (&[(ORIGIN, "https://app.example"), (SITE, "cross-site")], false),
        (&[(ORIGIN, "https://app.example"), (SITE, "same-site")], false),
        (&[(ORIGIN, "https://api.example")], false),
        (&[(ORIGIN, "https://evil.example")], true),
        (&[(ORIGIN, "https://app.example:444")], true),
        (&[(ORIGIN, "http://app.example")], true),
        (&[(ORIGIN, "https://app.example"), (ORIGIN, "https://app.example")], true),
        // without an origin nobody is named
        (&[(SITE, "cross-site")], true),
    ] {
        let headers = [&[PASSWORD], headers].concat();
        assert_eq!(is_foreign(&fixture, &listed, &headers).await, foreign, "{headers:?}");
    }
    let any = Asked { path: "/any", ..POST };
    assert!(is_foreign(&fixture, &any, &[PASSWORD, (ORIGIN, "https://app.example")]).await);
    assert!(is_foreign(&fixture, &any, &[PASSWORD, (ORIGIN, "*")]).await);
    assert!(!is_foreign(&fixture, &any, &[PASSWORD, (ORIGIN, "https://api.example")]).await);
}

/// Ports as browsers write them (RFC 6454 6.2), and the scheme that the caller came by.
#[tokio::test]
async fn rule_1_6_ports_and_schemes() {
    let fixture = fixture();
    use Transport::{PlainTrusted, Tls};
    for (authority, transport, origin, foreign) in [
        ("api.example:443", Tls, "https://api.example", false),
        ("API.example.:443", Tls, "https://api.example", false),
        ("api.example:443", Tls, "https://api.example:443", true),
        ("api.example:8443", Tls, "https://api.example:8443", false),
        ("api.example:8443", Tls, "https://api.example", true),
        ("api.example:8443", Tls, "https://api.example:9443", true),
        ("api.example:80", Tls, "https://api.example:80", false),
        ("api.example:80", Tls, "http://api.example", true),
        ("[2001:db8::1]:8443", Tls, "https://[2001:db8::1]:8443", false),
        // on this machine
        ("localhost:8080", PlainTrusted, "http://localhost:8080", false),
        ("localhost:8080", PlainTrusted, "http://localhost:8081", true),
        ("127.0.0.1:8080", PlainTrusted, "http://localhost:8080", true),
        // behind a trusted peer that says that it was TLS
        ("api.example", PlainTrusted, "https://api.example", false),
        ("api.example:443", PlainTrusted, "https://api.example", false),
        ("api.example:8443", PlainTrusted, "https://api.example:8443", false),
        ("api.example", PlainTrusted, "https://evil.example", true),
        ("api.example", PlainTrusted, "ftp://api.example", true),
    ] {
        let asked = Asked { authority, transport, ..POST };
        let headers = [PASSWORD, (ORIGIN, origin)];
        assert_eq!(is_foreign(&fixture, &asked, &headers).await, foreign, "{authority} {origin}");
    }
    // the same host without TLS is a stranger, and the browser says so
    let asked = Asked { transport: PlainTrusted, ..POST };
    let stripped = [PASSWORD, (ORIGIN, "http://api.example"), (SITE, "cross-site")];
    assert!(is_foreign(&fixture, &asked, &stripped).await);
}

/// RULES 1.1: judged on a cached yes as on the first; and whoever is refused learns no more than that.
#[tokio::test]
async fn rule_1_6_is_judged_on_every_request() {
    let fixture = fixture();
    assert!(!is_foreign(&fixture, &POST, &[PASSWORD]).await);
    assert!(is_foreign(&fixture, &POST, &[PASSWORD, (ORIGIN, "null")]).await);
    assert!(!is_foreign(&fixture, &POST, &[PASSWORD]).await);
    assert_eq!(fixture.room(MethodName::Basic).verified(), 1);
    // a wrong one is wrong wherever it comes from (RULES 2.1: 401 before 403)
    let wrong = denied(&fixture, &POST, &[("x-basic", "nobody"), (ORIGIN, "null")]).await.unwrap();
    assert_eq!(told(&wrong), (401, "credential_invalid"));
}

/// A session counts only where the browser says that the page is of this origin, or names one that is listed.
#[tokio::test]
async fn rule_1_6_a_session_acts_for_our_own_pages_alone() {
    let fixture = fixture();
    let rows: &[(Headers<'_>, bool)] = &[
        (&[(SITE, "same-origin")], false),
        (&[(ORIGIN, "https://api.example")], false),
        (&[(ORIGIN, "https://api.example"), (SITE, "same-origin")], false),
        // what would do for a password
        (&[], true),
        (&[(SITE, "none")], true),
        (&[(SITE, "same-site")], true),
        (&[(SITE, "cross-site")], true),
        (&[(SITE, "")], true),
        (&[(SITE, "Same-Origin")], true),
        (&[(SITE, "same-origin, same-origin")], true),
        (&[(SITE, "same-origin"), (SITE, "same-origin")], true),
        (&[(ORIGIN, "null")], true),
        (&[(ORIGIN, "null"), (SITE, "same-origin")], true),
        (&[(ORIGIN, "")], true),
        (&[(ORIGIN, ""), (SITE, "same-origin")], true),
        (&[(ORIGIN, "https://evil.example")], true),
        (&[(ORIGIN, "https://evil.example"), (SITE, "same-origin")], true),
        (&[(ORIGIN, "https://www.api.example")], true),
        (&[(ORIGIN, "http://api.example")], true),
        (&[(ORIGIN, "https://api.example:8443")], true),
        (&[(ORIGIN, "https://API.example")], true),
        (&[(ORIGIN, "https://api.example"), (ORIGIN, "https://api.example")], true),
        // our own name, and a browser that knows better
        (&[(ORIGIN, "https://api.example"), (SITE, "cross-site")], true),
        (&[(ORIGIN, "https://api.example"), (SITE, "same-site")], true),
        (&[(ORIGIN, "https://api.example"), (SITE, "none")], true),
        (&[(ORIGIN, "https://api.example"), (SITE, "same-origin"), (SITE, "same-origin")], true),
        // listed on another route only
        (&[(ORIGIN, "https://app.example"), (SITE, "same-site")], true),
    ];
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let asked = Asked { method, ..POST };
        for (headers, foreign) in rows {
            let headers = [&[SESSION], *headers].concat();
            assert_eq!(is_foreign(&fixture, &asked, &headers).await, *foreign, "{headers:?}");
        }
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let asked = Asked { method, ..POST };
        for (headers, foreign) in rows {
            let reading = [&[SESSION], *headers].concat();
            assert!(!is_foreign(&fixture, &asked, &reading).await, "{reading:?}");
            // RFC 6455 4.1; RFC 8441 5: over HTTP/2 there is no `Upgrade`
            for upgrade in [("upgrade", "websocket"), ("sec-websocket-version", "13")] {
                let headers = [&reading[..], &[upgrade]].concat();
                assert_eq!(is_foreign(&fixture, &asked, &headers).await, *foreign, "{headers:?}");
            }
        }
    }
    // a value that a page had to be given says more than a cookie
    assert!(!is_foreign(&fixture, &POST, &[SESSION, ("x-jwt", "alice"), (ORIGIN, "null")]).await);
    // and who has no session is told that, not where it may be used from
    let stale = [("cookie", "__Host-session=nobody"), (ORIGIN, "null")];
    assert_eq!(told(&denied(&fixture, &POST, &stale).await.unwrap()), (401, "credential_missing"));
}

#[tokio::test]
async fn rule_1_6_a_session_acts_for_listed_origins() {
    let fixture = fixture();
    let listed = Asked { path: "/listed", ..POST };
    for (headers, foreign) in [
        (&[(ORIGIN, "https://app.example")][..], false),
        (&[(ORIGIN, "https://app.example"), (SITE, "cross-site")], false),
        (&[(ORIGIN, "https://app.example"), (SITE, "same-site")], false),
        (&[(ORIGIN, "https://app.example"), (SITE, "same-site"), (SITE, "same-site")], true),
        (&[(ORIGIN, "https://app.example"), (ORIGIN, "https://app.example")], true),
        (&[(ORIGIN, "https://evil.example"), (SITE, "same-site")], true),
        (&[(ORIGIN, "http://app.example")], true),
        (&[(SITE, "cross-site")], true),
        (&[], true),
    ] {
        let headers = [&[SESSION], headers].concat();
        assert_eq!(is_foreign(&fixture, &listed, &headers).await, foreign, "{headers:?}");
    }
    let any = Asked { path: "/any", ..POST };
    for origin in ["https://app.example", "*"] {
        assert!(is_foreign(&fixture, &any, &[SESSION, (ORIGIN, origin)]).await, "{origin}");
    }
    // behind a trusted peer, and on this machine
    for (authority, origin, foreign) in [
        ("api.example", "https://api.example", false),
        ("localhost:8080", "http://localhost:8080", false),
        ("localhost:8080", "http://localhost:8081", true),
    ] {
        let asked = Asked { authority, transport: Transport::PlainTrusted, ..POST };
        let headers = [SESSION, (ORIGIN, origin)];
        assert_eq!(is_foreign(&fixture, &asked, &headers).await, foreign, "{authority} {origin}");
    }
}
