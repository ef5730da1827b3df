//! Tokens of issuers that are trusted: keys that were discovered or read from a file, and what becomes of a caller.

use crate::{
    issuer::{Issuer, claims, key_set, new_key, signed},
    support::{Answer, Deployment, LONG, RESOURCE, read},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_crypto::{jose::sign, key::SigningKey};
use countersign_methods::jwt::foreign::identity::principal_id;
use countersign_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const PARTNER: &str = "https://idp.partner.example";
const REFUSED: &str = "Bearer realm=\"countersign\", error=\"invalid_token\"";

/// `staff` is discovered on loopback, the keys of `partner` stand in a file.
struct House {
    deployment: Deployment,
    staff: Issuer,
    partner: SigningKey,
    _keys: tempfile::TempDir,
}

impl House {
    /// `more` stands in the entry of `staff`.
    async fn start(more: &str) -> Self {
        let (staff, partner, keys) = (Issuer::start().await, new_key(), tempfile::tempdir().unwrap());
        let file = keys.path().join("partner.json");
        std::fs::write(&file, key_set(&partner)).unwrap();
        let (url, file) = (&staff.url, file.display());
        let rest = format!(
            r#"
[egress]
allow = ["127.0.0.0/8"]

[observe]
listen = "127.0.0.1:0"

[[issuers]]
name = "staff"
issuer = "{url}"
audiences = ["{RESOURCE}", "https://other.example.com"]
scopes = ["orders:read"]
{more}

[[issuers]]
name = "partner"
issuer = "{PARTNER}"
jwks = {{ file = "{file}" }}
audiences = ["{RESOURCE}", "https://other.example.com"]
scopes = ["orders:read"]

[[issuers]]
name = "gone"
issuer = "http://127.0.0.1:9"
audiences = ["{RESOURCE}"]

[[routes]]
path = "/orders/{{id}}"
methods = ["GET"]
upstream = "api"
security = [{{ jwt = ["orders:read"] }}]

[[routes]]
path = "/orders"
methods = ["GET"]
upstream = "api"
security = [{{ jwt = ["orders:write"] }}]
"#
        );
        let deployment = Deployment::signing(&rest).await;
        let this = Self { deployment, staff, partner, _keys: keys };
        // both were fetched once what they signed is good; until then it is nobody's fault but ours
        for (key, iss) in this.issuers() {
            let token = signed(key, &this.claims(iss, "first"));
            eventually(LONG, async || match this.get(&token).await {
                answer if answer.status == 200 => true,
                answer => {
                    assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "store_unavailable"));
                    false
                }
            })
            .await;
        }
        this
    }

    fn issuers(&self) -> [(&SigningKey, &str); 2] {
        [(&self.staff.key, &self.staff.url), (&self.partner, PARTNER)]
    }

    fn claims(&self, iss: &str, sub: &str) -> Value {
        claims(iss, sub, RESOURCE, self.deployment.now())
    }

    async fn get(&self, token: &str) -> Answer {
        self.deployment.settled(self.deployment.gateway(Method::GET, "/orders/1").bearer_auth(token)).await
    }
}

fn refused(answer: &Answer) -> (u16, String, String) {
    let challenge = answer.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap());
    (answer.status.as_u16(), answer.code(), challenge.to_owned())
}

/// RFC 6750 3.1, RFC 9068 4; each row: what is said instead of what is good, and the code.
#[tokio::test(flavor = "multi_thread")]
async fn rules_1_8_what_an_issuer_signed_for_us_is_let_in_and_nothing_else() {
    let house = House::start("").await;
    let now = house.deployment.now().as_seconds();
    for (key, iss) in house.issuers() {
        let good = house.claims(iss, "carol");
        let answer = house.get(&signed(key, &good)).await;
        assert_eq!(answer.status, 200, "{iss}: {answer:?}");
        let told = answer.json()["headers"].clone();
        assert_eq!(told["countersign-principal"], principal_id(iss, "carol").as_str(), "{iss}");
        assert!(told.get("authorization").is_none(), "{told}");

        let rows = [
            ("aud", json!("https://elsewhere.example.com"), "credential_invalid"),
            // the entry's, and not the route's (RULES 1.5)
            ("aud", json!("https://other.example.com"), "credential_invalid"),
            ("aud", Value::Null, "credential_invalid"),
            ("exp", json!(now), "token_expired"),
            ("nbf", json!(now + 31), "credential_invalid"),
            ("iat", json!(now + 31), "credential_invalid"),
            ("iat", json!(now - 86_400), "credential_invalid"),
            // RULES 1.4: whatever it is bound to, nothing here asks for it
            ("cnf", json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), "credential_invalid"),
            ("cnf", json!({}), "credential_invalid"),
            ("sub", Value::Null, "credential_invalid"),
            ("iss", json!("https://idp.example.org"), "credential_invalid"),
            ("iss", json!(format!("{iss}/")), "credential_invalid"),
        ];
        for (claim, value, code) in rows {
            let mut claims = good.clone();
            match value.is_null() {
                true => drop(claims.as_object_mut().unwrap().remove(claim)),
                false => claims[claim] = value,
            }
            let expected = (401, code.to_owned(), REFUSED.to_owned());
            assert_eq!(refused(&house.get(&signed(key, &claims)).await), expected, "{iss}: {claims}");
        }
        let as_id_token = sign(key, "JWT", good.as_object().unwrap()).unwrap();
        let (head, signature) = (signed(key, &good), signed(&new_key(), &good));
        let head = head.rsplit_once('.').unwrap().0;
        // by the `kid` of the issuer, and by the other's signature
        let forged = format!("{head}.{}", signature.rsplit('.').next().unwrap());
        let others = house.issuers().into_iter().find(|(_, other)| *other != iss).unwrap().0;
        for token in [as_id_token, forged, signed(&new_key(), &good), signed(others, &good)] {
            let expected = (401, "credential_invalid".to_owned(), REFUSED.to_owned());
            assert_eq!(refused(&house.get(&token).await), expected, "{iss}");
        }
        // its word is cut to its entry's list
        let wants = good["scope"].as_str().unwrap().replace("orders:read", "orders:write");
        let mut claims = good.clone();
        claims["scope"] = json!(wants);
        for (path, scope, claims) in
            [("/orders", "orders:write", &claims), ("/orders/1", "orders:read", &claims)]
        {
            let answer = house.deployment.gateway(Method::GET, path).bearer_auth(signed(key, claims));
            let told =
                format!("Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"{scope}\"");
            assert_eq!(refused(&read(answer).await), (403, "scope_missing".into(), told), "{iss}: {path}");
        }
    }
    let nobody = read(house.deployment.gateway(Method::GET, "/orders/1")).await;
    let bare = "Bearer realm=\"countersign\"".to_owned();
    assert_eq!(refused(&nobody), (401, "credential_missing".into(), bare));
    // RULES 5.3: an issuer that was never heard of is an outage of ours
    let gone = house.get(&signed(&new_key(), &house.claims("http://127.0.0.1:9", "carol"))).await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (503, "store_unavailable"));

    // what was let in once is judged each time
    let last = signed(&house.staff.key, &house.claims(&house.staff.url, "carol"));
    house.deployment.advance(Duration::from_secs(299));
    assert_eq!(house.get(&last).await.status, 200);
    house.deployment.advance(Duration::from_secs(1));
    assert_eq!(refused(&house.get(&last).await), (401, "token_expired".into(), REFUSED.to_owned()));
    house.deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_1_8_who_stands_under_local_comes_as_our_own() {
    let house = House::start("local = { \"their-ada\" = \"ada\" }").await;
    let (deployment, url) = (&house.deployment, &house.staff.url);
    let token = signed(&house.staff.key, &house.claims(url, "their-ada"));
    let nobody = (401, "credential_invalid".to_owned(), REFUSED.to_owned());
    assert_eq!(refused(&house.get(&token).await), nobody);

    let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"], "groups": ["desk"]});
    let ada = deployment.admin(Method::POST, "principals", Some(ada)).await;
    assert_eq!(ada.status, 201, "{ada:?}");
    let id = ada.json()["id"].clone();
    let answer = house.get(&token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json()["headers"].clone();
    assert_eq!(told["countersign-principal"], id);
    let identity = told["countersign-identity"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let identity: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(identity).unwrap()).unwrap();
    assert_eq!((&identity["sub"], &identity["name"]), (&id, &json!("ada")));
    assert_eq!((&identity["groups"], &identity["scope"]), (&json!(["desk"]), &json!("orders:read")));

    // the same subject of an issuer whose entry does not list it is somebody else
    let other = house.get(&signed(&house.partner, &house.claims(PARTNER, "their-ada"))).await;
    let other = other.json()["headers"]["countersign-principal"].clone();
    assert_eq!(other, principal_id(PARTNER, "their-ada").as_str());

    // she may no more than she may
    let narrowed = json!({"scopes": []});
    assert_eq!(deployment.admin(Method::PATCH, "principals/ada", Some(narrowed)).await.status, 200);
    let answer = house.get(&token).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "scope_missing"));
    let disabled = json!({"enabled": false, "scopes": ["orders:read"]});
    assert_eq!(deployment.admin(Method::PATCH, "principals/ada", Some(disabled)).await.status, 200);
    assert_eq!(house.get(&token).await.status, 401);
    house.deployment.stop().await;
}

/// RULES 5.3: what was fetched goes on while the issuer is down, and whoever watches sees since when.
#[tokio::test(flavor = "multi_thread")]
async fn how_the_keys_of_issuers_do_is_counted() {
    let house = House::start("").await;
    let begun = house.deployment.now().as_seconds();
    let metrics = async || {
        let address = house.deployment.running.watched_address().unwrap();
        read(reqwest::Client::new().get(format!("http://{address}/metrics"))).await.text
    };
    let counted = |metrics: &str, family: &str, labels: &str| {
        let name = format!("{family}{{{labels}}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<i64>().ok())
    };
    let fetches = |metrics: &str, outcome: &str| {
        let labels = format!("issuer=\"staff\",outcome=\"{outcome}\"");
        counted(metrics, "countersign_issuer_key_fetches_total", &labels).unwrap()
    };
    let at = "countersign_issuer_keys_fetched_timestamp_seconds";
    let seen = metrics().await;
    for (issuer, keys, fetched) in [("staff", 1, Some(begun)), ("partner", 1, None), ("gone", 0, None)] {
        let labels = format!("issuer=\"{issuer}\"");
        assert_eq!(counted(&seen, "countersign_issuer_keys", &labels), Some(keys), "{seen}");
        assert_eq!(counted(&seen, at, &labels), fetched, "{seen}");
    }
    assert_eq!((fetches(&seen, "succeeded"), fetches(&seen, "failed")), (1, 0), "{seen}");

    // a key that is not there makes it look
    let url = house.staff.url.clone();
    let stranger = async || house.get(&signed(&new_key(), &house.claims(&url, "carol"))).await.status;
    house.staff.is_up(false);
    house.deployment.advance(MINUTE * 15);
    assert_eq!(stranger().await, 401);
    eventually(LONG, async || fetches(&metrics().await, "failed") == 1).await;
    assert_eq!(counted(&metrics().await, at, "issuer=\"staff\""), Some(begun));
    let known = signed(&house.staff.key, &house.claims(&url, "carol"));
    assert_eq!(house.get(&known).await.status, 200);

    house.staff.is_up(true);
    house.deployment.advance(MINUTE);
    let now = house.deployment.now().as_seconds();
    assert_eq!(stranger().await, 401);
    eventually(LONG, async || fetches(&metrics().await, "succeeded") == 2).await;
    assert_eq!(counted(&metrics().await, at, "issuer=\"staff\""), Some(now));
    house.deployment.stop().await;
}

/// RULES 1.8, 2.5: what was let in a moment ago is refused as soon as the operator is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_principal_of_theirs_is_revoked_for_good() {
    let house = House::start("").await;
    let deployment = &house.deployment;
    for (key, iss) in house.issuers() {
        let token = |sub: &str| signed(key, &house.claims(iss, sub));
        let (carol, dave) = (token("carol"), token("dave"));
        for token in [&carol, &dave] {
            assert_eq!(house.get(token).await.status, 200);
        }
        let id = principal_id(iss, "carol");
        let everything =
            deployment.admin(Method::POST, "tokens/revoke", Some(json!({"principal": id.as_str()})));
        let everything = everything.await;
        assert_eq!((everything.status.as_u16(), &*everything.code()), (422, "principal_foreign"));
        assert_eq!(house.get(&carol).await.status, 200);

        let node = json!({"node": format!("principal:{id}")});
        for changed in [true, false] {
            let done = deployment.admin(Method::POST, "revocations", Some(node.clone())).await;
            assert_eq!((done.status.as_u16(), &done.json()["changed"]), (200, &json!(changed)), "{done:?}");
            let expected = (401, "credential_invalid".to_owned(), REFUSED.to_owned());
            assert_eq!(refused(&house.get(&carol).await), expected);
        }
        deployment.advance(MINUTE);
        assert_eq!(house.get(&token("carol")).await.status, 401);
        assert_eq!(house.get(&dave).await.status, 200);
        let trail = format!("audit?action=revocation.create&subject=principal:{id}");
        let trail = deployment.admin(Method::GET, &trail, None).await.json();
        assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
    }
    house.deployment.stop().await;
}
