//! What an operator decides about the data plane. Already valid, but for what only opening sockets can tell.

use crate::{
    listen::settings::ListenerConfig,
    observe::Sampling,
    upstream::{built_in::BuiltIn, config::UpstreamConfig, identity::mint::Identity},
};
use countersign_tower::{HeadLimits, respond};
use http::HeaderName;
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, Default)]
pub struct GatewayConfig {
    pub listeners: Vec<ListenerConfig>,
    /// Threads; 0: one per core.
    pub workers: usize,
    pub upstreams: Vec<UpstreamConfig>,
    /// What answers in this process where a route names it as its upstream.
    pub built_in: Vec<(Arc<str>, Arc<dyn BuiltIn>)>,
    pub limits: Limits,
    pub timeouts: Timeouts,
    pub identity: IdentityPreset,
    /// Who signs what upstreams are told, where they are told in our own words ([`IdentityPreset::Countersign`]).
    pub signed: Option<Identity>,
    /// Every header that carries a key on any route, beside `X-API-Key`: stripped on all of them (RULES 3.2).
    pub key_headers: Vec<HeaderName>,
    /// Every query parameter that carries a key on any route: stripped on all of them, and never logged.
    pub query_parameters: Vec<Box<str>>,
    pub answers: respond::Options,
    /// Which decisions are recorded, where records go anywhere.
    pub records: Sampling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, shared out evenly among the workers; more wait in the kernel's queue.
    pub connections: usize,
    /// Of one request's head.
    pub head: HeadLimits,
    /// Bytes of one request body.
    pub body: u64,
    /// HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// Idle connections kept per address of an upstream and worker.
    pub idle_upstream: usize,
}

/// Each is the time without progress, not the time of the whole; but for `connection_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub tls_handshake: Duration,
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Within a body, either way.
    pub body: Duration,
    /// A connection older than this takes no new request; what is in flight is finished. What a connection began with (a
    /// handshake, a certificate, an address that a balancer named) does not hold for ever.
    pub connection_age: Duration,
    pub connect: Duration,
    /// From the end of the request to the head of the response.
    pub first_byte: Duration,
    /// An idle upstream connection older than this is not used again.
    pub idle_upstream: Duration,
}

/// How the upstream is told who calls, beside `Countersign-Principal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdentityPreset {
    /// `Countersign-Identity`, signed, where somebody signs.
    #[default]
    Countersign,
    /// `X-Auth-Request-*`, `X-Forwarded-User`.
    OAuth2Proxy,
    /// `Remote-User`, `Remote-Groups`, `Remote-Name`.
    Authelia,
    /// `X-Consumer-*`, `X-Credential-Identifier`.
    Consumer,
    /// RFC 9440. Carries nothing before mutual TLS does.
    ClientCert,
    /// `X-Forwarded-Client-Cert`. Carries nothing before mutual TLS does.
    Xfcc,
}

impl IdentityPreset {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "countersign" => IdentityPreset::Countersign,
            "oauth2-proxy" => IdentityPreset::OAuth2Proxy,
            "authelia" => IdentityPreset::Authelia,
            "consumer" => IdentityPreset::Consumer,
            "client-cert" => IdentityPreset::ClientCert,
            "xfcc" => IdentityPreset::Xfcc,
            _ => return None,
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head: HeadLimits::default(),
            body: 16 * 1024 * 1024,
            streams: 128,
            idle_upstream: 64,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tls_handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(60),
            connection_age: Duration::from_secs(60 * 60),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle_upstream: Duration::from_secs(30),
        }
    }
}
