//! The room of HTTP Basic (RFC 7617; RULES 1.2, 1.6, 1.7, 5.1, 5.2): people with a password, and app passwords in its place.
//! It owns what stands in the field ([`credential`]), what is kept ([`record`], [`app_password`]), how the two are held
//! against each other ([`verify`]), its use ([`authenticator`]) and its life ([`issue`]). What a password must be and who may
//! try how often is the hall's ([`crate::password`]). Next in the walk: `countersign-store`, which implements [`store`].
//!
//! ```text
//! set, import ──> version 1 ──set, change──> version 2 ── ...      what descends from an older version is denied at once
//!                    └──remove──> none
//! app password: create ──> Active ──expires_at──> expired
//!                            └──────revoke──────> Revoked
//! a hash of another product, or of other parameters, becomes Argon2id of these at the first success: the version stays
//! ```

pub mod app_password;
pub mod authenticator;
pub mod config;
pub mod credential;
pub mod issue;
pub mod record;
pub mod store;
pub mod uses;
pub mod verify;

#[cfg(test)]
mod tests;
