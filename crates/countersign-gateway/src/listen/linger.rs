//! A close that waits for what the peer is still sending: a socket that is closed with unread input is reset, and a reset
//! can overtake the answer (RFC 9112 9.6).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Sleep,
};

pub(super) struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

const TIME: Duration = Duration::from_secs(1);
const BYTES: usize = 1024 * 1024;

impl Linger {
    /// Once our side said that it ends.
    pub(super) fn new() -> Self {
        Self { until: Box::pin(tokio::time::sleep(TIME)), left: BYTES }
    }

    /// Until the peer ends too, or sends for too long or too much.
    pub(super) fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 8 * 1024];
        while self.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf));
            self.left = self.left.saturating_sub(buf.filled().len());
            if read.is_err() || buf.filled().is_empty() || self.left == 0 {
                break;
            }
        }
        Poll::Ready(())
    }
}
