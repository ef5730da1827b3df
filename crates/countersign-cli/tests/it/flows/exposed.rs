//! RULES 1.7: what came over plain HTTP is refused unseen; whose it was is found out later, where its secret is right.

use crate::support::{LONG, ROUTES, Served, binary, client, free_port, run, text};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_cli::echo::Echo;
use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// As a balancer that ends nothing passes it on.
async fn send(port: u16, field: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "PROXY TCP4 192.0.2.9 127.0.0.1 1000 80\r\nGET /legacy HTTP/1.1\r\nHost: localhost\r\n{field}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_1_7_a_good_credential_on_plain_http_is_flagged_and_ended() {
    let echo = Echo::start(0).await.unwrap();
    let served = Served::prepare(&echo.url());
    let plain = free_port();
    let route = "[[routes]]\npath = \"/legacy\"\nupstream = \"api\"\n\
                 security = [{ basic = [] }, { api_key = [] }]\napi_key = { basic = true }\n";
    let listener = format!(
        "revoke_exposed = true\n[[gateway.listeners]]\nlisten = \"127.0.0.1:{plain}\"\nproxy_protocol = [\"127.0.0.1\"]\n[admin]"
    );
    let whole = served.configuration(&echo.url(), &format!("{ROUTES}{route}"));
    served.put(&whole.replacen("[admin]", &listener, 1));
    let process = served.start().await;
    let folder = served.folder.path().to_owned();
    let say = |line: &str| {
        let output = run(&folder, &line.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    };
    say("service create demo --scope orders:read");
    say("user create ada --scope orders:read");
    let password = "seven unrelated words are long enough";
    let mut set = binary()
        .args(["user", "set-password", "ada", "--password-file", "-"])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut set.stdin.take().unwrap(), password.as_bytes()).unwrap();
    assert!(set.wait().unwrap().success());
    let keys = [say("key create demo -q"), say("key create demo -q"), say("key create demo -q")];
    let app = say("app-password create ada calendar -q");

    // a public id and somebody's own rubbish flag nobody
    let good = keys[2].clone();
    let forged = forged(&good);
    for field in [
        format!("X-API-Key: {forged}"),
        basic("ada", "another password of some length"),
        format!("X-API-Key: {}", keys[0]),
        basic("x", &keys[1]),
        basic("ada", password),
        basic("ada", &app),
    ] {
        let answer = send(plain, &field).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("tls_required"), "{answer}");
    }
    let trail = |action: &str| -> Vec<Value> {
        serde_json::from_str(&say(&format!("audit tail --action {action} --output json"))).unwrap()
    };
    countersign_testkit::eventually(LONG, || async {
        trail("api_key.exposed").len() == 2
            && trail("password.exposed").len() == 1
            && trail("app_password.exposed").len() == 1
            && trail("api_key.revoke").len() == 2
            && trail("app_password.revoke").len() == 1
    })
    .await;
    assert_eq!(trail("api_key.exposed")[0]["source"], "192.0.2.9");
    let http = client(&folder);
    let ask = async |name: &str, value: &str| {
        let url = format!("https://{}/legacy", served.address());
        http.get(url).header(name, value).send().await.unwrap().status().as_u16()
    };
    let authorization =
        |user: &str, password: &str| basic(user, password)["Authorization: ".len()..].to_owned();
    assert_eq!(ask("x-api-key", &keys[0]).await, 401);
    assert_eq!(ask("x-api-key", &good).await, 200);
    assert_eq!(ask("authorization", &authorization("ada", &app)).await, 401);
    // a person's own password is theirs to change
    assert_eq!(ask("authorization", &authorization("ada", password)).await, 200);
    let log = served.log();
    for secret in [&keys[0], &keys[1], &app, &password.to_owned()] {
        assert!(!log.contains(secret.as_str()), "a secret in the log");
    }
    drop(process);
    echo.stop().await;
}

/// The id of a good key, and another secret with the right checksum (PRODUCT, API key format).
fn forged(key: &str) -> String {
    let (public, secret) = key.split_at("cs_live_".len() + 12);
    let other = if secret.starts_with('a') { "b" } else { "a" };
    checksum(&format!("{public}{other}{}", &secret[1..32]))
}

fn checksum(covered: &str) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = u32::MAX;
    for byte in covered.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{covered}{}", std::str::from_utf8(&digits).unwrap())
}
