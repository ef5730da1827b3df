//! The key parser, and finding a key in a request: no panic, nothing good without its checksum, and what is made is
//! read back.
#![no_main]

use countersign_core::{
    Authenticator, BoxFuture, Found, MethodRule, StoreError, Timestamp,
    audit::AuditEvent,
    check::request::{CheckRequest, Peer, Transport},
    page::Page,
};
use countersign_crypto::{
    Entropy, FingerprintKey, SystemEntropy,
    token::digest::{Pepper, Peppers},
};
use countersign_methods::api_key::{
    authenticator::ApiKeyAuthenticator,
    config::ApiKeyConfig,
    credential::{KeyFormats, PlainKey},
    record::{ApiKeyRecord, KeyId, Lookup, RevocationReason},
    store::{ApiKeyQuery, ApiKeyStore, Revoked, Rotation, Upgrade},
    uses::Uses,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock, Mutex};

fuzz_target!(|data: &[u8]| {
    let formats = &*FORMATS;
    match formats.parse(data) {
        Ok(PlainKey::Issued(token)) => {
            let secret = String::from_utf8_lossy(token.secret());
            let written = format!("{}_{}{secret}", formats.ours().name(), token.id());
            assert!(data.starts_with(written.as_bytes()) && data.len() == written.len() + 6);
            assert!(KeyId::parse(token.id()).is_some());
        }
        Ok(PlainKey::Imported(value)) => {
            assert!(value.expose() == data && data.starts_with(b"acme_") && data.is_ascii());
        }
        Err(_) => {}
    }
    let made = formats.ours().generate(&Given::new(data));
    let token = formats.parse(made.token.expose().as_bytes());
    assert!(
        matches!(token, Ok(PlainKey::Issued(token)) if token.id() == made.id),
        "what is made is not read back"
    );
    find(data, made.token.expose());
});

/// The first byte says where the rest stands, and whether a good key stands before it.
fn find(data: &[u8], good: &str) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut value = if choice & 1 == 0 { Vec::new() } else { good.as_bytes().to_vec() };
    value.extend_from_slice(rest);
    let mut headers = HeaderMap::new();
    if choice & 2 != 0 {
        let bearer = [b"Bearer ", value.as_slice()].concat();
        headers.extend(HeaderValue::from_bytes(&bearer).map(|v| (http::header::AUTHORIZATION, v)));
    }
    for (bit, name) in [(4, "x-api-key"), (8, "x-mine"), (16, "authorization")] {
        if choice & bit != 0 {
            headers.extend(HeaderValue::from_bytes(&value).map(|v| (HeaderName::from_static(name), v)));
        }
    }
    let query = String::from_utf8_lossy(&value);
    let target = match choice & 32 {
        0 => "/".parse(),
        _ => format!("/?key={query}").parse(),
    };
    let Ok(target): Result<PathAndQuery, _> = target else { return };
    let request = CheckRequest {
        method: &Method::GET,
        authority: "localhost",
        target: &target,
        headers: &headers,
        peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
    };
    if let Found::Present(presented) = ROOM.find(&request, &RULE) {
        assert!(FORMATS.parse(presented.credential).is_ok(), "present without a checksum");
        assert!(presented.cache_key.is_some());
    }
}

static FORMATS: LazyLock<KeyFormats> = LazyLock::new(|| KeyFormats::new(&config()).unwrap());
static RULE: LazyLock<MethodRule> = LazyLock::new(|| MethodRule {
    header: Some(HeaderName::from_static("x-mine")),
    query: Some("key".into()),
    ..MethodRule::DEFAULT
});
static ROOM: LazyLock<ApiKeyAuthenticator> = LazyLock::new(|| {
    let peppers = Peppers::new(Pepper::new(1, &[1; 32]).unwrap(), Vec::new()).unwrap();
    let fingerprint = FingerprintKey::new(&SystemEntropy);
    ApiKeyAuthenticator::new(
        Arc::new(Nobody),
        Arc::new(peppers),
        config(),
        Arc::new(fingerprint),
        (Arc::new(Uses::default()), Arc::default()),
    )
    .unwrap()
});

fn config() -> ApiKeyConfig {
    ApiKeyConfig { imported_prefixes: vec!["acme_".into()], ..ApiKeyConfig::default() }
}

/// The input over and over, with a counter so that it ends.
#[derive(Debug)]
struct Given(Mutex<(Vec<u8>, usize)>);

impl Given {
    fn new(data: &[u8]) -> Self {
        Self(Mutex::new((data.to_vec(), 0)))
    }
}

impl Entropy for Given {
    fn fill(&self, bytes: &mut [u8]) {
        let mut given = self.0.lock().unwrap();
        for byte in bytes {
            let at = given.1;
            let from = given.0.get(at % given.0.len().max(1)).copied().unwrap_or(0);
            *byte = from.wrapping_add((at / 7) as u8);
            given.1 += 1;
        }
    }
}

/// Finding asks nobody.
#[derive(Debug)]
struct Nobody;

fn no<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Unavailable(String::new())) })
}

impl ApiKeyStore for Nobody {
    fn find<'a>(&'a self, _: &'a KeyId) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        no()
    }
    fn list<'a>(&'a self, _: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>> {
        no()
    }
    fn create<'a>(&'a self, _: ApiKeyRecord, _: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn find_imported<'a>(
        &'a self,
        _: Vec<Lookup>,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        no()
    }
    fn import<'a>(&'a self, _: Vec<(ApiKeyRecord, AuditEvent)>) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn upgrade<'a>(&'a self, _: Upgrade, _: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn rotate<'a>(&'a self, _: Rotation, _: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn revoke<'a>(
        &'a self,
        _: &'a KeyId,
        _: Option<i64>,
        _: Timestamp,
        _: RevocationReason,
        _: AuditEvent,
    ) -> BoxFuture<'a, Result<Revoked, StoreError>> {
        no()
    }
    fn used<'a>(&'a self, _: Vec<(KeyId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn peppers<'a>(&'a self, _: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        no()
    }
}
