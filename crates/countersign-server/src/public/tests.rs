use crate::test_world::{Reply, World, forged, request};
use axum::body::Body;
use countersign_core::check::request::{Peer, Transport};
use http::Method;
use serde_json::json;

async fn revoke(
    world: &World,
    media: &str,
    body: impl Into<Body>,
    from: &str,
    transport: Transport,
) -> Reply {
    let request = request(Method::POST, "/revoke", None).header("content-type", media);
    let peer = Peer { address: from.parse().unwrap(), transport };
    world.send_from(request.body(body.into()).unwrap(), peer).await
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn whoever_holds_a_key_can_kill_it_by_showing_it() {
    // RULES 5.7, in both shapes
    let world = World::new().await;
    for (name, media) in [("one", JSON), ("two", FORM)] {
        let key = world.key(name, "countersign:read").await;
        world.get(&key, "/admin/v1/routes").await.expect(200);
        let body = match media {
            JSON => json!({"token": key}).to_string(),
            _ => format!("token={key}&token_type_hint=access_token"),
        };
        let reply = revoke(&world, media, body, "192.0.2.1", Transport::Tls).await;
        reply.expect(200);
        assert!(reply.body.is_empty());
        assert_eq!(world.get(&key, "/admin/v1/routes").await.code(), "key_revoked");
        let shown = world.get(&world.root, &format!("/admin/v1/api-keys?owner={name}")).await.expect(200);
        assert_eq!(shown["items"][0]["reason"], "holder");
    }
}

#[tokio::test]
async fn what_is_no_live_key_gets_the_same_answer() {
    // RFC 7009 2.2
    let world = World::new().await;
    let key = world.key("one", "countersign:read").await;
    // RULES 1.7: a public id with rubbish behind it must not revoke a stranger's key
    let forged = forged(&key);
    let mistyped = format!("{key}0");
    for token in ["", "rubbish", forged.as_str(), mistyped.as_str(), "cs_test_x", "\u{0}", "ä"] {
        let body = json!({"token": token}).to_string();
        let reply = revoke(&world, JSON, body, "192.0.2.1", Transport::Tls).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0), "{token}");
    }
    world.get(&key, "/admin/v1/routes").await.expect(200);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let world = World::new().await;
    let rows: [(&str, &[u8], u16); 8] = [
        (JSON, b"{}", 400),
        (JSON, b"{\"token\": 1}", 400),
        (JSON, b"{\"token\": \"a\", \"token\": \"b\"}", 400),
        (FORM, b"token=a&token=b", 400),
        (FORM, b"token=%zz", 400),
        (FORM, b"tokn=a", 400),
        ("text/plain", b"token=a", 415),
        (JSON, &[b' '; 70_000], 413),
    ];
    for (media, body, status) in rows {
        let reply = revoke(&world, media, body.to_vec(), "192.0.2.1", Transport::Tls).await;
        assert_eq!(reply.status.as_u16(), status, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn no_key_over_plain_http() {
    // RULES 1.7
    let world = World::new().await;
    let key = world.key("one", "countersign:read").await;
    let body = || json!({"token": key}).to_string();
    let reply = revoke(&world, JSON, body(), "192.0.2.1", Transport::Plain).await;
    reply.refused(403, "tls_required");
    revoke(&world, JSON, body(), "127.0.0.1", Transport::PlainTrusted).await.expect(200);
}

#[tokio::test]
async fn a_network_has_only_so_many_tries() {
    let world = World::new().await;
    let quota = world.services.limits.revoke.quota;
    for n in 0..quota {
        // the network, not the address, is counted: /64 (RULES 2.4)
        let from = format!("2001:db8::{:x}", n + 1);
        revoke(&world, JSON, r#"{"token": "x"}"#, &from, Transport::Tls).await.expect(200);
    }
    let reply = revoke(&world, JSON, r#"{"token": "x"}"#, "2001:db8::ffff", Transport::Tls).await;
    reply.refused(429, "limit_exceeded");
    assert!(reply.headers.contains_key("retry-after"));
    revoke(&world, JSON, r#"{"token": "x"}"#, "2001:db8:0:1::1", Transport::Tls).await.expect(200);
}

#[tokio::test]
async fn whoever_holds_an_app_password_can_kill_it_by_showing_it() {
    let world = World::new().await;
    let root = world.root.clone();
    let apps = "/admin/v1/app-passwords";
    let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"]});
    world.post(&root, "/admin/v1/principals", ada).await.expect(201);
    let new = json!({"owner": "ada", "service": "calendar", "scopes": ["orders:read"]});
    let made = world.post(&root, apps, new).await.expect(201);
    let (id, secret) =
        (made["app_password"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap().to_owned());
    let state = async || world.get(&root, &format!("{apps}/{id}")).await.expect(200)["state"].clone();
    // another secret behind the same id
    let mut wrong = secret.clone().into_bytes();
    wrong[25] = if wrong[25] == b'a' { b'b' } else { b'a' };
    let wrong = String::from_utf8(wrong).unwrap();
    for (token, after) in [(&wrong, "active"), (&secret, "revoked"), (&secret, "revoked")] {
        let reply =
            revoke(&world, JSON, json!({"token": token}).to_string(), "192.0.2.1", Transport::Tls).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
        assert_eq!(state().await, after);
    }
    assert_eq!(world.store.actions().iter().filter(|a| *a == "app_password.revoke").count(), 1);
}
