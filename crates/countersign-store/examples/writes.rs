//! How many keys are created per second, each durable before its answer, with its audit record.
//!
//! `cargo run --release -p countersign-store --example writes [URL]`; without a URL on a SQLite file beside the build.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: prints, and stops where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "measures time")]

mod measure;

use countersign_methods::{api_key::store::ApiKeyStore, principal::store::PrincipalStore};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{event, key, service};
use measure::{SPAN, measured};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

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
        let client = |_, begun: Instant| {
            let (store, owner, next) = (store.clone(), owner.clone(), next.clone());
            async move {
                let mut waits = Vec::new();
                while begun.elapsed() < SPAN {
                    let key = key(next.fetch_add(1, Ordering::Relaxed), &owner);
                    let event = event("api_key.create", key.id.as_str());
                    let asked = Instant::now();
                    ApiKeyStore::create(&*store, key, event).await.unwrap();
                    waits.push(asked.elapsed());
                }
                waits
            }
        };
        measured(clients, ("writers", "keys"), client).await;
    }
    store.close().await;
}
