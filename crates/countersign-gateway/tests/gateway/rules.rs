//! M.2 rules 5, 8 (as far as streams go) and 10, seen from outside; the others stand in `hygiene` and `ambiguity`.

use crate::support::{Act, Client, OK, PATIENCE, Rig, Upstream, code, needs, status};
use countersign_core::{
    Clock, MethodName, Node, ScopeSet,
    check::route::{Alternative, MethodSet, Route, SecurityRequirement},
    principal::Principal,
};
use countersign_testkit::eventually;
use http::Method;
use std::time::Duration;

/// An answer that begins and does not end.
const EVENTS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";

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

/// RULES 2.6: a stream lasts no longer than a key. That a token is over says nothing of the session it stands for: its room does.
#[tokio::test]
async fn m2_8_an_open_stream_ends_with_its_key_and_outlives_a_token() {
    let all = [Route::new("/key", "api", needs("")), {
        let jwt = Alternative(vec![(MethodName::Jwt, ScopeSet::default())]);
        Route::new("/token", "api", SecurityRequirement::AnyOf(vec![jwt]))
    }];
    let upstream = Upstream::start(|_| Act::answer(EVENTS));
    let rig = Rig::with(upstream.await, all.into(), |_| {}).await;
    let robot = countersign_testkit::principal("robot", "").id;
    for method in [MethodName::ApiKey, MethodName::Jwt] {
        let room = rig.fixture.room(method);
        let mut known = room.authentication("short", &robot, "");
        known.expires_at = Some(rig.fixture.clock.now() + Duration::from_secs(60));
        room.script("short", countersign_testkit::Answer::Good(Box::new(known)));
    }
    rig.fixture
        .room(MethodName::Jwt)
        .ends_with("short", Ok(Some(rig.fixture.clock.now() + Duration::from_secs(600))));
    let mut clients = Vec::new();
    for (path, field) in [("/key", "x-api-key"), ("/token", "x-jwt")] {
        let mut client = rig.connect().await;
        client.write(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{field}: short\r\n\r\n")).await;
        clients.push(client);
    }
    eventually(PATIENCE, || async { rig.upstream.open() == 2 }).await;
    rig.fixture.clock.advance(Duration::from_secs(60));
    clients[0].rest().await;
    eventually(PATIENCE, || async { rig.upstream.open() == 1 }).await;
    let answer = rig.get("/token", "x-jwt: short\r\n").await;
    assert_eq!((status(&answer), rig.upstream.open()), (401, 1), "{answer}");
    rig.fixture.clock.advance(Duration::from_secs(540));
    clients[1].rest().await;
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

/// A stream of events without an end for each of these keys, begun one after the other. `other` is of a principal of that name.
async fn streaming(keys: &[&str]) -> (Rig, Principal, Vec<Client>) {
    let rig = Rig::scripted(|_| Act::answer(EVENTS)).await;
    let other = countersign_testkit::principal("other", "");
    rig.fixture.directory.set(&other);
    rig.fixture.room(MethodName::ApiKey).good("other", &other.id, "");
    let mut clients = Vec::new();
    for key in keys {
        let mut client = rig.connect().await;
        client.write(format!("GET /events HTTP/1.1\r\nHost: a.example\r\nx-api-key: {key}\r\n\r\n")).await;
        clients.push(client);
        eventually(PATIENCE, || async { rig.upstream.open() == clients.len() }).await;
    }
    (rig, other, clients)
}

/// RULES 2.5: what is revoked ends, also while the store is asked about another stream and says nothing.
#[tokio::test]
async fn m2_8_what_is_revoked_waits_for_no_store() {
    let (rig, _, mut clients) = streaming(&["good", "other"]).await;
    let room = rig.fixture.room(MethodName::ApiKey);
    room.never_says_when_it_ends();
    rig.fixture.feed.change(room.node("other"));
    eventually(PATIENCE, || async { room.asked() == 1 }).await;
    rig.fixture.feed.revoke(room.node("good"));
    clients[0].rest().await;
    eventually(PATIENCE, || async { rig.upstream.open() == 1 }).await;
    rig.fixture.feed.revoke(room.node("other"));
    clients[1].rest().await;
}

/// One about which the store cannot say anything keeps it from being asked about no other.
#[tokio::test]
async fn m2_8_each_stream_has_its_turn() {
    let (rig, _, mut clients) = streaming(&["good", "other", "good"]).await;
    let room = rig.fixture.room(MethodName::ApiKey);
    room.ends_with("good", Err(countersign_core::StoreError::Unavailable("one row".into())));
    room.ends_with("other", Ok(Some(rig.fixture.clock.now())));
    rig.fixture.feed.change(room.node("good"));
    rig.fixture.feed.change(room.node("other"));
    clients[1].rest().await;
    eventually(PATIENCE, || async { rig.upstream.open() == 2 }).await;
}

/// RULES 2.5 and M.2 rule 8: an open stream ends with what permitted it, and only then.
#[tokio::test]
async fn m2_8_an_open_stream_ends_when_its_key_is_revoked() {
    let (rig, other, mut streams) = streaming(&["good", "other"]).await;
    let room = rig.fixture.room(MethodName::ApiKey);
    let mut public = rig.connect().await;
    public.write("GET /open/events HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 3 }).await;
    assert_eq!(rig.upstream.open(), 3);

    rig.fixture.feed.revoke(room.node("good"));
    let told = String::from_utf8(streams[0].rest().await).unwrap();
    assert!(told.ends_with("5\r\nfirst\r\n"), "cut, not ended as if it were whole: {told}");
    eventually(PATIENCE, || async { rig.upstream.open() == 2 }).await;

    // the principal of the second is disabled
    rig.fixture.directory.set(&Principal { enabled: false, ..other.clone() });
    rig.fixture.feed.change(Node::principal(&other.id));
    streams[1].rest().await;
    eventually(PATIENCE, || async { rig.upstream.open() == 1 }).await;
}
