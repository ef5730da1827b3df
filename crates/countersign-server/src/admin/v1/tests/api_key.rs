use crate::test_world::{ADMIN_LIMIT, World, forged, request};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const KEYS: &str = "/admin/v1/api-keys";

async fn made(world: &World, body: Value) -> (String, String, Value) {
    let reply = world.post(&world.root, KEYS, body).await;
    let document = reply.expect(201);
    let id = document["key"]["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("{KEYS}/{id}"));
    (id, document["secret"].as_str().unwrap().to_owned(), document)
}

#[tokio::test]
async fn a_key_lives_from_create_to_revoke() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read orders:write").await;
    let (id, secret, document) = made(
        &world,
        json!({
            "owner": "demo", "label": "till", "scopes": ["orders:read"], "expires_in": "30d",
            "networks": ["10.0.0.0/8", "192.0.2.1"], "limit": {"requests": 100, "per": "1m"}
        }),
    )
    .await;
    let key = &document["key"];
    assert!(secret.starts_with(&format!("cs_live_{id}")));
    assert_eq!(key["owner"]["name"], "demo");
    assert_eq!(key["expires_at"], "2027-02-14T08:00:00Z");
    assert_eq!(key["networks"], json!(["10.0.0.0/8", "192.0.2.1/32"]));
    assert_eq!(key["limit"], json!({"requests": 100, "per": "1m"}));
    assert_eq!(key["state"], "active");
    assert_eq!(&world.get(&root, &format!("{KEYS}/{id}")).await.expect(200), key);

    let verified = world.post(&root, &format!("{KEYS}/verify"), json!({"key": secret})).await.expect(200);
    assert_eq!((&verified["valid"], &verified["key"]["id"]), (&json!(true), &json!(id)));

    let rotated = world.post(&root, &format!("{KEYS}/{id}/rotate"), json!({"grace": "1h"})).await.expect(201);
    assert_eq!(rotated["predecessor"]["state"], "rotated");
    assert_eq!(rotated["predecessor"]["expires_at"], "2027-01-15T09:00:00Z");
    assert_eq!(rotated["predecessor"]["successor"], rotated["key"]["id"]);
    assert_eq!(rotated["key"]["scopes"], key["scopes"]);
    assert_eq!(rotated["key"]["limit"], key["limit"]);
    assert_eq!(rotated["key"]["networks"], key["networks"]);

    // rotate twice
    let again = world.post(&root, &format!("{KEYS}/{id}/rotate"), json!({})).await;
    again.refused(409, "key_not_active");

    world.advance(Duration::from_secs(3600));
    assert_eq!(world.get(&root, &format!("{KEYS}/{id}")).await.expect(200)["state"], "expired");
    let usable = world.get(&root, &format!("{KEYS}?owner=demo&usable=true")).await.expect(200);
    assert_eq!(usable["items"].as_array().unwrap().len(), 1);

    // revoke twice: the second changes nothing and says the same
    let next = rotated["key"]["id"].as_str().unwrap();
    let path = format!("{KEYS}/{next}/revoke");
    let first = world.post(&root, &path, json!({"reason": "leaked"})).await.expect(200);
    assert_eq!((&first["state"], &first["reason"]), (&json!("revoked"), &json!("leaked")));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.post(&root, &path, json!({})).await.expect(200), first);
    assert_eq!(world.store.actions().iter().filter(|a| *a == "api_key.revoke").count(), 1);
}

#[tokio::test]
async fn a_secret_is_in_the_answer_that_made_it_and_nowhere_else() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let (id, secret, _) = made(&world, json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let (_, tail) = secret.split_at("cs_live_".len() + 12);
    let paths =
        [format!("{KEYS}/{id}"), KEYS.into(), "/admin/v1/audit".into(), "/admin/v1/revocations".into()];
    for path in paths {
        let reply = world.get(&root, &path).await;
        reply.expect(200);
        assert!(!String::from_utf8_lossy(&reply.body).contains(tail), "{path}");
    }
    let body = json!({"key": secret});
    let reply = world.post(&root, &format!("{KEYS}/verify"), body).await;
    reply.expect(200);
    assert!(!String::from_utf8_lossy(&reply.body).contains(tail));
    // also where the body is refused
    let reply = world.post(&root, &format!("{KEYS}/verify"), json!({"key": secret, "extra": 1})).await;
    reply.refused(400, "request_malformed");
    assert!(!String::from_utf8_lossy(&reply.body).contains(tail));
}

#[tokio::test]
async fn nothing_issued_exceeds_the_credential_that_asked() {
    // RULES 2.6
    let world = World::new().await;
    let narrow = world.key("narrow", "countersign:keys countersign:read orders:read").await;
    world.service("demo", "orders:read orders:write").await;
    let ask =
        |scopes: Value, expires: &str| json!({"owner": "demo", "scopes": scopes, "expires_in": expires});
    world.post(&narrow, KEYS, ask(json!(["orders:write"]), "1d")).await.refused(403, "scopes_beyond_caller");
    // the caller's own key ends after 90 days
    world.post(&narrow, KEYS, ask(json!(["orders:read"]), "91d")).await.refused(403, "outlives_caller");
    world.post(&narrow, KEYS, ask(json!(["orders:read"]), "90d")).await.expect(201);
    world
        .post(&world.root, KEYS, ask(json!(["orders:delete"]), "1d"))
        .await
        .refused(422, "scopes_beyond_owner");
    world.post(&world.root, KEYS, ask(json!([]), "2y")).await.refused(422, "lifetime_too_long");
    world.post(&world.root, KEYS, ask(json!([]), "never")).await.refused(422, "never_not_allowed");
    let past = json!({"owner": "demo", "scopes": [], "expires_at": "2020-01-01T00:00:00Z"});
    world.post(&world.root, KEYS, past).await.refused(422, "lifetime_over");
    let plan = json!({"owner": "demo", "scopes": [], "plan": "gold"});
    world.post(&world.root, KEYS, plan).await.refused(422, "plan_unknown");
}

#[tokio::test]
async fn an_unknown_key_is_not_found_whatever_its_shape() {
    let world = World::new().await;
    let root = world.root.clone();
    for id in ["000000000000", "short", "0000000000000", "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4"] {
        world.get(&root, &format!("{KEYS}/{id}")).await.refused(404, "key_unknown");
        for verb in ["rotate", "revoke"] {
            world.post(&root, &format!("{KEYS}/{id}/{verb}"), json!({})).await.refused(404, "key_unknown");
        }
    }
    let unowned = json!({"owner": "nobody", "scopes": []});
    world.post(&root, KEYS, unowned).await.refused(404, "principal_unknown");
    world.get(&root, &format!("{KEYS}?owner=nobody")).await.refused(404, "principal_unknown");
}

#[tokio::test]
async fn verify_says_why_a_key_is_not_good_and_shows_it_only_to_who_holds_it() {
    let world = World::new().await;
    let root = world.root.clone();
    let path = format!("{KEYS}/verify");
    world.service("demo", "orders:read").await;
    let (id, secret, _) =
        made(&world, json!({"owner": "demo", "scopes": ["orders:read"], "expires_in": "1h"})).await;

    // well-formed, and the id is a real one: still nothing of the record is shown
    let forged = forged(&secret);
    let mistyped = format!("{secret}0");
    for bad in ["", "rubbish", forged.as_str(), mistyped.as_str(), "cs_test_000000000000", "\u{1f511}"] {
        let verdict = world.post(&root, &path, json!({"key": bad})).await.expect(200);
        assert_eq!(verdict, json!({"valid": false, "reason": "credential_invalid"}), "{bad}");
    }
    world.patch(&root, "/admin/v1/principals/demo", json!({"enabled": false})).await.expect(200);
    let verdict = world.post(&root, &path, json!({"key": secret})).await.expect(200);
    assert_eq!((&verdict["valid"], &verdict["reason"]), (&json!(false), &json!("principal_disabled")));
    world.advance(Duration::from_secs(3600));
    let verdict = world.post(&root, &path, json!({"key": secret})).await.expect(200);
    assert_eq!((&verdict["reason"], &verdict["key"]["id"]), (&json!("key_expired"), &json!(id)));
    world.post(&root, &format!("{KEYS}/{id}/revoke"), json!({})).await.expect(200);
    let verdict = world.post(&root, &path, json!({"key": secret})).await.expect(200);
    assert_eq!((&verdict["reason"], &verdict["key"]["state"]), (&json!("key_revoked"), &json!("revoked")));
}

#[tokio::test]
async fn verify_is_limited_by_the_credential_that_asks() {
    let world = World::new().await;
    let root = world.root.clone();
    let path = format!("{KEYS}/verify");
    for _ in 0..world.services.limits.verify.quota {
        world.post(&root, &path, json!({"key": "x"})).await.expect(200);
    }
    let reply = world.post(&root, &path, json!({"key": "x"})).await;
    reply.refused(429, "limit_exceeded");
    assert!(reply.headers.contains_key("retry-after"));
    let other = world.key("other", "countersign:read").await;
    world.post(&other, &path, json!({"key": "x"})).await.expect(200);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_and_never_401() {
    let world = World::new().await;
    let root = world.root.clone();
    // known to the cache: what fails is the handler's own call
    world.get(&root, KEYS).await.expect(200);
    world.store.set_down(true);
    let reply = world.get(&root, KEYS).await;
    reply.refused(503, "store_unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    let reply = world.post(&root, &format!("{KEYS}/verify"), json!({"key": root})).await;
    reply.refused(503, "store_unavailable");
    world.store.set_down(false);
    // not known to the cache: what fails is the judgement's
    let fresh = world.key("fresh", "countersign:read").await;
    world.store.set_down(true);
    world.get(&fresh, KEYS).await.refused(503, "store_unavailable");
    world.store.set_down(false);
    world.get(&root, KEYS).await.expect(200);
}

#[tokio::test]
async fn a_disabled_owner_gets_no_key() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    world.patch(&root, "/admin/v1/principals/demo", json!({"enabled": false})).await.expect(200);
    let body = json!({"owner": "demo", "scopes": []});
    world.post(&root, KEYS, body).await.refused(409, "principal_disabled");
}

#[tokio::test]
async fn verify_knows_of_a_revoked_owner() {
    let world = World::new().await;
    let root = world.root.clone();
    let key = world.key("demo", "orders:read").await;
    let id = world.get(&root, "/admin/v1/principals/demo").await.expect(200)["id"].clone();
    let node = format!("principal:{}", id.as_str().unwrap());
    world.post(&root, "/admin/v1/revocations", json!({"node": node})).await.expect(200);
    // also where somebody enabled the principal again, past us
    world.enable("demo").await;
    let verdict = world.post(&root, &format!("{KEYS}/verify"), json!({"key": key})).await.expect(200);
    assert_eq!((&verdict["valid"], &verdict["reason"]), (&json!(false), &json!("key_revoked")));
}

#[tokio::test]
async fn an_operator_does_not_speak_for_the_holder() {
    let world = World::new().await;
    let root = world.root.clone();
    world.key("demo", "").await;
    let id = world.get(&root, &format!("{KEYS}?owner=demo")).await.expect(200)["items"][0]["id"].clone();
    let path = format!("{KEYS}/{}/revoke", id.as_str().unwrap());
    for reason in ["holder", "Leaked", ""] {
        world.post(&root, &path, json!({"reason": reason})).await.refused(400, "request_malformed");
    }
    // no body at all is an empty one
    let bare = request(Method::POST, &path, Some(&root)).body(Body::empty()).unwrap();
    assert_eq!(world.send(bare).await.expect(200)["reason"], "operator");
}

#[tokio::test]
async fn keys_are_sorted_and_cut_and_a_cursor_keeps_to_its_order() {
    let world = World::new().await;
    let root = world.root.clone();
    for n in 0..3 {
        world.advance(Duration::from_secs(1));
        world.key(&format!("s{n}"), "").await;
    }
    let names = async |query: &str| {
        let page = world.get(&root, &format!("{KEYS}?{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap().iter();
        let names = items.map(|i| i["owner"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (names, page["next"].as_str().map(ToOwned::to_owned))
    };
    let (first, next) = names("sort=-created_at&limit=3").await;
    let next = next.unwrap();
    assert_eq!(first, ["s2", "s1", "s0"]);
    assert_eq!(names(&format!("sort=-created_at&cursor={next}")).await, (vec!["root".to_owned()], None));
    for other in ["", "sort=created_at", "sort=-expires_at"] {
        let reply = world.get(&root, &format!("{KEYS}?{other}&cursor={next}")).await;
        reply.refused(400, "request_malformed");
    }
    assert_eq!(names("state=active&environment=live&expires_before=1y").await.0.len(), 4);
    assert_eq!(names("state=revoked").await.0.len(), 0);
    assert_eq!(names("expires_before=1h").await.0.len(), 0);
    assert_eq!(names("label=x").await.0.len(), 0);
    let wrong = [
        "state=gone",
        "environment=prod",
        "expires_before=soon",
        "sort=owner",
        "sort=--created_at",
        "stat=active",
    ];
    for query in wrong {
        world.get(&root, &format!("{KEYS}?{query}")).await.refused(400, "request_malformed");
    }
    let meant = world.get(&root, &format!("{KEYS}?stat=active")).await.refused(400, "request_malformed");
    assert!(meant["errors"][0]["detail"].as_str().unwrap().contains("did you mean `state`?"), "{meant}");
}

#[tokio::test]
async fn keys_are_listed_page_by_page_in_the_order_of_their_making() {
    let world = World::new().await;
    let root = world.root.clone();
    for n in 0..4 {
        world.advance(Duration::from_secs(1));
        world.key(&format!("s{n}"), "").await;
    }
    let mut owners = Vec::new();
    let mut path = format!("{KEYS}?limit=2");
    for _ in 0..10 {
        let page = world.get(&root, &path).await.expect(200);
        let names =
            page["items"].as_array().unwrap().iter().map(|i| i["owner"]["name"].as_str().unwrap().to_owned());
        owners.extend(names);
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{KEYS}?limit=2&cursor={next}");
    }
    assert_eq!(owners, ["root", "s0", "s1", "s2", "s3"]);
}

/// RULES 4.2: a repeat gets the record, never the secret.
#[tokio::test]
async fn a_key_that_is_asked_for_twice_is_made_once_and_shown_once() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let body = json!({"owner": "demo", "scopes": ["orders:read"]});
    let ask = |path: String, key: &'static str, body: Value| async {
        let path = path;
        world.with(&root, Method::POST, &path, ("idempotency-key", key), body).await
    };
    let first = ask(KEYS.into(), "k1", body.clone()).await.expect(201);
    let again = ask(KEYS.into(), "k1", body.clone()).await;
    assert_eq!(again.headers["etag"], "\"1\"");
    let again = again.expect(200);
    assert_eq!((&again["key"], &again["secret"]), (&first["key"], &Value::Null));
    assert!(first["secret"].is_string());

    let id = first["key"]["id"].as_str().unwrap();
    let rotate = format!("{KEYS}/{id}/rotate");
    // under the same key at another URL it is another request
    ask(rotate.clone(), "k1", json!({})).await.refused(422, "idempotency_key_reused");
    let successor = ask(rotate.clone(), "k2", json!({})).await.expect(201);
    let repeated = ask(rotate.clone(), "k2", json!({})).await.expect(200);
    assert_eq!((&repeated["key"]["id"], &repeated["secret"]), (&successor["key"]["id"], &Value::Null));
    ask(rotate, "k3", json!({})).await.refused(409, "key_not_active");
    let listed = world.get(&root, &format!("{KEYS}?owner=demo")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

/// RFC 9110 13.1.1: not required of these, and kept where it is given.
#[tokio::test]
async fn rotation_and_revocation_keep_to_the_version_that_was_seen() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let (id, ..) = made(&world, json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let ask = |verb: &'static str, tag: &'static str| {
        let path = format!("{KEYS}/{id}/{verb}");
        let (world, root) = (&world, &root);
        async move { world.with(root, Method::POST, &path, ("if-match", tag), json!({})).await }
    };
    for verb in ["rotate", "revoke"] {
        ask(verb, "\"7\"").await.refused(412, "precondition_failed");
        ask(verb, "7").await.refused(400, "request_malformed");
    }
    ask("rotate", "\"1\"").await.expect(201);
    ask("revoke", "\"1\"").await.refused(412, "precondition_failed");
    let revoked = ask("revoke", "\"2\"").await;
    assert_eq!(revoked.headers["etag"], "\"3\"");
    assert_eq!(revoked.expect(200)["state"], "revoked");
    let nobody = format!("{KEYS}/000000000000/revoke");
    let reply = world.with(&root, Method::POST, &nobody, ("if-match", "*"), json!({})).await;
    reply.refused(404, "key_unknown");
}

const IMPORT: &str = "/admin/v1/api-keys/import";

#[tokio::test]
async fn keys_from_elsewhere_come_all_or_none_and_every_bad_one_is_named() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let key = |more: Value| {
        let mut key = json!({"owner": "demo", "scopes": ["orders:read"]});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let hex = "0a".repeat(32);
    let rows = json!([
        key(json!({"key": "acme_0123456789abcdef", "label": "till"})),
        key(json!({"sha256": hex})),
        key(json!({"sha256": "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="})),
        key(json!({"sha256": "q-urq6urq6urq6urq6urq6urq6urq6urq6urq6urq_s"})),
    ]);
    let bad = [
        (key(json!({})), 400, "keys[4].key"),
        (key(json!({"key": "acme_0123456789abcdeX", "sha256": hex})), 400, "keys[4].sha256"),
        (key(json!({"sha256": "0a0b"})), 400, "keys[4].sha256"),
        (key(json!({"sha256": "zz".repeat(32)})), 400, "keys[4].sha256"),
        (key(json!({"key": 7})), 400, "keys[4].key"),
        (key(json!({"key": "acme_0123456789abcdeX", "expires": "1d"})), 400, "keys[4].expires"),
        (json!("acme_0123456789abcdeX"), 400, "keys[4]"),
        (key(json!({"key": "other_0123456789abcdef"})), 422, "keys[4].key"),
        (key(json!({"key": "acme_short"})), 422, "keys[4].key"),
        (key(json!({"key": "acme_0123456789abcdef"})), 422, "keys[4]"),
        (key(json!({"key": "acme_0123456789abcdeX", "owner": "nobody"})), 422, "keys[4].owner"),
        (key(json!({"key": "acme_0123456789abcdeX", "scopes": ["x"]})), 422, "keys[4].scopes"),
        (key(json!({"key": "acme_0123456789abcdeX", "plan": "gold"})), 422, "keys[4].plan"),
        (key(json!({"key": "acme_0123456789abcdeX", "expires_in": "2y"})), 422, "keys[4].expires_in"),
    ];
    for (row, status, member) in bad {
        let mut rows = rows.clone();
        rows.as_array_mut().unwrap().push(row);
        let reply = world.post(&root, IMPORT, json!({"keys": rows})).await;
        let code = if status == 400 { "request_malformed" } else { "import_refused" };
        let refused = reply.refused(status, code);
        assert_eq!(refused["errors"][0]["member"], member, "{refused}");
        assert!(!refused.to_string().contains("0123456789"), "no value is told back: {refused}");
    }
    assert!(!world.store.actions().iter().any(|action| action == "api_key.import"));

    let report = world.post(&root, IMPORT, json!({"keys": rows})).await.expect(200);
    assert_eq!((&report["imported"], &report["existed"]), (&json!(4), &json!(0)));
    let id = report["keys"][0]["id"].as_str().unwrap();
    let shown = world.get(&root, &format!("{KEYS}/{id}")).await.expect(200);
    assert_eq!((&shown["origin"], &shown["label"]), (&json!("imported"), &json!("till")));
    let verdict =
        world.post(&root, "/admin/v1/api-keys/verify", json!({"key": "acme_0123456789abcdef"})).await;
    assert_eq!(verdict.expect(200)["key"]["id"], id);

    let again = world.post(&root, IMPORT, json!({"keys": rows, "skip_existing": true})).await.expect(200);
    assert_eq!((&again["imported"], &again["existed"]), (&json!(0), &json!(4)));
    assert_eq!(again["keys"][0], json!({"row": 0, "outcome": "existed", "id": id}));
    world.post(&root, IMPORT, json!({"keys": rows})).await.refused(422, "import_refused");
    assert_eq!(world.store.actions().iter().filter(|action| *action == "api_key.import").count(), 4);
    let most: Vec<&Value> = std::iter::repeat_n(&rows[0], 1001).collect();
    world.post(&root, IMPORT, json!({"keys": most})).await.refused(400, "request_malformed");
}

/// By principal, over all operations and all its keys; what is left is said with every refusal.
#[tokio::test]
async fn whoever_asks_too_often_waits() {
    let world = World::new().await;
    let busy = world.key("busy", "countersign:read").await;
    for _ in 0..ADMIN_LIMIT.quota {
        world.get(&busy, "/admin/v1/api-keys/none").await.refused(404, "key_unknown");
    }
    for path in [KEYS, "/admin/v1/principals"] {
        let reply = world.get(&busy, path).await;
        reply.refused(429, "limit_exceeded");
        assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
        assert_eq!(reply.headers["ratelimit-policy"], "\"default\";q=2000;w=60");
    }
    world.get(&world.root, KEYS).await.expect(200);
    world.advance(Duration::from_secs(1));
    world.get(&busy, KEYS).await.expect(200);
}
