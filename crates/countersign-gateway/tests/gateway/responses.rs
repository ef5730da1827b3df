//! RULES 3.4: what an upstream may say to the caller, and what a cache may keep of it.

use crate::support::{Act, KEY, OK, Rig, Upstream, fields, needs, routes, status};
use countersign_core::{
    MethodName, MethodRule,
    check::{
        limit::RateLimit,
        route::{CachePolicy, LimitBy, Route, RouteLimit},
    },
};
use std::time::Duration;

async fn answering(head: &str) -> Rig {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{head}\r\nok");
    Rig::scripted(move |_| Act::answer(&head)).await
}

#[tokio::test]
async fn rules_3_4_reserved_names_of_the_upstream_do_not_pass() {
    let rig = answering(
        "Countersign-Principal: evil\r\nCountersign-Request-Id: evil\r\nRateLimit: evil\r\nRateLimit-Policy: evil\r\n\
         RateLimit-Remaining: evil\r\nAlt-Svc: h3=\"evil:443\"\r\nProxy-Authenticate: Basic realm=evil\r\n\
         Keep-Alive: timeout=99\r\nConnection: x-hop, keep-alive\r\nX-Hop: evil\r\nX-App: fine\r\n",
    )
    .await;
    let answer = rig.get("/a", "").await;
    assert_eq!(status(&answer), 200);
    assert!(!answer.contains("evil") && !answer.contains("timeout=99"), "{answer}");
    assert_eq!(fields(&answer, "x-app"), ["fine"]);
    assert_eq!(fields(&answer, "countersign-request-id").len(), 1);
}

#[tokio::test]
async fn rules_3_4_an_authenticated_answer_is_private() {
    for (theirs, ours) in [
        ("", "private"),
        ("Cache-Control: public, max-age=60\r\n", "max-age=60, private"),
        ("Cache-Control: max-age=60\r\nCache-Control: s-maxage=600\r\n", "max-age=60, private"),
        ("Cache-Control: no-store\r\n", "no-store, private"),
        ("Cache-Control: private=\"set-cookie, x\", max-age=1\r\n", "max-age=1, private"),
        (
            "Cache-Control: Public\r\nCDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=6\r\n",
            "private",
        ),
    ] {
        let rig = answering(theirs).await;
        let answer = rig.get("/a", "").await;
        assert_eq!(fields(&answer, "cache-control"), [ours], "{theirs}");
        assert!(fields(&answer, "cdn-cache-control").is_empty(), "{answer}");
        assert!(fields(&answer, "surrogate-control").is_empty(), "{answer}");
        assert!(fields(&answer, "vary").join(",").to_lowercase().contains("x-api-key"), "{answer}");
    }
}

#[tokio::test]
async fn rules_3_4_vary_names_what_authenticated() {
    let mut own = Route::new("/own", "api", needs(""));
    let rule = MethodRule {
        header: Some(http::HeaderName::from_static("x-own-key")),
        query: None,
        ..MethodRule::DEFAULT
    };
    own.presentation = vec![(MethodName::ApiKey, rule)];
    let mut all = routes();
    all.push(own);
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, all, |_| {}).await;
    for (target, credential, expected) in [
        ("/a", "Authorization: Bearer api_key.good\r\n", "authorization"),
        ("/own", "X-Own-Key: good\r\n", "x-own-key"),
    ] {
        let answer = rig.send(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{credential}\r\n")).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let vary = fields(&answer, "vary").join(",").to_lowercase();
        assert!(vary.contains(expected), "{target}: {vary}");
    }
}

/// RFC 9745, RFC 8594: said to whoever uses the method there, and to nobody else; also where the upstream says otherwise.
#[tokio::test]
async fn a_method_that_is_given_up_says_so() {
    let mut leaving = Route::new("/leaving", "api", needs(""));
    let farewell = [("deprecation", "@1798675200"), ("sunset", "Sat, 31 Jul 2027 00:00:00 GMT")];
    let rule = MethodRule {
        farewell: farewell
            .map(|(name, value)| (name.parse().unwrap(), http::HeaderValue::from_static(value)))
            .to_vec(),
        ..MethodRule::DEFAULT
    };
    leaving.presentation = vec![(MethodName::ApiKey, rule)];
    let mut all = routes();
    all.push(leaving);
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSunset: Sun, 01 Aug 2027 00:00:00 GMT\r\n\r\nok";
    let rig = Rig::with(Upstream::start(move |_| Act::answer(head)).await, all, |_| {}).await;
    let answer = rig.get("/leaving", "").await;
    assert_eq!(fields(&answer, "deprecation"), ["@1798675200"]);
    assert_eq!(fields(&answer, "sunset"), ["Sat, 31 Jul 2027 00:00:00 GMT"]);
    let answer = rig.get("/a", "").await;
    assert!(fields(&answer, "deprecation").is_empty());
    assert_eq!(fields(&answer, "sunset"), ["Sun, 01 Aug 2027 00:00:00 GMT"]);
}

#[tokio::test]
async fn rules_3_4_public_and_shared_answers_keep_what_the_upstream_said() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: public, max-age=60\r\n\r\nok";
    let mut shared = Route::new("/shared", "api", needs(""));
    shared.cache = CachePolicy::Shared;
    let mut all = routes();
    all.push(shared);
    let rig = Rig::with(Upstream::start(move |_| Act::answer(head)).await, all, |_| {}).await;
    for target in ["/open/a", "/shared"] {
        let answer = rig.get(target, "").await;
        assert_eq!(fields(&answer, "cache-control"), ["public, max-age=60"], "{target}");
    }
}

#[tokio::test]
async fn limits_are_told_and_counted() {
    let mut route = Route::new("/*", "api", needs(""));
    let limit = RateLimit { quota: 2, window: Duration::from_secs(60) };
    route.limits = vec![RouteLimit { by: LimitBy::Principal, limit }];
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![route], |_| {}).await;
    let answer = rig.get("/a", "").await;
    assert_eq!(fields(&answer, "ratelimit-policy"), ["\"default\";q=2;w=60"]);
    assert!(fields(&answer, "ratelimit")[0].starts_with("\"default\";r=1;t="), "{answer}");
    rig.get("/a", "").await;
    let answer = rig.get("/a", "").await;
    assert_eq!(status(&answer), 429, "{answer}");
    let wait: u64 = fields(&answer, "retry-after")[0].parse().unwrap();
    assert!((1..=60).contains(&wait), "{answer}");
    assert!(answer.contains("\"code\":\"limit_exceeded\""), "{answer}");
    assert_eq!(rig.upstream.requests().len(), 2);
}

/// RFC 9110 9.3.2, 15.3.5, 15.4.5: no body, whatever the fields say, and the connection goes on.
#[tokio::test]
async fn head_204_and_304_have_no_body_and_the_connection_goes_on() {
    let rig = Rig::scripted(|got| {
        let line = got.line();
        Act::answer(if line.starts_with("HEAD") {
            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
        } else if line.contains("/204") {
            "HTTP/1.1 204 No Content\r\n\r\n"
        } else if line.contains("/304") {
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"a\"\r\n\r\n"
        } else {
            OK
        })
    })
    .await;
    let mut client = rig.connect().await;
    let ask = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n");
    for (method, path, expected, length) in
        [("HEAD", "/a", 200, Some("1234")), ("GET", "/204", 204, None), ("GET", "/304", 304, Some("77"))]
    {
        client.write(ask(method, path)).await;
        let answer = String::from_utf8(client.answer_to(true).await).unwrap();
        assert_eq!(status(&answer), expected, "{method} {path}: {answer}");
        let told = fields(&answer, "content-length");
        // RFC 9110 8.6: may be left out of a 304, must not be wrong
        assert!(told.is_empty() || length.is_some_and(|l| told == [l]), "{method} {path}: {answer}");
        if method == "HEAD" && path == "/a" {
            assert_eq!(told, ["1234"], "{answer}");
        }
        assert!(fields(&answer, "transfer-encoding").is_empty(), "{method} {path}: {answer}");
    }
    client.write(ask("GET", "/a")).await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "nothing was left over: {answer}");
    // a 204 that declares no body leaves nothing to wait for
    let got = rig.upstream.requests();
    assert!(got[1].line().contains("/204") && got[2].line().contains("/304"));
    assert_eq!(got[1].connection, got[2].connection);
}

/// An answer with both lengths, or with a coding that nobody can follow, does not split into two for the caller.
#[tokio::test]
async fn an_answer_is_framed_anew_or_refused() {
    let rig = Rig::scripted(|got| {
        let line = got.line();
        Act::close(if line.contains("/both") {
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n"
        } else if line.contains("/gzip") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        } else if line.contains("/switch") {
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrubbish"
        } else if line.contains("/lengths") {
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"
        } else if line.contains("/rubbish") {
            "no answer at all\r\n\r\n"
        } else {
            "HTTP/1.0 200 OK\r\n\r\nok"
        })
    })
    .await;
    let answer = rig.get("/both", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(fields(&answer, "content-length").is_empty(), "{answer}");
    assert!(answer.ends_with("2\r\nok\r\n0\r\n\r\n"), "{answer}");
    for target in ["/gzip", "/switch", "/lengths", "/rubbish"] {
        let answer = rig.get(target, "").await;
        assert_eq!(
            (status(&answer), crate::support::code(&answer).as_str()),
            (502, "upstream_failed"),
            "{answer}"
        );
    }
    let answer = rig.get("/old", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "the version is ours: {answer}");
}
