//! What an operator decides about one listener.

use super::tls::{H2, HTTP_1_1};
use crate::config::{Limits, Timeouts};
use countersign_crypto::tls::{self, LiveCertificates, TlsError};
use ipnet::IpNet;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[derive(Debug, Clone)]
pub struct ListenerConfig {
    pub listen: ListenAddress,
    /// `None`: plain HTTP/1.1, where credentials are read only from callers on this machine (RULES 1.7).
    pub tls: Option<ListenerTls>,
    /// Who must say by the PROXY protocol whom a connection is for; from others it is no request (RULES 3.1).
    pub proxy_protocol: Peers,
    /// Whose forwarded headers are believed; the first entry that lists a peer counts.
    pub trusted: Arc<[Trusted]>,
    pub limits: ListenerLimits,
    pub timeouts: ListenerTimeouts,
}

/// What one listener grants; `None`: what all do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Open connections of this listener, among those of the whole gateway.
    pub connections: Option<usize>,
    pub head: Option<usize>,
    pub fields: Option<usize>,
    pub body: Option<u64>,
    pub streams: Option<u32>,
}

/// How long one listener waits; `None`: as long as all do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ListenerTimeouts {
    pub tls_handshake: Option<Duration>,
    pub head: Option<Duration>,
    pub idle: Option<Duration>,
    pub body: Option<Duration>,
    pub connection_age: Option<Duration>,
}

impl ListenerLimits {
    pub fn over(&self, all: Limits) -> Limits {
        let mut limits = all;
        limits.connections = self.connections.unwrap_or(all.connections);
        limits.head.head = self.head.unwrap_or(all.head.head);
        limits.head.fields = self.fields.unwrap_or(all.head.fields);
        limits.body = self.body.unwrap_or(all.body);
        limits.streams = self.streams.unwrap_or(all.streams);
        limits
    }
}

impl ListenerTimeouts {
    pub fn over(&self, all: Timeouts) -> Timeouts {
        Timeouts {
            tls_handshake: self.tls_handshake.unwrap_or(all.tls_handshake),
            head: self.head.unwrap_or(all.head),
            idle: self.idle.unwrap_or(all.idle),
            body: self.body.unwrap_or(all.body),
            connection_age: self.connection_age.unwrap_or(all.connection_age),
            ..all
        }
    }
}

/// Proxies, and which of the forwarded headers they set. All others are dropped, from these peers too (RULES 3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    pub peers: Peers,
    pub headers: Vec<ForwardedHeader>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: read from its end, as far as those who wrote it are trusted.
    For,
    /// `X-Forwarded-Proto`: how the caller came; `https` and nothing else counts as TLS (RULES 1.7).
    Proto,
    /// `X-Request-Id`: handed on, beside ours (RULES 3.8).
    RequestId,
}

/// Peers by where they connect from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    pub networks: Arc<[IpNet]>,
    /// Whoever may open the file of a Unix listener.
    pub unix: bool,
}

impl ListenerConfig {
    /// Plain, and nothing else said about it.
    pub fn new(listen: impl Into<ListenAddress>) -> Self {
        Self {
            listen: listen.into(),
            tls: None,
            proxy_protocol: Peers::default(),
            trusted: [].into(),
            limits: ListenerLimits::default(),
            timeouts: ListenerTimeouts::default(),
        }
    }
}

/// Handshakes, and the certificates that they choose from by name. HTTP/2 and HTTP/1.1 are offered.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    pub(crate) config: Arc<rustls::ServerConfig>,
    pub(crate) certificates: Arc<LiveCertificates>,
}

impl ListenerTls {
    /// Whoever keeps the certificates may replace them while they serve.
    pub fn new(certificates: Arc<LiveCertificates>) -> Result<Self, TlsError> {
        let config = tls::live_server_config(certificates.clone(), &[H2, HTTP_1_1])?;
        Ok(Self { config: Arc::new(config), certificates })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// Port 0 is allowed; `Gateway::addresses` says what it became.
    Tcp(SocketAddr),
    Unix(UnixAddress),
}

/// Whoever may open the file may call, and counts as a caller on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnixAddress {
    pub path: PathBuf,
    /// Permission bits of the file.
    pub mode: u32,
}

impl UnixAddress {
    /// Only the owner of the process may call.
    pub const DEFAULT_MODE: u32 = 0o600;
    /// Bytes in a path: what `sockaddr_un` holds beside its end.
    pub const MAX_PATH: usize = 107;
}

impl ListenAddress {
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        }
    }

    pub fn path(&self) -> Option<&Path> {
        match self {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix(unix) => Some(&unix.path),
        }
    }

    /// Nobody reaches it from another machine.
    pub fn is_local(&self) -> bool {
        self.tcp().is_none_or(|address| address.ip().is_loopback())
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        ListenAddress::Tcp(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(unix) => write!(f, "unix:{}", unix.path.display()),
        }
    }
}
