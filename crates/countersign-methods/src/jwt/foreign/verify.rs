//! Pure: token + issuer + keys + now -> what it establishes, or why not. In the order of RFC 9068 4: what kind of token it
//! is, its algorithm, its key, its signature, whom it is from and for, when, and at last what else it says.

use super::{
    claim_path::ClaimPath,
    config::{self, ExpectedTyp, ForeignIssuer},
    keys::KnownKeys,
};
use countersign_core::{Refusal, Rejection, Timestamp, authenticator::Fault};
use countersign_crypto::{
    derived_id,
    hash::sha256,
    jose::{JwsError, NoKey, UnverifiedJwt, VerifiedJwt},
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Every word of it is its issuer's, and it is for us and for now.
#[derive(Debug)]
pub struct ForeignToken {
    pub(super) verified: VerifiedJwt,
    pub(super) subject: Box<str>,
    /// Those of its audiences that are us.
    pub(super) audiences: Vec<Arc<str>>,
    pub(super) expires_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) authenticated_at: Option<Timestamp>,
    /// Visible ASCII: its `jti`, or a hash of what is signed.
    pub(super) id: Box<str>,
}

/// A claim that is missing where it must not be, or is not what RFC 7519 or RFC 9068 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    Aud,
    Exp,
    Nbf,
    Iat,
    AuthTime,
    Jti,
    Subject,
    Scopes,
}

/// Every way in which a token of somebody else is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing that RFC 7515 calls a token.
    Form(JwsError),
    /// It names no issuer that is trusted.
    UnknownIssuer,
    /// It is no access token by its `typ`.
    Typ,
    /// Not one that the issuer's entry lists.
    Algorithm,
    /// None was fetched yet, or the last are too old: our fault, never the caller's.
    NoKeys,
    /// Its `kid` is none of the issuer's.
    UnknownKey,
    /// It has no `kid`, and the issuer more than one key, or none.
    UnnamedKey,
    /// Its key is of another algorithm.
    OtherAlgorithm,
    Signature,
    /// Signed, and from somebody else.
    OtherIssuer,
    OtherAudience,
    Claim(Claim),
    Expired,
    NotYet,
    /// `iat` is still to come.
    FromTheFuture,
    /// From `iat` to `exp` is longer than may be.
    TooLong,
    /// It has what only ID tokens have, or lacks what only access tokens have.
    IdToken,
    /// RULES 1.4: it is bound to a key (`cnf`), and nothing here can ask for that.
    Bound,
}

impl Failure {
    /// What the caller gets, and what the operator reads. Only of a token that is its issuer's is more told.
    pub fn refusal(self) -> Refusal {
        let (code, reason) = match self {
            Self::NoKeys => return Refusal::Unavailable,
            Self::Expired => ("token_expired", "the token is expired"),
            _ => ("credential_invalid", self.reason()),
        };
        Refusal::Rejected(Rejection { fault: Fault::Invalid, code, reason })
    }

    /// For the operator.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Form(error) => form(error),
            Self::UnknownIssuer => "the token names no issuer that is trusted",
            Self::Typ => "the token is no access token by its `typ`",
            Self::Algorithm => "the token's `alg` is none that its issuer's entry lists",
            Self::NoKeys => "no keys of the token's issuer are known, or they are older than a day",
            Self::UnknownKey => "the token's `kid` is none of its issuer's keys",
            Self::UnnamedKey => "the token has no `kid`, and its issuer not exactly one key for it",
            Self::OtherAlgorithm => "the token's `alg` is not that of its key",
            Self::Signature => "the token's signature was not made by its issuer's key",
            Self::OtherIssuer => "the token is from another issuer",
            Self::OtherAudience => "the token is for another audience",
            Self::Claim(Claim::Aud) => {
                "the token's `aud` is missing, or is neither a string nor a list of strings"
            }
            Self::Claim(Claim::Exp) => "the token's `exp` is missing, or is no time",
            Self::Claim(Claim::Nbf) => "the token's `nbf` is no time",
            Self::Claim(Claim::Iat) => "the token's `iat` is no time",
            Self::Claim(Claim::AuthTime) => "the token's `auth_time` is no time",
            Self::Claim(Claim::Jti) => "the token's `jti` is not a string",
            Self::Claim(Claim::Subject) => "the token's subject is missing, or is not 1 to 255 characters",
            Self::Claim(Claim::Scopes) => "the token's scopes are neither a string nor a list of strings",
            Self::Expired => "the token is expired",
            Self::NotYet => "the token is not good yet",
            Self::FromTheFuture => "the token was issued in the future: one of two clocks is wrong",
            Self::TooLong => "the token is good for longer than `longest` of its issuer's entry",
            Self::IdToken => "the token is an ID token, or lacks the claim that tells it from one",
            Self::Bound => "the token is bound to a key (`cnf`), which cannot be asked for here",
        }
    }
}

impl From<JwsError> for Failure {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::Signature => Self::Signature,
            JwsError::OtherAlgorithm => Self::OtherAlgorithm,
            error => Self::Form(error),
        }
    }
}

fn form(error: JwsError) -> &'static str {
    match error {
        JwsError::TooLong => "the token is longer than 16384 bytes",
        JwsError::NotCompact => "the token is not three parts with a full stop between them",
        JwsError::Base64(_) => "a part of the token is not base64url",
        JwsError::Json(..) => "a part of the token is not one JSON object without members that stand twice",
        JwsError::Header(_) => "a member of the token's header is missing or is not a fitting string",
        JwsError::UnknownAlgorithm => "the token's `alg` is none that is believed",
        JwsError::OtherAlgorithm => "the token's `alg` is not that of its key",
        JwsError::Extension => "the token's header asks for an extension that is not known",
        JwsError::Nested => "the token holds another token",
        JwsError::Signature => "the token's signature was not made by its issuer's key",
    }
}

/// `issuer` is the one that the token names, which is compared again once that is its own word.
pub fn verify(
    unverified: UnverifiedJwt<'_>,
    issuer: &ForeignIssuer,
    keys: Option<&KnownKeys>,
    now: Timestamp,
) -> Result<ForeignToken, Failure> {
    typ(unverified.typ(), &issuer.typ)?;
    if !issuer.algorithms.contains(&unverified.algorithm()) {
        return Err(Failure::Algorithm);
    }
    let keys = keys.filter(|keys| keys.are_usable(now)).ok_or(Failure::NoKeys)?;
    let key = keys.set.find(unverified.kid(), unverified.algorithm()).map_err(|error| match error {
        NoKey::Unknown => Failure::UnknownKey,
        NoKey::Unnamed => Failure::UnnamedKey,
        NoKey::OtherAlgorithm => Failure::OtherAlgorithm,
    })?;
    let signed = unverified.signed();
    let verified = unverified.verify(key)?;
    let claims = verified.claims();
    if claims.get("iss").and_then(Value::as_str) != Some(&issuer.issuer) {
        return Err(Failure::OtherIssuer);
    }
    let audiences = audiences(claims, issuer)?;
    let times = times(claims, issuer, now)?;
    access_token(claims, &issuer.typ)?;
    // RULES 1.4. Whatever it holds: one that is empty was meant to hold something
    if claims.contains_key("cnf") {
        return Err(Failure::Bound);
    }
    // `act` and `may_act` (RFC 8693 4.1, 4.4) say more of whom it is from and nothing that it may not do
    let subject = text(claims, &issuer.claims.subject)
        .filter(|subject| config::is_subject(subject))
        .ok_or(Failure::Claim(Claim::Subject))?
        .into();
    if issuer.claims.scopes.find(claims).is_some_and(|value| words(value).is_none()) {
        return Err(Failure::Claim(Claim::Scopes));
    }
    let id = id(claims, signed)?;
    let (expires_at, not_before, authenticated_at) = times;
    Ok(ForeignToken { subject, audiences, expires_at, not_before, authenticated_at, id, verified })
}

/// RFC 9068 2.1, 4; media types are compared without regard to case.
fn typ(typ: Option<&str>, expected: &ExpectedTyp) -> Result<(), Failure> {
    let is = |name: &str| typ.is_some_and(|typ| typ.eq_ignore_ascii_case(name));
    let good = match expected {
        ExpectedTyp::AccessToken => is("at+jwt") || is("application/at+jwt"),
        ExpectedTyp::Jwt { absent_ok, .. } => is("JWT") || (*absent_ok && typ.is_none()),
    };
    if good { Ok(()) } else { Err(Failure::Typ) }
}

/// OpenID Connect Core 3.1.3.6, 3.3.2.11: what binds an ID token to others stands in no access token.
fn access_token(claims: &Map<String, Value>, expected: &ExpectedTyp) -> Result<(), Failure> {
    let ExpectedTyp::Jwt { required_claim, .. } = expected else { return Ok(()) };
    let bound = claims.contains_key("at_hash") || claims.contains_key("c_hash");
    if bound || required_claim.find(claims).is_none() { Err(Failure::IdToken) } else { Ok(()) }
}

/// RFC 7519 4.1.3: a string, or several.
fn audiences(claims: &Map<String, Value>, issuer: &ForeignIssuer) -> Result<Vec<Arc<str>>, Failure> {
    let named: Option<Vec<&str>> = match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one]),
        Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let named = named.filter(|named| !named.is_empty()).ok_or(Failure::Claim(Claim::Aud))?;
    let ours: Vec<_> =
        issuer.audiences.iter().filter(|audience| named.contains(&&***audience)).cloned().collect();
    if ours.is_empty() { Err(Failure::OtherAudience) } else { Ok(ours) }
}

type Times = (Timestamp, Option<Timestamp>, Option<Timestamp>);

/// RFC 7519 4.1.4 to 4.1.6.
fn times(claims: &Map<String, Value>, issuer: &ForeignIssuer, now: Timestamp) -> Result<Times, Failure> {
    let expires_at = time(claims, "exp", Claim::Exp)?.ok_or(Failure::Claim(Claim::Exp))?;
    let not_before = time(claims, "nbf", Claim::Nbf)?.map(|at| at.saturating_sub(issuer.leeway));
    let issued_at = time(claims, "iat", Claim::Iat)?;
    let authenticated_at = time(claims, "auth_time", Claim::AuthTime)?;
    if now >= expires_at {
        return Err(Failure::Expired);
    }
    if not_before.is_some_and(|at| now < at) {
        return Err(Failure::NotYet);
    }
    if issued_at.max(authenticated_at).is_some_and(|at| now + issuer.leeway < at) {
        return Err(Failure::FromTheFuture);
    }
    // one that does not say when it was made may have been made now
    if expires_at.since(issued_at.unwrap_or(now)) > issuer.longest {
        return Err(Failure::TooLong);
    }
    Ok((expires_at, not_before, authenticated_at.or(issued_at).map(|at| at.min(now))))
}

/// RFC 7519 2, NumericDate: seconds, also with a fraction; from 1970 to the year 9999. Neither absent nor null is one.
fn time(claims: &Map<String, Value>, name: &str, claim: Claim) -> Result<Option<Timestamp>, Failure> {
    const BEYOND: i64 = 253_402_300_800;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let bad = Failure::Claim(claim);
    if let Some(seconds) = value.as_i64() {
        return if (0..BEYOND).contains(&seconds) {
            Ok(Some(Timestamp::from_seconds(seconds)))
        } else {
            Err(bad)
        };
    }
    let seconds = value.as_f64().ok_or(bad)?;
    if !(0.0..BEYOND as f64).contains(&seconds) {
        return Err(bad);
    }
    // within the range, so that none of it is lost but what is below a millisecond
    let millis = u64::try_from((seconds * 1000.0) as i64).map_err(|_| bad)?;
    Ok(Some(Timestamp::EPOCH + Duration::from_millis(millis)))
}

/// What a revocation of this one token names. A `jti` that is no plain word would not come through a header or a command.
fn id(claims: &Map<String, Value>, signed: &str) -> Result<Box<str>, Failure> {
    let is_plain = |jti: &str| (1..=128).contains(&jti.len()) && jti.bytes().all(|b| b.is_ascii_graphic());
    match claims.get("jti") {
        Some(Value::String(jti)) if is_plain(jti) => return Ok(jti.as_str().into()),
        None | Some(Value::String(_)) => {}
        Some(_) => return Err(Failure::Claim(Claim::Jti)),
    }
    Ok(derived_id(sha256(&[signed.as_bytes()]), 20).into())
}

pub(super) fn text<'c>(claims: &'c Map<String, Value>, path: &ClaimPath) -> Option<&'c str> {
    path.find(claims)?.as_str()
}

/// Words with spaces between them (RFC 6749 3.3), or a list of words. None: neither.
pub(super) fn words(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(text.split(' ').filter(|word| !word.is_empty()).collect()),
        Value::Array(words) => words.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
