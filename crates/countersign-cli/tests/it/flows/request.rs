//! A request: listener, judgement, upstream, and each of the answers on the way.

use crate::support::{Deployment, read};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_401_with_one_200_without_the_scope_403() {
    let house = Deployment::start().await;
    let refused = read(house.gateway(Method::GET, "/orders/1")).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (401, "credential_missing"));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(refused.headers["www-authenticate"], "Bearer realm=\"countersign\"");
    let (_, secret) = house.key(json!({})).await;
    let allowed = house.get("/orders/1", &secret).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(allowed.json()["path"], "/orders/1");
    let bearer = read(house.gateway(Method::GET, "/orders/1").bearer_auth(&secret)).await;
    assert_eq!(bearer.status, 200);
    let post = read(house.gateway(Method::POST, "/orders").bearer_auth(&secret)).await;
    assert_eq!((post.status.as_u16(), post.code().as_str()), (403, "scope_missing"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_3_2_the_credential_stays_here_and_the_identity_goes_on() {
    let house = Deployment::start().await;
    let (key, secret) = house.key(json!({})).await;
    let forged = house.gateway(Method::GET, "/orders/1").header("x-api-key", &secret);
    let forged =
        forged.header("countersign-principal", "usr_somebodyelse").header("x-forwarded-user", "root");
    let answer = read(forged).await;
    assert_eq!(answer.status, 200);
    let seen = answer.json()["headers"].clone();
    assert_eq!(seen["countersign-principal"], key["owner"]["id"]);
    assert!(seen.get("x-api-key").is_none() && seen.get("x-forwarded-user").is_none(), "{seen}");
    assert!(!answer.text.contains(&secret), "{answer:?}");
    assert_eq!(seen["x-forwarded-host"], house.running.gateway_addresses()[0].to_string());
    // RULES 3.4
    assert_eq!(answer.headers["cache-control"], "private");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_3_2_a_credential_is_stripped_on_a_public_route_too() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    let answer = read(house.gateway(Method::GET, "/open?token=abc&x=1").header("x-api-key", &secret)).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text.contains(&secret), "{answer:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_2_2_deny_by_default() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    let unknown = house.get("/elsewhere", &secret).await;
    assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "route_unknown"));
    let method = read(house.gateway(Method::DELETE, "/orders/1").header("x-api-key", &secret)).await;
    assert_eq!((method.status.as_u16(), method.code().as_str()), (405, "method_not_allowed"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_is_401_and_two_are_400() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    let mut wrong = secret.clone();
    wrong.replace_range(30..31, if &wrong[30..31] == "a" { "b" } else { "a" });
    let answer = house.get("/orders/1", &wrong).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "credential_invalid"));
    let twice = house.gateway(Method::GET, "/orders/1").header("x-api-key", &secret).bearer_auth(&secret);
    let twice = read(twice).await;
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (400, "credential_doubled"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_in_the_routes_header_and_in_the_query_only_where_the_route_allows_it() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({})).await;
    let header = read(house.gateway(Method::GET, "/feed").header("x-feed-token", &secret)).await;
    assert_eq!(header.status, 200);
    assert!(!header.text.contains(&secret), "stripped: {header:?}");
    let query = read(house.gateway(Method::GET, &format!("/feed?a=1&token={secret}&b=2"))).await;
    assert_eq!(query.status, 200, "{query:?}");
    // redacted from the forwarded URL
    assert_eq!(query.json()["path"], "/feed?a=1&b=2");
    let elsewhere = read(house.gateway(Method::GET, &format!("/orders/1?token={secret}"))).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.code().as_str()), (401, "credential_missing"));
    let other = read(house.gateway(Method::GET, "/orders/1").header("x-feed-token", &secret)).await;
    assert_eq!(other.status, 401);
    house.stop().await;
}

/// The gateway, admin API and public face on plain loopback: allowed, and keys are read there (RULES 1.7).
#[tokio::test(flavor = "multi_thread")]
async fn rules_1_7_plain_http_is_for_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let echo = countersign_cli::echo::Echo::start(0).await.unwrap();
    let text = format!(
        "[gateway]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nidentity = \"consumer\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[upstreams]]\nname = \"api\"\nurl = \"{}\"\n{}",
        echo.url(),
        crate::support::ROUTES
    );
    let file = folder.path().join("countersign.toml");
    let settings = countersign_cli::config::parse(&file, &text, &Default::default()).unwrap();
    let world = countersign_cli::compose::World::of_machine();
    let rooms = countersign_cli::compose::Rooms::open(&settings, world).await.unwrap();
    let key = folder.path().join("admin.key");
    countersign_cli::operator::ensure(&rooms, &key, rooms.now()).await.unwrap();
    let operator = std::fs::read_to_string(&key).unwrap().trim().to_owned();
    let running = countersign_cli::compose::start(&settings, rooms).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let admin = |path: &str, body: serde_json::Value| {
        let url = format!("http://{}/admin/v1/{path}", running.admin_address().unwrap());
        read(http.post(url).bearer_auth(&operator).json(&body))
    };
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"], "groups": ["staff"]});
    assert_eq!(admin("principals", owner).await.status, 201);
    let made = admin("api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let (record, secret) = crate::support::issued(&made);
    let url = format!("http://{}/orders/1", running.gateway_addresses()[0]);
    let answer = read(http.get(url).bearer_auth(&secret)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // the preset of the configuration reached the gateway
    let seen = answer.json()["headers"].clone();
    assert_eq!(seen["x-consumer-id"], record["owner"]["id"], "{seen}");
    assert_eq!(seen["x-consumer-username"], "demo", "{seen}");
    assert!(seen.get("authorization").is_none(), "{seen}");
    // RULES 5.7: without a listener of its own the public face stands beside the operators'
    let url = format!("http://{}/revoke", running.admin_address().unwrap());
    assert_eq!(read(http.post(url).json(&json!({"token": secret}))).await.status, 200);
    let url = format!("http://{}/orders/1", running.gateway_addresses()[0]);
    assert_eq!(read(http.get(url).bearer_auth(&secret)).await.code(), "key_revoked");
    running.stop(std::time::Duration::from_secs(5)).await;
    echo.stop().await;
}

/// All three listeners: their new certificates are of another authority, which is the only one this client believes.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_serves_without_a_restart() {
    let house = Deployment::start().await;
    crate::support::certify(house.folder.path());
    let http = crate::support::client(house.folder.path());
    let running = &house.running;
    let addresses =
        [running.gateway_addresses()[0], running.admin_address().unwrap(), running.issuer_address().unwrap()];
    for address in addresses {
        let answers = || async { http.get(format!("https://{address}/")).send().await.is_ok() };
        countersign_testkit::eventually(std::time::Duration::from_secs(20), answers).await;
    }
    house.stop().await;
}
