//! `countersign doctor`, on deployments that are well and on others that are not.

use crate::{
    issuer::{Issuer, key_set, new_key},
    support::{LONG, ROUTES, Served, client, read, run, text},
};
use serde_json::{Value, json};
use std::{os::unix::fs::PermissionsExt, path::Path, process::Output};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// Answers `200` to everything, at the address that is returned.
async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                    .await;
            });
        }
    });
    format!("http://{address}")
}

/// Of JSON output: level, area and what of each finding.
fn findings(output: &Output) -> Vec<(String, String, String)> {
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let word = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    for finding in &all {
        let todo = finding["todo"].as_str();
        assert_eq!(todo.is_none(), finding["level"] == "ok", "each finding says what to do: {finding}");
        assert!(todo.is_none_or(|todo| !todo.is_empty()), "{finding}");
    }
    all.iter().map(|f| (word(f, "level"), word(f, "area"), word(f, "what"))).collect()
}

fn has(found: &[(String, String, String)], level: &str, area: &str, what: &str) -> bool {
    found.iter().any(|(l, a, w)| l == level && a == area && w.contains(what))
}

async fn doctor(folder: &Path, more: &[&str]) -> Output {
    let (folder, more) = (folder.to_owned(), more.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let asking = move || {
        let mut arguments = vec!["doctor", "--output", "json"];
        arguments.extend(more.iter().map(String::as_str));
        run(&folder, &arguments)
    };
    tokio::task::spawn_blocking(asking).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_well_gets_no_warning() {
    let served = Served::prepare(&upstream().await);
    let _process = served.start().await;
    let output = doctor(served.folder.path(), &[]).await;
    let found = findings(&output);
    assert!(output.status.success(), "{found:#?}");
    for (area, what) in [
        ("configuration", "is read without an error"),
        ("certificates", "is good until"),
        ("files", "their owner's alone"),
        ("disk", "MiB are free"),
        ("store", "SQLite 3"),
        ("keyring", "that keys in use need"),
        ("upstreams", "answers with 200, to this machine only"),
        ("version", "the server and this command are"),
        ("server", "it is ready"),
        ("feed", "it knows what was revoked"),
    ] {
        assert!(has(&found, "ok", area, what), "{area} {what}: {found:#?}");
    }
    assert!(has(&found, "note", "routes", "1 of 4 routes let anybody in: `* /open`"), "{found:#?}");
    assert!(!found.iter().any(|(level, ..)| level == "warning" || level == "problem"), "{found:#?}");
    // for people
    let folder = served.folder.path().to_owned();
    let shown = tokio::task::spawn_blocking(move || run(&folder, &["doctor"])).await.unwrap();
    assert!(
        text(&shown.stdout).contains("\nok       server         it is ready\n"),
        "{}",
        text(&shown.stdout)
    );
    assert!(text(&shown.stderr).contains("0 problems, 0 warnings"), "{}", text(&shown.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_fails() {
    let served = Served::prepare("http://127.0.0.1:9");
    {
        let mut process = served.start().await;
        let http = client(served.folder.path());
        let admin = |path: &str| format!("https://127.0.0.1:{}/admin/v1/{path}", served.admin);
        let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
        let made = http.post(admin("principals")).bearer_auth(served.operator()).json(&owner);
        assert_eq!(read(made).await.status, 201);
        let key = json!({"owner": "demo", "scopes": ["orders:read"]});
        assert_eq!(
            read(http.post(admin("api-keys")).bearer_auth(served.operator()).json(&key)).await.status,
            201
        );
        // the log is put into the file when it is closed
        process.signal(rustix::process::Signal::TERM);
        process.0.wait().unwrap();
    }
    let folder = served.folder.path();
    let mode = |name: &str, mode| {
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("server.key", 0o644);
    mode("countersign.toml", 0o666);
    let keyring = std::fs::read_to_string(folder.join("keyring.toml")).unwrap();
    std::fs::write(
        folder.join("keyring.toml"),
        keyring.replace("number = 1", "number = 2").replace("current = 1", "current = 2"),
    )
    .unwrap();
    let plain = served.configuration("http://127.0.0.1:9", ROUTES).replacen(
        &format!("listen = \"127.0.0.1:{}\"", served.gateway),
        &format!("listen = [\"127.0.0.1:{}\", \"0.0.0.0:1\"]", served.gateway),
        1,
    );
    std::fs::write(folder.join("countersign.toml"), plain.replacen("\ntls = {", "\n# tls = {", 1)).unwrap();
    let output = doctor(folder, &[]).await;
    let found = findings(&output);
    assert_eq!(output.status.code(), Some(1), "{found:#?}");
    for (level, area, what) in [
        ("problem", "files", "server.key` (mode 0644)"),
        ("problem", "files", "everybody on this machine can write"),
        ("problem", "keyring", "lacks pepper 1"),
        ("problem", "upstreams", "`api`: 127.0.0.1:9 cannot be reached"),
        ("warning", "listeners", "`0.0.0.0:1` speaks plain HTTP to other machines"),
        ("note", "server", "not asked"),
    ] {
        assert!(has(&found, level, area, what), "{level} {area} {what}: {found:#?}");
    }
    // damage at the end of the file
    let database = folder.join("countersign.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(&database, bytes).unwrap();
    let found = findings(&doctor(folder, &[]).await);
    assert!(found.iter().any(|(level, area, _)| level == "problem" && area == "store"), "{found:#?}");
}

/// Bytes to and fro; a proxy that leaves everything as it is.
async fn tunnel(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                let mut behind = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut behind).await;
            });
        }
    });
    format!("https://{address}/orders")
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_proxy_it_says_what_arrived() {
    let served = Served::prepare(&upstream().await);
    let _process = served.start().await;
    let url = tunnel(served.address().to_string()).await;
    let output = doctor(served.folder.path(), &["--through", &url]).await;
    let found = findings(&output);
    for (level, what) in [
        ("ok", "leads here: from 127.0.0.1, tls, as `/orders`"),
        ("note", "it does not say who calls"),
        ("note", "it passes on `X-Forwarded-For` as its caller wrote it"),
        ("ok", "credentials arrive as they were sent"),
        ("ok", "are dropped here"),
        ("ok", "of 10 crooked paths 10 arrive as sent and 0 are refused"),
    ] {
        assert!(has(&found, level, "proxy", what), "{level} {what}: {found:#?}");
    }
    // what is believed and not set is a way in
    let more = "trusted = [{ networks = [\"127.0.0.1\"], headers = [\"x-forwarded-for\"] }]\n[admin]";
    let open = served.configuration(&upstream().await, ROUTES).replacen("[admin]", more, 1);
    served.put(&open.replacen(
        &format!("[gateway]\nlisten = \"127.0.0.1:{}\"\nworkers = 2\n", served.gateway),
        &format!(
            "[gateway]\nworkers = 2\n[[gateway.listeners]]\nlisten = \"127.0.0.1:{}\"\n",
            served.gateway
        ),
        1,
    ));
    let output = doctor(served.folder.path(), &["--through", &url]).await;
    let found = findings(&output);
    assert!(has(&found, "problem", "proxy", "it is believed what `X-Forwarded-For` says"), "{found:#?}");
    assert!(
        has(&found, "problem", "proxy", "it passes on `X-Forwarded-For` as its caller wrote it"),
        "{found:#?}"
    );
    assert_eq!(output.status.code(), Some(1));
    // somebody else's server
    let elsewhere = format!("{}/orders", upstream().await);
    let output = doctor(served.folder.path(), &["--through", &elsewhere]).await;
    assert!(has(&findings(&output), "problem", "proxy", "did not reach this gateway"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_under_its_server_is_a_problem() {
    let served = Served::prepare(&upstream().await);
    let folder = served.folder.path();
    let before = findings(&doctor(folder, &[]).await);
    assert!(has(&before, "note", "store", "there is no"), "{before:?}");
    let process = served.start().await;
    std::fs::remove_file(folder.join("countersign.db")).unwrap();
    let output = doctor(folder, &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let found = findings(&output);
    assert!(has(&found, "problem", "store", "is gone, and a server"), "{found:?}");
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_that_cannot_be_heard_and_names_that_nobody_has_are_told() {
    let staff = Issuer::start().await;
    let served = Served::prepare(&upstream().await);
    let folder = served.folder.path();
    std::fs::write(folder.join("keys.json"), key_set(&new_key())).unwrap();
    let entry = |name: &str, issuer: &str, more: &str| {
        format!("[[issuers]]\nname = \"{name}\"\nissuer = \"{issuer}\"\naudiences = [\"us\"]\n{more}\n")
    };
    let rest = [
        ROUTES,
        "[egress]\nallow = [\"127.0.0.0/8\"]\n",
        &entry("staff", &staff.url, "local = { a = \"demo\", b = \"ada\", c = \"ada\" }"),
        &entry("partner", "partner", "jwks = { file = \"keys.json\" }\nlocal = { a = \"demo\" }"),
        &entry("silent", "http://127.0.0.1:9", ""),
        &entry("inside", "inside", "jwks = { url = \"https://10.0.0.1/keys\" }"),
    ];
    served.put(&served.configuration(&upstream().await, &rest.concat()));
    let _process = served.start().await;
    let owner = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    let url = format!("https://127.0.0.1:{}/admin/v1/principals", served.admin);
    let made = client(folder).post(url).bearer_auth(served.operator()).json(&owner);
    assert_eq!(read(made).await.status, 201);
    // the server does it by itself, and when is its own affair
    countersign_testkit::eventually(LONG, async || {
        let found = findings(&doctor(folder, &[]).await);
        ["staff", "partner"]
            .iter()
            .all(|name| has(&found, "ok", "issuers", &format!("the server holds keys of `{name}`")))
    })
    .await;
    let output = doctor(folder, &[]).await;
    let found = findings(&output);
    for (level, what) in [
        ("ok", "`staff`: its keys are where its metadata say: 1 can be used"),
        ("ok", "`partner`: its keys are in `"),
        ("problem", "`silent`: its keys cannot be taken: `127.0.0.1`: "),
        ("problem", "`inside`: its keys cannot be taken: `10.0.0.1`: "),
        ("problem", "`[egress] allow` names networks that may be called"),
        ("problem", "the server holds no keys of `silent`"),
        ("problem", "the server holds no keys of `inside`"),
        ("warning", "`staff`: `local` names principals that are not here: `ada`;"),
        ("ok", "`partner`: everybody whom `local` names is here"),
    ] {
        assert!(has(&found, level, "issuers", what), "{level} {what}: {found:#?}");
    }
    assert_eq!(output.status.code(), Some(1));

    // nobody serves, and it is known all the same
    std::fs::write(folder.join("keys.json"), "{").unwrap();
    staff.is_up(false);
    let found = findings(&doctor(folder, &["--server", "https://127.0.0.1:9"]).await);
    for what in ["`staff`: its keys cannot be taken: `http", "`partner`: its keys cannot be taken: "] {
        assert!(has(&found, "problem", "issuers", what), "{what}: {found:#?}");
    }
}
