//! Routes compiled for finding: a hash of hosts, a tree of segments below each.

use super::{
    Alternative, HostPattern, MethodSet, Route, RouteError, SecurityRequirement,
    pattern::{self, Index, Node, Words},
    rules,
};
use crate::{
    Authenticator, MethodName,
    authenticator::MethodRule,
    challenge::Challenge,
    check::limit::{self, PlanName, RateLimit},
};
use http::Method;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// 10,000 of them are found without a linear scan.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// Beside `routes`, by the same index.
    compiled: Vec<Compiled>,
    exact: Words<Node>,
    /// By suffix, with its leading dot.
    below: Words<Node>,
    any: Node,
    plans: HashMap<PlanName, RateLimit>,
}

/// A route, and what is known of it before any request.
#[derive(Debug)]
pub(in crate::check) struct Compiled {
    pub(in crate::check) route: Arc<Route>,
    /// Every method that any alternative names, in the order in which a subject is chosen. Empty: public.
    pub(in crate::check) asks: Vec<(MethodName, MethodRule)>,
    /// The first method in written order that reads `Authorization: Bearer` (RULES 1.4).
    pub(in crate::check) first_bearer: Option<MethodName>,
    pub(in crate::check) challenges: Arc<[Challenge]>,
    /// Those that open no window for a password.
    pub(in crate::check) challenges_to_browsers: Arc<[Challenge]>,
    /// Query parameters that may hold a credential here, and so never go upstream.
    pub(in crate::check) secret_parameters: Box<[Box<str>]>,
    /// What this route's limits are counted by, whoever calls.
    pub(in crate::check) limit_seed: limit::Seed,
}

impl Compiled {
    /// Empty on a public route.
    pub(in crate::check) fn alternatives(&self) -> &[Alternative] {
        match &self.route.security {
            SecurityRequirement::Public => &[],
            SecurityRequirement::AnyOf(alternatives) => alternatives,
        }
    }

    /// Is a browser that comes without a session sent to get one?
    pub(in crate::check) fn signs_in(&self) -> bool {
        self.asks.iter().any(|(method, rule)| *method == MethodName::Jwt && rule.sign_in)
    }

    pub(in crate::check) fn is_public(&self) -> bool {
        self.route.security == SecurityRequirement::Public
    }
}

/// What a table says of host, path and method.
#[derive(Debug, Clone)]
pub enum Matched {
    Route(Arc<Route>),
    /// The pattern is there, the method is not; `allow` is what it takes.
    MethodNotAllowed {
        allow: Vec<Method>,
    },
    None,
}

/// The same, borrowed from the table.
pub(in crate::check) enum Hit<'t> {
    Route(&'t Compiled),
    MethodNotAllowed(Vec<Method>),
    None,
}

impl RouteTable {
    /// All errors in one pass. Challenges are asked of the authenticators here, once. Without any authenticator only
    /// the routes themselves are checked, and every route that is not public answers 503.
    pub fn new(
        routes: Vec<Route>,
        authenticators: &[Arc<dyn Authenticator>],
    ) -> Result<Self, Vec<RouteError>> {
        let mut table = Self {
            routes: Vec::with_capacity(routes.len()),
            compiled: Vec::with_capacity(routes.len()),
            exact: Words::default(),
            below: Words::default(),
            any: Node::default(),
            plans: HashMap::new(),
        };
        let mut errors = Vec::new();
        let mut names = HashSet::new();
        for route in routes {
            // a route that was given no name is called by its path, and several may be
            if *route.name != *route.path && !names.insert(route.name.clone()) {
                let message = "another route has this name".into();
                errors.push(RouteError { route: route.name.clone(), field: "name", message });
            }
            rules::check(&route, authenticators, &mut errors);
            table.insert(Arc::new(route), authenticators, &mut errors);
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// The plans that routes and credentials name. They are swapped with the routes, never apart from them.
    #[must_use]
    pub fn with_plans(mut self, plans: HashMap<PlanName, RateLimit>) -> Self {
        self.plans = plans;
        self
    }

    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    pub fn plans(&self) -> &HashMap<PlanName, RateLimit> {
        &self.plans
    }

    /// Both canonical: [`canonical_authority`](crate::check::path::canonical_authority),
    /// [`canonical_target`](crate::check::path::canonical_target).
    pub fn find(&self, authority: &str, path: &str, method: &Method) -> Matched {
        match self.lookup(authority, path, method) {
            Hit::Route(compiled) => Matched::Route(compiled.route.clone()),
            Hit::MethodNotAllowed(allow) => Matched::MethodNotAllowed { allow },
            Hit::None => Matched::None,
        }
    }

    pub(in crate::check) fn lookup(&self, authority: &str, path: &str, method: &Method) -> Hit<'_> {
        let Some(endpoint) = self.endpoint(authority, path) else { return Hit::None };
        let refused = matches!(*method, Method::TRACE | Method::CONNECT); // RULES 2.2
        let index = endpoint.find(method).filter(|_| !refused);
        match index.and_then(|index| self.compiled.get(index)) {
            Some(compiled) => Hit::Route(compiled),
            None => Hit::MethodNotAllowed(endpoint.allow()),
        }
    }

    /// The most specific host that has a pattern for this path: itself, then the longest suffix, then any. The method
    /// has no part in it: none is found in a wider pattern (RULES 2.2).
    fn endpoint(&self, authority: &str, path: &str) -> Option<&pattern::Endpoint> {
        if let Some(found) = self.exact.get(authority).and_then(|node| node.find(path)) {
            return Some(found);
        }
        if !self.below.is_empty() {
            for (at, _) in authority.match_indices('.') {
                let suffix = authority.get(at..).unwrap_or_default();
                if let Some(found) = self.below.get(suffix).and_then(|node| node.find(path)) {
                    return Some(found);
                }
            }
        }
        self.any.find(path)
    }

    fn insert(
        &mut self,
        route: Arc<Route>,
        authenticators: &[Arc<dyn Authenticator>],
        errors: &mut Vec<RouteError>,
    ) {
        let index = self.routes.len();
        self.compiled.push(compile(&route, authenticators));
        self.routes.push(route.clone());
        let segments = match pattern::parse(&route.path) {
            Ok(segments) => segments,
            Err(message) => {
                errors.push(RouteError { route: route.name.clone(), field: "path", message });
                return;
            }
        };
        let root = match &route.host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(host) => self.exact.entry(host.clone()).or_default(),
            HostPattern::Below(suffix) => self.below.entry(suffix.clone()).or_default(),
        };
        let endpoint = root.endpoint(&segments);
        let mut taken: Vec<(String, Index)> = Vec::new();
        match &route.methods {
            MethodSet::Any => match endpoint.any {
                Some(other) => taken.push(("any method".into(), other)),
                None => endpoint.any = Some(index),
            },
            MethodSet::Of(methods) => {
                for method in methods.iter().filter(|m| **m != Method::HEAD) {
                    match endpoint.by_method.iter().find(|(m, _)| m == method) {
                        // twice in one route is said by `rules`
                        Some((_, other)) if *other == index => {}
                        Some((_, other)) => taken.push((format!("`{method}`"), *other)),
                        None => endpoint.by_method.push((method.clone(), index)),
                    }
                }
            }
        }
        for (what, other) in taken {
            let other =
                self.routes.get(other).map(|r| format!("`{}` (`{}`)", r.name, r.path)).unwrap_or_default();
            let message = format!("route {other} has the same host and pattern for {what}");
            errors.push(RouteError { route: route.name.clone(), field: "path", message });
        }
    }
}

fn compile(route: &Arc<Route>, authenticators: &[Arc<dyn Authenticator>]) -> Compiled {
    let mut written: Vec<MethodName> = Vec::new();
    if let SecurityRequirement::AnyOf(alternatives) = &route.security {
        for (method, _) in alternatives.iter().flat_map(|a| &a.0) {
            if !written.contains(method) {
                written.push(*method);
            }
        }
    }
    let first_bearer = written.iter().copied().find(|m| m.reads_bearer());
    let mut asks: Vec<(MethodName, MethodRule)> =
        written.iter().map(|m| (*m, route.rule(*m).clone())).collect();
    asks.sort_by_key(|(method, _)| *method);
    // strongest first: a key is challenged as `Bearer`, before a password (standards A)
    let mut challenges: Vec<Challenge> = Vec::new();
    for method in
        [MethodName::OAuth, MethodName::Jwt, MethodName::ApiKey, MethodName::Basic, MethodName::Mtls]
    {
        let room = authenticators.iter().find(|a| a.method() == method && written.contains(&method));
        if let Some(challenge) = room.and_then(|a| a.challenge(route)).filter(|c| !challenges.contains(c)) {
            challenges.push(challenge);
        }
    }
    let mut to_browsers: Vec<Challenge> =
        challenges.iter().filter(|c| c.is_for_browsers()).cloned().collect();
    if to_browsers.is_empty() && !challenges.is_empty() {
        // RFC 9110 15.5.2: a 401 carries a challenge; of a scheme that no browser knows it is shown the answer's page
        to_browsers.extend(Challenge::new("Countersign", &[("realm", "countersign")]));
    }
    let secret_parameters = route.presentation.iter().filter_map(|(_, rule)| rule.query.clone()).collect();
    Compiled {
        route: route.clone(),
        asks,
        first_bearer,
        challenges: challenges.into(),
        challenges_to_browsers: to_browsers.into(),
        secret_parameters,
        limit_seed: limit::Seed::of_route(route),
    }
}
