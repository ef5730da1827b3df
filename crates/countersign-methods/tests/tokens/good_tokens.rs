//! What is good, for how long, and what ends it: also where the answer is kept (RULES 1.1, 1.2, 1.5, 1.6, 2.5).

use crate::{
    forger::{Forger, other_s, own_key, resigned},
    house::{House, MICRO, password, scopes},
};
use countersign_core::{MethodName, Node, Place};
use countersign_methods::{
    jwt::record::token_node,
    principal::{caller::Caller, store::PrincipalChange},
    session::{
        record::{EndReason, SessionKind, session_node},
        store::SessionStore,
        uses::Uses,
    },
    signing::record::KeyPurpose,
};
use countersign_testkit::Headers;
use serde_json::json;
use std::time::Duration;

const OK: (u16, &str) = (200, "");
const REVOKED: (u16, &str) = (401, "token_revoked");
const MISSING: (u16, &str) = (401, "credential_missing");

/// RFC 8725 3.10: what is not understood of keys is not looked at; nothing is fetched, and the token is what it is.
#[tokio::test]
async fn a_header_that_says_more_says_nothing() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let jwk = own_key().verifying_key().to_jwk().unwrap();
    for (name, value) in [
        ("jwk", json!(jwk)),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("http://169.254.169.254/")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("whatever", json!({"a": [1, 2, 3]})),
        ("cty", json!("text/plain")),
    ] {
        assert_eq!(house.bearer(&forger.with_member(name, value)).await, OK, "{name}");
    }
    for (name, value) in [
        ("aud", json!([crate::house::RESOURCE])),
        ("aud", json!(["https://other.example.com", crate::house::RESOURCE])),
        ("iat", json!(house.now().as_seconds() + 60)),
        ("lin", json!([])),
        ("name", json!("Ada")),
    ] {
        let token = forger.with_claim(name, value);
        assert_eq!(house.bearer(&token).await, OK, "{name}");
    }
    // RULES 1.8, 1.1: whoever stole the key writes scopes into tokens, and gets those that the person has
    let token = forger.with_claim("scope", json!("orders:read orders:delete countersign:keys"));
    assert_eq!(
        house.ask("/delete", &[("authorization", &format!("Bearer {token}"))]).await,
        (403, "scope_missing")
    );
}

#[tokio::test]
async fn an_authentication_says_what_the_token_does() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let field = format!("Bearer {}", forger.good());
    let permit = house.check("/orders", &[("authorization", field.as_bytes())]).await.unwrap();
    let known = permit.subject().unwrap();
    let found = &known.authentication;
    assert_eq!((found.method, found.place, &found.issuer), (MethodName::Jwt, Place::Authorization, &None));
    assert_eq!((&found.principal, &found.credential), (&house.ada.id, &forger.record.id));
    assert_eq!(found.scopes, scopes("orders:read orders:write"));
    let jti = forger.claims["jti"].as_str().unwrap();
    for node in [
        Node::principal(&house.ada.id),
        session_node(&forger.record.id),
        token_node(jti),
        countersign_methods::signing::record::signing_key_node(&forger.kid),
        password(&house.ada.id),
        Node::generation(&house.ada.id, 0),
    ] {
        assert!(found.lineage.iter().any(|known| *known == node), "{node}");
    }
    assert_eq!(found.lineage.iter().count(), 6);
    assert_eq!(jti.len(), 22);
}

/// RULES 1.5: a yes for one resource is none for another, cached or not.
#[tokio::test]
async fn a_token_is_for_its_resource() {
    let house = House::new().await;
    let token = house.token().await;
    let field = format!("Bearer {token}");
    for _ in 0..2 {
        assert_eq!(house.ask("/elsewhere", &[("authorization", &field)]).await, (401, "credential_invalid"));
        assert_eq!(
            house.ask("/no-resource", &[("authorization", &field)]).await,
            (401, "credential_invalid")
        );
        assert_eq!(house.bearer(&token).await, OK);
    }
}

#[tokio::test]
async fn it_ends_to_the_second_also_where_the_yes_is_kept() {
    let house = House::new().await;
    let token = house.token().await;
    assert_eq!(house.bearer(&token).await, OK);
    house.advance(Duration::from_secs(300) - MICRO);
    assert_eq!(house.bearer(&token).await, OK);
    house.advance(MICRO);
    assert_eq!(house.bearer(&token).await, (401, "token_expired"));
    assert_eq!(house.cookie(&token).await, MISSING);
}

/// Each of what a token descends from, by itself, under a yes that is kept (RULES 2.5).
#[tokio::test]
async fn each_of_its_parents_ends_it() {
    let host = Caller::host();
    for what in ["token", "session", "key", "generation", "password", "principal", "disabled", "signed out"] {
        let house = House::new().await;
        let forger = Forger::at(&house).await;
        let token = forger.good();
        let other = house.token().await;
        for _ in 0..2 {
            assert_eq!((house.bearer(&token).await, house.cookie(&token).await), (OK, OK), "{what}");
            assert_eq!(house.bearer(&other).await, OK);
        }
        let now = house.now();
        let (mut expected, mut others) = (REVOKED, OK);
        match what {
            "token" => drop(house.tokens.revoke(&token, &host, now).await.unwrap()),
            "session" => {
                house.sessions.end(&forger.record.id, EndReason::Revoked, &host, now).await.unwrap();
            }
            "signed out" => {
                let refresh = house.begin(SessionKind::Native).await;
                // another session's end is none of this one's
                let shown = refresh.refresh.unwrap();
                let kind = countersign_methods::session::token::TokenKind::Refresh;
                house.sessions.sign_out(kind, shown.expose().as_bytes(), &host, now).await.unwrap();
                expected = OK;
            }
            "key" => {
                drop(house.signing.revoke(&forger.kid, &host, now).await.unwrap());
                others = REVOKED;
            }
            "generation" => {
                house.sessions.end_everything(&house.ada.id, &host, now).await.unwrap();
                others = REVOKED;
            }
            "password" => {
                house.revoke(password(&house.ada.id));
                others = REVOKED;
            }
            "principal" => {
                house.revoke(Node::principal(&house.ada.id));
                (expected, others) = ((401, "credential_invalid"), (401, "credential_invalid"));
            }
            _ => {
                house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
                (expected, others) = ((401, "credential_invalid"), (401, "credential_invalid"));
            }
        }
        for _ in 0..2 {
            assert_eq!(house.bearer(&token).await, expected, "{what}");
            assert_eq!(house.cookie(&token).await, if expected == OK { OK } else { MISSING }, "{what}");
            assert_eq!(house.bearer(&other).await, others, "{what}: another token");
        }
    }
}

/// RULES 5.3: a key that was called back believes nothing, however long ago that was.
#[tokio::test]
async fn a_stolen_key_is_worth_nothing_once_it_is_called_back() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    house.signing.revoke(&forger.kid, &Caller::host(), house.now()).await.unwrap();
    assert_ne!(house.bearer(&forger.good()).await, OK);
    house.advance(Duration::from_secs(3600));
    let now = house.now().as_seconds();
    let fresh = forger.with_claims(|claims| {
        claims.insert("iat".into(), json!(now));
        claims.insert("exp".into(), json!(now + 300));
    });
    assert_eq!(house.bearer(&fresh).await, (401, "credential_invalid"));
    assert_eq!(house.active(KeyPurpose::Session).await.version, 1);
    assert_eq!(house.bearer(&house.token().await).await, OK);
}

/// Of ES256 one text has two signatures, and both are good. Whoever calls back the one calls back the other.
#[tokio::test]
async fn a_token_and_its_twin_die_together() {
    let house = House::new().await;
    let token = house.token().await;
    let twin = resigned(&token, |r, s| [r, &other_s(s)].concat());
    assert_ne!(token, twin);
    for shown in [&token, &twin] {
        assert_eq!(house.bearer(shown).await, OK);
    }
    house.tokens.revoke(&twin, &Caller::host(), house.now()).await.unwrap();
    for shown in [&token, &twin, &token] {
        assert_eq!(house.bearer(shown).await, REVOKED);
        assert_eq!(house.cookie(shown).await, MISSING);
    }
    // and a third text that says the same is no way out
    let jti = house.tokens.read(&token, house.now()).unwrap().0.jti;
    let third = Forger::at(&house).await.with_claim("jti", json!(jti));
    assert_eq!(house.bearer(&third).await, REVOKED);
}

#[tokio::test]
async fn only_what_was_signed_here_and_is_good_is_called_back() {
    let house = House::new().await;
    let forger = Forger::at(&house).await;
    let (host, now) = (Caller::host(), house.now());
    let identity = house.stolen(KeyPurpose::Identity).await;
    let identity = countersign_crypto::jose::sign(&identity, "at+jwt", &forger.claims).unwrap();
    let past = forger.with_claim("exp", json!(now.as_seconds()));
    let unsigned = format!("{}.", forger.good().rsplit_once('.').unwrap().0);
    for token in ["", "a.b.c", &identity, &past, &unsigned] {
        assert!(house.tokens.revoke(token, &host, now).await.is_err(), "{token:.20}");
    }
    assert!(!house.store.actions().contains(&"token.revoke".to_owned()));
}

/// RULES 1.6.
#[tokio::test]
async fn a_cookie_counts_alone_and_once() {
    let house = House::new().await;
    let token = house.token().await;
    let begun = house.begin(SessionKind::Cookie).await;
    let opaque = begun.cookie.unwrap().expose().to_owned();
    let bearer = format!("Bearer {token}");
    for value in [&token, &opaque] {
        let cookie = format!("__Host-session={value}");
        assert_eq!(house.cookie(value).await, OK);
        let rows: [(&str, Headers<'_>, (u16, &str)); 11] = [
            ("among others", &[("cookie", &format!("a=b; {cookie}; c=d"))], OK),
            ("twice in a line", &[("cookie", &format!("{cookie}; {cookie}"))], MISSING),
            ("twice in two lines", &[("cookie", &cookie), ("cookie", &cookie)], MISSING),
            ("beside an empty one", &[("cookie", &format!("{cookie}; __Host-session="))], MISSING),
            ("beside one without a value", &[("cookie", &format!("__Host-session; {cookie}"))], MISSING),
            ("in quotes", &[("cookie", &format!("__Host-session=\"{value}\""))], MISSING),
            ("of another case", &[("cookie", &format!("__host-session={value}"))], MISSING),
            ("without a prefix", &[("cookie", &format!("session={value}"))], MISSING),
            (
                "beside a bad Bearer",
                &[("cookie", &cookie), ("authorization", "Bearer x")],
                (401, "credential_invalid"),
            ),
            ("beside another scheme", &[("cookie", &cookie), ("authorization", "Other x")], MISSING),
            (
                "beside what is no field",
                &[("cookie", &cookie), ("authorization", "x")],
                (400, "credential_malformed"),
            ),
        ];
        for (what, fields, expected) in rows {
            assert_eq!(house.ask("/orders", fields).await, expected, "{what}");
        }
        // the Bearer value decides, whoever the cookie is
        let fields = [("cookie", cookie.as_bytes()), ("authorization", bearer.as_bytes())];
        let both = house.check("/orders", &fields).await.unwrap();
        assert_eq!(both.subject().unwrap().authentication.place, Place::Authorization);
        assert_eq!(house.ask("/tokens-only", &[("cookie", &cookie)]).await, MISSING, "the route takes none");
        // the opaque one is no Bearer value
        let field = format!("Bearer {opaque}");
        assert_eq!(house.ask("/orders", &[("authorization", &field)]).await, (401, "credential_invalid"));
    }
}

/// A cookie's yes is kept as a token's is, and ends as that does.
#[tokio::test]
async fn an_opaque_cookie_ends_with_its_session() {
    let host = Caller::host();
    for what in ["ended", "generation", "password", "disabled"] {
        let house = House::new().await;
        let begun = house.begin(SessionKind::Cookie).await;
        let cookie = begun.cookie.unwrap().expose().to_owned();
        for _ in 0..2 {
            assert_eq!(house.cookie(&cookie).await, OK, "{what}");
        }
        match what {
            "ended" => {
                house.sessions.end(&begun.record.id, EndReason::Revoked, &host, house.now()).await.unwrap();
            }
            "generation" => {
                house.sessions.end_everything(&house.ada.id, &host, house.now()).await.unwrap();
            }
            "password" => house.revoke(password(&house.ada.id)),
            _ => house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await,
        }
        for _ in 0..2 {
            assert_eq!(house.cookie(&cookie).await, MISSING, "{what}");
        }
    }
    // an outage is none of the cookie's
    let house = House::new().await;
    let cookie = house.begin(SessionKind::Cookie).await.cookie.unwrap();
    house.store.set_down(true);
    assert_eq!(house.cookie(cookie.expose()).await.0, 503);
    let made_up = cookie.expose().replacen("cs_session_", "cs_session_x", 1);
    assert_eq!(house.cookie(&made_up).await, MISSING);
}

#[tokio::test]
async fn what_is_shown_is_used() {
    let house = House::new().await;
    let begun = house.begin(SessionKind::Cookie).await;
    let cookie = begun.cookie.unwrap();
    for _ in 0..3 {
        assert_eq!(house.cookie(cookie.expose()).await, OK);
    }
    assert_eq!(house.uses.take(house.now()), [(begun.record.id, house.now())]);
    let begun = house.begin(SessionKind::JwtCookie).await;
    let token = house.tokens.mint(&begun.record, house.now()).unwrap().token;
    assert_eq!(house.cookie(token.expose()).await, OK);
    assert_eq!(house.uses.take(house.now()), [(begun.record.id, house.now())]);
    // a Bearer value rests by being refreshed
    let token = house.token().await;
    assert_eq!(house.bearer(&token).await, OK);
    assert!(house.uses.take(house.now()).is_empty());
}

/// RFC 6750 3.1.
#[tokio::test]
async fn what_is_missing_is_said() {
    let house = House::new().await;
    let denial = house.check("/orders", &[]).await.unwrap_err();
    let challenges: Vec<_> = denial.challenges.iter().map(|c| c.value().to_str().unwrap()).collect();
    assert_eq!(challenges, ["Bearer realm=\"countersign\""]);
    let field = format!("Bearer {}", house.token().await);
    let denial = house.check("/delete", &[("authorization", field.as_bytes())]).await.unwrap_err();
    assert_eq!((denial.code, denial.needs), ("scope_missing", Some(scopes("orders:read orders:delete"))));
}

/// A stream that was begun with a token, or with the cookie, lasts as long as its session.
#[tokio::test]
async fn what_was_begun_with_a_session_ends_with_it() {
    for kind in SessionKind::ALL {
        let house = House::new().await;
        let begun = house.begin(kind).await;
        let token = house.tokens.mint(&begun.record, house.now()).unwrap().token;
        let cookie = format!("__Host-session={}", begun.cookie.as_ref().unwrap_or(&token).expose());
        let bearer = format!("Bearer {}", token.expose());
        let field = if kind == SessionKind::Native {
            ("authorization", bearer.as_bytes())
        } else {
            ("cookie", cookie.as_bytes())
        };
        let permit = house.check("/orders", &[field]).await.unwrap();
        // the token is over long before it
        let idle = begun.record.idle;
        for part in [idle / 2, idle / 2 - MICRO] {
            house.advance(part);
            assert!(house.point.stands(&permit).await, "{kind:?}");
        }
        // by what is written it was not used for so long; what is noted may not be written yet
        house.advance(Uses::UNWRITTEN);
        assert!(house.point.stands(&permit).await, "{kind:?}");
        SessionStore::used(&*house.store, vec![(begun.record.id.clone(), house.now())]).await.unwrap();
        house.advance(idle + Uses::UNWRITTEN);
        house.store.set_down(true);
        assert!(house.point.stands(&permit).await, "nobody said that it is over");
        house.store.set_down(false);
        assert!(!house.point.stands(&permit).await, "{kind:?}");
    }
}
