//! What a configuration means, already valid.

use countersign_core::check::{
    limit::{PlanName, RateLimit},
    route::Route,
};
use countersign_crypto::SecretBytes;
use countersign_gateway::{
    HealthCheck, IdentityPreset, ListenAddress, ListenerLimits, ListenerTimeouts, Peers, Protocol, Trusted,
    UpstreamLimits,
};
use countersign_methods::{
    api_key::config::ApiKeyConfig,
    basic::config::BasicConfig,
    jwt::{config::JwtConfig, foreign::ForeignIssuer},
    session::config::SessionConfig,
    signing::issue::SigningConfig,
};
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use std::{
    collections::HashMap, net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration,
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of the file: what is relative in it is relative to this.
    pub folder: PathBuf,
    pub keyring: KeyringPlace,
    pub gateway: GatewaySettings,
    pub admin: AdminSettings,
    /// The public face (`POST /revoke`); `None`: it stands on the admin listener.
    pub issuer: Option<IssuerSettings>,
    pub observe: ObserveSettings,
    pub egress: EgressSettings,
    pub audit: AuditSettings,
    /// `sqlite:/absolute/file` or `postgres://...`. May hold a password: never printed.
    pub store_url: StoreUrl,
    pub api_keys: ApiKeyConfig,
    pub passwords: PasswordSettings,
    /// External ones, whose access tokens are trusted.
    pub issuers: Vec<ForeignIssuer>,
    /// `None`: people do not sign in here.
    pub sessions: Option<SessionConfig>,
    pub signing: SigningConfig,
    /// What the other sections say of signed tokens.
    pub jwt: JwtConfig,
    pub plans: HashMap<PlanName, RateLimit>,
    pub upstreams: Vec<UpstreamSettings>,
    pub routes: Vec<Route>,
}

/// Where the peppers are. Not a setting of the file: whoever may read that need not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringPlace {
    pub path: PathBuf,
    /// By whoever runs the process: it is never made here, and a group of that one's choice may read it.
    pub given: bool,
}

/// How people sign in with a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PasswordSettings {
    pub config: BasicConfig,
    /// That hash at once; `None`: half the cores.
    pub threads: Option<NonZeroUsize>,
    /// Passwords that wait for one, of all networks; `None`: about a second's worth.
    pub waiting: Option<NonZeroUsize>,
    /// A list of known passwords beside the one that is built in.
    pub breached: Option<PathBuf>,
}

/// The trail of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSettings {
    /// Records older than this are removed; `None`: for ever.
    pub keep: Option<Duration>,
}

/// Debug shows no password.
#[derive(Clone)]
pub struct StoreUrl(pub String);

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.split(':').next().unwrap_or_default())?;
        f.write_str(":..")
    }
}

#[derive(Debug, Clone)]
pub struct GatewaySettings {
    /// Where callers reach it: the `resource` of every upstream that has none of its own. Never from Host (RULES 1.5).
    pub url: Option<Arc<str>>,
    /// Those of the short form first.
    pub listeners: Vec<ListenerSettings>,
    /// `None`: as many as there are cores.
    pub workers: Option<usize>,
    /// How the upstream learns who calls.
    pub identity: IdentityPreset,
    pub timeouts: Timeouts,
    /// Of every listener that says nothing else; `connections` is of all of them together.
    pub limits: ListenerLimits,
    /// A key or an app password that was good and came over plain HTTP ends (RULES 1.7).
    pub revoke_exposed: bool,
    /// For how long the store may go unheard before everything is refused; for so long a revocation may be unknown here
    /// (RULES 2.5).
    pub blind_after: Duration,
}

#[derive(Debug, Clone)]
pub struct ListenerSettings {
    pub listen: ListenAddress,
    /// `None`: plain, where credentials are read only from this machine.
    pub tls: Option<TlsSettings>,
    pub proxy_protocol: Peers,
    pub trusted: Vec<Trusted>,
    pub limits: ListenerLimits,
    pub timeouts: ListenerTimeouts,
}

impl GatewaySettings {
    /// The TCP listeners' addresses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.listen.tcp())
    }
}

/// `None`: the gateway's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    /// Of every listener that says nothing else.
    pub listeners: ListenerTimeouts,
}

/// One certificate, or several that are chosen from by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    pub certificates: Vec<CertificateSettings>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSettings {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Answers also for names that no certificate has.
    pub default: bool,
}

#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub listen: SocketAddr,
    pub tls: Option<TlsSettings>,
    /// Names under which operators reach it, beside loopback ones (RULES 3.8: Host allow-list).
    pub hosts: Vec<String>,
    /// Of each principal that calls it.
    pub limit: RateLimit,
}

impl AdminSettings {
    pub const LIMIT: RateLimit = RateLimit { quota: 6000, window: Duration::from_secs(60) };
}

#[derive(Debug, Clone)]
pub struct IssuerSettings {
    pub listen: SocketAddr,
    pub url: Option<String>,
    pub tls: Option<TlsSettings>,
}

/// How this process is watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObserveSettings {
    /// `/live`, `/ready` and `/metrics`; `None`: only `/metrics`, on the admin listener.
    pub listen: Option<SocketAddr>,
    pub tls: Option<TlsSettings>,
    /// Names under which it is reached on loopback, beside loopback ones; elsewhere any will do.
    pub hosts: Vec<String>,
    pub log: LogFormat,
    pub decisions: Option<DecisionSettings>,
    pub traces: Option<TraceSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    Json,
    Text,
}

/// The records of what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionSettings {
    pub to: RecordTarget,
    pub sample: Share,
    /// Of those that were refused.
    pub refused: Share,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordTarget {
    Stdout,
    File(PathBuf),
    /// The socket that syslog listens on.
    Syslog(PathBuf),
    Webhook(Webhook),
}

/// Signed as <https://www.standardwebhooks.com> says.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub url: url::Url,
    pub secret: SecretBytes,
}

impl PartialEq for Webhook {
    fn eq(&self, Webhook { url, secret }: &Self) -> bool {
        self.url == *url && self.secret.expose() == secret.expose()
    }
}

impl Eq for Webhook {}

/// Spans, as OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    pub to: url::Url,
    pub sample: Share,
}

/// RULES 3.7: what is called from here, beside upstreams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EgressSettings {
    pub allow: Vec<IpNet>,
    pub ca: Option<PathBuf>,
}

/// In millionths of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(pub u32);

impl Share {
    pub const ALL: Share = Share(1_000_000);
}

#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    pub name: String,
    /// Of all its addresses; at least one.
    pub urls: Vec<url::Url>,
    pub protocol: Protocol,
    /// With `https://`, and only there.
    pub tls: Option<UpstreamTlsSettings>,
    pub limits: UpstreamLimits,
    pub health: Option<HealthCheck>,
    pub slow_start: Duration,
    /// Protocols that a caller may switch to.
    pub upgrades: Vec<Box<str>>,
    pub stream_idle: Duration,
    pub signed_identity: bool,
    /// The `aud` accepted on its routes, where a route has none of its own (RULES 1.5).
    pub resource: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTlsSettings {
    /// The roots that may vouch for the upstream.
    pub ca: PathBuf,
    /// `None`: the host of the URL.
    pub server_name: Option<ServerName<'static>>,
}
