//! Routes, audit, revocations.

use crate::{
    router::BUILT_IN,
    session::tests::person,
    test_world::{THEIRS, World},
};
use bytes::Bytes;
use countersign_core::check::request::{Peer, Transport};
use countersign_methods::jwt::foreign::identity::principal_id;
use http::Request;
use serde_json::{Value, json};
use std::{net::Ipv4Addr, time::Duration};

#[tokio::test]
async fn routes_are_listed_and_a_public_one_is_named_as_such() {
    let world = World::new().await;
    let listed = world.get(&world.root, "/admin/v1/routes").await.expect(200);
    let items = listed["items"].as_array().unwrap();
    // what is built in stands among them, public where it is
    let (ours, others): (Vec<&Value>, _) = items.iter().partition(|i| i["upstream"] == BUILT_IN);
    assert!(others.len() == 2 && ours.iter().any(|i| i["security"] == "public"), "{listed}");
    let of = |path: &str| items.iter().find(|i| i["path"] == path).unwrap();
    assert_eq!(of("/public")["security"], "public");
    assert_eq!(of("/orders/{id}")["security"], json!([[{"method": "api_key", "scopes": ["orders:read"]}]]));
    assert_eq!(of("/orders/{id}")["methods"], json!(["*"]));
    assert_eq!(of("/orders/{id}")["upstream"], "orders");
    let shown = json!({"jwt": {"header": null, "query": null, "cookies": true, "sign_in": true}});
    assert_eq!((&of("/orders/{id}")["presentation"], &of("/public")["presentation"]), (&shown, &json!({})));
}

#[tokio::test]
async fn a_described_request_gets_the_gateways_decision() {
    let world = World::new().await;
    let good = world.key("demo", "orders:read").await;
    let poor = world.key("poor", "").await;
    let check = async |body: Value| world.post(&world.root, "/admin/v1/routes/check", body).await.expect(200);

    let verdict = check(json!({"method": "GET", "url": "/orders/1", "key": good})).await;
    assert_eq!((&verdict["decision"], &verdict["status"]), (&json!("allow"), &json!(200)));
    assert_eq!(verdict["subject"]["name"], "demo");
    assert_eq!(verdict["scopes"], json!(["orders:read"]));
    assert_eq!(verdict["route"], "/orders/{id}");

    let denied = [
        (json!({"method": "GET", "url": "/orders/1"}), 401, "credential_missing"),
        (json!({"method": "GET", "url": "/orders/1", "key": poor}), 403, "scope_missing"),
        (json!({"method": "GET", "url": "https://localhost/nowhere"}), 404, "route_unknown"),
        (
            json!({"method": "GET", "url": "http://localhost/orders/1", "key": good, "source": "203.0.113.9"}),
            403,
            "tls_required",
        ),
        (
            json!({"method": "GET", "url": "/orders/1", "headers": {"Authorization": format!("Bearer {poor}")}}),
            403,
            "scope_missing",
        ),
    ];
    for (body, status, code) in denied {
        let verdict = check(body).await;
        assert_eq!((&verdict["decision"], &verdict["status"]), (&json!("deny"), &json!(status)), "{verdict}");
        assert_eq!(verdict["code"], code);
        assert!(verdict["reason"].is_string());
    }
    // loopback is not the wire (RULES 1.7)
    let plain = json!({"method": "GET", "url": "http://localhost/orders/1", "key": good, "source": "::1"});
    assert_eq!(check(plain).await["decision"], "allow");
}

#[tokio::test]
async fn a_request_that_cannot_be_described_is_refused() {
    let world = World::new().await;
    let bad = [
        json!({"method": "GET"}),
        json!({"method": "G ET", "url": "/"}),
        json!({"method": "GET", "url": "ftp://x/"}),
        json!({"method": "GET", "url": "orders"}),
        json!({"method": "GET", "url": "/a#b"}),
        json!({"method": "GET", "url": "/", "headers": {"a b": "c"}}),
        json!({"method": "GET", "url": "/", "headers": {"a": "b\r\nc: d"}}),
        json!({"method": "GET", "url": "/", "headers": ["a"]}),
        json!({"method": "GET", "url": "/", "key": "a\nb"}),
        json!({"method": "GET", "url": "/", "key": "a", "headers": {"authorization": "Bearer b"}}),
        json!({"method": "GET", "url": "/", "source": "localhost"}),
        json!({"method": "GET", "url": "/", "transport": "https"}),
    ];
    for body in bad {
        let shown = body.to_string();
        let reply = world.post(&world.root, "/admin/v1/routes/check", body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "request_malformed"), "{shown}");
    }
}

#[tokio::test]
async fn trying_credentials_is_limited_however_it_is_done() {
    let world = World::new().await;
    let body = |n: u32| json!({"method": "GET", "url": "/orders/1", "key": format!("cs_live_{n}")});
    for n in 0..world.services.limits.verify.quota {
        world.post(&world.root, "/admin/v1/routes/check", body(n)).await.expect(200);
    }
    world.post(&world.root, "/admin/v1/routes/check", body(0)).await.refused(429, "limit_exceeded");
    // the two ways share one budget
    let verify = json!({"key": "x"});
    world.post(&world.root, "/admin/v1/api-keys/verify", verify).await.refused(429, "limit_exceeded");
}

#[tokio::test]
async fn the_trail_is_listed_by_what_happened_and_to_whom() {
    let world = World::new().await;
    let root = world.root.clone();
    let id =
        world.post(&root, "/admin/v1/principals", json!({"kind": "user", "name": "ann"})).await.expect(201);
    let id = id["id"].as_str().unwrap();
    let all = world.get(&root, "/admin/v1/audit").await.expect(200);
    assert_eq!(all["items"][0]["actor"], "host");
    let of = world.get(&root, &format!("/admin/v1/audit?subject={id}&order=desc")).await.expect(200);
    let record = &of["items"][0];
    assert_eq!((&record["action"], &record["source"]), (&json!("principal.create"), &json!("192.0.2.7")));
    assert!(record["credential"].as_str().unwrap().starts_with("api_key:"));
    assert_eq!(record["detail"]["name"], "ann");
    assert_eq!(record["request"].as_str().unwrap().len(), 32);
    let page = world.get(&root, "/admin/v1/audit?limit=1").await.expect(200);
    let next = page["next"].as_i64().unwrap();
    let page = world.get(&root, &format!("/admin/v1/audit?limit=1&after={next}")).await.expect(200);
    assert_eq!(page["items"][0]["number"], next + 1);
    let chain = world.get(&root, "/admin/v1/audit/verify").await.expect(200);
    assert_eq!((&chain["whole"], chain["head"].as_str().unwrap().len()), (&json!(true), 64));
    let head = world.get(&root, "/admin/v1/audit/head").await.expect(200);
    assert_eq!((&head["hash"], &head["epoch"]), (&chain["head"], &json!(1)));
    assert_eq!((&head["signature"]["key"], head["keys"].as_array().unwrap().len()), (&json!(2), 2));
    // between two times: from the first record of one to before the first of the other
    let all = world.get(&root, "/admin/v1/audit?limit=500").await.expect(200);
    let numbers = |list: &serde_json::Value| -> Vec<i64> {
        list["items"].as_array().unwrap().iter().map(|record| record["number"].as_i64().unwrap()).collect()
    };
    let at = all["items"][0]["at"].as_str().unwrap();
    let since = world.get(&root, &format!("/admin/v1/audit?limit=500&since={at}")).await.expect(200);
    assert_eq!(numbers(&since), numbers(&all));
    let until = world.get(&root, &format!("/admin/v1/audit?until={at}")).await.expect(200);
    assert_eq!(numbers(&until), [0; 0]);
    let later = world.get(&root, "/admin/v1/audit?since=2999-01-01T00:00:00Z").await.expect(200);
    assert_eq!(numbers(&later), [0; 0]);
    // reading everything else does not show the trail
    let reader = world.key("reader", "countersign:read").await;
    world.get(&reader, "/admin/v1/audit").await.refused(403, "scope_missing");
    world.get(&reader, "/admin/v1/audit/head").await.refused(403, "scope_missing");
}

#[tokio::test]
async fn revoking_a_node_ends_what_descends_from_it_at_once() {
    let world = World::new().await;
    let root = world.root.clone();
    let reader = world.key("reader", "countersign:read").await;
    world.get(&reader, "/admin/v1/routes").await.expect(200);
    let id = world.get(&root, "/admin/v1/principals/reader").await.expect(200)["id"].clone();
    let node = json!({"node": format!("principal:{}", id.as_str().unwrap())});
    let done = world.post(&root, "/admin/v1/revocations", node.clone()).await.expect(200);
    assert_eq!(done["changed"], true);
    assert_eq!(world.get(&reader, "/admin/v1/routes").await.status, 401);
    assert_eq!(world.post(&root, "/admin/v1/revocations", node).await.expect(200)["changed"], false);
    // enabling it again, past us, brings nothing back
    world.enable("reader").await;
    assert_eq!(world.get(&reader, "/admin/v1/routes").await.status, 401);

    let other = world.key("other", "countersign:read").await;
    let key = world.get(&root, "/admin/v1/api-keys?owner=other").await.expect(200)["items"][0]["id"].clone();
    let node = format!("api_key:{}", key.as_str().unwrap());
    world.post(&root, "/admin/v1/revocations", json!({"node": node})).await.expect(200);
    assert_eq!(world.get(&other, "/admin/v1/routes").await.code(), "key_revoked");

    let feed = world.get(&root, "/admin/v1/revocations").await.expect(200);
    let nodes: Vec<&str> = feed["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|i| i["kind"] == "revoked")
        .map(|i| i["node"].as_str().unwrap())
        .collect();
    assert_eq!(nodes.len(), 2);
    assert_eq!(nodes[1], node);
    for bad in [
        "principal",
        "principal:",
        "principal:ext_short",
        "session:x",
        "api_key:short",
        "principal:usr_short",
        "password:x",
    ] {
        let reply = world.post(&root, "/admin/v1/revocations", json!({"node": bad})).await;
        reply.refused(400, "request_malformed");
    }
    let unknown = json!({"node": "principal:svc_00000000000000000000"});
    world.post(&root, "/admin/v1/revocations", unknown).await.refused(404, "principal_unknown");
}

/// RULES 1.8: who is another issuer's has no record here, and is ended all the same.
#[tokio::test]
async fn revoking_a_principal_of_another_issuer_ends_its_tokens_at_once_and_for_good() {
    let world = World::new().await;
    person(&world, "ada").await;
    // what the gateway makes of such a token, whatever stands behind it
    let get = async |subject: &str| {
        let request = Request::get("/.countersign/session/").header("host", "api.example.com");
        let request = request.header("authorization", format!("Bearer {}", world.theirs(subject)));
        let peer = Peer { address: Ipv4Addr::new(192, 0, 2, 9).into(), transport: Transport::Tls };
        match world.on_gateway(request.body(Bytes::new()).unwrap(), peer).await {
            Ok(_) => "ok",
            Err(denial) => denial.code,
        }
    };
    for (subject, other) in [("carol", "dave"), ("their-ada", "carol-too")] {
        assert_eq!((get(subject).await, get(other).await), ("ok", "ok"), "{subject}");
        let id = principal_id(THEIRS, subject);
        let node = json!({"node": format!("principal:{id}")});
        let before = world.store.actions();
        let done = world.post(&world.root, "/admin/v1/revocations", node.clone()).await.expect(200);
        assert_eq!((&done["changed"], &done["node"]), (&json!(true), &node["node"]));
        // what was remembered as good, and what is shown for the first time
        assert_eq!((get(subject).await, get(other).await), ("credential_invalid", "ok"), "{subject}");
        let seen = json!({"token": world.theirs(subject)});
        let seen = world.post(&world.root, "/admin/v1/tokens/inspect", seen).await.expect(200);
        assert_eq!(seen["good"], false, "{seen}");
        let again = world.post(&world.root, "/admin/v1/revocations", node).await.expect(200);
        assert_eq!(again["changed"], false);
        let actions = world.store.actions();
        assert_eq!(actions[before.len()..], ["revocation.create"], "{actions:?}");
        // longer than any such token lasts
        world.advance(Duration::from_secs(8 * 24 * 3600));
        assert_eq!(get(subject).await, "credential_invalid", "{subject}");
    }
    // ours goes on: only what that issuer says of her has ended
    let ada = world.get(&world.root, "/admin/v1/principals/ada").await.expect(200);
    assert_eq!(ada["enabled"], true);
}
