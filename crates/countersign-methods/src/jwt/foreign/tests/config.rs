//! What an entry may not say, and how a claim is named.

use super::*;
use crate::jwt::foreign::claim_path::ClaimPathError;
use countersign_core::{Scope, principal::PrincipalName};
use countersign_crypto::SecretBytes;

#[test]
fn what_is_wrong_with_an_entry_is_found() {
    let secret = |length| KeyOrigin::Secret(SecretBytes::new(vec![7; length]));
    let scope = |text: &str| Scope::parse(text).unwrap();
    type Change<'a> = Box<dyn Fn(&mut ForeignIssuer) + 'a>;
    let jwt = |claim: &'static str| -> Change<'_> {
        Box::new(move |i| {
            let required_claim = ClaimPath::parse(claim).unwrap();
            i.typ = ExpectedTyp::Jwt { absent_ok: true, required_claim };
        })
    };
    let rows: Vec<(Change<'_>, &[IssuerProblem])> = vec![
        (Box::new(|_| {}), &[]),
        (Box::new(|i| i.issuer = "".into()), &[IssuerProblem::Issuer, IssuerProblem::Discovery]),
        (Box::new(|i| i.issuer = "https://a b".into()), &[IssuerProblem::Issuer]),
        (Box::new(|i| i.issuer = "http://idp".into()), &[IssuerProblem::Discovery]),
        (Box::new(|i| i.issuer = "http://localhost.evil.example".into()), &[IssuerProblem::Discovery]),
        (Box::new(|i| i.issuer = "http://127.0.0.1@evil.example".into()), &[IssuerProblem::Discovery]),
        (Box::new(|i| i.issuer = "http://localhost:8080/realms/a".into()), &[]),
        (Box::new(|i| i.issuer = "http://127.0.0.1".into()), &[]),
        (Box::new(|i| i.issuer = "https://idp?x".into()), &[IssuerProblem::Discovery]),
        (Box::new(|i| i.issuer = "idp#x".into()), &[IssuerProblem::Discovery]),
        (
            Box::new(|i| {
                i.issuer = "idp".into();
                i.keys = KeyOrigin::Url("https://idp/keys".into());
            }),
            &[],
        ),
        (Box::new(|i| i.algorithms.clear()), &[IssuerProblem::Algorithms]),
        (Box::new(|i| i.algorithms.push(Algorithm::Es256)), &[IssuerProblem::Algorithms]),
        (Box::new(|i| i.algorithms.push(Algorithm::Hs256)), &[IssuerProblem::Symmetric]),
        (Box::new(|i| i.algorithms = vec![Algorithm::Hs256]), &[IssuerProblem::Symmetric]),
        (Box::new(move |i| i.keys = secret(32)), &[IssuerProblem::Secret]),
        (
            Box::new(move |i| {
                i.keys = secret(31);
                i.algorithms = vec![Algorithm::Hs256];
            }),
            &[IssuerProblem::ShortSecret],
        ),
        (Box::new(|i| i.audiences.clear()), &[IssuerProblem::NoAudience]),
        (Box::new(|i| i.audiences.push("".into())), &[IssuerProblem::Audience]),
        (jwt("scope"), &[]),
        (jwt("nonce"), &[IssuerProblem::RequiredClaim]),
        (jwt("sub"), &[IssuerProblem::RequiredClaim]),
        (jwt("email"), &[IssuerProblem::RequiredClaim]),
        (Box::new(|i| i.leeway = Duration::from_secs(61)), &[IssuerProblem::Leeway]),
        (Box::new(|i| i.longest = Duration::ZERO), &[IssuerProblem::Longest]),
        (Box::new(|i| i.longest = Duration::from_secs(8 * 86_400)), &[IssuerProblem::Longest]),
        (
            Box::new(|i| i.scopes = ScopeSet::parse("countersign:admin").unwrap()),
            &[IssuerProblem::OperatorsScope],
        ),
        (
            Box::new(move |i| _ = i.scope_map.insert("admin".into(), scope("countersign:admin"))),
            &[IssuerProblem::OperatorsScope],
        ),
        (
            Box::new(move |i| _ = i.scope_map.insert("admin".into(), scope("orders:delete"))),
            &[IssuerProblem::ScopeMap],
        ),
        (
            Box::new(|i| _ = i.local.insert("".into(), PrincipalName::parse("ada").unwrap())),
            &[IssuerProblem::Local],
        ),
    ];
    for (n, (change, expected)) in rows.into_iter().enumerate() {
        let mut issuer = issuer();
        change(&mut issuer);
        assert_eq!(issuer.problems(), expected, "{n}");
        let trusted = TrustedIssuer { config: Arc::new(issuer), keys: Arc::new(FixedKeys::new(published())) };
        assert_eq!(ForeignIssuers::new([trusted]).is_ok(), expected.is_empty(), "{n}");
    }
}

#[test]
fn two_of_a_name_are_none() {
    let trusted = |change: fn(&mut ForeignIssuer)| {
        let mut issuer = issuer();
        change(&mut issuer);
        TrustedIssuer { config: Arc::new(issuer), keys: Arc::new(FixedKeys::new(published())) }
    };
    let same_name = [trusted(|_| {}), trusted(|i| i.issuer = "https://other.example".into())];
    let same_iss = [trusted(|_| {}), trusted(|i| i.name = IssuerName::parse("other").unwrap())];
    for pair in [same_name, same_iss] {
        assert!(matches!(ForeignIssuers::new(pair), Err(IssuersError::Twice(_))));
    }
    assert!(ForeignIssuers::default().is_empty());
}

#[test]
fn names_of_issuers() {
    for (text, is_one) in
        [("okta", true), ("a_b-9", true), ("", false), ("Okta", false), ("a.b", false), ("a:b", false)]
    {
        assert_eq!(IssuerName::parse(text).is_some(), is_one, "{text}");
    }
    assert!(IssuerName::parse(&"a".repeat(64)).is_some() && IssuerName::parse(&"a".repeat(65)).is_none());
}

#[test]
fn claims_are_found_where_they_stand() {
    let claims = json!({
        "scope": "a", "realm_access": { "roles": ["b"] }, "https://example.com/roles": { "x.y": { "z": "c" } },
        "none": null, "": "empty",
    });
    let claims = claims.as_object().unwrap();
    for (path, expected) in [
        ("scope", Some(json!("a"))),
        ("realm_access.roles", Some(json!(["b"]))),
        (r#""realm_access".roles"#, Some(json!(["b"]))),
        (r#""https://example.com/roles"."x.y".z"#, Some(json!("c"))),
        ("https://example.com/roles", None),
        ("realm_access.roles.0", None),
        ("scope.a", None),
        ("none", None),
        ("none.x", None),
        ("other", None),
    ] {
        let parsed = ClaimPath::parse(path).unwrap();
        assert_eq!(parsed.find(claims), expected.as_ref(), "{path}");
        assert_eq!(ClaimPath::parse(&parsed.to_string()), Ok(parsed), "{path}");
    }
    let (deep, deeper) = (["a"; 8].join("."), ["a"; 9].join("."));
    assert!(ClaimPath::parse(&deep).is_ok());
    for (path, why) in [
        ("", ClaimPathError::Empty),
        (".", ClaimPathError::Empty),
        ("a.", ClaimPathError::Empty),
        (".a", ClaimPathError::Empty),
        ("a..b", ClaimPathError::Empty),
        (r#""""#, ClaimPathError::Empty),
        (r#""a"#, ClaimPathError::Quote),
        (r#""a"b"#, ClaimPathError::Quote),
        (r#"a"b"#, ClaimPathError::Quote),
        (r#"a"."b"#, ClaimPathError::Quote),
        (&deeper, ClaimPathError::TooDeep),
        (&"a".repeat(257), ClaimPathError::TooLong),
    ] {
        assert_eq!(ClaimPath::parse(path), Err(why), "{path}");
    }
}

#[test]
fn a_secret_is_not_printed() {
    let issuer = ForeignIssuer { keys: KeyOrigin::Secret(SecretBytes::new(b"hunter2".to_vec())), ..issuer() };
    assert!(!format!("{issuer:?}").contains("hunter2") && !format!("{issuer:?}").contains("104"));
    assert_ne!(issuer.keys, KeyOrigin::Secret(SecretBytes::new(b"hunter3".to_vec())));
}
