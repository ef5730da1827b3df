//! First-party sessions as browsers and programs meet them, under `/.countersign/` on each host of the gateway that takes them
//! (RULES 1.6, 3.6): [`login`] and what it sets ([`cookies`]), [`refresh`], [`logout`], one's own sessions ([`mine`]), the exchange
//! of a credential for one below it ([`exchange`]), and the keys by which what is signed here is verified ([`jwks`]). Judges
//! nobody and keeps nothing: the gateway has judged, the halls of `countersign-methods` keep. Next in the walk:
//! `methods/session/issue`.

pub(crate) mod cookies;
pub(crate) mod exchange;
pub(crate) mod jwks;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod mine;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod refresh;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tokens;

use crate::{problem::Problem, services::Sessions};
use countersign_core::check::request::Transport;
use countersign_methods::session::issue::SessionError;
use http::StatusCode;
use std::sync::Arc;

use crate::call::Facts;

impl Facts {
    /// The configuration has sessions, and this came by a way on which secrets may travel (RULES 1.7).
    pub(crate) fn sessions(&self) -> Result<Arc<Sessions>, Problem> {
        if self.peer.transport == Transport::Plain {
            let detail =
                "this came without TLS; use https, and change what was sent: somebody may have seen it";
            return Err(Problem::new(StatusCode::FORBIDDEN, "tls_required", detail));
        }
        self.services.sessions.clone().ok_or_else(off)
    }
}

pub(crate) fn off() -> Problem {
    Problem::not_found("sessions_off", "nobody signs in here: the configuration has no `[sessions]`")
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Over => {
                let mut problem = Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "session_over",
                    "the session is over, or there never was one; sign in again",
                );
                problem.challenge = true;
                problem
            }
            SessionError::Unknown => Problem::not_found("session_unknown", "there is no such session"),
            SessionError::ScopesBeyondOwner(beyond) => Problem::new(
                StatusCode::FORBIDDEN,
                "scope_beyond_owner",
                format!("whoever signs in does not have `{beyond}`; ask for less, or leave `scope` out"),
            ),
            SessionError::Blind => Problem {
                reason: Some("the feed is blind: what was called back may not be known here".into()),
                ..Problem::unavailable()
            },
            SessionError::Seal => Problem {
                reason: Some("a token could not be sealed or opened".into()),
                ..Problem::internal()
            },
            SessionError::Store(error) => error.into(),
        }
    }
}
