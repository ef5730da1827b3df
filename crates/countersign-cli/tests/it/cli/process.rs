//! Kill and stop, on the real process.

use crate::support::{LONG, Served, client, read};
use countersign_testkit::eventually;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{net::TcpStream, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Mutex, Notify},
};

async fn owner(served: &Served) {
    let http = client(served.folder.path());
    let made = http.post(format!("https://127.0.0.1:{}/admin/v1/principals", served.admin));
    let body = json!({"kind": "service", "name": "demo", "scopes": ["orders:read"]});
    assert_eq!(read(made.bearer_auth(served.operator()).json(&body)).await.status, 201);
}

/// Nothing acknowledged is lost by `kill -9`.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_keys_survive_kill_9() {
    let served = Served::prepare("http://127.0.0.1:9");
    let mut process = served.start().await;
    owner(&served).await;
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (http, operator) = (client(served.folder.path()), served.operator());
            let (url, acknowledged) =
                (format!("https://127.0.0.1:{}/admin/v1/api-keys", served.admin), acknowledged.clone());
            tokio::spawn(async move {
                let body = json!({"owner": "demo", "scopes": ["orders:read"]});
                // until the process dies under it
                while let Ok(answer) = http.post(&url).bearer_auth(&operator).json(&body).send().await {
                    let Ok(made) = answer.json::<Value>().await else { return };
                    let Some(secret) = made["secret"].as_str() else { return };
                    acknowledged.lock().await.push(secret.to_owned());
                }
            })
        })
        .collect();
    eventually(LONG, || async { acknowledged.lock().await.len() >= 40 }).await;
    process.signal(Signal::KILL);
    process.0.wait().unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    let acknowledged = acknowledged.lock().await.clone();

    let _again = served.start().await;
    let http = client(served.folder.path());
    for secret in &acknowledged {
        let verify = http.post(format!("https://127.0.0.1:{}/admin/v1/api-keys/verify", served.admin));
        let answer = read(verify.bearer_auth(served.operator()).json(&json!({"key": secret}))).await;
        if answer.status == 429 {
            break;
        }
        assert_eq!(answer.json()["valid"], true, "{answer:?}");
    }
    // every one of them is there, whatever the limit of `verify` let us ask
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let url =
            format!("https://127.0.0.1:{}/admin/v1/api-keys?owner=demo&limit=500{cursor}", served.admin);
        let page = read(http.get(url).bearer_auth(served.operator())).await.json();
        ids.extend(page["items"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    for secret in &acknowledged {
        assert!(ids.contains(&secret[8..20].to_owned()), "{} of {}", ids.len(), acknowledged.len());
    }
    let chain = http.get(format!("https://127.0.0.1:{}/admin/v1/audit/verify", served.admin));
    assert_eq!(read(chain.bearer_auth(served.operator())).await.json()["whole"], true);
}

/// SIGTERM: nobody new gets in, what is under way is finished, the exit is clean.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_under_way() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let served = Served::prepare(&format!("http://{}", upstream.local_addr().unwrap()));
    let slow = tokio::spawn({
        let (arrived, release) = (arrived.clone(), release.clone());
        async move {
            let (mut stream, _) = upstream.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            arrived.notify_one();
            release.notified().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate").await.unwrap();
            // kept open until the other side has read it
            let _ = stream.read_u8().await;
        }
    });
    let mut process = served.start().await;
    let http = client(served.folder.path());
    let url = format!("https://127.0.0.1:{}/open", served.gateway);
    let request = tokio::spawn(async move { read(http.get(url)).await });
    arrived.notified().await;
    process.signal(Signal::HUP);
    eventually(LONG, || async { served.log().contains("SIGHUP") }).await;
    process.signal(Signal::TERM);
    eventually(LONG, || async { TcpStream::connect(served.address()).is_err() }).await;
    assert!(process.0.try_wait().unwrap().is_none(), "it waits for what is under way");
    release.notify_one();
    let answer = request.await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "late"));
    assert!(process.0.wait().unwrap().success(), "{}", served.log());
    slow.await.unwrap();
}

/// Peppers and passing keys stay in memory: no core file of ours holds them.
#[tokio::test(flavor = "multi_thread")]
async fn no_core_file_is_written() {
    let served = Served::prepare("http://127.0.0.1:9");
    let process = served.start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.0.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let values: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(values, ["0", "0"], "{core}");
}
