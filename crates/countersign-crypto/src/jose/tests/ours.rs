//! What we sign, and the keys we show.

use super::*;
use crate::{
    jose::{JwsError, UnverifiedJwt, sign},
    key::{SigningKey, SigningKeyError},
};
use serde_json::{Map, Value, json};

fn claims() -> Map<String, Value> {
    let Value::Object(claims) =
        json!({ "iss": "https://api.example", "sub": "alice", "exp": 4_102_444_800u64 })
    else {
        unreachable!()
    };
    claims
}

#[test]
fn what_is_signed_is_verified_by_what_is_published() {
    for algorithm in ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let token = sign(&key, "at+jwt", &claims()).unwrap();
        let published = Value::Object(key.verifying_key().to_jwk().unwrap()).to_string();
        let read = jwk(&published).unwrap();
        assert_eq!(read.kid.as_deref(), read.key.thumbprint());
        assert_eq!(read.key.algorithm(), algorithm);
        let unverified = UnverifiedJwt::parse(&token).unwrap();
        assert_eq!(unverified.kid(), key.verifying_key().thumbprint());
        let verified = unverified.verify(&read.key).unwrap();
        assert_eq!((verified.typ(), verified.claims()), (Some("at+jwt"), &claims()));
        // another key of that algorithm does not do
        let other = SigningKey::generate(algorithm).unwrap();
        let refusal = UnverifiedJwt::parse(&token).unwrap().verify(other.verifying_key()).err();
        assert_eq!(refusal, Some(JwsError::Signature), "{algorithm:?}");
    }
}

/// RFC 7517 9.2: public keys only.
#[test]
fn what_is_published_holds_no_private_member() {
    for algorithm in ALL {
        let published = SigningKey::generate(algorithm).unwrap().verifying_key().to_jwk().unwrap();
        let names = published.keys().map(String::as_str).collect::<Vec<_>>();
        let expected: &[&str] = match algorithm {
            Algorithm::Es256 => &["crv", "kty", "x", "y", "kid", "use", "alg"],
            Algorithm::Ed25519 => &["crv", "kty", "x", "kid", "use", "alg"],
            _ => &["e", "kty", "n", "kid", "use", "alg"],
        };
        assert_eq!(names, expected);
        assert_eq!(published["use"], "sig");
        assert_eq!(published["alg"], algorithm.name());
    }
    assert_eq!(secret(&[7; 32]).unwrap().to_jwk(), None);
}

#[test]
fn a_key_comes_back_as_it_was_and_only_for_its_kind() {
    for algorithm in ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let kept = key.to_pkcs8().unwrap();
        let back = SigningKey::from_pkcs8(algorithm, &kept).unwrap();
        assert_eq!(back.verifying_key().thumbprint(), key.verifying_key().thumbprint());
        let token = sign(&back, "JWT", &claims()).unwrap();
        UnverifiedJwt::parse(&token).unwrap().verify(key.verifying_key()).unwrap();
        for other in ALL.into_iter().filter(|other| other.key_type() != algorithm.key_type()) {
            let refused = SigningKey::from_pkcs8(other, &kept).err();
            assert_eq!(refused, Some(SigningKeyError::Unreadable), "{algorithm:?} as {other:?}");
        }
        let cut = SecretBytes::new(kept.expose().split_at(kept.expose().len() / 2).0.to_vec());
        assert_eq!(SigningKey::from_pkcs8(algorithm, &cut).err(), Some(SigningKeyError::Unreadable));
    }
    assert_eq!(SigningKey::generate(Algorithm::Hs256).err(), Some(SigningKeyError::Symmetric));
    assert_eq!(
        SigningKey::from_pkcs8(Algorithm::Hs256, &SecretBytes::default()).err(),
        Some(SigningKeyError::Symmetric)
    );
}

#[test]
fn a_private_key_is_not_printed() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let thumbprint = key.verifying_key().thumbprint().unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey(VerifyingKey(ES256, {thumbprint}), ..)"));
}

/// One RSA key kept for two algorithms is two keys (RFC 8725 3.1), and neither takes the other's padding.
#[test]
fn a_key_has_one_algorithm() {
    let pss = SigningKey::generate(Algorithm::Ps256).unwrap();
    let pkcs1 = SigningKey::from_pkcs8(Algorithm::Rs256, &pss.to_pkcs8().unwrap()).unwrap();
    assert_eq!(pss.verifying_key().thumbprint(), pkcs1.verifying_key().thumbprint());
    for (one, other) in [(&pss, &pkcs1), (&pkcs1, &pss)] {
        let token = sign(one, "JWT", &claims()).unwrap();
        let refusal = UnverifiedJwt::parse(&token).unwrap().verify(other.verifying_key()).err();
        assert_eq!(refusal, Some(JwsError::OtherAlgorithm));
        let signature = one.sign(b"text").unwrap();
        assert!(one.verifying_key().verifies(b"text", &signature));
        assert!(!other.verifying_key().verifies(b"text", &signature));
    }
}
