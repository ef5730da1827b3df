//! Load for one figure: keys created per second through the admin API. See `bench/create_keys.sh`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a measuring tool, not a part of the product"
)]

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const ADMIN: &str = "127.0.0.1:8445";

async fn connect(tls: &tokio_rustls::TlsConnector) -> Option<http1::SendRequest<Full<Bytes>>> {
    let tcp = tokio::net::TcpStream::connect(ADMIN).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let stream = tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

async fn client(
    tls: tokio_rustls::TlsConnector,
    key: String,
    until: Instant,
) -> (u64, Vec<Duration>, Option<String>) {
    let mut sender = connect(&tls).await.expect("the admin API does not answer");
    let (mut refused, mut took) = (None, Vec::new());
    let mut created = 0;
    while Instant::now() < until {
        let begun = Instant::now();
        let request = Request::post("/admin/v1/api-keys")
            .header("host", ADMIN.replace("127.0.0.1", "localhost"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(br#"{"owner":"demo","scopes":["orders:read"]}"#)))
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if status == StatusCode::CREATED {
            created += 1;
            took.push(begun.elapsed());
        } else {
            refused.get_or_insert(format!("{status}: {}", String::from_utf8_lossy(&body)));
        }
    }
    (created, took, refused)
}

/// Seconds of CPU of a process.
fn cpu(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(&arguments[1]);
    let seconds: u64 = arguments[2].parse().unwrap();
    let clients: usize = arguments[3].parse().unwrap();
    let pid = &arguments[4];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        // the server is starting beside us: its files are there when it listens
        let deadline = Instant::now() + Duration::from_secs(30);
        while tokio::net::TcpStream::connect(ADMIN).await.is_err() {
            assert!(Instant::now() < deadline, "the admin API did not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(countersign_crypto::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
        let key = std::fs::read_to_string(folder.join("admin.key")).unwrap().trim().to_owned();
        let (begun, before) = (Instant::now(), cpu(pid));
        let until = begun + Duration::from_secs(seconds);
        let tasks: Vec<_> =
            (0..clients).map(|_| tokio::spawn(client(tls.clone(), key.clone(), until))).collect();
        let (mut created, mut took, mut refused) = (0, Vec::new(), None);
        for task in tasks {
            let (n, t, r) = task.await.unwrap();
            created += n;
            took.extend(t);
            refused = refused.or(r);
        }
        let elapsed = begun.elapsed().as_secs_f64();
        took.sort();
        let at = |q: f64| took.get((took.len().saturating_sub(1) as f64 * q) as usize).map_or(0.0, |d| d.as_secs_f64() * 1e3);
        println!(
            "{clients} clients: {:.0} keys/s acknowledged, p50 {:.1} ms, p99 {:.1} ms, {:.0} us CPU of the server each",
            created as f64 / elapsed,
            at(0.5),
            at(0.99),
            (cpu(pid) - before) * 1e6 / created as f64,
        );
        if let Some(refused) = refused {
            println!("first refusal: {refused}");
        }
    });
}
