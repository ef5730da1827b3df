//! Keys that were made elsewhere.

use super::{DAY, House, demo, new_key, stranger};
use crate::{
    api_key::{
        config::ApiKeyConfig,
        credential::{ForeignError, KeyFormats, PlainKey},
        foreign::{Brought, Sha256Of},
        issue::{
            IssueError, KeyVerdict, NewKey, Rotate,
            import::{ForeignKey, Import, ImportError, Outcome, RowError},
        },
        record::{Covers, Environment, KeyId, Origin, RevocationReason},
        verify::Failure,
    },
    fakes::{NOW, config, now_or_never, principal, scopes},
    principal::caller::Caller,
};
use countersign_core::{Authenticator, Found, MethodRule, check::request::CheckRequest};
use countersign_crypto::hash::sha256;
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};

const VALUE: &str = "acme_0123456789abcdef";

fn house(prefixes: &[&str]) -> House {
    House::with(ApiKeyConfig {
        imported_prefixes: prefixes.iter().map(|p| (*p).into()).collect(),
        ..config()
    })
}

fn value(text: &str) -> ForeignKey {
    ForeignKey { key: new_key(), brought: Brought::Value(text.to_owned().into()) }
}

fn hash_of(text: &str) -> ForeignKey {
    ForeignKey { key: new_key(), brought: Brought::Sha256(Sha256Of(sha256(&[text.as_bytes()]))) }
}

fn import(house: &House, keys: Vec<ForeignKey>) -> Result<Vec<Outcome>, ImportError> {
    import_how(house, keys, Import::default())
}

fn import_how(house: &House, keys: Vec<ForeignKey>, how: Import) -> Result<Vec<Outcome>, ImportError> {
    now_or_never(house.issuer.import(keys, how, &Caller::host(), NOW))
}

fn id(outcome: &Outcome) -> KeyId {
    match outcome {
        Outcome::Imported(id) | Outcome::Existed(id) => *id,
    }
}

/// KeyVerdict in a header, is it believed?
fn present(house: &House, name: &'static str, value: &str) -> Option<KeyId> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    let target = PathAndQuery::from_static("/");
    let request = CheckRequest {
        method: &Method::GET,
        authority: "localhost",
        target: &target,
        headers: &headers,
        peer: countersign_core::check::request::Peer {
            address: [127, 0, 0, 1].into(),
            transport: countersign_core::check::request::Transport::Tls,
        },
    };
    let rule = MethodRule::default();
    let Found::Present(found) = house.authenticator.find(&request, &rule) else { return None };
    let known = now_or_never(house.authenticator.verify(found, &rule, NOW)).ok()?;
    KeyId::parse(known.credential.as_str())
}

#[test]
fn what_cannot_come_from_elsewhere() {
    let formats = |prefixes: &[&str]| {
        let imported_prefixes = prefixes.iter().map(|p| (*p).into()).collect();
        KeyFormats::new(&ApiKeyConfig { imported_prefixes, ..config() }).unwrap()
    };
    let long = format!("acme_{}", "x".repeat(252));
    let ours = stranger(Environment::Live);
    let rows: [(&[&str], &str, ForeignError); 9] = [
        (&[], VALUE, ForeignError::Prefix),
        (&["other_"], VALUE, ForeignError::Prefix),
        (&["acme_"], "acme_0123456789", ForeignError::Short),
        (&["acme_"], &long, ForeignError::Long),
        (&["acme_"], "acme_0123456789 abcdef", ForeignError::Alphabet),
        (&["acme_"], "acme_0123456789\u{e9}abcdef", ForeignError::Alphabet),
        // a value that begins as ours do is never somebody else's, whatever the rest
        (&[""], &ours, ForeignError::Ours),
        (&[""], "cs_at_0123456789abcdef", ForeignError::Ours),
        (&[""], "cs_test_0123456789abcdef", ForeignError::Ours),
    ];
    for (prefixes, value, error) in rows {
        assert_eq!(formats(prefixes).foreign(value.as_bytes()).unwrap_err(), error, "{prefixes:?} {value}");
    }
    assert!(matches!(formats(&["acme_"]).parse(VALUE.as_bytes()), Ok(PlainKey::Imported(_))));
    assert!(formats(&["acme_"]).parse(b"other_0123456789abcdef").is_err());
    assert!(!format!("{:?}", formats(&["acme_"]).parse(VALUE.as_bytes())).contains("0123"));
}

#[test]
fn nothing_is_imported_where_nothing_is_taken() {
    let house = House::new();
    assert_eq!(import(&house, vec![value(VALUE)]), Err(ImportError::Off));
    assert_eq!(present(&house, "x-api-key", VALUE), None);
    assert_eq!(
        house.store.reads.load(std::sync::atomic::Ordering::Relaxed),
        0,
        "a value of no prefix of ours costs no look"
    );
}

#[test]
fn every_bad_row_is_named_and_none_is_written() {
    let house = house(&["acme_"]);
    let first = import(&house, vec![value("acme_already_here_0000")]).unwrap();
    let with = |edit: fn(&mut NewKey), n: u32| {
        let mut key = value(&format!("acme_row_of_its_own_{n}"));
        edit(&mut key.key);
        key
    };
    let rows = vec![
        value(VALUE),
        value("other_0123456789abcdef"),
        value(VALUE),
        hash_of(VALUE),
        value("acme_already_here_0000"),
        with(|k| k.scopes = scopes("orders:delete"), 5),
        with(|k| k.owner = principal("nobody", "").id, 6),
        with(|k| k.lifetime = crate::api_key::issue::Lifetime::Never, 7),
        with(|_| (), 8),
    ];
    let Err(ImportError::Rows(faults)) = import(&house, rows.clone()) else { panic!("bad rows were taken") };
    let want = vec![
        (1, RowError::Foreign(ForeignError::Prefix)),
        (2, RowError::Doubled(0)),
        (3, RowError::Doubled(0)),
        (4, RowError::Exists(id(&first[0]))),
        (5, RowError::Issue(IssueError::ScopesBeyondOwner(scopes("orders:delete")))),
        (6, RowError::Issue(IssueError::OwnerUnknown)),
        (7, RowError::Issue(IssueError::NeverNotAllowed)),
    ];
    assert_eq!(faults, want);
    assert_eq!(house.store.events().len(), 1);
    assert_eq!(present(&house, "x-api-key", VALUE), None);
}

#[test]
fn a_row_that_is_here_already_can_be_left_as_it_is() {
    let house = house(&["acme_"]);
    let first = import(&house, vec![value(VALUE)]).unwrap();
    let how = Import { skip_existing: true, ..Import::default() };
    let again = import_how(&house, vec![hash_of(VALUE), value("acme_another_one_here")], how).unwrap();
    assert_eq!(again[0], Outcome::Existed(id(&first[0])));
    assert!(matches!(again[1], Outcome::Imported(_)));
    assert_eq!(house.store.events().len(), 2);
}

#[test]
fn a_dry_run_writes_nothing() {
    let house = house(&["acme_"]);
    let how = Import { dry_run: true, ..Import::default() };
    assert_eq!(import_how(&house, vec![value(VALUE)], how).unwrap().len(), 1);
    assert!(house.store.events().is_empty());
    assert_eq!(present(&house, "x-api-key", VALUE), None);
}

#[test]
fn a_value_is_good_where_its_prefix_says() {
    let house = house(&["acme_", ""]);
    let anything = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let ids = import(&house, vec![value(VALUE), value(anything)]).unwrap();
    assert_eq!(present(&house, "x-api-key", VALUE), Some(id(&ids[0])));
    assert_eq!(present(&house, "authorization", &format!("Bearer {VALUE}")), Some(id(&ids[0])));
    assert_eq!(present(&house, "x-api-key", anything), Some(id(&ids[1])));
    // RULES 1.4: a Bearer value that begins like nothing of ours is not for this room
    assert_eq!(present(&house, "authorization", &format!("Bearer {anything}")), None);
    for wrong in [VALUE.replace("abcdef", "abcdeg"), VALUE.to_uppercase(), format!("{VALUE}0")] {
        assert_eq!(present(&house, "x-api-key", &wrong), None, "{wrong}");
    }
}

#[test]
fn a_mere_hash_becomes_a_digest_of_the_whole_key_at_its_first_use() {
    let house = house(&["acme_"]);
    let ids = import(&house, vec![hash_of(VALUE), value("acme_another_one_here")]).unwrap();
    let (hashed, whole) = (id(&ids[0]), id(&ids[1]));
    let covers = |id: &KeyId| match house.store.key(id).origin {
        Origin::Imported { covers, .. } => Some(covers),
        Origin::Issued => None,
    };
    assert_eq!((covers(&hashed), covers(&whole)), (Some(Covers::Sha256), Some(Covers::Value)));
    // the hash itself opens nothing
    let hex: String = sha256(&[VALUE.as_bytes()]).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(present(&house, "x-api-key", &format!("acme_{hex}")), None);
    assert_eq!(present(&house, "x-api-key", "acme_another_one_here"), Some(whole));
    assert!(house.uses.take_upgrades().is_empty(), "it could be kept no better");

    for _ in 0..2 {
        assert_eq!(present(&house, "x-api-key", VALUE), Some(hashed));
    }
    let mut upgrades = house.uses.take_upgrades();
    assert_eq!(upgrades.len(), 1, "once, however often it is shown before it is written");
    let before = house.store.key(&hashed).digest;
    now_or_never(house.issuer.upgrade(upgrades.remove(0), NOW)).unwrap();
    assert_eq!(covers(&hashed), Some(Covers::Value));
    assert_ne!(house.store.key(&hashed).digest, before);
    assert_eq!(present(&house, "x-api-key", VALUE), Some(hashed));
    assert!(house.uses.take_upgrades().is_empty());
    let last = house.store.events().pop().unwrap();
    assert_eq!((last.action, last.subject), ("api_key.upgrade", hashed.to_string()));
}

#[test]
fn its_life_is_that_of_any_key() {
    let house = house(&["acme_"]);
    let key = id(&import(&house, vec![value(VALUE)]).unwrap()[0]);
    let judge = |now| now_or_never(house.issuer.verify_presented(VALUE.as_bytes(), now)).unwrap();
    assert!(matches!(judge(NOW), KeyVerdict::Good(record) if record.id == key && record.owner == demo()));
    // a successor is one of ours
    let rotation = Rotate { grace: DAY, ..Rotate::default() };
    let rotated = now_or_never(house.issuer.rotate(&key, rotation, &Caller::host(), NOW)).unwrap();
    assert_eq!(rotated.record.origin, Origin::Issued);
    assert!(matches!(judge(NOW), KeyVerdict::Good(_)));
    assert!(matches!(judge(NOW + DAY), KeyVerdict::Bad(Failure::Expired, Some(_))));
    // RULES 5.7: whoever holds it can end it
    let ended = now_or_never(house.issuer.revoke_presented(VALUE.as_bytes(), None, None, NOW)).unwrap();
    assert_eq!(ended, Some(key));
    assert!(matches!(judge(NOW), KeyVerdict::Bad(Failure::Revoked, Some(_))));
    let record = house.store.key(&key);
    assert!(matches!(
        record.state,
        crate::api_key::record::KeyState::Revoked { reason: RevocationReason::Holder, .. }
    ));
}
