//! Being watched: probes, metrics, and the records of what was decided.

use crate::support::{Answer, Deployment, ROUTES, read};
use countersign_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = crate::support::LONG;

async fn watched(more: &str) -> Deployment {
    Deployment::with(&format!("{ROUTES}\n[observe]\nlisten = \"127.0.0.1:0\"\n{more}")).await
}

async fn asked(house: &Deployment, path: &str) -> Answer {
    let address = house.running.watched_address().unwrap();
    read(reqwest::Client::new().get(format!("http://{address}{path}"))).await
}

/// The value of one sample.
fn sample(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_3_8_probes_say_one_word_and_nothing_else_is_there() {
    let house = watched("").await;
    for (path, status, text) in [("/live", 200, "live\n"), ("/ready", 200, "ready\n")] {
        let answer = asked(&house, path).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, text));
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    for (path, status) in [("/", 404), ("/live/", 404), ("/admin/v1/principals", 404), ("/revoke", 404)] {
        assert_eq!(asked(&house, path).await.status, status, "{path}");
    }
    let address = house.running.watched_address().unwrap();
    let http = reqwest::Client::new();
    let posted = read(http.post(format!("http://{address}/live"))).await;
    assert_eq!(posted.status, 405);
    // a page of another origin whose name was pointed here
    let rebound = read(http.get(format!("http://{address}/metrics")).header("host", "evil.example")).await;
    assert_eq!(rebound.status, 421);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_3_8_metrics_need_a_scope_or_loopback() {
    let house = watched("").await;
    assert_eq!(asked(&house, "/metrics").await.status, 200);
    let admin = house.running.admin_address().unwrap();
    let metrics = || house.http.get(format!("https://{admin}/metrics"));
    assert_eq!(read(metrics()).await.status, 401);
    let (_, secret) = house.key(json!({})).await;
    assert_eq!(read(metrics().bearer_auth(&secret)).await.code(), "scope_missing");
    let reader = json!({"kind": "service", "name": "scraper", "scopes": ["countersign:metrics"]});
    assert_eq!(house.admin(Method::POST, "principals", Some(reader)).await.status, 201);
    let (_, scraper) = house.key(json!({"owner": "scraper", "scopes": ["countersign:metrics"]})).await;
    let answer = read(metrics().bearer_auth(&scraper)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.text.contains("\ncountersign_ready 1\n"), "{}", answer.text);
    // and it opens nothing else
    assert_eq!(house.admin_with(&scraper, Method::GET, "principals", None).await.code(), "scope_missing");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_counted() {
    let house = watched("").await;
    let (_, secret) = house.key(json!({"expires_in": "1h"})).await;
    for _ in 0..3 {
        assert_eq!(house.get("/orders/1", &secret).await.status, 200);
    }
    assert_eq!(house.get("/orders/1", "cs_test_nonsense").await.status, 401);
    assert_eq!(read(house.gateway(Method::GET, "/elsewhere")).await.status, 404);
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    let metrics = asked(&house, "/metrics").await.text;
    let counted = |name: &str| sample(&metrics, name).unwrap_or_else(|| panic!("{name}\n{metrics}"));
    for (name, value) in [
        ("countersign_requests_total{route=\"GET /orders/{id}\",status=\"200\"}", 3.0),
        ("countersign_requests_total{route=\"GET /orders/{id}\",status=\"401\"}", 1.0),
        ("countersign_requests_total{route=\"-\",status=\"404\"}", 1.0),
        (
            "countersign_decisions_total{route=\"GET /orders/{id}\",method=\"api_key\",reason=\"allowed\"}",
            3.0,
        ),
        ("countersign_decisions_total{route=\"* /open\",method=\"none\",reason=\"allowed\"}", 1.0),
        ("countersign_decisions_total{route=\"-\",method=\"none\",reason=\"route_unknown\"}", 1.0),
        ("countersign_request_duration_seconds_count{route=\"GET /orders/{id}\"}", 4.0),
        ("countersign_upstream_duration_seconds_count{route=\"GET /orders/{id}\"}", 3.0),
        ("countersign_workers", 2.0),
        ("countersign_workers_silent", 0.0),
        ("countersign_ready", 1.0),
        ("countersign_feed_blind", 0.0),
        ("countersign_store_up{work=\"write\"}", 1.0),
        ("countersign_verified_cache_misses_total", 1.0),
        ("countersign_api_keys_expiring{within=\"1d\"}", 2.0),
        ("countersign_configuration_generation", 1.0),
        ("countersign_configuration_behind", 0.0),
    ] {
        assert_eq!(counted(name), value, "{name}\n{metrics}");
    }
    assert!(counted("countersign_store_write_duration_seconds_count") >= 2.0);
    assert!(counted("process_resident_memory_bytes") > 1e6);
    // every family says what it is, once, and every sample belongs to one
    let mut family = "";
    let mut seen = Vec::new();
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap();
            assert!(!seen.contains(&family), "{family} twice");
            seen.push(family);
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} stands under {family}");
        }
    }
    is_spoken_of(&seen);
    house.stop().await;
}

/// The guide explains each of them, and what alerts and the dashboard ask for is there.
fn is_spoken_of(families: &[&str]) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let guide = read("docs/guides/observe.md");
    for family in families {
        let named = guide.contains(&format!("`{family}`"));
        assert!(named, "docs/guides/observe.md does not explain {family}");
    }
    for file in ["examples/prometheus/alerts.yml", "examples/grafana/countersign.json"] {
        let text = read(file);
        let mut asked = 0;
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("countersign_") || word.starts_with("process_")) {
            let family = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(families.contains(&family), "{file} asks for `{word}`, which there is not");
            asked += 1;
        }
        assert!(asked >= 10, "{file}");
    }
}

/// RULES 2.5: what cannot know what was revoked serves nobody, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_blind_is_not_ready_until_it_sees_again() {
    let house = watched("").await;
    let (here, away) = (house.folder.path().join("countersign.db"), house.folder.path().join("away.db"));
    std::fs::rename(&here, &away).unwrap();
    eventually(LONG, || async {
        house.advance(Duration::from_secs(6));
        asked(&house, "/ready").await.text == "unready\n"
    })
    .await;
    assert_eq!(asked(&house, "/ready").await.status, 503);
    assert_eq!(asked(&house, "/live").await.status, 200);
    let metrics = asked(&house, "/metrics").await.text;
    assert_eq!(sample(&metrics, "countersign_ready"), Some(0.0));
    assert_eq!(sample(&metrics, "countersign_feed_blind"), Some(1.0));
    eventually(LONG, || async {
        let metrics = asked(&house, "/metrics").await.text;
        sample(&metrics, "countersign_store_up{work=\"read\"}") == Some(0.0)
    })
    .await;
    std::fs::rename(&away, &here).unwrap();
    eventually(LONG, || async { asked(&house, "/ready").await.status == 200 }).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_leaves_a_record() {
    let house = watched("[observe.decisions]\nto = \"file:decisions.jsonl\"\n").await;
    let (key, secret) = house.key(json!({})).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let allowed = house.gateway(Method::GET, "/orders/1?q=1").header("x-api-key", &secret);
    let allowed = read(allowed.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))).await;
    assert_eq!(allowed.status, 200);
    let mistaken = read(house.gateway(Method::GET, &format!("/orders/{secret}"))).await;
    assert_eq!(mistaken.status, 401);
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    let file = house.folder.path().join("decisions.jsonl");
    let records = || -> Vec<Value> {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    eventually(LONG, || async { records().len() == 3 }).await;
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains(&secret), "{written}");
    let of = |path: &str| records().into_iter().find(|record| record["path"] == path).unwrap();

    let record = of("/orders/1");
    assert_eq!(record["decision"], "allow");
    assert_eq!((&record["route"], &record["upstream"]), (&json!("GET /orders/{id}"), &json!("api")));
    assert_eq!((&record["method"], &record["status"]), (&json!("GET"), &json!(200)));
    assert_eq!((&record["peer"], &record["trace"]), (&json!("127.0.0.1"), &json!(trace)));
    assert_eq!(record["principal"], key["owner"]["id"]);
    let subject = json!({"method": "api_key", "credential": key["id"], "scopes": ["orders:read"]});
    assert_eq!(record["subject"], subject);
    assert_eq!(record["request"], allowed.headers["countersign-request-id"].to_str().unwrap());
    assert!(record["duration_us"].as_u64().unwrap() >= record["upstream_us"].as_u64().unwrap());
    let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    assert_eq!(time.as_second(), house.now().as_seconds());

    let record = of("/orders/[covered]");
    assert_eq!((&record["decision"], &record["code"]), (&json!("deny"), &json!("credential_missing")));
    assert_eq!((&record["status"], &record["route"]), (&json!(401), &json!("GET /orders/{id}")));
    assert!(record["reason"].is_string() && record.get("principal").is_none(), "{record}");

    let record = of("/open");
    assert_eq!((&record["decision"], record.get("subject")), (&json!("allow"), None));
    let metrics = asked(&house, "/metrics").await.text;
    assert_eq!(sample(&metrics, "countersign_decision_records_total{outcome=\"written\"}"), Some(3.0));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_them_may_do_and_a_reload_changes_it() {
    let decisions = |sample: &str, refused: &str| {
        format!(
            "{ROUTES}\n[observe.decisions]\nto = \"file:d.jsonl\"\nsample = \"{sample}\"\nrefused = \"{refused}\"\n"
        )
    };
    let mut house = Deployment::with(&decisions("0%", "100%")).await;
    let file = house.folder.path().join("d.jsonl");
    let written = || std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    assert_eq!(read(house.gateway(Method::GET, "/elsewhere")).await.status, 404);
    eventually(LONG, || async { written().contains("route_unknown") }).await;
    assert_eq!(written().lines().count(), 1, "{}", written());
    let reloaded = house.reload(&decisions("100%", "0%")).await;
    assert_eq!(reloaded.restart, Vec::<String>::new());
    assert_eq!(read(house.gateway(Method::GET, "/elsewhere")).await.status, 404);
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    eventually(LONG, || async { written().contains("allowed") }).await;
    assert_eq!(written().lines().count(), 2, "{}", written());
    let moved = decisions("100%", "0%").replace("d.jsonl", "e.jsonl");
    assert_eq!(house.reload(&moved).await.restart, ["observe.decisions.to"]);
    house.stop().await;
}
