//! A row for each way in which a JWK is not believed.

use super::*;
use crate::jose::JsonError;

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

fn ec(more: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"{more}}}"#)
}

fn rsa(n: &[u8], e: &[u8], more: &str) -> String {
    format!(r#"{{"kty":"RSA","n":"{}","e":"{}"{more}}}"#, base64url_of(n), base64url_of(e))
}

fn modulus(bytes: usize) -> Vec<u8> {
    [vec![0xc5; bytes - 1], vec![1]].concat()
}

#[test]
fn each_is_refused_for_its_reason() {
    let two = 65_537u32.to_be_bytes()[1..].to_vec();
    let rows = [
        ("not JSON", "kty".to_owned(), JwkError::Json(JsonError::NotAnObject)),
        ("a list", "[]".to_owned(), JwkError::Json(JsonError::NotAnObject)),
        ("a member twice", ec(r#","kty":"RSA""#), JwkError::Json(JsonError::DuplicateMember)),
        ("no kty", format!(r#"{{"crv":"P-256","x":"{X}","y":"{Y}"}}"#), JwkError::Member("kty")),
        ("kty a number", r#"{"kty":1}"#.to_owned(), JwkError::Member("kty")),
        ("kty of another case", ec("").replace("EC", "ec"), JwkError::Algorithm),
        ("kty unknown", ec("").replace("EC", "AKP"), JwkError::Algorithm),
        ("symmetric", r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#.to_owned(), JwkError::Symmetric),
        ("symmetric, said to be EC", ec(r#","k":"AAAA""#), JwkError::Private),
        ("private", ec(r#","d":"AAAA""#), JwkError::Private),
        ("private RSA", rsa(&modulus(256), &two, r#","alg":"RS256","p":"AQ""#), JwkError::Private),
        ("for encryption", ec(r#","use":"enc""#), JwkError::Purpose),
        ("use a list", ec(r#","use":["sig"]"#), JwkError::Member("use")),
        ("for deriving", ec(r#","key_ops":["deriveKey"]"#), JwkError::Purpose),
        ("for nothing", ec(r#","key_ops":[]"#), JwkError::Purpose),
        ("key_ops a string", ec(r#","key_ops":"verify""#), JwkError::Member("key_ops")),
        ("verify twice", ec(r#","key_ops":["verify","verify"]"#), JwkError::Member("key_ops")),
        ("key_ops of numbers", ec(r#","key_ops":["verify",1]"#), JwkError::Member("key_ops")),
        ("another curve", ec("").replace("P-256", "P-384"), JwkError::Algorithm),
        ("no curve", ec("").replace(r#""crv":"P-256","#, ""), JwkError::Algorithm),
        ("secp256k1", ec("").replace("P-256", "secp256k1"), JwkError::Algorithm),
        ("alg of another kty", ec(r#","alg":"RS256""#), JwkError::Algorithm),
        ("alg of a secret", ec(r#","alg":"HS256""#), JwkError::Algorithm),
        ("alg none", ec(r#","alg":"none""#), JwkError::Algorithm),
        ("alg of another case", ec(r#","alg":"es256""#), JwkError::Algorithm),
        ("alg null", ec(r#","alg":null"#), JwkError::Member("alg")),
        ("kid a number", ec(r#","kid":7"#), JwkError::Member("kid")),
        ("kid endless", ec(&format!(r#","kid":"{}""#, "k".repeat(257))), JwkError::Member("kid")),
        ("off the curve", ec("").replace(Y, X), JwkError::Material),
        (
            "the point at zero",
            ec("").replace(X, &"A".repeat(43)).replace(Y, &"A".repeat(43)),
            JwkError::Material,
        ),
        ("a short coordinate", ec("").replace(X, "f83O"), JwkError::Material),
        ("padding", ec("").replace(X, &format!("{X}=")), JwkError::Member("x")),
        ("the other alphabet", ec("").replace(Y, &Y.replace('_', "/")), JwkError::Member("y")),
        ("bits left over", ec("").replace(X, &X.replace("VEU", "VEV")), JwkError::Member("x")),
        ("no y", format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}"}}"#), JwkError::Member("y")),
        ("Ed25519, short", r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#.to_owned(), JwkError::Material),
        ("Ed448", r#"{"kty":"OKP","crv":"Ed448","x":"AAAA"}"#.to_owned(), JwkError::Algorithm),
        ("X25519", format!(r#"{{"kty":"OKP","crv":"X25519","x":"{X}"}}"#), JwkError::Algorithm),
        ("RSA of either kind", rsa(&modulus(256), &two, ""), JwkError::Ambiguous),
        ("RSA with a curve", rsa(&modulus(256), &two, r#","crv":"P-256""#), JwkError::Algorithm),
        ("RSA, 1024 bits", rsa(&modulus(128), &two, r#","alg":"RS256""#), JwkError::Material),
        (
            "RSA, 2047 bits",
            rsa(&[vec![0x45], modulus(255)].concat(), &two, r#","alg":"RS256""#),
            JwkError::Material,
        ),
        (
            "RSA, a zero in front",
            rsa(&[vec![0], modulus(256)].concat(), &two, r#","alg":"RS256""#),
            JwkError::Material,
        ),
        ("RSA, over 8192 bits", rsa(&modulus(1025), &two, r#","alg":"RS256""#), JwkError::Material),
        ("RSA, e of 1", rsa(&modulus(256), &[1], r#","alg":"RS256""#), JwkError::Material),
        ("RSA, e of 3", rsa(&modulus(256), &[3], r#","alg":"RS256""#), JwkError::Material),
        ("RSA, e even", rsa(&modulus(256), &[1, 0, 2], r#","alg":"PS256""#), JwkError::Material),
        ("RSA, e of 40 bits", rsa(&modulus(256), &[0xff; 5], r#","alg":"PS256""#), JwkError::Material),
        (
            "RSA, n even",
            rsa(&[vec![0xc5; 255], vec![0]].concat(), &two, r#","alg":"RS256""#),
            JwkError::Material,
        ),
        ("RSA, e endless", rsa(&modulus(256), &[0xff; 64], r#","alg":"PS256""#), JwkError::Material),
        ("RSA, e empty", rsa(&modulus(256), &[], r#","alg":"PS256""#), JwkError::Material),
        ("RSA, n empty", rsa(&[], &two, r#","alg":"PS256""#), JwkError::Material),
        ("endless", ec(&format!(r#","x5c":"{}""#, "A".repeat(20_000))), JwkError::TooLong),
    ];
    for (name, json, expected) in rows {
        assert_eq!(jwk(&json).err(), Some(expected), "{name}");
    }
}

#[test]
fn what_is_allowed_decides_where_a_key_is_silent() {
    let key = rsa(&modulus(256), &[1, 0, 1], "");
    let read = |allowed: &[Algorithm]| Jwk::parse(key.as_bytes(), allowed).map(|jwk| jwk.key.algorithm());
    assert_eq!(read(&[Algorithm::Ps256, Algorithm::Es256]), Ok(Algorithm::Ps256));
    assert_eq!(read(&[Algorithm::Rs256]), Ok(Algorithm::Rs256));
    assert_eq!(read(&[Algorithm::Es256, Algorithm::Hs256]), Err(JwkError::Algorithm));
    assert_eq!(
        Jwk::parse(ec(r#","alg":"ES256""#).as_bytes(), &[Algorithm::Rs256]).err(),
        Some(JwkError::Algorithm)
    );
}

#[test]
fn a_secret_has_32_bytes() {
    for short in [0, 1, 31] {
        assert_eq!(secret(&vec![7; short]).err(), Some(JwkError::ShortSecret));
    }
    let key = secret(&[7; 32]).unwrap();
    assert_eq!(format!("{key:?}"), "VerifyingKey(HS256, secret)");
}

/// Orders 1, 2, 4 and 8 with either sign, and what stands for them beyond the prime.
#[test]
fn a_point_of_small_order_is_no_key() {
    let end = |lowest: u8| [vec![lowest], vec![0xff; 30], vec![0x7f]].concat();
    let hex = |text: &'static str| {
        (0..32).map(move |at| u8::from_str_radix(text.get(at * 2..at * 2 + 2).unwrap(), 16).unwrap())
    };
    let eighth = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let other_eighth = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    let one = [vec![1], vec![0; 31]].concat();
    let mut points = vec![vec![0; 32], one, hex(eighth).collect(), hex(other_eighth).collect(), end(0xec)];
    points.extend((0xed..=0xff).map(end));
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            assert_eq!(VerifyingKey::ed25519(&point).err(), Some(JwkError::Material), "{point:02x?}");
        }
    }
}
