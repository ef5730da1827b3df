//! Several certificates behind one listener, chosen by the name that the caller asks for, and replaced while it serves.

use super::{TlsError, chain, key, provider};
use arc_swap::ArcSwap;
use rustls::{
    Error,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc};

/// A chain with its key, both in PEM.
#[derive(Clone, Copy)]
pub struct CertificatePair<'p> {
    pub chain: &'p [u8],
    pub key: &'p [u8],
    /// Answers also where no name is asked for, or one that no certificate has.
    pub default: bool,
}

/// Does not show keys.
impl std::fmt::Debug for CertificatePair<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificatePair").field("default", &self.default).finish_non_exhaustive()
    }
}

/// Valid: every key belongs to its certificate, and every certificate has a name or is the default.
#[derive(Debug)]
pub struct CertificateSet {
    keys: Vec<Arc<CertifiedKey>>,
    exact: HashMap<Box<str>, usize>,
    /// `*.example.com` as `example.com`.
    below: HashMap<Box<str>, usize>,
    default: Option<usize>,
}

impl CertificateSet {
    /// The error comes with the number of the pair. A name in two certificates belongs to the first.
    pub fn new(pairs: &[CertificatePair<'_>]) -> Result<Self, (usize, TlsError)> {
        let mut set = Self { keys: Vec::new(), exact: HashMap::new(), below: HashMap::new(), default: None };
        for (n, pair) in pairs.iter().enumerate() {
            set.add(n, pair).map_err(|error| (n, error))?;
        }
        Ok(set)
    }

    fn add(&mut self, n: usize, pair: &CertificatePair<'_>) -> Result<(), TlsError> {
        let key = CertifiedKey::from_der(chain(pair.chain)?, key(pair.key)?, &provider())
            .map_err(TlsError::Unusable)?;
        let names = names(&key).map_err(TlsError::Unusable)?;
        if names.is_empty() && !pair.default {
            return Err(TlsError::NoName);
        }
        for name in names {
            match name.strip_prefix("*.") {
                Some(parent) => self.below.entry(parent.into()).or_insert(n),
                None => self.exact.entry(name.into()).or_insert(n),
            };
        }
        if pair.default {
            self.default.get_or_insert(n);
        }
        self.keys.push(Arc::new(key));
        Ok(())
    }

    /// Which certificate answers for a name in lower case: its own, one with a wildcard for its first label, or the
    /// default.
    pub fn serves(&self, name: Option<&str>) -> Option<usize> {
        let own = name.and_then(|name| {
            let below = || name.split_once('.').and_then(|(_, parent)| self.below.get(parent));
            self.exact.get(name).or_else(below).copied()
        });
        own.or(self.default)
    }

    /// Does a certificate name this host, in lower case?
    pub fn names(&self, host: &str) -> bool {
        let below = || host.split_once('.').is_some_and(|(_, parent)| self.below.contains_key(parent));
        self.exact.contains_key(host) || below()
    }

    /// One certificate, whatever name is asked for.
    pub fn is_one_for_all(&self) -> bool {
        self.keys.len() == 1 && self.default.is_some()
    }

    /// Is a name that no certificate has refused?
    pub fn is_closed(&self) -> bool {
        self.default.is_none()
    }
}

fn names(key: &CertifiedKey) -> Result<Vec<String>, Error> {
    let leaf = key.end_entity_cert()?;
    let leaf = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| Error::General(format!("the certificate cannot be read: {error}")))?;
    // webpki verifies names for clients; here a server asks which names its own certificate may be asked for
    Ok(leaf.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

/// Swapped whole: a handshake sees one set or the other.
#[derive(Debug)]
pub struct LiveCertificates(ArcSwap<CertificateSet>);

impl LiveCertificates {
    pub fn new(set: CertificateSet) -> Self {
        Self(ArcSwap::from_pointee(set))
    }

    pub fn current(&self) -> Arc<CertificateSet> {
        self.0.load_full()
    }

    pub fn replace(&self, set: CertificateSet) {
        self.0.store(Arc::new(set));
    }
}

impl ResolvesServerCert for LiveCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.0.load();
        set.keys.get(set.serves(hello.server_name())?).cloned()
    }
}
