//! The hall of passwords: what a password is, which ones are taken, and who may try how often.
//!
//! Owns the one form in which a password and a user name are compared ([`normal`]), the policy for new passwords
//! ([`policy`]) with the lists of known ones ([`breached`]), and the throttle in front of every hash ([`throttle`],
//! RULES 5.1). Hashes nothing and keeps no password: that is `countersign-crypto/password`, and the rooms' own stores.
//!
//! ```text
//! sign in    bytes -> Password::parse, UserName::parse -> Throttle::before -> hash -> Attempt::{succeeded, failed}
//! change     bytes -> Password::parse -> PasswordPolicy::judge (Breached) -> hash -> Throttle::password_changed
//! ```

pub mod breached;
pub mod normal;
pub mod policy;
pub mod throttle;

mod precis;

use countersign_core::BoxFuture;
use std::{fmt, time::Duration};

/// Port: time passes. For who is not let through, and hears it no sooner than a hash takes.
pub trait Pause: fmt::Debug + Send + Sync {
    fn pause(&self, length: Duration) -> BoxFuture<'static, ()>;
}

#[cfg(test)]
mod tests;
