//! One file per file of the room that has something to get wrong. What fails comes first.

#![expect(clippy::string_slice, reason = "secrets are ascii, and tests know where their parts stand")]

mod authenticator;
mod credential;
mod issue;
mod record;
mod verify;

use super::{
    app_password::AppPasswordRecord,
    authenticator::{BasicAuthenticator, Parts},
    config::BasicConfig,
    issue::{BasicIssuer, app_password::NewAppPassword},
    record::PasswordRecord,
};
use crate::{
    fakes::{FakeStore, NOW, Pauses, Sequence, peppers, person, principal, scopes},
    password::{
        breached::CommonPasswords,
        normal::NORMAL_VERSION,
        throttle::{SourceNetwork, Throttle, ThrottleSettings},
    },
    principal::caller::Caller,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Authentication, Authenticator, Clock, Found, MethodRule, PrincipalId, Refusal,
    authenticator::CacheKey,
    check::request::{CheckRequest, HeaderView, One, Peer, Transport},
    principal::Principal,
};
use countersign_crypto::{
    FingerprintKey,
    password::{self, Argon2Parameters, HashPool, PasswordHash, PoolLimits},
};
use countersign_testkit::ManualClock;
use http::{HeaderName, header::AUTHORIZATION};
use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const DAY: Duration = Duration::from_secs(86_400);
const HOME: &str = "192.0.2.7";
const RIGHT: &str = "verdant kettle orbits mildly";
const WRONG: &str = "verdant kettle orbits wildly";

/// One deployment: alice, bob and the service `demo`; nobody has a password yet.
struct House {
    store: Arc<FakeStore>,
    parts: Parts,
    pauses: Arc<Pauses>,
    clock: Arc<ManualClock>,
    authenticator: Arc<BasicAuthenticator>,
    issuer: BasicIssuer,
    /// How often it was asked how much was hashed: that is work for the pool, too.
    asked: AtomicU64,
}

/// The cheapest that there is.
fn cheap() -> Argon2Parameters {
    Argon2Parameters::new(8192, 1, 1).unwrap()
}

fn config() -> BasicConfig {
    BasicConfig { argon2: cheap(), ..BasicConfig::default() }
}

impl House {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: BasicConfig) -> Self {
        let people = [person("alice", "orders:read orders:write"), person("bob", "orders:read")];
        let store = FakeStore::with(people.into_iter().chain([principal("demo", "orders:read")]));
        let entropy = Arc::new(Sequence::default());
        // one thread: what was asked for earlier is done earlier
        let one = NonZeroUsize::MIN;
        let limits = PoolLimits { threads: one, waiting: one.saturating_add(7), waiting_per_key: one };
        let (pauses, clock) = (Arc::new(Pauses::default()), Arc::new(ManualClock::new(NOW)));
        let parts = Parts {
            store: store.clone(),
            peppers: peppers(),
            pool: Arc::new(HashPool::new(limits).unwrap()),
            throttle: Arc::new(Throttle::new(ThrottleSettings::default(), FingerprintKey::new(&*entropy))),
            fingerprint: Arc::new(FingerprintKey::new(&*entropy)),
            entropy,
            clock: clock.clone(),
            pause: pauses.clone(),
            uses: Arc::default(),
            exposures: Arc::default(),
            config,
        };
        let authenticator = Arc::new(BasicAuthenticator::new(parts.clone()).unwrap());
        let lists = Arc::new(CommonPasswords);
        let issuer = BasicIssuer::new(parts.clone(), store.clone(), authenticator.clone(), lists).unwrap();
        Self { store, parts, pauses, clock, authenticator, issuer, asked: AtomicU64::new(0) }
    }

    /// Puts a hash into the store, past the issuer.
    fn give(&self, owner: &Principal, hash: PasswordHash, normal: u16) -> PasswordRecord {
        let principal = owner.id.clone();
        let record = PasswordRecord { principal, hash, normal, version: NOW.as_micros(), set_at: NOW };
        self.store.passwords.lock().unwrap().insert(owner.id.clone(), record.clone());
        record
    }

    /// Of alice, made here.
    fn right(&self) -> PasswordRecord {
        self.give(&alice(), made(RIGHT, cheap()), NORMAL_VERSION)
    }

    fn kept(&self, owner: &PrincipalId) -> Option<PasswordRecord> {
        self.store.passwords.lock().unwrap().get(owner).cloned()
    }

    /// With `orders:read`, of alice.
    async fn app_password(&self) -> (AppPasswordRecord, String) {
        let issued = self.issuer.create_app_password(new_app_password(), &Caller::host(), NOW).await.unwrap();
        let (record, secret) = issued.reveal();
        (record, secret.expose().to_owned())
    }

    /// A whole use: found, then verified.
    async fn sign_in(&self, user: &str, password: &str) -> Result<Authentication, Refusal> {
        self.use_it(&basic(user, password), HOME, &MethodRule::DEFAULT).await
    }

    async fn use_it(&self, field: &[u8], from: &str, rule: &MethodRule) -> Result<Authentication, Refusal> {
        let fields = Fields(vec![field.to_vec()]);
        let request = request(&fields, from);
        match self.authenticator.find(&request, rule) {
            Found::Absent => panic!("no credential"),
            Found::Bad(rejection) => Err(Refusal::Rejected(rejection)),
            Found::Present(presented) => {
                let now = self.clock.now();
                self.authenticator.verify(presented, rule, now).await
            }
        }
    }

    fn cache_key(&self, user: &str, password: &str) -> CacheKey {
        let fields = Fields(vec![basic(user, password)]);
        let request = request(&fields, HOME);
        let found = self.authenticator.find(&request, &MethodRule::DEFAULT);
        let Found::Present(presented) = found else { panic!("{found:?}") };
        presented.cache_key.unwrap()
    }

    /// How many hashes were worked on, once all that was asked for is done.
    async fn hashed(&self) -> u64 {
        let pool = self.parts.pool.clone();
        let counting = self.parts.pool.submit(network("203.0.113.99"), move || pool.counts().done).unwrap();
        counting.await.unwrap() - self.asked.fetch_add(1, Ordering::Relaxed)
    }

    fn pauses(&self) -> usize {
        self.pauses.0.lock().unwrap().len()
    }

    fn actions(&self) -> Vec<&'static str> {
        self.store.events().iter().map(|event| event.action).collect()
    }
}

fn alice() -> Principal {
    person("alice", "orders:read orders:write")
}

fn new_app_password() -> NewAppPassword {
    let (owner, service) = (alice().id, "mail".into());
    NewAppPassword { owner, service, scopes: scopes("orders:read"), lifetime: None }
}

fn made(password: &str, parameters: Argon2Parameters) -> PasswordHash {
    password::hash(password.as_bytes(), &parameters, &Sequence::default()).unwrap()
}

fn network(address: &str) -> SourceNetwork {
    address.parse::<IpAddr>().unwrap().into()
}

fn basic(user: &str, password: &str) -> Vec<u8> {
    encoded(format!("{user}:{password}").as_bytes())
}

fn encoded(pair: &[u8]) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(pair)).into_bytes()
}

/// `Authorization` as it came in, one line each: also what no `HeaderValue` would hold.
#[derive(Debug)]
struct Fields(Vec<Vec<u8>>);

impl HeaderView for Fields {
    fn one(&self, name: &HeaderName) -> One<'_> {
        match self.0.as_slice() {
            _ if *name != AUTHORIZATION => One::Absent,
            [] => One::Absent,
            [value] => One::Single(value),
            _ => One::Doubled,
        }
    }

    fn each<'r>(&'r self, name: &HeaderName, visit: &mut dyn FnMut(&'r [u8])) {
        if *name == AUTHORIZATION {
            self.0.iter().for_each(|value| visit(value));
        }
    }
}

fn request<'r>(fields: &'r Fields, from: &str) -> CheckRequest<'r> {
    static TARGET: std::sync::LazyLock<http::uri::PathAndQuery> =
        std::sync::LazyLock::new(|| "/".parse().unwrap());
    CheckRequest {
        method: &http::Method::GET,
        authority: "localhost",
        target: &TARGET,
        headers: fields,
        peer: Peer { address: from.parse().unwrap(), transport: Transport::Tls },
    }
}

fn code(result: Result<Authentication, Refusal>) -> &'static str {
    match result {
        Err(Refusal::Rejected(rejection)) => rejection.code,
        other => panic!("{other:?}"),
    }
}

/// A word that breaks the grammar of words stops the start, here as in every room.
#[test]
fn a_bad_word_is_refused_at_the_start() {
    let house = House::new();
    for word in ["", "CS", "c_s", "seventeenletterss"] {
        let config = BasicConfig { word: word.into(), ..config() };
        assert!(BasicAuthenticator::new(Parts { config, ..house.parts.clone() }).is_err(), "`{word}`");
    }
}
