//! A row for each way in which a token is not one, all of them signed by the right key unless the row is about that.

use super::*;
use crate::{
    hash::hmac_sha256,
    jose::{JsonError, JwsError, LONGEST_TOKEN, Part, UnverifiedJwt},
};
use proptest::prelude::*;

const HEADER: &str = r#"{"alg":"Ed25519","kid":"a","typ":"at+jwt"}"#;
const CLAIMS: &str = r#"{"iss":"https://issuer.example","sub":"alice","exp":4102444800}"#;

fn refusal(token: &str) -> Option<JwsError> {
    UnverifiedJwt::parse(token).and_then(|unverified| unverified.verify(&Signer::new().key())).err()
}

#[test]
fn each_is_refused_for_its_reason() {
    let signer = Signer::new();
    let good = signer.sign(HEADER, CLAIMS);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with = |header: &str| signer.sign(header, CLAIMS);
    let claims = |payload: &str| signer.sign(HEADER, payload);
    let json = JwsError::Json;
    let rows = [
        ("empty", String::new(), JwsError::NotCompact),
        ("two parts", format!("{header}.{payload}"), JwsError::NotCompact),
        ("four parts", format!("{good}."), JwsError::NotCompact),
        ("five parts, as if encrypted", format!("{good}..AAAA"), JwsError::NotCompact),
        ("the JSON form", format!(r#"{{"payload":"{payload}","signatures":[]}}"#), JwsError::NotCompact),
        ("endless", format!("{good}{}", "A".repeat(LONGEST_TOKEN)), JwsError::TooLong),
        ("no header", format!(".{payload}.{signature}"), json(Part::Header, JsonError::NotAnObject)),
        ("no payload", format!("{header}..{signature}"), json(Part::Payload, JsonError::NotAnObject)),
        ("no signature", format!("{header}.{payload}."), JwsError::Signature),
        ("a space in front", format!(" {good}"), JwsError::Base64(Part::Header)),
        ("a line feed at the end", format!("{good}\n"), JwsError::Base64(Part::Signature)),
        ("padding", format!("{good}=="), JwsError::Base64(Part::Signature)),
        (
            "padding that was signed",
            signer.sign_encoded(header, &format!("{payload}=")),
            JwsError::Base64(Part::Payload),
        ),
        ("the other alphabet", signer.sign_encoded("e+/=", payload), JwsError::Base64(Part::Header)),
        ("bits left over, signed", signer.sign_encoded("e31", payload), JwsError::Base64(Part::Header)),
        ("a header that is a list", with("[]"), json(Part::Header, JsonError::NotAnObject)),
        ("a header that is null", with("null"), json(Part::Header, JsonError::NotAnObject)),
        ("claims that are a string", claims(r#""alice""#), json(Part::Payload, JsonError::NotAnObject)),
        (
            "something behind the claims",
            claims(r#"{"sub":"a"}{}"#),
            json(Part::Payload, JsonError::NotAnObject),
        ),
        ("a mark of byte order", claims("\u{feff}{}"), json(Part::Payload, JsonError::NotAnObject)),
        ("a comma too many", claims(r#"{"sub":"a",}"#), json(Part::Payload, JsonError::NotAnObject)),
        ("NaN", claims(r#"{"exp":NaN}"#), json(Part::Payload, JsonError::NotAnObject)),
        ("a number beyond all", claims(r#"{"exp":1e999}"#), json(Part::Payload, JsonError::NotAnObject)),
        ("half a surrogate", claims(r#"{"sub":"\ud800"}"#), json(Part::Payload, JsonError::NotAnObject)),
        (
            "not UTF-8",
            signer.sign(HEADER, b"{\"sub\":\"\xff\"}"),
            json(Part::Payload, JsonError::NotAnObject),
        ),
        (
            "alg twice",
            with(r#"{"alg":"Ed25519","alg":"none"}"#),
            json(Part::Header, JsonError::DuplicateMember),
        ),
        ("sub twice", claims(r#"{"sub":"a","sub":"b"}"#), json(Part::Payload, JsonError::DuplicateMember)),
        (
            "sub twice, once escaped",
            claims(r#"{"sub":"a","s\u0075b":"b"}"#),
            json(Part::Payload, JsonError::DuplicateMember),
        ),
        (
            "twice, deep inside",
            claims(r#"{"act":[{"a":1,"a":2}]}"#),
            json(Part::Payload, JsonError::DuplicateMember),
        ),
        (
            "deep",
            claims(&format!("{{\"a\":{}1{}}}", "[".repeat(16), "]".repeat(16))),
            json(Part::Payload, JsonError::TooDeep),
        ),
        (
            "bottomless",
            claims(&format!("{{\"a\":{}", "[".repeat(9_000))),
            json(Part::Payload, JsonError::TooDeep),
        ),
        ("no alg", with(r#"{"typ":"JWT"}"#), JwsError::Header("alg")),
        ("alg a number", with(r#"{"alg":1}"#), JwsError::Header("alg")),
        ("alg a list", with(r#"{"alg":["Ed25519"]}"#), JwsError::Header("alg")),
        ("alg none", with(r#"{"alg":"none"}"#), JwsError::UnknownAlgorithm),
        (
            "alg none without a signature",
            format!("{}.{payload}.", base64url_of(br#"{"alg":"none"}"#)),
            JwsError::UnknownAlgorithm,
        ),
        ("alg None", with(r#"{"alg":"None"}"#), JwsError::UnknownAlgorithm),
        ("alg empty", with(r#"{"alg":""}"#), JwsError::UnknownAlgorithm),
        ("alg of another case", with(r#"{"alg":"ed25519"}"#), JwsError::UnknownAlgorithm),
        ("alg and a space", with(r#"{"alg":"Ed25519 "}"#), JwsError::UnknownAlgorithm),
        ("alg Ed448", with(r#"{"alg":"Ed448"}"#), JwsError::UnknownAlgorithm),
        ("alg RS1", with(r#"{"alg":"RS1"}"#), JwsError::UnknownAlgorithm),
        ("alg ES256K", with(r#"{"alg":"ES256K"}"#), JwsError::UnknownAlgorithm),
        ("alg of encryption", with(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#), JwsError::UnknownAlgorithm),
        ("alg PBES2", with(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647}"#), JwsError::UnknownAlgorithm),
        ("alg of another key", with(r#"{"alg":"ES256"}"#), JwsError::OtherAlgorithm),
        ("crit", with(r#"{"alg":"Ed25519","crit":["exp"],"exp":1}"#), JwsError::Extension),
        ("crit, empty", with(r#"{"alg":"Ed25519","crit":[]}"#), JwsError::Extension),
        ("crit, null", with(r#"{"alg":"Ed25519","crit":null}"#), JwsError::Extension),
        ("b64", with(r#"{"alg":"Ed25519","b64":false}"#), JwsError::Extension),
        ("b64 and crit", with(r#"{"alg":"Ed25519","b64":false,"crit":["b64"]}"#), JwsError::Extension),
        ("zip", with(r#"{"alg":"Ed25519","zip":"DEF"}"#), JwsError::Extension),
        ("kid a list", with(r#"{"alg":"Ed25519","kid":["a"]}"#), JwsError::Header("kid")),
        (
            "kid endless",
            with(&format!(r#"{{"alg":"Ed25519","kid":"{}"}}"#, "k".repeat(257))),
            JwsError::Header("kid"),
        ),
        ("typ a number", with(r#"{"alg":"Ed25519","typ":1}"#), JwsError::Header("typ")),
        ("typ null", with(r#"{"alg":"Ed25519","typ":null}"#), JwsError::Header("typ")),
        ("nested", with(r#"{"alg":"Ed25519","cty":"JWT"}"#), JwsError::Nested),
        ("nested, in full", with(r#"{"alg":"Ed25519","cty":"application/jwt"}"#), JwsError::Nested),
        (
            "other claims",
            format!("{header}.{}.{signature}", base64url_of(br#"{"sub":"root"}"#)),
            JwsError::Signature,
        ),
        (
            "other header",
            format!("{}.{payload}.{signature}", base64url_of(br#"{"alg":"EdDSA"}"#)),
            JwsError::Signature,
        ),
        ("half a signature", format!("{header}.{payload}.{}", signature.split_at(40).0), JwsError::Signature),
        ("nothing but zeros", format!("{header}.{payload}.{}", base64url_of(&[0; 64])), JwsError::Signature),
        ("a byte too many", format!("{header}.{payload}.{}", base64url_of(&[0; 65])), JwsError::Signature),
    ];
    for (name, token, expected) in rows {
        assert_eq!(refusal(&token), Some(expected), "{name}");
    }
}

/// Keys that a token brings along are not looked at: the signature counts against ours.
#[test]
fn keys_in_a_header_say_nothing() {
    let (ours, x) = (Signer::new(), base64url_of(&[9; 32]));
    let theirs = Signer(Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap());
    let public = base64url_of(theirs.0.public_key().as_ref());
    for header in [
        format!(r#"{{"alg":"Ed25519","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{public}"}}}}"#),
        format!(
            r#"{{"alg":"Ed25519","jku":"https://evil.example/jwks","x5u":"https://evil.example","x5c":["{x}"]}}"#
        ),
    ] {
        assert_eq!(refusal(&theirs.sign(&header, CLAIMS)), Some(JwsError::Signature));
        assert_eq!(refusal(&ours.sign(&header, CLAIMS)), None);
    }
}

/// RFC 8725 2.1: a public key is no secret, however the token puts it.
#[test]
fn a_public_key_is_no_secret() {
    let key = Signer::new().key();
    let signed = format!("{}.{}", base64url_of(br#"{"alg":"HS256"}"#), base64url_of(CLAIMS.as_bytes()));
    let public = Signer::new().0.public_key().as_ref().to_vec();
    let token = format!("{signed}.{}", base64url_of(&hmac_sha256(&public, &[signed.as_bytes()])));
    let verify = |key: &VerifyingKey| UnverifiedJwt::parse(&token).unwrap().verify(key).err();
    assert_eq!(verify(&key), Some(JwsError::OtherAlgorithm));
    // that the token is a right one otherwise
    assert_eq!(verify(&secret(&public).unwrap()), None);
}

#[test]
fn both_names_of_ed25519_are_one() {
    for name in ["Ed25519", "EdDSA"] {
        assert_eq!(refusal(&Signer::new().sign(format!(r#"{{"alg":"{name}"}}"#), CLAIMS)), None);
    }
}

#[test]
fn what_is_printed_is_neither_signature_nor_claim() {
    let token = Signer::new().sign(HEADER, CLAIMS);
    let unverified = UnverifiedJwt::parse(&token).unwrap();
    assert_eq!(format!("{unverified:?}"), "UnverifiedJwt(Ed25519, ..)");
    assert_eq!(unverified.kid(), Some("a"));
    let verified = unverified.verify(&Signer::new().key()).unwrap();
    assert_eq!(format!("{verified:?}"), r#"VerifiedJwt(Some("at+jwt"), ..)"#);
}

/// Another character anywhere is another token, and a refused one. (Of ECDSA anybody can make the other signature, with
/// n - s, from the first: see `UnverifiedJwt::verify`.)
#[test]
fn no_character_can_be_another() {
    let token = Signer::new().sign(HEADER, CLAIMS);
    assert_eq!(refusal(&token), None);
    for (at, was) in token.char_indices() {
        for other in ['A', 'B', 'w', '_', '.', '='].into_iter().filter(|&other| other != was) {
            let mut changed = token.clone();
            changed.replace_range(at..=at, &other.to_string());
            assert!(refusal(&changed).is_some(), "{at}: {changed}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_read_panics_or_passes(token in "[A-Za-z0-9_=.{}\":-]{0,400}", header in any::<Vec<u8>>(), claims in any::<Vec<u8>>()) {
        prop_assert!(refusal(&token).is_some());
        let made = Signer::new().sign(&header, &claims);
        prop_assert!(refusal(&made).is_some());
        let _ = jwk(&token);
    }
}
