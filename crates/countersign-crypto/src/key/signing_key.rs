//! A private key that signs tokens, with its one algorithm.

use crate::{
    jose::{Algorithm, VerifyingKey},
    secret::SecretBytes,
};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use std::fmt;

pub struct SigningKey {
    pair: Pair,
    verifying: VerifyingKey,
}

enum Pair {
    P256(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    #[error("`HS256` signs nothing here: its secret is another issuer's")]
    Symmetric,
    #[error("a private key is not in PKCS #8, or is none of the algorithm it is kept for")]
    Unreadable,
    #[error("the library could not make a key or a signature")]
    Library,
}

impl From<Unspecified> for SigningKeyError {
    fn from(_: Unspecified) -> Self {
        Self::Library
    }
}

impl SigningKey {
    /// RSA: 2048 bits, which takes up to a second; what signs for minutes is gone long before 2048 bits are (NIST SP
    /// 800-57 part 1, table 4).
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                Pair::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?))
            }
            Algorithm::Ed25519 => Pair::Ed25519(Box::new(Ed25519KeyPair::generate()?)),
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048)?))
            }
            Algorithm::Hs256 => return Err(SigningKeyError::Symmetric),
        };
        Self::of(pair, algorithm)
    }

    pub fn from_pkcs8(algorithm: Algorithm, bytes: &SecretBytes) -> Result<Self, SigningKeyError> {
        let (bytes, unreadable) = (bytes.expose(), |_| SigningKeyError::Unreadable);
        let pair = match algorithm {
            Algorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map_err(unreadable)?;
                Pair::P256(Box::new(pair))
            }
            Algorithm::Ed25519 => {
                Pair::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8(bytes).map_err(unreadable)?))
            }
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(bytes).map_err(unreadable)?))
            }
            Algorithm::Hs256 => return Err(SigningKeyError::Symmetric),
        };
        Self::of(pair, algorithm)
    }

    /// To be sealed, and written nowhere before it is.
    pub fn to_pkcs8(&self) -> Result<SecretBytes, SigningKeyError> {
        let bytes = match &self.pair {
            Pair::P256(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1()?.as_ref().to_vec(),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair)?.as_ref().to_vec(),
        };
        Ok(SecretBytes::new(bytes))
    }

    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// As RFC 7518 3 writes it: of ECDSA r and s, of PSS a salt as long as the hash. A token is made by
    /// [`crate::jose::sign`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningKeyError> {
        match &self.pair {
            Pair::P256(pair) => Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding = match self.verifying.algorithm() {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// The public half goes through the same checks as a key that somebody else published.
    fn of(pair: Pair, algorithm: Algorithm) -> Result<Self, SigningKeyError> {
        let verifying = match &pair {
            Pair::P256(pair) => {
                // SEC 1 2.3.3: 0x04, x, y
                let (x, y) = pair
                    .public_key()
                    .as_ref()
                    .strip_prefix(&[0x04])
                    .and_then(|point| point.split_at_checked(32))
                    .ok_or(SigningKeyError::Unreadable)?;
                VerifyingKey::p256(x, y)
            }
            Pair::Ed25519(pair) => VerifyingKey::ed25519(pair.public_key().as_ref()),
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                VerifyingKey::rsa(&public.n, &public.e, algorithm)
            }
        };
        Ok(Self { pair, verifying: verifying.map_err(|_| SigningKeyError::Unreadable)? })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?}, ..)", self.verifying)
    }
}
