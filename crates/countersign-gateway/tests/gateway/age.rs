//! Old connections take no new request, and lose none.

use crate::{
    support::{Act, Client, KEY, OK, Rig, Upstream, fields, routes, status},
    tls::{END_HEADERS, END_STREAM, Frames, GET, GOAWAY, HEADERS, RST_STREAM, Tls, block},
};
use countersign_gateway::{GatewayConfig, WEBSOCKET};
use std::time::Duration;

fn short_lived(config: &mut GatewayConfig) {
    config.timeouts.connection_age = Duration::from_millis(50);
}

/// Asks until an answer is the last, and says the status of all.
async fn until_last(client: &mut Client, key: &str) -> u16 {
    let mut statuses = Vec::new();
    loop {
        client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{key}\r\n")).await;
        let answer = client.answer().await;
        statuses.push(status(&answer));
        if fields(&answer, "connection") == ["close"] {
            statuses.dedup();
            assert_eq!(statuses.len(), 1, "{statuses:?}");
            return statuses[0];
        }
    }
}

#[tokio::test]
async fn an_old_http_1_1_connection_ends_with_an_answer() {
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), short_lived).await;
    let mut client = rig.connect().await;
    assert_eq!(until_last(&mut client, KEY).await, 200);
    assert!(client.rest().await.is_empty());
}

/// A GOAWAY, and what is in flight is answered.
#[tokio::test]
async fn an_old_http_2_connection_ends_after_the_streams_in_flight() {
    let upstream = Upstream::held(OK).await;
    let tls = Tls::behind(upstream, short_lived).await;
    let mut frames = Frames::open(&tls).await;
    assert!(frames.send(HEADERS, END_STREAM | END_HEADERS, 1, &block(&GET)).await);
    assert_eq!(frames.next(&[GOAWAY, HEADERS, RST_STREAM]).await, Some((GOAWAY, 0)));
    tls.rig.upstream.hold.add_permits(1);
    assert_eq!(frames.next(&[HEADERS, RST_STREAM]).await, Some((HEADERS, 1)));
}

/// What it carries is no request; RULES 2.5 ends it when what permitted it is revoked.
#[tokio::test]
async fn a_tunnel_has_no_age() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let upstream = Upstream::with_hold(
        |_| Act::Pieces(switched.into(), b"late".to_vec()),
        std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
    )
    .await;
    let rig = Rig::with(upstream, routes(), |config| {
        short_lived(config);
        config.upstreams[0].upgrades = vec![WEBSOCKET.into()];
    })
    .await;
    let mut client = rig.connect().await;
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}{upgrade}\r\n")).await;
    assert_eq!(status(&client.answer().await), 101);
    // a later connection that grows old meanwhile says so; what it asks is refused without the upstream
    until_last(&mut rig.connect().await, "").await;
    rig.upstream.hold.add_permits(1);
    let mut late = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut late).await.unwrap();
    assert_eq!(&late, b"late");
}
