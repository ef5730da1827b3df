//! RULES 1.8: who a token is about, and what that one may do.

use super::*;
use crate::jwt::foreign::identity::{outcome, principal_id};
use countersign_core::{
    MethodName, Node, NodeKind, PrincipalId, Scope,
    principal::{PrincipalKind, PrincipalName},
};
use std::collections::HashSet;

#[test]
fn rule_1_8_what_a_token_establishes() {
    let token = with(with(claims(), "nbf", json!(1_799_999_995)), "auth_time", json!(1_799_990_000));
    let known = foreign(issuer(), &token);
    let id = principal_id(ISSUER, "ada");
    assert_eq!((&known.principal, known.method), (&id, MethodName::Jwt));
    assert_eq!(known.credential.as_str(), "staff:t1");
    let lineage: Vec<&Node> = known.lineage.iter().collect();
    assert_eq!(lineage, [&Node::principal(&id), &Node::new(NodeKind::Token, "staff:t1")]);
    assert_eq!(known.issuer.as_deref(), Some("staff"));
    assert_eq!(known.audiences.as_deref(), Some(&[US.into()][..]));
    assert_eq!(known.scopes.to_string(), "orders:read");
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_seconds);
    assert_eq!(seconds(known.expires_at), Some(1_800_000_300));
    assert_eq!(seconds(known.not_before), Some(1_799_999_965), "with the leeway that it was judged by");
    assert_eq!(known.authenticated_at.as_seconds(), 1_799_990_000);
    let standing = known.foreign.unwrap();
    assert_eq!((&standing.principal, standing.kind, standing.active), (&id, PrincipalKind::User, true));
    assert_eq!(standing.name, PrincipalName::of_id(&id));
    assert_eq!(standing.scopes.to_string(), "orders:read");
    // what was made a moment in the future was made now
    let ahead = foreign(issuer(), &with(claims(), "iat", json!(1_800_000_020)));
    assert_eq!(ahead.authenticated_at, NOW);
    assert_eq!(foreign(issuer(), &without(claims(), "iat")).authenticated_at, NOW);
}

/// The same one tomorrow, another for another subject or issuer, and none that a local principal has.
#[test]
fn rule_1_8_ids_are_of_their_issuer_and_subject() {
    assert_eq!(principal_id(ISSUER, "ada"), principal_id(ISSUER, "ada"));
    let pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("a", "BC"), ("a", "bc ")];
    let ids: HashSet<PrincipalId> =
        pairs.iter().map(|(issuer, subject)| principal_id(issuer, subject)).collect();
    assert_eq!(ids.len(), pairs.len());
    assert!(ids.iter().all(PrincipalId::is_foreign));
}

#[test]
fn rule_2_5_a_token_has_a_node_that_a_command_can_say() {
    let id = |claims: &Value| foreign(issuer(), claims).credential.as_str().to_owned();
    assert_eq!(id(&claims()), "staff:t1");
    let nameless = id(&without(claims(), "jti"));
    assert_eq!(nameless, id(&without(claims(), "jti")), "what is signed names it, not the signature");
    assert_ne!(nameless, id(&with(without(claims(), "jti"), "x", json!(1))));
    for jti in ["", "a b", "a\nb", "j\u{e4}", &"j".repeat(129)] {
        let id = id(&with(claims(), "jti", json!(jti)));
        assert!(id.len() == 26 && id.bytes().all(|b| b.is_ascii_graphic()), "{id}");
    }
}

#[test]
fn rule_1_8_scopes_are_cut_to_the_issuers_list() {
    let scopes = |config: ForeignIssuer, value: Value| {
        let known = foreign(config, &with(claims(), "scope", value));
        assert_eq!(known.scopes, known.foreign.unwrap().scopes);
        known.scopes.to_string()
    };
    for (value, expected) in [
        (json!("orders:read orders:write"), "orders:read orders:write"),
        (json!("orders:read  orders:delete countersign:admin"), "orders:read"),
        (json!("countersign:admin"), ""),
        (json!("orders"), ""),
        (json!("ORDERS:READ"), ""),
        (json!("*"), ""),
        (json!(["orders:write", "admin"]), "orders:write"),
        (json!(["orders:read orders:write"]), ""),
        (json!("\u{e4} \" orders:read"), "orders:read"),
        (json!(""), ""),
    ] {
        assert_eq!(scopes(issuer(), value.clone()), expected, "{value}");
    }
    assert_eq!(foreign(issuer(), &without(claims(), "scope")).scopes.to_string(), "");
    let none = || ForeignIssuer { scopes: ScopeSet::default(), ..issuer() };
    assert_eq!(scopes(none(), json!("orders:read")), "");
    // a word of theirs that is called as a scope of ours is not that one
    let mut mapped = issuer();
    mapped.scope_map.insert("api.read".into(), Scope::parse("orders:read").unwrap());
    assert_eq!(scopes(mapped.clone(), json!("api.read orders:write")), "orders:read");
    mapped.claims.scopes = ClaimPath::parse("realm_access.roles").unwrap();
    let known =
        foreign(mapped.clone(), &with(claims(), "realm_access", json!({ "roles": ["api.read", "x"] })));
    assert_eq!(known.scopes.to_string(), "orders:read");
    let odd = signed(&header(), &with(claims(), "realm_access", json!({ "roles": 7 })));
    assert_eq!(failure(mapped, &odd), Some(Failure::Claim(Claim::Scopes)));
    // whatever its entry says; it cannot be said, and does not count either
    let careless = ForeignIssuer { scopes: ScopeSet::parse("countersign:admin a").unwrap(), ..issuer() };
    let unverified = countersign_crypto::jose::UnverifiedJwt::parse;
    let token = signed(&header(), &with(claims(), "scope", json!("countersign:admin a")));
    let token =
        verify::verify(unverified(&token).unwrap(), &careless, known_at(NOW).as_deref(), NOW).unwrap();
    let ForeignOutcome::Foreign(known) = outcome(&token, &careless, Place::Authorization, NOW) else {
        panic!("local");
    };
    assert_eq!(known.scopes.to_string(), "a");
}

/// RULES 1.5: what can be a route's resource is held against it; words that cannot mean all of this gateway.
#[test]
fn rule_1_5_audiences() {
    let config = || ForeignIssuer {
        audiences: vec![US.into(), "https://api.example.com/b".into(), "account".into()],
        ..issuer()
    };
    for (aud, expected) in [
        (json!(US), Some(vec![US])),
        (json!([US, "https://other.example"]), Some(vec![US])),
        (json!([US, "https://api.example.com/b"]), Some(vec![US, "https://api.example.com/b"])),
        (json!("account"), None),
        (json!(["account", US]), Some(vec![US])),
    ] {
        let known = foreign(config(), &with(claims(), "aud", aud.clone()));
        let audiences = known.audiences.map(|all| all.iter().map(|one| one.to_string()).collect::<Vec<_>>());
        assert_eq!(audiences, expected.map(|all| all.into_iter().map(str::to_owned).collect()), "{aud}");
    }
}

#[test]
fn rule_1_8_names_kinds_and_groups() {
    let mut config = issuer();
    config.claims.name = Some(ClaimPath::parse("preferred_username").unwrap());
    config.claims.groups = Some(ClaimPath::parse(r#""https://example.com/groups""#).unwrap());
    let derived = PrincipalName::of_id(&principal_id(ISSUER, "ada"));
    let foreign_name = format!("ext_{}", "a".repeat(20));
    for (name, expected) in [
        (json!("ada"), "ada"),
        (json!("ada@example.com"), "ada@example.com"),
        (json!("Ada Lovelace"), derived.as_str()),
        (json!(""), derived.as_str()),
        (json!(7), derived.as_str()),
        (json!(["ada"]), derived.as_str()),
        (json!(foreign_name), derived.as_str()),
        (json!(format!("usr_{}", "a".repeat(20))), derived.as_str()),
        (json!("ada\r\nx"), derived.as_str()),
    ] {
        let known = foreign(config.clone(), &with(claims(), "preferred_username", name.clone()));
        assert_eq!(known.foreign.unwrap().name.as_str(), expected, "{name}");
    }
    let many: Vec<String> = (0..100).map(|n| format!("g{n:03}")).collect();
    for (groups, expected) in [
        (json!("staff"), "staff".to_owned()),
        (json!(["staff", "admins", "staff", "with space", 7, "a,b"]), "admins,staff".to_owned()),
        (json!("a b"), String::new()),
        (json!({ "a": 1 }), String::new()),
        (json!(many), many[..64].join(",")),
    ] {
        let known = foreign(config.clone(), &with(claims(), "https://example.com/groups", groups.clone()));
        let found: Vec<String> = known.foreign.unwrap().groups.iter().map(ToString::to_string).collect();
        assert_eq!(found.join(","), expected, "{groups}");
    }
    let kind = |claims: &Value| foreign(config.clone(), claims).foreign.unwrap().kind;
    assert_eq!(kind(&with(claims(), "sub", json!("shop"))), PrincipalKind::Service);
    assert_eq!(kind(&with(claims(), "client_id", json!(["ada"]))), PrincipalKind::User);
    assert_eq!(kind(&without(claims(), "client_id")), PrincipalKind::User);
}

/// One of ours, where the entry says so, and nobody else.
#[test]
fn rule_1_8_it_speaks_for_those_of_ours_that_are_listed() {
    let mut config = issuer();
    config.local.insert("ada".into(), PrincipalName::parse("ada.l").unwrap());
    config.claims.name = Some(ClaimPath::parse("name").unwrap());
    let outcome = authenticate(config.clone(), &signed(&header(), &claims())).unwrap();
    let ForeignOutcome::Local(local) = outcome else { panic!("{outcome:?}") };
    assert_eq!(local.name().as_str(), "ada.l");
    let ours = PrincipalId::parse("usr_0123456789abcdefghij").unwrap();
    let known = local.speaks_for(&ours);
    assert_eq!((&known.principal, &known.foreign), (&ours, &None));
    assert!(known.is_foreign(), "what acts on Countersign itself is cut from it");
    let lineage: HashSet<Node> = known.lineage.iter().cloned().collect();
    let theirs = Node::principal(&principal_id(ISSUER, "ada"));
    let token = Node::new(NodeKind::Token, "staff:t1");
    assert_eq!(lineage, HashSet::from([Node::principal(&ours), theirs, token]));
    for subject in ["ADA", "ada ", "ada.l", "bob"] {
        let claims = with(with(claims(), "sub", json!(subject)), "name", json!("ada.l"));
        assert!(foreign(config.clone(), &claims).principal.is_foreign(), "{subject}");
    }
}
