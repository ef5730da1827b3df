//! A key from its making to its end.

use crate::support::{Deployment, issued, read};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread")]
async fn revoked_is_401_on_the_next_request() {
    let house = Deployment::start().await;
    let (key, secret) = house.key(json!({})).await;
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    let id = key["id"].as_str().unwrap();
    let revoked = house.admin(Method::POST, &format!("api-keys/{id}/revoke"), Some(json!({}))).await;
    assert_eq!((revoked.status.as_u16(), &revoked.json()["state"]), (200, &json!("revoked")));
    // RULES 1.1: it was cached as good a moment ago
    let answer = house.get("/orders/1", &secret).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "key_revoked"));
    house.stop().await;
}

/// RULES 2.4: who calls from where an attacker does can still revoke.
#[tokio::test(flavor = "multi_thread")]
async fn failures_at_the_gateway_keep_no_operator_out() {
    let house = Deployment::start().await;
    let (key, secret) = house.key(json!({})).await;
    let id = key["id"].as_str().unwrap();
    // past what the admin API remembers of the operator's key
    house.advance(Duration::from_secs(31));
    let rubbish = format!("{}{}", &secret[..20], "0".repeat(38));
    let mut code = String::new();
    for _ in 0..100 {
        code = house.get("/orders/1", &rubbish).await.code();
    }
    assert_eq!(code, "too_many_failures");
    let revoked = house.admin(Method::POST, &format!("api-keys/{id}/revoke"), Some(json!({}))).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_key_can_end_it() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    let issuer = house.running.issuer_address().unwrap();
    let revoke = |token: String| {
        let request = house.http.post(format!("https://{issuer}/revoke"));
        read(
            request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("token={token}")),
        )
    };
    // RULES 1.7: the public id with rubbish for a secret ends nothing
    let rubbish = format!("{}{}", &secret[..20], "0".repeat(38));
    assert_eq!(revoke(rubbish).await.status, 200);
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    assert_eq!(revoke(secret.clone()).await.status, 200);
    assert_eq!(house.get("/orders/1", &secret).await.code(), "key_revoked");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_stays_good_until_its_grace_ends() {
    let house = Deployment::start().await;
    let (key, old) =
        house.key(json!({"networks": ["127.0.0.0/8"], "limit": {"requests": 100, "per": "1m"}})).await;
    assert_eq!(house.get("/orders/1", &old).await.status, 200);
    let path = format!("api-keys/{}/rotate", key["id"].as_str().unwrap());
    let rotated = house.admin(Method::POST, &path, Some(json!({"grace": "24h"}))).await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    let (successor, new) = issued(&rotated);
    for same in ["owner", "scopes", "networks", "limit", "plan"] {
        assert_eq!(successor[same], key[same], "{same}");
    }
    house.advance(HOUR * 23);
    assert_eq!(house.get("/orders/1", &old).await.status, 200);
    assert_eq!(house.get("/orders/1", &new).await.status, 200);
    house.advance(HOUR + Duration::from_secs(1));
    let over = house.get("/orders/1", &old).await;
    assert_eq!((over.status.as_u16(), over.code().as_str()), (401, "key_expired"));
    assert_eq!(house.get("/orders/1", &new).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_after_90_days_unless_it_says_otherwise() {
    let house = Deployment::start().await;
    let (_, usual) = house.key(json!({})).await;
    let (_, short) = house.key(json!({"expires_in": "1h"})).await;
    assert_eq!(house.get("/orders/1", &short).await.status, 200);
    house.advance(HOUR + Duration::from_secs(1));
    assert_eq!(house.get("/orders/1", &short).await.code(), "key_expired");
    assert_eq!(house.get("/orders/1", &usual).await.status, 200);
    house.advance(DAY * 90 - HOUR);
    assert_eq!(house.get("/orders/1", &usual).await.code(), "key_expired");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_and_too_long_are_refused_unless_the_configuration_allows_them() {
    let house = Deployment::start().await;
    for expires in ["never", "2y"] {
        let body = json!({"owner": "demo", "scopes": [], "expires_in": expires});
        let answer = house.admin(Method::POST, "api-keys", Some(body)).await;
        assert!(answer.status.is_client_error(), "{expires}: {answer:?}");
    }
    house.stop().await;
    let lenient =
        Deployment::with(&format!("{}[api_keys]\nallow_never = true\n", crate::support::ROUTES)).await;
    let (key, _) = lenient.key(json!({"expires_in": "never"})).await;
    assert!(key["expires_at"].is_null(), "{key}");
    lenient.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_only_from_its_networks() {
    let house = Deployment::start().await;
    let (_, far) = house.key(json!({"networks": ["10.0.0.0/8"]})).await;
    let answer = house.get("/orders/1", &far).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "network_not_allowed"));
    let (_, near) = house.key(json!({"networks": ["10.0.0.0/8", "127.0.0.0/8"]})).await;
    assert_eq!(house.get("/orders/1", &near).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_a_limit_of_its_own() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({"limit": {"requests": 2, "per": "1m"}})).await;
    for _ in 0..2 {
        assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    }
    let over = house.get("/orders/1", &secret).await;
    assert_eq!((over.status.as_u16(), over.code().as_str()), (429, "limit_exceeded"));
    let after: u64 = over.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    house.advance(Duration::from_secs(after));
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_owner_stops_all_its_keys_at_once() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    let enabled = |yes: bool| house.admin(Method::PATCH, "principals/demo", Some(json!({"enabled": yes})));
    assert_eq!(enabled(false).await.status, 200);
    let answer = house.get("/orders/1", &secret).await;
    // the caller is not told why
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "credential_invalid"));
    assert_eq!(enabled(true).await.status, 200);
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_taken_from_the_owner_is_lost_to_its_keys_at_once() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    let narrowed = json!({"scopes": ["orders:write"]});
    assert_eq!(house.admin(Method::PATCH, "principals/demo", Some(narrowed)).await.status, 200);
    let answer = house.get("/orders/1", &secret).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "scope_missing"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_key_was_used_is_written_late_and_at_the_stop() {
    let house = Deployment::start().await;
    let (key, secret) = house.key(json!({})).await;
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    let path = format!("api-keys/{}", key["id"].as_str().unwrap());
    countersign_testkit::eventually(crate::support::LONG, || async {
        !house.admin(Method::GET, &path, None).await.json()["last_used_at"].is_null()
    })
    .await;
    house.stop().await;
}
