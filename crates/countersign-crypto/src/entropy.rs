//! Randomness comes in by argument.

use std::fmt;
use zeroize::Zeroize;

/// A source of random bytes. Where the system has none to give it does not return (fail closed).
pub trait Entropy: fmt::Debug + Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// The generator of aws-lc, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        // Neither a weak secret nor a dead process: whoever needs randomness waits for it.
        while aws_lc_rs::rand::fill(bytes).is_err() {
            std::thread::yield_now();
        }
    }
}

/// The digits of base62, in the order of their values.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `n` base62 characters, each of the 62 equally likely: 5.95 bits apiece.
pub fn random_id(entropy: &dyn Entropy, n: usize) -> String {
    let mut text = String::with_capacity(n);
    push_base62(entropy, &mut text, n);
    text
}

/// `n` base62 characters that say a hash, for what has its id by what it is: up to 21 of them each of the 62 is equally
/// likely to within 2^-120.
pub fn derived_id(mut hash: [u8; 32], n: usize) -> String {
    let mut text = String::with_capacity(n);
    for _ in 0..n {
        // the hash as one number, divided by 62; what remains is the digit
        let mut rest = 0u16;
        for byte in &mut hash {
            let whole = rest << 8 | u16::from(*byte);
            *byte = u8::try_from(whole / 62).unwrap_or_default();
            rest = whole % 62;
        }
        text.extend(BASE62.get(usize::from(rest)).map(|digit| char::from(*digit)));
    }
    text
}

/// The room in `text` should be reserved, so that a secret is not left behind where the text grew out of.
pub(crate) fn push_base62(entropy: &dyn Entropy, text: &mut String, n: usize) {
    let mut drawn = [0u8; 64];
    let mut missing = n;
    while missing > 0 {
        entropy.fill(&mut drawn);
        // Six bits, and what is not a digit is thrown away: taking a remainder would favour the first digits.
        for digit in drawn.iter().filter_map(|b| BASE62.get(usize::from(b & 0x3f))).take(missing) {
            text.push(char::from(*digit));
            missing -= 1;
        }
    }
    drawn.zeroize();
}
