//! From a request head to the facts that are judged. What needs the whole field map is refused here, before any
//! other code reads a field; what is about one value (path, authority, credential) belongs to the check.

use countersign_core::check::request::{CheckRequest, FieldLines, HeaderView, One, Peer};
use http::{
    Method, StatusCode, Uri, Version,
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
    Host(Box<str>),
    Named(uri::Authority),
}

impl Head {
    /// The one Host field or `:authority`, as received.
    pub fn authority(&self) -> &str {
        match &self.authority {
            Authority::Host(host) => host,
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

/// What stands before the fields of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'r> {
    pub method: &'r Method,
    pub uri: &'r Uri,
    pub version: Version,
}

/// The first check of all.
pub fn admit_head(parts: &Parts) -> Result<Head, HeadError> {
    let line = RequestLine { method: &parts.method, uri: &parts.uri, version: parts.version };
    admit_head_within(line, &parts.headers, HeadLimits::default())
}

/// Where a door takes less than the most.
pub fn admit_head_within(
    line: RequestLine<'_>,
    fields: &impl FieldLines,
    limits: HeadLimits,
) -> Result<Head, HeadError> {
    let seen = Seen::among(fields);
    admit_size(line, &seen, limits)?;
    let target = admit_target(line)?;
    admit_fields(&seen)?;
    let authority = admit_authority(line, &seen)?;
    Ok(Head { authority, target: target.clone() })
}

/// What matters of the fields, found in one look along them.
struct Seen<'r> {
    count: usize,
    size: usize,
    /// A name with `_`.
    underscored: bool,
    coding: One<'r>,
    length: One<'r>,
    host: One<'r>,
    /// An upgrade to h2c.
    cleartext: bool,
}

impl<'r> Seen<'r> {
    fn among(fields: &'r impl FieldLines) -> Self {
        let mut seen = Self {
            count: 0,
            size: 0,
            underscored: false,
            coding: One::Absent,
            length: One::Absent,
            host: One::Absent,
            cleartext: false,
        };
        for (name, value) in fields.lines() {
            seen.count += 1;
            seen.size += name.len() + value.len() + 4;
            seen.underscored |= name.contains(&b'_');
            match name {
                b"host" => add(&mut seen.host, value),
                b"content-length" => add(&mut seen.length, value),
                b"transfer-encoding" => add(&mut seen.coding, value),
                b"upgrade" => {
                    let mut protocols = value.split(|b| *b == b',');
                    seen.cleartext |= protocols.any(|p| p.trim_ascii().eq_ignore_ascii_case(b"h2c"));
                }
                _ => {}
            }
        }
        seen
    }
}

fn add<'r>(one: &mut One<'r>, value: &'r [u8]) {
    *one = if *one == One::Absent { One::Single(value) } else { One::Doubled };
}

fn admit_size(line: RequestLine<'_>, seen: &Seen<'_>, limits: HeadLimits) -> Result<(), HeadError> {
    if seen.count > limits.fields.min(MAX_FIELDS) {
        return Err(HeadError::TooManyFields);
    }
    let target = line.uri.path_and_query().map_or(0, |t| t.as_str().len());
    if target > MAX_TARGET {
        return Err(HeadError::TargetTooLong);
    }
    if target + seen.size > limits.head.min(MAX_HEAD) {
        return Err(HeadError::HeadTooLarge);
    }
    Ok(())
}

fn admit_target(line: RequestLine<'_>) -> Result<&PathAndQuery, HeadError> {
    // RULES 2.2: CONNECT and TRACE are refused
    match *line.method {
        Method::CONNECT => return Err(HeadError::Tunnel),
        Method::TRACE => return Err(HeadError::Trace),
        _ => {}
    }
    // RFC 9110 9.1: case-sensitive. WSGI frameworks upper-case it, so that `get` would be judged as one method and
    // served as another
    let standard = |known: &Method| known.as_str().eq_ignore_ascii_case(line.method.as_str());
    if !STANDARD.contains(line.method) && STANDARD.iter().any(standard) {
        return Err(HeadError::MethodCase);
    }
    // authority-form: what a parser makes of a target without scheme and without a leading slash
    if line.uri.authority().is_some() != line.uri.scheme().is_some() {
        return Err(HeadError::TargetForm);
    }
    if line.uri.scheme().is_some_and(|s| !matches!(s.as_str(), "http" | "https")) {
        return Err(HeadError::TargetForm);
    }
    let target = line.uri.path_and_query().ok_or(HeadError::TargetForm)?;
    if !target.as_str().starts_with('/') {
        return Err(HeadError::TargetForm);
    }
    Ok(target)
}

fn admit_fields(seen: &Seen<'_>) -> Result<(), HeadError> {
    if seen.underscored {
        return Err(HeadError::FieldName);
    }
    match seen.coding {
        One::Absent => {}
        // RFC 9112 6.1: coding names are case-insensitive
        One::Single(only) if only.trim_ascii().eq_ignore_ascii_case(b"chunked") => {}
        One::Single(_) | One::Doubled => return Err(HeadError::TransferCoding),
    }
    match seen.length {
        One::Absent => {}
        One::Doubled => return Err(HeadError::Framing),
        One::Single(length) => {
            // RFC 9110 8.6: 1*DIGIT and nothing else; a sign or a list is what smuggling is made of
            let number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            if seen.coding != One::Absent || !number {
                return Err(HeadError::Framing);
            }
        }
    }
    if seen.cleartext {
        return Err(HeadError::CleartextUpgrade);
    }
    Ok(())
}

fn admit_authority(line: RequestLine<'_>, seen: &Seen<'_>) -> Result<Authority, HeadError> {
    let named = line.uri.authority();
    let host = match seen.host {
        One::Doubled => return Err(HeadError::DoubledHost),
        One::Single(host) => host,
        // RFC 9113 8.3.1: `:authority` stands for Host; in HTTP/1.1 only Host does (RFC 9112 3.2)
        One::Absent => {
            return match named {
                Some(named) if line.version >= Version::HTTP_2 => Ok(Authority::Named(named.clone())),
                _ => Err(HeadError::NoHost),
            };
        }
    };
    let visible = host.iter().all(|b| matches!(b, b' '..=b'~' | b'\t'));
    let text = std::str::from_utf8(host).ok().filter(|_| visible).ok_or(HeadError::BadHost)?;
    if text.is_empty() {
        return Err(HeadError::NoHost);
    }
    if named.is_some_and(|named| !text.eq_ignore_ascii_case(named.as_str())) {
        return Err(HeadError::HostMismatch);
    }
    Ok(Authority::Host(text.into()))
}
