use super::super::{
    claims::{read, write},
    record::AccessToken,
    verify::Failure,
};
use super::{NOW, seconds, token};
use countersign_core::{Node, NodeKind, ScopeSet};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::Arc;

#[test]
fn what_is_written_is_read() {
    let several = AccessToken {
        audiences: Arc::new(["https://a.example".into(), "https://b.example".into()]),
        ..token()
    };
    let bare = AccessToken { parents: Vec::new(), scopes: ScopeSet::default(), ..token() };
    for token in [token(), several, bare] {
        assert_eq!(read(&write(&token)), Ok(token));
    }
    // every kind of parent: what cannot be read again could not be used
    for kind in NodeKind::ALL {
        let token = AccessToken { parents: vec![Node::new(kind, "a:b.c")], ..token() };
        assert_eq!(read(&write(&token)), Ok(token), "{kind:?}");
    }
}

/// RFC 9068 2.2, and nothing that says more than there is.
#[test]
fn it_says_what_rfc_9068_wants() {
    let claims = write(&token());
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["amr", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "lin", "scope", "sid", "sub"]
    );
    assert_eq!(claims["exp"], seconds(NOW) + 300);
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert!(claims["aud"].is_string());
}

/// The first wrong one is named, for whoever operates this.
#[test]
fn each_claim_is_asked_for_by_its_name() {
    for name in write(&token()).keys() {
        for value in [None, Some(json!(null)), Some(json!({})), Some(json!([{}]))] {
            let mut claims = write(&token());
            claims.remove(name);
            claims.extend(value.map(|value| (name.clone(), value)));
            let Err(Failure::Claim(said)) = read(&claims) else { panic!("{name}: read") };
            assert_eq!(said, name);
        }
    }
}

proptest! {
    #[test]
    fn reading_never_panics(at in 0_usize..12, text in ".{0,80}", number in any::<i64>()) {
        for value in [json!(text), json!(number), json!([text]), json!([number, text])] {
            let mut claims: Map<String, Value> = write(&token());
            let name = claims.keys().nth(at).unwrap().clone();
            claims.insert(name, value);
            if let Ok(token) = read(&claims) {
                // whatever was taken, it comes back as what it was taken for
                prop_assert_eq!(read(&write(&token)), Ok(token));
            }
        }
    }
}
