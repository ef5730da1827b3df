//! What this process signs and verifies with: every key that was not removed, opened once, and the JWKS that says so. Read on
//! the path of a request, replaced whole by whoever follows the store.

use super::record::{KeyPurpose, SigningKeyRecord, SigningKeyState};
use countersign_core::Timestamp;
use countersign_crypto::{
    SecretBytes,
    hash::sha256,
    jose::{self, Algorithm, VerifyingKey},
    key::{SealError, SealKeys, SigningKey, SigningKeyError},
};
use serde_json::{Map, Value, json};
use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Why the keys of a store cannot be used by this process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error("signing key `{kid}`: {error}")]
    Sealed { kid: Arc<str>, error: SealError },
    #[error("signing key `{kid}`: {error}")]
    Key { kid: Arc<str>, error: SigningKeyError },
    #[error("what is kept as signing key `{0}` is another key")]
    Other(Arc<str>),
}

/// One key, opened.
pub struct OpenKey {
    pub kid: Arc<str>,
    pub purpose: KeyPurpose,
    pub algorithm: Algorithm,
    pub state: SigningKeyState,
    /// Since when it is in this state.
    pub since: Timestamp,
    version: i64,
    key: Arc<SigningKey>,
}

impl OpenKey {
    pub fn verifying(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// The same key, at the same point of its life.
    fn is_as(&self, other: &OpenKey) -> bool {
        (&self.kid, self.version, self.state) == (&other.kid, other.version, other.state)
    }
}

impl fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenKey({}, {}, {})", self.kid, self.purpose.as_str(), self.state.as_str())
    }
}

/// A JWKS (RFC 7517 5), ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    pub body: Arc<[u8]>,
    /// RFC 9110 8.8.3, with its quotes.
    pub etag: Arc<str>,
}

impl Jwks {
    fn of(keys: &[Value]) -> Self {
        let body = json!({ "keys": keys }).to_string().into_bytes();
        let mark: String = sha256(&[&body]).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { body: body.into(), etag: format!("\"{mark}\"").into() }
    }
}

#[derive(Debug)]
struct KeySet {
    keys: Vec<Arc<OpenKey>>,
    documents: [Jwks; KeyPurpose::ALL.len()],
}

#[derive(Debug)]
pub struct SigningKeys {
    seal: Arc<SealKeys>,
    known: RwLock<Arc<KeySet>>,
    /// Moves whenever another set of keys is known.
    revision: AtomicU64,
}

impl SigningKeys {
    /// None yet.
    pub fn new(seal: Arc<SealKeys>) -> Self {
        let known = RwLock::new(Arc::new(KeySet::of(Vec::new())));
        Self { seal, known, revision: AtomicU64::new(0) }
    }

    /// All that the store has; those that are known as they stand are not opened again. One that cannot be used is left out and
    /// told of: it must not keep those that were called back among those that are believed.
    pub fn replace(&self, records: &[SigningKeyRecord]) -> Result<(), KeysError> {
        let before = self.set();
        let live: Vec<&SigningKeyRecord> = records.iter().filter(|record| record.verifies()).collect();
        let same = |record: &&SigningKeyRecord| {
            before.keys.iter().any(|key| key.kid == record.kid && key.version == record.version)
        };
        if live.len() == before.keys.len() && live.iter().all(same) {
            return Ok(());
        }
        let (mut keys, mut failed) = (Vec::with_capacity(live.len()), None);
        for record in live {
            match self.open(record, &before) {
                Ok(key) => keys.push(key),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let stands = |key: &Arc<OpenKey>| before.keys.iter().any(|known| known.is_as(key));
        if keys.len() != before.keys.len() || !keys.iter().all(stands) {
            let known = Arc::new(KeySet::of(keys));
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
        failed.map_or(Ok(()), Err)
    }

    fn open(&self, record: &SigningKeyRecord, before: &KeySet) -> Result<Arc<OpenKey>, KeysError> {
        let kid = record.kid.clone();
        // of another purpose it was sealed for that one, which is seen where it is opened
        let known = before.keys.iter().find(|key| key.kid == kid && key.purpose == record.purpose);
        let key = match known {
            Some(known) => known.key.clone(),
            None => {
                let sealed = |error| KeysError::Sealed { kid: kid.clone(), error };
                let private =
                    self.seal.open(&context(record.purpose, &kid), &record.sealed).map_err(sealed)?;
                let key = SigningKey::from_pkcs8(record.algorithm, &private)
                    .map_err(|error| KeysError::Key { kid: kid.clone(), error })?;
                Arc::new(key)
            }
        };
        // whoever can write to the store cannot make one key pass for another
        if key.verifying_key().thumbprint() != Some(&*kid)
            || key.verifying_key().algorithm() != record.algorithm
        {
            return Err(KeysError::Other(kid));
        }
        let SigningKeyRecord { purpose, algorithm, state, since, version, .. } = *record;
        Ok(Arc::new(OpenKey { kid, purpose, algorithm, state, since, version, key }))
    }

    /// All that are not removed, the oldest first.
    pub fn known(&self) -> Vec<Arc<OpenKey>> {
        self.set().keys.clone()
    }

    /// One of that purpose whose signatures are believed.
    pub fn verifying(&self, purpose: KeyPurpose, kid: &str) -> Option<Arc<OpenKey>> {
        self.set().keys.iter().find(|key| key.purpose == purpose && &*key.kid == kid).cloned()
    }

    /// `None`: there is no key that signs for this purpose now.
    pub fn sign(
        &self,
        (purpose, algorithm): (KeyPurpose, Algorithm),
        typ: &str,
        claims: &Map<String, Value>,
    ) -> Option<String> {
        let set = self.set();
        let of = |key: &&Arc<OpenKey>| key.purpose == purpose && key.state == SigningKeyState::Active;
        let active = || set.keys.iter().filter(of);
        // another algorithm's rather than none, while the configuration changes
        let key = active().find(|key| key.algorithm == algorithm).or_else(|| active().next())?;
        jose::sign(&key.key, typ, claims).ok()
    }

    pub fn jwks(&self, purpose: KeyPurpose) -> Jwks {
        let [session, identity] = &self.set().documents;
        match purpose {
            KeyPurpose::Session => session.clone(),
            KeyPurpose::Identity => identity.clone(),
        }
    }

    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(super) fn seal(
        &self,
        purpose: KeyPurpose,
        kid: &str,
        private: &SecretBytes,
        entropy: &dyn countersign_crypto::Entropy,
    ) -> Result<Vec<u8>, SealError> {
        self.seal.seal(&context(purpose, kid), private.expose(), entropy)
    }

    fn set(&self) -> Arc<KeySet> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn context(purpose: KeyPurpose, kid: &str) -> [&[u8]; 3] {
    [b"signing key", purpose.as_str().as_bytes(), kid.as_bytes()]
}

impl KeySet {
    fn of(keys: Vec<Arc<OpenKey>>) -> Self {
        let documents = KeyPurpose::ALL.map(|purpose| {
            let of = keys.iter().filter(|key| key.purpose == purpose);
            let jwks: Vec<_> = of.filter_map(|key| key.verifying().to_jwk()).map(Value::Object).collect();
            Jwks::of(&jwks)
        });
        Self { keys, documents }
    }
}
