use super::*;
use crate::test_world::World;
use axum::{body::Body, routing::get};
use countersign_crypto::{tls, x509::development::DevelopmentAuthority};
use countersign_testkit::SeededEntropy;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longer than anything here takes, and then the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn loopback(tls: Option<Arc<rustls::ServerConfig>>) -> ListenConfig {
    let hosts = HostList::new(["Admin.Example."]).unwrap();
    ListenConfig::new("127.0.0.1:0".parse().unwrap(), tls, hosts)
}

fn start(config: ListenConfig, router: Router) -> (Listener, SocketAddr) {
    let listener = serve(config, router, Arc::new(SeededEntropy::new(9))).unwrap();
    let address = listener.addresses()[0];
    (listener, address)
}

/// Everything that comes back until the other side closes.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &str) -> String {
    // the other side may close before it has read everything, which is an answer too
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the connection was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(address: SocketAddr, text: &str) -> String {
    talk(TcpStream::connect(address).await.unwrap(), text).await
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn authority() -> (Arc<rustls::ServerConfig>, rustls::RootCertStore) {
    let entropy = SeededEntropy::new(3);
    let now = 1_800_000_000;
    let root = DevelopmentAuthority::generate(now, &entropy).unwrap();
    let server = root.issue_server(now, &entropy).unwrap();
    let key = server.key.expose().as_bytes();
    let config = tls::server_config(server.certificate.as_bytes(), key, &[b"h2", b"http/1.1"]).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.certificate().as_bytes()).unwrap()).unwrap();
    (Arc::new(config), roots)
}

/// The certificates are of the scripted time, so the client's clock stands there too.
#[derive(Debug)]
struct Then;

impl rustls::time_provider::TimeProvider for Then {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)))
    }
}

async fn connect(
    address: SocketAddr,
    roots: rustls::RootCertStore,
    alpn: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut config = rustls::ClientConfig::builder_with_details(tls::provider(), Arc::new(Then))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|a| a.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn plain_http_is_for_loopback_only() {
    // RULES 1.7
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let config = ListenConfig { listen: address.parse().unwrap(), ..loopback(None) };
        let refused = serve(config, Router::new(), Arc::new(SeededEntropy::new(9)));
        assert!(matches!(refused, Err(ListenError::PlainBeyondLoopback(_))), "{address}");
    }
}

#[tokio::test]
async fn a_listener_answers_to_its_names_only() {
    // RULES 3.8
    let world = World::new().await;
    let (listener, address) = start(loopback(None), world.router.clone());
    let head = |host: &str| format!("GET /admin/v1/routes HTTP/1.1\r\n{host}connection: close\r\n\r\n");
    let rows = [
        ("host: localhost\r\n", 401),
        ("host: LOCALHOST:8445\r\n", 401),
        ("host: 127.0.0.1\r\n", 401),
        ("host: [::1]:1\r\n", 401),
        ("host: admin.example\r\n", 401),
        ("host: evil.example\r\n", 421),
        ("host: localhost.evil.example\r\n", 421),
        ("host: x@localhost\r\n", 421),
        ("host: 127.1\r\n", 421),
        ("", 400),
        ("host: localhost\r\nhost: localhost\r\n", 400),
        ("host: \r\n", 400),
        // believed from nobody
        ("host: evil.example\r\nx-forwarded-host: localhost\r\n", 421),
    ];
    for (host, want) in rows {
        let answer = ask(address, &head(host)).await;
        assert_eq!(status(&answer), want, "{host}{answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("cache-control: no-store"),
            "{answer}"
        );
    }
    // the public face as well
    let revoke =
        "POST /revoke HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&ask(address, revoke).await), 421);
    // absolute-form that says another host than Host
    let twofold =
        "GET http://localhost/admin/v1/routes HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&ask(address, twofold).await), 400);
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn the_peer_is_whoever_the_socket_says() {
    // RULES 3.8: the admin listener believes no forwarded header
    let world = World::new().await;
    let (listener, address) = start(loopback(None), world.router.clone());
    let body = r#"{"kind": "user", "name": "ann"}"#;
    let request = format!(
        "POST /admin/v1/principals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         x-forwarded-for: 203.0.113.5\r\nforwarded: for=203.0.113.5\r\nx-real-ip: 203.0.113.5\r\n\
         countersign-request-id: 00000000000000000000000000000000\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        world.root,
        body.len()
    );
    let answer = ask(address, &request).await;
    assert_eq!(status(&answer), 201, "{answer}");
    assert!(!answer.contains("00000000000000000000000000000000"));
    let trail = world.get(&world.root, "/admin/v1/audit?order=desc&limit=1").await.expect(200);
    assert_eq!(trail["items"][0]["source"], "127.0.0.1");
    assert_ne!(trail["items"][0]["request"], "00000000000000000000000000000000");
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn heads_that_nobody_should_send_are_refused() {
    let world = World::new().await;
    let (listener, address) = start(loopback(None), world.router.clone());
    let rest = "host: localhost\r\nconnection: close\r\n\r\n";
    let fields = |n: usize| (0..n).map(|i| format!("x-{i}: y\r\n")).collect::<String>();
    let rows = [
        ("too many fields", format!("GET / HTTP/1.1\r\n{}{rest}", fields(70)), 431),
        ("far too many fields", format!("GET / HTTP/1.1\r\n{}{rest}", fields(500)), 431),
        ("a large field", format!("GET / HTTP/1.1\r\nx: {}\r\n{rest}", "y".repeat(17_000)), 431),
        ("a long target", format!("GET /{} HTTP/1.1\r\n{rest}", "y".repeat(9_000)), 414),
        ("CONNECT", format!("CONNECT localhost:443 HTTP/1.1\r\n{rest}"), 400),
        ("TRACE", format!("TRACE / HTTP/1.1\r\n{rest}"), 405),
        ("asterisk-form", format!("OPTIONS * HTTP/1.1\r\n{rest}"), 400),
        ("h2c", format!("GET / HTTP/1.1\r\nupgrade: h2c\r\n{rest}"), 400),
        ("an underscore", format!("GET / HTTP/1.1\r\nx_api_key: y\r\n{rest}"), 400),
        ("not HTTP", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".into(), 400),
        ("no version", "GET /\r\n\r\n".into(), 400),
        ("HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 400),
    ];
    for (what, text, want) in rows {
        let answer = ask(address, &text).await;
        let got = status(&answer);
        // an HTTP/2 preface may be cut off without a word
        assert!(got == want || (what.starts_with("HTTP/2") && got == 0), "{what}: {answer}");
    }
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let world = World::new().await;
    let (config, roots) = authority();
    let (listener, address) = start(loopback(Some(config)), world.router.clone());

    let stream = connect(address, roots.clone(), &[b"http/1.1"]).await;
    let text = format!(
        "GET /admin/v1/routes HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\nconnection: close\r\n\r\n",
        world.root
    );
    assert_eq!(status(&talk(stream, &text).await), 200);

    let stream = connect(address, roots, &[b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let ask = |authority: &str| {
        Request::get(format!("https://{authority}/admin/v1/routes"))
            .header("x-api-key", &world.root)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(sender.send_request(ask("localhost:8445")).await.unwrap().status(), 200);
    assert_eq!(sender.send_request(ask("evil.example")).await.unwrap().status(), 421);
    drop(sender);
    listener.stop(PATIENCE).await;
    let _ = timeout(PATIENCE, driving).await.expect("the connection was not closed");
}

#[tokio::test]
async fn a_tls_listener_answers_nothing_in_the_clear() {
    let world = World::new().await;
    let (config, _) = authority();
    let (listener, address) = start(loopback(Some(config)), world.router.clone());
    let answer = ask(address, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!answer.contains("HTTP/"), "{answer}");
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn who_is_slow_is_cut_off() {
    let world = World::new().await;
    let short = Duration::from_millis(50);
    let limits = Limits { head: short, handshake: short, ..Limits::default() };
    let (plain, address) = start(ListenConfig { limits, ..loopback(None) }, world.router.clone());
    // nothing at all, and half a head; `ask` returns when the other side closes
    for text in ["", "GET /admin/v1/routes HTTP/1.1\r\nhost: loc"] {
        assert!(matches!(status(&ask(address, text).await), 0 | 408), "{text}");
    }
    plain.stop(PATIENCE).await;
    let (config, _) = authority();
    let (secure, address) = start(ListenConfig { limits, ..loopback(Some(config)) }, world.router.clone());
    assert_eq!(ask(address, "").await, "");
    secure.stop(PATIENCE).await;
}

/// RFC 9113 10.5: who opens HTTP/2 connections, answers pings and asks nothing would take every place of the listener,
/// and with it the way to revoke.
#[tokio::test]
async fn an_http_2_connection_that_asks_nothing_is_closed() {
    let world = World::new().await;
    let (config, roots) = authority();
    let short = Duration::from_millis(100);
    let limits = Limits { head: short, answer: short, ..Limits::default() };
    let (listener, address) = start(ListenConfig { limits, ..loopback(Some(config)) }, world.router.clone());
    let stream = connect(address, roots, &[b"h2"]).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let ask = Request::get("https://localhost/admin/v1/routes").body(Body::empty()).unwrap();
    assert_eq!(sender.send_request(ask).await.unwrap().status(), 401);
    // the client itself keeps the connection open, and its driver answers
    let _ = timeout(PATIENCE, driving).await.expect("the connection was not closed");
    drop(sender);
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_503() {
    let never = Router::new().route("/", get(|| async { std::future::pending::<&str>().await }));
    let limits = Limits { answer: Duration::from_millis(50), ..Limits::default() };
    let (listener, address) = start(ListenConfig { limits, ..loopback(None) }, never);
    let answer = ask(address, "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 503, "{answer}");
    listener.stop(PATIENCE).await;
}

/// A router whose one handler says that it was reached and waits to be let go.
fn waiting() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (reached.clone(), go.clone());
    let handler = move || async move {
        tell.notify_one();
        wait.notified().await;
        "done"
    };
    (Router::new().route("/", get(handler)), reached, go)
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let (router, reached, go) = waiting();
    let (listener, address) = start(loopback(None), router);
    let asking = tokio::spawn(async move { ask(address, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await });
    timeout(PATIENCE, reached.notified()).await.unwrap();
    let stopping = tokio::spawn(listener.stop(PATIENCE));
    countersign_testkit::eventually(PATIENCE, || async { TcpStream::connect(address).await.is_err() }).await;
    assert!(!stopping.is_finished());
    go.notify_one();
    let answer = asking.await.unwrap();
    assert_eq!(status(&answer), 200);
    assert!(answer.ends_with("done"));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let (router, reached, _go) = waiting();
    let (listener, address) = start(loopback(None), router);
    let asking = tokio::spawn(async move { ask(address, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await });
    timeout(PATIENCE, reached.notified()).await.unwrap();
    timeout(PATIENCE, listener.stop(Duration::from_millis(20))).await.unwrap();
    assert_eq!(status(&timeout(PATIENCE, asking).await.unwrap().unwrap()), 0);
}

#[tokio::test]
async fn over_the_cap_callers_wait_their_turn() {
    let (router, reached, go) = waiting();
    let (listener, address) = start(ListenConfig { max_connections: 1, ..loopback(None) }, router);
    let text = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let first = tokio::spawn(ask(address, text));
    timeout(PATIENCE, reached.notified()).await.unwrap();
    let second = tokio::spawn(ask(address, text));
    // the second is connected (by the kernel) and not served: its handler is not reached while the first is there
    assert!(timeout(Duration::from_millis(50), reached.notified()).await.is_err());
    go.notify_one();
    assert_eq!(status(&first.await.unwrap()), 200);
    timeout(PATIENCE, reached.notified()).await.unwrap();
    go.notify_one();
    assert_eq!(status(&second.await.unwrap()), 200);
    listener.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_body_larger_than_any_is_refused_before_it_is_sent() {
    let world = World::new().await;
    let (listener, address) = start(loopback(None), world.router.clone());
    let head = format!(
        "POST /admin/v1/api-keys HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 100000\r\nconnection: close\r\n\r\n",
        world.root
    );
    let answer = ask(address, &head).await;
    assert_eq!(status(&answer), 413, "{answer}");
    listener.stop(PATIENCE).await;
}

#[test]
fn a_name_that_is_none_is_an_error_of_the_configuration() {
    for name in ["", "a b", "user@host", "*.example.com/"] {
        assert!(HostList::new([name]).is_err(), "{name}");
    }
}
