//! Tests of what has no folder of its own: entropy, secrets, hashing, comparing, fingerprints, TLS.

use crate::{
    Entropy, FingerprintKey, SecretBytes, SecretString, SystemEntropy, constant_time,
    entropy::BASE62,
    hash::{Sha256, sha256},
    random_id, tls,
};
use std::sync::atomic::{AtomicU8, Ordering};

/// Every byte value in turn.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|b| *b = self.0.fetch_add(1, Ordering::Relaxed));
    }
}

#[test]
fn base62_favours_no_digit() {
    let mut counts = [0u32; 128];
    // All byte values equally often, so that every digit must come equally often.
    let text = random_id(&Counting::default(), 62 * 40);
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    for digit in BASE62 {
        assert_eq!(counts[usize::from(*digit)], 40, "{}", char::from(*digit));
    }
}

#[test]
fn random_ids_have_their_length_and_differ() {
    for n in [0, 1, 12, 20, 32, 63, 64, 65, 200] {
        assert_eq!(random_id(&SystemEntropy, n).len(), n);
    }
    assert_ne!(random_id(&SystemEntropy, 20), random_id(&SystemEntropy, 20));
}

#[test]
fn system_entropy_fills_everything() {
    let mut bytes = [0u8; 4096];
    SystemEntropy.fill(&mut bytes);
    assert!(bytes.chunks(32).all(|c| c.iter().any(|b| *b != 0)));
}

#[test]
fn debug_shows_no_secret() {
    let (text, bytes) = (SecretString::new("hunter2".into()), SecretBytes::new(b"hunter2".to_vec()));
    assert_eq!(format!("{text:?} {bytes:?}"), "*** ***");
    assert_eq!(format!("{:?}", FingerprintKey::new(&Counting::default())), "FingerprintKey(***)");
    assert_eq!((text.expose(), bytes.expose()), ("hunter2", &b"hunter2"[..]));
}

#[test]
fn equal_is_equality() {
    assert!(constant_time::equal(b"", b""));
    assert!(constant_time::equal(b"abc", b"abc"));
    for other in [&b"abd"[..], b"ab", b"abcd", b""] {
        assert!(!constant_time::equal(b"abc", other));
    }
}

#[test]
fn sha256_of_a_known_text() {
    // FIPS 180-4, the one-block example.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let hex = |h: [u8; 32]| h.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(hex(sha256(&[b"abc"])), expected);
    assert_eq!(hex(sha256(&[b"a", b"", b"bc"])), expected);
    let mut pieces = Sha256::new();
    pieces.update(b"ab");
    pieces.update(b"c");
    assert_eq!(hex(pieces.finish()), expected);
}

/// RULES 1.1: user `a` password `bc` is not user `ab` password `c`.
#[test]
fn fingerprints_keep_parts_apart() {
    let key = FingerprintKey::new(&SystemEntropy);
    assert_ne!(key.of(&[b"a", b"bc"]), key.of(&[b"ab", b"c"]));
    assert_ne!(key.of(&[b"a"]), key.of(&[b"a", b""]));
    assert_ne!(key.of(&[]), key.of(&[b""]));
    assert_eq!(key.of(&[b"a", b"bc"]), key.of(&[b"a", b"bc"]));
    assert_ne!(key.of(&[b"a"]), FingerprintKey::new(&SystemEntropy).of(&[b"a"]), "another process");
}

/// What no longer fits on the stack is hashed as if it did.
#[test]
fn fingerprints_are_one_function_of_any_size() {
    let key = FingerprintKey::new(&SystemEntropy);
    let long = vec![b'x'; 3000];
    for cut in [100, 200, 211, 219, 220, 221, 227, 228, 300, 987, 988, 989, 1024, 3000] {
        let part = &long[..cut];
        assert_eq!(key.of(&[part]), key.piecewise(&[part]), "{cut}");
    }
    assert_ne!(key.of(&[&long, b"a"]), key.of(&[&long, b"b"]));
}

#[test]
fn key_exchange_prefers_the_post_quantum_hybrid() {
    let first = tls::provider().kx_groups.first().map(|g| g.name());
    assert_eq!(first, Some(rustls::NamedGroup::X25519MLKEM768));
}

#[test]
fn unusable_server_files_are_told_apart() {
    let authority =
        crate::x509::development::DevelopmentAuthority::generate(1_800_000_000, &SystemEntropy).unwrap();
    let one = authority.issue_server(1_800_000_000, &SystemEntropy).unwrap();
    let other = authority.issue_server(1_800_000_000, &SystemEntropy).unwrap();
    let (chain, key) = (one.certificate.as_bytes(), one.key.expose().as_bytes());
    let error = |chain: &[u8], key: &[u8]| tls::server_config(chain, key, &[]).unwrap_err();
    assert_eq!(error(b"", key), tls::TlsError::NoCertificate);
    assert_eq!(error(chain, b""), tls::TlsError::NoKey);
    assert_eq!(
        error(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", key),
        tls::TlsError::ChainUnreadable
    );
    assert_eq!(
        error(chain, b"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n"),
        tls::TlsError::KeyUnreadable
    );
    assert!(matches!(error(chain, other.key.expose().as_bytes()), tls::TlsError::Unusable(_)));
    let config = tls::server_config(chain, key, &[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

/// What says a hash is the same each time, says another hash otherwise, and uses every digit.
#[test]
fn derived_ids_are_of_their_hash() {
    let of = |n: u32| crate::derived_id(crate::hash::sha256(&[&n.to_be_bytes()]), 20);
    assert_eq!(of(1), of(1));
    let ids: std::collections::HashSet<String> = (0..500).map(of).collect();
    assert_eq!(ids.len(), 500);
    assert!(ids.iter().all(|id| id.len() == 20 && id.bytes().all(|b| b.is_ascii_alphanumeric())));
    let digits: std::collections::HashSet<char> = ids.iter().flat_map(|id| id.chars()).collect();
    assert_eq!(digits.len(), 62);
    let mut one = [0; 32];
    one[31] = 61;
    assert_eq!(crate::derived_id(one, 3), "z00");
    one[30] = 1;
    assert_eq!(crate::derived_id(one, 3), "750", "256 + 61 is 5 * 62 + 7");
}
