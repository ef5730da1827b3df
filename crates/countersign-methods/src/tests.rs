//! Tests of what has no folder of its own: operators' scopes and the registry.

use crate::{fakes::scopes, operator, registry};
use countersign_core::MethodName;

#[test]
fn operators_scopes_are_scopes_of_their_own() {
    assert_eq!(operator::all().len(), operator::ALL.len());
    assert!(operator::all().iter().all(|s| s.is_operators()));
}

#[test]
fn who_can_let_others_in() {
    assert!(operator::can_administer(&operator::all()));
    for less in ["", "countersign:keys", "countersign:principals", "orders:read countersign:grant"] {
        assert!(!operator::can_administer(&scopes(less)), "{less}");
    }
}

#[test]
fn every_noun_has_one_spelling() {
    let nouns: Vec<_> = registry::ROOMS.iter().flat_map(|r| r.nouns).chain(registry::HALLS).collect();
    for noun in &nouns {
        assert_eq!(noun.url.trim_end_matches('s').replace('-', "_"), noun.rust);
        assert_eq!(nouns.iter().filter(|n| n.rust == noun.rust).count(), 1);
    }
    assert_eq!(
        registry::ROOMS.iter().map(|r| r.method).collect::<Vec<_>>(),
        [MethodName::Jwt, MethodName::Basic, MethodName::ApiKey]
    );
    assert_eq!(registry::API_KEY.rust, MethodName::ApiKey.as_str());
}
