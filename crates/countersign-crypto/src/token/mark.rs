//! A mark behind a token that only whoever holds the key can make: a made-up one is known without asking the store.

use crate::{constant_time, hash::hmac_sha256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt;
use zeroize::Zeroizing;

/// 128 bits, in base64url.
const MARK: usize = 22;

/// Numbered like the peppers; the highest marks, the others are still believed.
pub struct MarkKeys {
    /// The highest number first.
    keys: Vec<Zeroizing<[u8; 32]>>,
}

impl MarkKeys {
    /// `None`: there is none.
    pub fn new(mut keys: Vec<(u32, [u8; 32])>) -> Option<Self> {
        keys.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let keys: Vec<_> = keys.into_iter().map(|(_, key)| Zeroizing::new(key)).collect();
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// `token.mark`. The token has no full stop.
    pub fn marked(&self, kind: &str, token: &str) -> String {
        let mark = self.keys.first().map(|key| mark(key, kind, token.as_bytes())).unwrap_or_default();
        let mut text = String::with_capacity(token.len() + 1 + MARK);
        text.push_str(token);
        text.push('.');
        text.push_str(&mark);
        text
    }

    /// The token, where the mark is one of ours.
    pub fn token<'t>(&self, kind: &str, marked: &'t [u8]) -> Option<&'t [u8]> {
        let at = marked.len().checked_sub(MARK + 1)?;
        let (token, rest) = marked.split_at_checked(at)?;
        let shown = rest.strip_prefix(b".")?;
        let ours = |key: &Zeroizing<[u8; 32]>| constant_time::equal(mark(key, kind, token).as_bytes(), shown);
        self.keys.iter().any(ours).then_some(token)
    }
}

fn mark(key: &[u8; 32], kind: &str, token: &[u8]) -> String {
    let length = (kind.len() as u64).to_be_bytes();
    let whole = hmac_sha256(key, &[&length, kind.as_bytes(), token]);
    let (half, _) = whole.split_at(16);
    URL_SAFE_NO_PAD.encode(half)
}

impl fmt::Debug for MarkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MarkKeys({}, ..)", self.keys.len())
    }
}
