//! The port: one method, one transaction, with the audit event that explains it.

use super::{
    app_password::AppPasswordRecord,
    record::{PasswordRecord, Person},
    uses::BasicUse,
};
use countersign_core::{
    BoxFuture, CredentialId, PrincipalId, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
    principal::{Principal, PrincipalName},
};
use countersign_crypto::password::PasswordHash;
use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppPasswordQuery {
    pub owner: Option<PrincipalId>,
    /// Only those that are neither revoked nor expired at this time.
    pub usable_at: Option<Timestamp>,
    /// In the order of their making.
    pub page: PageRequest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseQuery {
    pub principal: Option<PrincipalId>,
    pub route: Option<String>,
    /// Only what was used at this time or later.
    pub since: Option<Timestamp>,
    pub limit: u32,
}

/// A person who comes with a password of another product.
#[derive(Debug, Clone)]
pub struct ImportedPerson {
    /// Somebody new, with the event that explains it; `None`: of the password's principal, who is there already.
    pub principal: Option<(Principal, AuditEvent)>,
    pub password: PasswordRecord,
    pub event: AuditEvent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppPasswordRevoked {
    Now,
    /// It already was; nothing was written.
    Already,
    Unknown,
}

pub trait BasicStore: fmt::Debug + Send + Sync {
    fn find_person<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Person>, StoreError>>;
    fn find_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<PasswordRecord>, StoreError>>;
    /// In place of the one of this version, whose node goes into the feed as revoked; `None`: there is none.
    /// `Conflict("password_changed")` where another stands; `Conflict("principal_unknown")`.
    fn set_password<'a>(
        &'a self,
        record: PasswordRecord,
        replaces: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Its node goes into the feed as revoked. `false`: there was none; nothing was written. `Conflict("password_changed")`
    /// where another version stands than the one that is given.
    fn remove_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
    /// The same password under a better hash, while it is still at this version and `was` still stands.
    fn rehash<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: i64,
        was: PasswordHash,
        hash: PasswordHash,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// All or none. `Conflict("name_taken")`, `Conflict("password_changed")` where somebody was faster.
    fn import_people<'a>(&'a self, people: Vec<ImportedPerson>) -> BoxFuture<'a, Result<(), StoreError>>;

    /// With its owner.
    fn find_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
    ) -> BoxFuture<'a, Result<Option<(AppPasswordRecord, Principal)>, StoreError>>;
    fn list_app_passwords<'a>(
        &'a self,
        query: AppPasswordQuery,
    ) -> BoxFuture<'a, Result<Page<AppPasswordRecord>, StoreError>>;
    /// `Conflict("app_password_exists")`, or `Conflict("owner_unknown")` where the owner is gone or disabled.
    fn create_app_password<'a>(
        &'a self,
        record: AppPasswordRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Puts its node into the feed as revoked.
    fn revoke_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
        at: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<AppPasswordRevoked, StoreError>>;
    /// Last use, written in bulk and late; never moves backwards, explains nothing and so carries no event.
    fn app_passwords_used<'a>(
        &'a self,
        uses: Vec<(CredentialId, Timestamp)>,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Counts of who uses Basic where, added to what there is; written in bulk and late, explains nothing.
    fn used<'a>(&'a self, uses: Vec<BasicUse>) -> BoxFuture<'a, Result<(), StoreError>>;
    /// Who used it, the most recent use first.
    fn uses<'a>(&'a self, query: UseQuery) -> BoxFuture<'a, Result<Vec<BasicUse>, StoreError>>;
    /// The pepper numbers that rows not yet revoked or expired at `now` name.
    fn app_password_peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>>;
}
