//! HTTP/1.1 to an upstream: one connection, one exchange on it at a time, driven by whoever waits for the answer. No task
//! stands behind a connection; what is idle in the pool is asked whether it is still there when it is wanted again.

use super::{body::UploadFault, headers, outbound::Outbound};
use crate::{
    gathered::Gathered,
    http1::{
        Malformed,
        body::{Decoded, Decoder, Framing, write_chunk_size, write_last_chunk},
        fields::Fields,
        head,
    },
    listen::http1::body::Interims,
};
use bytes::{Buf, Bytes, BytesMut};
use http::{Method, StatusCode, header::TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

/// A head, and whatever of its body comes along.
const LARGEST_HEAD: usize = 128 * 1024;
const READ: usize = 8 * 1024;
const LARGEST_READ: usize = 64 * 1024;
/// Up to here copying costs less than a second write.
const SMALL: usize = 4 * 1024;
/// RFC 9110 15.2: any number of interim answers; nobody needs this many.
const INTERIM: u8 = 16;

/// Why there is no answer, or no more of it.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    #[error("connection failed: {0}")]
    Io(io::Error),
    #[error("closed without an answer")]
    Closed,
    #[error("the answer {0}")]
    Malformed(Malformed),
    #[error("{0}")]
    Upload(UploadFault),
}

/// A connection, and the exchange that it is in: it has one at a time, so the state of it needs no place of its own.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    /// What came in and nobody has taken yet.
    read: BytesMut,
    /// How much to read at once: more, where everything asked for was there.
    room: usize,
    out: BytesMut,
    sending: Sending,
    decoder: Decoder,
    /// May another exchange follow?
    persistent: bool,
    /// A body may follow the last answer, which had none.
    doubtful: bool,
    interim: u8,
    /// Where interim answers go, until there is a final one.
    interims: Option<Interims>,
}

/// The request, on its way out.
#[derive(Debug)]
struct Sending {
    /// `None`: all of it was written.
    request: Option<Outbound>,
    method: Method,
    chunked: bool,
    /// Nothing of it was taken by anybody: what was not sent may be sent elsewhere.
    untouched: bool,
    /// The end of it is among what is to be written.
    last: bool,
    /// A piece too large to be copied, and what stands behind it. What stands before it is in [`Wire::out`].
    piece: Bytes,
    behind: &'static [u8],
    state: State,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<Gathered<TcpStream>>>),
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Box<Self> {
        let sending = Sending {
            request: None,
            method: Method::GET,
            chunked: false,
            untouched: false,
            last: false,
            piece: Bytes::new(),
            behind: b"",
            state: State::Done,
        };
        Box::new(Self {
            socket,
            read: BytesMut::new(),
            room: READ,
            out: BytesMut::new(),
            sending,
            decoder: Decoder::new(Framing::Length(0)),
            persistent: true,
            doubtful: false,
            interim: 0,
            interims: None,
        })
    }

    /// Is it still there, and has it said nothing that it was not asked? Costs a system call only where it did.
    pub(crate) fn is_fresh(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        self.read.is_empty()
            && Pin::new(&mut self.socket).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(self.room);
        let count = ready!(poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.read))?;
        if count >= self.room {
            self.room = (self.room * 2).min(LARGEST_READ);
        }
        Poll::Ready(Ok(count))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    Done,
    /// The upstream takes no more; it may have answered all the same (RFC 9112 9.5).
    Refused,
    /// The caller sends no more that may be sent, and nothing of what follows is.
    Failed(UploadFault),
}

/// How an exchange ended that brought no answer.
#[derive(Debug)]
pub(crate) enum Ended {
    Unsent(Box<Outbound>),
    Failed(Fault),
}

impl Wire {
    /// Says nothing yet. `request` is framed: its fields say how its body is delimited.
    pub(crate) fn begin(&mut self, request: Outbound) {
        head::write_request(&mut self.out, &request.method, request.target.as_str(), &request.fields);
        self.interims = request.body.interims();
        self.sending = Sending {
            method: request.method.clone(),
            chunked: request.fields.contains(&TRANSFER_ENCODING),
            request: Some(request),
            untouched: true,
            last: false,
            piece: Bytes::new(),
            behind: b"",
            state: State::Going,
        };
        self.interim = 0;
    }

    /// The head of the answer; sends meanwhile.
    pub(crate) async fn answer(&mut self) -> Result<(StatusCode, Fields), Ended> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(fault)) = self.sending.poll(&mut self.socket, &mut self.out, cx) {
                match fault {
                    Fault::Io(_) if self.sending.untouched => {
                        let request = self.sending.request.take();
                        return Poll::Ready(Err(
                            request.map_or(Ended::Failed(fault), |request| Ended::Unsent(Box::new(request)))
                        ));
                    }
                    Fault::Io(_) => self.sending.state = State::Refused,
                    fault => return Poll::Ready(Err(Ended::Failed(fault))),
                }
            }
            self.poll_head(cx).map_err(Ended::Failed)
        })
        .await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(StatusCode, Fields), Fault>> {
        loop {
            if !self.read.is_empty()
                && let Some(head) =
                    head::response(&mut self.read, &self.sending.method).map_err(Fault::Malformed)?
            {
                let status = head.status;
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    self.interims = None;
                    (self.decoder, self.persistent) = (Decoder::new(head.framing), head.persistent);
                    self.doubtful = head.doubtful;
                    return Poll::Ready(Ok((status, head.fields)));
                }
                self.interim += 1;
                if self.interim > INTERIM {
                    return Poll::Ready(Err(Fault::Malformed(Malformed::TooLarge)));
                }
                // RFC 9110 15.2: goes on to the caller, whose own expectation is met by the gateway
                if let Some(interims) = self.interims.as_ref().filter(|_| status != StatusCode::CONTINUE) {
                    let mut said = head.fields;
                    headers::interim(&mut said);
                    interims.say(status, &said);
                }
                continue;
            }
            if self.read.len() >= LARGEST_HEAD {
                return Poll::Ready(Err(Fault::Malformed(Malformed::TooLarge)));
            }
            match ready!(self.poll_fill(cx)) {
                Ok(0) => return Poll::Ready(Err(Fault::Closed)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Fault::Io(error))),
            }
        }
    }
}

impl Sending {
    fn poll(
        &mut self,
        socket: &mut Socket,
        out: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        match self.state {
            State::Going => {}
            State::Done | State::Refused => return Poll::Ready(Ok(())),
            State::Failed(fault) => return Poll::Ready(Err(Fault::Upload(fault))),
        }
        loop {
            // a head and a small body in one write, where the body is there
            let waits = !self.last && self.next(out, cx)?;
            ready!(self.write(socket, out, cx)).map_err(Fault::Io)?;
            if self.last {
                self.state = State::Done;
                self.request = None;
                return Poll::Ready(Ok(()));
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// The next piece of the body, if there is one. True: the caller has yet to send it.
    fn next(&mut self, out: &mut BytesMut, cx: &mut Context<'_>) -> Result<bool, Fault> {
        if !self.piece.is_empty() {
            return Ok(false);
        }
        let upload = self.request.as_mut().map(|request| &mut request.body);
        if let Some(upload) = upload.filter(|upload| !upload.is_end_stream()) {
            let Poll::Ready(frame) = Pin::new(upload).poll_frame(cx) else { return Ok(true) };
            if let Some(frame) = frame {
                // what was taken out of it cannot be sent again
                self.untouched = false;
                let frame = frame.map_err(|fault| {
                    self.state = State::Failed(fault);
                    Fault::Upload(fault)
                })?;
                let data = frame.into_data().unwrap_or_default();
                self.put(out, data);
                return Ok(false);
            }
        }
        self.last = true;
        if self.chunked {
            write_last_chunk(out, None);
        }
        Ok(false)
    }

    fn put(&mut self, out: &mut BytesMut, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let behind: &[u8] = if self.chunked { b"\r\n" } else { b"" };
        if self.chunked {
            write_chunk_size(out, data.len());
        }
        if data.len() <= SMALL {
            out.extend_from_slice(&data);
            out.extend_from_slice(behind);
        } else {
            (self.piece, self.behind) = (data, behind);
        }
    }

    fn write(
        &mut self,
        socket: &mut Socket,
        out: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while out.has_remaining() {
            let written = wrote(ready!(Pin::new(&mut *socket).poll_write(cx, out)))?;
            out.advance(written);
            self.untouched = false;
        }
        while self.piece.has_remaining() {
            let written = wrote(ready!(Pin::new(&mut *socket).poll_write(cx, &self.piece)))?;
            self.piece.advance(written);
        }
        // goes out before the next piece, or with the last chunk
        out.extend_from_slice(std::mem::take(&mut self.behind));
        Pin::new(&mut *socket).poll_flush(cx)
    }
}

fn wrote(outcome: io::Result<usize>) -> io::Result<usize> {
    match outcome {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        outcome => outcome,
    }
}

/// The body of an answer, and the connection that it comes on.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Box<Wire>);

impl Answer {
    /// The request's part of the exchange. A fault of the caller's stays one, and is told with the next piece.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        let wire = &mut *self.0;
        if let Poll::Ready(Err(Fault::Io(_))) = wire.sending.poll(&mut wire.socket, &mut wire.out, cx) {
            wire.sending.state = State::Refused;
        }
    }

    /// The connection, where another exchange may follow: both messages went to their ends, and nothing else came.
    pub(crate) fn into_idle(self) -> Option<Box<Wire>> {
        let Wire { sending, decoder, persistent, read, .. } = &*self.0;
        let clean = *persistent && decoder.is_over() && sending.state == State::Done && read.is_empty();
        clean.then_some(self.0)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let wire = &mut *self.0;
        match wire.sending.poll(&mut wire.socket, &mut wire.out, cx) {
            Poll::Ready(Err(Fault::Io(_))) => wire.sending.state = State::Refused,
            Poll::Ready(Err(fault)) => return Poll::Ready(Some(Err(fault))),
            _ => {}
        }
        loop {
            match wire.decoder.decode(&mut wire.read).map_err(Fault::Malformed) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(trailers)) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Ok(Decoded::Over) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(wire.poll_fill(cx)) {
                Ok(0) => {
                    if let Err(malformed) = wire.decoder.closed() {
                        return Poll::Ready(Some(Err(Fault::Malformed(malformed))));
                    }
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Fault::Io(error)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.decoder.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.decoder.size_hint()
    }
}

/// After a switch of protocols: what came in along with the 101 first.
impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let size = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(size));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Socket::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
