//! HTTP/1.1 with callers (RFC 9112): one task per connection, one request at a time. A head is read, its request judged
//! and forwarded while the stream is watched, its answer written; then the next one.
//!
//! What is on the line is [`line`]'s, the body of a request [`body`]'s, the form of an answer [`answer`]'s. The grammar is
//! [`crate::http1`]'s, and what a request may do [`crate::enforce`]'s.

mod answer;
pub(crate) mod body;
mod date;
mod line;

#[cfg(test)]
mod tests;

use super::{
    accept::{Door, FIRST_WORD},
    caller::Present,
    connection::Connection,
    inlet::Inlet,
    linger::Linger,
    socket::BreakOff,
};
use crate::{
    enforce::reverse_proxy::{self, Outgoing, Request},
    gateway::Phase,
    http1::{Malformed, body::Framing, fields::Fields, head::RequestHead},
    response::Response,
    worker::{Worker, after_the_others},
};
use answer::{Answer, Asked, Ended, Output};
use body::Inbody;
use bytes::Bytes;
use countersign_tower::respond;
use http::{StatusCode, Version, header::EXPECT};
use http_body_util::Full;
use line::Line;
use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::Sleep,
};

/// The line, closed however the connection ends: the body of a request may be held for longer.
struct Own<S>(Rc<RefCell<Line<S>>>);

impl<S> Drop for Own<S> {
    fn drop(&mut self) {
        let stream = self.0.borrow_mut().end();
        drop(stream);
    }
}

/// One connection, until it ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + BreakOff + Unpin + 'static>(
    stream: S,
    door: &Door,
    caller: &Present,
    connection: &Rc<Connection>,
) {
    let worker = &door.worker;
    let own = Own(Rc::new(RefCell::new(Line::new(stream, connection.clone()))));
    let line = &own.0;
    let now = || worker.ports.point.clock().now().as_seconds();
    let mut output = Output::default();
    let mut drain = Drain::new(door.phases.clone());
    let mut spoke = false;
    loop {
        line.borrow_mut().rest();
        let RequestHead { method, uri, version, fields, framing, persistent } =
            match next(line, &mut drain, spoke).await {
                Ok(Some(head)) => head,
                Ok(None) => return close(&own, connection).await,
                Err(malformed) => {
                    let Response { status, fields, body } = problem(malformed, worker);
                    let mut asked = Asked::nothing();
                    let answer = Answer::begin((status, fields), &body, &mut asked, now, &mut output);
                    send(answer, line, &mut output, body).await;
                    return close(&own, connection).await;
                }
            };
        spoke = true;
        let mut asked = Asked::new(&method, version, &fields, persistent);
        let is_new = version == Version::HTTP_11;
        let body = Inlet::Http1(begin(line, framing, is_new && expects(&fields), is_new));
        let in_flight = connection.begin();
        let request = Request { method, uri, version, fields, body, stream: None };
        let response = {
            let (generation, caller) = door.asked(caller, connection);
            let by = (worker, &*generation);
            let mut handling = pin!(reverse_proxy::handle(by, &caller, in_flight, request));
            poll_fn(|cx| match handling.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Some(response)),
                Poll::Pending => {
                    let mut line = line.borrow_mut();
                    match line.poll_interims(cx) {
                        Poll::Ready(Err(_)) => Poll::Ready(None),
                        _ => line.poll_gone(cx).map(|()| None),
                    }
                }
            })
            .await
        };
        let Some(response) = response else { return };
        after_the_others().await;

        // RFC 9112 9.6: said with the last answer, so that no request is on its way when it closes
        asked.persistent &= !drain.is_on() && !connection.ends_with(response.status) && goes_on(line).await;
        let Response { status, fields, body } = response;
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        let (begun, interims) = line.borrow_mut().answer();
        output.say(begun);
        output.say(&interims);
        let answer = Answer::begin((status, fields), &body, &mut asked, now, &mut output);
        match send(answer, line, &mut output, body).await {
            Ended::Gone => return,
            Ended::Endless => return break_off(&own),
            Ended::Broken => return close(&own, connection).await,
            Ended::Whole => {}
        }
        if switches {
            return switch(&own, connection).await;
        }
        // RFC 9112 9.3: what is left of a body would be read as the next request
        if !asked.persistent || !is_read(line).await {
            return close(&own, connection).await;
        }
        output.rest();
    }
}

/// The next head; also while the gateway drains, where the caller has begun one or has yet to say its first word.
async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    line: &RefCell<Line<S>>,
    drain: &mut Drain,
    spoke: bool,
) -> Result<Option<RequestHead>, Malformed> {
    let mut patience: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        if let Poll::Ready(head) = line.borrow_mut().poll_head(cx) {
            return Poll::Ready(head);
        }
        drain.wake(cx);
        if !drain.is_on() || !line.borrow().is_empty() {
            return Poll::Pending;
        }
        if spoke {
            return Poll::Ready(Ok(None));
        }
        let patience = patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(FIRST_WORD)));
        patience.as_mut().poll(cx).map(|()| Ok(None))
    })
    .await
}

async fn send<S: AsyncRead + AsyncWrite + Unpin, B: Outgoing>(
    mut answer: Answer,
    line: &RefCell<Line<S>>,
    output: &mut Output,
    body: B,
) -> Ended {
    let mut body = pin!(body);
    poll_fn(|cx| answer.poll_send(line, output, body.as_mut(), cx)).await
}

fn begin<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    line: &Rc<RefCell<Line<S>>>,
    framing: Framing,
    expects: bool,
    takes_interims: bool,
) -> Inbody {
    let request = line.borrow_mut().begin(framing, expects);
    Inbody::of(line.clone(), request, framing == Framing::Length(0), takes_interims)
}

/// RFC 9110 10.1.1.
fn expects(fields: &Fields) -> bool {
    fields.get(&EXPECT).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Before the answer: may a request follow it, as far as the body of this one tells?
async fn goes_on<S: AsyncRead + AsyncWrite + Unpin>(line: &RefCell<Line<S>>) -> bool {
    if line.borrow().is_body_over() {
        return true;
    }
    poll_fn(|cx| {
        let mut line = line.borrow_mut();
        // nobody wants it: a refusal
        Poll::Ready(if line.has_reader() { !line.is_expected() } else { line.discard(cx) })
    })
    .await
}

/// After the answer: is the body of its request over?
async fn is_read<S: AsyncRead + AsyncWrite + Unpin>(line: &RefCell<Line<S>>) -> bool {
    if line.borrow().is_body_over() {
        return true;
    }
    poll_fn(|cx| {
        let mut line = line.borrow_mut();
        line.cut();
        Poll::Ready(line.discard(cx))
    })
    .await
}

/// An orderly end: ours is said, and what the caller still sends is waited for.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(own: &Own<S>, connection: &Connection) {
    let Some((mut stream, _)) = own.0.borrow_mut().end() else { return };
    let shut = poll_fn(|cx| {
        let outcome = Pin::new(&mut stream).poll_shutdown(cx);
        connection.wrote(outcome.is_pending());
        outcome
    });
    if shut.await.is_err() {
        return;
    }
    let mut linger = Linger::new();
    poll_fn(|cx| linger.poll(&mut stream, cx)).await;
}

fn break_off<S: BreakOff>(own: &Own<S>) {
    let stream = own.0.borrow_mut().end();
    if let Some((stream, _)) = stream {
        stream.break_off();
    }
}

/// After a 101 the connection belongs to the tunnel.
async fn switch<S: AsyncRead + AsyncWrite + Unpin>(own: &Own<S>, connection: &Rc<Connection>) {
    let in_flight = connection.begin();
    let stream = own.0.borrow_mut().end();
    if let (Some(tunnel), Some((stream, early))) = (connection.take_tunnel(), stream) {
        tunnel.run(stream, early).await;
    }
    drop(in_flight);
}

fn problem(malformed: Malformed, worker: &Worker) -> Response<Full<Bytes>> {
    let (status, code, detail) = match malformed {
        Malformed::TargetTooLong => {
            (StatusCode::URI_TOO_LONG, "target_too_long", "the request target is too long")
        }
        Malformed::TooLarge => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", "the request head is too large")
        }
        Malformed::Grammar | Malformed::Framing | Malformed::Incomplete => {
            (StatusCode::BAD_REQUEST, "request_malformed", "the request breaks the grammar of HTTP")
        }
    };
    respond::problem(status, code, "malformed request", detail, worker.request_id()).into()
}

/// Whether the gateway drains, and to be woken when it does.
struct Drain {
    phases: watch::Receiver<Phase>,
    was_on: bool,
    told: Pin<Box<dyn Future<Output = ()>>>,
    listens: bool,
}

impl Drain {
    fn new(mut phases: watch::Receiver<Phase>) -> Self {
        let mut told = phases.clone();
        let told = Box::pin(async move {
            // an error: the gateway was dropped
            let _ = told.wait_for(|phase| *phase != Phase::Serving).await;
        });
        let was_on = *phases.borrow_and_update() != Phase::Serving;
        Self { phases, was_on, told, listens: false }
    }

    /// One look at a number that changes once.
    fn is_on(&self) -> bool {
        self.was_on || self.phases.has_changed().unwrap_or(true)
    }

    /// Once is enough: it is one task, and the news comes once.
    fn wake(&mut self, cx: &mut Context<'_>) {
        if !std::mem::replace(&mut self.listens, true) {
            let _ = self.told.as_mut().poll(cx);
        }
    }
}
