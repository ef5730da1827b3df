//! M.2 rules 5 and 10, seen from outside; the others stand in `hygiene` and `ambiguity`.

use crate::support::{Act, OK, Rig, Upstream, code, needs, status};
use countersign_core::{
    MethodName,
    check::route::{MethodSet, Route, SecurityRequirement},
};
use http::Method;

/// M.2 rule 5: deny by default; a public route is public for its own path and methods and for nothing near them.
#[tokio::test]
async fn m2_5_what_is_not_routed_is_not_reached() {
    let mut health = Route::new("/health", "api", SecurityRequirement::Public);
    health.methods = MethodSet::Of(vec![Method::GET]);
    let orders = Route::new("/orders/{id}", "api", needs("orders:read"));
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![health, orders], |_| {}).await;
    for (line, expected) in [
        ("GET /health", 200),
        ("HEAD /health", 200),
        ("GET /health?x=/../orders", 200),
        ("POST /health", 405),
        ("GET /healthy", 404),
        ("GET /health/x", 404),
        ("GET /Health", 404),
        ("GET /", 404),
        ("GET /orders", 404),
        ("GET /orders/1/2", 404),
        ("GET /orders/1", 401),
        ("GET /health/../orders/1", 401),
        ("GET /health%2f..%2forders", 400),
    ] {
        let before = rig.upstream.requests().len();
        let mut client = rig.connect().await;
        client.write(format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        let answer = String::from_utf8(client.answer_to(line.starts_with("HEAD")).await).unwrap();
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        let forwarded = rig.upstream.requests().len() - before;
        assert_eq!(forwarded, usize::from(expected == 200), "{line}");
    }
    let answer = rig.send("POST /health HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert!(answer.to_lowercase().contains("\r\nallow: get"), "{answer}");
}

/// M.2 rule 10: a cached yes ends with what it was about: the key, its principal, the route's demand.
#[tokio::test]
async fn m2_10_a_cached_yes_is_never_stale() {
    let open = Route::new("/a", "api", needs(""));
    let narrow = Route::new("/narrow", "api", needs("orders:write"));
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, vec![open, narrow], |_| {}).await;
    let room = rig.fixture.room(MethodName::ApiKey);
    for _ in 0..3 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    assert_eq!(room.verified(), 1, "the second and third came from the cache");

    // the demand of another route is not answered by it
    let answer = rig.get("/narrow", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (403, "scope_missing"), "{answer}");

    // revoked: at once, and for good
    rig.fixture.feed.revoke(room.node("good"));
    for _ in 0..2 {
        let answer = rig.get("/a", "").await;
        assert_eq!(status(&answer), 401, "{answer}");
    }
    assert_eq!(rig.upstream.requests().len(), 3);
}

#[tokio::test]
async fn m2_10_a_disabled_principal_ends_a_cached_yes() {
    let rig = Rig::plain().await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    let mut robot = countersign_testkit::principal("robot", "orders:read");
    robot.enabled = false;
    rig.fixture.directory.set(&robot);
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (401, "credential_invalid"), "{answer}");
}

/// An outage is never a 401.
#[tokio::test]
async fn a_store_that_does_not_answer_is_503() {
    let rig = Rig::plain().await;
    rig.fixture.room(MethodName::ApiKey).script("good", countersign_testkit::Answer::Unavailable);
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (503, "store_unavailable"), "{answer}");
    assert!(rig.upstream.requests().is_empty());
}
