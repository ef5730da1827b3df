//! The configuration read again, by the real process: on SIGHUP and when its files change.

use crate::support::{LONG, Process, ROUTES, Served, client, issued, read, run, text};
use countersign_cli::echo::Echo;
use countersign_testkit::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A gateway before `first`, its process, and a key.
async fn serve(first: &Echo) -> (Served, Process, String) {
    let served = Served::prepare(&first.url());
    let process = served.start().await;
    let post = |path: &str, body: Value| {
        let url = format!("https://127.0.0.1:{}/admin/v1/{path}", served.admin);
        read(client(served.folder.path()).post(url).bearer_auth(served.operator()).json(&body))
    };
    let made = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    assert_eq!(post("principals", made).await.status, 201);
    let made = post("api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    let (_, secret) = issued(&made);
    (served, process, secret)
}

/// Every line's fields.
fn lines(served: &Served) -> Vec<Value> {
    served
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|v| v["fields"].clone())
        .collect()
}

fn generation(served: &Served) -> u64 {
    let used =
        |line: &&Value| line["message"].as_str().is_some_and(|m| m.starts_with("configuration read again"));
    lines(served).iter().filter(used).filter_map(|line| line["generation"].as_u64()).max().unwrap_or(1)
}

/// The line with this message that has these words somewhere.
fn said(served: &Served, message: &str, words: &str) -> bool {
    lines(served).iter().any(|line| {
        line["message"].as_str().is_some_and(|m| m.contains(message)) && line.to_string().contains(words)
    })
}

/// Not one accepted request fails, on connections that stay and on fresh ones, whatever changes under them.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_under_load_drops_no_request() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 300;
    let (one, other) = (Echo::start(0).await.unwrap(), Echo::start(0).await.unwrap());
    let (served, process, secret) = serve(&one).await;
    let done = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let pem = std::fs::read(served.folder.path().join("ca.pem")).unwrap();
            let http = match n % 2 {
                0 => client(served.folder.path()),
                _ => reqwest::Client::builder()
                    .tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).unwrap())
                    .no_proxy()
                    .timeout(LONG)
                    .build()
                    .unwrap(),
            };
            let (url, secret) = (format!("https://127.0.0.1:{}/orders/7", served.gateway), secret.clone());
            let done = done.clone();
            tokio::spawn(async move {
                let mut hosts = std::collections::BTreeSet::new();
                for _ in 0..REQUESTS {
                    let answer = read(http.get(&url).header("x-api-key", &secret)).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    hosts.insert(answer.json()["headers"]["host"].as_str().unwrap().to_owned());
                }
                done.fetch_add(1, Ordering::SeqCst);
                hosts
            })
        })
        .collect();
    let mut reloads = 0;
    while done.load(Ordering::SeqCst) < CLIENTS || reloads < 4 {
        reloads += 1;
        let upstream = if reloads % 2 == 0 { &one } else { &other };
        let extra =
            format!("{ROUTES}\n[[routes]]\npath = \"/extra/{reloads}\"\nupstream = \"api\"\nsecurity = []\n");
        served.put(&served.configuration(&upstream.url(), &extra));
        let before = generation(&served);
        process.signal(Signal::HUP);
        eventually(LONG, || async { generation(&served) > before }).await;
    }
    let mut hosts = std::collections::BTreeSet::new();
    for task in load {
        hosts.extend(task.await.unwrap());
    }
    assert_eq!(hosts.len(), 2, "both upstreams were asked while it was loaded: {hosts:?}");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_keeps_the_last_good_one_and_is_told_as_validate_tells_it() {
    let echo = Echo::start(0).await.unwrap();
    let (served, process, secret) = serve(&echo).await;
    let good = served.configuration(&echo.url(), ROUTES);
    let bad = good
        .replace("path = \"/feed\"", "pth = \"/feed\"")
        .replace("upstream = \"api\"", "upstream = \"apu\"");
    served.put(&bad);
    process.signal(Signal::HUP);
    eventually(LONG, || async { said(&served, "the last good one stays in use", "\"generation\":1") }).await;
    let validate = run(served.folder.path(), &["config", "validate", "countersign.toml"]);
    let expected = text(&validate.stderr);
    let expected: Vec<&str> =
        expected.lines().map(|line| line.strip_prefix("countersign: ").unwrap_or(line)).collect();
    assert!(expected.len() > 2, "{expected:?}");
    let told: Vec<String> =
        lines(&served).iter().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect();
    for line in expected {
        assert!(told.iter().any(|told| told == line), "`{line}` is not in {told:?}");
    }
    let http = client(served.folder.path());
    let orders = format!("https://127.0.0.1:{}/orders/1", served.gateway);
    let ask = || read(http.get(&orders).header("x-api-key", &secret));
    assert_eq!(ask().await.status, 200);

    // mended: nobody has to say so. One route opens, one goes, one setting waits for a restart
    let mended = good
        .replacen("[{ api_key = [\"orders:read\"] }]", "[]", 1)
        .replace("path = \"/feed\"", "path = \"/stream\"")
        .replacen("workers = 2", "workers = 3", 1);
    served.put(&mended);
    eventually(LONG, || async { generation(&served) == 2 }).await;
    assert_eq!(read(http.get(&orders)).await.status, 200);
    let feed = read(http.get(format!("https://127.0.0.1:{}/feed", served.gateway))).await;
    assert_eq!(feed.code(), "route_unknown");
    assert!(said(&served, "this reload opens a route: it is public", "GET /orders/{id}"), "{}", served.log());
    assert!(said(&served, "route removed", "* /feed"), "{}", served.log());
    assert!(said(&served, "route added", "* /stream"), "{}", served.log());
    assert!(said(&served, "in use only after a restart", "gateway.workers"), "{}", served.log());
    assert!(!served.log().contains(&secret));
    echo.stop().await;
}

/// Editors write in place: read once nothing moves any more. And a file may be away for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_written_in_place_and_one_that_comes_back_are_read() {
    let echo = Echo::start(0).await.unwrap();
    let (served, process, _) = serve(&echo).await;
    let file = served.folder.path().join("countersign.toml");
    let good = served.configuration(&echo.url(), ROUTES);
    std::fs::write(&file, good.replace("path = \"/open\"", "path = \"/opened\"")).unwrap();
    eventually(LONG, || async { generation(&served) == 2 }).await;
    std::fs::remove_file(&file).unwrap();
    process.signal(Signal::HUP);
    eventually(LONG, || async { said(&served, "the last good one stays in use", "\"generation\":2") }).await;
    served.put(&good);
    eventually(LONG, || async { generation(&served) == 3 }).await;
    assert!(said(&served, "there is no", "countersign.toml"), "{}", served.log());
    echo.stop().await;
}
