//! Tokens of ours and of an issuer that is trusted, shown to one room under the real judgement: whose each of them is
//! (RULES 1.4), for whom it speaks (RULES 1.8), and what becomes of it when keys or the store are not there.
#![expect(clippy::unwrap_used, reason = "what cannot go on must stop the test")]

use countersign_core::{
    Authenticator, BoxFuture, CredentialId, MethodName, MethodRule, Node, Place, Presented, Refusal,
    ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Permit},
        request::{CheckRequest, Peer, Transport},
        route::{Alternative, Route, RouteTable, SecurityRequirement},
    },
    page::Page,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey, SystemEntropy,
    jose::{Algorithm, JwkSet, sign},
    key::{SealKeys, SigningKey},
};
use countersign_methods::{
    jwt::{
        authenticator::{JwtAuthenticator, Parts as JwtParts},
        config::JwtConfig,
        foreign::{
            ClaimNames, ExpectedTyp, ForeignIssuer, ForeignIssuers, IssuerName, KeyOrigin, KeySource,
            KnownKeys, TrustedIssuer, identity::principal_id,
        },
        inspect::{Outcome, Step},
        issue::JwtIssuer,
        record::token_node,
    },
    principal::{
        caller::Caller,
        directory::LocalDirectory,
        issue::{NewPrincipal, PrincipalIssuer},
        store::{PrincipalChange, PrincipalQuery, PrincipalStore},
    },
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind},
    },
    session::record::{SessionKind, SessionRecord, SessionState},
    signing::{
        issue::{SigningConfig, SigningKeyIssuer},
        keys::SigningKeys,
        record::KeyPurpose,
    },
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryStore, StaticRoutes};
use http::{HeaderMap, HeaderValue, Method, uri::PathAndQuery};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const OURS: &str = "https://auth.example.com";
const THEIRS: &str = "https://idp.example.com";
const US: &str = "https://api.example.com";
const HOUR: Duration = Duration::from_secs(3600);

/// What is known of the issuer's keys, and how often one was missing.
#[derive(Debug, Default)]
struct Keys {
    known: Mutex<Option<Arc<KnownKeys>>>,
    wanted: AtomicU64,
}

impl KeySource for Keys {
    fn keys(&self) -> Option<Arc<KnownKeys>> {
        self.known.lock().unwrap().clone()
    }

    fn wanted(&self) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
    }
}

/// Where names are looked up; may be down, while everything else goes on.
#[derive(Debug)]
struct Names {
    store: Arc<MemoryStore>,
    down: AtomicBool,
    asked: AtomicU64,
}

impl PrincipalStore for Names {
    fn find<'a>(
        &'a self,
        id: &'a countersign_core::PrincipalId,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        PrincipalStore::find(&*self.store, id)
    }

    fn find_by_name<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::Unavailable("down".into())) });
        }
        PrincipalStore::find_by_name(&*self.store, name)
    }

    fn list<'a>(&'a self, query: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>> {
        PrincipalStore::list(&*self.store, query)
    }

    fn create<'a>(
        &'a self,
        principal: Principal,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        PrincipalStore::create(&*self.store, principal, event)
    }

    fn change<'a>(
        &'a self,
        id: &'a countersign_core::PrincipalId,
        version: i64,
        change: PrincipalChange,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        PrincipalStore::change(&*self.store, id, version, change, event)
    }

    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>> {
        PrincipalStore::operators(&*self.store)
    }
}

struct House {
    point: DecisionPoint,
    room: Arc<JwtAuthenticator>,
    tokens: Arc<JwtIssuer>,
    session_keys: Arc<SigningKeys>,
    principals: PrincipalIssuer,
    memory: Arc<ChangeMemory>,
    clock: Arc<ManualClock>,
    names: Arc<Names>,
    their_key: Arc<SigningKey>,
    their_keys: Arc<Keys>,
    ada: Principal,
}

fn issuer() -> ForeignIssuer {
    let name = |text| PrincipalName::parse(text).unwrap();
    ForeignIssuer {
        name: IssuerName::parse("staff").unwrap(),
        issuer: THEIRS.into(),
        keys: KeyOrigin::Discovery,
        algorithms: vec![Algorithm::Es256],
        audiences: vec![US.into()],
        typ: ExpectedTyp::AccessToken,
        leeway: ForeignIssuer::LEEWAY,
        longest: ForeignIssuer::LONGEST,
        stream_grace: ForeignIssuer::STREAM_GRACE,
        claims: ClaimNames::default(),
        scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
        scope_map: Default::default(),
        local: [("their-ada".into(), name("ada")), ("their-bob".into(), name("bob"))].into(),
    }
}

impl House {
    async fn new() -> Self {
        Self::with(JwtConfig { issuer: Some(OURS.into()), ..JwtConfig::default() }).await
    }

    async fn with(config: JwtConfig) -> Self {
        let store = Arc::new(MemoryStore::new());
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let memory = Arc::new(ChangeMemory::new(directory.clone(), HOUR * 24_000, &SystemEntropy));
        store.tell(Arc::downgrade(&memory));
        let clock = Arc::new(ManualClock::default());
        memory.heard(now(&clock));
        let entropy = Arc::new(SystemEntropy);

        let seal = Arc::new(SealKeys::new(vec![(1, [3; 32])]).unwrap());
        let session_keys = Arc::new(SigningKeys::new(seal));
        let config_of_keys = SigningConfig::default();
        let signing =
            SigningKeyIssuer::new(store.clone(), session_keys.clone(), config_of_keys, entropy.clone());
        signing.advance(now(&clock)).await.unwrap();
        let tokens = JwtIssuer::new(session_keys.clone(), store.clone(), config, entropy.clone());
        let tokens = Arc::new(tokens);

        let their_key = Arc::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let their_keys = Arc::new(Keys::default());
        let trusted = TrustedIssuer { config: Arc::new(issuer()), keys: their_keys.clone() };
        let names =
            Arc::new(Names { store: store.clone(), down: AtomicBool::new(false), asked: AtomicU64::new(0) });
        let room = Arc::new(JwtAuthenticator::new(JwtParts {
            issuer: tokens.clone(),
            sessions: None,
            foreign: ForeignIssuers::new([trusted]).unwrap(),
            principals: names.clone(),
            fingerprint: Arc::new(FingerprintKey::new(&*entropy)),
            uses: Arc::default(),
            exposures: Arc::default(),
        }));
        let rooms: Vec<Arc<dyn Authenticator>> = vec![room.clone()];
        let route = |path: &str, scopes: &str| {
            let needed = vec![(MethodName::Jwt, ScopeSet::parse(scopes).unwrap())];
            let mut route = Route::new(path, "up", SecurityRequirement::AnyOf(vec![Alternative(needed)]));
            route.resource = Some(US.into());
            route
        };
        let routes = vec![
            route("/orders", "orders:read"),
            route("/write", "orders:write"),
            route("/stock", "stock:read"),
            route("/operate", "countersign:admin"),
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
        let principals = PrincipalIssuer::new(store, entropy);
        let new = NewPrincipal {
            kind: PrincipalKind::User,
            name: PrincipalName::parse("ada").unwrap(),
            scopes: ScopeSet::parse("orders:read stock:read countersign:admin").unwrap(),
            groups: Vec::new(),
        };
        let ada = principals.create(new, &Caller::host(), now(&clock)).await.unwrap();
        let house = Self {
            point,
            room,
            tokens,
            session_keys,
            principals,
            memory,
            clock,
            names,
            their_key,
            their_keys,
            ada,
        };
        house.publish(&house.their_key);
        house
    }

    fn now(&self) -> Timestamp {
        now(&self.clock)
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.heard(self.now());
    }

    /// It is all that its issuer has, and was fetched now.
    fn publish(&self, key: &SigningKey) {
        let keys = json!({ "keys": [key.verifying_key().to_jwk().unwrap()] }).to_string();
        let set = JwkSet::parse(keys.as_bytes(), &[Algorithm::Es256]).unwrap();
        *self.their_keys.known.lock().unwrap() =
            Some(Arc::new(KnownKeys { set: Arc::new(set), fetched_at: Some(self.now()) }));
    }

    fn claims(&self, iss: &str, sub: &str) -> Value {
        let now = self.now().as_seconds();
        json!({
            "iss": iss, "sub": sub, "aud": US, "iat": now, "exp": now + 300, "client_id": "shop",
            "jti": format!("of {sub}").replace(' ', "-"), "scope": "orders:read orders:write stock:read countersign:admin",
        })
    }

    /// Of the issuer, about that subject.
    fn theirs(&self, sub: &str) -> String {
        signed(&self.their_key, &self.claims(THEIRS, sub))
    }

    /// Of a session of hers.
    fn session_token(&self) -> String {
        self.tokens.mint(&self.session(), self.now()).unwrap().token.expose().to_owned()
    }

    fn session(&self) -> SessionRecord {
        let now = self.now();
        SessionRecord {
            id: CredentialId::new("session00001"),
            principal: self.ada.id.clone(),
            kind: SessionKind::Native,
            host: "api.example.com".into(),
            scopes: ScopeSet::parse("orders:read").unwrap(),
            audiences: Arc::new([US.into()]),
            parents: Vec::new(),
            amr: "pwd".into(),
            authenticated_at: now,
            created_at: now,
            last_used_at: now,
            idle: HOUR,
            expires_at: now + HOUR,
            agent: String::new(),
            address: None,
            cookie: None,
            refresh: None,
            state: SessionState::Open,
        }
    }

    /// `Ok`: allowed, and who called.
    async fn ask(&self, target: &'static str, token: &str) -> Result<String, (u16, &'static str)> {
        let permit = self.check(target, token).await?;
        Ok(permit.subject().unwrap().authentication.principal.to_string())
    }

    async fn check(&self, target: &'static str, token: &str) -> Result<Permit, (u16, &'static str)> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::try_from(format!("Bearer {token}")).unwrap());
        let request = CheckRequest {
            method: &Method::GET,
            authority: "api.example.com",
            target: &PathAndQuery::from_static(target),
            headers: &headers,
            peer: Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls },
        };
        match self.point.check(&request).await {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(denial) => Err((denial.kind.status().as_u16(), denial.code)),
        }
    }

    /// What the room says of it by itself.
    async fn refusal(&self, place: Place, token: &str) -> Option<Refusal> {
        let presented =
            Presented { cache_key: None, place, credential: token.as_bytes(), from: [192, 0, 2, 1].into() };
        self.room.verify(presented, &MethodRule::DEFAULT, self.now()).await.err()
    }

    async fn reason(&self, place: Place, token: &str) -> &'static str {
        match self.refusal(place, token).await {
            Some(Refusal::Rejected(rejection)) => rejection.reason,
            Some(Refusal::Unavailable) => "unavailable",
            None => "good",
        }
    }

    async fn change(&self, change: PrincipalChange) {
        self.principals.change(&self.ada.id, None, change, &Caller::host(), self.now()).await.unwrap();
    }

    fn revoke(&self, node: Node) {
        let position = countersign_core::check::revocation::Position(self.memory.position().0 + 1);
        let change = Change { position, kind: ChangeKind::Revoked, node, at: self.now(), until: None };
        self.memory.apply(&[change], self.now());
    }

    fn asked(&self) -> u64 {
        self.names.asked.load(Ordering::SeqCst)
    }
}

fn now(clock: &ManualClock) -> Timestamp {
    countersign_core::Clock::now(clock)
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    sign(key, "at+jwt", claims.as_object().unwrap()).unwrap()
}

const BAD: Result<String, (u16, &str)> = Err((401, "credential_invalid"));
const OUT: (u16, &str) = (503, "store_unavailable");

/// RULES 1.4: by `kid` ours, by `iss` theirs, otherwise nobody's.
#[tokio::test]
async fn rule_1_4_every_token_belongs_to_one_judge() {
    let house = House::new().await;
    let ours = house.session_token();
    assert_eq!(house.ask("/orders", &ours).await, Ok(house.ada.id.to_string()));
    let theirs = house.theirs("carol");
    assert_eq!(house.ask("/orders", &theirs).await, Ok(principal_id(THEIRS, "carol").to_string()));

    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let nobodys = "signed by no key of ours, for no issuer that is trusted";
    for (token, expected) in [
        // an issuer that is not trusted, with a key of one that is
        (signed(&house.their_key, &house.claims("https://evil.example", "carol")), nobodys),
        (signed(&stranger, &house.claims(OURS, "carol")), nobodys),
        (signed(&stranger, &json!({ "sub": "carol" })), nobodys),
        // to the letter
        (signed(&house.their_key, &house.claims("https://idp.example.com/", "carol")), nobodys),
        // theirs by name alone
        (signed(&stranger, &house.claims(THEIRS, "carol")), "the token's `kid` is none of its issuer's keys"),
        // ours by name, theirs by key: nobody else speaks for us
        (signed(&house.their_key, &house.claims(OURS, "carol")), nobodys),
    ] {
        assert_eq!(house.reason(Place::Authorization, &token).await, expected);
        assert_eq!(house.ask("/orders", &token).await, BAD);
    }
    assert_eq!(house.asked(), 0);
}

/// What names a key of ours is ours to judge: what we sign never speaks in the name of somebody else.
#[tokio::test]
async fn rule_1_4_a_key_of_ours_says_nothing_for_a_foreign_issuer() {
    let house = House::new().await;
    let sign = |claims: &Value| {
        let purpose = (KeyPurpose::Session, Algorithm::Es256);
        house.session_keys.sign(purpose, "at+jwt", claims.as_object().unwrap()).unwrap()
    };
    let mut claims = house.claims(THEIRS, "their-ada");
    let token = sign(&claims);
    assert_eq!(
        house.reason(Place::Authorization, &token).await,
        "a claim that is missing, or is not what is signed here"
    );
    for (name, value) in [
        ("client_id", json!("countersign")),
        ("sub", json!(house.ada.id.as_str())),
        ("jti", json!("a")),
        ("sid", json!("a")),
        ("lin", json!([])),
        ("amr", json!(["pwd"])),
        ("auth_time", json!(0)),
    ] {
        claims.as_object_mut().unwrap().insert(name.into(), value);
    }
    assert_eq!(house.reason(Place::Authorization, &sign(&claims)).await, "a token of another issuer");
    // the identity key is none of them, also where a token of it names a trusted issuer (RULES 1.4)
    let purpose = (KeyPurpose::Identity, Algorithm::Es256);
    let identity = house.session_keys.sign(purpose, "at+jwt", claims.as_object().unwrap()).unwrap();
    assert_eq!(
        house.reason(Place::Authorization, &identity).await,
        "the token's `kid` is none of its issuer's keys"
    );
}

/// The cookie is of a session of ours. What stands in it may have been set by anybody's page or host.
#[tokio::test]
async fn rule_1_4_a_foreign_token_in_the_cookie_is_nobodys() {
    let house = House::new().await;
    let (ours, theirs) = (house.session_token(), house.theirs("carol"));
    assert_eq!(house.reason(Place::Cookie, &ours).await, "good");
    assert_eq!(house.reason(Place::Authorization, &theirs).await, "good");
    let nobodys = "signed by no key of ours, for no issuer that is trusted";
    assert_eq!(house.reason(Place::Cookie, &theirs).await, nobodys);
    assert_eq!(house.reason(Place::Cookie, &house.theirs("their-ada")).await, nobodys);
    assert_eq!((house.asked(), house.their_keys.wanted.load(Ordering::SeqCst)), (0, 0));
}

/// An operator is told what the gateway would do, by the checks of whoever judges.
#[tokio::test]
async fn rule_1_4_an_inspection_is_the_judgement() {
    let house = House::new().await;
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let forged = signed(&stranger, &house.claims(THEIRS, "carol"));
    for (token, steps, failed) in [
        (house.session_token(), &Step::OURS[..], None),
        (house.theirs("carol"), &Step::FOREIGN, None),
        (house.theirs("their-ada"), &Step::FOREIGN, None),
        (forged, &Step::FOREIGN, Some("kid")),
        (signed(&stranger, &house.claims("https://evil.example", "carol")), &Step::OURS, Some("kid")),
        ("rubbish".to_owned(), &Step::OURS, Some("header")),
    ] {
        let seen = house.room.inspect(&token, None, house.now()).await;
        let names: Vec<&str> = seen.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, steps.iter().map(|step| step.as_str()).collect::<Vec<_>>());
        let wrong: Vec<&str> =
            seen.checks.iter().filter(|c| c.outcome == Outcome::Failed).map(|c| c.name).collect();
        assert_eq!(wrong, Vec::from_iter(failed));
        assert_eq!(house.refusal(Place::Authorization, &token).await.is_some(), failed.is_some());
        assert_eq!(seen.verdict.is_err(), failed.is_some());
    }
}

/// Where nothing is signed here, others' tokens are read all the same.
#[tokio::test]
async fn an_issuer_is_trusted_without_sessions_of_ours() {
    let house = House::with(JwtConfig::default()).await;
    assert!(house.ask("/orders", &house.theirs("carol")).await.is_ok());
    assert_eq!(house.ask("/orders", "eyJhbGciOiJFUzI1NiJ9.e30.AA").await, BAD);
}

/// RULES 1.8: cut to the issuer's list, and by the principal's own where it is one of ours.
#[tokio::test]
async fn rule_1_8_scopes_are_cut_to_the_issuers_list_and_to_the_principals() {
    let house = House::new().await;
    let ada = Ok(house.ada.id.to_string());
    for _ in 0..2 {
        let theirs = house.theirs("carol");
        assert!(house.ask("/orders", &theirs).await.is_ok());
        assert!(house.ask("/write", &theirs).await.is_ok());
        assert_eq!(house.ask("/stock", &theirs).await, Err((403, "scope_missing")), "not on its list");
        assert_eq!(house.ask("/operate", &theirs).await, Err((403, "scope_missing")));

        let local = house.theirs("their-ada");
        assert_eq!(house.ask("/orders", &local).await, ada);
        assert_eq!(house.ask("/write", &local).await, Err((403, "scope_missing")), "she may not");
        assert_eq!(house.ask("/stock", &local).await, Err((403, "scope_missing")), "its issuer may not");
        assert_eq!(house.ask("/operate", &local).await, Err((403, "scope_missing")));
    }
    house.change(PrincipalChange { scopes: ScopeSet::parse("stock:read"), ..Default::default() }).await;
    assert_eq!(house.ask("/orders", &house.theirs("their-ada")).await, Err((403, "scope_missing")));
}

/// RULES 1.8: a name that it says itself leads to nobody of ours.
#[tokio::test]
async fn rule_1_8_only_listed_subjects_are_principals_of_ours() {
    let house = House::new().await;
    for sub in ["ada", "THEIR-ADA", house.ada.id.as_str()] {
        let token = house.theirs(sub);
        assert_eq!(house.ask("/orders", &token).await, Ok(principal_id(THEIRS, sub).to_string()));
    }
    assert_eq!(house.asked(), 0);
    // listed, and not there: no stranger takes the place
    let token = house.theirs("their-bob");
    assert_eq!(house.ask("/orders", &token).await, BAD);
    assert_eq!(
        house.reason(Place::Authorization, &token).await,
        "`local` of its issuer's entry names a principal that does not exist"
    );
}

/// A refusal is not remembered: whoever is made a moment later comes in.
#[tokio::test]
async fn rule_1_1_nobody_of_that_name_is_not_remembered() {
    let house = House::new().await;
    let token = house.theirs("their-bob");
    assert_eq!(house.ask("/orders", &token).await, BAD);
    let new = NewPrincipal {
        kind: PrincipalKind::Service,
        name: PrincipalName::parse("bob").unwrap(),
        scopes: ScopeSet::parse("orders:read").unwrap(),
        groups: Vec::new(),
    };
    let bob = house.principals.create(new, &Caller::host(), house.now()).await.unwrap();
    assert_eq!(house.ask("/orders", &token).await, Ok(bob.id.to_string()));
}

/// Also where the answer is cached.
#[tokio::test]
async fn rule_1_8_a_disabled_principal_is_disabled_for_its_issuer_too() {
    let house = House::new().await;
    let token = house.theirs("their-ada");
    assert!(house.ask("/orders", &token).await.is_ok());
    house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
    assert_eq!(house.ask("/orders", &token).await, BAD);
    assert_eq!(house.ask("/orders", &house.theirs("their-ada")).await, BAD);
    house.change(PrincipalChange { enabled: Some(true), ..Default::default() }).await;
    assert!(house.ask("/orders", &token).await.is_ok());
}

/// RULES 2.5: by the token, by the issuer's subject, by the principal.
#[tokio::test]
async fn rule_2_5_what_is_revoked_is_refused_while_cached() {
    for node in [token_node("staff:of-their-ada"), Node::principal(&principal_id(THEIRS, "their-ada"))] {
        let house = House::new().await;
        let (local, other) = (house.theirs("their-ada"), house.theirs("carol"));
        assert!(house.ask("/orders", &local).await.is_ok());
        assert!(house.ask("/orders", &other).await.is_ok());
        house.revoke(node);
        assert_eq!(house.ask("/orders", &local).await.map_err(|(status, _)| status), Err(401));
        assert!(house.ask("/orders", &other).await.is_ok());
    }
}

/// RULES 5.3, 1.1: keys that are not there are our fault, and are believed to be back as soon as they are.
#[tokio::test]
async fn rule_5_3_without_keys_it_is_503_and_not_remembered() {
    let house = House::new().await;
    let known = house.their_keys.known.lock().unwrap().take();
    let token = house.theirs("carol");
    assert_eq!(house.ask("/orders", &token).await, Err(OUT));
    assert!(matches!(house.refusal(Place::Authorization, &token).await, Some(Refusal::Unavailable)));
    // ours go on
    assert!(house.ask("/orders", &house.session_token()).await.is_ok());
    // and what is nobody's is bad, whatever is out
    assert_eq!(house.ask("/orders", &signed(&house.their_key, &json!({ "iss": "x" }))).await, BAD);
    *house.their_keys.known.lock().unwrap() = known;
    assert!(house.ask("/orders", &token).await.is_ok());

    house.advance(HOUR * 24);
    let later = house.theirs("carol");
    assert_eq!(house.ask("/orders", &later).await, Err(OUT), "older than a day");
    house.publish(&house.their_key);
    assert!(house.ask("/orders", &later).await.is_ok());
}

/// A key that its issuer has made since: asked for, and the refusal not remembered.
#[tokio::test]
async fn rule_1_1_a_missing_key_is_asked_for_and_not_remembered() {
    let house = House::new().await;
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = signed(&next, &house.claims(THEIRS, "carol"));
    assert_eq!(house.ask("/orders", &token).await, BAD);
    assert_eq!(house.their_keys.wanted.load(Ordering::SeqCst), 1);
    house.publish(&next);
    assert!(house.ask("/orders", &token).await.is_ok());
}

/// The store is asked for a name once the signature holds, and its outage is no fault of the caller's.
#[tokio::test]
async fn rule_2_1_a_store_that_is_out_is_503_and_not_remembered() {
    let house = House::new().await;
    house.names.down.store(true, Ordering::SeqCst);
    let token = house.theirs("their-ada");
    assert_eq!(house.ask("/orders", &token).await, Err(OUT));
    let forged = signed(&SigningKey::generate(Algorithm::Es256).unwrap(), &house.claims(THEIRS, "their-ada"));
    let asked = house.asked();
    assert_eq!(house.ask("/orders", &forged).await, BAD);
    assert_eq!(house.asked(), asked);
    // of its own namespace: nothing is looked up
    assert!(house.ask("/orders", &house.theirs("carol")).await.is_ok());
    house.names.down.store(false, Ordering::SeqCst);
    assert!(house.ask("/orders", &token).await.is_ok());
    let asked = house.asked();
    assert!(house.ask("/orders", &token).await.is_ok());
    assert_eq!(house.asked(), asked, "from the cache");
}

/// RFC 6750 3.1: told to whoever had it, and judged also where the answer is cached.
#[tokio::test]
async fn an_end_is_an_end() {
    let house = House::new().await;
    for sub in ["carol", "their-ada"] {
        let token = house.theirs(sub);
        assert!(house.ask("/orders", &token).await.is_ok());
        house.advance(Duration::from_secs(299));
        assert!(house.ask("/orders", &token).await.is_ok());
        house.advance(Duration::from_secs(1));
        assert_eq!(house.ask("/orders", &token).await, Err((401, "token_expired")));
        let mut claims = house.claims(THEIRS, sub);
        let elsewhere = claims.as_object_mut().unwrap();
        elsewhere.insert("aud".into(), json!("https://elsewhere.example.com"));
        assert_eq!(house.ask("/orders", &signed(&house.their_key, &claims)).await, BAD);
    }
}

/// Nobody says when the session behind it is over: a stream that was begun with it goes on for so long as its entry says.
#[tokio::test]
async fn what_was_begun_with_a_token_ends_a_while_after_it() {
    let house = House::new().await;
    for subject in ["somebody", "their-ada"] {
        let permit = house.check("/orders", &house.theirs(subject)).await.unwrap();
        house.advance(Duration::from_secs(300) + ForeignIssuer::STREAM_GRACE - Duration::from_micros(1));
        assert!(house.point.stands(&permit).await, "{subject}");
        house.advance(Duration::from_micros(1));
        assert!(!house.point.stands(&permit).await, "{subject}");
        house.publish(&house.their_key);
    }
}
