//! Heads: from bytes to method, target, status and field lines, and back. A head is taken out of its buffer whole or not
//! at all.

use super::{Malformed, body::Framing, fields::Fields};
use bytes::{Buf, BufMut, BytesMut};
use http::{
    HeaderMap, Method, StatusCode, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
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
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub fields: Fields,
    pub framing: Framing,
    /// May another request follow? Not after a head that somebody else could end elsewhere.
    pub persistent: bool,
}

#[derive(Debug)]
pub struct ResponseHead {
    pub status: StatusCode,
    pub fields: Fields,
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
    let uri = Uri::try_from(target).map_err(|_| Malformed::Grammar)?;
    let version = version(minor);
    let mut fields = Fields::read(buf.get(..length).unwrap_or_default(), parsed.headers);
    buf.advance(length);

    let coded = fields.contains(&TRANSFER_ENCODING);
    let length = content_length(&mut fields)?;
    let framing = match (coded, length) {
        // RFC 9112 6.1: nobody can follow it
        (true, _) if version != Version::HTTP_11 || !ends_chunked(&fields) => {
            return Err(Malformed::Framing);
        }
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Length(0),
    };
    // RFC 9112 6.3: Transfer-Encoding overrides, and the connection ends after the answer
    let ambiguous = coded && length.is_some();
    if ambiguous {
        fields.remove(&CONTENT_LENGTH);
    }
    let persistent = !ambiguous && persists(version, &fields);
    Ok(Some(RequestHead { method, uri, version, fields, framing, persistent }))
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
    let version = version(minor);
    let mut fields = Fields::read(buf.get(..length).unwrap_or_default(), parsed.headers);
    buf.advance(length);

    let coded = fields.contains(&TRANSFER_ENCODING);
    let mut doubtful = false;
    let (mut persistent, mut framing) = (persists(version, &fields), Framing::Length(0));
    // RFC 9112 6.3: no body, whatever the fields say
    let bodiless = *asked == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless {
        let length = content_length(&mut fields)?;
        framing = match (coded, length) {
            (true, _) if version != Version::HTTP_11 => return Err(Malformed::Framing),
            (true, _) if ends_chunked(&fields) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (true, _) | (false, None) => Framing::UntilClose,
        };
        if coded && length.is_some() {
            fields.remove(&CONTENT_LENGTH);
            persistent = false;
        }
    } else {
        let told = fields.get(&CONTENT_LENGTH).is_some_and(|length| length != b"0");
        doubtful = *asked == Method::HEAD || coded || told;
    }
    persistent &= framing != Framing::UntilClose;
    Ok(Some(ResponseHead { status, fields, framing, persistent, doubtful }))
}

pub fn write_request(out: &mut BytesMut, method: &Method, target: &str, fields: &Fields) {
    out.reserve(target.len() + START + fields.room());
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    fields.write(out);
    out.put_slice(b"\r\n");
}

/// The version is ours, the reason phrase the standard's: nothing of the upstream's status line goes on but the number.
/// `ours`: the field lines that whoever writes it adds.
pub fn write_response(
    out: &mut BytesMut,
    status: StatusCode,
    fields: &Fields,
    ours: impl FnOnce(&mut BytesMut),
) {
    out.reserve(START + fields.room());
    if status == StatusCode::OK {
        out.put_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.put_slice(b"HTTP/1.1 ");
        out.put_slice(status.as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.put_slice(b"\r\n");
    }
    fields.write(out);
    ours(out);
    out.put_slice(b"\r\n");
}

/// What a start line and the lines that we add will hardly exceed; more than that makes the buffer grow.
const START: usize = 256;

pub fn write_trailers(out: &mut BytesMut, trailers: &HeaderMap) {
    for (name, value) in trailers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}

/// RFC 9112 9.3.
fn persists(version: Version, fields: &Fields) -> bool {
    if !fields.contains(&CONNECTION) {
        return version == Version::HTTP_11;
    }
    let asked = version == Version::HTTP_11 || fields.lists(&CONNECTION, b"keep-alive");
    asked && !fields.lists(&CONNECTION, b"close")
}

/// RFC 9112 6.3: is the final coding `chunked`?
fn ends_chunked(fields: &Fields) -> bool {
    let last = fields.all(&TRANSFER_ENCODING).next_back();
    let last = last.and_then(|value| value.rsplit(|b| *b == b',').next());
    last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// RFC 9110 8.6: the same number in several lines is one number; anything else is none at all.
fn content_length(fields: &mut Fields) -> Result<Option<u64>, Malformed> {
    let mut lines = fields.all(&CONTENT_LENGTH);
    let Some(first) = lines.next() else { return Ok(None) };
    let (mut repeated, mut same) = (false, true);
    for line in lines {
        repeated = true;
        same &= line == first;
    }
    let length = number(first).filter(|_| same).ok_or(Malformed::Framing)?;
    if repeated {
        fields.keep_first(&CONTENT_LENGTH);
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
