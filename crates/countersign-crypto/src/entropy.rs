//! Randomness comes in by argument.

use std::fmt;

/// A source of random bytes. Where the system has none to give it does not return (fail closed).
pub trait Entropy: fmt::Debug + Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}
