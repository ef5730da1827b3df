//! RULES 2.5: bodies on their way end with what permitted them, whichever way they go and whichever protocol carries them.

use crate::{
    support::{Act, KEY, PATIENCE, Rig, Upstream, code, status},
    tls::{END_HEADERS, END_STREAM, Frames, GET, GOAWAY, HEADERS, RST_STREAM, Tls, block},
};
use countersign_testkit::eventually;
use std::sync::Arc;
use tokio::sync::Semaphore;

const DATA: u8 = 0;

fn revoke(rig: &Rig) {
    let room = rig.fixture.room(countersign_core::MethodName::ApiKey);
    rig.fixture.feed.revoke(room.node("good"));
}

async fn reaches(upstream: &Upstream, open: usize) {
    eventually(PATIENCE, || async { upstream.open() == open }).await;
}

#[tokio::test]
async fn rules_2_5_an_upload_ends_when_its_key_is_revoked() {
    let rig = Rig::scripted(|_| Act::Silence).await;
    let mut client = rig.connect().await;
    let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Transfer-Encoding: chunked\r\n\r\n");
    client.write(format!("{head}3\r\nabc\r\n")).await;
    reaches(&rig.upstream, 1).await;
    revoke(&rig);
    let answer = client.answer().await;
    assert_eq!((status(&answer), code(&answer).as_str()), (403, "revoked"), "{answer}");
    reaches(&rig.upstream, 0).await;
    assert!(client.rest().await.is_empty(), "closed: the rest of the body is not wanted");
}

#[tokio::test]
async fn rules_2_5_an_http_2_upload_ends_when_its_key_is_revoked() {
    let tls = Tls::behind(Upstream::start(|_| Act::Silence).await, |_| {}).await;
    let mut frames = Frames::open(&tls).await;
    let mut post = GET;
    post[0] = (":method", "POST");
    assert!(frames.send(HEADERS, END_HEADERS, 1, &block(&post)).await);
    assert!(frames.send(DATA, 0, 1, b"abc").await);
    reaches(&tls.rig.upstream, 1).await;
    revoke(&tls.rig);
    assert_eq!(frames.next(&[HEADERS, RST_STREAM, GOAWAY]).await, Some((HEADERS, 1)));
    reaches(&tls.rig.upstream, 0).await;
}

#[tokio::test]
async fn rules_2_5_an_http_2_answer_ends_when_its_key_is_revoked() {
    let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let script = move |_: &crate::support::Got| Act::Pieces(first.into(), b"0\r\n\r\n".to_vec());
    let tls = Tls::behind(Upstream::with_hold(script, Arc::new(Semaphore::new(1))).await, |_| {}).await;
    let mut frames = Frames::open(&tls).await;
    assert!(frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&GET)).await);
    assert_eq!(frames.next(&[DATA, RST_STREAM, GOAWAY]).await, Some((DATA, 1)));
    revoke(&tls.rig);
    assert_eq!(frames.next(&[DATA, RST_STREAM, GOAWAY]).await, Some((RST_STREAM, 1)));
    // the upstream looks again once it has said the rest
    tls.rig.upstream.hold.add_permits(1);
    reaches(&tls.rig.upstream, 0).await;
}
