//! Several certificates on one listener, by the name that is asked for; and replaced while it serves.

use crate::support::{Act, KEY, OK, PATIENCE, Rig, Upstream, code, routes, status};
use countersign_crypto::{
    SystemEntropy,
    tls::{CertificatePair, CertificateSet, LiveCertificates},
    x509::development::{DevelopmentAuthority, ServerCertificate},
};
use countersign_gateway::ListenerTls;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

struct Named {
    rig: Rig,
    authority: DevelopmentAuthority,
    live: Arc<LiveCertificates>,
}

fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "rustls checks the certificate by the real clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap()
}

fn set(certificates: &[(&ServerCertificate, bool)]) -> CertificateSet {
    let pairs: Vec<CertificatePair<'_>> = certificates
        .iter()
        .map(|(c, default)| CertificatePair {
            chain: c.certificate.as_bytes(),
            key: c.key.expose().as_bytes(),
            default: *default,
        })
        .collect();
    CertificateSet::new(&pairs).unwrap()
}

impl Named {
    /// One certificate for `a.localhost` and below `w.localhost`, one for `b.localhost` and `only.w.localhost`.
    async fn start(default: bool) -> Self {
        let authority = DevelopmentAuthority::generate(now(), &SystemEntropy).unwrap();
        let issue = |names: &[&str]| authority.issue_named(names, now(), &SystemEntropy).unwrap();
        let (a, b) = (issue(&["a.localhost", "*.w.localhost"]), issue(&["b.localhost", "only.w.localhost"]));
        let live = Arc::new(LiveCertificates::new(set(&[(&a, default), (&b, false)])));
        let tls = ListenerTls::new(live.clone()).unwrap();
        let upstream = Upstream::start(|_| Act::answer(OK)).await;
        let rig = Rig::with(upstream, routes(), |config| config.listeners[0].tls = Some(tls)).await;
        Self { rig, authority, live }
    }

    async fn connect(&self, name: &str) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(countersign_crypto::tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.rig.address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        tokio::time::timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream))
            .await
            .unwrap()
    }

    /// A handshake for one name, a request for another.
    async fn ask(&self, sni: &str, host: &str) -> String {
        let mut stream = self.connect(sni).await.unwrap();
        let request = format!("GET /a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{KEY}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }
}

fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// The client verifies that it got a certificate with the name.
#[tokio::test]
async fn each_name_gets_its_certificate() {
    for default in [true, false] {
        let named = Named::start(default).await;
        for name in ["a.localhost", "x.w.localhost", "b.localhost", "only.w.localhost"] {
            assert_eq!(status(&named.ask(name, name).await), 200, "{name}");
        }
        for (host, other) in [("A.localhost:8443", "x.w.localhost"), ("b.localhost.", "only.w.localhost")] {
            assert_eq!(status(&named.ask(other, host).await), 200, "one certificate has both names: {host}");
        }
        assert_eq!(named.rig.upstream.requests().len(), 6);
    }
}

#[tokio::test]
async fn rules_2_2_a_request_for_a_name_of_another_certificate_is_421() {
    let named = Named::start(true).await;
    for (sni, host) in [
        ("a.localhost", "b.localhost"),
        ("a.localhost", "only.w.localhost"),
        ("b.localhost", "a.localhost"),
        ("b.localhost", "B.W.localhost:443"),
        ("b.localhost", "x.w.localhost"),
        // whatever has no certificate of its own is the default's
        ("b.localhost", "stranger.example"),
        ("b.localhost", "127.0.0.1"),
    ] {
        let answer = named.ask(sni, host).await;
        assert_eq!((status(&answer), code(&answer).as_str()), (421, "misdirected"), "{sni} {host}: {answer}");
    }
    assert!(named.rig.upstream.requests().is_empty());
    assert_eq!(status(&named.ask("a.localhost", "stranger.example").await), 200);
    let closed = Named::start(false).await;
    let answer = closed.ask("a.localhost", "stranger.example").await;
    assert_eq!((status(&answer), code(&answer).as_str()), (421, "misdirected"), "{answer}");
}

#[tokio::test]
async fn l1_an_unknown_name_is_unrecognized_unless_there_is_a_default() {
    let closed = Named::start(false).await;
    // an address is asked for without SNI
    for name in ["c.localhost", "a.b.w.localhost", "127.0.0.1"] {
        let refused = closed.connect(name).await.unwrap_err();
        assert_eq!(alert(&refused), Some(AlertDescription::UnrecognisedName), "{name}: {refused:?}");
    }
    assert_eq!(status(&closed.ask("a.localhost", "a.localhost").await), 200, "others go on");
    let open = Named::start(true).await;
    let refused = open.connect("c.localhost").await.unwrap_err();
    assert_eq!(alert(&refused), None, "the default answered, and the caller does not want it: {refused:?}");
}

/// Handshakes from now on see the new set; a connection that is open keeps what it was made with.
#[tokio::test]
async fn certificates_are_replaced_while_they_serve() {
    let named = Named::start(false).await;
    let mut before = named.connect("a.localhost").await.unwrap();
    let leaf =
        |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].as_ref().to_vec();
    let old = leaf(&before);
    let fresh = named.authority.issue_named(&["a.localhost"], now(), &SystemEntropy).unwrap();
    named.live.replace(set(&[(&fresh, false)]));
    let after = named.connect("a.localhost").await.unwrap();
    assert_ne!(leaf(&after), old);
    assert!(named.connect("b.localhost").await.is_err());
    let request = format!("GET /a HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n{KEY}\r\n");
    before.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
}
