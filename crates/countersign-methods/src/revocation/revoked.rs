//! The nodes that are revoked: a million of them in 36 MiB, and asked about several times on every request.
//!
//! ```text
//! a node ──word hash──> shard ──> screen: 3 of 64 bits of one word, read without a lock
//!                                   │ 199 of 200 that are not revoked end here
//!                                   └──keyed hash──> table: until when
//! ```

use super::store::Change;
use crate::id_hash::{Shards, word_hash};
use countersign_core::{Node, Timestamp};
use countersign_crypto::Entropy;
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    sync::{
        OnceLock, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Never dropped to save room, and never missed. Two nodes are taken for one where 64 bits of a keyed hash agree: with a
/// million revoked that is one lookup in 2 * 10^13, and it refuses.
pub(super) struct Revoked {
    key: Keyed,
    shards: Shards<Shard>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    screen: OnceLock<Screen>,
    table: RwLock<Table>,
}

type Table = HashMap<Mark, Until, BuildHasherDefault<Marked>>;

/// What is kept of a node. With its end 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// Keyed; in halves, which need no padding.
    hash: [u32; 2],
    /// So that the screen can be made anew without the nodes. Two of one hash and different places are two.
    place: Place,
}

impl Revoked {
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        Self { key: Keyed::new(entropy), shards: Shards::default(), count: AtomicUsize::new(0) }
    }

    pub(super) fn contains(&self, node: &Node) -> bool {
        if self.len() == 0 {
            return false;
        }
        let hash = word_hash(node);
        let (shard, place) = (self.shards.by(hash), Place::of(hash));
        if !shard.screen.get().is_some_and(|screen| screen.may_hold(place)) {
            return false;
        }
        let mark = self.key.mark(node, place);
        shard.table.read().unwrap_or_else(PoisonError::into_inner).contains_key(&mark)
    }

    /// Until the longer of what is known and what is said.
    pub(super) fn insert(&self, change: &Change, now: Timestamp) {
        let until = Until::of(change.until);
        if until.is_over(now) {
            return;
        }
        let hash = word_hash(&change.node);
        let (shard, place) = (self.shards.by(hash), Place::of(hash));
        let mut table = shard.write();
        match table.entry(self.key.mark(&change.node, place)) {
            Entry::Occupied(mut known) => *known.get_mut() = until.max(*known.get()),
            Entry::Vacant(new) => {
                new.insert(until);
                shard.screen.get_or_init(Screen::default).hold(place);
                self.count.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Drops what is over.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut scratch = Vec::new();
        for shard in self.shards.iter() {
            let mut table = shard.write();
            let before = table.len();
            table.retain(|_, until| !until.is_over(now));
            let gone = before - table.len();
            if gone == 0 {
                continue;
            }
            self.count.fetch_sub(gone, Ordering::Release);
            if table.len() < table.capacity() / 4 {
                let room = table.len() * 2;
                table.shrink_to(room);
            }
            if let Some(screen) = shard.screen.get() {
                screen.hold_only(table.keys().map(|mark| mark.place), &mut scratch);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoked").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Shard {
    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SipHash under a key of this process: ids of certificates and of foreign principals are others' to choose, and two
/// that are taken for one would let one's end refuse the other.
#[derive(Clone)]
struct Keyed(DefaultHasher);

impl Keyed {
    fn new(entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        // the standard one has no key of its own; having taken one in, its 256 bits of state are that key
        let mut hasher = DefaultHasher::new();
        hasher.write(&key);
        Self(hasher)
    }

    fn mark(&self, node: &Node, place: Place) -> Mark {
        let Self(mut hasher) = self.clone();
        node.hash(&mut hasher);
        let hash = hasher.finish();
        Mark { hash: [(hash >> 32) as u32, hash as u32], place }
    }
}

impl Hash for Mark {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [high, low] = self.hash;
        state.write_u64(u64::from(high) << 32 | u64::from(low));
    }
}

/// A mark is a hash already.
#[derive(Default)]
struct Marked(u64);

impl Hasher for Marked {
    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, mark: u64) {
        self.0 = mark;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A whole second, later than was said rather than earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Until(u32);

impl Until {
    const FOR_EVER: Self = Self(u32::MAX);

    /// Beyond the year 2106: for ever.
    fn of(until: Option<Timestamp>) -> Self {
        let Some(until) = until else { return Self::FOR_EVER };
        let seconds = until.as_micros().saturating_add(999_999).div_euclid(1_000_000).max(0);
        u32::try_from(seconds).map_or(Self::FOR_EVER, Self)
    }

    /// At its end it still counts.
    fn is_over(self, now: Timestamp) -> bool {
        self != Self::FOR_EVER && Timestamp::from_seconds(self.0.into()) < now
    }
}

/// Says "not revoked" of nearly everything that is not, without a lock and from little memory: a Bloom filter of which a
/// node touches one word. Who finds ids that pass it costs himself a lookup in the table.
struct Screen(Box<[AtomicU64]>);

/// Of one shard: 2 MiB in all shards, 16 bits for each of a million. With more revoked it lets more pass, nothing else.
const WORDS: usize = 4096;

impl Default for Screen {
    fn default() -> Self {
        Self((0..WORDS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Screen {
    fn may_hold(&self, place: Place) -> bool {
        let bits = place.bits();
        self.0.get(place.word()).is_none_or(|word| word.load(Ordering::Acquire) & bits == bits)
    }

    fn hold(&self, place: Place) {
        if let Some(word) = self.0.get(place.word()) {
            word.fetch_or(place.bits(), Ordering::Release);
        }
    }

    /// Word by word, each from what it was to what it should be: nothing that stays is let go of in between. Nobody adds
    /// meanwhile, for the table is locked.
    fn hold_only(&self, places: impl Iterator<Item = Place>, scratch: &mut Vec<u64>) {
        scratch.clear();
        scratch.resize(WORDS, 0);
        for place in places {
            if let Some(word) = scratch.get_mut(place.word()) {
                *word |= place.bits();
            }
        }
        self.0.iter().zip(scratch).for_each(|(word, bits)| word.store(*bits, Ordering::Release));
    }
}

/// Which word of the screen, and which bits of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// The half of the hash that does not choose the shard.
    fn of(hash: u64) -> Self {
        Self(hash as u32)
    }

    fn word(self) -> usize {
        self.0 as usize % WORDS
    }

    fn bits(self) -> u64 {
        1 << (self.0 >> 12 & 63) | 1 << (self.0 >> 18 & 63) | 1 << (self.0 >> 24 & 63)
    }
}
