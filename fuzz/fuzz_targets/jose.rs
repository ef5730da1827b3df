//! A signed token and a JWK: no panic, nothing passes that no key signed, and a token has three parts of one alphabet.
#![no_main]

use countersign_crypto::{
    SecretBytes,
    jose::{Algorithm, Jwk, UnverifiedJwt, VerifyingKey},
};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SECRET: LazyLock<VerifyingKey> =
    LazyLock::new(|| VerifyingKey::secret(SecretBytes::new(vec![7; 32])).expect("32 bytes"));

fuzz_target!(|data: &[u8]| {
    let allowed = [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519];
    if let Ok(jwk) = Jwk::parse(data, &allowed) {
        assert!(allowed.contains(&jwk.key.algorithm()));
        assert_eq!(jwk.key.thumbprint().map(str::len), Some(43));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    judge(text);
    // what is between the parts as it stands, so that the readers of JSON are reached without base64
    if let Some((header, claims)) = text.split_once('\n') {
        judge(&[base64url(header), base64url(claims), "AAAA".to_owned()].join("."));
    }
});

fn judge(token: &str) {
    let Ok(unverified) = UnverifiedJwt::parse(token) else { return };
    assert_eq!(token.bytes().filter(|&b| b == b'.').count(), 2);
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
    assert!(unverified.kid().is_none_or(|kid| kid.len() <= 256));
    assert!(unverified.verify(&SECRET).is_err(), "nobody signed this");
}

/// RFC 4648 5 without padding, written anew: the decoder under test is not asked.
fn base64url(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for n in 0..=chunk.len() as u32 {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    out
}
