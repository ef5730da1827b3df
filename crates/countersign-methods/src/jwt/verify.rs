//! Pure: a token that its key verified, or a session that a cookie opened, and now -> Authentication or Failure.

use super::{
    claims, foreign,
    record::{AccessToken, TYP},
};
use crate::session::record::SessionRecord;
use countersign_core::{
    Authentication, Lineage, MethodName, Node, Noted, Place, Refusal, Rejection, Timestamp,
    authenticator::Fault,
};
use countersign_crypto::jose::{JwsError, VerifiedJwt};
use std::{sync::Arc, time::Duration};

/// Between the clocks of two of our machines (RFC 7519 4.1.4).
pub(super) const LEEWAY: Duration = Duration::from_secs(60);

/// Why a token was not believed. For the operator; a caller hears of none but an end that it has proved to have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Not a compact JWS as it is read here, or not signed by the key it names.
    Jws(JwsError),
    /// Neither a key of ours nor an issuer that is trusted.
    UnknownKey,
    /// Another kind of token.
    Typ,
    Issuer,
    /// Missing, of another type, or what nothing here signs.
    Claim(&'static str),
    /// RFC 7800: it is bound to a key, and no proof of that is read here.
    Confirmation,
    Expired,
    /// Issued after now.
    NotYet,
    /// No session stands behind the cookie.
    Over,
    /// Of an issuer that is trusted.
    Foreign(foreign::Failure),
    /// Its issuer's entry makes it one of ours, by a name that nobody has.
    NoPrincipal,
    Store,
}

impl Failure {
    pub fn reason(self) -> &'static str {
        match self {
            Failure::Jws(JwsError::Signature) => "a signature that the key did not make",
            Failure::Jws(JwsError::OtherAlgorithm) => "an algorithm that is not the key's",
            Failure::Jws(_) => "not a signed token as RFC 7515 and RFC 8725 want it",
            Failure::UnknownKey => "signed by no key of ours, for no issuer that is trusted",
            Failure::Typ => "a token of another type",
            Failure::Issuer => "a token of another issuer",
            Failure::Claim(_) => "a claim that is missing, or is not what is signed here",
            Failure::Confirmation => "bound to a key, whose proof is not read here",
            Failure::Expired => "token expired",
            Failure::NotYet => "token issued in the future",
            Failure::Over => "no session behind the cookie",
            Failure::Foreign(failure) => failure.reason(),
            Failure::NoPrincipal => "`local` of its issuer's entry names a principal that does not exist",
            Failure::Store => "the store did not answer",
        }
    }

    pub fn refusal(self) -> Refusal {
        let code = match self {
            Failure::Store => return Refusal::Unavailable,
            Failure::Foreign(failure) => return failure.refusal(),
            // the signature held, so whoever shows it had it
            Failure::Expired => "token_expired",
            _ => "credential_invalid",
        };
        Refusal::Rejected(Rejection { fault: Fault::Invalid, code, reason: self.reason() })
    }
}

impl From<JwsError> for Failure {
    fn from(error: JwsError) -> Self {
        Failure::Jws(error)
    }
}

impl From<foreign::Failure> for Failure {
    fn from(failure: foreign::Failure) -> Self {
        Failure::Foreign(failure)
    }
}

/// An access token of ours, whose signature holds. In the order of RFC 9068 4.
pub fn access_token(token: &VerifiedJwt, issuer: &str, now: Timestamp) -> Result<AccessToken, Failure> {
    if token.typ() != Some(TYP) {
        return Err(Failure::Typ);
    }
    // whatever is in it: who binds a token means that nobody else may use it
    if token.claims().contains_key("cnf") {
        return Err(Failure::Confirmation);
    }
    // RFC 7519 4.1.5: it must be heard, and nothing here writes it
    if token.claims().contains_key("nbf") {
        return Err(Failure::Claim("nbf"));
    }
    let token = claims::read(token.claims())?;
    if &*token.issuer != issuer {
        return Err(Failure::Issuer);
    }
    if now >= token.expires_at {
        return Err(Failure::Expired);
    }
    if token.issued_at > now + LEEWAY {
        return Err(Failure::NotYet);
    }
    Ok(token)
}

pub fn of_token(token: AccessToken, kid: &str, place: Place) -> Authentication {
    Authentication {
        lineage: token.lineage(kid),
        principal: token.principal,
        method: MethodName::Jwt,
        credential: token.session,
        issuer: None,
        audiences: Some(token.audiences),
        scopes: token.scopes,
        authenticated_at: token.authenticated_at,
        networks: Arc::new([]),
        place,
        not_before: None,
        expires_at: Some(token.expires_at),
        limit: None,
        plan: None,
        foreign: None,
        noted: Noted::default(),
    }
}

/// The session that a cookie opened.
pub fn of_session(record: SessionRecord) -> Authentication {
    let own = [Node::principal(&record.principal), record.node()];
    Authentication {
        lineage: Lineage::new(own.into_iter().chain(record.parents.iter().cloned())),
        expires_at: Some(record.ends_at()),
        principal: record.principal,
        method: MethodName::Jwt,
        credential: record.id,
        issuer: None,
        audiences: Some(record.audiences),
        scopes: record.scopes,
        authenticated_at: record.authenticated_at,
        networks: Arc::new([]),
        place: Place::Cookie,
        not_before: None,
        limit: None,
        plan: None,
        foreign: None,
        noted: Noted::default(),
    }
}
