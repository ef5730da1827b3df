//! What a session is answered with: tokens in the body for whoever is no browser, cookies for whoever is.

use super::cookies;
use crate::{
    call::{Answer, ok},
    problem::Problem,
    services::Sessions,
    words::time,
};
use axum::body::Body;
use countersign_core::{Timestamp, check::cookie};
use countersign_crypto::SecretString;
use countersign_methods::{
    jwt::{issue::TokenError, record::AccessToken},
    session::record::{SessionKind, SessionRecord},
};
use http::Response;
use serde::Serialize;
use std::sync::Arc;

/// RFC 6749 5.1, as far as it fits who is no OAuth client.
#[derive(Serialize)]
struct Tokens<'t> {
    access_token: &'t str,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: &'t str,
    /// When the session ends unless it is refreshed.
    refresh_expires_at: String,
    scope: String,
    session: &'t str,
}

#[derive(Serialize)]
struct Opened<'t> {
    session: &'t str,
    principal: &'t str,
    scope: String,
    expires_at: String,
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoKey => Problem {
                reason: Some("no signing key is active, or `[issuer] url` is missing".into()),
                ..Problem::unavailable()
            },
            TokenError::NotOurs(failure) => Problem::new(
                http::StatusCode::UNPROCESSABLE_ENTITY,
                "token_not_ours",
                format!("{}; `countersign token inspect` says more", failure.reason()),
            ),
            TokenError::Store(error) => error.into(),
        }
    }
}

/// To whoever keeps tokens.
pub(crate) fn native(
    sessions: &Sessions,
    record: &SessionRecord,
    refresh: &SecretString,
    now: Timestamp,
) -> Answer {
    let minted = sessions.tokens.mint(record, now)?;
    ok(&Tokens {
        access_token: minted.token.expose(),
        token_type: "Bearer",
        expires_in: minted.expires_in.as_secs(),
        refresh_token: refresh.expose(),
        refresh_expires_at: time::format(record.ends_at()),
        scope: record.scopes.to_string(),
        session: record.id.as_str(),
    })
}

/// What cookies a session of a browser has, on an answer that says the rest.
pub(crate) fn set(
    response: &mut Response<Body>,
    sessions: &Sessions,
    record: &SessionRecord,
    (opaque, refresh): (Option<&SecretString>, Option<&SecretString>),
    now: Timestamp,
) -> Result<(), Problem> {
    let lifetime = record.expires_at.since(now);
    if let Some(opaque) = opaque {
        cookies::set(response, cookie::SESSION, opaque, lifetime)?;
    }
    if let Some(refresh) = refresh {
        set_access(response, sessions, record, now)?;
        cookies::set(response, cookie::REFRESH, refresh, lifetime)?;
    }
    Ok(())
}

pub(crate) fn set_access(
    response: &mut Response<Body>,
    sessions: &Sessions,
    record: &SessionRecord,
    now: Timestamp,
) -> Result<(), Problem> {
    let minted = sessions.tokens.mint(record, now)?;
    cookies::set(response, cookie::SESSION, &minted.token, minted.expires_in)
}

/// RFC 6265bis 5.6: browsers keep no longer one, and the room reads none.
pub(crate) fn fits_a_cookie(
    sessions: &Sessions,
    record: &SessionRecord,
    now: Timestamp,
) -> Result<bool, Problem> {
    let minted = sessions.tokens.mint(record, now)?;
    Ok(cookie::SESSION.len() + minted.token.expose().len() <= cookie::MAX_COOKIE)
}

/// To a script of a page of ours: nothing that it could leak.
pub(crate) fn opened(record: &SessionRecord) -> Answer {
    ok(&Opened {
        session: record.id.as_str(),
        principal: record.principal.as_str(),
        scope: record.scopes.to_string(),
        expires_at: time::format(record.ends_at()),
    })
}

impl Sessions {
    /// What a good access token of ours says, and the key that signed it; whatever else was shown is none.
    pub(crate) fn access_token(&self, shown: &[u8], now: Timestamp) -> Option<(AccessToken, Arc<str>)> {
        self.tokens.read(std::str::from_utf8(shown).ok()?, now).ok()
    }

    /// How a browser's session is kept here.
    pub(crate) fn browser_kind(&self) -> SessionKind {
        if self.issuer.config().jwt_cookie { SessionKind::JwtCookie } else { SessionKind::Cookie }
    }
}
