//! Upgrades over HTTP/1.1, and streams that are silent by nature.

use crate::support::{Act, Client, KEY, OK, PATIENCE, Rig, Upstream, code, fields, head_end, routes, status};
use countersign_gateway::GatewayConfig;
use countersign_testkit::eventually;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const SHORT: Duration = Duration::from_millis(80);
const ASK: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn asking(fields: &str) -> String {
    format!("GET /chat HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")
}

/// Where a test plays the upstream by hand, beside the one that the rig needs.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) arrived: mpsc::Receiver<TcpStream>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrive, arrived) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if arrive.send(stream).await.is_err() {
                    return;
                }
            }
        });
        Self { address, arrived }
    }

    /// The next request's head, and the connection that it came on.
    pub(crate) async fn next(&mut self) -> (String, Client) {
        let stream = tokio::time::timeout(PATIENCE, self.arrived.recv()).await.unwrap().unwrap();
        let mut client = Client { stream, buffer: Vec::new() };
        let head = client.answer_to(true).await;
        (String::from_utf8(head).unwrap(), client)
    }
}

async fn rig(peer: &Peer, change: impl FnOnce(&mut GatewayConfig)) -> Rig {
    let address = peer.address;
    Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
        change(config);
    })
    .await
}

/// A caller and an upstream that switched.
async fn switched(rig: &Rig, peer: &mut Peer) -> (Client, Client) {
    let mut caller = rig.connect().await;
    caller.write(asking(&format!("{KEY}{ASK}"))).await;
    let (_, mut upstream) = peer.next().await;
    upstream.write(SWITCH).await;
    let head = String::from_utf8(caller.answer_to(true).await).unwrap();
    assert_eq!(status(&head), 101, "{head}");
    (caller, upstream)
}

pub(crate) async fn read(client: &mut Client, count: usize) -> Vec<u8> {
    let reading = async {
        while client.buffer.len() < count {
            assert!(client.stream.read_buf(&mut client.buffer).await.unwrap() > 0, "it ended");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap();
    client.buffer.drain(..count).collect()
}

#[tokio::test]
async fn a_websocket_is_judged_and_then_carried_both_ways() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    let mut caller = rig.connect().await;
    // some of it comes before the switch is known
    caller.write(format!("{}early", asking(&format!("{KEY}{ASK}")))).await;
    let (head, mut upstream) = peer.next().await;
    assert_eq!(fields(&head, "connection"), ["upgrade"]);
    assert_eq!(fields(&head, "upgrade"), ["websocket"]);
    assert_eq!(fields(&head, "sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert!(fields(&head, "x-api-key").is_empty() && fields(&head, "countersign-principal").len() == 1);
    upstream.write(format!("{SWITCH}and at once")).await;
    let answer = String::from_utf8(caller.answer_to(true).await).unwrap();
    assert_eq!(status(&answer), 101, "{answer}");
    assert_eq!(fields(&answer, "connection"), ["upgrade"]);
    assert_eq!(fields(&answer, "sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
    assert_eq!(read(&mut caller, 11).await, b"and at once");
    assert_eq!(read(&mut upstream, 5).await, b"early");
    for _ in 0..3 {
        caller.write([0, 255, 13, 10]).await;
        assert_eq!(read(&mut upstream, 4).await, [0, 255, 13, 10]);
        upstream.write("GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(read(&mut caller, 18).await, b"GET / HTTP/1.1\r\n\r\n");
    }
}

/// M.2 rule 8: no key, no tunnel; the upstream hears nothing.
#[tokio::test]
async fn an_upgrade_without_a_key_is_refused() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    assert_eq!(status(&rig.send(asking(ASK)).await), 401);
    assert!(peer.arrived.try_recv().is_err());
}

/// What is not asked for as it must be is an ordinary request.
#[tokio::test]
async fn other_upgrades_are_not_passed_on() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    for fields_sent in [
        "Connection: Upgrade\r\nUpgrade: irc\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, irc\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: irc\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let mut caller = rig.connect().await;
        caller.write(asking(&format!("{KEY}{fields_sent}"))).await;
        let (head, mut upstream) = peer.next().await;
        assert!(fields(&head, "upgrade").is_empty() && fields(&head, "connection").is_empty(), "{head}");
        // and a switch that was not asked for is no answer
        upstream.write(SWITCH).await;
        let answer = caller.answer().await;
        assert_eq!((status(&answer), code(&answer).as_str()), (502, "upstream_failed"), "{answer}");
    }
    let post = asking(&format!("{KEY}{ASK}Content-Length: 3\r\n")).replace("GET", "POST");
    let mut caller = rig.connect().await;
    caller.write(format!("{post}abc")).await;
    let (head, _) = peer.next().await;
    assert!(fields(&head, "upgrade").is_empty(), "{head}");
}

#[tokio::test]
async fn a_switch_to_another_protocol_is_502() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    for answer in [
        SWITCH.replace("Upgrade: WebSocket", "Upgrade: irc"),
        SWITCH.replace("Upgrade: WebSocket", "X-A: 1"),
        SWITCH.replace("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: irc"),
        SWITCH.replace("Connection: Upgrade\r\n", ""),
    ] {
        let mut caller = rig.connect().await;
        caller.write(asking(&format!("{KEY}{ASK}"))).await;
        let (_, mut upstream) = peer.next().await;
        upstream.write(&answer).await;
        let got = caller.answer().await;
        assert_eq!((status(&got), code(&got).as_str()), (502, "upstream_failed"), "{answer}: {got}");
        upstream.rest().await;
    }
}

/// The upstream says no: an answer like any other, and the connection goes on.
#[tokio::test]
async fn an_upgrade_that_the_upstream_declines_is_an_answer() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    let mut caller = rig.connect().await;
    caller.write(asking(&format!("{KEY}{ASK}"))).await;
    let (_, mut upstream) = peer.next().await;
    upstream.write("HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nno").await;
    let answer = caller.answer().await;
    assert!(status(&answer) == 426 && fields(&answer, "upgrade").is_empty(), "{answer}");
    caller.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let again = async { upstream.answer_to(true).await };
    assert!(String::from_utf8(again.await).unwrap().starts_with("GET /a "));
    upstream.write(OK).await;
    assert_eq!(status(&caller.answer().await), 200);
}

/// Half-close, either way: who has said everything may still be told something.
#[tokio::test]
async fn an_end_is_passed_on_and_the_other_side_goes_on() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    caller.write("last").await;
    caller.stream.shutdown().await.unwrap();
    assert_eq!(upstream.rest().await, b"last");
    upstream.write("a late answer").await;
    upstream.stream.shutdown().await.unwrap();
    assert_eq!(caller.rest().await, b"a late answer");

    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    upstream.write("bye").await;
    upstream.stream.shutdown().await.unwrap();
    assert_eq!(caller.rest().await, b"bye");
    caller.write("so long").await;
    drop(caller);
    assert_eq!(upstream.rest().await, b"so long");
}

/// RULES 2.5: an open tunnel ends with what permitted it.
#[tokio::test]
async fn rules_2_5_a_tunnel_ends_when_its_key_is_revoked() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    caller.write("x").await;
    read(&mut upstream, 1).await;
    let room = rig.fixture.room(countersign_core::MethodName::ApiKey);
    rig.fixture.feed.revoke(room.node("good"));
    assert!(caller.rest().await.is_empty());
    assert!(upstream.rest().await.is_empty());
}

/// A tunnel outlives the time of idle connections, and ends after its own.
#[tokio::test]
async fn a_silent_tunnel_ends_after_its_own_time() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |config| {
        config.timeouts.idle = SHORT / 4;
        config.timeouts.body = SHORT / 4;
        config.upstreams[0].stream_idle = SHORT * 4;
    })
    .await;
    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    for _ in 0..4 {
        let early = tokio::time::timeout(SHORT * 2, caller.stream.readable()).await;
        assert!(early.is_err(), "it moves, so it stays");
        upstream.write("x").await;
        read(&mut caller, 1).await;
    }
    assert!(caller.rest().await.is_empty());
    upstream.rest().await;
}

/// One side that does not read holds the other up instead of filling memory.
#[tokio::test]
async fn a_tunnel_holds_no_more_than_its_buffers() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |_| {}).await;
    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    let block = vec![7; 64 * 1024];
    let mut sent = 0;
    // the kernel's buffers are a few MiB each
    while let Ok(written) = tokio::time::timeout(SHORT * 5, upstream.stream.write(&block)).await {
        sent += written.unwrap();
        assert!(sent < 64 * 1024 * 1024, "nobody reads, and it still takes");
    }
    let mut got = 0;
    while got < sent {
        got += read(&mut caller, 1).await.len() + caller.buffer.len();
        caller.buffer.clear();
    }
    assert_eq!(got, sent);
}

/// A gateway that stops waits for tunnels as for requests, and no longer.
#[tokio::test]
async fn a_stop_ends_tunnels_with_the_grace() {
    let mut peer = Peer::start().await;
    let mut rig = rig(&peer, |_| {}).await;
    let (mut caller, mut upstream) = switched(&rig, &mut peer).await;
    tokio::time::timeout(PATIENCE, rig.gateway.take().unwrap().stop(SHORT)).await.unwrap();
    assert!(caller.rest().await.is_empty() && upstream.rest().await.is_empty());
}

/// A caller that goes away takes its tunnel with it, and the place that it had.
#[tokio::test]
async fn a_tunnel_takes_a_place_until_it_ends() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |config| {
        config.upstreams[0].limits.connections = Some(1);
        config.upstreams[0].limits.queue = 0;
    })
    .await;
    let (caller, mut upstream) = switched(&rig, &mut peer).await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (503, "upstream_busy"), "{answer}");
    drop(caller);
    upstream.rest().await;
    drop(upstream);
    let serving = tokio::spawn(async move {
        while let Some(stream) = peer.arrived.recv().await {
            let mut upstream = Client { stream, buffer: Vec::new() };
            upstream.answer_to(true).await;
            upstream.write(OK).await;
        }
    });
    eventually(PATIENCE, || async { status(&rig.get("/a", "").await) == 200 }).await;
    serving.abort();
}

/// Events come as they are sent, and a silence between them is no stall.
#[tokio::test]
async fn events_come_at_once_and_may_be_far_apart() {
    let mut peer = Peer::start().await;
    let rig = rig(&peer, |config| {
        config.timeouts.body = SHORT / 4;
        config.upstreams[0].stream_idle = SHORT * 8;
    })
    .await;
    let mut caller = rig.connect().await;
    caller.write(format!("GET /events HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let (_, mut upstream) = peer.next().await;
    let kind = "Content-Type: text/event-stream; charset=utf-8";
    upstream.write(format!("HTTP/1.1 200 OK\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
    let head = caller.answer_to(true).await;
    assert!(head_end(&head).is_some());
    for n in 0..3 {
        let early = tokio::time::timeout(SHORT * 2, caller.stream.readable()).await;
        assert!(early.is_err(), "silent, and not cut");
        upstream.write(format!("9\r\ndata: {n}\n\n\r\n")).await;
        let event = String::from_utf8(read(&mut caller, 14).await).unwrap();
        assert!(event.contains(&format!("data: {n}")), "{event}");
    }
    // its own time is one too
    assert!(!String::from_utf8(caller.rest().await).unwrap().ends_with("0\r\n\r\n"));
    upstream.rest().await;
}
