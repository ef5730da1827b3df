use crate::test_world::World;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_principal_is_created_shown_changed_and_listed() {
    let world = World::new().await;
    let root = world.root.clone();
    let body =
        json!({"kind": "service", "name": "demo", "scopes": ["orders:read"], "groups": ["b", "a", "b"]});
    // RULES 2.6: `countersign:grant` passes on what root itself does not have
    let reply = world.post(&root, "/admin/v1/principals", body).await;
    let made = reply.expect(201);
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("/admin/v1/principals/{id}"));
    assert_eq!(made["groups"], json!(["a", "b"]));
    assert_eq!(made["enabled"], true);
    assert_eq!(made["created_at"], "2027-01-15T08:00:00Z");

    for name in [id.as_str(), "demo"] {
        assert_eq!(world.get(&root, &format!("/admin/v1/principals/{name}")).await.expect(200), made);
    }
    let (path, change) = ("/admin/v1/principals/demo", json!({"enabled": false}));
    assert_eq!(reply.headers["etag"], "\"1\"");
    let reply = world.with(&root, Method::PATCH, path, ("if-match", "\"7\", \"1\""), change).await;
    assert_eq!(reply.headers["etag"], "\"2\"");
    let changed = reply.expect(200);
    assert_eq!(world.get(&root, path).await.headers["etag"], "\"2\"");
    assert_eq!(changed["enabled"], false);
    assert_eq!(changed["scopes"], made["scopes"]);
    assert_ne!(changed["version"], made["version"]);

    let listed = world.get(&root, "/admin/v1/principals?kind=service").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(world.get(&root, "/admin/v1/principals?kind=user").await.expect(200)["items"], json!([]));
    let actions = world.store.actions();
    assert_eq!(actions.iter().filter(|a| *a == "principal.disable").count(), 1, "{actions:?}");
}

#[tokio::test]
async fn a_stale_version_a_taken_name_and_an_unknown_principal_are_told_apart() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let taken = world.post(&root, "/admin/v1/principals", json!({"kind": "user", "name": "demo"})).await;
    taken.refused(409, "name_taken");
    let (path, body) = ("/admin/v1/principals/demo", json!({"enabled": false}));
    for stale in ["\"7\"", "W/\"1\"", "\"\""] {
        let reply = world.with(&root, Method::PATCH, path, ("if-match", stale), body.clone()).await;
        reply.refused(412, "precondition_failed");
    }
    let bare = world.raw(&root, Method::PATCH, path, "application/json", body.to_string()).await;
    bare.refused(428, "precondition_required");
    let broken = world.with(&root, Method::PATCH, path, ("if-match", "1"), body).await;
    broken.refused(400, "request_malformed");
    assert_eq!(world.get(&root, path).await.expect(200)["enabled"], true);
    for name in ["nobody", "svc_00000000000000000000", "NOT-A-NAME", "%C3%A4"] {
        let path = format!("/admin/v1/principals/{name}");
        world.get(&root, &path).await.refused(404, "principal_unknown");
        let reply = world.patch(&root, &path, json!({"enabled": true})).await;
        reply.refused(404, "principal_unknown");
    }
}

#[tokio::test]
async fn the_last_operator_can_neither_be_disabled_nor_revoked() {
    let world = World::new().await;
    let root = world.root.clone();
    world
        .patch(&root, "/admin/v1/principals/root", json!({"enabled": false}))
        .await
        .refused(409, "last_operator");
    let id = world.get(&root, "/admin/v1/principals/root").await.expect(200)["id"].clone();
    let node = format!("principal:{}", id.as_str().unwrap());
    world.post(&root, "/admin/v1/revocations", json!({"node": node})).await.refused(409, "last_operator");
    world.get(&root, "/admin/v1/principals").await.expect(200);
}

// RULES 2.5
#[tokio::test]
async fn a_revoked_principal_is_not_enabled_again() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("second", "countersign:keys countersign:principals").await;
    let id = world.get(&root, "/admin/v1/principals/second").await.expect(200)["id"].clone();
    let node = format!("principal:{}", id.as_str().unwrap());
    world.post(&root, "/admin/v1/revocations", json!({"node": node})).await.expect(200);
    let enable = json!({"enabled": true});
    world.patch(&root, "/admin/v1/principals/second", enable).await.refused(409, "principal_revoked");
    // it would have counted, and nobody could have got in
    let disable = json!({"enabled": false});
    world.patch(&root, "/admin/v1/principals/root", disable).await.refused(409, "last_operator");
}

#[tokio::test]
async fn nobody_hands_out_scopes_beyond_the_own() {
    // RULES 2.6
    let world = World::new().await;
    let narrow = world.key("narrow", "countersign:principals orders:read").await;
    let body = |scope: &str| json!({"kind": "user", "name": "ann", "scopes": [scope]});
    for scope in ["orders:write", "countersign:keys", "countersign:grant"] {
        let reply = world.post(&narrow, "/admin/v1/principals", body(scope)).await;
        reply.refused(403, "scopes_beyond_caller");
    }
    world.post(&narrow, "/admin/v1/principals", body("orders:read")).await.expect(201);
    let wider = json!({"scopes": ["orders:read", "countersign:audit"]});
    world.patch(&narrow, "/admin/v1/principals/ann", wider).await.refused(403, "scopes_beyond_caller");
}

#[tokio::test]
async fn a_list_goes_on_where_it_stopped() {
    let world = World::new().await;
    let root = world.root.clone();
    for n in 0..5 {
        world.service(&format!("s{n}"), "").await;
    }
    let mut names = Vec::new();
    let mut path = "/admin/v1/principals?limit=2".to_owned();
    for _ in 0..10 {
        let page = world.get(&root, &path).await.expect(200);
        names
            .extend(page["items"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/admin/v1/principals?limit=2&cursor={next}");
    }
    assert_eq!(names, ["root", "s0", "s1", "s2", "s3", "s4"]);
}

/// draft-ietf-httpapi-idempotency-key-header: a repeat makes nothing, another request under the same key is told apart.
#[tokio::test]
async fn a_principal_that_is_asked_for_twice_is_made_once() {
    let world = World::new().await;
    let root = world.root.clone();
    let (path, body) = ("/admin/v1/principals", json!({"kind": "service", "name": "demo"}));
    let ask = |body: serde_json::Value, key: &'static str| {
        world.with(&root, Method::POST, path, ("idempotency-key", key), body)
    };
    let first = ask(body.clone(), "\"k1\"").await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let first = first.expect(201);
    let again = ask(body.clone(), "k1").await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(200), first);
    ask(json!({"kind": "user", "name": "demo"}), "k1").await.refused(422, "idempotency_key_reused");
    ask(body.clone(), "k2").await.refused(409, "name_taken");
    ask(body.clone(), "a b").await.refused(400, "request_malformed");
    // a key is its caller's own, and what was refused left no mark
    let other = world.key("other", "countersign:principals countersign:read").await;
    let reply = world.with(&other, Method::POST, path, ("idempotency-key", "k1"), body).await;
    reply.refused(409, "name_taken");
    let made = ask(json!({"kind": "service", "name": "second"}), "k2").await.expect(201);
    assert_ne!(made["id"], first["id"]);
    assert_eq!(world.store.actions().iter().filter(|a| *a == "principal.create").count(), 4);
}
