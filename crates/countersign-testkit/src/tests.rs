//! What the tests of others rest on.

use crate::{ManualClock, MemoryStore, SeededEntropy, conformance::Ports, eventually};
use countersign_core::Clock;
use countersign_crypto::Entropy;
use std::{sync::Arc, time::Duration};

#[test]
fn seeded_entropy_repeats_itself_and_nothing_else() {
    let bytes = |seed, times: usize| {
        let entropy = SeededEntropy::new(seed);
        let mut all = vec![0; 64];
        (0..times).for_each(|_| entropy.fill(&mut all));
        all
    };
    assert_eq!(bytes(1, 1), bytes(1, 1));
    assert_ne!(bytes(1, 1), bytes(1, 2));
    assert_ne!(bytes(1, 1), bytes(2, 1));
}

#[test]
fn the_clock_stands_until_it_is_moved() {
    let clock = ManualClock::default();
    let begun = clock.now();
    assert_eq!(clock.now(), begun);
    clock.advance(Duration::from_secs(3));
    assert_eq!(clock.now().since(begun), Duration::from_secs(3));
    assert_eq!(clock.reads(), 3);
}

#[tokio::test]
async fn eventually_waits_and_gives_up() {
    let mut asked = 0;
    eventually(Duration::from_secs(1), || {
        asked += 1;
        let so = asked == 3;
        async move { so }
    })
    .await;
    assert_eq!(asked, 3);
    let never = tokio::spawn(eventually(Duration::from_millis(20), || async { false }));
    assert!(never.await.unwrap_err().is_panic());
}

/// What is in memory keeps the promises of sessions and signing keys as the engines do.
macro_rules! in_memory {
    ($($area:ident: $cases:tt),* $(,)?) => { $( in_memory!(@ $area $cases); )* };
    (@ jwt $cases:tt) => { in_memory!(= jwt $cases); };
    (@ session $cases:tt) => { in_memory!(= session $cases); };
    (@ signing $cases:tt) => { in_memory!(= signing $cases); };
    // of the others it keeps what the handlers' tests need
    (@ $other:ident $cases:tt) => {};
    (= $area:ident [$($case:ident),* $(,)?]) => {
        mod $area {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::conformance::$area::$case(super::ports()).await;
                }
            )*
        }
    };
}
crate::conformance_cases!(in_memory);

fn ports() -> Ports {
    let store = Arc::new(MemoryStore::new());
    Ports {
        principals: store.clone(),
        keys: store.clone(),
        basic: store.clone(),
        signing: store.clone(),
        jwt: store.clone(),
        sessions: store.clone(),
        feed: store.clone(),
        audit: store.clone(),
        idempotency: store,
    }
}
