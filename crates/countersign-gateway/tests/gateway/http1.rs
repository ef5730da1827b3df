//! HTTP/1.1 as callers speak it, well and badly: where requests begin and end, and what becomes of the connection.

use crate::{
    support::{Act, KEY, OK, PATIENCE, Rig, Upstream, code, fields, head_end, message_end, routes, status},
    tls::Tls,
    upgrade::Peer,
};
use countersign_testkit::eventually;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Semaphore,
};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n{body}")
}

/// The upstream says what it was asked.
async fn echoing() -> Rig {
    Rig::scripted(|got| {
        let line = got.line();
        let path = line.split(' ').nth(1).unwrap();
        Act::Answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()).into_bytes())
    })
    .await
}

#[tokio::test]
async fn a_request_may_come_in_any_two_pieces() {
    let rig = Rig::plain().await;
    let chunked = "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nx-t: 1\r\n\r\n";
    let requests = [
        post(&format!("{KEY}Content-Length: 4\r\n"), "abcd"),
        post(&format!("{KEY}Transfer-Encoding: chunked\r\n"), chunked),
    ];
    let mut client = rig.connect().await;
    client.stream.set_nodelay(true).unwrap();
    for request in &requests {
        for at in 0..request.len() {
            client.write(&request[..at]).await;
            tokio::task::yield_now().await;
            client.write(&request[at..]).await;
            assert_eq!(status(&client.answer().await), 200, "{at}");
        }
    }
    let got = rig.upstream.requests();
    assert_eq!(got.len(), requests[0].len() + requests[1].len());
    for got in got {
        let text = got.text();
        let plain = text.ends_with("abcd");
        assert!(plain || text.ends_with("\r\n0\r\n\r\n") && !text.contains("x-t"), "{text}");
    }
}

#[tokio::test]
async fn a_thousand_pipelined_requests_are_answered_in_order() {
    let rig = echoing().await;
    let all: String = (0..1000).map(|n| get(&format!("/{n}"))).collect();
    let mut client = rig.connect().await;
    client.write(all).await;
    for n in 0..1000 {
        let answer = client.answer().await;
        assert!(status(&answer) == 200 && answer.ends_with(&format!("\r\n\r\n/{n}")), "{n}: {answer}");
    }
}

/// What comes behind is read in its turn, and no sooner.
#[tokio::test]
async fn a_malformed_request_is_refused_after_the_answer_before_it() {
    let rig = echoing().await;
    let mut client = rig.connect().await;
    client.write(format!("{}GET /b\r\n\r\n{}", get("/a"), get("/c"))).await;
    let first = client.answer().await;
    assert!(first.ends_with("\r\n\r\n/a") && fields(&first, "connection").is_empty(), "{first}");
    let second = client.answer().await;
    assert_eq!((status(&second), code(&second).as_str()), (400, "request_malformed"), "{second}");
    assert!(client.rest().await.is_empty());
    assert_eq!(rig.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_refusal_of_the_grammar_is_a_whole_answer() {
    let rig = Rig::plain().await;
    let big = format!("GET /a HTTP/1.1\r\nx-big: {}\r\n\r\n", "a".repeat(200_000));
    for (request, expected, problem) in [
        ("rubbish\r\n\r\n", 400, "request_malformed"),
        ("\0\0\0\0", 400, "request_malformed"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "request_malformed"),
        ("\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400, "request_malformed"),
        (&big, 431, "head_too_large"),
    ] {
        let mut client = rig.connect().await;
        client.write(request).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert_eq!((status(&all), code(&all).as_str()), (expected, problem), "{request:.40}: {all}");
        assert_eq!(fields(&all, "connection"), ["close"], "{all}");
        for name in ["date", "content-length", "countersign-request-id", "content-type"] {
            assert_eq!(fields(&all, name).len(), 1, "{name}: {all}");
        }
        let length: usize = fields(&all, "content-length")[0].parse().unwrap();
        assert_eq!(all.split_once("\r\n\r\n").unwrap().1.len(), length, "and nothing behind it: {all}");
    }
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn http_1_0_goes_on_where_it_asks_to() {
    let rig = echoing().await;
    let old = |path: &str, more: &str| format!("GET {path} HTTP/1.0\r\nHost: a.example\r\n{KEY}{more}\r\n");
    let mut client = rig.connect().await;
    for path in ["/a", "/b"] {
        client.write(old(path, "Connection: Keep-Alive\r\n")).await;
        let answer = client.answer().await;
        assert!(answer.ends_with(path), "{answer}");
        assert_eq!(fields(&answer, "connection"), ["keep-alive"]);
    }
    client.write(format!("{}{}", old("/c", ""), old("/d", ""))).await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert!(all.ends_with("\r\n\r\n/c") && fields(&all, "connection") == ["close"], "{all}");
}

#[tokio::test]
async fn a_caller_may_ask_for_the_end() {
    let rig = echoing().await;
    let mut client = rig.connect().await;
    let last = format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Connection: x, Close\r\n\r\n");
    client.write(format!("{last}{}", get("/b"))).await;
    let all = String::from_utf8(client.rest().await).unwrap();
    assert!(all.ends_with("\r\n\r\n/a") && fields(&all, "connection") == ["close"], "{all}");
    assert_eq!(rig.upstream.requests().len(), 1);
}

/// A refusal does not wait for the body. What came of it is not read as a request, however it looks.
#[tokio::test]
async fn the_body_of_a_refused_request_is_never_a_request() {
    let rig = Rig::plain().await;
    let smuggled = get("/smuggled");
    let length = smuggled.len();
    // all of it is there: the connection goes on behind it
    let mut client = rig.connect().await;
    let whole = post(&format!("Content-Length: {length}\r\n"), &smuggled);
    client.write(format!("{whole}{}", get("/next"))).await;
    let refused = client.answer().await;
    assert!(status(&refused) == 401 && fields(&refused, "connection").is_empty(), "{refused}");
    assert_eq!(status(&client.answer().await), 200);
    assert_eq!(rig.upstream.only().line(), "GET /next HTTP/1.1");

    for (fields_sent, body) in [
        // some of it is missing
        (format!("Content-Length: {}\r\n", length + 1), smuggled.clone()),
        ("Transfer-Encoding: chunked\r\n".into(), format!("{length:x}\r\n{smuggled}\r\n")),
        ("Transfer-Encoding: chunked\r\n".into(), format!("zz\r\n{smuggled}")),
        // it waits to be told to go on, and is not
        (format!("Expect: 100-continue\r\nContent-Length: {}\r\n", length + 1), smuggled.clone()),
        (format!("Expect: 100-Continue\r\nContent-Length: {length}\r\n"), String::new()),
    ] {
        let mut client = rig.connect().await;
        client.write(post(&fields_sent, &body)).await;
        let refused = client.answer().await;
        assert_eq!(status(&refused), 401, "{fields_sent}: {refused}");
        assert_eq!(fields(&refused, "connection"), ["close"], "{fields_sent}: {refused}");
        client.write(&smuggled).await;
        assert!(client.rest().await.is_empty(), "{fields_sent}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
}

/// RFC 9112 9.6: the answer arrives, though the caller goes on sending for a while.
#[tokio::test]
async fn a_refusal_reaches_a_caller_that_is_still_sending() {
    let rig = Rig::plain().await;
    for size in [100_000, 900_000] {
        let mut client = rig.connect().await;
        client.write(post(&format!("Content-Length: {size}\r\n"), &"x".repeat(size))).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert_eq!((status(&all), code(&all).as_str()), (401, "credential_missing"), "{size}: {all}");
    }
}

#[tokio::test]
async fn an_expectation_of_http_1_0_or_without_a_body_is_none() {
    let rig = Rig::plain().await;
    for request in [
        format!(
            "POST /a HTTP/1.0\r\nHost: a.example\r\n{KEY}Expect: 100-continue\r\nContent-Length: 1\r\n\r\na"
        ),
        post(&format!("{KEY}Expect: 100-continue\r\n"), ""),
        post(&format!("{KEY}Expect: 100-continue\r\nContent-Length: 1\r\n"), "a"),
    ] {
        let answer = rig.send(&request).await;
        assert_eq!(status(&answer), 200, "{request}: {answer}");
    }
}

/// An answer of the upstream's that comes before the body is over ends the connection with it.
#[tokio::test]
async fn an_answer_before_the_end_of_the_body_is_the_last() {
    let upstream = Upstream::eager("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(post(&format!("{KEY}Content-Length: 100\r\n"), "abc")).await;
    let answer = client.answer().await;
    assert!(status(&answer) == 200 && answer.ends_with("ok"), "{answer}");
    client.write(get("/smuggled")).await;
    assert!(client.rest().await.is_empty());
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

#[tokio::test]
async fn a_caller_that_ends_in_the_middle_leaves_nothing_behind() {
    let rig = Rig::plain().await;
    for sent in
        [String::new(), "\r\n".into(), "GET /a HTT".into(), "GET /a HTTP/1.1\r\nHost: a.example\r\n".into()]
    {
        let mut client = rig.connect().await;
        client.write(&sent).await;
        client.stream.shutdown().await.unwrap();
        assert!(client.rest().await.is_empty(), "{sent}: closed without a word");
    }
    for body in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"] {
        let mut client = rig.connect().await;
        client.write(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}{body}")).await;
        client.stream.shutdown().await.unwrap();
        let all = String::from_utf8(client.rest().await).unwrap();
        assert!(all.is_empty() || status(&all) == 400 && fields(&all, "connection") == ["close"], "{all}");
    }
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
    // the upstream may have seen a beginning; what it never saw is an end
    assert!(rig.upstream.requests().iter().all(|got| message_end(&got.bytes).is_none()));
}

#[tokio::test]
async fn refusals_of_head_have_a_length_and_no_body() {
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client.write(format!("HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n{}", get("/b"))).await;
    let refused = String::from_utf8(client.answer_to(true).await).unwrap();
    assert_eq!(status(&refused), 401, "{refused}");
    assert!(fields(&refused, "content-length")[0].parse::<usize>().unwrap() > 100, "{refused}");
    let next = client.answer().await;
    assert!(next.starts_with("HTTP/1.1 200"), "nothing in between: {next}");
}

#[tokio::test]
async fn an_answer_has_one_date() {
    let rig = Rig::scripted(|got| {
        Act::answer(if got.line().contains("/own") {
            "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Length: 2\r\n\r\nok"
        } else {
            OK
        })
    })
    .await;
    let answer = rig.get("/own", "").await;
    assert_eq!(fields(&answer, "date"), ["Tue, 15 Nov 1994 08:12:31 GMT"]);
    let answer = rig.get("/none", "").await;
    let date = fields(&answer, "date");
    assert!(date.len() == 1 && date[0].len() == 29 && date[0].ends_with(" GMT"), "{answer}");
}

/// What is begun when the gateway drains is answered, and told that it is the last.
#[tokio::test]
async fn a_stop_answers_what_has_begun() {
    let upstream = Upstream::held(OK).await;
    let hold = upstream.hold.clone();
    let mut rig = Rig::with(upstream, routes(), |_| {}).await;
    let (mut in_flight, mut in_head) = (rig.connect().await, rig.connect().await);
    in_flight.write(get("/a")).await;
    let (begun, rest) = ("GET /b HTTP/1.1\r\nHost: a.exa", format!("mple\r\n{KEY}\r\n"));
    in_head.write(begun).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let stopped = tokio::spawn(rig.gateway.take().unwrap().stop(PATIENCE));
    eventually(PATIENCE, || async { tokio::net::TcpStream::connect(rig.address).await.is_err() }).await;
    in_head.write(&rest).await;
    hold.add_permits(2);
    for client in [&mut in_flight, &mut in_head] {
        let all = String::from_utf8(client.rest().await).unwrap();
        assert!(status(&all) == 200 && all.ends_with("ok"), "{all}");
        assert_eq!(fields(&all, "connection"), ["close"], "{all}");
    }
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
}

/// TLS keeps what it is given until it is told to send it: nothing is left there while the rest is waited for.
#[tokio::test]
async fn over_tls_every_piece_goes_out_when_it_comes() {
    const SIZE: usize = 1024 * 1024;
    let upstream = Upstream::with_hold(
        |got| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
            let size = got.body().len();
            let second = [format!("{size:x}\r\n").as_bytes(), got.body(), b"\r\n0\r\n\r\n"].concat();
            Act::Pieces(head.into(), second)
        },
        Arc::new(Semaphore::new(1)),
    )
    .await;
    let tls = Tls::behind(upstream, |_| {}).await;
    let (mut reading, mut writing) = tokio::io::split(tls.connect(&[b"http/1.1"]).await);
    let body: Vec<u8> = (0..SIZE).map(|n| u8::try_from((n * 7 + n / 251) % 256).unwrap()).collect();
    let head = format!("POST /a HTTP/1.1\r\nHost: localhost\r\n{KEY}Content-Length: {SIZE}\r\n\r\n");
    writing.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    writing.flush().await.unwrap();
    let mut all = Vec::new();
    let exchange = async {
        while !all.ends_with(b"\r\n\r\n5\r\nfirst\r\n") {
            assert!(reading.read_buf(&mut all).await.unwrap() > 0);
        }
        tls.rig.upstream.hold.add_permits(1);
        while message_end(&all).is_none() {
            assert!(reading.read_buf(&mut all).await.unwrap() > 0);
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap();
    let mut chunks = &all[head_end(&all).unwrap()..];
    let mut got = Vec::new();
    while let Some(at) = chunks.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..at]).unwrap(), 16).unwrap();
        got.extend_from_slice(&chunks[at + 2..at + 2 + size]);
        chunks = &chunks[at + 4 + size..];
    }
    assert!(got == [b"first", &body[..]].concat());
}

/// A caller may send all of its request before it reads anything, also where the answer is there long before: what the
/// answer waits for must not hold up the request.
#[tokio::test]
async fn a_request_goes_on_while_nobody_takes_its_answer() {
    const SIZE: usize = 24 * 1024 * 1024;
    let mut peer = Peer::start().await;
    let address = peer.address;
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
        config.limits.body = u64::try_from(SIZE).unwrap();
    })
    .await;
    let mut caller = rig.connect().await;
    caller.write(post(&format!("{KEY}Content-Length: {SIZE}\r\n"), "")).await;
    let (_, upstream) = peer.next().await;
    let begun = upstream.buffer.len();
    let (mut reading, mut writing) = upstream.stream.into_split();
    let answering = tokio::spawn(async move {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        writing.write_all(head.as_bytes()).await.unwrap();
        writing.write_all(&vec![b'y'; SIZE]).await.unwrap();
        writing
    });
    let taking = tokio::spawn(async move {
        let (mut got, mut room) = (begun, vec![0; 64 * 1024]);
        while got < SIZE {
            let count = reading.read(&mut room).await.unwrap();
            assert!(count > 0, "it ended after {got}");
            got += count;
        }
        reading
    });
    let body = vec![b'x'; SIZE];
    let sent = tokio::time::timeout(PATIENCE, caller.stream.write_all(&body)).await;
    sent.expect("the request stands still").unwrap();
    let _reading = taking.await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, caller.answer_to(false)).await.unwrap();
    assert_eq!(answer.len() - head_end(&answer).unwrap(), SIZE);
    answering.await.unwrap();
}

/// RFC 9110 15.2: what an upstream says before it answers goes on, but for what is about its own hop, and not to who
/// knows no interim answers.
#[tokio::test]
async fn interim_answers_go_on() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\
                 Alt-Svc: h3\r\nCountersign-Principal: evil\r\nContent-Length: 9\r\n\r\n";
    let unasked = "HTTP/1.1 100 Continue\r\n\r\n";
    let said = format!("{early}{unasked}HTTP/1.1 102 Processing\r\n\r\n{OK}");
    let rig = Rig::scripted(move |_| Act::answer(&said)).await;
    let mut client = rig.connect().await;
    for request in [get("/a"), post(&format!("{KEY}Content-Length: 3\r\n"), "abc")] {
        client.write(request).await;
        let first = String::from_utf8(client.answer_to(true).await).unwrap();
        assert_eq!(status(&first), 103, "{first}");
        assert_eq!(fields(&first, "link"), ["</a.css>; rel=preload"]);
        for kept_back in ["connection", "x-hop", "alt-svc", "countersign-principal", "content-length", "date"]
        {
            assert!(fields(&first, kept_back).is_empty(), "{kept_back}: {first}");
        }
        let second = String::from_utf8(client.answer_to(true).await).unwrap();
        assert_eq!(status(&second), 102, "{second}");
        let last = client.answer().await;
        assert!(last.starts_with("HTTP/1.1 200") && last.ends_with("ok"), "{last}");
    }
    let old = rig.send(format!("GET /a HTTP/1.0\r\nHost: a.example\r\n{KEY}\r\n")).await;
    assert!(status(&old) == 200 && !old.contains("103"), "{old}");
    let refused = rig.send("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(status(&refused), 401);
}

/// Before the final answer is there, so that a browser can begin.
#[tokio::test]
async fn an_interim_answer_is_not_held_back() {
    let mut peer = Peer::start().await;
    let address = peer.address;
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
    })
    .await;
    let mut client = rig.connect().await;
    client.write(get("/a")).await;
    let (_, mut upstream) = peer.next().await;
    for at in 0..3 {
        upstream.write(format!("HTTP/1.1 103 Early Hints\r\nLink: <{at}>\r\n\r\n")).await;
        let told = String::from_utf8(client.answer_to(true).await).unwrap();
        assert_eq!(fields(&told, "link"), [format!("<{at}>")]);
    }
    upstream.write(OK).await;
    assert_eq!(status(&client.answer().await), 200);
}

/// A caller that is told to go on by us is not told by the upstream, and hears both in order.
#[tokio::test]
async fn an_expectation_and_an_interim_answer_stay_apart() {
    let mut peer = Peer::start().await;
    let address = peer.address;
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
    })
    .await;
    let mut client = rig.connect().await;
    client.write(post(&format!("{KEY}Content-Length: 3\r\nExpect: 100-continue\r\n"), "")).await;
    let told = String::from_utf8(client.answer_to(true).await).unwrap();
    assert_eq!(status(&told), 100);
    let (_, mut upstream) = peer.next().await;
    upstream.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n").await;
    let told = String::from_utf8(client.answer_to(true).await).unwrap();
    assert_eq!(status(&told), 103, "{told}");
    client.write("abc").await;
    upstream.write(OK).await;
    assert_eq!(status(&client.answer().await), 200);
}

/// An upstream that never comes to its answer is not one.
#[tokio::test]
async fn endless_interim_answers_are_502() {
    let storm = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let rig = Rig::scripted(move |_| Act::answer(&storm)).await;
    let mut client = rig.connect().await;
    client.write(get("/a")).await;
    let mut last = 103;
    for _ in 0..100 {
        last = status(&String::from_utf8(client.answer_to(true).await).unwrap());
        if last != 103 {
            break;
        }
    }
    assert_eq!(last, 502);
}
