//! What a route must keep to get into a table (RULES 2.1, 2.2). All of it is found in one pass.

use super::{CorsOrigins, HostPattern, MethodSet, Route, RouteError, SecurityRequirement};
use crate::{Authenticator, MethodName, check::path::canonical_authority};
use http::Method;
use std::sync::Arc;

/// Everything that can be said of one route alone, but its path.
pub(super) fn check(route: &Route, authenticators: &[Arc<dyn Authenticator>], errors: &mut Vec<RouteError>) {
    let mut wrong = |field, message: String| {
        errors.push(RouteError { route: route.name.clone(), field, message });
    };
    if let Err(message) = host(&route.host) {
        wrong("host", message);
    }
    methods(&route.methods, &mut |message| wrong("methods", message));
    security(&route.security, authenticators, &mut |message| wrong("security", message));
    super::rewrite::check(route, &mut wrong);
    for (n, (method, rule)) in route.presentation.iter().enumerate() {
        if route.presentation.iter().skip(n + 1).any(|(m, _)| m == method) {
            wrong("presentation", format!("`{}` stands twice", method.as_str()));
        }
        if let Some(name) = rule.header.as_ref().filter(|h| RESERVED.contains(&h.as_str())) {
            wrong("presentation", format!("no credential of our own may stand in `{name}`"));
        }
        if rule.query.as_ref().is_some_and(|q| q.is_empty()) {
            wrong("presentation", "the query parameter has no name".into());
        }
        if (rule.cookies || rule.sign_in) && *method != MethodName::Jwt {
            wrong("presentation", format!("`{}` has no session; only `jwt` has", method.as_str()));
        }
        // a login without effect here would be asked for again and again
        if rule.sign_in && !rule.cookies {
            wrong("presentation", "the cookie that a login sets must count where one is asked for".into());
        }
    }
    for limit in &route.limits {
        if limit.limit.quota == 0 || limit.limit.window.is_zero() {
            wrong("limits", "a limit needs at least one request and a window".into());
        }
    }
    // Fetch 3.3.3: `*` and credentials exclude each other
    if route.cors.as_ref().is_some_and(|c| c.credentials && c.origins == CorsOrigins::Any) {
        wrong("cors", "credentials need a list of origins, not `*`".into());
    }
}

/// Header names that mean something else to everybody.
const RESERVED: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn host(host: &HostPattern) -> Result<(), String> {
    let name = match host {
        HostPattern::Any => return Ok(()),
        HostPattern::Exact(name) => name,
        HostPattern::Below(suffix) => {
            let name = suffix.strip_prefix('.').ok_or_else(|| format!("`{suffix}` must begin with a dot"))?;
            if canonical_authority(&format!("a.{name}")).is_ok_and(|c| c == format!("a.{name}").as_str()) {
                return Ok(());
            }
            return Err(format!("`*{suffix}` is not `*.` and a lower-case name without port"));
        }
    };
    match canonical_authority(name) {
        Ok(canonical) if canonical == name.as_ref() => Ok(()),
        Ok(canonical) => {
            Err(format!("write `{name}` as `{canonical}`: lower case, no port, no trailing dot"))
        }
        Err(error) => Err(format!("`{name}`: {error}")),
    }
}

fn methods(methods: &MethodSet, wrong: &mut dyn FnMut(String)) {
    let MethodSet::Of(list) = methods else { return };
    if list.is_empty() {
        wrong("no method: such a route takes nothing".into());
    }
    for (n, method) in list.iter().enumerate() {
        if list.iter().take(n).any(|m| m == method) {
            wrong(format!("`{method}` stands twice"));
        }
        // RULES 2.2
        if matches!(*method, Method::TRACE | Method::CONNECT) {
            wrong(format!("`{method}` is never taken"));
        }
        if *method == Method::HEAD && !list.contains(&Method::GET) {
            wrong("`HEAD` goes with `GET`: list `GET`".into());
        }
    }
}

/// RULES 2.1
fn security(
    requirement: &SecurityRequirement,
    authenticators: &[Arc<dyn Authenticator>],
    wrong: &mut dyn FnMut(String),
) {
    let SecurityRequirement::AnyOf(alternatives) = requirement else { return };
    if alternatives.is_empty() {
        wrong("no alternative; a public route says so with `security = []`".into());
    }
    for alternative in alternatives {
        let named: Vec<MethodName> = alternative.0.iter().map(|(method, _)| *method).collect();
        if named.is_empty() {
            wrong("an empty alternative would let everybody in".into());
        }
        for (n, method) in named.iter().enumerate() {
            if named.iter().take(n).any(|m| m == method) {
                wrong(format!("`{}` stands twice in one alternative", method.as_str()));
            }
            // no list of authenticators: only the routes themselves are being checked
            if !authenticators.is_empty() && !authenticators.iter().any(|a| a.method() == *method) {
                wrong(format!("`{}` is not available here", method.as_str()));
            }
        }
        let one_field =
            |m: &&MethodName| matches!(m, MethodName::OAuth | MethodName::Jwt | MethodName::Basic);
        if named.iter().filter(one_field).count() > 1 {
            wrong("only one of oauth, jwt and basic fits into one request".into());
        }
    }
}
