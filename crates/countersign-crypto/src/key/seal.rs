//! What is kept and must come back: private keys, and tokens that are handed out once more. AES-256-GCM under a key of its
//! own for each context, so that what was sealed as one thing never opens as another.
//!
//! ```text
//! number of the seal (4) | nonce (12) | sealed text and tag
//! ```

use crate::{Entropy, SecretBytes, hash::hmac_sha256};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use zeroize::Zeroizing;

/// Numbered like the peppers; the highest seals, the others still open.
pub struct SealKeys {
    keys: Vec<(u32, Zeroizing<[u8; 32]>)>,
    current: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The configuration's fault: the keyring lacks what the store needs.
    #[error("sealed under seal {0} of the keyring, which is not there: put it back")]
    Unknown(u32),
    #[error("the keyring has no seal: add one with `countersign keyring rotate seal`")]
    NoSeal,
    #[error("sealed as something else, under another secret, or damaged")]
    Broken,
    #[error("the library could not seal")]
    Library,
}

impl SealKeys {
    /// Without any nothing is sealed, and nothing opens. `None`: a number stands twice.
    pub fn new(keys: Vec<(u32, [u8; 32])>) -> Option<Self> {
        let doubled = keys
            .iter()
            .enumerate()
            .any(|(at, (number, _))| keys.iter().skip(at + 1).any(|(n, _)| n == number));
        let current = keys.iter().map(|(number, _)| *number).max();
        let keys = keys.into_iter().map(|(number, key)| (number, Zeroizing::new(key))).collect();
        (!doubled).then_some(Self { keys, current })
    }

    /// The number under which new things are sealed.
    pub fn current(&self) -> Option<u32> {
        self.current
    }

    /// `context`: what it is and whose; it opens under the same alone.
    pub fn seal(&self, context: &[&[u8]], plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        let current = self.current.ok_or(SealError::NoSeal)?;
        let key = self.find(current)?;
        let mut sealed = current.to_be_bytes().to_vec();
        sealed.extend(seal_under(key, context, plain, entropy)?);
        Ok(sealed)
    }

    pub fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, SealError> {
        let (number, sealed) = sealed.split_first_chunk().ok_or(SealError::Broken)?;
        open_under(self.find(u32::from_be_bytes(*number))?, context, sealed)
    }

    /// The seal that opens it.
    pub fn number_of(sealed: &[u8]) -> Option<u32> {
        sealed.first_chunk().map(|number| u32::from_be_bytes(*number))
    }

    pub fn has(&self, number: u32) -> bool {
        self.find(number).is_ok()
    }

    fn find(&self, number: u32) -> Result<&[u8], SealError> {
        let found = self.keys.iter().find(|(known, _)| *known == number);
        found.map(|(_, key)| &key[..]).ok_or(SealError::Unknown(number))
    }
}

/// Under a secret that whoever may open it brings along (RULES 4.2). The secret must be random: it is not stretched.
pub fn seal_under(
    secret: &[u8],
    context: &[&[u8]],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    // The whole text at once, so that nothing of it is left behind where a vector grew.
    let mut text = Zeroizing::new(Vec::with_capacity(plain.len() + AES_256_GCM.tag_len()));
    text.extend_from_slice(plain);
    key_of(secret, context)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut *text)
        .map_err(|_| SealError::Library)?;
    let mut sealed = nonce.to_vec();
    sealed.extend_from_slice(&text);
    Ok(sealed)
}

pub fn open_under(secret: &[u8], context: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, SealError> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Broken)?;
    let mut text = Zeroizing::new(text.to_vec());
    let plain = key_of(secret, context)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut text)
        .map_err(|_| SealError::Broken)?;
    Ok(SecretBytes::new(plain.to_vec()))
}

/// RFC 5869 2.3, one block, each part of the context behind its length: a random nonce meets few messages of one key.
fn key_of(secret: &[u8], context: &[&[u8]]) -> Result<LessSafeKey, SealError> {
    let mut info = b"countersign seal 1".to_vec();
    for part in context {
        info.extend_from_slice(&(part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    info.push(1);
    let key = Zeroizing::new(hmac_sha256(secret, &[&info]));
    let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| SealError::Library)?;
    Ok(LessSafeKey::new(key))
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKeys(current {:?}, ..)", self.current)
    }
}
