//! Bodies both ways: streamed, framed once, bounded, and no connection used again that still has bytes on it.

use crate::support::{Rig, code, status};

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
