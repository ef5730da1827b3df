//! The data plane over real sockets: raw bytes in, and what the upstream got, byte for byte.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what cannot go on must stop the test; helpers are no test functions"
)]

mod age;
mod ambiguity;
mod balance;
mod bodies;
mod built_in;
mod cors;
mod extended_connect;
mod failures;
mod floods;
mod http1;
mod hygiene;
mod identity;
mod identity_jwt;
mod limits;
mod listeners;
mod pool;
mod proxy_protocol;
mod reload;
mod responses;
mod revoked;
mod rules;
mod session;
mod sni;
mod stop;
mod support;
mod tls;
mod trusted;
mod upgrade;
mod upstream_http2;
mod upstream_tls;
