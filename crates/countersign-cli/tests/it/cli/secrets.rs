//! Nothing that opens anything stands where it can be read: every secret that is used here is looked for in the log (all
//! of it), the records of decisions, the metrics, the answers, the database and what types say of themselves.

use crate::support::{Answer, Deployment, LONG, ROUTES, Served, binary, client, free_port, read};
use countersign_testkit::eventually;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;

/// By the name under which it is reported, the text that must not be found.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn look(&self, place: &str, bytes: &[u8]) {
        for (name, secret) in &self.0 {
            assert!(secret.len() >= 8, "{name} is too short to be looked for");
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} stands in {place}: {}", String::from_utf8_lossy(bytes));
        }
    }
}

/// The part of a key that proves its possession: its id is public.
fn hidden(key: &str) -> String {
    let body = key.rsplit('_').next().unwrap();
    body[12..].to_owned()
}

/// What a quoted value of the keyring says.
fn peppers(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("keyring.toml")).unwrap();
    text.split('"').skip(1).step_by(2).filter(|value| value.len() >= 32).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_found_where_it_can_be_read() {
    let served = Served::prepare("http://127.0.0.1:9");
    let watched = free_port();
    let observe =
        format!("[observe]\nlisten = \"127.0.0.1:{watched}\"\n[observe.decisions]\nto = \"stdout\"\n");
    let people = "[[routes]]\npath = \"/people\"\nupstream = \"api\"\nsecurity = [{ basic = [] }]\n\
                  [[routes]]\npath = \"/tools\"\nupstream = \"api\"\nsecurity = [{ api_key = [] }]\napi_key = { basic = true }\n";
    served.put(&served.configuration("http://127.0.0.1:9", &format!("{ROUTES}\n{people}\n{observe}")));
    let mut command = binary();
    command.arg("serve").env("COUNTERSIGN_LOG", "trace");
    let mut process = served.spawn(command, served.admin).await;
    let (http, operator) = (client(served.folder.path()), served.operator());
    let admin = async |method: Method, path: &str, body: serde_json::Value| -> Answer {
        let url = format!("https://127.0.0.1:{}/admin/v1/{path}", served.admin);
        read(http.request(method, url).bearer_auth(&operator).json(&body)).await
    };
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    assert_eq!(admin(Method::POST, "principals", owner).await.status, 201);
    let made = admin(Method::POST, "api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let key = made.json()["secret"].as_str().unwrap().to_owned();
    let id = made.json()["key"]["id"].as_str().unwrap().to_owned();
    let rotated = admin(Method::POST, &format!("api-keys/{id}/rotate"), json!({})).await;
    let second = rotated.json()["secret"].as_str().unwrap().to_owned();
    // of the right shape, checksum and all, and nobody's
    let other = Deployment::start().await;
    let (_, stranger) = other.key(json!({})).await;

    let gateway = format!("https://127.0.0.1:{}", served.gateway);
    let mut answers = Vec::new();
    for key in [&key, &second, &stranger, &operator] {
        for request in [
            http.get(format!("{gateway}/orders/1")).header("x-api-key", key),
            http.get(format!("{gateway}/orders/1")).bearer_auth(key),
            http.get(format!("{gateway}/orders/1")).basic_auth("anybody", Some(key)),
            http.get(format!("{gateway}/orders/1")).header("x-api-key", key).bearer_auth(key),
            http.get(format!("{gateway}/feed?token={key}")),
            // where it does not belong
            http.get(format!("{gateway}/orders/1?token={key}")),
            http.get(format!("{gateway}/orders/{key}")),
            http.get(format!("{gateway}/{key}")),
            http.get(format!("{gateway}/orders/1")).header("cookie", format!("session={key}")),
            http.get(format!("{gateway}/orders/1")).header("x-api-key", format!("{key}x")),
        ] {
            answers.push(read(request).await.text);
        }
        answers.push(admin(Method::POST, "api-keys/verify", json!({"key": key})).await.text);
        let check = json!({"method": "GET", "url": format!("{gateway}/orders/1"), "key": key});
        answers.push(admin(Method::POST, "routes/check", check).await.text);
    }
    // people: what they know, what they were given, and what somebody else would have hashed
    let (first, second_password) = ("seven unrelated words are long enough", "five other words do as well");
    let guess = "not the right words at all";
    let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"]});
    assert_eq!(admin(Method::POST, "principals", ada).await.status, 201);
    let set = admin(Method::PUT, "principals/ada/password", json!({"password": first})).await;
    assert_eq!(set.status, 200);
    answers.push(set.text);
    let body = json!({"owner": "ada", "service": "mail", "scopes": ["orders:read"]});
    let made = admin(Method::POST, "app-passwords", body).await;
    let app_password = made.json()["secret"].as_str().unwrap().to_owned();
    let hash = "$2y$05$FTdWsMNV/HmyfnC9norfa.JcAngYnp8F3cFeAtlbNFHz4P1ejG83i";
    let bad = json!({"people": [{"name": "ann", "hash": hash}, {"name": "a b", "hash": guess}]});
    answers.push(admin(Method::POST, "passwords/import", bad).await.text);
    for password in [first, &app_password, guess, &key, hash] {
        for path in ["people", "tools", "orders/1"] {
            let asked = http.get(format!("{gateway}/{path}")).basic_auth("ada", Some(password));
            answers.push(read(asked).await.text);
        }
        let swapped = http.get(format!("{gateway}/people")).basic_auth(password, Some("ada"));
        answers.push(read(swapped).await.text);
        let field = http.get(format!("{gateway}/people")).basic_auth("ada", Some(password)).build().unwrap();
        let field = field.headers()["authorization"].to_str().unwrap().to_owned();
        let check =
            json!({"method": "GET", "url": format!("{gateway}/people"), "headers": {"Authorization": field}});
        answers.push(admin(Method::POST, "routes/check", check).await.text);
    }
    for (current, new) in [(first, "short"), (guess, second_password), (first, second_password)] {
        let change = json!({"username": "ada", "current_password": current, "new_password": new});
        let asked = http.post(format!("https://127.0.0.1:{}/password", served.issuer)).json(&change);
        answers.push(read(asked).await.text);
    }
    let encoded = |password: &str| {
        let field = http.get(&gateway).basic_auth("ada", Some(password)).build().unwrap();
        let field = field.headers()["authorization"].to_str().unwrap().to_owned();
        field.strip_prefix("Basic ").unwrap().to_owned()
    };

    let revoke = json!({"key": key});
    answers.push(read(http.post(format!("{gateway}/revoke")).json(&revoke)).await.text);
    // an operator's own words come back to it, and to nobody else
    admin(Method::POST, "api-keys", json!({"owner": key, "scopes": [key]})).await;
    let metrics = read(reqwest::Client::new().get(format!("http://127.0.0.1:{watched}/metrics"))).await;
    assert_eq!(metrics.status, 200);

    let mut secrets = Secrets(vec![
        ("a key", hidden(&key)),
        ("its successor", hidden(&second)),
        ("a stranger's key", hidden(&stranger)),
        ("the operator's key", hidden(&operator)),
        ("a password", first.to_owned()),
        ("a password as it travels", encoded(first)),
        ("its successor", second_password.to_owned()),
        ("a guess", guess.to_owned()),
        ("a guess as it travels", encoded(guess)),
        ("an app password", hidden(&app_password)),
        ("an app password as it travels", encoded(&app_password)),
        ("another product's hash", hash.to_owned()),
    ]);
    let kept = peppers(served.folder.path());
    assert!(!kept.is_empty(), "the keyring has a pepper");
    secrets.0.extend(kept.into_iter().map(|pepper| ("a pepper", pepper)));
    let private = std::fs::read_to_string(served.folder.path().join("server.key")).unwrap();
    secrets.0.push(("the listener's private key", private.lines().nth(1).unwrap().to_owned()));
    eventually(LONG, || async { served.log().matches("\"decision\":").count() >= 40 }).await;
    process.signal(Signal::TERM);
    process.0.wait().unwrap();
    assert!(served.log().contains("\"level\":\"DEBUG\""), "it was told to say everything");

    secrets.look("the log or a record", served.log().as_bytes());
    secrets.look("the metrics", metrics.text.as_bytes());
    for name in ["countersign.db", "countersign.db-wal"] {
        if let Ok(bytes) = std::fs::read(served.folder.path().join(name)) {
            secrets.look(name, &bytes);
        }
    }
    for answer in &answers {
        secrets.look("an answer", answer.as_bytes());
    }
    let told =
        Secrets(vec![("a key", hidden(&stranger)), ("a pepper", peppers(other.folder.path()).remove(0))]);
    told.look("what a process says of itself", format!("{:#?}", other.running).as_bytes());
    other.stop().await;
}
