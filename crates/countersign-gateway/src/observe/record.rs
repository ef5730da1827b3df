//! One decision as a line of JSON: who asked for what, what was decided and why, what came of it.
//!
//! Written in two halves, because what a permit says leaves with it: the first at the decision, the second at the end.
//! No credential stands in it: queries are left out, of headers only `traceparent` is looked at, and a segment of a path
//! that has the shape of a key is covered.

use super::{
    parcels::Outbox,
    story::{ALLOWED, Asked},
    trace::TraceParent,
};
use crate::{http1::fields::Fields, worker::Worker};
use countersign_core::{
    MethodName, RequestId, ScopeSet, Timestamp,
    check::decision::{Denial, Known, Permit},
};
use serde::Serialize;
use std::{borrow::Cow, cell::RefCell, io::Write, net::IpAddr, time::Duration};

/// Bytes of a path, a method or a host in a record; a longer one is cut.
const LONGEST: usize = 512;

/// What is known when it is decided.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Facts<'f> {
    decision: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'f, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'f, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'f, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'f str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Proof<'f>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actors: Vec<Proof<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'f str>,
}

/// By what somebody was known.
#[derive(Debug, Serialize)]
struct Proof<'f> {
    method: &'static str,
    credential: &'f str,
    #[serde(serialize_with = "as_text", skip_serializing_if = "is_empty")]
    scopes: &'f ScopeSet,
}

fn is_empty(scopes: &&ScopeSet) -> bool {
    scopes.is_empty()
}

fn as_text<S: serde::Serializer>(scopes: &&ScopeSet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(scopes.iter().map(|scope| scope.as_str()))
}

impl<'f> Facts<'f> {
    pub(crate) fn of_permit(permit: &'f Permit, asked: Asked<'f>) -> Self {
        let facts = Self {
            decision: "allow",
            code: ALLOWED,
            route: Some(&permit.route().name),
            upstream: Some(&permit.route().upstream.0),
            method: Some(permit.method().as_str().into()),
            host: Some(permit.authority().into()),
            path: Some(path(permit.target().path())),
            peer: Some(asked.peer),
            trace: trace(asked.fields),
            ..Self::default()
        };
        facts.known(permit.subject(), permit.actors())
    }

    pub(crate) fn of_denial(denial: &'f Denial, asked: Asked<'f>) -> Self {
        let facts = Self {
            decision: "deny",
            code: denial.code,
            reason: Some(denial.reason),
            route: denial.route.as_ref().map(|route| &*route.name),
            method: Some(short(asked.method.as_str())),
            host: Some(short(asked.head.authority())),
            path: Some(path(asked.head.target().path())),
            peer: Some(asked.peer),
            trace: trace(asked.fields),
            ..Self::default()
        };
        facts.known(denial.known.first(), denial.known.get(1..).unwrap_or_default())
    }

    pub(crate) fn of_refusal(code: &'static str, reason: &'static str, peer: IpAddr) -> Self {
        Self { decision: "deny", code, reason: Some(reason), peer: Some(peer), ..Self::default() }
    }

    fn known(mut self, subject: Option<&'f Known>, actors: &'f [Known]) -> Self {
        let proof = |known: &'f Known| Proof {
            method: MethodName::as_str(known.authentication.method),
            credential: known.authentication.credential.as_str(),
            scopes: &known.scopes,
        };
        self.principal = subject.map(|known| known.authentication.principal.as_str());
        self.subject = subject.map(proof);
        self.actors = actors.iter().map(proof).collect();
        self
    }
}

/// The first half. `None`: it could not be written, which is said once by whoever counts.
pub(crate) fn begin(worker: &Worker, id: RequestId, facts: &Facts<'_>) -> Option<Vec<u8>> {
    let outbox = worker.observed.outboxes.records.as_ref()?;
    let mut line = outbox.spare();
    let now = worker.ports.point.clock().now();
    let written = with_time(now, |time| {
        line.extend_from_slice(b"{\"time\":\"");
        line.extend_from_slice(time.as_bytes());
        write!(line, "\",\"request\":\"{id}\"").ok()?;
        let at = line.len();
        serde_json::to_writer(&mut line, facts).ok()?;
        // an object within an object becomes the rest of it: its first brace a comma, its last one written at the end
        *line.get_mut(at)? = b',';
        line.pop();
        Some(())
    });
    written.map(|()| line)
}

/// The second half.
pub(crate) fn end(
    mut line: Vec<u8>,
    status: u16,
    failure: Option<&'static str>,
    (took, upstream): (Duration, Option<Duration>),
    outbox: &Outbox,
) {
    // a vector takes what it is given
    let _ = write!(line, ",\"status\":{status}");
    if let Some(failure) = failure {
        let _ = write!(line, ",\"failure\":\"{failure}\"");
    }
    let _ = write!(line, ",\"duration_us\":{}", took.as_micros());
    if let Some(upstream) = upstream {
        let _ = write!(line, ",\"upstream_us\":{}", upstream.as_micros());
    }
    line.extend_from_slice(b"}\n");
    outbox.put(line);
}

/// RFC 3339, to the millisecond; the second is written once.
fn with_time<T>(now: Timestamp, then: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        static WRITTEN: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    WRITTEN.with_borrow_mut(|(when, text)| {
        let seconds = now.as_seconds();
        if *when != seconds {
            let written = jiff::Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default();
            text.clear();
            text.push_str(written.trim_end_matches('Z'));
            text.push_str(".000Z");
            *when = seconds;
        }
        let milliseconds = now.as_micros().rem_euclid(1_000_000) / 1000;
        let end = text.len();
        text.truncate(end.saturating_sub(4));
        // a string takes what it is given
        let _ = std::fmt::Write::write_fmt(text, format_args!("{milliseconds:03}Z"));
        then(text)
    })
}

pub(super) fn short(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default())
}

/// Without a query; and what somebody put there by mistake stays unsaid.
pub(super) fn path(path: &str) -> Cow<'_, str> {
    let is_key = |segment: &str| segment.contains("_live_") || segment.contains("_test_");
    if !is_key(path) {
        return short(path);
    }
    let covered: Vec<&str> =
        path.split('/').map(|segment| if is_key(segment) { "[covered]" } else { segment }).collect();
    Cow::Owned(short(&covered.join("/")).into_owned())
}

fn trace(fields: &Fields) -> Option<&str> {
    TraceParent::find(fields).map(|parent| parent.trace)
}
