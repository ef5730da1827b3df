//! Pure: what stands in `Authorization: Basic` (RFC 7617 2): `base64(user-id ":" password)`. Read by the room of Basic, and by
//! that of keys where a route takes a key for a password. Never looked up here.
//!
//! ```text
//! not base64 as RFC 4648 4 writes it, padding and unused bits included     400
//! no colon; a control character in either half; not UTF-8                 400
//! longer than anybody's                                                    401
//! ```
//! The first colon parts them: a password may hold more. Bytes are UTF-8, as the challenge says (`charset="UTF-8"`).

use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Rejection,
    authenticator::Fault,
    authorization_header,
    challenge::Challenge,
    check::request::{CheckRequest, One},
};
use http::header::AUTHORIZATION;
use std::{
    fmt,
    ops::{Deref, DerefMut},
};

/// Decoded. A user name of 128 characters and a password of 256, four bytes each, fit with room to spare.
pub const LONGEST: usize = 1792;
/// Encoded: more than decodes into a [`Buffer`] is not looked at.
const LONGEST_ENCODED: usize = LONGEST / 3 * 4;

/// Where a credential is decoded: on the stack, so that finding one allocates nothing.
pub type Buffer = [u8; LONGEST];

/// Both halves, decoded and not yet believed. Debug shows neither.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UserPass<'b> {
    pub user: &'b str,
    pub password: &'b str,
}

impl fmt::Debug for UserPass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserPass(..)")
    }
}

/// The base64 of the one `Authorization: Basic`. `Ok(None)`: no such field here.
pub fn find<'r>(request: &CheckRequest<'r>) -> Result<Option<&'r [u8]>, Rejection> {
    let value = match request.headers.one(&AUTHORIZATION) {
        One::Absent => return Ok(None),
        One::Doubled => {
            let reason = "more than one authorization field";
            return Err(Rejection { fault: Fault::Malformed, code: "credential_doubled", reason });
        }
        One::Single(value) => value,
    };
    let header = authorization_header::parse(value).map_err(|e| malformed(e.reason()))?;
    Ok(header.scheme_is("basic").then_some(header.credentials))
}

pub fn decode<'b>(encoded: &[u8], buffer: &'b mut Buffer) -> Result<UserPass<'b>, Rejection> {
    if encoded.len() > LONGEST_ENCODED {
        let reason = "the credentials are longer than anybody's";
        return Err(Rejection { fault: Fault::Invalid, code: "credential_invalid", reason });
    }
    // RFC 4648 3.5, 3.2: one text has one spelling, or two of them would be two entries of one credential
    let length =
        STANDARD.decode_slice(encoded, buffer).map_err(|_| malformed("the credentials are not base64"))?;
    let decoded = buffer.get(..length).unwrap_or_default();
    let text = std::str::from_utf8(decoded).map_err(|_| malformed("the credentials are not UTF-8"))?;
    // RFC 7617 2: user-id and password MUST NOT contain any control characters
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err(malformed("the credentials hold a control character"));
    }
    let (user, password) = text.split_once(':').ok_or(malformed("the credentials have no colon"))?;
    Ok(UserPass { user, password })
}

/// A buffer that may leave the stack, and is wiped when it is let go.
pub(crate) struct Wiped(Box<Buffer>);

impl Wiped {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; LONGEST]))
    }
}

impl Deref for Wiped {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        countersign_crypto::secret::wipe(&mut *self.0);
    }
}

/// RFC 7617 2, 2.1: realm and charset.
pub(crate) fn challenge(realm: &str, asks_browsers: bool) -> Option<Challenge> {
    let challenge = Challenge::new("Basic", &[("realm", realm), ("charset", "UTF-8")])?;
    Some(if asks_browsers { challenge } else { challenge.not_to_browsers() })
}

fn malformed(reason: &'static str) -> Rejection {
    Rejection { fault: Fault::Malformed, code: "credential_malformed", reason }
}
