//! Hashes of passwords: made with Argon2id, read in every form that another product hands over, and checked on threads
//! of their own.
//!
//! ```text
//! phc         the text at rest, and what `hash` and `verify` do with it      $argon2id$v=19$m=19456,t=2,p=1$salt$tag
//! scheme      the grammar of each form, its bounds, and its computation
//! import      what another product stored, judged before it is taken over
//! pool        a bounded number of threads, with turns for each network
//! ```
//!
//! Two forms are our own. Where another product stored a digest that a graphics card guesses through in an afternoon,
//! the digest itself is hashed by Argon2id at import, and only that is kept:
//!
//! ```text
//! $argon2id-sha1$v=19$m=..,t=..,p=..$salt$tag                 tag = Argon2id(the 20 bytes of SHA-1(password))
//! $argon2id-apr1$v=19$m=..,t=..,p=..,s=SALT$salt$tag          tag = Argon2id(the 16 bytes of apr1(password, SALT))
//! ```
//!
//! Does not know whose password it is, how long one has to be, nor how often somebody may guess. A caller normalises
//! the text of a password before it comes here: these are bytes. Next: the rooms of `countersign-methods`.

mod crypt;
mod import;
mod memory;
mod parameters;
mod phc;
pub mod pool;
mod scheme;

pub use import::{ImportError, imported};
pub use parameters::{Argon2Parameters, ParametersError};
pub use phc::{HashError, LONGEST_HASH, LONGEST_PASSWORD, PasswordHash, UnknownHash, dummy, hash, verify};
pub use pool::{Full, HashPool, PoolCounts, PoolLimits, Waiting};

#[cfg(test)]
mod tests;
