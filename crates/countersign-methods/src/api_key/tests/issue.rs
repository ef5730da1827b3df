//! The life of a key: what is refused, what is kept, and what is written down about it.

use super::{DAY, House, demo, new_key, stranger};
use crate::{
    api_key::{
        config::ApiKeyConfig,
        issue::{Ended, IssueError, Issued, KeyVerdict, Lifetime, NewKey, Rotate},
        record::{Environment, KeyId, KeyStanding, KeyState, RevocationReason},
        verify::Failure,
    },
    fakes::{NOW, config, now_or_never, principal, scopes},
    operator,
    principal::caller::{Bound, Caller},
};
use countersign_core::{
    Node, NodeKind, StoreError, Timestamp,
    audit::Actor,
    check::limit::{PlanName, RateLimit},
};
use std::{sync::atomic::Ordering, time::Duration};

fn bound(held: &str) -> Bound {
    let held = scopes(held);
    let may_grant = held.iter().any(|s| s.as_str() == operator::GRANT);
    let lineage = vec![Node::new(NodeKind::ApiKey, "caller000000")];
    Bound { scopes: held, expires_at: Some(NOW + DAY), lineage, may_grant }
}

fn caller(held: &str) -> Caller {
    Caller { bound: Some(bound(held)), ..Caller::host() }
}

fn create(house: &House, new: NewKey, caller: &Caller) -> Result<Issued, IssueError> {
    now_or_never(house.issuer.create(new, caller, NOW))
}

fn rotate(house: &House, id: &KeyId, grace: Duration, caller: &Caller) -> Result<Issued, IssueError> {
    now_or_never(house.issuer.rotate(id, Rotate { grace, ..Rotate::default() }, caller, NOW))
}

fn present(house: &House, key: &str) -> Result<Option<KeyId>, StoreError> {
    now_or_never(house.issuer.revoke_presented(key.as_bytes(), None, None, NOW))
}

#[test]
fn what_is_not_created() {
    let house = House::new();
    let host = Caller::host();
    let error = |new: NewKey, caller: &Caller| create(&house, new, caller).unwrap_err();
    let nobody = principal("nobody", "").id;
    assert_eq!(error(NewKey { owner: nobody, ..new_key() }, &host), IssueError::OwnerUnknown);
    let more = NewKey { scopes: scopes("orders:read admin:all"), ..new_key() };
    assert_eq!(error(more, &host), IssueError::ScopesBeyondOwner(scopes("admin:all")));
    let plan = PlanName::parse("platinum");
    assert_eq!(error(NewKey { plan, ..new_key() }, &host), IssueError::PlanUnknown);
    house.store.principals.lock().unwrap().get_mut(&demo()).unwrap().enabled = false;
    assert_eq!(error(new_key(), &host), IssueError::OwnerDisabled);
    assert!(house.store.events().is_empty() && house.store.keys.lock().unwrap().is_empty());
}

#[test]
fn lifetimes_are_bounded() {
    let house = House::new();
    let end = |lifetime: Lifetime, caller: &Caller| {
        create(&house, NewKey { lifetime, ..new_key() }, caller).map(|i| i.record.expires_at)
    };
    let host = Caller::host();
    let longest = config().max_lifetime;
    let too_long = Err(IssueError::LifetimeTooLong(longest));
    assert_eq!(end(Lifetime::For(longest + Duration::from_secs(1)), &host), too_long);
    assert_eq!(end(Lifetime::For(Duration::MAX), &host), too_long);
    assert_eq!(end(Lifetime::Until(NOW + longest + Duration::from_secs(1)), &host), too_long);
    assert_eq!(end(Lifetime::Until(Timestamp::from_micros(i64::MAX)), &host), too_long);
    assert_eq!(end(Lifetime::Never, &host), Err(IssueError::NeverNotAllowed));
    for over in [Lifetime::For(Duration::ZERO), Lifetime::Until(NOW), Lifetime::Until(Timestamp::EPOCH)] {
        assert_eq!(end(over, &host), Err(IssueError::LifetimeOver), "{over:?}");
    }
    assert_eq!(end(Lifetime::Default, &host), Ok(Some(NOW + DAY * 90)));
    assert_eq!(end(Lifetime::For(longest), &host), Ok(Some(NOW + longest)));
    assert_eq!(end(Lifetime::Until(NOW + DAY), &host), Ok(Some(NOW + DAY)));
    let house = House::with(ApiKeyConfig { allow_never: true, ..config() });
    let never = NewKey { lifetime: Lifetime::Never, ..new_key() };
    assert_eq!(create(&house, never, &host).unwrap().record.expires_at, None);
}

/// RULES 2.6: a caller that ends tomorrow issues nothing that lives longer.
#[test]
fn nothing_outlives_the_credential_that_asked() {
    let house = House::with(ApiKeyConfig { allow_never: true, ..config() });
    let end = |lifetime: Lifetime, caller: &Caller| {
        create(&house, NewKey { lifetime, ..new_key() }, caller).map(|i| i.record.expires_at)
    };
    let asks = caller("orders:read");
    let outlives = Err(IssueError::OutlivesCaller(NOW + DAY));
    assert_eq!(end(Lifetime::For(DAY * 2), &asks), outlives);
    assert_eq!(end(Lifetime::Until(NOW + DAY + Duration::from_micros(1)), &asks), outlives);
    assert_eq!(end(Lifetime::Never, &asks), outlives);
    assert_eq!(end(Lifetime::For(DAY), &asks), Ok(Some(NOW + DAY)));
    assert_eq!(end(Lifetime::Default, &asks), Ok(Some(NOW + DAY)), "cut to the caller's");
    let over = Caller { bound: Some(Bound { expires_at: Some(NOW), ..bound("orders:read") }), ..asks };
    assert_eq!(end(Lifetime::Default, &over), Err(IssueError::LifetimeOver));
    // `countersign:grant` lifts it
    assert_eq!(end(Lifetime::Never, &caller("countersign:grant")), Ok(None));
    assert_eq!(end(Lifetime::Default, &caller("countersign:grant")), Ok(Some(NOW + DAY * 90)));
}

/// RULES 2.6, 1.8: not more scopes than the credential that asked; operators' scopes not even with a grant.
#[test]
fn scopes_are_bounded_by_the_credential_that_asked() {
    let house = House::new();
    let boss = principal("boss", "orders:read countersign:keys countersign:audit");
    house.store.principals.lock().unwrap().insert(boss.id.clone(), boss.clone());
    let ask = |wanted: &str, held: &str| {
        let new = NewKey { owner: boss.id.clone(), scopes: scopes(wanted), ..new_key() };
        create(&house, new, &caller(held)).map(|i| i.record.scopes)
    };
    let beyond = |names: &str| Err(IssueError::ScopesBeyondCaller(scopes(names)));
    assert_eq!(ask("orders:read", "countersign:keys"), beyond("orders:read"));
    assert_eq!(
        ask("orders:read countersign:audit", "countersign:keys"),
        beyond("orders:read countersign:audit")
    );
    assert_eq!(ask("countersign:audit", "countersign:keys countersign:grant"), beyond("countersign:audit"));
    assert_eq!(ask("countersign:keys", "countersign:keys"), Ok(scopes("countersign:keys")));
    assert_eq!(ask("orders:read", "countersign:grant"), Ok(scopes("orders:read")));
    assert_eq!(ask("orders:read", "orders:read"), Ok(scopes("orders:read")));
}

/// RULES 2.6: what a credential issues hangs on it, unless it may grant.
#[test]
fn lineage_is_that_of_the_credential_that_asked() {
    let house = House::new();
    let parents = |caller: &Caller| create(&house, new_key(), caller).unwrap().record.parents;
    assert_eq!(parents(&caller("orders:read")), [Node::new(NodeKind::ApiKey, "caller000000")]);
    assert!(parents(&caller("countersign:grant")).is_empty());
    assert!(parents(&Caller::host()).is_empty());
    // and a successor's is both
    let issued = create(&house, new_key(), &caller("orders:read")).unwrap();
    let mut other = caller("orders:read");
    other.bound.as_mut().unwrap().lineage = vec![Node::new(NodeKind::Session, "s1")];
    let successor = rotate(&house, &issued.record.id, DAY, &other).unwrap().record;
    assert_eq!(successor.parents.len(), 2);
    assert!(rotate(&house, &successor.id, DAY, &Caller::host()).unwrap().record.parents == successor.parents);
}

#[test]
fn the_secret_leaves_once_and_is_kept_nowhere() {
    let house = House::new();
    let issued = create(&house, new_key(), &Caller::host()).unwrap();
    let shown = format!("{issued:?}");
    let (record, secret) = issued.reveal();
    let secret = secret.expose();
    assert!(secret.starts_with("cs_live_") && &secret[8..20] == record.id.as_str());
    let kept = format!("{:?} {:?}", house.store.events(), house.store.key(&record.id));
    assert!(!kept.contains(&secret[20..]) && !shown.contains(&secret[20..]));
    assert_eq!(house.store.key(&record.id), record);
}

#[test]
fn every_step_is_written_down() {
    let house = House::new();
    let source = Some([192, 0, 2, 1].into());
    let asks = Caller { source, ..Caller::host() };
    let first = create(&house, new_key(), &asks).unwrap().record;
    let second = rotate(&house, &first.id, DAY, &asks).unwrap().record;
    now_or_never(house.issuer.revoke(&second.id, None, RevocationReason::Leaked, &asks, NOW)).unwrap();
    let events = house.store.events();
    let steps: Vec<_> = events.iter().map(|e| (e.action, e.subject.as_str())).collect();
    let (one, two) = (first.id.as_str(), second.id.as_str());
    assert_eq!(steps, [("api_key.create", one), ("api_key.rotate", one), ("api_key.revoke", two)]);
    assert!(events.iter().all(|e| e.actor == Actor::Host && e.source == source && e.at == NOW));
    assert!(events[1].detail.contains(&("successor", two.to_string())));
    assert_eq!(events[2].detail, [("reason", "leaked".to_string())]);
}

#[test]
fn an_id_that_is_taken_is_drawn_again_but_not_for_ever() {
    let house = House::new();
    house.store.taken.store(2, Ordering::Relaxed);
    assert!(create(&house, new_key(), &Caller::host()).is_ok());
    house.store.taken.store(u64::MAX, Ordering::Relaxed);
    let error = create(&house, new_key(), &Caller::host()).unwrap_err();
    assert!(matches!(error, IssueError::Store(StoreError::Unavailable(_))));
}

#[test]
fn what_is_not_rotated() {
    let house = House::new();
    let (record, _) = house.key();
    let host = Caller::host();
    let unknown = KeyId::parse("000000000000").unwrap();
    assert_eq!(rotate(&house, &unknown, DAY, &host).unwrap_err(), IssueError::KeyUnknown);
    // RULES 2.6: it gives out a secret, so it is bounded like creating
    let beyond = IssueError::ScopesBeyondCaller(scopes("orders:read"));
    assert_eq!(rotate(&house, &record.id, DAY, &caller("countersign:keys")).unwrap_err(), beyond);
    let longest = config().max_lifetime;
    let endless = rotate(&house, &record.id, longest + DAY, &host).unwrap_err();
    assert_eq!(endless, IssueError::LifetimeTooLong(longest));
    rotate(&house, &record.id, DAY, &host).unwrap();
    assert_eq!(rotate(&house, &record.id, DAY, &host).unwrap_err(), IssueError::KeyNotActive("rotated"));
    let (record, _) = house.key();
    now_or_never(house.issuer.revoke(&record.id, None, RevocationReason::Operator, &host, NOW)).unwrap();
    assert_eq!(rotate(&house, &record.id, DAY, &host).unwrap_err(), IssueError::KeyNotActive("revoked"));
    let (record, _) = house.key();
    house.store.edit(&record.id, |r| r.expires_at = Some(NOW));
    assert_eq!(rotate(&house, &record.id, DAY, &host).unwrap_err(), IssueError::KeyNotActive("expired"));
    let (record, _) = house.key();
    house.store.principals.lock().unwrap().get_mut(&demo()).unwrap().enabled = false;
    assert_eq!(rotate(&house, &record.id, DAY, &host).unwrap_err(), IssueError::OwnerDisabled);
}

/// The successor keeps owner, scopes, plan, limits and networks.
#[test]
fn a_successor_keeps_what_its_predecessor_had() {
    let house = House::new();
    let new = NewKey {
        label: "ci".into(),
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        limit: Some(RateLimit { quota: 5, window: DAY }),
        plan: PlanName::parse("gold"),
        ..new_key()
    };
    let old = create(&house, new, &Caller::host()).unwrap().record;
    let new = rotate(&house, &old.id, DAY, &Caller::host()).unwrap().record;
    assert_ne!((old.id, old.digest.hash), (new.id, new.digest.hash));
    assert_eq!((&old.owner, &old.label, &old.scopes), (&new.owner, &new.label, &new.scopes));
    assert_eq!((&old.networks, old.limit, &old.plan), (&new.networks, new.limit, &new.plan));
    assert_eq!(new.state, KeyState::Active);
    let kept = house.store.key(&old.id);
    assert_eq!(kept.state, KeyState::Rotated { at: NOW, successor: new.id });
    assert_eq!((kept.expires_at, kept.standing(NOW)), (Some(NOW + DAY), KeyStanding::Rotated));
}

#[test]
fn revoking_is_said_once() {
    let house = House::new();
    let (record, _) = house.key();
    let revoke = |id: &KeyId| {
        now_or_never(house.issuer.revoke(
            id,
            None,
            RevocationReason::Operator,
            &caller("countersign:keys"),
            NOW,
        ))
    };
    assert_eq!(revoke(&KeyId::parse("000000000000").unwrap()), Err(IssueError::KeyUnknown));
    assert_eq!(revoke(&record.id), Ok(Ended::Now));
    assert_eq!(revoke(&record.id), Ok(Ended::Already));
    assert_eq!(house.store.events().iter().filter(|e| e.action == "api_key.revoke").count(), 1);
}

/// RULES 1.7, 5.7: the public id with rubbish behind it revokes nobody's key.
#[test]
fn only_who_holds_a_key_can_kill_it() {
    let house = House::new();
    let (record, key) = house.key();
    let format = house.issuer_format();
    // the public id and a secret of one's own, with the right checksum
    let forged = format.generate(&crate::fakes::Sequence::default());
    house.store.keys.lock().unwrap().insert(
        KeyId::parse(&forged.id).unwrap(),
        crate::api_key::record::ApiKeyRecord { id: KeyId::parse(&forged.id).unwrap(), ..record.clone() },
    );
    for presented in [forged.token.expose(), "", "rubbish", &key[..57], &stranger(Environment::Test)] {
        assert_eq!(present(&house, presented), Ok(None), "{presented}");
    }
    assert_eq!(house.store.events().iter().filter(|e| e.action == "api_key.revoke").count(), 0);
    assert_eq!(present(&house, &key), Ok(Some(record.id)));
    assert_eq!(present(&house, &key), Ok(None), "it already was");
    let event = house.store.events().pop().unwrap();
    assert_eq!((event.actor, event.action), (Actor::Holder, "api_key.revoke"));
    assert_eq!(event.detail, [("reason", "holder".to_string())]);
}

/// Their descendants may live on, so they can be killed too.
#[test]
fn expired_and_rotated_keys_can_be_killed_by_their_holder() {
    let house = House::new();
    let (record, key) = house.key();
    house.store.edit(&record.id, |r| r.expires_at = Some(NOW));
    assert_eq!(present(&house, &key), Ok(Some(record.id)));
    let (record, key) = house.key();
    rotate(&house, &record.id, DAY, &Caller::host()).unwrap();
    assert_eq!(present(&house, &key), Ok(Some(record.id)));
}

#[test]
fn an_outage_is_not_an_answer() {
    let house = House::new();
    let (record, key) = house.key();
    house.store.edit(&record.id, |r| r.digest.pepper = 9);
    assert!(matches!(present(&house, &key), Err(StoreError::Unavailable(_))));
    house.store.down.store(true, Ordering::Relaxed);
    assert!(matches!(present(&house, &key), Err(StoreError::Unavailable(_))));
    let created = create(&house, new_key(), &Caller::host()).unwrap_err();
    assert!(matches!(created, IssueError::Store(StoreError::Unavailable(_))));
    // what has no shape is known to be nobody's without a store
    assert_eq!(present(&house, "rubbish"), Ok(None));
}

#[test]
fn a_shown_key_is_judged() {
    let house = House::new();
    let (record, key) = house.key();
    let judge = |key: &str, now| now_or_never(house.issuer.verify_presented(key.as_bytes(), now)).unwrap();
    assert_eq!(judge("rubbish", NOW), KeyVerdict::NoKey);
    assert_eq!(judge(&stranger(Environment::Live), NOW), KeyVerdict::Bad(Failure::Unknown, None));
    let over = KeyVerdict::Bad(Failure::Expired, Some(record.clone()));
    assert_eq!(judge(&key, NOW + DAY * 90), over);
    assert_eq!(judge(&key, NOW), KeyVerdict::Good(record));
}
