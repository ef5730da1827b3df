//! The stream of one connection and what was read from it, shared by the connection and the body of the request in
//! flight: each borrows it while it is polled, and only one of them reads at a time.

use super::body::Source;
use crate::{
    http1::{
        Malformed,
        body::{Decoded, Decoder, Framing},
        fields::Fields,
        head::{self, RequestHead},
    },
    listen::{connection::Connection, inlet::Broken},
};
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// Larger than what `countersign_tower::attributes` admits, so that the refusal of most is theirs and says more.
const LARGEST_HEAD: usize = 64 * 1024;
const READ: usize = 8 * 1024;
const LARGEST_READ: usize = 64 * 1024;
/// Bytes of later requests that are read while one is in flight, beside those that came along with it.
const AHEAD: usize = 8 * 1024;
/// RFC 9112 2.2: some callers send an empty line after a body.
const BLANK_LINES: u8 = 4;
/// What is taken of a body that nobody wants, so that the connection can go on.
const UNWANTED: usize = 64 * 1024;
/// Bytes of interim answers that wait for the caller; more are left out, as any of them may be.
const INTERIMS: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) struct Line<S> {
    /// `None`: the connection is over, whoever still holds the body of its last request.
    stream: Option<S>,
    read: BytesMut,
    /// How much to read at once: more, where everything asked for was there.
    room: usize,
    /// The caller sends no more.
    ended: bool,
    /// Bytes of a head that were looked at and are not all of it.
    seen: usize,
    blank_lines: u8,
    connection: Rc<Connection>,

    /// Which one is in flight: the body of another one reads nothing.
    request: u64,
    decoder: Decoder,
    interim: Interim,
    /// Interim answers of the upstream, that the caller has yet to take.
    interims: BytesMut,
    broken: bool,
    /// Somebody holds its body.
    has_reader: bool,
    reader: Option<Waker>,
    /// The connection, where it waits for the reader to have it all.
    owner: Option<Waker>,
}

/// RFC 9110 10.1.1: the answer to an expectation, said when the body is first asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Interim {
    None,
    Left(&'static [u8]),
    Flush,
}

impl<S> Line<S> {
    pub(super) fn new(stream: S, connection: Rc<Connection>) -> Self {
        Self {
            stream: Some(stream),
            read: BytesMut::new(),
            room: READ,
            ended: false,
            seen: 0,
            blank_lines: 0,
            connection,
            request: 0,
            decoder: Decoder::new(Framing::Length(0)),
            interim: Interim::None,
            interims: BytesMut::new(),
            broken: false,
            has_reader: false,
            reader: None,
            owner: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn stream(&mut self) -> io::Result<&mut S> {
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// The number of the request that begins.
    pub(super) fn begin(&mut self, framing: Framing, expects: bool) -> u64 {
        self.request = self.request.wrapping_add(1);
        self.decoder = Decoder::new(framing);
        self.has_reader = !self.decoder.is_over();
        let expects = expects && self.has_reader;
        self.interim = if expects { Interim::Left(CONTINUE) } else { Interim::None };
        self.broken = false;
        self.request
    }

    pub(super) fn has_reader(&self) -> bool {
        self.has_reader
    }

    /// The caller waits to be told to go on.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self.interim, Interim::Left(_))
    }

    pub(super) fn is_body_over(&self) -> bool {
        self.decoder.is_over()
    }

    /// From here on there is a final answer. What is left of an interim one goes first; one that was not begun never
    /// goes (RFC 9110 10.1.1).
    pub(super) fn answer(&mut self) -> (&'static [u8], BytesMut) {
        let own = match std::mem::replace(&mut self.interim, Interim::None) {
            Interim::Left(left) if left.len() < CONTINUE.len() => left,
            _ => &b""[..],
        };
        (own, std::mem::take(&mut self.interims))
    }

    /// Whoever still holds the body of the request in flight gets no more of it.
    pub(super) fn cut(&mut self) {
        self.request = self.request.wrapping_add(1);
        self.has_reader = false;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// The stream, and what was read beyond HTTP.
    pub(super) fn end(&mut self) -> Option<(S, Bytes)> {
        self.cut();
        let read = std::mem::take(&mut self.read).freeze();
        self.stream.take().map(|stream| (stream, read))
    }

    /// Between two requests: one large body is no reason to keep its memory.
    pub(super) fn rest(&mut self) {
        if self.read.is_empty() && self.read.capacity() > 2 * READ {
            self.read = BytesMut::new();
            self.room = READ;
        }
    }

    fn head(&mut self) -> Result<Option<RequestHead>, Malformed> {
        loop {
            if !self.read.starts_with(b"\r\n") {
                break;
            }
            self.read.advance(2);
            self.seen = 0;
            self.blank_lines += 1;
            if self.blank_lines > BLANK_LINES {
                return Err(Malformed::Grammar);
            }
        }
        // a head that comes byte by byte is not read anew for each of them
        let length = self.read.len();
        let news = self.read.get(self.seen.saturating_sub(2)..).unwrap_or_default();
        if length == 0 || self.seen > 0 && !ends_head(news) {
            self.seen = length;
            return Ok(None);
        }
        let head = head::request(&mut self.read)?;
        self.seen = if head.is_some() { 0 } else { length };
        if head.is_some() {
            self.blank_lines = 0;
        }
        Ok(head)
    }
}

/// Is there an empty line, as lenient as the parser is about line ends?
fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|w| w == b"\n\n") || bytes.windows(3).any(|w| w == b"\n\r\n")
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        if self.read.capacity() - self.read.len() < self.room / 8 {
            self.read.reserve(self.room);
        }
        let room = self.read.capacity() - self.read.len();
        let count = ready!(poll_read_buf(Pin::new(stream), cx, &mut self.read))?;
        self.ended = count == 0;
        if count == room {
            self.room = (self.room * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(count))
    }

    /// The next head. `None`: there is none, and no more will come.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Malformed>> {
        loop {
            if let Some(head) = self.head()? {
                return Poll::Ready(Ok(Some(head)));
            }
            if self.read.len() >= LARGEST_HEAD {
                return Poll::Ready(Err(Malformed::TooLarge));
            }
            if !self.read.is_empty() {
                self.connection.read_some();
            }
            if !matches!(ready!(self.poll_fill(cx)), Ok(count) if count > 0) {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Ready once the caller of the request in flight went away. What comes in meanwhile is kept for later, up to a bound.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_over() {
            note(&mut self.owner, cx);
            return Poll::Pending;
        }
        while self.read.len() < AHEAD {
            match ready!(self.poll_fill(cx)) {
                Ok(0) if self.read.is_empty() => return Poll::Ready(()),
                // it asked for more before it ended its side
                Ok(0) => return Poll::Pending,
                Ok(_) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Takes what is left of a body that nobody wants, as far as it is there and not much. True: that was all of it.
    pub(super) fn discard(&mut self, cx: &mut Context<'_>) -> bool {
        let mut left = UNWANTED;
        while !self.broken {
            match self.decoder.decode(&mut self.read) {
                Ok(Decoded::Over | Decoded::Trailers(_)) => return true,
                Ok(Decoded::Data(data)) => match left.checked_sub(data.len()) {
                    Some(less) => left = less,
                    None => return false,
                },
                // whoever waits to be told to go on may send something else now
                Ok(Decoded::More) if self.is_expected() => return false,
                Ok(Decoded::More) => match self.poll_fill(cx) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    _ => return false,
                },
                Err(_) => return false,
            }
        }
        false
    }

    /// What the upstream says before it answers goes out as it comes.
    pub(super) fn poll_interims(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interims.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if matches!(self.interim, Interim::Left(left) if left.len() < CONTINUE.len()) {
            // ours was begun, and is ended first
            return Poll::Pending;
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while !self.interims.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.interims))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interims.advance(written);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interims(cx))?;
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        while let Interim::Left(left) = self.interim {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let left = left.get(written..).unwrap_or_default();
            self.interim = if left.is_empty() { Interim::Flush } else { Interim::Left(left) };
        }
        if self.interim == Interim::Flush {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.interim = Interim::None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        while !self.broken {
            match self.decoder.decode(&mut self.read) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::Over) => return Poll::Ready(None),
                Ok(Decoded::More) => {
                    let said = if self.read.is_empty() { ready!(self.poll_interim(cx)) } else { Ok(()) };
                    let came = match said {
                        Ok(()) => ready!(self.poll_fill(cx)),
                        Err(error) => Err(error),
                    };
                    self.broken = !matches!(came, Ok(count) if count > 0);
                }
                Err(_) => self.broken = true,
            }
        }
        Poll::Ready(Some(Err(Broken)))
    }
}

fn note(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(noted) => noted.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Source for Line<S> {
    fn poll_frame(
        &mut self,
        request: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if request != self.request {
            return Poll::Ready(Some(Err(Broken)));
        }
        let polled = self.poll_piece(cx);
        if polled.is_pending() {
            note(&mut self.reader, cx);
        } else if self.decoder.is_over()
            && let Some(owner) = self.owner.take()
            // who polls both looks by itself
            && !owner.will_wake(cx.waker())
        {
            owner.wake();
        }
        polled
    }

    fn is_over(&self, request: u64) -> bool {
        request == self.request && self.decoder.is_over()
    }

    fn size_hint(&self, request: u64) -> SizeHint {
        if request == self.request { self.decoder.size_hint() } else { SizeHint::new() }
    }

    fn say(&mut self, request: u64, status: StatusCode, fields: &Fields) {
        if request == self.request && self.interims.len() < INTERIMS {
            head::write_response(&mut self.interims, status, fields, |_| ());
        }
    }

    fn leave(&mut self, request: u64) {
        if request == self.request {
            self.has_reader = false;
            self.reader = None;
        }
    }
}
