//! For the tests of durability: creates keys and prints each id when, and only when, its write was answered.
//!
//! `acknowledge URL together N` has 32 writers create keys until it has N (or is killed); `acknowledge URL one N` creates
//! N keys, each after the answer of the one before.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its output is its answer, and it serves nobody else"
)]

use countersign_methods::{api_key::store::ApiKeyStore, principal::store::PrincipalStore};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{event, key, service};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, how, count] = arguments.as_slice() else { return };
    let (writers, count) = (if how == "one" { 1 } else { 32 }, count.parse::<u32>().unwrap());
    let options = StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock));
    let store = Store::open(url, options).await.unwrap();
    let owner = service(1);
    PrincipalStore::create(&*store, owner.clone(), event("principal.create", "x")).await.unwrap();
    let next = Arc::new(AtomicU32::new(0));
    let writers = (0..writers).map(|_| {
        let (store, owner, next) = (store.clone(), owner.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return;
                }
                let key = key(n, &owner);
                let event = event("api_key.create", key.id.as_str());
                let id = key.id;
                if ApiKeyStore::create(&*store, key, event).await.is_ok() {
                    println!("{id}");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    store.close().await;
}
