//! The printed examples, the vectors of others, what is refused, and what we make ourselves.

mod bad_keys;
mod bad_tokens;
mod jwk_set;
mod ours;
mod rfc;
mod wycheproof;

use super::{Algorithm, Jwk, JwkError, VerifyingKey, base64url_of};
use crate::secret::SecretBytes;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

const ALL: [Algorithm; 4] = [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519];

/// Of tests alone: signs whatever it is given.
struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap())
    }

    fn key(&self) -> VerifyingKey {
        VerifyingKey::ed25519(self.0.public_key().as_ref()).unwrap()
    }

    fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_encoded(&base64url_of(header.as_ref()), &base64url_of(payload.as_ref()))
    }

    fn sign_encoded(&self, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = base64url_of(self.0.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }
}

fn jwk(json: &str) -> Result<Jwk, JwkError> {
    Jwk::parse(json.as_bytes(), &ALL)
}

fn secret(bytes: &[u8]) -> Result<VerifyingKey, JwkError> {
    VerifyingKey::secret(SecretBytes::new(bytes.to_vec()))
}
