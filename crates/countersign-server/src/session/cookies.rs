//! The cookies of a session (RFC 6265bis). Nothing in them can be read by a script, and none of them leaves its host.

use crate::{call::Facts, problem::Problem, services::Sessions};
use countersign_core::check::{cookie, request::One};
use countersign_crypto::SecretString;
use countersign_methods::session::{
    issue::{SessionError, from_network},
    token::TokenKind,
};
use http::{HeaderValue, Response, header::SET_COOKIE};
use std::time::Duration;

impl Facts {
    /// RULES 1.6: two of one name are none.
    pub(crate) fn cookie(&self, name: &str) -> Option<&[u8]> {
        match cookie::one(self.headers(), name) {
            One::Single(value) => Some(value),
            One::Absent | One::Doubled => None,
        }
    }
}

/// Every session that the browser came with, by whatever it holds of one, is over.
pub(crate) async fn sign_out(facts: &Facts, sessions: &Sessions) -> Result<(), SessionError> {
    let caller = from_network(facts.peer.address, facts.request);
    if let Some(token) = facts.cookie(cookie::SESSION) {
        sessions.issuer.sign_out(TokenKind::Cookie, token, &caller, facts.now).await?;
        sessions.sign_out_by_access_token(facts, token).await?;
    }
    if let Some(token) = facts.cookie(cookie::REFRESH) {
        sessions.issuer.sign_out(TokenKind::Refresh, token, &caller, facts.now).await?;
    }
    Ok(())
}

/// `lifetime`: until the session ends however much it is used; the server's word counts, not the browser's.
pub(crate) fn set<B>(
    response: &mut Response<B>,
    name: &str,
    value: &SecretString,
    lifetime: Duration,
) -> Result<(), Problem> {
    let (value, seconds) = (value.expose(), lifetime.as_secs());
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let mut value = HeaderValue::try_from(text).map_err(|_| Problem::internal())?;
    value.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, value);
    Ok(())
}

/// Also where there was none: whatever the browser keeps under our names is gone.
pub(crate) fn clear<B>(response: &mut Response<B>) -> Result<(), Problem> {
    for name in [cookie::SESSION, cookie::REFRESH] {
        set(response, name, &SecretString::default(), Duration::ZERO)?;
    }
    Ok(())
}
