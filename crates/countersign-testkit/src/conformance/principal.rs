//! The port of the principals.

use super::{Ports, at, event, fifty, scopes, service};
use countersign_core::{
    Node, PrincipalId, StoreError,
    page::PageRequest,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::{
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalSort},
    revocation::store::ChangeKind,
};

fn user(n: u32) -> Principal {
    Principal {
        id: PrincipalId::parse(&format!("usr_{n:020}")).unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::parse(&format!("user-{n:03}@example")).unwrap(),
        groups: vec![Group::parse("Staff:eu").unwrap(), Group::parse("a.b").unwrap()],
        ..service(n)
    }
}

async fn create(ports: &Ports, principal: &Principal) {
    let event = event("principal.create", principal.id.as_str());
    ports.principals.create(principal.clone(), event).await.unwrap();
}

fn disable() -> PrincipalChange {
    PrincipalChange { enabled: Some(false), ..PrincipalChange::default() }
}

pub async fn a_created_principal_is_found_by_id_and_name(ports: Ports) {
    let bare = Principal { scopes: scopes(""), enabled: false, ..service(2) };
    for principal in [user(1), bare] {
        create(&ports, &principal).await;
        assert_eq!(ports.principals.find(&principal.id).await.unwrap().as_ref(), Some(&principal));
        assert_eq!(ports.principals.find_by_name(&principal.name).await.unwrap(), Some(principal));
    }
}

pub async fn an_unknown_principal_is_no_error(ports: Ports) {
    assert_eq!(ports.principals.find(&user(1).id).await.unwrap(), None);
    assert_eq!(ports.principals.find_by_name(&user(1).name).await.unwrap(), None);
    let changed = ports.principals.change(&user(1).id, 1, disable(), event("principal.disable", "x")).await;
    assert_eq!(changed.unwrap(), None);
    assert_eq!(ports.trail("principal.disable").await, []);
}

pub async fn a_taken_name_is_a_conflict_and_leaves_nothing(ports: Ports) {
    create(&ports, &user(1)).await;
    let same_name = Principal { id: user(2).id, ..user(1) };
    let refused = ports.principals.create(same_name, event("principal.create", "second")).await;
    assert_eq!(refused, Err(StoreError::Conflict("name_taken")));
    assert_eq!(ports.principals.find(&user(2).id).await.unwrap(), None);
    assert_eq!(ports.trail("principal.create").await.len(), 1);
}

pub async fn a_change_sets_only_what_it_names(ports: Ports) {
    let before = user(1);
    create(&ports, &before).await;
    let change = |version, change| {
        let event = event("principal.change", before.id.as_str());
        let (ports, id) = (ports.clone(), before.id.clone());
        async move { ports.principals.change(&id, version, change, event).await.unwrap().unwrap() }
    };
    let narrowed = PrincipalChange { scopes: Some(scopes("orders:read")), ..PrincipalChange::default() };
    let first = change(1, narrowed).await;
    assert_eq!(first, Principal { scopes: scopes("orders:read"), version: 2, ..before.clone() });
    let second = change(2, PrincipalChange { groups: Some(Vec::new()), ..PrincipalChange::default() }).await;
    assert_eq!(second, Principal { groups: Vec::new(), version: 3, ..first });
    let third = change(3, disable()).await;
    assert_eq!(third, Principal { enabled: false, version: 4, ..second });
    assert_eq!(ports.principals.find(&before.id).await.unwrap(), Some(third));
}

pub async fn a_change_is_guarded_by_its_version(ports: Ports) {
    create(&ports, &user(1)).await;
    for stale in [0, 2, -1] {
        let refused =
            ports.principals.change(&user(1).id, stale, disable(), event("principal.disable", "x")).await;
        assert_eq!(refused, Err(StoreError::Conflict("principal_changed")), "{stale}");
    }
    assert_eq!(ports.principals.find(&user(1).id).await.unwrap(), Some(user(1)));
    assert_eq!(ports.changes().await, []);
    assert_eq!(ports.trail("principal.disable").await, []);
}

// RULES 2.5
pub async fn a_change_reaches_the_feed(ports: Ports) {
    create(&ports, &user(1)).await;
    assert_eq!(ports.changes().await, []);
    let event = event("principal.disable", user(1).id.as_str());
    ports.principals.change(&user(1).id, 1, disable(), event).await.unwrap();
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].node, Node::principal(&user(1).id));
    assert_eq!(changes[0].kind, ChangeKind::Changed);
}

pub async fn of_fifty_changes_at_once_one_wins(ports: Ports) {
    create(&ports, &user(1)).await;
    let results = fifty(|_| {
        let ports = ports.clone();
        async move {
            let event = event("principal.disable", "x");
            ports.principals.change(&user(1).id, 1, disable(), event).await
        }
    });
    let results = results.await;
    assert_eq!(results.iter().filter(|r| matches!(r, Ok(Some(_)))).count(), 1, "{results:?}");
    let lost = Err(StoreError::Conflict("principal_changed"));
    assert_eq!(results.iter().filter(|r| **r == lost).count(), 49, "{results:?}");
    assert_eq!(ports.changes().await.len(), 1);
    assert_eq!(ports.trail("principal.disable").await.len(), 1);
}

const ADMINISTERS: &str = "countersign:keys countersign:principals";

pub async fn the_last_operator_stays(ports: Ports) {
    create(&ports, &Principal { scopes: scopes(ADMINISTERS), ..user(1) }).await;
    create(&ports, &Principal { scopes: scopes("countersign:keys"), ..user(2) }).await;
    create(&ports, &Principal { scopes: scopes(ADMINISTERS), enabled: false, ..user(3) }).await;
    let change = |n, version, change| {
        let ports = ports.clone();
        async move { ports.principals.change(&user(n).id, version, change, event("principal.change", "x")).await }
    };
    let to = |text| PrincipalChange { scopes: Some(scopes(text)), ..PrincipalChange::default() };
    for weaker in [disable(), to(""), to("countersign:keys countersign:grant")] {
        assert_eq!(change(1, 1, weaker).await, Err(StoreError::Conflict("last_operator")));
    }
    assert_eq!((ports.changes().await, ports.trail("principal.change").await), (Vec::new(), Vec::new()));
    // who lets nobody in may go; what leaves him able to is allowed
    change(2, 1, disable()).await.unwrap().unwrap();
    change(1, 1, to("countersign:keys countersign:principals x")).await.unwrap().unwrap();
    create(&ports, &Principal { scopes: scopes(ADMINISTERS), ..user(4) }).await;
    change(1, 2, disable()).await.unwrap().unwrap();
    assert_eq!(change(4, 1, to("x")).await, Err(StoreError::Conflict("last_operator")));
}

/// As many processes would: each counts on the others.
pub async fn of_fifty_operators_disabled_at_once_one_stays(ports: Ports) {
    for n in 0..50 {
        create(&ports, &Principal { scopes: scopes(ADMINISTERS), ..user(n) }).await;
    }
    let results = fifty(|n| {
        let ports = ports.clone();
        async move { ports.principals.change(&user(n).id, 1, disable(), event("principal.disable", "x")).await }
    });
    let results = results.await;
    assert_eq!(results.iter().filter(|r| matches!(r, Ok(Some(_)))).count(), 49, "{results:?}");
    assert_eq!(ports.principals.operators().await.unwrap().len(), 1);
}

pub async fn a_list_goes_on_where_it_stopped(ports: Ports) {
    for n in [5, 2, 4, 1, 3] {
        create(&ports, &service(n)).await;
        create(&ports, &user(n)).await;
    }
    let mut names = Vec::new();
    let mut after = None;
    for _ in 0..3 {
        let page = PageRequest { after, limit: 2 };
        let query = PrincipalQuery { kind: Some(PrincipalKind::Service), page, ..PrincipalQuery::default() };
        let page = ports.principals.list(query).await.unwrap();
        names.extend(page.items.iter().map(|p| p.name.to_string()));
        after = page.next;
    }
    assert_eq!(names, ["service-001", "service-002", "service-003", "service-004", "service-005"]);
    assert_eq!(after, None);
    let page = PageRequest { after: None, limit: 10 };
    let all = ports.principals.list(PrincipalQuery { page, ..PrincipalQuery::default() }).await.unwrap();
    assert_eq!((all.items.len(), all.next), (10, None), "a full last page has no next");
}

pub async fn a_list_is_sorted_and_cut(ports: Ports) {
    for (n, second) in [(1, 30), (2, 10), (3, 30), (4, 20)] {
        create(&ports, &Principal { created_at: at(second), ..user(n) }).await;
    }
    ports.principals.change(&user(2).id, 1, disable(), event("principal.disable", "x")).await.unwrap();
    let query = PrincipalQuery::default;
    let by_time = || PrincipalQuery { sort: PrincipalSort::CreatedAt, ..query() };
    let name = |n: u32| Some(user(n).name.to_string());
    let table = [
        (query(), vec![1, 2, 3, 4]),
        (PrincipalQuery { descending: true, ..query() }, vec![4, 3, 2, 1]),
        (by_time(), vec![2, 4, 1, 3]),
        (PrincipalQuery { descending: true, ..by_time() }, vec![3, 1, 4, 2]),
        (PrincipalQuery { enabled: Some(false), ..query() }, vec![2]),
        (PrincipalQuery { enabled: Some(true), kind: Some(PrincipalKind::User), ..by_time() }, vec![4, 1, 3]),
        (PrincipalQuery { name: name(3), ..query() }, vec![3]),
        (PrincipalQuery { name: Some("%".into()), ..query() }, vec![]),
    ];
    for (query, expected) in table {
        for limit in 1..=4 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = PageRequest { after, limit };
                let page = ports.principals.list(PrincipalQuery { page, ..query.clone() }).await.unwrap();
                seen.extend(page.items.into_iter().map(|p| p.id));
                after = page.next;
                if after.is_none() || seen.len() > 4 {
                    break;
                }
            }
            let expected: Vec<_> = expected.iter().map(|n| user(*n).id).collect();
            assert_eq!(seen, expected, "{query:?} {limit}");
        }
    }
}

pub async fn operators_are_enabled_and_hold_an_operators_scope(ports: Ports) {
    let with = |n, text, enabled| Principal { scopes: scopes(text), enabled, ..user(n) };
    create(&ports, &with(1, "countersign:keys orders:read", true)).await;
    create(&ports, &with(2, "a countersign:read", true)).await;
    create(&ports, &with(3, "countersign:read", false)).await;
    create(&ports, &with(4, "Countersign:read COUNTERSIGN:keys", true)).await;
    create(&ports, &with(5, "not-countersign:read orders:countersign:", true)).await;
    let operators = ports.principals.operators().await.unwrap();
    let names: Vec<_> = operators.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["user-001@example", "user-002@example"]);
}
