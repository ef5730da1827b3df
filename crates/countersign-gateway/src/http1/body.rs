//! Bodies: where one ends (RFC 9112 6 and 7), and how one is written.

use super::{Malformed, head::has_bare_line_feed};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::SizeHint;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Zero: there is no body.
    Length(u64),
    Chunked,
    UntilClose,
}

/// One body on its way out of a buffer.
#[derive(Debug)]
pub struct Decoder {
    at: At,
    /// Bytes that chunk extensions and trailers may still have, all together.
    spare: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Length(u64),
    /// Before the size of a chunk.
    Size,
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    Trailers,
    UntilClose,
    Over,
}

#[derive(Debug)]
pub enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    Over,
    /// Nothing before more has come in.
    More,
}

/// Bytes beside the data of a chunked body: extensions mean nothing to us, and trailers little.
const SPARE: usize = 16 * 1024;
const TRAILERS: usize = 64;
/// 16 digits are 64 bits.
const SIZE_DIGITS: usize = 16;

impl Decoder {
    pub fn new(framing: Framing) -> Self {
        let at = match framing {
            Framing::Length(0) => At::Over,
            Framing::Length(length) => At::Length(length),
            Framing::Chunked => At::Size,
            Framing::UntilClose => At::UntilClose,
        };
        Self { at, spare: SPARE }
    }

    pub fn is_over(&self) -> bool {
        self.at == At::Over
    }

    /// What is still to come.
    pub fn size_hint(&self) -> SizeHint {
        match self.at {
            At::Over => SizeHint::with_exact(0),
            At::Length(left) => SizeHint::with_exact(left),
            At::Data(left) => {
                let mut hint = SizeHint::new();
                hint.set_lower(left);
                hint
            }
            _ => SizeHint::new(),
        }
    }

    /// Takes the next piece of the body out of `buf`, and nothing that stands behind the body.
    pub fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.at {
                At::Over => return Ok(Decoded::Over),
                At::Length(left) => {
                    let Some((data, left)) = take(buf, left) else { return Ok(Decoded::More) };
                    self.at = if left == 0 { At::Over } else { At::Length(left) };
                    return Ok(Decoded::Data(data));
                }
                At::UntilClose => {
                    let Some((data, _)) = take(buf, u64::MAX) else { return Ok(Decoded::More) };
                    return Ok(Decoded::Data(data));
                }
                At::Size => {
                    let Some(line) = self.line(buf)? else { return Ok(Decoded::More) };
                    self.at = match chunk_size(&line)? {
                        0 => At::Trailers,
                        size => At::Data(size),
                    };
                }
                At::Data(left) => {
                    let Some((data, left)) = take(buf, left) else { return Ok(Decoded::More) };
                    self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                    return Ok(Decoded::Data(data));
                }
                At::DataEnd => match (buf.first(), buf.get(1)) {
                    (Some(b'\r'), Some(b'\n')) => {
                        buf.advance(2);
                        self.at = At::Size;
                    }
                    (None, _) | (Some(b'\r'), None) => return Ok(Decoded::More),
                    _ => return Err(Malformed::Grammar),
                },
                At::Trailers => {
                    let Some(trailers) = self.trailers(buf)? else { return Ok(Decoded::More) };
                    self.at = At::Over;
                    return Ok(if trailers.is_empty() { Decoded::Over } else { Decoded::Trailers(trailers) });
                }
            }
        }
    }

    /// Nothing more comes in: is that the end?
    pub fn closed(&mut self) -> Result<(), Malformed> {
        match self.at {
            At::UntilClose | At::Over => {
                self.at = At::Over;
                Ok(())
            }
            _ => Err(Malformed::Incomplete),
        }
    }

    /// A line that ends in CRLF, without its end. A bare CR or LF ends nothing for us and a line for others.
    fn line(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let Some(end) = buf.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
            return if buf.len() > self.spare { Err(Malformed::TooLarge) } else { Ok(None) };
        };
        if buf.get(end) != Some(&b'\r') || buf.get(end + 1).is_some_and(|b| *b != b'\n') {
            return Err(Malformed::Grammar);
        }
        if buf.len() < end + 2 {
            return Ok(None);
        }
        let line = buf.split_to(end).freeze();
        buf.advance(2);
        // the digits of a size are no spare bytes, what follows them is
        self.spare = self.spare.checked_sub(end.saturating_sub(SIZE_DIGITS)).ok_or(Malformed::TooLarge)?;
        Ok(Some(line))
    }

    fn trailers(&mut self, buf: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
        if let (Some(b'\r'), Some(b'\n')) = (buf.first(), buf.get(1)) {
            buf.advance(2);
            return Ok(Some(HeaderMap::new()));
        }
        let mut lines = [httparse::EMPTY_HEADER; TRAILERS];
        let parsed = httparse::parse_headers(buf, &mut lines);
        let (length, lines) = match parsed {
            Ok(httparse::Status::Complete(complete)) => complete,
            Ok(httparse::Status::Partial) if buf.len() > self.spare => return Err(Malformed::TooLarge),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TooLarge),
            Err(_) => return Err(Malformed::Grammar),
        };
        if length > self.spare {
            return Err(Malformed::TooLarge);
        }
        if has_bare_line_feed(buf.get(..length).unwrap_or_default()) {
            return Err(Malformed::Grammar);
        }
        let mut trailers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let value = HeaderValue::from_bytes(line.value);
            let (Ok(name), Ok(value)) = (name, value) else { return Err(Malformed::Grammar) };
            trailers.append(name, value);
        }
        buf.advance(length);
        Ok(Some(trailers))
    }
}

/// As much as is there, and how much then is left. `None`: nothing is there.
fn take(buf: &mut BytesMut, left: u64) -> Option<(Bytes, u64)> {
    if buf.is_empty() {
        return None;
    }
    let size = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
    let data = buf.split_to(size).freeze();
    Some((data, left.saturating_sub(u64::try_from(size).unwrap_or(u64::MAX))))
}

/// RFC 9112 7.1: hexadecimal digits, and extensions that nobody here reads.
fn chunk_size(line: &[u8]) -> Result<u64, Malformed> {
    let end = line.iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at(end);
    if digits.is_empty() || digits.len() > SIZE_DIGITS {
        return Err(Malformed::Grammar);
    }
    // RFC 9112 7.1.1: white space only where an extension follows
    match rest.trim_ascii_start().first() {
        None if rest.is_empty() => {}
        Some(b';') if !rest.iter().any(|b| b.is_ascii_control() && *b != b'\t') => {}
        _ => return Err(Malformed::Grammar),
    }
    Ok(digits.iter().fold(0, |sum, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => byte.wrapping_sub(b'A').wrapping_add(10),
        };
        sum << 4 | u64::from(digit)
    }))
}

/// The line before a chunk of so many bytes, which are not none.
pub fn write_chunk_size(out: &mut BytesMut, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let count = (usize::BITS - size.leading_zeros()).div_ceil(4);
    for digit in (0..count).rev() {
        out.put_u8(DIGITS.get(size >> (4 * digit) & 15).copied().unwrap_or(b'0'));
    }
    out.put_slice(b"\r\n");
}

pub fn write_last_chunk(out: &mut BytesMut, trailers: Option<&HeaderMap>) {
    out.put_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        super::head::write_trailers(out, trailers);
    }
    out.put_slice(b"\r\n");
}
