//! The words of Countersign, and the one judgement.
//!
//! Owns what a request, a credential, a principal and a decision are, and the path from the first to the last
//! ([`check`]). Does no I/O, knows no runtime and no framework: what it must ask of the world it asks through the
//! small ports beside the words. Next in the walk: a room of `countersign-methods`, which turns a credential into
//! an [`Authentication`].

pub mod audit;
pub mod authentication;
pub mod authenticator;
pub mod authorization_header;
pub mod challenge;
pub mod check;
pub mod clock;
pub mod directory;
pub mod idempotency;
pub mod identifiers;
pub mod page;
pub mod principal;
pub mod scope;
pub mod store_error;
mod word;
pub mod word_hash;

pub use authentication::{Authentication, Lineage, Node, NodeKind, Noted, Place};
pub use authenticator::{
    Authenticator, BoxFuture, Found, MethodName, MethodRule, Presented, Refusal, Rejection,
};
pub use clock::{Clock, Timestamp};
pub use identifiers::{CredentialId, PrincipalId, RequestId};
pub use scope::{Scope, ScopeSet};
pub use store_error::StoreError;

#[cfg(test)]
mod tests;
