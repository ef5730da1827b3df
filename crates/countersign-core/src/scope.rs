//! Scopes (RFC 6749 3.3): case-sensitive tokens without order and without wildcards.

use crate::word::word;
use std::{fmt, sync::Arc};

/// One scope-token: 1 to 128 characters of %x21 / %x23-5B / %x5D-7E (RFC 6749 3.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

impl Scope {
    pub const MAX_LENGTH: usize = 128;

    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        let token = text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
        (fits && token).then(|| Self(text.into()))
    }

    /// `countersign:` scopes act on Countersign itself; they come only from our own store (RULES 1.8).
    pub fn is_operators(&self) -> bool {
        self.0.starts_with("countersign:")
    }
}

/// A set of scopes: sorted, without repeats, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeSet(Arc<[Scope]>);

impl ScopeSet {
    pub const MAX_SCOPES: usize = 64;

    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        Self(scopes.into())
    }

    /// Space-delimited, as in RFC 6749 3.3. `None` where a token breaks the grammar or there are over 64.
    pub fn parse(text: &str) -> Option<Self> {
        let scopes =
            text.split(' ').filter(|t| !t.is_empty()).map(Scope::parse).collect::<Option<Vec<_>>>()?;
        (scopes.len() <= Self::MAX_SCOPES).then(|| Self::new(scopes))
    }

    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.binary_search(scope).is_ok()
    }

    pub fn is_subset(&self, other: &ScopeSet) -> bool {
        self.0.iter().all(|s| other.contains(s))
    }

    pub fn intersection(&self, other: &ScopeSet) -> ScopeSet {
        Self(self.0.iter().filter(|s| other.contains(s)).cloned().collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

word!(Scope);

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
