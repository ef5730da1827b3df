//! Pure: credential + record + now -> Authentication or Failure. Whatever depends on the request, the route or the
//! present state of the owner is judged after it, every time (RULES 1.1).

use super::{
    KIND,
    config::ApiKeyConfig,
    credential::PlainKey,
    foreign,
    record::{ApiKeyRecord, KeyId, KeyStanding, Origin},
    store::ApiKeyStore,
};
use countersign_core::{
    Authentication, CredentialId, Lineage, MethodName, Node, Noted, Place, Refusal, Rejection, StoreError,
    Timestamp, authenticator::Fault,
};
use countersign_crypto::token::digest::{Peppers, TokenParts};

use std::sync::Arc;

/// Every way in which a well-formed key is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No record of that id.
    Unknown,
    WrongSecret,
    /// The record is of another environment or prefix than the key (RULES 4.3).
    WrongEnvironment,
    Expired,
    Revoked,
    /// The record names a pepper that this process does not have: our fault, never the caller's.
    PepperMissing,
}

impl Failure {
    pub const ALL: [Failure; 6] = [
        Failure::Unknown,
        Failure::WrongSecret,
        Failure::WrongEnvironment,
        Failure::Expired,
        Failure::Revoked,
        Failure::PepperMissing,
    ];

    /// What the caller gets, and what the operator reads. Only who proved possession is told why (PRODUCT, Answers).
    pub fn refusal(self) -> Refusal {
        let (code, reason) = match self {
            Failure::Unknown => ("credential_invalid", "no key of that id"),
            Failure::WrongSecret => ("credential_invalid", "the secret is not that key's"),
            Failure::WrongEnvironment => {
                ("credential_invalid", "the key is of another environment or prefix")
            }
            Failure::Expired => ("key_expired", "the key is expired"),
            Failure::Revoked => ("key_revoked", "the key is revoked"),
            Failure::PepperMissing => return Refusal::Unavailable,
        };
        Refusal::Rejected(Rejection { fault: Fault::Invalid, code, reason })
    }
}

/// The record that the key names: by the id in it, or, of one from elsewhere, by its value.
pub(super) async fn look_up(
    store: &dyn ApiKeyStore,
    key: &PlainKey<'_>,
    peppers: &Peppers,
) -> Result<Option<ApiKeyRecord>, StoreError> {
    match key {
        PlainKey::Issued(token) => {
            // twelve base62 characters, as the format made sure of
            let id = KeyId::parse(token.id())
                .ok_or_else(|| StoreError::Unavailable("a key without an id passed its format".into()))?;
            store.find(&id).await
        }
        PlainKey::Imported(value) => {
            let found = store.find_imported(foreign::lookups_of(*value, peppers)).await?;
            Ok(found.into_iter().next())
        }
    }
}

/// What stands with a record when a key is held against it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub peppers: &'a Peppers,
    pub config: &'a ApiKeyConfig,
    /// The prefix that the key was parsed with, without its last underscore.
    pub prefix: &'a str,
    pub now: Timestamp,
}

/// `place` goes into the answer: a cached yes is good for the place where it was given (RULES 1.1).
pub fn verify(
    key: &PlainKey<'_>,
    place: Place,
    record: Option<&ApiKeyRecord>,
    with: Judged<'_>,
) -> Result<Authentication, Failure> {
    let record = possession(key, record, with)?;
    match record.standing(with.now) {
        KeyStanding::Active | KeyStanding::Rotated => Ok(established(record, place, with.now)),
        KeyStanding::Expired => Err(Failure::Expired),
        KeyStanding::Revoked => Err(Failure::Revoked),
    }
}

/// Does the caller hold the key, whatever its state? RULES 4.3: an unknown id costs the same as a wrong secret.
pub fn possession<'r>(
    key: &PlainKey<'_>,
    record: Option<&'r ApiKeyRecord>,
    with: Judged<'_>,
) -> Result<&'r ApiKeyRecord, Failure> {
    let fits = match (key, record) {
        (PlainKey::Issued(token), record) => {
            let parts =
                TokenParts { kind: KIND, prefix: with.prefix, id: token.id(), secret: token.secret() };
            let Some(record) = record else {
                with.peppers.verify_dummy(&parts);
                return Err(Failure::Unknown);
            };
            let fits = with.peppers.verify(record.digest.pepper, &record.digest.hash, &parts);
            // A store that answered with another key's record would otherwise lend that one's owner.
            fits.map(|fits| fits && record.id.as_str() == token.id())
        }
        // what it is found by took as much as what would be held against it
        (PlainKey::Imported(_), None) => return Err(Failure::Unknown),
        (PlainKey::Imported(value), Some(record)) => foreign::fits(*value, record, with.peppers),
    };
    let Some(record) = record.filter(|_| fits != Ok(false)) else { return Err(Failure::WrongSecret) };
    if fits.is_err() {
        // a pepper that no live key needs may be gone: then nothing proves that an ended key is held, and it looks like any
        // that is not good
        let usable = record.standing(with.now).is_usable();
        return Err(if usable { Failure::PepperMissing } else { Failure::WrongSecret });
    }
    let prefix_fits = match record.origin {
        Origin::Issued => record.prefix == with.prefix,
        Origin::Imported { .. } => true,
    };
    if record.environment != with.config.environment || !prefix_fits {
        return Err(Failure::WrongEnvironment);
    }
    Ok(record)
}

fn established(record: &ApiKeyRecord, place: Place, now: Timestamp) -> Authentication {
    // RULES 2.5: owner, key, and everything that the credential which asked for it descended from.
    let own = [Node::principal(&record.owner), record.id.node()];
    let [_, key] = &own;
    let credential = CredentialId::of(key);
    Authentication {
        principal: record.owner.clone(),
        method: MethodName::ApiKey,
        credential,
        lineage: Lineage::new(own.into_iter().chain(record.parents.iter().cloned())),
        issuer: None,
        audiences: None,
        scopes: record.scopes.clone(),
        authenticated_at: now,
        // most have none, and an empty list needs no memory
        networks: if record.networks.is_empty() { Arc::default() } else { record.networks.clone().into() },
        place,
        not_before: None,
        expires_at: record.expires_at,
        limit: record.limit,
        plan: record.plan.clone(),
        foreign: None,
        noted: Noted::default(),
    }
}
