//! Passwords that are known: what is tried first by whoever guesses. Two lists: [`CommonPasswords`], which every build
//! carries, and [`CompactFilter`], made from a download of breached passwords where an operator has one.
//!
//! ```text
//! file of a filter    magic version width  entries  seed  segment segments  checksum  fingerprints
//! little-endian         4B     2B     2B      8B     8B      4B      4B        4B       2B each
//! ```

use super::normal::fold;
use std::{
    fmt,
    sync::{Arc, LazyLock},
};
use xorf::{BinaryFuse16, Filter};

/// Port: a list of passwords that nobody may choose. Local: a password goes nowhere to be looked up.
pub trait Breached: fmt::Debug + Send + Sync {
    /// Of a password that is normal.
    fn contains(&self, password: &str) -> bool;
}

/// On any of these lists.
#[derive(Debug, Clone, Default)]
pub struct AnyOf(pub Vec<Arc<dyn Breached>>);

impl Breached for AnyOf {
    fn contains(&self, password: &str) -> bool {
        self.0.iter().any(|list| list.contains(password))
    }
}

/// The list in `common.txt`, which says where it comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommonPasswords;

pub(super) static COMMON: LazyLock<Box<[&'static str]>> = LazyLock::new(|| {
    let text = include_str!("common.txt");
    text.split_once("\n\n").map_or("", |(_, words)| words).lines().collect()
});

impl Breached for CommonPasswords {
    fn contains(&self, password: &str) -> bool {
        let folded = fold(password);
        let listed = |word: &str| COMMON.binary_search(&word).is_ok();
        if listed(&folded) {
            return true;
        }
        // a phrase is the same phrase however its words are kept apart
        let mut joined = folded.clone();
        joined.retain(|c| !matches!(c, ' ' | '-' | '_' | '.'));
        listed(&joined)
    }
}

/// The function comes in by argument: SHA-1 is the word of the download, not of any judgement here.
pub type Sha1 = fn(&[u8]) -> [u8; 20];

/// A static filter over the first 64 bits of SHA-1 digests. It never misses what it was built from.
///
/// `BinaryFuse16`, 18 bits an entry: one good password in 65,536 is refused by mistake. `BinaryFuse8` takes half and
/// refuses one in 256, and each of those tells a person that a password is known which is not: too many to be believed.
#[derive(Clone)]
pub struct CompactFilter {
    filter: BinaryFuse16,
    entries: u64,
    sha1: Sha1,
}

/// Gathers the lines of a download, in any order: eight bytes of memory for each, and 26 more while it finishes.
#[derive(Debug)]
pub struct FilterBuilder {
    keys: Vec<u64>,
    limit: usize,
    line: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("line {line}: {fault}")]
    Line { line: u64, fault: LineFault },
    #[error("line {line}: more than {limit} entries")]
    TooMany { line: u64, limit: usize },
    #[error("the filter could not be built of these entries")]
    Construction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    #[error("a digest has 16 to 40 hex digits")]
    Length,
    #[error("a digest has hex digits only")]
    Digit,
    #[error("after the colon stands a count")]
    Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the file is no filter of breached passwords")]
    NoFilter,
    #[error("the filter is of version {0}, which this build does not read")]
    Version(u16),
    #[error("the filter is cut off, or something follows it")]
    Length,
    #[error("the filter is damaged: its checksum does not fit")]
    Checksum,
    #[error("the filter is damaged: its parts do not fit each other")]
    Shape,
}

impl FilterBuilder {
    /// What `xorf` numbers its entries with leaves no room for more.
    pub const MOST: usize = 2_000_000_000;

    /// Takes `limit` lines at most.
    pub fn new(limit: usize) -> Self {
        Self { keys: Vec::new(), limit: limit.min(Self::MOST), line: 0 }
    }

    /// `HASH` or `HASH:COUNT`; of the digest 16 hex digits at least.
    pub fn line(&mut self, line: &str) -> Result<(), BuildError> {
        self.line += 1;
        let key = parse_line(line).map_err(|fault| BuildError::Line { line: self.line, fault })?;
        if self.keys.len() >= self.limit {
            return Err(BuildError::TooMany { line: self.line, limit: self.limit });
        }
        self.keys.push(key);
        Ok(())
    }

    pub fn finish(mut self, sha1: Sha1) -> Result<CompactFilter, BuildError> {
        // the filter is of distinct keys
        self.keys.sort_unstable();
        self.keys.dedup();
        let filter = BinaryFuse16::try_from(self.keys.as_slice()).map_err(|_| BuildError::Construction)?;
        Ok(CompactFilter { filter, entries: self.keys.len() as u64, sha1 })
    }
}

fn parse_line(line: &str) -> Result<u64, LineFault> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (digest, count) = match line.split_once(':') {
        Some((digest, count)) => (digest, Some(count)),
        None => (line, None),
    };
    if !(16..=40).contains(&digest.len()) {
        return Err(LineFault::Length);
    }
    if !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(LineFault::Digit);
    }
    if count.is_some_and(|c| c.is_empty() || c.len() > 19 || !c.bytes().all(|b| b.is_ascii_digit())) {
        return Err(LineFault::Count);
    }
    let first = digest.get(..16).ok_or(LineFault::Length)?;
    u64::from_str_radix(first, 16).map_err(|_| LineFault::Digit)
}

impl CompactFilter {
    const MAGIC: [u8; 4] = *b"CSBF";
    const VERSION: u16 = 1;
    const WIDTH: u16 = 16;
    const HEADER: usize = 36;
    /// The longest segment that a filter is built with.
    const SEGMENT: u32 = 1 << 18;

    /// Distinct digests that it was built from.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// In memory and, within a header, on disk.
    pub fn size(&self) -> usize {
        self.filter.fingerprints.len() * 2
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let descriptor = &self.filter.descriptor;
        let mut bytes = Vec::with_capacity(Self::HEADER + self.size());
        bytes.extend(Self::MAGIC);
        bytes.extend(Self::VERSION.to_le_bytes());
        bytes.extend(Self::WIDTH.to_le_bytes());
        bytes.extend(self.entries.to_le_bytes());
        bytes.extend(descriptor.seed.to_le_bytes());
        bytes.extend(descriptor.segment_length.to_le_bytes());
        bytes.extend(descriptor.segment_count_length.to_le_bytes());
        let mut sum = crc32fast::Hasher::new();
        sum.update(&bytes);
        let body: Vec<u8> = self.filter.fingerprints.iter().flat_map(|f| f.to_le_bytes()).collect();
        sum.update(&body);
        bytes.extend(sum.finalize().to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// Allocates no more than the bytes themselves take; whatever they hold, asking the filter cannot fail.
    pub fn from_bytes(bytes: &[u8], sha1: Sha1) -> Result<Self, LoadError> {
        let mut rest = bytes;
        if take(&mut rest).ok_or(LoadError::NoFilter)? != Self::MAGIC {
            return Err(LoadError::NoFilter);
        }
        let version = u16::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let width = u16::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        if version != Self::VERSION || width != Self::WIDTH {
            return Err(LoadError::Version(version));
        }
        let entries = u64::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let seed = u64::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let segment_length = u32::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let segment_count_length = u32::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let checksum = u32::from_le_bytes(take(&mut rest).ok_or(LoadError::Length)?);
        let (body, odd) = rest.as_chunks::<2>();
        // Where a key is looked for: within the segments, and in the two that follow.
        let places = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        if !odd.is_empty() || body.len() as u64 != places {
            return Err(LoadError::Length);
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(bytes.get(..Self::HEADER - 4).ok_or(LoadError::Length)?);
        sum.update(rest);
        if sum.finalize() != checksum {
            return Err(LoadError::Checksum);
        }
        // A checksum is no seal: what would reach beyond the fingerprints is refused also where it fits.
        if !segment_length.is_power_of_two()
            || segment_length > Self::SEGMENT
            || segment_count_length == 0
            || !segment_count_length.is_multiple_of(segment_length)
            || places > u64::from(u32::MAX)
            || entries > places
        {
            return Err(LoadError::Shape);
        }
        // The crate names no constructor of its descriptor: an empty filter lends one.
        let mut filter = BinaryFuse16::try_from([].as_slice()).map_err(|_| LoadError::Shape)?;
        filter.descriptor.seed = seed;
        filter.descriptor.segment_length = segment_length;
        filter.descriptor.segment_length_mask = segment_length - 1;
        filter.descriptor.segment_count_length = segment_count_length;
        filter.fingerprints = body.iter().map(|f| u16::from_le_bytes(*f)).collect();
        Ok(Self { filter, entries, sha1 })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

impl Breached for CompactFilter {
    fn contains(&self, password: &str) -> bool {
        let [a, b, c, d, e, f, g, h, ..] = (self.sha1)(password.as_bytes());
        // one of none would be found in every 65,536
        self.entries > 0 && self.filter.contains(&u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Debug for CompactFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompactFilter({} entries, {} bytes)", self.entries, self.size())
    }
}
