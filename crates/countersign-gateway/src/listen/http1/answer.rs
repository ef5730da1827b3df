//! An answer on its way out: how it is framed, its head, and its body piece by piece, no faster than the caller takes it.

use super::{date, line::Line};
use crate::enforce::reverse_proxy::Outgoing;
use crate::http1::{
    body::{write_chunk_size, write_last_chunk},
    fields::Fields,
    head,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TE, TRANSFER_ENCODING},
};
use http_body::{Body, Frame};
use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Up to here copying costs less than a second write.
const SMALL: usize = 4 * 1024;
/// Small pieces that go out together.
const TOGETHER: usize = 16 * 1024;
/// Pieces that are asked for before anything else has its turn.
const AT_ONCE: usize = 64;

/// What the request says about its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    is_head: bool,
    version: Version,
    takes_trailers: bool,
    /// May another request follow?
    pub(super) persistent: bool,
}

impl Asked {
    pub(super) fn new(method: &Method, version: Version, fields: &Fields, persistent: bool) -> Self {
        let takes_trailers = fields.lists(&TE, b"trailers");
        Self { is_head: *method == Method::HEAD, version, takes_trailers, persistent }
    }

    /// To what was no request.
    pub(super) fn nothing() -> Self {
        Self { is_head: false, version: Version::HTTP_11, takes_trailers: false, persistent: false }
    }
}

/// How the end of the answer's body is told (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    None,
    /// So many bytes are left.
    Length(u64),
    Chunked {
        trailers: bool,
    },
    UntilClose,
}

/// What is to be written: small things copied, and then at most one large piece with what stands behind it.
#[derive(Debug, Default)]
pub(super) struct Output {
    small: BytesMut,
    piece: Bytes,
    behind: &'static [u8],
}

impl Output {
    pub(super) fn say(&mut self, text: &[u8]) {
        self.small.put_slice(text);
    }

    /// Between two answers: one large head is no reason to keep its memory.
    pub(super) fn rest(&mut self) {
        if self.small.capacity() > 2 * TOGETHER {
            self.small = BytesMut::new();
        }
    }

    fn is_empty(&self) -> bool {
        self.small.is_empty() && self.piece.is_empty() && self.behind.is_empty()
    }

    fn is_full(&self) -> bool {
        !self.piece.is_empty() || !self.behind.is_empty() || self.small.len() >= TOGETHER
    }

    fn put(&mut self, data: Bytes, behind: &'static [u8]) {
        if data.len() <= SMALL {
            self.small.put_slice(&data);
            self.small.put_slice(behind);
        } else {
            (self.piece, self.behind) = (data, behind);
        }
    }

    fn advance(&mut self, written: usize) {
        let small = written.min(self.small.len());
        self.small.advance(small);
        let piece = (written - small).min(self.piece.len());
        self.piece.advance(piece);
        self.behind = self.behind.get(written - small - piece..).unwrap_or_default();
        if self.piece.is_empty() {
            // nothing of it is kept alive
            self.piece = Bytes::new();
        }
    }

    /// As much as the caller takes; large pieces without a copy.
    fn poll_write<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        line: &mut Line<S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let stream = Pin::new(line.stream()?);
            let outcome = if self.piece.is_empty() && self.behind.is_empty() {
                stream.poll_write(cx, &self.small)
            } else if stream.is_write_vectored() {
                let pieces =
                    [IoSlice::new(&self.small), IoSlice::new(&self.piece), IoSlice::new(self.behind)];
                stream.poll_write_vectored(cx, &pieces)
            } else {
                let pieces = [&*self.small, &*self.piece, self.behind];
                let first = pieces.into_iter().find(|piece| !piece.is_empty());
                stream.poll_write(cx, first.unwrap_or_default())
            };
            line.connection().wrote(outcome.is_pending());
            let written = ready!(outcome)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

fn poll_flush<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut Line<S>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let outcome = Pin::new(line.stream()?).poll_flush(cx);
    line.connection().wrote(outcome.is_pending());
    outcome
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Told whole.
    Whole,
    /// Its body broke off, and the caller sees that once the connection ends.
    Broken,
    /// Its body broke off, and an orderly end would look like its own.
    Endless,
    /// Nobody is there to be told.
    Gone,
}

#[derive(Debug)]
pub(super) struct Answer {
    payload: Payload,
    over: bool,
    failed: bool,
}

impl Answer {
    /// Writes the head. What frames the message or is about this connection is said here and by nobody else, but for a
    /// switch of protocols.
    pub(super) fn begin<B: Body>(
        (status, mut fields): (StatusCode, Fields),
        body: &B,
        asked: &mut Asked,
        now: impl FnOnce() -> i64,
        output: &mut Output,
    ) -> Self {
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        if !switches && fields.lists(&CONNECTION, b"close") {
            asked.persistent = false;
        }
        let (payload, length) = frame(status, &mut fields, body, *asked);
        asked.persistent &= payload != Payload::UntilClose;
        fields.remove(&TRANSFER_ENCODING);
        if !switches {
            fields.remove(&CONNECTION);
        }
        let has_date = fields.contains(&DATE);
        head::write_response(&mut output.small, status, &fields, |out| {
            if !has_date {
                date::write(out, now());
            }
            if let Some(length) = length {
                out.put_slice(b"content-length: ");
                write_number(out, length);
                out.put_slice(b"\r\n");
            }
            if matches!(payload, Payload::Chunked { .. }) {
                out.put_slice(b"transfer-encoding: chunked\r\n");
            }
            if switches {
            } else if !asked.persistent {
                out.put_slice(b"connection: close\r\n");
            } else if asked.version == Version::HTTP_10 {
                out.put_slice(b"connection: keep-alive\r\n");
            }
        });
        let over = matches!(payload, Payload::None | Payload::Length(0));
        Self { payload, over, failed: false }
    }

    /// Writes what there is of the body, and asks for no more of it before that is taken.
    pub(super) fn poll_send<S: AsyncRead + AsyncWrite + Unpin, B: Outgoing>(
        &mut self,
        line: &RefCell<Line<S>>,
        output: &mut Output,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        loop {
            // not while the line is borrowed: the body of the request may be read by whoever makes this one
            let waits = self.pull(body.as_mut(), output, cx);
            let mut line = line.borrow_mut();
            let idle = output.is_empty();
            match output.poll_write(&mut line, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::Gone),
                Poll::Pending => {
                    drop(line);
                    body.drive(cx);
                    return Poll::Pending;
                }
            }
            if self.over {
                if ready!(poll_flush(&mut line, cx)).is_err() {
                    return Poll::Ready(Ended::Gone);
                }
                return Poll::Ready(match (self.failed, self.payload) {
                    (false, _) => Ended::Whole,
                    (true, Payload::UntilClose) => Ended::Endless,
                    (true, _) => Ended::Broken,
                });
            }
            if waits {
                // who is pending here is woken by the stream, and comes by again
                if let Poll::Ready(Err(_)) = poll_flush(&mut line, cx) {
                    return Poll::Ready(Ended::Gone);
                }
                return line.poll_gone(cx).map(|()| Ended::Gone);
            }
            if idle {
                // pieces of nothing, one after the other
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// True: there is no more of it yet.
    fn pull<B: Body<Data = Bytes>>(
        &mut self,
        mut body: Pin<&mut B>,
        output: &mut Output,
        cx: &mut Context<'_>,
    ) -> bool {
        for _ in 0..AT_ONCE {
            if self.over || output.is_full() {
                return false;
            }
            match body.as_mut().poll_frame(cx) {
                Poll::Pending => return true,
                Poll::Ready(Some(Ok(frame))) => self.put(frame, output),
                Poll::Ready(Some(Err(_))) => self.fail(),
                Poll::Ready(None) => self.finish(None, output),
            }
            if !self.over && body.is_end_stream() {
                self.finish(None, output);
            }
        }
        false
    }

    fn put(&mut self, frame: Frame<Bytes>, output: &mut Output) {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.finish(frame.into_trailers().ok().as_ref(), output),
        };
        if data.is_empty() {
            return;
        }
        match &mut self.payload {
            Payload::None => {}
            Payload::UntilClose => output.put(data, b""),
            Payload::Chunked { .. } => {
                write_chunk_size(&mut output.small, data.len());
                output.put(data, b"\r\n");
            }
            Payload::Length(left) => match left.checked_sub(length_of(&data)) {
                Some(less) => {
                    *left = less;
                    self.over = less == 0;
                    output.put(data, b"");
                }
                // more than was said: the rest would pass for another answer
                None => self.fail(),
            },
        }
    }

    fn finish(&mut self, trailers: Option<&HeaderMap>, output: &mut Output) {
        self.over = true;
        match self.payload {
            Payload::None | Payload::UntilClose => {}
            Payload::Length(left) => self.failed = left > 0,
            Payload::Chunked { trailers: taken } => {
                write_last_chunk(&mut output.small, trailers.filter(|_| taken));
            }
        }
    }

    fn fail(&mut self) {
        self.over = true;
        self.failed = true;
    }
}

/// How the body is framed, and the length that is told.
fn frame<B: Body>(status: StatusCode, fields: &mut Fields, body: &B, asked: Asked) -> (Payload, Option<u64>) {
    let exact = body.size_hint().exact();
    // RFC 9110 8.6: never in these
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        fields.remove(&CONTENT_LENGTH);
        return (Payload::None, None);
    }
    // here the field says what a body would have had, if anybody knows
    if status == StatusCode::NOT_MODIFIED {
        return (Payload::None, None);
    }
    if asked.is_head {
        let ours = exact.filter(|length| *length > 0 && !fields.contains(&CONTENT_LENGTH));
        return (Payload::None, ours);
    }
    fields.remove(&CONTENT_LENGTH);
    match exact {
        Some(length) => (Payload::Length(length), Some(length)),
        None if asked.version == Version::HTTP_11 => {
            (Payload::Chunked { trailers: asked.takes_trailers }, None)
        }
        None => (Payload::UntilClose, None),
    }
}

fn length_of(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

fn write_number(out: &mut BytesMut, number: u64) {
    // 20 digits are 64 bits
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), number);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        (at, left) = (at - 1, left / 10);
        if left == 0 {
            break;
        }
    }
    out.put_slice(digits.get(at..).unwrap_or_default());
}
