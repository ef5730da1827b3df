//! How many keys are created per second, each durable before its answer, with its audit record.
//!
//! `cargo run --release -p countersign-store --example writes [URL]`; without a URL on a SQLite file beside the build.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: prints, and stops where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use countersign_methods::{api_key::store::ApiKeyStore, principal::store::PrincipalStore};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{event, key, service};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

const SPAN: Duration = Duration::from_secs(4);

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| format!("sqlite:{}/writes.db", folder.path().display()));
    let options = StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock));
    let store = Store::open(&url, options).await.unwrap();
    let owner = service(1);
    PrincipalStore::create(&*store, owner.clone(), event("principal.create", "x")).await.unwrap();
    let next = Arc::new(AtomicU32::new(0));
    for clients in [1, 32, 128] {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (store, owner, next) = (store.clone(), owner.clone(), next.clone());
                tokio::spawn(async move {
                    let mut waits = Vec::new();
                    while begun.elapsed() < SPAN {
                        let key = key(next.fetch_add(1, Ordering::Relaxed), &owner);
                        let event = event("api_key.create", key.id.as_str());
                        let asked = Instant::now();
                        ApiKeyStore::create(&*store, key, event).await.unwrap();
                        waits.push(asked.elapsed());
                    }
                    waits
                })
            })
            .collect();
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.unwrap());
        }
        let rate = waits.len() as f64 / begun.elapsed().as_secs_f64();
        waits.sort();
        let part = |q: usize| waits.get(waits.len() * q / 100).copied().unwrap_or_default();
        println!("{clients:>4} writers: {rate:>6.0} keys/s, p50 {:?}, p99 {:?}", part(50), part(99));
    }
    store.close().await;
}
