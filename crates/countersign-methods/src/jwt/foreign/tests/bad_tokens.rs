//! A row for each way in which a token of somebody else is not taken. Unless the row is about that, the right key signed it.

use super::*;
use countersign_core::{Refusal, authenticator::Fault};
use countersign_crypto::{
    SecretBytes,
    jose::{JsonError, JwsError, Part},
};
use proptest::prelude::*;

const NOT_AN_OBJECT: JsonError = JsonError::NotAnObject;

fn json_of(part: Part, error: JsonError) -> Failure {
    Failure::Form(JwsError::Json(part, error))
}

#[test]
fn the_token_that_the_rows_spoil_is_good() {
    assert_eq!(failure(issuer(), &signed(&header(), &claims())), None);
}

/// RFC 7515: what is no signed token, or asks for what nobody does.
#[test]
fn rule_1_8_by_its_form_and_header() {
    let good = signed(&header(), &claims());
    let [head, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with_header = |name: &str, value: Value| signed(&with(header(), name, value), &claims());
    let raw_header = |text: &str| signed_text(text, claims().to_string(), |m| ES.sign(m).unwrap());
    let raw_claims = |text: &[u8]| signed_text(header().to_string(), text, |m| ES.sign(m).unwrap());
    let encoded = |head: &str, payload: &str| {
        let signed = format!("{head}.{payload}");
        format!("{signed}.{}", base64(ES.sign(signed.as_bytes()).unwrap()))
    };
    let unsigned =
        |alg: &str| format!("{}.{payload}.", base64(with(header(), "alg", json!(alg)).to_string()));
    let deep = format!(r#"{{"iss":"{ISSUER}","x":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    let long = with(claims(), "x", json!("x".repeat(17 * 1024)));
    let base64_of = |part| Failure::Form(JwsError::Base64(part));
    let other_key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = json!(other_key.verifying_key().to_jwk().unwrap());
    let injected = |name: &str, value: Value| {
        let header = with(header(), name, value);
        signed_text(header.to_string(), claims().to_string(), |m| other_key.sign(m).unwrap())
    };
    let text = good.as_str();
    let rows = [
        ("alg none", unsigned("none"), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg None", unsigned("None"), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg nOnE", unsigned("nOnE"), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg empty", unsigned(""), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg es256", with_header("alg", json!("es256")), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg with a space", with_header("alg", json!(" ES256")), Failure::Form(JwsError::UnknownAlgorithm)),
        ("alg a list", with_header("alg", json!(["ES256"])), Failure::Form(JwsError::Header("alg"))),
        ("alg absent", signed(&without(header(), "alg"), &claims()), Failure::Form(JwsError::Header("alg"))),
        ("alg not listed", with_header("alg", json!("EdDSA")), Failure::Algorithm),
        ("alg of another key type", with_header("alg", json!("RS256")), Failure::OtherAlgorithm),
        ("kid of another key type", with_header("kid", json!("r")), Failure::OtherAlgorithm),
        (
            "kid absent, one key of it",
            signed_text(without(header(), "kid").to_string(), claims().to_string(), |_| vec![0; 64]),
            Failure::Signature,
        ),
        ("kid unknown", with_header("kid", json!("x")), Failure::UnknownKey),
        ("kid empty", with_header("kid", json!("")), Failure::UnknownKey),
        ("kid a path", with_header("kid", json!("../../../../dev/null")), Failure::UnknownKey),
        ("kid SQL", with_header("kid", json!("e' UNION SELECT 'x'--")), Failure::UnknownKey),
        ("kid a URL", with_header("kid", json!("https://evil.example/e")), Failure::UnknownKey),
        ("kid with NUL", with_header("kid", json!("e\0")), Failure::UnknownKey),
        ("kid a number", with_header("kid", json!(1)), Failure::Form(JwsError::Header("kid"))),
        ("kid null", with_header("kid", json!(null)), Failure::Form(JwsError::Header("kid"))),
        ("kid very long", with_header("kid", json!("k".repeat(257))), Failure::Form(JwsError::Header("kid"))),
        ("jwk", injected("jwk", jwk.clone()), Failure::Signature),
        ("jku", injected("jku", json!("https://evil.example/jwks.json")), Failure::Signature),
        ("x5u", injected("x5u", json!("https://evil.example/chain.pem")), Failure::Signature),
        ("x5c", injected("x5c", json!(["MIIB"])), Failure::Signature),
        ("crit unknown", with_header("crit", json!(["exp"])), Failure::Form(JwsError::Extension)),
        ("crit known", with_header("crit", json!(["alg"])), Failure::Form(JwsError::Extension)),
        ("crit empty", with_header("crit", json!([])), Failure::Form(JwsError::Extension)),
        ("crit null", with_header("crit", json!(null)), Failure::Form(JwsError::Extension)),
        ("b64 false", with_header("b64", json!(false)), Failure::Form(JwsError::Extension)),
        ("zip", with_header("zip", json!("DEF")), Failure::Form(JwsError::Extension)),
        ("cty JWT", with_header("cty", json!("JWT")), Failure::Form(JwsError::Nested)),
        ("five parts", format!("{good}.AAAA.AAAA"), Failure::Form(JwsError::NotCompact)),
        ("two parts", format!("{head}.{payload}"), Failure::Form(JwsError::NotCompact)),
        ("empty", String::new(), Failure::Form(JwsError::NotCompact)),
        ("doubled", format!("{good}{good}"), Failure::Form(JwsError::NotCompact)),
        (
            "the JSON form",
            json!({ "payload": payload, "protected": head, "signature": signature }).to_string(),
            Failure::Form(JwsError::NotCompact),
        ),
        ("padding", format!("{good}=="), base64_of(Part::Signature)),
        ("padding that was signed", encoded(&format!("{head}="), payload), base64_of(Part::Header)),
        ("a space in front", format!(" {good}"), base64_of(Part::Header)),
        ("a line feed", format!("{good}\n"), base64_of(Part::Signature)),
        ("NUL behind", format!("{good}\0"), base64_of(Part::Signature)),
        ("bits left over", encoded("e31", payload), base64_of(Part::Header)),
        ("truncated", text.strip_suffix(|_: char| true).unwrap().to_owned(), base64_of(Part::Signature)),
        ("no signature", format!("{head}.{payload}."), Failure::Signature),
        (
            "a signature of zeros (CVE-2022-21449)",
            format!("{head}.{payload}.{}", base64([0; 64])),
            Failure::Signature,
        ),
        (
            "a signature without r",
            format!("{head}.{payload}.{}", base64([[0; 32], [1; 32]].concat())),
            Failure::Signature,
        ),
        (
            "a signature without s",
            format!("{head}.{payload}.{}", base64([[1; 32], [0; 32]].concat())),
            Failure::Signature,
        ),
        ("a signature in DER", format!("{head}.{payload}.{}", base64(der(signature))), Failure::Signature),
        (
            "claims of another token",
            encoded(head, payload).replace(payload, &base64(with(claims(), "sub", json!("eve")).to_string())),
            Failure::Signature,
        ),
        (
            "alg twice",
            raw_header(r#"{"alg":"ES256","alg":"none"}"#),
            json_of(Part::Header, JsonError::DuplicateMember),
        ),
        (
            "kid twice",
            raw_header(r#"{"alg":"ES256","kid":"e","kid":"r"}"#),
            json_of(Part::Header, JsonError::DuplicateMember),
        ),
        (
            "sub twice",
            raw_claims(br#"{"sub":"a","sub":"b"}"#),
            json_of(Part::Payload, JsonError::DuplicateMember),
        ),
        (
            "twice, deep inside",
            raw_claims(br#"{"a":[{"b":1,"b":2}]}"#),
            json_of(Part::Payload, JsonError::DuplicateMember),
        ),
        ("deep", raw_claims(deep.as_bytes()), json_of(Part::Payload, JsonError::TooDeep)),
        ("17 KiB", signed(&header(), &long), Failure::Form(JwsError::TooLong)),
        ("not UTF-8", raw_claims(b"{\"sub\":\"\xff\"}"), json_of(Part::Payload, NOT_AN_OBJECT)),
        ("exp 1e400", raw_claims(br#"{"exp":1e400}"#), json_of(Part::Payload, NOT_AN_OBJECT)),
        ("exp NaN", raw_claims(br#"{"exp":NaN}"#), json_of(Part::Payload, NOT_AN_OBJECT)),
        ("claims a list", raw_claims(b"[]"), json_of(Part::Payload, NOT_AN_OBJECT)),
        ("header null", raw_header("null"), json_of(Part::Header, NOT_AN_OBJECT)),
    ];
    for (what, token, expected) in rows {
        assert_eq!(failure(issuer(), &token), Some(expected), "{what}");
    }
}

/// RULES 1.8, RFC 8725 3.11: only access tokens are access tokens.
#[test]
fn rule_1_8_by_its_kind() {
    let of = |typ: Value| signed(&with(header(), "typ", typ), &claims());
    for typ in ["AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(failure(issuer(), &of(json!(typ))), None, "{typ}");
    }
    let others = [
        "JWT",
        "jwt",
        "id_token",
        "logout+jwt",
        "dpop+jwt",
        "refresh+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "countersign-identity+jwt",
        "at+jwt ",
        "at",
        "",
        "text/at+jwt",
    ];
    for typ in others {
        assert_eq!(failure(issuer(), &of(json!(typ))), Some(Failure::Typ), "{typ}");
    }
    let absent = signed(&without(header(), "typ"), &claims());
    assert_eq!(failure(issuer(), &absent), Some(Failure::Typ));
    assert_eq!(failure(issuer(), &of(json!(null))), Some(Failure::Form(JwsError::Header("typ"))));

    let plain = |absent_ok, claim: &str| ForeignIssuer {
        typ: ExpectedTyp::Jwt { absent_ok, required_claim: ClaimPath::parse(claim).unwrap() },
        ..issuer()
    };
    let jwt = with(header(), "typ", json!("JWT"));
    let id_token = with(without(without(claims(), "scope"), "client_id"), "nonce", json!("n"));
    for (what, config, token, expected) in [
        ("JWT with the claim", plain(false, "client_id"), signed(&jwt, &claims()), None),
        ("jwt with the claim", plain(false, "scope"), of(json!("jwt")), None),
        ("at+jwt where JWT is", plain(true, "scope"), of(json!("at+jwt")), Some(Failure::Typ)),
        ("absent", plain(false, "scope"), absent.clone(), Some(Failure::Typ)),
        ("absent, and that is well", plain(true, "scope"), absent.clone(), None),
        ("an ID token", plain(true, "client_id"), signed(&jwt, &id_token), Some(Failure::IdToken)),
        (
            "the claim is null",
            plain(true, "scope"),
            signed(&jwt, &with(claims(), "scope", json!(null))),
            Some(Failure::IdToken),
        ),
        (
            "at_hash",
            plain(true, "scope"),
            signed(&jwt, &with(claims(), "at_hash", json!("x"))),
            Some(Failure::IdToken),
        ),
        (
            "c_hash",
            plain(true, "scope"),
            signed(&jwt, &with(claims(), "c_hash", json!("x"))),
            Some(Failure::IdToken),
        ),
        ("a logout token", plain(true, "scope"), of(json!("logout+jwt")), Some(Failure::Typ)),
    ] {
        assert_eq!(failure(config, &token), expected, "{what}");
    }
}

/// RFC 7519 4.1, RFC 9068 4.
#[test]
fn rule_1_8_by_what_it_says() {
    let (missing, bad) = (json!(null), Failure::Claim);
    let rows: Vec<(&str, &str, Value, Failure)> = vec![
        ("iss absent", "iss", missing.clone(), Failure::UnknownIssuer),
        ("iss another", "iss", json!("https://evil.example"), Failure::UnknownIssuer),
        ("iss with a slash", "iss", json!(format!("{ISSUER}/")), Failure::UnknownIssuer),
        ("iss a prefix", "iss", json!("https://idp.example.com"), Failure::UnknownIssuer),
        ("iss with more", "iss", json!(format!("{ISSUER}.evil.example")), Failure::UnknownIssuer),
        ("iss of another case", "iss", json!(ISSUER.to_uppercase()), Failure::UnknownIssuer),
        ("iss a list", "iss", json!([ISSUER]), Failure::UnknownIssuer),
        ("iss an object", "iss", json!({ "iss": ISSUER }), Failure::UnknownIssuer),
        ("aud absent", "aud", missing.clone(), bad(Claim::Aud)),
        ("aud another", "aud", json!("https://other.example.com"), Failure::OtherAudience),
        ("aud with a slash", "aud", json!(format!("{US}/")), Failure::OtherAudience),
        ("aud others", "aud", json!(["https://a.example", "https://b.example"]), Failure::OtherAudience),
        ("aud our issuer", "aud", json!(ISSUER), Failure::OtherAudience),
        ("aud no list", "aud", json!([]), bad(Claim::Aud)),
        ("aud empty", "aud", json!(""), Failure::OtherAudience),
        ("aud a number", "aud", json!(7), bad(Claim::Aud)),
        ("aud with a number", "aud", json!([US, 7]), bad(Claim::Aud)),
        ("aud nested", "aud", json!([[US]]), bad(Claim::Aud)),
        ("aud an object", "aud", json!({ "aud": US }), bad(Claim::Aud)),
        ("exp absent", "exp", missing.clone(), bad(Claim::Exp)),
        ("exp a string", "exp", json!("1800000300"), bad(Claim::Exp)),
        ("exp negative", "exp", json!(-1), bad(Claim::Exp)),
        ("exp a list", "exp", json!([1_800_000_300]), bad(Claim::Exp)),
        ("exp true", "exp", json!(true), bad(Claim::Exp)),
        ("exp beyond the year 9999", "exp", json!(253_402_300_800_u64), bad(Claim::Exp)),
        ("exp in milliseconds", "exp", json!(1_800_000_300_000_u64), bad(Claim::Exp)),
        ("exp the largest", "exp", json!(u64::MAX), bad(Claim::Exp)),
        ("exp 1e300", "exp", json!(1e300), bad(Claim::Exp)),
        ("exp zero", "exp", json!(0), Failure::Expired),
        ("exp past", "exp", json!(1_799_999_999), Failure::Expired),
        ("exp now", "exp", json!(1_800_000_000), Failure::Expired),
        ("exp a moment ago", "exp", json!(1_799_999_999.75), Failure::Expired),
        ("exp far away", "exp", json!(1_800_000_000 + 86_400), Failure::TooLong),
        ("exp in a century", "exp", json!(4_900_000_000_u64), Failure::TooLong),
        ("nbf to come", "nbf", json!(1_800_000_031), Failure::NotYet),
        ("nbf a string", "nbf", json!("1"), bad(Claim::Nbf)),
        ("nbf negative", "nbf", json!(-0.5), bad(Claim::Nbf)),
        ("iat to come", "iat", json!(1_800_000_031), Failure::FromTheFuture),
        ("iat a string", "iat", json!("1"), bad(Claim::Iat)),
        ("iat long ago", "iat", json!(1_700_000_000), Failure::TooLong),
        ("auth_time to come", "auth_time", json!(1_800_000_031), Failure::FromTheFuture),
        ("auth_time a string", "auth_time", json!("1"), bad(Claim::AuthTime)),
        ("sub absent", "sub", missing.clone(), bad(Claim::Subject)),
        ("sub empty", "sub", json!(""), bad(Claim::Subject)),
        ("sub a number", "sub", json!(7), bad(Claim::Subject)),
        ("sub a list", "sub", json!(["ada"]), bad(Claim::Subject)),
        ("sub too long", "sub", json!("a".repeat(256)), bad(Claim::Subject)),
        ("sub with a line feed", "sub", json!("ada\nroot"), bad(Claim::Subject)),
        ("sub with NUL", "sub", json!("ada\0"), bad(Claim::Subject)),
        ("cnf jkt", "cnf", json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }), Failure::Bound),
        (
            "cnf x5t#S256",
            "cnf",
            json!({ "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }),
            Failure::Bound,
        ),
        ("cnf empty", "cnf", json!({}), Failure::Bound),
        ("cnf a string", "cnf", json!("x"), Failure::Bound),
        ("scope a number", "scope", json!(7), bad(Claim::Scopes)),
        ("scope an object", "scope", json!({ "orders:read": true }), bad(Claim::Scopes)),
        ("scope with a number", "scope", json!(["orders:read", 7]), bad(Claim::Scopes)),
        ("jti a number", "jti", json!(7), bad(Claim::Jti)),
        ("jti a list", "jti", json!(["t1"]), bad(Claim::Jti)),
    ];
    for (what, name, value, expected) in rows {
        let spoilt = if value.is_null() { without(claims(), name) } else { with(claims(), name, value) };
        assert_eq!(failure(issuer(), &signed(&header(), &spoilt)), Some(expected), "{what}");
    }
    // RFC 7519 4: null is a value, and none that fits
    for (name, expected) in [
        ("iss", Failure::UnknownIssuer),
        ("aud", bad(Claim::Aud)),
        ("exp", bad(Claim::Exp)),
        ("nbf", bad(Claim::Nbf)),
        ("iat", bad(Claim::Iat)),
        ("sub", bad(Claim::Subject)),
        ("cnf", Failure::Bound),
        ("jti", bad(Claim::Jti)),
    ] {
        let token = signed(&header(), &with(claims(), name, json!(null)));
        assert_eq!(failure(issuer(), &token), Some(expected), "{name} null");
    }
    let undated = with(without(claims(), "iat"), "exp", json!(1_800_000_000 + 86_401));
    assert_eq!(failure(issuer(), &signed(&header(), &undated)), Some(Failure::TooLong));
}

/// Numbers may have a fraction, clocks may differ a little, and what is no part of the rules is let be.
#[test]
fn what_may_be_may_be() {
    for (name, value) in [
        ("exp", json!(1_800_000_000.25)),
        ("exp", json!(1_800_000_000 + 86_400 - 10)),
        ("nbf", json!(1_800_000_030)),
        ("iat", json!(1_800_000_029.5)),
        ("auth_time", json!(1_700_000_000)),
        ("aud", json!(["https://other.example", US])),
        ("scope", json!("")),
        ("scope", json!([])),
        ("act", json!({ "sub": "robot" })),
        ("may_act", json!({ "sub": "robot" })),
        ("nonce", json!("n")),
        ("sub", json!("a".repeat(255))),
        ("jti", json!("j".repeat(4000))),
    ] {
        let claims = with(claims(), name, value.clone());
        assert_eq!(failure(issuer(), &signed(&header(), &claims)), None, "{name} {value}");
    }
}

/// RFC 8725 2.1: a public key is no secret (CVE-2026-22817, CVE-2026-34950), in whatever form it is taken for one.
#[test]
fn rule_1_8_a_public_key_is_no_secret() {
    let jwk = RS.verifying_key().to_jwk().unwrap();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let der = spki(&number("n"), &number("e"));
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&der)
    );
    let forms = [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        der,
        json!(jwk).to_string().into_bytes(),
        number("n"),
        Vec::new(),
    ];
    for secret in forms {
        for kid in [json!("r"), json!("e"), json!("x")] {
            let header = json!({ "alg": "HS256", "kid": kid, "typ": "at+jwt" });
            assert_eq!(failure(issuer(), &maced(&header, &claims(), &secret)), Some(Failure::Algorithm));
        }
    }
    // and an issuer with a secret takes nothing that is signed
    let secret = SecretBytes::new(vec![7; 32]);
    let symmetric = ForeignIssuer {
        keys: KeyOrigin::Secret(secret.clone()),
        algorithms: vec![Algorithm::Hs256],
        ..issuer()
    };
    let keys = Arc::new(FixedKeys::new(JwkSet::secret(secret).unwrap()));
    let all = ForeignIssuers::new([TrustedIssuer { config: Arc::new(symmetric), keys }]).unwrap();
    let ask = |token: &str| shown(&all, token).err();
    let header = json!({ "alg": "HS256", "typ": "at+jwt" });
    assert_eq!(ask(&maced(&header, &claims(), &[7; 32])), None);
    assert_eq!(ask(&maced(&with(header.clone(), "kid", json!("any")), &claims(), &[7; 32])), None);
    assert_eq!(ask(&maced(&header, &claims(), &[8; 32])), Some(Failure::Signature));
    assert_eq!(ask(&maced(&header, &claims(), b"")), Some(Failure::Signature));
    assert_eq!(ask(&signed(&self::header(), &claims())), Some(Failure::Algorithm));
}

/// The key of one issuer vouches for nobody else.
#[test]
fn rule_1_8_a_key_is_its_issuers() {
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut jwk = other.verifying_key().to_jwk().unwrap();
    jwk.insert("kid".into(), "e".into());
    let set = JwkSet::parse(json!({ "keys": [jwk] }).to_string().as_bytes(), &[Algorithm::Es256]).unwrap();
    let partner = ForeignIssuer {
        name: IssuerName::parse("partner").unwrap(),
        issuer: "https://partner.example".into(),
        algorithms: vec![Algorithm::Es256],
        ..issuer()
    };
    let all = ForeignIssuers::new([
        TrustedIssuer { config: Arc::new(issuer()), keys: Arc::new(FixedKeys::new(published())) },
        TrustedIssuer { config: Arc::new(partner), keys: Arc::new(FixedKeys::new(set)) },
    ])
    .unwrap();
    let ask = |token: &str| shown(&all, token).err();
    let theirs = with(claims(), "iss", json!("https://partner.example"));
    let sign =
        |claims: &Value| signed_text(header().to_string(), claims.to_string(), |m| other.sign(m).unwrap());
    assert_eq!(ask(&sign(&theirs)), None);
    assert_eq!(ask(&signed(&header(), &claims())), None);
    assert_eq!(ask(&sign(&claims())), Some(Failure::Signature));
    assert_eq!(ask(&signed(&header(), &theirs)), Some(Failure::Signature));
}

/// RULES 5.3: without keys it is our fault. A key that is not there is asked for, nothing else is.
#[test]
fn rule_5_3_keys_that_are_not_there() {
    let good = signed(&header(), &claims());
    let day = Duration::from_secs(86_400);
    let (unknown, wrong) = (
        signed(&with(header(), "kid", json!("x")), &claims()),
        signed_text(header().to_string(), claims().to_string(), |_| vec![1; 64]),
    );
    for (known, token, expected, wanted) in [
        (None, &good, Some(Failure::NoKeys), 0),
        (known_at(NOW.saturating_sub(day)), &good, Some(Failure::NoKeys), 0),
        (known_at(NOW.saturating_sub(day - Duration::from_secs(1))), &good, None, 0),
        (known_at(NOW), &unknown, Some(Failure::UnknownKey), 1),
        (known_at(NOW), &wrong, Some(Failure::Signature), 0),
    ] {
        let (all, keys) = trusted(issuer(), known);
        assert_eq!(shown(&all, token).err(), expected);
        assert_eq!(keys.wanted.load(Ordering::SeqCst), wanted, "{expected:?}");
    }
    assert_eq!(Failure::NoKeys.refusal(), Refusal::Unavailable);
}

/// Only of a token that was good is more told than that it is not.
#[test]
fn what_the_caller_is_told() {
    let told = |failure: Failure| match failure.refusal() {
        Refusal::Rejected(rejection) => {
            assert_eq!((rejection.fault, rejection.reason), (Fault::Invalid, failure.reason()));
            rejection.code
        }
        Refusal::Unavailable => "",
    };
    assert_eq!(told(Failure::Expired), "token_expired");
    let forged =
        signed_text(header().to_string(), with(claims(), "exp", json!(1)).to_string(), |_| vec![1; 64]);
    assert_eq!(failure(issuer(), &forged).map(told), Some("credential_invalid"));
    for failure in
        [Failure::UnknownKey, Failure::Bound, Failure::OtherAudience, Failure::Form(JwsError::NotCompact)]
    {
        assert_eq!(told(failure), "credential_invalid");
    }
}

proptest! {
    #[test]
    fn any_text(token in ".{0,200}") {
        prop_assert!(failure(issuer(), &token).is_some());
    }

    /// Whatever its claims are made of, nothing panics, and what has no good `exp` is not taken.
    #[test]
    fn any_time(exp in any::<f64>()) {
        let value = serde_json::Number::from_f64(exp).map_or(Value::Null, Value::Number);
        let taken = failure(issuer(), &signed(&header(), &with(claims(), "exp", value))).is_none();
        prop_assert_eq!(taken, exp > 1_800_000_000.0 && exp <= 1_799_999_990.0 + 86_400.0);
    }
}

/// r and s as two INTEGERs in a SEQUENCE.
fn der(signature: &str) -> Vec<u8> {
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    tagged(0x30, &raw.chunks(32).flat_map(integer).collect::<Vec<_>>())
}

/// SubjectPublicKeyInfo of an RSA key (RFC 8017 A.1).
fn spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let algorithm = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = tagged(0x30, &[integer(n), integer(e)].concat());
    tagged(0x30, &[tagged(0x30, &algorithm), tagged(0x03, &[vec![0], key].concat())].concat())
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    tagged(0x02, &[&[0], bytes].concat())
}

fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let head = match length {
        0..128 => vec![tag, length as u8],
        128..256 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, value.to_vec()].concat()
}
