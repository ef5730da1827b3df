//! A large body goes through in little memory, both ways. A process of its own, because its size is what is measured.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot go on must stop the test; helpers are no test functions"
)]

use countersign_core::check::route::{Route, SecurityRequirement};
use countersign_gateway::{Gateway, GatewayConfig, ListenerConfig, Observing, UpstreamConfig};
use countersign_testkit::{Fixture, SeededEntropy};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const SIZE: usize = 256 * 1024 * 1024;
/// Of the whole process: gateway, caller and upstream.
const MOST: usize = 64 * 1024 * 1024;
const BLOCK: usize = 64 * 1024;

/// The most memory that this process ever had.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// To the end of the head.
async fn head(stream: &mut TcpStream) -> (String, usize) {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it ended in its head");
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes).into_owned();
            return (head, bytes.len() - end - 4);
        }
    }
}

async fn take(stream: &mut TcpStream, already: usize) {
    let mut block = vec![0; BLOCK];
    let mut left = SIZE - already;
    while left > 0 {
        let read = stream.read(&mut block).await.unwrap();
        assert!(read > 0, "{left} bytes did not come");
        left -= read;
    }
}

async fn give(stream: &mut TcpStream) {
    let block = vec![7; BLOCK];
    for _ in 0..SIZE / BLOCK {
        stream.write_all(&block).await.unwrap();
    }
}

#[tokio::test]
async fn a_large_body_goes_through_in_little_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (_, already) = head(&mut stream).await;
        take(&mut stream, already).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        give(&mut stream).await;
    });
    let open = Route::new("/*", "api", SecurityRequirement::Public);
    let fixture = Fixture::builder().routes(vec![open]).build();
    let mut config = GatewayConfig {
        listeners: vec![ListenerConfig::new("127.0.0.1:0".parse::<SocketAddr>().unwrap())],
        workers: 1,
        upstreams: vec![UpstreamConfig::new("api", format!("http://{upstream}"))],
        ..GatewayConfig::default()
    };
    config.limits.body = u64::MAX;
    let entropy = Arc::new(SeededEntropy::new(7));
    let gateway =
        Gateway::start(config, fixture.point.clone(), fixture.routes.clone(), entropy, Observing::default())
            .unwrap();

    let exchange = async {
        let mut caller = TcpStream::connect(gateway.addresses()[0]).await.unwrap();
        let ask = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: {SIZE}\r\n\r\n");
        caller.write_all(ask.as_bytes()).await.unwrap();
        give(&mut caller).await;
        let (head, already) = head(&mut caller).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        take(&mut caller, already).await;
    };
    tokio::time::timeout(Duration::from_secs(120), exchange).await.unwrap();
    let peak = peak();
    assert!(peak < MOST, "{} MiB for a body of {} MiB", peak >> 20, SIZE >> 20);
}
