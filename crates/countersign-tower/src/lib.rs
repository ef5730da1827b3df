//! One request in front of any tower service: facts in, answer out.
//!
//! Owns the translation between an HTTP message and the judgement: [`attributes`] admits a request head and hands
//! its facts over, [`respond`] writes what a denial looks like, [`auth_layer`] puts both around a service. It opens no
//! socket and forwards nothing. Next in the walk: `countersign_core::check`, and behind a permit the service itself or
//! the upstream side of `countersign-gateway`.

pub mod attributes;
pub mod auth_layer;
pub mod respond;

#[cfg(test)]
mod tests;

pub use attributes::{Head, HeadError, HeadLimits, RequestLine, admit_head, admit_head_within};
pub use auth_layer::{AuthLayer, AuthService};
