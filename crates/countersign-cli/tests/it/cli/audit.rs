//! The trail as a file: exported whole, verified without a server, held against a signed head.

use crate::support::{Served, client, read, run, text};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{path::Path, process::Output};

async fn made(served: &Served, names: &[&str]) {
    let url = format!("https://127.0.0.1:{}/admin/v1/principals", served.admin);
    for name in names {
        let body = json!({"kind": "service", "name": name, "scopes": ["orders:read"]});
        let request = client(served.folder.path()).request(Method::POST, &url).bearer_auth(served.operator());
        assert_eq!(read(request.json(&body)).await.status, 201);
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    text(&output.stdout)
}

fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert!(said(output).contains(why), "`{why}` is not in: {}", said(output));
}

fn verify(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, &[&["audit", "verify", "--output", "json"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_without_a_server_and_whatever_is_done_to_it_is_noticed() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let mut process = served.start().await;
    made(&served, &["a", "b", "c"]).await;
    let head = good(run(folder, &["audit", "head", "--sign", "--output", "json"]));
    std::fs::write(folder.join("head.json"), &head).unwrap();
    let signed: Value = serde_json::from_str(&head).unwrap();
    let number = signed["number"].as_i64().unwrap();
    made(&served, &["d", "e"]).await;
    let exported = run(folder, &["audit", "export", "--to", "trail.jsonl"]);
    assert!(said(&exported).contains(&format!("up to number {}", number + 2)), "{}", said(&exported));
    assert_eq!(run(folder, &["audit", "export", "--to", "trail.jsonl"]).status.code(), Some(5));
    let trail = std::fs::read_to_string(folder.join("trail.jsonl")).unwrap();
    assert_eq!(trail, good(run(folder, &["audit", "export", "-q"])), "stdout is the same");
    // one part after the other is the whole
    let first = good(run(folder, &["audit", "export", "--until", signed["at"].as_str().unwrap(), "-q"]));
    let second = good(run(folder, &["audit", "export", "--since", signed["at"].as_str().unwrap(), "-q"]));
    assert_eq!(first + &second, trail);
    let after = number.to_string();
    assert_eq!(good(run(folder, &["audit", "export", "--after", &after, "-q"])).lines().count(), 2);
    // for a SIEM
    let ocsf = good(run(folder, &["audit", "export", "--format", "ocsf", "-q"]));
    assert_eq!(ocsf.lines().count(), trail.lines().count());
    let last: Value = serde_json::from_str(ocsf.lines().last().unwrap()).unwrap();
    assert_eq!((&last["class_uid"], &last["user"]["name"]), (&json!(3001), &json!("e")));
    let state: Value = serde_json::from_str(&good(verify(folder, &["--head", "head.json"]))).unwrap();
    assert_eq!((&state["whole"], &state["kept_head"]), (&json!(true), &json!("there")));
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());

    let state: Value =
        serde_json::from_str(&good(verify(folder, &["--file", "trail.jsonl", "--head", "head.json"])))
            .unwrap();
    assert_eq!((&state["last"], &state["kept_head"]), (&json!(number + 2), &json!("there")));
    let key = signed["keys"][0]["ed25519"].as_str().unwrap().to_owned();
    good(verify(folder, &["--file", "trail.jsonl", "--head", "head.json", "--key", &key]));
    refused(
        &verify(folder, &["--file", "trail.jsonl", "--head", "head.json", "--key", &"ab".repeat(32)]),
        "signature does not hold",
    );

    let lines: Vec<&str> = trail.lines().collect();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let mut altered = lines.clone();
    let other = lines[2].replace("\"actor\":\"", "\"actor\":\"x");
    altered[2] = &other;
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let number_of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["number"].clone();
    for (what, content, why) in [
        ("altered", joined(&altered), format!("broken at record {}", number_of(lines[2]))),
        ("swapped", joined(&swapped), format!("broken at record {}", number_of(lines[1]))),
        (
            "one left out",
            joined(&[&lines[..2], &lines[3..]].concat()),
            format!("broken at record {}", number_of(lines[2])),
        ),
        (
            "cut at its end",
            joined(&lines[..usize::try_from(number).unwrap() - 1]),
            "was there when the head was signed".into(),
        ),
        ("cut in a line", trail[..trail.len() - 5].to_owned(), "it does not end where a line does".into()),
        ("empty", String::new(), "has no records".into()),
        ("something else", "hello\n".into(), "no record of an exported trail".into()),
    ] {
        std::fs::write(folder.join("altered.jsonl"), content).unwrap();
        let output = verify(folder, &["--file", "altered.jsonl", "--head", "head.json"]);
        assert!(said(&output).contains(&why), "{what}: {}", said(&output));
        refused(&output, &why);
    }
    for (what, altered, why) in [
        (
            "number",
            head.replace(&format!("\"number\": {number},"), &format!("\"number\": {},", number - 1)),
            "signature does not hold",
        ),
        ("store", head.replace("\"store\": \"", "\"store\": \"x"), "signature does not hold"),
        (
            "unsigned",
            {
                let mut unsigned = signed.clone();
                unsigned["signature"] = Value::Null;
                unsigned.to_string()
            },
            "is not signed",
        ),
        ("no head", "{}".into(), "no head of a trail"),
    ] {
        assert_ne!(altered, head, "{what}");
        std::fs::write(folder.join("other.json"), altered).unwrap();
        refused(&verify(folder, &["--file", "trail.jsonl", "--head", "other.json"]), why);
    }
}

/// A trail that lost its tail is whole in itself; only a head that was kept elsewhere shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_lost_its_end_is_found_by_a_kept_head() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let mut process = served.start().await;
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());
    std::fs::copy(folder.join("countersign.db"), folder.join("before.db")).unwrap();
    let mut process = served.start().await;
    made(&served, &["a", "b"]).await;
    let head = good(run(folder, &["audit", "head", "--sign", "--output", "json"]));
    std::fs::write(folder.join("head.json"), &head).unwrap();
    good(verify(folder, &["--head", "head.json"]));
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());
    // somebody puts the old file back
    std::fs::copy(folder.join("before.db"), folder.join("countersign.db")).unwrap();
    let _process = served.start().await;
    let state: Value = serde_json::from_str(&good(verify(folder, &[]))).unwrap();
    assert_eq!(state["whole"], true);
    refused(&verify(folder, &["--head", "head.json"]), "somebody cut it off");
    // and goes on, up to the same number
    made(&served, &["x", "y"]).await;
    refused(&verify(folder, &["--head", "head.json"]), "is another one than when the head was signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pepper_is_added_keys_go_on_and_new_ones_use_it() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let process = served.start().await;
    made(&served, &["demo"]).await;
    let key = || {
        text(&run(folder, &["key", "create", "demo", "--scope", "orders:read", "-q"]).stdout)
            .trim()
            .to_owned()
    };
    let works = async |key: &str| {
        let url = format!("https://127.0.0.1:{}/orders/1", served.gateway);
        client(folder).get(url).header("x-api-key", key).send().await.unwrap().status() == 502
    };
    let before = key();
    assert!(works(&before).await);
    let rotated = run(folder, &["keyring", "rotate"]);
    assert!(rotated.status.success() && rotated.stdout.is_empty(), "{}", said(&rotated));
    let secrets: Vec<String> = std::fs::read_to_string(folder.join("keyring.toml"))
        .unwrap()
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(secrets.len(), 6);
    let listed = run(folder, &["keyring", "list", "--output", "json"]);
    for secret in &secrets {
        assert!(!said(&rotated).contains(secret) && !said(&listed).contains(secret));
    }
    drop(process);
    let _process = served.start().await;
    let after = key();
    assert!(works(&before).await && works(&after).await);
    let listed: Value =
        serde_json::from_str(&good(run(folder, &["keyring", "list", "--output", "json"]))).unwrap();
    assert_eq!(
        listed,
        json!([
            {"purpose": "pepper", "number": 1, "current": false, "needed": true},
            {"purpose": "pepper", "number": 2, "current": true, "needed": true},
            {"purpose": "audit", "number": 1, "current": true, "needed": true},
            {"purpose": "fingerprint", "number": 1, "current": true, "needed": true},
            {"purpose": "seal", "number": 1, "current": true, "needed": true},
            {"purpose": "cookie", "number": 1, "current": true, "needed": true},
        ])
    );
    assert_eq!(run(folder, &["keyring", "use", "7"]).status.code(), Some(4));
    assert_eq!(run(folder, &["keyring", "rotate", "audit", "--later"]).status.code(), Some(2));
}
