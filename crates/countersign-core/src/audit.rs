//! What happened, for those who must be able to prove it. Every write to a store takes the event that explains it
//! and commits both in one transaction; the store numbers and chains the events.

use crate::{clock::Timestamp, idempotency::Once, identifiers::PrincipalId};

/// On whose word something was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A principal with the credential that it showed (`api_key:<id>`).
    Principal { id: PrincipalId, credential: String },
    /// Whoever sits at the machine: bootstrap, `admin recover`, `dev`.
    Host,
    /// Countersign itself.
    System,
    /// Somebody who proved to hold the credential that the event is about (`POST /revoke`).
    Holder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub actor: Actor,
    /// `noun.verb`: `api_key.create`, `principal.disable`.
    pub action: &'static str,
    /// What it was done to: the noun's id.
    pub subject: String,
    /// Where the call came from, if from a network.
    pub source: Option<std::net::IpAddr>,
    pub request: Option<crate::RequestId>,
    /// More, as short pairs; never a secret.
    pub detail: Vec<(&'static str, String)>,
    /// The request must be done once: the write leaves this behind, or is refused because it is there.
    pub once: Option<Once>,
}

/// An event as the store keeps it: numbered, and chained to the one before by a hash over it and everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    pub number: i64,
    pub hash: [u8; 32],
    pub event: StoredEvent,
}

/// The event as it was kept: words, no types that a later release might no longer know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub at: Timestamp,
    /// `host`, `system`, `holder` or the principal's id.
    pub actor: String,
    /// `api_key:<id>`; empty where no credential acted.
    pub credential: String,
    pub action: String,
    pub subject: String,
    pub source: String,
    pub request: String,
    /// A JSON object of strings.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditQuery {
    pub action: Option<String>,
    pub subject: Option<String>,
    /// Who did it: a principal's id, `host`, `holder` or `system`.
    pub actor: Option<String>,
    /// Only records numbered higher.
    pub after: Option<i64>,
    /// Only records numbered lower.
    pub before: Option<i64>,
    /// Newest first; otherwise oldest first.
    pub newest_first: bool,
    pub limit: u32,
}

/// Whether the chain holds from the first record that is kept to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainState {
    /// `removed`: records up to this number were kept long enough; 0: all are there.
    Whole {
        records: i64,
        removed: i64,
        head: [u8; 32],
    },
    BrokenAt {
        number: i64,
    },
}

/// The end of the trail, and of which store: what is exported, so that a chain that was cut short is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The store's own random name.
    pub store: String,
    pub epoch: i64,
    pub number: i64,
    pub hash: [u8; 32],
}

impl AuditHead {
    /// What is signed of it.
    pub fn statement(&self, at: Timestamp) -> String {
        use std::fmt::Write;
        let Self { store, epoch, number, hash } = self;
        let mut text =
            format!("countersign audit head 1\nstore {store}\nepoch {epoch}\nnumber {number}\nhash ");
        for byte in hash {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = write!(text, "\nat {}\n", at.as_micros());
        text
    }
}

/// Port: reading the trail. Writing has no port of its own: every write carries its event.
pub trait AuditStore: std::fmt::Debug + Send + Sync {
    fn page<'a>(
        &'a self,
        query: AuditQuery,
    ) -> crate::BoxFuture<'a, Result<Vec<AuditRecord>, crate::StoreError>>;
    fn verify<'a>(&'a self) -> crate::BoxFuture<'a, Result<ChainState, crate::StoreError>>;
    fn chain_head<'a>(&'a self) -> crate::BoxFuture<'a, Result<AuditHead, crate::StoreError>>;
    /// What happened outside of the store, such as another configuration.
    fn note<'a>(&'a self, event: AuditEvent) -> crate::BoxFuture<'a, Result<(), crate::StoreError>>;
    /// The number of the first record of this time or later.
    fn first_since<'a>(
        &'a self,
        at: Timestamp,
    ) -> crate::BoxFuture<'a, Result<Option<i64>, crate::StoreError>>;
}
