//! The operators' face, as strangers and the powerless meet it.

use crate::support::{Deployment, read};
use countersign_core::check::route::MethodSet;
use reqwest::Method;
use serde_json::json;

/// The ledger: every operation of the admin API, with no credential and with a powerless one.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_is_never_open() {
    let house = Deployment::start().await;
    let (_, powerless) = house.key(json!({})).await;
    let address = house.running.admin_address().unwrap();
    let mut operations = 0;
    for route in countersign_server::admin_routes() {
        let MethodSet::Of(methods) = &route.methods else { panic!("{} takes any method", route.name) };
        for method in methods {
            let path = route.path.replace("{id}", "4fQ2kZ81mXpA");
            let request = house.http.request(method.clone(), format!("https://{address}{path}"));
            let nobody = read(request.try_clone().unwrap()).await;
            assert_eq!(nobody.status, 401, "{method} {path}: {nobody:?}");
            let weak = read(request.bearer_auth(&powerless)).await;
            assert_eq!(
                (weak.status.as_u16(), weak.code().as_str()),
                (403, "scope_missing"),
                "{method} {path}"
            );
            operations += 1;
        }
    }
    assert!(operations >= 16, "{operations}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_audited_and_the_chain_holds() {
    let house = Deployment::start().await;
    let (key, _) = house.key(json!({"label": "night"})).await;
    let id = key["id"].as_str().unwrap();
    house.admin(Method::POST, &format!("api-keys/{id}/revoke"), Some(json!({"reason": "leaked"}))).await;
    let answer = house.admin(Method::GET, &format!("audit?subject={id}&order=asc"), None).await;
    let actions: Vec<_> =
        answer.json()["items"].as_array().unwrap().iter().map(|r| r["action"].clone()).collect();
    assert_eq!(actions, ["api_key.create", "api_key.revoke"]);
    let state = house.admin(Method::GET, "audit/verify", None).await.json();
    assert_eq!(state["whole"], true, "{state}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_rehearsed_by_the_gateways_judgement() {
    let house = Deployment::start().await;
    let (_, secret) = house.key(json!({"limit": {"requests": 1, "per": "1h"}})).await;
    for _ in 0..3 {
        let body = json!({"method": "GET", "url": "/orders/1", "key": secret});
        let answer = house.admin(Method::POST, "routes/check", Some(body)).await.json();
        assert_eq!(answer["decision"], "allow", "a rehearsal charges nothing: {answer}");
    }
    let body = json!({"method": "GET", "url": "/orders/1", "key": secret, "transport": "plain", "source": "192.0.2.1"});
    let answer = house.admin(Method::POST, "routes/check", Some(body)).await.json();
    assert_eq!(
        (answer["decision"].as_str(), answer["code"].as_str()),
        (Some("deny"), Some("tls_required")),
        "{answer}"
    );
    house.stop().await;
}
