//! Access tokens of external issuers that are trusted (RFC 9068, RFC 8725; RULES 1.4, 1.8, 5.3): what is believed of an
//! issuer ([`config`]), its keys and when they are fetched ([`keys`]), a token held against both ([`verify`]), and who it
//! is about here ([`identity`]). Nothing is kept of such a token; what ends it before its time is the feed, by its node or
//! its principal's. Does not fetch, and knows no principal of ours beyond its name: who that is, the room looks up.
//! Next in the walk: `server/egress/jwks`, which fills a [`KeySource`].
//!
//! ```text
//! token ──iss──> issuer ──typ, alg──> kid ──> key ──signature──> iss, aud, exp, nbf, iat, cnf, sub ──> Authentication
//! ```

pub mod claim_path;
pub mod config;
pub mod identity;
pub mod keys;
pub mod verify;

pub use claim_path::ClaimPath;
pub use config::{ClaimNames, ExpectedTyp, ForeignIssuer, IssuerName, IssuerProblem, KeyOrigin};
pub use identity::{ForeignOutcome, LocalOutcome};
pub use keys::{FixedKeys, Freshness, KeySource, KnownKeys};
pub use verify::{Claim, Failure, ForeignToken};

use countersign_core::{Place, Timestamp};
use countersign_crypto::jose::UnverifiedJwt;
use std::sync::Arc;

/// One that is trusted, and where its keys are found.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    pub config: Arc<ForeignIssuer>,
    pub keys: Arc<dyn KeySource>,
}

/// All of them. They are few.
#[derive(Debug, Clone, Default)]
pub struct ForeignIssuers(Arc<[TrustedIssuer]>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssuersError {
    #[error("the issuer `{name}`: {problem}")]
    Issuer { name: IssuerName, problem: IssuerProblem },
    #[error("two issuers have the name `{0}`, or the same `iss`")]
    Twice(IssuerName),
}

impl ForeignIssuers {
    pub fn new(issuers: impl IntoIterator<Item = TrustedIssuer>) -> Result<Self, IssuersError> {
        let mut all: Vec<TrustedIssuer> = Vec::new();
        for issuer in issuers {
            let config = &issuer.config;
            let name = config.name.clone();
            if let Some(problem) = config.problems().into_iter().next() {
                return Err(IssuersError::Issuer { name, problem });
            }
            if all.iter().any(|other| other.config.name == name || other.config.issuer == config.issuer) {
                return Err(IssuersError::Twice(name));
            }
            all.push(issuer);
        }
        Ok(Self(all.into()))
    }

    /// RFC 8725 3.8: to the letter.
    pub fn of(&self, iss: &str) -> Option<&TrustedIssuer> {
        self.0.iter().find(|issuer| &*issuer.config.issuer == iss)
    }

    /// As an authentication says who vouches for it.
    pub fn named(&self, name: &str) -> Option<&TrustedIssuer> {
        self.0.iter().find(|issuer| issuer.config.name.as_str() == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `place` goes into the answer: a cached yes is good for the place where it was given (RULES 1.1).
    pub fn authenticate(
        &self,
        unverified: UnverifiedJwt<'_>,
        place: Place,
        now: Timestamp,
    ) -> Result<ForeignOutcome, Failure> {
        let trusted = unverified.iss().and_then(|iss| self.of(iss)).ok_or(Failure::UnknownIssuer)?;
        let keys = trusted.keys.keys();
        let token =
            verify::verify(unverified, &trusted.config, keys.as_deref(), now).inspect_err(|failure| {
                if *failure == Failure::UnknownKey {
                    trusted.keys.wanted();
                }
            })?;
        Ok(identity::outcome(&token, &trusted.config, place, now))
    }
}

#[cfg(test)]
mod tests;
