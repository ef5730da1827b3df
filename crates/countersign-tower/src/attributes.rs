//! From a request head to the facts that are judged. What needs the whole field map is refused here, before any
//! other code reads a field; what is about one value (path, authority, credential) belongs to the check.

use countersign_core::check::request::{CheckRequest, HeaderView, Peer};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
    uri::{self, PathAndQuery},
};

/// Field lines in one head.
pub const MAX_FIELDS: usize = 64;
/// Bytes in one head: target, and name, value and four separators of each field line.
pub const MAX_HEAD: usize = 16 * 1024;
/// Bytes in a target (RFC 9110 4.1 asks for at least 8000).
pub const MAX_TARGET: usize = 8 * 1024;

/// RFC 9110 9.3, RFC 5789.
const STANDARD: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// A head that may be looked at: one authority, one origin-form target, one framing. Holds no borrow, so that fields
/// may be dropped between admission and check.
#[derive(Debug, Clone)]
pub struct Head {
    authority: Authority,
    target: PathAndQuery,
}

#[derive(Debug, Clone)]
enum Authority {
    Host(HeaderValue),
    Named(uri::Authority),
}

impl Head {
    /// The one Host field or `:authority`, as received.
    pub fn authority(&self) -> &str {
        match &self.authority {
            // admitted as visible ASCII
            Authority::Host(value) => value.to_str().unwrap_or_default(),
            Authority::Named(named) => named.as_str(),
        }
    }

    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    pub fn check_request<'r>(
        &'r self,
        method: &'r Method,
        headers: &'r dyn HeaderView,
        peer: Peer,
    ) -> CheckRequest<'r> {
        CheckRequest { method, authority: self.authority(), target: &self.target, headers, peer }
    }
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadError {
    TooManyFields,
    HeadTooLarge,
    TargetTooLong,
    /// CONNECT.
    Tunnel,
    /// TRACE.
    Trace,
    /// A standard method in other letters: a stranger here, and the method itself to frameworks that ignore case.
    MethodCase,
    /// Asterisk-form, authority-form, or a path that does not begin with `/`.
    TargetForm,
    NoHost,
    DoubledHost,
    /// Host is not text.
    BadHost,
    /// Host differs from `:authority` or from the authority of an absolute-form target.
    HostMismatch,
    /// `_` in a field name: many servers read it as `-`.
    FieldName,
    /// A transfer coding other than exactly `chunked`.
    TransferCoding,
    /// Content-Length beside Transfer-Encoding, or a Content-Length that is doubled or not a number.
    Framing,
    /// `Upgrade: h2c`: what follows would not be judged.
    CleartextUpgrade,
}

impl HeadError {
    pub fn status(self) -> StatusCode {
        match self {
            HeadError::TooManyFields | HeadError::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HeadError::TargetTooLong => StatusCode::URI_TOO_LONG,
            HeadError::Trace => StatusCode::METHOD_NOT_ALLOWED,
            // RFC 9112 6.1: a transfer coding that is not understood SHOULD be answered with 501
            HeadError::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            HeadError::TooManyFields | HeadError::HeadTooLarge => "head_too_large",
            HeadError::TargetTooLong => "target_too_long",
            HeadError::Trace => "method_not_allowed",
            HeadError::TransferCoding => "transfer_coding_unsupported",
            _ => "request_malformed",
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            HeadError::TooManyFields => "the request has too many header fields",
            HeadError::HeadTooLarge => "the request head is too large",
            HeadError::TargetTooLong => "the request target is longer than 8 KiB",
            HeadError::Tunnel => "this server opens no tunnels",
            HeadError::Trace => "TRACE is not answered here",
            HeadError::MethodCase => "method names are case-sensitive",
            HeadError::TargetForm => "the request target is not in origin-form",
            HeadError::NoHost => "the request names no host",
            HeadError::DoubledHost => "the request has more than one Host field",
            HeadError::BadHost => "the Host field is not a host name",
            HeadError::HostMismatch => "the Host field and the authority of the target differ",
            HeadError::FieldName => "a header field name contains `_`",
            HeadError::TransferCoding => "the only transfer coding understood is `chunked`",
            HeadError::Framing => "the length of the body is ambiguous",
            HeadError::CleartextUpgrade => "an upgrade to h2c is not offered",
        }
    }

    /// Whoever sends such a head, or passes it on, may read it in another way than we do, and so see the next request
    /// begin elsewhere: the connection ends (M.2 rule 6, RFC 9112 6.3).
    pub fn ends_connection(self) -> bool {
        match self {
            HeadError::TooManyFields
            | HeadError::HeadTooLarge
            | HeadError::TargetTooLong
            | HeadError::Trace
            | HeadError::MethodCase => false,
            HeadError::Tunnel
            | HeadError::TargetForm
            | HeadError::NoHost
            | HeadError::DoubledHost
            | HeadError::BadHost
            | HeadError::HostMismatch
            | HeadError::FieldName
            | HeadError::TransferCoding
            | HeadError::Framing
            | HeadError::CleartextUpgrade => true,
        }
    }
}

/// What a head may measure; nobody grants more than [`MAX_FIELDS`] and [`MAX_HEAD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    pub fields: usize,
    /// Bytes, as [`MAX_HEAD`] counts them.
    pub head: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { fields: MAX_FIELDS, head: MAX_HEAD }
    }
}

/// The first check of all: in the order of cost, so that a large head is refused before it is read.
pub fn admit_head(parts: &Parts) -> Result<Head, HeadError> {
    admit_head_within(parts, HeadLimits::default())
}

/// Where a door takes less than the most.
pub fn admit_head_within(parts: &Parts, limits: HeadLimits) -> Result<Head, HeadError> {
    admit_size(parts, limits)?;
    let target = admit_target(parts)?;
    admit_fields(&parts.headers)?;
    let authority = admit_authority(parts)?;
    Ok(Head { authority, target: target.clone() })
}

fn admit_size(parts: &Parts, limits: HeadLimits) -> Result<(), HeadError> {
    if parts.headers.len() > limits.fields.min(MAX_FIELDS) {
        return Err(HeadError::TooManyFields);
    }
    let target = parts.uri.path_and_query().map_or(0, |t| t.as_str().len());
    if target > MAX_TARGET {
        return Err(HeadError::TargetTooLong);
    }
    let fields: usize = parts.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    if target + fields > limits.head.min(MAX_HEAD) {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(())
}

fn admit_target(parts: &Parts) -> Result<&PathAndQuery, HeadError> {
    // RULES 2.2: CONNECT and TRACE are refused
    match parts.method {
        Method::CONNECT => return Err(HeadError::Tunnel),
        Method::TRACE => return Err(HeadError::Trace),
        _ => {}
    }
    // RFC 9110 9.1: case-sensitive. WSGI frameworks upper-case it, so that `get` would be judged as one method and
    // served as another
    let standard = |known: &Method| known.as_str().eq_ignore_ascii_case(parts.method.as_str());
    if !STANDARD.contains(&parts.method) && STANDARD.iter().any(standard) {
        return Err(HeadError::MethodCase);
    }
    // authority-form: what a parser makes of a target without scheme and without a leading slash
    if parts.uri.authority().is_some() != parts.uri.scheme().is_some() {
        return Err(HeadError::TargetForm);
    }
    if parts.uri.scheme().is_some_and(|s| !matches!(s.as_str(), "http" | "https")) {
        return Err(HeadError::TargetForm);
    }
    let target = parts.uri.path_and_query().ok_or(HeadError::TargetForm)?;
    if !target.as_str().starts_with('/') {
        return Err(HeadError::TargetForm);
    }
    Ok(target)
}

fn admit_fields(headers: &HeaderMap) -> Result<(), HeadError> {
    if headers.keys().any(|name| name.as_str().contains('_')) {
        return Err(HeadError::FieldName);
    }
    let coded = headers.contains_key(TRANSFER_ENCODING);
    if coded {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        let (Some(only), None) = (codings.next(), codings.next()) else {
            return Err(HeadError::TransferCoding);
        };
        // RFC 9112 6.1: coding names are case-insensitive
        if !only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(HeadError::TransferCoding);
        }
    }
    if let Some(length) = one(headers, &CONTENT_LENGTH).map_err(|_| HeadError::Framing)? {
        // RFC 9110 8.6: 1*DIGIT and nothing else; a sign or a list is what smuggling is made of
        let number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
        if coded || !number {
            return Err(HeadError::Framing);
        }
    }
    for value in headers.get_all(UPGRADE) {
        let mut protocols = value.as_bytes().split(|b| *b == b',');
        if protocols.any(|p| p.trim_ascii().eq_ignore_ascii_case(b"h2c")) {
            return Err(HeadError::CleartextUpgrade);
        }
    }
    Ok(())
}

fn admit_authority(parts: &Parts) -> Result<Authority, HeadError> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, None) = (hosts.next(), hosts.next()) else {
        return Err(HeadError::DoubledHost);
    };
    let Some(host) = host else {
        // RFC 9113 8.3.1: `:authority` stands for Host; in HTTP/1.1 only Host does (RFC 9112 3.2)
        return match parts.uri.authority() {
            Some(named) if parts.version >= Version::HTTP_2 => Ok(Authority::Named(named.clone())),
            _ => Err(HeadError::NoHost),
        };
    };
    let text = host.to_str().map_err(|_| HeadError::BadHost)?;
    if text.is_empty() {
        return Err(HeadError::NoHost);
    }
    if parts.uri.authority().is_some_and(|named| !text.eq_ignore_ascii_case(named.as_str())) {
        return Err(HeadError::HostMismatch);
    }
    Ok(Authority::Host(host.clone()))
}

struct Doubled;

fn one<'r>(headers: &'r HeaderMap, name: &HeaderName) -> Result<Option<&'r [u8]>, Doubled> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.as_bytes())),
        (Some(_), Some(_)) => Err(Doubled),
    }
}
