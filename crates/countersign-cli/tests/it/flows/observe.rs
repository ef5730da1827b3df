//! Being watched: probes, metrics, and the records of what was decided.

use crate::support::{Answer, Deployment, ROUTES, read};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_crypto::hash::hmac_sha256;
use countersign_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

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
    let bucket = "countersign_revocation_lag_seconds_bucket{le=\"";
    let bounds = metrics.lines().filter_map(|line| line.strip_prefix(bucket)?.split_once('"'));
    assert_eq!(
        bounds.map(|(bound, _)| bound).collect::<Vec<_>>(),
        ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"]
    );
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

/// RULES 2.5, "serve cached yes for up to N": who bears it goes on with what is known, and no longer than was said.
#[tokio::test(flavor = "multi_thread")]
async fn who_bears_to_be_blind_for_longer_lets_in_who_is_known() {
    let rest = format!("{ROUTES}\n[observe]\nlisten = \"127.0.0.1:0\"\n");
    let house = Deployment::with_gateway("blind_after = \"20s\"", &rest).await;
    let (_, known) = house.key(json!({})).await;
    let (_, stranger) = house.key(json!({})).await;
    // once, whatever comes: `get` of the house waits until it sees again
    let get = |key: &str| read(house.gateway(Method::GET, "/orders/1").header("x-api-key", key));
    assert_eq!(get(&known).await.status, 200);
    let (here, away) = (house.folder.path().join("countersign.db"), house.folder.path().join("away.db"));
    std::fs::rename(&here, &away).unwrap();
    // what the store was asked before it went may still be answered, with the time that it is then
    eventually(LONG, || async {
        let metrics = asked(&house, "/metrics").await.text;
        sample(&metrics, "countersign_store_up{work=\"read\"}") == Some(0.0)
    })
    .await;
    house.advance(Duration::from_secs(8));
    assert_eq!(get(&known).await.status, 200);
    assert_eq!(get(&stranger).await.code(), "store_unavailable");
    assert_eq!(asked(&house, "/ready").await.status, 200);
    house.advance(Duration::from_secs(13));
    let refused = get(&known).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (503, "feed_blind"));
    assert_eq!(asked(&house, "/ready").await.status, 503);
    let metrics = asked(&house, "/metrics").await.text;
    assert_eq!(sample(&metrics, "countersign_feed_blind"), Some(1.0));
    std::fs::rename(&away, &here).unwrap();
    eventually(LONG, || async { get(&known).await.status == 200 }).await;
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

/// What was posted: path, fields by lower-case name, body.
type Posts = Arc<Mutex<Vec<(String, HashMap<String, String>, Vec<u8>)>>>;

/// Takes whatever is posted, and answers with the statuses given, in that order; with 204 after them.
async fn receiver(statuses: &'static [u16]) -> (String, Posts) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, posts) = (listener.local_addr().unwrap(), Posts::default());
    let (kept, left) = (posts.clone(), Arc::new(Mutex::new(statuses.iter())));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (kept, left) = (kept.clone(), left.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while matches!(stream.read_line(&mut line).await, Ok(n) if n > 0) {
                    let path = line.split(' ').nth(1).unwrap().to_owned();
                    let mut fields = HashMap::new();
                    loop {
                        line.clear();
                        stream.read_line(&mut line).await.unwrap();
                        let Some((name, value)) = line.trim().split_once(':') else { break };
                        fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                    }
                    let mut body = vec![0; fields["content-length"].parse().unwrap()];
                    stream.read_exact(&mut body).await.unwrap();
                    kept.lock().unwrap().push((path, fields, body));
                    let status = left.lock().unwrap().next().copied().unwrap_or(204);
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    line.clear();
                }
            });
        }
    });
    (format!("http://{address}"), posts)
}

const ALLOW: &str = "[egress]\nallow = [\"127.0.0.0/8\"]\n";

/// The Standard Webhooks specification: id, timestamp and body are signed; a repeat has the same id.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_posted_signed_and_again_where_that_failed() {
    let (url, posts) = receiver(&[503]).await;
    let secret = b"0123456789abcdef01234567";
    let shown = format!("whsec_{}", STANDARD.encode(secret));
    let decisions = format!("[observe.decisions]\nto = \"{url}/take?a=b\"\nsecret = \"{shown}\"\n{ALLOW}");
    let house = watched(&decisions).await;
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    eventually(LONG, || async { posts.lock().unwrap().len() >= 2 }).await;
    let posts = posts.lock().unwrap().clone();
    for (path, fields, body) in &posts {
        assert_eq!((path.as_str(), fields["content-type"].as_str()), ("/take?a=b", "application/json"));
        let (id, time) = (&fields["webhook-id"], &fields["webhook-timestamp"]);
        assert_eq!(time.parse::<i64>().unwrap(), house.now().as_seconds());
        let signature = hmac_sha256(secret, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
        assert_eq!(fields["webhook-signature"], format!("v1,{}", STANDARD.encode(signature)));
        let body: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["type"], "countersign.decisions");
        assert_eq!((&body["data"][0]["path"], &body["data"][0]["status"]), (&json!("/open"), &json!(200)));
    }
    assert_eq!(posts[0].1["webhook-id"], posts[1].1["webhook-id"]);
    assert!(posts[0].1["webhook-id"].starts_with("msg_"));
    eventually(LONG, || async {
        let metrics = asked(&house, "/metrics").await.text;
        sample(&metrics, "countersign_decision_records_total{outcome=\"written\"}") == Some(1.0)
    })
    .await;
    house.stop().await;
}

/// RULES 3.7: nobody in the house is called that the configuration does not allow.
#[tokio::test(flavor = "multi_thread")]
async fn rules_3_7_a_receiver_that_is_not_allowed_gets_nothing_and_requests_go_on() {
    let (url, posts) = receiver(&[]).await;
    let to = format!("[observe.traces]\nto = \"{url}/v1/traces\"\n");
    let house = watched(&to).await;
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    eventually(LONG, || async {
        let metrics = asked(&house, "/metrics").await.text;
        sample(&metrics, "countersign_spans_total{outcome=\"failed\"}").is_some_and(|failed| failed >= 2.0)
    })
    .await;
    assert!(posts.lock().unwrap().is_empty());
    assert_eq!(read(house.gateway(Method::GET, "/open")).await.status, 200);
    house.stop().await;
}

/// Every span that was posted, by kind: 2 is ours, 3 the upstream's part.
fn spans(posts: &Posts, kind: u8) -> Vec<Value> {
    let posts = posts.lock().unwrap();
    let of = |(path, _, body): &(String, HashMap<String, String>, Vec<u8>)| {
        assert_eq!(path, "/v1/traces");
        let body: Value = serde_json::from_slice(body).unwrap();
        let resource = &body["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "countersign");
        resource["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    };
    posts.iter().flat_map(of).filter(|span| span["kind"] == kind).collect()
}

fn attribute<'s>(span: &'s Value, key: &str) -> Option<&'s str> {
    let attributes = span["attributes"].as_array().unwrap();
    let value = &attributes.iter().find(|attribute| attribute["key"] == key)?["value"];
    value["stringValue"].as_str().or_else(|| value["intValue"].as_str())
}

/// OTLP's JSON, and W3C Trace Context: the caller's trace goes on through us to the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_spans_and_the_upstream_continues_the_trace() {
    let (url, posts) = receiver(&[]).await;
    let house = watched(&format!("[observe.traces]\nto = \"{url}/v1/traces\"\n{ALLOW}")).await;
    let (key, secret) = house.key(json!({})).await;
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let asked = house.gateway(Method::GET, "/orders/1?token=planted").header("x-api-key", &secret);
    let asked = asked.header("traceparent", format!("00-{trace}-{parent}-01")).header("tracestate", "a=b");
    let answer = read(asked).await;
    assert_eq!(answer.status, 200);
    let told = answer.json()["headers"].clone();
    let begun = read(house.gateway(Method::GET, "/open").header("tracestate", "a=b")).await;
    let own = begun.headers["countersign-request-id"].to_str().unwrap().to_owned();
    let begun = begun.json()["headers"].clone();
    let mistaken = format!("/orders/{secret}");
    assert_eq!(read(house.gateway(Method::GET, &mistaken)).await.status, 401);
    eventually(LONG, || async { spans(&posts, 2).len() == 3 && spans(&posts, 3).len() == 2 }).await;
    let all = format!("{:?}", posts.lock().unwrap());
    assert!(!all.contains(&secret) && !all.contains("planted"), "{all}");

    let of =
        |trace: &str, kind| spans(&posts, kind).into_iter().find(|span| span["traceId"] == trace).unwrap();
    let (server, client) = (of(trace, 2), of(trace, 3));
    assert_eq!((&server["name"], &server["parentSpanId"]), (&json!("GET /orders/{id}"), &json!(parent)));
    assert_eq!(client["parentSpanId"], server["spanId"]);
    assert_eq!(told["traceparent"], format!("00-{trace}-{}-01", client["spanId"].as_str().unwrap()));
    assert_eq!(told["tracestate"], "a=b");
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/orders/{id}"),
        ("url.path", "/orders/1"),
        ("http.response.status_code", "200"),
        ("client.address", "127.0.0.1"),
        ("countersign.code", "allowed"),
        ("countersign.principal", key["owner"]["id"].as_str().unwrap()),
        ("countersign.request", answer.headers["countersign-request-id"].to_str().unwrap()),
    ] {
        assert_eq!(attribute(&server, name), Some(value), "{server}");
    }
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let (began, ended) = (time(&server, "startTimeUnixNano"), time(&server, "endTimeUnixNano"));
    assert!(began < ended && began <= time(&client, "startTimeUnixNano"), "{server} {client}");
    assert_eq!(ended / 1_000_000_000, u64::try_from(house.now().as_seconds()).unwrap());

    // where no trace came one begins, called as the request is
    let server = of(&own, 2);
    assert!(server.get("parentSpanId").is_none());
    assert_eq!(begun["traceparent"], format!("00-{own}-{}-01", of(&own, 3)["spanId"].as_str().unwrap()));
    assert!(begun.get("tracestate").is_none(), "{begun}");

    let refused =
        spans(&posts, 2).into_iter().find(|span| attribute(span, "url.path") == Some("/orders/[covered]"));
    assert_eq!(attribute(&refused.unwrap(), "countersign.code"), Some("credential_missing"));
    house.stop().await;
}
