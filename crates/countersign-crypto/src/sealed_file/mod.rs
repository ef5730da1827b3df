//! A file that only its key opens, and of which no part can be changed, moved, left out or added unnoticed: a stream of
//! sealed chunks (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015) under AES-256-GCM.
//!
//! ```text
//! header   "countersign sealed 1\n" | kind | memory, passes, lanes | salt (32)     kind 1: a key, 2: a passphrase
//! mark     HMAC of the header                                                      tells another key from a changed file
//! chunks   64 KiB each, the last one shorter; every one with its tag of 16 bytes
//!          nonce: its number (11 bytes) | 1 where it is the last, else 0
//! ```
//!
//! The salt is new for each file and the key of the chunks is derived from it, so that no nonce is used twice under one
//! key. Owns the format and its keys; does not know what is in the file. Next: whoever writes a copy of the store.

mod header;
mod key;
mod reader;
mod writer;

pub use key::{SealKey, Work};
pub use reader::SealedReader;
pub use writer::SealedWriter;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::io;

/// Of plain text in a chunk.
pub const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    #[error("it is not a sealed file of Countersign")]
    NotSealed,
    #[error("it was made with a passphrase, and a key was given")]
    NeedsPassphrase,
    #[error("it was made with a key, and a passphrase was given")]
    NeedsKey,
    #[error("the passphrase or key is another one, or the head of the file was altered")]
    WrongKey,
    #[error("chunk {0} was altered or is not in its place")]
    Altered(u64),
    #[error("it was cut short after chunk {0}")]
    CutShort(u64),
    #[error("its head asks for more work than a passphrase is worth")]
    Unreasonable,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<SealedError> for io::Error {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// The key of the chunks, and which of them is next.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(key: &[u8; 32]) -> Result<Self, SealedError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealedError::WrongKey)?;
        Ok(Self { key: LessSafeKey::new(key), number: 0 })
    }

    fn nonce(&self, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        let number = u128::from(self.number) << 8 | u128::from(last);
        for (byte, of) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte = of;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests;
