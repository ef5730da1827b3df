//! What is asked for, and what the answer must be.

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{error::Error as StdError, fs, net::Ipv4Addr, sync::Arc};

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Plain,
    Tls,
    /// A new connection for every request: `connect` with TLS, `fresh` without.
    Connect,
    Http2,
}

pub struct Plan {
    pub port: u16,
    /// The first of `sources` addresses that connections are made from, one after another.
    pub source: Ipv4Addr,
    pub sources: u32,
    pub mode: Mode,
    pub connections: usize,
    /// At once on one connection; 1 but for HTTP/2.
    pub streams: usize,
    /// Requests per second; 0: as fast as answers come.
    pub rate: f64,
    /// Paced: how long the generator may sleep, in milliseconds; 0: it spins, and has a core of its own.
    pub patience: u64,
    pub statuses: Vec<u16>,
    pub body: usize,
    pub tls: Option<Arc<ClientConfig>>,
    pub going: bool,
    path: String,
    credentials: Vec<String>,
    kind: Kind,
    requests: Vec<Vec<u8>>,
    next: usize,
    connected: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Key,
    /// What stands behind `Basic`, in base64 already.
    Basic,
    Bearer,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            port: 0,
            source: Ipv4Addr::LOCALHOST,
            sources: 1,
            mode: Mode::Plain,
            connections: 64,
            streams: 1,
            rate: 0.0,
            patience: 0,
            statuses: vec![200],
            body: 100,
            tls: None,
            going: false,
            path: "/items/42".into(),
            credentials: Vec::new(),
            kind: Kind::Key,
            requests: Vec::new(),
            next: 0,
            connected: 0,
        }
    }
}

impl Plan {
    /// `name=value ...`: whatever is not said is as by default.
    pub fn take(&mut self, words: &str) -> Result<(), Box<dyn StdError>> {
        let mut plan = Plan { next: self.next, connected: self.connected, ..Plan::default() };
        let (mut certificate, mut many, mut encrypted, mut file) = (None, usize::MAX, false, None);
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or("no = in a word")?;
            match name {
                "port" => plan.port = value.parse()?,
                "source" => plan.source = value.parse()?,
                "sources" => plan.sources = value.parse::<u32>()?.max(1),
                "connections" => plan.connections = value.parse()?,
                "streams" => plan.streams = value.parse()?,
                "rate" => plan.rate = value.parse()?,
                "patience" => plan.patience = value.parse()?,
                "status" => plan.statuses = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "body" => plan.body = value.parse()?,
                "path" => plan.path = value.into(),
                "keys" | "people" | "tokens" => {
                    plan.kind = match name {
                        "keys" => Kind::Key,
                        "people" => Kind::Basic,
                        _ => Kind::Bearer,
                    };
                    file = Some(value);
                }
                "first" => many = value.parse()?,
                "certificate" => certificate = Some(value),
                "mode" => {
                    encrypted = !matches!(value, "plain" | "fresh");
                    plan.mode = match value {
                        "plain" => Mode::Plain,
                        "tls" => Mode::Tls,
                        "connect" | "fresh" => Mode::Connect,
                        "http2" => Mode::Http2,
                        _ => return Err("no such mode".into()),
                    }
                }
                _ => return Err(format!("no such word: {name}").into()),
            }
        }
        if let Some(file) = file {
            plan.credentials = fs::read_to_string(file)?.lines().take(many).map(str::to_owned).collect();
        }
        if encrypted {
            let file = certificate.ok_or("TLS needs certificate=FILE")?;
            plan.tls = Some(tls(file, plan.mode)?);
        }
        plan.requests = match &plan.credentials[..] {
            [] => vec![plan.request(None)],
            credentials => credentials.iter().map(|credential| plan.request(Some(credential))).collect(),
        };
        *self = plan;
        Ok(())
    }

    /// For HTTP/1.1 the whole request; for HTTP/2 the field block.
    pub fn request_bytes(&mut self) -> &[u8] {
        self.next = (self.next + 1) % self.requests.len();
        &self.requests[self.next]
    }

    /// Where the next connection is made from.
    pub fn next_source(&mut self) -> Ipv4Addr {
        self.connected = self.connected.wrapping_add(1);
        Ipv4Addr::from_bits(self.source.to_bits().wrapping_add(self.connected % self.sources))
    }

    /// What must not reach the upstream.
    pub fn secret(&self) -> &'static [u8] {
        match self.kind {
            Kind::Key => b"cs_live_",
            // of `Authorization`, in either case
            Kind::Basic | Kind::Bearer => b"uthorization:",
        }
    }

    fn request(&self, credential: Option<&String>) -> Vec<u8> {
        let authorization;
        let mut fields = vec![
            ("user-agent", "bench/1.0 (loopback)"),
            ("accept", "application/json"),
            ("accept-encoding", "gzip, br"),
            ("x-trace", "0123456789abcdef"),
        ];
        match (credential, self.kind) {
            (None, _) => {}
            (Some(key), Kind::Key) => fields.push(("x-api-key", key)),
            (Some(credential), kind) => {
                let scheme = if kind == Kind::Basic { "Basic" } else { "Bearer" };
                authorization = format!("{scheme} {credential}");
                fields.push(("authorization", &authorization));
            }
        }
        if self.mode == Mode::Http2 {
            return crate::http2::field_block(&self.path, &fields);
        }
        if self.mode == Mode::Connect {
            fields.push(("connection", "close"));
        }
        let mut text = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n", self.path);
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// The same work for every server: TLS 1.3, one suite, one group that all of them have, no resumption.
fn tls(file: &str, mode: Mode) -> Result<Arc<ClientConfig>, Box<dyn StdError>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    let provider = Arc::new(provider);
    let pinned = Pinned { certificate: CertificateDer::from_pem_file(file)?, provider: provider.clone() };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![if mode == Mode::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Arc::new(config))
}

/// Exactly this certificate, with the proof of its key; a chain costs the generator time and tells it nothing more.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::General("another certificate than the one that all peers were given".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
