//! What an operator is told of a token of somebody else: the check that fails is the one where its judgement stopped.

use super::*;
use crate::jwt::{
    inspect::{Inspection, Judge, Outcome, Step},
    verify,
};

fn look(config: ForeignIssuer, known: Option<Arc<KnownKeys>>, token: &str) -> Inspection {
    let judge = Judge::Issuer(Arc::new(config.clone()));
    let verdict = match shown(&trusted(config, known).0, token) {
        Ok(ForeignOutcome::Foreign(authentication)) => Ok(*authentication),
        Ok(ForeignOutcome::Local(_)) => Err(verify::Failure::NoPrincipal),
        Err(failure) => Err(verify::Failure::Foreign(failure)),
    };
    Inspection::of(token, verdict, &judge, None, NOW)
}

#[test]
fn a_good_one_passes_every_check_of_its_kind() {
    let seen = look(issuer(), known_at(NOW), &signed(&header(), &claims()));
    let names: Vec<&str> = seen.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, Step::FOREIGN.map(Step::as_str));
    assert!(seen.is_verified() && seen.checks.iter().all(|check| check.outcome == Outcome::Passed));
    assert!(seen.checks.iter().any(|check| check.reason == format!("`{ISSUER}` is `staff`")), "{seen:?}");
}

#[test]
fn rule_1_8_the_check_that_fails_is_where_the_judgement_stopped() {
    let with_header = |name: &str, value: Value| signed(&with(header(), name, value), &claims());
    let with_claim = |name: &str, value: Value| signed(&header(), &with(claims(), name, value));
    let typed = ForeignIssuer {
        typ: ExpectedTyp::Jwt { absent_ok: true, required_claim: ClaimPath::parse("client_id").unwrap() },
        ..issuer()
    };
    let id_token = signed(&with(header(), "typ", json!("JWT")), &with(claims(), "at_hash", json!("x")));
    let local = ForeignIssuer {
        local: [("ada".into(), countersign_core::principal::PrincipalName::parse("ada").unwrap())].into(),
        ..issuer()
    };
    let forged = {
        let good = signed(&header(), &claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        format!("{signed}.{}", base64([0; 64]))
    };
    let known = || known_at(NOW);
    let rows = [
        (issuer(), known(), with_header("typ", json!("JWT")), Step::Type),
        (issuer(), known(), with_header("alg", json!("EdDSA")), Step::Listed),
        (issuer(), None, signed(&header(), &claims()), Step::Key),
        (issuer(), known(), with_header("kid", json!("x")), Step::Key),
        (issuer(), known(), with_header("kid", json!("r")), Step::Key),
        (issuer(), known(), forged, Step::Signature),
        (issuer(), known(), with_claim("aud", json!("https://other.example")), Step::Audience),
        (issuer(), known(), with_claim("aud", json!(1)), Step::Audience),
        (issuer(), known(), with_claim("exp", json!("soon")), Step::Dates),
        (issuer(), known(), with_claim("nbf", json!([])), Step::Dates),
        (issuer(), known(), with_claim("exp", json!(NOW.as_seconds())), Step::Expiry),
        (issuer(), known(), with_claim("nbf", json!(NOW.as_seconds() + 200)), Step::NotBefore),
        (issuer(), known(), with_claim("iat", json!(NOW.as_seconds() + 200)), Step::IssuedAt),
        (issuer(), known(), with_claim("exp", json!(NOW.as_seconds() + 9_000_000)), Step::Lifetime),
        (typed, known(), id_token, Step::AccessToken),
        (issuer(), known(), with_claim("cnf", json!({})), Step::Confirmation),
        (issuer(), known(), with_claim("sub", json!("")), Step::Claims),
        (issuer(), known(), with_claim("scope", json!(1)), Step::Claims),
        (issuer(), known(), with_claim("jti", json!(1)), Step::Claims),
        (local, known(), signed(&header(), &claims()), Step::Local),
    ];
    for (config, known, token, step) in rows {
        let seen = look(config, known, &token);
        let place = Step::FOREIGN.iter().position(|one| *one == step).unwrap();
        for (n, check) in seen.checks.iter().enumerate() {
            let expected = match n.cmp(&place) {
                std::cmp::Ordering::Less => Outcome::Passed,
                std::cmp::Ordering::Equal => Outcome::Failed,
                std::cmp::Ordering::Greater => Outcome::NotReached,
            };
            assert_eq!(check.outcome, expected, "{step:?}: {check:?}");
            assert!(!check.reason.is_empty() && check.fix.is_some() == (n == place), "{step:?}: {check:?}");
        }
        assert!(!format!("{:?}", seen.checks).contains(&token));
    }
}
