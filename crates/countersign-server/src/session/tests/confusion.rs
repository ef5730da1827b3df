//! Every kind of token at every place that is another's (standards P, "token confusion"): where it is not at home it is refused,
//! with the code that the place has for what is made up, and its own session goes on.

use super::*;
use countersign_core::{RequestId, check::decision::Denial};
use countersign_crypto::jose::Algorithm;
use countersign_methods::{
    jwt::claims,
    session::{
        issue::{RefreshPlace, from_network},
        record::SessionKind,
        token::TokenKind,
    },
    signing::record::KeyPurpose,
};
use countersign_tower::respond::{self, Options};
use http::Response;
use std::net::Ipv4Addr;

/// One of everything that this deployment gives out.
struct Given {
    /// What it is, itself, and the places that it is for.
    all: Vec<(&'static str, String, &'static [Spot])>,
    session: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    MineBearer,
    MineCookie,
    OrdersBearer,
    OrdersKey,
    ExchangeBearer,
    ExchangeBasic,
    RefreshBody,
    RefreshCookie,
    Login,
    AdminBearer,
    AdminKey,
}

const PLACES: [(Spot, u16, &str); 11] = [
    (Spot::MineBearer, 401, "credential_invalid"),
    // RULES 1.6: a stale cookie is as good as none
    (Spot::MineCookie, 401, "credential_missing"),
    (Spot::OrdersBearer, 401, "credential_invalid"),
    (Spot::OrdersKey, 401, "credential_invalid"),
    (Spot::ExchangeBearer, 401, "credential_invalid"),
    (Spot::ExchangeBasic, 401, "credential_invalid"),
    (Spot::RefreshBody, 401, "session_over"),
    (Spot::RefreshCookie, 401, "session_over"),
    (Spot::Login, 403, "password_wrong"),
    (Spot::AdminBearer, 401, "credential_invalid"),
    (Spot::AdminKey, 401, "credential_invalid"),
];

async fn given(world: &World) -> Given {
    person(world, "ada").await;
    let tokens = sign_in(world, "ada").await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let cookie = browser(world, "ada").await.split_once('=').unwrap().1.to_owned();
    let sessions = world.services.sessions.as_ref().unwrap();
    let (said, _) = sessions.tokens.read(&text("access_token"), world.clock.now()).unwrap();
    let identity = |typ: &str| {
        let keys = world.services.signing.keys();
        keys.sign((KeyPurpose::Identity, Algorithm::Es256), typ, &claims::write(&said)).unwrap()
    };
    let app = app_password(world, "ada").await;
    let browsers = jwt_cookie::kept(world, "api.example.com", SessionKind::JwtCookie).await.refresh;
    let forged = {
        let made = text("refresh_token");
        let (body, mark) = made.rsplit_once('.').unwrap();
        format!("{body}.{}", mark.chars().rev().collect::<String>())
    };
    let all: Vec<(&'static str, String, &'static [Spot])> = vec![
        ("an access token", text("access_token"), &[Spot::MineBearer, Spot::MineCookie]),
        ("a refresh token", text("refresh_token"), &[Spot::RefreshBody]),
        ("a session's cookie", cookie, &[Spot::MineCookie]),
        ("an identity JWT", identity("countersign-identity+jwt"), &[]),
        ("an identity JWT that says it is an access token", identity("at+jwt"), &[]),
        (
            "a key",
            world.key("robot", "orders:read").await,
            &[Spot::OrdersBearer, Spot::OrdersKey, Spot::ExchangeBearer],
        ),
        ("an app password", app, &[Spot::ExchangeBasic]),
        ("a browser's refresh token", browsers, &[Spot::RefreshCookie]),
        ("a refresh token of nobody's making", forged, &[]),
        ("a key of nobody's making", crate::test_world::forged(&world.root), &[]),
        ("what is nothing", "x".repeat(40), &[]),
    ];
    Given { all, session: text("session") }
}

/// Each from a network of its own.
fn peer(n: usize) -> Peer {
    let address = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()).into();
    Peer { address, transport: Transport::Tls }
}

/// Status and code of a refusal; `(200, "")`: let in.
async fn shown(world: &World, at: Spot, value: &str, n: usize) -> (u16, String) {
    let bearer = format!("Bearer {value}");
    let basic = basic("ada", value);
    let cookie = |name: &str| format!("{name}={value}");
    let (session, refresh) = (cookie("__Host-session"), cookie("__Host-refresh"));
    let request = match at {
        Spot::MineBearer => request(Method::GET, "session/", &[("authorization", &bearer)], ""),
        Spot::MineCookie => request(Method::GET, "session/", &[("cookie", &session)], ""),
        Spot::OrdersBearer | Spot::OrdersKey => {
            let field =
                if at == Spot::OrdersKey { ("x-api-key", value) } else { ("authorization", &*bearer) };
            let built = Request::builder().uri("/orders/1").header("host", "api.example.com");
            built.header(field.0, field.1).body(Bytes::new()).unwrap()
        }
        Spot::ExchangeBearer => {
            request(Method::POST, "session/exchange", &[JSON, ("authorization", &bearer)], "{}")
        }
        Spot::ExchangeBasic => {
            request(Method::POST, "session/exchange", &[JSON, ("authorization", &basic)], "{}")
        }
        Spot::RefreshBody => {
            let body = json!({"refresh_token": value}).to_string();
            request(Method::POST, "session/refresh", &[JSON], &body)
        }
        Spot::RefreshCookie => request(Method::POST, "session/refresh", &[OWN, ("cookie", &refresh)], ""),
        Spot::Login => {
            let body = json!({"username": "ada", "password": value}).to_string();
            request(Method::POST, "session/login", &[JSON], &body)
        }
        Spot::AdminBearer | Spot::AdminKey => {
            let field = if at == Spot::AdminKey { ("x-api-key", value) } else { ("authorization", &*bearer) };
            let built = Request::builder().uri("/admin/v1/principals").header("host", "localhost");
            let request = built.header(field.0, field.1).body(axum::body::Body::empty()).unwrap();
            let reply = world.send_from(request, peer(n)).await;
            return answered(reply);
        }
    };
    let is_orders = matches!(at, Spot::OrdersBearer | Spot::OrdersKey);
    match world.on_gateway(request, peer(n)).await {
        // what would be forwarded; nobody stands behind it here
        Ok(_) if is_orders => (200, String::new()),
        Ok(reply) => answered(reply),
        Err(denial) => (denial.kind.status().as_u16(), denial.code.to_owned()),
    }
}

fn answered(reply: Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.code())
}

#[tokio::test]
async fn every_token_is_good_in_its_own_place_alone() {
    let world = World::new().await;
    let given = given(&world).await;
    let mut n = 0;
    for (what, value, home) in &given.all {
        for (at, status, code) in PLACES {
            n += 1;
            let expected = match (home.contains(&at), *what, at) {
                (true, ..) => (200, String::new()),
                // a key is at home there too; this one is no operator's
                (_, "a key", Spot::AdminBearer | Spot::AdminKey) => (403, "scope_missing".to_owned()),
                _ => (status, code.to_owned()),
            };
            assert_eq!(shown(&world, at, value, n).await, expected, "{what} at {at:?}");
        }
    }
    // nobody's session ended over it, and nothing was taken for a second use
    assert!(!world.store.actions().iter().any(|action| action == "session.reuse" || action == "session.end"));
    let (_, refresh, _) = &given.all[1];
    assert_eq!(shown(&world, Spot::RefreshBody, refresh, n + 1).await, (200, String::new()));
}

/// What ends things takes what it is for, and says the same to whatever else (RFC 7009 2.2).
#[tokio::test]
async fn what_signs_out_or_revokes_ends_only_what_was_shown() {
    let world = World::new().await;
    let given = given(&world).await;
    let access = json!(given.all[0].1);
    let id = countersign_core::CredentialId::new(&given.session);
    let open = async || {
        let sessions = world.services.sessions.as_ref().unwrap();
        sessions.issuer.find(&id).await.unwrap().unwrap().is_open(world.clock.now())
    };
    for (what, value, _) in given.all.iter().filter(|(_, value, _)| *value != given.all[1].1) {
        let body = json!({"refresh_token": value}).to_string();
        let out = send(&world, Method::POST, "session/logout", &[JSON], &body).await;
        assert_eq!((out.status.as_u16(), open().await), (204, true), "{what} as a refresh token");
    }
    for (what, value, _) in given.all.iter().skip(1) {
        let field = format!("Bearer {value}");
        let out = send(&world, Method::POST, "session/logout", &[("authorization", &field)], "").await;
        assert_eq!((out.status.as_u16(), open().await), (204, true), "{what} as an access token");
    }
    for (what, value, _) in &given.all[3..] {
        let reply = world.post("", "/revoke", json!({"token": value})).await;
        assert_eq!((reply.status.as_u16(), open().await), (200, true), "{what} revoked");
        assert_eq!(mine(&world, ("authorization", &bearer(&access))).await, "ok", "{what} revoked");
    }
    // an access token ends alone (RFC 7009 2.1), a refresh token takes its session along
    assert_eq!(world.post("", "/revoke", json!({"token": access})).await.status, 200);
    assert_eq!(mine(&world, ("authorization", &bearer(&access))).await, "token_revoked");
    assert!(open().await);
    assert_eq!(world.post("", "/revoke", json!({"token": given.all[1].1})).await.status, 200);
    assert!(!open().await);
}

/// Held by the hall as by the doors: a token of one kind is none of the other.
#[tokio::test]
async fn the_hall_keeps_its_two_kinds_apart() {
    let world = World::new().await;
    let given = given(&world).await;
    let sessions = &world.services.sessions.as_ref().unwrap().issuer;
    let caller = from_network([192, 0, 2, 9].into(), RequestId([7; 16]));
    let now = world.clock.now();
    for (what, value, _) in &given.all {
        let is_cookie = what.contains("cookie");
        let found = sessions.of_cookie(value.as_bytes(), now).await.unwrap();
        assert_eq!(found.is_some(), is_cookie, "{what}");
        if !["a refresh token", "a browser's refresh token"].contains(what) {
            let refreshed = sessions.refresh(value.as_bytes(), RefreshPlace::Body, &caller, now).await;
            assert!(refreshed.is_err(), "{what}");
            sessions.sign_out(TokenKind::Refresh, value.as_bytes(), &caller, now).await.unwrap();
        }
        if !is_cookie {
            sessions.sign_out(TokenKind::Cookie, value.as_bytes(), &caller, now).await.unwrap();
        }
    }
    assert!(!world.store.actions().contains(&"session.end".to_owned()));
}

/// RFC 6750 3, 3.1, to the letter.
#[tokio::test]
async fn a_challenge_says_what_rfc_6750_says() {
    let world = World::new().await;
    let given = given(&world).await;
    let (access, refresh) = (&given.all[0].1, &given.all[1].1);
    let says = |denial: &Denial| {
        let answer: Response<Bytes> =
            respond::denial(denial, RequestId([1; 16]), &Options { realm: "countersign".into() });
        let fields = answer.headers().get_all("www-authenticate").iter();
        (answer.status().as_u16(), fields.map(|f| f.to_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let denied = async |fields: &[(&str, &str)]| {
        let denial = world.on_gateway(request(Method::GET, "session/", fields, ""), TLS).await.unwrap_err();
        says(&denial)
    };
    let bare = vec!["Bearer realm=\"countersign\"".to_owned()];
    let told = vec!["Bearer realm=\"countersign\", error=\"invalid_token\"".to_owned()];
    assert_eq!(denied(&[]).await, (401, bare.clone()));
    assert_eq!(denied(&[("cookie", "__Host-session=stale")]).await, (401, bare));
    assert_eq!(denied(&[("authorization", &format!("Bearer {refresh}"))]).await, (401, told.clone()));
    assert_eq!(denied(&[("authorization", "Bearer")]).await.0, 400);
    let field = format!("Bearer {access}");
    assert_eq!(denied(&[("authorization", &field), ("authorization", &field)]).await.0, 400);
    world.advance(Duration::from_secs(300));
    assert_eq!(denied(&[("authorization", &field)]).await, (401, told));
}
