//! What an operator decides about one upstream.

use rustls::{ClientConfig, pki_types::ServerName};
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamConfig {
    pub name: Arc<str>,
    /// The `aud` of what it is told of callers; `None`: its name.
    pub audience: Option<Arc<str>>,
    /// Each `http://host[:port]` or each `https://host[:port]`, without a path: what is forwarded is exactly the target
    /// that was judged. At least one; a name stands for all its addresses.
    pub urls: Vec<String>,
    pub protocol: Protocol,
    /// With `https://`, and only there.
    pub tls: Option<UpstreamTls>,
    pub limits: UpstreamLimits,
    /// `None`: an address is judged by the requests that it gets.
    pub health: Option<HealthCheck>,
    /// Protocols that a caller may switch to by `Upgrade`, judged once, as the request that asks for it.
    pub upgrades: Vec<Box<str>>,
    /// How long a switched connection or a stream of events may be silent.
    pub stream_idle: Duration,
    /// How long an address that comes back takes less than its share; zero: its whole share at once.
    pub slow_start: Duration,
    /// It is told who calls in a signed `Countersign-Identity`, where anything is signed at all.
    pub signed_identity: bool,
}

impl UpstreamConfig {
    /// With every default.
    pub fn new(name: &str, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            audience: None,
            urls: vec![url.into()],
            protocol: Protocol::default(),
            tls: None,
            limits: UpstreamLimits::default(),
            health: None,
            upgrades: vec![WEBSOCKET.into()],
            stream_idle: STREAM_IDLE,
            slow_start: Duration::ZERO,
            signed_identity: true,
        }
    }
}

/// What an upstream speaks. It is never guessed: an upstream that speaks something else is 502.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    #[default]
    Http1,
    /// With TLS by ALPN, without it from the first byte (RFC 9113 3.3). What gRPC needs.
    Http2,
}

pub const WEBSOCKET: &str = "websocket";
pub const STREAM_IDLE: Duration = Duration::from_secs(3600);

/// A token (RFC 9110 7.8) of a protocol that carries no further requests: those would reach the upstream unjudged.
pub fn is_upgrade(name: &str) -> bool {
    let carries_requests = ["h2c", "h2", "http", "tls"]
        .iter()
        .any(|p| name.split('/').next().unwrap_or(name).eq_ignore_ascii_case(p));
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&b);
    !name.is_empty() && name.bytes().all(token) && !carries_requests
}

/// How an upstream proves who it is.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// With the roots that may vouch for it. The protocols it offers (ALPN) are set here.
    pub config: Arc<ClientConfig>,
    /// The name in its certificate; `None`: the host of the URL.
    pub server_name: Option<ServerName<'static>>,
}

/// The same object, not the same roots: whoever reads them again and finds nothing new hands out what it has.
impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.server_name == other.server_name
    }
}

/// Of the whole upstream, all addresses and workers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Requests at once, each on a connection of its own; idle connections are not counted. `None`: no limit.
    pub connections: Option<usize>,
    /// Requests that wait because of it; the next one is 503.
    pub queue: usize,
    /// How long one of them waits; then it is 503.
    pub queue_time: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self { connections: None, queue: 1000, queue_time: Duration::from_secs(5) }
    }
}

/// Asked by every worker for itself: what one of them cannot reach is not out for the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `/healthz`: answered with 2xx or 3xx by an address that is well.
    pub path: String,
    pub every: Duration,
}
