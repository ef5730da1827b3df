//! For the test of a full disk: run in a small file system of its own, says line by line what the store did there.
//!
//! `full_disk FOLDER`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its output is its answer, and it serves nobody else"
)]

use countersign_core::audit::AuditStore;
use countersign_methods::{
    api_key::{record::RevocationReason, store::ApiKeyStore},
    principal::store::PrincipalStore,
};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::conformance::{at, event, key, key_id, service};
use std::{io::Write, path::PathBuf, sync::Arc};

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    let options = StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock));
    let url = format!("sqlite:{}/countersign.db", folder.display());
    let store = Store::open(&url, options).await.unwrap();
    let owner = service(1);
    PrincipalStore::create(&*store, owner.clone(), event("principal.create", "x")).await.unwrap();
    let create = async |n| ApiKeyStore::create(&*store, key(n, &owner), event("api_key.create", "x")).await;
    let mut made = 0;
    while made < 100 {
        create(made).await.unwrap();
        made += 1;
    }
    // somebody else's file takes all the room there is
    let filler = folder.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    drop(file);
    while made < 100_000 && create(made).await.is_ok() {
        made += 1;
    }
    println!("full: {}", made < 100_000);
    println!("create: {}", create(made).await.is_ok());
    let revoke = async |n| {
        let id = key_id(n);
        ApiKeyStore::revoke(&*store, &id, None, at(0), RevocationReason::Leaked, event("api_key.revoke", "x"))
            .await
    };
    let mut revoked = 0;
    for n in 0..100 {
        revoked += u32::from(revoke(n).await.is_ok());
    }
    println!("revoked: {revoked}");
    println!("create: {}", create(made).await.is_ok());
    std::fs::remove_file(filler).unwrap();
    println!("create: {}", create(made).await.is_ok());
    println!("trail: {:?}", store.verify().await.unwrap());
    println!("kept: {}", made + 1);
    store.close().await;
}
