//! The port of the API keys.

use super::{Ports, at, event, fifty, key, key_id, scopes, service};
use countersign_core::{
    Node, NodeKind, StoreError, Timestamp,
    check::limit::{PlanName, RateLimit},
    page::PageRequest,
    principal::Principal,
};
use countersign_methods::{
    api_key::{
        record::{
            ApiKeyRecord, Covers, Environment, KeyDigest, KeyId, KeyStanding, KeyState, Lookup, Origin,
            RevocationReason,
        },
        store::{ApiKeyQuery, KeySort, Revoked, Rotation, Upgrade},
    },
    principal::store::PrincipalChange,
    revocation::store::ChangeKind,
};
use std::time::Duration;

fn rotation(predecessor: &ApiKeyRecord, successor: ApiKeyRecord) -> Rotation {
    Rotation {
        predecessor: predecessor.id,
        version: predecessor.version,
        at: at(1000),
        predecessor_expires_at: at(2000),
        successor,
    }
}

async fn rotate(ports: &Ports, rotation: Rotation) -> Result<(), StoreError> {
    let event = event("api_key.rotate", rotation.predecessor.as_str());
    ports.keys.rotate(rotation, event).await
}

async fn revoke(ports: &Ports, id: &KeyId) -> Revoked {
    let event = event("api_key.revoke", id.as_str());
    ports.keys.revoke(id, None, at(500), RevocationReason::Leaked, event).await.unwrap()
}

async fn ids(ports: &Ports, query: ApiKeyQuery) -> (Vec<KeyId>, Option<String>) {
    let page = ports.keys.list(query).await.unwrap();
    (page.items.iter().map(|key| key.id).collect(), page.next)
}

pub async fn a_created_key_is_found_as_it_was(ports: Ports) {
    let owner = ports.owner(1).await;
    let plain = key(1, &owner);
    let full = ApiKeyRecord {
        environment: Environment::Test,
        prefix: "acme_test".into(),
        label: "mobile app, 2nd \u{e9}dition 'x' \"y\" $1".into(),
        digest: KeyDigest { pepper: u32::MAX, hash: [0xff; 32] },
        networks: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        limit: Some(RateLimit { quota: 100, window: Duration::from_millis(1500) }),
        plan: PlanName::parse("gold"),
        parents: vec![
            Node::new(NodeKind::ApiKey, "aaaaaaaaaaaa"),
            Node::new(NodeKind::Certificate, "an id: with spaces, \"quotes\" and : colons"),
        ],
        last_used_at: Some(at(7)),
        ..key(2, &owner)
    };
    let never = ApiKeyRecord { expires_at: None, scopes: scopes(""), ..key(3, &owner) };
    for record in [plain, full, never] {
        ports.create(&record).await;
        assert_eq!(ports.key(&record.id).await, record);
    }
    assert_eq!(ports.keys.find(&key_id(99)).await.unwrap(), None);
}

pub async fn a_taken_id_is_a_conflict(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    let other = ApiKeyRecord { label: "other".into(), ..key(1, &owner) };
    let refused = ports.keys.create(other, event("api_key.create", "again")).await;
    assert_eq!(refused, Err(StoreError::Conflict("key_exists")));
    assert_eq!(ports.key(&key_id(1)).await, key(1, &owner));
    assert_eq!(ports.trail("api_key.create").await.len(), 1);
}

pub async fn an_owner_who_is_gone_or_disabled_gets_no_key(ports: Ports) {
    let unknown = ports.keys.create(key(1, &service(9)), event("api_key.create", "x")).await;
    assert_eq!(unknown, Err(StoreError::Conflict("owner_unknown")));
    let owner = ports.owner(1).await;
    let disable = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
    let disabled = ports.principals.change(&owner.id, 1, disable, event("principal.disable", "x"));
    disabled.await.unwrap();
    let refused = ports.keys.create(key(1, &owner), event("api_key.create", "x")).await;
    assert_eq!(refused, Err(StoreError::Conflict("owner_unknown")));
    assert_eq!(ports.keys.find(&key_id(1)).await.unwrap(), None);
    assert_eq!(ports.trail("api_key.create").await, []);
}

pub async fn a_list_goes_on_where_it_stopped(ports: Ports) {
    let (one, two) = (ports.owner(1).await, ports.owner(2).await);
    // four made in one instant, so that the id decides
    for n in [3, 1, 4, 2] {
        ports.create(&ApiKeyRecord { created_at: at(0), ..key(n, &one) }).await;
    }
    ports.create(&key(5, &two)).await;
    for owner in [None, Some(one.id.clone())] {
        let mut seen = Vec::new();
        let mut after = None;
        for _ in 0..3 {
            let page = PageRequest { after, limit: 2 };
            let (some, next) =
                ids(&ports, ApiKeyQuery { owner: owner.clone(), page, ..ApiKeyQuery::default() }).await;
            seen.extend(some);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let last = if owner.is_some() { 4 } else { 5 };
        assert_eq!(seen, (1..=last).map(key_id).collect::<Vec<_>>());
        assert_eq!(after, None);
    }
}

pub async fn a_list_can_leave_out_what_is_over(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    ports.create(&ApiKeyRecord { expires_at: Some(at(100)), ..key(2, &owner) }).await;
    ports.create(&ApiKeyRecord { expires_at: None, ..key(3, &owner) }).await;
    ports.create(&key(4, &owner)).await;
    assert_eq!(revoke(&ports, &key_id(4)).await, Revoked::Now);
    let page = PageRequest { after: None, limit: 10 };
    for (usable_at, left) in
        [(None, vec![1, 2, 3, 4]), (Some(at(99)), vec![1, 2, 3]), (Some(at(100)), vec![1, 3])]
    {
        let query = ApiKeyQuery { usable_at, page: page.clone(), ..ApiKeyQuery::default() };
        assert_eq!(
            ids(&ports, query).await.0,
            left.into_iter().map(key_id).collect::<Vec<_>>(),
            "{usable_at:?}"
        );
    }
}

pub async fn a_list_is_sorted_and_goes_on_in_its_order(ports: Ports) {
    use KeySort::{CreatedAt, ExpiresAt, LastUsedAt};
    let owner = ports.owner(1).await;
    // two of each value, so that the id decides; 3 and 4 never end, 1 and 2 were never used
    for (n, created, expires, used) in [
        (1, 50, Some(900), None),
        (2, 40, Some(900), None),
        (3, 40, None, Some(70)),
        (4, 30, None, Some(70)),
        (5, 60, Some(800), Some(60)),
    ] {
        let times = (at(created), expires.map(at), used.map(at));
        let (created_at, expires_at, last_used_at) = times;
        ports.create(&ApiKeyRecord { created_at, expires_at, last_used_at, ..key(n, &owner) }).await;
    }
    for (sort, order) in
        [(CreatedAt, [4, 2, 3, 1, 5]), (ExpiresAt, [5, 1, 2, 3, 4]), (LastUsedAt, [1, 2, 5, 3, 4])]
    {
        for descending in [false, true] {
            let mut expected: Vec<KeyId> = order.map(key_id).to_vec();
            if descending {
                expected.reverse();
            }
            for limit in 1..=5 {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let page = PageRequest { after, limit };
                    let query = ApiKeyQuery {
                        owner: (limit % 2 == 0).then(|| owner.id.clone()),
                        sort,
                        descending,
                        page,
                        ..ApiKeyQuery::default()
                    };
                    let (some, next) = ids(&ports, query).await;
                    seen.extend(some);
                    after = next;
                    if after.is_none() || seen.len() > 5 {
                        break;
                    }
                }
                assert_eq!(seen, expected, "{sort:?} {descending} {limit}");
            }
        }
    }
}

pub async fn a_list_is_cut_to_what_is_asked_for(ports: Ports) {
    let owner = ports.owner(1).await;
    let label = |text: &str| text.to_owned();
    ports.create(&ApiKeyRecord { label: label("night 1"), ..key(1, &owner) }).await;
    let expires_at = Some(at(100));
    ports.create(&ApiKeyRecord { label: label("night%"), expires_at, ..key(2, &owner) }).await;
    let ends = ApiKeyRecord { expires_at: None, environment: Environment::Test, ..key(3, &owner) };
    ports.create(&ApiKeyRecord { label: label("\u{e9}t\u{e9}"), ..ends }).await;
    ports.create(&ApiKeyRecord { label: label("Night"), ..key(4, &owner) }).await;
    assert_eq!(revoke(&ports, &key_id(4)).await, Revoked::Now);
    let query = ApiKeyQuery::default;
    let labelled = |text: &str| ApiKeyQuery { label: Some(text.into()), ..query() };
    let standing = |is, second| ApiKeyQuery { standing: Some((is, at(second))), ..query() };
    let table = [
        (labelled("night"), vec![1, 2]),
        (labelled("night%"), vec![2]),
        (labelled("_"), vec![]),
        (labelled("\u{e9}t"), vec![3]),
        (labelled("\u{c3}"), vec![]),
        (standing(KeyStanding::Active, 99), vec![1, 2, 3]),
        (standing(KeyStanding::Active, 100), vec![1, 3]),
        (standing(KeyStanding::Expired, 100), vec![2]),
        (standing(KeyStanding::Revoked, 100), vec![4]),
        (standing(KeyStanding::Rotated, 100), vec![]),
        (ApiKeyQuery { environment: Some(Environment::Test), ..query() }, vec![3]),
        (ApiKeyQuery { expires_before: Some(at(100)), ..query() }, vec![]),
        (ApiKeyQuery { expires_before: Some(at(101)), ..query() }, vec![2]),
        (ApiKeyQuery { label: Some("night".into()), usable_at: Some(at(100)), ..query() }, vec![1]),
    ];
    for (query, left) in table {
        let left: Vec<KeyId> = left.into_iter().map(key_id).collect();
        assert_eq!(ids(&ports, query.clone()).await.0, left, "{query:?}");
    }
}

pub async fn a_cursor_of_another_make_is_refused(ports: Ports) {
    for after in [
        "",
        "x",
        "1",
        "1.",
        "1.short",
        ".k00000000001",
        "1.k00000000001.",
        "\0",
        "99999999999999999999.k00000000001",
    ] {
        let page = PageRequest { after: Some(after.into()), limit: 10 };
        let refused = ports.keys.list(ApiKeyQuery { page, ..ApiKeyQuery::default() }).await;
        assert_eq!(refused, Err(StoreError::Conflict("cursor_invalid")), "{after:?}");
    }
}

pub async fn a_rotation_leaves_predecessor_and_successor(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    rotate(&ports, rotation(&key(1, &owner), key(2, &owner))).await.unwrap();
    let expected = ApiKeyRecord {
        state: KeyState::Rotated { at: at(1000), successor: key_id(2) },
        expires_at: Some(at(2000)),
        version: 2,
        ..key(1, &owner)
    };
    assert_eq!(ports.key(&key_id(1)).await, expected);
    assert_eq!(ports.key(&key_id(2)).await, key(2, &owner));
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, &changes[0].node), (ChangeKind::Changed, &key_id(1).node()));
}

pub async fn a_rotation_is_guarded(ports: Ports) {
    let (owner, other) = (ports.owner(1).await, ports.owner(2).await);
    ports.create(&key(1, &owner)).await;
    ports.create(&ApiKeyRecord { expires_at: Some(at(1000)), ..key(3, &owner) }).await;
    let good = || rotation(&key(1, &owner), key(2, &owner));
    let guarded = [
        ("another version", Rotation { version: 2, ..good() }),
        ("no such key", Rotation { predecessor: key_id(9), ..good() }),
        ("expired", Rotation { predecessor: key_id(3), ..good() }),
        ("another's successor", rotation(&key(1, &owner), key(2, &other))),
    ];
    for (what, rotation) in guarded {
        assert_eq!(rotate(&ports, rotation).await, Err(StoreError::Conflict("key_changed")), "{what}");
    }
    rotate(&ports, good()).await.unwrap();
    let again = Rotation { version: 2, ..rotation(&key(1, &owner), key(4, &owner)) };
    assert_eq!(rotate(&ports, again).await, Err(StoreError::Conflict("key_changed")), "rotated before");
    assert_eq!(ports.trail("api_key.rotate").await.len(), 1);
}

pub async fn a_rotation_whose_successor_fails_leaves_nothing(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    ports.create(&key(2, &owner)).await;
    let refused = rotate(&ports, rotation(&key(1, &owner), key(2, &owner))).await;
    assert_eq!(refused, Err(StoreError::Conflict("key_exists")));
    assert_eq!(ports.key(&key_id(1)).await, key(1, &owner));
    assert_eq!(ports.changes().await, []);
    assert_eq!(ports.trail("api_key.rotate").await, []);
}

pub async fn of_fifty_rotations_at_once_one_wins(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    let results = fifty(|n| {
        let (ports, rotation) = (ports.clone(), rotation(&key(1, &owner), key(100 + n, &owner)));
        async move { rotate(&ports, rotation).await }
    });
    let results = results.await;
    let won: Vec<u32> = (0..50).filter(|n| results[*n as usize].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let lost = Err(StoreError::Conflict("key_changed"));
    assert_eq!(results.iter().filter(|r| **r == lost).count(), 49, "{results:?}");
    let successor = KeyState::Rotated { at: at(1000), successor: key_id(100 + won[0]) };
    assert_eq!(ports.key(&key_id(1)).await.state, successor);
    for n in 0..50 {
        let there = ports.keys.find(&key_id(100 + n)).await.unwrap().is_some();
        assert_eq!(there, n == won[0], "successor {n}");
    }
    assert_eq!(ports.changes().await.len(), 1);
    assert_eq!(ports.trail("api_key.rotate").await.len(), 1);
}

pub async fn a_revocation_happens_once(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    assert_eq!(revoke(&ports, &key_id(9)).await, Revoked::Unknown);
    assert_eq!(ports.changes().await, []);
    assert_eq!(revoke(&ports, &key_id(1)).await, Revoked::Now);
    assert_eq!(revoke(&ports, &key_id(1)).await, Revoked::Already);
    let state = KeyState::Revoked { at: at(500), reason: RevocationReason::Leaked };
    assert_eq!(ports.key(&key_id(1)).await, ApiKeyRecord { state, version: 2, ..key(1, &owner) });
    let changes = ports.changes().await;
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].kind, &changes[0].node), (ChangeKind::Revoked, &key_id(1).node()));
    assert_eq!(ports.trail("api_key.revoke").await.len(), 1);
}

pub async fn a_revocation_is_guarded_where_a_version_is_given(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    let at_version = async |version| {
        let event = event("api_key.revoke", key_id(1).as_str());
        ports
            .keys
            .revoke(&key_id(1), Some(version), at(500), RevocationReason::Operator, event)
            .await
            .unwrap()
    };
    assert_eq!(at_version(2).await, Revoked::Changed);
    assert_eq!(ports.key(&key_id(1)).await, key(1, &owner));
    assert_eq!((ports.changes().await.len(), ports.trail("api_key.revoke").await.len()), (0, 0));
    assert_eq!(at_version(1).await, Revoked::Now);
    assert_eq!(at_version(1).await, Revoked::Changed);
    assert_eq!(at_version(2).await, Revoked::Already);
}

pub async fn of_fifty_revocations_at_once_one_writes(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    let results = fifty(|_| {
        let ports = ports.clone();
        async move { revoke(&ports, &key_id(1)).await }
    });
    let results = results.await;
    assert_eq!(results.iter().filter(|r| **r == Revoked::Now).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|r| **r == Revoked::Already).count(), 49, "{results:?}");
    assert_eq!(ports.changes().await.len(), 1);
    assert_eq!(ports.trail("api_key.revoke").await.len(), 1);
}

pub async fn a_revoked_key_is_not_rotated(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(1, &owner)).await;
    revoke(&ports, &key_id(1)).await;
    let refused = rotate(&ports, Rotation { version: 2, ..rotation(&key(1, &owner), key(2, &owner)) }).await;
    assert_eq!(refused, Err(StoreError::Conflict("key_changed")));
    // a rotated one is still revoked, within its grace
    ports.create(&key(3, &owner)).await;
    rotate(&ports, rotation(&key(3, &owner), key(4, &owner))).await.unwrap();
    assert_eq!(revoke(&ports, &key_id(3)).await, Revoked::Now);
}

pub async fn last_use_only_moves_forward(ports: Ports) {
    let owner = ports.owner(1).await;
    let many: Vec<u32> = (1..=300).collect();
    for n in &many {
        ports.create(&key(*n, &owner)).await;
    }
    let last_used = |n| {
        let ports = ports.clone();
        async move { ports.key(&key_id(n)).await.last_used_at }
    };
    let all: Vec<(KeyId, Timestamp)> = many.iter().map(|n| (key_id(*n), at(10))).collect();
    ports.keys.used(all).await.unwrap();
    assert_eq!((last_used(1).await, last_used(300).await), (Some(at(10)), Some(at(10))));
    let mixed = vec![(key_id(1), at(5)), (key_id(2), at(20)), (key_id(2), at(15)), (key_id(999), at(20))];
    ports.keys.used(mixed).await.unwrap();
    assert_eq!((last_used(1).await, last_used(2).await), (Some(at(10)), Some(at(20))));
    // no state that a guard looks at
    assert_eq!(ports.key(&key_id(1)).await.version, 1);
    ports.keys.used(Vec::new()).await.unwrap();
}

fn imported(n: u32, owner: &Principal) -> ApiKeyRecord {
    let lookup = Lookup([u8::try_from(n).unwrap(); 32]);
    let origin = Origin::Imported { lookup, covers: Covers::Sha256 };
    ApiKeyRecord { origin, prefix: String::new(), ..key(n, owner) }
}

async fn import(ports: &Ports, keys: &[ApiKeyRecord]) -> Result<(), StoreError> {
    let keys = keys.iter().map(|key| (key.clone(), event("api_key.import", key.id.as_str()))).collect();
    ports.keys.import(keys).await
}

pub async fn an_imported_key_is_found_by_its_lookup(ports: Ports) {
    let owner = ports.owner(1).await;
    ports.create(&key(9, &owner)).await;
    let keys = [imported(1, &owner), imported(2, &owner)];
    import(&ports, &keys).await.unwrap();
    assert_eq!(ports.key(&key_id(1)).await, keys[0]);
    assert_eq!(ports.trail("api_key.import").await.len(), 2);
    let found = |lookups: &[u8]| {
        let lookups = lookups.iter().map(|n| Lookup([*n; 32])).collect();
        async {
            ports.keys.find_imported(lookups).await.unwrap().into_iter().map(|r| r.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(found(&[2]).await, [key_id(2)]);
    assert_eq!(found(&[7, 1, 2]).await.len(), 2);
    assert_eq!(found(&[9]).await, []);
    assert_eq!(found(&[]).await, []);
}

pub async fn imported_keys_are_all_there_or_none(ports: Ports) {
    let owner = ports.owner(1).await;
    import(&ports, &[imported(1, &owner)]).await.unwrap();
    let same_value = ApiKeyRecord { id: key_id(3), ..imported(1, &owner) };
    let same_id = ApiKeyRecord { id: key_id(1), ..imported(3, &owner) };
    for taken in [same_value, same_id] {
        let refused = import(&ports, &[imported(2, &owner), taken]).await;
        assert_eq!(refused, Err(StoreError::Conflict("key_exists")));
        assert_eq!(ports.keys.find(&key_id(2)).await.unwrap(), None);
    }
    assert_eq!(ports.trail("api_key.import").await.len(), 1);
}

pub async fn an_imported_key_is_upgraded_once(ports: Ports) {
    let owner = ports.owner(1).await;
    let key = imported(1, &owner);
    import(&ports, std::slice::from_ref(&key)).await.unwrap();
    let digest = KeyDigest { pepper: 2, hash: [8; 32] };
    let lookup = Lookup([9; 32]);
    let upgrade = Upgrade { id: key.id, was: key.digest.clone(), digest: digest.clone(), lookup };
    ports.keys.upgrade(upgrade.clone(), event("api_key.upgrade", "x")).await.unwrap();
    let origin = Origin::Imported { lookup, covers: Covers::Value };
    assert_eq!(ports.key(&key.id).await, ApiKeyRecord { digest, origin, ..key.clone() });
    assert_eq!(ports.keys.find_imported(vec![Lookup([1; 32])]).await.unwrap(), []);
    // what it was is gone: whoever comes second changes nothing, and says nothing
    let late = Upgrade { digest: KeyDigest { pepper: 3, hash: [7; 32] }, ..upgrade };
    ports.keys.upgrade(late, event("api_key.upgrade", "x")).await.unwrap();
    assert_eq!(ports.key(&key.id).await.digest.pepper, 2);
    assert_eq!(ports.trail("api_key.upgrade").await.len(), 1);
}

// RULES 4.3
pub async fn peppers_of_usable_keys_are_named(ports: Ports) {
    let owner = ports.owner(1).await;
    let with = |n, pepper| ApiKeyRecord { digest: KeyDigest { pepper, hash: [1; 32] }, ..key(n, &owner) };
    assert_eq!(ports.keys.peppers(at(0)).await.unwrap(), Vec::<u32>::new());
    ports.create(&with(1, 7)).await;
    ports.create(&with(2, 7)).await;
    ports.create(&ApiKeyRecord { expires_at: Some(at(100)), ..with(3, 2) }).await;
    ports.create(&ApiKeyRecord { expires_at: None, ..with(4, 3) }).await;
    ports.create(&with(5, 5)).await;
    revoke(&ports, &key_id(5)).await;
    assert_eq!(ports.keys.peppers(at(99)).await.unwrap(), [2, 3, 7]);
    assert_eq!(ports.keys.peppers(at(100)).await.unwrap(), [3, 7]);
}
