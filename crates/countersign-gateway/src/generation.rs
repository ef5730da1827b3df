//! What a reload replaces. A request is judged and forwarded by one generation: it takes the present one with its head,
//! and what goes on after its answer began (a body, a tunnel, a stream) holds what it needs of the old one.
//!
//! [`Blueprint`] is a generation as the process made it, [`Generation`] the same with one worker's own pools. Each
//! worker swaps its own, so a request pays a count that no other thread touches.

use crate::{
    config::{GatewayConfig, IdentityPreset},
    enforce::trusted::is_reserved,
    gateway::StartError,
    listen::{Face, settings::ListenAddress},
    observe::{Observed, tally::Tally},
    upstream::{
        balance::{Destination, Upstream},
        built_in::BuiltIn,
        headers::Stripping,
        identity::mint::Mint,
    },
};
use countersign_core::check::route::{Route, RouteTable};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
    sync::Arc,
};

/// Checked whole: whoever holds one can serve by it.
pub(crate) struct Blueprint {
    pub(crate) config: Arc<GatewayConfig>,
    table: Arc<RouteTable>,
    destinations: HashMap<Arc<str>, Arc<Destination>>,
}

impl Blueprint {
    /// Of what `before` has, destinations that stay as they are stay themselves: with their connections, what is known
    /// of their health, and the count of who is there.
    pub(crate) fn new(
        config: GatewayConfig,
        table: Arc<RouteTable>,
        before: Option<&Self>,
    ) -> Result<Arc<Self>, StartError> {
        if let Some(reserved) = config.key_headers.iter().find(|n| is_reserved(n.as_str())) {
            return Err(StartError::ReservedHeader(reserved.clone()));
        }
        let same_terms = |before: &&Self| {
            before.config.timeouts == config.timeouts
                && before.config.limits.idle_upstream == config.limits.idle_upstream
        };
        let mut destinations = HashMap::new();
        for upstream in &config.upstreams {
            let was = before.and_then(|before| before.destinations.get(&upstream.name));
            let kept = was.filter(|was| was.config == *upstream && before.as_ref().is_some_and(same_terms));
            let destination = match kept {
                Some(kept) => kept.clone(),
                None => Destination::new(upstream, &config.timeouts, was.map(|was| &**was))
                    .map_err(|source| StartError::Upstream { name: upstream.name.clone(), source })?,
            };
            if destinations.insert(upstream.name.clone(), destination).is_some() {
                return Err(StartError::DoubledUpstream(upstream.name.clone()));
            }
        }
        for (n, (name, _)) in config.built_in.iter().enumerate() {
            let twice = config.built_in.iter().take(n).any(|(other, _)| other == name);
            if twice || destinations.contains_key(name) {
                return Err(StartError::DoubledUpstream(name.clone()));
            }
        }
        Ok(Arc::new(Self { config: Arc::new(config), table, destinations }))
    }
}

/// One worker's.
pub(crate) struct Generation {
    pub(crate) config: Arc<GatewayConfig>,
    pub(crate) table: Arc<RouteTable>,
    pub(crate) stripping: Stripping,
    /// Where upstreams are told who calls in a signed word of ours. Its own generation's: who says it, and to whom, may change.
    pub(crate) mint: Option<Mint>,
    /// By the number of the listener.
    faces: Vec<Rc<Face>>,
    /// Few, and asked for each request: comparing names costs less than hashing one.
    upstreams: BTreeMap<Arc<str>, Rc<Upstream>>,
    /// By where the route stands in memory, which the table keeps it at: asked for each request.
    tallies: RefCell<HashMap<*const Route, Rc<Tally>, BuildHasherDefault<Place>>>,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Generation {
    /// `addresses`: of the listeners, as they came to be.
    pub(crate) fn new(blueprint: &Blueprint, addresses: &[ListenAddress], before: Option<&Self>) -> Rc<Self> {
        let config = &blueprint.config;
        let upstream = |(name, destination): (&Arc<str>, &Arc<Destination>)| {
            let was = before.and_then(|before| before.upstreams.get(name));
            let kept = was.filter(|was| was.is_of(destination)).cloned();
            let idle = config.limits.idle_upstream;
            let made = kept.unwrap_or_else(|| Upstream::new(destination.clone(), idle, config.timeouts));
            (name.clone(), made)
        };
        let face =
            |(listener, address): (_, &ListenAddress)| Rc::new(Face::new(config, listener, address.clone()));
        let signed = config.signed.as_ref().filter(|_| config.identity == IdentityPreset::Countersign);
        Rc::new(Self {
            config: config.clone(),
            table: blueprint.table.clone(),
            stripping: Stripping::new(config),
            mint: signed.cloned().map(Mint::new),
            faces: config.listeners.iter().zip(addresses).map(face).collect(),
            upstreams: blueprint.destinations.iter().map(upstream).collect(),
            tallies: RefCell::default(),
        })
    }

    /// Of one of this table's routes.
    pub(crate) fn tally(&self, route: &Arc<Route>, observed: &Observed) -> Rc<Tally> {
        let mut tallies = self.tallies.borrow_mut();
        tallies.entry(Arc::as_ptr(route)).or_insert_with(|| observed.route(&route.name)).clone()
    }

    pub(crate) fn upstream(&self, name: &str) -> Option<&Rc<Upstream>> {
        self.upstreams.get(name)
    }

    /// For what has no upstream.
    pub(crate) fn built_in(&self, name: &str) -> Option<&Arc<dyn BuiltIn>> {
        self.config.built_in.iter().find(|(own, _)| **own == *name).map(|(_, built_in)| built_in)
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Rc<Upstream>> {
        self.upstreams.values()
    }

    pub(crate) fn face(&self, listener: usize) -> Option<&Rc<Face>> {
        self.faces.get(listener)
    }
}

/// A place in memory is a number already; its lowest bits are all alike.
#[derive(Default)]
struct Place(u64);

impl Hasher for Place {
    fn write(&mut self, _: &[u8]) {}

    fn write_usize(&mut self, place: usize) {
        self.0 = (place as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
