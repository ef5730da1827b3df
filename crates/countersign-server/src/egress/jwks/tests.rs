//! Against an issuer of our own on loopback, which says what it is told to say.

use super::*;
use crate::egress::EgressConfig;
use countersign_core::{Place, ScopeSet};
use countersign_crypto::{
    SecretBytes,
    jose::{Algorithm, NoKey, UnverifiedJwt, sign},
    key::SigningKey,
};
use countersign_methods::jwt::foreign::{
    ClaimNames, ExpectedTyp, Failure, ForeignIssuers, IssuerName, TrustedIssuer,
};
use countersign_testkit::{ManualClock, SeededEntropy, eventually};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::AbortHandle,
};

const DEADLINE: Duration = Duration::from_secs(10);
const OIDC: &str = "/realms/a/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server/realms/a";

#[derive(Debug, Clone)]
enum Answer {
    Body(u16, &'static str, String),
    /// Takes the request and says nothing.
    Silence,
    /// Never stops.
    Endless,
}

/// By path; what is not there is 404. `None`: the connection is closed.
#[derive(Debug, Clone)]
struct Issuer {
    port: u16,
    answers: Arc<Mutex<Option<HashMap<String, Answer>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let this = Self { port, answers: Arc::new(Mutex::new(Some(HashMap::new()))), asked: Arc::default() };
        let server = this.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let server = server.clone();
                tokio::spawn(async move {
                    let mut head = [0; 4096];
                    let read = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..read]).into_owned();
                    let Some(path) = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
                        return;
                    };
                    server.asked.lock().unwrap().push(path.to_owned());
                    let Some(answers) = server.answers.lock().unwrap().clone() else { return };
                    let not_found = Answer::Body(404, "", String::new());
                    match answers.get(path).cloned().unwrap_or(not_found) {
                        Answer::Body(status, fields, body) => {
                            let length = body.len();
                            let head = format!(
                                "HTTP/1.1 {status} x\r\n{fields}connection: close\r\ncontent-length: {length}\r\n\r\n"
                            );
                            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
                        }
                        Answer::Silence => std::future::pending().await,
                        Answer::Endless => {
                            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
                            while stream.write_all(&[b' '; 16 * 1024]).await.is_ok() {}
                        }
                    }
                });
            }
        });
        this
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/realms/a", self.port)
    }

    fn says(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().get_or_insert_default().insert(path.to_owned(), answer);
    }

    fn says_json(&self, path: &str, body: &Value) {
        self.says(path, Answer::Body(200, "", body.to_string()));
    }

    fn is_down(&self) {
        *self.answers.lock().unwrap() = None;
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn metadata(&self) -> Value {
        json!({ "issuer": self.url(), "jwks_uri": format!("{}/jwks", self.url()), "other": [1] })
    }

    /// With keys and metadata.
    async fn complete(keys: &[&SigningKey]) -> Self {
        let this = Self::start().await;
        this.says_json(OIDC, &this.metadata());
        this.says_json("/realms/a/jwks", &set(keys));
        this
    }
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn set(keys: &[&SigningKey]) -> Value {
    let keys: Vec<_> = keys.iter().map(|key| key.verifying_key().to_jwk().unwrap()).collect();
    json!({ "keys": keys })
}

fn config(issuer: &str, keys: KeyOrigin) -> ForeignIssuer {
    ForeignIssuer {
        name: IssuerName::parse("a").unwrap(),
        issuer: issuer.into(),
        keys,
        algorithms: vec![Algorithm::Es256],
        audiences: vec!["us".into()],
        typ: ExpectedTyp::AccessToken,
        leeway: ForeignIssuer::LEEWAY,
        longest: ForeignIssuer::LONGEST,
        stream_grace: ForeignIssuer::STREAM_GRACE,
        claims: ClaimNames::default(),
        scopes: ScopeSet::default(),
        scope_map: Default::default(),
        local: Default::default(),
    }
}

/// The task ends with it.
#[derive(Debug)]
struct Running {
    keys: Arc<IssuerKeys>,
    clock: Arc<ManualClock>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn run_with(config: ForeignIssuer, allow: &[&str], clock: Arc<ManualClock>) -> Running {
    let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
    let egress = Egress::new(EgressConfig { allow, authorities: None }).unwrap();
    let with = Fetcher {
        tick: Duration::from_millis(5),
        limit: Duration::from_millis(500),
        ..Fetcher::new(egress, clock.clone(), Arc::new(SeededEntropy::new(1)))
    };
    let keys = Arc::new(IssuerKeys::new(Arc::new(config)));
    let kept = keys.clone();
    let task = tokio::spawn(async move { kept.keep_fresh(with).await }).abort_handle();
    Running { keys, clock, task }
}

fn run(config: ForeignIssuer) -> Running {
    run_with(config, &["127.0.0.0/8"], Arc::default())
}

impl Running {
    fn knows(&self, key: &SigningKey) -> bool {
        let kid = key.verifying_key().thumbprint();
        self.keys.keys().is_some_and(|known| known.set.find(kid, Algorithm::Es256).is_ok())
    }

    async fn until(&self, so: impl Fn(&KeysState) -> bool) -> KeysState {
        eventually(DEADLINE, async || so(&self.keys.now_is())).await;
        self.keys.now_is()
    }

    /// What the first attempt said that went wrong.
    async fn refused(&self) -> String {
        let state = self.until(|state| state.attempts > 0).await;
        assert!(self.keys.keys().is_none(), "{state:?}");
        assert_eq!((state.attempts, state.failed, state.failures, state.fetched_at), (1, 1, 1, None));
        state.error.unwrap()
    }
}

#[tokio::test]
async fn discovered_by_either_document() {
    let key = key();
    let issuer = Issuer::complete(&[&key]).await;
    let running = run(config(&issuer.url(), KeyOrigin::Discovery));
    let state = running.until(|state| state.keys == 1).await;
    assert!(running.knows(&key));
    assert_eq!(
        (state.attempts, state.failed, state.failures, state.error, state.skipped),
        (1, 0, 0, None, 0)
    );
    assert_eq!(state.fetched_at, Some(running.clock.now()));
    assert_eq!(issuer.asked(), [OIDC, "/realms/a/jwks"]);

    let issuer = Issuer::start().await;
    issuer.says_json(OAUTH, &issuer.metadata());
    issuer.says_json("/realms/a/jwks", &set(&[&key]));
    let running = run(config(&issuer.url(), KeyOrigin::Discovery));
    running.until(|state| state.keys == 1).await;
    assert_eq!(issuer.asked(), [OIDC, OAUTH, "/realms/a/jwks"]);

    let running = run(config("anything", KeyOrigin::Url(format!("{}/jwks", issuer.url()))));
    running.until(|state| state.keys == 1).await;
}

/// RULES 3.7: every way in which an issuer, or whoever stands in its place, does not get us to take keys.
#[tokio::test]
async fn rule_3_7_what_is_not_taken() {
    let key = key();
    let other = Issuer::complete(&[&key]).await;
    let good = set(&[&key]).to_string();
    let metadata = |issuer: &Issuer, name: &str, value: Value| {
        let mut metadata = issuer.metadata();
        metadata[name] = value;
        Answer::Body(200, "", metadata.to_string())
    };
    let redirect = format!("location: http://127.0.0.1:{}/realms/a/jwks\r\n", other.port);
    let twice = |issuer: &Issuer| {
        let url = issuer.url();
        format!(r#"{{"issuer":"{url}","issuer":"{url}","jwks_uri":"{url}/jwks"}}"#)
    };
    type Spoil<'a> = Box<dyn Fn(&Issuer) -> (&'static str, Answer) + 'a>;
    let redirect: &'static str = redirect.leak();
    let body = |status, body: &str| Answer::Body(status, "", body.to_owned());
    let rows: Vec<(Spoil<'_>, &str)> = vec![
        (Box::new(|i| (OIDC, metadata(i, "issuer", json!("https://evil.example")))), "https://evil.example"),
        (Box::new(|i| (OIDC, metadata(i, "issuer", json!(format!("{}/", i.url()))))), "not to the letter"),
        (Box::new(|i| (OIDC, metadata(i, "issuer", json!([i.url()])))), "no metadata"),
        (Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!(null)))), "no metadata"),
        (Box::new(|i| (OIDC, body(200, &twice(i)))), "no metadata"),
        (Box::new(|_| (OIDC, body(200, "<html>"))), "no metadata"),
        (Box::new(|_| (OIDC, body(503, ""))), "answers 404"),
        (
            Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("http://keys.example/jwks")))),
            "not an `https://` URL",
        ),
        (
            Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("http://10.0.0.1/jwks")))),
            "not an `https://` URL",
        ),
        (Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("file:///etc/passwd")))), "not an `https://` URL"),
        (
            Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("https://u:hunter2@h/")))),
            "not an `https://` URL",
        ),
        (Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("https://169.254.169.254/")))), "[egress] allow"),
        (Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("https://10.0.0.1/")))), "[egress] allow"),
        (
            Box::new(|i| (OIDC, metadata(i, "jwks_uri", json!("https://[::ffff:10.0.0.1]/")))),
            "[egress] allow",
        ),
        (Box::new(|_| (OIDC, Answer::Body(302, redirect, String::new()))), "redirect"),
        (Box::new(|_| ("/realms/a/jwks", Answer::Body(307, redirect, String::new()))), "redirect"),
        (Box::new(|_| ("/realms/a/jwks", body(500, &good))), "answers 500"),
        (Box::new(|_| ("/realms/a/jwks", body(200, r#"{"keys":[]}"#))), "none that can be used"),
        (Box::new(|_| ("/realms/a/jwks", body(200, "nothing"))), "not one JSON object"),
        (Box::new(|_| ("/realms/a/jwks", body(200, &" ".repeat(LONGEST_JWK_SET + 1)))), "longer than 262144"),
        (Box::new(|_| ("/realms/a/jwks", Answer::Endless)), "longer than 262144"),
        (Box::new(|_| ("/realms/a/jwks", Answer::Silence)), "longer than it may"),
        (Box::new(|_| (OIDC, Answer::Silence)), "longer than it may"),
    ];
    for (n, (spoil, expected)) in rows.iter().enumerate() {
        let issuer = Issuer::complete(&[&key]).await;
        let (path, answer) = spoil(&issuer);
        issuer.says(path, answer);
        let said = run(config(&issuer.url(), KeyOrigin::Discovery)).refused().await;
        assert!(said.contains(expected) && !said.contains("hunter2"), "{n}: {said}");
    }
    assert!(other.asked().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn rule_3_7_nothing_in_the_house_is_asked_that_is_not_allowed() {
    let key = key();
    let issuer = Issuer::complete(&[&key]).await;
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/realms/a/jwks", issuer.port);
            let running = run_with(config("a", KeyOrigin::Url(url.clone())), &[], Arc::default());
            let said = running.refused().await;
            assert!(said.contains("[egress] allow"), "{url}: {said}");
        }
    }
    assert!(issuer.asked().is_empty());
}

/// RULES 5.3: what is known goes on while the issuer is down, for a day; a key that comes is found.
#[tokio::test]
async fn rule_5_3_stale_while_it_is_down_and_a_new_key_is_picked_up() {
    let (old, new) = (key(), key());
    let issuer = Issuer::complete(&[&old]).await;
    let running = run(config(&issuer.url(), KeyOrigin::Discovery));
    running.until(|state| state.keys == 1).await;
    issuer.is_down();
    running.clock.advance(Duration::from_secs(15 * 60));
    let state = running.until(|state| state.failures == 1).await;
    assert!(running.knows(&old) && state.keys == 1 && state.error.is_some());
    let known = running.keys.keys().unwrap();
    let begun = state.fetched_at.unwrap();
    assert!(known.are_usable(begun + Duration::from_secs(86_399)));
    assert!(!known.are_usable(begun + Duration::from_secs(86_400)));

    issuer.says_json(OIDC, &issuer.metadata());
    issuer.says_json("/realms/a/jwks", &set(&[&old, &new]));
    running.clock.advance(Duration::from_secs(60));
    let state = running.until(|state| state.keys == 2).await;
    assert!(running.knows(&new) && running.knows(&old));
    // what went wrong once is counted for ever
    assert_eq!((state.attempts, state.failed, state.failures, state.error), (3, 1, 0, None));
    // and one that is taken back is gone
    issuer.says_json("/realms/a/jwks", &set(&[&new]));
    running.clock.advance(Duration::from_secs(15 * 60));
    running.until(|state| state.keys == 1).await;
    assert!(running.knows(&new) && !running.knows(&old));
}

/// A token with a name that is not known makes it ask, and no number of them makes it ask more than twice a minute.
#[tokio::test]
async fn rule_5_3_an_unknown_key_is_asked_for_and_seldom() {
    let (old, new) = (key(), key());
    let issuer = Issuer::complete(&[&old]).await;
    let running = run(config(&issuer.url(), KeyOrigin::Discovery));
    running.until(|state| state.keys == 1).await;
    issuer.says_json("/realms/a/jwks", &set(&[&old, &new]));
    let trusted = TrustedIssuer { config: running.keys.issuer().clone(), keys: running.keys.clone() };
    let all = ForeignIssuers::new([trusted]).unwrap();
    let now = running.clock.now();
    let claims = json!({ "iss": issuer.url(), "sub": "s", "aud": "us", "exp": now.as_seconds() + 60 });
    let token = sign(&new, "at+jwt", claims.as_object().unwrap()).unwrap();
    let ask = || all.authenticate(UnverifiedJwt::parse(&token).unwrap(), Place::Authorization, now).err();
    for _ in 0..100 {
        assert_eq!(ask(), Some(Failure::UnknownKey));
    }
    // it was nudged, and looked: 30 seconds have not gone by
    eventually(DEADLINE, async || !running.keys.wanted.load(Ordering::SeqCst)).await;
    assert_eq!(issuer.asked().len(), 2);
    running.clock.advance(Duration::from_secs(30));
    running.until(|state| state.keys == 2).await;
    assert_eq!((ask(), issuer.asked().len()), (None, 4));
}

#[tokio::test]
async fn the_answer_says_how_long_it_may_be_kept() {
    let key = key();
    for (field, seconds) in [("cache-control: public, max-age=3600\r\n", 3600), ("", 900)] {
        let issuer = Issuer::start().await;
        issuer.says("/jwks", Answer::Body(200, field, set(&[&key]).to_string()));
        let url = format!("http://127.0.0.1:{}/jwks", issuer.port);
        let running = run(config("a", KeyOrigin::Url(url)));
        let begun = running.until(|state| state.keys == 1).await.fetched_at.unwrap();
        running.clock.set(begun + Duration::from_secs(seconds - 1));
        // once for what is due, and once more: by then it has been decided
        let reads = running.clock.reads();
        eventually(DEADLINE, async || running.clock.reads() > reads + 1).await;
        assert_eq!(running.keys.now_is().attempts, 1, "{field}");
        running.clock.set(begun + Duration::from_secs(seconds));
        running.until(|state| state.attempts == 2).await;
    }
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
    let (old, new) = (key(), key());
    let folder = std::env::temp_dir().join(format!("countersign-jwks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("keys.json");
    let write = |text: String| {
        // as a tool would: whole, in one step
        std::fs::write(folder.join("new"), text).unwrap();
        std::fs::rename(folder.join("new"), &path).unwrap();
    };
    let running = run(config("a", KeyOrigin::File(path.clone())));
    assert!(running.refused().await.contains("cannot be read"));
    write(set(&[&old]).to_string());
    let state = running.until(|state| state.keys == 1).await;
    assert!(running.knows(&old) && state.fetched_at.is_none());
    let lasts = |days: u64| {
        let then = running.clock.now() + Duration::from_secs(days * 24 * 3600);
        running.keys.keys().unwrap().are_usable(then)
    };
    assert!(lasts(10_000));
    // RULES 5.3
    for bad in ["{".to_owned(), " ".repeat(LONGEST_JWK_SET + 1), String::new()] {
        let before = running.keys.now_is().failures;
        write(bad);
        running.until(|state| state.failures > before).await;
        assert!(running.knows(&old));
        eventually(DEADLINE, async || !lasts(1)).await;
        assert!(running.keys.now_is().fetched_at.is_some(), "metrics tell how old they are");
        running.clock.set(running.clock.now() + Duration::from_secs(60));
    }
    running.clock.set(running.clock.now() + Duration::from_secs(24 * 3600 - 180));
    assert!(!lasts(0), "from the first that could not be read on");
    write(set(&[&new, &old]).to_string());
    let state = running.until(|state| state.keys == 2).await;
    assert!(running.knows(&new) && state.failures == 0 && lasts(10_000));
    std::fs::remove_file(&path).unwrap();
    running.until(|state| state.failures == 1).await;
    assert!(running.knows(&new) && lasts(0));
    eventually(DEADLINE, async || !lasts(1)).await;
    // nothing but a reading says that it may be read no more
    write(set(&[&new, &old]).to_string());
    running.until(|state| state.failures == 0 && state.fetched_at.is_none()).await;
    let attempts = running.keys.now_is().attempts;
    running.clock.set(running.clock.now() + Duration::from_secs(60));
    running.until(|state| state.attempts > attempts).await;
    std::fs::remove_file(&path).unwrap();
    running.until(|state| state.failures == 1).await;
    // an issuer that takes all of its keys back is believed
    write(r#"{"keys":[]}"#.to_owned());
    running.until(|state| state.failures == 2 && state.keys == 0).await;
    assert!(running.keys.keys().is_none());
    drop(running);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn whoever_only_looks_asks_once_and_is_told_why_not() {
    let key = key();
    let issuer = Issuer::complete(&[&key]).await;
    let egress = |allow: &str| {
        let config = EgressConfig { allow: vec![allow.parse().unwrap()], authorities: None };
        let clock = Arc::new(ManualClock::default());
        Fetcher::new(Egress::new(config).unwrap(), clock, Arc::new(SeededEntropy::new(1)))
    };
    let keys = IssuerKeys::new(Arc::new(config(&issuer.url(), KeyOrigin::Discovery)));
    let state = keys.look(&egress("10.0.0.0/8")).await;
    assert!(state.error.unwrap().contains("[egress] allow") && issuer.asked().is_empty());
    let state = keys.look(&egress("127.0.0.0/8")).await;
    assert_eq!((state.keys, state.attempts, state.failed, state.error), (1, 2, 1, None));
    assert_eq!(issuer.asked(), [OIDC, "/realms/a/jwks"]);
    let missing = IssuerKeys::new(Arc::new(config("a", KeyOrigin::File("no/such/file".into()))));
    let state = missing.look(&egress("127.0.0.0/8")).await;
    assert!(state.error.unwrap().contains("cannot be read") && state.keys == 0);
}

#[tokio::test]
async fn a_secret_is_there_at_once() {
    let secret = |length| KeyOrigin::Secret(SecretBytes::new(vec![7; length]));
    let keys = IssuerKeys::new(Arc::new(config("a", secret(32))));
    let known = keys.keys().unwrap();
    assert!(known.set.find(None, Algorithm::Hs256).is_ok());
    assert_eq!(known.set.find(None, Algorithm::Es256).unwrap_err(), NoKey::Unnamed);
    let running = run(config("a", secret(32)));
    eventually(DEADLINE, async || running.task.is_finished()).await;
    assert!(running.keys.keys().is_some());
    let short = IssuerKeys::new(Arc::new(config("a", secret(31))));
    assert!(short.keys().is_none() && short.now_is().error.is_some());
}
