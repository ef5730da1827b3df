//! What a refusal looks like: RFC 9457 problem documents, and the fields that go with each status. The caller is told
//! what, never why; the reason stays with the operator, found by the request id.

use crate::attributes::HeadError;
use bytes::Bytes;
use countersign_core::{
    RequestId,
    challenge::Challenge,
    check::{
        decision::{Denial, DenialKind, LimitState},
        limit::RateLimit,
    },
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
    uri::PathAndQuery,
};
use std::{borrow::Cow, time::Duration};

pub static REQUEST_ID: HeaderName = HeaderName::from_static("countersign-request-id");
pub static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Where the `type` of our problems points.
const PROBLEMS: &str = "https://countersign.dev/problems/";

/// What the answers of one deployment have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The `realm` of a challenge that goes out with a 403.
    pub realm: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { realm: "countersign".into() }
    }
}

/// Where a person gets a session; what they asked for stands behind it.
const LOGIN: &str = "/.countersign/session/login";
/// Bytes of a target, as it is written there, that is come back to. A longer one is not worth a login that fails for it.
const MOST_RETURN: usize = 2000;

/// Where the fields of an answer are written: none of them stands there yet.
pub trait Told {
    /// `value` is one that a field can have.
    fn tell(&mut self, name: &HeaderName, value: &[u8]);
}

impl Told for HeaderMap {
    fn tell(&mut self, name: &HeaderName, value: &[u8]) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(name, value);
        }
    }
}

/// A denial as the caller sees it. `B` is `Full<Bytes>`, `axum::body::Body`, or whatever else is made of bytes.
pub fn denial<B: From<Bytes>>(denial: &Denial, id: RequestId, options: &Options) -> Response<B> {
    let mut headers = HeaderMap::new();
    let (status, body) = tell_denial(denial, id, options, &mut headers);
    response(status, headers, body)
}

/// The same, wherever its fields go: refusals are what a flood costs.
pub fn tell_denial(
    denial: &Denial,
    id: RequestId,
    options: &Options,
    told: &mut impl Told,
) -> (StatusCode, Bytes) {
    if let Some(target) = &denial.sign_in {
        return sign_in(target, id, told);
    }
    let status = denial.kind.status();
    let (title, detail) = words(denial.kind, denial.code);
    let body = tell_problem((status, denial.code, title, detail), id, told);
    for challenge in denial.challenges.iter() {
        told.tell(&WWW_AUTHENTICATE, &with_error(challenge, denial.code));
    }
    if denial.kind == DenialKind::Forbidden
        && denial.challenges.is_empty()
        && let Some(challenge) = insufficient_scope(denial, options)
    {
        told.tell(&WWW_AUTHENTICATE, challenge.value().as_bytes());
    }
    // RFC 9110 15.6.4: an outage ends, so whoever was right to ask may ask again
    let outage = (denial.kind == DenialKind::Unavailable && denial.code != "plan_unknown").then_some(OUTAGE);
    if let Some(wait) = denial.retry_after.or(outage) {
        told.tell(&RETRY_AFTER, seconds(wait).max(1).to_string().as_bytes());
    }
    for (name, value) in denial.limit.iter().flat_map(rate_limit) {
        told.tell(name, value.as_bytes());
    }
    if denial.kind == DenialKind::MethodNotAllowed {
        // RFC 9110 15.5.6: a 405 always carries Allow
        told.tell(&ALLOW, allow(&denial.allow).as_bytes());
    }
    (status, body)
}

fn response<B: From<Bytes>>(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<B> {
    let mut response = Response::new(B::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// RFC 9110 15.4.4: the browser asks for the login page instead. No challenge, at which it would open a window of its own.
fn sign_in(target: &PathAndQuery, id: RequestId, told: &mut impl Told) -> (StatusCode, Bytes) {
    told.tell(&LOCATION, login(target).as_bytes());
    mark(told, "text/plain; charset=utf-8", &id.to_string());
    (StatusCode::SEE_OTHER, Bytes::from_static(b"sign in\n"))
}

/// What every answer of ours has: its media type, that nobody keeps it, and whose it is.
fn mark(told: &mut impl Told, media: &'static str, id: &str) {
    told.tell(&CONTENT_TYPE, media.as_bytes());
    told.tell(&CACHE_CONTROL, b"no-store");
    told.tell(&REQUEST_ID, id.as_bytes());
}

/// RFC 3986 2.1: everything but unreserved characters is escaped, so that the target is one value and nothing more.
fn login(target: &PathAndQuery) -> String {
    let mut back = String::new();
    for byte in target.as_str().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                back.push(char::from(byte))
            }
            byte => {
                back.push('%');
                let digits = [byte >> 4, byte & 15].map(|nibble| char::from_digit(u32::from(nibble), 16));
                back.extend(digits.into_iter().flatten().map(|digit| digit.to_ascii_uppercase()));
            }
        }
        if back.len() > MOST_RETURN {
            return LOGIN.into();
        }
    }
    [LOGIN, "?return_to=", &back].concat()
}

/// Long enough for most, and no herd waits for the same second: each counts from its own answer.
const OUTAGE: Duration = Duration::from_secs(1);

/// A head that was not admitted.
pub fn head_error<B: From<Bytes>>(error: HeadError, version: Version, id: RequestId) -> Response<B> {
    let mut response = problem(error.status(), error.code(), "malformed request", error.detail(), id);
    if error.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(""));
    }
    if error.ends_connection() && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// One RFC 9457 document, flat, never cached.
pub fn problem<B: From<Bytes>>(
    status: StatusCode,
    code: &str,
    title: &str,
    detail: &str,
    id: RequestId,
) -> Response<B> {
    let mut headers = HeaderMap::new();
    let body = tell_problem((status, code, title, detail), id, &mut headers);
    response(status, headers, body)
}

fn tell_problem(
    (status, code, title, detail): (StatusCode, &str, &str, &str),
    id: RequestId,
    told: &mut impl Told,
) -> Bytes {
    let id = id.to_string();
    let mut body = Vec::with_capacity(512);
    // RFC 9457 3.1, in the order in which it is read
    body.extend_from_slice(b"{\"type\":");
    json_string(&mut body, &[PROBLEMS, code].concat());
    body.extend_from_slice(b",\"title\":");
    json_string(&mut body, title);
    body.extend_from_slice(b",\"status\":");
    body.extend_from_slice(status.as_str().as_bytes());
    for (name, text) in [(&b",\"detail\":"[..], detail), (b",\"instance\":", &id), (b",\"code\":", code)] {
        body.extend_from_slice(name);
        json_string(&mut body, text);
    }
    body.push(b'}');
    // for whoever reads it in a terminal: the prompt begins on a line of its own
    body.push(b'\n');
    mark(told, "application/problem+json", &id);
    Bytes::from(body)
}

/// A JSON string. Refusals are what a flood costs, and their words need no escape.
pub fn json_string(out: &mut Vec<u8>, text: &str) {
    // all of it is looked at, because that takes many bytes at once
    if text.bytes().fold(false, |found, b| found | (b < 0x20) | (b == b'"') | (b == b'\\')) {
        out.extend_from_slice(&serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec()));
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// `RateLimit-Policy` and `RateLimit` of the tightest limit that was charged (draft-ietf-httpapi-ratelimit-headers).
pub fn rate_limit(state: &LimitState) -> impl Iterator<Item = (&'static HeaderName, HeaderValue)> {
    let RateLimit { quota, window } = state.limit;
    let policy = format!("\"default\";q={quota};w={}", seconds(window));
    let now = format!("\"default\";r={};t={}", state.remaining, seconds(state.reset_after));
    let fields = [(&RATE_LIMIT_POLICY, policy), (&RATE_LIMIT, now)];
    // digits and quotes
    fields.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?)))
}

/// RFC 6750 3.1: a request without a credential gets the bare challenge, one with a bad credential is told so.
fn with_error<'c>(challenge: &'c Challenge, code: &str) -> Cow<'c, [u8]> {
    let bytes = challenge.value().as_bytes();
    if code == "credential_missing" {
        return bytes.into();
    }
    let scheme = bytes.split(|b| *b == b' ').next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer") && !scheme.eq_ignore_ascii_case(b"dpop") {
        return bytes.into();
    }
    let separator: &[u8] = if scheme.len() == bytes.len() { b" " } else { b", " };
    [bytes, separator, b"error=\"invalid_token\""].concat().into()
}

fn insufficient_scope(denial: &Denial, options: &Options) -> Option<Challenge> {
    let needs = denial.needs.as_ref()?;
    let bearer = denial.known.iter().any(|k| k.authentication.method.reads_bearer());
    if !bearer {
        return None;
    }
    let needs = needs.to_string();
    Challenge::new("Bearer", &[("realm", &options.realm), ("error", "insufficient_scope"), ("scope", &needs)])
}

fn allow(methods: &[http::Method]) -> String {
    let names: Vec<&str> = methods.iter().map(http::Method::as_str).collect();
    names.join(", ")
}

/// Rounded up: who waits that long has waited long enough.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Title and detail of a code, for people. What is not listed says no more than its status.
fn words(kind: DenialKind, code: &str) -> (&'static str, &'static str) {
    match code {
        "request_malformed" => ("malformed request", "the request breaks the grammar of HTTP"),
        "credential_malformed" => (
            "malformed credential",
            "the field that carries the credential breaks its grammar; look at its scheme, spaces and quotes",
        ),
        "credential_doubled" => ("two credentials", "send one credential of a kind"),
        "credential_missing" => {
            ("credential required", "this API needs a credential; `WWW-Authenticate` says of which kind")
        }
        "credential_invalid" => ("credential refused", "the credential is not valid here"),
        "key_expired" => ("key expired", "the key was valid and has expired"),
        "key_revoked" => ("key revoked", "the key was valid and has been revoked"),
        "app_password_expired" => ("app password expired", "the app password was valid and has expired"),
        "app_password_revoked" => ("app password revoked", "the app password was valid and has been revoked"),
        "token_expired" => {
            ("token expired", "the token was valid and has expired; refresh it, or sign in again")
        }
        "token_revoked" => {
            ("token revoked", "the token, or the session it is of, was ended; refresh it, or sign in again")
        }
        "scope_missing" => {
            ("scope missing", "the credential does not carry a scope that this operation needs")
        }
        "tls_required" => ("TLS required", "credentials are not read from plain HTTP"),
        "network_not_allowed" => ("network not allowed", "the credential may not be used from this network"),
        "origin_not_allowed" => (
            "origin not allowed",
            "a page of another origin, or one that the browser does not name, may not act with a password or session that it \
             remembers; a program leaves the cookie out",
        ),
        "certificate_required" => ("certificate required", "this API needs a client certificate"),
        "route_unknown" => ("not found", "nothing is served under this host and path"),
        "method_not_allowed" => ("method not allowed", "this path does not take that method"),
        "misdirected" => ("misdirected request", "this connection does not serve that host"),
        "limit_exceeded" => ("too many requests", "the rate limit is used up"),
        "too_many_failures" => ("too many failures", "too many credentials from this network were refused"),
        "store_unavailable" | "feed_blind" | "plan_unknown" => {
            ("unavailable", "the request cannot be judged right now; try again")
        }
        _ => match kind {
            DenialKind::Malformed => ("malformed request", "the request was refused as malformed"),
            DenialKind::Unauthenticated => ("credential refused", "the credential is not valid here"),
            DenialKind::Unavailable => ("unavailable", "the request cannot be judged right now; try again"),
            DenialKind::Forbidden => ("forbidden", "the credential does not allow this"),
            DenialKind::NoRoute => ("not found", "nothing is served under this host and path"),
            DenialKind::MethodNotAllowed => ("method not allowed", "this path does not take that method"),
            DenialKind::Misdirected => ("misdirected request", "this connection does not serve that host"),
            DenialKind::TooMany => ("too many requests", "the rate limit is used up"),
        },
    }
}
