//! What Countersign says about itself and others can check: Ed25519 (RFC 8032). Numbered like the peppers; the highest
//! signs, the others are still known.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fmt;

/// The public half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicAttestKey(pub [u8; 32]);

impl PublicAttestKey {
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

pub struct AttestKeys {
    current: Ed25519KeyPair,
    number: u32,
    public: Vec<(u32, PublicAttestKey)>,
}

impl fmt::Debug for AttestKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttestKeys(current {}, ..)", self.number)
    }
}

impl AttestKeys {
    /// Seeds of 32 bytes by their numbers. `None`: there is none, one is of another length, or a number stands twice.
    pub fn new(seeds: &[(u32, Vec<u8>)]) -> Option<Self> {
        let mut public = Vec::with_capacity(seeds.len());
        let mut current: Option<(u32, Ed25519KeyPair)> = None;
        for (number, seed) in seeds {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
            if public.iter().any(|(known, _)| known == number) {
                return None;
            }
            public.push((*number, PublicAttestKey(pair.public_key().as_ref().try_into().ok()?)));
            if current.as_ref().is_none_or(|(highest, _)| highest < number) {
                current = Some((*number, pair));
            }
        }
        let (number, current) = current?;
        Some(Self { current, number, public })
    }

    /// By the key with the highest number.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.current.sign(message).as_ref().to_vec()
    }

    /// The number of the key that signs.
    pub fn current(&self) -> u32 {
        self.number
    }

    pub fn public(&self) -> &[(u32, PublicAttestKey)] {
        &self.public
    }
}
