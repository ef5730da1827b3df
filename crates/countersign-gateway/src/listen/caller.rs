//! Who is at the other end of a connection, as far as the connection itself tells.

use super::{
    Face,
    connection::Connection,
    settings::{ForwardedHeader, Trusted},
    tls::Tenant,
};
use crate::upstream::headers;
use countersign_core::check::request::{Peer, Transport};
use http::HeaderValue;
use std::{cell::RefCell, net::IpAddr, rc::Rc, sync::Arc};

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    /// Where several certificates answer.
    pub(crate) tenant: Option<Rc<Tenant>>,
    /// A proxy that is believed what it says of its own caller.
    pub(crate) believed: Option<Believed>,
    /// Its listener.
    pub(crate) face: Rc<Face>,
    /// The peer's address as upstreams read it: the same for every request of the connection.
    address: HeaderValue,
}

impl Caller {
    /// The peer's own address, or one that it vouches for.
    pub(crate) fn written(&self, address: IpAddr) -> HeaderValue {
        if address == self.peer.address { self.address.clone() } else { headers::address(address) }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    /// It never left this machine.
    pub(crate) is_local: bool,
    /// By a peer that forwards for others.
    pub(crate) is_named: bool,
}

impl Origin {
    /// The peer speaks for itself.
    pub(crate) fn own(from: IpAddr) -> Self {
        Self { address: from, is_local: from.is_loopback(), is_named: false }
    }
}

/// What a connection said when it began.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) from: IpAddr,
    pub(crate) origin: Origin,
    pub(crate) tls: bool,
    pub(crate) tenant: Option<Rc<Tenant>>,
}

/// The caller of each request of one connection: a reload may change what the peer is believed.
#[derive(Debug)]
pub(crate) struct Present {
    beginning: Beginning,
    was_listed: bool,
    last: RefCell<Rc<Caller>>,
}

impl Present {
    /// `face`: by which the connection began.
    pub(crate) fn new(beginning: Beginning, face: Rc<Face>) -> Self {
        let was_listed = face.lists(&face.proxy_protocol, beginning.from);
        let caller = Rc::new(caller(&beginning, beginning.origin, face));
        Self { beginning, was_listed, last: RefCell::new(caller) }
    }

    /// Of whoever speaks first.
    pub(crate) fn address(&self) -> IpAddr {
        self.beginning.origin.address
    }

    pub(crate) fn of(&self, face: &Rc<Face>, connection: &Connection) -> Rc<Caller> {
        let last = self.last.borrow().clone();
        if Rc::ptr_eq(&last.face, face) {
            return last;
        }
        let mut origin = self.beginning.origin;
        // RULES 3.1: required from listed peers, believed of no other; one that changed sides begins anew
        if face.lists(&face.proxy_protocol, self.beginning.from) != self.was_listed {
            origin = Origin::own(self.beginning.from);
            connection.retire();
        }
        let caller = Rc::new(caller(&self.beginning, origin, face.clone()));
        self.last.replace(caller.clone());
        caller
    }
}

fn caller(beginning: &Beginning, origin: Origin, face: Rc<Face>) -> Caller {
    let transport = match (beginning.tls, origin.is_local) {
        (true, _) => Transport::Tls,
        // RULES 1.7: plain, but on this machine it never left it
        (false, true) => Transport::PlainTrusted,
        (false, false) => Transport::Plain,
    };
    let believed = if origin.is_named { None } else { face.believes(beginning.from) };
    let peer = Peer { address: origin.address, transport };
    let address = headers::address(peer.address);
    Caller { peer, tenant: beginning.tenant.clone(), believed, face, address }
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
