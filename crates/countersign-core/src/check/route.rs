//! Which API is this, and what must a caller prove there? Host and canonical path choose the most specific pattern,
//! the method chooses within it (RULES 2.2).

use super::limit::{PlanName, RateLimit};
use crate::{
    authenticator::{MethodName, MethodRule},
    scope::ScopeSet,
};
use http::{HeaderName, HeaderValue, Method};
use std::{fmt, sync::Arc, time::Duration};

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
        }
    }

    pub fn rule(&self, method: MethodName) -> &MethodRule {
        static DEFAULT: MethodRule = MethodRule { header: None, query: None };
        self.presentation.iter().find(|(m, _)| *m == method).map_or(&DEFAULT, |(_, rule)| rule)
    }
}

/// Routes compiled for finding: 10,000 of them without a linear scan.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
}

impl RouteTable {
    /// All errors in one pass. Challenges are asked of the authenticators here, once.
    pub fn new(
        routes: Vec<Route>,
        _authenticators: &[Arc<dyn crate::Authenticator>],
    ) -> Result<Self, Vec<RouteError>> {
        Ok(Self { routes: routes.into_iter().map(Arc::new).collect() })
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

/// What is wrong with a route, by its name: `path` grammar, duplicate, empty alternative, two bearer methods together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    pub route: Arc<str>,
    /// The field at fault: `path`, `host`, `methods`, `security`.
    pub field: &'static str,
    pub message: String,
}

/// Port: the live table, swapped whole.
pub trait RouteStore: fmt::Debug + Send + Sync {
    fn table(&self) -> Arc<RouteTable>;
}
