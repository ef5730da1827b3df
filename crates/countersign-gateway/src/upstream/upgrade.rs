//! A connection that changes its protocol: judged once, as the GET that asks for it (RULES 2.2), and then two streams of
//! bytes that nobody here reads. It ends when either side does, when nothing moves for long, and when what permitted it
//! is revoked (RULES 2.5, M.2 rule 8).

use super::{
    config::{Protocol, UpstreamConfig, WEBSOCKET},
    forward::Failure,
    http1::Wire,
    pool::Lease,
    streams::Tether,
};
use crate::{http1::fields::Fields, response::Response};
use bytes::Bytes;
use countersign_core::check::request::{HeaderView, One};
use countersign_crypto::{Entropy, websocket};
use http::{
    HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional_with_sizes},
    time::{Instant, sleep_until},
};

/// Bytes under way in one direction; past them the faster side waits.
const BUFFER: usize = 16 * 1024;

/// The protocol that the caller asks for, where it may: HTTP/1.1, a GET without a body, and one name that this upstream
/// is configured to take. `None`: the fields go the way of all hop-by-hop fields, and the request is an ordinary one.
pub(crate) fn asked(
    config: &UpstreamConfig,
    (method, version): (&Method, Version),
    fields: &Fields,
    has_body: bool,
) -> Option<HeaderValue> {
    let One::Single(name) = fields.one(&UPGRADE) else { return None };
    if has_body
        || config.protocol != Protocol::Http1
        || method != Method::GET
        || version != Version::HTTP_11
        || !is_nominated(fields)
    {
        return None;
    }
    let is_taken = config.upgrades.iter().any(|taken| name.eq_ignore_ascii_case(taken.as_bytes()));
    HeaderValue::from_bytes(name).ok().filter(|_| is_taken)
}

/// The one protocol that a stream of HTTP/2 can become, where this upstream is configured to take it.
pub(crate) fn websocket(config: &UpstreamConfig) -> Option<HeaderValue> {
    let taken = config.upgrades.iter().any(|taken| taken.eq_ignore_ascii_case(WEBSOCKET));
    (taken && config.protocol == Protocol::Http1).then_some(HeaderValue::from_static(WEBSOCKET))
}

/// RFC 8441 5: a caller over HTTP/2 has no handshake of its own, so this one is ours.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: String,
}

impl Handshake {
    pub(crate) fn begin(fields: &mut Fields, entropy: &dyn Entropy) -> Self {
        let key = websocket::key(entropy);
        let accept = websocket::accept(&key);
        fields.remove(&SEC_WEBSOCKET_ACCEPT);
        // base64
        let _ = fields.try_insert(&SEC_WEBSOCKET_KEY, key.as_bytes());
        Self { accept }
    }

    /// To the caller any answer of 2xx is the tunnel, so one that is none must not look like it.
    pub(crate) fn is_answered_by<B>(&self, answer: &Response<B>) -> Result<(), Failure> {
        let status = answer.status;
        if status.is_success() {
            return Err(Failure::Answer("is no WebSocket's"));
        }
        let proved = answer.fields.one(&SEC_WEBSOCKET_ACCEPT) == One::Single(self.accept.as_bytes());
        if status == StatusCode::SWITCHING_PROTOCOLS && !proved {
            return Err(Failure::Answer("does not prove that it read a WebSocket's handshake"));
        }
        Ok(())
    }
}

/// RFC 9110 7.8: `Upgrade` means nothing unless `Connection` names it.
fn is_nominated(fields: &Fields) -> bool {
    fields.lists(&CONNECTION, b"upgrade")
}

/// Said again on this hop, either way.
pub(crate) fn say(fields: &mut Fields, protocol: &HeaderValue) {
    fields.insert(&CONNECTION, &HeaderValue::from_static("upgrade"));
    fields.insert(&UPGRADE, protocol);
}

/// Did the upstream switch to what was asked, and to nothing else?
pub(crate) fn is_answer_to(asked: &HeaderValue, fields: &Fields) -> bool {
    let One::Single(name) = fields.one(&UPGRADE) else { return false };
    is_nominated(fields) && name.eq_ignore_ascii_case(asked.as_bytes())
}

/// Both ends of it, once the caller's side is free of HTTP.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) upstream: Box<Wire>,
    /// Keeps the place at the upstream, and its count.
    pub(crate) lease: Lease,
    pub(crate) tether: Option<Tether>,
    pub(crate) idle: Duration,
}

impl Tunnel {
    /// To its end. `early`: what the caller sent before it knew.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(self, caller: S, early: Bytes) {
        let Tunnel { upstream, lease: _lease, mut tether, idle } = self;
        let moved = Rc::new(Cell::new(Instant::now()));
        let mut caller = Noted { stream: caller, moved: moved.clone() };
        let mut upstream = Noted { stream: upstream, moved: moved.clone() };
        let copying = async {
            upstream.write_all(&early).await?;
            // either side may end first: its end is passed on, and the other one goes on
            copy_bidirectional_with_sizes(&mut caller, &mut upstream, BUFFER, BUFFER).await
        };
        let cut = poll_fn(|cx| {
            let cut = tether.as_mut().is_some_and(|tether| tether.is_cut(cx));
            if cut { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            biased;
            () = cut => tracing::debug!("what permitted this connection has been revoked"),
            () = quiet(&moved, idle) => tracing::debug!("a switched connection was idle for too long"),
            // an error is one side gone without a word; both are closed then
            _ = copying => {}
        }
    }
}

async fn quiet(moved: &Cell<Instant>, idle: Duration) {
    loop {
        let until = moved.get() + idle;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// Notes when something moved.
struct Noted<S> {
    stream: S,
    moved: Rc<Cell<Instant>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.moved.set(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.moved.set(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
