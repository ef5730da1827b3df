//! Other settings while requests are judged.

use crate::support::{Deployment, ROUTES, read};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_route_is_404_and_revoked_stays_revoked() {
    let mut house = Deployment::start().await;
    let (revoked, secret) = house.key(json!({})).await;
    let (_, good) = house.key(json!({})).await;
    let id = revoked["id"].as_str().unwrap();
    assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    house.admin(Method::POST, &format!("api-keys/{id}/revoke"), Some(json!({}))).await;
    let kept = ROUTES.split("\n[[routes]]\npath = \"/open\"").next().unwrap().to_owned();
    let reloaded = house.reload(&kept).await;
    assert_eq!((reloaded.generation, house.running.generation()), (2, 2));
    let removed: Vec<_> = reloaded.difference.removed.iter().map(|removed| &*removed.route.name).collect();
    assert_eq!(removed, ["* /open"]);
    assert!(reloaded.difference.opened.is_empty() && reloaded.restart.is_empty(), "{reloaded:?}");
    let gone = read(house.gateway(Method::GET, "/open")).await;
    assert_eq!((gone.status.as_u16(), gone.code().as_str()), (404, "route_unknown"));
    assert_eq!(house.get("/orders/1", &secret).await.code(), "key_revoked");
    assert_eq!(house.get("/orders/1", &good).await.status, 200);
    let noted = house.admin(Method::GET, "audit?action=configuration.reload", None).await.json();
    let noted = &noted["items"][0];
    assert_eq!((&noted["actor"], &noted["subject"]), (&json!("host"), &json!("generation 2")), "{noted}");
    assert_eq!(noted["detail"]["removed"], "1");
    // what the operators are shown is what serves
    let listed = house.admin(Method::GET, "routes", None).await;
    assert!(!listed.text.contains("/open"), "{listed:?}");
    let asked = json!({"method": "GET", "url": "https://127.0.0.1/open"});
    let asked = house.admin(Method::POST, "routes/check", Some(asked)).await;
    assert!(!asked.text.contains("\"* /open\""), "{asked:?}");
    house.stop().await;
}

fn plan(requests: u32) -> String {
    format!("[[plans]]\nname = \"standard\"\nrequests = {requests}\nper = \"1h\"\n{ROUTES}")
}

/// How many of `most` requests pass.
async fn pass(house: &Deployment, secret: &str, most: usize) -> usize {
    let mut passed = 0;
    for _ in 0..most {
        let answer = house.get("/orders/1", secret).await;
        match answer.status.as_u16() {
            200 => passed += 1,
            429 => {}
            _ => panic!("{answer:?}"),
        }
    }
    passed
}

/// A key that names a plan is limited by what the plan says now, cached or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_at_its_present_rate() {
    let mut house = Deployment::with(&plan(4)).await;
    let (_, secret) = house.key(json!({"plan": "standard"})).await;
    assert_eq!(pass(&house, &secret, 6).await, 4);
    house.reload(&plan(8)).await;
    // what was used is used: half of the hour, of which half is left
    assert_eq!(pass(&house, &secret, 8).await, 0);
    house.advance(std::time::Duration::from_secs(1800));
    assert_eq!(pass(&house, &secret, 8).await, 4);
    let reloaded = house.reload(ROUTES).await;
    assert_eq!(reloaded.plans_gone.iter().map(|plan| plan.as_str()).collect::<Vec<_>>(), ["standard"]);
    // bad policy refuses, it does not vanish
    let answer = house.get("/orders/1", &secret).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "plan_unknown"));
    let body = json!({"owner": "demo", "scopes": ["orders:read"], "plan": "standard"});
    assert_eq!(house.admin(Method::POST, "api-keys", Some(body)).await.code(), "plan_unknown");
    house.reload(&plan(1000)).await;
    house.key(json!({"plan": "standard"})).await;
    house.stop().await;
}

/// PRODUCT: deny by default; what opens is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_opens_a_route_says_which_and_what() {
    let mut house = Deployment::start().await;
    let public = ROUTES.replacen("[{ api_key = [\"orders:read\"] }]", "[]", 1);
    let reloaded = house.reload(&public).await;
    let opened: Vec<_> =
        reloaded.difference.opened.iter().map(|o| format!("{} {}", o.route.name, o.what)).collect();
    assert_eq!(opened, ["GET /orders/{id} is public, and asked for a credential"]);
    assert_eq!(read(house.gateway(Method::GET, "/orders/1")).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifetimes_of_new_keys_are_those_of_the_present_and_the_keyring_waits() {
    let mut house = Deployment::start().await;
    let (_, old) = house.key(json!({})).await;
    let reloaded = house
        .reload(&format!("[api_keys]\nmax_lifetime = \"5d\"\ndefault_lifetime = \"2d\"\n{ROUTES}"))
        .await;
    assert!(reloaded.restart.is_empty(), "{reloaded:?}");
    let body = |expires: &str| json!({"owner": "demo", "scopes": ["orders:read"], "expires_in": expires});
    let refused = house.admin(Method::POST, "api-keys", Some(body("6d"))).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "lifetime_too_long"), "{refused:?}");
    assert_eq!(house.admin(Method::POST, "api-keys", Some(body("4d"))).await.status, 201);
    assert_eq!(house.get("/orders/1", &old).await.status, 200, "what was issued stands");
    let keyring = house.folder.path().join("keyring.toml");
    let content = std::fs::read_to_string(&keyring).unwrap();
    countersign_cli::private_file::write(&keyring, format!("{content}\n").as_bytes()).unwrap();
    let reloaded = house.reload(ROUTES).await;
    assert_eq!(reloaded.restart, ["keyring.toml"]);
    house.stop().await;
}

/// For whoever watches the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_behind_says_so_until_the_next_good_one() {
    let mut house = Deployment::start().await;
    let state = house.running.configuration();
    assert_eq!((state.generation(), state.is_behind()), (1, false));
    // good as a file, and nothing that could serve
    std::fs::write(house.folder.path().join("ca.txt"), "nonsense").unwrap();
    let wrong = "[[upstreams]]\nname = \"other\"\nurl = \"https://a\"\nca = \"ca.txt\"\n";
    assert!(house.try_reload(&format!("{wrong}{ROUTES}")).await.is_err());
    assert_eq!((state.generation(), state.is_behind()), (1, true));
    house.reload(ROUTES).await;
    assert_eq!((state.generation(), state.is_behind()), (2, false));
    house.stop().await;
}
