//! The room and its halls under the real judgement: what a key's life means to a request, and what the memory of
//! changes means to the verified-credential cache.
#![expect(clippy::unwrap_used, reason = "what cannot go on must stop the test")]

use countersign_core::{
    Authenticator, MethodName, Node, NodeKind, Noted, ScopeSet, Timestamp,
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Permit},
        request::{CheckRequest, Peer, Transport},
        revocation::Position,
        route::{Alternative, Route, RouteTable, SecurityRequirement},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey, SystemEntropy,
    token::digest::{Pepper, Peppers},
};
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator,
        config::ApiKeyConfig,
        issue::{ApiKeyIssuer, Lifetime, NewKey, Rotate},
        record::{ApiKeyRecord, RevocationReason},
        uses::Uses,
    },
    principal::{
        caller::Caller,
        directory::LocalDirectory,
        issue::{NewPrincipal, PrincipalIssuer},
        store::PrincipalChange,
    },
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind},
    },
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryStore, SeededEntropy, StaticRoutes};
use http::{HeaderMap, HeaderValue, Method, uri::PathAndQuery};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

struct House {
    point: DecisionPoint,
    keys: ApiKeyIssuer,
    principals: PrincipalIssuer,
    memory: Arc<ChangeMemory>,
    clock: Arc<ManualClock>,
    uses: Arc<Uses>,
    demo: Principal,
}

impl House {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let memory = Arc::new(ChangeMemory::new(directory.clone(), DAY * 1000, &SeededEntropy::new(3)));
        store.tell(Arc::downgrade(&memory));
        let clock = Arc::new(ManualClock::default());
        memory.heard(now(&clock));
        let entropy = Arc::new(SystemEntropy);
        let peppers = Arc::new(Peppers::new(Pepper::new(1, &[1; 32]).unwrap(), Vec::new()).unwrap());
        let (config, uses) = (ApiKeyConfig::default(), Arc::new(Uses::default()));
        let fingerprint = Arc::new(FingerprintKey::new(&*entropy));
        let room = ApiKeyAuthenticator::new(
            store.clone(),
            peppers.clone(),
            config.clone(),
            fingerprint,
            (uses.clone(), Arc::default()),
        );
        let rooms: Vec<Arc<dyn Authenticator>> = vec![Arc::new(room.unwrap())];
        let keys = ApiKeyIssuer::new(
            store.clone(),
            store.clone(),
            peppers,
            config,
            Vec::new().into(),
            entropy.clone(),
        );
        let principals = PrincipalIssuer::new(store, entropy);
        let needs = |scope: &str| {
            let needed = vec![(MethodName::ApiKey, ScopeSet::parse(scope).unwrap())];
            SecurityRequirement::AnyOf(vec![Alternative(needed)])
        };
        let routes = vec![
            Route::new("/orders/{id}", "up", needs("orders:read")),
            Route::new("/orders", "up", needs("orders:write")),
        ];
        let table = RouteTable::new(routes, &rooms).unwrap();
        let point = DecisionPoint::new(Parts {
            routes: Arc::new(StaticRoutes::new(table)),
            authenticators: rooms,
            feed: memory.clone(),
            directory,
            counter: Arc::new(MemoryCounter::default()),
            clock: clock.clone(),
            settings: Settings::default(),
        });
        let new = NewPrincipal {
            kind: PrincipalKind::Service,
            name: PrincipalName::parse("demo").unwrap(),
            scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
            groups: Vec::new(),
        };
        let demo = principals.create(new, &Caller::host(), now(&clock)).await.unwrap();
        Self { point, keys: keys.unwrap(), principals, memory, clock, uses, demo }
    }

    fn now(&self) -> Timestamp {
        now(&self.clock)
    }

    /// And the store goes on being heard.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.heard(self.now());
    }

    async fn key(&self, scopes: &str) -> (ApiKeyRecord, String) {
        let new = NewKey {
            owner: self.demo.id.clone(),
            label: String::new(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            lifetime: Lifetime::Default,
            networks: Vec::new(),
            limit: None,
            plan: None,
        };
        let (record, secret) = self.keys.create(new, &Caller::host(), self.now()).await.unwrap().reveal();
        (record, secret.expose().to_string())
    }

    /// `None`: allowed.
    async fn ask(&self, target: &'static str, key: &str) -> Option<(u16, &'static str)> {
        self.check(target, key).await.err()
    }

    async fn check(&self, target: &'static str, key: &str) -> Result<Permit, (u16, &'static str)> {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::try_from(key).unwrap());
        let request = CheckRequest {
            method: &Method::GET,
            authority: "api.example",
            target: &PathAndQuery::from_static(target),
            headers: &headers,
            peer: Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls },
        };
        match self.point.check(&request).await {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(denial) => Err((denial.kind.status().as_u16(), denial.code)),
        }
    }

    async fn change(&self, change: PrincipalChange) {
        let host = Caller::host();
        self.principals.change(&self.demo.id, None, change, &host, self.now()).await.unwrap();
    }
}

fn now(clock: &ManualClock) -> Timestamp {
    countersign_core::Clock::now(clock)
}

/// Twice each: once looked up, once from the cache.
#[tokio::test]
async fn a_key_opens_what_its_scopes_allow() {
    let house = House::new().await;
    let (record, key) = house.key("orders:read").await;
    for _ in 0..2 {
        assert_eq!(house.ask("/orders/1", "cs_live_rubbish").await, Some((401, "credential_invalid")));
        assert_eq!(house.ask("/orders", &key).await, Some((403, "scope_missing")));
        assert_eq!(house.ask("/orders/1", &key).await, None);
    }
    assert_eq!(house.uses.take(), [(record.id, house.now())]);
}

/// What every request would write is written now and then: a date, not a count.
#[tokio::test]
async fn a_use_is_noted_once_in_a_while() {
    let house = House::new().await;
    let (record, key) = house.key("orders:read").await;
    let used = async || {
        assert_eq!(house.ask("/orders/1", &key).await, None);
        house.uses.take()
    };
    assert_eq!(used().await, [(record.id, house.now())]);
    assert_eq!(used().await, []);
    house.advance(Noted::EVERY - Duration::from_micros(1));
    assert_eq!(used().await, []);
    house.advance(Duration::from_micros(1));
    assert_eq!(used().await, [(record.id, house.now())]);
    // the clock was set back
    house.clock.set(record.created_at);
    house.advance(Duration::from_secs(5));
    assert_eq!(used().await, [(record.id, house.now())]);
}

/// RULES 2.5: a cached yes does not outlive the key.
#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let house = House::new().await;
    let (record, key) = house.key("orders:read").await;
    assert_eq!(house.ask("/orders/1", &key).await, None);
    let host = Caller::host();
    house.keys.revoke(&record.id, None, RevocationReason::Operator, &host, house.now()).await.unwrap();
    assert_eq!(house.ask("/orders/1", &key).await, Some((401, "key_revoked")));
}

/// RULES 2.5: another process revoked just before we wrote something else, and we hear of it after a request went by.
#[tokio::test]
async fn a_revocation_that_comes_late_is_not_lost() {
    let house = House::new().await;
    let (record, key) = house.key("orders:read").await;
    let at = house.memory.position().0;
    let change = |position: i64, kind, node| {
        let position = Position(position);
        Change { position, kind, node, at: Timestamp::EPOCH, until: None }
    };
    assert_eq!(house.ask("/orders/1", &key).await, None);
    let ours = change(at + 2, ChangeKind::Changed, Node::new(NodeKind::ApiKey, "another00000"));
    house.memory.apply(&[ours], house.now());
    assert_eq!(house.ask("/orders/1", &key).await, None, "looked at, and found whole, at our own position");
    house.memory.apply(&[change(at + 1, ChangeKind::Revoked, record.id.node())], house.now());
    assert_eq!(house.ask("/orders/1", &key).await, Some((401, "key_revoked")));
}

/// Disabling a principal stops all its credentials at once; and scopes are taken at every use.
#[tokio::test]
async fn a_cached_yes_follows_the_owner() {
    let house = House::new().await;
    let (_, key) = house.key("orders:read").await;
    assert_eq!(house.ask("/orders/1", &key).await, None);
    house.change(PrincipalChange { scopes: ScopeSet::parse("orders:write"), ..Default::default() }).await;
    assert_eq!(house.ask("/orders/1", &key).await, Some((403, "scope_missing")));
    house.change(PrincipalChange { scopes: ScopeSet::parse("orders:read"), ..Default::default() }).await;
    assert_eq!(house.ask("/orders/1", &key).await, None);
    house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
    assert_eq!(house.ask("/orders/1", &key).await, Some((401, "credential_invalid")));
    house.change(PrincipalChange { enabled: Some(true), ..Default::default() }).await;
    assert_eq!(house.ask("/orders/1", &key).await, None);
}

/// Rotation with overlap, and expiry, judged also where the answer is cached.
#[tokio::test]
async fn rotation_overlaps_and_ends() {
    let house = House::new().await;
    let (record, old) = house.key("orders:read").await;
    assert_eq!(house.ask("/orders/1", &old).await, None);
    let host = Caller::host();
    let rotation =
        house.keys.rotate(&record.id, Rotate { grace: DAY, ..Rotate::default() }, &host, house.now()).await;
    let (_, new) = rotation.unwrap().reveal();
    for key in [&old, new.expose()] {
        assert_eq!(house.ask("/orders/1", key).await, None);
    }
    house.advance(DAY - Duration::from_micros(1));
    assert_eq!(house.ask("/orders/1", &old).await, None);
    house.advance(Duration::from_micros(1));
    assert_eq!(house.ask("/orders/1", &old).await, Some((401, "key_expired")));
    assert_eq!(house.ask("/orders/1", new.expose()).await, None);
    house.advance(DAY * 90);
    assert_eq!(house.ask("/orders/1", new.expose()).await, Some((401, "key_expired")));
}

/// A stream that was begun before a rotation ends with the grace, and one that was begun with what came of it does not.
#[tokio::test]
async fn what_was_begun_with_a_key_ends_with_it() {
    let house = House::new().await;
    let (record, old) = house.key("orders:read").await;
    let permit = house.check("/orders/1", &old).await.unwrap();
    let host = Caller::host();
    let rotate = Rotate { grace: DAY, ..Rotate::default() };
    let (_, new) = house.keys.rotate(&record.id, rotate, &host, house.now()).await.unwrap().reveal();
    let successor = house.check("/orders/1", new.expose()).await.unwrap();
    house.advance(DAY - Duration::from_micros(1));
    assert!(house.point.stands(&permit).await);
    house.advance(Duration::from_micros(1));
    assert!(!house.point.stands(&permit).await);
    assert!(house.point.stands(&successor).await);
    // its own end needs no store
    house.advance(DAY * 90);
    assert!(!house.point.stands(&successor).await);
}
