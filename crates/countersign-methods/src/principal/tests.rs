use super::{
    caller::{Bound, Caller},
    directory::LocalDirectory,
    issue::{NewPrincipal, PrincipalError, PrincipalIssuer},
    store::PrincipalChange,
};
use crate::{
    fakes::{FakeStore, Hook, NOW, Sequence, now_or_never, principal, scopes},
    operator,
};
use countersign_core::{
    PrincipalId, StoreError,
    directory::Directory,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use std::sync::{Arc, atomic::Ordering};

fn caller(held: &str) -> Caller {
    let held = scopes(held);
    let may_grant = held.iter().any(|s| s.as_str() == operator::GRANT);
    let bound = Bound { scopes: held, expires_at: None, lineage: Vec::new(), may_grant };
    Caller { bound: Some(bound), ..Caller::host() }
}

fn issuer(store: &Arc<FakeStore>) -> PrincipalIssuer {
    PrincipalIssuer::new(store.clone(), Arc::new(Sequence::default()))
}

fn new(name: &str, held: &str) -> NewPrincipal {
    let name = PrincipalName::parse(name).unwrap();
    NewPrincipal { kind: PrincipalKind::User, name, scopes: scopes(held), groups: Vec::new() }
}

fn change(
    store: &Arc<FakeStore>,
    id: &PrincipalId,
    change: PrincipalChange,
    caller: &Caller,
) -> Result<Principal, PrincipalError> {
    now_or_never(issuer(store).change(id, None, change, caller, NOW))
}

fn to_scopes(held: &str) -> PrincipalChange {
    PrincipalChange { scopes: Some(scopes(held)), ..Default::default() }
}

fn to_enabled(enabled: bool) -> PrincipalChange {
    PrincipalChange { enabled: Some(enabled), ..Default::default() }
}

/// RULES 2.6, 1.8: a grant lifts the bound for ordinary scopes, for operators' scopes never.
#[test]
fn nobody_passes_on_what_he_does_not_have() {
    let store = FakeStore::with([]);
    let create = |name: &str, wanted: &str, caller: &Caller| {
        now_or_never(issuer(&store).create(new(name, wanted), caller, NOW)).map(|p| p.scopes)
    };
    let beyond = |names: &str| Err(PrincipalError::ScopesBeyondCaller(scopes(names)));
    let plain = caller("countersign:principals orders:read");
    assert_eq!(create("a", "orders:read orders:write", &plain), beyond("orders:write"));
    assert_eq!(create("a", "countersign:keys", &plain), beyond("countersign:keys"));
    let grants = caller("countersign:principals countersign:grant");
    assert_eq!(create("a", "countersign:keys x", &grants), beyond("countersign:keys"));
    assert!(store.events().is_empty());
    assert!(create("a", "orders:write", &grants).is_ok());
    assert!(create("b", "countersign:grant", &grants).is_ok());
    assert!(create("c", "orders:read", &plain).is_ok());
    let mut everything: Vec<_> = operator::ALL.to_vec();
    everything.push("x:y");
    assert!(create("d", &everything.join(" "), &Caller::host()).is_ok());
}

/// RULES 2.6: widening and bringing back are granting; narrowing and disabling are not.
#[test]
fn changes_are_bounded_by_what_they_give() {
    let (boss, demo) = (principal("boss", &operator::ALL.join(" ")), principal("demo", "orders:read"));
    let store = FakeStore::with([boss.clone(), demo.clone()]);
    let plain = caller("countersign:principals");
    let beyond = |names: &str| Err(PrincipalError::ScopesBeyondCaller(scopes(names)));
    let to = |id: &PrincipalId, c: PrincipalChange| change(&store, id, c, &plain).map(|p| p.scopes);
    assert_eq!(to(&demo.id, to_scopes("orders:read orders:write")), beyond("orders:write"));
    assert_eq!(to(&demo.id, to_scopes("countersign:keys")), beyond("countersign:keys"));
    assert_eq!(to(&demo.id, to_enabled(false)), Ok(scopes("orders:read")));
    assert_eq!(to(&demo.id, to_enabled(true)), beyond("orders:read"));
    assert_eq!(to(&demo.id, to_scopes("")), Ok(scopes("")));
    assert_eq!(to(&demo.id, to_enabled(true)), Ok(scopes("")));
}

#[test]
fn the_last_operator_stays() {
    let everything = operator::ALL.join(" ");
    let (boss, reader) = (principal("boss", &everything), principal("reader", "countersign:read"));
    let store = FakeStore::with([boss.clone(), reader.clone()]);
    let host = Caller::host();
    for way in [to_enabled(false), to_scopes(""), to_scopes("countersign:keys countersign:grant")] {
        assert_eq!(change(&store, &boss.id, way, &host), Err(PrincipalError::LastOperator));
    }
    // one that can only read lets nobody in again, and may go
    assert!(change(&store, &reader.id, to_enabled(false), &host).is_ok());
    // what leaves him able to let others in is allowed
    assert!(change(&store, &boss.id, to_scopes("countersign:keys countersign:principals"), &host).is_ok());
    let second = principal("second", &everything);
    store.principals.lock().unwrap().insert(second.id.clone(), second.clone());
    assert!(change(&store, &boss.id, to_enabled(false), &host).is_ok());
    assert_eq!(change(&store, &second.id, to_enabled(false), &host), Err(PrincipalError::LastOperator));
}

#[test]
fn names_versions_and_strangers() {
    let demo = principal("demo", "");
    let store = FakeStore::with([demo.clone()]);
    let host = Caller::host();
    let taken = now_or_never(issuer(&store).create(new("demo", ""), &host, NOW));
    assert_eq!(taken, Err(PrincipalError::NameTaken));
    let nobody = principal("nobody", "").id;
    assert_eq!(change(&store, &nobody, to_scopes("a"), &host), Err(PrincipalError::Unknown));
    let stale = now_or_never(issuer(&store).change(&demo.id, Some(0), to_scopes("a"), &host, NOW));
    assert_eq!(stale, Err(PrincipalError::Changed));
    let fresh = now_or_never(issuer(&store).change(&demo.id, Some(1), to_scopes("a"), &host, NOW));
    assert_eq!(fresh.map(|p| p.version), Ok(2));
    store.down.store(true, Ordering::Relaxed);
    let down = change(&store, &demo.id, to_scopes("b"), &host);
    assert!(matches!(down, Err(PrincipalError::Store(StoreError::Unavailable(_)))));
}

#[test]
fn every_change_is_written_down() {
    let store = FakeStore::with([]);
    let host = Caller::host();
    let made = now_or_never(issuer(&store).create(new("alice", "a"), &host, NOW)).unwrap();
    assert!(made.id.as_str().starts_with("usr_") && made.enabled && made.version == 1);
    change(&store, &made.id, to_scopes("a b"), &host).unwrap();
    let groups = PrincipalChange { groups: Some(vec![Group::parse("staff").unwrap()]), ..Default::default() };
    change(&store, &made.id, groups, &host).unwrap();
    change(&store, &made.id, to_enabled(false), &host).unwrap();
    change(&store, &made.id, to_enabled(true), &host).unwrap();
    // nothing changes: nothing is written
    assert_eq!(change(&store, &made.id, to_enabled(true), &host).unwrap().version, 5);
    let actions: Vec<_> = store.events().iter().map(|e| e.action).collect();
    let verbs = ["create", "change", "change", "disable", "enable"];
    assert_eq!(actions, verbs.map(|v| format!("principal.{v}")));
    let widened = &store.events()[1].detail;
    assert!(widened.contains(&("scopes_before", "a".into())) && widened.contains(&("scopes", "a b".into())));
}

#[test]
fn the_directory_answers_from_memory() {
    let demo = principal("demo", "a");
    let store = FakeStore::with([demo.clone()]);
    let directory = LocalDirectory::new(store.clone(), 100);
    assert_eq!(directory.standing(&demo.id), None);
    let nobody = principal("nobody", "").id;
    assert_eq!(now_or_never(directory.load(&nobody)), Ok(None));
    let loaded = now_or_never(directory.load(&demo.id)).unwrap().unwrap();
    store.down.store(true, Ordering::Relaxed);
    assert_eq!(directory.standing(&demo.id), Some(loaded));
    directory.forget(&demo.id);
    assert_eq!(directory.standing(&demo.id), None);
    assert!(now_or_never(directory.load(&demo.id)).is_err(), "an outage is no answer");
    assert_eq!(directory.standing(&demo.id), None);
}

/// RULES 1.2: what was read before the change must not be remembered after it.
#[test]
fn a_load_that_a_change_overtook_is_not_remembered() {
    let demo = principal("demo", "a");
    for everything in [false, true] {
        let store = FakeStore::with([demo.clone()]);
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let (forgets, id) = (directory.clone(), demo.id.clone());
        let hook = move || if everything { forgets.forget_all() } else { forgets.forget(&id) };
        *store.after_read.lock().unwrap() = Some(Hook(Box::new(hook)));
        assert!(now_or_never(directory.load(&demo.id)).unwrap().is_some());
        assert_eq!(directory.standing(&demo.id), None);
        now_or_never(directory.load(&demo.id)).unwrap();
        assert!(directory.standing(&demo.id).is_some());
    }
}

#[test]
fn the_directory_is_bounded() {
    let many: Vec<_> = (0..1000).map(|n| principal(&format!("p{n}"), "")).collect();
    let store = FakeStore::with(many.clone());
    let directory = LocalDirectory::new(store, 64);
    for p in &many {
        now_or_never(directory.load(&p.id)).unwrap();
        assert!(directory.standing(&p.id).is_some(), "the newest is always there");
    }
    assert!(many.iter().filter(|p| directory.standing(&p.id).is_some()).count() <= 64);
    directory.forget_all();
    assert!(many.iter().all(|p| directory.standing(&p.id).is_none()));
}
