//! The doors: each turns a message into a question and applies the answer.
//!
//! Owns what must hold around the judgement: which header fields are believed, CORS, and that nothing goes upstream
//! without a permit. Judges nothing. Next in the walk: `countersign_core::check`, then [`crate::upstream`].

pub(crate) mod cors;
pub(crate) mod extended_connect;
pub(crate) mod reverse_proxy;
pub(crate) mod trusted;
