//! The cookies of a session (RFC 6265bis). Nothing in them can be read by a script, and none of them leaves its host.

use crate::{call::Facts, problem::Problem};
use countersign_core::check::{cookie, request::One};
use countersign_crypto::SecretString;
use countersign_methods::session::token::TokenKind;
use http::{HeaderValue, Response, header::SET_COOKIE};
use std::time::Duration;

/// What a browser may hold of a session, and in which cookie.
pub(crate) const TOKENS: [(TokenKind, &str); 2] =
    [(TokenKind::Cookie, cookie::SESSION), (TokenKind::Refresh, cookie::REFRESH)];

/// Where the refresh token's cookie goes: to the endpoints of the session, and nowhere else.
const REFRESH_PATH: &str = "/.countersign/session";

impl Facts {
    /// RULES 1.6: two of one name are none.
    pub(crate) fn cookie(&self, name: &str) -> Option<&[u8]> {
        match cookie::one(self.headers(), name) {
            One::Single(value) => Some(value),
            One::Absent | One::Doubled => None,
        }
    }
}

/// `lifetime`: until the session ends however much it is used; the server's word counts, not the browser's.
pub(crate) fn set_session<B>(
    response: &mut Response<B>,
    value: &SecretString,
    lifetime: Duration,
) -> Result<(), Problem> {
    let (name, value, seconds) = (cookie::SESSION, value.expose(), lifetime.as_secs());
    append(response, &format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}"))
}

pub(crate) fn set_refresh<B>(
    response: &mut Response<B>,
    value: &SecretString,
    lifetime: Duration,
) -> Result<(), Problem> {
    let (name, value, seconds) = (cookie::REFRESH, value.expose(), lifetime.as_secs());
    append(
        response,
        &format!("{name}={value}; Path={REFRESH_PATH}; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}"),
    )
}

/// Also where there was none: whatever the browser keeps under our names is gone.
pub(crate) fn clear<B>(response: &mut Response<B>) -> Result<(), Problem> {
    set_session(response, &SecretString::default(), Duration::ZERO)?;
    set_refresh(response, &SecretString::default(), Duration::ZERO)
}

fn append<B>(response: &mut Response<B>, text: &str) -> Result<(), Problem> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Problem::internal())?;
    value.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, value);
    Ok(())
}
