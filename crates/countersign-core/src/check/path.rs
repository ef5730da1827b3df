//! The one canonical form of target and authority; what cannot be made canonical is refused (standards M.2 rule 4).
//!
//! What is judged here is what goes upstream, byte for byte, so nothing may be left that an upstream could read in
//! another way than the route table did. Canonical is: every escape of an unreserved character decoded, every other
//! one in upper case, no dot segments, no empty segments but a trailing one. Refused are characters outside RFC 3986,
//! escapes of `/ \ % ;` and control characters, escapes that are no UTF-8 (overlong forms included), climbing
//! above the root, and path parameters: servlet containers drop `;x` from `/admin;x`, others do not, so the two could
//! never agree. Letters keep their case. The query is checked and left as it is.

use http::uri::PathAndQuery;
use std::{
    borrow::Cow,
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

pub const MAX_PATH: usize = 8 * 1024;
pub const MAX_QUERY: usize = 8 * 1024;

/// Why a target has no canonical form: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    NotOrigin,
    TooLong,
    Character,
    Escape,
    Hidden,
    NotUtf8,
    Climbs,
    Parameters,
}

impl PathError {
    /// For the operator's log.
    pub fn reason(self) -> &'static str {
        match self {
            PathError::NotOrigin => "target is not in origin-form",
            PathError::TooLong => "target is too long",
            PathError::Character => "target holds a character outside RFC 3986",
            PathError::Escape => "target holds a broken escape",
            PathError::Hidden => "path hides a delimiter or control character in an escape",
            PathError::NotUtf8 => "path holds escapes that are not UTF-8",
            PathError::Climbs => "path climbs above the root",
            PathError::Parameters => "path holds parameters (`;`)",
        }
    }
}

/// The canonical form; a cheap clone where it already is. Idempotent.
pub fn canonical_target(target: &PathAndQuery) -> Result<PathAndQuery, PathError> {
    // `path()` says `/` where there is none
    if !target.as_str().starts_with('/') {
        return Err(PathError::NotOrigin);
    }
    let (path, query) = (target.path(), target.query());
    if path.len() > MAX_PATH || query.is_some_and(|q| q.len() > MAX_QUERY) {
        return Err(PathError::TooLong);
    }
    if let Some(query) = query {
        check_query(query)?;
    }
    if is_plainly_canonical(path.as_bytes()) {
        return Ok(target.clone());
    }
    let canonical = resolve(&decode(path)?)?;
    if canonical == path {
        return Ok(target.clone());
    }
    let whole = match query {
        Some(query) => canonical + "?" + query,
        None => canonical,
    };
    PathAndQuery::try_from(whole).map_err(|_| PathError::Character)
}

/// Where we decide and somebody else forwards, only what is already canonical may be judged (RULES 2.3).
pub fn is_canonical(target: &PathAndQuery) -> bool {
    canonical_target(target).is_ok_and(|canonical| canonical.as_str() == target.as_str())
}

/// Nothing to decode, resolve, collapse or refuse: true for nearly every request, and found in one pass.
fn is_plainly_canonical(path: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in path {
        if !is_plain(byte) || (after_slash && matches!(byte, b'/' | b'.')) {
            return false;
        }
        after_slash = byte == b'/';
    }
    true
}

/// RFC 3986 3.3 without escapes and without `;`.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        let [.., last] = table.split_at_mut(byte as usize + 1).0 else { break };
        *last = is_unreserved(byte)
            || matches!(
                byte,
                b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
            );
        byte += 1;
    }
    table
};

fn is_plain(byte: u8) -> bool {
    PLAIN.get(usize::from(byte)).is_some_and(|plain| *plain)
}

/// RFC 3986 2.3
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn hex(digit: Option<u8>) -> Option<u8> {
    match digit? {
        d @ b'0'..=b'9' => Some(d - b'0'),
        d @ b'a'..=b'f' => Some(d - b'a' + 10),
        d @ b'A'..=b'F' => Some(d - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 6.2.2.1, 6.2.2.2: decodes escapes of unreserved characters, upper-cases the others, once. `%25` is
/// refused, so a second decoding upstream finds nothing that the first did not.
fn decode(path: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    // what the escapes stand for, to see whether it is text
    let mut meant = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => return Err(PathError::Parameters),
            b'%' => {
                let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) else {
                    return Err(PathError::Escape);
                };
                let byte = high << 4 | low;
                match byte {
                    b'/' | b'\\' | b'%' | b';' | 0..=0x1f | 0x7f => return Err(PathError::Hidden),
                    byte if is_unreserved(byte) => out.push(char::from(byte)),
                    byte => {
                        out.push('%');
                        for nibble in [byte >> 4, byte & 15] {
                            out.extend(
                                char::from_digit(u32::from(nibble), 16).map(|d| d.to_ascii_uppercase()),
                            );
                        }
                    }
                }
                meant.push(byte);
            }
            byte if is_plain(byte) => {
                out.push(char::from(byte));
                meant.push(byte);
            }
            _ => return Err(PathError::Character),
        }
    }
    // an overlong `%c0%af` is a slash to a lenient decoder
    std::str::from_utf8(&meant).map_err(|_| PathError::NotUtf8)?;
    Ok(out)
}

/// How an upstream reads this canonical segment: with the escapes decoded that the canonical form keeps but no path
/// needs (the sub-delims, `:` and `@`). Nearly every server decodes them before it looks for a handler, so `%40admin`
/// must be judged by the route of `@admin`; what is forwarded still holds the escape.
pub(in crate::check) fn as_read(segment: &str) -> Cow<'_, str> {
    if !segment.bytes().any(|b| b == b'%') {
        return Cow::Borrowed(segment);
    }
    let mut out = String::with_capacity(segment.len());
    let mut left = segment;
    while let Some((before, rest)) = left.split_once('%') {
        out.push_str(before);
        let mut digits = rest.bytes();
        let byte = hex(digits.next()).zip(hex(digits.next())).map(|(high, low)| high << 4 | low);
        left = match (byte, rest.split_at_checked(2)) {
            // never a delimiter: `/` and `;` are no plain part of a segment, and no canonical path holds their escapes
            (Some(byte), Some((_, rest))) if byte != b'/' && is_plain(byte) => {
                out.push(char::from(byte));
                rest
            }
            _ => {
                out.push('%');
                rest
            }
        };
    }
    out.push_str(left);
    Cow::Owned(out)
}

/// RFC 3986 5.2.4, with empty segments collapsed first, as file systems and most servers do.
fn resolve(path: &str) -> Result<String, PathError> {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in path.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(PathError::Climbs)?;
            }
            segment => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if ends_open || segments.is_empty() {
        out.push('/');
    }
    Ok(out)
}

/// RFC 3986 3.4, and what browsers leave bare there. Whole escapes only.
fn check_query(query: &str) -> Result<(), PathError> {
    if query.bytes().all(is_plain) {
        return Ok(());
    }
    let mut bytes = query.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' if hex(bytes.next()).is_none() || hex(bytes.next()).is_none() => {
                return Err(PathError::Escape);
            }
            b'#' => return Err(PathError::Character),
            0x21..=0x7e => {}
            _ => return Err(PathError::Character),
        }
    }
    Ok(())
}

/// The target without every query parameter of these names: a credential is never forwarded (RULES 3.2). Names are
/// compared as an upstream would read them, decoded.
pub fn without_parameters(target: PathAndQuery, names: &[Box<str>]) -> PathAndQuery {
    let Some(query) = target.query() else { return target };
    let named = |pair: &&str| names.iter().any(|name| parameter_is(pair, name));
    if !query.split('&').any(|pair| named(&pair)) {
        return target;
    }
    let mut out = String::from(target.path());
    let kept = query.split('&').filter(|pair| !named(pair));
    for (n, pair) in kept.enumerate() {
        out.push(if n == 0 { '?' } else { '&' });
        out.push_str(pair);
    }
    // every part of it stood in a target before; the path alone always is one
    PathAndQuery::try_from(out).unwrap_or_else(|_| PathAndQuery::from_static("/"))
}

/// Is the name of this `name=value` that name, once decoded?
fn parameter_is(pair: &str, name: &str) -> bool {
    let raw = pair.split_once('=').map_or(pair, |(name, _)| name);
    let mut wanted = name.bytes();
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return false,
            },
            b'+' => b' ',
            byte => byte,
        };
        if wanted.next() != Some(byte) {
            return false;
        }
    }
    wanted.next().is_none()
}

/// Why an authority has no canonical form: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityError {
    Empty,
    Userinfo,
    Host,
    Port,
}

impl AuthorityError {
    /// For the operator's log.
    pub fn reason(self) -> &'static str {
        match self {
            AuthorityError::Empty => "authority is empty",
            AuthorityError::Userinfo => "authority holds user information",
            AuthorityError::Host => "host is not a name or an address",
            AuthorityError::Port => "port is not a number up to 65535",
        }
    }
}

/// The host that routes match: lower case, no trailing dot, no userinfo, no port, IPv6 in brackets (RULES 2.2).
pub fn canonical_authority(authority: &str) -> Result<Cow<'_, str>, AuthorityError> {
    host_and_port(authority).map(|(host, _)| host)
}

/// The same, with the port beside it where one was given.
pub fn host_and_port(authority: &str) -> Result<(Cow<'_, str>, Option<u16>), AuthorityError> {
    if let Some((host, rest)) = plain_host(authority) {
        match rest.strip_prefix(':').map(parse_port) {
            None => return Ok((Cow::Borrowed(host), None)),
            Some(Ok(port)) => return Ok((Cow::Borrowed(host), Some(port))),
            // whose fault it is depends on more than the port
            Some(Err(_)) => {}
        }
    }
    spelled_host(authority)
}

/// A name that is canonical as it stands, and what is behind it from its colon on: nearly every one, found in one pass.
fn plain_host(authority: &str) -> Option<(&str, &str)> {
    let (mut label, mut end, mut first) = (0, 0, 0);
    for byte in authority.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {
                if label == 0 {
                    first = byte;
                }
                label += 1;
            }
            b'.' if (1..=63).contains(&label) => label = 0,
            b':' => break,
            _ => return None,
        }
        end += 1;
    }
    // what ends in a number may be an address
    let named = (1..=63).contains(&label) && first.is_ascii_lowercase() && end <= 253;
    if named { authority.split_at_checked(end) } else { None }
}

pub(in crate::check) fn spelled_host(authority: &str) -> Result<(Cow<'_, str>, Option<u16>), AuthorityError> {
    if authority.is_empty() {
        return Err(AuthorityError::Empty);
    }
    // RFC 9110 4.2.4: userinfo in a message is an attack
    if authority.contains('@') {
        return Err(AuthorityError::Userinfo);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(AuthorityError::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| AuthorityError::Host)?;
        let port = match rest {
            "" => None,
            rest => Some(parse_port(rest.strip_prefix(':').ok_or(AuthorityError::Host)?)?),
        };
        return Ok((Cow::Owned(format!("[{address}]")), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    check_name(host)?;
    let lower = !host.bytes().any(|b| b.is_ascii_uppercase());
    Ok((if lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) }, port))
}

fn parse_port(text: &str) -> Result<u16, AuthorityError> {
    // `u16::from_str` takes a sign
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthorityError::Port);
    }
    text.parse().map_err(|_| AuthorityError::Port)
}

/// Letters, digits, `-` and `_` in labels of 1 to 63, 253 in all; what ends in a number is an IPv4 address in four
/// parts or nothing (WHATWG URL 3.5: other readers would take `127.1` or `0x7f.1` for one).
fn check_name(host: &str) -> Result<(), AuthorityError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(word);
    if host.is_empty() || host.len() > 253 || !host.split('.').all(label) {
        return Err(AuthorityError::Host);
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(AuthorityError::Host);
    }
    Ok(())
}

macro_rules! error { ($($name:ident),*) => { $(
    impl fmt::Display for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.reason())
        }
    }
    impl std::error::Error for $name {}
)* } }
error!(PathError, AuthorityError);
