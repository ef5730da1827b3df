//! Bodies on their way through: counted, timed, and without trailers that could pass for header fields.

use super::{headers, http1, pool::Lease, streams::Tether};
use crate::listen::{http1::body::Interims, inlet::Inlet};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use thiserror::Error;
use tokio::time::{Instant, Sleep};

/// Why the request body did not reach its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum UploadFault {
    #[error("the request body is larger than allowed")]
    TooLarge,
    #[error("the caller sends no more of its body")]
    Stalled,
    #[error("the caller went away or broke its framing")]
    Broken,
    #[error("what permitted this request has been revoked")]
    Revoked,
}

/// Where the request body is, seen from the exchange that waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The upstream could take more, the caller has yet to send it.
    AwaitsCaller,
    /// The upstream has yet to take what is there.
    AwaitsUpstream,
    Done,
    Failed(UploadFault),
}

#[derive(Debug)]
pub(crate) struct Exchange {
    progress: Cell<Progress>,
    moved: Cell<Instant>,
}

impl Exchange {
    pub(crate) fn progress(&self) -> Progress {
        self.progress.get()
    }

    pub(crate) fn moved(&self) -> Instant {
        self.moved.get()
    }

    fn set(&self, progress: Progress) {
        self.progress.set(progress);
        self.moved.set(Instant::now());
    }
}

/// The caller's body on its way to the upstream.
#[derive(Debug)]
pub(crate) struct Upload {
    /// `None`: a request of our own, which has none.
    body: Option<Inlet>,
    left: u64,
    exchange: Rc<Exchange>,
    tether: Option<Tether>,
    patience: Patience,
}

impl Upload {
    /// `None`: it declares more than is allowed.
    pub(crate) fn new(
        body: Inlet,
        limit: u64,
        patience: Patience,
        tether: impl FnOnce() -> Option<Tether>,
    ) -> Option<(Self, Rc<Exchange>)> {
        if body.size_hint().lower() > limit {
            return None;
        }
        let progress = if body.is_end_stream() { Progress::Done } else { Progress::AwaitsUpstream };
        let exchange = Rc::new(Exchange { progress: Cell::new(progress), moved: Cell::new(Instant::now()) });
        let tether = if body.is_end_stream() { None } else { tether() };
        let upload = Self { body: Some(body), left: limit, exchange: exchange.clone(), tether, patience };
        Some((upload, exchange))
    }

    pub(crate) fn empty() -> Self {
        let exchange = Exchange { progress: Cell::new(Progress::Done), moved: Cell::new(Instant::now()) };
        let patience = Patience::new(Duration::ZERO);
        Self { body: None, left: 0, exchange: Rc::new(exchange), tether: None, patience }
    }

    pub(crate) fn interims(&self) -> Option<Interims> {
        self.body.as_ref().and_then(Inlet::interims)
    }

    fn fail(&self, fault: UploadFault) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        self.exchange.set(Progress::Failed(fault));
        Poll::Ready(Some(Err(fault)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadFault>>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let polled = Pin::new(&mut *body).poll_frame(cx);
            // RULES 2.5: what is sent slowly enough would outlive any revocation
            let goes_on = polled.is_pending() || !body.is_end_stream();
            if goes_on && self.tether.as_mut().is_some_and(|tether| tether.is_cut(cx)) {
                return self.fail(UploadFault::Revoked);
            }
            let frame = match polled {
                Poll::Pending => {
                    if self.patience.is_over(cx) {
                        return self.fail(UploadFault::Stalled);
                    }
                    if self.exchange.progress() != Progress::AwaitsCaller {
                        self.exchange.set(Progress::AwaitsCaller);
                    }
                    return Poll::Pending;
                }
                Poll::Ready(frame) => frame,
            };
            self.patience.renew();
            let data = match frame {
                None => {
                    self.exchange.set(Progress::Done);
                    return Poll::Ready(None);
                }
                Some(Err(_)) => return self.fail(UploadFault::Broken),
                // RULES 3.1: a trailer is a header field that comes too late to be judged; none goes upstream
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(left) = self.left.checked_sub(size) else {
                return self.fail(UploadFault::TooLarge);
            };
            self.left = left;
            let done = self.is_end_stream();
            self.exchange.set(if done { Progress::Done } else { Progress::AwaitsUpstream });
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// What the protocol of the upstream has to say about an exchange that failed.
#[derive(Debug, Error)]
pub(crate) enum ExchangeError {
    #[error("{0}")]
    Http1(http1::Fault),
    #[error("{0}")]
    Http2(hyper::Error),
    #[error("the answer was reset before its end")]
    Reset,
}

/// An answer's body as the upstream sends it.
#[derive(Debug)]
pub(crate) enum Answer {
    Http1(http1::Answer),
    Http2 {
        body: Incoming,
        /// The connection lives at least as long as its streams.
        _sender: SendRequest<Upload>,
    },
}

impl Answer {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        match self {
            Answer::Http1(body) => Pin::new(body).poll_frame(cx).map_err(ExchangeError::Http1),
            Answer::Http2 { body, .. } => match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                // RFC 9113 8.1: as in `Inlet`
                None if !body.is_end_stream() => Poll::Ready(Some(Err(ExchangeError::Reset))),
                frame => Poll::Ready(frame.map(|frame| frame.map_err(ExchangeError::Http2))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Http1(body) => body.is_end_stream(),
            Answer::Http2 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Http1(body) => body.size_hint(),
            Answer::Http2 { body, .. } => body.size_hint(),
        }
    }
}

#[derive(Debug, Error)]
pub(crate) enum DownloadError {
    #[error("upstream: {0}")]
    Upstream(ExchangeError),
    #[error("the upstream sends no more of its answer")]
    Stalled,
    #[error("what permitted this answer has been revoked")]
    Revoked,
}

/// The upstream's body on its way to the caller. Holds the connection, and gives it back at its end.
#[derive(Debug)]
pub(crate) struct Download {
    /// `None`: it is over, and its connection is back where it came from.
    body: Option<Answer>,
    lease: Option<Lease>,
    tether: Option<Tether>,
    patience: Patience,
}

impl Download {
    pub(crate) fn new(body: Answer, lease: Lease, tether: Option<Tether>, patience: Patience) -> Self {
        let over = body.is_end_stream();
        let mut download = Self { body: Some(body), lease: Some(lease), tether, patience };
        download.settle(over);
        download
    }

    fn settle(&mut self, over: bool) {
        if !over {
            return;
        }
        self.tether = None;
        let lease = self.lease.take();
        if let (Some(lease), Some(Answer::Http1(answer))) = (lease, self.body.take())
            && let Some(wire) = answer.into_idle()
        {
            lease.give_back(wire);
        }
    }

    /// Sends on, and reads nothing. A fault shows when the answer is asked for.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(Answer::Http1(answer)) = &mut self.body {
            answer.drive(cx);
        }
    }

    /// The connection ends here: what may still come on it is nobody's answer.
    fn fail(&mut self, error: DownloadError) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        (self.body, self.lease, self.tether) = (None, None, None);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = DownloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, DownloadError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = body.poll_frame(cx);
        let goes_on = polled.is_pending() || !body.is_end_stream();
        if goes_on && self.tether.as_mut().is_some_and(|tether| tether.is_cut(cx)) {
            return self.fail(DownloadError::Revoked);
        }
        if polled.is_pending() && self.patience.is_over(cx) {
            return self.fail(DownloadError::Stalled);
        }
        let frame = ready!(polled);
        self.patience.renew();
        match frame {
            None => {
                self.settle(true);
                Poll::Ready(None)
            }
            Some(Err(error)) => self.fail(DownloadError::Upstream(error)),
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    headers::response_trailers(trailers);
                }
                let over = self.is_end_stream();
                self.settle(over);
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Answer::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Answer::size_hint)
    }
}

/// How long to wait for the next frame. The timer exists only once something had to be waited for.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    /// How often the wait says that it is one: whoever watches for tasks that nothing wakes must not mistake it.
    beat: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self::of_stream(limit, limit)
    }

    pub(crate) fn of_stream(limit: Duration, beat: Duration) -> Self {
        Self { limit, beat, timer: None, since: None }
    }

    fn renew(&mut self) {
        self.since = None;
    }

    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let first = self.since.is_none();
        let since = *self.since.get_or_insert(now);
        let end = since + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(now)));
        if first {
            timer.as_mut().reset(end.min(now + self.beat));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if end <= now {
                return true;
            }
            timer.as_mut().reset(end.min(now + self.beat));
        }
        false
    }
}
