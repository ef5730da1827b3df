//! The opening handshake of WebSocket (RFC 6455 4), spoken for a caller whose own protocol has none (RFC 8441). It keeps
//! no secret: it proves that the other side read the request as a handshake, and is no answer from a cache.

use crate::Entropy;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, engine::general_purpose::STANDARD};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Key`: 16 random bytes.
pub fn key(entropy: &dyn Entropy) -> String {
    let mut nonce = [0; 16];
    entropy.fill(&mut nonce);
    STANDARD.encode(nonce)
}

/// The `Sec-WebSocket-Accept` that answers this key. RFC 6455 4.2.2 says SHA-1, and nothing hangs on it.
pub fn accept(key: &str) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, [key, GUID].concat().as_bytes()))
}
