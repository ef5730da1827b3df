//! How large a head and a body may be.

use crate::support::{Act, KEY, OK, Rig, Upstream, code, routes, status};
use countersign_gateway::ListenerLimits;

fn with_fields(count: usize) -> String {
    // Host and the key are two of them
    let fields: String = (2..count).map(|n| format!("x-f{n}: 1\r\n")).collect();
    format!("GET /a HTTP/1.1\r\nHost: api.example\r\n{KEY}{fields}\r\n")
}

#[tokio::test]
async fn sixty_four_fields_pass_and_one_more_is_431() {
    let rig = Rig::plain().await;
    assert_eq!(status(&rig.send(with_fields(64)).await), 200);
    for count in [65, 100, 101, 500] {
        let answer = rig.send(with_fields(count)).await;
        assert_eq!((status(&answer), code(&answer).as_str()), (431, "head_too_large"), "{count}: {answer}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_head_over_16_kib_is_431() {
    let rig = Rig::plain().await;
    let sized = |size: usize| {
        format!("GET /a HTTP/1.1\r\nHost: api.example\r\n{KEY}x-big: {}\r\n\r\n", "a".repeat(size))
    };
    assert_eq!(status(&rig.send(sized(15 * 1024)).await), 200);
    for size in [17 * 1024, 63 * 1024, 200 * 1024] {
        let answer = rig.send(sized(size)).await;
        assert_eq!((status(&answer), code(&answer).as_str()), (431, "head_too_large"), "{size}: {answer}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_target_over_8_kib_is_414() {
    let rig = Rig::plain().await;
    let sized =
        |size: usize| format!("GET /{} HTTP/1.1\r\nHost: api.example\r\n{KEY}\r\n", "a".repeat(size - 1));
    assert_eq!(status(&rig.send(sized(8 * 1024)).await), 200);
    for size in [8 * 1024 + 1, 12 * 1024, 65_535] {
        let answer = rig.send(sized(size)).await;
        assert!(matches!(status(&answer), 414 | 431), "{size}: {answer}");
        assert!(matches!(code(&answer).as_str(), "target_too_long" | "head_too_large"), "{size}: {answer}");
    }
    assert_eq!(rig.upstream.requests().len(), 1);
}

async fn small_bodies() -> Rig {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    Rig::with(upstream, routes(), |config| config.limits.body = 1000).await
}

#[tokio::test]
async fn a_body_that_declares_too_much_is_413_and_never_sent() {
    let rig = small_bodies().await;
    let answer =
        rig.send(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 1001\r\n\r\n")).await;
    assert_eq!((status(&answer), code(&answer).as_str()), (413, "body_too_large"), "{answer}");
    assert!(rig.upstream.requests().is_empty());
    let fits = format!(
        "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 1000\r\n\r\n{}",
        "a".repeat(1000)
    );
    assert_eq!(status(&rig.send(fits).await), 200);
}

/// Counted while it streams: no declared length to believe.
#[tokio::test]
async fn a_chunked_body_that_grows_too_large_is_413() {
    let rig = small_bodies().await;
    let chunks = format!("190\r\n{}\r\n", "a".repeat(0x190)).repeat(3);
    let answer = rig
        .send(format!(
            "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        ))
        .await;
    assert_eq!((status(&answer), code(&answer).as_str()), (413, "body_too_large"), "{answer}");
    // the upstream may have seen its beginning, never its end
    assert!(rig.upstream.requests().iter().all(|g| !g.text().ends_with("0\r\n\r\n")));
}

/// Who may not call does not get to send: the refusal comes before the body is asked for.
#[tokio::test]
async fn an_expectation_is_met_only_after_the_decision() {
    let rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client
        .write("POST /a HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(status(&answer), 401, "no 100 first: {answer}");

    let mut client = rig.connect().await;
    client
        .write(format!(
            "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        ))
        .await;
    let go_on = client.answer().await;
    assert_eq!(status(&go_on), 100, "{go_on}");
    client.write("abc").await;
    assert_eq!(status(&client.answer().await), 200);
    let got = rig.upstream.only();
    assert_eq!((got.body(), got.field("expect").len()), (&b"abc"[..], 0));
}

/// Two listeners of one gateway: the second takes less than the first.
#[tokio::test]
async fn a_listener_has_limits_of_its_own() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let mut rig = Rig::with(upstream, routes(), |config| {
        let mut narrow = config.listeners[0].clone();
        narrow.limits = ListenerLimits { head: Some(1024), fields: Some(8), body: Some(5), ..narrow.limits };
        config.listeners.push(narrow);
    })
    .await;
    let narrow = rig.gateway.as_ref().unwrap().addresses()[1];
    let big = format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}x-big: {}\r\n\r\n", "a".repeat(1024));
    let body = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 6\r\n\r\nabcdef");
    let asked = [(with_fields(9), 431), (big, 431), (body, 413), (with_fields(8), 200)];
    for (request, _) in &asked {
        assert_eq!(status(&rig.send(request).await), 200);
    }
    rig.address = narrow;
    for (request, expected) in &asked {
        let answer = rig.send(request).await;
        assert_eq!(status(&answer), *expected, "{answer}");
    }
}

/// One is taken, the next waits for it to end; on the other listener there is room.
#[tokio::test]
async fn a_listener_has_connections_of_its_own() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let mut rig = Rig::with(upstream, routes(), |config| {
        let mut narrow = config.listeners[0].clone();
        narrow.limits.connections = Some(1);
        config.listeners.push(narrow);
    })
    .await;
    let (wide, narrow) = (rig.address, rig.gateway.as_ref().unwrap().addresses()[1]);
    let get = format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n");
    rig.address = narrow;
    let mut first = rig.connect().await;
    first.write(&get).await;
    assert_eq!(status(&first.answer().await), 200);
    let mut second = rig.connect().await;
    second.write(&get).await;
    first.write(&get).await;
    assert_eq!(status(&first.answer().await), 200);
    rig.address = wide;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    assert_eq!(rig.upstream.requests().len(), 3, "the second was served beside the first");
    drop(first);
    assert_eq!(status(&second.answer().await), 200);
}
