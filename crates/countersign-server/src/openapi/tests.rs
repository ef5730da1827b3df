//! The document holds what the API does: its table, what each operation takes, and what it really answers.

use crate::{
    router,
    session::tests::{person, sign_in},
    test_world::{Reply, World, request},
};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Why `value` is not what `schema` says; of JSON Schema what our documents use, and nothing unknown passes in silence.
fn fault(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let members = schema.as_object()?;
    for (word, says) in members {
        let wrong = match word.as_str() {
            "$ref" => {
                let named = document.pointer(says.as_str().unwrap().trim_start_matches('#')).unwrap();
                fault(document, named, value)
            }
            "type" => {
                let allowed = says.as_array().cloned().unwrap_or_else(|| vec![says.clone()]);
                let is = |kind: &Value| match kind.as_str().unwrap() {
                    "string" => value.is_string(),
                    "integer" => value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    "null" => value.is_null(),
                    other => panic!("an unknown type {other}"),
                };
                (!allowed.iter().any(is)).then(|| format!("{value} is not {says}"))
            }
            "enum" => {
                (!says.as_array().unwrap().contains(value)).then(|| format!("{value} is none of {says}"))
            }
            "const" => (says != value).then(|| format!("{value} is not {says}")),
            "minimum" => {
                value.as_i64().filter(|n| *n < says.as_i64().unwrap()).map(|n| format!("{n} < {says}"))
            }
            "maximum" => {
                value.as_i64().filter(|n| *n > says.as_i64().unwrap()).map(|n| format!("{n} > {says}"))
            }
            "anyOf" => {
                let all: Vec<String> =
                    says.as_array().unwrap().iter().map_while(|one| fault(document, one, value)).collect();
                (all.len() == says.as_array().unwrap().len()).then(|| all.join(" and "))
            }
            "allOf" => says.as_array().unwrap().iter().find_map(|one| fault(document, one, value)),
            "items" => value.as_array().into_iter().flatten().find_map(|item| fault(document, says, item)),
            "required" => says
                .as_array()
                .unwrap()
                .iter()
                .find(|name| value.is_object() && value.get(name.as_str().unwrap()).is_none())
                .map(|name| format!("{name} is missing in {value}")),
            "properties" => says
                .as_object()
                .unwrap()
                .iter()
                .find_map(|(name, schema)| fault(document, schema, value.get(name)?)),
            "additionalProperties" => {
                let known = members.get("properties").and_then(Value::as_object);
                value.as_object().into_iter().flatten().find_map(|(name, inner)| {
                    match known.is_some_and(|k| k.contains_key(name)) {
                        true => None,
                        false if says == &json!(false) => Some(format!("`{name}` is not described")),
                        false => fault(document, says, inner),
                    }
                })
            }
            // for readers and generators; what they bound is tested where it is read
            "description" | "examples" | "default" | "pattern" | "format" | "minLength" | "maxLength"
            | "maxItems" | "maxProperties" => None,
            other => panic!("`{other}` is not known to this test"),
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

/// Status, media type, fields and body of an answer are among those that the operation names.
fn check(document: &Value, method: &Method, path: &str, reply: &Reply) {
    let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
    let status = reply.status.as_str();
    let described = &operation["responses"][status];
    assert!(described.is_object(), "{method} {path} does not say that it answers {status}: {reply:?}");
    for (name, field) in described["headers"].as_object().into_iter().flatten() {
        let there = reply.headers.contains_key(name.as_str());
        assert!(there || field["required"] == false, "{method} {path} {status} lacks {name}");
    }
    let Some(content) = described["content"].as_object() else {
        return assert!(reply.body.is_empty(), "{method} {path} {status}");
    };
    let media = reply.headers["content-type"].to_str().unwrap();
    let Some(content) = content.get(media) else { panic!("{method} {path} {status} is {media}") };
    if media.contains("json") {
        assert_eq!(fault(document, &content["schema"], &reply.json()), None, "{method} {path} {status}");
    }
}

/// Asks, and holds the answer against the document.
struct Asked<'w> {
    world: &'w World,
    document: Value,
    seen: BTreeSet<String>,
}

impl Asked<'_> {
    async fn ask(
        &mut self,
        key: &str,
        (method, path): (Method, &str),
        id: &str,
        fields: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let url = format!("{}?{query}", plain.replace("{id}", id));
        let mut asked = request(method.clone(), url.trim_end_matches('?'), Some(key));
        for (name, value) in fields {
            asked = asked.header(*name, *value);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => {
                asked = asked.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        let reply = self.world.send(asked.body(body).unwrap()).await;
        check(&self.document, &method, plain, &reply);
        if reply.status.is_success() {
            self.seen.insert(format!("{method} {plain}"));
        }
        reply
    }
}

/// Keys, sessions and tokens.
async fn signed(asked: &mut Asked<'_>, root: &str) {
    let (get, post) = (Method::GET, Method::POST);
    person(asked.world, "eva").await;
    let tokens = sign_in(asked.world, "eva").await;
    let other = sign_in(asked.world, "eva").await;
    let (inspect, revoke) = ("/admin/v1/tokens/inspect", "/admin/v1/tokens/revoke");
    for token in [&tokens["access_token"], &tokens["refresh_token"], &json!("a.b.c"), &json!(root), &json!(1)]
    {
        asked.ask(root, (post.clone(), inspect), "", &[], json!({"token": token})).await;
    }
    let (sessions, session) = ("/admin/v1/sessions", "/admin/v1/sessions/{id}");
    for query in ["?limit=1&open=true", "?principal=eva", "?principal=nobody"] {
        asked.ask(root, (get.clone(), &format!("{sessions}{query}")), "", &[], Value::Null).await;
    }
    let id = tokens["session"].as_str().unwrap();
    for id in [id, "none"] {
        asked.ask(root, (post.clone(), "/admin/v1/sessions/{id}/end"), id, &[], Value::Null).await;
        asked.ask(root, (get.clone(), session), id, &[], Value::Null).await;
    }
    let keys = asked.ask(root, (get.clone(), "/admin/v1/signing-keys"), "", &[], Value::Null).await.json();
    let kid = keys["items"].as_array().unwrap().iter().find(|key| key["purpose"] == "session").unwrap();
    let kid = kid["kid"].as_str().unwrap().to_owned();
    for body in [
        json!({"token": other["access_token"]}),
        json!({"token": other["refresh_token"]}),
        json!({"jti": "a", "expires_at": "2027-01-15T08:05:00Z"}),
        json!({"session": other["session"]}),
        json!({"session": "none"}),
        json!({"principal": "eva"}),
        json!({"principal": "nobody"}),
        json!({"principal": "ext_00000000000000000000"}),
        json!({"signing_key": "none"}),
        json!({}),
    ] {
        asked.ask(root, (post.clone(), revoke), "", &[], body).await;
    }
    for body in [json!({"purpose": "identity"}), json!({"purpose": "session", "at_once": true}), json!({})] {
        asked.ask(root, (post.clone(), "/admin/v1/signing-keys/rotate"), "", &[], body).await;
    }
    let end = "/admin/v1/signing-keys/{id}/revoke";
    for (id, tag) in [(kid.as_str(), "\"9\""), (&kid, "*"), (&kid, "*"), ("none", "*")] {
        asked.ask(root, (post.clone(), end), id, &[("if-match", tag)], Value::Null).await;
    }
}

#[tokio::test]
async fn real_answers_of_every_operation_are_as_described() {
    let world = World::new().await;
    let root = world.root.clone();
    let mut asked = Asked { world: &world, document: router::description(), seen: BTreeSet::new() };
    let (get, post, patch) = (Method::GET, Method::POST, Method::PATCH);
    let (principals, principal) = ("/admin/v1/principals", "/admin/v1/principals/{id}");
    let (keys, key) = ("/admin/v1/api-keys", "/admin/v1/api-keys/{id}");

    let demo = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"], "groups": ["staff"]});
    for _ in 0..2 {
        let once = [("idempotency-key", "k1")];
        asked.ask(&root, (post.clone(), principals), "", &once, demo.clone()).await;
    }
    asked
        .ask(
            &root,
            (post.clone(), principals),
            "",
            &[("idempotency-key", "k1")],
            json!({"kind": "user", "name": "x"}),
        )
        .await;
    asked.ask(&root, (post.clone(), principals), "", &[], demo).await;
    asked.ask(&root, (get.clone(), "/admin/v1/principals?limit=1"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), principal), "demo", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), principal), "nobody", &[], Value::Null).await;
    for tag in ["*", "\"9\"", "9"] {
        asked
            .ask(&root, (patch.clone(), principal), "demo", &[("if-match", tag)], json!({"groups": []}))
            .await;
    }
    asked.ask(&root, (patch.clone(), principal), "demo", &[], json!({"groups": []})).await;
    asked
        .ask(&root, (patch.clone(), principal), "root", &[("if-match", "*")], json!({"enabled": false}))
        .await;

    let full = json!({"owner": "demo", "scopes": ["orders:read"], "label": "l", "expires_in": "1d", "networks": ["10.0.0.0/8"],
        "limit": {"requests": 5, "per": "1m"}});
    let made = asked.ask(&root, (post.clone(), keys), "", &[], full).await.json();
    let (id, secret) = (made["key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    for body in [
        json!({"owner": "demo", "scopes": ["other"]}),
        json!({"owner": "nobody", "scopes": []}),
        json!({"x": 1}),
    ] {
        asked.ask(&root, (post.clone(), keys), "", &[], body).await;
    }
    asked.ask(&root, (get.clone(), "/admin/v1/api-keys?usable=true"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), key), id, &[], Value::Null).await;
    asked.ask(&root, (get.clone(), key), "none", &[], Value::Null).await;
    let verify = "/admin/v1/api-keys/verify";
    for shown in [secret, "cs_live_x", "", &crate::test_world::forged(secret)] {
        asked.ask(&root, (post.clone(), verify), "", &[], json!({"key": shown})).await;
    }
    let (rotate, revoke) = ("/admin/v1/api-keys/{id}/rotate", "/admin/v1/api-keys/{id}/revoke");
    for _ in 0..2 {
        asked.ask(&root, (post.clone(), rotate), id, &[("idempotency-key", "k2")], Value::Null).await;
    }
    asked.ask(&root, (post.clone(), rotate), id, &[], Value::Null).await;
    asked.ask(&root, (post.clone(), revoke), id, &[("if-match", "\"1\"")], Value::Null).await;
    asked.ask(&root, (post.clone(), revoke), id, &[], json!({"reason": "leaked"})).await;
    asked.ask(&root, (post.clone(), verify), "", &[], json!({"key": secret})).await;

    let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"]});
    asked.ask(&root, (post.clone(), principals), "", &[], ada).await;
    let password = "/admin/v1/principals/{id}/password";
    let long = "seven unrelated words are long enough";
    let (put, delete) = (Method::PUT, Method::DELETE);
    for (name, text) in [("ada", long), ("ada", "short"), ("demo", long), ("nobody", long)] {
        asked.ask(&root, (put.clone(), password), name, &[], json!({"password": text})).await;
    }
    let change = |current: &str| json!({"username": "ada", "current_password": current, "new_password": "five other words will do"});
    for body in [change("wrong and long enough"), change(long), json!({"username": "ada"})] {
        asked.ask(&root, (post.clone(), "/password"), "", &[], body).await;
    }
    asked.ask(&root, (get.clone(), password), "ada", &[], Value::Null).await;
    asked.ask(&root, (delete.clone(), password), "ada", &[], Value::Null).await;
    for tag in ["\"7\"", "*"] {
        asked.ask(&root, (delete.clone(), password), "ada", &[("if-match", tag)], Value::Null).await;
    }
    let people =
        json!([{"name": "bob", "hash": "$2y$05$pIbZD4x9dUVzkC8D9Lc6sOmgG/CYb1s0WjvkbWeRiR4C1hYAqyUv2"}]);
    for body in [
        json!({"people": people, "dry_run": true}),
        json!({"people": people}),
        json!({"people": people}),
        json!({"people": people, "skip_existing": true}),
        json!({"people": [{"name": "eve", "hash": "plain"}]}),
    ] {
        asked.ask(&root, (post.clone(), "/admin/v1/passwords/import"), "", &[], body).await;
    }
    for query in ["?route=a&since=1d", "?principal=nobody", "?since=x"] {
        let path = format!("/admin/v1/basic-uses{query}");
        asked.ask(&root, (get.clone(), &path), "", &[], Value::Null).await;
    }
    let (apps, app) = ("/admin/v1/app-passwords", "/admin/v1/app-passwords/{id}");
    let calendar =
        json!({"owner": "ada", "service": "calendar", "scopes": ["orders:read"], "expires_in": "30d"});
    let made = asked
        .ask(&root, (post.clone(), apps), "", &[("idempotency-key", "a1")], calendar.clone())
        .await
        .json();
    asked.ask(&root, (post.clone(), apps), "", &[("idempotency-key", "a1")], calendar).await;
    let app_id = made["app_password"]["id"].as_str().unwrap();
    for (owner, scope, ends) in
        [("demo", "orders:read", "1d"), ("ada", "x", "1d"), ("ada", "orders:read", "9y")]
    {
        let body = json!({"owner": owner, "service": "s", "scopes": [scope], "expires_in": ends});
        asked.ask(&root, (post.clone(), apps), "", &[], body).await;
    }
    asked
        .ask(&root, (get.clone(), "/admin/v1/app-passwords?owner=ada&usable=true"), "", &[], Value::Null)
        .await;
    for id in [app_id, "none"] {
        asked.ask(&root, (get.clone(), app), id, &[], Value::Null).await;
        asked.ask(&root, (post.clone(), "/admin/v1/app-passwords/{id}/revoke"), id, &[], Value::Null).await;
    }

    signed(&mut asked, &root).await;

    let import = "/admin/v1/api-keys/import";
    let foreign = json!({"owner": "demo", "scopes": ["orders:read"], "key": "acme_0123456789abcdef"});
    for body in [
        json!({"keys": [foreign], "dry_run": true}),
        json!({"keys": [foreign]}),
        json!({"keys": [foreign]}),
        json!({"keys": [foreign], "skip_existing": true}),
        json!({"keys": [{"key": 1}]}),
    ] {
        asked.ask(&root, (post.clone(), import), "", &[], body).await;
    }

    asked.ask(&root, (get.clone(), "/admin/v1/routes"), "", &[], Value::Null).await;
    let check = "/admin/v1/routes/check";
    for body in [
        json!({"method": "GET", "url": "/orders/1"}),
        json!({"method": "GET", "url": "/orders/1", "key": root}),
        json!({"method": "GET", "url": "/public"}),
        json!({"method": "GET"}),
    ] {
        asked.ask(&root, (post.clone(), check), "", &[], body).await;
    }
    asked.ask(&root, (get.clone(), "/admin/v1/audit?limit=1"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/admin/v1/audit?order=desc"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/admin/v1/audit/head"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/admin/v1/audit/verify"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/admin/v1/revocations"), "", &[], Value::Null).await;
    let revocations = "/admin/v1/revocations";
    for node in [
        format!("api_key:{id}"),
        "principal:svc_00000000000000000000".into(),
        "principal:ext_00000000000000000000".into(),
        "x".into(),
    ] {
        asked.ask(&root, (post.clone(), revocations), "", &[], json!({"node": node})).await;
    }
    asked.ask(&root, (post.clone(), "/admin/v1/probes"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/admin/v1/openapi.json"), "", &[], Value::Null).await;
    asked.ask(&root, (get.clone(), "/metrics"), "", &[], Value::Null).await;
    asked.ask(&root, (post.clone(), "/revoke"), "", &[], json!({"token": "x"})).await;

    // whoever is refused at the door, or finds the store silent, is told so as described
    let table = router::table();
    let poor = world.key("poor", "orders:read").await;
    for (method, path, _) in &table {
        for key in [secret, poor.as_str(), "nonsense"] {
            asked.ask(key, (method.clone(), path), "000000000000", &[], json!({"token": "x"})).await;
        }
    }
    world.store.set_down(true);
    for (method, path, scope) in &table {
        if scope.is_some() {
            asked.ask(&root, (method.clone(), path), "000000000000", &[("if-match", "*")], json!({})).await;
        }
    }
    let all: BTreeSet<String> = table.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(asked.seen, all, "each operation was seen to succeed");
}

#[test]
fn the_document_has_the_operations_of_the_table_and_their_scopes() {
    let document = router::description();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scopes: BTreeSet<&str> = operation["security"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one.as_object().unwrap().values())
                .flat_map(|scopes| scopes.as_array().unwrap())
                .map(|scope| scope.as_str().unwrap())
                .collect();
            let scopes: Vec<&str> = scopes.into_iter().collect();
            described.insert((method.to_uppercase(), path.clone(), scopes.join(" ")));
        }
    }
    let table = router::table().into_iter();
    let table = table.map(|(method, path, scope)| {
        (method.to_string(), path.to_owned(), scope.unwrap_or_default().to_owned())
    });
    assert_eq!(described, table.collect());
}

/// Every `$ref` leads somewhere, every name in the path is a parameter, and examples are what their schemas say.
#[test]
fn the_document_holds_together() {
    fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        if let Some(to) = value.get("$ref").and_then(Value::as_str) {
            found.insert(to);
        }
        let inner = value.as_object().into_iter().flat_map(|o| o.values());
        inner.chain(value.as_array().into_iter().flatten()).for_each(|v| references(v, found));
    }
    let document = router::description();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let named: Vec<String> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    let used: BTreeSet<&str> = named.iter().map(String::as_str).collect();
    assert_eq!(found, used, "what is named is there, and what is there is named");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
            let content = &operation["requestBody"]["content"]["application/json"];
            if content.is_object() {
                assert_eq!(
                    fault(&document, &content["schema"], &content["example"]),
                    None,
                    "{method} {path}"
                );
            }
        }
    }
}

/// What an operation says that it takes is what it takes: an unknown name is answered with the known ones.
#[tokio::test]
async fn members_and_parameters_are_those_that_are_read() {
    const STRANGE: &str = "an_unlikely_name_of_a_member";
    let world = World::new().await;
    let document = router::description();
    for (method, path, scope) in router::table() {
        let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let described: BTreeSet<String> = if body.is_object() {
            body["properties"].as_object().unwrap().keys().cloned().collect()
        } else {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|p| p["in"] == "query");
            query.map(|p| p["name"].as_str().unwrap().to_owned()).collect()
        };
        let mut url = path.replace("{id}", "000000000000");
        let sent = if body.is_object() { json!({STRANGE: 1}).to_string() } else { String::new() };
        if sent.is_empty() {
            url = format!("{url}?{STRANGE}=1");
        }
        let key = scope.map(|_| world.root.as_str());
        let asked = request(method.clone(), &url, key).header("if-match", "*");
        let asked = asked.header("content-type", "application/json").body(Body::from(sent)).unwrap();
        let refused = world.send(asked).await.refused(400, "request_malformed");
        let errors = refused["errors"].as_array().unwrap();
        let strange = errors.iter().find(|e| e["member"] == STRANGE).unwrap();
        let detail = strange["detail"].as_str().unwrap();
        let known: BTreeSet<String> = match detail.split_once("known are `") {
            Some((_, names)) => names.trim_end_matches('`').split("`, `").map(ToOwned::to_owned).collect(),
            None => BTreeSet::new(),
        };
        assert_eq!(described, known, "{method} {path}: {detail}");
    }
}
