//! A set of keys: which members count, which are left out and why, and which of them a token may name.

use super::*;
use crate::jose::{JsonError, JwkSet, JwkSetError, LONGEST_JWK_SET, NoKey, Skipped, WhySkipped};
use crate::key::SigningKey;
use proptest::prelude::*;
use serde_json::{Value, json};

fn member(algorithm: Algorithm, kid: &str) -> Value {
    let key = SigningKey::generate(algorithm).unwrap();
    let mut members = key.verifying_key().to_jwk().unwrap();
    members.insert("kid".into(), kid.into());
    members.into()
}

fn with(mut member: Value, name: &str, value: Value) -> Value {
    member.as_object_mut().unwrap().insert(name.into(), value);
    member
}

fn without(mut member: Value, name: &str) -> Value {
    member.as_object_mut().unwrap().remove(name);
    member
}

fn parse(keys: Value) -> Result<JwkSet, JwkSetError> {
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes(), &ALL)
}

#[test]
fn what_does_not_fit_is_left_out_with_its_reason() {
    let good = || member(Algorithm::Es256, "good");
    let odd = || member(Algorithm::Ed25519, "odd");
    let rsa = || member(Algorithm::Rs256, "odd");
    let rows: [(Value, JwkError); 14] = [
        (with(odd(), "use", json!("enc")), JwkError::Purpose),
        (with(odd(), "key_ops", json!(["sign"])), JwkError::Purpose),
        (with(odd(), "kty", json!("AKP")), JwkError::Algorithm),
        (with(odd(), "alg", json!("ES512")), JwkError::Algorithm),
        (with(odd(), "alg", json!("none")), JwkError::Algorithm),
        (with(odd(), "crv", json!("Ed448")), JwkError::Algorithm),
        (with(odd(), "d", json!("AAAA")), JwkError::Private),
        (json!({ "kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "odd" }), JwkError::Symmetric),
        (without(rsa(), "alg"), JwkError::Ambiguous),
        (with(rsa(), "n", json!("AQAB")), JwkError::Material),
        (with(odd(), "x", json!("AAAA")), JwkError::Material),
        (without(odd(), "x"), JwkError::Member("x")),
        (without(odd(), "kty"), JwkError::Member("kty")),
        (json!("a string"), JwkError::Json(JsonError::NotAnObject)),
    ];
    for (odd, why) in rows {
        let kid = odd.get("kid").map(|_| "odd".to_owned());
        let alone = Skipped { kid, why: WhySkipped::Key(why) };
        assert_eq!(parse(json!([odd])).unwrap_err(), JwkSetError::NoKey(vec![alone.clone()]), "{odd}");
        let set = parse(json!([odd, good()])).unwrap();
        assert_eq!((set.len(), set.skipped()), (1, &[alone][..]), "{odd}");
        assert!(set.find(Some("good"), Algorithm::Es256).is_ok());
        assert_eq!(set.find(Some("odd"), Algorithm::Es256).unwrap_err(), NoKey::Unknown);
        assert!(set.to_string().starts_with("1 key, 1 skipped: "), "{set}");
    }
    // a `kid` of the wrong kind
    let set = parse(json!([with(odd(), "kid", json!(7)), good()])).unwrap();
    assert_eq!(set.skipped(), [Skipped { kid: None, why: WhySkipped::Key(JwkError::Member("kid")) }]);
    assert_eq!(parse(json!([good()])).unwrap().to_string(), "1 key");
}

#[test]
fn a_set_that_is_none_is_an_error() {
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "a".repeat(LONGEST_JWK_SET));
    let deep = format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let rows: [(&str, JwkSetError); 12] = [
        ("", JwkSetError::Json(JsonError::NotAnObject)),
        ("<html>", JwkSetError::Json(JsonError::NotAnObject)),
        ("[]", JwkSetError::Json(JsonError::NotAnObject)),
        (r#"{"keys":[]} {}"#, JwkSetError::Json(JsonError::NotAnObject)),
        (r#"{"keys":[],"keys":[]}"#, JwkSetError::Json(JsonError::DuplicateMember)),
        (r#"{"keys":[{"kid":"a","kid":"b"}]}"#, JwkSetError::Json(JsonError::DuplicateMember)),
        (&deep, JwkSetError::Json(JsonError::TooDeep)),
        (&long, JwkSetError::TooLong),
        ("{}", JwkSetError::NoList),
        (r#"{"keys":{}}"#, JwkSetError::NoList),
        (r#"{"KEYS":[]}"#, JwkSetError::NoList),
        (r#"{"keys":[]}"#, JwkSetError::NoKey(Vec::new())),
    ];
    for (text, why) in rows {
        assert_eq!(JwkSet::parse(text.as_bytes(), &ALL).unwrap_err(), why);
    }
    let key = json!({ "keys": [member(Algorithm::Es256, "a")] }).to_string();
    assert!(matches!(JwkSet::parse(key.as_bytes(), &[]).unwrap_err(), JwkSetError::NoKey(_)));
    assert!(matches!(JwkSet::parse(key.as_bytes(), &[Algorithm::Ps256]).unwrap_err(), JwkSetError::NoKey(_)));
}

/// Two that are called alike are both left out: of three too, and whatever their algorithms.
#[test]
fn which_of_two_keys_is_meant_is_not_guessed() {
    let (one, two, other) = (Algorithm::Es256, Algorithm::Ed25519, member(Algorithm::Ed25519, "other"));
    let set = parse(json!([member(one, "a"), member(two, "a"), other, member(one, "a")])).unwrap();
    let same = Skipped { kid: Some("a".into()), why: WhySkipped::SameKeyId };
    assert_eq!(set.skipped(), [same.clone(), same.clone(), same.clone()]);
    assert_eq!(set.find(Some("a"), one).unwrap_err(), NoKey::Unknown);
    assert!(set.find(Some("other"), two).is_ok());
    assert_eq!(
        parse(json!([member(one, "a"), member(one, "a")])).unwrap_err(),
        JwkSetError::NoKey(vec![same.clone(), same])
    );
    // one of the two is no key
    let set = parse(json!([member(one, "a"), with(member(one, "a"), "use", json!("enc"))])).unwrap();
    assert!(set.find(Some("a"), one).is_ok());
    // none has a name: no two have the same
    let nameless = || without(member(one, ""), "kid");
    assert_eq!(parse(json!([nameless(), nameless()])).unwrap().len(), 2);
}

#[test]
fn a_key_is_found_by_its_name_or_where_there_is_no_choice() {
    let (es, ed, rs) = (Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256);
    let set = parse(json!([member(es, "a"), member(es, "b"), member(ed, "c")])).unwrap();
    for (kid, algorithm, found) in [
        (Some("a"), es, Ok(es)),
        (Some("b"), es, Ok(es)),
        (Some("c"), ed, Ok(ed)),
        (Some("a"), ed, Err(NoKey::OtherAlgorithm)),
        (Some("c"), rs, Err(NoKey::OtherAlgorithm)),
        (Some("c"), Algorithm::Hs256, Err(NoKey::OtherAlgorithm)),
        (Some("A"), es, Err(NoKey::Unknown)),
        (Some("a "), es, Err(NoKey::Unknown)),
        (Some(""), es, Err(NoKey::Unknown)),
        (None, ed, Ok(ed)),
        (None, es, Err(NoKey::Unnamed)),
        (None, rs, Err(NoKey::Unnamed)),
    ] {
        assert_eq!(set.find(kid, algorithm).map(VerifyingKey::algorithm), found, "{kid:?} {algorithm:?}");
    }
    let nameless = parse(json!([without(member(es, ""), "kid")])).unwrap();
    assert!(nameless.find(None, es).is_ok());
    assert_eq!(nameless.find(Some("a"), es).unwrap_err(), NoKey::Unknown);
}

#[test]
fn of_many_keys_the_first_64_are_looked_at() {
    let keys: Vec<Value> = (0..66).map(|n| member(Algorithm::Ed25519, &format!("k{n}"))).collect();
    let set = parse(json!(keys)).unwrap();
    assert_eq!((set.len(), set.skipped()), (64, &[Skipped { kid: None, why: WhySkipped::Beyond(2) }][..]));
    assert!(set.find(Some("k63"), Algorithm::Ed25519).is_ok());
    assert_eq!(set.find(Some("k64"), Algorithm::Ed25519).unwrap_err(), NoKey::Unknown);
}

#[test]
fn a_secret_needs_no_name_and_fits_nothing_else() {
    let set = JwkSet::secret(SecretBytes::new(vec![7; 32])).unwrap();
    for kid in [None, Some("whatever")] {
        assert!(set.find(kid, Algorithm::Hs256).is_ok());
        assert_eq!(set.find(kid, Algorithm::Rs256).unwrap_err(), NoKey::Unnamed);
    }
    assert_eq!(JwkSet::secret(SecretBytes::new(vec![7; 31])).unwrap_err(), JwkError::ShortSecret);
    assert!(!format!("{set:?}").contains("7, 7"));
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(JwkSet::parse(&bytes, &ALL).is_err());
    }
}
