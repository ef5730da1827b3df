//! The only wait in tests.

use std::{future::Future, time::Duration};

/// Asks again every few milliseconds until it is so; fails the test at the deadline.
pub async fn eventually<F, Fut>(deadline: Duration, mut so: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let asking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(deadline, asking).await.is_err() {
        panic!("not so within {deadline:?}");
    }
}
