//! Names of things. Random where we make them, never used twice.

use crate::{authentication::Node, word::word};
use std::{fmt, sync::Arc};

/// `usr_` or `svc_` and 20 base62 characters (RULES 1.8: random, typed, never used twice); `ext_` and as many: a principal
/// of an external issuer, derived from that one and its subject, and never in our store.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalId(Arc<str>);

impl PrincipalId {
    pub const BODY: usize = 20;
    pub const FOREIGN: &str = "ext_";

    /// `None` unless it is one of our typed prefixes and 20 base62 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let body = ["usr_", "svc_", Self::FOREIGN].iter().find_map(|prefix| text.strip_prefix(*prefix))?;
        (body.len() == Self::BODY && body.bytes().all(|b| b.is_ascii_alphanumeric()))
            .then(|| Self(text.into()))
    }

    /// Of a hash over an issuer and its subject: each byte is a digit, where eight of the 62 are a quarter likelier than the
    /// others, which takes a tenth of a bit from 119.
    pub fn foreign(hash: &[u8; 32]) -> Self {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let digits = hash.iter().take(Self::BODY).filter_map(|byte| DIGITS.get(usize::from(byte % 62)));
        Self(Self::FOREIGN.chars().chain(digits.map(|digit| char::from(*digit))).collect::<String>().into())
    }

    pub fn is_foreign(&self) -> bool {
        self.0.starts_with(Self::FOREIGN)
    }

    /// The same text, for whoever keeps it too.
    pub(crate) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// The public name of one credential within its method: for an API key the 12 characters of its id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// A credential that is a node of its own lineage is called alike in both, and kept once.
    pub fn of(node: &Node) -> Self {
        Self(node.id.clone())
    }
}

word!(PrincipalId, CredentialId);

/// 128 random bits of ours, 32 hex digits in text (RULES 3.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; 16]);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // by hand: every request has one written, and the formatter would be called for each byte
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
