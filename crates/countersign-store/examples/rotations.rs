//! How many refresh tokens are rotated per second, each durable before its answer, with its audit record.
//!
//! `cargo run --release -p countersign-store --example rotations [URL]`; without a URL on a SQLite file beside the build.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: prints, and stops where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "measures time")]

mod measure;

use countersign_methods::{
    principal::store::PrincipalStore,
    session::store::{Rotated, SessionStore},
};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{
    at, event, service,
    session::{ROOM, rotation, session},
};
use measure::{SPAN, measured};
use std::{sync::Arc, time::Instant};

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
                    SessionStore::create(&*store, session(n, &owner), 0, ROOM, event).await.unwrap();
                }
            })
        })
        .collect();
    for maker in makers {
        maker.await.unwrap();
    }
    let mut begun_with = 0;
    for clients in [1, 32, 128] {
        let client = |client, begun: Instant| {
            let store = store.clone();
            // spread over the table, and never the same one twice
            let n = (begun_with + client) * 97 % OTHERS;
            async move {
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
            }
        };
        measured(clients, ("callers", "rotations"), client).await;
        begun_with += clients;
    }
    store.close().await;
}
