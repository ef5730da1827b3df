//! Pure: keys that were made elsewhere. Nothing in them says which row is theirs, so they are found by a keyed hash of their
//! value; what was brought as a mere SHA-256 becomes a digest of the whole key when it is first shown.

use super::{
    KIND_IMPORTED, KIND_IMPORTED_SHA256, KIND_LOOKUP,
    credential::ForeignValue,
    record::{ApiKeyRecord, Covers, KeyDigest, KeyId, Lookup, Origin},
    store::Upgrade,
};
use countersign_crypto::{
    SecretString,
    hash::sha256,
    token::digest::{Peppers, TokenParts, UnknownPepper},
};

/// What was brought of a key. Debug shows nothing of it.
#[derive(Debug, Clone)]
pub enum Brought {
    Value(SecretString),
    /// As other products keep it.
    Sha256(Sha256Of),
}

/// The hash of a key: whoever has it has what other products would let in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Of(pub [u8; 32]);

impl std::fmt::Debug for Sha256Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256Of(..)")
    }
}

impl Brought {
    pub(super) fn sha256(&self) -> Sha256Of {
        match self {
            Brought::Value(value) => Sha256Of(sha256(&[value.expose().as_bytes()])),
            Brought::Sha256(hash) => *hash,
        }
    }

    /// How it is kept under this id.
    pub(super) fn kept(&self, id: &KeyId, peppers: &Peppers) -> (Origin, KeyDigest) {
        let (covers, digest) = match self {
            Brought::Value(value) => (Covers::Value, of_value(value.expose().as_bytes(), id, peppers)),
            Brought::Sha256(hash) => (Covers::Sha256, under_current(peppers, &of_sha256(hash, id))),
        };
        (Origin::Imported { lookup: current_lookup(&self.sha256(), peppers), covers }, digest)
    }
}

/// What a row of this key may be found by: one for each pepper.
pub(super) fn lookups(hash: &Sha256Of, peppers: &Peppers) -> Vec<Lookup> {
    peppers.digests(&lookup_parts(hash)).into_iter().map(Lookup).collect()
}

pub(super) fn lookups_of(value: ForeignValue<'_>, peppers: &Peppers) -> Vec<Lookup> {
    lookups(&Sha256Of(sha256(&[value.expose()])), peppers)
}

/// Is it this record's key?
pub(super) fn fits(
    value: ForeignValue<'_>,
    record: &ApiKeyRecord,
    peppers: &Peppers,
) -> Result<bool, UnknownPepper> {
    let KeyDigest { pepper, hash } = &record.digest;
    match record.origin {
        Origin::Issued => Ok(false),
        Origin::Imported { covers: Covers::Value, .. } => {
            peppers.verify(*pepper, hash, &value_parts(value.expose(), &record.id))
        }
        Origin::Imported { covers: Covers::Sha256, .. } => {
            peppers.verify(*pepper, hash, &of_sha256(&Sha256Of(sha256(&[value.expose()])), &record.id))
        }
    }
}

/// What would keep it better, now that it was shown and believed: the digest over all of it, under the current pepper.
pub(super) fn upgrade(value: ForeignValue<'_>, record: &ApiKeyRecord, peppers: &Peppers) -> Option<Upgrade> {
    let Origin::Imported { covers, .. } = record.origin else { return None };
    if covers == Covers::Value && record.digest.pepper == peppers.current() {
        return None;
    }
    Some(Upgrade {
        id: record.id,
        was: record.digest.clone(),
        digest: of_value(value.expose(), &record.id, peppers),
        lookup: current_lookup(&Sha256Of(sha256(&[value.expose()])), peppers),
    })
}

fn current_lookup(hash: &Sha256Of, peppers: &Peppers) -> Lookup {
    Lookup(peppers.digest(&lookup_parts(hash)))
}

fn of_value(value: &[u8], id: &KeyId, peppers: &Peppers) -> KeyDigest {
    under_current(peppers, &value_parts(value, id))
}

fn under_current(peppers: &Peppers, parts: &TokenParts<'_>) -> KeyDigest {
    KeyDigest { pepper: peppers.current(), hash: peppers.digest(parts) }
}

fn lookup_parts(hash: &Sha256Of) -> TokenParts<'_> {
    TokenParts { kind: KIND_LOOKUP, prefix: "", id: "", secret: &hash.0 }
}

fn value_parts<'t>(value: &'t [u8], id: &'t KeyId) -> TokenParts<'t> {
    TokenParts { kind: KIND_IMPORTED, prefix: "", id: id.as_str(), secret: value }
}

fn of_sha256<'t>(hash: &'t Sha256Of, id: &'t KeyId) -> TokenParts<'t> {
    TokenParts { kind: KIND_IMPORTED_SHA256, prefix: "", id: id.as_str(), secret: &hash.0 }
}
