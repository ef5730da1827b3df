//! Networks, and the failures of each over all accounts.

use super::{
    Attacking, Because, Device, Shut, lock,
    table::{Entry, Key, Table},
    tally::{Pace, Tally},
};
use crate::id_hash::Shards;
use countersign_core::{Timestamp, check::limit::LimitKey};
use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
    sync::Mutex,
    time::Duration,
};

/// Of an IPv4 address the whole, of an IPv6 address the first 64 bits; mapped addresses unmapped (RULES 2.4). What
/// [`LimitKey::network`] holds for one network is one here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceNetwork(IpAddr);

impl From<IpAddr> for SourceNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

impl SourceNetwork {
    /// Of one length, whichever family it is of.
    pub(crate) fn octets(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 32 } else { 64 })
    }
}

impl fmt::Debug for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug)]
pub(super) struct Networks {
    /// Over a beginning that nobody knows: whoever chooses addresses chooses no bucket.
    seed: DefaultHasher,
    shards: Shards<Mutex<Table<Counted>>>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    tally: Tally,
    network: Option<SourceNetwork>,
}

impl Networks {
    pub(super) fn new(seed: [u64; 2], capacity: usize, decay: Duration) -> Self {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        let shards: Shards<Mutex<Table<Counted>>> = Shards::default();
        for shard in shards.iter() {
            *lock(shard) = Table::new(Shards::<Mutex<Table<Counted>>>::share(capacity), decay);
        }
        Self { seed: hasher, shards }
    }

    pub(super) fn mark(&self, network: SourceNetwork) -> u64 {
        let LimitKey(a, b) = LimitKey::network(network.0);
        self.hash((a, b))
    }

    pub(super) fn mark_device(&self, device: Device) -> u64 {
        self.hash((u64::MAX, device.0))
    }

    fn hash(&self, what: (u64, u64)) -> u64 {
        let mut hasher = self.seed.clone();
        what.hash(&mut hasher);
        hasher.finish().max(1)
    }

    pub(super) fn enter(
        &self,
        network: SourceNetwork,
        mark: u64,
        pace: &Pace,
        now: Timestamp,
    ) -> Result<(), Shut> {
        let enter = |counted: &mut Counted| {
            counted.network = Some(network);
            counted.tally.enter(pace, Because::Network, now)
        };
        lock(self.shards.of(&mark)).with(key(mark), now, enter).unwrap_or(Ok(()))
    }

    pub(super) fn leave(&self, mark: u64) {
        lock(self.shards.of(&mark)).change(key(mark), |counted| counted.tally.leave());
    }

    pub(super) fn failed(
        &self,
        network: SourceNetwork,
        mark: u64,
        entered: bool,
        pace: &Pace,
        now: Timestamp,
    ) {
        lock(self.shards.of(&mark)).with(key(mark), now, |counted| {
            counted.network = Some(network);
            if entered {
                counted.tally.leave();
            }
            counted.tally.fail(pace, now);
        });
    }

    pub(super) fn succeeded(&self, mark: u64, forgiven: u32, entered: bool, pace: &Pace, now: Timestamp) {
        lock(self.shards.of(&mark)).change(key(mark), |counted| {
            if entered {
                counted.tally.leave();
            }
            counted.tally.forgive(forgiven, pace, now);
        });
    }

    pub(super) fn each(&self, pace: &Pace, now: Timestamp, mut f: impl FnMut(Attacking)) {
        for shard in self.shards.iter() {
            for (_, counted) in lock(shard).iter() {
                let failures = counted.tally.failures(pace, now);
                if let Some(network) = counted.network.filter(|_| failures > 0) {
                    f(Attacking { failures, last: counted.tally.last(), network });
                }
            }
        }
    }

    /// Evicted and remembered.
    pub(super) fn figures(&self) -> (u64, usize) {
        self.shards.iter().fold((0, 0), |(evicted, remembered), shard| {
            let table = lock(shard);
            (evicted + table.evicted(), remembered + table.len())
        })
    }
}

fn key(mark: u64) -> Key {
    Key(mark, 0)
}

impl Entry for Counted {
    fn new(now: Timestamp) -> Self {
        Self { tally: Tally::new(now), network: None }
    }

    fn weight(&self, decay: Duration, now: Timestamp) -> (u32, Timestamp) {
        self.tally.weight(decay, now)
    }

    fn is_empty(&self) -> bool {
        self.tally.is_empty()
    }
}
