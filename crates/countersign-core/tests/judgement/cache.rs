//! RULES 1.1 and 1.2: what is remembered, what never is, and what happens while a record is being read.

use crate::support::{fixture, route, told, with_alice};
use countersign_core::{
    MethodName::{ApiKey, Basic, Jwt, OAuth},
    Rejection,
    authenticator::Fault,
    check::decision::Decision,
};
use countersign_testkit::{Answer, Fixture, Headers, ScriptedAuthenticator, eventually, principal};
use std::time::Duration;

const KEY: Headers<'_> = &[("x-api-key", "alice")];
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn rule_1_1_a_yes_is_remembered_and_for_how_long() {
    let fixture = fixture(&[("/", "api_key")]);
    for _ in 0..3 {
        fixture.allowed("/", KEY).await;
    }
    assert_eq!(fixture.room(ApiKey).verified(), 1);
    assert_eq!(fixture.room(ApiKey).uses(), 3, "a use is noted however it was verified");
    fixture.clock.advance(Duration::from_secs(29));
    fixture.allowed("/", KEY).await;
    assert_eq!(fixture.room(ApiKey).verified(), 1);
    fixture.clock.advance(Duration::from_secs(1));
    fixture.allowed("/", KEY).await;
    assert_eq!(fixture.room(ApiKey).verified(), 2);
}

#[tokio::test]
async fn rule_1_1_refusals_and_outages_are_never_remembered() {
    let fixture = fixture(&[("/", "api_key")]);
    let room = fixture.room(ApiKey);
    let rejection = Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "scripted" };
    room.script("alice", Answer::Rejected(rejection));
    assert_eq!(told(&fixture.denied("/", KEY).await), (401, "credential_invalid"));
    room.script("alice", Answer::Unavailable);
    assert_eq!(told(&fixture.denied("/", KEY).await), (503, "store_unavailable"));
    room.good("alice", &principal("alice", "").id, "a b");
    fixture.allowed("/", KEY).await;
}

/// RULES 1.3: without a key nothing is cached.
#[tokio::test]
async fn rule_1_3_no_cache_key_no_cache() {
    let fixture = Fixture::builder()
        .room(ScriptedAuthenticator::new(ApiKey).uncached())
        .route(route("/", "api_key"))
        .build();
    with_alice(&fixture);
    for _ in 0..3 {
        fixture.allowed("/", KEY).await;
    }
    assert_eq!(fixture.room(ApiKey).verified(), 3);
}

/// RULES 1.1: the place belongs to the answer.
#[tokio::test]
async fn rule_1_1_an_answer_counts_for_its_method_and_place_alone() {
    let fixture = fixture(&[("/", "api_key | jwt")]);
    fixture.allowed("/", KEY).await;
    fixture.allowed("/", &[("authorization", "Bearer api_key.alice")]).await;
    assert_eq!(fixture.room(ApiKey).verified(), 2);
    fixture.allowed("/", &[("x-jwt", "alice")]).await;
    assert_eq!(fixture.room(Jwt).verified(), 1);
}

/// RULES 1.1: on a cached yes the clock is read once and nothing is looked up.
#[tokio::test]
async fn rule_1_1_a_cached_yes_asks_nobody() {
    let fixture = fixture(&[("/", "api_key")]);
    fixture.allowed("/", KEY).await;
    let (reads, loads) = (fixture.clock.reads(), fixture.directory.loads());
    let permit = futures_util::FutureExt::now_or_never(fixture.get("/", KEY));
    assert!(matches!(permit, Some(Decision::Allow(_))), "it awaited something");
    assert_eq!(fixture.clock.reads() - reads, 1);
    assert_eq!(fixture.directory.loads(), loads);
    assert_eq!(fixture.room(ApiKey).verified(), 1);
}

/// A request in the background, stopped within its verification.
async fn held(fixture: &Fixture, reached: u64) -> tokio::task::JoinHandle<Decision> {
    let gate = fixture.room(ApiKey).hold();
    let asking = fixture.clone();
    let request = tokio::spawn(async move { asking.get("/", KEY).await });
    eventually(DEADLINE, || async { gate.reached() == reached }).await;
    fixture.room(ApiKey).release();
    gate.open(usize::from(u8::MAX));
    // it stops at the gate until this task yields: what follows here comes first
    request
}

/// RULES 1.2: the record narrowed after it was read and before the answer came: read again.
#[tokio::test]
async fn rule_1_2_narrowed_while_verifying() {
    let fixture = fixture(&[("/", "api_key b")]);
    let room = fixture.room(ApiKey);
    let request = held(&fixture, 1).await;
    room.good("alice", &principal("alice", "").id, "a");
    fixture.feed.change(room.node("alice"));
    let Decision::Deny(denial) = request.await.unwrap() else { panic!("the old record counted") };
    assert_eq!(told(&denial), (403, "scope_missing"));
    assert_eq!(room.verified(), 2);
    assert_eq!(told(&fixture.denied("/", KEY).await), (403, "scope_missing"));
    assert_eq!(room.verified(), 2, "what was read the second time is kept");
}

/// RULES 1.2: revoked after it was read and before the answer came.
#[tokio::test]
async fn rule_1_2_revoked_while_verifying() {
    let fixture = fixture(&[("/", "api_key")]);
    let request = held(&fixture, 1).await;
    fixture.feed.revoke(fixture.room(ApiKey).node("alice"));
    let Decision::Deny(denial) = request.await.unwrap() else { panic!("revoked, and let in") };
    assert_eq!(told(&denial), (401, "key_revoked"));
}

/// RULES 1.2, 2.5: the same where the feed had to begin anew meanwhile.
#[tokio::test]
async fn rule_1_2_memory_lost_while_verifying() {
    let fixture = fixture(&[("/", "api_key")]);
    let request = held(&fixture, 1).await;
    fixture.feed.lose_memory();
    assert!(matches!(request.await.unwrap(), Decision::Allow(_)));
    assert_eq!(fixture.room(ApiKey).verified(), 2);
}

/// RULES 1.2: many first requests, one lookup.
#[tokio::test]
async fn rule_1_2_first_requests_are_one_lookup() {
    let fixture = fixture(&[("/", "api_key")]);
    let gate = fixture.room(ApiKey).hold();
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let asking = fixture.clone();
            tokio::spawn(async move { asking.get("/", KEY).await })
        })
        .collect();
    eventually(DEADLINE, || async { gate.reached() == 1 }).await;
    gate.open(1);
    for request in requests {
        assert!(matches!(request.await.unwrap(), Decision::Allow(_)));
    }
    assert_eq!(fixture.room(ApiKey).verified(), 1);
}

/// RULES 1.2: whoever waits inherits neither the leader's cancellation nor its outage.
#[tokio::test]
async fn rule_1_2_waiting_inherits_nothing() {
    for cancelled in [true, false] {
        let fixture = fixture(&[("/", "oauth")]);
        let room = fixture.room(OAuth);
        room.script("alice", Answer::Unavailable);
        let gate = room.hold();
        let ask = || {
            let asking = fixture.clone();
            tokio::spawn(async move { asking.get("/", &[("x-oauth", "alice")]).await })
        };
        let leader = ask();
        eventually(DEADLINE, || async { gate.reached() == 1 }).await;
        let waiter = ask();
        tokio::task::yield_now().await;
        assert_eq!(gate.reached(), 1, "the second waits for the first");
        // the store is back before the leader is done
        room.good("alice", &principal("alice", "").id, "");
        if cancelled {
            leader.abort();
            assert!(leader.await.unwrap_err().is_cancelled());
        } else {
            gate.open(1);
            assert!(matches!(leader.await.unwrap(), Decision::Deny(denial) if told(&denial).0 == 503));
        }
        eventually(DEADLINE, || async { gate.reached() == 2 }).await;
        gate.open(1);
        assert!(matches!(waiter.await.unwrap(), Decision::Allow(_)), "cancelled: {cancelled}");
    }
}

/// RULES 1.2: keys, of which anybody may hold thousands, push no password out; a hash is spent once.
#[tokio::test]
async fn rule_1_2_passwords_have_a_segment_of_their_own() {
    let fixture = Fixture::builder()
        .route(route("/", "api_key | basic"))
        .settings(|s| (s.cache_capacity, s.passwords_capacity) = (64, 64))
        .build();
    with_alice(&fixture);
    fixture.allowed("/", &[("x-basic", "alice")]).await;
    let alice = principal("alice", "").id;
    for n in 0..1000 {
        let key = format!("key{n}");
        fixture.room(ApiKey).good(&key, &alice, "a");
        fixture.allowed("/", &[("x-api-key", &key)]).await;
    }
    fixture.allowed("/", &[("x-basic", "alice")]).await;
    assert_eq!(fixture.room(Basic).verified(), 1);
    // and the other way round
    fixture.allowed("/", KEY).await;
    let keys = fixture.room(ApiKey).verified();
    for n in 0..1000 {
        let password = format!("password{n}");
        fixture.room(Basic).good(&password, &alice, "a");
        fixture.allowed("/", &[("x-basic", &password)]).await;
    }
    fixture.allowed("/", KEY).await;
    assert_eq!(fixture.room(ApiKey).verified(), keys);
    let figures = fixture.point.cache();
    assert!(figures.entries <= figures.capacity, "{figures:?}");
}

/// RULES 1.2: each segment by its own time.
#[tokio::test]
async fn rule_1_2_passwords_are_remembered_for_a_time_of_their_own() {
    let fixture = fixture(&[("/", "api_key | basic")]);
    for headers in [KEY, &[("x-basic", "alice")]] {
        fixture.allowed("/", headers).await;
    }
    fixture.clock.advance(Duration::from_secs(59));
    for headers in [KEY, &[("x-basic", "alice")]] {
        fixture.allowed("/", headers).await;
    }
    assert_eq!((fixture.room(ApiKey).verified(), fixture.room(Basic).verified()), (2, 1));
    fixture.clock.advance(Duration::from_secs(1));
    fixture.allowed("/", &[("x-basic", "alice")]).await;
    assert_eq!(fixture.room(Basic).verified(), 2);
}

/// RULES 2.5: a changed password is no password, cached or not; nor is another's good for it.
#[tokio::test]
async fn rule_2_5_a_cached_password_dies_with_its_version() {
    let fixture = fixture(&[("/", "basic")]);
    fixture.allowed("/", &[("x-basic", "alice")]).await;
    fixture.feed.revoke(fixture.room(Basic).node("alice"));
    assert_eq!(told(&fixture.denied("/", &[("x-basic", "alice")]).await), (401, "credential_invalid"));
    fixture.room(Basic).good("alice", &principal("alice", "").id, "");
    assert_eq!(told(&fixture.denied("/", &[("x-basic", "alice")]).await), (401, "credential_invalid"));
}
