//! What answers in this process behind a route, as an upstream would: sees what callers sent, and answers whole.

use crate::{
    support::{Act, KEY, OK, Rig, Upstream, code, fields, needs, routes, status},
    tls::Tls,
};
use bytes::Bytes;
use countersign_core::{
    BoxFuture, RequestId,
    check::{
        decision::Permit,
        request::{Peer, Transport},
        route::{Route, SecurityRequirement},
    },
};
use countersign_gateway::{BuiltIn, GatewayConfig, StartError, UpstreamConfig};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Answers by the last segment of the path, and keeps what it saw.
#[derive(Debug, Default)]
struct Endpoint {
    word: &'static str,
    seen: Mutex<Vec<Request<Bytes>>>,
    calls: AtomicUsize,
}

impl BuiltIn for Endpoint {
    fn answer(&self, request: Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let path = request.uri().path().to_owned();
        self.seen.lock().unwrap().push(request);
        let word = self.word;
        if path.ends_with("/panic-at-once") {
            panic!("scripted");
        }
        Box::pin(async move {
            let mut answer = Response::builder().header("x-answer", "1");
            match path.rsplit('/').next().unwrap() {
                "panic" => panic!("scripted"),
                "hang" => std::future::pending().await,
                "interim" => answer = answer.status(StatusCode::EARLY_HINTS),
                "none" => answer = answer.status(StatusCode::NO_CONTENT),
                "see" => answer = answer.status(StatusCode::SEE_OTHER).header("location", "/page"),
                "sign-in" => {
                    answer = answer
                        .header("set-cookie", "__Host-session=new; Path=/; Secure; HttpOnly")
                        .header("set-cookie", "__Host-refresh=new; Path=/.countersign/session; Secure")
                        .header("cache-control", "no-store, max-age=0")
                        .header("connection", "x-hop")
                        .header("x-hop", "1")
                        .header("content-length", "999")
                        .header("countersign-request-id", "forged");
                }
                _ => {}
            }
            answer.body(Bytes::from(word)).unwrap()
        })
    }
}

struct Built {
    rig: Rig,
    endpoint: Arc<Endpoint>,
}

fn all() -> Vec<Route> {
    let mut all = routes();
    all.push(Route::new("/in/*", "sessions", SecurityRequirement::Public));
    all.push(Route::new("/in/keyed/*", "sessions", needs("")));
    all
}

fn endpoint(word: &'static str) -> Arc<Endpoint> {
    Arc::new(Endpoint { word, ..Endpoint::default() })
}

fn named(endpoint: &Arc<Endpoint>) -> Vec<(Arc<str>, Arc<dyn BuiltIn>)> {
    vec![("sessions".into(), endpoint.clone())]
}

async fn built(change: impl FnOnce(&mut GatewayConfig)) -> Built {
    let endpoint = endpoint("hello");
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, all(), |config| {
        config.built_in = named(&endpoint);
        change(config);
    });
    Built { rig: rig.await, endpoint }
}

impl Built {
    fn last(&self) -> Request<Bytes> {
        self.endpoint.seen.lock().unwrap().pop().unwrap()
    }
}

/// The request line and Host are the permit's; what one hop or a caller may not say is gone, credentials are not.
#[tokio::test]
async fn it_sees_what_was_judged_and_what_callers_sent() {
    let built = built(|config| config.query_parameters = vec!["key".into()]).await;
    let answer = built
        .rig
        .send(format!(
            "POST /in/./keyed/%61?b=c&key=secret HTTP/1.1\r\nHost: API.example.:80\r\n{KEY}\
             Authorization: Digest x\r\nCookie: __Host-session=a; b=c\r\nCountersign-Identity: evil\r\n\
             Remote-User: evil\r\nX-Forwarded-For: evil\r\nConnection: x-hop\r\nX-Hop: evil\r\nTE: evil\r\n\
             x.api.key: evil\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nthere"
        ))
        .await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    let id = fields(&answer, "countersign-request-id");
    let seen = built.last();
    assert_eq!((seen.method().as_str(), seen.uri().to_string().as_str()), ("POST", "/in/keyed/a?b=c"));
    assert_eq!(&seen.body()[..], b"there");
    let shown: Vec<String> =
        seen.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let expected = [
        "host: api.example",
        "x-api-key: good",
        "authorization: Digest x",
        "cookie: __Host-session=a; b=c",
        "content-type: text/plain",
    ];
    assert_eq!(shown, expected);
    let extensions = seen.extensions();
    assert_eq!(extensions.get::<RequestId>().map(ToString::to_string).as_slice(), id);
    let peer = extensions.get::<Peer>().unwrap();
    assert_eq!((peer.address.to_string().as_str(), peer.transport), ("127.0.0.1", Transport::PlainTrusted));
    let permit = extensions.get::<Arc<Permit>>().unwrap();
    assert_eq!(permit.subject().unwrap().standing.name.to_string(), "robot");
    assert!(built.rig.upstream.requests().is_empty());
}

/// RULES 3.6: it alone sets our cookies; what is about one hop is written anew.
#[tokio::test]
async fn its_answer_goes_out_whole() {
    let built = built(|_| {}).await;
    let answer = built.rig.get("/in/sign-in", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(fields(&answer, "set-cookie").len(), 2, "{answer}");
    assert_eq!(fields(&answer, "cache-control"), ["no-store, max-age=0"]);
    assert_eq!(fields(&answer, "content-length"), ["5"]);
    assert!(fields(&answer, "x-hop").is_empty(), "{answer}");
    let id = fields(&answer, "countersign-request-id");
    assert!(id.len() == 1 && id[0] != "forged", "{id:?}");
    // kept by nobody unless it says so itself
    let see = built.rig.get("/in/see", "").await;
    assert_eq!((status(&see), fields(&see, "location")), (303, vec!["/page".to_owned()]));
    assert_eq!(fields(&see, "cache-control"), ["no-store"]);

    let mut client = built.rig.connect().await;
    for (line, told) in [("HEAD /in/a", 200), ("GET /in/none", 204)] {
        client.write(format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        let head = String::from_utf8(client.answer_to(true).await).unwrap();
        assert_eq!(status(&head), told, "{head}");
        let length: &[&str] = if told == 200 { &["5"] } else { &[] };
        assert_eq!(fields(&head, "content-length"), length, "{head}");
    }
    // nothing of a body was between them
    client.write("GET /in/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert!(client.answer().await.ends_with("\r\n\r\nhello"));
}

/// HTTP/2 splits cookies, and frames an answer to HEAD as it is given.
#[tokio::test]
async fn over_http_2_as_well() {
    let endpoint = endpoint("hello");
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let mut tls = Tls::behind(upstream, |config| config.built_in = named(&endpoint)).await;
    tls.rig.reload(all(), |_| {}).await.unwrap();
    let mut sender = tls.http2_of::<Full<Bytes>>().await;
    for (method, said) in [("GET", "hello"), ("HEAD", ""), ("POST", "hello")] {
        let request = Request::builder()
            .method(method)
            .uri("https://localhost/in/keyed/sign-in")
            .header("x-api-key", "good")
            .header("cookie", "__Host-session=a")
            .header("cookie", "b=c");
        let body = if method == "POST" { "there" } else { "" };
        let response = sender.send_request(request.body(Full::from(body)).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{method}");
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2, "{method}");
        assert_eq!(response.headers()["content-length"], "5", "{method}");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), said, "{method}");
        let seen = endpoint.seen.lock().unwrap().pop().unwrap();
        assert_eq!(
            (seen.headers()["host"].as_bytes(), &seen.body()[..]),
            (&b"localhost"[..], body.as_bytes())
        );
        assert_eq!(seen.headers()["cookie"], "__Host-session=a; b=c");
        assert_eq!(seen.uri().to_string(), "/in/keyed/sign-in");
    }
}

#[tokio::test]
async fn its_bodies_are_small_and_come_in_time() {
    let patience = Duration::from_millis(100);
    let built = built(|config| config.timeouts.body = patience).await;
    let most = 64 * 1024;
    for (size, told) in [(0, 200), (most, 200), (most + 1, 413)] {
        let body = "x".repeat(size);
        let declared = format!("Content-Length: {size}\r\n\r\n{body}");
        let chunked = match size {
            0 => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            _ => format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"),
        };
        for rest in [declared, chunked] {
            let answer = built.rig.send(format!("POST /in/a HTTP/1.1\r\nHost: a.example\r\n{rest}")).await;
            assert_eq!(status(&answer), told, "{size}: {answer}");
            if told == 200 {
                assert_eq!(built.last().body().len(), size);
            } else {
                assert_eq!(code(&answer), "body_too_large");
            }
        }
    }
    let calls = built.endpoint.calls.load(Ordering::SeqCst);
    for (body, told) in [
        ("Content-Length: 5\r\n\r\nabc", (408, "body_timeout")),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", (408, "body_timeout")),
    ] {
        let answer = built.rig.send(format!("POST /in/a HTTP/1.1\r\nHost: a.example\r\n{body}")).await;
        assert_eq!((status(&answer), &*code(&answer)), told, "{answer}");
    }
    assert_eq!(built.endpoint.calls.load(Ordering::SeqCst), calls, "half a body is none");
}

/// RULES 2.5: a body that takes its time does not outlive what permitted it.
#[tokio::test]
async fn rules_2_5_what_is_revoked_while_its_body_comes_is_refused() {
    let built = built(|_| {}).await;
    let rig = &built.rig;
    let mut client = rig.connect().await;
    let head = format!("POST /in/keyed/a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 6\r\n");
    client.write(format!("{head}Expect: 100-continue\r\n\r\n")).await;
    // it was judged
    assert_eq!(status(&client.answer().await), 100);
    rig.fixture.feed.revoke(rig.fixture.room(countersign_core::MethodName::ApiKey).node("good"));
    client.write("abcdef").await;
    let answer = client.answer().await;
    assert_eq!((status(&answer), &*code(&answer)), (403, "revoked"), "{answer}");
    assert_eq!(built.endpoint.calls.load(Ordering::SeqCst), 0);
}

/// Whatever becomes of it, its caller is answered, and the worker goes on.
#[tokio::test]
async fn what_fails_is_500_and_fails_alone() {
    let built = built(|config| config.timeouts.first_byte = Duration::from_millis(100)).await;
    let mut client = built.rig.connect().await;
    for path in ["panic", "panic-at-once", "hang", "interim"] {
        client.write(format!("GET /in/{path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((status(&answer), &*code(&answer)), (500, "internal"), "{path}: {answer}");
        assert!(!answer.contains("scripted"), "{answer}");
        client.write("GET /in/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
        assert!(client.answer().await.ends_with("hello"), "{path}");
    }
    // an upstream as any, to whoever counts
    let report = built.rig.gateway.as_ref().unwrap().reporter().report().await;
    let route = &report.routes[&Some("/in/*".into())];
    let told = |status| route.endings.iter().filter(|(e, _)| e.status == status).map(|(_, n)| n).sum::<u64>();
    assert_eq!((told(500), told(200)), (4, 4));
    assert_eq!(route.upstream.counts.iter().sum::<u64>(), 8);
}

#[tokio::test]
async fn a_reload_brings_another_one() {
    let mut built = built(|_| {}).await;
    let other = endpoint("other");
    let said = async |rig: &Rig| rig.send("GET /in/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert!(said(&built.rig).await.ends_with("hello"));
    built.rig.reload(all(), |config| config.built_in = named(&other)).await.unwrap();
    assert!(said(&built.rig).await.ends_with("other"));
    // a name is one thing
    let twice = [named(&other), named(&other)].concat();
    let refused = built.rig.reload(all(), |config| config.built_in = twice).await;
    assert!(matches!(refused, Err(StartError::DoubledUpstream(_))), "{refused:?}");
    let upstream = UpstreamConfig::new("sessions", "http://127.0.0.1:1");
    let refused = built.rig.reload(all(), |config| config.upstreams.push(upstream)).await;
    assert!(matches!(refused, Err(StartError::DoubledUpstream(_))), "{refused:?}");
    assert!(said(&built.rig).await.ends_with("other"));
    // a route that names what is not there any more
    built.rig.reload(all(), |config| config.built_in.clear()).await.unwrap();
    let answer = said(&built.rig).await;
    assert_eq!((status(&answer), &*code(&answer)), (500, "internal"));
}
