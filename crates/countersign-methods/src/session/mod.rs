//! The hall of sessions (RULES 2.6, 3.6, 4.2): somebody signed in once and comes back, with a cookie that says nothing or
//! with a refresh token that changes at every use. Owns what is kept of a session ([`record`]), the two opaque tokens
//! ([`token`]) and their life ([`issue`]). Signs nothing: what a session lets in is the room's of signed tokens. Next in the
//! walk: `countersign-store`, which implements [`store`].
//!
//! ```text
//!            ┌─refresh: current becomes previous─┐
//! begin ──> Open <──────────────────────────────┘──idle, or its end──> expired
//!            └──sign out, end, reuse of a refresh token──> Ended
//!
//! refresh token   current ──used──> previous, its successor sealed under it ──grace over, or the successor used──> reuse
//! ```

pub mod config;
pub mod issue;
pub mod record;
pub mod store;
pub mod token;
pub mod uses;

#[cfg(test)]
mod tests;
