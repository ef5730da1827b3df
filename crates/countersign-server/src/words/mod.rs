//! The words of the API: how times, durations, scopes, networks and limits are written and read.
//!
//! Owns spelling only. What a value may be for a given key or principal, the rooms decide.

pub(crate) mod cursor;
pub(crate) mod duration;
pub(crate) mod read;
#[cfg(test)]
mod tests;
pub(crate) mod time;
