//! WebSockets over HTTP/2 (RFC 8441), judged as the GET that they are over HTTP/1.1 (RULES 2.2).

use crate::{
    support::{Act, Client, OK, PATIENCE, Upstream, fields},
    tls::Tls,
    upgrade::{Peer, read},
};
use bytes::Bytes;
use countersign_gateway::GatewayConfig;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::http2::SendRequest,
    ext::Protocol,
    upgrade::{Upgraded, on},
};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Sender = SendRequest<Empty<Bytes>>;

async fn tls(peer: &Peer, change: impl FnOnce(&mut GatewayConfig)) -> Tls {
    let address = peer.address;
    Tls::behind(Upstream::start(|_| Act::answer(OK)).await, |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
        change(config);
    })
    .await
}

/// Once the gateway has said that it takes them.
async fn sender(tls: &Tls) -> Sender {
    let mut sender: Sender = tls.http2_of().await;
    let first = Request::get("https://a.example/nowhere-else").body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(first).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    sender
}

fn asking(protocol: &'static str, key: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri("https://a.example/chat?room=1")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("origin", "https://a.example");
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let mut request = request.body(Empty::new()).unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

fn switching(head: &str) -> String {
    let key = fields(head, "sec-websocket-key");
    let accept = countersign_crypto::websocket::accept(&key[0]);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// What the upstream saw, its side, and the caller's answer.
async fn asked(
    sender: &mut Sender,
    peer: &mut Peer,
    answer: impl FnOnce(&str) -> String,
) -> (String, Client, Response<Incoming>) {
    let sending = tokio::spawn(sender.send_request(asking("websocket", Some("good"))));
    let (head, mut upstream) = peer.next().await;
    upstream.write(answer(&head)).await;
    (head, upstream, sending.await.unwrap().unwrap())
}

async fn switched(sender: &mut Sender, peer: &mut Peer) -> (TokioIo<Upgraded>, Client) {
    let (_, upstream, response) = asked(sender, peer, switching).await;
    assert_eq!(response.status(), StatusCode::OK);
    (TokioIo::new(on(response).await.unwrap()), upstream)
}

async fn some(caller: &mut TokioIo<Upgraded>, count: usize) -> Vec<u8> {
    let mut got = vec![0; count];
    tokio::time::timeout(PATIENCE, caller.read_exact(&mut got)).await.unwrap().unwrap();
    got
}

/// All that still comes, however it ends.
async fn rest(caller: &mut TokioIo<Upgraded>) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, caller.read_to_end(&mut got)).await.unwrap();
    got
}

/// RFC 6455 1.3's own example.
#[test]
fn the_handshake_is_the_standards() {
    let accept = countersign_crypto::websocket::accept("dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[tokio::test]
async fn a_stream_becomes_a_websocket_and_others_go_on_beside_it() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    let (head, mut upstream, response) = asked(&mut sender, &mut peer, switching).await;
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(fields(&head, "connection"), ["upgrade"]);
    assert_eq!(fields(&head, "upgrade"), ["websocket"]);
    assert_eq!(fields(&head, "sec-websocket-version"), ["13"]);
    assert_eq!(fields(&head, "sec-websocket-key")[0].len(), 24, "16 bytes of ours");
    assert_eq!(fields(&head, "countersign-principal").len(), 1);
    assert!(fields(&head, "x-api-key").is_empty() && !head.contains(":protocol"), "{head}");
    assert!(fields(&head, "content-length").is_empty() && fields(&head, "transfer-encoding").is_empty());
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for hidden in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!response.headers().contains_key(hidden), "{hidden}");
    }
    let mut caller = TokioIo::new(on(response).await.unwrap());
    for _ in 0..3 {
        caller.write_all(b"ping").await.unwrap();
        assert_eq!(read(&mut upstream, 4).await, b"ping");
        upstream.write("pong").await;
        assert_eq!(some(&mut caller, 4).await, b"pong");
    }
    let (_, _, other) = asked(&mut sender, &mut peer, switching).await;
    assert_eq!(other.status(), StatusCode::OK);
    // an end is passed on, and the other side goes on
    caller.shutdown().await.unwrap();
    assert!(upstream.rest().await.is_empty());
    upstream.write("last").await;
    assert_eq!(some(&mut caller, 4).await, b"last");
    drop(upstream);
    assert!(rest(&mut caller).await.is_empty());
}

#[tokio::test]
async fn m2_8_without_a_good_key_the_upstream_hears_nothing() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    for key in [None, Some("revoked"), Some("nonsense")] {
        let response = sender.send_request(asking("websocket", key)).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{key:?}");
    }
    assert!(peer.arrived.try_recv().is_err());
}

#[tokio::test]
async fn rule_2_2_no_other_protocol_and_no_plain_connect() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    for protocol in ["connect-udp", "connect-ip", "webtransport", "websocket2", "h2c"] {
        let response = sender.send_request(asking(protocol, Some("good"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED, "{protocol}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.windows(19).any(|w| w == b"upgrade_unsupported"), "{protocol}: {body:?}");
    }
    let plain = Request::builder().method(Method::CONNECT).uri("a.example:443").header("x-api-key", "good");
    let response = sender.send_request(plain.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(peer.arrived.try_recv().is_err());
}

#[tokio::test]
async fn an_upstream_that_takes_none_is_501() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |config| config.upstreams[0].upgrades = Vec::new()).await;
    let mut sender = sender(&tls).await;
    let response = sender.send_request(asking("websocket", Some("good"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    assert!(peer.arrived.try_recv().is_err());
}

/// To the caller every 2xx is the tunnel: what is not one must not look like it.
#[tokio::test]
async fn an_answer_that_is_no_switch_is_none() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    let forged = |_: &str| {
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            .to_owned()
    };
    let doubled = |head: &str| {
        let whole = switching(head);
        whole.replace("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    };
    let silent = |_: &str| {
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned()
    };
    let other = |head: &str| switching(head).replace("Upgrade: websocket", "Upgrade: irc");
    type Said<'a> = (&'a str, &'a dyn Fn(&str) -> String);
    let answers: [Said<'_>; 5] = [
        ("200", &|_| OK.to_owned()),
        ("an accept of another key", &forged),
        ("two accepts", &doubled),
        ("no accept", &silent),
        ("another protocol", &other),
    ];
    for (what, answer) in answers {
        let (_, _, response) = asked(&mut sender, &mut peer, answer).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{what}");
    }
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let (_, _, response) = asked(&mut sender, &mut peer, |_| refusal.to_owned()).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN, "its own refusal is an answer");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502() {
    let peer = Peer::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tls = tls(&peer, |config| config.upstreams[0].urls = vec![format!("http://{free}")]).await;
    let mut sender = sender(&tls).await;
    let response = sender.send_request(asking("websocket", Some("good"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn either_side_that_goes_ends_it_for_the_other() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    let (caller, mut upstream) = switched(&mut sender, &mut peer).await;
    drop(caller);
    assert!(upstream.rest().await.is_empty());
    let (mut caller, upstream) = switched(&mut sender, &mut peer).await;
    drop(upstream);
    assert!(rest(&mut caller).await.is_empty());
}

/// RULES 2.5: the stream ends, and its connection goes on.
#[tokio::test]
async fn rules_2_5_a_revoked_key_ends_the_stream() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    let (mut caller, mut upstream) = switched(&mut sender, &mut peer).await;
    caller.write_all(b"x").await.unwrap();
    read(&mut upstream, 1).await;
    let room = tls.rig.fixture.room(countersign_core::MethodName::ApiKey);
    tls.rig.fixture.feed.revoke(room.node("good"));
    assert!(rest(&mut caller).await.is_empty());
    assert!(upstream.rest().await.is_empty());
    let response = sender.send_request(asking("websocket", Some("good"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

/// One side that does not read holds the other up instead of filling memory.
#[tokio::test]
async fn a_stream_holds_no_more_than_its_windows() {
    let mut peer = Peer::start().await;
    let tls = tls(&peer, |_| {}).await;
    let mut sender = sender(&tls).await;
    let (mut caller, upstream) = switched(&mut sender, &mut peer).await;
    let piece = [b'x'; 64 * 1024];
    let mut taken = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(300), upstream_write(&upstream, &piece)).await
    {
        taken += written;
        assert!(taken < 64 * 1024 * 1024, "nobody reads it");
    }
    let mut got = 0;
    while got < taken {
        got += some(&mut caller, (taken - got).min(piece.len())).await.len();
    }
}

async fn upstream_write(upstream: &Client, piece: &[u8]) -> usize {
    loop {
        upstream.stream.writable().await.unwrap();
        if let Ok(written) = upstream.stream.try_write(piece) {
            return written;
        }
    }
}

/// An address that answers what it was asked is well: who asks for a WebSocket where there is none must not be able to
/// take it away from everybody.
#[tokio::test]
async fn a_plain_answer_to_a_handshake_takes_no_address_out() {
    let second = Upstream::start(|_| Act::answer(OK)).await;
    let tls = Tls::behind(Upstream::start(|_| Act::answer(OK)).await, |config| {
        config.upstreams[0].urls.push(format!("http://{}", second.address));
    })
    .await;
    let mut sender = sender(&tls).await;
    let asked = || [tls.rig.upstream.requests().len(), second.requests().len()];
    for _ in 0..5 {
        let answer = sender.send_request(asking("websocket", Some("good"))).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(asked(), [3, 2]);
    for _ in 0..7 {
        let request = Request::get("https://a.example/a").header("x-api-key", "good").body(Empty::new());
        let answer = sender.send_request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(asked(), [6, 6]);
}
