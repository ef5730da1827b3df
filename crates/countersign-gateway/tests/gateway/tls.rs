//! TLS, and HTTP/2 on it.

use crate::support::{Act, Got, KEY, OK, PATIENCE, Rig, Upstream, routes, status};
use bytes::Bytes;
use countersign_crypto::{
    SystemEntropy,
    tls::{CertificatePair, CertificateSet, LiveCertificates},
    x509::development::DevelopmentAuthority,
};
use countersign_gateway::ListenerTls;
use countersign_testkit::eventually;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) struct Tls {
    pub(crate) rig: Rig,
    authority: DevelopmentAuthority,
}

impl Tls {
    pub(crate) async fn start() -> Self {
        Self::behind(Upstream::start(|_| Act::answer(OK)).await, |_| {}).await
    }

    pub(crate) async fn behind(
        upstream: Upstream,
        change: impl FnOnce(&mut countersign_gateway::GatewayConfig),
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "rustls checks the certificate by the real clock")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap();
        let authority = DevelopmentAuthority::generate(now, &SystemEntropy).unwrap();
        let server = authority.issue_server(now, &SystemEntropy).unwrap();
        let (chain, key) = (server.certificate.as_bytes(), server.key.expose().as_bytes());
        let set = CertificateSet::new(&[CertificatePair { chain, key, default: true }]).unwrap();
        let tls = ListenerTls::new(Arc::new(LiveCertificates::new(set))).unwrap();
        let rig = Rig::with(upstream, routes(), |config| {
            config.listeners[0].tls = Some(tls);
            change(config);
        })
        .await;
        Self { rig, authority }
    }

    pub(crate) async fn connect(&self, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(countersign_crypto::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        let stream = TcpStream::connect(self.rig.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    async fn http2(&self) -> SendRequest<Full<Bytes>> {
        self.http2_of().await
    }

    /// Of requests with such bodies.
    pub(crate) async fn http2_of<B>(&self) -> SendRequest<B>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.connect(&[b"h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn request(method: &str, uri: &str, fields: &[(&str, &str)], body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(uri).header("x-api-key", "good");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body)).unwrap()
}

async fn text(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn http_1_1_over_tls() {
    let tls = Tls::start().await;
    for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
        let mut stream = tls.connect(alpn).await;
        stream
            .write_all(
                format!("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{KEY}\r\n").as_bytes(),
            )
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(status(&answer), 200, "{answer}");
    }
    assert_eq!(tls.rig.upstream.requests()[0].field("x-forwarded-proto"), ["https"]);
}

#[tokio::test]
async fn http_2_over_tls() {
    let tls = Tls::start().await;
    let mut sender = tls.http2().await;
    let fields =
        [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("countersign-principal", "evil")];
    let asked = request("GET", "https://localhost/a?b=c", &fields, "");
    let (status, body) = text(sender.send_request(asked).await.unwrap()).await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "ok"));
    let got = tls.rig.upstream.only();
    assert_eq!(got.line(), "GET /a?b=c HTTP/1.1");
    // RFC 9113 8.2.3
    assert_eq!(got.field("cookie"), ["a=1; b=2"]);
    assert_eq!(got.field("countersign-principal"), ["svc_robot000000000000000"]);
    assert_eq!(got.field("x-forwarded-host"), ["localhost"]);
    assert!(got.field("te").is_empty());
}

#[tokio::test]
async fn http_2_bodies_and_many_streams() {
    let upstream = Upstream::start(|got| {
        let body = String::from_utf8_lossy(got.body()).into_owned();
        Act::answer(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    })
    .await;
    let tls = Tls::behind(upstream, |_| {}).await;
    let sender = tls.http2().await;
    let asks = (0..100).map(|n| {
        let mut sender = sender.clone();
        async move {
            let said: &'static str = if n % 2 == 0 { "even" } else { "odd" };
            let asked = request("POST", "https://localhost/a", &[], said);
            let (status, body) = text(sender.send_request(asked).await.unwrap()).await;
            assert_eq!((status.as_u16(), body.as_str()), (200, said));
        }
    });
    futures_util::future::join_all(asks).await;
}

#[tokio::test]
async fn http_2_refusals() {
    let tls = Tls::start().await;
    let mut sender = tls.http2().await;
    let big = "a".repeat(17 * 1024);
    let many: Vec<String> = (0..64).map(|n| format!("x-f{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|n| (n.as_str(), "1")).collect();
    let cases: [(&str, Request<Full<Bytes>>, u16); 7] = [
        // M.2 rule 6: `:authority` other than Host
        ("host differs", request("GET", "https://localhost/a", &[("host", "evil.example")], ""), 400),
        ("a name with `_`", request("GET", "https://localhost/a", &[("remote_user", "evil")], ""), 400),
        ("17 KiB", request("GET", "https://localhost/a", &[("x-big", &big)], ""), 431),
        ("65 fields", request("GET", "https://localhost/a", &many, ""), 431),
        ("TRACE", request("TRACE", "https://localhost/a", &[], ""), 405),
        ("hidden slash", request("GET", "https://localhost/open/..%2fa", &[], ""), 400),
        ("two keys", request("GET", "https://localhost/a", &[("x-api-key", "good")], ""), 400),
    ];
    for (what, asked, expected) in cases {
        let (status, body) = text(sender.send_request(asked).await.unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{what}: {body}");
        assert!(body.contains("\"code\":\""), "{what}: {body}");
    }
    assert!(tls.rig.upstream.requests().is_empty());
}

/// Frames by hand, for what no client library would send.
pub(crate) struct Frames(pub(crate) TlsStream<TcpStream>);

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

impl Frames {
    pub(crate) async fn open(tls: &Tls) -> Self {
        let mut stream = tls.connect(&[b"h2"]).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.is_ok()
    }

    /// The next frame of one of these kinds; `None`: the connection ended first.
    pub(crate) async fn next(&mut self, kinds: &[u8]) -> Option<(u8, u32)> {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.ok()?;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                self.0.read_exact(&mut payload).await.ok()?;
                if kinds.contains(&head[3]) {
                    return Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])));
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap()
    }
}

/// HPACK literals that are never indexed (RFC 7541 6.2.3).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0x10);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

pub(crate) const GET: [(&str, &str); 5] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/a"),
    (":authority", "localhost"),
    ("x-api-key", "good"),
];

#[tokio::test]
async fn m2_6_http_2_refuses_what_http_1_would_read_differently() {
    let tls = Tls::start().await;
    for (what, field) in [
        ("upper case", ("X-Upper", "1")),
        ("connection", ("connection", "close")),
        ("transfer-encoding", ("transfer-encoding", "chunked")),
        ("upgrade", ("upgrade", "h2c")),
        ("keep-alive", ("keep-alive", "1")),
        ("te other than trailers", ("te", "gzip")),
        ("a line end in a value", ("x-a", "1\r\nremote-user: evil")),
        ("a line end in a name", ("x-a\r\nremote-user", "evil")),
        ("a pseudo field after fields", (":path", "/b")),
        ("a content-length that no body follows", ("content-length", "5")),
    ] {
        let mut frames = Frames::open(&tls).await;
        let fields: Vec<(&str, &str)> = GET.into_iter().chain([field]).collect();
        assert!(frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields)).await);
        let refused = frames.next(&[HEADERS, RST_STREAM, GOAWAY]).await;
        assert!(
            matches!(refused, None | Some((RST_STREAM | GOAWAY, _))),
            "{what}: an answer instead of a reset: {refused:?}"
        );
        assert!(tls.rig.upstream.requests().is_empty(), "{what} went upstream");
    }
    // the frames themselves are right
    let mut frames = Frames::open(&tls).await;
    assert!(frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&GET)).await);
    assert_eq!(frames.next(&[HEADERS, RST_STREAM, GOAWAY]).await, Some((HEADERS, 1)));
    assert_eq!(tls.rig.upstream.requests().len(), 1);
}

/// CVE-2023-44487.
#[tokio::test]
async fn m2_6_rapid_resets_end_the_connection() {
    let tls = Tls::start().await;
    let mut frames = Frames::open(&tls).await;
    let get = block(&GET);
    for n in 0..2_000 {
        let stream = 2 * n + 1;
        if !frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &get).await
            || !frames.send(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await
        {
            break;
        }
    }
    assert!(matches!(frames.next(&[GOAWAY]).await, Some((GOAWAY, _)) | None));
    assert!(tls.rig.upstream.requests().len() < 1_000, "{}", tls.rig.upstream.requests().len());
}

/// CVE-2024-27316 and its kin: a field block that never ends.
#[tokio::test]
async fn m2_6_an_endless_field_block_ends_the_connection() {
    let tls = Tls::start().await;
    let mut frames = Frames::open(&tls).await;
    assert!(frames.send(HEADERS, END_STREAM, 1, &block(&GET)).await);
    let more = block(&[("x-more", "a".repeat(100).as_str()); 100]);
    for _ in 0..1_000 {
        if !frames.send(CONTINUATION, 0, 1, &more).await {
            break;
        }
    }
    assert!(matches!(frames.next(&[GOAWAY]).await, Some((GOAWAY, _)) | None));
    assert!(tls.rig.upstream.requests().is_empty());
}

/// CVE-2019-9517: a caller that grants no window takes nothing and stops nothing; without an end it would hold the
/// upstream's connection for as long as it likes. Its other streams go on.
#[tokio::test]
async fn m2_6_a_stream_without_window_is_reset_and_the_others_go_on() {
    let size = 1024 * 1024;
    let mut big = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    big.resize(big.len() + size, b'x');
    let script = move |got: &Got| {
        if got.line().starts_with("HEAD") { Act::answer(OK) } else { Act::Answer(big.clone()) }
    };
    let tls = Tls::behind(Upstream::start(script).await, |config| {
        config.timeouts.body = Duration::from_millis(100);
        config.timeouts.first_byte = Duration::from_millis(100);
        config.timeouts.connect = Duration::from_millis(100);
    })
    .await;
    let mut frames = Frames::open(&tls).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0
    assert!(frames.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await);
    assert!(frames.send(HEADERS, END_STREAM | END_HEADERS, 1, &block(&GET)).await);
    assert_eq!(frames.next(&[RST_STREAM, GOAWAY]).await, Some((RST_STREAM, 1)));
    eventually(PATIENCE, || async { tls.rig.upstream.open() == 0 }).await;
    let mut head = GET;
    head[0] = (":method", "HEAD");
    assert!(frames.send(HEADERS, END_STREAM | END_HEADERS, 3, &block(&head)).await);
    assert_eq!(frames.next(&[HEADERS, GOAWAY]).await, Some((HEADERS, 3)));
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let tls = Tls::behind(upstream, |c| c.timeouts.tls_handshake = Duration::from_millis(50)).await;
    let mut client = tls.rig.connect().await;
    assert!(client.rest().await.is_empty());
    // plain HTTP on a TLS port is no request
    let answer = tls.rig.send(format!("GET /a HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n")).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    assert!(tls.rig.upstream.requests().is_empty());
}

/// Draining tells HTTP/2 peers, and lets the streams that are open end.
#[tokio::test]
async fn http_2_drains() {
    let upstream = Upstream::held(OK).await;
    let (held, mut tls) = (upstream.hold.clone(), Tls::behind(upstream, |_| {}).await);
    let mut sender = tls.http2().await;
    let answer = sender.send_request(request("GET", "https://localhost/a", &[], ""));
    let gateway = tls.rig.gateway.take().unwrap();
    let requests = || async { tls.rig.upstream.requests().len() == 1 };
    let stopping = async {
        eventually(PATIENCE, requests).await;
        let stopped = tokio::spawn(gateway.stop(PATIENCE));
        held.add_permits(1);
        stopped.await.unwrap();
    };
    let (answer, ()) = tokio::join!(answer, stopping);
    assert_eq!(text(answer.unwrap()).await.1, "ok");
}
