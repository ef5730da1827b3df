//! Access tokens (RFC 9068) of an issuer that exists only here, signed ES256.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use std::{
    error::Error,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// Each of a subject and an id of its own, good for an hour. `run` is in the ids, so that no two calls make the same one.
pub fn make(key_file: &str, claims: &str, run: &str, count: usize, file: &str) -> Result<(), Box<dyn Error>> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &fs::read(key_file)?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (random, exp) = (SystemRandom::new(), now + 3600);
    let header = base64url(br#"{"alg":"ES256","typ":"at+jwt","kid":"bench"}"#);
    let mut out = String::new();
    for n in 0..count {
        let said = format!(r#"{{"sub":"p{n}","jti":"{run}-{n}","iat":{now},"exp":{exp},{claims}}}"#);
        let signed = format!("{header}.{}", base64url(said.as_bytes()));
        let signature = key.sign(&random, signed.as_bytes())?;
        out.push_str(&format!("{signed}.{}\n", base64url(signature.as_ref())));
    }
    fs::write(file, out)?;
    Ok(())
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        text.extend((0..=three.len()).map(|n| DIGITS[(bits >> (18 - 6 * n) & 63) as usize] as char));
    }
    text
}
