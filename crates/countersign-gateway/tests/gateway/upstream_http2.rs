//! HTTP/2 to the upstream, and gRPC end to end.

use crate::{
    support::{Act, OK, PATIENCE, Rig, Upstream, code, routes, status},
    tls::Tls,
};
use bytes::Bytes;
use countersign_gateway::{GatewayConfig, Protocol};
use countersign_testkit::eventually;
use http::{HeaderMap, Request, Response, header::HOST};
use http_body::Frame;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

/// A body that is said frame by frame.
struct Said(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// An upstream of HTTP/2 without TLS: what it got, and on how many connections.
struct H2 {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<http::request::Parts>>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl H2 {
    async fn start(
        answer: impl Fn(&http::request::Parts, Incoming) -> Answer + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<http::request::Parts>>>::default();
        let (connections, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (seen, count, opened) = (heads.clone(), connections.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                opened.fetch_add(1, Ordering::SeqCst);
                let (answer, seen, opened) = (answer.clone(), seen.clone(), opened.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (parts, body) = request.into_parts();
                        let answer = answer(&parts, body);
                        seen.lock().unwrap().push(parts);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let io = TokioIo::new(stream);
                    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, heads, connections, open }
    }
}

fn whole(text: &'static str) -> Answer {
    Response::new(BoxBody::new(http_body_util::Full::from(text)))
}

/// Says every message again as it comes, and at the end how it went.
fn echo(_: &http::request::Parts, mut body: Incoming) -> Answer {
    let (say, said) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            if say.send(Frame::data(data)).await.is_err() {
                return;
            }
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        trailers.insert("countersign-principal", "usr_forged".parse().unwrap());
        let _ = say.send(Frame::trailers(trailers)).await;
    });
    let mut answer = Response::new(BoxBody::new(Said(said)));
    answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    answer
}

fn to(address: SocketAddr) -> impl FnOnce(&mut GatewayConfig) {
    move |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
        config.upstreams[0].protocol = Protocol::Http2;
    }
}

async fn unused() -> Upstream {
    Upstream::start(|_| Act::answer(OK)).await
}

#[tokio::test]
async fn requests_share_one_connection_and_name_the_upstream_once() {
    let upstream = H2::start(|_, _| whole("ok")).await;
    let rig = Rig::with(unused().await, routes(), to(upstream.address)).await;
    let asks = (0..20).map(|_| rig.get("/a?b=c", "Cookie: a=1\r\n"));
    for answer in futures_util::future::join_all(asks).await {
        assert!(status(&answer) == 200 && answer.ends_with("ok"), "{answer}");
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    let head = upstream.heads.lock().unwrap()[0].clone();
    assert_eq!(head.uri.to_string(), format!("http://{}/a?b=c", upstream.address));
    assert!(!head.headers.contains_key(HOST) && !head.headers.contains_key("x-api-key"));
    assert!(head.headers.contains_key("countersign-principal"));

    let post = "POST /a HTTP/1.1\r\nHost: a.example\r\nx-api-key: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(status(&rig.send(post).await), 200);
}

/// A call of gRPC: message by message both ways, and the trailers at the end.
#[tokio::test]
async fn grpc_goes_through_with_its_trailers() {
    let upstream = H2::start(echo).await;
    let address = upstream.address;
    let tls = Tls::behind(unused().await, |config| {
        to(address)(config);
        // silence between messages is none of a body's
        config.timeouts.body = Duration::from_millis(20);
    })
    .await;
    let mut sender = tls.http2_of::<Said>().await;
    let (say, said) = mpsc::channel(1);
    let request = Request::post("https://localhost/pkg.Service/Echo")
        .header("x-api-key", "good")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Said(said))
        .unwrap();
    let asking = tokio::spawn(async move { sender.send_request(request).await });
    say.send(Frame::data(Bytes::from("one"))).await.unwrap();
    let mut answer = tokio::time::timeout(PATIENCE, asking).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    for message in ["one", "two", "three"] {
        if message != "one" {
            let silent = tokio::time::timeout(Duration::from_millis(60), answer.body_mut().frame()).await;
            assert!(silent.is_err(), "neither cut nor invented");
            say.send(Frame::data(Bytes::from(message))).await.unwrap();
        }
        let frame = tokio::time::timeout(PATIENCE, answer.body_mut().frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), message);
    }
    drop(say);
    let last = tokio::time::timeout(PATIENCE, answer.body_mut().frame()).await.unwrap();
    let trailers = last.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert!(trailers.get("countersign-principal").is_none(), "a trailer is no way around the rules");
    let head = upstream.heads.lock().unwrap()[0].clone();
    assert_eq!(head.headers.get("te").unwrap(), "trailers");
}

/// RULES 2.5, on one stream of a connection that others use.
#[tokio::test]
async fn rules_2_5_a_stream_ends_when_its_key_is_revoked_and_the_connection_stays() {
    let upstream =
        H2::start(
            |parts, body| {
                if parts.uri.path().starts_with("/open") { whole("ok") } else { echo(parts, body) }
            },
        )
        .await;
    let rig = Rig::with(unused().await, routes(), to(upstream.address)).await;
    let mut caller = rig.connect().await;
    caller
        .write("POST /a HTTP/1.1\r\nHost: a.example\r\nx-api-key: good\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    caller.answer_to(true).await;
    let room = rig.fixture.room(countersign_core::MethodName::ApiKey);
    rig.fixture.feed.revoke(room.node("good"));
    assert!(!String::from_utf8(caller.rest().await).unwrap().ends_with("0\r\n\r\n"));
    let answer = rig.send("GET /open/a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!((upstream.connections.load(Ordering::SeqCst), upstream.open.load(Ordering::SeqCst)), (1, 1));
}

/// What is spoken is configured, not guessed.
#[tokio::test]
async fn an_upstream_of_http1_is_502() {
    let upstream = Upstream::start(|_| Act::close(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| {
        config.upstreams[0].protocol = Protocol::Http2;
        config.timeouts.first_byte = Duration::from_secs(1);
    })
    .await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (502, "upstream_failed"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_502_and_the_connection_stays() {
    let upstream = H2::start(|parts, _| {
        let mut answer = whole("ok");
        if parts.uri.path() == "/large" {
            for n in 0..40 {
                let name = http::HeaderName::try_from(format!("x-{n}")).unwrap();
                answer.headers_mut().insert(name, "a".repeat(4000).parse().unwrap());
            }
        }
        answer
    })
    .await;
    let rig = Rig::with(unused().await, routes(), to(upstream.address)).await;
    assert_eq!(status(&rig.get("/large", "").await), 502);
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

/// The connection ends under everybody; the next request opens another.
#[tokio::test]
async fn a_connection_that_ends_is_replaced() {
    let upstream = H2::start(|_, _| whole("ok")).await;
    let rig = Rig::with(unused().await, routes(), |config| {
        to(upstream.address)(config);
        config.timeouts.idle_upstream = Duration::from_millis(20);
    })
    .await;
    for n in 1..=3 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), n);
        eventually(PATIENCE, || async { upstream.open.load(Ordering::SeqCst) == 0 }).await;
    }
}

/// RFC 9113 8.1: an answer that is reset before its end is no answer, whatever the reset says.
#[tokio::test]
async fn an_answer_that_is_reset_never_looks_whole() {
    for reason in [0, 2, 8] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            // the preface, and then the request: the first frame of HEADERS
            while !got.windows(13).any(|w| w[3] == 1 && w[4] & 4 != 0 && w[5..9] == [0, 0, 0, 1]) {
                assert!(stream.read_buf(&mut got).await.unwrap() > 0);
            }
            let frames: [&[u8]; 4] = [
                b"\0\0\0\x04\0\0\0\0\0",
                // `:status` 200
                b"\0\0\x01\x01\x04\0\0\0\x01\x88",
                b"\0\0\x03\0\0\0\0\0\x01abc",
                &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, reason],
            ];
            stream.write_all(&frames.concat()).await.unwrap();
            while matches!(stream.read_buf(&mut got).await, Ok(n) if n > 0) {}
        });
        let rig = Rig::with(unused().await, routes(), to(address)).await;
        let mut caller = rig.connect().await;
        caller.write("GET /a HTTP/1.1\r\nHost: a.example\r\nx-api-key: good\r\n\r\n").await;
        let all = String::from_utf8(caller.rest().await).unwrap();
        assert!(!all.ends_with("0\r\n\r\n"), "reset for {reason}: {all}");
        assert!(matches!(status(&all), 200 | 502), "reset for {reason}: {all}");
        answering.abort();
    }
}
