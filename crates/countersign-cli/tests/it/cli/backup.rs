//! `backup`, `restore` and `migrate`, as a person types them: the server serves meanwhile, and what comes back is served.

use crate::support::{LONG, Process, ROUTES, Served, binary, client, read, run, text};
use countersign_store::{Store, StoreOptions, local::SystemClock};
use countersign_testkit::eventually;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

const PASSWORD: &str = "seven unrelated words are long enough";

async fn admin(served: &Served, method: Method, path: &str, body: Value) -> Value {
    let url = format!("https://127.0.0.1:{}/admin/v1/{path}", served.admin);
    let request = client(served.folder.path()).request(method, url).bearer_auth(served.operator());
    let answer = read(if body.is_null() { request } else { request.json(&body) }).await;
    assert!(answer.status.is_success(), "{answer:?}");
    answer.json()
}

/// Id and secret.
async fn key(served: &Served) -> (String, String) {
    let made =
        admin(served, Method::POST, "api-keys", json!({"owner": "demo", "scopes": ["orders:read"]})).await;
    (made["key"]["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

async fn status(served: &Served, key: &str) -> u16 {
    let url = format!("https://127.0.0.1:{}/orders/1", served.gateway);
    client(served.folder.path()).get(url).header("x-api-key", key).send().await.unwrap().status().as_u16()
}

async fn sign_in(served: &Served) {
    let url = format!("https://127.0.0.1:{}/.countersign/session/login", served.gateway);
    let body = json!({"username": "ada", "password": PASSWORD});
    let answer = read(client(served.folder.path()).post(url).json(&body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// With another store in place of the configured one.
fn on(folder: &Path, store: &str, arguments: &[&str]) -> Output {
    let mut command = binary();
    command.args(arguments).current_dir(folder).env("COUNTERSIGN__STORE__URL", store);
    command.output().unwrap()
}

fn refused(output: &Output, code: i32, why: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    assert!(said(output).contains(why), "`{why}` is not in: {}", said(output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_while_it_served_is_served_again() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let resource = "url = \"https://api.example.com\"";
    let sessions =
        "[sessions]\naudiences = [\"https://api.example.com\"]\n[passwords]\nmemory_kib = 8192\npasses = 1\n";
    let configured = served.configuration("http://127.0.0.1:9", &format!("{ROUTES}{sessions}"));
    let configured = configured.replacen("[admin]", &format!("{resource}\n[admin]"), 1);
    served.put(&configured.replacen("[[upstreams]]", &format!("{resource}\n[[upstreams]]"), 1));
    let mut process = served.start().await;
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    admin(&served, Method::POST, "principals", owner).await;
    let ada = json!({"kind": "user", "name": "ada", "scopes": ["orders:read"]});
    admin(&served, Method::POST, "principals", ada).await;
    let password = json!({"password": PASSWORD});
    admin(&served, Method::PUT, "principals/ada/password", password).await;
    sign_in(&served).await;
    let (_, stays) = key(&served).await;
    let (gone_id, gone) = key(&served).await;
    // nobody is behind the gateway: 502 is a yes
    assert_eq!((status(&served, &stays).await, status(&served, &gone).await), (502, 502));

    let made = run(folder, &["backup", "--new-key", "backup.key"]);
    assert!(made.status.success() && made.stdout.is_empty(), "{}", said(&made));
    refused(&run(folder, &["backup", "--new-key", "backup.key"]), 5, "is there already");
    let backup = ["backup", "--to", "monday.backup", "--key-file", "backup.key"];
    let written = run(folder, &[&backup[..], &["--output", "json"]].concat());
    assert!(written.status.success(), "{}", said(&written));
    let record: Value = serde_json::from_str(&text(&written.stdout)).unwrap();
    assert!(record["rows"].as_u64().unwrap() > 10 && record["epoch"] == 1, "{record}");
    assert!(said(&written).contains("keyring.toml` is not in it"), "{}", said(&written));
    let mode = |name: &str| folder.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("monday.backup"), mode("backup.key")), (0o600, 0o600));
    refused(&run(folder, &backup), 5, "not written over");
    // nothing of it stands there to be read
    let bytes = std::fs::read(folder.join("monday.backup")).unwrap();
    assert!(!bytes.windows(4).any(|w| w == b"demo"));

    // after the backup one key ends
    admin(&served, Method::POST, &format!("api-keys/{gone_id}/revoke"), json!({})).await;
    let trail = admin(&served, Method::GET, "audit?limit=500", Value::Null).await;
    let lines: Vec<String> = trail["items"].as_array().unwrap().iter().map(|r| format!("{r}\n")).collect();
    std::fs::write(folder.join("trail.jsonl"), lines.concat()).unwrap();

    let restore = ["restore", "monday.backup", "--key-file", "backup.key"];
    refused(&run(folder, &restore), 5, "is not empty");
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());

    let with = [&restore[..], &["--audit", "trail.jsonl", "--output", "json"]].concat();
    let restored = on(folder, "sqlite:restored.db", &with);
    assert!(restored.status.success(), "{}", said(&restored));
    let record: Value = serde_json::from_str(&text(&restored.stdout)).unwrap();
    // the bootstrap key, and the one that was revoked
    assert_eq!((record["epoch"].as_i64(), record["ended"].as_i64()), (Some(2), Some(2)), "{record}");
    assert_eq!(record["sessions"], 1, "{record}");
    let recovered = on(folder, "sqlite:restored.db", &["admin", "recover"]);
    assert!(recovered.status.success(), "{}", said(&recovered));
    let mut command = binary();
    command.arg("serve").env("COUNTERSIGN__STORE__URL", "sqlite:restored.db");
    let _process = served.spawn(command, served.admin).await;
    eventually(LONG, || async { status(&served, &stays).await == 502 }).await;
    assert_eq!(status(&served, &gone).await, 401);
    let chain = admin(&served, Method::GET, "audit/verify", Value::Null).await;
    assert_eq!(chain["whole"], true, "{chain}");
    let restores = admin(&served, Method::GET, "audit?action=store.restore", Value::Null).await;
    let detail = &restores["items"][0]["detail"];
    assert!(detail["by"].as_str().unwrap().starts_with("uid ") && detail["ended"] == "2", "{restores}");
    assert_eq!(restores["items"][0]["subject"].as_str(), record["copy"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_or_is_not_whole_is_refused_with_a_reason() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let mut process = served.start().await;
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());
    let put = |name: &str, text: &str, mode: u32| {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    put("words", "several words that nobody guesses\n", 0o600);
    put("other", "several words that somebody guesses\n", 0o600);
    put("short", "elevenchars\n", 0o600);
    put("open", "several words that nobody guesses\n", 0o644);
    put("nokey", "several words that nobody guesses\n", 0o600);
    let with = |words: &'static str| ["backup", "--to", "a.backup", "--passphrase-file", words];
    refused(&run(folder, &with("missing")), 4, "there is no `missing`");
    refused(&run(folder, &with("short")), 2, "shorter than 12");
    refused(&run(folder, &with("open")), 1, "can be read or written by others");
    refused(&run(folder, &["backup", "--to", "a.backup", "--key-file", "nokey"]), 1, "no key for backups");
    refused(&run(folder, &["backup", "--to", "a.backup"]), 2, "nobody is there to ask");
    refused(&run(folder, &["backup"]), 2, "--to");
    refused(
        &run(folder, &["backup", "--to", "no/such/a.backup", "--passphrase-file", "words"]),
        1,
        "cannot write",
    );
    assert!(!folder.join("a.backup").exists());
    let left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{left:?}");

    let written = run(folder, &with("words"));
    assert!(written.status.success(), "{}", said(&written));
    let restore = |file: &str, words: &str| {
        on(folder, "sqlite:restored.db", &["restore", file, "--passphrase-file", words])
    };
    refused(&restore("a.backup", "other"), 1, "the passphrase or key is another one");
    assert!(!folder.join("restored.db").exists());
    let whole = std::fs::read(folder.join("a.backup")).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 20;
    flipped[last] ^= 1;
    std::fs::write(folder.join("flipped"), flipped).unwrap();
    std::fs::write(folder.join("cut"), &whole[..whole.len() - 1]).unwrap();
    std::fs::write(folder.join("text"), "hello\n").unwrap();
    refused(&restore("flipped", "words"), 1, "chunk 1 was altered");
    refused(&restore("cut", "words"), 1, "chunk 1 was altered");
    refused(&restore("text", "words"), 1, "not a sealed file");
    let made = run(folder, &["backup", "--new-key", "key"]);
    assert!(made.status.success());
    refused(
        &on(folder, "sqlite:restored.db", &["restore", "a.backup", "--key-file", "key"]),
        1,
        "was made with a passphrase",
    );

    // what somebody did to the trail is backed up as it is, and said when it comes back
    let mut database = std::fs::read(folder.join("countersign.db")).unwrap();
    let (name, other) = (b"\"name\":\"bootstrap\"", b"\"name\":\"bootstrep\"");
    let place = database.windows(name.len()).position(|w| w == name).unwrap();
    database[place..place + name.len()].copy_from_slice(other);
    std::fs::write(folder.join("altered.db"), database).unwrap();
    let altered = ["backup", "--to", "altered.backup", "--passphrase-file", "words"];
    assert!(on(folder, "sqlite:altered.db", &altered).status.success());
    let back = ["restore", "altered.backup", "--passphrase-file", "words"];
    let back = on(folder, "sqlite:altered-back.db", &back);
    assert!(back.status.success() && said(&back).contains("breaks at record 1"), "{}", said(&back));
    // another store's keyring: restored, and said before anybody starts it
    let keyring = std::fs::read(folder.join("keyring.toml")).unwrap();
    std::fs::remove_file(folder.join("keyring.toml")).unwrap();
    refused(&restore("a.backup", "words"), 1, "cannot be served yet");
    std::fs::write(folder.join("keyring.toml"), keyring).unwrap();
    std::fs::set_permissions(folder.join("keyring.toml"), std::fs::Permissions::from_mode(0o600)).unwrap();
    refused(&restore("a.backup", "words"), 5, "is not empty");
}

/// A process that is killed in the middle leaves a store that `serve` refuses, and the next restore completes.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_is_noticed_and_done_again() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let mut process = served.start().await;
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());
    // several chunks
    let options = StoreOptions::new(tokio::runtime::Handle::current(), Arc::new(SystemClock));
    let url = format!("sqlite:{}", folder.join("countersign.db").display());
    let store = Store::open(&url, options).await.unwrap();
    store.set_meta("zzz", &"x".repeat(300_000)).await.unwrap();
    store.close().await;
    assert!(run(folder, &["backup", "--new-key", "key"]).status.success());
    assert!(run(folder, &["backup", "--to", "a.backup", "--key-file", "key"]).status.success());

    // it reads from a pipe, whose other end gives it half and then nothing
    let whole = std::fs::read(folder.join("a.backup")).unwrap();
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
    assert!(made.success());
    let mut command = binary();
    command.args(["restore", "pipe", "--key-file", "key"]).current_dir(folder);
    let restoring = command.env("COUNTERSIGN__STORE__URL", "sqlite:restored.db").spawn().unwrap();
    let mut restoring = Process(restoring);
    let mut pipe = std::fs::OpenOptions::new().write(true).open(folder.join("pipe")).unwrap();
    pipe.write_all(&whole[..whole.len() / 2]).unwrap();
    let backup = ["backup", "--to", "b.backup", "--key-file", "key"];
    let unfinished = "did not get to its end";
    eventually(LONG, || async { said(&on(folder, "sqlite:restored.db", &backup)).contains(unfinished) })
        .await;
    restoring.0.kill().unwrap();
    restoring.0.wait().unwrap();
    drop(pipe);

    refused(&on(folder, "sqlite:restored.db", &["serve"]), 1, unfinished);
    let again = on(folder, "sqlite:restored.db", &["restore", "a.backup", "--key-file", "key"]);
    assert!(again.status.success(), "{}", said(&again));
    assert!(on(folder, "sqlite:restored.db", &backup).status.success());
}

/// Between engines as the store's own tests have it; here what a person types and sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_and_is_served_from_there() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let mut process = served.start().await;
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    admin(&served, Method::POST, "principals", owner).await;
    let (_, secret) = key(&served).await;
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());

    let migrate = ["migrate", "--from", "sqlite:countersign.db", "--to", "sqlite:moved.db"];
    let moved = run(folder, &migrate);
    assert!(moved.status.success() && said(&moved).contains("next: set `[store] url"), "{}", said(&moved));
    refused(&run(folder, &migrate), 5, "is not empty");
    let mut command = binary();
    command.arg("serve").env("COUNTERSIGN__STORE__URL", "sqlite:moved.db");
    let mut process = served.spawn(command, served.admin).await;
    eventually(LONG, || async { status(&served, &secret).await == 502 }).await;
    process.signal(Signal::TERM);
    assert!(process.0.wait().unwrap().success());
    let back =
        run(folder, &["migrate", "--from", "sqlite:moved.db", "--to", "sqlite:back.db", "--output", "json"]);
    assert!(back.status.success(), "{}", said(&back));
    let record: Value = serde_json::from_str(&text(&back.stdout)).unwrap();
    assert!(record["audit_whole"] == true && record["tables"]["api_key"].as_u64() == Some(2), "{record}");
}

#[test]
fn a_password_does_not_stand_on_a_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for to in ["postgres://a:hunter2@h/d", "postgres://a@h/d?password=hunter2", "mysql://h/d", "sqlite:", "x"]
    {
        let output = run(folder.path(), &["migrate", "--from", "sqlite:a.db", "--to", to]);
        assert_eq!(output.status.code(), Some(2), "{to}: {}", said(&output));
    }
}
