//! How many refresh tokens are rotated per second, each durable before its answer, with its audit record.
//!
//! `cargo run --release -p countersign-store --example rotations [URL]`; without a URL on a SQLite file beside the build.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: prints, and stops where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use countersign_methods::{
    principal::store::PrincipalStore,
    session::store::{Rotated, SessionStore},
};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{
    at, event, service,
    session::{rotation, session},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const SPAN: Duration = Duration::from_secs(4);
/// Sessions that lie there beside those that are used.
const OTHERS: u32 = 20_000;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| format!("sqlite:{}/rotations.db", folder.path().display()));
    let options = StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock));
    let store = Store::open(&url, options).await.unwrap();
    let owner = service(1);
    PrincipalStore::create(&*store, owner.clone(), event("principal.create", "x")).await.unwrap();
    let makers: Vec<_> = (0..50)
        .map(|maker| {
            let (store, owner) = (store.clone(), owner.clone());
            tokio::spawn(async move {
                for n in (maker..OTHERS).step_by(50) {
                    let event = event("session.create", "x");
                    SessionStore::create(&*store, session(n, &owner), 0, event).await.unwrap();
                }
            })
        })
        .collect();
    for maker in makers {
        maker.await.unwrap();
    }
    let mut begun_with = 0;
    for clients in [1, 32, 128] {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|client| {
                let store = store.clone();
                // spread over the table, and never the same one twice
                let n = (begun_with + client) * 97 % OTHERS;
                tokio::spawn(async move {
                    let (mut waits, mut token) = (Vec::new(), 0);
                    while begun.elapsed() < SPAN {
                        let asked = Instant::now();
                        let next = rotation(n, token, token + 1, at(i64::from(n) + 1));
                        let event = event("session.refresh", next.id.as_str());
                        assert_eq!(store.rotate(next, event).await.unwrap(), Rotated::Done);
                        waits.push(asked.elapsed());
                        token += 1;
                    }
                    waits
                })
            })
            .collect();
        begun_with += clients;
        let mut waits = Vec::new();
        for task in tasks {
            waits.extend(task.await.unwrap());
        }
        let rate = waits.len() as f64 / begun.elapsed().as_secs_f64();
        waits.sort();
        let part = |q: usize| waits.get(waits.len() * q / 100).copied().unwrap_or_default();
        println!("{clients:>4} callers: {rate:>6.0} rotations/s, p50 {:?}, p99 {:?}", part(50), part(99));
    }
    store.close().await;
}
