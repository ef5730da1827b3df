//! What stems from the `crypt` of Unix: its base64, and Apache's variant of Poul-Henning Kamp's MD5 crypt.

use md5::{Digest, Md5};
use zeroize::Zeroizing;

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(super) fn is_digit(byte: u8) -> bool {
    byte == b'.' || byte == b'/' || byte.is_ascii_alphanumeric()
}

/// Six bits a digit, the lowest first; the byte at `order[n]` of the tag is the n-th of the text. `None`: another length,
/// a foreign digit, or bits left over that are not zero.
pub(super) fn decode<const N: usize>(text: &str, order: &[u8; N]) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(6) {
        return None;
    }
    let (mut bits, mut held) = (0u32, 0u32);
    let mut order = order.iter();
    let mut tag = [0; N];
    for byte in text.bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        bits |= u32::try_from(digit).ok()? << held;
        held += 6;
        if held >= 8 {
            *tag.get_mut(usize::from(*order.next()?))? = bits.to_le_bytes()[0];
            bits >>= 8;
            held -= 8;
        }
    }
    (bits == 0).then_some(tag)
}

pub(super) const ORDER_APR1: &[u8; 16] = &[12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

pub(super) const ORDER_SHA256: &[u8; 32] = &[
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28, 18, 29,
    19, 9, 30, 31,
];

pub(super) const ORDER_SHA512: &[u8; 64] = &[
    42, 21, 0, 1, 43, 22, 23, 2, 44, 45, 24, 3, 4, 46, 25, 26, 5, 47, 48, 27, 6, 7, 49, 28, 29, 8, 50, 51,
    30, 9, 10, 52, 31, 32, 11, 53, 54, 33, 12, 13, 55, 34, 35, 14, 56, 57, 36, 15, 16, 58, 37, 38, 17, 59,
    60, 39, 18, 19, 61, 40, 41, 20, 62, 63,
];

/// As in APR's `apr_md5_encode`: a thousand rounds, which cost nothing today.
pub(super) fn apr1(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let digest = |parts: &[&[u8]]| {
        let mut md5 = Md5::new();
        parts.iter().for_each(|part| md5.update(part));
        Zeroizing::new(<[u8; 16]>::from(md5.finalize()))
    };
    let mixed = digest(&[password, salt, password]);
    let mut md5 = Md5::new();
    md5.update(password);
    md5.update(b"$apr1$");
    md5.update(salt);
    for piece in password.chunks(mixed.len()) {
        md5.update(mixed.get(..piece.len()).unwrap_or_default());
    }
    let mut length = password.len();
    while length > 0 {
        // a NUL for each bit that is set, else the first letter: a slip of 1994 that became the format
        md5.update(if length & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    let mut last = Zeroizing::new(<[u8; 16]>::from(md5.finalize()));
    for round in 0..1000 {
        let (first, second): (&[u8], &[u8]) =
            if round % 2 == 1 { (password, &*last) } else { (&*last, password) };
        let salt = if round % 3 == 0 { &[] } else { salt };
        let again = if round % 7 == 0 { &[] } else { password };
        last = digest(&[first, salt, again, second]);
    }
    last
}
