//! RULES 1.1, 2.5: a cached yes is never a stale yes. Whatever changes after the first request is seen by the next.

use crate::support::{fixture, told};
use countersign_core::{MethodName::ApiKey, Node, authenticator::Fault, check::decision::Decision};
use countersign_testkit::{Fixture, Headers, principal};
use futures_util::FutureExt;

const KEY: Headers<'_> = &[("x-api-key", "alice")];

/// One request that is allowed, one change, one that must be told this.
async fn after(change: impl Fn(&Fixture), expected: (u16, &str)) {
    let fixture = fixture(&[("/", "api_key b")]);
    fixture.allowed("/", KEY).await;
    change(&fixture);
    let denial = fixture.denied("/", KEY).await;
    assert_eq!(told(&denial), expected, "{}", denial.reason);
    assert!(denial.route.is_some(), "the operator sees which route");
}

#[tokio::test]
async fn rule_2_5_revoked() {
    after(|f| _ = f.feed.revoke(f.room(ApiKey).node("alice")), (401, "key_revoked")).await;
    // what became of the owner is not told
    after(|f| _ = f.feed.revoke(Node::principal(&principal("alice", "").id)), (401, "credential_invalid"))
        .await;
}

/// A revocation is not forgotten by the next request, and needs no store.
#[tokio::test]
async fn rule_2_5_revoked_stays_revoked_without_a_store() {
    let fixture = fixture(&[("/", "api_key")]);
    fixture.allowed("/", KEY).await;
    fixture.feed.revoke(fixture.room(ApiKey).node("alice"));
    for _ in 0..3 {
        assert_eq!(told(&fixture.denied("/", KEY).await), (401, "key_revoked"));
    }
    assert_eq!(fixture.room(ApiKey).verified(), 1);
}

/// RULES 2.5: a revocation that comes late, behind a change of our own, counts although the position stands still.
#[tokio::test]
async fn rule_2_5_a_late_revocation_counts() {
    let fixture = fixture(&[("/", "api_key")]);
    let room = fixture.room(ApiKey);
    // filled before either change
    fixture.allowed("/", KEY).await;
    fixture.feed.change(room.node("another"));
    fixture.feed.change(room.node("another"));
    fixture.allowed("/", KEY).await;
    assert_eq!(room.verified(), 1);
    fixture.feed.revoke_late(room.node("alice"));
    assert_eq!(told(&fixture.denied("/", KEY).await), (401, "key_revoked"));
}

/// The same of a narrowed record: what was read before it dies, what was read after it has it.
#[tokio::test]
async fn rule_1_2_a_late_change_counts_for_what_was_read_before() {
    let fixture = fixture(&[("/", "api_key b")]);
    let room = fixture.room(ApiKey);
    fixture.allowed("/", KEY).await;
    fixture.feed.change(room.node("another"));
    fixture.feed.change(room.node("another"));
    fixture.allowed("/", KEY).await;
    room.good("alice", &principal("alice", "").id, "a");
    fixture.feed.change_late(room.node("alice"));
    assert_eq!(told(&fixture.denied("/", KEY).await), (403, "scope_missing"));
    assert_eq!(room.verified(), 2);
    fixture.feed.change_late(room.node("alice"));
    assert_eq!(told(&fixture.denied("/", KEY).await), (403, "scope_missing"));
    assert_eq!(room.verified(), 2, "it was read after that one");
}

/// What changed is verified anew, what did not is not; a lost memory makes everything anew.
#[tokio::test]
async fn rule_2_5_changes_kill_what_descends_from_them() {
    let fixture = fixture(&[("/", "api_key")]);
    let alice = Node::principal(&principal("alice", "").id);
    let rows: [(Option<Node>, u64); 4] = [
        (Some(Node::principal(&principal("bob", "").id)), 1),
        (Some(alice), 2),
        (Some(fixture.room(ApiKey).node("alice")), 3),
        (None, 4),
    ];
    fixture.allowed("/", KEY).await;
    for (changed, verified) in rows {
        match changed {
            Some(node) => _ = fixture.feed.change(node),
            None => fixture.feed.lose_memory(),
        }
        fixture.allowed("/", KEY).await;
        fixture.allowed("/", KEY).await;
        assert_eq!(fixture.room(ApiKey).verified(), verified);
    }
}

#[tokio::test]
async fn rule_2_5_principal_disabled_or_gone() {
    let disabled = |f: &Fixture| {
        let mut alice = principal("alice", "a b c");
        alice.enabled = false;
        f.directory.set(&alice);
    };
    // not `principal_disabled`: that is for the operator
    after(disabled, (401, "credential_invalid")).await;
    after(|f| f.directory.remove(&principal("alice", "").id), (401, "credential_invalid")).await;
}

/// RULES 1.1: scopes are cut to the principal's present ones.
#[tokio::test]
async fn rule_1_1_scopes_of_the_principal_narrowed() {
    after(|f| f.directory.set(&principal("alice", "a c")), (403, "scope_missing")).await;
    let fixture = fixture(&[("/", "api_key")]);
    fixture.directory.set(&principal("alice", "b c"));
    let permit = fixture.allowed("/", KEY).await;
    assert_eq!(
        permit.subject().unwrap().scopes.to_string(),
        "b",
        "neither more than the key's nor the owner's"
    );
}

#[tokio::test]
async fn rule_2_5_a_blind_feed_is_503_and_only_for_those_who_showed_something() {
    after(|f| f.feed.set_blind(true), (503, "feed_blind")).await;
    let fixture = fixture(&[("/", "api_key")]);
    fixture.feed.set_blind(true);
    assert_eq!(told(&fixture.denied("/", &[]).await), (401, "credential_missing"));
    assert_eq!(told(&fixture.denied("/", &[("x-api-key", "nobody")]).await), (401, "credential_invalid"));
}

/// A process that was held up hears first what was revoked meanwhile; where it hears nothing it is blind in the end.
#[tokio::test]
async fn rule_2_5_who_was_held_up_hears_before_it_believes() {
    let first = fixture(&[("/", "api_key b")]);
    first.allowed("/", KEY).await;
    first.feed.keep_silent();
    // nothing is believed of this one
    assert_eq!(told(&first.denied("/", &[]).await), (401, "credential_missing"));
    let mut waiting = Box::pin(first.denied("/", KEY));
    assert!((&mut waiting).now_or_never().is_none());
    first.feed.revoke(first.room(ApiKey).node("alice"));
    assert!((&mut waiting).now_or_never().is_none());
    first.feed.speak();
    assert_eq!(told(&waiting.await), (401, "key_revoked"));

    let fixture = fixture(&[("/", "api_key")]);
    fixture.feed.keep_silent();
    let mut waiting = Box::pin(fixture.denied("/", KEY));
    assert!((&mut waiting).now_or_never().is_none());
    fixture.feed.was_asked_in_vain();
    assert!((&mut waiting).now_or_never().is_none());
    fixture.feed.set_blind(true);
    fixture.feed.was_asked_in_vain();
    assert_eq!(told(&waiting.await), (503, "feed_blind"));
}

/// The directory asks its store once, and an outage of it is 503.
#[tokio::test]
async fn rule_2_1_a_directory_that_does_not_answer_is_503() {
    let fixture = fixture(&[("/", "api_key")]);
    fixture.directory.set_far(&principal("alice", "a b"));
    fixture.directory.set_down(true);
    assert_eq!(told(&fixture.denied("/", KEY).await), (503, "store_unavailable"));
    fixture.directory.set_down(false);
    fixture.allowed("/", KEY).await;
    fixture.allowed("/", KEY).await;
    assert_eq!(fixture.directory.loads(), 2);
}

/// RULES 1.3: what this use must prove is asked every time.
#[tokio::test]
async fn rule_1_3_proof_is_asked_on_a_cached_yes_too() {
    let rejection =
        countersign_core::Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "no proof" };
    after(|f| f.room(ApiKey).confirm_with("alice", Err(rejection)), (401, "credential_invalid")).await;
}

/// The operator sees who was refused; a rehearsal decides the same and leaves no trace.
#[tokio::test]
async fn rehearsal_decides_alike_and_leaves_no_trace() {
    use countersign_core::check::request::{CheckRequest, Peer, Transport};
    let fixture = fixture(&[("/", "api_key c")]);
    let target = http::uri::PathAndQuery::from_static("/");
    for (key, expected) in [("alice", 403), ("nobody", 401)] {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-api-key", http::HeaderValue::from_static(key));
        let peer = Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls };
        let method = http::Method::GET;
        let request =
            CheckRequest { method: &method, authority: "h", target: &target, headers: &headers, peer };
        let Decision::Deny(denial) = fixture.point.rehearse(&request).await else { panic!("allowed") };
        assert_eq!(denial.kind.status().as_u16(), expected);
        assert_eq!(denial.known.len(), usize::from(expected == 403));
    }
    assert_eq!((fixture.counter.charges(), fixture.room(ApiKey).uses()), (0, 0));
}
