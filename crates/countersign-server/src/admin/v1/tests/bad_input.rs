//! What must not get through, and what it is told: one row per kind of rubbish.

use crate::test_world::{World, pretty, request, settings};
use axum::body::Body;
use http::Method;
use serde_json::json;

const KEYS: &str = "/admin/v1/api-keys";

fn slug(kind: &str, what: &str) -> String {
    format!("{kind} {what}").replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

#[tokio::test]
async fn bodies_that_break_a_grammar_are_400_and_say_where() {
    let world = World::new().await;
    let deep = format!("{{\"owner\":{}1{}}}", "[".repeat(60_000 / 2 - 20), "]".repeat(60_000 / 2 - 20));
    let rows: [(&str, Vec<u8>); 14] = [
        ("empty", b"".to_vec()),
        ("truncated", br#"{"owner": "de"#.to_vec()),
        ("two documents", b"{} {}".to_vec()),
        ("not an object", b"[]".to_vec()),
        ("not UTF-8", b"{\"owner\": \"\xff\xfe\"}".to_vec()),
        ("a lone surrogate", br#"{"owner": "\ud800"}"#.to_vec()),
        ("doubled member", br#"{"owner": "a", "owner": "b", "scopes": []}"#.to_vec()),
        ("doubled deeper", br#"{"owner": "a", "scopes": [], "limit": {"per": "1m", "per": "2m"}}"#.to_vec()),
        ("unknown member", br#"{"owner": "a", "scope": []}"#.to_vec()),
        (
            "wrong types",
            br#"{"owner": 1, "scopes": "a", "limit": [], "label": {}, "networks": [true]}"#.to_vec(),
        ),
        ("a comment", b"{/* */}".to_vec()),
        ("too deep", deep.into_bytes()),
        (
            "a huge number",
            br#"{"owner": "root", "scopes": [], "limit": {"requests": 1e999, "per": "1m"}}"#.to_vec(),
        ),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
    ];
    for (what, body) in rows {
        let reply = world.raw(&world.root, Method::POST, KEYS, "application/json", body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "request_malformed"), "{what}");
        let document = reply.refused(400, "request_malformed");
        settings().bind(|| insta::assert_snapshot!(slug("body", what), pretty(&document)));
    }
    assert_eq!(world.store.actions().len(), 2, "nothing was made but the world");
}

#[tokio::test]
async fn every_wrong_value_is_named_in_one_answer() {
    let world = World::new().await;
    let body = json!({
        "owner": "root", "scopes": ["ok", "not ok", 3], "label": "a\u{7}b", "expires_in": "90 days",
        "expires_at": "2027-02-30T00:00:00Z", "networks": ["10.0.0.1/8", "nowhere", "::ffff:10.0.0.0/104"],
        "limit": {"requests": 0, "per": "1w", "burst": 3}, "plan": "Gold!", "lable": "x"
    });
    let document = world.post(&world.root, KEYS, body).await.refused(400, "request_malformed");
    settings().bind(|| insta::assert_snapshot!("every_fault", pretty(&document)));
    let principal = json!({"kind": "robot", "name": "svc_00000000000000000000", "groups": ["a b"]});
    let document = world.post(&world.root, "/admin/v1/principals", principal).await;
    let document = document.refused(400, "request_malformed");
    settings().bind(|| insta::assert_snapshot!("every_fault_of_a_principal", pretty(&document)));
}

#[tokio::test]
async fn a_body_is_json_and_says_so_once() {
    let world = World::new().await;
    let media =
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "", "json"];
    for media in media {
        let reply = world.raw(&world.root, Method::POST, KEYS, media, "{}").await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (415, "content_type_unsupported"),
            "{media}"
        );
    }
    let none = request(Method::POST, KEYS, Some(&world.root)).body(Body::from("{}")).unwrap();
    world.send(none).await.refused(415, "content_type_unsupported");
    let twice = request(Method::POST, KEYS, Some(&world.root))
        .header("content-type", "application/json")
        .header("content-type", "application/json");
    world.send(twice.body(Body::from("{}")).unwrap()).await.refused(415, "content_type_unsupported");
    let coded = request(Method::POST, KEYS, Some(&world.root))
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    let reply = world.send(coded.body(Body::from("{}")).unwrap()).await;
    reply.refused(415, "content_encoding_unsupported");
    let reply = world.raw(&world.root, Method::POST, KEYS, "Application/JSON; Charset=UTF-8", "{}").await;
    reply.refused(400, "request_malformed");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413_declared_or_not() {
    let world = World::new().await;
    let large = vec![b' '; 64 * 1024 + 1];
    let reply = world.raw(&world.root, Method::POST, KEYS, "application/json", large.clone()).await;
    reply.refused(413, "body_too_large");
    let stream = futures_util::stream::iter(
        large.chunks(1000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>(),
    );
    let reply =
        world.raw(&world.root, Method::POST, KEYS, "application/json", Body::from_stream(stream)).await;
    reply.refused(413, "body_too_large");
    let declared = request(Method::POST, KEYS, Some(&world.root)).header("content-length", "99999999999");
    world.send(declared.body(Body::empty()).unwrap()).await.refused(413, "body_too_large");
    // RULES 2.4 and common sense: nobody without a credential makes us read a body
    let stranger = request(Method::POST, KEYS, None).body(Body::from(large)).unwrap();
    assert_eq!(world.send(stranger).await.status, 401);
}

#[tokio::test]
async fn a_query_is_as_strict_as_a_body() {
    let world = World::new().await;
    let principals = world.get(&world.root, "/admin/v1/principals?limit=1").await.expect(200);
    let after_root = world.service("zoe", "").await;
    let page = world.get(&world.root, "/admin/v1/principals?limit=1").await.expect(200);
    let foreign = page["next"].as_str().unwrap().to_owned();
    assert!(principals["next"].is_null() && after_root.enabled);
    let rows = [
        "limit=0".to_owned(),
        "limit=501".into(),
        "limit=-1".into(),
        "limit=1e3".into(),
        "limit=99999999999999999999".into(),
        "limit=1&limit=2".into(),
        "limt=1".into(),
        "usable=yes".into(),
        "cursor=".into(),
        "cursor=zz".into(),
        "cursor=00".into(),
        // a cursor of another list
        format!("cursor={foreign}"),
        "owner=%ff".into(),
        "owner=%0".into(),
        "owner=%00".into(),
    ];
    for query in rows {
        let reply = world.get(&world.root, &format!("{KEYS}?{query}")).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "request_malformed"), "{query}");
    }
    for path in [
        "/admin/v1/routes?x=1",
        "/admin/v1/audit/verify?x=1",
        "/admin/v1/audit/head?x=1",
        "/admin/v1/principals/root?x=1",
    ] {
        world.get(&world.root, path).await.refused(400, "request_malformed");
    }
    for query in
        ["order=up", "after=-1", "after=x", "action=a%20b", "subject=", "since=x", "until=2027-01-01"]
    {
        let reply = world.get(&world.root, &format!("/admin/v1/audit?{query}")).await;
        assert_eq!(reply.status.as_u16(), 400, "{query}");
    }
    let reply =
        world.post(&world.root, "/admin/v1/principals?x=1", json!({"kind": "user", "name": "a"})).await;
    reply.refused(400, "request_malformed");
}

#[tokio::test]
async fn errors_read_as_strangers_will_read_them() {
    let world = World::new().await;
    let root = world.root.clone();
    let rows = [
        ("no credential", request(Method::GET, KEYS, None).body(Body::empty()).unwrap()),
        ("bad credential", request(Method::GET, KEYS, Some("cs_live_x")).body(Body::empty()).unwrap()),
        ("no such url", request(Method::GET, "/admin/v1/nothing", Some(&root)).body(Body::empty()).unwrap()),
        ("no such method", request(Method::DELETE, KEYS, Some(&root)).body(Body::empty()).unwrap()),
        (
            "unknown key",
            request(Method::GET, "/admin/v1/api-keys/000000000000", Some(&root)).body(Body::empty()).unwrap(),
        ),
        (
            "unknown principal",
            request(Method::GET, "/admin/v1/principals/nobody", Some(&root)).body(Body::empty()).unwrap(),
        ),
        ("public, no such method", request(Method::GET, "/revoke", None).body(Body::empty()).unwrap()),
    ];
    for (what, request) in rows {
        let reply = world.send(request).await;
        let document = reply.json();
        settings().bind(|| insta::assert_snapshot!(slug("answer", what), pretty(&document)));
    }
    world.store.set_down(true);
    let document = world.get(&root, KEYS).await.json();
    settings().bind(|| insta::assert_snapshot!("answer_store_down", pretty(&document)));
}
