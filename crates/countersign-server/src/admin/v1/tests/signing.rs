use crate::{
    session::tests::{bearer, mine, person, sign_in},
    test_world::World,
};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const KEYS: &str = "/admin/v1/signing-keys";
const ROTATE: &str = "/admin/v1/signing-keys/rotate";

async fn keys(world: &World, purpose: &str) -> Vec<Value> {
    let all = world.get(&world.root, KEYS).await.expect(200)["items"].as_array().unwrap().clone();
    all.into_iter().filter(|key| key["purpose"] == purpose).collect()
}

async fn published(world: &World) -> Vec<Value> {
    world.get("", "/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn keys_are_listed_without_what_signs() {
    let world = World::new().await;
    let reply = world.get(&world.root, KEYS).await;
    let items = reply.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2);
    for key in items {
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let known = ["kid", "purpose", "algorithm", "state", "since", "created_at", "version"];
        assert_eq!(members, known);
        assert_eq!((&key["state"], &key["algorithm"]), (&json!("active"), &json!("ES256")));
    }
}

#[tokio::test]
async fn the_next_key_is_published_before_it_signs_unless_it_must_sign_at_once() {
    let world = World::new().await;
    let root = world.root.clone();
    let session = json!({"purpose": "session"});
    let next = world.post(&root, ROTATE, session.clone()).await.expect(200);
    assert_eq!(
        (&next["key"]["state"], &next["signs_from"]),
        (&json!("published"), &json!("2027-01-16T08:00:00Z"))
    );
    // said twice it is the same one, and it does not sign sooner
    assert_eq!(world.post(&root, ROTATE, session.clone()).await.expect(200), next);
    assert_eq!(published(&world).await.len(), 2);
    let now = world.post(&root, ROTATE, json!({"purpose": "session", "at_once": true})).await.expect(200);
    assert_eq!((&now["key"]["kid"], &now["key"]["state"]), (&next["key"]["kid"], &json!("active")));
    let keys_now = keys(&world, "session").await;
    let state = |kid: &Value| keys_now.iter().find(|key| key["kid"] == *kid).unwrap()["state"].clone();
    assert_eq!((keys_now.len(), state(&next["key"]["kid"])), (2, json!("active")));
    assert!(keys_now.iter().any(|key| key["state"] == "retired"), "{keys_now:?}");
    assert_eq!(keys(&world, "identity").await.len(), 1, "of the other purpose nothing changed");
    // what the one before signed is still good
    assert_eq!(published(&world).await.len(), 2);
    let rows = [
        json!({}),
        json!({"purpose": "sessions"}),
        json!({"purpose": 1}),
        json!({"purpose": "session", "at_once": "yes"}),
        json!({"purpose": "session", "kid": "x"}),
    ];
    for body in rows {
        world.post(&root, ROTATE, body).await.refused(400, "request_malformed");
    }
}

// RULES 5.3
#[tokio::test]
async fn a_key_that_is_called_back_takes_with_it_what_it_signed() {
    let world = World::new().await;
    let root = world.root.clone();
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let access = bearer(&tokens["access_token"]);
    assert_eq!(mine(&world, ("authorization", &access)).await, "ok");
    let key = keys(&world, "session").await.remove(0);
    let path = format!("{KEYS}/{}/revoke", key["kid"].as_str().unwrap());
    for (tag, status, code) in [("\"7\"", 412, "precondition_failed"), ("7", 400, "request_malformed")] {
        world.with(&root, Method::POST, &path, ("if-match", tag), json!({})).await.refused(status, code);
    }
    world.post(&root, &path, json!({"reason": "leaked"})).await.refused(400, "request_malformed");
    assert_eq!(mine(&world, ("authorization", &access)).await, "ok", "nothing happened yet");

    let reply = world.with(&root, Method::POST, &path, ("if-match", "\"1\""), json!({})).await;
    assert_eq!(reply.headers["etag"], "\"2\"");
    let revoked = reply.expect(200);
    assert_eq!((&revoked["state"], &revoked["kid"]), (&json!("removed"), &key["kid"]));
    assert_ne!(mine(&world, ("authorization", &access)).await, "ok");
    assert!(published(&world).await.iter().all(|public| public["kid"] != key["kid"]));
    // another signs from now on, and a session outlives the key
    let again = sign_in(&world, "ada").await;
    assert_eq!(mine(&world, ("authorization", &bearer(&again["access_token"]))).await, "ok");
    let before = world.kept.actions().len();
    assert_eq!(world.post(&root, &path, json!({})).await.expect(200), revoked, "it is what was wanted");
    assert_eq!(world.kept.actions().len(), before);
    assert_eq!(world.kept.actions().iter().filter(|a| *a == "signing_key.revoke").count(), 1);
}

#[tokio::test]
async fn a_key_that_is_none_is_not_found_and_who_may_not_does_nothing() {
    let world = World::new().await;
    for kid in ["x", "%C3%A4", "0000000000000000000000000000000000000000000"] {
        let path = format!("{KEYS}/{kid}/revoke");
        world.post(&world.root, &path, json!({})).await.refused(404, "signing_key_unknown");
        let conditional = world.with(&world.root, Method::POST, &path, ("if-match", "*"), json!({})).await;
        conditional.refused(404, "signing_key_unknown");
    }
    let kid = keys(&world, "session").await.remove(0)["kid"].as_str().unwrap().to_owned();
    let others = world.key("others", "countersign:read countersign:keys countersign:revocations").await;
    world.get(&others, KEYS).await.expect(200);
    world.post(&others, ROTATE, json!({"purpose": "session"})).await.refused(403, "scope_missing");
    world.post(&others, &format!("{KEYS}/{kid}/revoke"), json!({})).await.refused(403, "scope_missing");
    world.advance(Duration::from_secs(1));
    assert_eq!(keys(&world, "session").await.len(), 1);
}
