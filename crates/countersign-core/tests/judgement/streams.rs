//! What outlives its decision (RULES 2.5): it goes on as long as everything it descends from stands, and a store is asked only
//! where something may have changed.

use crate::support::fixture;
use countersign_core::{
    Clock,
    MethodName::{ApiKey, Basic},
    Node, NodeKind, PrincipalId, StoreError, Timestamp,
    check::{
        decision::Permit,
        revocation::{Look, Watch},
    },
};
use countersign_testkit::{Answer, Fixture, ManualClock, principal};
use std::time::Duration;

struct Stream {
    fixture: Fixture,
    permit: Permit,
    watch: Watch,
}

/// So long after the fixture's clock began.
fn at(seconds: u64) -> Timestamp {
    ManualClock::default().now() + Duration::from_secs(seconds)
}

impl Stream {
    /// With the key `alice`, which ends at 100 s.
    async fn open() -> Self {
        let fixture = fixture(&[("/", "api_key")]);
        let room = fixture.room(ApiKey);
        let mut known = room.authentication("alice", &alice(), "a");
        known.expires_at = Some(at(100));
        room.script("alice", Answer::Good(Box::new(known)));
        let permit = fixture.allowed("/", &[("x-api-key", "alice")]).await;
        let watch = Watch::of(&permit);
        Self { fixture, permit, watch }
    }

    fn look(&self) -> Look {
        self.fixture.point.look(&self.permit, &self.watch)
    }

    /// As the gateway looks, and asks where it is due.
    async fn goes_on(&mut self) -> bool {
        let look = match self.look() {
            Look::Due => self.fixture.point.ask(&self.permit, &mut self.watch).await,
            look => Ok(look),
        };
        look != Ok(Look::Over)
    }

    fn ends(&self, answer: Result<Option<Timestamp>, StoreError>) {
        self.fixture.room(ApiKey).ends_with("alice", answer);
    }

    fn asked(&self) -> u64 {
        self.fixture.room(ApiKey).asked()
    }

    fn key(&self) -> Node {
        self.fixture.room(ApiKey).node("alice")
    }

    fn wait(&self, until: Timestamp) {
        self.fixture.clock.set(until);
    }
}

fn alice() -> PrincipalId {
    principal("alice", "").id
}

#[tokio::test]
async fn nobody_is_asked_while_nothing_happens() {
    let mut stream = Stream::open().await;
    stream.fixture.feed.change(Node::new(NodeKind::ApiKey, "another"));
    for second in [0, 1, 99] {
        stream.wait(at(second));
        assert!(stream.goes_on().await);
    }
    assert_eq!(stream.asked(), 0);
}

#[tokio::test]
async fn what_is_revoked_ends_at_once() {
    for node in [Node::principal(&alice()), Node::new(NodeKind::ApiKey, "alice")] {
        let stream = Stream::open().await;
        stream.ends(Ok(None));
        stream.wait(at(100));
        stream.fixture.feed.revoke(node);
        assert_eq!((stream.look(), stream.asked()), (Look::Over, 0), "also where something is due");
    }
}

/// As of a key: no store could say anything else.
#[tokio::test]
async fn an_end_that_memory_knows_waits_for_no_store() {
    let stream = Stream::open().await;
    stream.fixture.room(ApiKey).never_says_when_it_ends();
    stream.fixture.feed.change(stream.key());
    assert_eq!(stream.look(), Look::Due);
    stream.wait(at(100));
    assert_eq!(stream.look(), Look::Over);
}

#[tokio::test]
async fn an_end_that_has_come_is_asked_about() {
    let mut stream = Stream::open().await;
    stream.ends(Ok(Some(at(300))));
    stream.wait(at(100));
    assert!(stream.goes_on().await);
    stream.wait(at(299));
    assert!(stream.goes_on().await);
    assert_eq!(stream.asked(), 1, "once for all that time");
    stream.wait(at(300));
    assert!(!stream.goes_on().await);
    // none of its own any more
    let mut stream = Stream::open().await;
    stream.ends(Ok(None));
    for second in [100, 1_000_000] {
        stream.wait(at(second));
        assert!(stream.goes_on().await);
    }
    assert_eq!(stream.asked(), 1);
}

/// A key that was rotated ends with its grace, and so does what was begun with it before.
#[tokio::test]
async fn a_change_may_have_moved_the_end_forward() {
    let mut stream = Stream::open().await;
    stream.ends(Ok(Some(at(50))));
    stream.fixture.feed.change(stream.key());
    assert!(stream.goes_on().await);
    assert!(stream.goes_on().await);
    assert_eq!(stream.asked(), 1, "once for a change");
    stream.wait(at(50));
    assert!(!stream.goes_on().await);
    // a change that is heard late, below a position that is known already
    let mut stream = Stream::open().await;
    for _ in 0..2 {
        stream.fixture.feed.change(Node::new(NodeKind::ApiKey, "another"));
    }
    assert!(stream.goes_on().await);
    stream.fixture.feed.change_late(stream.key());
    stream.ends(Ok(Some(at(0))));
    assert!(!stream.goes_on().await);
    // one that may have been, because memory was lost
    let mut stream = Stream::open().await;
    stream.fixture.feed.lose_memory();
    stream.ends(Ok(Some(at(0))));
    assert!(!stream.goes_on().await);
}

/// The floor may have risen over a change before the stream was looked at for the first time: its upstream took long to answer.
#[tokio::test]
async fn what_changed_after_the_permit_is_asked_about() {
    let mut stream = Stream::open().await;
    stream.fixture.feed.change(stream.key());
    stream.fixture.feed.lose_memory();
    stream.watch = Watch::of(&stream.permit);
    stream.ends(Ok(Some(at(0))));
    assert_eq!(stream.look(), Look::Due);
    assert!(!stream.goes_on().await);
}

#[tokio::test]
async fn a_principal_that_was_disabled_ends_it() {
    let disabled = || {
        let mut alice = principal("alice", "a");
        alice.enabled = false;
        alice
    };
    // whom the directory was asked about is found at the next look
    let stream = Stream::open().await;
    stream.fixture.directory.set_far(&disabled());
    stream.fixture.point.recall(&stream.permit).await.unwrap();
    assert!(stream.fixture.directory.loads() > 0);
    // known, and without a word of the feed
    let stream = Stream::open().await;
    stream.fixture.directory.set(&disabled());
    assert_eq!((stream.look(), stream.asked()), (Look::Over, 0));
    // by another stream, after this one was looked at
    let mut watch = stream.watch;
    assert_eq!(stream.fixture.point.ask(&stream.permit, &mut watch).await, Ok(Look::Over));
    // forgotten, and found in the store
    let mut stream = Stream::open().await;
    stream.fixture.directory.set_far(&disabled());
    assert_eq!(stream.look(), Look::Due);
    assert!(!stream.goes_on().await);
    let mut stream = Stream::open().await;
    stream.fixture.directory.remove(&alice());
    assert!(!stream.goes_on().await);
    // of a store that does not answer it is not known, and so it is asked again
    let mut stream = Stream::open().await;
    stream.fixture.directory.set_far(&disabled());
    stream.fixture.directory.set_down(true);
    stream.fixture.feed.change(Node::principal(&alice()));
    for _ in 0..2 {
        assert!(stream.goes_on().await);
    }
    stream.fixture.directory.set_down(false);
    assert!(!stream.goes_on().await);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_reason_to_close() {
    let mut stream = Stream::open().await;
    stream.ends(Err(StoreError::Unavailable("down".into())));
    stream.wait(at(200));
    for asked in 1..4 {
        assert!(stream.goes_on().await);
        assert_eq!(stream.asked(), asked, "again at each look");
    }
    stream.ends(Ok(Some(at(150))));
    assert!(!stream.goes_on().await);
}

/// Of several the first end counts.
#[tokio::test]
async fn every_credential_of_the_permit_must_last() {
    let fixture = fixture(&[("/", "basic & api_key")]);
    fixture.room(Basic).ends_with("alice", Ok(None));
    fixture.room(ApiKey).ends_with("alice", Ok(Some(at(70))));
    let permit = fixture.allowed("/", &[("x-api-key", "alice"), ("x-basic", "alice")]).await;
    fixture.feed.change(fixture.room(Basic).node("alice"));
    assert!(fixture.point.stands(&permit).await);
    fixture.clock.advance(Duration::from_secs(70));
    assert!(!fixture.point.stands(&permit).await);
}
