//! Upstream connections: used again when they are clean, never when anything may be left on them.

use crate::support::{Act, KEY, OK, PATIENCE, Rig, Upstream, routes, status};
use countersign_testkit::eventually;
use std::{sync::atomic::Ordering, time::Duration};

fn connections(rig: &Rig) -> Vec<usize> {
    rig.upstream.requests().iter().map(|g| g.connection).collect()
}

#[tokio::test]
async fn a_clean_connection_is_used_again() {
    let rig = Rig::plain().await;
    for _ in 0..5 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    assert_eq!(connections(&rig), [0; 5]);
    assert_eq!(rig.upstream.connections.load(Ordering::SeqCst), 1, "and none is opened for nothing");
}

/// Two callers on one upstream connection, one behind the other: each gets its own answer.
#[tokio::test]
async fn answers_never_cross() {
    let rig = Rig::scripted(|got| {
        let path = got.line().split(' ').nth(1).unwrap().to_owned();
        Act::answer(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))
    })
    .await;
    let asks = (0..50).map(|n| {
        let rig = &rig;
        async move {
            let answer = rig.get(&format!("/caller/{n}"), "").await;
            assert!(answer.ends_with(&format!("\r\n\r\n/caller/{n}")), "{answer}");
        }
    });
    futures_util::future::join_all(asks).await;
}

/// The upstream sends more than it declared: what is over must not become the next caller's answer.
#[tokio::test]
async fn a_connection_with_bytes_left_over_is_closed() {
    let rig = Rig::scripted(|got| {
        Act::answer(if got.line().contains("/first") {
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        } else {
            OK
        })
    })
    .await;
    assert!(rig.get("/first", "").await.ends_with("ok"));
    for _ in 0..3 {
        let answer = rig.get("/second", "").await;
        assert!(!answer.contains("poison"), "{answer}");
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

/// RFC 9112 6.3: there are no bodies in these. One that comes all the same, after the next request went out, would be
/// that one's answer.
#[tokio::test]
async fn a_body_where_none_may_be_is_nobodys_answer() {
    const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    for (method, head) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ] {
        let rig = Rig::scripted(move |got| {
            let first = got.line().contains("/first");
            if first { Act::Pieces(head.into(), POISON.into()) } else { Act::answer(OK) }
        })
        .await;
        let ask =
            |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n");
        for _ in 0..50 {
            let mut client = rig.connect().await;
            client.write(ask(method, "/first") + &ask("GET", "/second")).await;
            assert!(client.answer_to(true).await.starts_with(b"HTTP/1.1 "));
            let answer = client.answer().await;
            assert!(answer.ends_with("\r\n\r\nok"), "{method} {head}: {answer}");
        }
    }
}

/// A caller that leaves in the middle of an answer: the rest of that answer is nobody's.
#[tokio::test]
async fn a_connection_whose_answer_was_not_read_is_closed() {
    let rig = Rig::scripted(|got| {
        if got.line().contains("/large") {
            let size = 32 * 1024 * 1024;
            let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
            answer.resize(answer.len() + size, b'p');
            Act::Answer(answer)
        } else {
            Act::answer(OK)
        }
    })
    .await;
    let mut client = rig.connect().await;
    client.write(format!("GET /large HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    client.stream.readable().await.unwrap();
    drop(client);
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
    assert!(rig.get("/a", "").await.ends_with("\r\n\r\nok"));
    assert_eq!(connections(&rig).last(), Some(&1));
}

/// An upstream that answers before it has read the body: that connection still carries the body.
#[tokio::test]
async fn a_connection_whose_request_was_not_sent_whole_is_closed() {
    let upstream = Upstream::eager("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    let rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 10\r\n\r\nabc")).await;
    assert_eq!(status(&client.answer().await), 403);
    drop(client);
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

/// The upstream closed while the connection was idle: the next request goes out on a new one, once.
#[tokio::test]
async fn a_stale_connection_is_replaced() {
    let rig = Rig::scripted(|_| Act::close(OK)).await;
    for _ in 0..5 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    assert_eq!(connections(&rig), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn an_old_idle_connection_is_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |c| c.timeouts.idle_upstream = Duration::from_millis(50)).await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    assert_eq!(connections(&rig), [0, 1]);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| config.limits.idle_upstream = 1).await;
    let asks = (0..8).map(|_| rig.get("/a", ""));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(status(&answer), 200);
    }
    eventually(PATIENCE, || async { rig.upstream.open() <= 1 }).await;
}
