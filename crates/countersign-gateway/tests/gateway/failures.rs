//! Upstreams and callers that do not do their part.

use crate::support::{Act, KEY, OK, PATIENCE, Rig, Upstream, code, fields, routes, status};
use countersign_testkit::eventually;
use std::time::Duration;
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(80);

#[tokio::test]
async fn an_upstream_that_is_down_is_502() {
    let rig = Rig::plain().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig2 = Rig::with(upstream, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{gone}")];
    })
    .await;
    let answer = rig2.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (502, "upstream_unreachable"), "{answer}");
    assert_eq!(fields(&answer, "cache-control"), ["no-store"]);
    assert!(!answer.contains(&gone.to_string()), "the caller is not told where: {answer}");
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_504() {
    let upstream = Upstream::start(|_| Act::Silence).await;
    let rig = Rig::with(upstream, routes(), |config| config.timeouts.first_byte = SHORT).await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (504, "upstream_timeout"), "{answer}");
    let answer =
        rig.send(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 3\r\n\r\nabc")).await;
    assert_eq!(status(&answer), 504, "{answer}");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_502() {
    let rig = Rig::scripted(|_| Act::close("")).await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (502, "upstream_failed"), "{answer}");
    // what may have reached the upstream is never sent twice
    assert_eq!(rig.upstream.requests().len(), 1);
}

/// The caller must see that it did not get everything.
#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let upstream =
        Upstream::start(|_| Act::close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"))
            .await;
    let rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert!(all.starts_with("HTTP/1.1 200") && !all.ends_with("0\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn an_answer_that_stalls_is_cut() {
    let upstream = Upstream::start(|_| Act::answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")).await;
    let rig = Rig::with(upstream, routes(), |config| config.timeouts.body = SHORT).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert!(all.ends_with("\r\n\r\nok"), "{all}");
}

#[tokio::test]
async fn a_caller_that_stalls_in_its_body_is_408() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.timeouts.body = SHORT).await;
    let mut client = rig.connect().await;
    client.write(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 10\r\n\r\nabc")).await;
    let answer = client.answer().await;
    assert_eq!((status(&answer), code(&answer).as_str()), (408, "body_timeout"), "{answer}");
}

/// A slow upload is not a slow upstream: its clock starts when the caller has sent everything.
#[tokio::test]
async fn a_slow_upload_is_no_upstream_timeout() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.timeouts.first_byte = SHORT).await;
    let mut client = rig.connect().await;
    client.write(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 4\r\n\r\n")).await;
    for _ in 0..4 {
        let waited = tokio::time::timeout(SHORT, client.stream.readable()).await;
        assert!(waited.is_err(), "nothing was answered yet");
        client.write("a").await;
    }
    assert_eq!(status(&client.answer().await), 200);
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| {
        config.timeouts.head = SHORT;
        config.timeouts.idle = SHORT * 2;
    })
    .await;
    for sent in ["", "GET /a HTTP/1.1\r\nHos"] {
        let mut client = rig.connect().await;
        client.write(sent).await;
        assert!(client.rest().await.is_empty(), "closed without a word after `{sent}`");
    }
    // a slow head that never stops dripping
    let mut client = rig.connect().await;
    client.write("GET /a HTTP/1.1\r\n").await;
    let dripping = async {
        loop {
            tokio::time::timeout(SHORT / 4, client.stream.readable()).await.ok();
            if tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"x-a: 1\r\n").await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, dripping).await.unwrap();
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

/// Past the cap connections wait; they are not refused and nothing else suffers.
#[tokio::test]
async fn the_connection_cap_makes_others_wait() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.limits.connections = 2).await;
    let (first, second) = (rig.connect().await, rig.connect().await);
    let mut third = rig.connect().await;
    third.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    assert!(tokio::time::timeout(SHORT, third.stream.readable()).await.is_err(), "it waits");
    drop(first);
    assert_eq!(status(&third.answer().await), 200);
    drop(second);
}

/// A caller that goes away ends the work for it, upstream included.
#[tokio::test]
async fn a_caller_that_goes_away_frees_the_upstream() {
    let rig = Rig::scripted(|_| Act::Silence).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    assert_eq!(rig.upstream.open(), 1);
    drop(client);
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

/// A caller that takes nothing of its answer is cut: it would hold an upstream connection for as long as it likes.
#[tokio::test]
async fn a_caller_that_does_not_read_is_cut() {
    let upstream = Upstream::start(|_| {
        let size = 32 * 1024 * 1024;
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + size, b'x');
        Act::Answer(answer)
    })
    .await;
    let rig = Rig::with(upstream, routes(), |config| config.timeouts.body = SHORT).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
    assert!(client.rest().await.len() < 32 * 1024 * 1024);
}

/// A route to an upstream that the configuration lacks is our fault, not the upstream's.
#[tokio::test]
async fn a_route_to_nowhere_is_500() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.upstreams[0].name = "other".into()).await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (500, "internal"), "{answer}");
}

/// Listeners share the cap, and none is starved of its first connection.
#[tokio::test]
async fn every_listener_serves_under_the_smallest_cap() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let mut rig = Rig::with(upstream, routes(), |config| {
        config.limits.connections = 1;
        config.listeners.push(config.listeners[0].clone());
    })
    .await;
    let addresses = rig.gateway.as_ref().unwrap().addresses();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        rig.address = address;
        assert_eq!(status(&rig.get("/a", "Connection: close\r\n").await), 200, "{address}");
    }
}
