//! The room of API keys (no RFC; PRODUCT, API key format; RULES 2.6, 4.3, 5.7). It owns what a key looks like in a
//! request ([`credential`]), what is kept of it ([`record`]), how the two are held against each other ([`verify`]), its
//! use ([`authenticator`]) and its life ([`issue`]). It does not know principals beyond their id, nor whether one is
//! active or a node revoked: the judgement asks that on every request. Next in the walk: `countersign-store`, which
//! implements [`store`].
//!
//! ```text
//! create ──> Active ──rotate──> Rotated ──grace ends──> expired
//!              │ └──expires_at──────────────────────────> expired
//!              └──────revoke───────┴──────────────────────> Revoked   (for ever; also from expired)
//! the secret leaves at create and at rotate, once; what stays is a keyed hash
//! scopes count only as far as the owner has them, at every use
//! a key brought from elsewhere (`foreign`) begins as Active and is found by its value; its successor is one of ours
//! ```

pub mod authenticator;
pub mod config;
pub mod credential;
pub mod foreign;
pub mod issue;
pub mod record;
pub mod store;
pub mod uses;
pub mod verify;

#[cfg(test)]
mod tests;

/// What a digest of this room is made for (RULES 4.3).
const KIND: &str = "api_key";
const KIND_IMPORTED: &str = "api_key imported";
const KIND_IMPORTED_SHA256: &str = "api_key imported sha256";
const KIND_LOOKUP: &str = "api_key lookup";
