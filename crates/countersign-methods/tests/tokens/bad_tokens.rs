//! A row for each way in which a token is not a session's (standards E: RFC 7515, 7519, 8725bis, 9068, and the CVEs of others).
//! But where the row is about the signature, all are signed by the very key of our sessions: whoever stole it gets no further
//! than a session would.

use crate::{
    forger::{Forger, decoded, der, encoded, other_s, own_key, resigned},
    house::{House, RESOURCE},
};
use countersign_crypto::{hash::hmac_sha256, jose};
use countersign_methods::signing::record::KeyPurpose;
use serde_json::{Value, json};

const INVALID: (u16, &str) = (401, "credential_invalid");
const MALFORMED: (u16, &str) = (400, "credential_malformed");

type Rows = Vec<(String, Vec<u8>, (u16, &'static str))>;

/// Each as a Bearer value, where it is refused, twice, since no refusal is kept; and as a cookie, where it is as good as none
/// (RULES 1.6).
async fn all_refused(house: &House, rows: Rows) {
    for (what, value, expected) in rows {
        let field = [b"Bearer ".as_slice(), &value].concat();
        for _ in 0..2 {
            let denial = house.check("/orders", &[("authorization", &field)]).await.err();
            let denial = denial.unwrap_or_else(|| panic!("{what}: let in"));
            assert_eq!((denial.kind.status().as_u16(), denial.code), expected, "{what}: {}", denial.reason);
            // a token for somebody else is somebody's
            let known = denial.reason == "for another audience";
            assert_eq!(denial.known.is_empty(), !known, "{what}");
        }
        let cookie = [b"__Host-session=".as_slice(), &value].concat();
        let denial = house.check("/orders", &[("cookie", &cookie)]).await.err();
        let denial = denial.unwrap_or_else(|| panic!("{what}: let in as a cookie"));
        assert_eq!(denial.code, "credential_missing", "{what} as a cookie");
    }
}

fn invalid(rows: Vec<(impl Into<String>, String)>) -> Rows {
    rows.into_iter().map(|(what, token)| (what.into(), token.into_bytes(), INVALID)).collect()
}

#[tokio::test]
async fn the_good_one_is_good() {
    // without which no row below says anything
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    assert_eq!(house.bearer(&forger.good()).await, (200, ""));
    assert_eq!(house.cookie(&forger.good()).await, (200, ""));
}

/// RFC 8725 3.1, 3.2: the key has its algorithm, and what the token says of it changes nothing.
#[tokio::test]
async fn other_algorithms() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let payload = forger.payload();
    let mut rows = Vec::new();
    for alg in [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "es256",
        "ES384",
        "ES512",
        "ES256K",
        "RS256",
        "PS256",
        "Ed25519",
        "EdDSA",
        "HS256",
        "HS512",
        "ES256 ",
        " ES256",
        "ES256\u{0}",
        "dir",
        "RSA-OAEP",
        "A256KW",
        "\u{0395}S256",
    ] {
        let token = forger.with_member("alg", json!(alg));
        rows.push((format!("alg `{alg}`, signed"), token.clone()));
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        rows.push((format!("alg `{alg}`, not signed"), format!("{unsigned}.")));
    }
    for alg in [json!(null), json!(1), json!(["ES256"]), json!({"alg": "ES256"}), json!(true)] {
        rows.push((format!("alg {alg}"), forger.with_member("alg", alg)));
    }
    rows.push(("no alg".to_owned(), forger.with_header(|header| drop(header.remove("alg")))));
    // CVE-2016-5431 and its many children: the public key as the secret of an HMAC
    let jwk = forger.key.verifying_key().to_jwk().unwrap();
    let member = |name: &str| decoded(jwk[name].as_str().unwrap());
    let point = [&[4], &member("x")[..], &member("y")].concat();
    // RFC 5480: SubjectPublicKeyInfo of a point of P-256
    let prefix = decoded("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE");
    let spki = [&prefix[..], &point[1..]].concat();
    let lines = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &spki);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n");
    let document = Value::Object(jwk).to_string();
    let jwks = house.signing.keys().jwks(KeyPurpose::Session).body;
    let secrets: [(&str, &[u8]); 9] = [
        ("nothing", b""),
        ("the point", &point),
        ("the point without its first byte", &point[1..]),
        ("its DER", &spki),
        ("its PEM", pem.as_bytes()),
        ("its PEM without the line feed", pem.trim_end().as_bytes()),
        ("its JWK", document.as_bytes()),
        ("the JWKS", &jwks),
        ("its kid", forger.kid.as_bytes()),
    ];
    for (what, secret) in secrets {
        let header = json!({"alg": "HS256", "kid": forger.kid, "typ": "at+jwt"}).to_string();
        let signed = format!("{}.{}", encoded(header), encoded(&payload));
        let mac = encoded(hmac_sha256(secret, &[signed.as_bytes()]));
        rows.push((format!("HS256 by {what}"), format!("{signed}.{mac}")));
    }
    all_refused(&house, invalid(rows)).await;
}

/// RFC 8725 3.10, RFC 7515 4.1: what a header says of keys is a stranger's word.
#[tokio::test]
async fn other_keys() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let payload = forger.payload();
    let mine = own_key();
    let jwk = Value::Object(mine.verifying_key().to_jwk().unwrap());
    let own_kid = jwk["kid"].as_str().unwrap().to_owned();
    let identity = house.stolen(KeyPurpose::Identity).await;
    let of_identity = identity.verifying_key().thumbprint().unwrap().to_owned();
    let mut rows = vec![
        ("no kid".to_owned(), forger.with_header(|header| drop(header.remove("kid")))),
        ("the kid in another case".to_owned(), forger.with_member("kid", json!(forger.kid.to_lowercase()))),
        ("the kid and a space".to_owned(), forger.with_member("kid", json!(format!("{} ", forger.kid)))),
        ("the kid cut".to_owned(), forger.with_member("kid", json!(forger.kid.get(..42).unwrap()))),
    ];
    let long = "k".repeat(300);
    for kid in [
        json!(""),
        json!("unknown"),
        json!("../../../../dev/null"),
        json!("/proc/sys/kernel/randomize_va_space"),
        json!("' OR '1'='1"),
        json!("x' UNION SELECT 'secret"),
        json!("*)(uid=*))(|(uid=*"),
        json!("https://evil.example/key"),
        json!("a\u{0}b"),
        json!(long),
        json!(7),
        json!(null),
        json!([forger.kid]),
        json!({"kid": forger.kid}),
    ] {
        rows.push((format!("kid {kid:.40}"), forger.with_member("kid", kid)));
    }
    // signed by a key of one's own that the token brings along
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/certificate.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
    ] {
        for kid in [&forger.kid, &own_kid] {
            let mut header = forger.header();
            header.insert("kid".into(), json!(kid));
            header.insert(name.into(), value.clone());
            let token = forger.signed_by(&mine, Value::Object(header).to_string(), &payload);
            rows.push((format!("{name} of a stranger, kid {kid}"), token));
        }
    }
    let header = |kid: &str, typ: &str| json!({"alg": "ES256", "kid": kid, "typ": typ}).to_string();
    rows.extend([
        (
            "a stranger's signature".to_owned(),
            forger.signed_by(&mine, header(&forger.kid, "at+jwt"), &payload),
        ),
        ("a stranger's key".to_owned(), forger.signed_by(&mine, header(&own_kid, "at+jwt"), &payload)),
        // RULES 1.4: the key of what upstreams are told
        (
            "the identity's key".to_owned(),
            forger.signed_by(&identity, header(&of_identity, "at+jwt"), &payload),
        ),
        (
            "an identity JWT".to_owned(),
            jose::sign(&identity, "countersign-identity+jwt", &forger.claims).unwrap(),
        ),
        (
            "the identity's key under our kid".to_owned(),
            forger.signed_by(&identity, header(&forger.kid, "at+jwt"), &payload),
        ),
    ]);
    all_refused(&house, invalid(rows)).await;
}

/// RFC 7515 4.1.9 to 4.1.11, RFC 7797, RFC 7516, RFC 8725 3.5 and 3.11.
#[tokio::test]
async fn other_kinds() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let mut rows = Vec::new();
    for crit in
        [json!([]), json!(["b64"]), json!(["exp"]), json!(["unknown"]), json!("b64"), json!(null), json!(1)]
    {
        let token = forger.with_header(|header| {
            header.insert("crit".into(), crit.clone());
            header.insert("unknown".into(), json!(true));
        });
        rows.push((format!("crit {crit}"), token));
    }
    for (name, value) in [
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("cty", json!("application/jwt")),
        ("cty", json!(1)),
        ("typ", json!("JWT")),
        ("typ", json!("jwt")),
        ("typ", json!("AT+JWT")),
        ("typ", json!("at+JWT")),
        ("typ", json!("application/at+jwt")),
        ("typ", json!(" at+jwt")),
        ("typ", json!("at+jwt;v=1")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("secevent+jwt")),
        ("typ", json!("token-introspection+jwt")),
        ("typ", json!("oauth-authz-req+jwt")),
        ("typ", json!("client-authentication+jwt")),
        ("typ", json!("countersign-identity+jwt")),
        ("typ", json!("")),
        ("typ", json!(null)),
        ("typ", json!(["at+jwt"])),
        ("typ", json!("t".repeat(65))),
    ] {
        let what = format!("{name} {value:.40}");
        rows.push((what, forger.with_member(name, value)));
    }
    rows.push(("no typ".to_owned(), forger.with_header(|header| drop(header.remove("typ")))));
    // b64 false: signed over the claims as they are
    let header = json!({"alg": "ES256", "b64": false, "crit": ["b64"], "kid": forger.kid, "typ": "at+jwt"});
    rows.push((
        "b64 false, and what is signed is not encoded".to_owned(),
        forger.sealed(&forger.key, &encoded(header.to_string()), &forger.payload()),
    ));
    // pac4j's CVE-2026-29000: a PlainJWT, encrypted for us by anybody
    let plain = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(forger.payload()));
    for header in [
        json!({"alg": "ECDH-ES", "enc": "A256GCM", "kid": forger.kid, "cty": "JWT"}),
        json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": forger.kid}),
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_647}),
        json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}),
    ] {
        let header = encoded(header.to_string());
        rows.push((
            "encrypted".into(),
            format!("{header}.AAAA.{}.{}.AAAA", encoded([0; 12]), encoded(&plain)),
        ));
        rows.push((
            "encrypted, in three parts".into(),
            forger.sealed(&forger.key, &header, &encoded(&plain)),
        ));
    }
    rows.push((
        "a JWT in a JWT".into(),
        forger.signed(Value::Object(forger.header()).to_string(), forger.good()),
    ));
    all_refused(&house, invalid(rows)).await;
}

/// RFC 7515 2, 3, 5.2, 7: one token has one form.
#[tokio::test]
async fn other_forms() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let good = forger.good();
    let other = forger.with_claim("jti", json!("another"));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let (_, others) = other.rsplit_once('.').unwrap();
    let own = Value::Object(forger.header()).to_string();
    let claims = forger.payload();
    let doubled = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
    let inside = forger.with_claim("x", json!({"y": [0]}));
    let inside = {
        let text = String::from_utf8(decoded(inside.split('.').nth(1).unwrap())).unwrap();
        text.replace(r#"{"y":[0]}"#, r#"{"y":[0],"y":[1]}"#)
    };
    assert!(inside.contains(r#""y":[1]"#));
    // in the last character of 64 bytes four bits are left over
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let next = alphabet.chars().nth(at + 1).unwrap();
    let trailing: String = signature.chars().take(85).chain([next]).collect();
    let flattened = json!({"protected": header, "payload": payload, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    let cut = |end: usize| good.get(..end).unwrap().to_owned();
    let rows = vec![
        ("flattened JSON", flattened.to_string()),
        ("general JSON", general.to_string()),
        ("padding", format!("{good}==")),
        ("padding in the middle, signed", forger.sealed(&forger.key, header, &format!("{payload}="))),
        ("the other alphabet", good.replace('-', "+").replace('_', "/") + "+/"),
        ("the other alphabet, signed", forger.sealed(&forger.key, &format!("{header}+/"), payload)),
        ("bits left over", format!("{header}.{payload}.{trailing}")),
        ("white space inside", format!("{header}. {payload}.{signature}")),
        ("another full stop", format!("{good}.")),
        ("a full stop in front", format!(".{good}")),
        ("two full stops", format!("{header}..{payload}.{signature}")),
        ("four parts", format!("{good}.{signature}")),
        ("two parts", format!("{header}.{payload}")),
        ("one part", header.to_owned()),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("only full stops", "..".to_owned()),
        ("no signature", format!("{header}.{payload}.")),
        ("half a signature", cut(good.len() - 43)),
        ("a signature without its last", cut(good.len() - 1)),
        ("a signature and more", format!("{good}AAAA")),
        ("another token's signature", format!("{header}.{payload}.{others}")),
        ("alg twice", forger.signed(doubled(&own, r#""alg":"none""#), &claims)),
        ("kid twice", forger.signed(doubled(&own, r#""kid":"x""#), &claims)),
        ("sub twice", forger.signed(&own, doubled(&claims, r#""sub":"usr_00000000000000000000""#))),
        ("sub twice, once escaped", forger.signed(&own, doubled(&claims, r#""s\u0075b":"root""#))),
        ("exp twice", forger.signed(&own, doubled(&claims, r#""exp":253402300799"#))),
        ("twice, deep inside", forger.signed(&own, inside)),
        ("nested deep", forger.signed(&own, doubled(&claims, &format!(r#""x":{deep}"#)))),
        ("a header nested deep", forger.signed(doubled(&own, &format!(r#""x":{deep}"#)), &claims)),
        ("a mark of byte order", forger.signed(&own, format!("\u{feff}{claims}"))),
        ("a header with a mark of byte order", forger.signed(format!("\u{feff}{own}"), &claims)),
        ("claims that are a list", forger.signed(&own, format!("[{claims}]"))),
        ("claims that are a string", forger.signed(&own, r#""sub""#)),
        ("no claims", forger.signed(&own, "")),
        ("two claims in a row", forger.signed(&own, format!("{claims}{claims}"))),
        ("not UTF-8", forger.signed(&own, claims.replace("countersign", "\u{fffd}").into_bytes())),
        ("half a surrogate", forger.signed(&own, doubled(&claims, r#""x":"\ud800""#))),
        ("NaN", forger.signed(&own, doubled(&claims, r#""x":NaN"#))),
        ("a comment", forger.signed(&own, doubled(&claims, "/* */\"x\":1"))),
        (
            "not UTF-8 in bytes",
            forger.signed(&own, [b"{\"x\":\"\xff\",".as_slice(), &claims.as_bytes()[1..]].concat()),
        ),
    ];
    let mut rows = invalid(rows);
    for (what, value) in [
        ("NUL", format!("{good}\u{1}").into_bytes()),
        ("bytes beyond ASCII", [good.as_bytes(), &[0xff]].concat()),
        ("a letter beyond ASCII", format!("é{good}").into_bytes()),
        ("a tab inside", format!("{header}.\t{payload}.{signature}").into_bytes()),
        ("more than 8 KiB", forger.with_claim("x", json!("x".repeat(8192))).into_bytes()),
    ] {
        // what no header may carry never comes so far
        if http::HeaderValue::from_bytes(&value).is_ok() {
            rows.push((what.to_owned(), value, MALFORMED));
        }
    }
    all_refused(&house, rows).await;
}

/// RFC 7518 3.4, and CVE-2022-21449: the signature that a psychic makes.
#[tokio::test]
async fn other_signatures() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let good = forger.good();
    let zero = [0; 32];
    let order = other_s(&zero);
    let rows = vec![
        ("DER", resigned(&good, der)),
        ("r = 0, s = 0", resigned(&good, |_, _| vec![0; 64])),
        ("r = 0", resigned(&good, |_, s| [&zero, s].concat())),
        ("s = 0", resigned(&good, |r, _| [r, &zero].concat())),
        ("r = n, s = n", resigned(&good, |_, _| [&order[..], &order].concat())),
        ("r = n", resigned(&good, |_, s| [&order[..], s].concat())),
        ("s = n", resigned(&good, |r, _| [r, &order[..]].concat())),
        ("all ones", resigned(&good, |_, _| vec![0xff; 64])),
        ("s and r", resigned(&good, |r, s| [s, r].concat())),
        ("r twice", resigned(&good, |r, _| [r, r].concat())),
        ("n - r", resigned(&good, |r, s| [&other_s(r)[..], s].concat())),
        ("a byte in front", resigned(&good, |r, s| [&[0], r, s].concat())),
        ("a byte behind", resigned(&good, |r, s| [r, s, &[0]].concat())),
        ("a byte less", resigned(&good, |r, s| [r, &s[..31]].concat())),
        ("33 bytes each", resigned(&good, |r, s| [&[0], r, &[0], s].concat())),
    ];
    all_refused(&house, invalid(rows)).await;
    for bit in 0..512 {
        let flipped = resigned(&good, |r, s| {
            let mut bytes = [r, s].concat();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        assert!(house.tokens.read(&flipped, house.now()).is_err(), "{bit}");
    }
}

/// RFC 9068 2.2, RFC 7519 4.1: what nothing here signs is nothing that is believed here.
#[tokio::test]
async fn other_claims() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let now = house.now().as_seconds();
    let mut rows: Rows = Vec::new();
    let mut row =
        |what: &str, token: String, expected| rows.push((what.to_owned(), token.into_bytes(), expected));
    for name in
        ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "auth_time", "amr", "sid", "lin"]
    {
        row(&format!("no {name}"), forger.without_claim(name), INVALID);
        for value in [json!(null), json!(true), json!({}), json!([[]]), json!([1]), json!(1.5)] {
            row(&format!("{name} {value}"), forger.with_claim(name, value), INVALID);
        }
    }
    let claims = [
        ("iss", json!("https://auth.example.com/")),
        ("iss", json!("https://AUTH.example.com")),
        ("iss", json!("http://auth.example.com")),
        ("iss", json!("https://evil.example")),
        ("iss", json!("")),
        ("iss", json!(["https://auth.example.com"])),
        ("aud", json!("https://other.example.com")),
        ("aud", json!("https://api.example.com/")),
        ("aud", json!(format!("{RESOURCE} https://other.example.com"))),
        ("aud", json!([])),
        ("aud", json!("")),
        ("aud", json!(7)),
        ("aud", json!([RESOURCE, 7])),
        ("aud", json!(vec![RESOURCE; 65])),
        ("exp", json!(now.to_string())),
        ("exp", json!(now as f64 + 60.5)),
        ("exp", json!(1e300_f64)),
        ("exp", json!(-1)),
        ("exp", json!(253_402_300_800_i64)),
        ("exp", json!(u64::MAX)),
        ("iat", json!(now + 61)),
        ("iat", json!(now.to_string())),
        ("iat", json!(-1)),
        ("nbf", json!(now + 3600)),
        ("nbf", json!("soon")),
        ("auth_time", json!(-1)),
        ("sub", json!("root")),
        ("sub", json!("")),
        ("sub", json!("usr_")),
        ("sub", json!("cli_00000000000000000000")),
        ("sub", json!("usr_0000000000000000000!")),
        ("sub", json!("USR_00000000000000000000")),
        ("client_id", json!("another")),
        ("client_id", json!("Countersign")),
        ("client_id", json!("")),
        ("scope", json!(["orders:read"])),
        ("scope", json!("orders:read\norders:write")),
        ("scope", json!("orders:\"read\"")),
        ("scope", json!("órders:read")),
        ("sid", json!("")),
        ("sid", json!("a-b")),
        ("sid", json!("s".repeat(65))),
        ("sid", json!(7)),
        ("jti", json!("")),
        ("jti", json!("a b")),
        ("jti", json!("a:b")),
        ("jti", json!("j".repeat(65))),
        ("lin", json!("")),
        ("lin", json!(["password"])),
        ("lin", json!(["nothing:1"])),
        ("lin", json!([":1"])),
        ("lin", json!(vec!["password:1"; 33])),
        ("amr", json!("pwd")),
        ("amr", json!([])),
        ("amr", json!(["pwd", "otp"])),
        ("cnf", json!({"jkt": "AAAA"})),
        ("cnf", json!({"x5t#S256": "AAAA"})),
        ("cnf", json!({})),
        ("cnf", json!(null)),
        ("cnf", json!("")),
    ];
    for (name, value) in claims {
        let what = format!("{name} {value:.60}");
        row(&what, forger.with_claim(name, value), INVALID);
    }
    for exp in [now, now - 1, 0] {
        row(&format!("exp {exp}"), forger.with_claim("exp", json!(exp)), (401, "token_expired"));
    }
    // what an ID token says (OpenID Connect Core 2), signed by the same key
    let id_token = json!({"iss": forger.claims["iss"], "sub": forger.claims["sub"], "aud": "a-client",
        "exp": now + 300, "iat": now, "nonce": "n", "auth_time": now});
    let header = json!({"alg": "ES256", "kid": forger.kid, "typ": "JWT"}).to_string();
    row("an ID token", forger.signed(header, id_token.to_string()), INVALID);
    let header = Value::Object(forger.header()).to_string();
    row("an ID token that says it is none", forger.signed(header, id_token.to_string()), INVALID);
    // somebody who is nobody here
    let nobody = forger.with_claim("sub", json!("usr_00000000000000000000"));
    row("nobody", nobody, INVALID);
    all_refused(&house, rows).await;
}

/// RFC 9110 11.4, RFC 6750 2.1: the field around it.
#[tokio::test]
async fn other_fields() {
    let house = House::new().await;
    let good = Forger::at(&house).await.good();
    let field = |text: &str| text.replace("TOKEN", &good);
    let rows = [
        ("bearer TOKEN", (200, "")),
        ("BEARER TOKEN", (200, "")),
        ("Bearer  TOKEN", (200, "")),
        ("  Bearer TOKEN\t", (200, "")),
        ("Bearer TOKEN TOKEN", INVALID),
        ("Bearer TOKEN, Bearer TOKEN", INVALID),
        ("Bearer \"TOKEN\"", INVALID),
        ("Bearer token=TOKEN", INVALID),
        ("Bearer:TOKEN", MALFORMED),
        ("Bearer\tTOKEN", MALFORMED),
        ("BearerTOKEN", MALFORMED),
        ("TOKEN", MALFORMED),
        ("Bearer", MALFORMED),
        ("Bearer ", MALFORMED),
        ("", MALFORMED),
        // another scheme is another method's, and this route names none that reads it
        ("DPoP TOKEN", (401, "credential_missing")),
        ("Token TOKEN", (401, "credential_missing")),
        ("Basic TOKEN", (401, "credential_missing")),
    ];
    for (text, expected) in rows {
        let text = field(text);
        assert_eq!(house.ask("/orders", &[("authorization", &text)]).await, expected, "{text:.30}");
    }
    let bearer = field("Bearer TOKEN");
    let both = house.ask("/orders", &[("authorization", &bearer), ("authorization", &bearer)]).await;
    assert_eq!(both, (400, "credential_doubled"));
    // RFC 6750 2.3: never in the query
    let query = format!("/orders?access_token={good}");
    assert_eq!(house.ask(&query, &[]).await, (401, "credential_missing"));
    assert_eq!(house.ask("/orders", &[("x-api-key", &good)]).await, (401, "credential_missing"));
}
