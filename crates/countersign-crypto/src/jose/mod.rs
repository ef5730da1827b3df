//! Signed tokens of the compact form (RFC 7515, 7517, 7519), as RFC 8725 wants them read. What is not verified may be
//! asked what its key is found by and nothing else; a key knows its one algorithm, and the token only repeats it.
//!
//! Does not know what a claim means, when a token ends or where keys come from: that is the rooms'. Next in the walk:
//! [`UnverifiedJwt::parse`], [`JwkSet::find`], [`UnverifiedJwt::verify`]; [`sign`] for our own.

mod algorithm;
mod json;
mod jwk;
mod jwk_set;
mod jws;
mod thumbprint;
mod unverified;

pub use algorithm::Algorithm;
pub use json::JsonError;
pub use jwk::{Jwk, JwkError, VerifyingKey};
pub use jwk_set::{JwkSet, JwkSetError, LONGEST_JWK_SET, NoKey, Skipped, WhySkipped};
pub use jws::sign;
pub use unverified::{JwsError, LONGEST_TOKEN, Part, UnverifiedJwt, VerifiedJwt};

#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Of a `kid`, in bytes: it is looked up, never a path or a query.
const LONGEST_KEY_ID: usize = 256;

/// RFC 7515 2: no padding, no white space. Bits beyond the last byte are zero (RFC 4648 3.5), so that a value has one
/// form.
fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn base64url_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
