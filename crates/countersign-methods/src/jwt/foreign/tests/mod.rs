//! A trusted issuer with three keys, and tokens of it to be spoilt.

mod bad_tokens;
mod config;
mod identity;
mod inspect;
mod keys;

use super::*;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{Authentication, ScopeSet, Timestamp};
use countersign_crypto::{
    hash::hmac_sha256,
    jose::{Algorithm, JwkSet},
    key::SigningKey,
};
use serde_json::{Value, json};
use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://idp.example.com/realms/staff";
const US: &str = "https://api.example.com";

static ES: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
static ED: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519).unwrap());
static RS: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());

#[derive(Debug)]
struct Keys {
    known: Option<Arc<KnownKeys>>,
    wanted: AtomicU64,
}

impl KeySource for Keys {
    fn keys(&self) -> Option<Arc<KnownKeys>> {
        self.known.clone()
    }

    fn wanted(&self) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
    }
}

fn issuer() -> ForeignIssuer {
    ForeignIssuer {
        name: IssuerName::parse("staff").unwrap(),
        issuer: ISSUER.into(),
        keys: KeyOrigin::Discovery,
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
        audiences: vec![US.into()],
        typ: ExpectedTyp::AccessToken,
        leeway: ForeignIssuer::LEEWAY,
        longest: ForeignIssuer::LONGEST,
        stream_grace: ForeignIssuer::STREAM_GRACE,
        claims: ClaimNames::default(),
        scopes: ScopeSet::parse("orders:read orders:write").unwrap(),
        scope_map: Default::default(),
        local: Default::default(),
    }
}

/// The three keys, by names of one letter.
fn published() -> JwkSet {
    let named = |(key, kid): (&SigningKey, &str)| {
        let mut jwk = key.verifying_key().to_jwk().unwrap();
        jwk.insert("kid".into(), kid.into());
        Value::Object(jwk)
    };
    let keys: Vec<Value> = [(&*ES, "e"), (&*RS, "r"), (&*ED, "d")].map(named).into();
    let all = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ed25519];
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes(), &all).unwrap()
}

fn known_at(fetched_at: Timestamp) -> Option<Arc<KnownKeys>> {
    Some(Arc::new(KnownKeys { set: Arc::new(published()), fetched_at: Some(fetched_at) }))
}

fn trusted(config: ForeignIssuer, known: Option<Arc<KnownKeys>>) -> (ForeignIssuers, Arc<Keys>) {
    let keys = Arc::new(Keys { known, wanted: AtomicU64::new(0) });
    let issuer = TrustedIssuer { config: Arc::new(config), keys: keys.clone() };
    (ForeignIssuers::new([issuer]).unwrap(), keys)
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "e", "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": US, "exp": 1_800_000_300, "iat": 1_799_999_990,
        "client_id": "shop", "jti": "t1", "scope": "orders:read",
    })
}

fn with(mut value: Value, name: &str, other: Value) -> Value {
    value.as_object_mut().unwrap().insert(name.into(), other);
    value
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name);
    value
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whatever these are: text of tests, not only what is JSON.
fn signed_text(
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> String {
    let signed = format!("{}.{}", base64(header), base64(claims));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", base64(signature))
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_text(header.to_string(), claims.to_string(), |message| ES.sign(message).unwrap())
}

fn maced(header: &Value, claims: &Value, secret: &[u8]) -> String {
    signed_text(header.to_string(), claims.to_string(), |message| hmac_sha256(secret, &[message]).to_vec())
}

fn authenticate(config: ForeignIssuer, token: &str) -> Result<ForeignOutcome, Failure> {
    shown(&trusted(config, known_at(NOW)).0, token)
}

fn shown(issuers: &ForeignIssuers, token: &str) -> Result<ForeignOutcome, Failure> {
    issuers.authenticate(UnverifiedJwt::parse(token)?, Place::Authorization, NOW)
}

fn failure(config: ForeignIssuer, token: &str) -> Option<Failure> {
    authenticate(config, token).err()
}

/// Of the issuer's own namespace.
fn foreign(config: ForeignIssuer, claims: &Value) -> Authentication {
    match authenticate(config, &signed(&header(), claims)) {
        Ok(ForeignOutcome::Foreign(authentication)) => *authentication,
        other => panic!("{other:?}"),
    }
}
