//! What makes something on request makes it once.

use super::{Ports, at, event, fifty, key, key_id, service};
use countersign_core::{
    StoreError, Timestamp,
    audit::AuditEvent,
    idempotency::{Mark, Once, REMEMBERED, REPEATED},
    principal::Principal,
};

fn mark(caller: &str, key: &str) -> Mark {
    Mark { caller: caller.into(), key: key.into(), fingerprint: [7; 32] }
}

fn once(mark: Mark, principal: &Principal, when: Timestamp) -> AuditEvent {
    let once = Once { mark, made: principal.id.to_string() };
    AuditEvent { at: when, once: Some(once), ..event("principal.create", principal.id.as_str()) }
}

pub async fn a_mark_stays_with_what_it_made(ports: Ports) {
    let made = service(1);
    ports.principals.create(made.clone(), once(mark("a", "k"), &made, at(0))).await.unwrap();
    let known = ports.idempotency.made("a", "k").await.unwrap();
    assert_eq!(known, Some(Once { mark: mark("a", "k"), made: made.id.to_string() }));
    for (caller, key) in [("a", "K"), ("b", "k"), ("a", ""), ("", "k")] {
        assert_eq!(ports.idempotency.made(caller, key).await.unwrap(), None, "{caller} {key}");
    }
    // another caller's key of the same name is another key
    let other = service(2);
    ports.principals.create(other.clone(), once(mark("b", "k"), &other, at(0))).await.unwrap();
}

pub async fn a_repeat_is_refused_and_leaves_nothing(ports: Ports) {
    let (first, second) = (service(1), service(2));
    ports.principals.create(first.clone(), once(mark("a", "k"), &first, at(0))).await.unwrap();
    let again = ports.principals.create(second.clone(), once(mark("a", "k"), &second, at(1))).await;
    assert_eq!(again, Err(StoreError::Conflict(REPEATED)));
    assert_eq!(ports.principals.find(&second.id).await.unwrap(), None);
    let key = key(1, &first);
    let event = AuditEvent { once: once(mark("a", "k"), &first, at(2)).once, ..event("api_key.create", "x") };
    assert_eq!(ports.keys.create(key, event).await, Err(StoreError::Conflict(REPEATED)));
    assert_eq!(ports.keys.find(&key_id(1)).await.unwrap(), None);
    assert_eq!(ports.trail("principal.create").await.len(), 1);
    assert_eq!(ports.trail("api_key.create").await.len(), 0);
}

pub async fn a_refused_write_leaves_no_mark(ports: Ports) {
    let made = service(1);
    ports.principals.create(made.clone(), event("principal.create", "x")).await.unwrap();
    let taken = Principal { id: service(2).id, ..made };
    let refused = ports.principals.create(taken.clone(), once(mark("a", "k"), &taken, at(0))).await;
    assert_eq!(refused, Err(StoreError::Conflict("name_taken")));
    assert_eq!(ports.idempotency.made("a", "k").await.unwrap(), None);
}

pub async fn of_fifty_at_once_one_makes(ports: Ports) {
    let results = fifty(|n| {
        let (ports, made) = (ports.clone(), service(n));
        async move { ports.principals.create(made.clone(), once(mark("a", "k"), &made, at(0))).await }
    })
    .await;
    let made = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|result| **result == Err(StoreError::Conflict(REPEATED))).count();
    assert_eq!((made, refused), (1, 49), "{results:?}");
    let known = ports.idempotency.made("a", "k").await.unwrap().unwrap();
    assert!((0..50).any(|n| service(n).id.as_str() == known.made));
}

pub async fn after_a_day_a_key_may_be_used_again(ports: Ports) {
    let (first, second, third) = (service(1), service(2), service(3));
    ports.principals.create(first.clone(), once(mark("a", "k"), &first, at(0))).await.unwrap();
    let over = at(0) + REMEMBERED;
    let early = over.saturating_sub(std::time::Duration::from_micros(1));
    let refused = ports.principals.create(second.clone(), once(mark("a", "k"), &second, early)).await;
    assert_eq!(refused, Err(StoreError::Conflict(REPEATED)));
    ports.principals.create(third.clone(), once(mark("a", "k"), &third, over)).await.unwrap();
    assert_eq!(ports.idempotency.made("a", "k").await.unwrap().unwrap().made, third.id.as_str());
}
