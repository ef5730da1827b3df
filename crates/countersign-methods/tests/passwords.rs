//! The room of Basic and that of keys under the real judgement: what a password's life means to a request, what is hashed and
//! what is not, and two credentials in one request.
#![expect(clippy::unwrap_used, reason = "what cannot go on must stop the test")]

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Authenticator, BoxFuture, Clock, MethodName, MethodRule, RequestId, ScopeSet, Timestamp,
    check::{
        DecisionPoint, Parts, Settings,
        decision::Decision,
        request::{CheckRequest, Peer, Transport},
        route::{Alternative, Route, RouteTable, SecurityRequirement},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey, SystemEntropy,
    password::{Argon2Parameters, HashPool, PasswordHash, PoolLimits, hash},
    token::digest::{Pepper, Peppers},
};
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator,
        config::ApiKeyConfig,
        foreign::Brought,
        issue::{
            ApiKeyIssuer, Lifetime, NewKey,
            import::{ForeignKey, Import},
        },
    },
    basic::{
        app_password::AppPasswordRecord,
        authenticator::{BasicAuthenticator, Parts as BasicParts},
        config::BasicConfig,
        issue::{
            BasicIssuer,
            app_password::NewAppPassword,
            import::{ForeignPerson, ImportPeople},
        },
        record::PasswordRecord,
        store::BasicStore,
    },
    password::{
        Pause,
        breached::CommonPasswords,
        throttle::{SourceNetwork, Throttle, ThrottleSettings},
    },
    principal::{
        caller::Caller,
        directory::LocalDirectory,
        issue::{NewPrincipal, PrincipalIssuer},
        store::PrincipalChange,
    },
    revocation::memory::ChangeMemory,
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryStore, SeededEntropy, StaticRoutes};
use futures_util::{FutureExt, future::join_all};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{
    net::IpAddr,
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DAY: Duration = Duration::from_secs(86_400);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const RIGHT: &str = "verdant kettle orbits mildly";
const WRONG: &str = "verdant kettle orbits wildly";
const NEW: &str = "nine otters borrow umbrellas";

/// Nobody is kept waiting here; how long is the room's own test.
#[derive(Debug)]
struct Hurry;

impl Pause for Hurry {
    fn pause(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

struct House {
    point: DecisionPoint,
    store: Arc<MemoryStore>,
    pool: Arc<HashPool<SourceNetwork>>,
    passwords: BasicIssuer,
    keys: ApiKeyIssuer,
    principals: PrincipalIssuer,
    memory: Arc<ChangeMemory>,
    clock: Arc<ManualClock>,
    alice: Principal,
    asked: AtomicU64,
}

/// By which methods, or status and code.
type Told = Result<Vec<MethodName>, (u16, &'static str)>;

const BASIC: &[MethodName] = &[MethodName::Basic];
const KEY: &[MethodName] = &[MethodName::ApiKey];
const INVALID: Told = Err((401, "credential_invalid"));

fn by(methods: &[MethodName]) -> Told {
    Ok(methods.to_vec())
}

fn cheap() -> Argon2Parameters {
    Argon2Parameters::new(8192, 1, 1).unwrap()
}

fn made(password: &str) -> PasswordHash {
    hash(password.as_bytes(), &cheap(), &SystemEntropy).unwrap()
}

fn routes() -> Vec<Route> {
    let read = || ScopeSet::parse("orders:read").unwrap();
    let needs = |alternatives: &[&[MethodName]]| {
        let all_of = |methods: &&[MethodName]| Alternative(methods.iter().map(|m| (*m, read())).collect());
        SecurityRequirement::AnyOf(alternatives.iter().map(all_of).collect())
    };
    let rule = || MethodRule { keys_as_passwords: true, ..MethodRule::DEFAULT };
    let takes_keys = |route: Route| Route {
        presentation: vec![(MethodName::ApiKey, rule()), (MethodName::Basic, rule())],
        ..route
    };
    use MethodName::{ApiKey, Basic};
    vec![
        Route::new("/basic", "up", needs(&[&[Basic]])),
        Route::new("/apart", "up", needs(&[&[Basic], &[ApiKey]])),
        Route::new("/both", "up", needs(&[&[Basic, ApiKey]])),
        takes_keys(Route::new("/either", "up", needs(&[&[Basic], &[ApiKey]]))),
        takes_keys(Route::new("/key", "up", needs(&[&[ApiKey]]))),
    ]
}

impl House {
    /// Alice has `RIGHT`.
    async fn new() -> Self {
        Self::with(ApiKeyConfig::default()).await
    }

    async fn with(config: ApiKeyConfig) -> Self {
        let store = Arc::new(MemoryStore::new());
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let memory = Arc::new(ChangeMemory::new(directory.clone(), DAY * 1000, &SeededEntropy::new(3)));
        store.tell(Arc::downgrade(&memory));
        let clock = Arc::new(ManualClock::default());
        memory.heard(clock.now());
        let entropy = Arc::new(SystemEntropy);
        let peppers = Arc::new(Peppers::new(Pepper::new(1, &[1; 32]).unwrap(), Vec::new()).unwrap());
        let fingerprint = Arc::new(FingerprintKey::new(&*entropy));
        let many = NonZeroUsize::new(64).unwrap();
        let limits = PoolLimits { threads: NonZeroUsize::MIN, waiting: many, waiting_per_key: many };
        let pool = Arc::new(HashPool::new(limits).unwrap());
        let parts = BasicParts {
            store: store.clone(),
            peppers: peppers.clone(),
            pool: pool.clone(),
            throttle: Arc::new(Throttle::new(ThrottleSettings::default(), FingerprintKey::new(&*entropy))),
            fingerprint: fingerprint.clone(),
            entropy: entropy.clone(),
            clock: clock.clone(),
            pause: Arc::new(Hurry),
            uses: Arc::default(),
            exposures: Arc::default(),
            config: BasicConfig { argon2: cheap(), ..BasicConfig::default() },
        };
        let basic = Arc::new(BasicAuthenticator::new(parts.clone()).unwrap());
        let passwords =
            BasicIssuer::new(parts, store.clone(), basic.clone(), Arc::new(CommonPasswords)).unwrap();
        let key_room = ApiKeyAuthenticator::new(
            store.clone(),
            peppers.clone(),
            config.clone(),
            fingerprint,
            (Arc::default(), Arc::default()),
        );
        let keys =
            ApiKeyIssuer::new(store.clone(), store.clone(), peppers, config, [].into(), entropy.clone());
        let rooms: Vec<Arc<dyn Authenticator>> = vec![basic, Arc::new(key_room.unwrap())];
        let principals = PrincipalIssuer::new(store.clone(), entropy);
        let point = DecisionPoint::new(Parts {
            routes: Arc::new(StaticRoutes::new(RouteTable::new(routes(), &rooms).unwrap())),
            authenticators: rooms,
            feed: memory.clone(),
            directory,
            counter: Arc::new(MemoryCounter::default()),
            clock: clock.clone(),
            settings: Settings::default(),
        });
        let new = person("alice");
        let alice = principals.create(new, &Caller::host(), clock.now()).await.unwrap();
        let (keys, asked) = (keys.unwrap(), AtomicU64::new(0));
        let house = Self { point, store, pool, passwords, keys, principals, memory, clock, alice, asked };
        house.give(&house.alice, RIGHT).await;
        house
    }

    /// Past the issuer, so that nothing is hashed on the pool and no policy asked.
    async fn give(&self, owner: &Principal, password: &str) {
        self.replace(owner, None, made(password)).await;
    }

    async fn replace(&self, owner: &Principal, replaces: Option<i64>, hash: PasswordHash) {
        let (now, principal) = (self.clock.now(), owner.id.clone());
        let version = replaces.map_or(now.as_micros(), |version| version + 1);
        let record = PasswordRecord { principal, hash, normal: 1, version, set_at: now };
        self.store.set_password(record, replaces, event(now)).await.unwrap();
    }

    async fn another(&self, name: &str, password: &str) -> Principal {
        let host = Caller::host();
        let made = self.principals.create(person(name), &host, self.clock.now()).await.unwrap();
        self.give(&made, password).await;
        made
    }

    async fn app_password(&self, lifetime: Duration) -> (AppPasswordRecord, String) {
        let new = NewAppPassword {
            owner: self.alice.id.clone(),
            service: "mail".into(),
            scopes: ScopeSet::parse("orders:read").unwrap(),
            lifetime: Some(lifetime),
        };
        let made = self.passwords.create_app_password(new, &Caller::host(), self.clock.now()).await.unwrap();
        let (record, secret) = made.reveal();
        (record, secret.expose().to_owned())
    }

    fn new_key(&self) -> NewKey {
        NewKey {
            owner: self.alice.id.clone(),
            label: String::new(),
            scopes: ScopeSet::parse("orders:read").unwrap(),
            lifetime: Lifetime::Default,
            networks: Vec::new(),
            limit: None,
            plan: None,
        }
    }

    async fn key(&self) -> String {
        let made = self.keys.create(self.new_key(), &Caller::host(), self.clock.now()).await.unwrap();
        made.reveal().1.expose().to_owned()
    }

    async fn ask(&self, target: &'static str, user: &str, password: &str) -> Told {
        self.ask_with(Method::GET, target, &[("authorization", &basic(user, password))]).await
    }

    async fn ask_from(&self, from: IpAddr, user: &str, password: &str) -> Told {
        self.ask_all(from, Method::GET, "/basic", &[("authorization", &basic(user, password))]).await
    }

    async fn ask_with(&self, method: Method, target: &'static str, fields: &[(&str, &str)]) -> Told {
        self.ask_all(HOME, method, target, fields).await
    }

    async fn ask_all(
        &self,
        from: IpAddr,
        method: Method,
        target: &'static str,
        fields: &[(&str, &str)],
    ) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        let request = CheckRequest {
            method: &method,
            authority: "api.example",
            target: &PathAndQuery::from_static(target),
            headers: &headers,
            peer: Peer { address: from, transport: Transport::Tls },
        };
        match self.point.check(&request).await {
            Decision::Allow(permit) => {
                let known = permit.subject().into_iter().chain(permit.actors());
                Ok(known.map(|known| known.authentication.method).collect())
            }
            Decision::Deny(denial) => Err((denial.kind.status().as_u16(), denial.code)),
        }
    }

    async fn change(&self, change: PrincipalChange) {
        let now = self.clock.now();
        self.principals.change(&self.alice.id, None, change, &Caller::host(), now).await.unwrap();
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.heard(self.clock.now());
    }

    /// How many hashes were worked on, once all that was asked for is done: there is one thread.
    async fn hashed(&self) -> u64 {
        let pool = self.pool.clone();
        let counting = self.pool.submit(HOME.into(), move || pool.counts().done).unwrap();
        counting.await.unwrap() - self.asked.fetch_add(1, Ordering::Relaxed)
    }
}

fn person(name: &str) -> NewPrincipal {
    NewPrincipal {
        kind: PrincipalKind::User,
        name: PrincipalName::parse(name).unwrap(),
        scopes: ScopeSet::parse("orders:read").unwrap(),
        groups: Vec::new(),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn event(at: Timestamp) -> countersign_core::audit::AuditEvent {
    countersign_core::audit::AuditEvent {
        at,
        actor: countersign_core::audit::Actor::Host,
        action: "password.set",
        subject: String::new(),
        source: None,
        request: None,
        detail: Vec::new(),
        once: None,
    }
}

/// RULES 1.1: hashed once, remembered for a minute, and hashed again.
#[tokio::test]
async fn a_password_is_hashed_once() {
    let house = House::new().await;
    for _ in 0..5 {
        assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    }
    assert_eq!(house.hashed().await, 1);
    assert_eq!(house.ask("/basic", "alice", WRONG).await, INVALID);
    assert_eq!(house.ask("/basic", "alice", WRONG).await, INVALID, "and no refusal is remembered");
    assert_eq!(house.hashed().await, 3);
    house.advance(Duration::from_secs(60));
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    assert_eq!(house.hashed().await, 4);
}

/// RULES 2.5: a cached yes does not outlive the password.
#[tokio::test]
async fn a_cached_yes_follows_the_password() {
    let house = House::new().await;
    let (host, request) = (Caller::host(), RequestId([0; 16]));
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    let changed =
        house.passwords.change_password("alice", (RIGHT, NEW), HOME, request, house.clock.now()).await;
    changed.unwrap();
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, INVALID);
    assert_eq!(house.ask("/basic", "alice", NEW).await, by(BASIC));
    house.passwords.set_password(&house.alice.id, (RIGHT, None), &host, house.clock.now()).await.unwrap();
    assert_eq!(house.ask("/basic", "alice", NEW).await, INVALID);
    // the same text again is another password: what hung on the first stays dead, and this one is good
    house.advance(Duration::from_secs(61));
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    house.passwords.remove_password(&house.alice.id, None, &host, house.clock.now()).await.unwrap();
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, INVALID);
}

/// The same text set again while the old answer is remembered: the person is not shut out for a minute.
#[tokio::test]
async fn the_same_password_set_again_is_good_at_once() {
    let house = House::new().await;
    let host = Caller::host();
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    house.passwords.set_password(&house.alice.id, (RIGHT, None), &host, house.clock.now()).await.unwrap();
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
}

#[tokio::test]
async fn a_cached_yes_follows_the_owner() {
    let house = House::new().await;
    let (_, app_password) = house.app_password(DAY).await;
    for password in [RIGHT, &app_password] {
        let ask = || house.ask("/basic", "alice", password);
        assert_eq!(ask().await, by(BASIC));
        house.change(PrincipalChange { scopes: ScopeSet::parse("other"), ..Default::default() }).await;
        assert_eq!(ask().await, Err((403, "scope_missing")));
        house.change(PrincipalChange { scopes: ScopeSet::parse("orders:read"), ..Default::default() }).await;
        assert_eq!(ask().await, by(BASIC));
        house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
        assert_eq!(ask().await, INVALID);
        house.change(PrincipalChange { enabled: Some(true), ..Default::default() }).await;
        assert_eq!(ask().await, by(BASIC));
    }
}

/// An app password that is over says so, cached or not; a person's own end is nobody's business.
#[tokio::test]
async fn app_passwords_end() {
    let house = House::new().await;
    let (record, secret) = house.app_password(DAY).await;
    let (_, short) = house.app_password(Duration::from_secs(10)).await;
    for password in [&secret, &short] {
        assert_eq!(house.ask("/basic", "alice", password).await, by(BASIC));
        assert_eq!(house.ask("/basic", "bob", password).await, INVALID);
    }
    house.advance(Duration::from_secs(10));
    assert_eq!(house.ask("/basic", "alice", &short).await, Err((401, "app_password_expired")), "cached");
    assert_eq!(house.ask("/basic", "Alice", &short).await, Err((401, "app_password_expired")), "looked up");
    house.passwords.revoke_app_password(&record.id, &Caller::host(), house.clock.now()).await.unwrap();
    assert_eq!(house.ask("/basic", "alice", &secret).await, Err((401, "app_password_revoked")), "cached");
    assert_eq!(house.ask("/basic", "Alice", &secret).await, Err((401, "app_password_revoked")), "looked up");
    assert_eq!(house.hashed().await, 0);
}

/// RULES 1.1, 1.2: fifty first requests at once are one hash.
#[tokio::test]
async fn first_requests_are_one_hash() {
    let house = House::new().await;
    let answers = join_all((0..50).map(|_| house.ask("/basic", "alice", RIGHT))).await;
    assert!(answers.into_iter().all(|answer| answer == by(BASIC)));
    assert_eq!(house.hashed().await, 1);
}

/// RULES 5.1: fifty guesses at once are no more than one after the other.
#[tokio::test]
async fn guesses_at_once_are_counted() {
    let house = House::new().await;
    let guesses: Vec<String> = (0..50).map(|n| format!("{WRONG} {n}")).collect();
    for distinct in [true, false] {
        let guess = |n: usize| if distinct { guesses[n].as_str() } else { WRONG };
        let answers = join_all((0..50).map(|n| house.ask("/basic", "alice", guess(n)))).await;
        assert!(
            answers.into_iter().all(|answer| answer == INVALID || answer == Err((429, "too_many_failures")))
        );
    }
    assert_eq!(house.hashed().await, 5);
}

/// Whoever guesses at a person from their own network does not end what is remembered of them (RULES 2.4).
#[tokio::test]
async fn a_cached_yes_survives_a_neighbours_guesses() {
    let house = House::new().await;
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    for n in 0..100 {
        assert!(house.ask("/basic", "alice", &format!("{WRONG} {n}")).await.is_err());
        assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    }
}

/// RULES 1.2: the password changed while the old one was hashed.
#[tokio::test]
async fn changed_while_it_is_hashed() {
    let house = House::new().await;
    let (open, shut) = std::sync::mpsc::channel::<()>();
    let elsewhere = IpAddr::from([203, 0, 113, 1]);
    let held = house.pool.submit(elsewhere.into(), move || shut.recv()).unwrap();
    let mut asking = pin!(house.ask("/basic", "alice", RIGHT));
    assert!(asking.as_mut().now_or_never().is_none(), "it waits for its hash");
    let version = house.store.find_password(&house.alice.id).await.unwrap().unwrap().version;
    house.replace(&house.alice, Some(version), made(NEW)).await;
    open.send(()).unwrap();
    held.await.unwrap().unwrap();
    assert_eq!(asking.await, INVALID);
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, INVALID);
    assert_eq!(house.ask("/basic", "alice", NEW).await, by(BASIC));
}

/// RULES 1.1: user `a` with `b...` is not user `ab` with `...`, also where one of them is remembered.
#[tokio::test]
async fn the_colon_stands_where_it_stands() {
    let house = House::new().await;
    house.another("a", &format!("b{RIGHT}")).await;
    house.another("ab", NEW).await;
    assert_eq!(house.ask("/basic", "a", &format!("b{RIGHT}")).await, by(BASIC));
    assert_eq!(house.ask("/basic", "ab", RIGHT).await, INVALID);
    assert_eq!(house.ask("/basic", "a", &format!(":b{RIGHT}")).await, INVALID);
    assert_eq!(house.ask("/basic", "", &format!("ab{RIGHT}")).await, INVALID);
}

/// RULES 5.2: the better hash ends no session, and is made once.
#[tokio::test]
async fn an_imported_hash_is_replaced_behind_a_cached_yes() {
    let house = House::new().await;
    let bcrypt = "$2b$04$ZWXkgNWfjkdCtjwVmF/8se0lplOqk9QA8KWJui0WNs0DdTNk3d7IK";
    let row = ForeignPerson { name: "carol".into(), hash: bcrypt.to_owned().into() };
    let how = ImportPeople { scopes: ScopeSet::parse("orders:read").unwrap(), ..ImportPeople::default() };
    let now = house.clock.now();
    house.passwords.import_people(vec![row], how, &Caller::host(), now).await.unwrap();
    let before = house.hashed().await;
    for _ in 0..3 {
        assert_eq!(house.ask("/basic", "carol", "correct horse battery staple").await, by(BASIC));
    }
    assert_eq!(house.hashed().await - before, 2, "verified once, and made anew once");
    house.advance(Duration::from_secs(61));
    assert_eq!(house.ask("/basic", "carol", "correct horse battery staple").await, by(BASIC));
    assert_eq!(house.hashed().await - before, 3);
}

/// `[{basic}, {api_key}]`: either will do; a bad one is a failure also beside a good one (RULES 2.1).
#[tokio::test]
async fn a_password_or_a_key() {
    let house = House::new().await;
    let key = house.key().await;
    let (right, wrong) = (basic("alice", RIGHT), basic("alice", WRONG));
    let key_in_password = basic("anybody", &key);
    for _ in 0..2 {
        for (fields, expected) in [
            (&[("authorization", &*right)][..], by(BASIC)),
            (&[("x-api-key", &*key)], by(KEY)),
            // both good: the first that is written
            (&[("authorization", &*right), ("x-api-key", &*key)], by(BASIC)),
            (&[("authorization", &*wrong), ("x-api-key", &*key)], INVALID),
            (&[("authorization", &*right), ("x-api-key", "cs_live_rubbish")], INVALID),
            (&[], Err((401, "credential_missing"))),
            (&[("authorization", "Basic !"), ("x-api-key", &*key)], Err((400, "credential_malformed"))),
            (&[("authorization", "Negotiate abc"), ("x-api-key", &*key)], by(KEY)),
            // the route takes none there
            (&[("authorization", &*key_in_password)], INVALID),
        ] {
            assert_eq!(house.ask_with(Method::GET, "/apart", fields).await, expected, "{fields:?}");
        }
    }
}

/// `[{basic, api_key}]`: both, in one request.
#[tokio::test]
async fn a_password_and_a_key() {
    let house = House::new().await;
    let key = house.key().await;
    let (right, wrong) = (basic("alice", RIGHT), basic("alice", WRONG));
    let both = [MethodName::Basic, MethodName::ApiKey];
    for _ in 0..2 {
        for (fields, expected) in [
            (&[("authorization", &*right), ("x-api-key", &*key)][..], by(&both)),
            (&[("authorization", &*right)], Err((401, "credential_missing"))),
            (&[("x-api-key", &*key)], Err((401, "credential_missing"))),
            (&[("authorization", &*wrong), ("x-api-key", &*key)], INVALID),
            (&[("authorization", &*right), ("x-api-key", "cs_live_rubbish")], INVALID),
        ] {
            assert_eq!(house.ask_with(Method::GET, "/both", fields).await, expected, "{fields:?}");
        }
    }
}

/// RULES 1.4: one field, one room; what begins as a key does is no password.
#[tokio::test]
async fn a_key_in_a_passwords_place() {
    let house = House::new().await;
    let key = house.key().await;
    let shown = basic("anybody", &key);
    for target in ["/either", "/key"] {
        for user in ["", "anybody", "alice"] {
            assert_eq!(house.ask(target, user, &key).await, by(KEY), "{target} `{user}`");
        }
        let mut other = key.clone();
        other.pop();
        assert_eq!(house.ask(target, "alice", &other).await, INVALID, "{target}");
        // a key in two places is two keys
        let twice = [("authorization", &*shown), ("x-api-key", &*key)];
        assert_eq!(house.ask_with(Method::GET, target, &twice).await, Err((400, "credential_doubled")));
    }
    assert_eq!(house.ask("/either", "alice", RIGHT).await, by(BASIC));
    assert_eq!(house.ask("/key", "alice", RIGHT).await, Err((401, "credential_missing")));
    for target in ["/basic", "/apart"] {
        assert_eq!(house.ask(target, "alice", &key).await, INVALID, "{target}");
    }
    assert_eq!(house.hashed().await, 1, "of all these one was a password");
}

/// RULES 1.6: a browser remembers a key in a password's place as it does a password, and sends it whoever asks.
#[tokio::test]
async fn a_foreign_page_uses_neither() {
    let house = House::new().await;
    let key = house.key().await;
    let (password, in_password) = (basic("alice", RIGHT), basic("anybody", &key));
    let foreign = ("origin", "https://evil.example");
    for shown in [&password, &in_password] {
        let fields = [("authorization", &**shown), foreign];
        let refused = Err((403, "origin_not_allowed"));
        assert_eq!(house.ask_with(Method::POST, "/either", &fields).await, refused);
        let upgrade = [&fields[..], &[("sec-websocket-version", "13")]].concat();
        assert_eq!(house.ask_with(Method::GET, "/either", &upgrade).await, refused);
        assert!(house.ask_with(Method::GET, "/either", &fields).await.is_ok());
        let own = [("authorization", &**shown), ("origin", "https://api.example")];
        assert!(house.ask_with(Method::POST, "/either", &own).await.is_ok());
    }
    // what a page must add by itself, it was given
    let fields = [("x-api-key", &*key), foreign];
    assert_eq!(house.ask_with(Method::POST, "/either", &fields).await, by(KEY));
}

/// RULES 1.7: neither over plain HTTP, and no hash is spent on it.
#[tokio::test]
async fn nothing_over_plain_http() {
    let house = House::new().await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::try_from(basic("alice", RIGHT)).unwrap());
    let request = CheckRequest {
        method: &Method::GET,
        authority: "api.example",
        target: &PathAndQuery::from_static("/basic"),
        headers: &headers,
        peer: Peer { address: HOME, transport: Transport::Plain },
    };
    let Decision::Deny(denial) = house.point.check(&request).await else { panic!("let in over plain http") };
    assert_eq!((denial.kind.status().as_u16(), denial.code), (403, "tls_required"));
    assert_eq!(house.hashed().await, 0);
}

/// RULES 1.4: a key of another product is a key too, and no person's password: it costs no hash and counts as no guess.
#[tokio::test]
async fn an_imported_key_in_a_passwords_place() {
    let imported_prefixes = vec!["acme_".into()];
    let house = House::with(ApiKeyConfig { imported_prefixes, ..ApiKeyConfig::default() }).await;
    let value = "acme_0123456789abcdef0123";
    let rows = vec![ForeignKey { key: house.new_key(), brought: Brought::Value(value.to_owned().into()) }];
    house.keys.import(rows, Import::default(), &Caller::host(), house.clock.now()).await.unwrap();
    for target in ["/either", "/key"] {
        for _ in 0..2 {
            assert_eq!(house.ask(target, "alice", value).await, by(KEY), "{target}");
        }
    }
    assert_eq!(house.ask("/either", "alice", &format!("{value}4")).await, INVALID, "nobody's key");
    assert_eq!(house.hashed().await, 0);
    assert_eq!(house.ask("/either", "alice", RIGHT).await, by(BASIC));
    // where none is taken it is a password like any other
    assert_eq!(house.ask("/apart", "alice", value).await, INVALID);
    assert_eq!(house.hashed().await, 2);
}

/// RULES 5.1: what is remembered of a password counts where it was shown: elsewhere a guess meets the throttle, right or not.
#[tokio::test]
async fn a_cached_yes_is_none_elsewhere() {
    let house = House::new().await;
    let abroad = IpAddr::from([198, 51, 100, 1]);
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    for n in 0..5 {
        assert_eq!(house.ask_from(abroad, "alice", &format!("{WRONG} {n}")).await, INVALID);
    }
    assert_eq!(house.ask_from(abroad, "alice", RIGHT).await, INVALID);
    assert_eq!(house.hashed().await, 6);
    assert_eq!(house.ask("/basic", "alice", RIGHT).await, by(BASIC));
    let (_, key) = (house.app_password(DAY).await, house.key().await);
    assert_eq!(house.ask("/key", "x", &key).await, by(KEY), "a key is no guess");
}
