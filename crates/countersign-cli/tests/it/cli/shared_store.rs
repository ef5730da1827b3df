//! Two processes on one SQLite file (RULES 2.5).

use crate::support::{LONG, ROUTES, Served, client, configuration, free_port, issued, read};
use countersign_cli::echo::Echo;
use countersign_testkit::eventually;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_made_in_one_process_is_seen_by_the_other_within_a_second() {
    let echo = Echo::start(0).await.unwrap();
    let served = Served::prepare(&echo.url());
    let (gateway, admin) = (free_port(), free_port());
    let second = configuration(gateway, admin, free_port(), &echo.url(), ROUTES);
    std::fs::write(served.folder.path().join("second.toml"), second).unwrap();
    let _first = served.start().await;
    let _second = served.start_with(&["serve", "--config", "second.toml"], admin).await;
    let http = client(served.folder.path());
    let post = |port: u16, path: &str, body: serde_json::Value| {
        let url = format!("https://127.0.0.1:{port}/admin/v1/{path}");
        read(http.post(url).bearer_auth(served.operator()).json(&body))
    };
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    assert_eq!(post(served.admin, "principals", owner).await.status, 201);
    for _ in 0..3 {
        let made = post(served.admin, "api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
        let (key, secret) = issued(&made);
        let use_it = || {
            let request = http.get(format!("https://127.0.0.1:{gateway}/orders/1"));
            read(request.header("x-api-key", &secret))
        };
        assert_eq!(use_it().await.status, 200, "a key made by one process is good at the other at once");
        let path = format!("api-keys/{}/revoke", key["id"].as_str().unwrap());
        assert_eq!(post(served.admin, &path, json!({})).await.status, 200);
        eventually(Duration::from_secs(1), || async { use_it().await.code() == "key_revoked" }).await;
    }
    // and so is the owner's being disabled
    let made = post(served.admin, "api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let (_, secret) = issued(&made);
    let use_it =
        || read(http.get(format!("https://127.0.0.1:{gateway}/orders/1")).header("x-api-key", &secret));
    assert_eq!(use_it().await.status, 200);
    let url = format!("https://127.0.0.1:{}/admin/v1/principals/demo", served.admin);
    let disabled = http
        .patch(url)
        .bearer_auth(served.operator())
        .header("if-match", "*")
        .json(&json!({"enabled": false}));
    assert_eq!(read(disabled).await.status, 200);
    eventually(Duration::from_secs(1), || async { use_it().await.status == 401 }).await;
    // a process killed and started again has not forgotten
    drop(_second);
    let _third = served.start_with(&["serve", "--config", "second.toml"], admin).await;
    eventually(LONG, || async { use_it().await.status == 401 }).await;
    echo.stop().await;
}
