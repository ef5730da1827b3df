//! Pure: what the caller presents. Says which values are this room's by their form alone; whether they are good is said when
//! their key or their session is known.
//!
//! ```text
//! Authorization: Bearer eyJ...          a compact JWS: three parts, the first of which begins as a JSON object does
//! Cookie: __Host-session=cs_session_... an opaque one, of our own
//! Cookie: __Host-session=eyJ...         an access token of ours
//! ```
//! A cookie beside `Authorization` is absent, and so is one whose form is wrong (RULES 1.6).

use countersign_core::{
    Place, authorization_header,
    check::{
        cookie,
        request::{CheckRequest, One},
    },
};
use http::header::AUTHORIZATION;

/// A value of this room's, and where it stood.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shown<'r> {
    pub place: Place,
    pub value: &'r [u8],
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("place", &self.place).finish_non_exhaustive()
    }
}

pub fn find<'r>(request: &CheckRequest<'r>, cookies: bool) -> Option<Shown<'r>> {
    match request.headers.one(&AUTHORIZATION) {
        One::Absent => {}
        One::Doubled => return None,
        One::Single(value) => {
            let header = authorization_header::parse(value).ok()?;
            let ours = header.scheme_is("bearer") && is_compact(header.credentials);
            return ours.then_some(Shown { place: Place::Authorization, value: header.credentials });
        }
    }
    if !cookies {
        return None;
    }
    match cookie::one(request.headers, cookie::SESSION) {
        One::Single(value) if value.len() <= cookie::MAX_COOKIE && (is_compact(value) || is_word(value)) => {
            Some(Shown { place: Place::Cookie, value })
        }
        _ => None,
    }
}

/// RFC 7515 7.1, as far as its form goes: `{"` in base64url begins with `eyJ`, and with white space before the quote still
/// with `ey` or `ew`.
pub fn is_compact(value: &[u8]) -> bool {
    // every byte, without a branch and in bytes: this stands in front of every token, good or not
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_' | b'.');
    // so few that a byte can count them
    let dots = |part: &[u8]| usize::from(part.iter().map(|byte| u8::from(*byte == b'.')).sum::<u8>());
    matches!(value, [b'e', b'y' | b'w', ..])
        && value.chunks(255).map(dots).sum::<usize>() == 2
        && value.iter().fold(true, |all, byte| all & fits(byte))
}

/// Of the form of ours: base62, underscores, a mark behind a full stop.
fn is_word(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
