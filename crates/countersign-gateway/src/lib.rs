//! The data plane: bytes in, question asked, bytes out.
//!
//! Owns the listeners, the doors that ask the judgement ([`enforce`]) and the way to the upstreams. It decides
//! nothing and knows no store: decisions come from `countersign_core::check`, heads are admitted and denials written by
//! `countersign-tower`. One thread, one runtime, one listener socket and one pool of upstream connections per worker,
//! so that a request never crosses threads. Next in the walk: [`listen`].

pub mod config;
pub mod enforce;
pub mod listen;
pub mod observe;
pub mod route_table;
pub mod upstream;

mod gateway;
mod gathered;
mod generation;
pub mod http1;
mod response;
mod sample;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{GatewayConfig, IdentityPreset, Limits, Timeouts};
pub use gateway::{Gateway, Listening, StartError};
pub use listen::settings::{
    ForwardedHeader, ListenAddress, ListenerConfig, ListenerLimits, ListenerTimeouts, ListenerTls, Peers,
    Trusted, UnixAddress,
};
pub use observe::{Delivery, Observing, Probe, RecordSink, Report, Reporter, Sampling, Share};
pub use route_table::RouteTableCell;
pub use upstream::built_in::BuiltIn;
pub use upstream::config::{
    HealthCheck, Protocol, STREAM_IDLE, UpstreamConfig, UpstreamLimits, UpstreamTls, WEBSOCKET, is_upgrade,
};
pub use upstream::identity::mint::{Identity, IdentitySigner};
