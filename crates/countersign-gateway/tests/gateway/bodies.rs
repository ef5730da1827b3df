//! Bodies both ways: streamed, framed once, bounded, and no connection used again that still has bytes on it.

use crate::{
    support::{Act, KEY, OK, PATIENCE, Rig, Upstream, code, routes, status},
    tls::{END_HEADERS, Frames, HEADERS, RST_STREAM, Tls, block},
};
use countersign_testkit::eventually;

#[tokio::test]
async fn a_request_with_a_key_reaches_the_upstream_and_its_answer_comes_back() {
    let rig = Rig::plain().await;
    let answer = rig.get("/orders/1?a=b", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(rig.upstream.only().line(), "GET /orders/1?a=b HTTP/1.1");
}

#[tokio::test]
async fn without_a_key_nothing_reaches_the_upstream() {
    let rig = Rig::plain().await;
    let answer = rig.send("GET /orders/1 HTTP/1.1\r\nHost: api.example\r\n\r\n").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (401, "credential_missing"), "{answer}");
    assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    assert!(rig.upstream.requests().is_empty());
}

const MIB: usize = 1024 * 1024;

/// No two bytes alike for long, so that a lost, doubled or swapped piece shows.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from((n * 7 + n / 251) % 256).unwrap()).collect()
}

#[tokio::test]
async fn a_mebibyte_goes_both_ways_unchanged() {
    let rig = Rig::scripted(|got| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", got.body().len()).into_bytes();
        answer.extend_from_slice(got.body());
        Act::Answer(answer)
    })
    .await;
    let body = pattern(MIB);
    let mut client = rig.connect().await;
    let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: {MIB}\r\n\r\n");
    client.write(head).await;
    client.write(&body).await;
    let answer = client.answer_to(false).await;
    assert!(answer.ends_with(&body) && answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(rig.upstream.only().body(), body);
    assert_eq!(rig.upstream.only().field("content-length"), [MIB.to_string()]);
}

/// Streamed: the first half arrives upstream before the second was sent.
#[tokio::test]
async fn a_request_body_is_streamed() {
    let upstream = Upstream::eager("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client
        .write(format!(
            "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        ))
        .await;
    // the upstream answers on the head alone: it was not kept back for the rest
    assert_eq!(status(&client.answer().await), 200);
}

/// Streamed: the first piece of an answer arrives before the upstream sent the second.
#[tokio::test]
async fn an_answer_is_streamed() {
    let rig =
        Rig::scripted(|_| Act::answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"))
            .await;
    let mut client = rig.connect().await;
    client.write(format!("GET /events HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let reading = async {
        while !client.buffer.ends_with(b"5\r\nfirst\r\n") {
            assert!(
                tokio::io::AsyncReadExt::read_buf(&mut client.stream, &mut client.buffer).await.unwrap() > 0
            );
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, reading).await.unwrap();
}

/// RFC 9110 8.6; and a body on a method that seldom has one is a body all the same.
#[tokio::test]
async fn every_method_keeps_its_body_and_its_framing() {
    let rig = Rig::plain().await;
    for (method, fields, body, length, coding) in [
        ("GET", "", "", None, false),
        ("DELETE", "", "", None, false),
        ("POST", "", "", Some("0"), false),
        ("POST", "Content-Length: 0\r\n", "", Some("0"), false),
        ("PUT", "", "", Some("0"), false),
        ("GET", "Content-Length: 3\r\n", "abc", Some("3"), false),
        ("DELETE", "Content-Length: 3\r\n", "abc", Some("3"), false),
        ("GET", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", None, true),
        ("PATCH", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", None, true),
    ] {
        let answer =
            rig.send(format!("{method} /a HTTP/1.1\r\nHost: a.example\r\n{KEY}{fields}\r\n{body}")).await;
        assert_eq!(status(&answer), 200, "{method} {fields}: {answer}");
        let got = rig.upstream.requests().pop().unwrap();
        assert_eq!(got.field("content-length").first().map(String::as_str), length, "{}", got.text());
        assert_eq!(!got.field("transfer-encoding").is_empty(), coding, "{}", got.text());
        assert_eq!(got.body(), body.as_bytes(), "{method} {fields}");
    }
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
#[tokio::test]
async fn http_1_0_callers_get_an_answer_they_can_read() {
    let rig = Rig::scripted(|_| {
        Act::answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    })
    .await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.0\r\nHost: a.example\r\n{KEY}\r\n")).await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(rig.upstream.only().line().ends_with("HTTP/1.1"));
}

/// Where the end of the connection is the end of the answer, one that breaks off must not end like a whole one: proxies
/// that speak HTTP/1.0 would keep it.
#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_whole_to_http_1_0() {
    let rig = Rig::scripted(|got| {
        Act::close(if got.line().contains("/whole") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok"
        })
    })
    .await;
    for (path, whole) in [("/whole", true), ("/broken", false)] {
        let mut client = rig.connect().await;
        client.write(format!("GET {path} HTTP/1.0\r\nHost: a.example\r\n{KEY}\r\n")).await;
        let mut answer = Vec::new();
        let reading = tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut answer);
        let read = tokio::time::timeout(PATIENCE, reading).await.unwrap();
        assert_eq!(read.is_ok(), whole, "{path}: {}", String::from_utf8_lossy(&answer));
    }
}

/// RFC 9113 8.1: a stream that is reset ended before its end, whatever the reset says. An upload that was given up must
/// not look whole to the upstream, nor its connection be used again: what it still expects is the next caller's request.
#[tokio::test]
async fn an_upload_that_is_reset_never_looks_whole() {
    const DATA: u8 = 0;
    for length in [None, Some(("content-length", "100"))] {
        for reason in [0, 8] {
            let tls = Tls::behind(Upstream::start(|_| Act::answer(OK)).await, |_| {}).await;
            let mut frames = Frames::open(&tls).await;
            let mut fields = vec![
                (":method", "POST"),
                (":scheme", "https"),
                (":path", "/a"),
                (":authority", "localhost"),
                ("x-api-key", "good"),
            ];
            fields.extend(length);
            assert!(frames.send(HEADERS, END_HEADERS, 1, &block(&fields)).await);
            assert!(frames.send(DATA, 0, 1, b"abc").await);
            eventually(PATIENCE, || async { tls.rig.upstream.open() == 1 }).await;
            assert!(frames.send(RST_STREAM, 0, 1, &[0, 0, 0, reason]).await);
            eventually(PATIENCE, || async { tls.rig.upstream.open() == 0 }).await;
            for got in tls.rig.upstream.requests() {
                let text = got.text();
                assert!(!text.ends_with("0\r\n\r\n"), "{length:?}, reset for {reason}: {text}");
            }
        }
    }
}
