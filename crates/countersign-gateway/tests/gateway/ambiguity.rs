//! M.2 rule 6: what two readers could read in two ways is refused, or goes upstream as one message framed anew.

use crate::support::{Act, KEY, Rig, Upstream, code, routes, status};
use std::sync::Arc;
use tokio::{io::AsyncReadExt, sync::Semaphore};

/// Each is refused with this status, by a problem document, and nothing of it reaches the upstream.
async fn refused(cases: &[(&str, String, u16, &str)]) {
    let rig = Rig::plain().await;
    for (what, request, expected, problem) in cases {
        let answer = rig.send(request).await;
        assert_eq!(status(&answer), *expected, "{what}: {answer}");
        assert_eq!(code(&answer), *problem, "{what}: {answer}");
        assert!(answer.contains("application/problem+json"), "{what}: {answer}");
        assert!(rig.upstream.requests().is_empty(), "{what} went upstream");
    }
}

fn head(line: &str, fields: &str) -> String {
    format!("{line}\r\n{KEY}{fields}\r\n")
}

#[tokio::test]
async fn m2_6_a_head_that_can_be_read_in_two_ways_is_refused() {
    let get = "GET /a HTTP/1.1";
    let host = "Host: api.example\r\n";
    let post = |fields: &str, body: &str| format!("POST /a HTTP/1.1\r\n{host}{KEY}{fields}\r\n{body}");
    refused(&[
        ("no Host", head(get, ""), 400, "request_malformed"),
        ("empty Host", head(get, "Host: \r\n"), 400, "request_malformed"),
        ("two Hosts", head(get, &format!("{host}Host: other.example\r\n")), 400, "request_malformed"),
        ("the same Host twice", head(get, &format!("{host}{host}")), 400, "request_malformed"),
        ("no Host in HTTP/1.0", head("GET /a HTTP/1.0", ""), 400, "request_malformed"),
        (
            "another authority in absolute-form",
            head("GET http://other.example/a HTTP/1.1", host),
            400,
            "request_malformed",
        ),
        (
            "userinfo in absolute-form",
            head("GET http://api.example@other.example/a HTTP/1.1", host),
            400,
            "request_malformed",
        ),
        ("a foreign scheme", head("GET ftp://api.example/a HTTP/1.1", host), 400, "request_malformed"),
        ("OPTIONS *", head("OPTIONS * HTTP/1.1", host), 400, "request_malformed"),
        ("GET *", head("GET * HTTP/1.1", host), 400, "request_malformed"),
        ("a target without a slash", head("GET a HTTP/1.1", host), 400, "request_malformed"),
        ("CONNECT", head("CONNECT api.example:443 HTTP/1.1", host), 400, "request_malformed"),
        ("CONNECT with a path", head("CONNECT /a HTTP/1.1", host), 400, "request_malformed"),
        ("TRACE", head("TRACE /a HTTP/1.1", host), 405, "method_not_allowed"),
        (
            "h2c upgrade",
            head(get, &format!("{host}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n")),
            400,
            "request_malformed",
        ),
        (
            "h2c among others",
            head(get, &format!("{host}Connection: Upgrade\r\nUpgrade: websocket, H2C\r\n")),
            400,
            "request_malformed",
        ),
        (
            "a coding before chunked",
            post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
            501,
            "transfer_coding_unsupported",
        ),
        (
            "codings in two lines",
            post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            501,
            "transfer_coding_unsupported",
        ),
        (
            "chunked twice",
            post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
            501,
            "transfer_coding_unsupported",
        ),
        ("a name with `_`", head(get, &format!("{host}Content_Length: 3\r\n")), 400, "request_malformed"),
    ])
    .await;
}

/// What follows such a head on its connection is not read as a request: a proxy in front that takes `Content_Length` for
/// a length would have passed on one caller's body as another's request.
#[tokio::test]
async fn m2_6_after_an_ambiguous_head_the_connection_ends() {
    let rig = Rig::plain().await;
    let next = format!("GET /smuggled HTTP/1.1\r\nHost: api.example\r\n{KEY}\r\n");
    for (line, fields) in [
        ("GET /a HTTP/1.1", format!("Host: api.example\r\nContent_Length: {}\r\n", next.len())),
        ("GET /a HTTP/1.1", "Host: api.example\r\nHost: other.example\r\n".into()),
        ("GET http://other.example/a HTTP/1.1", "Host: api.example\r\n".into()),
        ("GET /a HTTP/1.1", "Host: api.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n".into()),
        ("GET /a HTTP/1.1", String::new()),
    ] {
        let mut client = rig.connect().await;
        client.write(format!("{}{next}", head(line, &fields))).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert_eq!(status(&all), 400, "{line} {fields}: {all}");
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{line} {fields}: {all}");
        assert!(rig.upstream.requests().is_empty(), "{line} {fields}");
    }
}

/// RFC 9110 9.1: Django and Werkzeug upper-case the method, so `get` would be judged by the route of any method and
/// served as GET.
#[tokio::test]
async fn m2_6_a_method_in_other_letters_is_refused() {
    let host = "Host: api.example\r\n";
    let get = ("get", head("get /a HTTP/1.1", host), 400, "request_malformed");
    let post = ("Post", head("Post /a HTTP/1.1", host), 400, "request_malformed");
    let trace = ("trace", head("trace /a HTTP/1.1", host), 400, "request_malformed");
    let options = ("oPTIONS", head("oPTIONS /a HTTP/1.1", host), 400, "request_malformed");
    refused(&[get, post, trace, options]).await;
    // a method of an extension is a method
    let rig = Rig::plain().await;
    assert_eq!(status(&rig.send(head("PROPFIND /a HTTP/1.1", host)).await), 200);
}

#[tokio::test]
async fn m2_6_a_head_that_the_parser_refuses_is_a_problem_too() {
    let host = "Host: api.example\r\n";
    refused(&[
        (
            "space before the colon",
            head("GET /a HTTP/1.1", "Host : api.example\r\n"),
            400,
            "request_malformed",
        ),
        ("obs-fold", head("GET /a HTTP/1.1", &format!("{host}X-A: 1\r\n 2\r\n")), 400, "request_malformed"),
        (
            "control character",
            head("GET /a HTTP/1.1", &format!("{host}X-A: a\x01b\r\n")),
            400,
            "request_malformed",
        ),
        ("NUL in the target", head("GET /a\0 HTTP/1.1", host), 400, "request_malformed"),
        ("two spaces", head("GET  /a HTTP/1.1", host), 400, "request_malformed"),
        ("a fragment", head("GET /a#b HTTP/1.1", host), 400, "request_malformed"),
        ("HTTP/3.0", head("GET /a HTTP/3.0", host), 400, "request_malformed"),
        ("no HTTP", "rubbish\r\n\r\n".into(), 400, "request_malformed"),
        ("bare CR", head("GET /a HTTP/1.1", &format!("{host}X-A: a\rb\r\n")), 400, "request_malformed"),
    ])
    .await;
}

#[tokio::test]
async fn m2_6_lengths_that_differ_or_are_no_numbers_are_refused() {
    let rig = Rig::plain().await;
    for (what, fields) in [
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n"),
        ("a list", "Content-Length: 3, 4\r\n"),
        ("a sign", "Content-Length: +3\r\n"),
        ("hex", "Content-Length: 0x3\r\n"),
        ("negative", "Content-Length: -3\r\n"),
        ("too large", "Content-Length: 99999999999999999999\r\n"),
        ("a last coding other than chunked", "Transfer-Encoding: chunked, gzip\r\n"),
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n"),
    ] {
        let answer =
            rig.send(format!("POST /a HTTP/1.1\r\nHost: api.example\r\n{KEY}{fields}\r\nabcd")).await;
        assert!(matches!(status(&answer), 400 | 501), "{what}: {answer}");
        assert!(rig.upstream.requests().is_empty(), "{what} went upstream");
    }
}

/// What hyper reads in one way only, the upstream gets in one way only: one framing, one message, nothing behind it.
#[tokio::test]
async fn m2_6_what_is_read_goes_upstream_as_one_message_framed_anew() {
    for (what, fields, body, expected) in [
        (
            "Content-Length before Transfer-Encoding",
            "Content-Length: 60\r\nTransfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.example\r\n\r\n",
            "abc",
        ),
        (
            "Content-Length after Transfer-Encoding",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: api.example\r\n\r\n",
            "abc",
        ),
        ("equal repeated Content-Length", "Content-Length: 3\r\nContent-Length: 3\r\n", "abc", "abc"),
        ("chunk extensions", "Transfer-Encoding: chunked\r\n", "3;a=b;c\r\nabc\r\n0;d\r\n\r\n", "abc"),
        ("`Chunked`", "Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("chunks", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        (
            "trailers",
            "Transfer-Encoding: chunked\r\nTrailer: countersign-principal\r\n",
            "3\r\nabc\r\n0\r\ncountersign-principal: svc_evil\r\n\r\n",
            "abc",
        ),
    ] {
        let rig = Rig::plain().await;
        let answer =
            rig.send(format!("POST /a HTTP/1.1\r\nHost: api.example\r\n{KEY}{fields}\r\n{body}")).await;
        let got = rig.upstream.requests();
        if status(&answer) == 400 {
            assert!(got.is_empty(), "{what}: refused and forwarded");
            continue;
        }
        assert_eq!(status(&answer), 200, "{what}: {answer}");
        assert_eq!(got.len(), 1, "{what}: {got:?}");
        let (lengths, codings) = (got[0].field("content-length"), got[0].field("transfer-encoding"));
        assert_eq!(lengths.len() + codings.len(), 1, "{what}: one framing: {}", got[0].text());
        let text = got[0].text();
        assert!(!text.contains("smuggled") && !text.contains("svc_evil"), "{what}: {text}");
        let plain = unchunk(got[0].body(), !codings.is_empty());
        assert_eq!(plain, expected, "{what}");
    }
}

fn unchunk(body: &[u8], chunked: bool) -> String {
    let text = String::from_utf8(body.to_vec()).unwrap();
    if !chunked {
        return text;
    }
    let mut rest = text.as_str();
    let mut plain = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        assert!(size.bytes().all(|b| b.is_ascii_hexdigit()), "no extension goes on: {size}");
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            assert_eq!(tail, "\r\n", "nothing behind the last chunk");
            return plain;
        }
        plain.push_str(&tail[..size]);
        rest = &tail[size + 2..];
    }
    panic!("the body has no last chunk: {text}");
}

/// Somebody in front may take what follows a line feed for a part of the value before it: a length that only we see would
/// make the next caller's request a body.
#[tokio::test]
async fn m2_6_bare_line_feeds_are_refused_and_end_the_connection() {
    let rig = Rig::plain().await;
    let good = format!("Host: api.example\r\n{KEY}");
    let next = format!("GET /smuggled HTTP/1.1\r\n{good}\r\n");
    for (what, request) in [
        ("everywhere", format!("GET /a HTTP/1.1\r\n{good}\r\n").replace('\r', "")),
        ("within a value", format!("POST /a HTTP/1.1\r\n{good}X-A: b\nContent-Length: 0\r\n\r\n")),
        ("before the head", format!("\nGET /a HTTP/1.1\r\n{good}\r\n")),
        (
            "in a trailer",
            format!("POST /a HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\n\r\n"),
        ),
        (
            "after the last chunk",
            format!("POST /a HTTP/1.1\r\n{good}Transfer-Encoding: chunked\r\n\r\n0\r\n\n"),
        ),
    ] {
        let mut client = rig.connect().await;
        client.write(format!("{request}{next}")).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert_eq!((status(&all), all.matches("HTTP/1.1 ").count()), (400, 1), "{what}: {all}");
        assert!(rig.upstream.requests().iter().all(|got| !got.text().contains("smuggled")), "{what}");
    }
}

/// A second request behind the first is judged by itself, not believed because the first was good.
#[tokio::test]
async fn m2_6_a_pipelined_request_is_judged_by_itself() {
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client
        .write(format!(
            "POST /a HTTP/1.1\r\nHost: api.example\r\n{KEY}Content-Length: 3\r\n\r\nabc\
             GET /b HTTP/1.1\r\nHost: api.example\r\n\r\n\
             GET /c HTTP/1.1\r\nHost: api.example\r\n{KEY}\r\n"
        ))
        .await;
    assert_eq!(status(&client.answer().await), 200);
    assert_eq!(status(&client.answer().await), 401);
    assert_eq!(status(&client.answer().await), 200);
    let lines: Vec<String> = rig.upstream.requests().iter().map(|g| g.line()).collect();
    assert_eq!(lines, ["POST /a HTTP/1.1", "GET /c HTTP/1.1"]);
}

/// RFC 9112 6.3: after a message with both lengths the connection ends, so what stands behind it is never a request.
#[tokio::test]
async fn m2_6_after_both_lengths_the_connection_ends() {
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client
        .write(format!(
            "POST /a HTTP/1.1\r\nHost: api.example\r\n{KEY}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET /b HTTP/1.1\r\nHost: api.example\r\n{KEY}\r\n"
        ))
        .await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
    assert!(rig.upstream.requests().iter().all(|g| !g.line().contains("/b")));
}

/// A body that looks like a refusal of the parser is a body: it goes on unchanged, whatever is pipelined behind it.
#[tokio::test]
async fn m2_6_a_body_that_looks_like_a_refusal_is_a_body() {
    const BODY: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                        date: Mon, 23 Nov 2026 22:37:46 GMT\r\n\r\n";
    let hold = Arc::new(Semaphore::new(1));
    let upstream = Upstream::with_hold(
        |_| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len());
            Act::Pieces(head.into_bytes(), BODY.as_bytes().to_vec())
        },
        hold.clone(),
    )
    .await;
    let rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: api.example\r\n{KEY}\r\nrubbish\r\n\r\n")).await;
    // the head has gone out, so the body goes out by itself
    let head = client.answer_to(true).await;
    hold.add_permits(1);
    while client.buffer.len() < BODY.len() {
        assert!(client.stream.read_buf(&mut client.buffer).await.unwrap() > 0);
    }
    assert!(head.starts_with(b"HTTP/1.1 200") && client.buffer.starts_with(BODY.as_bytes()));
    // and what comes after it is a refusal with a word
    client.buffer.drain(..BODY.len());
    let refused = client.answer().await;
    assert_eq!((status(&refused), code(&refused).as_str()), (400, "request_malformed"), "{refused}");
    assert!(client.rest().await.is_empty());
}
