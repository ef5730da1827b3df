//! The use of signed tokens and of the cookie, over ports: find -> whose is it? -> key or session -> verify.
//!
//! ```text
//! `kid` is one of our session keys ──────────> ours, whatever its `iss` says
//! Bearer, `iss` is an issuer that is trusted ─> foreign ──its entry lists the subject──> who has that name here?
//! anything else ────────────────────────────> nobody's
//! ```

use super::{
    config::JwtConfig,
    credential,
    foreign::{ForeignIssuers, ForeignOutcome, LocalOutcome, TrustedIssuer},
    inspect::{Inspection, Judge},
    issue::JwtIssuer,
    verify::{self, Failure},
};
use crate::{
    exposure::{Exposed, Exposures},
    principal::store::PrincipalStore,
    session::{issue::SessionIssuer, uses::Uses},
    signing::{keys::OpenKey, record::SigningKeyRecord},
};
use countersign_core::{
    Authentication, Authenticator, Found, MethodName, MethodRule, Place, Presented, Timestamp,
    authenticator::{CacheKey, Confirmation, Ending, Verification},
    challenge::Challenge,
    check::{request::CheckRequest, route::Route},
};
use countersign_crypto::{FingerprintKey, jose::UnverifiedJwt};
use std::sync::Arc;

/// What the room is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub issuer: Arc<JwtIssuer>,
    /// `None`: the configuration has none, and no cookie counts.
    pub sessions: Option<Arc<SessionIssuer>>,
    /// Whose tokens are believed beside our own.
    pub foreign: ForeignIssuers,
    /// Where those of them are found who are principals here.
    pub principals: Arc<dyn PrincipalStore>,
    pub fingerprint: Arc<FingerprintKey>,
    pub uses: Arc<Uses>,
    pub exposures: Arc<Exposures>,
}

/// By what a token names, before anything of it is believed.
enum Whose<'a> {
    Ours(Arc<OpenKey>),
    Trusted(&'a TrustedIssuer),
    Nobodys,
}

#[derive(Debug)]
pub struct JwtAuthenticator {
    parts: Parts,
}

impl JwtAuthenticator {
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    fn config(&self) -> &JwtConfig {
        self.parts.issuer.config()
    }

    async fn look_up_and_verify(
        &self,
        place: Place,
        value: &[u8],
        now: Timestamp,
    ) -> Result<Authentication, Failure> {
        if place == Place::Cookie
            && let Some(sessions) = &self.parts.sessions
            && sessions.is_cookie(value)
        {
            let session = sessions.of_cookie(value, now).await.map_err(|_| Failure::Store)?;
            return session.map(verify::of_session).ok_or(Failure::Over);
        }
        let text = std::str::from_utf8(value).map_err(|_| Failure::UnknownKey)?;
        let unverified = UnverifiedJwt::parse(text)?;
        match self.whose(&unverified) {
            Whose::Ours(key) => {
                let token = self.parts.issuer.signed_with(&key, unverified, now)?;
                Ok(verify::of_token(token, &key.kid, place))
            }
            // RULES 1.4: a Bearer value; the cookie is of a session of ours, and nobody else's token becomes one by standing there
            Whose::Trusted(_) if place == Place::Authorization => {
                match self.parts.foreign.authenticate(unverified, place, now)? {
                    ForeignOutcome::Foreign(authentication) => Ok(*authentication),
                    ForeignOutcome::Local(local) => self.local(*local).await,
                }
            }
            Whose::Trusted(_) | Whose::Nobodys => Err(Failure::UnknownKey),
        }
    }

    /// RULES 1.4.
    fn whose(&self, token: &UnverifiedJwt<'_>) -> Whose<'_> {
        if let Some(key) = self.parts.issuer.key_of(token) {
            return Whose::Ours(key);
        }
        token.iss().and_then(|iss| self.parts.foreign.of(iss)).map_or(Whose::Nobodys, Whose::Trusted)
    }

    pub fn issuer(&self) -> &Arc<JwtIssuer> {
        &self.parts.issuer
    }

    pub fn issuers(&self) -> &ForeignIssuers {
        &self.parts.foreign
    }

    /// A Bearer value, as at the gateway.
    pub async fn judge(&self, token: &str, now: Timestamp) -> Result<Authentication, Failure> {
        self.look_up_and_verify(Place::Authorization, token.as_bytes(), now).await
    }

    /// The same, with every check told. `key`: what is kept under the `kid` that it names.
    pub async fn inspect(&self, token: &str, key: Option<&SigningKeyRecord>, now: Timestamp) -> Inspection {
        let verdict = self.judge(token, now).await;
        let unverified = UnverifiedJwt::parse(token).ok();
        let judge = match unverified.as_ref().map(|token| self.whose(token)) {
            Some(Whose::Trusted(trusted)) => Judge::Issuer(trusted.config.clone()),
            _ => Judge::Ours(self.config().issuer.clone()),
        };
        Inspection::of(token, verdict, &judge, key, now)
    }

    /// RULES 1.8. Whether they may come at all is the judgement's to ask, as for every credential of theirs.
    async fn local(&self, token: LocalOutcome) -> Result<Authentication, Failure> {
        let found = self.parts.principals.find_by_name(token.name()).await.map_err(|_| Failure::Store)?;
        let principal = found.ok_or(Failure::NoPrincipal)?;
        Ok(token.speaks_for(&principal.id))
    }

    /// Of what was begun with a token of an issuer, whose sessions we do not see. `None`: a session of ours says when.
    fn end_in_memory(&self, known: &Authentication) -> Option<Timestamp> {
        match &known.issuer {
            Some(name) => {
                let end = known.expires_at?;
                Some(self.parts.foreign.named(name).map_or(end, |trusted| trusted.config.stream_end(end)))
            }
            None if self.parts.sessions.is_some() => None,
            None => known.expires_at,
        }
    }

    /// Whose was seen where it should not have been, if anybody's: it is still good.
    pub async fn exposed(&self, exposed: &Exposed, now: Timestamp) -> Option<Authentication> {
        self.look_up_and_verify(exposed.place, exposed.credential.expose(), now).await.ok()
    }
}

impl Authenticator for JwtAuthenticator {
    fn method(&self) -> MethodName {
        MethodName::Jwt
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r> {
        let Some(shown) = credential::find(request, accepts.cookies && self.parts.sessions.is_some()) else {
            return Found::Absent;
        };
        let place: &[u8] = if shown.place == Place::Cookie { b"cookie" } else { b"bearer" };
        // RULES 1.1. Of ES256 a text has two signatures; both are good, and each is known by itself.
        let cache_key = self.parts.fingerprint.of(&[TAG, place, shown.value]);
        Found::Present(Presented {
            cache_key: Some(CacheKey(cache_key)),
            place: shown.place,
            credential: shown.value,
            from: request.peer.address,
        })
    }

    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        _accepts: &'a MethodRule,
        now: Timestamp,
    ) -> Verification<'a> {
        Box::pin(async move {
            let verified = self.look_up_and_verify(presented.place, presented.credential, now).await;
            verified.map_err(Failure::refusal)
        })
    }

    /// One that is bound to a key was refused; whose page sent a cookie is the judgement's to ask (RULES 1.6).
    fn confirm<'a>(
        &'a self,
        _known: &'a Authentication,
        _request: &'a CheckRequest<'_>,
        _now: Timestamp,
    ) -> Confirmation<'a> {
        Confirmation::Done(Ok(()))
    }

    /// A token of ours stands for a session, which goes on.
    fn is_over(&self, known: &Authentication, now: Timestamp) -> bool {
        self.end_in_memory(known).is_some_and(|end| end <= now)
    }

    fn ends<'a>(&'a self, known: &'a Authentication, now: Timestamp) -> Ending<'a> {
        Box::pin(async move {
            let Some(sessions) = self.parts.sessions.as_ref().filter(|_| known.issuer.is_none()) else {
                return Ok(self.end_in_memory(known));
            };
            Ok(sessions.ends(&known.credential, now).await?.or(Some(now)))
        })
    }

    /// RFC 6750 3.
    fn challenge(&self, _route: &Route) -> Option<Challenge> {
        Challenge::new("Bearer", &[("realm", &self.config().realm)])
    }

    fn exposed(&self, presented: &Presented<'_>, now: Timestamp) {
        self.parts.exposures.note(MethodName::Jwt, presented, now);
    }

    /// A session that only shows its cookie rests otherwise.
    fn used(&self, known: &Authentication, _route: &Route, now: Timestamp) {
        if known.place == Place::Cookie && known.issuer.is_none() && known.noted.is_due(now) {
            self.parts.uses.note(&known.credential, now);
        }
    }
}

/// RULES 1.1: method and place; the room has one configuration.
const TAG: &[u8] = b"jwt";
