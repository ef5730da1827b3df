//! Heads: from bytes to what `http` calls their parts, and back. A head is taken out of its buffer whole or not at all.

use super::{Malformed, body::Framing, spare};
use bytes::{BufMut, Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    request, response,
};
use httparse::Status;
use std::mem::MaybeUninit;

/// Field lines that are read at all; what is admitted is fewer.
const FIELDS: usize = 100;
/// `http::Uri` holds no more.
const LONGEST_TARGET: usize = u16::MAX as usize - 1;

/// A request, and what its connection has to know of it.
#[derive(Debug)]
pub struct RequestHead {
    pub parts: request::Parts,
    pub framing: Framing,
    /// May another request follow? Not after a head that somebody else could end elsewhere.
    pub persistent: bool,
}

#[derive(Debug)]
pub struct ResponseHead {
    pub parts: response::Parts,
    pub framing: Framing,
    pub persistent: bool,
    /// It has no body, and whoever sends it may think otherwise.
    pub doubtful: bool,
}

/// `None`: it has not arrived whole. How much of it may arrive is the caller's to bound.
pub fn request(buf: &mut BytesMut) -> Result<Option<RequestHead>, Malformed> {
    let mut read = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_request_with_uninit_headers(&mut parsed, buf, &mut read).map_err(refused)?;
    let Status::Complete(length) = status else { return Ok(None) };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Malformed::Grammar);
    };
    if has_bare_line_feed(buf.get(..length).unwrap_or_default()) {
        return Err(Malformed::Grammar);
    }
    // RFC 9112 3.2: no form has a fragment; `http::Uri` would drop it without a word
    if target.contains('#') {
        return Err(Malformed::Grammar);
    }
    if target.len() > LONGEST_TARGET {
        return Err(Malformed::TargetTooLong);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Malformed::Grammar)?;
    let target = place(buf, target.as_bytes());
    let lines = lines(buf, parsed.headers);
    let head = buf.split_to(length).freeze();

    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = Uri::from_maybe_shared(head.slice(target)).map_err(|_| Malformed::Grammar)?;
    parts.version = version(minor);
    parts.headers = fields(&head, lines)?;
    let coded = parts.headers.contains_key(TRANSFER_ENCODING);
    let length = content_length(&mut parts.headers)?;
    let framing = match (coded, length) {
        // RFC 9112 6.1: nobody can follow it
        (true, _) if parts.version != Version::HTTP_11 || !ends_chunked(&parts.headers) => {
            return Err(Malformed::Framing);
        }
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Length(0),
    };
    // RFC 9112 6.3: Transfer-Encoding overrides, and the connection ends after the answer
    let ambiguous = coded && length.is_some();
    if ambiguous {
        parts.headers.remove(CONTENT_LENGTH);
    }
    let persistent = !ambiguous && persists(parts.version, &parts.headers);
    Ok(Some(RequestHead { parts, framing, persistent }))
}

/// `None`: it has not arrived whole. `asked` is the method that it answers.
pub fn response(buf: &mut BytesMut, asked: &Method) -> Result<Option<ResponseHead>, Malformed> {
    let mut read = [const { MaybeUninit::uninit() }; FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(&mut parsed, buf, &mut read).map_err(refused)?;
    let Status::Complete(length) = status else { return Ok(None) };
    let (Some(code), Some(minor)) = (parsed.code, parsed.version) else { return Err(Malformed::Grammar) };
    let status = StatusCode::from_u16(code).map_err(|_| Malformed::Grammar)?;
    let lines = lines(buf, parsed.headers);
    let head = buf.split_to(length).freeze();

    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = version(minor);
    parts.headers = fields(&head, lines)?;
    let coded = parts.headers.contains_key(TRANSFER_ENCODING);
    let mut doubtful = false;
    let (mut persistent, mut framing) = (persists(parts.version, &parts.headers), Framing::Length(0));
    // RFC 9112 6.3: no body, whatever the fields say
    let bodiless = *asked == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless {
        let length = content_length(&mut parts.headers)?;
        framing = match (coded, length) {
            (true, _) if parts.version != Version::HTTP_11 => return Err(Malformed::Framing),
            (true, _) if ends_chunked(&parts.headers) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (true, _) | (false, None) => Framing::UntilClose,
        };
        if coded && length.is_some() {
            parts.headers.remove(CONTENT_LENGTH);
            persistent = false;
        }
    } else {
        let told = parts.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        doubtful = *asked == Method::HEAD || coded || told;
    }
    persistent &= framing != Framing::UntilClose;
    Ok(Some(ResponseHead { parts, framing, persistent, doubtful }))
}

pub fn write_request(out: &mut BytesMut, method: &Method, target: &str, headers: &HeaderMap) {
    out.reserve(target.len() + room(headers));
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    write_fields(out, headers);
    out.put_slice(b"\r\n");
}

/// The memory of fields that were written and are of no more use.
pub fn reuse(headers: HeaderMap) {
    spare::give(headers);
}

/// The version is ours, the reason phrase the standard's: nothing of the upstream's status line goes on but the number.
/// `ours`: the field lines that whoever writes it adds.
pub fn write_response(
    out: &mut BytesMut,
    status: StatusCode,
    headers: HeaderMap,
    ours: impl FnOnce(&mut BytesMut),
) {
    out.reserve(room(&headers));
    if status == StatusCode::OK {
        out.put_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.put_slice(b"HTTP/1.1 ");
        out.put_slice(status.as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.put_slice(b"\r\n");
    }
    write_fields(out, &headers);
    ours(out);
    out.put_slice(b"\r\n");
    spare::give(headers);
}

pub fn write_fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

/// What a head will hardly exceed; more than that makes the buffer grow.
fn room(headers: &HeaderMap) -> usize {
    128 + 64 * headers.len()
}

/// Does this field list the option, in any letters?
pub fn lists(headers: &HeaderMap, name: &HeaderName, option: &[u8]) -> bool {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|v| v.as_bytes().split(|b| *b == b','))
        .any(|o| o.trim_ascii().eq_ignore_ascii_case(option))
}

/// RFC 9112 9.3.
fn persists(version: Version, headers: &HeaderMap) -> bool {
    if !headers.contains_key(CONNECTION) {
        return version == Version::HTTP_11;
    }
    let asked = version == Version::HTTP_11 || lists(headers, &CONNECTION, b"keep-alive");
    asked && !lists(headers, &CONNECTION, b"close")
}

/// RFC 9112 6.3: is the final coding `chunked`?
fn ends_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(TRANSFER_ENCODING).iter().next_back();
    let last = last.and_then(|value| value.as_bytes().rsplit(|b| *b == b',').next());
    last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// RFC 9110 8.6: the same number in several lines is one number; anything else is none at all.
fn content_length(headers: &mut HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return Ok(None) };
    let repeated = lines.next().is_some();
    if repeated && headers.get_all(CONTENT_LENGTH).iter().any(|line| line != first) {
        return Err(Malformed::Framing);
    }
    let length = number(first.as_bytes()).ok_or(Malformed::Framing)?;
    if repeated {
        let first = first.clone();
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(Some(length))
}

/// 1*DIGIT and nothing else: a sign or a list is what smuggling is made of.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// M.2 rule 6: `httparse` takes a line feed alone for the end of a line (RFC 9112 2.2 lets it), others for a part of it.
/// Looks at everything, whatever it found: so many bytes are looked at together, which is quicker than to stop early.
pub(super) fn has_bare_line_feed(lines: &[u8]) -> bool {
    let behind = lines.get(1..).unwrap_or_default();
    let bare = lines.iter().zip(behind).map(|(before, byte)| (*byte == b'\n') & (*before != b'\r'));
    bare.fold(lines.first() == Some(&b'\n'), |any, bare| any | bare)
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::HTTP_10 } else { Version::HTTP_11 }
}

fn refused(error: httparse::Error) -> Malformed {
    match error {
        httparse::Error::TooManyHeaders => Malformed::TooLarge,
        _ => Malformed::Grammar,
    }
}

/// Where a part stands in the buffer that it was read from.
pub(super) type Place = std::ops::Range<usize>;

/// Where each field line stands.
fn lines(buf: &[u8], headers: &[httparse::Header<'_>]) -> Vec<(Place, Place)> {
    let mut lines = spare::take_lines();
    lines.extend(headers.iter().map(|h| (place(buf, h.name.as_bytes()), place(buf, h.value))));
    lines
}

fn fields(head: &Bytes, mut lines: Vec<(Place, Place)>) -> Result<HeaderMap, Malformed> {
    let mut headers = spare::take();
    headers.reserve(lines.len());
    for (name, value) in lines.drain(..) {
        let name = HeaderName::from_bytes(head.get(name).unwrap_or_default());
        let value = HeaderValue::from_maybe_shared(head.slice(value));
        let (Ok(name), Ok(value)) = (name, value) else { return Err(Malformed::Grammar) };
        headers.append(name, value);
    }
    spare::give_lines(lines);
    Ok(headers)
}

/// `part` was borrowed from `whole`.
fn place(whole: &[u8], part: &[u8]) -> Place {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => start..end,
        // an empty part may point anywhere
        _ => 0..0,
    }
}
