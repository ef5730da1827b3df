//! The CORS protocol (Fetch standard), spoken by the gateway from the route's `cors`: preflights are answered here and
//! never forwarded (RULES 3.5), and where a route has `cors` the upstream has no say.

use bytes::Bytes;
use countersign_core::{
    RequestId,
    check::{
        decision::{Denial, DenialKind},
        path,
        route::{Cors, CorsOrigins, Matched, RouteTable},
    },
};
use countersign_tower::{
    Head,
    respond::{self, Options, REQUEST_ID},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use http_body_util::Full;

/// A preflight: `OPTIONS` with an origin and the method that is to follow.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: what the route says about the method that is to follow. Carries no credential and needs
/// none.
pub(crate) fn preflight(
    routes: &RouteTable,
    head: &Head,
    headers: &HeaderMap,
    id: RequestId,
    options: &Options,
) -> Response<Full<Bytes>> {
    let refuse = |kind, code, reason| respond::denial(&Denial::new(kind, code, reason), id, options);
    let malformed = || refuse(DenialKind::Malformed, "request_malformed", "preflight is malformed");
    let (Ok(authority), Ok(target)) =
        (path::canonical_authority(head.authority()), path::canonical_target(head.target()))
    else {
        return malformed();
    };
    let (Some(origin), Some(method)) =
        (single(headers, &ORIGIN), single(headers, &ACCESS_CONTROL_REQUEST_METHOD))
    else {
        return malformed();
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return malformed();
    };
    let route = match routes.find(&authority, target.path(), &method) {
        Matched::Route(route) => route,
        Matched::MethodNotAllowed { allow } => {
            let mut denial = Denial::new(
                DenialKind::MethodNotAllowed,
                "method_not_allowed",
                "preflight for another method",
            );
            denial.allow = allow;
            return respond::denial(&denial, id, options);
        }
        Matched::None => return refuse(DenialKind::NoRoute, "route_unknown", "preflight for no route"),
    };
    let Some(cors) = route.cors.as_ref().filter(|cors| grants(cors, origin, &method, headers)) else {
        return refuse(DenialKind::Forbidden, "cors_denied", "preflight not granted by the route's cors");
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    allow_origin(cors, origin, answer);
    let methods = cors.methods.iter().map(Method::as_str);
    list(answer, ACCESS_CONTROL_ALLOW_METHODS, methods);
    list(answer, ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.iter().map(HeaderName::as_str));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    answer.append(
        VARY,
        HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"),
    );
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        answer.insert(&REQUEST_ID, id);
    }
    response
}

/// What goes out with an actual response of a route that has `cors`, a refusal included: a page may read why.
pub(crate) fn apply(cors: &Cors, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    let theirs: Vec<HeaderName> =
        headers.keys().filter(|n| n.as_str().starts_with("access-control-")).cloned().collect();
    for name in theirs {
        headers.remove(&name);
    }
    match origin {
        Some(origin) if allows_origin(cors, origin) => {
            allow_origin(cors, origin, headers);
            list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose.iter().map(HeaderName::as_str));
        }
        // the answer to another origin would be another one: a cache must know
        _ if cors.origins != CorsOrigins::Any => {
            headers.append(VARY, HeaderValue::from(ORIGIN));
        }
        _ => {}
    }
}

fn allow_origin(cors: &Cors, origin: &HeaderValue, headers: &mut HeaderMap) {
    if cors.origins == CorsOrigins::Any {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.append(VARY, HeaderValue::from(ORIGIN));
    if cors.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

fn allows_origin(cors: &Cors, origin: &HeaderValue) -> bool {
    match &cors.origins {
        CorsOrigins::Any => true,
        CorsOrigins::Of(origins) => origins.contains(origin),
    }
}

fn grants(cors: &Cors, origin: &HeaderValue, method: &Method, headers: &HeaderMap) -> bool {
    // Fetch 4.8: CORS-safelisted methods need no listing
    let safelisted = matches!(*method, Method::GET | Method::HEAD | Method::POST);
    allows_origin(cors, origin)
        && (safelisted || cors.methods.contains(method))
        && asked(headers).all(|name| cors.headers.iter().any(|h| h.as_str().eq_ignore_ascii_case(name)))
}

/// The names in `Access-Control-Request-Headers` that are not safelisted; what is not text matches nothing.
fn asked(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .flat_map(|v| v.to_str().unwrap_or("\"").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !SAFELISTED.iter().any(|s| s.eq_ignore_ascii_case(name)))
}

const SAFELISTED: [&str; 3] = ["accept", "accept-language", "content-language"];

fn list<'a>(headers: &mut HeaderMap, name: HeaderName, items: impl Iterator<Item = &'a str>) {
    let items: Vec<&str> = items.collect();
    if let (false, Ok(value)) = (items.is_empty(), HeaderValue::try_from(items.join(", "))) {
        headers.insert(name, value);
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}
