use crate::{
    session::tests::{bearer, browser, mine, person, refresh, sign_in},
    test_world::{RESOURCE, Reply, World},
};
use countersign_core::{Clock, principal::PrincipalName};
use countersign_methods::principal::caller::Caller;
use serde_json::{Value, json};
use std::time::Duration;

const INSPECT: &str = "/admin/v1/tokens/inspect";
const REVOKE: &str = "/admin/v1/tokens/revoke";
const FOREIGN: &str = "ext_00000000000000000000";

async fn inspect(world: &World, token: &Value) -> Value {
    let reply = world.post(&world.root, INSPECT, json!({"token": token})).await;
    let said = String::from_utf8(reply.body.to_vec()).unwrap();
    let (token, signature) = (token.as_str().unwrap(), token.as_str().unwrap().rsplit('.').next().unwrap());
    assert!(!said.contains(token) && !said.contains(signature), "{said}");
    reply.expect(200)
}

async fn revoke(world: &World, body: Value) -> Reply {
    world.post(&world.root, REVOKE, body).await
}

/// Those that failed, with what they are about.
fn failed(seen: &Value) -> Vec<String> {
    let checks = seen["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "failed");
    let kind = |check: &Value| check["of"].as_str().unwrap_or_default().split(':').next().unwrap().to_owned();
    checks
        .map(|check| {
            assert!(check["fix"].is_string(), "{check}");
            match check["check"].as_str().unwrap() {
                "revocation" => format!("revocation {}", kind(check)),
                name => name.to_owned(),
            }
        })
        .collect()
}

#[tokio::test]
async fn a_good_token_passes_every_check_that_the_gateway_makes() {
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let seen = inspect(&world, &tokens["access_token"]).await;
    assert_eq!(
        (&seen["kind"], &seen["good"], &seen["verified"]),
        (&json!("signed_token"), &json!(true), &json!(true))
    );
    assert_eq!((&seen["principal"]["name"], &seen["session"]), (&json!("ada"), &tokens["session"]));
    assert_eq!((&seen["header"]["alg"], &seen["claims"]["aud"]), (&json!("ES256"), &json!(RESOURCE)));
    assert_eq!((&seen["id"], &seen["expires_at"]), (&seen["claims"]["jti"], &json!("2027-01-15T08:05:00Z")));
    let checks: Vec<&str> =
        seen["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    let own =
        ["header", "alg", "payload", "kid", "signature", "typ", "cnf", "claims", "iss", "exp", "iat", "aud"];
    assert_eq!(checks[..12], own);
    assert_eq!(
        checks[12..],
        [
            "revocation",
            "revocation",
            "revocation",
            "revocation",
            "revocation",
            "revocation",
            "principal",
            "scope",
            "session"
        ]
    );
    assert_eq!(seen["checks"][19]["reason"], "what counts here: orders:read orders:write");
    let of: Vec<&str> = seen["checks"].as_array().unwrap()[12..18]
        .iter()
        .map(|check| check["of"].as_str().unwrap().split(':').next().unwrap())
        .collect();
    assert_eq!(of, ["token", "session", "signing_key", "generation", "password", "principal"]);
    assert!(
        seen["checks"].as_array().unwrap().iter().all(|c| c["outcome"] == "passed" && c["fix"].is_null())
    );
    // looking changes nothing
    assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "ok");
}

/// What the gateway refuses is not good, and what is good the gateway lets in; each row: what happened, and which checks fail.
#[tokio::test]
async fn whatever_ends_a_token_is_the_check_that_fails() {
    let rows: [(&str, &[&str]); 8] = [
        ("token", &["revocation token"]),
        ("session", &["revocation session", "session"]),
        ("principal", &["revocation generation", "session"]),
        ("signing_key", &["kid"]),
        ("password", &["revocation password"]),
        ("disabled", &["principal"]),
        ("revoked", &["revocation principal", "principal"]),
        ("time", &["exp"]),
    ];
    for (what, expected) in rows {
        let world = World::new().await;
        person(&world, "ada").await;
        let tokens = sign_in(&world, "ada").await;
        let seen = inspect(&world, &tokens["access_token"]).await;
        let (id, name) = (seen["principal"]["id"].as_str().unwrap(), PrincipalName::parse("ada").unwrap());
        match what {
            "token" => drop(revoke(&world, json!({"token": tokens["access_token"]})).await.expect(200)),
            "session" => drop(revoke(&world, json!({"session": tokens["session"]})).await.expect(200)),
            "principal" => drop(revoke(&world, json!({"principal": "ada"})).await.expect(200)),
            "signing_key" => {
                drop(revoke(&world, json!({"signing_key": seen["header"]["kid"]})).await.expect(200))
            }
            "password" => {
                let ada = world.services.principal_store.find_by_name(&name).await.unwrap().unwrap();
                let new = ("five other words do as well", None);
                world
                    .services
                    .basic
                    .set_password(&ada.id, new, &Caller::host(), world.clock.now())
                    .await
                    .unwrap();
            }
            "disabled" => {
                let path = format!("/admin/v1/principals/{id}");
                world.patch(&world.root, &path, json!({"enabled": false})).await.expect(200);
            }
            "revoked" => {
                let node = json!({"node": format!("principal:{id}")});
                world.post(&world.root, "/admin/v1/revocations", node).await.expect(200);
            }
            _ => world.advance(Duration::from_secs(300)),
        }
        let seen = inspect(&world, &tokens["access_token"]).await;
        assert_eq!(
            (&seen["good"], failed(&seen)),
            (&json!(false), expected.iter().map(ToString::to_string).collect()),
            "{what}: {seen}"
        );
        assert_ne!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "ok", "{what}");
        let reached = |check: &str| {
            seen["checks"]
                .as_array()
                .unwrap()
                .iter()
                .any(|c| c["check"] == check && c["outcome"] == "not_reached")
        };
        assert_eq!(reached("principal"), matches!(what, "signing_key" | "time"), "{what}: {seen}");
    }
}

#[tokio::test]
async fn what_is_no_signed_token_is_named_and_left_alone() {
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let cookie = json!(browser(&world, "ada").await.trim_start_matches("__Host-session="));
    let session = tokens["session"].as_str().unwrap();
    let rows = [
        (
            tokens["refresh_token"].clone(),
            "refresh_token",
            Some(format!("countersign session show {session}")),
        ),
        (cookie, "session_cookie", Some("countersign session show".into())),
        (json!("cs_refresh_somebody_made_this_up"), "refresh_token", None),
        (json!(world.root), "api_key", Some("countersign key verify".into())),
        (json!("cs_live_x"), "api_key", Some("countersign key verify".into())),
        (json!("cs_app_x"), "app_password", Some("countersign app-password list".into())),
    ];
    // one fault, told once
    let malformed = revoke(&world, json!({"jti": "not one", "expires_at": "2027-01-15T08:00:00Z"})).await;
    let malformed = malformed.refused(400, "request_malformed");
    assert_eq!(malformed["errors"].as_array().unwrap().len(), 1, "{malformed}");
    let before = world.store.actions();
    for (token, kind, see) in &rows {
        let seen = inspect(&world, token).await;
        assert_eq!((&seen["kind"], &seen["good"], &seen["checks"]), (&json!(kind), &Value::Null, &json!([])));
        let said = seen["see"].as_str();
        assert!(said.unwrap_or_default().starts_with(see.as_deref().unwrap_or_default()), "{seen}");
        assert_eq!(said.is_some(), see.is_some(), "{seen}");
        // and none of them is ended by a slip
        let refused = revoke(&world, json!({"token": token})).await.refused(422, "token_not_ours");
        assert!(!refused.to_string().contains(token.as_str().unwrap()), "{refused}");
    }
    assert_eq!(world.store.actions(), before);
    refresh(&world, &tokens["refresh_token"]).await.expect(200);
    for (token, kind, fails) in
        [("", "unknown", "header"), ("rubbish", "unknown", "header"), ("a.b.c", "signed_token", "header")]
    {
        let seen = world.post(&world.root, INSPECT, json!({"token": token})).await.expect(200);
        assert_eq!(
            (&seen["kind"], &seen["good"], failed(&seen)),
            (&json!(kind), &json!(false), vec![fails.to_owned()])
        );
        assert_eq!((&seen["verified"], &seen["claims"]), (&json!(false), &Value::Null));
    }
}

#[tokio::test]
async fn what_a_strangers_token_says_is_shown_and_not_believed() {
    let (world, other) = (World::new().await, World::new().await);
    person(&other, "ada").await;
    let tokens = sign_in(&other, "ada").await;
    let seen = inspect(&world, &tokens["access_token"]).await;
    assert_eq!(
        (&seen["good"], &seen["verified"], failed(&seen)),
        (&json!(false), &json!(false), vec!["kid".to_owned()])
    );
    assert!(seen["claims"]["sub"].is_string() && seen["principal"].is_null() && seen["session"].is_null());
    assert!(seen["id"].is_null(), "an id that nobody signed is none: {seen}");
    revoke(&world, json!({"token": tokens["access_token"]})).await.refused(422, "token_not_ours");
}

#[tokio::test]
async fn each_end_says_what_ended_and_said_again_changes_nothing() {
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let (one, two, three) =
        (sign_in(&world, "ada").await, sign_in(&world, "ada").await, sign_in(&world, "ada").await);
    let jti = inspect(&world, &one["access_token"]).await;
    let by_id = json!({"jti": jti["id"], "expires_at": jti["expires_at"]});
    let kid = inspect(&world, &one["access_token"]).await["header"]["kid"].clone();
    let rows = [
        (json!({"token": tokens["access_token"]}), "token", false),
        (by_id, "token", false),
        (json!({"session": two["session"]}), "session", false),
        (json!({"principal": "ada"}), "principal", true),
        (json!({"signing_key": kid}), "signing_key", false),
    ];
    for (body, what, again) in rows {
        let ended = revoke(&world, body.clone()).await.expect(200);
        assert_eq!((&ended["what"], &ended["changed"]), (&json!(what), &json!(true)), "{body}");
        assert!(ended["id"].as_str().is_some_and(|id| !id.is_empty()));
        assert_eq!(ended["sessions"].is_number(), what == "principal", "{ended}");
        let repeated = revoke(&world, body.clone()).await.expect(200);
        assert_eq!(repeated["changed"], again, "{body}: {repeated}");
    }
    assert_eq!(mine(&world, ("authorization", &bearer(&three["access_token"]))).await, "credential_invalid");
    let actions = world.store.actions();
    for (action, times) in [("token.revoke", 2), ("session.end", 1), ("token.revoke_all", 2)] {
        assert_eq!(actions.iter().filter(|a| *a == action).count(), times, "{action}: {actions:?}");
    }
    assert_eq!(world.kept.actions().iter().filter(|a| *a == "signing_key.revoke").count(), 1);
    // RULES 2.5: what came before, and no more
    let after = sign_in(&world, "ada").await;
    assert_eq!(mine(&world, ("authorization", &bearer(&after["access_token"]))).await, "ok");
}

#[tokio::test]
async fn exactly_one_thing_is_ended_and_it_must_be_there() {
    let world = World::new().await;
    let rows = [
        json!({}),
        json!({"session": "x", "principal": "ada"}),
        json!({"token": "x", "jti": "a", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "a"}),
        json!({"expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "A:b", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "x".repeat(65), "expires_at": "2027-01-15T08:05:00Z"}),
        // RULES 2.5: remembered as long as it could be shown, and not for ever
        json!({"jti": "a", "expires_at": "2027-01-15T08:15:01Z"}),
        json!({"jti": "staff:a", "expires_at": "2027-01-22T08:00:01Z"}),
        json!({"jti": "staff:", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "staff:a b", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"jti": "a", "expires_at": 1}),
        json!({"token": 1}),
        json!({"key": "x"}),
    ];
    let before = world.store.actions();
    for body in rows {
        let reply = revoke(&world, body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "request_malformed"), "{body}");
    }
    for (body, status, code) in [
        (json!({"session": "000000000000"}), 404, "session_unknown"),
        (json!({"principal": "nobody"}), 404, "principal_unknown"),
        (json!({"signing_key": "x"}), 404, "signing_key_unknown"),
        (json!({"token": "rubbish"}), 422, "token_not_ours"),
        (json!({"principal": FOREIGN}), 422, "principal_foreign"),
        (json!({"jti": "nobody:x", "expires_at": "2027-01-22T08:00:00Z"}), 422, "issuer_unknown"),
    ] {
        revoke(&world, body).await.refused(status, code);
    }
    let over = revoke(&world, json!({"jti": "a", "expires_at": "2027-01-15T08:00:00Z"})).await.expect(200);
    assert_eq!(over["changed"], false);
    assert_eq!(world.store.actions(), before, "nothing was written");
    let theirs = json!({"jti": "staff:a-b/c", "expires_at": "2027-01-22T08:00:00Z"});
    assert_eq!(revoke(&world, theirs).await.expect(200)["changed"], true);
    // what was begun with it goes on for an hour more
    for (id, expires_at, changed) in [
        ("staff:over", "2027-01-15T07:00:01Z", true),
        ("staff:long-over", "2027-01-15T07:00:00Z", false),
        ("nobody:over", "2027-01-15T07:00:01Z", false),
    ] {
        let body = json!({"jti": id, "expires_at": expires_at});
        assert_eq!(revoke(&world, body).await.expect(200)["changed"], changed, "{id}");
    }
    let reader = world.key("reader", "countersign:read countersign:signing-keys").await;
    world.post(&reader, REVOKE, json!({"principal": "root"})).await.refused(403, "scope_missing");
    let revoker = world.key("revoker", "countersign:revocations").await;
    world.post(&revoker, INSPECT, json!({"token": "x"})).await.refused(403, "scope_missing");
    // everybody's tokens end with it
    let keys = world.get(&world.root, "/admin/v1/signing-keys").await.expect(200);
    let by_kid = json!({"signing_key": keys["items"][0]["kid"]});
    world.post(&revoker, REVOKE, by_kid.clone()).await.refused(403, "scope_missing");
    let both = world.key("both", "countersign:revocations countersign:signing-keys").await;
    assert_eq!(world.post(&both, REVOKE, by_kid).await.expect(200)["changed"], true);
    for body in [json!({}), json!({"token": 1}), json!({"token": "x", "jti": "y"})] {
        world.post(&world.root, INSPECT, body).await.refused(400, "request_malformed");
    }
}

#[tokio::test]
async fn where_nobody_signs_in_any_more_tokens_are_still_looked_at_and_called_back() {
    let world = World::without_sessions().await;
    for body in [json!({"session": "000000000000"}), json!({"principal": "root"})] {
        revoke(&world, body).await.refused(404, "sessions_off");
    }
    let foreign = revoke(&world, json!({"principal": FOREIGN})).await.refused(422, "principal_foreign");
    let detail = foreign["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("`principal:{FOREIGN}`")) && detail.contains("revocations"), "{detail}");
    let seen = world.post(&world.root, INSPECT, json!({"token": "a.b.c"})).await.expect(200);
    assert_eq!(seen["good"], false);
    let by_id = json!({"jti": "a", "expires_at": "2027-01-15T08:05:00Z"});
    assert_eq!(revoke(&world, by_id).await.expect(200)["changed"], true);
}
