//! RULES 1.8: whom an external issuer vouches for is described by it, asked of no directory, ended by the feed, and never
//! an operator.

use crate::support::{fixture, told};
use countersign_core::{
    Authentication,
    MethodName::Jwt,
    Node, NodeKind, PrincipalId, ScopeSet,
    authentication::Lineage,
    directory::Standing,
    principal::{PrincipalKind, PrincipalName},
};
use countersign_testkit::{Answer, Fixture, Headers, principal};
use std::sync::Arc;

const TOKEN: Headers<'_> = &[("x-jwt", "token")];

fn ext() -> PrincipalId {
    PrincipalId::parse("ext_0123456789abcdefghij").unwrap()
}

fn standing(scopes: &str) -> Standing {
    Standing {
        principal: ext(),
        kind: PrincipalKind::User,
        name: PrincipalName::parse("ada").unwrap(),
        active: true,
        scopes: ScopeSet::parse(scopes).unwrap(),
        groups: Arc::default(),
    }
}

fn foreign(fixture: &Fixture, scopes: &str) -> Authentication {
    let node = Node::new(NodeKind::Token, "idp:1");
    Authentication {
        issuer: Some("idp".into()),
        lineage: Lineage::new([Node::principal(&ext()), node]),
        foreign: Some(Arc::new(standing(scopes))),
        ..fixture.room(Jwt).authentication("token", &ext(), scopes)
    }
}

fn with(requirement: &str, scopes: &str, change: impl FnOnce(&mut Authentication)) -> Fixture {
    let fixture = fixture(&[("/", requirement)]);
    // whoever asks it is told that it does not answer
    fixture.directory.set_down(true);
    let mut authentication = foreign(&fixture, scopes);
    change(&mut authentication);
    fixture.room(Jwt).script("token", Answer::Good(Box::new(authentication)));
    fixture
}

#[tokio::test]
async fn rule_1_8_its_issuer_says_what_it_is() {
    let fixture = with("jwt b", "a b", |_| {});
    let permit = fixture.allowed("/", TOKEN).await;
    let subject = permit.subject().unwrap();
    assert_eq!((subject.standing.name.as_str(), subject.scopes.to_string().as_str()), ("ada", "a b"));
    assert!(fixture.point.stands(&permit).await);
    let scopeless = with("jwt b", "a", |_| {});
    assert_eq!(told(&scopeless.denied("/", TOKEN).await), (403, "scope_missing"));
    let ended = with("jwt", "", |a| a.foreign = Some(Arc::new(Standing { active: false, ..standing("") })));
    assert_eq!(told(&ended.denied("/", TOKEN).await), (401, "credential_invalid"));
}

/// The feed ends it, cached or not, and closes its streams.
#[tokio::test]
async fn rule_2_5_principal_and_token_of_an_issuer_can_be_revoked() {
    let rows = [
        (Node::principal(&ext()), "credential_invalid"),
        (Node::new(NodeKind::Token, "idp:1"), "token_revoked"),
    ];
    for (node, code) in rows {
        let fixture = with("jwt", "", |_| {});
        let permit = fixture.allowed("/", TOKEN).await;
        fixture.feed.revoke(Node::new(NodeKind::Token, "idp:2"));
        assert!(fixture.point.stands(&permit).await);
        fixture.feed.revoke(node);
        assert!(!fixture.point.stands(&permit).await);
        for _ in 0..2 {
            assert_eq!(told(&fixture.denied("/", TOKEN).await), (401, code));
        }
    }
}

#[tokio::test]
async fn rule_1_8_nobody_elsewhere_is_an_operator() {
    let fixture = with("jwt", "a countersign:admin countersign:metrics", |_| {});
    let permit = fixture.allowed("/", TOKEN).await;
    assert_eq!(permit.subject().unwrap().scopes.to_string(), "a");
    let fixture = with("jwt countersign:admin", "countersign:admin", |_| {});
    assert_eq!(told(&fixture.denied("/", TOKEN).await), (403, "scope_missing"));
    // nor where it speaks for one of ours that is
    let fixture = with("jwt countersign:admin", "countersign:admin", |authentication| {
        authentication.principal = principal("root", "").id;
        authentication.foreign = None;
    });
    fixture.directory.set_down(false);
    fixture.directory.set(&principal("root", "countersign:admin"));
    assert_eq!(told(&fixture.denied("/", TOKEN).await), (403, "scope_missing"));
}

/// One who is ours is not described by anybody else, and one who is not has no record here.
#[tokio::test]
async fn rule_1_8_an_issuer_describes_its_own_alone() {
    let alice = || principal("alice", "").id;
    let rows: [fn(&mut Authentication); 2] = [
        |a| a.principal = principal("alice", "").id,
        |a| a.principal = PrincipalId::parse("ext_jihgfedcba9876543210").unwrap(),
    ];
    for change in rows {
        let fixture = with("jwt", "", change);
        assert_eq!(told(&fixture.denied("/", TOKEN).await), (401, "credential_invalid"));
    }
    let both = with("jwt", "", |a| {
        a.principal = alice();
        a.foreign = Some(Arc::new(Standing { principal: alice(), ..standing("") }));
    });
    assert_eq!(told(&both.denied("/", TOKEN).await), (401, "credential_invalid"));
    let nobody = with("jwt", "", |a| a.foreign = None);
    nobody.directory.set_down(false);
    assert_eq!(told(&nobody.denied("/", TOKEN).await), (401, "credential_invalid"));
}

#[test]
fn rule_1_8_ids_are_typed() {
    for (text, is_one) in [
        ("ext_0123456789abcdefghij", true),
        ("ext_0123456789abcdefghi", false),
        ("ext_0123456789abcdefghi_", false),
        ("EXT_0123456789abcdefghij", false),
        ("ex_0123456789abcdefghij", false),
        ("0123456789abcdefghij", false),
    ] {
        assert_eq!(PrincipalId::parse(text).is_some(), is_one, "{text}");
    }
    let of = |n: u8| PrincipalId::foreign(&[n; 32]);
    assert_eq!((of(0).as_str(), of(61).as_str()), ("ext_00000000000000000000", "ext_zzzzzzzzzzzzzzzzzzzz"));
    assert!((0..=255).all(|n| PrincipalId::parse(of(n).as_str()) == Some(of(n))));
    assert!((0..=255).all(|n| PrincipalName::parse(PrincipalName::of_id(&of(n)).as_str()).is_some()));
    assert!(ext().is_foreign() && !principal("alice", "").id.is_foreign());
}
