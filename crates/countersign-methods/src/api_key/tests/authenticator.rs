//! The use of a key: find -> look up -> verify, over a store that may be down.

use super::{DAY, House, stranger};
use crate::{
    api_key::{
        issue::Rotate,
        record::{Environment, RevocationReason},
    },
    fakes::{NOW, now_or_never},
    principal::caller::Caller,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Authentication, Authenticator, MethodName, MethodRule, Place, Presented, Refusal, Timestamp,
    authenticator::Confirmation,
    check::{
        request::{CheckRequest, Peer, Transport},
        route::{Route, SecurityRequirement},
    },
};
use std::{sync::atomic::Ordering, time::Duration};

fn use_it(house: &House, key: &str, now: Timestamp) -> Result<Authentication, Refusal> {
    let presented = Presented {
        cache_key: None,
        place: Place::Header,
        credential: key.as_bytes(),
        from: [192, 0, 2, 7].into(),
    };
    now_or_never(house.authenticator.verify(presented, &MethodRule::default(), now))
}

#[track_caller]
fn refused(house: &House, key: &str, now: Timestamp) -> &'static str {
    match use_it(house, key, now) {
        Err(Refusal::Rejected(rejection)) => rejection.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_outage_is_never_the_callers_fault() {
    let house = House::new();
    let (record, key) = house.key();
    house.store.down.store(true, Ordering::Relaxed);
    assert_eq!(use_it(&house, &key, NOW), Err(Refusal::Unavailable));
    house.store.down.store(false, Ordering::Relaxed);
    // RULES 4.3: so is a pepper that we do not have
    house.store.edit(&record.id, |r| r.digest.pepper = 7);
    assert_eq!(use_it(&house, &key, NOW), Err(Refusal::Unavailable));
}

#[test]
fn unknown_wrong_revoked_expired() {
    let house = House::new();
    let (record, key) = house.key();
    assert_eq!(refused(&house, &stranger(Environment::Live), NOW), "credential_invalid");
    assert_eq!(refused(&house, &stranger(Environment::Test), NOW), "credential_invalid");
    assert_eq!(refused(&house, "rubbish", NOW), "credential_invalid");
    house.store.edit(&record.id, |r| r.digest.hash = [0; 32]);
    assert_eq!(refused(&house, &key, NOW), "credential_invalid");
    let (_, key) = house.key();
    assert_eq!(refused(&house, &key, NOW + DAY * 90), "key_expired");
    let (record, key) = house.key();
    let host = Caller::host();
    let revoke = house.issuer.revoke(&record.id, None, RevocationReason::Operator, &host, NOW);
    now_or_never(revoke).unwrap();
    assert_eq!(refused(&house, &key, NOW), "key_revoked");
}

/// The whole overlap: the old one until the grace ends, the new one from the start.
#[test]
fn rotation_overlaps() {
    let house = House::new();
    let (record, old) = house.key();
    let (host, second) = (Caller::host(), Duration::from_secs(1));
    let rotation =
        house.issuer.rotate(&record.id, Rotate { grace: DAY, ..Rotate::default() }, &host, NOW + second);
    let (successor, new) = now_or_never(rotation).unwrap().reveal();
    let within = NOW + DAY;
    assert_eq!(use_it(&house, &old, within).unwrap().credential, record.id.credential());
    assert_eq!(use_it(&house, new.expose(), within).unwrap().credential, successor.id.credential());
    let after = NOW + Duration::from_secs(1) + DAY;
    assert_eq!(refused(&house, &old, after), "key_expired");
    assert!(use_it(&house, new.expose(), after).is_ok());
}

/// Last use is noted, and nothing is written for it on the request path.
#[test]
fn a_use_is_only_remembered() {
    let house = House::new();
    let (record, key) = house.key();
    let known = use_it(&house, &key, NOW).unwrap();
    let reads = house.store.reads.load(Ordering::Relaxed);
    let route = Route::new("/", "x", SecurityRequirement::Public);
    house.authenticator.used(&known, &route, NOW + DAY);
    house.authenticator.used(&known, &route, NOW);
    assert_eq!(house.uses.take(), [(record.id, NOW + DAY)]);
    assert_eq!(house.store.reads.load(Ordering::Relaxed), reads);
    assert_eq!(house.store.key(&record.id).last_used_at, None);
}

#[test]
fn a_key_has_nothing_more_to_prove() {
    let house = House::new();
    let (_, key) = house.key();
    let known = use_it(&house, &key, NOW).unwrap();
    let (headers, target) = (http::HeaderMap::new(), "/".parse().unwrap());
    let request = CheckRequest {
        method: &http::Method::GET,
        authority: "localhost",
        target: &target,
        headers: &headers,
        peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
    };
    let confirmed = house.authenticator.confirm(&known, &request, NOW);
    assert!(matches!(confirmed, Confirmation::Done(Ok(()))));
    assert_eq!(house.authenticator.method(), MethodName::ApiKey);
}

/// It is looked up as any key is, and says where it stood.
#[test]
fn a_key_in_a_passwords_place_is_a_key() {
    let house = House::new();
    let (record, key) = house.key();
    let shown = |key: &str| STANDARD.encode(format!("anybody:{key}"));
    let verify = |text: &str, now: Timestamp| {
        let (place, from) = (Place::Password, [192, 0, 2, 7].into());
        let presented = Presented { cache_key: None, place, credential: text.as_bytes(), from };
        now_or_never(house.authenticator.verify(presented, &MethodRule::default(), now))
    };
    let known = verify(&shown(&key), NOW).unwrap();
    assert_eq!((known.place, known.method), (Place::Password, MethodName::ApiKey));
    assert_eq!(known.credential, record.id.credential());
    assert!(verify(&shown(&stranger(Environment::Live)), NOW).is_err());
    assert!(verify(&key, NOW).is_err(), "the key itself is no base64 of a pair");
    house.store.down.store(true, Ordering::Relaxed);
    assert_eq!(verify(&shown(&key), NOW), Err(Refusal::Unavailable));
}

/// RFC 7617 2: where it may stand as a password, a password is what is asked for; in one challenge with Basic's own.
#[test]
fn the_challenge_is_basic_where_a_password_is_taken() {
    let house = House::new();
    let mut route = Route::new("/", "up", SecurityRequirement::Public);
    let rule = MethodRule { keys_as_passwords: true, ..MethodRule::DEFAULT };
    route.presentation = vec![(MethodName::ApiKey, rule)];
    let challenge = house.authenticator.challenge(&route).unwrap();
    assert_eq!(challenge.value(), r#"Basic realm="countersign", charset="UTF-8""#);
}

/// PRODUCT, Answers: a key in a header of its own is challenged as `Bearer`; the realm is a quoted-string.
#[test]
fn the_challenge_is_bearer() {
    let config = crate::api_key::config::ApiKeyConfig { realm: r#"a "b""#.into(), ..Default::default() };
    let house = House::with(config);
    let route = Route::new("/", "up", SecurityRequirement::Public);
    let challenge = house.authenticator.challenge(&route).unwrap();
    assert_eq!(challenge.value(), r#"Bearer realm="a \"b\"""#);
}

#[test]
fn debug_shows_no_secret() {
    let house = House::new();
    let (record, key) = house.key();
    let presented = Presented {
        cache_key: None,
        place: Place::Header,
        credential: key.as_bytes(),
        from: [192, 0, 2, 7].into(),
    };
    let hash: String = format!("{:?}", record.digest.hash);
    let shown = format!("{presented:?} {record:?} {:?} {:?}", house.authenticator, house.issuer);
    assert!(!shown.contains(&key[20..52]) && !shown.contains(&hash), "{shown}");
    assert!(!shown.contains("1, 1, 1, 1"), "a pepper: {shown}");
    assert!(shown.contains(record.id.as_str()));
}
