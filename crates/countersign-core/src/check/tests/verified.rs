//! RULES 1.1: the cache is bounded in entries and time, and what is used stays.

use crate::{
    Authentication, BoxFuture, CredentialId, Lineage, MethodName, Node, NodeKind, Noted, Place, PrincipalId,
    ScopeSet, Timestamp,
    authenticator::CacheKey,
    check::{
        revocation::{Position, RevocationFeed},
        verified::{Cached, Entry, VerifiedCache},
    },
    directory::Standing,
    principal::{PrincipalKind, PrincipalName},
};
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
struct Quiet;

impl RevocationFeed for Quiet {
    fn position(&self) -> Position {
        Position(1)
    }
    fn changed_at(&self, _: &Node) -> Option<Position> {
        None
    }
    fn is_revoked(&self, _: &Node) -> bool {
        false
    }
    fn floor(&self) -> Position {
        Position(0)
    }
    fn is_blind(&self, _: Timestamp) -> bool {
        false
    }
    fn is_fresh(&self, _: Timestamp) -> bool {
        true
    }
    fn next_word(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn entry(name: u64) -> Entry {
    let principal = PrincipalId::parse("svc_00000000000000000000").unwrap();
    let authentication = Authentication {
        lineage: Lineage::new([Node::principal(&principal)]),
        principal,
        method: MethodName::ApiKey,
        credential: CredentialId::new(&name.to_string()),
        issuer: None,
        audiences: None,
        scopes: ScopeSet::default(),
        authenticated_at: Timestamp::EPOCH,
        networks: Arc::new([]),
        place: Place::Header,
        not_before: None,
        expires_at: None,
        limit: None,
        plan: None,
        foreign: None,
        noted: Noted::default(),
    };
    Entry::new(authentication, Position(1))
}

/// As even as a real hash.
fn key(n: u64) -> CacheKey {
    let mut bytes = [0; 32];
    for (at, chunk) in bytes.chunks_mut(8).enumerate() {
        let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17 * at as u32 + 7);
        chunk.copy_from_slice(&mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes());
    }
    CacheKey(bytes)
}

fn hit(cache: &VerifiedCache, n: u64, now: Timestamp) -> bool {
    matches!(cache.get(&key(n), now, &Quiet), Cached::Hit(known) if known.credential.as_str() == n.to_string())
}

#[test]
fn rule_1_1_bounded_in_entries_and_what_is_used_stays() {
    for capacity in [1, 2, 3, 100, 1000] {
        let cache = VerifiedCache::new(capacity, Duration::from_secs(30));
        for n in 0..5000 {
            cache.insert(key(n), entry(n), Timestamp::EPOCH);
            if capacity >= 1000 {
                assert!(hit(&cache, 0, Timestamp::EPOCH), "used all the time, lost after {n}");
            }
        }
        let kept = (0..5000).filter(|n| hit(&cache, *n, Timestamp::EPOCH)).count();
        assert!(kept <= capacity, "{kept} of {capacity}");
        assert!(capacity < 1000 || kept > capacity / 4, "{kept} of {capacity}");
    }
}

#[test]
fn rule_1_1_bounded_in_time() {
    let cache = VerifiedCache::new(10, Duration::from_secs(30));
    let begun = Timestamp::from_seconds(1000);
    cache.insert(key(1), entry(1), begun);
    assert!(hit(&cache, 1, begun + Duration::from_millis(29_999)));
    assert!(!hit(&cache, 1, begun + Duration::from_secs(30)), "using it makes it live no longer");
}

#[test]
fn a_cache_of_nothing_keeps_nothing() {
    let cache = VerifiedCache::new(0, Duration::from_secs(30));
    cache.insert(key(1), entry(1), Timestamp::EPOCH);
    assert!(!hit(&cache, 1, Timestamp::EPOCH));
}

/// Many credentials of one principal keep its id and scopes once; what differs stays its own.
#[test]
fn what_a_principal_says_too_is_kept_once() {
    let scopes = ScopeSet::parse("a b").unwrap();
    let standing = |id: &str| Standing {
        principal: PrincipalId::parse(id).unwrap(),
        kind: PrincipalKind::Service,
        name: PrincipalName::parse("demo").unwrap(),
        active: true,
        scopes: scopes.clone(),
        groups: Arc::new([]),
    };
    let at = |id: &PrincipalId| id.as_str().as_ptr();
    let mut known = Authentication::clone(&entry(1).authentication);
    known.scopes = ScopeSet::parse("a b").unwrap();
    // a copy of the lineage is somebody else's
    known.lineage = Lineage::new([Node::principal(&known.principal), Node::new(NodeKind::ApiKey, "k")]);
    let before = known.clone();
    let other = standing("svc_00000000000000000009");
    known.share(&other);
    assert_eq!(at(&known.principal), at(&before.principal), "another principal's");
    let own = standing("svc_00000000000000000000");
    drop(before);
    known.share(&own);
    assert_eq!(at(&known.principal), at(&own.principal));
    assert_eq!(known.scopes, scopes);
    let node = known.lineage.iter().find(|node| node.kind == NodeKind::Principal).unwrap();
    assert_eq!(node.id.as_ptr(), at(&own.principal));
    let key = known.lineage.iter().find(|node| node.kind == NodeKind::ApiKey).unwrap();
    assert_eq!(CredentialId::of(key).as_str().as_ptr(), key.id.as_ptr());
}
