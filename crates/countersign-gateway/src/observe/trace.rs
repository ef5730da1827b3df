//! One request as spans of OpenTelemetry: ours from its head to the head of its answer, and below it the upstream's part.
//! Written as OTLP's JSON, one span a line; names after its semantic conventions for HTTP. Nothing stands in them that does
//! not stand in a record.

use super::{
    parcels::Outbox,
    record::{path, short},
    story::{ALLOWED, Asked},
};
use crate::http1::fields::{self, Fields};
use countersign_core::{
    RequestId, Timestamp,
    check::{
        decision::{Denial, Known, Permit},
        request::{HeaderView, One},
        route::Route,
    },
};
use http::{HeaderName, Method, StatusCode};
use std::{borrow::Cow, fmt::Display, io::Write, net::IpAddr, time::Duration};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Of the protocol: what answers, and what asks.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// W3C Trace Context 3.2.2: what a well-formed `traceparent` says, of which there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceParent<'h> {
    pub(super) trace: &'h str,
    parent: &'h str,
}

impl<'h> TraceParent<'h> {
    pub(super) fn find(fields: &'h Fields) -> Option<Self> {
        let One::Single(only) = fields.one(&TRACEPARENT) else { return None };
        Self::parse(only)
    }

    pub(super) fn parse(field: &'h [u8]) -> Option<Self> {
        let mut parts = fields::text(field)?.split('-');
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let zero = |text: &str| text.bytes().all(|b| b == b'0');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let ends = version != "00" || parts.next().is_none();
        let good = hex(version, 2)
            && version != "ff"
            && hex(trace, 32)
            && !zero(trace)
            && hex(parent, 16)
            && !zero(parent)
            && hex(flags, 2)
            && ends;
        good.then_some(Self { trace, parent })
    }
}

/// A request that leaves spans, until it ends.
#[derive(Debug)]
pub(super) struct Spans {
    /// The caller's trace goes on here; otherwise one begins, called as the request is.
    trace: Box<str>,
    goes_on: bool,
    /// Ours, and the upstream's part.
    own: u64,
    below: u64,
    /// What is known of ours.
    line: Vec<u8>,
    method: Option<Method>,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) at: Timestamp,
    pub(super) status: u16,
    pub(super) failure: Option<&'static str>,
    pub(super) took: Duration,
    pub(super) upstream: Option<Duration>,
}

/// What is said of a request as it is decided.
#[derive(Debug)]
pub(super) struct Decided<'d> {
    pub(super) code: &'static str,
    pub(super) route: Option<&'d Route>,
    pub(super) known: Option<&'d Known>,
    pub(super) asked: Option<Asked<'d>>,
    pub(super) peer: IpAddr,
}

impl<'d> Decided<'d> {
    pub(super) fn allowed(permit: &'d Permit, asked: Asked<'d>) -> Self {
        let (route, known) = (Some(&**permit.route()), permit.subject());
        Self { code: ALLOWED, route, known, asked: Some(asked), peer: asked.peer }
    }

    pub(super) fn denied(denial: &'d Denial, asked: Asked<'d>) -> Self {
        let (route, known) = (denial.route.as_deref(), denial.known.first());
        Self { code: denial.code, route, known, asked: Some(asked), peer: asked.peer }
    }

    pub(super) fn refused(code: &'static str, peer: IpAddr) -> Self {
        Self { code, route: None, known: None, asked: None, peer }
    }
}

impl Spans {
    /// `numbers`: as random as a request id is.
    pub(super) fn begin(id: RequestId, numbers: RequestId, decided: &Decided<'_>, mut line: Vec<u8>) -> Self {
        let RequestId([a, b, c, d, e, f, g, h, rest @ ..]) = numbers;
        // none may be zero
        let (own, below) =
            (u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1), u64::from_be_bytes(rest).max(1));
        let parent = decided.asked.and_then(|asked| TraceParent::find(asked.fields));
        let trace: Box<str> = parent.map_or_else(|| id.to_string().into(), |parent| parent.trace.into());
        let method = decided.asked.map(|asked| asked.method);
        let verb = method.map_or("HTTP".into(), |method| short(method.as_str()));
        let name = decided.route.map_or(verb.clone(), |route| Cow::Owned(format!("{verb} {}", route.path)));
        head(&mut line, &trace, own, parent.map(|parent| parent.parent), SERVER, &name);
        text(&mut line, "http.request.method", &verb);
        if let Some(asked) = decided.asked {
            text(&mut line, "server.address", &short(asked.head.authority()));
            text(&mut line, "url.path", &path(asked.head.target().path()));
        }
        text(&mut line, "client.address", &decided.peer.to_string());
        if let Some(route) = decided.route {
            text(&mut line, "http.route", &route.path);
            text(&mut line, "countersign.route", &route.name);
            text(&mut line, "countersign.upstream", &route.upstream.0);
        }
        if let Some(known) = decided.known {
            text(&mut line, "countersign.principal", known.authentication.principal.as_str());
            text(&mut line, "countersign.method", known.authentication.method.as_str());
        }
        text(&mut line, "countersign.code", decided.code);
        text(&mut line, "countersign.request", &id.to_string());
        Self { goes_on: parent.is_some(), trace, own, below, line, method: method.cloned() }
    }

    /// What the upstream is told: its work belongs below the span of our asking.
    pub(super) fn hand_on(&self, fields: &mut Fields) {
        let field = format!("00-{}-{:016x}-01", self.trace, self.below);
        // hex digits and dashes
        let _ = fields.try_insert(&TRACEPARENT, field.as_bytes());
        // W3C Trace Context 3.3: it belongs to the trace that it came with
        if !self.goes_on {
            fields.remove(&TRACESTATE);
        }
    }

    pub(super) fn end(self, ended: Ended, outbox: &Outbox) {
        let Self { trace, own, below, mut line, method, .. } = self;
        let Ended { at, status, failure, took, upstream } = ended;
        status_of(&mut line, status, failure);
        // the protocol's conventions: a caller's fault is no error of whoever answered it
        tail(&mut line, at, took, status >= 500);
        outbox.put(line);
        let Some(upstream) = upstream else { return };
        let mut line = outbox.spare();
        let verb = method.as_ref().map_or("HTTP".into(), |method| short(method.as_str()));
        head(&mut line, &trace, below, Some(&format!("{own:016x}")), CLIENT, &verb);
        text(&mut line, "http.request.method", &verb);
        if failure.is_none() {
            status_of(&mut line, status, None);
        } else if let Some(failure) = failure {
            text(&mut line, "error.type", failure);
        }
        tail(&mut line, at, upstream, failure.is_some() || status >= 400);
        outbox.put(line);
    }
}

// a vector takes what it is given: nothing below can fail

fn head(line: &mut Vec<u8>, trace: &str, own: u64, parent: Option<&str>, kind: u8, name: &str) {
    let _ = write!(line, "{{\"traceId\":\"{trace}\",\"spanId\":\"{own:016x}\"");
    if let Some(parent) = parent {
        let _ = write!(line, ",\"parentSpanId\":\"{parent}\"");
    }
    let _ = write!(line, ",\"flags\":1,\"kind\":{kind},\"name\":");
    let _ = serde_json::to_writer(&mut *line, name);
    line.extend_from_slice(b",\"attributes\":[");
}

fn text(line: &mut Vec<u8>, key: &str, value: &str) {
    if line.last() != Some(&b'[') {
        line.push(b',');
    }
    let _ = write!(line, "{{\"key\":\"{key}\",\"value\":{{\"stringValue\":");
    let _ = serde_json::to_writer(&mut *line, value);
    line.extend_from_slice(b"}}");
}

fn status_of(line: &mut Vec<u8>, status: u16, failure: Option<&'static str>) {
    let _ =
        write!(line, ",{{\"key\":\"http.response.status_code\",\"value\":{{\"intValue\":\"{status}\"}}}}");
    if let Some(failure) = failure {
        text(line, "error.type", failure);
    } else if status >= StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
        text(line, "error.type", &status.to_string());
    }
}

fn tail(line: &mut Vec<u8>, at: Timestamp, took: Duration, is_error: bool) {
    let end = u128::try_from(at.as_micros()).unwrap_or_default() * 1000;
    let nanoseconds = |key: &str, value: &dyn Display| format!(",\"{key}\":\"{value}\"");
    line.push(b']');
    let begin = end.saturating_sub(took.as_nanos());
    line.extend_from_slice(nanoseconds("startTimeUnixNano", &begin).as_bytes());
    line.extend_from_slice(nanoseconds("endTimeUnixNano", &end).as_bytes());
    if is_error {
        line.extend_from_slice(b",\"status\":{\"code\":2}");
    }
    line.extend_from_slice(b"}\n");
}
