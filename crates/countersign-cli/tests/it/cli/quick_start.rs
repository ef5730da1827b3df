//! The three commands of the README, as they stand there, typed into a shell.

use crate::support::{LONG, Process, fixed_ports, text};
use countersign_testkit::{eventually, has_program};
use std::{
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

const FIRST: &str = "countersign dev --upstream http://127.0.0.1:3000";
/// What the README says to type where there is nothing to protect yet.
const DEMO: &str = "countersign dev --demo";
const KEY: &str = "countersign key create demo --scope orders:read --header > key";
const CURL: &str = "curl --cacert .countersign/ca.pem -H @key https://localhost:8443/orders/1";

/// `countersign` is found as it is after the README's set-up command.
fn shell(folder: &Path, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg(line).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
    command
}

fn typed(folder: &Path, line: &str) -> Output {
    shell(folder, line).output().unwrap()
}

#[tokio::test]
async fn three_commands() {
    if !has_program("curl", "cli::quick_start::three_commands") {
        return;
    }
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    for line in [FIRST, KEY, CURL] {
        assert!(readme.lines().any(|l| l == line), "the README does not say `{line}`");
    }
    let _alone = fixed_ports().await;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // `exec`, so that the process is the binary and not the shell before it
    let log = std::fs::File::create(here.join("log")).unwrap();
    let child = shell(here, &format!("exec {DEMO}")).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let mut dev = Process(child);
    let ready = || async {
        let said = std::fs::read_to_string(here.join("log")).unwrap();
        let gone = dev_is_gone(&said);
        assert!(!gone, "{said}");
        // the greeting ends with the very next commands to type
        said.contains(KEY) && said.contains(CURL) && TcpStream::connect("127.0.0.1:8443").is_ok()
    };
    eventually(LONG, ready).await;

    let key = typed(here, KEY);
    assert!(key.status.success(), "{}", text(&key.stderr));
    assert!(key.stdout.is_empty(), "the secret went where it was sent, and nowhere else");
    let header = std::fs::read_to_string(here.join("key")).unwrap();
    let secret = header.strip_prefix("X-API-Key: ").unwrap().trim_end();
    assert!(secret.starts_with("cs_live_") && secret.len() == 58, "{}", secret.len());
    assert_eq!(header, format!("X-API-Key: {secret}\n"));

    let curl = typed(here, CURL);
    assert!(curl.status.success(), "{}", text(&curl.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&curl.stdout).unwrap();
    assert_eq!((&answer["method"], &answer["path"]), (&"GET".into(), &"/orders/1".into()), "{answer}");

    // the other answers that the README promises
    let status = |line: &str| {
        let output = typed(here, &format!("{line} -s -o answer -w '%{{http_code}}'"));
        let answer: serde_json::Value =
            serde_json::from_slice(&std::fs::read(here.join("answer")).unwrap()).unwrap_or_default();
        (text(&output.stdout), answer["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(status(&CURL.replace(" -H @key", "")), ("401".into(), "credential_missing".into()));
    let post = CURL.replace("curl", "curl -X POST").replace("/orders/1", "/orders");
    assert_eq!(status(&post), ("403".into(), "scope_missing".into()));
    let revoke = typed(here, &format!("countersign key revoke {} --yes", &secret[8..20]));
    assert!(revoke.status.success(), "{}", text(&revoke.stderr));
    assert_eq!(status(CURL), ("401".into(), "key_revoked".into()));

    dev.signal(rustix::process::Signal::TERM);
    assert!(dev.0.wait().unwrap().success());
}

fn dev_is_gone(said: &str) -> bool {
    said.contains("countersign: ")
}
