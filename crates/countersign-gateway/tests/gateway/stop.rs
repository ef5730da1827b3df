//! Stopping: nothing new, what is in flight to its end, and an end to that too.

use crate::support::{Act, OK, PATIENCE, Rig, Upstream, routes, status};
use countersign_testkit::eventually;
use std::time::Duration;
use tokio::net::TcpStream;

const GET: &str = "GET /a HTTP/1.1\r\nHost: a.example\r\nx-api-key: good\r\n\r\n";

#[tokio::test]
async fn a_graceful_stop_finishes_what_is_in_flight() {
    let upstream = Upstream::held(OK).await;
    let hold = upstream.hold.clone();
    let mut rig = Rig::with(upstream, routes(), |config| config.workers = 2).await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let idle = rig.connect().await;
    let stopped = tokio::spawn(rig.gateway.take().unwrap().stop(PATIENCE));
    // nothing new is accepted while the old one is still served
    eventually(PATIENCE, || async { TcpStream::connect(rig.address).await.is_err() }).await;
    assert!(!stopped.is_finished());
    hold.add_permits(1);
    let answer = client.answer().await;
    assert!(status(&answer) == 200 && answer.ends_with("ok"), "{answer}");
    drop(idle);
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_grace_ends() {
    let upstream = Upstream::start(|_| Act::Silence).await;
    let mut rig = Rig::with(upstream, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let stopping = rig.gateway.take().unwrap().stop(Duration::from_millis(50));
    tokio::time::timeout(PATIENCE, stopping).await.unwrap();
    assert!(client.rest().await.is_empty(), "closed without an answer");
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

/// Idle keep-alive connections do not hold a stop up.
#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let mut rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    assert_eq!(status(&client.answer().await), 200);
    let stopping = rig.gateway.take().unwrap().stop(Duration::from_secs(3600));
    tokio::time::timeout(PATIENCE, stopping).await.unwrap();
    assert!(client.rest().await.is_empty());
}

/// A gateway that is dropped without a stop ends at once.
#[tokio::test]
async fn a_dropped_gateway_ends() {
    let mut rig = Rig::plain().await;
    let mut client = rig.connect().await;
    client.write(GET).await;
    assert_eq!(status(&client.answer().await), 200);
    drop(rig.gateway.take());
    client.rest().await;
    eventually(PATIENCE, || async { TcpStream::connect(rig.address).await.is_err() }).await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    use countersign_gateway::{
        Gateway, GatewayConfig, ListenerConfig, Observing, StartError, UpstreamConfig,
    };
    let rig = Rig::plain().await;
    let start = |config: GatewayConfig| {
        Gateway::start(
            config,
            rig.fixture.point.clone(),
            rig.fixture.routes.clone(),
            std::sync::Arc::new(countersign_testkit::SeededEntropy::new(1)),
            Observing::default(),
        )
    };
    // the port is taken, although the one who has it asked for SO_REUSEPORT
    let taken = ListenerConfig::new(rig.address);
    let refused = start(GatewayConfig { listeners: vec![taken], ..GatewayConfig::default() });
    assert!(matches!(refused, Err(StartError::Listen { .. })), "{refused:?}");
    for url in [
        "https://127.0.0.1",
        "ftp://a",
        "127.0.0.1:3000",
        "http://",
        "http://a:b",
        "http://a:0",
        "http://u@a",
        "http://a/path",
        "http://a/?q",
        "http://a:99999",
        "",
    ] {
        let upstreams = vec![UpstreamConfig::new("api", url)];
        let refused = start(GatewayConfig { upstreams, ..GatewayConfig::default() });
        assert!(matches!(refused, Err(StartError::Upstream { .. })), "{url}: {refused:?}");
    }
    let twice = UpstreamConfig::new("api", "http://[::1]:3000");
    let refused = start(GatewayConfig { upstreams: vec![twice.clone(), twice], ..GatewayConfig::default() });
    assert!(matches!(refused, Err(StartError::DoubledUpstream(_))), "{refused:?}");
    // a key header that is dropped before it is read would lock everybody out
    let key_headers = vec![http::HeaderName::from_static("x-forwarded-key")];
    let refused = start(GatewayConfig { key_headers, ..GatewayConfig::default() });
    assert!(matches!(refused, Err(StartError::ReservedHeader(_))), "{refused:?}");
}
