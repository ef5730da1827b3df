//! What a key costs before the cache is asked. The aim: one refused malformed key in at most 150 ns.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up should stop")]

use countersign_core::{
    Authenticator, BoxFuture, Found, MethodRule, Node, NodeKind, StoreError, Timestamp,
    audit::AuditEvent,
    check::{
        request::{CheckRequest, Peer, Transport},
        revocation::{Position, RevocationFeed},
    },
    page::Page,
};
use countersign_core::{
    PrincipalId,
    principal::{Principal, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey, SystemEntropy,
    token::{
        digest::{Pepper, Peppers, TokenParts},
        format::TokenFormat,
    },
};
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator,
        config::ApiKeyConfig,
        record::{ApiKeyRecord, KeyId, Lookup, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore, Revoked, Rotation, Upgrade},
        uses::Uses,
    },
    principal::{
        directory::LocalDirectory,
        store::{PrincipalChange, PrincipalQuery, PrincipalStore},
    },
    revocation::{
        memory::ChangeMemory,
        store::{Change, ChangeKind},
    },
};
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method, uri::PathAndQuery};
use std::{hint::black_box, sync::Arc};

criterion_group!(benches, finding, parts, memory);
criterion_main!(benches);

fn finding(c: &mut Criterion) {
    let room = room();
    let good = key();
    let mut typo = good.clone();
    typo.replace_range(30..31, if typo.get(30..31) == Some("a") { "b" } else { "a" });
    let short = good.chars().take(40).collect::<String>();
    let rows = [
        ("refused: one wrong character, x-api-key", "x-api-key", typo.clone()),
        ("refused: one wrong character, bearer", "authorization", format!("Bearer {typo}")),
        ("refused: cut short, x-api-key", "x-api-key", short),
        ("refused: something else, x-api-key", "x-api-key", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln".into()),
        ("found with fingerprint, x-api-key", "x-api-key", good.clone()),
        ("found with fingerprint, bearer", "authorization", format!("Bearer {good}")),
    ];
    let (rule, target) = (MethodRule::default(), PathAndQuery::from_static("/orders/1"));
    for (name, header, value) in rows {
        let mut headers = browser();
        headers.insert(header, HeaderValue::try_from(value).expect("ascii"));
        let request = CheckRequest {
            method: &Method::GET,
            authority: "localhost",
            target: &target,
            headers: &headers,
            peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
        };
        let refused = matches!(room.find(&request, &rule), Found::Bad(_));
        assert_eq!(refused, name.starts_with("refused"), "{name}");
        c.bench_function(name, |b| b.iter(|| black_box(room.find(black_box(&request), &rule))));
    }
}

fn parts(c: &mut Criterion) {
    let (format, key) = (format(), key());
    c.bench_function("parse a good key", |b| b.iter(|| format.parse(black_box(key.as_bytes()))));
    let fingerprint = FingerprintKey::new(&SystemEntropy);
    c.bench_function("fingerprint", |b| {
        b.iter(|| fingerprint.of(&[b"api_key cs_live", b"h", key.as_bytes()]))
    });
    let peppers = peppers();
    let token = format.parse(key.as_bytes()).expect("a good key");
    let parts = TokenParts { kind: "api_key", prefix: "cs_live", id: token.id(), secret: token.secret() };
    c.bench_function("keyed digest", |b| b.iter(|| peppers.digest(black_box(&parts))));
    c.bench_function("generate a key", |b| b.iter(|| format.generate(&SystemEntropy)));
}

/// What every request asks of the feed: two nodes, beside 50,000 that changed and 50,000 that are revoked.
fn memory(c: &mut Criterion) {
    let directory = Arc::new(LocalDirectory::new(Arc::new(Nobody), 1000));
    let memory = ChangeMemory::new(directory, ChangeMemory::BLIND_AFTER, &SystemEntropy);
    let node = |n: i64| Node::new(NodeKind::ApiKey, &format!("{n:012}"));
    let changes: Vec<Change> = (1..100_000)
        .map(|n| Change {
            position: Position(n),
            kind: if n % 2 == 0 { ChangeKind::Changed } else { ChangeKind::Revoked },
            node: node(n),
            at: Timestamp::EPOCH,
            until: None,
        })
        .collect();
    memory.apply(&changes, Timestamp::EPOCH);
    let lineage = [Node::new(NodeKind::Principal, "svc_0123456789abcdefghij"), node(999_999)];
    c.bench_function("lineage of two against the feed", |b| {
        b.iter(|| lineage.iter().any(|n| memory.is_revoked(n) || memory.changed_at(n).is_some()))
    });
    let uses = Uses::default();
    let id = KeyId::parse("0123456789ab").expect("an id");
    c.bench_function("note a use", |b| b.iter(|| uses.note(black_box(id), Timestamp::EPOCH)));
}

/// The headers of an ordinary request beside the key.
fn browser() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["host", "accept", "user-agent", "accept-encoding", "content-type", "x-trace"] {
        headers.insert(name, HeaderValue::from_static("something"));
    }
    headers
}

fn format() -> TokenFormat {
    TokenFormat::new("cs", "live").expect("a word")
}

fn key() -> String {
    format().generate(&SystemEntropy).token.expose().to_string()
}

fn peppers() -> Peppers {
    Peppers::new(Pepper::new(1, &[1; 32]).expect("long enough"), Vec::new()).expect("one pepper")
}

fn room() -> ApiKeyAuthenticator {
    let fingerprint = Arc::new(FingerprintKey::new(&SystemEntropy));
    let config = ApiKeyConfig::default();
    ApiKeyAuthenticator::new(
        Arc::new(Nobody),
        Arc::new(peppers()),
        config,
        fingerprint,
        (Arc::default(), Arc::default()),
    )
    .expect("a good configuration")
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
    fn find_imported<'a>(&'a self, _: Vec<Lookup>) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
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

impl PrincipalStore for Nobody {
    fn find<'a>(&'a self, _: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        no()
    }
    fn find_by_name<'a>(
        &'a self,
        _: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        no()
    }
    fn list<'a>(&'a self, _: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>> {
        no()
    }
    fn create<'a>(&'a self, _: Principal, _: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        no()
    }
    fn change<'a>(
        &'a self,
        _: &'a PrincipalId,
        _: i64,
        _: PrincipalChange,
        _: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        no()
    }
    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>> {
        no()
    }
}
