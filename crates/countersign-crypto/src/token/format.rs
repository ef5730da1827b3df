//! `<word>_<environment>_<id:12><secret:32><crc:6>`, all base62: one word when double-clicked, known by its prefix to
//! those who scan for leaks, and refused by its checksum before anybody is asked (PRODUCT, API key format).
//!
//! ```text
//! cs_live_ 0aB3dE6gH9jK ................................ 2xYz01
//! prefix   id (public)  secret: 190 bits                 CRC-32 of everything before it
//! ```

use crate::{
    entropy::{BASE62, Entropy, push_base62},
    secret::SecretString,
};
use std::fmt;

pub const ID_LENGTH: usize = 12;
pub const SECRET_LENGTH: usize = 32;
/// 256 bits, where a token lives for weeks and its digest is no keyed one.
pub const LONG_SECRET_LENGTH: usize = 43;
pub const CHECKSUM_LENGTH: usize = 6;

/// How the tokens of one word and environment look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFormat {
    /// With both underscores.
    prefix: Box<str>,
    secret: usize,
}

/// A token whose shape and checksum are right, and nothing more is known of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PlainToken<'t> {
    id: &'t str,
    secret: &'t [u8],
}

/// A new token, and its public half.
pub struct Generated {
    pub id: String,
    pub token: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("another prefix")]
    Prefix,
    #[error("another length")]
    Length,
    #[error("not base62")]
    Alphabet,
    #[error("the checksum does not fit")]
    Checksum,
}

/// Neither word nor environment may hold what would make the prefix ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word of a token is 1 to 16 of a-z 0-9")]
pub struct WordError;

/// 1 to 16 of `a-z 0-9`.
pub fn is_word(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

impl TokenFormat {
    pub fn new(word: &str, environment: &str) -> Result<Self, WordError> {
        if !is_word(word) || !is_word(environment) {
            return Err(WordError);
        }
        Ok(Self { prefix: format!("{word}_{environment}_").into(), secret: SECRET_LENGTH })
    }

    /// With a secret of 256 bits.
    pub fn long(word: &str, environment: &str) -> Result<Self, WordError> {
        Ok(Self { secret: LONG_SECRET_LENGTH, ..Self::new(word, environment)? })
    }

    /// What stands before the id, without the last underscore: `cs_live`.
    pub fn name(&self) -> &str {
        self.prefix.strip_suffix('_').unwrap_or(&self.prefix)
    }

    /// Is it one of ours by its beginning? Says nothing about the rest.
    pub fn is_prefix_of(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(self.prefix.as_bytes())
    }

    fn body(&self) -> usize {
        ID_LENGTH + self.secret + CHECKSUM_LENGTH
    }

    pub fn token_length(&self) -> usize {
        self.prefix.len() + self.body()
    }

    /// Allocates nothing and asks nobody.
    pub fn parse<'t>(&self, bytes: &'t [u8]) -> Result<PlainToken<'t>, FormatError> {
        let body = bytes.strip_prefix(self.prefix.as_bytes()).ok_or(FormatError::Prefix)?;
        if body.len() != self.body() {
            return Err(FormatError::Length);
        }
        if !is_base62(body) {
            return Err(FormatError::Alphabet);
        }
        let (covered, sum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM_LENGTH));
        if sum != checksum(covered) {
            return Err(FormatError::Checksum);
        }
        let (id, rest) = body.split_at(ID_LENGTH);
        let (secret, _) = rest.split_at(self.secret);
        let id = std::str::from_utf8(id).map_err(|_| FormatError::Alphabet)?;
        Ok(PlainToken { id, secret })
    }

    pub fn generate(&self, entropy: &dyn Entropy) -> Generated {
        self.generate_for(crate::random_id(entropy, ID_LENGTH), entropy)
    }

    /// Another one of the same id, which is twelve base62 characters.
    pub fn generate_for(&self, id: String, entropy: &dyn Entropy) -> Generated {
        // All the room at once: growing would leave half a secret behind.
        let mut token = String::with_capacity(self.token_length());
        token.push_str(&self.prefix);
        token.push_str(&id);
        push_base62(entropy, &mut token, self.secret);
        for digit in checksum(token.as_bytes()) {
            token.push(char::from(digit));
        }
        Generated { id, token: SecretString::new(token) }
    }
}

impl<'t> PlainToken<'t> {
    /// The public half: may be logged and shown.
    pub fn id(&self) -> &'t str {
        self.id
    }

    pub fn secret(&self) -> &'t [u8] {
        self.secret
    }
}

impl fmt::Debug for PlainToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainToken").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Looks at every byte, without a branch: four times as fast as stopping at the first that is none.
fn is_base62(bytes: &[u8]) -> bool {
    let digit = |b: u8| (b.wrapping_sub(b'0') < 10) | ((b | 0x20).wrapping_sub(b'a') < 26);
    bytes.iter().fold(true, |all, b| all & digit(*b))
}

/// CRC-32 (IEEE 802.3) as six base62 digits, most significant first: 62^6 is more than 2^32, so every sum has exactly
/// one spelling.
fn checksum(covered: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(covered);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}
