//! So many callers at once for a while, and what they got done.

use std::{
    future::Future,
    time::{Duration, Instant},
};

pub(crate) const SPAN: Duration = Duration::from_secs(4);

/// `client`: one of them, from that moment on for [`SPAN`], each wait of its.
pub(crate) async fn measured<F>(clients: u32, (who, what): (&str, &str), client: impl Fn(u32, Instant) -> F)
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients).map(|n| tokio::spawn(client(n, begun))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.unwrap());
    }
    let rate = waits.len() as f64 / begun.elapsed().as_secs_f64();
    waits.sort();
    let part = |q: usize| waits.get(waits.len() * q / 100).copied().unwrap_or_default();
    println!("{clients:>4} {who}: {rate:>6.0} {what}/s, p50 {:?}, p99 {:?}", part(50), part(99));
}
