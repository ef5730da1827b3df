//! Where bytes come in: sockets, TLS, HTTP framing, and the limits that hold before a request is one.
//!
//! Owns the listener sockets and the open connections of a worker. Does not look into a request; that is
//! [`crate::enforce`], which every request goes to next.

pub(crate) mod accept;
pub(crate) mod caller;
pub(crate) mod connection;
pub(crate) mod frames;
pub(crate) mod http1;
pub(crate) mod inlet;
mod linger;
pub(crate) mod multiplexed;
pub mod proxy_protocol;
pub mod settings;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod watched;

use crate::config::{GatewayConfig, Limits, Timeouts};
use caller::Believed;
use settings::{ListenAddress, ListenerConfig, Peers, Trusted};
use std::{fmt, net::IpAddr, sync::Arc};

/// What a listener is like, in one generation.
pub(crate) struct Face {
    pub(crate) address: ListenAddress,
    pub(crate) tls: Option<tls::Tls>,
    pub(crate) proxy_protocol: Peers,
    pub(crate) trusted: Arc<[Trusted]>,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Face {
    pub(crate) fn new(gateway: &GatewayConfig, config: &ListenerConfig, address: ListenAddress) -> Self {
        Self {
            address,
            tls: config.tls.as_ref().map(tls::Tls::new),
            proxy_protocol: config.proxy_protocol.clone(),
            trusted: config.trusted.clone(),
            limits: config.limits.over(gateway.limits),
            timeouts: config.timeouts.over(gateway.timeouts),
        }
    }

    /// Is whoever connected from there one of these? On a Unix socket nobody has an address.
    pub(crate) fn lists(&self, peers: &Peers, from: IpAddr) -> bool {
        match self.address {
            ListenAddress::Unix(_) => peers.unix,
            ListenAddress::Tcp(_) => peers.networks.iter().any(|network| network.contains(&from)),
        }
    }

    /// What the peer of a connection is believed. It stands behind no other: what the PROXY protocol named is a caller.
    pub(crate) fn believes(&self, from: IpAddr) -> Option<Believed> {
        let entry = self.trusted.iter().position(|trusted| self.lists(&trusted.peers, from))?;
        Some(Believed { all: self.trusted.clone(), entry })
    }
}
