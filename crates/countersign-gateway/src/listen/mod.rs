//! Where bytes come in: sockets, TLS, HTTP framing, and the limits that hold before a request is one.
//!
//! Owns the listener sockets and the open connections of a worker. Does not look into a request; that is
//! [`crate::enforce`], which every request goes to next.

pub(crate) mod accept;
pub(crate) mod caller;
pub(crate) mod connection;
pub(crate) mod multiplexed;
pub mod settings;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod watched;

use settings::{ListenAddress, ListenerConfig};

/// One worker's listener.
pub(crate) struct Bound {
    pub(crate) socket: socket::Raw,
    pub(crate) face: Face,
}

/// What the sockets of one listener have in common.
#[derive(Clone)]
pub(crate) struct Face {
    pub(crate) address: ListenAddress,
    pub(crate) tls: Option<tls::Tls>,
}

impl Face {
    pub(crate) fn new(config: &ListenerConfig, address: ListenAddress) -> Self {
        Self { address, tls: config.tls.as_ref().map(tls::Tls::new) }
    }
}
