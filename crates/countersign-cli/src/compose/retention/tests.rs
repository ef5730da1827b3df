use super::turn;
use crate::{
    compose::{Rooms, World},
    config::{self, Environment},
};
use countersign_core::{
    ScopeSet,
    audit::{AuditQuery, AuditStore, ChainState},
    principal::{PrincipalKind, PrincipalName},
};
use countersign_crypto::SystemEntropy;
use countersign_methods::principal::{caller::Caller, issue::NewPrincipal};
use countersign_testkit::ManualClock;
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_long_enough_goes_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[gateway]\nlisten = \"127.0.0.1:0\"\n[[upstreams]]\nname = \"api\"\nurl = \"http://127.0.0.1:1\"\n\
                [audit]\nkeep = \"400d\"\n[[routes]]\npath = \"/\"\nupstream = \"api\"\nsecurity = []\n";
    let settings = config::parse(&folder.path().join("c.toml"), text, &Environment::default()).unwrap();
    let clock = Arc::new(ManualClock::new(countersign_core::Timestamp::from_seconds(1_800_000_000)));
    let world = World { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
    let rooms = Rooms::open(&settings, world).await.unwrap();
    let keep = settings.audit.keep.unwrap();
    assert_eq!(keep, 400 * DAY);
    // more than one part
    for n in 0..520 {
        let new = NewPrincipal {
            kind: PrincipalKind::Service,
            name: PrincipalName::parse(&format!("s{n}")).unwrap(),
            scopes: ScopeSet::default(),
            groups: Vec::new(),
        };
        if n == 510 {
            clock.advance(10 * DAY);
        }
        rooms.principals.create(new, &Caller::host(), rooms.now()).await.unwrap();
    }
    assert_eq!(turn(&rooms, keep, "a").await.unwrap(), 0);
    clock.advance(391 * DAY);
    // somebody else does it
    let later = rooms.now() + DAY;
    assert!(rooms.store.take_lease(super::JOB, "b", rooms.now(), later).await.unwrap());
    assert_eq!(turn(&rooms, keep, "a").await.unwrap(), 0);
    clock.advance(2 * DAY);
    assert_eq!(turn(&rooms, keep, "a").await.unwrap(), 510);
    assert_eq!(turn(&rooms, keep, "a").await.unwrap(), 0);
    let state = rooms.store.verify().await.unwrap();
    assert!(matches!(state, ChainState::Whole { records: 12, removed: 510, .. }), "{state:?}");
    let oldest = rooms.store.page(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(oldest[0].number, 511);
    rooms.store.close().await;
}
