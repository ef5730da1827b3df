//! A permitted request to its upstream, and the answer back. Takes the [`Permit`] by value: who has none cannot call
//! this, and no permit is used twice. Method and target are the permit's, not the caller's (RULES 2.3).

use super::{
    balance::Upstream,
    body::{Answer, Download, ExchangeError, Patience, Upload, UploadFault},
    built_in,
    config::Protocol,
    dial::ConnectError,
    headers::{self, Came},
    health::Fault,
    identity::Unrepresentable,
    outbound::Outbound,
    retry,
    streams::Tether,
    upgrade::{self, Handshake, Tunnel},
};
use crate::{
    generation::Generation, http1::fields::Fields, listen::inlet::Inlet, observe::story::Story,
    response::Response, worker::Worker,
};
use bytes::Bytes;
use countersign_core::{
    RequestId,
    check::{
        decision::Permit,
        path,
        request::{HeaderView, One, Peer},
    },
};
use http::{
    HeaderValue, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, TE, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use http_body::Body;
use http_body_util::Full;
use std::{rc::Rc, time::Duration};
use thiserror::Error;
use tokio::time::Instant;

/// What came in, beside what was permitted.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) id: RequestId,
    pub(crate) peer: Peer,
    /// The caller's, as it is written.
    pub(crate) address: HeaderValue,
    pub(crate) is_https: bool,
    /// Admitted and scrubbed.
    pub(crate) fields: Fields,
    pub(crate) body: Inlet,
    pub(crate) version: Version,
    /// It asks for a tunnel in a stream of HTTP/2 (RFC 8441).
    pub(crate) is_stream: bool,
    pub(crate) terms: Terms,
}

/// What its listener grants a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) most: u64,
    /// How long it may be silent, either way.
    pub(crate) patience: Duration,
}

/// What came back.
pub(crate) enum Outcome {
    Answer(Response<Box<Download>>),
    /// Of an endpoint of this process.
    Whole(Response<Full<Bytes>>),
    /// 101: what follows on the caller's connection belongs to the tunnel.
    Switched(Response<()>, Box<Tunnel>),
}

/// Why there is no answer of the upstream's. The text is for the operator.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("the configuration has no such upstream")]
    NoUpstream,
    #[error("`{}` cannot carry its value unchanged", .0.0)]
    Identity(Unrepresentable),
    #[error("there is no key to sign `countersign-identity` with")]
    NoIdentityKey,
    #[error("what is built in {0}")]
    BuiltIn(&'static str),
    #[error("it takes no WebSocket")]
    NoUpgrade,
    #[error("the route's prefixes make no target of this one")]
    Target,
    #[error("{0}")]
    Upload(UploadFault),
    #[error("{0}")]
    Connect(ConnectError),
    /// Connected, and then no answer that is one.
    #[error("{0}")]
    Exchange(ExchangeError),
    #[error("a new connection took no request")]
    Unsent,
    /// It switched protocols, which it was not asked for, or framed its answer in a way nobody can follow.
    #[error("the answer {0}")]
    Answer(&'static str),
    #[error("no first byte in time")]
    FirstByte,
    #[error("as many requests as it may have are there or waiting")]
    Busy,
}

impl Failure {
    /// The configuration's fault or this program's: to be seen in the log without asking for it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Failure::NoUpstream | Failure::Identity(_) | Failure::BuiltIn(_) | Failure::Target)
    }

    /// Status, code, title and detail for the caller.
    pub(crate) fn words(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        match self {
            Failure::Upload(UploadFault::TooLarge) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "body too large",
                "the request body is larger than this API takes",
            ),
            Failure::Upload(UploadFault::Stalled) => (
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "request timeout",
                "the request body did not arrive in time",
            ),
            Failure::Upload(UploadFault::Revoked) => (
                StatusCode::FORBIDDEN,
                "revoked",
                "revoked",
                "what permitted this request was revoked before its body had arrived",
            ),
            Failure::Upload(UploadFault::Broken) => (
                StatusCode::BAD_REQUEST,
                "request_malformed",
                "malformed request",
                "the request body breaks its framing",
            ),
            Failure::NoUpstream | Failure::Identity(_) | Failure::BuiltIn(_) | Failure::Target => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "internal error",
                "the gateway cannot answer or forward this request; its log says why",
            ),
            Failure::NoIdentityKey => (
                StatusCode::SERVICE_UNAVAILABLE,
                "identity_unavailable",
                "unavailable",
                "the API behind this gateway cannot be told who calls right now; try again",
            ),
            Failure::NoUpgrade => (
                StatusCode::NOT_IMPLEMENTED,
                "upgrade_unsupported",
                "protocol not carried",
                "the API behind this gateway takes no WebSocket",
            ),
            Failure::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_busy",
                "upstream busy",
                "the API behind this gateway has no room for this request now",
            ),
            Failure::Connect(ConnectError::Timeout) | Failure::FirstByte => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "upstream timeout",
                "the API behind this gateway did not answer in time",
            ),
            Failure::Connect(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "upstream unreachable",
                "the API behind this gateway cannot be reached",
            ),
            Failure::Exchange(_) | Failure::Unsent | Failure::Answer(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_failed",
                "upstream failed",
                "the API behind this gateway gave no valid answer",
            ),
        }
    }
}

/// By the generation that judged it.
pub(crate) async fn forward(
    (worker, generation): (&Worker, &Generation),
    permit: Permit,
    inbound: Inbound,
    story: &mut Story<'_>,
) -> Result<Outcome, Failure> {
    let Some(upstream) = generation.upstream(&permit.route().upstream.0) else {
        let built_in = generation.built_in(&permit.route().upstream.0).ok_or(Failure::NoUpstream)?;
        // apart, so that what is forwarded is no larger for it
        let answer = built_in::answer((worker, generation), built_in.clone(), permit, inbound, story);
        return Box::pin(answer).await.map(Outcome::Whole);
    };
    let permit = Rc::new(permit);
    let Inbound { id, address, is_https, mut fields, body, version, is_stream, terms, .. } = inbound;
    let asked = if is_stream {
        Some(upgrade::websocket(upstream.config()).ok_or(Failure::NoUpgrade)?)
    } else {
        upgrade::asked(upstream.config(), (permit.method(), version), &fields, !body.is_end_stream())
    };
    let (upload, exchange) =
        Upload::new(body, terms.most, patience(&fields, upstream, terms.patience), || {
            Tether::new(&permit, &worker.streams)
        })
        .ok_or(Failure::Upload(UploadFault::TooLarge))?;
    let http2 = upstream.config().protocol == Protocol::Http2;
    // RFC 9110 10.1.4: a field of this hop, said again because gRPC servers ask for it
    let takes_trailers = http2 && fields.get(&TE).is_some_and(|te| te.eq_ignore_ascii_case(b"trailers"));
    let id = headers::request_id(id).map_err(Failure::Identity)?;
    let identity = match &generation.mint {
        Some(mint) if upstream.config().signed_identity => mint.token(&permit, upstream.config(), worker)?,
        _ => None,
    };
    let upstream_name = upstream.authority();
    let came = Came {
        id: &id,
        address: &address,
        is_https,
        upstream: upstream_name,
        identity: identity.as_deref().map(|token| &token.value),
    };
    headers::request(&mut fields, &permit, &generation.stripping, &generation.config, came)
        .map_err(Failure::Identity)?;
    if !http2 {
        frame(&mut fields, permit.method(), &upload);
    } else if takes_trailers {
        fields.insert(&TE, &HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = &asked {
        upgrade::say(&mut fields, protocol);
    }
    let handshake = is_stream.then(|| Handshake::begin(&mut fields, &*worker.ports.entropy));

    let (method, target) = (permit.method().clone(), target(&permit, generation)?);
    let request = Outbound { method, target, fields, body: upload };
    // where the caller sees the upstream's own name, that is the name of the address chosen in the end
    let own_name = headers::is_named_by_upstream(permit.route());
    let mut request = Some(request);
    story.sent();
    let sent = retry::send(upstream, &mut request, &exchange, own_name).await;
    story.heard();
    let (response, lease) = sent?;

    if let Err(failure) = admit_answer(&response, asked.as_ref()) {
        lease.pool().health().failed(Fault::Exchange, Instant::now());
        return Err(failure);
    }
    lease.pool().health().answered(Instant::now);
    // what is no WebSocket is none, and well all the same: a caller chooses what is asked for one
    if let Some(own) = &handshake {
        own.is_answered_by(&response)?;
    }
    let Response { status, mut fields, body } = response;
    reframe(&mut fields, permit.method(), status);
    headers::response(&mut fields, &permit, &id);
    let tether = Tether::new(&permit, &worker.streams);
    let idle = upstream.config().stream_idle;
    // a response of our own: nothing of the upstream's connection (version, reason phrase, extensions) goes on
    let body = match (status, asked, body) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(protocol), Answer::Http1(switched)) => {
            let mut told = StatusCode::OK;
            if handshake.is_some() {
                // RFC 8441 5: the stream is the tunnel once the answer is good
                fields.remove(&SEC_WEBSOCKET_ACCEPT);
            } else {
                upgrade::say(&mut fields, &protocol);
                told = status;
            }
            let answer = Response { status: told, fields, body: () };
            let upstream = switched.0;
            return Ok(Outcome::Switched(answer, Box::new(Tunnel { upstream, lease, tether, idle })));
        }
        (_, _, body) => body,
    };
    let patience = patience(&fields, upstream, terms.patience);
    let body = Box::new(Download::new(body, lease, tether, patience));
    Ok(Outcome::Answer(Response { status, fields, body }))
}

/// How long this body may be silent: some are by nature.
fn patience(fields: &Fields, upstream: &Upstream, body: Duration) -> Patience {
    let essence = fields.get(&CONTENT_TYPE).and_then(|v| v.split(|b| *b == b';').next());
    let essence = essence.unwrap_or_default().trim_ascii();
    let grpc = b"application/grpc";
    let is_grpc = essence.get(..grpc.len()).is_some_and(|start| start.eq_ignore_ascii_case(grpc));
    if is_grpc || essence.eq_ignore_ascii_case(b"text/event-stream") {
        Patience::of_stream(upstream.config().stream_idle, body)
    } else {
        Patience::new(body)
    }
}

/// The request line is written from the permit. What may still be in its query is a credential of another route's
/// place, which is stripped like a key header (RULES 3.2).
fn target(permit: &Permit, generation: &Generation) -> Result<PathAndQuery, Failure> {
    let parameters = generation.stripping.parameters();
    let target = permit.route().upstream_target(permit.target()).ok_or(Failure::Target)?;
    if parameters.is_empty() || permit.route().forward_credential || target.query().is_none() {
        return Ok(target);
    }
    Ok(path::without_parameters(target, parameters))
}

/// One framing, ours.
fn frame(fields: &mut Fields, method: &Method, upload: &Upload) {
    if upload.is_end_stream() {
        // RFC 9110 8.6: a method that usually has content says so when it has none
        if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            fields.insert(&CONTENT_LENGTH, &HeaderValue::from_static("0"));
        }
    } else if let Some(length) = upload.size_hint().exact() {
        fields.insert(&CONTENT_LENGTH, &HeaderValue::from(length));
    } else {
        fields.insert(&TRANSFER_ENCODING, &HeaderValue::from_static("chunked"));
    }
}

fn admit_answer(answer: &Response<Answer>, asked: Option<&HeaderValue>) -> Result<(), Failure> {
    let Response { status, fields, .. } = answer;
    if status.is_informational() && !asked.is_some_and(|asked| upgrade::is_answer_to(asked, fields)) {
        return Err(Failure::Answer("switches to a protocol that was not asked for"));
    }
    match fields.one(&TRANSFER_ENCODING) {
        One::Absent => Ok(()),
        One::Single(only) if only.trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        One::Single(_) | One::Doubled => Err(Failure::Answer("has a transfer coding other than `chunked`")),
    }
}

/// Where there is a body its length is what hyper read; where there is none (HEAD, 304) the field says what a body
/// would have had, and stays if it is one number.
fn reframe(fields: &mut Fields, method: &Method, status: StatusCode) {
    let told = *method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    let is_number = |length: &[u8]| length.iter().all(u8::is_ascii_digit);
    let one = matches!(fields.one(&CONTENT_LENGTH), One::Single(only) if is_number(only));
    if !(told && one) || fields.contains(&TRANSFER_ENCODING) {
        fields.remove(&CONTENT_LENGTH);
    }
}
