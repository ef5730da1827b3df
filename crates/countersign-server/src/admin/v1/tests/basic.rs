use crate::test_world::{Reply, World, request};
use axum::body::Body;
use countersign_core::check::request::{Peer, Transport};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PRINCIPALS: &str = "/admin/v1/principals";
const ADA: &str = "/admin/v1/principals/ada/password";
const IMPORT: &str = "/admin/v1/passwords/import";
const APPS: &str = "/admin/v1/app-passwords";

const FIRST: &str = "seven unrelated words are long enough";
const SECOND: &str = "five other words do as well";

/// What `htpasswd -nb` says with -B, -m, -s, -2 and -5 of "correct horse NAME battery".
const LINES: [(&str, &str); 5] = [
    ("ann", "$2y$05$FTdWsMNV/HmyfnC9norfa.JcAngYnp8F3cFeAtlbNFHz4P1ejG83i"),
    ("bob", "$apr1$Kg8ilPJ1$OLUjl7QJTnVfJ98R71bua."),
    ("cid", "{SHA}RyUG2kxQ+W10WaeHoqQHNXe7o9A="),
    ("dan", "$5$Yc0xUpi5TzoiBATz$lwaem155MtR9Qycr0mhrniYe4.fhB7EU5mBmaZM2kt9"),
    (
        "eve",
        "$6$9n/9yhOjPj7SpncN$p9q7TTrIS.6sU/3etkCSDiuwg5hNPGetUDgsiPzeu9eo6aLOoDKzuZRgZvssgNAfeNhXngAZ2Gn9sm5Xd0acZ/",
    ),
];

fn right(name: &str) -> String {
    format!("correct horse {name} battery")
}

fn people() -> Vec<Value> {
    LINES.iter().map(|(name, hash)| json!({"name": name, "hash": hash})).collect()
}

async fn user(world: &World, name: &str, scopes: &[&str]) -> String {
    let body = json!({"kind": "user", "name": name, "scopes": scopes});
    let made = world.post(&world.root, PRINCIPALS, body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// Under no condition.
async fn set(world: &World, key: &str, path: &str, password: &str) -> Reply {
    let body = json!({"password": password}).to_string();
    world.raw(key, Method::PUT, path, "application/json", body).await
}

async fn on_condition(world: &World, method: Method, tag: &str, body: Value) -> Reply {
    world.with(&world.root, method, ADA, ("if-match", tag), body).await
}

fn tag(reply: &Reply) -> String {
    reply.headers["etag"].to_str().unwrap().to_owned()
}

/// `POST /password`, as ada.
async fn change(world: &World, current: &str, new: &str) -> Reply {
    change_of(world, "ada", current, new).await
}

async fn change_of(world: &World, user: &str, current: &str, new: &str) -> Reply {
    let body = json!({"username": user, "current_password": current, "new_password": new}).to_string();
    world.send(asked("application/json", body)).await
}

fn asked(media: &str, body: impl Into<Body>) -> http::Request<Body> {
    request(Method::POST, "/password", None).header("content-type", media).body(body.into()).unwrap()
}

/// All of a problem but the number of the request.
fn told(reply: &Reply) -> (u16, Value) {
    let mut document = reply.json();
    document.as_object_mut().unwrap().remove("instance");
    (reply.status.as_u16(), document)
}

#[tokio::test]
async fn a_password_is_set_and_never_shown() {
    let world = World::new().await;
    let root = world.root.clone();
    let id = user(&world, "ada", &["orders:read"]).await;
    let none = world.get(&root, ADA).await;
    assert_eq!(none.expect(200), json!({"set": false}));
    assert_eq!(tag(&none), "\"0\"");

    let first = set(&world, &root, ADA, FIRST).await;
    let shown = json!({"set": true, "scheme": "argon2id", "set_at": "2027-01-15T08:00:00Z"});
    assert_eq!(first.expect(200), shown);
    // by name and by id
    for path in [ADA.to_owned(), format!("{PRINCIPALS}/{id}/password")] {
        let again = world.get(&root, &path).await;
        assert_eq!((again.expect(200), tag(&again)), (shown.clone(), tag(&first)));
    }
    // the same text again is another version: what was signed in ends
    let second = set(&world, &root, ADA, FIRST).await;
    second.expect(200);
    assert_ne!(tag(&second), tag(&first));
    let actions = world.store.actions();
    assert_eq!(actions.iter().filter(|a| *a == "password.set").count(), 2, "{actions:?}");
    // the principal's own record says nothing of it
    let principal = world.get(&root, &format!("{PRINCIPALS}/ada")).await.expect(200);
    assert!(!principal.to_string().contains("argon2"), "{principal}");
}

#[tokio::test]
async fn a_change_keeps_to_the_version_that_was_seen() {
    let world = World::new().await;
    let root = world.root.clone();
    user(&world, "ada", &[]).await;
    let body = json!({"password": FIRST});
    on_condition(&world, Method::PUT, "\"7\"", body.clone()).await.refused(412, "precondition_failed");
    on_condition(&world, Method::PUT, "7", body.clone()).await.refused(400, "request_malformed");
    // "0": as long as there is none
    let first = on_condition(&world, Method::PUT, "\"0\"", body.clone()).await;
    first.expect(200);
    on_condition(&world, Method::PUT, "\"0\"", body.clone()).await.refused(412, "precondition_failed");
    let second = on_condition(&world, Method::PUT, &tag(&first), json!({"password": SECOND})).await;
    second.expect(200);
    on_condition(&world, Method::PUT, &tag(&first), body).await.refused(412, "precondition_failed");

    // to take one away it must be known which
    let bare = request(Method::DELETE, ADA, Some(&root)).body(Body::empty()).unwrap();
    world.send(bare).await.refused(428, "precondition_required");
    let stale = on_condition(&world, Method::DELETE, &tag(&first), Value::Null).await;
    stale.refused(412, "precondition_failed");
    assert_eq!(world.get(&root, ADA).await.expect(200)["set"], true);
    let gone = on_condition(&world, Method::DELETE, &tag(&second), Value::Null).await;
    assert_eq!((gone.expect(200), tag(&gone)), (json!({"set": false}), "\"0\"".to_owned()));
    change(&world, SECOND, FIRST).await.refused(403, "password_wrong");
    // that there is none is what was wanted
    on_condition(&world, Method::DELETE, "*", Value::Null).await.expect(200);
    assert_eq!(world.store.actions().iter().filter(|a| *a == "password.remove").count(), 1);
    // no version comes twice, also after there was none
    world.advance(Duration::from_secs(1));
    let third = set(&world, &root, ADA, FIRST).await;
    third.expect(200);
    assert!(![tag(&first), tag(&second)].contains(&tag(&third)));
}

#[tokio::test]
async fn a_weak_password_is_refused_with_its_reason() {
    let world = World::new().await;
    let root = world.root.clone();
    user(&world, "ada", &[]).await;
    user(&world, "maximilian.mustermann", &[]).await;
    let theirs = format!("{PRINCIPALS}/maximilian.mustermann/password");
    for (path, password, why) in [
        (ADA, "", "the password is empty"),
        (ADA, "fourteen chars", "has 14 characters and needs 15"),
        (ADA, "aaaaaaaaaaaaaaaaaa", "one character over and over"),
        (ADA, "abcabcabcabcabcabc", "one piece over and over"),
        (ADA, "qwertyuiop1234567890", "keys or letters that follow each other"),
        (ADA, "seven unrelated\twords are long", "a control character"),
        (&theirs, "Maximilian.Mustermann1", "little more than your user name"),
    ] {
        let refused = set(&world, &root, path, password).await.refused(422, "password_weak");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{password}: {detail}");
        assert!(password.is_empty() || !detail.contains(password), "{detail}");
        assert_eq!(world.get(&root, path).await.expect(200)["set"], false);
    }
    let long = "é".repeat(257);
    set(&world, &root, ADA, &long).await.refused(422, "password_weak");
    for body in [json!({}), json!({"password": 7}), json!({"password": FIRST, "hash": "x"}), json!([FIRST])] {
        let reply = world.raw(&root, Method::PUT, ADA, "application/json", body.to_string()).await;
        let refused = reply.refused(400, "request_malformed");
        assert!(!refused.to_string().contains(FIRST), "{refused}");
    }
}

/// RULES 2.6: a password outlives the credential that set it.
#[tokio::test]
async fn whoever_may_not_grant_sets_no_password() {
    let world = World::new().await;
    user(&world, "ada", &["orders:read"]).await;
    let bound = world.key("bound", "countersign:principals countersign:read orders:read").await;
    set(&world, &bound, ADA, FIRST).await.refused(403, "grant_needed");
    let import = json!({"people": people()});
    world.post(&bound, IMPORT, import.clone()).await.refused(403, "grant_needed");
    let reader = world.key("reader", "countersign:read").await;
    set(&world, &reader, ADA, FIRST).await.refused(403, "scope_missing");
    world.post(&reader, IMPORT, import).await.refused(403, "scope_missing");
    world
        .with(&reader, Method::DELETE, ADA, ("if-match", "*"), Value::Null)
        .await
        .refused(403, "scope_missing");
    let blind = world.key("blind", "countersign:principals countersign:grant").await;
    world.get(&blind, ADA).await.refused(403, "scope_missing");
    set(&world, &blind, ADA, FIRST).await.expect(200);
    // taking away needs no right to grant
    world.with(&bound, Method::DELETE, ADA, ("if-match", "*"), Value::Null).await.expect(200);
}

#[tokio::test]
async fn only_users_that_are_there_have_passwords() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "orders:read").await;
    let path = format!("{PRINCIPALS}/demo/password");
    set(&world, &root, &path, FIRST).await.refused(422, "not_a_user");
    assert_eq!(world.get(&root, &path).await.expect(200)["set"], false);
    let app = json!({"owner": "demo", "service": "mail", "scopes": ["orders:read"]});
    world.post(&root, APPS, app).await.refused(422, "not_a_user");
    for name in ["nobody", "usr_00000000000000000000", "%C3%A4"] {
        let path = format!("{PRINCIPALS}/{name}/password");
        set(&world, &root, &path, FIRST).await.refused(404, "principal_unknown");
        world.get(&root, &path).await.refused(404, "principal_unknown");
        let reply = world.with(&root, Method::DELETE, &path, ("if-match", "*"), Value::Null).await;
        reply.refused(404, "principal_unknown");
    }
}

/// What a person is called is no part of any other URL.
#[tokio::test]
async fn a_name_is_no_verb() {
    let world = World::new().await;
    let root = world.root.clone();
    for name in ["import", "password", "verify"] {
        user(&world, name, &[]).await;
        let path = format!("{PRINCIPALS}/{name}");
        world.get(&root, &path).await.expect(200);
        world.patch(&root, &path, json!({"scopes": ["orders:read"]})).await.expect(200);
        set(&world, &root, &format!("{path}/password"), FIRST).await.expect(200);
    }
}

#[tokio::test]
async fn people_come_all_or_none_and_every_bad_one_is_named() {
    let world = World::new().await;
    let root = world.root.clone();
    world.service("demo", "").await;
    let good = "{SHA}RyUG2kxQ+W10WaeHoqQHNXe7o9A=";
    let mut rows = people();
    // one after the other: its member, and a piece of what is said of it
    let bad = [
        ("eve", good, "", "`people[4]`"),
        ("EVE", good, "", "`people[4]`"),
        ("demo", good, "", "a service's"),
        ("na me", good, ".name", ""),
        ("jürgen", good, ".name", "`a-z 0-9 . _ - @`"),
        ("", good, ".name", ""),
        ("fay", "", ".hash", "no password hash"),
        ("gus", "UcMEyDxWiv0gQ", ".hash", "DES crypt"),
        ("hal", "$1$Kg8ilPJ1$OLUjl7QJTnVfJ98R71bua.", ".hash", "md5crypt"),
        ("ida", "correct horse ida battery", ".hash", "plain text"),
        ("jon", "$apr1$short", ".hash", "apr1 hash is cut short"),
        ("kim", "{SSHA}abcdefgh", ".hash", "not known"),
    ];
    rows.extend(bad.iter().map(|(name, hash, ..)| json!({"name": name, "hash": hash})));
    for dry_run in [true, false] {
        let reply = world.post(&root, IMPORT, json!({"people": rows, "dry_run": dry_run})).await;
        let refused = reply.refused(422, "import_refused");
        let errors = refused["errors"].as_array().unwrap();
        assert_eq!(errors.len(), bad.len(), "{refused}");
        for (n, (error, (_, hash, member, why))) in errors.iter().zip(&bad).enumerate() {
            assert_eq!(error["member"], format!("people[{}]{member}", n + LINES.len()), "{error}");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains(why) && !detail.is_empty(), "{error}");
            assert!(hash.len() < 14 || !detail.contains(hash), "{error}");
        }
    }
    // what breaks the shape of a row
    for (row, member) in [
        (json!("eve"), "people[0]"),
        (json!({"name": "eve"}), "people[0].hash"),
        (json!({"name": 7, "hash": good}), "people[0].name"),
        (json!({"name": "eve", "hash": good, "scopes": []}), "people[0].scopes"),
    ] {
        let reply = world.post(&root, IMPORT, json!({"people": [row]})).await;
        let refused = reply.refused(400, "request_malformed");
        assert_eq!(refused["errors"][0]["member"], member, "{refused}");
    }
    let actions = world.store.actions();
    assert!(!actions.iter().any(|a| a == "password.import"), "{actions:?}");
    world.get(&root, &format!("{PRINCIPALS}/ann")).await.refused(404, "principal_unknown");

    // as many as it takes, and one more
    let many = |n: usize| -> Vec<Value> {
        (0..n).map(|n| json!({"name": format!("p{n}"), "hash": LINES[0].1})).collect()
    };
    let reply = world.post(&root, IMPORT, json!({"people": many(251)})).await;
    assert!(reply.refused(400, "request_malformed").to_string().contains("at most 250"));
    let dry = world.post(&root, IMPORT, json!({"people": many(250), "dry_run": true})).await.expect(200);
    assert_eq!((&dry["imported"], &dry["dry_run"]), (&json!(250), &json!(true)));
    assert_eq!(dry["people"][7], json!({"row": 7, "outcome": "made", "id": null, "scheme": "bcrypt"}));
    world.get(&root, &format!("{PRINCIPALS}/p7")).await.refused(404, "principal_unknown");
}

#[tokio::test]
async fn people_from_elsewhere_sign_in_with_what_they_know() {
    let world = World::new().await;
    let root = world.root.clone();
    // somebody is here already, without a password: with scopes of their own, which stay
    let bob = user(&world, "bob", &["orders:write"]).await;
    let import = json!({"people": people(), "scopes": ["orders:read"], "groups": ["staff"]});
    let report = world.post(&root, IMPORT, import.clone()).await.expect(200);
    assert_eq!((&report["imported"], &report["existed"]), (&json!(5), &json!(0)));
    let outcomes: Vec<(&str, &str)> = report["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["outcome"].as_str().unwrap(), row["scheme"].as_str().unwrap()))
        .collect();
    // RULES 5.2: what is guessed in an afternoon is hashed once more at once
    assert_eq!(
        outcomes,
        [
            ("made", "bcrypt"),
            ("given", "argon2id(apr1)"),
            ("made", "argon2id(sha1)"),
            ("made", "sha256-crypt"),
            ("made", "sha512-crypt")
        ]
    );
    assert_eq!(report["people"][1]["id"], bob.as_str());
    let ann = world.get(&root, &format!("{PRINCIPALS}/ann")).await.expect(200);
    assert_eq!(
        (&ann["kind"], &ann["scopes"], &ann["groups"]),
        (&json!("user"), &json!(["orders:read"]), &json!(["staff"]))
    );
    assert_eq!(
        world.get(&root, &format!("{PRINCIPALS}/bob")).await.expect(200)["scopes"],
        json!(["orders:write"])
    );

    let again = world.post(&root, IMPORT, import.clone()).await.refused(422, "import_refused");
    assert_eq!(again["errors"].as_array().unwrap().len(), 5);
    assert!(again["errors"][0]["detail"].as_str().unwrap().contains("`skip_existing`"), "{again}");
    let mut skipping = import;
    skipping["skip_existing"] = json!(true);
    skipping["people"].as_array_mut().unwrap().push(json!({"name": "new", "hash": LINES[0].1}));
    let again = world.post(&root, IMPORT, skipping).await.expect(200);
    assert_eq!((&again["imported"], &again["existed"]), (&json!(1), &json!(5)));
    assert_eq!(again["people"][1], json!({"row": 1, "outcome": "existed", "id": bob}));

    for (name, _) in LINES {
        let path = format!("{PRINCIPALS}/{name}/password");
        let before = world.get(&root, &path).await.expect(200)["scheme"].clone();
        assert_ne!(before, "argon2id");
        // known to be right, and the new one is weak: nothing changes but how it is kept
        let reply = change_of(&world, name, &right(name), "short").await;
        reply.refused(422, "password_weak");
        assert_eq!(world.get(&root, &path).await.expect(200)["scheme"], "argon2id", "{name} was {before}");
        assert_eq!(change_of(&world, name, &right(name), SECOND).await.status, 204, "{name}");
    }
    assert_eq!(world.store.actions().iter().filter(|a| *a == "password.rehash").count(), 5);
}

async fn app(world: &World, body: Value) -> (Value, String) {
    let reply = world.post(&world.root, APPS, body).await;
    let document = reply.expect(201);
    let record = document["app_password"].clone();
    assert_eq!(reply.headers["location"], format!("{APPS}/{}", record["id"].as_str().unwrap()));
    assert_eq!(tag(&reply), "\"1\"");
    (record, document["secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_app_password_lives_from_create_to_revoke() {
    let world = World::new().await;
    let root = world.root.clone();
    let ada = user(&world, "ada", &["orders:read", "orders:write"]).await;
    let body =
        json!({"owner": "ada", "service": " calendar ", "scopes": ["orders:read"], "expires_in": "30d"});
    let (record, secret) = app(&world, body).await;
    let id = record["id"].as_str().unwrap();
    assert!(secret.starts_with(&format!("cs_app_{id}")), "{secret}");
    assert_eq!(
        record,
        json!({
            "id": id, "owner": {"id": ada, "name": "ada", "enabled": true}, "service": "calendar", "scopes": ["orders:read"], "created_at": "2027-01-15T08:00:00Z",
            "expires_at": "2027-02-14T08:00:00Z", "last_used_at": null, "state": "active", "version": 1
        })
    );
    let path = format!("{APPS}/{id}");
    assert_eq!(world.get(&root, &path).await.expect(200), record);

    let revoke = format!("{path}/revoke");
    let stale = world.with(&root, Method::POST, &revoke, ("if-match", "\"7\""), json!({})).await;
    stale.refused(412, "precondition_failed");
    // no body at all is an empty one
    let bare = request(Method::POST, &revoke, Some(&root)).body(Body::empty()).unwrap();
    let first = world.send(bare).await;
    let ended = first.expect(200);
    assert_eq!((&ended["state"], &ended["revoked_at"]), (&json!("revoked"), &json!("2027-01-15T08:00:00Z")));
    world.advance(Duration::from_secs(1));
    let second = world.post(&root, &revoke, json!({})).await;
    assert_eq!((second.expect(200), tag(&second)), (ended, tag(&first)));
    assert_eq!(world.store.actions().iter().filter(|a| *a == "app_password.revoke").count(), 1);
    for id in ["000000000000", "short", "%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4"] {
        world.get(&root, &format!("{APPS}/{id}")).await.refused(404, "app_password_unknown");
        let reply = world.post(&root, &format!("{APPS}/{id}/revoke"), json!({})).await;
        reply.refused(404, "app_password_unknown");
    }
}

#[tokio::test]
async fn an_app_password_has_its_bounds() {
    let world = World::new().await;
    let root = world.root.clone();
    user(&world, "ada", &["orders:read", "orders:write"]).await;
    let ask = |scopes: Value, ends: &str| json!({"owner": "ada", "service": "mail", "scopes": scopes, "expires_in": ends});
    // RULES 2.6
    let narrow = world.key("narrow", "countersign:keys countersign:read orders:read").await;
    let reply = world.post(&narrow, APPS, ask(json!(["orders:write"]), "1d")).await;
    reply.refused(403, "scopes_beyond_caller");
    world.post(&narrow, APPS, ask(json!(["orders:read"]), "91d")).await.refused(403, "outlives_caller");
    world.post(&narrow, APPS, ask(json!(["orders:read"]), "90d")).await.expect(201);
    // unsaid, it is cut to the end of the key that asks
    let unsaid = json!({"owner": "ada", "service": "mail", "scopes": ["orders:read"]});
    let cut = world.post(&narrow, APPS, unsaid.clone()).await.expect(201);
    assert_eq!(cut["app_password"]["expires_at"], "2027-04-15T08:00:00Z");
    let (usual, _) = app(&world, unsaid).await;
    assert_eq!(usual["expires_at"], "2028-01-15T08:00:00Z");

    world.post(&root, APPS, ask(json!(["x"]), "1d")).await.refused(422, "scopes_beyond_owner");
    world.post(&root, APPS, ask(json!([]), "366d")).await.refused(422, "lifetime_too_long");
    for body in [
        ask(json!([]), "never"),
        ask(json!("orders:read"), "1d"),
        json!({"owner": "ada", "service": "", "scopes": []}),
        json!({"owner": "ada", "service": "a\u{7}", "scopes": []}),
        json!({"owner": "ada", "service": "x".repeat(201), "scopes": []}),
        json!({"owner": "ada", "scopes": []}),
    ] {
        world.post(&root, APPS, body).await.refused(400, "request_malformed");
    }
    let nobody = json!({"owner": "nobody", "service": "mail", "scopes": []});
    world.post(&root, APPS, nobody).await.refused(404, "principal_unknown");
    world.patch(&root, &format!("{PRINCIPALS}/ada"), json!({"enabled": false})).await.expect(200);
    world.post(&root, APPS, ask(json!([]), "1d")).await.refused(409, "principal_disabled");
    let reader = world.key("reader", "countersign:read").await;
    world.post(&reader, APPS, ask(json!([]), "1d")).await.refused(403, "scope_missing");
    let id = usual["id"].as_str().unwrap();
    world.post(&reader, &format!("{APPS}/{id}/revoke"), json!({})).await.refused(403, "scope_missing");
}

/// RULES 4.2: a repeat gets the record, never the secret.
#[tokio::test]
async fn an_app_password_that_is_asked_for_twice_is_made_once_and_shown_once() {
    let world = World::new().await;
    let root = world.root.clone();
    user(&world, "ada", &["orders:read"]).await;
    let body = json!({"owner": "ada", "service": "mail", "scopes": ["orders:read"]});
    let ask = async |body: &Value| {
        world.with(&root, Method::POST, APPS, ("idempotency-key", "k1"), body.clone()).await
    };
    let first = ask(&body).await.expect(201);
    assert!(first["secret"].is_string());
    let again = ask(&body).await;
    let document = again.expect(200);
    assert_eq!((&document["secret"], &document["app_password"]), (&Value::Null, &first["app_password"]));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = json!({"owner": "ada", "service": "calendar", "scopes": ["orders:read"]});
    ask(&other).await.refused(422, "idempotency_key_reused");
    let listed = world.get(&root, APPS).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn app_passwords_are_listed_by_owner_and_use_page_by_page() {
    let world = World::new().await;
    let root = world.root.clone();
    for name in ["ada", "bob"] {
        user(&world, name, &[]).await;
    }
    let mut ids = Vec::new();
    for (owner, service, ends) in [
        ("ada", "s0", "1d"),
        ("bob", "s1", "30d"),
        ("ada", "s2", "30d"),
        ("ada", "s3", "30d"),
        ("ada", "s4", "30d"),
    ] {
        world.advance(Duration::from_secs(1));
        let body = json!({"owner": owner, "service": service, "scopes": [], "expires_in": ends});
        ids.push(app(&world, body).await.0["id"].as_str().unwrap().to_owned());
    }
    world.post(&root, &format!("{APPS}/{}/revoke", ids[3]), json!({})).await.expect(200);
    let names = async |query: &str| {
        let page = world.get(&root, &format!("{APPS}?{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap().iter();
        let names = items.map(|i| i["service"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (names, page["next"].as_str().map(ToOwned::to_owned))
    };
    assert_eq!(names("").await, (["s0", "s1", "s2", "s3", "s4"].map(String::from).to_vec(), None));
    assert_eq!(names("owner=bob").await.0, ["s1"]);
    assert_eq!(names("owner=ada&usable=true").await.0, ["s0", "s2", "s4"]);
    world.advance(Duration::from_secs(86_400));
    assert_eq!(names("usable=true").await.0, ["s1", "s2", "s4"]);
    assert_eq!(world.get(&root, &format!("{APPS}/{}", ids[0])).await.expect(200)["state"], "expired");

    let mut query = "owner=ada&limit=1".to_owned();
    let mut seen = Vec::new();
    for _ in 0..10 {
        let (page, next) = names(&query).await;
        assert!(page.len() <= 1);
        seen.extend(page);
        let Some(next) = next else { break };
        query = format!("owner=ada&limit=1&cursor={next}");
    }
    assert_eq!(seen, ["s0", "s2", "s3", "s4"]);
    world.get(&root, &format!("{APPS}?owner=nobody")).await.refused(404, "principal_unknown");
    for query in ["usable=maybe", "state=active", "limit=0", "cursor=x"] {
        world.get(&root, &format!("{APPS}?{query}")).await.refused(400, "request_malformed");
    }
}

#[tokio::test]
async fn a_person_changes_the_password_that_they_know() {
    let world = World::new().await;
    let root = world.root.clone();
    let id = user(&world, "ada", &["orders:read"]).await;
    set(&world, &root, ADA, FIRST).await.expect(200);
    let before = tag(&world.get(&root, ADA).await);
    let changed = change(&world, FIRST, SECOND).await;
    assert_eq!((changed.status.as_u16(), changed.body.len()), (204, 0));
    assert_ne!(tag(&world.get(&root, ADA).await), before);
    change(&world, FIRST, SECOND).await.refused(403, "password_wrong");
    change(&world, SECOND, "short").await.refused(422, "password_weak");
    // as a form, and whatever case a name is typed in
    let form = "username=ADA&current_password=five+other+words+do+as+well&new_password=seven+unrelated+words+are+long%20enough";
    assert_eq!(world.send(asked("application/x-www-form-urlencoded", form)).await.status, 204);
    assert_eq!(change(&world, FIRST, SECOND).await.status, 204);

    let trail =
        world.get(&root, &format!("/admin/v1/audit?action=password.change&subject={id}")).await.expect(200);
    let records = trail["items"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!((&records[0]["actor"], &records[0]["source"]), (&json!(id), &json!("192.0.2.7")));

    let body = json!({"username": "ada", "current_password": SECOND, "new_password": FIRST});
    for (media, body, status, code) in [
        ("application/json", "{".to_owned(), 400, "request_malformed"),
        (
            "application/json",
            json!({"username": "ada", "new_password": FIRST}).to_string(),
            400,
            "request_malformed",
        ),
        ("text/plain", body.to_string(), 415, "content_type_unsupported"),
    ] {
        world.send(asked(media, body)).await.refused(status, code);
    }
    // RULES 1.7
    let plain = Peer { address: "192.0.2.7".parse().unwrap(), transport: Transport::Plain };
    let reply = world.send_from(asked("application/json", body.to_string()), plain).await;
    reply.refused(403, "tls_required");
    assert_eq!(change(&world, SECOND, FIRST).await.status, 204, "nothing was changed by it");
}

/// RULES 5.1: whoever asks learns neither who is here nor whether the password was looked at.
#[tokio::test]
async fn nobodys_name_a_wrong_password_and_too_many_are_told_alike() {
    let world = World::new().await;
    let root = world.root.clone();
    for name in ["ada", "bare", "gone"] {
        user(&world, name, &[]).await;
    }
    set(&world, &root, ADA, FIRST).await.expect(200);
    set(&world, &root, &format!("{PRINCIPALS}/gone/password"), FIRST).await.expect(200);
    world.patch(&root, &format!("{PRINCIPALS}/gone"), json!({"enabled": false})).await.expect(200);
    let wrong = told(&change(&world, SECOND, FIRST).await);
    assert_eq!((wrong.0, &wrong.1["code"]), (403, &json!("password_wrong")));
    for (name, password) in [
        ("nobody", FIRST),
        ("bare", FIRST),
        ("gone", FIRST),
        ("demo", FIRST),
        ("not a name\u{7}", FIRST),
        ("ada", ""),
        ("ada", "\u{7}"),
    ] {
        assert_eq!(told(&change_of(&world, name, password, SECOND).await), wrong, "{name:?} {password:?}");
    }
    // also before the new one was judged
    assert_eq!(told(&change(&world, SECOND, "short").await), wrong);
    for _ in 0..4 {
        assert_eq!(told(&change(&world, SECOND, FIRST).await), wrong);
    }
    // the right one is not looked at any more, and later it is
    assert_eq!(told(&change(&world, FIRST, SECOND).await), wrong);
    world.advance(Duration::from_secs(3600));
    assert_eq!(change(&world, FIRST, SECOND).await.status, 204);
}

#[tokio::test]
async fn changes_are_limited_by_network() {
    let world = World::new().await;
    for _ in 0..world.services.limits.revoke.quota {
        change_of(&world, "nobody", FIRST, SECOND).await.refused(403, "password_wrong");
    }
    let over = change_of(&world, "nobody", FIRST, SECOND).await;
    over.refused(429, "limit_exceeded");
    assert!(over.headers.contains_key("retry-after"));
    let body = json!({"username": "nobody", "current_password": FIRST, "new_password": SECOND}).to_string();
    let elsewhere = Peer { address: "198.51.100.7".parse().unwrap(), transport: Transport::Tls };
    world.send_from(asked("application/json", body), elsewhere).await.refused(403, "password_wrong");
}

#[tokio::test]
async fn neither_passwords_nor_hashes_stand_in_any_later_answer() {
    let world = World::new().await;
    let root = world.root.clone();
    user(&world, "ada", &["orders:read"]).await;
    set(&world, &root, ADA, FIRST).await.expect(200);
    assert_eq!(change(&world, FIRST, SECOND).await.status, 204);
    let import = world.post(&root, IMPORT, json!({"people": people()})).await;
    import.expect(200);
    let (record, secret) =
        app(&world, json!({"owner": "ada", "service": "mail", "scopes": ["orders:read"]})).await;
    let id = record["id"].as_str().unwrap();
    let mut answers = vec![import];
    for path in [
        ADA.to_owned(),
        PRINCIPALS.into(),
        format!("{PRINCIPALS}/ann/password"),
        APPS.into(),
        format!("{APPS}/{id}"),
        "/admin/v1/audit?limit=500".into(),
        "/admin/v1/revocations".into(),
    ] {
        let reply = world.get(&root, &path).await;
        reply.expect(200);
        answers.push(reply);
    }
    // also where it is refused
    for body in [json!({"password": FIRST, "extra": 1}), json!({"password": [FIRST]})] {
        answers.push(world.raw(&root, Method::PUT, ADA, "application/json", body.to_string()).await);
    }
    let mut rows = people();
    rows.push(json!({"name": "ann", "hash": FIRST}));
    answers.push(world.post(&root, IMPORT, json!({"people": rows})).await);
    answers.push(change(&world, FIRST, SECOND).await);
    let (_, hidden) = secret.split_at("cs_app_".len() + 12);
    let mut secrets = vec![FIRST, SECOND, hidden, "$argon2", "m=8192"];
    secrets.extend(LINES.iter().map(|(_, hash)| *hash));
    for reply in &answers {
        let text = String::from_utf8_lossy(&reply.body);
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
