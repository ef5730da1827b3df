//! Sessions as a browser and a program meet them, and as whoever attacks them does.

mod confusion;
mod exchange;
mod jwt_cookie;

use crate::test_world::{ISSUER, RESOURCE, Reply, World};
use bytes::Bytes;
use countersign_core::{
    Clock, ScopeSet,
    check::{
        decision::DenialKind,
        request::{Peer, Transport},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::{
    basic::issue::app_password::NewAppPassword,
    principal::{caller::Caller, issue::NewPrincipal},
};
use http::{Method, Request};
use serde_json::{Value, json};
use std::time::Duration;

const PASSWORD: &str = "seven unrelated words are long enough";
const TLS: Peer =
    Peer { address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), transport: Transport::Tls };
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

pub(crate) async fn person(world: &World, name: &str) {
    let new = NewPrincipal {
        kind: PrincipalKind::User,
        name: PrincipalName::parse(name).unwrap(),
        scopes: ScopeSet::parse("orders:read orders:write countersign:read").unwrap(),
        groups: Vec::new(),
    };
    let made = world.services.principals.create(new, &Caller::host(), world.clock.now()).await.unwrap();
    let (host, now) = (Caller::host(), world.clock.now());
    world.services.basic.set_password(&made.id, (PASSWORD, None), &host, now).await.unwrap();
}

pub(crate) async fn principal(world: &World, name: &str) -> Principal {
    let name = PrincipalName::parse(name).unwrap();
    world.services.principal_store.find_by_name(&name).await.unwrap().unwrap()
}

async fn app_password(world: &World, of: &str) -> String {
    let owner = principal(world, of).await.id;
    let scopes = ScopeSet::parse("orders:read").unwrap();
    let new = NewAppPassword { owner, service: "mail".into(), scopes, lifetime: None };
    let made = world.services.basic.create_app_password(new, &Caller::host(), world.clock.now()).await;
    made.unwrap().reveal().1.expose().to_owned()
}

fn basic(name: &str, password: &str) -> String {
    use base64::Engine;
    let pair = format!("{name}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn request(method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/.countersign/{path}"))
        .header("host", "api.example.com");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Bytes::from(body.to_owned())).unwrap()
}

async fn send(world: &World, method: Method, path: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    world.on_gateway(request(method, path, fields, body), TLS).await.unwrap()
}

pub(crate) async fn sign_in(world: &World, name: &str) -> Value {
    let body = json!({"username": name, "password": PASSWORD}).to_string();
    send(world, Method::POST, "session/login", &[JSON], &body).await.expect(200)
}

pub(crate) async fn refresh(world: &World, token: &Value) -> Reply {
    let body = json!({"refresh_token": token}).to_string();
    send(world, Method::POST, "session/refresh", &[JSON], &body).await
}

pub(crate) fn bearer(token: &Value) -> String {
    format!("Bearer {}", token.as_str().unwrap())
}

/// What the gateway makes of one's own page with this credential: the code of a refusal, or `ok`.
pub(crate) async fn mine(world: &World, field: (&str, &str)) -> String {
    match world.on_gateway(request(Method::GET, "session/", &[field], ""), TLS).await {
        Ok(reply) => {
            reply.expect(200);
            "ok".to_owned()
        }
        Err(denial) => denial.code.to_owned(),
    }
}

fn cookies(reply: &Reply) -> Vec<String> {
    reply.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// Of a `Set-Cookie`: what a browser sends back.
fn sent_back(set: &str) -> String {
    set.split(';').next().unwrap().to_owned()
}

pub(crate) async fn browser(world: &World, name: &str) -> String {
    let body = format!("username={name}&password={}", PASSWORD.replace(' ', "+"));
    let reply = send(world, Method::POST, "session/login", &[FORM, OWN], &body).await;
    assert_eq!(reply.status, 303);
    sent_back(&cookies(&reply)[0])
}

#[tokio::test]
async fn whoever_signs_in_gets_an_access_token_as_rfc_9068_says() {
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 300);
    // RULES 1.8: no operator's scope
    assert_eq!(tokens["scope"], "orders:read orders:write");
    let (token, _) = world
        .services
        .sessions
        .as_ref()
        .unwrap()
        .tokens
        .read(tokens["access_token"].as_str().unwrap(), world.clock.now())
        .unwrap();
    assert_eq!((&*token.issuer, &*token.audiences[0]), (ISSUER, RESOURCE));
    assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "ok");
    world.advance(Duration::from_secs(301));
    assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "token_expired");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_for_a_moment_more() {
    // RULES 4.2
    let world = World::new().await;
    person(&world, "ada").await;
    let first = sign_in(&world, "ada").await;
    let second = refresh(&world, &first["refresh_token"]).await.expect(200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    world.advance(Duration::from_secs(5));
    let again = refresh(&world, &first["refresh_token"]).await.expect(200);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    // the successor is used: now its predecessor is somebody's copy
    let third = refresh(&world, &second["refresh_token"]).await.expect(200);
    let refused = refresh(&world, &first["refresh_token"]).await;
    refused.refused(401, "session_over");
    assert_eq!(refused.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
    refresh(&world, &third["refresh_token"]).await.refused(401, "session_over");
    let access = bearer(&third["access_token"]);
    assert_eq!(mine(&world, ("authorization", &access)).await, "token_revoked");
    assert!(world.store.actions().contains(&"session.reuse".to_owned()));
}

#[tokio::test]
async fn after_the_grace_the_predecessor_is_reuse() {
    let world = World::new().await;
    person(&world, "ada").await;
    let first = sign_in(&world, "ada").await;
    let second = refresh(&world, &first["refresh_token"]).await.expect(200);
    world.advance(Duration::from_secs(10));
    refresh(&world, &first["refresh_token"]).await.refused(401, "session_over");
    refresh(&world, &second["refresh_token"]).await.refused(401, "session_over");
}

#[tokio::test]
async fn a_session_rests_and_ends() {
    let world = World::new().await;
    person(&world, "ada").await;
    let mut tokens = sign_in(&world, "ada").await;
    for _ in 0..5 {
        world.advance(Duration::from_secs(6 * 24 * 3600));
        let reply = refresh(&world, &tokens["refresh_token"]).await;
        if reply.status != 200 {
            reply.refused(401, "session_over");
            break;
        }
        tokens = reply.json();
    }
    // thirty days, however much it is used
    refresh(&world, &tokens["refresh_token"]).await.refused(401, "session_over");
    let rested = sign_in(&world, "ada").await;
    world.advance(Duration::from_secs(7 * 24 * 3600));
    refresh(&world, &rested["refresh_token"]).await.refused(401, "session_over");
}

#[tokio::test]
async fn a_browser_gets_a_cookie_that_says_nothing() {
    let world = World::new().await;
    person(&world, "ada").await;
    let body = format!("username=ada&password={}&return_to=%2Forders%3Fa%3D1", PASSWORD.replace(' ', "+"));
    let reply = send(&world, Method::POST, "session/login", &[FORM, OWN], &body).await;
    assert_eq!((reply.status.as_u16(), reply.headers["location"].to_str().unwrap()), (303, "/orders?a=1"));
    let set = cookies(&reply);
    assert_eq!(set.len(), 1);
    assert!(set[0].starts_with("__Host-session=cs_session_"), "{}", set[0]);
    assert!(set[0].ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000"), "{}", set[0]);
    let cookie = sent_back(&set[0]);
    assert_eq!(mine(&world, ("cookie", &cookie)).await, "ok");
    // signed out, it is as absent as none; whatever password the browser remembers for the host
    let remembered = ("authorization", "Basic YWRhOnJlbWVtYmVyZWQ=");
    let fields = [OWN, ("cookie", &cookie), remembered];
    let out = send(&world, Method::POST, "session/logout", &fields, "").await;
    assert_eq!(out.status, 204);
    assert!(cookies(&out).iter().all(|set| set.contains("Max-Age=0")), "{:?}", cookies(&out));
    assert_eq!(mine(&world, ("cookie", &cookie)).await, "credential_missing");
}

#[tokio::test]
async fn a_cookie_is_set_and_counts_only_for_a_page_of_this_host() {
    // RULES 1.6, at every door
    let world = World::new().await;
    person(&world, "ada").await;
    let rows: [(&[(&str, &str)], bool); 9] = [
        (&[OWN], true),
        (&[("origin", "https://api.example.com")], true),
        (&[OWN, ("origin", "https://api.example.com")], true),
        (&[], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "none")], false),
        (&[("origin", "null")], false),
        (&[OWN, ("origin", "https://evil.example")], false),
    ];
    for (fields, own) in rows {
        let status = |reply: &Reply| reply.status.as_u16();
        let form = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
        let with = [&[FORM], fields].concat();
        let login = send(&world, Method::POST, "session/login", &with, &form).await;
        assert_eq!(status(&login), if own { 303 } else { 403 }, "{fields:?}");
        assert_eq!(cookies(&login).is_empty(), !own, "{fields:?}");
        let cookie = browser(&world, "ada").await;
        let with = [&[("cookie", cookie.as_str())], fields].concat();
        let logout = send(&world, Method::POST, "session/logout", &with, "").await;
        assert_eq!(status(&logout), if own { 204 } else { 403 }, "{fields:?}");
        let cookie = browser(&world, "ada").await;
        let with = [&[("cookie", cookie.as_str())], fields].concat();
        let ended = world.on_gateway(request(Method::DELETE, "session/", &with, ""), TLS).await;
        match ended {
            Ok(reply) => assert!(own && reply.status == 204, "{fields:?}"),
            Err(denial) => {
                assert!(!own && denial.kind == DenialKind::Forbidden, "{fields:?} {denial:?}");
                assert_eq!(denial.code, "origin_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn one_sees_and_ends_ones_own_sessions_only() {
    let world = World::new().await;
    person(&world, "ada").await;
    person(&world, "bob").await;
    let (one, two, other) =
        (sign_in(&world, "ada").await, sign_in(&world, "ada").await, sign_in(&world, "bob").await);
    let asks = bearer(&one["access_token"]);
    let shown = send(&world, Method::GET, "session/", &[("authorization", &asks)], "").await.expect(200);
    assert_eq!((&shown["name"], shown["sessions"].as_array().unwrap().len()), (&json!("ada"), 2));
    let end = async |id: &Value, by: &str| {
        let path = format!("session/{}", id.as_str().unwrap());
        send(&world, Method::DELETE, &path, &[("authorization", by)], "").await
    };
    end(&other["session"], &asks).await.refused(404, "session_unknown");
    assert_eq!(end(&two["session"], &asks).await.status, 204);
    assert_eq!(mine(&world, ("authorization", &bearer(&two["access_token"]))).await, "token_revoked");
    refresh(&world, &two["refresh_token"]).await.refused(401, "session_over");
    assert_eq!(mine(&world, ("authorization", &asks)).await, "ok");
    // and all of them
    let three = sign_in(&world, "ada").await;
    let all = send(&world, Method::DELETE, "session/", &[("authorization", &asks)], "").await;
    assert_eq!(all.status, 204);
    for tokens in [&one, &three] {
        assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "token_revoked");
        refresh(&world, &tokens["refresh_token"]).await.refused(401, "session_over");
    }
    assert_eq!(mine(&world, ("authorization", &bearer(&other["access_token"]))).await, "ok");
    // RULES 2.5: not for ever, only what was before
    assert_eq!(
        mine(&world, ("authorization", &bearer(&sign_in(&world, "ada").await["access_token"]))).await,
        "ok"
    );
}

#[tokio::test]
async fn what_another_issuer_signed_looks_after_no_session_of_ours() {
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let one = format!("session/{}", tokens["session"].as_str().unwrap());
    for subject in ["their-ada", "nobody-here"] {
        let theirs = format!("Bearer {}", world.theirs(subject));
        for (method, path) in [
            (Method::GET, "session/"),
            (Method::DELETE, "session/"),
            (Method::DELETE, "session/?others=true"),
            (Method::DELETE, one.as_str()),
        ] {
            let reply = send(&world, method, path, &[("authorization", &theirs)], "").await;
            reply.refused(403, "session_required");
        }
    }
    assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "ok");
}

#[tokio::test]
async fn a_new_password_ends_what_was_signed_in_with_the_old_one() {
    // RULES 5.2
    let world = World::new().await;
    person(&world, "ada").await;
    let tokens = sign_in(&world, "ada").await;
    let cookie = browser(&world, "ada").await;
    let ada = principal(&world, "ada").await;
    let new = ("five other words do as well", None);
    world.services.basic.set_password(&ada.id, new, &Caller::host(), world.clock.now()).await.unwrap();
    assert_eq!(mine(&world, ("authorization", &bearer(&tokens["access_token"]))).await, "token_revoked");
    assert_eq!(mine(&world, ("cookie", &cookie)).await, "credential_missing");
    refresh(&world, &tokens["refresh_token"]).await.refused(401, "session_over");
}

#[tokio::test]
async fn nobody_signs_in_over_plain_http_or_with_what_does_not_fit() {
    let world = World::new().await;
    person(&world, "ada").await;
    let body = json!({"username": "ada", "password": PASSWORD}).to_string();
    let plain = Peer { transport: Transport::Plain, ..TLS };
    let reply =
        world.on_gateway(request(Method::POST, "session/login", &[JSON], &body), plain).await.unwrap();
    reply.refused(403, "tls_required");
    let rows = [
        (json!({"username": "ada", "password": "wrong"}), 403, "password_wrong"),
        (json!({"username": "nobody", "password": PASSWORD}), 403, "password_wrong"),
        (json!({"username": "ada"}), 400, "request_malformed"),
        (json!({"username": "ada", "password": PASSWORD, "kookie": true}), 400, "request_malformed"),
        (
            json!({"username": "ada", "password": PASSWORD, "scope": "orders:delete"}),
            403,
            "scope_beyond_owner",
        ),
        (json!({"username": "ada", "password": PASSWORD, "cookie": true}), 403, "origin_not_allowed"),
    ];
    for (body, status, code) in rows {
        let reply = send(&world, Method::POST, "session/login", &[JSON], &body.to_string()).await;
        reply.refused(status, code);
        assert!(cookies(&reply).is_empty());
    }
}

#[tokio::test]
async fn nobody_is_sent_to_another_host() {
    let world = World::new().await;
    person(&world, "ada").await;
    for back in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\evil",
        "javascript:alert(1)",
        "",
        "orders",
        "/a\r\nset-cookie: a=b",
        "/\t/evil.example",
        "/.countersign/session/logout",
    ] {
        let back: String = back.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let body = format!("username=ada&password={}&return_to={back}", PASSWORD.replace(' ', "+"));
        let reply = send(&world, Method::POST, "session/login", &[FORM, OWN], &body).await;
        assert_eq!(reply.status, 303);
        assert_eq!(reply.headers["location"], "/", "{back}");
    }
}

#[tokio::test]
async fn the_page_works_without_a_script_and_loads_nothing() {
    let world = World::new().await;
    let page = send(&world, Method::GET, "session/login?return_to=%2Fa%22%3E%3Cb", &[], "").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("value=\"/a&quot;&gt;&lt;b\""), "{text}");
    assert!(!text.contains("<script"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.headers["cache-control"], "no-store");
    let body = "username=%3Cb%3E&password=wrong";
    let failed = send(&world, Method::POST, "session/login", &[FORM, OWN], body).await;
    let text = String::from_utf8(failed.body.to_vec()).unwrap();
    assert_eq!(failed.status, 403);
    assert!(text.contains("role=\"alert\"") && text.contains("value=\"&lt;b&gt;\""), "{text}");
    assert!(!text.contains("wrong\""), "the password comes back");
}

/// What the login page says to whoever comes with this cookie.
async fn login_page(world: &World, query: &str, cookie: &str) -> String {
    let page = send(world, Method::GET, &format!("session/login{query}"), &[("cookie", cookie)], "").await;
    assert_eq!(page.status, 200);
    assert!(cookies(&page).is_empty());
    assert_eq!(page.headers["cross-origin-resource-policy"], "same-origin");
    String::from_utf8(page.body.to_vec()).unwrap()
}

#[tokio::test]
async fn whoever_is_signed_in_is_told_so_and_not_as_whom() {
    let world = World::new().await;
    person(&world, "ada").await;
    let cookie = browser(&world, "ada").await;
    let text = login_page(&world, "?return_to=%2Forders%3Fa%3D1", &cookie).await;
    assert!(text.contains("You are signed in") && !text.contains("login-form"), "{text}");
    assert!(text.contains("id=\"continue\" href=\"/orders?a=1\""), "{text}");
    assert!(text.contains("action=\"/.countersign/session/logout\""), "{text}");
    assert!(!text.contains("ada") && !text.contains("usr_"), "{text}");
    for elsewhere in ["", "?return_to=https%3A%2F%2Fevil.example", "?return_to=%2F%2Fevil.example"] {
        let text = login_page(&world, elsewhere, &cookie).await;
        assert!(text.contains("id=\"continue\" href=\"/\""), "{text}");
    }
    // by the access token, where that is what the cookie holds
    let tokens = sign_in(&world, "ada").await;
    let signed = format!("__Host-session={}", tokens["access_token"].as_str().unwrap());
    assert!(login_page(&world, "", &signed).await.contains("You are signed in"));
    // what the gateway would not let in is asked to sign in, or it would be sent to and fro
    let twice = format!("{cookie}; {cookie}");
    let mistyped = format!("{cookie}x");
    for other in ["__Host-session=", "__Host-session=rubbish", &twice, &mistyped] {
        assert!(login_page(&world, "", other).await.contains("login-form"), "{other}");
    }
    send(&world, Method::POST, "session/logout", &[OWN, ("cookie", &cookie)], "").await;
    assert!(login_page(&world, "", &cookie).await.contains("login-form"));
    let access = bearer(&tokens["access_token"]);
    send(&world, Method::POST, "session/logout", &[("authorization", &access)], "").await;
    assert!(login_page(&world, "", &signed).await.contains("login-form"));
    // disabled, or with another password since
    let again = browser(&world, "ada").await;
    assert!(login_page(&world, "", &again).await.contains("You are signed in"));
    let ada = principal(&world, "ada").await;
    let new = ("five other words do as well", None);
    world.services.basic.set_password(&ada.id, new, &Caller::host(), world.clock.now()).await.unwrap();
    assert!(login_page(&world, "", &again).await.contains("login-form"));
}

#[tokio::test]
async fn the_keys_are_published_for_whoever_verifies() {
    let world = World::new().await;
    for path in ["jwks.json", "identity/jwks.json"] {
        let reply = send(&world, Method::GET, path, &[], "").await;
        assert_eq!(reply.headers["content-type"], "application/jwk-set+json");
        assert_eq!(reply.headers["cache-control"], "public, max-age=900");
        let keys = reply.json()["keys"].as_array().unwrap().clone();
        assert_eq!((keys.len(), &keys[0]["alg"], &keys[0]["use"]), (1, &json!("ES256"), &json!("sig")));
        assert!(keys[0].get("d").is_none());
        let etag = reply.headers["etag"].to_str().unwrap().to_owned();
        let same = send(&world, Method::GET, path, &[("if-none-match", &etag)], "").await;
        assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    }
    let (one, other) = ("/.well-known/jwks.json", "/.well-known/countersign-identity/jwks.json");
    let (one, other) = (world.get("", one).await, world.get("", other).await);
    assert_ne!(one.json()["keys"][0]["kid"], other.json()["keys"][0]["kid"]);
}

/// What one's own list says does not tell a thief when to come: right after the owner did.
#[tokio::test]
async fn the_list_says_in_which_hour_a_session_was_used() {
    let world = World::new().await;
    person(&world, "ada").await;
    let mut tokens = sign_in(&world, "ada").await;
    let mut seen = Vec::new();
    for seconds in [1, 1799, 1799, 1800] {
        world.advance(Duration::from_secs(seconds));
        tokens = refresh(&world, &tokens["refresh_token"]).await.expect(200);
        let field = ("authorization", &*bearer(&tokens["access_token"]));
        let list = send(&world, Method::GET, "session/", &[field], "").await.expect(200);
        seen.push(list["sessions"].clone());
    }
    assert!(seen[0][0]["last_used_at"].as_str().unwrap().ends_with(":00:00Z"), "{}", seen[0]);
    assert!(seen[0] == seen[1] && seen[1] == seen[2] && seen[2] != seen[3], "{seen:?}");
}
