//! What is stored instead of a token: HMAC-SHA256 under a pepper that is not in the store (RULES 4.3). A full-entropy
//! secret needs no slow hash (ASVS 6.5.2); the pepper makes a stolen table useless even for guessing.

use crate::constant_time;
use aws_lc_rs::hmac;
use std::fmt;

/// What a digest covers. `prefix` is the token's without its last underscore.
#[derive(Clone, Copy)]
pub struct TokenParts<'t> {
    /// The room: a digest of one kind is never one of another.
    pub kind: &'t str,
    pub prefix: &'t str,
    pub id: &'t str,
    pub secret: &'t [u8],
}

/// One numbered key. The number stands in every row that it made.
#[derive(Clone)]
pub struct Pepper {
    number: u32,
    key: hmac::Key,
}

/// The peppers of this process: new digests are made under the current one, the retired ones still verify.
#[derive(Clone)]
pub struct Peppers {
    current: Pepper,
    retired: Vec<Pepper>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PepperError {
    #[error("pepper {0} is shorter than {MIN} bytes", MIN = Pepper::MIN_LENGTH)]
    Short(u32),
    #[error("pepper {0} stands twice")]
    Doubled(u32),
}

/// A row names a pepper that this process does not have: its configuration's fault, never the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pepper {0} is not configured")]
pub struct UnknownPepper(pub u32);

impl Pepper {
    pub const MIN_LENGTH: usize = 32;

    pub fn new(number: u32, secret: &[u8]) -> Result<Self, PepperError> {
        if secret.len() < Self::MIN_LENGTH {
            return Err(PepperError::Short(number));
        }
        Ok(Self { number, key: hmac::Key::new(hmac::HMAC_SHA256, secret) })
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    fn digest(&self, parts: &TokenParts<'_>) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [parts.kind.as_bytes(), parts.prefix.as_bytes(), parts.id.as_bytes(), parts.secret] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0u8; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

impl Peppers {
    pub fn new(current: Pepper, retired: Vec<Pepper>) -> Result<Self, PepperError> {
        let mut seen = vec![current.number];
        for pepper in &retired {
            if seen.contains(&pepper.number) {
                return Err(PepperError::Doubled(pepper.number));
            }
            seen.push(pepper.number);
        }
        Ok(Self { current, retired })
    }

    /// The number to store beside what [`Peppers::digest`] gives.
    pub fn current(&self) -> u32 {
        self.current.number
    }

    pub fn has(&self, number: u32) -> bool {
        self.find(number).is_some()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        std::iter::once(&self.current).chain(&self.retired).map(Pepper::number)
    }

    /// Under the current pepper.
    pub fn digest(&self, parts: &TokenParts<'_>) -> [u8; 32] {
        self.current.digest(parts)
    }

    /// Under each pepper, the current one first: what a value that names no row may be found by.
    pub fn digests(&self, parts: &TokenParts<'_>) -> Vec<[u8; 32]> {
        std::iter::once(&self.current).chain(&self.retired).map(|pepper| pepper.digest(parts)).collect()
    }

    /// Does the token fit what was stored?
    pub fn verify(
        &self,
        number: u32,
        stored: &[u8; 32],
        parts: &TokenParts<'_>,
    ) -> Result<bool, UnknownPepper> {
        let pepper = self.find(number).ok_or(UnknownPepper(number))?;
        Ok(constant_time::equal(&pepper.digest(parts), stored))
    }

    /// The work of [`Peppers::verify`] where there is nothing to verify against, so that an unknown id takes as long
    /// as a wrong secret. Always false.
    pub fn verify_dummy(&self, parts: &TokenParts<'_>) -> bool {
        let digest = self.current.digest(parts);
        let mut other = digest;
        if let Some(first) = other.first_mut() {
            *first = !*first;
        }
        constant_time::equal(&digest, &other)
    }

    fn find(&self, number: u32) -> Option<&Pepper> {
        if self.current.number == number {
            return Some(&self.current);
        }
        self.retired.iter().find(|p| p.number == number)
    }
}

impl fmt::Debug for TokenParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenParts").field("kind", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({}, ***)", self.number)
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peppers").field("current", &self.current).field("retired", &self.retired).finish()
    }
}
