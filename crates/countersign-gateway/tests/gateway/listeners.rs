//! Listeners: several, on TCP and on Unix sockets, and how they begin and end.

use crate::support::{KEY, OK, PATIENCE, Rig, Upstream, head_end, routes, status};
use countersign_gateway::{
    Gateway, GatewayConfig, ListenAddress, ListenerConfig, Observing, StartError, UnixAddress,
};
use countersign_testkit::{SeededEntropy, eventually};
use std::{
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

fn unix(path: &Path) -> ListenerConfig {
    let path = path.to_path_buf();
    ListenerConfig::new(ListenAddress::Unix(UnixAddress { path, mode: 0o660 }))
}

async fn with_unix(path: &Path, workers: usize) -> Rig {
    let upstream = Upstream::start(|_| crate::support::Act::answer(OK)).await;
    Rig::with(upstream, routes(), |config| {
        config.workers = workers;
        config.listeners.push(unix(path));
    })
    .await
}

fn start(rig: &Rig, listener: ListenerConfig) -> Result<Gateway, StartError> {
    let config = GatewayConfig { listeners: vec![listener], workers: 1, ..GatewayConfig::default() };
    let entropy = Arc::new(SeededEntropy::new(1));
    Gateway::start(
        config,
        rig.fixture.point.clone(),
        rig.fixture.routes.clone(),
        entropy,
        Observing::default(),
    )
}

async fn get(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = format!("GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{KEY}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    (folder, path)
}

/// RULES 1.7: what comes through a file of this machine never left it, so its key is read without TLS.
#[tokio::test]
async fn a_unix_socket_serves_beside_a_port() {
    let (_folder, path) = folder();
    let mut rig = with_unix(&path, 2).await;
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    for _ in 0..8 {
        assert_eq!(status(&get(&path).await), 200);
    }
    assert_eq!(rig.upstream.requests()[0].field("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(status(&rig.get("/a", "").await), 200);
    let gateway = rig.gateway.take().unwrap();
    assert_eq!(gateway.listening().len(), 2);
    assert_eq!(gateway.addresses(), [rig.address]);
    gateway.stop(PATIENCE).await;
    assert!(!path.exists(), "the file goes with its listener");
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let (_folder, path) = folder();
    // bound, then closed without being removed: what a killed process leaves
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let rig = with_unix(&path, 1).await;
    assert_eq!(status(&get(&path).await), 200);

    let refused = start(&rig, unix(&path)).unwrap_err();
    let StartError::Listen { source, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(status(&get(&path).await), 200, "the first one goes on");
}

#[tokio::test]
async fn a_file_that_is_no_socket_of_ours_stays() {
    let (folder, path) = folder();
    let rig = Rig::plain().await;
    std::fs::write(&path, "precious").unwrap();
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for taken in [&path, &link] {
        let refused = start(&rig, unix(taken)).unwrap_err();
        assert!(refused.to_string().contains("no socket"), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

    // somebody put another socket in our place: it is not ours to remove
    let own = folder.path().join("own.sock");
    let gateway = start(&rig, unix(&own)).unwrap();
    std::fs::remove_file(&own).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&own).unwrap();
    gateway.stop(PATIENCE).await;
    assert!(own.exists());
}

/// A listener that cannot open takes down what was opened before it, files included.
#[tokio::test]
async fn a_failed_start_leaves_nothing_behind() {
    let (_folder, path) = folder();
    let rig = Rig::plain().await;
    let listeners = vec![unix(&path), ListenerConfig::new(rig.address)];
    let config = GatewayConfig { listeners, workers: 1, ..GatewayConfig::default() };
    let entropy = Arc::new(SeededEntropy::new(1));
    let refused = Gateway::start(
        config,
        rig.fixture.point.clone(),
        rig.fixture.routes.clone(),
        entropy,
        Observing::default(),
    );
    assert!(matches!(refused, Err(StartError::Listen { .. })), "{refused:?}");
    assert!(!path.exists());
}

/// Who is in the kernel's queue when draining begins has been accepted: closing the socket would reset them. One slot
/// keeps the others waiting there.
#[tokio::test]
async fn the_queue_is_emptied_before_a_listener_closes() {
    let (_folder, path) = folder();
    let upstream = Upstream::held(OK).await;
    let hold = upstream.hold.clone();
    let mut rig = Rig::with(upstream, routes(), |config| {
        config.listeners.push(unix(&path));
        config.limits.connections = 2;
    })
    .await;
    let request = format!("GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{KEY}\r\n");
    let mut tcp = Vec::new();
    let mut local = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        tcp.push(stream);
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        local.push(stream);
    }
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 2 }).await;
    let stopped = tokio::spawn(rig.gateway.take().unwrap().stop(PATIENCE));
    hold.add_permits(tokio::sync::Semaphore::MAX_PERMITS / 2);
    let whole = |answer: &[u8]| head_end(answer).is_some() && answer.ends_with(b"ok");
    let mut answer = Vec::new();
    for stream in &mut tcp {
        answer.clear();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(whole(&answer), "{}", String::from_utf8_lossy(&answer));
    }
    for stream in &mut local {
        answer.clear();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(whole(&answer), "{}", String::from_utf8_lossy(&answer));
    }
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert_eq!(rig.upstream.requests().len(), 40);
}
