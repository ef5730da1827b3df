//! RULES 3.3: who calls, in a JWT that is minted once for many requests and never outlives what it says.

use crate::support::{Act, Got, KEY, OK, Rig, Upstream, code, needs, routes, status};
use countersign_core::{
    MethodName, Node, NodeKind, ScopeSet, Timestamp,
    check::route::{Alternative, Route, SecurityRequirement},
    principal::Group,
};
use countersign_gateway::{GatewayConfig, Identity, IdentityPreset, IdentitySigner, UpstreamConfig};
use countersign_testkit::{Fixture, FixtureBuilder, principal};
use serde_json::{Map, Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const ROBOT: &str = "svc_robot000000000000000";

/// Signs nothing, and tells each token from the others.
#[derive(Debug, Default)]
struct Signer {
    signed: AtomicU64,
    revision: AtomicU64,
    /// Instead of a token.
    instead: Mutex<Option<Option<String>>>,
}

impl Signer {
    fn signed(&self) -> u64 {
        self.signed.load(Ordering::SeqCst)
    }
}

impl IdentitySigner for Signer {
    fn sign(&self, claims: &Map<String, Value>) -> Option<String> {
        if let Some(instead) = &*self.instead.lock().unwrap() {
            return instead.clone();
        }
        let number = self.signed.fetch_add(1, Ordering::SeqCst);
        let payload: String =
            serde_json::to_string(claims).unwrap().bytes().map(|b| format!("{b:02x}")).collect();
        Some(format!("{number}.{payload}.x"))
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }
}

fn claims(got: &Got) -> Value {
    let tokens = got.field("countersign-identity");
    assert_eq!(tokens.len(), 1, "{}", got.text());
    let payload = tokens[0].split('.').nth(1).unwrap();
    let bytes: Vec<u8> = (0..payload.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&payload[at..at + 2], 16).unwrap())
        .collect();
    serde_json::from_slice(&bytes).unwrap()
}

struct Signed {
    rig: Rig,
    signer: Arc<Signer>,
}

/// With credentials that are remembered for as long as a test takes.
fn builder(routes: Vec<Route>) -> FixtureBuilder {
    Fixture::builder().routes(routes).settings(|settings| settings.cache_lifetime = Duration::from_secs(3600))
}

async fn signed(routes: Vec<Route>, change: impl FnOnce(&mut GatewayConfig)) -> Signed {
    let signer = Arc::new(Signer::default());
    let identity = Identity { issuer: "https://id.example".into(), signer: signer.clone() };
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::built(upstream, builder(routes), |config| {
        config.signed = Some(identity);
        change(config);
    });
    Signed { rig: rig.await, signer }
}

impl Signed {
    /// The claims that came with a GET.
    async fn told(&self, target: &str, fields: &str) -> Value {
        let answer = self.rig.send(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n")).await;
        assert_eq!(status(&answer), 200, "{answer}");
        claims(&self.rig.upstream.requests().pop().unwrap())
    }
}

/// Every claim, of the subject and of whoever stands beside it.
#[tokio::test]
async fn rule_3_3_the_claims() {
    let both = Alternative(vec![
        (MethodName::ApiKey, ScopeSet::default()),
        (MethodName::Mtls, ScopeSet::parse("orders:read").unwrap()),
    ]);
    let mut all = routes();
    all.push(Route::new("/both/*", "api", SecurityRequirement::AnyOf(vec![both])));
    let signed = signed(all, |_| {}).await;
    let robot = principal("robot", "");
    let key = signed.rig.fixture.room(MethodName::ApiKey);
    let mut known = key.authentication("wide", &robot.id, "orders:read orders:write more");
    known.authenticated_at = Timestamp::from_seconds(1_799_999_000);
    key.script("wide", countersign_testkit::Answer::Good(Box::new(known)));
    let mut person = principal("alice", "orders:read orders:write");
    person.kind = countersign_core::principal::PrincipalKind::User;
    signed.rig.fixture.directory.set(&person);
    signed.rig.fixture.room(MethodName::Mtls).good("card", &person.id, "orders:read orders:write");

    let mut told = signed.told("/a", "x-api-key: wide\r\n").await;
    let jti = told.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(
        jti.as_str().unwrap().len() == 32 && jti.as_str().unwrap().bytes().all(|b| b.is_ascii_hexdigit())
    );
    let expected = json!({
        "iss": "https://id.example",
        "aud": "api",
        "sub": ROBOT,
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "name": "robot",
        "kind": "service",
        // cut to what the principal may do now
        "scope": "orders:read",
        "groups": ["crew"],
        "method": "api_key",
        "credential": "wide",
        "auth_time": 1_799_999_000,
    });
    assert_eq!(told, expected);

    let told = signed.told("/both/a", &format!("{KEY}x-mtls: card\r\n")).await;
    assert_eq!(told["sub"], ROBOT);
    let actor = json!({
        "sub": person.id.to_string(),
        "name": "alice",
        "method": "mtls",
        "credential": "card",
        "scope": "orders:read orders:write",
    });
    assert_eq!(told["actors"], json!([actor]));
    // RULES 2.1: what was good and not needed says nothing
    let told = signed.told("/a", &format!("{KEY}x-mtls: card\r\n")).await;
    assert_eq!(told.get("actors"), None);
    // who is in no group has none
    let alone = principal("alone", "");
    signed.rig.fixture.directory.set(&alone);
    key.good("alone", &alone.id, "");
    let told = signed.told("/a", "x-api-key: alone\r\n").await;
    assert_eq!((told.get("groups"), &told["scope"]), (None, &json!("")));
}

/// Nobody to name, or other words to name them in.
#[tokio::test]
async fn rule_3_3_where_there_is_none() {
    let signed = signed(routes(), |_| {}).await;
    let open = "GET /open/a HTTP/1.1\r\nHost: a.example\r\nCountersign-Identity: evil\r\n\r\n";
    assert_eq!(status(&signed.rig.send(open).await), 200);
    assert!(!signed.rig.upstream.only().text().to_lowercase().contains("countersign-identity"));
    for preset in [IdentityPreset::OAuth2Proxy, IdentityPreset::Authelia, IdentityPreset::Consumer] {
        let other = self::signed(routes(), |config| config.identity = preset).await;
        assert_eq!(status(&other.rig.get("/a", "").await), 200);
        assert!(other.rig.upstream.only().field("countersign-identity").is_empty(), "{preset:?}");
        assert_eq!(other.signer.signed(), 0);
    }
    // an upstream that wants none, and what it was sent does not reach it either
    let off =
        |config: &mut GatewayConfig| config.upstreams.iter_mut().for_each(|u| u.signed_identity = false);
    let other = self::signed(routes(), off).await;
    assert_eq!(status(&other.rig.get("/a", "Countersign-Identity: evil\r\n").await), 200);
    assert!(other.rig.upstream.only().field("countersign-identity").is_empty());
    assert_eq!(
        (other.rig.upstream.only().field("countersign-principal").len(), other.signer.signed()),
        (1, 0)
    );
    let unsigned = Rig::plain().await;
    assert_eq!(status(&unsigned.get("/a", "Countersign-Identity: evil\r\n").await), 200);
    assert!(unsigned.upstream.only().field("countersign-identity").is_empty());
}

/// RULES 3.1: there is one, and it is ours, whatever else was sent.
#[tokio::test]
async fn rule_3_1_no_other_one_arrives() {
    let signed = signed(routes(), |_| {}).await;
    for planted in [
        "Countersign-Identity: evil\r\n",
        "countersign-identity: evil\r\nCOUNTERSIGN-IDENTITY: evil\r\n",
        "Countersign.Identity: evil\r\n",
        "Countersign!Identity: evil\r\n",
        "X-Countersign-Identity: evil\r\n",
        "Connection: countersign-identity\r\nCountersign-Identity: evil\r\n",
        "Connection: Countersign-Identity\r\n",
    ] {
        assert_eq!(status(&signed.rig.get("/a", planted).await), 200, "{planted}");
        let got = signed.rig.upstream.requests().pop().unwrap();
        assert!(!got.text().contains("evil"), "{}", got.text());
        assert_eq!(claims(&got)["sub"], ROBOT, "{planted}");
    }
    let trailer = format!(
        "POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Transfer-Encoding: chunked\r\nTrailer: countersign-identity\r\n\
         \r\n2\r\nok\r\n0\r\nCountersign-Identity: evil\r\n\r\n"
    );
    assert_eq!(status(&signed.rig.send(trailer).await), 200);
    let got = signed.rig.upstream.requests().pop().unwrap();
    assert!(!got.text().contains("evil"), "{}", got.text());
    assert_eq!(claims(&got)["sub"], ROBOT);
}

/// At least 30 s of its 60 are left to whoever gets it.
#[tokio::test]
async fn rule_3_3_one_is_minted_for_30_seconds() {
    let signed = signed(routes(), |_| {}).await;
    let clock = signed.rig.fixture.clock.clone();
    let jti = async || signed.told("/a", KEY).await["jti"].clone();
    let first = jti().await;
    assert_eq!(jti().await, first);
    clock.advance(Duration::from_micros(29_999_999));
    assert_eq!((jti().await, signed.signer.signed()), (first.clone(), 1));
    clock.advance(Duration::from_micros(1));
    let second = jti().await;
    assert_ne!(second, first);
    assert_eq!((jti().await, signed.signer.signed()), (second.clone(), 2));
    // `exp` is of whole seconds: what began late in one is minted anew earlier
    clock.advance(Duration::from_millis(40_900));
    let third = jti().await;
    clock.advance(Duration::from_millis(29_099));
    assert_eq!(jti().await, third);
    clock.advance(Duration::from_millis(1));
    assert_ne!(jti().await, third);
    assert_eq!(signed.signer.signed(), 4);
    // a clock that is put back
    clock.set(Timestamp::from_seconds(1_800_000_000));
    let told = signed.told("/a", KEY).await;
    assert_eq!((told["exp"].as_i64(), signed.signer.signed()), (Some(1_800_000_060), 5));
}

/// RULES 2.6: and no later than what showed who calls.
#[tokio::test]
async fn rule_3_3_it_ends_no_later_than_the_credential() {
    let signed = signed(routes(), |_| {}).await;
    let clock = signed.rig.fixture.clock.clone();
    let key = signed.rig.fixture.room(MethodName::ApiKey);
    let mut known = key.authentication("short", &principal("robot", "").id, "orders:read");
    known.expires_at = Some(Timestamp::from_micros(1_800_000_040_500_000));
    key.script("short", countersign_testkit::Answer::Good(Box::new(known)));
    let exp = async || signed.told("/a", "x-api-key: short\r\n").await["exp"].as_i64().unwrap();
    assert_eq!(exp().await, 1_800_000_040);
    // and is minted no more often for it
    clock.advance(Duration::from_micros(29_999_999));
    assert_eq!((exp().await, signed.signer.signed()), (1_800_000_040, 1));
    clock.advance(Duration::from_micros(1));
    assert_eq!((exp().await, signed.signer.signed()), (1_800_000_040, 2));
    clock.advance(Duration::from_secs(9));
    assert_eq!((exp().await, signed.signer.signed()), (1_800_000_040, 2));
    // `exp` is of whole seconds: in the last part of one there is one that ends with it
    clock.advance(Duration::from_millis(1499));
    assert_eq!(exp().await, 1_800_000_041);
}

#[tokio::test]
async fn rule_3_3_it_dies_with_what_it_says_and_with_its_key() {
    let signed = signed(routes(), |_| {}).await;
    let fixture = signed.rig.fixture.clone();
    let jti = async || signed.told("/a", KEY).await["jti"].clone();
    let first = jti().await;
    // something was revoked: whose it was is not asked
    fixture.feed.revoke(Node::new(NodeKind::Session, "other"));
    let second = jti().await;
    assert_ne!(second, first);
    assert_eq!(jti().await, second);
    signed.signer.revision.fetch_add(1, Ordering::SeqCst);
    let third = jti().await;
    assert_ne!(third, second);
    // what the principal is now
    let mut robot = principal("robot", "orders:read");
    robot.groups = vec![Group::parse("night-shift").unwrap()];
    fixture.directory.set(&robot);
    let told = signed.told("/a", KEY).await;
    assert_ne!(told["jti"], third);
    assert_eq!(told["groups"], json!(["night-shift"]));
    fixture.feed.revoke(fixture.room(MethodName::ApiKey).node("good"));
    let before = signed.signer.signed();
    assert_eq!(status(&signed.rig.get("/a", "").await), 401);
    assert_eq!(signed.signer.signed(), before);
}

/// One for each upstream, and for each credential: neither is told what is another's.
#[tokio::test]
async fn rule_3_3_two_upstreams_and_two_credentials_have_their_own() {
    let mut all = routes();
    all.push(Route::new("/other/*", "other", needs("")));
    let second = Upstream::start(|_| Act::answer(OK)).await;
    let url = format!("http://{}", second.address);
    let signed = signed(all, |config| {
        let audience = Some("https://other.example".into());
        config.upstreams.push(UpstreamConfig { audience, ..UpstreamConfig::new("other", url) });
    })
    .await;
    let robot = principal("robot", "");
    signed.rig.fixture.room(MethodName::ApiKey).good("narrow", &robot.id, "");
    let mut jtis = Vec::new();
    for _ in 0..2 {
        let here = signed.told("/a", KEY).await;
        assert_eq!(status(&signed.rig.get("/other/a", "").await), 200);
        let there = claims(&second.requests().pop().unwrap());
        let narrow = signed.told("/a", "x-api-key: narrow\r\n").await;
        assert_eq!((&here["aud"], &there["aud"]), (&json!("api"), &json!("https://other.example")));
        assert_eq!((&here["scope"], &narrow["scope"]), (&json!("orders:read"), &json!("")));
        assert_eq!(narrow["credential"], "narrow");
        jtis.push([&here, &there, &narrow].map(|told| told["jti"].clone()));
    }
    assert_eq!(jtis[0], jtis[1]);
    assert!(jtis[0][0] != jtis[0][1] && jtis[0][0] != jtis[0][2] && jtis[0][1] != jtis[0][2]);
    assert_eq!(signed.signer.signed(), 3);
}

/// Many callers, one after the other: what is kept is bounded, and whoever comes again is named rightly all the same.
#[tokio::test]
async fn more_callers_than_are_remembered() {
    let signed = signed(routes(), |_| {}).await;
    let robot = principal("robot", "");
    let room = signed.rig.fixture.room(MethodName::ApiKey);
    let names: Vec<String> = (0..4100).map(|n| format!("key{n}")).collect();
    for name in &names {
        room.good(name, &robot.id, "");
    }
    let mut client = signed.rig.connect().await;
    for name in names.iter().chain(&names[..10]) {
        client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\nx-api-key: {name}\r\n\r\n")).await;
        assert_eq!(status(&client.answer().await), 200, "{name}");
    }
    let requests = signed.rig.upstream.requests();
    for (got, name) in requests.iter().zip(names.iter().chain(&names[..10])) {
        assert_eq!(claims(got)["credential"], name.as_str());
    }
    assert_eq!(signed.signer.signed(), 4110, "the first were forgotten");
}

/// Fail closed: nobody is forwarded without the word that the upstream waits for.
#[tokio::test]
async fn rule_3_3_without_a_token_nothing_goes_upstream() {
    let signed = signed(routes(), |_| {}).await;
    for (instead, expected) in [
        (None, (503, "identity_unavailable")),
        (Some("x".repeat(8 * 1024 + 1)), (500, "internal")),
        (Some("a b".into()), (500, "internal")),
        (Some("a\r\nevil: 1".into()), (500, "internal")),
        (Some("\u{e4}".into()), (500, "internal")),
        (Some(String::new()), (500, "internal")),
    ] {
        *signed.signer.instead.lock().unwrap() = Some(instead.clone());
        let answer = signed.rig.get("/a", "").await;
        assert_eq!((status(&answer), &*code(&answer)), expected, "{instead:?}: {answer}");
        assert_eq!(expected.0 == 503, answer.contains("retry-after: 1"), "{answer}");
    }
    assert!(signed.rig.upstream.requests().is_empty());
    *signed.signer.instead.lock().unwrap() = Some(Some("x".repeat(8 * 1024)));
    assert_eq!(status(&signed.rig.get("/a", "").await), 200);
    assert_eq!(signed.rig.upstream.only().field("countersign-identity")[0].len(), 8 * 1024);
    // what failed is not remembered
    *signed.signer.instead.lock().unwrap() = None;
    signed.signer.revision.fetch_add(1, Ordering::SeqCst);
    assert_eq!(signed.told("/a", KEY).await["sub"], ROBOT);
}
