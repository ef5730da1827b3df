//! `/admin/v1/routes`: what stands before which API, and what would be decided for a described request.

use super::api_key::{ShownLimit, charge};
use crate::{
    call::{Answer, Call, Listed, ok},
    input::{Wrong, json::Json},
    openapi::{
        Described, page_of,
        shape::{array, boolean, defined, nullable, object, request, scope, string, words},
    },
    problem::quoted,
    words::read,
};
use countersign_core::{
    MethodRule,
    check::{
        decision::{Decision, Known},
        request::{CheckRequest, Peer, Transport},
        route::{CachePolicy, HostPattern, LimitBy, MethodSet, Route, SecurityRequirement},
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header, uri::PathAndQuery};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    host: String,
    path: String,
    methods: Vec<String>,
    security: Security,
    upstream: String,
    resource: Option<String>,
    presentation: BTreeMap<&'static str, Presentation>,
    limits: Vec<RouteLimit>,
    plan: Option<String>,
    cors: Option<Cors>,
    cache: &'static str,
    forward_credential: bool,
    preserve_host: bool,
    strip_prefix: String,
    add_prefix: String,
}

/// A public route is named as such wherever routes are listed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Security {
    Public(&'static str),
    AnyOf(Vec<Vec<Requirement>>),
}

#[derive(Debug, Serialize)]
struct Requirement {
    method: &'static str,
    scopes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Presentation {
    header: Option<String>,
    query: Option<String>,
    /// The cookie of a session counts.
    cookies: bool,
    /// A browser without one is sent to the login page.
    sign_in: bool,
}

#[derive(Debug, Serialize)]
struct RouteLimit {
    by: &'static str,
    #[serde(flatten)]
    limit: ShownLimit,
}

#[derive(Debug, Serialize)]
struct Cors {
    origins: Vec<String>,
    methods: Vec<String>,
    credentials: bool,
}

#[derive(Debug, Serialize)]
struct Verdict {
    decision: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The true one, which the caller is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// What the route asks for, where that is what the subject lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Subject {
    id: String,
    name: String,
    method: &'static str,
    credential: String,
}

impl From<&Route> for Shown {
    fn from(route: &Route) -> Self {
        let methods = |all: &[Method]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        Self {
            name: route.name.to_string(),
            host: match &route.host {
                HostPattern::Any => "*".into(),
                HostPattern::Exact(host) => host.to_string(),
                HostPattern::Below(suffix) => format!("*{suffix}"),
            },
            path: route.path.to_string(),
            methods: match &route.methods {
                MethodSet::Any => vec!["*".into()],
                MethodSet::Of(of) => methods(of),
            },
            security: Security::from(&route.security),
            upstream: route.upstream.0.to_string(),
            resource: route.resource.as_ref().map(ToString::to_string),
            presentation: route
                .presentation
                .iter()
                .map(|(method, rule)| {
                    let header = rule.header.as_ref().map(ToString::to_string);
                    let query = rule.query.as_ref().map(ToString::to_string);
                    let MethodRule { cookies, sign_in, .. } = *rule;
                    (method.as_str(), Presentation { header, query, cookies, sign_in })
                })
                .collect(),
            limits: route
                .limits
                .iter()
                .map(|l| RouteLimit {
                    by: match l.by {
                        LimitBy::Principal => "principal",
                        LimitBy::Credential => "credential",
                        LimitBy::Route => "route",
                    },
                    limit: ShownLimit::from(&l.limit),
                })
                .collect(),
            plan: route.plan.as_ref().map(|p| p.as_str().to_owned()),
            cors: route.cors.as_ref().map(|cors| Cors {
                origins: match &cors.origins {
                    countersign_core::check::route::CorsOrigins::Any => vec!["*".into()],
                    countersign_core::check::route::CorsOrigins::Of(of) => {
                        of.iter().map(|o| String::from_utf8_lossy(o.as_bytes()).into_owned()).collect()
                    }
                },
                methods: methods(&cors.methods),
                credentials: cors.credentials,
            }),
            cache: match route.cache {
                CachePolicy::Private => "private",
                CachePolicy::Shared => "shared",
            },
            forward_credential: route.forward_credential,
            preserve_host: route.preserve_host,
            strip_prefix: route.strip_prefix.to_string(),
            add_prefix: route.add_prefix.to_string(),
        }
    }
}

impl From<&SecurityRequirement> for Security {
    fn from(security: &SecurityRequirement) -> Self {
        match security {
            SecurityRequirement::Public => Security::Public("public"),
            SecurityRequirement::AnyOf(alternatives) => Security::AnyOf(
                alternatives
                    .iter()
                    .map(|alternative| {
                        let each = alternative.0.iter().map(|(method, scopes)| Requirement {
                            method: method.as_str(),
                            scopes: scopes.iter().map(ToString::to_string).collect(),
                        });
                        each.collect()
                    })
                    .collect(),
            ),
        }
    }
}

pub(crate) async fn list(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let table = call.services.gateway_routes.table();
    // all of them: they come from one file, and their number is bounded there
    ok(&Listed::<_> {
        items: table.routes().iter().map(|r| Shown::from(&**r)).collect(),
        next: None::<String>,
    })
}

/// A request, described.
#[derive(Debug)]
struct Request {
    method: Method,
    authority: String,
    target: PathAndQuery,
    headers: HeaderMap,
    peer: Peer,
}

/// What the gateway would decide, and why: nothing is charged, counted as used, or remembered. It tries a credential,
/// so it is limited as `POST /api-keys/verify` is.
pub(crate) async fn check(call: Call) -> Answer {
    let mut body = call.members()?;
    let method = body.required("method", method);
    let url = body.required("url", url);
    let mut headers = body.optional("headers", headers).unwrap_or_default();
    let key = body.optional("key", key);
    let source = body.optional("source", source).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let transport = body.optional("transport", transport);

    if let Some(key) = key {
        if headers.contains_key(header::AUTHORIZATION) {
            body.fault("key", "stands beside an `authorization` header; give one of them");
        }
        headers.append(header::AUTHORIZATION, key);
    }
    let described = method.zip(url).map(|(method, url)| {
        let secure = transport.unwrap_or(url.secure);
        // as a listener would say it: what never left this machine is as good as TLS
        let transport = match (secure, source.is_loopback()) {
            (true, _) => Transport::Tls,
            (false, true) => Transport::PlainTrusted,
            (false, false) => Transport::Plain,
        };
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).map(ToOwned::to_owned);
        if let (Some(host), Some(authority)) = (&host, &url.authority)
            && !host.eq_ignore_ascii_case(authority)
        {
            body.fault("headers.host", "differs from the host of `url`; give one of them");
        }
        Request {
            method,
            authority: url.authority.or(host).unwrap_or_else(|| "localhost".into()),
            target: url.target,
            headers,
            peer: Peer { address: source, transport },
        }
    });
    let described = body.finish(described)?;
    charge(&call)?;

    let request = CheckRequest {
        method: &described.method,
        authority: &described.authority,
        target: &described.target,
        headers: &described.headers,
        peer: described.peer,
    };
    ok(&verdict(&call.services.gateway.rehearse(&request).await))
}

fn verdict(decision: &Decision) -> Verdict {
    match decision {
        Decision::Allow(permit) => Verdict {
            decision: "allow",
            status: 200,
            code: None,
            reason: None,
            route: Some(permit.route().name.to_string()),
            subject: permit.subject().map(subject),
            needs: None,
            scopes: permit.subject().map(scopes),
        },
        Decision::Deny(denial) => Verdict {
            decision: "deny",
            status: denial.kind.status().as_u16(),
            code: Some(denial.code),
            reason: Some(denial.reason),
            route: denial.route.as_ref().map(|r| r.name.to_string()),
            subject: denial.known.first().map(subject),
            needs: denial.needs.as_ref().map(|n| n.iter().map(ToString::to_string).collect()),
            scopes: denial.known.first().map(scopes),
        },
    }
}

fn subject(known: &Known) -> Subject {
    Subject {
        id: known.authentication.principal.to_string(),
        name: known.standing.name.to_string(),
        method: known.authentication.method.as_str(),
        credential: known.authentication.credential.to_string(),
    }
}

fn scopes(known: &Known) -> Vec<String> {
    known.scopes.iter().map(ToString::to_string).collect()
}

#[derive(Debug)]
struct Url {
    secure: bool,
    authority: Option<String>,
    target: PathAndQuery,
}

fn method(value: Json) -> Result<Method, Wrong> {
    let text = read::text(value)?;
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= 32);
    method.ok_or_else(|| format!("{} is not a method such as `GET`", quoted(&text)).into())
}

/// `https://host/path?query`, or a path alone, which is taken to come in by TLS.
fn url(value: Json) -> Result<Url, Wrong> {
    let text = read::text(value)?;
    let wrong = || {
        let what = quoted(&text);
        Wrong::from(format!("{what} is not a URL such as `https://localhost:8443/orders/1`, nor a path"))
    };
    if text.contains('#') || text.len() > 8192 {
        return Err(wrong());
    }
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let target = uri.path_and_query().cloned().ok_or_else(wrong)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => {
            Ok(Url { secure: scheme == "https", authority: Some(authority.to_string()), target })
        }
        (None, None) if text.starts_with('/') => Ok(Url { secure: true, authority: None, target }),
        _ => Err(wrong()),
    }
}

/// The values may be secrets, so a fault names the header and not the value.
fn headers(value: Json) -> Result<HeaderMap, Wrong> {
    let Json::Object(entries) = value else {
        return Err(format!("must be an object of strings, not {}", value.what()).into());
    };
    if entries.len() > 64 {
        return Err("takes at most 64".into());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in entries {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return Err(format!("{} is not the name of a header", quoted(&name)).into());
        };
        let text = read::text(value).map_err(|wrong| wrong.below(parsed.as_str()))?;
        let Ok(value) = HeaderValue::from_str(&text) else {
            return Err(Wrong::from("holds what no header may carry").below(parsed.as_str()));
        };
        headers.append(parsed, value);
    }
    Ok(headers)
}

/// As the caller would send it.
fn key(value: Json) -> Result<HeaderValue, Wrong> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", read::text(value)?))
        .map_err(|_| Wrong::from("holds what no header may carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn source(value: Json) -> Result<IpAddr, Wrong> {
    let text = read::text(value)?;
    let address = text.parse::<IpAddr>().map(|a| a.to_canonical());
    address.map_err(|_| format!("{} is not an IP address", quoted(&text)).into())
}

/// Is it TLS?
fn transport(value: Json) -> Result<bool, Wrong> {
    match read::text(value)?.as_str() {
        "tls" => Ok(true),
        "plain" => Ok(false),
        other => Err(format!("must be `tls` or `plain`, not {}", quoted(other)).into()),
    }
}

const TAG: &str = "routes";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let requirement = object(
        "A method with the scopes it must bring.",
        &[("method", string()), ("scopes", array(scope()))],
        &[],
    );
    let presentation = object(
        "Where a credential may stand beside the usual places; of `jwt`: whether the cookie of a session counts, and \
         whether a browser without one is sent to the login page.",
        &[
            ("header", nullable(string())),
            ("query", nullable(string())),
            ("cookies", boolean()),
            ("sign_in", boolean()),
        ],
        &[],
    );
    let limit = object(
        "How many requests, and counted by what.",
        &[
            ("by", words(&["principal", "credential", "route"])),
            ("requests", json!({"type": "integer", "minimum": 1})),
            ("per", string()),
        ],
        &[],
    );
    let cors = object(
        "Which pages of other origins may ask.",
        &[("origins", array(string())), ("methods", array(string())), ("credentials", boolean())],
        &[],
    );
    let route = object(
        "What the gateway serves, and what it asks of callers.",
        &[
            ("name", string()),
            ("host", string()),
            ("path", string()),
            ("methods", array(string())),
            // alternatives, each of methods that must all be good
            ("security", json!({"anyOf": [{"const": "public"}, array(array(requirement))]})),
            ("upstream", string()),
            ("resource", nullable(string())),
            ("presentation", json!({"type": "object", "additionalProperties": presentation})),
            ("limits", array(limit)),
            ("plan", nullable(string())),
            ("cors", nullable(cors)),
            ("cache", words(&["private", "shared"])),
            ("forward_credential", boolean()),
            ("preserve_host", boolean()),
            ("strip_prefix", string()),
            ("add_prefix", string()),
        ],
        &[],
    );
    let subject = object(
        "Who it would be.",
        &[("id", string()), ("name", string()), ("method", string()), ("credential", string())],
        &[],
    );
    let verdict = object(
        "What the gateway would decide, with the true reason.",
        &[("decision", words(&["allow", "deny"])), ("status", json!({"type": "integer"}))],
        &[
            ("code", string()),
            ("reason", string()),
            ("route", string()),
            ("subject", subject),
            ("needs", array(scope())),
            ("scopes", array(scope())),
        ],
    );
    vec![("Route", route), ("RouteVerdict", verdict)]
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List the routes, all of them").answer(
        200,
        "the routes",
        page_of("Route", json!({"type": "null"})),
    )
}

pub(crate) fn describe_check() -> Described {
    let headers = json!({"type": "object", "additionalProperties": string(), "maxProperties": 64});
    let body = request(
        &[("method", string()), ("url", string())],
        &[
            ("headers", headers),
            ("key", string()),
            ("source", string()),
            ("transport", words(&["tls", "plain"])),
        ],
    );
    Described::new(TAG, "What would the gateway decide for this request, and why?")
        .body(body, json!({"method": "GET", "url": "/orders/1"}))
        .answer(200, "the decision", defined("RouteVerdict"))
}
