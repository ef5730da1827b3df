//! From what a person keeps to the keys of one file.

use super::{SealedError, header::Header};
use crate::{Entropy, SecretBytes, SecretString, hash::hmac_sha256};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// What seals a file and opens it again.
#[derive(Debug, Clone)]
pub enum SealKey {
    /// 256 random bits, from a file.
    Key(SecretBytes),
    /// Stretched by Argon2id (RFC 9106).
    Passphrase { passphrase: SecretString, work: Work },
}

/// What guessing a passphrase costs: KiB of memory, passes over it, lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub memory: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Work {
    /// RFC 9106 4: the second recommended option.
    pub const RECOMMENDED: Self = Self { memory: 64 * 1024, passes: 3, lanes: 4 };

    pub(super) fn is_unreasonable(self) -> bool {
        self.memory > 1024 * 1024 || self.passes > 16 || self.lanes > 16
    }
}

const WORD: &str = "countersign-backup-key-1";

impl SealKey {
    pub const SHORTEST_PASSPHRASE: usize = 12;

    /// For a new file of its own; the text that is kept.
    pub fn generate(entropy: &dyn Entropy) -> SecretString {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        SecretString::new(format!("{WORD} {hex}\n"))
    }

    /// What [`SealKey::generate`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.trim().strip_prefix(WORD)?.strip_prefix(' ')?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let key = (0..64).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
        Some(Self::Key(SecretBytes::new(key)))
    }

    /// `None`: shorter than twelve characters.
    pub fn passphrase(passphrase: SecretString) -> Option<Self> {
        let long = passphrase.expose().chars().count() >= Self::SHORTEST_PASSPHRASE;
        long.then_some(Self::Passphrase { passphrase, work: Work::RECOMMENDED })
    }

    pub(super) fn derive(&self, header: &Header) -> Result<FileKeys, SealedError> {
        let mut stretched = Zeroizing::new([0; 32]);
        let secret = match self {
            SealKey::Key(key) => key.expose(),
            SealKey::Passphrase { passphrase, work } => {
                let params = Params::new(work.memory, work.passes, work.lanes, Some(32));
                let params = params.map_err(|_| SealedError::Unreasonable)?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(passphrase.expose().as_bytes(), header.salt(), &mut *stretched)
                    .map_err(|_| SealedError::Unreasonable)?;
                &*stretched
            }
        };
        // RFC 5869 2.2 and 2.3, one block for each key
        let key = Zeroizing::new(hmac_sha256(header.salt(), &[secret]));
        let expand = |what: &[u8]| Zeroizing::new(hmac_sha256(&*key, &[what, header.bytes(), &[1]]));
        let mark = hmac_sha256(&*expand(b"countersign sealed 1 mark"), &[header.bytes()]);
        Ok(FileKeys { chunks: expand(b"countersign sealed 1 chunks"), mark })
    }
}

/// Of one file.
pub(super) struct FileKeys {
    pub(super) chunks: Zeroizing<[u8; 32]>,
    /// Stands behind the header.
    pub(super) mark: [u8; 32],
}
