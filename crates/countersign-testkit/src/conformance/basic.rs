//! The port of passwords and app passwords.

use super::{Ports, at, event, fifty, scopes, service};
use countersign_core::{
    CredentialId, Node, NodeKind, StoreError,
    page::PageRequest,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::password::PasswordHash;
use countersign_methods::{
    basic::{
        app_password::{AppPasswordDigest, AppPasswordRecord, AppPasswordState},
        record::{PasswordRecord, Person, password_node},
        store::{AppPasswordQuery, AppPasswordRevoked, ImportedPerson, UseQuery},
        uses::BasicUse,
    },
    principal::store::PrincipalChange,
    revocation::store::ChangeKind,
};

/// Of somebody; nobody verifies it here.
fn hash(n: u32) -> PasswordHash {
    let tag = char::from(b'a' + u8::try_from(n % 26).unwrap()).to_string().repeat(43);
    PasswordHash::parse(&format!("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${tag}"))
        .unwrap_or_else(|_| {
            // the last character of 43 holds bits that must be zero
            let tag = format!("{}A", tag.get(1..).unwrap());
            PasswordHash::parse(&format!("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${tag}"))
                .unwrap()
        })
}

fn password(owner: &Principal, version: i64) -> PasswordRecord {
    let n = u32::try_from(version).unwrap();
    PasswordRecord { principal: owner.id.clone(), hash: hash(n), normal: 1, version, set_at: at(version) }
}

fn app_password(n: u32, owner: &Principal) -> AppPasswordRecord {
    AppPasswordRecord {
        id: CredentialId::new(&format!("p{n:011}")),
        owner: owner.id.clone(),
        service: format!("calendar {n}, \u{e9}'\"$1"),
        digest: AppPasswordDigest { pepper: n, hash: [u8::try_from(n % 251).unwrap(); 32] },
        scopes: scopes("orders:read"),
        parents: vec![Node::new(NodeKind::ApiKey, "aaaaaaaaaaaa")],
        created_at: at(i64::from(n)),
        expires_at: at(1000),
        last_used_at: None,
        state: AppPasswordState::Active,
        version: 1,
    }
}

async fn set(ports: &Ports, record: PasswordRecord, replaces: Option<i64>) -> Result<(), StoreError> {
    let event = event("password.set", record.principal.as_str());
    ports.basic.set_password(record, replaces, event).await
}

async fn make(ports: &Ports, record: &AppPasswordRecord) {
    let made =
        ports.basic.create_app_password(record.clone(), event("app_password.create", record.id.as_str()));
    made.await.unwrap();
}

pub async fn a_password_is_found_by_its_persons_name(ports: Ports) {
    let owner = ports.owner(1).await;
    let nobody = PrincipalName::parse("nobody").unwrap();
    assert_eq!(ports.basic.find_person(&nobody).await.unwrap(), None);
    let person = Person { principal: owner.clone(), password: None };
    assert_eq!(ports.basic.find_person(&owner.name).await.unwrap(), Some(person.clone()));
    set(&ports, password(&owner, 1), None).await.unwrap();
    let person = Person { password: Some(password(&owner, 1)), ..person };
    assert_eq!(ports.basic.find_person(&owner.name).await.unwrap(), Some(person));
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), Some(password(&owner, 1)));
    assert_eq!(ports.changes().await, [], "nothing descends from what was not there");
}

pub async fn a_new_password_ends_the_one_before(ports: Ports) {
    let owner = ports.owner(1).await;
    set(&ports, password(&owner, 1), None).await.unwrap();
    set(&ports, password(&owner, 5), Some(1)).await.unwrap();
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), Some(password(&owner, 5)));
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, &changes[0].node), (ChangeKind::Revoked, &password_node(&owner.id, 1)));
    assert_eq!(changes[0].until, None, "for ever");
    assert_eq!(ports.trail("password.set").await.len(), 2);
}

pub async fn a_password_is_guarded_by_its_version(ports: Ports) {
    let owner = ports.owner(1).await;
    let changed = Err(StoreError::Conflict("password_changed"));
    assert_eq!(set(&ports, password(&owner, 2), Some(1)).await, changed, "there is none");
    set(&ports, password(&owner, 1), None).await.unwrap();
    assert_eq!(set(&ports, password(&owner, 2), None).await, changed);
    assert_eq!(set(&ports, password(&owner, 3), Some(2)).await, changed);
    let unknown = set(&ports, password(&service(9), 1), None).await;
    assert_eq!(unknown, Err(StoreError::Conflict("principal_unknown")));
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), Some(password(&owner, 1)));
    assert_eq!(ports.trail("password.set").await.len(), 1);
}

pub async fn of_fifty_new_passwords_at_once_one_wins(ports: Ports) {
    let owner = ports.owner(1).await;
    set(&ports, password(&owner, 1), None).await.unwrap();
    let (basic, id) = (ports.basic.clone(), owner.id.clone());
    let results = fifty(move |n| {
        let (basic, principal) = (basic.clone(), id.clone());
        async move {
            let version = i64::from(n) + 2;
            let record = PasswordRecord { principal, hash: hash(n), normal: 1, version, set_at: at(0) };
            basic.set_password(record, Some(1), event("password.set", "x")).await
        }
    })
    .await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(StoreError::Conflict("password_changed")))));
    assert_eq!(ports.changes().await.len(), 1);
}

pub async fn a_removed_password_is_gone(ports: Ports) {
    let owner = ports.owner(1).await;
    let remove = |version| {
        ports.basic.remove_password(&owner.id, version, event("password.remove", owner.id.as_str()))
    };
    assert!(!remove(None).await.unwrap());
    assert!(!remove(Some(3)).await.unwrap());
    set(&ports, password(&owner, 3), None).await.unwrap();
    assert_eq!(remove(Some(2)).await, Err(StoreError::Conflict("password_changed")));
    assert!(remove(Some(3)).await.unwrap());
    assert!(!remove(None).await.unwrap());
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), None);
    let changes = ports.changes().await;
    assert_eq!((changes.len(), &changes[0].node), (1, &password_node(&owner.id, 3)));
    assert_eq!(ports.trail("password.remove").await.len(), 1);
    set(&ports, password(&owner, 4), None).await.unwrap();
}

pub async fn a_better_hash_leaves_the_version(ports: Ports) {
    let owner = ports.owner(1).await;
    let record = PasswordRecord { normal: 0, ..password(&owner, 1) };
    set(&ports, record.clone(), None).await.unwrap();
    let rehash = |version, was: u32, to: u32| {
        ports.basic.rehash(
            &owner.id,
            version,
            hash(was),
            hash(to),
            event("password.rehash", owner.id.as_str()),
        )
    };
    // another version, another hash: somebody was faster
    rehash(2, 1, 7).await.unwrap();
    rehash(1, 2, 7).await.unwrap();
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), Some(record.clone()));
    rehash(1, 1, 7).await.unwrap();
    let better = PasswordRecord { hash: hash(7), normal: 1, ..record };
    assert_eq!(ports.basic.find_password(&owner.id).await.unwrap(), Some(better));
    assert_eq!(ports.trail("password.rehash").await.len(), 1);
    assert_eq!(ports.changes().await, [], "it is the same password");
}

pub async fn people_are_all_imported_or_none(ports: Ports) {
    let here = ports.owner(1).await;
    let new = |n: u32| {
        let principal = Principal { kind: PrincipalKind::User, ..service(n) };
        let password = password(&principal, 1);
        let made = event("principal.create", principal.id.as_str());
        ImportedPerson { principal: Some((principal, made)), password, event: event("password.import", "x") }
    };
    let given = ImportedPerson {
        principal: None,
        password: password(&here, 1),
        event: event("password.import", "x"),
    };
    ports.basic.import_people(vec![new(2), given.clone()]).await.unwrap();
    assert_eq!(ports.basic.find_password(&here.id).await.unwrap(), Some(password(&here, 1)));
    assert_eq!(ports.principals.find(&service(2).id).await.unwrap().unwrap().kind, PrincipalKind::User);
    let taken = ports.basic.import_people(vec![new(3), new(2)]).await;
    assert_eq!(taken, Err(StoreError::Conflict("name_taken")));
    let changed = ports.basic.import_people(vec![new(3), given]).await;
    assert_eq!(changed, Err(StoreError::Conflict("password_changed")));
    assert_eq!(ports.principals.find(&service(3).id).await.unwrap(), None);
    assert_eq!(ports.trail("password.import").await.len(), 2);
}

pub async fn an_app_password_is_found_as_it_was(ports: Ports) {
    let owner = ports.owner(1).await;
    let record = AppPasswordRecord { last_used_at: Some(at(7)), ..app_password(1, &owner) };
    make(&ports, &record).await;
    assert_eq!(
        ports.basic.find_app_password(&record.id).await.unwrap(),
        Some((record.clone(), owner.clone()))
    );
    assert_eq!(ports.basic.find_app_password(&CredentialId::new("none")).await.unwrap(), None);
    let again = ports.basic.create_app_password(record, event("app_password.create", "x")).await;
    assert_eq!(again, Err(StoreError::Conflict("app_password_exists")));
    let disable = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
    ports.principals.change(&owner.id, 1, disable, event("principal.disable", "x")).await.unwrap();
    let refused =
        ports.basic.create_app_password(app_password(2, &owner), event("app_password.create", "x")).await;
    assert_eq!(refused, Err(StoreError::Conflict("owner_unknown")));
}

pub async fn an_app_password_is_revoked_once(ports: Ports) {
    let owner = ports.owner(1).await;
    let record = app_password(1, &owner);
    make(&ports, &record).await;
    let revoke = |id: &CredentialId| {
        let id = id.clone();
        let basic = ports.basic.clone();
        async move {
            basic.revoke_app_password(&id, at(5), event("app_password.revoke", id.as_str())).await.unwrap()
        }
    };
    assert_eq!(revoke(&CredentialId::new("none")).await, AppPasswordRevoked::Unknown);
    assert_eq!(revoke(&record.id).await, AppPasswordRevoked::Now);
    assert_eq!(revoke(&record.id).await, AppPasswordRevoked::Already);
    let (found, _) = ports.basic.find_app_password(&record.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.version), (AppPasswordState::Revoked { at: at(5) }, 2));
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, &changes[0].node), (ChangeKind::Revoked, &record.node()));
    assert_eq!(ports.trail("app_password.revoke").await.len(), 1);
}

pub async fn app_passwords_are_listed_cut_and_used(ports: Ports) {
    let (one, two) = (ports.owner(1).await, ports.owner(2).await);
    for n in [3, 1, 2] {
        make(&ports, &app_password(n, &one)).await;
    }
    make(&ports, &AppPasswordRecord { expires_at: at(10), ..app_password(4, &two) }).await;
    let ids = |query: AppPasswordQuery| async {
        let page = ports.basic.list_app_passwords(query).await.unwrap();
        (page.items.iter().map(|r| r.digest.pepper).collect::<Vec<_>>(), page.next)
    };
    let page = |after| PageRequest { after, limit: 2 };
    let (first, next) = ids(AppPasswordQuery { page: page(None), ..AppPasswordQuery::default() }).await;
    let (rest, end) = ids(AppPasswordQuery { page: page(next), ..AppPasswordQuery::default() }).await;
    assert_eq!((first, rest, end), (vec![1, 2], vec![3, 4], None));
    let of_two = AppPasswordQuery { owner: Some(two.id.clone()), ..AppPasswordQuery::default() };
    assert_eq!(ids(of_two).await.0, [4]);
    let usable = AppPasswordQuery { usable_at: Some(at(10)), ..AppPasswordQuery::default() };
    assert_eq!(ids(usable).await.0, [1, 2, 3]);
    assert_eq!(ports.basic.app_password_peppers(at(9)).await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(ports.basic.app_password_peppers(at(10)).await.unwrap(), [1, 2, 3]);

    let id = app_password(1, &one).id;
    let uses = vec![(id.clone(), at(9)), (CredentialId::new("none"), at(9))];
    ports.basic.app_passwords_used(uses).await.unwrap();
    ports.basic.app_passwords_used(vec![(id.clone(), at(3))]).await.unwrap();
    let (found, _) = ports.basic.find_app_password(&id).await.unwrap().unwrap();
    assert_eq!((found.last_used_at, found.version), (Some(at(9)), 1));
}

pub async fn uses_add_up(ports: Ports) {
    let (one, two) = (service(1).id, service(2).id);
    let used = |principal: &countersign_core::PrincipalId, route: &str, uses, at_second| BasicUse {
        principal: principal.clone(),
        route: route.into(),
        uses,
        last_used_at: at(at_second),
    };
    let first = vec![used(&one, "a", 3, 10), used(&one, "b", 1, 20), used(&two, "a", 1, 30)];
    ports.basic.used(first).await.unwrap();
    // another process, a little late
    ports.basic.used(vec![used(&one, "a", 2, 5), used(&two, "a", 1, 40)]).await.unwrap();
    let all = UseQuery { principal: None, route: None, since: None, limit: 10 };
    let found = ports.basic.uses(all.clone()).await.unwrap();
    assert_eq!(found, [used(&two, "a", 2, 40), used(&one, "b", 1, 20), used(&one, "a", 5, 10)]);
    let of_one = UseQuery { principal: Some(one.clone()), ..all.clone() };
    assert_eq!(ports.basic.uses(of_one).await.unwrap().len(), 2);
    let of_a = UseQuery { route: Some("a".into()), since: Some(at(11)), ..all.clone() };
    assert_eq!(ports.basic.uses(of_a).await.unwrap(), [used(&two, "a", 2, 40)]);
    assert_eq!(ports.basic.uses(UseQuery { limit: 1, ..all }).await.unwrap().len(), 1);
}
