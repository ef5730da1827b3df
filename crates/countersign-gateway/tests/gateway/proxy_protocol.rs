//! The PROXY protocol before TLS and before plain HTTP.

use crate::support::{Act, Client, KEY, OK, PATIENCE, Rig, Upstream, code, routes, status};
use countersign_gateway::{ListenAddress, ListenerConfig, Peers, UnixAddress};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

const HEADER: &str = "PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n";

fn peers(network: &str) -> Peers {
    Peers { networks: [network.parse().unwrap()].into(), unix: false }
}

async fn rig(network: &str) -> Rig {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    Rig::with(upstream, routes(), |config| {
        config.listeners[0].proxy_protocol = peers(network);
        config.timeouts.head = Duration::from_millis(300);
    })
    .await
}

fn get(target: &str, key: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{key}\r\n")
}

fn v2(command: u8, body: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend_from_slice(&[0x20 | command, 0x11, 0, u8::try_from(body.len()).unwrap()]);
    header.extend_from_slice(body);
    header
}

#[tokio::test]
async fn rules_3_1_a_listed_peer_names_the_caller() {
    let rig = rig("127.0.0.0/8").await;
    // a TLV that claims TLS is not believed
    let body = [192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 1, 187, 0x20, 0, 5, 1, 0, 0, 0, 0];
    for header in [HEADER.as_bytes().to_vec(), v2(1, &body)] {
        let answer = rig.send([header.as_slice(), get("/open/a", "").as_bytes()].concat()).await;
        assert_eq!(status(&answer), 200, "{answer}");
        // RULES 1.7: the balancer is on this machine, the caller is not
        let answer = rig.send([header.as_slice(), get("/a", KEY).as_bytes()].concat()).await;
        assert_eq!((status(&answer), code(&answer).as_str()), (403, "tls_required"), "{answer}");
    }
    let requests = rig.upstream.requests();
    assert!(requests.iter().all(|got| got.field("x-forwarded-for") == ["192.0.2.7"]), "{requests:?}");
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn rules_1_7_only_who_is_on_this_machine_needs_no_tls() {
    let rig = rig("127.0.0.0/8").await;
    for (header, expected) in [
        // the balancer itself
        (v2(0, &[]), 200),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n".to_vec(), 200),
        (b"PROXY UNKNOWN\r\n".to_vec(), 403),
    ] {
        let answer = rig.send([header.as_slice(), get("/a", KEY).as_bytes()].concat()).await;
        assert_eq!(status(&answer), expected, "{}: {answer}", String::from_utf8_lossy(&header));
    }
}

#[tokio::test]
async fn rules_3_1_required_from_listed_peers() {
    let rig = rig("127.0.0.0/8").await;
    for bytes in [get("/open/a", ""), "PROXY TCP4 x y 1 2\r\n".to_owned() + &get("/open/a", "")] {
        assert_eq!(rig.send(&bytes).await, "", "closed without a word");
    }
    // and does not wait for ever
    let mut client: Client = rig.connect().await;
    client.write("PROXY TCP4 192.0.2.7").await;
    assert!(client.rest().await.is_empty());
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn rules_3_1_refused_from_others() {
    let rig = rig("192.0.2.0/24").await;
    for header in [HEADER.as_bytes().to_vec(), v2(1, &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 1, 187])] {
        let answer = rig.send([header.as_slice(), get("/a", KEY).as_bytes()].concat()).await;
        assert_eq!(status(&answer), 400, "{answer}");
    }
    assert_eq!(status(&rig.send(get("/a", KEY)).await), 200, "who is not listed speaks for itself");
    assert_eq!(rig.upstream.only().field("x-forwarded-for"), ["127.0.0.1"]);
}

#[tokio::test]
async fn a_peer_on_a_unix_socket_is_listed_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listen = ListenAddress::Unix(UnixAddress { path: path.clone(), mode: 0o600 });
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |config| {
        let proxy_protocol = Peers { networks: [].into(), unix: true };
        config.listeners.push(ListenerConfig { proxy_protocol, ..ListenerConfig::new(listen) });
    })
    .await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all((HEADER.to_owned() + &get("/open/a", "")).as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(rig.upstream.only().field("x-forwarded-for"), ["192.0.2.7"]);
}
