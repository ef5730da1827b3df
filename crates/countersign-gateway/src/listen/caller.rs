//! Who is at the other end of a connection, as far as the connection itself tells.

use super::{
    settings::{ForwardedHeader, Trusted},
    tls::Tenant,
};
use crate::config::{Limits, Timeouts};
use countersign_core::check::request::Peer;
use std::{net::IpAddr, sync::Arc};

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    /// Where several certificates answer.
    pub(crate) tenant: Option<Tenant>,
    /// A proxy that is believed what it says of its own caller.
    pub(crate) believed: Option<Believed>,
    /// Its listener's.
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
}

/// The entry of a trusted peer, among all of its listener's.
#[derive(Debug)]
pub(crate) struct Believed {
    pub(crate) all: Arc<[Trusted]>,
    pub(crate) entry: usize,
}

impl Believed {
    pub(crate) fn sets(&self, header: ForwardedHeader) -> bool {
        self.all.get(self.entry).is_some_and(|trusted| trusted.headers.contains(&header))
    }

    /// Would this address be believed what it says of whom it forwards for?
    pub(crate) fn extends_to(&self, address: IpAddr) -> bool {
        self.all.iter().any(|trusted| {
            trusted.headers.contains(&ForwardedHeader::For)
                && trusted.peers.networks.iter().any(|network| network.contains(&address))
        })
    }
}
