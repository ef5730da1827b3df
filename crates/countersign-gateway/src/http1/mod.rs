//! HTTP/1.1 as bytes (RFC 9112): heads into fields and back, and where a body ends. One reader for callers and
//! upstreams, so that both sides of the gateway see the same message.
//!
//! Owns no socket and no clock, and decides nothing: what a head may say is `countersign_tower::attributes`' to refuse,
//! what may be forwarded `upstream/headers`'. The callers' side is `listen/http1`, the upstreams' `upstream/http1`.

pub mod body;
pub mod fields;
pub mod head;
mod spare;

#[cfg(test)]
mod tests;

use thiserror::Error;

/// What breaks the grammar, or is larger than anybody needs. The connection that said it is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("breaks the grammar of HTTP/1.1")]
    Grammar,
    #[error("has too many header fields, or too large ones")]
    TooLarge,
    #[error("has a target that is too long")]
    TargetTooLong,
    #[error("frames its body in more than one way")]
    Framing,
    #[error("ends before its end")]
    Incomplete,
}
