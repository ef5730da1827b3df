//! People with passwords, through the gateway: RFC 7617, and what it leaves open.

use crate::support::{Answer, Deployment, issued, read, text};
use countersign_testkit::has_program;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};

const FIRST: &str = "seven unrelated words are long enough";
const SECOND: &str = "five other words do as well";

/// What `htpasswd -nb` says with -B, -m, -s, -2 and -5 of "correct horse NAME battery".
const HTPASSWD: [(&str, &str); 5] = [
    ("ann", "$2y$05$FTdWsMNV/HmyfnC9norfa.JcAngYnp8F3cFeAtlbNFHz4P1ejG83i"),
    ("bob", "$apr1$Kg8ilPJ1$OLUjl7QJTnVfJ98R71bua."),
    ("cid", "{SHA}RyUG2kxQ+W10WaeHoqQHNXe7o9A="),
    ("dan", "$5$Yc0xUpi5TzoiBATz$lwaem155MtR9Qycr0mhrniYe4.fhB7EU5mBmaZM2kt9"),
    (
        "eve",
        "$6$9n/9yhOjPj7SpncN$p9q7TTrIS.6sU/3etkCSDiuwg5hNPGetUDgsiPzeu9eo6aLOoDKzuZRgZvssgNAfeNhXngAZ2Gn9sm5Xd0acZ/",
    ),
];

/// The second listener believes a proxy on this machine about its callers, the third also that they came over plain HTTP.
const REST: &str = r#"
[[gateway.listeners]]
listen = "127.0.0.1:0"
trusted = [{ networks = ["127.0.0.0/8"], headers = ["x-forwarded-for", "x-forwarded-proto"] }]

[[gateway.listeners]]
listen = "127.0.0.1:0"
trusted = [{ networks = ["127.0.0.0/8"], headers = ["x-forwarded-for"] }]

[passwords]
memory_kib = 8192
passes = 1

[[routes]]
path = "/admin/*"
upstream = "api"
security = [{ basic = ["orders:read"] }]

[[routes]]
path = "/pages/*"
upstream = "api"
security = [{ basic = ["orders:read"] }]
basic = { realm = "The \"old\" pages", browsers = true }

[[routes]]
path = "/tools"
upstream = "api"
security = [{ api_key = ["orders:read"] }]
api_key = { basic = true }

[[routes]]
path = "/both"
upstream = "api"
security = [{ basic = ["orders:read"], api_key = ["orders:write"] }]

[[routes]]
path = "/either"
upstream = "api"
security = [{ basic = ["orders:write"] }, { api_key = ["orders:read"] }]
api_key = { basic = true }

[[routes]]
name = "parting"
path = "/parting"
upstream = "api"
security = [{ basic = ["orders:read"] }]
basic = { deprecated = "2027-01-31", sunset = "2027-07-31" }

[[routes]]
path = "/open"
upstream = "api"
security = []
"#;

struct House(Deployment);

impl House {
    /// With ada, who may read and write, and knows her password.
    async fn start() -> Self {
        let this = Self(Deployment::with(REST).await);
        let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read", "orders:write"]});
        this.admin(Method::POST, "principals", ada, 201).await;
        this.set("ada", FIRST).await;
        this
    }

    async fn admin(&self, method: Method, path: &str, body: Value, status: u16) -> Value {
        let answer = self.0.admin(method, path, Some(body)).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        answer.json()
    }

    async fn set(&self, name: &str, password: &str) {
        self.admin(Method::PUT, &format!("principals/{name}/password"), json!({"password": password}), 200)
            .await;
    }

    async fn app(&self, more: Value) -> (String, String) {
        let mut body = json!({"owner": "ada", "service": "mail", "scopes": ["orders:read"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.admin(Method::POST, "app-passwords", body, 201).await;
        (made["app_password"]["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
    }

    fn asked(&self, path: &str, user: &str, password: &str) -> RequestBuilder {
        self.0.gateway(Method::GET, path).basic_auth(user, Some(password))
    }

    async fn get(&self, path: &str, user: &str, password: &str) -> Answer {
        self.0.settled(self.asked(path, user, password)).await
    }

    async fn ada(&self, password: &str) -> Answer {
        self.get("/admin/", "ada", password).await
    }

    /// As somebody who calls from there, with or without TLS before the proxy that says so.
    async fn from(&self, source: &str, proto: Option<&str>, password: &str) -> Answer {
        let listener = if proto.is_some() { 1 } else { 2 };
        let url = format!("http://{}/admin/", self.0.running.gateway_addresses()[listener]);
        let mut request =
            self.0.http.get(url).basic_auth("ada", Some(password)).header("x-forwarded-for", source);
        if let Some(proto) = proto {
            request = request.header("x-forwarded-proto", proto);
        }
        self.0.settled(request).await
    }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{answer:?}");
}

fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_password_is_let_in_and_named_to_the_upstream() {
    let house = House::start().await;
    let bare = read(house.0.gateway(Method::GET, "/admin/users")).await;
    refused(&bare, 401, "credential_missing");
    // RFC 7617 2, 2.1
    assert_eq!(challenges(&bare), ["Basic realm=\"countersign\", charset=\"UTF-8\""]);
    let ada = house.admin(Method::GET, "principals/ada", Value::Null, 200).await;
    let let_in = house.get("/admin/users?page=2", "ada", FIRST).await;
    assert_eq!(let_in.status, 200, "{let_in:?}");
    // RULES 3.2, 3.4
    let seen = &let_in.json()["headers"];
    assert_eq!(seen["countersign-principal"], ada["id"]);
    assert!(seen.get("authorization").is_none(), "{seen}");
    assert_eq!(let_in.json()["path"], "/admin/users?page=2");
    assert_eq!(let_in.headers["cache-control"], "private");
    assert_eq!(house.get("/admin/", "Ada", FIRST).await.status, 200, "a name has no case");

    let wrong = house.ada(SECOND).await;
    refused(&wrong, 401, "credential_invalid");
    assert_eq!(challenges(&wrong).len(), 1);
    for (user, password) in [("nobody", FIRST), ("", FIRST), ("ada", ""), ("ada", "Seven Unrelated Words")] {
        let answer = house.get("/admin/", user, password).await;
        refused(&answer, 401, "credential_invalid");
        assert_eq!(answer.json()["detail"], wrong.json()["detail"], "{user}");
    }
    for (field, code) in [
        ("Basic", "credential_malformed"),
        ("Basic !!!", "credential_malformed"),
        ("Basic YWRh", "credential_malformed"),
        ("Basic YWRhOmIKYw==", "credential_malformed"),
    ] {
        let answer = read(house.0.gateway(Method::GET, "/admin/").header("authorization", field)).await;
        refused(&answer, 400, code);
    }
    let twice = house.asked("/admin/", "ada", FIRST).basic_auth("ada", Some(FIRST));
    assert_eq!(read(twice).await.code(), "credential_doubled");
    // stripped where nobody asked for it, too
    let open = house.get("/open", "ada", FIRST).await;
    assert!(open.status == 200 && open.json()["headers"].get("authorization").is_none(), "{open:?}");
    // their own scopes, and no more
    house.admin(Method::PATCH, "principals/ada", json!({"scopes": []}), 200).await;
    refused(&house.ada(FIRST).await, 403, "scope_missing");
    house.0.stop().await;
}

/// RULES 1.7: a password that was sent in the clear is told to be replaced, and not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http_no_password_is_taken() {
    let house = House::start().await;
    for password in [FIRST, SECOND] {
        let answer = house.from("192.0.2.7", None, password).await;
        refused(&answer, 403, "tls_required");
        assert!(challenges(&answer).is_empty(), "nobody is asked for it: {answer:?}");
        refused(&house.from("192.0.2.7", Some("http"), password).await, 403, "tls_required");
    }
    assert_eq!(house.from("192.0.2.7", Some("https"), FIRST).await.status, 200);
    house.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_yes_ends_with_the_password_and_with_the_person() {
    let house = House::start().await;
    assert_eq!(house.ada(FIRST).await.status, 200);
    // the same text once more is another password, and a good one
    house.set("ada", FIRST).await;
    assert_eq!(house.ada(FIRST).await.status, 200);
    house.set("ada", SECOND).await;
    refused(&house.ada(FIRST).await, 401, "credential_invalid");
    assert_eq!(house.ada(SECOND).await.status, 200);

    // by the person, at the public face
    let issuer = house.0.running.issuer_address().unwrap();
    let change = |current: &'static str, new: &'static str| {
        let body = json!({"username": "ada", "current_password": current, "new_password": new});
        read(house.0.http.post(format!("https://{issuer}/password")).json(&body))
    };
    refused(&change(FIRST, SECOND).await, 403, "password_wrong");
    refused(&change(SECOND, "short").await, 422, "password_weak");
    assert_eq!(house.ada(SECOND).await.status, 200);
    assert_eq!(change(SECOND, FIRST).await.status, 204);
    refused(&house.ada(SECOND).await, 401, "credential_invalid");
    assert_eq!(house.ada(FIRST).await.status, 200);

    let enabled = |yes: bool| house.admin(Method::PATCH, "principals/ada", json!({"enabled": yes}), 200);
    enabled(false).await;
    refused(&house.ada(FIRST).await, 401, "credential_invalid");
    enabled(true).await;
    assert_eq!(house.ada(FIRST).await.status, 200);

    let address = house.0.running.admin_address().unwrap();
    let key = std::fs::read_to_string(house.0.folder.path().join("admin.key")).unwrap();
    let removed = house.0.http.delete(format!("https://{address}/admin/v1/principals/ada/password"));
    let removed = read(removed.bearer_auth(key.trim()).header("if-match", "*")).await;
    assert_eq!(removed.status, 200, "{removed:?}");
    refused(&house.ada(FIRST).await, 401, "credential_invalid");
    house.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_password_stands_in_for_the_persons_own() {
    let house = House::start().await;
    house
        .admin(
            Method::POST,
            "principals",
            json!({"kind": "user", "name": "eve", "scopes": ["orders:read"]}),
            201,
        )
        .await;
    let (id, secret) = house.app(json!({})).await;
    let let_in = house.ada(&secret).await;
    assert!(let_in.status == 200 && !let_in.text.contains(&secret), "{let_in:?}");
    let (_, narrow) = house.app(json!({"scopes": ["orders:write"]})).await;
    refused(&house.ada(&narrow).await, 403, "scope_missing");
    // of somebody else, and nobody's
    refused(&house.get("/admin/", "eve", &secret).await, 401, "credential_invalid");
    let last = if secret.ends_with('x') { "y" } else { "x" };
    let mistyped = format!("{}{last}", &secret[..secret.len() - 1]);
    refused(&house.ada(&mistyped).await, 401, "credential_invalid");

    // the person's own password is another matter
    house.set("ada", SECOND).await;
    assert_eq!(house.ada(&secret).await.status, 200);
    let path = format!("app-passwords/{id}");
    countersign_testkit::eventually(crate::support::LONG, || async {
        !house.admin(Method::GET, &path, json!({}), 200).await["last_used_at"].is_null()
    })
    .await;
    house.admin(Method::POST, &format!("{path}/revoke"), json!({}), 200).await;
    refused(&house.ada(&secret).await, 401, "app_password_revoked");
    assert_eq!(house.ada(SECOND).await.status, 200);

    let (_, short) = house.app(json!({"expires_in": "1h"})).await;
    assert_eq!(house.ada(&short).await.status, 200);
    house.0.advance(Duration::from_secs(3600));
    refused(&house.ada(&short).await, 401, "app_password_expired");
    house.admin(Method::PATCH, "principals/ada", json!({"enabled": false}), 200).await;
    refused(&house.ada(&narrow).await, 401, "credential_invalid");
    house.0.stop().await;
}

/// What speaks nothing but Basic carries a key where its password goes; whatever stands as the name.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_as_a_password_where_the_route_takes_one() {
    let house = House::start().await;
    let (key, secret) = house.0.key(json!({})).await;
    let bare = read(house.0.gateway(Method::GET, "/tools")).await;
    assert_eq!(challenges(&bare), ["Basic realm=\"countersign\", charset=\"UTF-8\""]);
    for user in ["", "anything", "demo"] {
        let answer = house.get("/tools", user, &secret).await;
        assert!(answer.status == 200 && !answer.text.contains(&secret), "{answer:?}");
        assert_eq!(answer.json()["headers"]["countersign-principal"], key["owner"]["id"]);
        assert!(answer.json()["headers"].get("authorization").is_none(), "{answer:?}");
    }
    assert_eq!(house.0.get("/tools", &secret).await.status, 200, "as anywhere else");
    refused(&house.get("/tools", "ada", FIRST).await, 401, "credential_missing");
    // where people sign in it is none, and not tried as a password
    refused(&house.get("/admin/", "demo", &secret).await, 401, "credential_invalid");
    refused(&house.ada(&secret).await, 401, "credential_invalid");
    let id = key["id"].as_str().unwrap();
    house.admin(Method::POST, &format!("api-keys/{id}/revoke"), json!({}), 200).await;
    refused(&house.get("/tools", "", &secret).await, 401, "key_revoked");
    house.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_or_either_as_the_route_says() {
    let house = House::start().await;
    let body = json!({"owner": "demo", "scopes": ["orders:write"]});
    let (_, writer) = issued(&house.0.admin(Method::POST, "api-keys", Some(body)).await);
    let (record, reader) = house.0.key(json!({})).await;
    let ada = house.admin(Method::GET, "principals/ada", Value::Null, 200).await;
    let principal = |answer: &Answer| answer.json()["headers"]["countersign-principal"].clone();

    let both =
        |password: &str, key: &str| read(house.asked("/both", "ada", password).header("x-api-key", key));
    let answer = both(FIRST, &writer).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(principal(&answer), ada["id"], "the first method of the alternative is the subject's");
    let seen = &answer.json()["headers"];
    assert!(seen.get("authorization").is_none() && seen.get("x-api-key").is_none(), "{seen}");
    refused(&both(FIRST, &reader).await, 403, "scope_missing");
    refused(&both(SECOND, &writer).await, 401, "credential_invalid");
    refused(&house.get("/both", "ada", FIRST).await, 401, "credential_missing");
    refused(&house.0.get("/both", &writer).await, 401, "credential_missing");

    let bare = read(house.0.gateway(Method::GET, "/either")).await;
    assert_eq!(
        challenges(&bare),
        ["Basic realm=\"countersign\", charset=\"UTF-8\""],
        "each is asked for once"
    );
    assert_eq!(principal(&house.get("/either", "ada", FIRST).await), ada["id"]);
    for request in [
        house.asked("/either", "whoever", &reader),
        house.0.gateway(Method::GET, "/either").bearer_auth(&reader),
        house.0.gateway(Method::GET, "/either").header("x-api-key", &reader),
    ] {
        let answer = read(request).await;
        assert_eq!(
            (answer.status.as_u16(), principal(&answer)),
            (200, record["owner"]["id"].clone()),
            "{answer:?}"
        );
    }
    // what is shown must be good, needed or not
    let wrong = house.asked("/either", "ada", SECOND).header("x-api-key", &reader);
    refused(&read(wrong).await, 401, "credential_invalid");
    house.0.stop().await;
}

/// RULES 5.2: nobody has to choose a new password, and no weak hash stays.
#[tokio::test(flavor = "multi_thread")]
async fn people_of_an_htpasswd_file_sign_in_as_before() {
    let house = House::start().await;
    let people: Vec<Value> =
        HTPASSWD.iter().map(|(name, hash)| json!({"name": name, "hash": hash})).collect();
    let import = json!({"people": people, "scopes": ["orders:read"]});
    house.admin(Method::POST, "passwords/import", import, 200).await;
    for (name, _) in HTPASSWD {
        let path = format!("principals/{name}/password");
        let scheme = || async { house.admin(Method::GET, &path, Value::Null, 200).await["scheme"].clone() };
        let before = scheme().await;
        assert_ne!(before, "argon2id");
        refused(&house.get("/admin/", name, "correct horse battery").await, 401, "credential_invalid");
        assert_eq!(scheme().await, before);
        let right = format!("correct horse {name} battery");
        assert_eq!(house.get("/admin/", name, &right).await.status, 200, "{name}: {before}");
        assert_eq!(scheme().await, "argon2id", "{name} was {before}");
        // from the better hash, and not from what is remembered
        house.0.advance(Duration::from_secs(120));
        assert_eq!(house.get("/admin/", name, &right).await.status, 200, "{name}: {before}");
    }
    house.0.stop().await;
}

/// RULES 5.1: whoever guesses waits, and whoever is at home does not.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down_and_locks_nobody_out() {
    let house = House::start().await;
    let home = || house.from("192.0.2.7", Some("https"), FIRST);
    assert_eq!(home().await.status, 200);
    // from one place: after a few the right one is not looked at, and nothing tells
    for _ in 0..6 {
        refused(&house.from("198.51.100.1", Some("https"), SECOND).await, 401, "credential_invalid");
    }
    refused(&house.from("198.51.100.1", Some("https"), FIRST).await, 401, "credential_invalid");
    // from everywhere: closed to places that the account does not know
    for n in 0..100 {
        refused(
            &house.from(&format!("203.0.113.{n}"), Some("https"), SECOND).await,
            401,
            "credential_invalid",
        );
    }
    refused(&house.from("203.0.113.200", Some("https"), FIRST).await, 401, "credential_invalid");
    // the yes of before is forgotten by now
    house.0.advance(Duration::from_secs(120));
    assert_eq!(home().await.status, 200);
    house.0.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(house.from("203.0.113.200", Some("https"), FIRST).await.status, 200);
    house.0.stop().await;
}

/// RULES 1.6: a browser sends what it remembers, whosever page asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_neither_asked_unasked_nor_ridden_by_other_pages() {
    let house = House::start().await;
    let navigate = |path: &str| read(house.0.gateway(Method::GET, path).header("sec-fetch-mode", "navigate"));
    let plain = navigate("/admin/").await;
    refused(&plain, 401, "credential_missing");
    assert!(!challenges(&plain).iter().any(|c| c.starts_with("Basic")), "no window opens: {plain:?}");
    assert_eq!(
        challenges(&navigate("/pages/").await),
        ["Basic realm=\"The \\\"old\\\" pages\", charset=\"UTF-8\""]
    );

    let own = format!("https://{}", house.0.running.gateway_addresses()[0]);
    let post = |name: &'static str, value: String| {
        let request = house.0.gateway(Method::POST, "/pages/1").basic_auth("ada", Some(FIRST));
        read(request.header(name, value))
    };
    for (name, value) in [
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", own.replace("https", "http")),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
    ] {
        refused(&post(name, value).await, 403, "origin_not_allowed");
    }
    for (name, value) in [
        ("origin", own),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-site", "none".to_owned()),
        ("accept", "*/*".to_owned()),
    ] {
        assert_eq!(post(name, value.clone()).await.status, 200, "{name}: {value}");
    }
    let get = house.asked("/pages/1", "ada", FIRST).header("origin", "https://evil.example");
    assert_eq!(read(get).await.status, 200, "what changes nothing does no harm");
    house.0.stop().await;
}

/// RFC 9745, RFC 8594: who has to move before Basic can go, and what they are told.
#[tokio::test(flavor = "multi_thread")]
async fn who_still_uses_it_is_counted_and_told_when_it_ends() {
    let house = House::start().await;
    for _ in 0..3 {
        assert_eq!(house.ada(FIRST).await.status, 200);
    }
    let parting = house.get("/parting", "ada", FIRST).await;
    assert_eq!(parting.headers["deprecation"], "@1801353600");
    assert_eq!(parting.headers["sunset"], "Sat, 31 Jul 2027 00:00:00 GMT");
    refused(&house.ada(SECOND).await, 401, "credential_invalid");
    let uses = || async {
        let listed = house.admin(Method::GET, "basic-uses?principal=ada", json!({}), 200).await;
        let items = listed["items"].as_array().unwrap().iter();
        let mut uses: Vec<(String, String, u64)> = items
            .map(|item| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&item["principal"]["name"]), text(&item["route"]), item["uses"].as_u64().unwrap())
            })
            .collect();
        uses.sort();
        uses
    };
    let counted = |route: &str, n| ("ada".to_owned(), route.to_owned(), n);
    countersign_testkit::eventually(crate::support::LONG, || async {
        uses().await == [counted("* /admin/*", 3), counted("parting", 1)]
    })
    .await;
    house.0.stop().await;
}

/// Programs as they are out there, with nothing told to them but name and password.
#[tokio::test(flavor = "multi_thread")]
async fn common_clients() {
    let house = House::start().await;
    let url = format!("https://{}/admin/", house.0.running.gateway_addresses()[0]);
    let authority = house.0.folder.path().join("ca.pem");
    let say = |program: &'static str, arguments: Vec<String>| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(house.0.folder.path())
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy");
        let output = command.output().unwrap();
        (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let ca = authority.to_str().unwrap();

    if has_program("curl", "flows::basic::common_clients") {
        for (password, status) in [(FIRST, "200"), (SECOND, "401")] {
            let user = format!("ada:{password}");
            for how in ["--basic", "--anyauth"] {
                let line =
                    ["-q", "-s", "-o", "body", "-w", "%{http_code}", how, "--cacert", ca, "-u", &user, &url];
                let (done, said) = say("curl", words(&line));
                assert!(done && said == status, "{how}: {said}");
            }
        }
        // as part of the URL, where what is not plain is escaped
        let inner = url.replace("https://", "https://ada:seven%20unrelated%20words%20are%20long%20enough@");
        let (done, said) = say("curl", words(&["-q", "-s", "-f", "-o", "body", "--cacert", ca, &inner]));
        assert!(done, "{said}");
    }
    if has_program("ab", "flows::basic::common_clients") {
        let ab = |password: &str| {
            say("ab", words(&["-q", "-n", "40", "-c", "4", "-A", &format!("ada:{password}"), &url])).1
        };
        let said = ab(FIRST);
        assert!(said.contains("Complete requests:      40") && !said.contains("Non-2xx"), "{said}");
    }
    if has_program("python3", "flows::basic::common_clients") {
        // urllib answers a challenge, http.client and requests send what they have at once
        let script = "\
import base64, http.client, ssl, sys, urllib.error, urllib.request
url, ca, user, right, wrong = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
def challenged(password):
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, url, user, password)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=tls), urllib.request.HTTPBasicAuthHandler(known))
    try:
        return opener.open(url).status
    except urllib.error.HTTPError as e:
        return e.code
def at_once(password):
    host = url.split('/')[2]
    c = http.client.HTTPSConnection(host, context=tls)
    field = 'Basic ' + base64.b64encode((user + ':' + password).encode()).decode()
    c.request('GET', '/admin/', headers={'Authorization': field})
    return c.getresponse().status
ways = [challenged, at_once]
try:
    import requests
    session = requests.Session()
    session.trust_env = False
    ways.append(lambda password: session.get(url, auth=(user, password), verify=ca).status_code)
except ImportError:
    pass
print([(way(right), way(wrong)) for way in ways])
assert all((way(right), way(wrong)) == (200, 401) for way in ways)
";
        let (done, said) = say("python3", words(&["-c", script, &url, ca, "ada", FIRST, SECOND]));
        assert!(done, "{said}");
    }
    house.0.stop().await;
}
