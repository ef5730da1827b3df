use super::super::{
    claims,
    issue::TokenError,
    record::{TYP, token_node},
    verify::{self, Failure},
};
use super::{ISSUER, NOW, token};
use crate::{session::record::session_node, signing::record::signing_key_node};
use countersign_core::{Node, Place, Refusal, Timestamp, authenticator::Fault};
use countersign_crypto::{
    jose::{self, Algorithm, JsonError, JwsError, Part, UnverifiedJwt, VerifiedJwt},
    key::SigningKey,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn verified(typ: &str, change: impl FnOnce(&mut Map<String, Value>)) -> VerifiedJwt {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut claims = claims::write(&token());
    change(&mut claims);
    let text = jose::sign(&key, typ, &claims).unwrap();
    UnverifiedJwt::parse(&text).unwrap().verify(key.verifying_key()).unwrap()
}

fn judged(now: Timestamp, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Failure> {
    verify::access_token(&verified(TYP, change), ISSUER, now).map(|_| ())
}

/// A row for each failure that a claim can be.
#[test]
fn each_is_refused_for_its_reason() {
    assert_eq!(judged(NOW, |_| {}), Ok(()));
    let with = |name: &'static str, value: Value| {
        judged(NOW, |claims| {
            claims.insert(name.into(), value);
        })
    };
    for typ in ["", "JWT", "AT+JWT", "application/at+jwt", "countersign-identity+jwt"] {
        assert_eq!(verify::access_token(&verified(typ, |_| {}), ISSUER, NOW), Err(Failure::Typ), "{typ}");
    }
    assert_eq!(with("iss", json!("https://auth.example.com/")), Err(Failure::Issuer));
    for cnf in [json!(null), json!({}), json!({"jkt": "x"}), json!({"x5t#S256": "x"})] {
        assert_eq!(with("cnf", cnf), Err(Failure::Confirmation));
    }
    assert_eq!(with("nbf", json!(0)), Err(Failure::Claim("nbf")));
    assert_eq!(with("client_id", json!("another")), Err(Failure::Claim("client_id")));
}

#[test]
fn its_times_hold_to_the_microsecond() {
    let micro = Duration::from_micros(1);
    let end = token().expires_at;
    assert_eq!(judged(end.saturating_sub(micro), |_| {}), Ok(()));
    assert_eq!(judged(end, |_| {}), Err(Failure::Expired));
    // the clock of whoever signed may be a minute ahead, and no more
    let from = NOW.saturating_sub(SECOND * 60);
    assert_eq!(judged(from, |_| {}), Ok(()));
    assert_eq!(judged(from.saturating_sub(micro), |_| {}), Err(Failure::NotYet));
}

/// A caller hears of an end that it reached, and of nothing else; an outage is ours (RFC 6750 3.1).
#[test]
fn who_is_told_what() {
    let all = [
        Failure::Jws(JwsError::Signature),
        Failure::Jws(JwsError::OtherAlgorithm),
        Failure::Jws(JwsError::Json(Part::Header, JsonError::DuplicateMember)),
        Failure::UnknownKey,
        Failure::Typ,
        Failure::Issuer,
        Failure::Claim("sub"),
        Failure::Confirmation,
        Failure::Expired,
        Failure::NotYet,
        Failure::Over,
    ];
    for failure in all {
        let Refusal::Rejected(rejection) = failure.refusal() else { panic!("{failure:?}") };
        assert_eq!(rejection.fault, Fault::Invalid);
        let code = if failure == Failure::Expired { "token_expired" } else { "credential_invalid" };
        assert_eq!((rejection.code, rejection.reason), (code, failure.reason()));
    }
    assert_eq!(Failure::Store.refusal(), Refusal::Unavailable);
    let said = TokenError::NotOurs(Failure::Issuer).to_string();
    assert!(said.contains("a token of another issuer"), "{said}");
}

/// RULES 2.5: all of its parents', whatever the token says of itself.
#[test]
fn it_descends_from_all_that_can_end_it() {
    let token = token();
    let own = [
        Node::principal(&token.principal),
        session_node(&token.session),
        token_node(&token.jti),
        signing_key_node("kid"),
    ];
    let expected: Vec<Node> = own.into_iter().chain(token.parents.iter().cloned()).collect();
    let found = verify::of_token(token, "kid", Place::Authorization);
    assert!(expected.iter().all(|node| found.lineage.iter().any(|known| known == node)), "{found:?}");
    assert_eq!(found.lineage.iter().count(), expected.len());
    assert_eq!(found.issuer, None);
}
