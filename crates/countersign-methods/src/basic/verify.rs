//! Pure: a credential, a record and the time -> Authentication or Failure.

use super::{
    app_password::{AppPasswordRecord, AppPasswordStanding, KIND},
    record::PasswordRecord,
};
use countersign_core::{
    Authentication, CredentialId, Lineage, MethodName, Node, Noted, Place, Refusal, Rejection, Timestamp,
    authenticator::Fault, principal::Principal,
};
use countersign_crypto::token::{
    digest::{Peppers, TokenParts},
    format::PlainToken,
};
use std::sync::Arc;

/// Every way in which well-formed credentials are not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// A user name that nobody can have, or a password that nobody can have.
    Impossible,
    /// Nobody of that name, or somebody without a password.
    Unknown,
    WrongPassword,
    /// RULES 5.1: too many failures; it was not looked at.
    Throttled,
    /// An app password: no record of that id, or another secret.
    UnknownAppPassword,
    /// An app password of somebody else.
    WrongUser,
    AppPasswordExpired,
    AppPasswordRevoked,
    /// A key, where the route takes none as a password.
    Key,
    /// The record names a pepper that this process does not have: our fault, never the caller's.
    PepperMissing,
    /// RULES 5.1: every thread that hashes is busy, and the queue is full.
    Busy,
}

impl Failure {
    pub const ALL: [Failure; 11] = [
        Failure::Impossible,
        Failure::Unknown,
        Failure::WrongPassword,
        Failure::Throttled,
        Failure::UnknownAppPassword,
        Failure::WrongUser,
        Failure::AppPasswordExpired,
        Failure::AppPasswordRevoked,
        Failure::Key,
        Failure::PepperMissing,
        Failure::Busy,
    ];

    /// What the caller gets, one and the same whoever is meant and whatever is wrong with it, and what the operator reads.
    /// Only who holds an app password is told that it is over.
    pub fn refusal(self) -> Refusal {
        const CODE: &str = "credential_invalid";
        let (code, reason) = match self {
            Failure::Impossible => (CODE, "a user name or password that nobody can have"),
            Failure::Unknown => (CODE, "nobody of that name has a password"),
            Failure::WrongPassword => (CODE, "wrong password"),
            Failure::Throttled => (CODE, "too many failures: the password was not looked at"),
            Failure::UnknownAppPassword => (CODE, "no such app password"),
            Failure::WrongUser => (CODE, "the app password of another user"),
            Failure::AppPasswordExpired => ("app_password_expired", "the app password is expired"),
            Failure::AppPasswordRevoked => ("app_password_revoked", "the app password is revoked"),
            Failure::Key => (CODE, "a key in the place of a password, where the route takes none"),
            Failure::PepperMissing | Failure::Busy => return Refusal::Unavailable,
        };
        Refusal::Rejected(Rejection { fault: Fault::Invalid, code, reason })
    }
}

/// What the right password of an account establishes: everything that the person may do, now and as long as it is theirs.
pub fn signed_in(principal: &Principal, password: &PasswordRecord, now: Timestamp) -> Authentication {
    let own = [Node::principal(&principal.id), password.node()];
    let [_, version] = &own;
    let credential = CredentialId::of(version);
    Authentication {
        credential,
        lineage: Lineage::new(own),
        scopes: principal.scopes.clone(),
        ..established(principal, now)
    }
}

/// `user`: as it stood beside the app password.
pub fn app_password(
    user: &str,
    token: &PlainToken<'_>,
    found: Option<&(AppPasswordRecord, Principal)>,
    (peppers, prefix): (&Peppers, &str),
    now: Timestamp,
) -> Result<Authentication, Failure> {
    let (record, owner) = possession(token, found, (peppers, prefix), now)?;
    if owner.name.as_str() != user {
        return Err(Failure::WrongUser);
    }
    match record.standing(now) {
        AppPasswordStanding::Expired => return Err(Failure::AppPasswordExpired),
        AppPasswordStanding::Revoked => return Err(Failure::AppPasswordRevoked),
        AppPasswordStanding::Active => {}
    }
    let own = [Node::principal(&owner.id), record.node()];
    let [_, node] = &own;
    let credential = CredentialId::of(node);
    Ok(Authentication {
        credential,
        lineage: Lineage::new(own.into_iter().chain(record.parents.iter().cloned())),
        scopes: record.scopes.clone(),
        expires_at: Some(record.expires_at),
        ..established(owner, now)
    })
}

/// Does the caller hold the app password, whatever its state?
pub fn possession<'f>(
    token: &PlainToken<'_>,
    found: Option<&'f (AppPasswordRecord, Principal)>,
    (peppers, prefix): (&Peppers, &str),
    now: Timestamp,
) -> Result<(&'f AppPasswordRecord, &'f Principal), Failure> {
    let parts = TokenParts { kind: KIND, prefix, id: token.id(), secret: token.secret() };
    let Some((record, owner)) = found else {
        // RULES 4.3: an unknown id costs the same as a wrong secret
        peppers.verify_dummy(&parts);
        return Err(Failure::UnknownAppPassword);
    };
    let Ok(fits) = peppers.verify(record.digest.pepper, &record.digest.hash, &parts) else {
        // as with keys: nothing proves that one which has ended is held
        let usable = record.standing(now) == AppPasswordStanding::Active;
        return Err(if usable { Failure::PepperMissing } else { Failure::UnknownAppPassword });
    };
    if !fits || record.id.as_str() != token.id() || record.owner != owner.id {
        return Err(Failure::UnknownAppPassword);
    }
    Ok((record, owner))
}

fn established(principal: &Principal, now: Timestamp) -> Authentication {
    Authentication {
        principal: principal.id.clone(),
        method: MethodName::Basic,
        credential: CredentialId::new(""),
        lineage: Lineage::default(),
        issuer: None,
        audiences: None,
        scopes: countersign_core::ScopeSet::default(),
        authenticated_at: now,
        networks: Arc::default(),
        place: Place::Authorization,
        not_before: None,
        expires_at: None,
        limit: None,
        plan: None,
        foreign: None,
        noted: Noted::default(),
    }
}
