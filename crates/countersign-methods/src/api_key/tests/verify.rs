//! Credential against record: one row per `Failure`.

use super::{DAY, House, stranger};
use crate::{
    api_key::{
        config::ApiKeyConfig,
        credential::KeyFormats,
        record::{ApiKeyRecord, Covers, Environment, KeyId, Lookup, Origin, RevocationReason},
        verify::{Failure, Judged, verify},
    },
    fakes::{NOW, config, peppers},
};
use countersign_core::{
    Authentication, MethodName, Node, NodeKind, Place, Refusal, Timestamp, authenticator::Fault,
};

const IMPORTED: Origin = Origin::Imported { lookup: Lookup([0; 32]), covers: Covers::Value };

fn judge(key: &str, record: Option<&ApiKeyRecord>, now: Timestamp) -> Result<Authentication, Failure> {
    let (peppers, config) = (peppers(), ApiKeyConfig { imported_prefixes: vec!["acme_".into()], ..config() });
    let formats = KeyFormats::new(&config).unwrap();
    let token = formats.parse(key.as_bytes()).unwrap();
    let with = Judged { peppers: &peppers, config: &config, prefix: formats.ours().name(), now };
    verify(&token, Place::Header, record, with)
}

fn is_revoked_without_pepper(record: &ApiKeyRecord) -> Option<ApiKeyRecord> {
    let mut record = record.clone().revoked(NOW, RevocationReason::Operator).ok()?;
    record.digest.pepper = 9;
    Some(record)
}

/// A record, the key to hold against it (`None`: its own), the time, and what must come of it.
type Row = (Option<ApiKeyRecord>, Option<String>, Timestamp, Failure);

fn rows(record: &ApiKeyRecord) -> Vec<Row> {
    let is = |edit: fn(&mut ApiKeyRecord)| {
        let mut record = record.clone();
        edit(&mut record);
        Some(record)
    };
    let strange = Some(stranger(Environment::Live));
    let revoked = record.clone().revoked(NOW, RevocationReason::Operator).unwrap();
    let revoked_and_over = ApiKeyRecord { expires_at: Some(NOW), ..revoked.clone() };
    let successor = KeyId::parse("000000000001").unwrap();
    let rotated = record.clone().rotated(NOW, DAY, successor).unwrap();
    vec![
        (None, None, NOW, Failure::Unknown),
        (is(|_| ()), strange.clone(), NOW, Failure::WrongSecret),
        // RULES 1.7: who does not hold it learns nothing of its state
        (Some(revoked.clone()), strange.clone(), NOW, Failure::WrongSecret),
        (is(|r| r.expires_at = Some(NOW)), strange, NOW, Failure::WrongSecret),
        (is(|r| r.digest.hash[31] ^= 1), None, NOW, Failure::WrongSecret),
        // a store that answers with another row
        (is(|r| r.id = KeyId::parse("000000000000").unwrap()), None, NOW, Failure::WrongSecret),
        // RULES 4.3: the prefix must equal the record's environment
        (is(|r| r.environment = Environment::Test), None, NOW, Failure::WrongEnvironment),
        (is(|r| r.prefix = "cs_test".into()), None, NOW, Failure::WrongEnvironment),
        (is(|r| r.prefix = String::new()), None, NOW, Failure::WrongEnvironment),
        // a digest of one kind is none of another
        (is(|r| r.origin = IMPORTED), Some("acme_0123456789abcdef".into()), NOW, Failure::WrongSecret),
        (is(|_| ()), Some("acme_0123456789abcdef".into()), NOW, Failure::WrongSecret),
        (None, Some("acme_0123456789abcdef".into()), NOW, Failure::Unknown),
        (is(|r| r.expires_at = Some(NOW)), None, NOW, Failure::Expired),
        (is(|_| ()), None, NOW + DAY * 90, Failure::Expired),
        (Some(rotated), None, NOW + DAY, Failure::Expired),
        (Some(revoked), None, NOW, Failure::Revoked),
        (Some(revoked_and_over), None, NOW, Failure::Revoked),
        // what no live key needs may be gone: an ended one looks like any that is not good
        (is(|r| (r.digest.pepper, r.expires_at) = (9, Some(NOW))), None, NOW, Failure::WrongSecret),
        (is_revoked_without_pepper(record), None, NOW, Failure::WrongSecret),
        // RULES 4.3: a pepper that a row names and the configuration lacks is our fault
        (is(|r| r.digest.pepper = 9), None, NOW, Failure::PepperMissing),
    ]
}

#[test]
fn every_failure() {
    let (record, key) = House::new().key();
    let rows = rows(&record);
    for (n, (record, presented, now, failure)) in rows.iter().enumerate() {
        let presented = presented.as_deref().unwrap_or(&key);
        assert_eq!(judge(presented, record.as_ref(), *now).unwrap_err(), *failure, "row {n}");
    }
    for failure in Failure::ALL {
        assert!(rows.iter().any(|row| row.3 == failure), "{failure:?} has no row");
    }
}

/// PRODUCT, Answers: unknown, expired and revoked look the same to a caller who has not proved possession.
#[test]
fn what_the_caller_is_told() {
    let told = |failure: Failure| match failure.refusal() {
        Refusal::Rejected(r) => {
            assert_eq!(r.fault, Fault::Invalid);
            Some(r.code)
        }
        Refusal::Unavailable => None,
    };
    let codes: Vec<_> = Failure::ALL.into_iter().map(told).collect();
    let same = Some("credential_invalid");
    assert_eq!(codes, [same, same, same, Some("key_expired"), Some("key_revoked"), None]);
    // the operator is told them apart
    let mut reasons: Vec<_> = Failure::ALL
        .into_iter()
        .filter_map(|f| match f.refusal() {
            Refusal::Rejected(r) => Some(r.reason),
            Refusal::Unavailable => None,
        })
        .collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), 5);
}

/// RULES 1.3, 2.5
#[test]
fn what_a_good_key_establishes() {
    let (record, key) = House::new().key();
    let parent = Node::new(NodeKind::Session, "s1");
    let record = ApiKeyRecord {
        parents: vec![parent.clone()],
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..record
    };
    let known = judge(&key, Some(&record), NOW).unwrap();
    assert_eq!((known.method, &known.principal), (MethodName::ApiKey, &record.owner));
    assert_eq!(known.credential, record.id.credential());
    let lineage: Vec<_> = known.lineage.iter().cloned().collect();
    assert_eq!(lineage.len(), 3);
    for node in [Node::principal(&record.owner), record.id.node(), parent] {
        assert!(lineage.contains(&node), "{node}");
    }
    assert_eq!(known.scopes, record.scopes, "the record's: they are cut to the owner's at every use");
    assert_eq!((known.place, known.expires_at), (Place::Header, record.expires_at));
    assert_eq!(&*known.networks, record.networks.as_slice());
    assert!(known.issuer.is_none() && known.audiences.is_none());
}

/// Rotation with overlap: both are good within the grace, and the predecessor says when it ends.
#[test]
fn a_rotated_key_is_good_within_its_grace() {
    let (record, key) = House::new().key();
    let rotated = record.rotated(NOW, DAY, KeyId::parse("000000000001").unwrap()).unwrap();
    let last = Timestamp::from_micros((NOW + DAY).as_micros() - 1);
    assert_eq!(judge(&key, Some(&rotated), last).unwrap().expires_at, Some(NOW + DAY));
    assert_eq!(judge(&key, Some(&rotated), NOW + DAY).unwrap_err(), Failure::Expired);
}
