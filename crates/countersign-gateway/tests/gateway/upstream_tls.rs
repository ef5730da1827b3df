//! TLS on the way to the upstream: who does not prove to be who it should be gets nothing.

use crate::support::{Act, OK, PATIENCE, Rig, Upstream, code, routes, status};
use countersign_crypto::{
    SystemEntropy,
    tls::{client_config, server_config},
    x509::development::DevelopmentAuthority,
};
use countersign_gateway::{GatewayConfig, HealthCheck, UpstreamTls};
use countersign_testkit::eventually;
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const DAY: i64 = 86_400;

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "rustls checks the certificate by the real clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap()
}

/// An authority of that time, and what a server for `localhost` shows.
fn authority(at: i64) -> (DevelopmentAuthority, rustls::ServerConfig) {
    let authority = DevelopmentAuthority::generate(at, &SystemEntropy).unwrap();
    let server = authority.issue_server(at, &SystemEntropy).unwrap();
    let (chain, key) = (server.certificate.as_bytes(), server.key.expose().as_bytes());
    let config = server_config(chain, key, &[b"http/1.1"]).unwrap();
    (authority, config)
}

fn trusting(authority: &DevelopmentAuthority, name: Option<&str>) -> UpstreamTls {
    UpstreamTls {
        config: Arc::new(client_config(authority.certificate().as_bytes()).unwrap()),
        server_name: name.map(|name| ServerName::try_from(name.to_owned()).unwrap()),
    }
}

async fn rig(server: rustls::ServerConfig, tls: UpstreamTls, change: impl FnOnce(&mut GatewayConfig)) -> Rig {
    let upstream = Upstream::secured(server, |_| Act::answer(OK)).await;
    Rig::with(upstream, routes(), |config| {
        let to = &mut config.upstreams[0];
        to.urls[0] = to.urls[0].replace("http://127.0.0.1", "https://localhost");
        to.tls = Some(tls);
        change(config);
    })
    .await
}

#[tokio::test]
async fn an_upstream_that_proves_its_name_is_used_and_used_again() {
    let (authority, server) = authority(now());
    let rig = rig(server, trusting(&authority, None), |_| {}).await;
    for _ in 0..3 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    let port = rig.upstream.address.port();
    assert!(rig.upstream.requests().iter().all(|got| got.connection == 0));
    assert_eq!(rig.upstream.requests()[0].field("host"), [format!("localhost:{port}")]);
}

/// By address, under the name that the configuration gives.
#[tokio::test]
async fn the_name_in_the_certificate_can_be_another() {
    let (authority, server) = authority(now());
    let by_address = |config: &mut GatewayConfig| {
        let to = &mut config.upstreams[0];
        to.urls[0] = to.urls[0].replace("localhost", "127.0.0.1");
    };
    let rig = rig(server, trusting(&authority, Some("localhost")), by_address).await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

#[tokio::test]
async fn an_upstream_that_does_not_prove_who_it_is_gets_no_request() {
    let (known, server) = authority(now());
    let (stranger, _) = authority(now());
    let (over, expired) = authority(now() - 60 * DAY);
    let (early, not_yet) = authority(now() + 2 * DAY);
    let cases = [
        ("of a stranger", server.clone(), trusting(&stranger, None)),
        ("for another name", server.clone(), trusting(&known, Some("api.internal"))),
        ("expired", expired, trusting(&over, None)),
        ("not valid yet", not_yet, trusting(&early, None)),
    ];
    for (what, server, tls) in cases {
        let rig = rig(server, tls, |_| {}).await;
        for _ in 0..2 {
            let answer = rig.get("/a", "").await;
            assert_eq!(
                (status(&answer), code(&answer).as_str()),
                (502, "upstream_unreachable"),
                "{what}: {answer}"
            );
            assert!(!answer.to_lowercase().contains("certificate"), "not the caller's business: {answer}");
        }
        assert!(rig.upstream.requests().is_empty(), "{what}");
    }
}

/// Plain HTTP on the port, or nothing at all: neither is spoken to in the clear.
#[tokio::test]
async fn an_upstream_without_tls_gets_no_request() {
    let (known, _) = authority(now());
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        heard
    });
    let tls = trusting(&known, None);
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("https://{address}")];
        config.upstreams[0].tls = Some(tls.clone());
    })
    .await;
    assert_eq!(status(&rig.get("/a", "").await), 502);
    let heard = heard.await.unwrap();
    assert!(!heard.is_empty() && !String::from_utf8_lossy(&heard).contains("HTTP/1.1"), "{heard:?}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("https://{address}")];
        config.upstreams[0].tls = Some(tls);
        config.timeouts.connect = Duration::from_millis(80);
    })
    .await;
    let answer = rig.get("/a", "").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (504, "upstream_timeout"), "{answer}");
}

/// A check proves as little without a certificate as a request does.
#[tokio::test]
async fn checks_use_tls_too() {
    let (authority, server) = authority(now());
    let rig = rig(server, trusting(&authority, None), |config| {
        let every = Duration::from_millis(20);
        config.upstreams[0].health = Some(HealthCheck { path: "/healthz".into(), every });
    })
    .await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() >= 3 }).await;
    assert!(rig.upstream.requests().iter().all(|got| got.line() == "GET /healthz HTTP/1.1"));
    assert_eq!(status(&rig.get("/a", "").await), 200);
}
