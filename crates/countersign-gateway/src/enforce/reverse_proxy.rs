//! The first door: a request comes in, is judged, and goes to the upstream of its route or back with a problem.

use super::{
    cors,
    extended_connect::{self, Unsupported},
    trusted,
};
use crate::{
    generation::Generation,
    http1::fields::{self, Fields},
    listen::{caller::Caller, connection::InFlight, inlet::Inlet},
    observe::story::{Asked, Story},
    response::Response,
    upstream::{
        body::Download,
        forward::{self, Failure, Inbound, Outcome, Terms},
        upgrade::Tunnel,
    },
    worker::Worker,
};
use bytes::Bytes;
use countersign_core::{
    RequestId,
    check::{
        decision::{Decision, Denial},
        request::Peer,
    },
};
use countersign_tower::{RequestLine, admit_head_within, respond};
use http::{
    HeaderValue, Method, StatusCode, Uri, Version,
    header::{MAX_FORWARDS, ORIGIN, RETRY_AFTER},
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{task::spawn_local, time::Instant};

/// A request as its connection read it, whatever the protocol.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    pub(crate) body: Inlet,
    /// It asks that its stream of HTTP/2 become a tunnel (RFC 8441).
    pub(crate) stream: Option<Result<OnUpgrade, Unsupported>>,
}

impl From<http::Request<Incoming>> for Request {
    fn from(mut request: http::Request<Incoming>) -> Self {
        let stream = extended_connect::take(&mut request);
        let (parts, body) = request.into_parts();
        let fields = Fields::from(&parts.headers);
        Self {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            fields,
            body: Inlet::Http2(body),
            stream,
        }
    }
}

/// One request, from its head to the answer.
pub(crate) async fn handle(
    (worker, generation): (&Rc<Worker>, &Generation),
    caller: &Caller,
    in_flight: InFlight,
    mut request: Request,
) -> Response<Reply> {
    let id = worker.request_id();
    let mut story = Story::begin(worker, generation, id);
    let options = &generation.config.answers;
    let whole = |response: http::Response<Full<Bytes>>, in_flight| {
        Response::from(response).map(|body| Reply::whole(body, in_flight))
    };
    let stream = match request.stream.take().transpose() {
        Ok(stream) => stream,
        Err(Unsupported) => {
            let answer = extended_connect::unsupported(id);
            story.answered_here("upgrade_unsupported", answer.status());
            return whole(answer, in_flight);
        }
    };
    let now = || worker.ports.point.clock().now();
    if let Some(answer) = worker.ports.probe.answer(&request, caller.peer, now) {
        story.answered_here("probe", answer.status());
        return whole(answer, in_flight);
    }
    let Request { method, uri, version, mut fields, body, .. } = request;
    // before anything reads a field: one authority, one target, one framing, bounded
    let line = RequestLine { method: &method, uri: &uri, version };
    let head = match admit_head_within(line, &fields, caller.face.limits.head) {
        Ok(head) => head,
        Err(error) => {
            if let Some(left_out) = worker.refusals.take(Instant::now()) {
                let (code, reason) = (error.code(), error.detail());
                tracing::info!(request = %id, peer = %caller.peer.address, code, reason, left_out, "refused");
            }
            story.refused(error.code(), error.detail(), error.status(), caller.peer.address);
            return whole(respond::head_error(error, version, id), in_flight);
        }
    };
    if caller.tenant.as_ref().is_some_and(|tenant| !tenant.owns(head.authority())) {
        if let Some(left_out) = worker.refusals.take(Instant::now()) {
            tracing::info!(request = %id, peer = %caller.peer.address, code = "misdirected", left_out, "refused");
        }
        let reason = "its connection was made for another name";
        story.refused("misdirected", reason, StatusCode::MISDIRECTED_REQUEST, caller.peer.address);
        return whole(misdirected(id), in_flight);
    }
    // before anything believes a field
    let trusted::Vouched { peer, is_https, request_id } = trusted::vouched(caller, &fields);
    trusted::scrub(&mut fields);
    if let Some(theirs) = request_id {
        tracing::debug!(request = %id, ?theirs, "the peer's request id");
        fields.insert(&trusted::X_REQUEST_ID, &theirs);
    }
    // before the judgement, because a preflight carries no credential
    if cors::is_preflight(&method, &fields) {
        let answer = cors::preflight(&generation.table, &head, &fields, id, options);
        story.answered_here("preflight", answer.status());
        return whole(answer, in_flight);
    }

    let decision =
        worker.ports.point.check_by(&generation.table, &head.check_request(&method, &fields, peer)).await;
    let asked = Asked { head: &head, method: &method, fields: &fields, peer: peer.address };
    let permit = match decision {
        Decision::Allow(permit) => {
            story.allowed(&permit, asked);
            permit
        }
        Decision::Deny(denial) => {
            story.denied(&denial, asked);
            let mut told = Fields::new();
            let (status, body) = respond::tell_denial(&denial, id, options, &mut told);
            let mut response = Response { status, fields: told, body: Full::new(body) };
            // a person is sent to the login page instead
            story.ended(response.status);
            if let Some(cors) = denial.cors() {
                cors::apply(cors, origin(&fields).as_ref(), &mut response.fields);
            }
            note(worker, &denial, id, peer);
            return response.map(|body| Reply::whole(body, in_flight));
        }
    };

    if goes_no_further(&method, &mut fields) {
        story.ended(StatusCode::NO_CONTENT);
        return Response::new(StatusCode::NO_CONTENT, Reply::whole(Full::default(), in_flight));
    }
    story.hand_on(&mut fields);
    let route = permit.route().clone();
    let terms = Terms { most: caller.face.limits.body, patience: caller.face.timeouts.body };
    let address = caller.written(peer.address);
    let origin = if route.cors.is_some() { origin(&fields) } else { None };
    let is_stream = stream.is_some();
    let inbound = Inbound { id, peer, address, is_https, fields, body, version, is_stream, terms };
    let mut response = match forward::forward((worker, generation), permit, inbound, &mut story).await {
        Ok(Outcome::Switched(answer, tunnel)) => {
            match stream {
                None => in_flight.switch(*tunnel),
                Some(stream) => {
                    spawn_local(carry(stream, *tunnel, in_flight.another()));
                }
            }
            answer.map(|()| Reply::whole(Full::default(), in_flight))
        }
        Ok(Outcome::Whole(response)) => response.map(|body| Reply::whole(body, in_flight)),
        Ok(Outcome::Answer(response)) => {
            response.map(|body| Reply { body: ReplyBody::Stream(body), _in_flight: in_flight })
        }
        Err(failure) => {
            let upstream = &route.upstream;
            story.failed(failure.words().1);
            if failure.is_ours() {
                tracing::error!(request = %id, route = %route.name, ?upstream, %failure, "cannot forward");
            } else if let Some(left_out) = worker.refusals.take(Instant::now()) {
                tracing::warn!(request = %id, route = %route.name, ?upstream, %failure, left_out, "not forwarded");
            }
            whole(refusal(&failure, id), in_flight)
        }
    };
    story.ended(response.status);
    if let Some(cors) = &route.cors {
        cors::apply(cors, origin.as_ref(), &mut response.fields);
    }
    response
}

/// One stream of HTTP/2 among others, for as long as it is a tunnel.
async fn carry(stream: OnUpgrade, tunnel: Tunnel, _in_flight: InFlight) {
    match stream.await {
        Ok(stream) => tunnel.run(TokioIo::new(stream), Bytes::new()).await,
        Err(error) => tracing::debug!(%error, "the caller went before its stream was one"),
    }
}

/// RFC 9110 7.6.2: the hops that an OPTIONS request has left; at zero the answer is ours.
fn goes_no_further(method: &Method, fields: &mut Fields) -> bool {
    if *method != Method::OPTIONS {
        return false;
    }
    let left = fields.get(&MAX_FORWARDS).and_then(fields::text).and_then(|v| v.parse::<u32>().ok());
    match left {
        None => false,
        Some(0) => true,
        Some(left) => {
            fields.insert(&MAX_FORWARDS, &HeaderValue::from(left - 1));
            false
        }
    }
}

/// RFC 9110 15.5.20: the caller may try again on a connection of its own.
fn misdirected(id: RequestId) -> http::Response<Full<Bytes>> {
    let detail = "this connection was made for another name, whose certificate this host does not have";
    respond::problem(StatusCode::MISDIRECTED_REQUEST, "misdirected", "misdirected request", detail, id)
}

fn origin(fields: &Fields) -> Option<HeaderValue> {
    fields.get(&ORIGIN).and_then(|origin| HeaderValue::from_bytes(origin).ok())
}

fn refusal(failure: &Failure, id: RequestId) -> http::Response<Full<Bytes>> {
    let (status, code, title, detail) = failure.words();
    let mut response = respond::problem(status, code, title, detail, id);
    if matches!(failure, Failure::Busy | Failure::NoIdentityKey) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The true reason, by request id; no target, because a credential may stand in its query.
fn note(worker: &Worker, denial: &Denial, id: RequestId, peer: Peer) {
    let Some(left_out) = worker.refusals.take(Instant::now()) else { return };
    tracing::info!(
        request = %id,
        peer = %peer.address,
        status = denial.kind.status().as_u16(),
        code = denial.code,
        reason = denial.reason,
        route = denial.route.as_ref().map(|r| tracing::field::display(r.name.clone())),
        subject = denial.known.first().map(|k| tracing::field::display(k.authentication.principal.clone())),
        left_out,
        "denied"
    );
}

/// The body of an answer: ours whole, or the upstream's as it comes. While it lives the request is in flight.
#[derive(Debug)]
pub(crate) struct Reply {
    body: ReplyBody,
    _in_flight: InFlight,
}

#[derive(Debug)]
enum ReplyBody {
    Whole(Full<Bytes>),
    Stream(Box<Download>),
}

impl Reply {
    fn whole(body: Full<Bytes>, in_flight: InFlight) -> Self {
        Self { body: ReplyBody::Whole(body), _in_flight: in_flight }
    }
}

/// An answer's body that may still have a request under way.
pub(crate) trait Outgoing: Body<Data = Bytes> {
    /// While nobody takes the answer, its request goes on: a caller may send all of it before it reads anything.
    fn drive(self: Pin<&mut Self>, _cx: &mut Context<'_>) {}
}

impl Outgoing for Full<Bytes> {}

impl Outgoing for Reply {
    fn drive(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let ReplyBody::Stream(body) = &mut self.body {
            body.drive(cx);
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.body {
            ReplyBody::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            ReplyBody::Stream(body) => Pin::new(body.as_mut()).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            ReplyBody::Whole(body) => body.is_end_stream(),
            ReplyBody::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            ReplyBody::Whole(body) => body.size_hint(),
            ReplyBody::Stream(body) => body.size_hint(),
        }
    }
}
