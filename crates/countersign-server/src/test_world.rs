//! Both faces over a store in memory, as the composition root would put them together: the real rooms, the real
//! decision points, the real layer; only store, clock, entropy and counter are stand-ins.

use crate::{
    Limits, Services, SessionFace, Sessions, admin_plan, admin_routes,
    observe::{Probing, Watched},
    router, session_routes,
};
use axum::{Router, body::Body};
use bytes::Bytes;
use countersign_core::{
    Authenticator, BoxFuture, Clock, MethodName, MethodRule, ScopeSet, Timestamp,
    audit::{Actor, AuditEvent},
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Denial},
        limit::RateLimit,
        request::{CheckRequest, Peer, Transport},
        route::{Alternative, HostPattern, Route, RouteTable, SecurityRequirement},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey,
    jose::{Algorithm, JwkSet, sign},
    key::{AttestKeys, SealKeys, SigningKey},
    password::{Argon2Parameters, HashPool, PoolLimits},
    token::{
        digest::{Pepper, Peppers},
        mark::MarkKeys,
    },
};
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator,
        config::ApiKeyConfig,
        issue::{ApiKeyIssuer, Lifetime, NewKey},
        uses::Uses,
    },
    basic::{
        authenticator::{BasicAuthenticator, Parts as BasicParts},
        config::BasicConfig,
        issue::BasicIssuer,
    },
    jwt::{
        authenticator::{JwtAuthenticator, Parts as JwtParts},
        config::JwtConfig,
        foreign::{
            ClaimNames, ExpectedTyp, FixedKeys, ForeignIssuer, ForeignIssuers, IssuerName, KeyOrigin,
            TrustedIssuer,
        },
        issue::JwtIssuer,
    },
    operator,
    password::{
        Pause,
        breached::CommonPasswords,
        throttle::{Throttle, ThrottleSettings},
    },
    principal::{
        caller::Caller,
        directory::LocalDirectory,
        issue::{NewPrincipal, PrincipalIssuer},
        store::{PrincipalChange, PrincipalStore},
    },
    revocation::memory::ChangeMemory,
    session::{
        config::SessionConfig,
        issue::{Parts as SessionParts, SessionIssuer},
        record::SessionKind,
        token::SessionTokens,
    },
    signing::{
        issue::{SigningConfig, SigningKeyIssuer},
        keys::SigningKeys,
    },
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryStore, SeededEntropy, StaticRoutes};
use countersign_tower::respond::Options;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tower::ServiceExt;

/// Nothing here has to take its time.
#[derive(Debug)]
struct Hurry;

impl Pause for Hurry {
    fn pause(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Always ready, and counts nothing.
#[derive(Debug)]
struct Still;

impl Watched for Still {
    fn is_ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "up 1\n".to_owned() })
    }
}

impl Probing for Still {
    fn arm(&self, _: &str, _: Timestamp) {}
}

/// What sessions are for here.
pub(crate) const RESOURCE: &str = "https://api.example.com";
pub(crate) const ISSUER: &str = "https://auth.example.com";

/// Whose tokens are believed beside our own.
pub(crate) const THEIRS: &str = "https://idp.example.com";

/// They may name `ada`, and whom nobody here knows.
fn trusted(their_key: &SigningKey) -> ForeignIssuers {
    let keys = json!({"keys": [their_key.verifying_key().to_jwk().unwrap()]}).to_string();
    let config = ForeignIssuer {
        name: IssuerName::parse("staff").unwrap(),
        issuer: THEIRS.into(),
        keys: KeyOrigin::Discovery,
        algorithms: vec![Algorithm::Es256],
        audiences: vec![RESOURCE.into()],
        typ: ExpectedTyp::AccessToken,
        leeway: ForeignIssuer::LEEWAY,
        longest: ForeignIssuer::LONGEST,
        stream_grace: ForeignIssuer::STREAM_GRACE,
        claims: ClaimNames::default(),
        scopes: ScopeSet::parse("orders:read").unwrap(),
        scope_map: Default::default(),
        local: [("their-ada".into(), PrincipalName::parse("ada").unwrap())].into(),
    };
    let set = JwkSet::parse(keys.as_bytes(), &[Algorithm::Es256]).unwrap();
    let keys = Arc::new(FixedKeys::new(set));
    ForeignIssuers::new([TrustedIssuer { config: Arc::new(config), keys }]).unwrap()
}

/// The halls of keys and sessions, and who mints.
async fn signed(
    (store, kept): (&Arc<MemoryStore>, &Arc<MemoryStore>),
    memory: &Arc<ChangeMemory>,
    directory: &Arc<LocalDirectory>,
    (entropy, clock): (Arc<SeededEntropy>, Arc<ManualClock>),
    jwt_cookie: bool,
) -> (Arc<SigningKeyIssuer>, Arc<SessionIssuer>, Arc<JwtIssuer>) {
    let seal = Arc::new(SealKeys::new(vec![(1, [3; 32])]).unwrap());
    let keys = Arc::new(SigningKeys::new(seal));
    let signing =
        SigningKeyIssuer::new(kept.clone(), keys.clone(), SigningConfig::default(), entropy.clone());
    signing.advance(clock.now()).await.unwrap();
    let marks = Arc::new(MarkKeys::new(vec![(1, [4; 32])]).unwrap());
    let config =
        SessionConfig { audiences: Arc::new([RESOURCE.into()]), jwt_cookie, ..SessionConfig::default() };
    let sessions = SessionIssuer::new(SessionParts {
        store: store.clone(),
        feed: memory.clone(),
        directory: directory.clone(),
        tokens: SessionTokens::new("cs", marks).unwrap(),
        config,
        entropy: entropy.clone(),
    });
    let config = JwtConfig { issuer: Some(ISSUER.into()), ..JwtConfig::default() };
    let tokens = JwtIssuer::new(keys, store.clone(), config, entropy);
    (Arc::new(signing), Arc::new(sessions), Arc::new(tokens))
}

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) services: Arc<Services>,
    pub(crate) store: Arc<MemoryStore>,
    /// Of the signing keys.
    pub(crate) kept: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    memory: Arc<ChangeMemory>,
    their_key: SigningKey,
    /// A key of `root`, which holds every operator's scope.
    pub(crate) root: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The document, and that it may not be kept.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["cache-control"], "no-store");
        self.json()
    }

    /// An error: a problem document of this status and code, whole.
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let document = self.expect(status);
        assert_eq!(document["code"], code, "{document}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(document["status"], status);
        assert_eq!(document["type"], format!("https://countersign.dev/problems/{code}"));
        assert_eq!(document["instance"], self.headers["countersign-request-id"].to_str().unwrap());
        assert!(
            !document["detail"].as_str().unwrap().is_empty()
                && !document["title"].as_str().unwrap().is_empty()
        );
        document
    }
}

/// More than any test asks but the one that means to.
pub(crate) const ADMIN_LIMIT: RateLimit = RateLimit { quota: 2000, window: Duration::from_secs(60) };

impl World {
    pub(crate) async fn new() -> Self {
        Self::judged_by(admin_routes()).await
    }

    /// With other routes before the admin API than its own.
    pub(crate) async fn judged_by(admin_routes: Vec<Route>) -> Self {
        Self::built(admin_routes, Some(SessionKind::Cookie)).await
    }

    /// Of a configuration in which nobody signs in.
    pub(crate) async fn without_sessions() -> Self {
        Self::built(admin_routes(), None).await
    }

    pub(crate) async fn with_jwt_cookie() -> Self {
        Self::built(admin_routes(), Some(SessionKind::JwtCookie)).await
    }

    /// `browsers`: how their sessions are kept.
    async fn built(admin_routes: Vec<Route>, browsers: Option<SessionKind>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::default());
        let entropy = Arc::new(SeededEntropy::new(1));
        let directory = Arc::new(LocalDirectory::new(store.clone(), 1000));
        let memory = Arc::new(ChangeMemory::new(directory.clone(), Duration::from_secs(1 << 40), &*entropy));
        memory.heard(clock.now());
        store.tell(Arc::downgrade(&memory));

        let peppers = Arc::new(Peppers::new(Pepper::new(1, &[7; 32]).unwrap(), Vec::new()).unwrap());
        let fingerprint = Arc::new(FingerprintKey::new(&*entropy));
        let imported_prefixes = vec!["acme_".to_owned()];
        let config = ApiKeyConfig { imported_prefixes, ..ApiKeyConfig::default() };
        let room: Arc<dyn Authenticator> = Arc::new(
            ApiKeyAuthenticator::new(
                store.clone(),
                peppers.clone(),
                config.clone(),
                fingerprint.clone(),
                (Arc::new(Uses::new(100)), Arc::default()),
            )
            .unwrap(),
        );
        let counter = Arc::new(MemoryCounter::default());
        let judge = |routes: Vec<Route>, authenticators: Vec<Arc<dyn Authenticator>>| {
            let plans = HashMap::from([(admin_plan(), ADMIN_LIMIT)]);
            let table = RouteTable::new(routes, &authenticators).unwrap().with_plans(plans);
            let routes = Arc::new(StaticRoutes::new(table));
            let point = DecisionPoint::new(Parts {
                routes: routes.clone(),
                authenticators,
                feed: memory.clone(),
                directory: directory.clone(),
                counter: counter.clone(),
                clock: clock.clone(),
                settings: Settings::default(),
            });
            (Arc::new(point), routes)
        };
        let needs = |scopes: &str| {
            let scopes = ScopeSet::parse(scopes).unwrap();
            SecurityRequirement::AnyOf(vec![Alternative(vec![(MethodName::ApiKey, scopes)])])
        };
        let parts = BasicParts {
            store: store.clone(),
            peppers: peppers.clone(),
            pool: Arc::new(HashPool::new(PoolLimits::for_this_machine()).unwrap()),
            throttle: Arc::new(Throttle::new(ThrottleSettings::default(), FingerprintKey::new(&*entropy))),
            fingerprint: fingerprint.clone(),
            entropy: entropy.clone(),
            clock: clock.clone(),
            pause: Arc::new(Hurry),
            uses: Arc::default(),
            exposures: Arc::default(),
            config: BasicConfig {
                // as cheap as it may be
                argon2: Argon2Parameters::new(8192, 1, 1).unwrap(),
                ..BasicConfig::default()
            },
        };
        let passwords = Arc::new(BasicAuthenticator::new(parts.clone()).unwrap());
        let basic =
            BasicIssuer::new(parts, store.clone(), passwords.clone(), Arc::new(CommonPasswords)).unwrap();
        // of a store of their own: what is in the trail is what a test did
        let kept = Arc::new(MemoryStore::new());
        kept.tell(Arc::downgrade(&memory));
        let is_jwt = browsers == Some(SessionKind::JwtCookie);
        let (signing, sessions, tokens) =
            signed((&store, &kept), &memory, &directory, (entropy.clone(), clock.clone()), is_jwt).await;
        let their_key = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwt = Arc::new(JwtAuthenticator::new(JwtParts {
            issuer: tokens.clone(),
            sessions: Some(sessions.clone()),
            foreign: trusted(&their_key),
            principals: store.clone(),
            fingerprint: fingerprint.clone(),
            uses: Arc::default(),
            exposures: Arc::default(),
        }));
        let (door, _) = judge(admin_routes, vec![room.clone()]);
        let mut orders = Route::new("/orders/{id}", "orders", needs("orders:read"));
        let rule = MethodRule { cookies: true, sign_in: true, ..MethodRule::DEFAULT };
        orders.presentation = vec![(MethodName::Jwt, rule)];
        let mut routes = vec![orders, Route::new("/public", "orders", SecurityRequirement::Public)];
        routes.extend(session_routes(&[HostPattern::Any], Some(&RESOURCE.into())));
        let (gateway, gateway_routes) = judge(routes, vec![jwt.clone(), passwords.clone(), room.clone()]);
        let api_keys =
            ApiKeyIssuer::new(store.clone(), store.clone(), peppers, config, Arc::new([]), entropy.clone());
        let services = Arc::new(Services {
            api_keys: Arc::new(api_keys.unwrap()),
            principals: Arc::new(PrincipalIssuer::new(store.clone(), entropy.clone())),
            basic: Arc::new(basic),
            signing,
            jwt: jwt.clone(),
            sessions: browsers.map(|_| Arc::new(Sessions { issuer: sessions, tokens })),
            api_key_store: store.clone(),
            principal_store: store.clone(),
            basic_store: store.clone(),
            feed_store: store.clone(),
            audit: store.clone(),
            idempotency: store.clone(),
            feed: memory.clone(),
            directory,
            door,
            gateway,
            gateway_routes,
            watched: Arc::new(Still),
            probing: Arc::new(Still),
            counter,
            limits: Limits::default(),
            answers: Options::default(),
            fingerprint,
            kept_fingerprint: Some(Arc::new(FingerprintKey::of_secret([9; 32]))),
            attest: AttestKeys::new(&[(1, vec![1; 32]), (2, vec![2; 32])]).map(Arc::new),
            clock: clock.clone(),
            entropy,
        });
        // the store holds it weakly, and the services as the port
        let router = router::both(services.clone());
        let mut world = Self { router, services, store, kept, clock, memory, their_key, root: String::new() };
        let all = operator::all().to_string();
        world.root = world.key("root", &all).await;
        world
    }

    /// A token of the other issuer, about that subject of its own.
    pub(crate) fn theirs(&self, sub: &str) -> String {
        let now = self.clock.now().as_seconds();
        let claims = json!({
            "iss": THEIRS, "sub": sub, "aud": RESOURCE, "iat": now, "exp": now + 300,
            "client_id": "shop", "jti": format!("of-{sub}"), "scope": "orders:read",
        });
        sign(&self.their_key, "at+jwt", claims.as_object().unwrap()).unwrap()
    }

    /// A service of this name with these scopes.
    pub(crate) async fn service(&self, name: &str, scopes: &str) -> Principal {
        let new = NewPrincipal {
            kind: PrincipalKind::Service,
            name: PrincipalName::parse(name).unwrap(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            groups: Vec::new(),
        };
        self.services.principals.create(new, &Caller::host(), self.clock.now()).await.unwrap()
    }

    /// And the store goes on being heard.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.heard(self.clock.now());
    }

    /// In the store, past the API.
    pub(crate) async fn enable(&self, name: &str) {
        let name = PrincipalName::parse(name).unwrap();
        let found = self.store.find_by_name(&name).await.unwrap().unwrap();
        let change = PrincipalChange { enabled: Some(true), ..PrincipalChange::default() };
        let event = AuditEvent {
            at: self.clock.now(),
            actor: Actor::Host,
            action: "principal.enable",
            subject: found.id.to_string(),
            source: None,
            request: None,
            detail: Vec::new(),
            once: None,
        };
        PrincipalStore::change(&*self.store, &found.id, found.version, change, event).await.unwrap().unwrap();
    }

    /// A key with all the scopes of a new service.
    pub(crate) async fn key(&self, name: &str, scopes: &str) -> String {
        self.key_with(name, scopes, |_| {}).await
    }

    pub(crate) async fn key_with(
        &self,
        name: &str,
        scopes: &str,
        change: impl FnOnce(&mut NewKey),
    ) -> String {
        let owner = self.service(name, scopes).await;
        let mut new = NewKey {
            owner: owner.id,
            label: String::new(),
            scopes: owner.scopes,
            lifetime: Lifetime::Default,
            networks: Vec::new(),
            limit: None,
            plan: None,
        };
        change(&mut new);
        let issued = self.services.api_keys.create(new, &Caller::host(), self.clock.now()).await.unwrap();
        issued.reveal().1.expose().to_owned()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.send_from(request, Peer { address: "192.0.2.7".parse().unwrap(), transport: Transport::Tls })
            .await
    }

    pub(crate) async fn send_from(&self, mut request: Request<Body>, peer: Peer) -> Reply {
        request.extensions_mut().insert(peer);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Through the gateway's judgement, as what is built in is reached.
    pub(crate) async fn on_gateway(&self, mut request: Request<Bytes>, peer: Peer) -> Result<Reply, Denial> {
        let (method, target) = (request.method().clone(), request.uri().path_and_query().unwrap().clone());
        let headers = request.headers().clone();
        let authority = headers["host"].to_str().unwrap();
        let check = CheckRequest { method: &method, authority, target: &target, headers: &headers, peer };
        let permit = match self.services.gateway.check(&check).await {
            Decision::Allow(permit) => permit,
            Decision::Deny(denial) => return Err(denial),
        };
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(Arc::new(permit));
        let response = SessionFace::new(self.services.clone()).answer(request).await;
        let (parts, body) = response.into_parts();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Reply {
        self.send(request(Method::GET, path, Some(key)).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: Value) -> Reply {
        self.raw(key, Method::POST, path, "application/json", body.to_string().into_bytes()).await
    }

    /// Whatever stands.
    pub(crate) async fn patch(&self, key: &str, path: &str, body: Value) -> Reply {
        self.with(key, Method::PATCH, path, ("if-match", "*"), body).await
    }

    pub(crate) async fn with(
        &self,
        key: &str,
        method: Method,
        path: &str,
        (name, value): (&str, &str),
        body: Value,
    ) -> Reply {
        let request = request(method, path, Some(key)).header("content-type", "application/json");
        self.send(request.header(name, value).body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn raw(
        &self,
        key: &str,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<Body>,
    ) -> Reply {
        let request = request(method, path, Some(key)).header("content-type", media);
        self.send(request.body(body.into()).unwrap()).await
    }
}

pub(crate) fn request(method: Method, path: &str, key: Option<&str>) -> http::request::Builder {
    let builder = Request::builder().method(method).uri(path).header("host", "localhost");
    match key {
        Some(key) => builder.header("authorization", format!("Bearer {key}")),
        None => builder,
    }
}

/// A key of the same public id, well-formed down to its checksum, with another secret.
pub(crate) fn forged(key: &str) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (public, rest) = key.split_at("cs_live_".len() + 12);
    let (secret, _) = rest.split_at(32);
    let other: String = secret.chars().rev().collect();
    let covered = format!("{public}{other}");
    // CRC-32 (IEEE 802.3), bit by bit
    let crc = !covered.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ ((crc & 1) * 0xedb8_8320))
    });
    let digits = (0..6).rev().map(|n| char::from(BASE62[(crc / 62_u32.pow(n) % 62) as usize]));
    let forged = format!("{covered}{}", digits.collect::<String>());
    assert!(forged != key && forged.len() == key.len());
    forged
}

/// What changes from run to run is taken out of a snapshot.
pub(crate) fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#""instance": "[0-9a-f]{32}""#, r#""instance": "[request id]""#);
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings
}

pub(crate) fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap()
}
