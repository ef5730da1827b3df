//! The hash of one password as it stands in a store (PHC string format, or the form its own product gave it).

use super::{
    Argon2Parameters,
    scheme::{self, Over, Scheme, Stored},
};
use crate::Entropy;
use argon2::Algorithm;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use std::fmt;

/// In bytes. No form that we know is half as long.
pub const LONGEST_HASH: usize = 512;
/// In bytes: a caller's own limit is lower, and is told to the person.
pub const LONGEST_PASSWORD: usize = 4096;

const SALT: usize = 16;
const TAG: usize = 32;

/// A text at rest that was understood.
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    stored: Stored,
}

/// Says nothing of the text, which may be a password that somebody pasted in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored password hash has no form that is known here")]
pub struct UnknownHash;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("a password is longer than 4096 bytes")]
    TooLong,
    #[error("there is no memory to hash a password in")]
    OutOfMemory,
}

impl PasswordHash {
    pub fn parse(text: &str) -> Result<Self, UnknownHash> {
        let stored = scheme::parse(text).map_err(|_| UnknownHash)?;
        Ok(Self::of(text, stored))
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For people and for counting: `argon2id`, `bcrypt`, `argon2id(sha1)`.
    pub fn scheme(&self) -> &'static str {
        self.stored.scheme.name()
    }

    /// False for every hash that was not made as [`hash`] would make it now: whoever verified a password against it
    /// hashes that password anew.
    pub fn is_current(&self, now: &Argon2Parameters) -> bool {
        let Scheme::Argon2 { algorithm: Algorithm::Argon2id, over: Over::Password, parameters } =
            &self.stored.scheme
        else {
            return false;
        };
        parameters == now && self.stored.salt.len() >= SALT && self.stored.tag.len() == TAG
    }

    pub(super) fn of(text: &str, stored: Stored) -> Self {
        Self { text: text.to_owned(), stored }
    }

    pub(super) fn argon2_parameters(&self) -> Option<Argon2Parameters> {
        match &self.stored.scheme {
            Scheme::Argon2 { parameters, .. } => Some(*parameters),
            _ => None,
        }
    }

    pub(super) fn made(
        over: Over,
        input: &[u8],
        parameters: Argon2Parameters,
        entropy: &dyn Entropy,
    ) -> Result<Self, HashError> {
        let (mut salt, mut tag) = (vec![0; SALT], vec![0; TAG]);
        entropy.fill(&mut salt);
        if !scheme::fill(Algorithm::Argon2id, parameters, input, &salt, &mut tag) {
            return Err(HashError::OutOfMemory);
        }
        Ok(Self::written(over, parameters, salt, tag))
    }

    fn written(over: Over, parameters: Argon2Parameters, salt: Vec<u8>, tag: Vec<u8>) -> Self {
        let (name, last) = match &over {
            Over::Password => ("argon2id", String::new()),
            Over::Sha1 => ("argon2id-sha1", String::new()),
            Over::Apr1(salt) => ("argon2id-apr1", format!(",s={salt}")),
        };
        let text = format!(
            "${name}$v=19$m={},t={},p={}{last}${}${}",
            parameters.memory_kib(),
            parameters.passes(),
            parameters.lanes(),
            STANDARD_NO_PAD.encode(&salt),
            STANDARD_NO_PAD.encode(&tag),
        );
        let scheme = Scheme::Argon2 { algorithm: Algorithm::Argon2id, over, parameters };
        Self { text, stored: Stored { scheme, salt, tag } }
    }
}

/// Of the texts, which are no secret to who holds both.
impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.scheme())
    }
}

/// Argon2id (RFC 9106) with a salt of 128 bits and a tag of 256. Takes as long as the parameters say: on a thread of
/// the [`super::HashPool`].
pub fn hash(
    password: &[u8],
    parameters: &Argon2Parameters,
    entropy: &dyn Entropy,
) -> Result<PasswordHash, HashError> {
    if password.len() > LONGEST_PASSWORD {
        return Err(HashError::TooLong);
    }
    PasswordHash::made(Over::Password, password, *parameters, entropy)
}

/// Over the whole password: one that is longer than its scheme can see, or for bcrypt holds a NUL, is never the right
/// one. So is one beyond [`LONGEST_PASSWORD`], at once, whoever it is for.
pub fn verify(password: &[u8], hash: &PasswordHash) -> bool {
    password.len() <= LONGEST_PASSWORD && hash.stored.matches(password)
}

/// What [`verify`] works on where there is nobody of that name: the same work as a wrong password for somebody whose hash
/// is current. Nobody knows a password for it. Somebody whose hash was imported still takes that scheme's time, until
/// their first login.
pub fn dummy(parameters: &Argon2Parameters) -> PasswordHash {
    PasswordHash::written(Over::Password, *parameters, vec![0; SALT], vec![0; TAG])
}
