//! Forwarded headers of trusted peers (RULES 3.1, 3.8, 1.7).

use crate::support::{Act, Got, KEY, OK, Rig, Upstream, code, routes, status};
use countersign_gateway::{ForwardedHeader, Peers, Trusted};

fn entry(networks: &[&str], headers: &[ForwardedHeader]) -> Trusted {
    let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
    Trusted { peers: Peers { networks, unix: false }, headers: headers.to_vec() }
}

async fn rig(trusted: Vec<Trusted>) -> Rig {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    Rig::with(upstream, routes(), |config| config.listeners[0].trusted = trusted.into()).await
}

async fn seen(rig: &Rig, fields: &str) -> Got {
    let request = format!("GET /open/a HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    assert_eq!(status(&rig.send(request).await), 200);
    rig.upstream.requests().pop().unwrap()
}

#[tokio::test]
async fn rules_3_1_forwarded_addresses_are_walked_from_the_right() {
    let rig =
        rig(vec![entry(&["127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32"], &[ForwardedHeader::For])]).await;
    for (fields, caller) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        // whoever stands left of the first stranger may have written it himself
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.3\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.7,10.0.0.3\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 10.0.0.3\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 10.0.0.9, 10.0.0.3\r\n", "10.0.0.9"),
        ("X-Forwarded-For: 192.0.2.7:4711, [2001:db8::1]:80\r\n", "192.0.2.7"),
        ("X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"),
        // what is no address ends the walk at whoever wrote it
        ("X-Forwarded-For: 192.0.2.7, unknown, 10.0.0.3\r\n", "10.0.0.3"),
        ("X-Forwarded-For: 192.0.2.7,\r\n", "127.0.0.1"),
    ] {
        assert_eq!(seen(&rig, fields).await.field("x-forwarded-for"), [caller], "{fields}");
    }
}

/// An entry names what its peers set; the rest is dropped, and so is all of it from others.
#[tokio::test]
async fn rules_3_1_only_the_named_headers_of_a_listed_peer_are_believed() {
    let fields = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs-1\r\n\
                  X-Forwarded-Host: evil.example\r\nForwarded: for=192.0.2.7\r\nRemote-User: evil\r\n";
    let all = [ForwardedHeader::For, ForwardedHeader::Proto, ForwardedHeader::RequestId];
    for (trusted, address, proto, id) in [
        (entry(&["192.0.2.0/24"], &all), "127.0.0.1", "http", None),
        (entry(&["127.0.0.1/32"], &all[..1]), "192.0.2.7", "http", None),
        (entry(&["127.0.0.1/32"], &all[1..2]), "127.0.0.1", "https", None),
        (entry(&["127.0.0.1/32"], &all[2..]), "127.0.0.1", "http", Some("theirs-1")),
    ] {
        let got = seen(&rig(vec![trusted.clone()]).await, fields).await;
        assert_eq!(got.field("x-forwarded-for"), [address], "{trusted:?}");
        assert_eq!(got.field("x-forwarded-proto"), [proto], "{trusted:?}");
        assert_eq!(got.field("x-forwarded-host"), ["a.example"], "{trusted:?}");
        assert_eq!(got.field("x-request-id"), id.into_iter().collect::<Vec<_>>(), "{trusted:?}");
        // RULES 3.8: ours stays ours
        assert_ne!(got.field("countersign-request-id"), ["theirs-1"]);
        assert!(got.field("forwarded").is_empty() && got.field("remote-user").is_empty());
    }
}

#[tokio::test]
async fn rules_1_7_https_is_what_a_trusted_peer_says_and_nothing_else() {
    let both = [ForwardedHeader::For, ForwardedHeader::Proto];
    let told = rig(vec![entry(&["127.0.0.0/8"], &both)]).await;
    let ask = |fields: &str| format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}{fields}\r\n");
    for (fields, expected) in [
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", 200),
        ("X-Forwarded-Proto: HTTPS\r\n", 200),
        ("X-Forwarded-Proto: http\r\n", 403),
        ("X-Forwarded-Proto: https, http\r\n", 403),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: https\r\n", 403),
        ("X-Forwarded-Proto: \r\n", 403),
        ("", 403),
    ] {
        let answer = told.send(ask(fields)).await;
        assert_eq!(status(&answer), expected, "{fields}: {answer}");
    }
    // the proxy is on this machine, its caller is not
    let untold = rig(vec![entry(&["127.0.0.0/8"], &both[..1])]).await;
    let answer = untold.send(ask("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")).await;
    assert_eq!((status(&answer), code(&answer).as_str()), (403, "tls_required"), "{answer}");
    assert_eq!(status(&untold.send(ask("")).await), 200, "the proxy itself");
}

#[tokio::test]
async fn rules_3_8_a_request_id_is_handed_on_as_it_is_or_not_at_all() {
    let rig = rig(vec![entry(&["127.0.0.0/8"], &[ForwardedHeader::RequestId])]).await;
    let long = format!("X-Request-Id: {}\r\n", "a".repeat(129));
    for fields in
        ["X-Request-Id: a b\r\n", "X-Request-Id: a\r\nX-Request-Id: b\r\n", "X-Request-Id:\r\n", &long]
    {
        assert!(seen(&rig, fields).await.field("x-request-id").is_empty(), "{fields}");
    }
    assert_eq!(
        seen(&rig, "X-Request-Id: a-1\r\nConnection: x-request-id\r\n").await.field("x-request-id"),
        ["a-1"]
    );
}
