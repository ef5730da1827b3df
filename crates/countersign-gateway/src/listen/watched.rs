//! The stream below hyper. It tells the [`Connection`] what happens on it, and does two things that hyper leaves out:
//! a refusal of hyper's own parser becomes a problem document, and a close waits for what the peer is still sending.

use super::{
    connection::Connection,
    frames::{Flood, Frames},
};
use crate::worker::Worker;
use bytes::{Buf, Bytes};
use countersign_tower::respond::{self, REQUEST_ID};
use http::{Response, StatusCode};
use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

pub(crate) struct Watched<S> {
    stream: S,
    connection: Rc<Connection>,
    worker: Rc<Worker>,
    instead: Option<Instead>,
    linger: Option<Linger>,
    /// Of HTTP/2, and from whom they come.
    frames: Option<(Frames, IpAddr)>,
}

/// What is written in place of hyper's bytes, and how many of those it stands for.
struct Instead {
    left: Bytes,
    stands_for: usize,
}

/// A socket that is closed with unread input is reset, and a reset can overtake the answer (RFC 9112 9.6).
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, connection: Rc<Connection>, worker: Rc<Worker>) -> Self {
        Self { stream, connection, worker, instead: None, linger: None, frames: None }
    }

    pub(crate) fn of_frames(self, peer: IpAddr) -> Self {
        Self { frames: Some((Frames::new(Instant::now()), peer)), ..self }
    }

    /// An error of the stream: hyper lets go of everything at once, and writes nothing more to who reads nothing.
    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((frames, peer)) = &mut self.frames else { return Ok(()) };
        let Err(Flood) = frames.read(bytes, Instant::now) else { return Ok(()) };
        if let Some(left_out) = self.worker.refusals.take(Instant::now()) {
            tracing::warn!(%peer, left_out, "closed: too many HTTP/2 frames that are neither request nor body");
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "flood"))
    }

    fn wrote(&mut self, outcome: &Poll<io::Result<usize>>) {
        self.connection.wrote(outcome.is_pending());
        if let (Some((frames, _)), Poll::Ready(Ok(written))) = (&mut self.frames, outcome) {
            frames.wrote(*written);
        }
    }

    /// Once hyper is done with it.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.read_some();
            self.count(buf.filled().get(before..).unwrap_or_default())?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // a body may look like anything, so looks alone do not tell: no answer may be under way
        if self.instead.is_none()
            && self.connection.is_settled()
            && let Some(status) = parser_refusal(buf)
        {
            let left = problem(status, self.worker.request_id());
            self.instead = Some(Instead { left, stands_for: buf.len() });
        }
        let Some(instead) = &mut self.instead else {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        };
        while instead.left.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &instead.left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            instead.left.advance(written);
        }
        let stands_for = instead.stands_for.min(buf.len());
        self.instead = None;
        Poll::Ready(Ok(stands_for))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = self.write(cx, buf);
        self.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // a head alone comes in one slice
        let outcome = match bufs {
            [only] => self.write(cx, only),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        };
        self.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.connection.wrote(outcome.is_pending());
        if outcome.is_ready() {
            self.connection.flushed();
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
            this.connection.wrote(outcome.is_pending());
            ready!(outcome)?;
        }
        let linger = this.linger.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(LINGER_TIME)),
            left: LINGER_BYTES,
        });
        let mut discarded = [0; 8 * 1024];
        while linger.until.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buf));
            linger.left = linger.left.saturating_sub(buf.filled().len());
            if read.is_err() || buf.filled().is_empty() || linger.left == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Hyper's answer to what its parser refuses: a head without a word. Every answer of ours carries a request id, so
/// this one is told apart by having none.
fn parser_refusal(buf: &[u8]) -> Option<StatusCode> {
    let rest = buf.strip_prefix(b"HTTP/1.1 ")?;
    let status = match rest.first_chunk()? {
        b"400" => StatusCode::BAD_REQUEST,
        b"414" => StatusCode::URI_TOO_LONG,
        b"431" => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => return None,
    };
    let id = REQUEST_ID.as_str().as_bytes();
    let ours = buf.windows(id.len()).any(|w| w.eq_ignore_ascii_case(id));
    (!ours && buf.ends_with(b"\r\n\r\n")).then_some(status)
}

fn problem(status: StatusCode, id: countersign_core::RequestId) -> Bytes {
    let (code, detail) = match status {
        StatusCode::URI_TOO_LONG => ("target_too_long", "the request target is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ("head_too_large", "the request head is too large"),
        _ => ("request_malformed", "the request breaks the grammar of HTTP"),
    };
    let response: Response<Bytes> = respond::problem(status, code, "malformed request", detail, id);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", response.body().len()).as_bytes());
    head.extend_from_slice(response.body());
    Bytes::from(head)
}
