//! The way to the upstreams: what a permitted request becomes there, and what its answer becomes on the way back.
//!
//! Owns the connections to the upstreams and every header field that crosses in either direction. Takes a `Permit` and
//! nothing less. These connections go where the configuration says and nowhere else; what an answer or a token names
//! is never connected to from here.

pub(crate) mod balance;
pub(crate) mod body;
pub mod built_in;
pub(crate) mod check;
pub mod config;
pub(crate) mod dial;
pub(crate) mod forward;
pub(crate) mod gate;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod http1;
pub(crate) mod identity;
pub mod origin;
pub(crate) mod outbound;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod streams;
pub(crate) mod upgrade;
