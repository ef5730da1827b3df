//! The CORS protocol (Fetch standard), spoken by the gateway from the route's `cors`: preflights are answered here and
//! never forwarded (RULES 3.5), and where a route has `cors` the upstream has no say.

use crate::http1::fields::{Fields, text};
use bytes::Bytes;
use countersign_core::{
    RequestId,
    check::{
        decision::{Denial, DenialKind},
        path,
        request::{HeaderView, One},
        route::{Cors, CorsOrigins, Matched, RouteTable},
    },
};
use countersign_tower::{
    Head,
    respond::{self, Options, REQUEST_ID},
};
use http::{
    HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use http_body_util::Full;

/// A preflight: `OPTIONS` with an origin and the method that is to follow.
pub(crate) fn is_preflight(method: &Method, fields: &Fields) -> bool {
    *method == Method::OPTIONS && fields.contains(&ORIGIN) && fields.contains(&ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: what the route says about the method that is to follow. Carries no credential and needs
/// none.
pub(crate) fn preflight(
    routes: &RouteTable,
    head: &Head,
    fields: &Fields,
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
    let (One::Single(origin), One::Single(method)) =
        (fields.one(&ORIGIN), fields.one(&ACCESS_CONTROL_REQUEST_METHOD))
    else {
        return malformed();
    };
    let (Ok(origin), Ok(method)) = (HeaderValue::from_bytes(origin), Method::from_bytes(method)) else {
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
    let Some(cors) = route.cors.as_ref().filter(|cors| grants(cors, &origin, &method, fields)) else {
        return refuse(DenialKind::Forbidden, "cors_denied", "preflight not granted by the route's cors");
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    for (name, value) in allowed_origin(cors, &origin) {
        answer.append(name, value);
    }
    let methods = cors.methods.iter().map(Method::as_str);
    answer.extend(list(methods).map(|methods| (ACCESS_CONTROL_ALLOW_METHODS, methods)));
    let headers = cors.headers.iter().map(HeaderName::as_str);
    answer.extend(list(headers).map(|headers| (ACCESS_CONTROL_ALLOW_HEADERS, headers)));
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
pub(crate) fn apply(cors: &Cors, origin: Option<&HeaderValue>, fields: &mut Fields) {
    fields.retain(|name| !name.starts_with(b"access-control-"));
    match origin {
        Some(origin) if allows_origin(cors, origin) => {
            for (name, value) in allowed_origin(cors, origin) {
                fields.append(&name, &value);
            }
            if let Some(exposed) = list(cors.expose.iter().map(HeaderName::as_str)) {
                fields.append(&ACCESS_CONTROL_EXPOSE_HEADERS, &exposed);
            }
        }
        // the answer to another origin would be another one: a cache must know
        _ if cors.origins != CorsOrigins::Any => fields.append(&VARY, &HeaderValue::from(ORIGIN)),
        _ => {}
    }
}

fn allowed_origin(cors: &Cors, origin: &HeaderValue) -> Vec<(HeaderName, HeaderValue)> {
    if cors.origins == CorsOrigins::Any {
        return vec![(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))];
    }
    let mut said = vec![(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()), (VARY, HeaderValue::from(ORIGIN))];
    if cors.credentials {
        said.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
    }
    said
}

fn allows_origin(cors: &Cors, origin: &HeaderValue) -> bool {
    match &cors.origins {
        CorsOrigins::Any => true,
        CorsOrigins::Of(origins) => origins.contains(origin),
    }
}

fn grants(cors: &Cors, origin: &HeaderValue, method: &Method, fields: &Fields) -> bool {
    // Fetch 4.8: CORS-safelisted methods need no listing
    let safelisted = matches!(*method, Method::GET | Method::HEAD | Method::POST);
    allows_origin(cors, origin)
        && (safelisted || cors.methods.contains(method))
        && asked(fields).all(|name| cors.headers.iter().any(|h| h.as_str().eq_ignore_ascii_case(name)))
}

/// The names in `Access-Control-Request-Headers` that are not safelisted; what is not text matches nothing.
fn asked(fields: &Fields) -> impl Iterator<Item = &str> {
    fields
        .all(&ACCESS_CONTROL_REQUEST_HEADERS)
        .flat_map(|value| text(value).unwrap_or("\"").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !SAFELISTED.iter().any(|s| s.eq_ignore_ascii_case(name)))
}

const SAFELISTED: [&str; 3] = ["accept", "accept-language", "content-language"];

/// `None`: there are none.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let items: Vec<&str> = items.collect();
    HeaderValue::try_from(items.join(", ")).ok().filter(|_| !items.is_empty())
}
