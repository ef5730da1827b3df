//! A token as it came (RFC 7515 7.1, 5.2). It may be asked which issuer, which key and which kind it names, so that the
//! key can be found; what else it says is heard when the key has verified it.

use super::{Algorithm, JsonError, LONGEST_KEY_ID, VerifyingKey, base64url, json};
use serde_json::{Map, Value};
use std::fmt;

/// In bytes. Header fields of a request are bounded too, but a token also comes in a body.
pub const LONGEST_TOKEN: usize = 16 * 1024;

pub struct UnverifiedJwt<'t> {
    /// `BASE64URL(header) . BASE64URL(payload)`
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// Made by [`UnverifiedJwt::verify`] alone: the key signed every word of it.
pub struct VerifiedJwt {
    typ: Option<String>,
    claims: Map<String, Value>,
}

/// Where in a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Header,
    Payload,
    Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    #[error("a token is longer than 16384 bytes")]
    TooLong,
    #[error("a token is not three parts with a full stop between them (an encrypted one has five)")]
    NotCompact,
    #[error(
        "the {0} of a token is not base64url as RFC 7515 2 wants it: no padding, no white space, no bits left over"
    )]
    Base64(Part),
    #[error("the {0} of a token cannot be taken: {1}")]
    Json(Part, JsonError),
    #[error("`{0}` of a token's header is missing or is not a string of a fitting length")]
    Header(&'static str),
    #[error("the `alg` of a token is none that is believed here")]
    UnknownAlgorithm,
    #[error("the `alg` of a token is not the one of its key")]
    OtherAlgorithm,
    // RFC 7515 4.1.11; of RFC 7797 `b64` the same: nothing here is signed that way
    #[error("a token's header asks for an extension that is not known here (`crit`, `b64` or `zip`)")]
    Extension,
    #[error("a token holds another token (`cty`)")]
    Nested,
    #[error("the signature of a token was not made by the key")]
    Signature,
}

impl<'t> UnverifiedJwt<'t> {
    pub fn parse(token: &'t str) -> Result<Self, JwsError> {
        if token.len() > LONGEST_TOKEN {
            return Err(JwsError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::NotCompact)?;
        if payload.contains('.') {
            return Err(JwsError::NotCompact);
        }
        let header = object(header, Part::Header)?;
        let algorithm = header_of(&header)?;
        let claims = object(payload, Part::Payload)?;
        let signature = base64url(signature).ok_or(JwsError::Base64(Part::Signature))?;
        Ok(Self { signed, signature, algorithm, header, claims })
    }

    /// To find the key by, and to compare again once it is verified.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    pub fn kid(&self) -> Option<&str> {
        self.header.get("kid")?.as_str()
    }

    /// To find the key by; the key has to agree.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// To refuse it by, before a signature is computed.
    pub fn typ(&self) -> Option<&str> {
        self.header.get("typ")?.as_str()
    }

    /// What the signature is over: to name a token by that has no `jti`.
    pub fn signed(&self) -> &'t str {
        self.signed
    }

    /// The key says which algorithm; `jwk`, `jku`, `x5c` and `x5u` of the header say nothing (RFC 8725 3.10).
    ///
    /// Of ES256 there are two signatures, (r, s) and (r, n - s), for one text: who remembers a token for good or for bad
    /// names it by its `jti` or by what is signed, never by the whole of it.
    pub fn verify(self, key: &VerifyingKey) -> Result<VerifiedJwt, JwsError> {
        if self.algorithm != key.algorithm() {
            return Err(JwsError::OtherAlgorithm);
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(JwsError::Signature);
        }
        let typ = self.header.get("typ").and_then(Value::as_str).map(str::to_owned);
        Ok(VerifiedJwt { typ, claims: self.claims })
    }
}

impl VerifiedJwt {
    /// As it stands there: `at+jwt`, `JWT`, or nothing.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

fn object(part: &str, which: Part) -> Result<Map<String, Value>, JwsError> {
    let bytes = base64url(part).ok_or(JwsError::Base64(which))?;
    json::object(&bytes).map_err(|error| JwsError::Json(which, error))
}

/// Everything of a header that decides whether the rest is looked at.
fn header_of(header: &Map<String, Value>) -> Result<Algorithm, JwsError> {
    if ["crit", "b64", "zip"].iter().any(|extension| header.contains_key(*extension)) {
        return Err(JwsError::Extension);
    }
    for (name, longest) in [("kid", LONGEST_KEY_ID), ("typ", 64), ("cty", 64)] {
        if header.get(name).is_some_and(|value| value.as_str().is_none_or(|text| text.len() > longest)) {
            return Err(JwsError::Header(name));
        }
    }
    // RFC 7519 5.2; media types are compared without regard to case
    if header.get("cty").and_then(Value::as_str).is_some_and(|cty| cty.to_ascii_lowercase().ends_with("jwt"))
    {
        return Err(JwsError::Nested);
    }
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(JwsError::Header("alg"))?;
    Algorithm::named(algorithm).ok_or(JwsError::UnknownAlgorithm)
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

impl fmt::Debug for UnverifiedJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedJwt({}, ..)", self.algorithm.name())
    }
}

impl fmt::Debug for VerifiedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedJwt({:?}, ..)", self.typ)
    }
}
