//! Header fields across the gateway. The order is the defence: what belongs to one hop goes first, then what the
//! caller may not say, and only then what we say is written (CVE-2025-48865: a `Connection` that names the identity
//! header must find nothing to remove).

use super::identity::{self, Unrepresentable};
use crate::{
    config::GatewayConfig,
    enforce::trusted::{as_read, is_plain, is_reserved},
    http1::fields::{Fields, text as visible},
};
use countersign_core::{
    MethodName, Place, RequestId,
    check::{
        cookie,
        decision::Permit,
        route::{CachePolicy, HostPattern, Route},
    },
};
use countersign_tower::respond;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY, VIA,
    },
};
use std::net::IpAddr;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// RFC 9110 7.6.1, and what older software put there.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What no `Connection` may nominate: fields for all recipients (RFC 9110 7.6.1), on which somebody's security hangs.
const END_TO_END: [&str; 20] = [
    "host",
    "authorization",
    "cookie",
    "set-cookie",
    "origin",
    "referer",
    "content-type",
    "content-length",
    "content-encoding",
    "content-range",
    "cache-control",
    "vary",
    "expires",
    "pragma",
    "via",
    "date",
    "strict-transport-security",
    "content-security-policy",
    "x-frame-options",
    "x-content-type-options",
];

/// Which credentials leave the request, on every route (RULES 3.2).
#[derive(Debug)]
pub(crate) struct Stripping {
    headers: Vec<HeaderName>,
    parameters: Vec<Box<str>>,
}

impl Stripping {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let mut headers = vec![AUTHORIZATION, X_API_KEY.clone()];
        headers.extend(config.key_headers.iter().cloned());
        Self { headers, parameters: config.query_parameters.clone() }
    }

    pub(crate) fn parameters(&self) -> &[Box<str>] {
        &self.parameters
    }
}

/// What the upstream is told about how the request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came<'r> {
    pub(crate) id: &'r HeaderValue,
    /// Of the caller, as it is written.
    pub(crate) address: &'r HeaderValue,
    pub(crate) is_https: bool,
    pub(crate) upstream: &'r HeaderValue,
    /// Who calls, signed.
    pub(crate) identity: Option<&'r HeaderValue>,
}

pub(crate) fn request(
    fields: &mut Fields,
    permit: &Permit,
    stripping: &Stripping,
    config: &GatewayConfig,
    came: Came<'_>,
) -> Result<(), Unrepresentable> {
    let seen = Seen::among(fields);
    if seen.of_hop {
        hop_by_hop(fields);
    }
    if seen.odd {
        aliases(fields, stripping);
    }
    if seen.framing {
        // answered here when the body is first read
        fields.remove(&EXPECT);
        // the message is framed anew
        fields.remove(&CONTENT_LENGTH);
    }
    let route = permit.route();
    if !route.forward_credential {
        for name in stripping.headers.iter().chain(route_headers(route)) {
            fields.remove(name);
        }
    }
    if seen.cookies {
        without_cookies(if route.forward_credential { &cookie::NEVER_SHOWN } else { &cookie::OURS }, fields);
        join_cookies(fields);
    }

    host(fields, permit, came.upstream)?;
    fields.insert(&X_FORWARDED_FOR, came.address);
    fields.insert(&X_FORWARDED_PROTO, if came.is_https { &HTTPS } else { &HTTP });
    let authority = permit.authority().as_bytes();
    fields.try_insert(&X_FORWARDED_HOST, authority).map_err(|_| Unrepresentable("x-forwarded-host"))?;
    if !route.strip_prefix.is_empty() {
        // how frameworks learn where the links that they write begin
        let prefix = route.strip_prefix.as_bytes();
        fields.try_insert(&X_FORWARDED_PREFIX, prefix).map_err(|_| Unrepresentable("x-forwarded-prefix"))?;
    }
    // RFC 9110 7.6.3: a gateway sends Via in each inbound request
    fields.append(&VIA, &OURS);
    fields.insert(&respond::REQUEST_ID, came.id);
    if let Some(token) = came.identity {
        fields.insert(&identity::COUNTERSIGN_IDENTITY, token);
    }
    identity::inject(config.identity, permit, fields)
}

/// For what answers in this process: what is about one hop goes, and the credentials stay.
pub(super) fn to_built_in(
    fields: &mut Fields,
    permit: &Permit,
    stripping: &Stripping,
) -> Result<(), Unrepresentable> {
    hop_by_hop(fields);
    aliases(fields, stripping);
    for name in &[EXPECT, CONTENT_LENGTH] {
        fields.remove(name);
    }
    join_cookies(fields);
    let authority = permit.authority().as_bytes();
    fields.try_insert(&HOST, authority).map_err(|_| Unrepresentable("host"))
}

static HTTP: HeaderValue = HeaderValue::from_static("http");
static HTTPS: HeaderValue = HeaderValue::from_static("https");
static OURS: HeaderValue = HeaderValue::from_static("1.1 countersign");

/// An answer on its way back.
pub(crate) fn response(fields: &mut Fields, permit: &Permit, id: &HeaderValue) {
    let seen = Seen::among(fields);
    if seen.of_hop {
        hop_by_hop(fields);
        fields.remove(&PROXY_AUTHENTICATE);
    }
    if seen.ours {
        fields.retain(|name| !is_ours(name));
    }
    if seen.sets_cookies {
        set_none_of_ours(fields);
    }
    limits(fields, permit);
    for known in permit.subject().into_iter().chain(permit.actors()) {
        for (name, value) in &permit.route().rule(known.authentication.method).farewell {
            fields.insert(name, value);
        }
    }
    if permit.subject().is_some() && permit.route().cache == CachePolicy::Private {
        keep_private(fields, permit, seen);
    }
    fields.insert(&respond::REQUEST_ID, id);
}

/// An answer of this process: whole as it is, and kept by nobody unless it says so itself.
pub(super) fn from_built_in(fields: &mut Fields, permit: &Permit, id: &HeaderValue) {
    hop_by_hop(fields);
    fields.remove(&CONTENT_LENGTH);
    limits(fields, permit);
    if !fields.contains(&CACHE_CONTROL) {
        fields.append(&CACHE_CONTROL, &NO_STORE);
    }
    fields.insert(&respond::REQUEST_ID, id);
}

fn limits(fields: &mut Fields, permit: &Permit) {
    for (name, value) in permit.limit().into_iter().flat_map(respond::rate_limit) {
        fields.insert(name, &value);
    }
}

/// An interim answer: what is about its own hop, frames a body or is ours to say stays here.
pub(crate) fn interim(fields: &mut Fields) {
    hop_by_hop(fields);
    fields.retain(|name| !is_ours(name) && !is_reserved(name));
    set_none_of_ours(fields);
    for name in &[CONTENT_LENGTH, PROXY_AUTHENTICATE] {
        fields.remove(name);
    }
}

/// Written once, for the upstream and for the caller.
pub(crate) fn request_id(id: RequestId) -> Result<HeaderValue, Unrepresentable> {
    HeaderValue::try_from(id.to_string()).map_err(|_| Unrepresentable("countersign-request-id"))
}

/// What may not come after the body either.
pub(crate) fn response_trailers(trailers: &mut HeaderMap) {
    let refused: Vec<HeaderName> = trailers
        .keys()
        .filter(|n| {
            let name = n.as_str();
            is_ours(name.as_bytes())
                || is_reserved(name)
                || HOP_BY_HOP.contains(n)
                || END_TO_END.contains(&name)
        })
        .cloned()
        .collect();
    for name in refused {
        trailers.remove(&name);
    }
}

/// Names that an upstream may not use towards the caller (RULES 3.4), and `Alt-Svc`, which would send callers around
/// the gateway.
fn is_ours(name: &[u8]) -> bool {
    name.starts_with(b"countersign-") || name.starts_with(b"ratelimit") || name == b"alt-svc"
}

/// RFC 9213 and its forerunner: they override Cache-Control in the caches they are meant for.
fn is_targeted(name: &[u8]) -> bool {
    name.ends_with(b"cdn-cache-control") || name == b"surrogate-control"
}

/// What has to be looked for among these fields. One look at each name that is there costs less than one look for each
/// name that may be.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Fields of one hop.
    of_hop: bool,
    /// `Expect` or `Content-Length`.
    framing: bool,
    cookies: bool,
    /// `Set-Cookie`.
    sets_cookies: bool,
    /// A name that can be read in more than one way.
    odd: bool,
    /// [`is_ours`].
    ours: bool,
    /// [`is_targeted`].
    targeted: bool,
}

impl Seen {
    fn among(fields: &Fields) -> Self {
        let mut seen = Self::default();
        for name in fields.names() {
            match name {
                b"connection"
                | b"keep-alive"
                | b"proxy-connection"
                | b"http2-settings"
                | b"proxy-authorization"
                | b"proxy-authenticate"
                | b"te"
                | b"trailer"
                | b"transfer-encoding"
                | b"upgrade" => seen.of_hop = true,
                b"expect" | b"content-length" => seen.framing = true,
                b"cookie" => seen.cookies = true,
                b"set-cookie" => seen.sets_cookies = true,
                name => {
                    seen.odd |= !is_plain(name);
                    seen.ours |= is_ours(name);
                    seen.targeted |= is_targeted(name);
                }
            }
        }
        seen
    }
}

fn hop_by_hop(fields: &mut Fields) {
    if fields.contains(&CONNECTION) {
        let nominated: Vec<HeaderName> = fields
            .all(&CONNECTION)
            .flat_map(|v| v.split(|b| *b == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !END_TO_END.contains(&name.as_str()) && !is_reserved(name))
            .collect();
        for name in nominated {
            fields.remove(&name);
        }
    }
    for name in &HOP_BY_HOP {
        fields.remove(name);
    }
}

/// M.2 rule 2: `x.api.key` and `content!length` are nothing to us, and the fields themselves to a server that reads
/// names as CGI does. What we consume or write goes up in its own spelling or not at all.
fn aliases(fields: &mut Fields, stripping: &Stripping) {
    let ours = [HOST, CONTENT_LENGTH, EXPECT, COOKIE, VIA];
    let is_alias = |name: &[u8]| {
        if is_plain(name) {
            return false;
        }
        let read = as_read(name);
        let known = |known: &HeaderName| *known.as_str().as_bytes() == *read;
        let all = HOP_BY_HOP.iter().chain(&ours).chain(&stripping.headers);
        all.into_iter().any(|ours| known(ours) && ours.as_str().as_bytes() != name)
    };
    fields.retain(|name| !is_alias(name));
}

fn route_headers(route: &Route) -> impl Iterator<Item = &HeaderName> {
    route.presentation.iter().filter_map(|(_, rule)| rule.header.as_ref())
}

/// RULES 3.2: our cookies stay here; what is between them goes on as it is.
fn without_cookies(names: &[&str], fields: &mut Fields) {
    let pairs = |line| <[u8]>::split(line, |byte: &u8| *byte == b';');
    if !fields.all(&COOKIE).flat_map(pairs).any(|pair| cookie::is_one_of(names, pair)) {
        return;
    }
    let mut kept: Vec<HeaderValue> = Vec::new();
    for line in fields.all(&COOKIE) {
        let pairs: Vec<&[u8]> = pairs(line).filter(|pair| !cookie::is_one_of(names, pair)).collect();
        let line = pairs.join(&b';');
        // of what came as such; a line of which nothing is left is none
        kept.extend(HeaderValue::from_bytes(line.trim_ascii()).ok().filter(|line| !line.is_empty()));
    }
    fields.remove(&COOKIE);
    for line in &kept {
        fields.append(&COOKIE, line);
    }
}

/// RULES 3.4: a session is given and taken by us alone.
fn set_none_of_ours(fields: &mut Fields) {
    fields.remove_where(&SET_COOKIE, cookie::sets_ours);
}

/// RFC 9113 8.2.3: HTTP/2 may split the cookie field; HTTP/1.1 has one.
fn join_cookies(fields: &mut Fields) {
    if fields.all(&COOKIE).nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = fields.all(&COOKIE).collect();
    let whole = crumbs.join(&b"; "[..]);
    // of values that came as such
    let _ = fields.try_insert(&COOKIE, &whole);
}

/// Does the Host field carry the authority of the address that the request goes to?
pub(crate) fn is_named_by_upstream(route: &Route) -> bool {
    !route.preserve_host && !matches!(route.host, HostPattern::Exact(_))
}

/// M.2 rule 9: the name comes from the route or the configuration, unless the route wants the caller's.
fn host(fields: &mut Fields, permit: &Permit, upstream: &HeaderValue) -> Result<(), Unrepresentable> {
    let route = permit.route();
    let host = match &route.host {
        _ if route.preserve_host => permit.authority(),
        HostPattern::Exact(host) => host,
        HostPattern::Any | HostPattern::Below(_) => {
            fields.insert(&HOST, upstream);
            return Ok(());
        }
    };
    fields.try_insert(&HOST, host.as_bytes()).map_err(|_| Unrepresentable("host"))
}

/// Never more than letters, digits, dots and colons.
pub(crate) fn address(address: IpAddr) -> HeaderValue {
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// RULES 3.4: no shared cache may answer another caller with this one's answer.
fn keep_private(fields: &mut Fields, permit: &Permit, seen: Seen) {
    if fields.contains(&CACHE_CONTROL) {
        let mut kept: Vec<&str> = Vec::new();
        for value in fields.all(&CACHE_CONTROL) {
            let Some(value) = visible(value) else { continue };
            for directive in split_directives(value) {
                let name = directive.split('=').next().unwrap_or_default().trim();
                // RFC 9111 5.2.2: what invites shared caches; and the qualified `private`, which covers some fields only
                let shared = ["public", "s-maxage", "proxy-revalidate", "private", "must-understand"];
                if !shared.iter().any(|s| name.eq_ignore_ascii_case(s)) {
                    kept.push(directive);
                }
            }
        }
        kept.push("private");
        let kept = kept.join(", ");
        // of values that came as such
        let _ = fields.try_insert(&CACHE_CONTROL, kept.as_bytes());
    } else {
        fields.append(&CACHE_CONTROL, &PRIVATE);
    }
    if seen.targeted {
        fields.retain(|name| !is_targeted(name));
    }
    for known in permit.subject().into_iter().chain(permit.actors()) {
        match known.authentication.place {
            Place::Authorization | Place::Password => fields.append(&VARY, &HeaderValue::from(AUTHORIZATION)),
            Place::Cookie => fields.append(&VARY, &HeaderValue::from(COOKIE)),
            Place::Header => {
                if known.authentication.method == MethodName::ApiKey {
                    fields.append(&VARY, &VARIES_WITH_KEY);
                }
                if let Some(own) = &permit.route().rule(known.authentication.method).header {
                    fields.append(&VARY, &HeaderValue::from(own.clone()));
                }
            }
            // the target itself differs, or the connection does
            Place::Query | Place::Handshake => {}
        }
    }
}

static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static PRIVATE: HeaderValue = HeaderValue::from_static("private");
static VARIES_WITH_KEY: HeaderValue = HeaderValue::from_static("x-api-key");

/// At commas outside quotes.
fn split_directives(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value
        .split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|d| !d.is_empty())
}
