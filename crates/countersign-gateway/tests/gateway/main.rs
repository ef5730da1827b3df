//! The data plane over real sockets: raw bytes in, and what the upstream got, byte for byte.

mod bodies;
mod support;
