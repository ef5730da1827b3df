use crate::{
    session::tests::{bearer, browser, mine, person, refresh, sign_in},
    test_world::World,
};
use countersign_core::principal::PrincipalName;
use countersign_methods::principal::caller::Caller;
use serde_json::{Value, json};
use std::time::Duration;

const SESSIONS: &str = "/admin/v1/sessions";

async fn list(world: &World, query: &str) -> Vec<Value> {
    let listed = world.get(&world.root, &format!("{SESSIONS}{query}")).await.expect(200);
    listed["items"].as_array().unwrap().clone()
}

async fn show(world: &World, id: &Value) -> Value {
    world.get(&world.root, &format!("{SESSIONS}/{}", id.as_str().unwrap())).await.expect(200)
}

#[tokio::test]
async fn sessions_are_listed_shown_and_ended() {
    let world = World::new().await;
    person(&world, "ada").await;
    person(&world, "bob").await;
    let (ada, bob) = (sign_in(&world, "ada").await, sign_in(&world, "bob").await);
    browser(&world, "ada").await;
    assert_eq!(list(&world, "").await.len(), 3);
    assert_eq!(list(&world, "?principal=ada").await.len(), 2);
    let shown = show(&world, &ada["session"]).await;
    assert_eq!((&shown["principal"]["name"], &shown["state"]), (&json!("ada"), &json!("open")));
    assert_eq!((&shown["kind"], &shown["amr"]), (&json!("native"), &json!("pwd")));
    assert_eq!((&shown["address"], &shown["host"]), (&json!("192.0.2.9"), &json!("api.example.com")));
    assert!(shown.get("ended_at").is_none());

    let path = format!("{SESSIONS}/{}/end", ada["session"].as_str().unwrap());
    world.post(&world.root, &path, json!({"reason": "x"})).await.refused(400, "request_malformed");
    for _ in 0..2 {
        let ended = world.post(&world.root, &path, json!({})).await.expect(200);
        assert_eq!((&ended["state"], &ended["reason"]), (&json!("ended"), &json!("revoked")));
        assert!(ended["ended_at"].is_string());
    }
    assert_eq!(mine(&world, ("authorization", &bearer(&ada["access_token"]))).await, "token_revoked");
    refresh(&world, &ada["refresh_token"]).await.refused(401, "session_over");
    assert_eq!(mine(&world, ("authorization", &bearer(&bob["access_token"]))).await, "ok");
    assert_eq!(list(&world, "?principal=ada&open=true").await.len(), 1);
    assert_eq!(list(&world, "?principal=ada&open=false").await.len(), 2);
    assert_eq!(world.store.actions().iter().filter(|a| *a == "session.end").count(), 1);
    // nothing that anybody could come back with
    let all = world.get(&world.root, SESSIONS).await;
    let text = String::from_utf8(all.body.to_vec()).unwrap();
    assert!(
        !text.contains("cs_session_") && !text.contains("cs_refresh_") && !text.contains("digest"),
        "{text}"
    );
}

#[tokio::test]
async fn what_a_session_hangs_on_shows_in_its_state() {
    let world = World::new().await;
    for name in ["ada", "bob", "cid"] {
        person(&world, name).await;
    }
    let [ada, bob, cid] =
        [sign_in(&world, "ada").await, sign_in(&world, "bob").await, sign_in(&world, "cid").await];
    let id = async |name: &str| {
        let name = PrincipalName::parse(name).unwrap();
        world.services.principal_store.find_by_name(&name).await.unwrap().unwrap().id
    };
    let new = ("five other words do as well", None);
    let now = countersign_core::Clock::now(&*world.clock);
    world.services.basic.set_password(&id("ada").await, new, &Caller::host(), now).await.unwrap();
    let node = json!({"node": format!("principal:{}", id("bob").await)});
    world.post(&world.root, "/admin/v1/revocations", node).await.expect(200);
    assert_eq!(show(&world, &ada["session"]).await["state"], "called_back");
    assert_eq!(show(&world, &bob["session"]).await["state"], "called_back");
    assert_eq!(show(&world, &cid["session"]).await["state"], "open");
    let open = list(&world, "?open=true").await;
    assert_eq!((open.len(), &open[0]["id"]), (1, &cid["session"]));
    world.advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(show(&world, &cid["session"]).await["state"], "expired");
    assert!(list(&world, "?open=true").await.is_empty());
}

#[tokio::test]
async fn a_list_goes_on_where_it_stopped() {
    let world = World::new().await;
    person(&world, "ada").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(sign_in(&world, "ada").await["session"].clone());
        world.advance(Duration::from_secs(1));
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    for _ in 0..5 {
        let page = world.get(&world.root, &format!("{SESSIONS}{query}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={next}");
    }
    made.reverse();
    assert_eq!(seen, made, "the newest first, each once");
}

#[tokio::test]
async fn what_is_no_session_is_not_found_and_what_is_no_query_is_malformed() {
    let world = World::new().await;
    for id in ["000000000000", "x_y", "%C3%A4", &"0".repeat(65)] {
        world.get(&world.root, &format!("{SESSIONS}/{id}")).await.refused(404, "session_unknown");
        let end = world.post(&world.root, &format!("{SESSIONS}/{id}/end"), json!({})).await;
        end.refused(404, "session_unknown");
    }
    world.get(&world.root, &format!("{SESSIONS}?principal=nobody")).await.refused(404, "principal_unknown");
    for query in ["?open=yes", "?cursor=zz", "?cursor=00", "?limit=0", "?owner=ada"] {
        world.get(&world.root, &format!("{SESSIONS}{query}")).await.refused(400, "request_malformed");
    }
    let reader = world.key("reader", "countersign:read countersign:keys").await;
    world.get(&reader, SESSIONS).await.expect(200);
    let end = world.post(&reader, &format!("{SESSIONS}/000000000000/end"), json!({})).await;
    end.refused(403, "scope_missing");
}

#[tokio::test]
async fn where_nobody_signs_in_there_are_none() {
    let world = World::without_sessions().await;
    let root = world.root.clone();
    for path in [SESSIONS, "/admin/v1/sessions/000000000000"] {
        world.get(&root, path).await.refused(404, "sessions_off");
    }
    world.post(&root, "/admin/v1/sessions/000000000000/end", json!({})).await.refused(404, "sessions_off");
}
