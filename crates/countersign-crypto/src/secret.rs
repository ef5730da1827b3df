//! Secrets in memory: wiped when dropped, and never printed.

use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Text that nobody may see by accident. [`SecretString::expose`] is the one way to it, easy to search for.
#[derive(Clone, Default)]
pub struct SecretString(Zeroizing<String>);

/// The same for bytes.
#[derive(Clone, Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

/// For what held a secret in memory of its own.
pub fn wipe(bytes: &mut [u8]) {
    bytes.zeroize();
}

impl SecretString {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

macro_rules! hidden { ($($name:ident),*) => { $(
    impl fmt::Debug for $name {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("***")
        }
    }
)* } }
hidden!(SecretString, SecretBytes);
