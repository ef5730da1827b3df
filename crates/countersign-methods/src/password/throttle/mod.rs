//! Who may try a password, and how often (RULES 5.1). Asked before every hash, answers from local memory, waits for
//! nothing.
//!
//! ```text
//!                       what is counted                     after some failures           after 100 in a row
//! a known place         its own failures for this account   a delay that doubles          known no longer
//! any other place       its failures for this account       a delay that doubles          -
//!   and its network     failures for every account          a delay that doubles          -
//!   and the account     failures from all such places       -                             closed, known places open
//! ```
//! A place is a network or a device. It is known to an account where it succeeded there since the password changed; no
//! one else's failures bear on it, whatever they do and from wherever, so that nobody is locked out of his own home.
//! Who is not let through must hear it no sooner than a hash takes: that, and the fairness of the queue, are the
//! caller's and the pool's.
//!
//! **Attempts that run** count as failures until they are judged ([`Attempt`]): a thousand guesses at once are not
//! one. **Memory** is bounded ([`table`]): what makes room is what weighs least, so that whoever wants his own count
//! forgotten must let thousands of others fail as often, each for the price of a hash. **A name that nobody has** is
//! counted as any other: neither time nor memory tells it apart.

mod known;
mod network;
mod table;
mod tally;

use super::normal::UserName;
use crate::id_hash::Shards;
use countersign_core::Timestamp;
use countersign_crypto::FingerprintKey;
use known::Known;
use network::Networks;
use std::{
    collections::BinaryHeap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use table::{Key, Table};
use tally::{Ends, Run, Tally};

pub use network::SourceNetwork;
pub use tally::Pace;

/// Already valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Of an account at a place that is not known to it.
    pub unknown: Pace,
    /// Of an account at a place that is.
    pub known: Pace,
    /// Of a network, over all accounts. Many people may stand behind one.
    pub network: Pace,
    /// Failures of an account in a row before places that it does not know are closed.
    pub closed_after: u32,
    /// A row ends by itself after so long without a failure: who guesses forever has `closed_after` guesses in this
    /// time.
    pub forgotten_after: Duration,
    /// Accounts whose known places are remembered.
    pub known_accounts: usize,
    /// Accounts, places of accounts and networks that failures are remembered of, each so many.
    pub failing: usize,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        let pace = Pace {
            free: 5,
            at_once: 5,
            first: Duration::from_secs(1),
            longest: MINUTE * 15,
            halved_after: MINUTE * 60,
        };
        Self {
            unknown: pace,
            known: Pace { free: 10, at_once: 64, ..pace },
            network: Pace { free: 20, at_once: 64, ..pace },
            closed_after: 100,
            forgotten_after: MINUTE * 60 * 24 * 7,
            known_accounts: 65_536,
            failing: 65_536,
        }
    }
}

/// An account that somebody claims to be, whether there is one of that name or not: a keyed hash of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(pub(in crate::password) u64, pub(in crate::password) u64);

/// A device that carries a mark of ours. Whoever reads the mark has made sure that it is ours and this account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device(pub u64);

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub network: SourceNetwork,
    pub device: Option<Device>,
}

impl From<SourceNetwork> for Source {
    fn from(network: SourceNetwork) -> Self {
        Self { network, device: None }
    }
}

#[derive(Debug)]
#[must_use]
pub enum Gate<'t> {
    Open(Attempt<'t>),
    /// Not before then.
    Delayed {
        until: Timestamp,
        because: Because,
    },
    /// To places that the account does not know.
    Closed {
        failures: u32,
        since: Timestamp,
    },
}

/// For the operator, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Failures of this account from this place.
    Place,
    /// Failures from this network, whatever the account.
    Network,
    /// As many attempts as may fail are not judged yet.
    Running,
}

impl Because {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Place => "this account failed too often from this place",
            Self::Network => "too many failures from this network",
            Self::Running => "attempts are still being judged",
        }
    }
}

#[derive(Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    key: FingerprintKey,
    accounts: Shards<Mutex<Accounts>>,
    networks: Networks,
    figures: Figures,
}

#[derive(Debug, Default)]
struct Accounts {
    known: Table<Known>,
    /// Per account, from places that it does not know.
    runs: Table<Run>,
    /// Per account and place.
    places: Table<Tally>,
    /// How many passwords changed here: who was hashed before that proves nothing about the password of now.
    changes: u64,
}

#[derive(Debug, Default)]
struct Figures {
    opened: AtomicU64,
    delayed: AtomicU64,
    closed: AtomicU64,
    failed: AtomicU64,
    succeeded: AtomicU64,
}

/// Since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThrottleFigures {
    pub opened: u64,
    pub delayed: u64,
    pub closed: u64,
    pub failed: u64,
    pub succeeded: u64,
    /// Counts that made room before they had decayed.
    pub evicted: u64,
    /// What is remembered now: known accounts, failing accounts, their places, networks.
    pub remembered: usize,
}

/// What operators look at while somebody guesses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThrottleSnapshot {
    /// Most failures first.
    pub accounts: Vec<Attacked>,
    pub networks: Vec<Attacking>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attacked {
    /// In a row, from places that the account does not know.
    pub failures: u32,
    /// At least so many.
    pub networks: u32,
    pub closed: bool,
    pub since: Timestamp,
    pub last: Timestamp,
    /// To be compared with [`Throttle::account`] of the names in the directory.
    pub account: AccountKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attacking {
    pub failures: u32,
    pub last: Timestamp,
    pub network: SourceNetwork,
}

/// Where an attempt is counted.
#[derive(Debug, Clone, Copy)]
struct Seat {
    account: AccountKey,
    network: SourceNetwork,
    network_mark: u64,
    device_mark: Option<u64>,
    /// The mark that failures of the account are counted by: the one that is known, or the network's.
    place: u64,
    known: bool,
    /// [`Accounts::changes`] when it began.
    changes: u64,
}

/// Somebody may be hashed, once. Dropped without a word it is a failure: whoever hangs up is not forgiven.
#[must_use]
pub struct Attempt<'t> {
    throttle: &'t Throttle,
    /// None: told how it went.
    seat: Option<Seat>,
    began: Timestamp,
}

impl Throttle {
    pub fn new(settings: ThrottleSettings, key: FingerprintKey) -> Self {
        let accounts: Shards<Mutex<Accounts>> = Shards::default();
        let share = Shards::<Mutex<Accounts>>::share;
        for shard in accounts.iter() {
            *lock(shard) = Accounts {
                known: Table::new(share(settings.known_accounts), Duration::ZERO),
                runs: Table::new(share(settings.failing), settings.forgotten_after),
                places: Table::new(
                    share(settings.failing),
                    settings.unknown.halved_after.max(settings.known.halved_after),
                ),
                changes: 0,
            };
        }
        let [a, b, ..] = words(&key.of(&[b"networks"]));
        let networks = Networks::new([a, b], settings.failing, settings.network.halved_after);
        Self { settings, key, accounts, networks, figures: Figures::default() }
    }

    pub fn account(&self, name: &UserName) -> AccountKey {
        let [a, b, ..] = words(&self.key.of(&[b"account", name.as_str().as_bytes()]));
        AccountKey(a, b)
    }

    /// Before the hash. Open counts as a failure until the attempt says otherwise.
    ///
    /// That a place failed too often is said before its hash: the answer must take as long all the same (RULES 5.1).
    pub fn before(&self, account: AccountKey, source: impl Into<Source>, now: Timestamp) -> Gate<'_> {
        match self.enter(account, source.into(), now) {
            Ok(seat) => {
                count(&self.figures.opened);
                Gate::Open(Attempt { throttle: self, seat: Some(seat), began: now })
            }
            Err(Shut::Delayed(until, because)) => {
                count(&self.figures.delayed);
                Gate::Delayed { until, because }
            }
            Err(Shut::Closed(failures, since)) => {
                count(&self.figures.closed);
                Gate::Closed { failures, since }
            }
        }
    }

    fn enter(&self, account: AccountKey, source: Source, now: Timestamp) -> Result<Seat, Shut> {
        let network_mark = self.networks.mark(source.network);
        let device_mark = source.device.map(|d| self.networks.mark_device(d));
        let mut seat = Seat {
            account,
            network: source.network,
            network_mark,
            device_mark,
            place: network_mark,
            known: false,
            changes: 0,
        };
        {
            let mut accounts = lock(self.shard(account));
            seat.changes = accounts.changes;
            if let Some(known) = accounts.known.get(account.into())
                && let Some(place) = device_mark.into_iter().chain([network_mark]).find(|m| known.has(*m))
            {
                seat.place = place;
                seat.known = true;
            }
            if !seat.known {
                accounts
                    .runs
                    .with(account.into(), now, |run| run.enter(self.ends(), now))
                    .unwrap_or(Ok(()))?;
            }
            let pace = self.pace(&seat);
            let entered = accounts.places.with(seat.key(), now, |t| t.enter(pace, Because::Place, now));
            if let Some(Err(shut)) = entered {
                if !seat.known {
                    accounts.runs.change(account.into(), Run::leave);
                }
                return Err(shut);
            }
        }
        // one lock at a time, never one inside another
        if !seat.known
            && let Err(shut) = self.networks.enter(source.network, network_mark, &self.settings.network, now)
        {
            self.leave(&seat);
            return Err(shut);
        }
        Ok(seat)
    }

    /// What `enter` counted of the account.
    fn leave(&self, seat: &Seat) {
        let mut accounts = lock(self.shard(seat.account));
        accounts.places.change(seat.key(), Tally::leave);
        if !seat.known {
            accounts.runs.change(seat.account.into(), Run::leave);
        }
    }

    fn failed(&self, seat: &Seat, now: Timestamp) {
        count(&self.figures.failed);
        {
            let mut accounts = lock(self.shard(seat.account));
            accounts.places.with(seat.key(), now, |tally| {
                tally.leave();
                tally.fail(self.pace(seat), now);
            });
            if seat.known {
                // NIST SP 800-63B-4 3.2.2: no place tries more than so often in a row, not even the owner's
                let most = self.settings.closed_after;
                accounts.known.change(seat.account.into(), |known| known.failed(seat.place, most));
            } else {
                accounts.runs.with(seat.account.into(), now, |run| {
                    run.leave();
                    run.fail(seat.network_mark, self.ends(), now);
                });
            }
        }
        self.networks.failed(seat.network, seat.network_mark, !seat.known, &self.settings.network, now);
    }

    fn succeeded(&self, seat: &Seat, now: Timestamp) {
        count(&self.figures.succeeded);
        let forgiven = {
            let mut accounts = lock(self.shard(seat.account));
            let forgiven = accounts.places.change(seat.key(), |tally| {
                tally.leave();
                tally.forgive(u32::MAX, self.pace(seat), now)
            });
            if !seat.known {
                // A row ends where somebody succeeds from a place like those it was made from; a success at a known
                // place says nothing about them, or every morning would give whoever guesses another hundred.
                accounts.runs.change(seat.account.into(), |run| {
                    run.leave();
                    run.end();
                });
            }
            if accounts.changes == seat.changes {
                accounts.known.with(seat.account.into(), now, |known| {
                    for mark in [seat.device_mark, Some(seat.network_mark)].into_iter().flatten() {
                        known.succeeded(mark, now);
                    }
                });
            }
            forgiven.unwrap_or(0)
        };
        // NIST SP 800-63B-4 3.2.2: earlier failures of that account from there, and of no other: an account of his own
        // does not wash a guesser's network clean
        self.networks.succeeded(seat.network_mark, forgiven, !seat.known, &self.settings.network, now);
    }

    fn withdrawn(&self, seat: &Seat) {
        self.leave(seat);
        if !seat.known {
            self.networks.leave(seat.network_mark);
        }
    }

    /// As a success there would: from what a store kept of the time before this process began, or from where the
    /// password was just changed.
    pub fn remember(&self, account: AccountKey, source: impl Into<Source>, now: Timestamp) {
        let source = source.into();
        let marks =
            [Some(self.networks.mark(source.network)), source.device.map(|d| self.networks.mark_device(d))];
        let mut accounts = lock(self.shard(account));
        accounts.known.with(account.into(), now, |known| {
            marks.into_iter().flatten().for_each(|mark| known.succeeded(mark, now));
        });
    }

    /// Nothing is known to the account any more, and what was guessed was the old one: the row begins anew. The place
    /// that changed it is made known again by [`Throttle::remember`].
    pub fn password_changed(&self, account: AccountKey) {
        let mut accounts = lock(self.shard(account));
        accounts.changes += 1;
        accounts.known.remove(account.into());
        accounts.runs.change(account.into(), Run::end);
    }

    /// An operator opens what was closed; known places stay.
    pub fn reopen(&self, account: AccountKey) {
        lock(self.shard(account)).runs.change(account.into(), Run::end);
    }

    /// The `most` accounts and networks with most failures.
    pub fn snapshot(&self, most: usize, now: Timestamp) -> ThrottleSnapshot {
        let mut accounts = Most::new(most);
        for shard in self.accounts.iter() {
            for (key, run) in lock(shard).runs.iter() {
                let failures = run.failures(self.ends(), now);
                if failures > 0 {
                    accounts.add(Attacked {
                        failures,
                        networks: run.networks.count_ones(),
                        closed: failures >= self.settings.closed_after,
                        since: run.since,
                        last: run.last,
                        account: AccountKey(key.0, key.1),
                    });
                }
            }
        }
        let mut networks = Most::new(most);
        self.networks.each(&self.settings.network, now, |attacking| networks.add(attacking));
        ThrottleSnapshot { accounts: accounts.sorted(), networks: networks.sorted() }
    }

    pub fn figures(&self) -> ThrottleFigures {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let (mut evicted, mut remembered) = self.networks.figures();
        for shard in self.accounts.iter() {
            let accounts = lock(shard);
            evicted += accounts.known.evicted() + accounts.runs.evicted() + accounts.places.evicted();
            remembered += accounts.known.len() + accounts.runs.len() + accounts.places.len();
        }
        ThrottleFigures {
            opened: read(&self.figures.opened),
            delayed: read(&self.figures.delayed),
            closed: read(&self.figures.closed),
            failed: read(&self.figures.failed),
            succeeded: read(&self.figures.succeeded),
            evicted,
            remembered,
        }
    }

    fn pace(&self, seat: &Seat) -> &Pace {
        if seat.known { &self.settings.known } else { &self.settings.unknown }
    }

    fn ends(&self) -> Ends {
        Ends { closed_after: self.settings.closed_after, forgotten_after: self.settings.forgotten_after }
    }

    fn shard(&self, account: AccountKey) -> &Mutex<Accounts> {
        self.accounts.of(&account)
    }
}

impl Attempt<'_> {
    pub fn failed(mut self, now: Timestamp) {
        if let Some(seat) = self.seat.take() {
            self.throttle.failed(&seat, now);
        }
    }

    /// The place is known to the account from now on.
    pub fn succeeded(mut self, now: Timestamp) {
        if let Some(seat) = self.seat.take() {
            self.throttle.succeeded(&seat, now);
        }
    }

    /// Nobody judged it, for a reason of ours: the store did not answer, the queue was full.
    pub fn withdrawn(mut self) {
        if let Some(seat) = self.seat.take() {
            self.throttle.withdrawn(&seat);
        }
    }

    /// Does the account know this place?
    pub fn is_known(&self) -> bool {
        self.seat.is_some_and(|seat| seat.known)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.throttle.failed(&seat, self.began);
        }
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("seat", &self.seat).field("began", &self.began).finish()
    }
}

impl Seat {
    /// Of the account at this place; both halves are keyed hashes already.
    fn key(&self) -> Key {
        Key(self.account.0 ^ self.place, self.account.1)
    }
}

impl From<AccountKey> for Key {
    fn from(account: AccountKey) -> Self {
        Key(account.0, account.1)
    }
}

/// Why not.
#[derive(Debug, Clone, Copy)]
enum Shut {
    Delayed(Timestamp, Because),
    Closed(u32, Timestamp),
}

/// The greatest few of many.
struct Most<T> {
    most: usize,
    heap: BinaryHeap<std::cmp::Reverse<T>>,
}

impl<T: Ord> Most<T> {
    fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::new() }
    }

    fn add(&mut self, item: T) {
        self.heap.push(std::cmp::Reverse(item));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    fn sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec().into_iter().map(|r| r.0).collect()
    }
}

fn words(hash: &[u8; 32]) -> [u64; 4] {
    let (words, _) = hash.as_chunks::<8>();
    let mut out = [0; 4];
    out.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
    out
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

// No code that can panic runs under these locks; a poisoned one would hold whole data all the same.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
