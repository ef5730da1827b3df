//! One decision on a cached credential, and its parts: `cargo bench -p countersign-core --profile dist`.
//!
//! Path, route, cache, lineage, standing, authorization and limit are the real ones, over the testkit's memory. The room
//! does nothing but find its header: what a real one adds is measured beside it. 10,000 routes, 10,000 cached
//! credentials, a limit on the route.

use countersign_core::{
    Authentication, Authenticator, CredentialId, Found, Lineage, MethodName, MethodRule, Node, NodeKind,
    Noted, Place, Presented, Refusal, Rejection, ScopeSet, Timestamp,
    authenticator::{CacheKey, Confirmation, Fault, Verification},
    challenge::Challenge,
    check::{
        DecisionPoint, Parts, Settings,
        decision::Decision,
        limit::{RateLimit, gcra},
        path::{canonical_authority, canonical_target},
        request::{CheckRequest, One, Peer, Transport},
        route::{Alternative, LimitBy, Route, RouteLimit, RouteTable, SecurityRequirement},
    },
};
use countersign_testkit::{ManualClock, MemoryCounter, MemoryDirectory, MemoryFeed, StaticRoutes, principal};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{hint::black_box, sync::Arc, time::Duration};

const KEY: HeaderName = HeaderName::from_static("x-api-key");
const KEYS: u64 = 10_000;

/// The first 32 bytes of the header are the key.
#[derive(Debug)]
struct Room;

impl Authenticator for Room {
    fn method(&self) -> MethodName {
        MethodName::ApiKey
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, _: &MethodRule) -> Found<'r> {
        match request.headers.one(&KEY) {
            One::Single(credential) => Found::Present(Presented {
                cache_key: credential.first_chunk().copied().map(CacheKey),
                place: Place::Header,
                credential,
                from: request.peer.address,
            }),
            _ => Found::Absent,
        }
    }

    fn verify<'a>(&'a self, presented: Presented<'a>, _: &'a MethodRule, _: Timestamp) -> Verification<'a> {
        Box::pin(async move {
            let rejection =
                Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "not text" };
            let name = std::str::from_utf8(presented.credential).map_err(|_| Refusal::Rejected(rejection))?;
            let owner = principal("alice", "a b").id;
            Ok(Authentication {
                lineage: Lineage::new([Node::principal(&owner), Node::new(NodeKind::ApiKey, name)]),
                principal: owner,
                method: MethodName::ApiKey,
                credential: CredentialId::new(name),
                issuer: None,
                audiences: None,
                scopes: ScopeSet::parse("a b").unwrap_or_default(),
                authenticated_at: Timestamp::EPOCH,
                networks: Arc::new([]),
                place: Place::Header,
                not_before: None,
                expires_at: Some(Timestamp::from_seconds(4_000_000_000)),
                limit: None,
                plan: None,
                foreign: None,
                noted: Noted::default(),
            })
        })
    }

    fn confirm<'a>(
        &'a self,
        _: &'a Authentication,
        _: &'a CheckRequest<'_>,
        _: Timestamp,
    ) -> Confirmation<'a> {
        Confirmation::Done(Ok(()))
    }

    fn challenge(&self, _: &Route) -> Option<Challenge> {
        Challenge::new("Bearer", &[("realm", "bench")])
    }
}

fn routes(limited: bool) -> Vec<Route> {
    let needs = SecurityRequirement::AnyOf(vec![Alternative(vec![(
        MethodName::ApiKey,
        ScopeSet::parse("a").unwrap_or_default(),
    )])]);
    (0..10_000)
        .map(|n| {
            let mut route = Route::new(&format!("/s{n}/orders/{{id}}/items"), "orders", needs.clone());
            if limited {
                let limit = RateLimit { quota: u32::MAX, window: Duration::from_secs(1) };
                route.limits = vec![RouteLimit { by: LimitBy::Principal, limit }];
            }
            route
        })
        .collect()
}

fn point(limited: bool) -> Option<DecisionPoint> {
    let authenticators: Vec<Arc<dyn Authenticator>> = vec![Arc::new(Room)];
    let table = RouteTable::new(routes(limited), &authenticators).ok()?;
    let directory = MemoryDirectory::default();
    directory.set(&principal("alice", "a b"));
    Some(DecisionPoint::new(Parts {
        routes: Arc::new(StaticRoutes::new(table)),
        authenticators,
        feed: Arc::new(MemoryFeed::default()),
        directory: Arc::new(directory),
        counter: Arc::new(MemoryCounter::default()),
        clock: Arc::new(ManualClock::default()),
        settings: Settings::default(),
    }))
}

/// Random enough to miss the processor's caches, and 32 bytes of text.
fn key(n: u64) -> String {
    format!("{:016x}{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n.wrapping_mul(0xbf58_476d_1ce4_e5b9))
}

fn decide(point: &DecisionPoint, headers: &HeaderMap, target: &PathAndQuery) -> bool {
    let peer = Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls };
    let request =
        CheckRequest { method: &Method::GET, authority: "api.example.com:8443", target, headers, peer };
    matches!(point.check(&request).now_or_never(), Some(Decision::Allow(_)))
}

fn cached(c: &mut Criterion) {
    let headers: Vec<HeaderMap> = (0..KEYS)
        .map(|n| {
            let mut map = HeaderMap::new();
            let usual =
                [("host", "api.example.com"), ("accept", "*/*"), ("user-agent", "bench/1"), ("x-other", "y")];
            for (name, value) in usual {
                map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            map.extend(HeaderValue::try_from(key(n)).ok().map(|value| (KEY, value)));
            map
        })
        .collect();
    let target = PathAndQuery::from_static("/s7777/orders/123456/items?page=2");
    for (name, limited) in [("cached yes", false), ("cached yes, counted by principal", true)] {
        let Some(point) = point(limited) else { return };
        assert!(headers.iter().all(|headers| decide(&point, headers, &target)), "the first yes");
        let mut around = headers.iter().cycle();
        c.bench_function(name, |b| {
            b.iter(|| around.next().is_some_and(|headers| decide(&point, black_box(headers), &target)));
        });
    }
    let Some(point) = point(false) else { return };
    let nothing = HeaderMap::new();
    c.bench_function("no credential: 401", |b| b.iter(|| decide(&point, black_box(&nothing), &target)));
}

fn parts(c: &mut Criterion) {
    let plain = PathAndQuery::from_static("/s7777/orders/123456/items?page=2");
    c.bench_function("path, canonical already", |b| b.iter(|| canonical_target(black_box(&plain))));
    let other = PathAndQuery::from_static("/s7777/./orders/%31%32/../123456//items?page=2");
    c.bench_function("path, made canonical", |b| b.iter(|| canonical_target(black_box(&other))));
    c.bench_function("authority", |b| {
        b.iter(|| canonical_authority(black_box("api.example.com:8443")).is_ok())
    });
    if let Ok(table) = RouteTable::new(routes(false), &[]) {
        let path = "/s7777/orders/123456/items";
        c.bench_function("route of 10,000", |b| {
            b.iter(|| table.find("api.example.com", black_box(path), &Method::GET))
        });
    }
    let limit = RateLimit { quota: 100, window: Duration::from_secs(60) };
    c.bench_function("gcra", |b| {
        b.iter(|| gcra(black_box(0), &limit, Timestamp::from_seconds(1_800_000_000)))
    });
}

criterion_group!(benches, cached, parts);
criterion_main!(benches);
