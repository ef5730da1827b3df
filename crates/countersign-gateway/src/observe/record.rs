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
    MethodName, RequestId, Timestamp,
    check::decision::{Denial, Known, Permit},
};
use countersign_tower::respond::json_string;
use std::{borrow::Cow, cell::RefCell, io::Write, net::IpAddr, time::Duration};

/// Bytes of a path, a method or a host in a record; a longer one is cut.
const LONGEST: usize = 512;

/// What is known when it is decided.
#[derive(Debug, Default)]
pub(crate) struct Facts<'f> {
    decision: &'static str,
    code: &'static str,
    reason: Option<&'static str>,
    route: Option<&'f str>,
    upstream: Option<&'f str>,
    method: Option<Cow<'f, str>>,
    host: Option<Cow<'f, str>>,
    path: Option<Cow<'f, str>>,
    peer: Option<IpAddr>,
    subject: Option<&'f Known>,
    actors: &'f [Known],
    trace: Option<&'f str>,
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

    fn known(self, subject: Option<&'f Known>, actors: &'f [Known]) -> Self {
        Self { subject, actors, ..self }
    }

    fn write(&self, line: &mut Vec<u8>) {
        let texts = [
            ("decision", Some(self.decision)),
            ("code", Some(self.code)),
            ("reason", self.reason),
            ("route", self.route),
            ("upstream", self.upstream),
            ("method", self.method.as_deref()),
            ("host", self.host.as_deref()),
            ("path", self.path.as_deref()),
        ];
        for (name, value) in texts {
            text(line, name, value);
        }
        if let Some(peer) = self.peer {
            // a vector takes what it is given
            let _ = write!(line, ",\"peer\":\"{peer}\"");
        }
        if let Some(subject) = self.subject {
            text(line, "principal", Some(subject.authentication.principal.as_str()));
            line.extend_from_slice(b",\"subject\":");
            proof(line, subject);
        }
        for (n, actor) in self.actors.iter().enumerate() {
            line.extend_from_slice(if n == 0 { b",\"actors\":[" } else { b"," });
            proof(line, actor);
        }
        if !self.actors.is_empty() {
            line.push(b']');
        }
        text(line, "trace", self.trace);
    }
}

fn text(line: &mut Vec<u8>, name: &'static str, value: Option<&str>) {
    let Some(value) = value else { return };
    for piece in [",\"", name, "\":"] {
        line.extend_from_slice(piece.as_bytes());
    }
    json_string(line, value);
}

/// By what somebody was known.
fn proof(line: &mut Vec<u8>, known: &Known) {
    let Known { authentication, scopes, .. } = known;
    line.extend_from_slice(b"{\"method\":");
    json_string(line, MethodName::as_str(authentication.method));
    text(line, "credential", Some(authentication.credential.as_str()));
    for (n, scope) in scopes.iter().enumerate() {
        line.extend_from_slice(if n == 0 { b",\"scopes\":[" } else { b"," });
        json_string(line, scope.as_str());
    }
    line.extend_from_slice(if scopes.is_empty() { b"}" } else { b"]}" });
}

/// The first half. `None`: nothing is recorded.
pub(crate) fn begin(worker: &Worker, id: RequestId, facts: &Facts<'_>) -> Option<Vec<u8>> {
    let outbox = worker.observed.outboxes.records.as_ref()?;
    let mut line = outbox.spare();
    line.extend_from_slice(b"{\"time\":\"");
    with_time(worker.ports.point.clock().now(), |time| line.extend_from_slice(time.as_bytes()));
    let _ = write!(line, "\",\"request\":\"{id}\"");
    facts.write(&mut line);
    Some(line)
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
    let _ = write!(line, ",\"duration_us\":{}", microseconds(took));
    if let Some(upstream) = upstream {
        let _ = write!(line, ",\"upstream_us\":{}", microseconds(upstream));
    }
    line.extend_from_slice(b"}\n");
    outbox.put(line);
}

/// In 64 bits: 128 take several times as long to write.
fn microseconds(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
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
