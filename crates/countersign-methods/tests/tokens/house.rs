//! Halls and room as the composition root would put them together; only store, clock and entropy are stand-ins.

use crate::slow::Slow;
use countersign_core::{
    Authenticator, Clock, MethodName, MethodRule, Node, NodeKind, PrincipalId, ScopeSet, Timestamp,
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Denial, Permit},
        request::{CheckRequest, Peer, Transport},
        revocation::Position,
        route::{Alternative, Route, RouteTable, SecurityRequirement},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey,
    key::{SealKeys, SigningKey},
    token::mark::MarkKeys,
};
use countersign_methods::{
    jwt::{
        authenticator::{JwtAuthenticator, Parts as JwtParts},
        config::JwtConfig,
        foreign::ForeignIssuers,
        issue::JwtIssuer,
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
    session::{
        config::SessionConfig,
        issue::{Begin, Begun, Parts as SessionParts, RefreshPlace, SessionError, SessionIssuer, SignedIn},
        record::SessionKind,
        token::SessionTokens,
        uses::Uses,
    },
    signing::{
        issue::{SigningConfig, SigningKeyIssuer},
        keys::SigningKeys,
        record::{KeyPurpose, SigningKeyRecord, SigningKeyState},
        store::SigningKeyStore,
    },
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryStore, SeededEntropy, StaticRoutes};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const RESOURCE: &str = "https://api.example.com";
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const MICRO: Duration = Duration::from_micros(1);
/// After so long without a word from the store nothing is believed.
pub(crate) const BLIND_AFTER: Duration = Duration::from_secs(5);

pub(crate) fn seal() -> Arc<SealKeys> {
    Arc::new(SealKeys::new(vec![(1, [3; 32])]).unwrap())
}

pub(crate) fn tokens() -> SessionTokens {
    SessionTokens::new("cs", Arc::new(MarkKeys::new(vec![(1, [4; 32])]).unwrap())).unwrap()
}

pub(crate) fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(crate) struct House {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) memory: Arc<ChangeMemory>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) signing: SigningKeyIssuer,
    pub(crate) sessions: Arc<SessionIssuer>,
    pub(crate) tokens: Arc<JwtIssuer>,
    pub(crate) principals: PrincipalIssuer,
    pub(crate) uses: Arc<Uses>,
    pub(crate) point: DecisionPoint,
    pub(crate) ada: Principal,
    /// Each request comes from a network of its own, so that none has failed too often.
    networks: AtomicU32,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(SessionConfig::default()).await
    }

    pub(crate) async fn with(sessions: SessionConfig) -> Self {
        let store = Arc::new(MemoryStore::new());
        let directory = Arc::new(LocalDirectory::new(store.clone(), 100));
        let entropy = Arc::new(SeededEntropy::new(1));
        let memory = Arc::new(ChangeMemory::new(directory.clone(), BLIND_AFTER, &*entropy));
        store.tell(Arc::downgrade(&memory));
        let clock = Arc::new(ManualClock::default());
        let now = clock.now();
        memory.heard(now);
        let keys = Arc::new(SigningKeys::new(seal()));
        let signing =
            SigningKeyIssuer::new(store.clone(), keys.clone(), SigningConfig::default(), entropy.clone());
        signing.advance(now).await.unwrap();
        let sessions = Arc::new(SessionIssuer::new(SessionParts {
            store: Arc::new(Slow(store.clone())),
            feed: memory.clone(),
            directory: directory.clone(),
            tokens: tokens(),
            config: SessionConfig { audiences: Arc::new([RESOURCE.into()]), ..sessions },
            entropy: entropy.clone(),
        }));
        let config = JwtConfig { issuer: Some(ISSUER.into()), ..JwtConfig::default() };
        let tokens = Arc::new(JwtIssuer::new(keys, store.clone(), config, entropy.clone()));
        let uses = Arc::new(Uses::default());
        let room: Arc<dyn Authenticator> = Arc::new(JwtAuthenticator::new(JwtParts {
            issuer: tokens.clone(),
            sessions: Some(sessions.clone()),
            foreign: ForeignIssuers::default(),
            principals: store.clone(),
            fingerprint: Arc::new(FingerprintKey::new(&*entropy)),
            uses: uses.clone(),
            exposures: Arc::default(),
        }));
        let point = DecisionPoint::new(Parts {
            routes: Arc::new(StaticRoutes::new(
                RouteTable::new(routes(), std::slice::from_ref(&room)).unwrap(),
            )),
            authenticators: vec![room],
            feed: memory.clone(),
            directory,
            counter: Arc::new(MemoryCounter::default()),
            clock: clock.clone(),
            settings: Settings::default(),
        });
        let principals = PrincipalIssuer::new(store.clone(), entropy);
        let ada = person(&principals, "ada", now).await;
        Self {
            store,
            memory,
            clock,
            signing,
            sessions,
            tokens,
            principals,
            uses,
            point,
            ada,
            networks: AtomicU32::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// And the store goes on being heard.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.memory.heard(self.now());
    }

    pub(crate) fn signed_in(&self) -> SignedIn {
        SignedIn {
            principal: self.ada.id.clone(),
            scopes: self.ada.scopes.clone(),
            parents: vec![password(&self.ada.id)],
            amr: "pwd",
            ends_at: None,
            at: self.now(),
        }
    }

    pub(crate) async fn begin(&self, kind: SessionKind) -> Begun {
        self.begin_as(self.signed_in(), kind, None).await.unwrap()
    }

    pub(crate) async fn begin_as(
        &self,
        who: SignedIn,
        kind: SessionKind,
        scopes: Option<ScopeSet>,
    ) -> Result<Begun, SessionError> {
        let asked = Begin { kind, host: "api.example.com".into(), scopes, agent: "curl/8".into() };
        self.sessions.begin(who, asked, &Caller::host(), self.now()).await
    }

    /// A new session's access token.
    pub(crate) async fn token(&self) -> String {
        let begun = self.begin(SessionKind::Native).await;
        self.tokens.mint(&begun.record, self.now()).unwrap().token.expose().to_owned()
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<String, SessionError> {
        let refreshed =
            self.sessions.refresh(token.as_bytes(), RefreshPlace::Body, &Caller::host(), self.now()).await?;
        Ok(refreshed.refresh.expose().to_owned())
    }

    pub(crate) async fn change(&self, change: PrincipalChange) {
        let host = Caller::host();
        self.principals.change(&self.ada.id, None, change, &host, self.now()).await.unwrap();
    }

    /// What another process wrote.
    pub(crate) fn revoke(&self, node: Node) {
        let position = Position(self.memory.position().0 + 1);
        let change = Change { position, kind: ChangeKind::Revoked, node, at: self.now(), until: None };
        self.memory.apply(&[change], self.now());
    }

    pub(crate) async fn records(&self, purpose: KeyPurpose) -> Vec<SigningKeyRecord> {
        let mut all = SigningKeyStore::list(&*self.store).await.unwrap();
        all.retain(|record| record.purpose == purpose);
        all
    }

    pub(crate) async fn active(&self, purpose: KeyPurpose) -> SigningKeyRecord {
        let all = self.records(purpose).await;
        all.into_iter().find(|record| record.state == SigningKeyState::Active).unwrap()
    }

    /// The private half of the one that signs, as whoever stole it would have it.
    pub(crate) async fn stolen(&self, purpose: KeyPurpose) -> SigningKey {
        let record = self.active(purpose).await;
        let context: [&[u8]; 3] = [b"signing key", purpose.as_str().as_bytes(), record.kid.as_bytes()];
        SigningKey::from_pkcs8(record.algorithm, &seal().open(&context, &record.sealed).unwrap()).unwrap()
    }

    pub(crate) async fn check(&self, target: &str, fields: &[(&str, &[u8])]) -> Result<Permit, Denial> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let network = 0x0a00_0000 + self.networks.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(network).into();
        let request = CheckRequest {
            method: &Method::GET,
            authority: "api.example.com",
            target: &PathAndQuery::try_from(target).unwrap(),
            headers: &headers,
            peer: Peer { address, transport: Transport::Tls },
        };
        match self.point.check(&request).await {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(denial) => Err(denial),
        }
    }

    /// Status and code; `(200, "")`: allowed.
    pub(crate) async fn ask(&self, target: &str, fields: &[(&str, &str)]) -> (u16, &'static str) {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        match self.check(target, &fields).await {
            Ok(_) => (200, ""),
            Err(denial) => (denial.kind.status().as_u16(), denial.code),
        }
    }

    pub(crate) async fn bearer(&self, token: &str) -> (u16, &'static str) {
        self.ask("/orders", &[("authorization", &format!("Bearer {token}"))]).await
    }

    pub(crate) async fn cookie(&self, value: &str) -> (u16, &'static str) {
        self.ask("/orders", &[("cookie", &format!("__Host-session={value}"))]).await
    }
}

pub(crate) fn password(of: &PrincipalId) -> Node {
    Node::new(NodeKind::Password, format!("{of}.1").as_str())
}

pub(crate) async fn person(principals: &PrincipalIssuer, name: &str, now: Timestamp) -> Principal {
    let new = NewPrincipal {
        kind: PrincipalKind::User,
        name: PrincipalName::parse(name).unwrap(),
        scopes: scopes("orders:read orders:write countersign:read"),
        groups: Vec::new(),
    };
    principals.create(new, &Caller::host(), now).await.unwrap()
}

fn routes() -> Vec<Route> {
    let route = |path: &str, needs: &str, resource: &str| {
        let alternative = Alternative(vec![(MethodName::Jwt, scopes(needs))]);
        Route {
            resource: Some(resource.into()),
            presentation: vec![(MethodName::Jwt, MethodRule { cookies: true, ..MethodRule::DEFAULT })],
            ..Route::new(path, "up", SecurityRequirement::AnyOf(vec![alternative]))
        }
    };
    let mut no_cookies = route("/tokens-only", "orders:read", RESOURCE);
    no_cookies.presentation = Vec::new();
    let mut no_resource = route("/no-resource", "orders:read", RESOURCE);
    no_resource.resource = None;
    vec![
        route("/orders", "orders:read", RESOURCE),
        route("/delete", "orders:read orders:delete", RESOURCE),
        route("/elsewhere", "orders:read", "https://other.example.com"),
        no_cookies,
        no_resource,
    ]
}
