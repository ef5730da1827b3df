//! RULES 2.6: what is exchanged for a session is no more than it was.

use super::*;
use countersign_core::check::limit::RateLimit;

async fn exchange(world: &World, authorization: &str, body: &str) -> Reply {
    send(world, Method::POST, "session/exchange", &[JSON, ("authorization", authorization)], body).await
}

fn said(world: &World, tokens: &Value) -> countersign_methods::jwt::record::AccessToken {
    let minter = &world.services.sessions.as_ref().unwrap().tokens;
    minter.read(tokens["access_token"].as_str().unwrap(), world.clock.now()).unwrap().0
}

async fn id_of_key(world: &World, owner: &str) -> String {
    let keys = world.get(&world.root, &format!("/admin/v1/api-keys?owner={owner}")).await.expect(200);
    keys["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn access(world: &World, tokens: &Value) -> String {
    mine(world, ("authorization", &bearer(&tokens["access_token"]))).await
}

#[tokio::test]
async fn a_key_is_exchanged_for_a_session_below_it() {
    let world = World::new().await;
    let key = format!("Bearer {}", world.key("robot", "orders:read").await);
    let refused = exchange(&world, &key, "{\"scope\": \"orders:read orders:write\"}").await;
    refused.refused(403, "scope_beyond_owner");
    let tokens = exchange(&world, &key, "{\"scope\": \"orders:read\"}").await.expect(200);
    assert_eq!(access(&world, &tokens).await, "ok");
    let path = format!("/admin/v1/api-keys/{}/revoke", id_of_key(&world, "robot").await);
    world.with(&world.root, Method::POST, &path, ("if-match", "*"), json!({})).await.expect(200);
    assert_eq!(access(&world, &tokens).await, "token_revoked");
    refresh(&world, &tokens["refresh_token"]).await.refused(401, "session_over");
}

#[tokio::test]
async fn what_a_session_could_not_be_held_to_is_not_exchanged() {
    let world = World::new().await;
    let networks = world
        .key_with("at-home", "orders:read", |new| new.networks = vec!["192.0.2.0/24".parse().unwrap()])
        .await;
    let limit = RateLimit { quota: 10, window: Duration::from_secs(60) };
    let limited = world.key_with("slow", "orders:read", |new| new.limit = Some(limit)).await;
    for (key, what) in [(networks, "networks"), (limited, "a limit")] {
        let problem = exchange(&world, &format!("Bearer {key}"), "").await.refused(403, "exchange_refused");
        assert!(problem["detail"].as_str().unwrap().contains(what), "{problem}");
    }
    assert!(!world.store.actions().contains(&"session.create".to_owned()));
}

#[tokio::test]
async fn a_rotation_moves_the_end_of_what_was_exchanged_forward() {
    let world = World::new().await;
    let key = format!("Bearer {}", world.key("robot", "orders:read").await);
    let tokens = exchange(&world, &key, "").await.expect(200);
    let other = exchange(&world, &key, "").await.expect(200);
    let path = format!("/admin/v1/api-keys/{}/rotate", id_of_key(&world, "robot").await);
    let grace = json!({"grace": "1h"});
    world.with(&world.root, Method::POST, &path, ("if-match", "*"), grace).await.expect(201);
    // it is good for as long as the key before is
    world.advance(Duration::from_secs(3540));
    let tokens = refresh(&world, &tokens["refresh_token"]).await.expect(200);
    assert_eq!((&tokens["expires_in"], access(&world, &tokens).await), (&json!(60), "ok".to_owned()));
    world.advance(Duration::from_secs(60));
    assert_eq!(access(&world, &tokens).await, "token_expired");
    for tokens in [tokens, other] {
        refresh(&world, &tokens["refresh_token"]).await.refused(401, "session_over");
    }
}

#[tokio::test]
async fn what_is_narrow_looks_after_itself_alone() {
    let world = World::new().await;
    person(&world, "ada").await;
    let own = sign_in(&world, "ada").await;
    let app = basic("ada", &app_password(&world, "ada").await);
    let narrow = exchange(&world, &app, "").await.expect(200);
    let other = exchange(&world, &app, "").await.expect(200);
    let asks = bearer(&narrow["access_token"]);
    let shown = send(&world, Method::GET, "session/", &[("authorization", &asks)], "").await.expect(200);
    let shown: Vec<&Value> = shown["sessions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(shown, [&narrow["session"]]);
    let path = |tokens: &Value| format!("session/{}", tokens["session"].as_str().unwrap());
    for path in ["session/", "session/?others=true", &path(&own), &path(&other), "session/000000000000"] {
        let reply = send(&world, Method::DELETE, path, &[("authorization", &asks)], "").await;
        reply.refused(403, "session_required");
    }
    for tokens in [&own, &other, &narrow] {
        assert_eq!(access(&world, tokens).await, "ok");
    }
    let ended = send(&world, Method::DELETE, &path(&narrow), &[("authorization", &asks)], "").await;
    assert_eq!((ended.status.as_u16(), access(&world, &narrow).await.as_str()), (204, "token_revoked"));
    // the password itself reaches all of them
    let whole = exchange(&world, &basic("ada", PASSWORD), "").await.expect(200);
    let asks = bearer(&whole["access_token"]);
    let all = send(&world, Method::DELETE, "session/?others=true", &[("authorization", &asks)], "").await;
    assert_eq!((all.status.as_u16(), access(&world, &whole).await.as_str()), (204, "ok"));
    for tokens in [&own, &other] {
        assert_eq!(access(&world, tokens).await, "token_revoked");
    }
}

#[tokio::test]
async fn a_session_says_what_was_exchanged() {
    let world = World::new().await;
    person(&world, "ada").await;
    let rows = [
        (basic("ada", PASSWORD), "pwd"),
        (basic("ada", &app_password(&world, "ada").await), "app_password"),
        (format!("Bearer {}", world.key("robot", "orders:read").await), "key"),
    ];
    for (authorization, amr) in rows {
        let tokens = exchange(&world, &authorization, "").await.expect(200);
        assert_eq!(said(&world, &tokens).amr, amr);
    }
}

/// Each is a durable write.
#[tokio::test]
async fn nobody_exchanges_and_refreshes_without_end() {
    let world = World::new().await;
    let limits = world.services.limits;
    let key = format!("Bearer {}", world.key("robot", "orders:read").await);
    let mut tokens = Value::Null;
    for _ in 0..limits.exchange.quota {
        tokens = exchange(&world, &key, "").await.expect(200);
    }
    let refused = exchange(&world, &key, "").await;
    refused.refused(429, "limit_exceeded");
    assert!(refused.headers.contains_key("retry-after"));
    let first = tokens.clone();
    for _ in 0..limits.refresh.quota {
        tokens = refresh(&world, &tokens["refresh_token"]).await.expect(200);
    }
    refresh(&world, &tokens["refresh_token"]).await.refused(429, "limit_exceeded");
    // it is nobody else's, and ends nothing
    let other = format!("Bearer {}", world.key("other", "orders:read").await);
    let other = exchange(&world, &other, "").await.expect(200);
    refresh(&world, &other["refresh_token"]).await.expect(200);
    world.advance(Duration::from_secs(60));
    refresh(&world, &tokens["refresh_token"]).await.expect(200);
    refresh(&world, &first["refresh_token"]).await.refused(401, "session_over");
}
