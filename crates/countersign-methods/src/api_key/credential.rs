//! Pure: what the caller presents. Finds a key in a request and checks its shape and checksum; never looks it up.
//!
//! ```text
//! Authorization: Bearer cs_live_...      where the value begins as ours do (RULES 1.4); any other is not for this room
//! X-API-Key: cs_live_...                 always ours, whatever stands there
//! <the route's header>: cs_live_...      the same
//! ?<the route's parameter>=cs_live_...   only where the route names one
//! Authorization: Basic base64(x:cs_live_...)   only where the route says so; the user name says nothing
//! ```
//! A key in two places is two keys: 400, never a choice.
//!
//! Where keys were brought from elsewhere, a value that does not begin as ours do may be one of those: in `Authorization`
//! where it begins as the configuration says that they do, in a place of its own whatever it begins with if that says so.

use super::{config::ApiKeyConfig, record::Environment};
use crate::user_pass::{self, Buffer, UserPass};
use countersign_core::{
    MethodRule, Place, Rejection,
    authenticator::Fault,
    authorization_header,
    check::request::{CheckRequest, One},
};
use countersign_crypto::token::format::{FormatError, PlainToken, TokenFormat, WordError};
use http::{HeaderName, header::AUTHORIZATION};
use std::fmt;

pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Longer values are not searched for what else is wrong with them.
const MAX_LENGTH: usize = 256;

/// An imported key shorter than this could be guessed.
pub const SHORTEST_IMPORTED: usize = 16;

/// The formats of this deployment: its environment's, and the one that it refuses (RULES 4.3); and what those begin with
/// that came from elsewhere.
#[derive(Debug, Clone)]
pub struct KeyFormats {
    ours: TokenFormat,
    other: TokenFormat,
    /// `cs_`: nothing that begins so came from elsewhere.
    word: Box<str>,
    imported: Box<[Box<str>]>,
}

/// A key whose shape is right, and nothing more is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainKey<'r> {
    Issued(PlainToken<'r>),
    Imported(ForeignValue<'r>),
}

/// Long enough and visible ASCII. Debug shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ForeignValue<'r>(&'r [u8]);

impl<'r> ForeignValue<'r> {
    pub fn expose(self) -> &'r [u8] {
        self.0
    }
}

impl fmt::Debug for ForeignValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForeignValue(..)")
    }
}

/// Why a value cannot be a key from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    #[error("begins as the keys that are made here do")]
    Ours,
    #[error("begins with none of the prefixes that `[api_keys] imported_prefixes` names")]
    Prefix,
    #[error("is shorter than 16 characters: it could be guessed")]
    Short,
    #[error("is longer than 256 characters")]
    Long,
    #[error("holds a character that is not visible ASCII")]
    Alphabet,
}

impl KeyFormats {
    pub fn new(config: &ApiKeyConfig) -> Result<Self, WordError> {
        let other = match config.environment {
            Environment::Live => Environment::Test,
            Environment::Test => Environment::Live,
        };
        Ok(Self {
            ours: TokenFormat::new(&config.word, config.environment.as_str())?,
            other: TokenFormat::new(&config.word, other.as_str())?,
            word: format!("{}_", config.word).into(),
            imported: config.imported_prefixes.iter().map(|p| p.as_str().into()).collect(),
        })
    }

    /// Are keys from elsewhere taken at all?
    pub fn takes_imported(&self) -> bool {
        !self.imported.is_empty()
    }

    /// Could it be a key from elsewhere?
    pub fn foreign<'r>(&self, value: &'r [u8]) -> Result<ForeignValue<'r>, ForeignError> {
        if value.starts_with(self.word.as_bytes()) {
            return Err(ForeignError::Ours);
        }
        if !self.imported.iter().any(|prefix| value.starts_with(prefix.as_bytes())) {
            return Err(ForeignError::Prefix);
        }
        match value.len() {
            0..SHORTEST_IMPORTED => Err(ForeignError::Short),
            SHORTEST_IMPORTED..=MAX_LENGTH if value.iter().all(u8::is_ascii_graphic) => {
                Ok(ForeignValue(value))
            }
            SHORTEST_IMPORTED..=MAX_LENGTH => Err(ForeignError::Alphabet),
            _ => Err(ForeignError::Long),
        }
    }

    pub fn ours(&self) -> &TokenFormat {
        &self.ours
    }

    /// Does a Bearer value belong to this room (RULES 1.4)?
    pub(super) fn claims(&self, value: &[u8]) -> bool {
        self.ours.is_prefix_of(value)
            || self.other.is_prefix_of(value)
            || self.imported.iter().any(|prefix| !prefix.is_empty() && value.starts_with(prefix.as_bytes()))
    }

    /// Shape, environment and checksum; of a key from elsewhere its shape.
    pub fn parse<'r>(&self, value: &'r [u8]) -> Result<PlainKey<'r>, Rejection> {
        match self.ours.parse(value) {
            Ok(token) => Ok(PlainKey::Issued(token)),
            Err(error) => self.parse_foreign(value, error),
        }
    }

    #[cold]
    fn parse_foreign<'r>(&self, value: &'r [u8], error: FormatError) -> Result<PlainKey<'r>, Rejection> {
        match self.foreign(value) {
            Ok(value) => Ok(PlainKey::Imported(value)),
            Err(_) => Err(self.explain(value, error)),
        }
    }

    /// Only after the fast path said no.
    #[cold]
    fn explain(&self, value: &[u8], error: FormatError) -> Rejection {
        if value.len() > MAX_LENGTH {
            return invalid("the key is far too long");
        }
        // RULES 2.1: a field that breaks its grammar is 400; RFC 9110 5.5 leaves visible ASCII, and what came as far as
        // its checksum is that.
        if error != FormatError::Checksum && !value.iter().all(u8::is_ascii_graphic) {
            return malformed("the key holds a byte that is not visible ascii");
        }
        if self.other.is_prefix_of(value) {
            return invalid("the key is of the other environment");
        }
        invalid(match error {
            FormatError::Prefix => "the key has another prefix",
            FormatError::Length => "the key has another length",
            FormatError::Alphabet => "the key is not base62",
            FormatError::Checksum => "the checksum of the key does not fit",
        })
    }
}

/// `Ok(None)`: no key here. Found is not yet believed: the shape is [`KeyFormats::parse`]'s business.
pub(super) fn find<'r>(
    request: &CheckRequest<'r>,
    accepts: &MethodRule,
    formats: &KeyFormats,
) -> Result<Option<(Place, &'r [u8])>, Rejection> {
    let mut found = Once(None);
    if let Some(value) = bearer(request, formats)? {
        found.add(Place::Authorization, value)?;
    }
    if accepts.keys_as_passwords
        && let Some(encoded) = user_pass::find(request)?
    {
        let mut buffer = [0; user_pass::LONGEST];
        let UserPass { password, .. } = user_pass::decode(encoded, &mut buffer)?;
        if formats.claims(password.as_bytes()) {
            found.add(Place::Password, encoded)?;
        }
    }
    if let Some(value) = field(request, &X_API_KEY)? {
        found.add(Place::Header, value)?;
    }
    // `Authorization` and `X-API-Key` as a route's own header would be read twice.
    if let Some(name) = accepts.header.as_ref().filter(|n| **n != X_API_KEY && **n != AUTHORIZATION)
        && let Some(value) = field(request, name)?
    {
        found.add(Place::Header, value)?;
    }
    if let Some(name) = &accepts.query
        && let Some(value) = parameter(request, name)?
    {
        found.add(Place::Query, value)?;
    }
    Ok(found.0)
}

/// The key itself, whatever it stands in.
pub(super) fn shown<'b>(
    place: Place,
    credential: &'b [u8],
    buffer: &'b mut Buffer,
) -> Result<&'b [u8], Rejection> {
    match place {
        Place::Password => Ok(user_pass::decode(credential, buffer)?.password.as_bytes()),
        _ => Ok(credential),
    }
}

struct Once<'r>(Option<(Place, &'r [u8])>);

impl<'r> Once<'r> {
    // RFC 6750 2: no more than one way of sending it in one request.
    fn add(&mut self, place: Place, value: &'r [u8]) -> Result<(), Rejection> {
        match self.0.replace((place, value)) {
            None => Ok(()),
            Some(_) => Err(doubled("a key in more than one place")),
        }
    }
}

fn bearer<'r>(request: &CheckRequest<'r>, formats: &KeyFormats) -> Result<Option<&'r [u8]>, Rejection> {
    let value = match request.headers.one(&AUTHORIZATION) {
        One::Absent => return Ok(None),
        One::Doubled => return Err(doubled("more than one authorization field")),
        One::Single(value) => value,
    };
    let header = authorization_header::parse(value).map_err(|e| malformed(e.reason()))?;
    // RFC 6750 2.1
    Ok((header.scheme_is("bearer") && formats.claims(header.credentials)).then_some(header.credentials))
}

fn field<'r>(request: &CheckRequest<'r>, name: &HeaderName) -> Result<Option<&'r [u8]>, Rejection> {
    match request.headers.one(name) {
        One::Absent => Ok(None),
        One::Doubled => Err(doubled("more than one field for the key")),
        One::Single(value) => Ok(Some(value.trim_ascii())),
    }
}

/// The one parameter of this name. Nothing in a key needs an escape, so one that is escaped is refused: what reads the
/// URL after us must find it under the same spelling, or it would not be taken out.
fn parameter<'r>(request: &CheckRequest<'r>, name: &str) -> Result<Option<&'r [u8]>, Rejection> {
    let mut found = None;
    for pair in request.target.query().unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !same_name(key.as_bytes(), name.as_bytes()) {
            continue;
        }
        if found.is_some() {
            return Err(doubled("more than one parameter for the key"));
        }
        if key != name {
            return Err(malformed("the name of the key's parameter is escaped"));
        }
        if value.bytes().any(|b| matches!(b, b'%' | b'+')) {
            return Err(malformed("the key in the query is escaped"));
        }
        found = Some(value.as_bytes());
    }
    Ok(found)
}

/// As a form decoder would read it (WHATWG URL, application/x-www-form-urlencoded).
fn same_name(mut written: &[u8], name: &[u8]) -> bool {
    for expected in name {
        let (byte, rest) = match written {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex(*high) << 4 | hex(*low), rest)
            }
            [b'+', rest @ ..] => (b' ', rest),
            [byte, rest @ ..] => (*byte, rest),
            [] => return false,
        };
        if byte != *expected {
            return false;
        }
        written = rest;
    }
    written.is_empty()
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

fn doubled(reason: &'static str) -> Rejection {
    Rejection { fault: Fault::Malformed, code: "credential_doubled", reason }
}

fn malformed(reason: &'static str) -> Rejection {
    Rejection { fault: Fault::Malformed, code: "credential_malformed", reason }
}

fn invalid(reason: &'static str) -> Rejection {
    Rejection { fault: Fault::Invalid, code: "credential_invalid", reason }
}
