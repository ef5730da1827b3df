//! RULES 4.4: the first operator's key, and how it ends.

use crate::support::{Deployment, LONG, issued};
use countersign_testkit::eventually;
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_ends_after_24_hours() {
    let house = Deployment::start().await;
    house.advance(Duration::from_secs(24 * 3600 - 10));
    assert_eq!(house.admin(Method::GET, "routes", None).await.status, 200);
    house.advance(Duration::from_secs(11));
    let answer = house.admin(Method::GET, "routes", None).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "key_expired"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_ends_with_the_first_other_operator_and_not_before_that_one_has_a_key() {
    let mut house = Deployment::start().await;
    let folder = house.folder.path().to_path_buf();
    house.running.retire_first_operator(&folder);
    let scopes = json!(["countersign:read", "countersign:keys", "countersign:principals"]);
    let ada = json!({"kind": "user", "name": "ada", "scopes": scopes});
    assert_eq!(house.admin(Method::POST, "principals", Some(ada)).await.status, 201);
    // without a key of her own she could not let anybody in: retiring now would lock everybody out
    let now = house.now();
    let file = folder.join("admin.key");
    let retired = countersign_cli::operator::retire(house.running.rooms(), &file, now).await.unwrap();
    assert!(!retired);
    let weak = json!({"owner": "ada", "scopes": ["countersign:read"]});
    assert_eq!(house.admin(Method::POST, "api-keys", Some(weak)).await.status, 201);
    assert!(!countersign_cli::operator::retire(house.running.rooms(), &file, now).await.unwrap());
    let made = house.admin(Method::POST, "api-keys", Some(json!({"owner": "ada", "scopes": scopes}))).await;
    assert_eq!(made.status, 201);
    let (_, adas) = issued(&made);
    eventually(LONG, || async { house.admin(Method::GET, "routes", None).await.status == 401 }).await;
    // what the first operator made outlives it: it held `countersign:grant`
    assert_eq!(house.admin_with(&adas, Method::GET, "routes", None).await.status, 200);
    eventually(LONG, || async { !file.exists() }).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_made_once() {
    let house = Deployment::start().await;
    let file = house.folder.path().join("second.key");
    let made = countersign_cli::operator::ensure(house.running.rooms(), &file, house.now()).await.unwrap();
    assert!(!made && !file.exists());
    house.stop().await;
}

/// RULES 4.4: whoever recovers has lost a key that the store still holds to be good; that key must not end the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_key_stays_good_beside_a_lost_one() {
    let house = Deployment::start().await;
    let (rooms, file) = (house.running.rooms(), house.folder.path().join("admin.key"));
    let scopes = json!(["countersign:keys", "countersign:principals"]);
    let ada = json!({"kind": "user", "name": "ada", "scopes": scopes});
    assert_eq!(house.admin(Method::POST, "principals", Some(ada)).await.status, 201);
    let made = house.admin(Method::POST, "api-keys", Some(json!({"owner": "ada", "scopes": scopes}))).await;
    assert_eq!(made.status, 201);
    assert!(countersign_cli::operator::retire(rooms, &file, house.now()).await.unwrap());
    countersign_cli::operator::recover(rooms, &file, house.now()).await.unwrap();
    assert!(!countersign_cli::operator::retire(rooms, &file, house.now()).await.unwrap());
    let recovered = std::fs::read_to_string(&file).unwrap();
    assert_eq!(house.admin_with(recovered.trim(), Method::GET, "routes", None).await.status, 200);
    house.stop().await;
}

/// RULES 4.4: two servers that began on one store at once made a key each, on each host one; both end.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_that_a_host_made_outlives_the_first_other_operator() {
    let house = Deployment::start().await;
    let (rooms, file) = (house.running.rooms(), house.folder.path().join("admin.key"));
    let other = house.folder.path().join("admin-of-the-other-host.key");
    countersign_cli::operator::renew(rooms, &other, house.now()).await.unwrap();
    let others = std::fs::read_to_string(&other).unwrap();
    assert_eq!(house.admin_with(others.trim(), Method::GET, "routes", None).await.status, 200);
    let scopes = json!(["countersign:keys", "countersign:principals"]);
    let ada = json!({"kind": "user", "name": "ada", "scopes": scopes});
    assert_eq!(house.admin(Method::POST, "principals", Some(ada)).await.status, 201);
    let made = house.admin(Method::POST, "api-keys", Some(json!({"owner": "ada", "scopes": scopes}))).await;
    assert_eq!(made.status, 201);
    assert!(countersign_cli::operator::retire(rooms, &file, house.now()).await.unwrap());
    assert_eq!(house.admin_with(others.trim(), Method::GET, "routes", None).await.status, 401);
    house.stop().await;
}
