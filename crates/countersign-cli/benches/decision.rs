//! One decision, of the very parts that serve: room, cache, directory, memory of changes, counters, route table and the
//! machine's clock. `cargo bench --profile dist -p countersign-cli`. Says first how often a cached yes asks the heap.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up should stop, and says what it counted"
)]

use countersign_core::{
    Clock, MethodName, ScopeSet,
    check::{
        DecisionPoint, Parts, Settings,
        decision::Decision,
        limit::RateLimit,
        request::{CheckRequest, Peer, Transport},
        route::{Alternative, LimitBy, MethodSet, Route, RouteLimit, RouteTable, SecurityRequirement},
    },
    principal::{PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    FingerprintKey, SystemEntropy,
    token::digest::{Pepper, Peppers},
};
use countersign_gateway::RouteTableCell;
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator,
        config::ApiKeyConfig,
        issue::{ApiKeyIssuer, Lifetime, NewKey},
        uses::Uses,
    },
    principal::{
        caller::Caller,
        directory::LocalDirectory,
        issue::{NewPrincipal, PrincipalIssuer},
    },
    revocation::{memory::ChangeMemory, store::each_revoked},
};
use countersign_store::local::{LocalCounter, SystemClock};
use countersign_testkit::MemoryStore;
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{hint::black_box, sync::Arc, time::Duration};

const ROUTES: usize = 100;
const KEYS: usize = 10_000;

struct Bench {
    point: DecisionPoint,
    /// What callers send, each with a key of its own.
    headers: Vec<HeaderMap>,
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).expect("scopes")
}

fn routes(limited: bool) -> Vec<Route> {
    let reads =
        SecurityRequirement::AnyOf(vec![Alternative(vec![(MethodName::ApiKey, scopes("orders:read"))])]);
    (0..ROUTES)
        .map(|n| {
            let mut route = Route::new(&format!("/s{n}/orders/{{id}}"), "orders", reads.clone());
            route.methods = MethodSet::Of(vec![Method::GET]);
            if limited {
                let limit = RateLimit { quota: u32::MAX, window: Duration::from_secs(1) };
                route.limits = vec![RouteLimit { by: LimitBy::Principal, limit }];
            }
            route
        })
        .collect()
}

fn with_key(key: &str) -> HeaderMap {
    let usual = [("host", "api.example.com"), ("accept", "*/*"), ("user-agent", "bench/1"), ("x-other", "y")];
    let mut headers: HeaderMap =
        usual.map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).into_iter().collect();
    headers.insert("x-api-key", key.parse().expect("a header"));
    headers
}

fn bench(limited: bool) -> Bench {
    let (store, entropy, clock) = (Arc::new(MemoryStore::new()), Arc::new(SystemEntropy), SystemClock);
    let peppers = Arc::new(Peppers::new(Pepper::new(1, &[7; 32]).unwrap(), Vec::new()).unwrap());
    let config = ApiKeyConfig::default();
    let issuer = ApiKeyIssuer::new(
        store.clone(),
        store.clone(),
        peppers.clone(),
        config.clone(),
        Arc::new([]),
        entropy.clone(),
    )
    .unwrap();
    let principals = PrincipalIssuer::new(store.clone(), entropy.clone());
    let now = clock.now();
    let new = NewPrincipal {
        kind: PrincipalKind::Service,
        name: PrincipalName::parse("billing").unwrap(),
        scopes: scopes("orders:read orders:write"),
        groups: Vec::new(),
    };
    let owner = principals.create(new, &Caller::host(), now).now_or_never().unwrap().unwrap();
    let headers = (0..KEYS)
        .map(|_| {
            let new = NewKey {
                owner: owner.id.clone(),
                label: String::new(),
                scopes: scopes("orders:read"),
                lifetime: Lifetime::Default,
                networks: Vec::new(),
                limit: None,
                plan: None,
            };
            let issued = issuer.create(new, &Caller::host(), now).now_or_never().unwrap().unwrap();
            with_key(issued.reveal().1.expose())
        })
        .collect();
    let directory = Arc::new(LocalDirectory::new(store.clone(), 1000));
    let memory = Arc::new(ChangeMemory::new(directory.clone(), Duration::from_secs(3600), &*entropy));
    let read = each_revoked(&*store, now, |page| memory.revoked(page, now));
    memory.reload(read.now_or_never().unwrap().unwrap(), now);
    memory.heard(now);
    let fingerprint = Arc::new(FingerprintKey::new(&*entropy));
    let room = ApiKeyAuthenticator::new(
        store,
        peppers,
        config,
        fingerprint,
        (Arc::new(Uses::default()), Arc::default()),
    )
    .unwrap();
    let authenticators: Vec<Arc<dyn countersign_core::Authenticator>> = vec![Arc::new(room)];
    let table = RouteTable::new(routes(limited), &authenticators).expect("routes");
    let point = DecisionPoint::new(Parts {
        routes: Arc::new(RouteTableCell::new(table)),
        authenticators,
        feed: memory,
        directory,
        counter: Arc::new(LocalCounter::new(100_000)),
        clock: Arc::new(clock),
        settings: Settings { cache_lifetime: Duration::from_secs(3600), ..Settings::default() },
    });
    Bench { point, headers }
}

fn decide(point: &DecisionPoint, headers: &HeaderMap, target: &PathAndQuery) -> bool {
    let peer = Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls };
    let request =
        CheckRequest { method: &Method::GET, authority: "api.example.com:8443", target, headers, peer };
    matches!(point.check(&request).now_or_never(), Some(Decision::Allow(_)))
}

fn decisions(c: &mut Criterion) {
    let target = PathAndQuery::from_static("/s77/orders/123456?page=2");
    for (name, limited) in [("cached yes", false), ("cached yes, counted", true)] {
        let Bench { point, headers } = bench(limited);
        assert!(headers.iter().all(|headers| decide(&point, headers, &target)), "the first yes");
        let first = headers.first().unwrap();
        let heap = allocation_counter::measure(|| assert!(decide(&point, first, &target)));
        println!("{name}: {} allocations, {} bytes", heap.count_total, heap.bytes_total);
        c.bench_function(&format!("{name}, one key"), |b| {
            b.iter(|| decide(&point, black_box(first), &target))
        });
        let mut around = headers.iter().cycle();
        c.bench_function(&format!("{name}, 10,000 keys in turn"), |b| {
            b.iter(|| around.next().is_some_and(|headers| decide(&point, black_box(headers), &target)));
        });
    }
    let Bench { point, headers } = bench(false);
    let good = headers.first().and_then(|h| h.get("x-api-key")).and_then(|v| v.to_str().ok()).unwrap();
    // a checksum that does not fit: refused offline
    let last = if good.ends_with('0') { "1" } else { "0" };
    let wrong = with_key(&format!("{}{last}", good.strip_suffix(|_: char| true).unwrap()));
    c.bench_function("malformed key: 401", |b| b.iter(|| decide(&point, black_box(&wrong), &target)));
    let none = HeaderMap::new();
    c.bench_function("no credential: 401", |b| b.iter(|| decide(&point, black_box(&none), &target)));
}

criterion_group!(benches, decisions);
criterion_main!(benches);
