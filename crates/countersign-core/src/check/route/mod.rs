//! Which API is this, and what must a caller prove there? Host and canonical path choose the most specific pattern,
//! the method chooses within it (RULES 2.2). [`pattern`] is the tree of one host, [`table`] all hosts, [`rules`] what a
//! route must keep to get in, [`rewrite`] what its upstream sees of the path.

mod difference;
mod pattern;
mod rewrite;
mod rules;
mod table;

pub use difference::{Difference, Opened, Removed};
pub(in crate::check) use table::Compiled;
use table::Hit;
pub use table::{Matched, RouteTable};

use super::{
    decision::{Denial, DenialKind, Refused},
    limit::{PlanName, RateLimit},
    path,
    request::{CheckRequest, Transport},
};
use crate::{
    authenticator::{MethodName, MethodRule},
    scope::ScopeSet,
};
use http::{HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// The shape of an OpenAPI `security` field: alternatives (OR), each a map of methods that must all be satisfied
/// (AND), each with the scopes it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityRequirement {
    /// `security = []`: an explicit public route.
    Public,
    /// In written order. Never empty, and no alternative is.
    AnyOf(Vec<Alternative>),
}

/// Never two of oauth, jwt and basic in one (RULES 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative(pub Vec<(MethodName, ScopeSet)>);

impl Alternative {
    pub(in crate::check) fn names(&self, method: MethodName) -> bool {
        self.0.iter().any(|(m, _)| *m == method)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Any,
    /// Canonical: lower case, no trailing dot, no port.
    Exact(Box<str>),
    /// `*.example.com`, held as `.example.com`: one label or more before it.
    Below(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MethodSet {
    /// All but TRACE and CONNECT. Where another route of the same pattern lists a method, that one goes first.
    Any,
    /// HEAD goes with GET.
    Of(Vec<Method>),
}

/// What the browser of a foreign origin may do (Fetch standard, CORS protocol). The gateway answers preflights from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Exact origins, serialised as browsers do; `*` is [`CorsOrigins::Any`] and never goes with credentials.
    pub origins: CorsOrigins,
    pub methods: Vec<Method>,
    pub headers: Vec<HeaderName>,
    pub expose: Vec<HeaderName>,
    pub credentials: bool,
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    Any,
    Of(Vec<HeaderValue>),
}

/// What a limit of a route is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitBy {
    Principal,
    Credential,
    Route,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLimit {
    pub by: LimitBy,
    pub limit: RateLimit,
}

/// The name of an upstream in the configuration.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UpstreamName(pub Arc<str>);

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a shared cache may keep answers to authenticated requests (RULES 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CachePolicy {
    #[default]
    Private,
    Shared,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// How people and logs call it; unique.
    pub name: Arc<str>,
    pub host: HostPattern,
    /// As written: segments, `{parameters}` of one segment each, a trailing `*` for any rest.
    pub path: Box<str>,
    pub methods: MethodSet,
    pub security: SecurityRequirement,
    pub upstream: UpstreamName,
    /// The `aud` accepted here (RULES 1.5).
    pub resource: Option<Arc<str>>,
    /// How each method may be presented here; a method without an entry has the default rule.
    pub presentation: Vec<(MethodName, MethodRule)>,
    pub limits: Vec<RouteLimit>,
    /// A plan for every caller here, counted per principal.
    pub plan: Option<PlanName>,
    pub cors: Option<Cors>,
    pub cache: CachePolicy,
    pub forward_credential: bool,
    pub preserve_host: bool,
    /// Leading segments of `path` that the upstream does not see. Empty: it sees all of them.
    pub strip_prefix: Box<str>,
    /// What the upstream sees before them. Empty: nothing.
    pub add_prefix: Box<str>,
}

impl Route {
    /// A public route with every default; for builders.
    pub fn new(path: &str, upstream: &str, security: SecurityRequirement) -> Self {
        Self {
            name: path.into(),
            host: HostPattern::Any,
            path: path.into(),
            methods: MethodSet::Any,
            security,
            upstream: UpstreamName(upstream.into()),
            resource: None,
            presentation: Vec::new(),
            limits: Vec::new(),
            plan: None,
            cors: None,
            cache: CachePolicy::default(),
            forward_credential: false,
            preserve_host: false,
            strip_prefix: Box::default(),
            add_prefix: Box::default(),
        }
    }

    pub fn rule(&self, method: MethodName) -> &MethodRule {
        static DEFAULT: MethodRule = MethodRule::DEFAULT;
        self.presentation.iter().find(|(m, _)| *m == method).map_or(&DEFAULT, |(_, rule)| rule)
    }
}

/// Everything of ours on a host that takes sessions lies at or below it (RULES 3.6).
pub const RESERVED: &str = "/.countersign";

/// Does this pattern claim a path of ours as its own? One that is wider than that takes nothing from us: the more specific
/// one goes first.
pub fn is_reserved(pattern: &str) -> bool {
    let first = pattern.strip_prefix('/').and_then(|rest| rest.split('/').next());
    first.is_some_and(|first| RESERVED.strip_prefix('/') == Some(&*path::as_read(first)))
}

/// What is wrong with a route, by its name: `path` grammar, duplicate, empty alternative, two bearer methods together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route `{route}`, {field}: {message}")]
pub struct RouteError {
    pub route: Arc<str>,
    /// The field at fault: `name`, `path`, `host`, `methods`, `security`, `presentation`, `limits`,
    /// `cors`, `strip_prefix`, `add_prefix`.
    pub field: &'static str,
    pub message: String,
}

/// Port: the live table, swapped whole.
pub trait RouteStore: fmt::Debug + Send + Sync {
    fn table(&self) -> Arc<RouteTable>;
}

/// The canonical request (step *path*).
#[derive(Debug)]
pub(super) struct Asked<'r> {
    /// What routes match.
    host: Cow<'r, str>,
    /// The host, and the port unless it is the transport's own.
    pub(super) authority: Cow<'r, str>,
    pub(super) target: PathAndQuery,
}

pub(super) fn canonical<'r>(request: &CheckRequest<'r>) -> Result<Asked<'r>, Refused> {
    let malformed = |reason| Denial::refused(DenialKind::Malformed, "request_malformed", reason);
    let target = path::canonical_target(request.target).map_err(|e| malformed(e.reason()))?;
    let (host, port) = path::host_and_port(request.authority).map_err(|e| malformed(e.reason()))?;
    let authority = match (port, request.peer.transport) {
        (None, _) | (Some(443), Transport::Tls) | (Some(80), Transport::Plain) => host.clone(),
        // behind a trusted peer the caller may have come by either
        (Some(80 | 443), Transport::PlainTrusted) => host.clone(),
        (Some(_), _) if has_canonical_port(request.authority, &host) => Cow::Borrowed(request.authority),
        (Some(port), _) => Cow::Owned(format!("{host}:{port}")),
    };
    Ok(Asked { host, authority, target })
}

/// Is it this host with a port that is written as we would?
fn has_canonical_port(authority: &str, host: &str) -> bool {
    let port = authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    port.is_some_and(|port| !port.starts_with('0') || port == "0")
}

/// The most specific pattern (step *route*).
pub(super) fn choose<'t>(
    table: &'t RouteTable,
    asked: &Asked<'_>,
    method: &Method,
) -> Result<&'t Compiled, Refused> {
    match table.lookup(&asked.host, asked.target.path(), method) {
        Hit::Route(compiled) => Ok(compiled),
        Hit::MethodNotAllowed(allow) => {
            let reason = "pattern does not take this method";
            let mut denial = Denial::refused(DenialKind::MethodNotAllowed, "method_not_allowed", reason);
            denial.allow = allow;
            Err(denial)
        }
        Hit::None => Err(Denial::refused(DenialKind::NoRoute, "route_unknown", "no route for host and path")),
    }
}
