//! SHA-256 (FIPS 180-4), and HMAC over it (RFC 2104). SHA-1 only where somebody else's list or file speaks it.

use aws_lc_rs::{
    digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    hmac::{self, HMAC_SHA256},
};
use std::fmt;

/// Over the parts as if they stood in one piece: lengths are the caller's concern.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// Over the parts as if they stood in one piece.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// How lists of breached passwords name a password (the order of their files, the prefix of their look-ups). SHA-1 is
/// broken: for nothing that is stored, and nothing that is believed.
pub fn sha1_for_breached_password_lists(password: &[u8]) -> [u8; 20] {
    legacy_sha1(password)
}

pub(crate) fn legacy_sha1(bytes: &[u8]) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    out
}

/// Piece by piece.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The length, big-endian in eight bytes, then the bytes: what makes `a` `bc` differ from `ab` `c`.
    pub fn update_prefixed(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        let mut out = [0u8; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256(..)")
    }
}
