//! HTTP/2 streams, run on their worker's thread. A stream that nothing moves is ended: on its own, because the others
//! of its connection may be well.

use crate::config::Timeouts;
use hyper::rt::Executor;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    task::spawn_local,
    time::{Instant, Sleep},
};

/// Where hyper runs the streams of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Streams {
    patience: Duration,
}

impl Streams {
    /// Longer than every wait that has a clock of its own, each of which wakes its stream. What is left is a caller that
    /// grants no window (CVE-2019-9517): it writes nothing and answers pings, so neither end of the socket is stuck.
    pub(crate) fn new(timeouts: &Timeouts) -> Self {
        let own = [timeouts.connect, timeouts.first_byte, timeouts.body];
        Self { patience: own.into_iter().fold(Duration::ZERO, Duration::saturating_add) }
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, future: F) {
        spawn_local(Stream {
            future: Box::pin(future),
            patience: self.patience,
            moved: Instant::now(),
            timer: None,
        });
    }
}

/// Dropped before its end, the stream is reset and what it holds of an upstream let go.
struct Stream<F> {
    future: Pin<Box<F>>,
    patience: Duration,
    /// When something else than the timer last woke it.
    moved: Instant,
    /// Only once something had to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = Instant::now();
        let rang = this.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if rang && now.duration_since(this.moved) >= this.patience {
            tracing::debug!("a stream that nothing moves is reset");
            return Poll::Ready(());
        }
        if !rang {
            this.moved = now;
        }
        if this.future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let until = this.moved + this.patience;
        if rang || this.timer.is_none() {
            let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            timer.as_mut().reset(until);
            // to be woken by it; when that moment has passed meanwhile, at once
            if timer.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}
