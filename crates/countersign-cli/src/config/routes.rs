//! `[[plans]]`, `[security]` and `[[routes]]`.

use super::{
    jwt::{self, Tokens},
    reader::{Field, Table},
    report::did_you_mean,
    settings::UpstreamSettings,
    values,
};
use countersign_core::{
    MethodName, MethodRule, Scope, ScopeSet,
    check::{
        limit::{PlanName, RateLimit},
        route::{
            Alternative, CachePolicy, Cors, CorsOrigins, HostPattern, LimitBy, MethodSet, RESERVED, Route,
            RouteError, RouteLimit, RouteTable, SecurityRequirement, UpstreamName, is_reserved,
        },
    },
};
use http::{HeaderName, HeaderValue};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Names, each with what it stands for; `None` where that could not be read. A name alone is enough to refer to.
pub(super) type Named<K, V> = Vec<(K, Option<V>)>;

pub(super) fn plans(root: &Table<'_, '_>) -> Named<PlanName, RateLimit> {
    let mut plans: Named<PlanName, RateLimit> = Vec::new();
    for table in root.sections("plans") {
        let name = table.require("name").and_then(|field| {
            let name = field.parsed(plan_name)?;
            if plans.iter().any(|(other, _)| *other == name) {
                field.problem(format!("`{}` is the name of two plans", name.as_str()));
            }
            Some(name)
        });
        let limit = rate(&table);
        table.finish();
        plans.extend(name.map(|name| (name, limit)));
    }
    plans
}

/// What routes refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'s> {
    pub(super) plans: &'s Named<PlanName, RateLimit>,
    pub(super) upstreams: &'s Named<String, UpstreamSettings>,
    /// The URL of the gateway; `None`: it could not be read.
    pub(super) external: Option<&'s Option<Arc<str>>>,
    pub(super) tokens: Tokens<'s>,
}

/// `None` where any of them is wrong; each is looked at.
pub(super) fn routes(root: &Table<'_, '_>, around: &Around<'_>) -> Option<Vec<Route>> {
    let mut named = HashMap::new();
    if let Some(section) = root.section("security") {
        for (name, field) in section.entries() {
            named.insert(name.to_owned(), security(&field, &HashMap::new()));
        }
    }
    let tables = root.sections("routes");
    let mut complete = Vec::new();
    let mut shapes = Vec::new();
    for table in &tables {
        let (shape, route) = route(table, &named, around);
        table.finish();
        complete.push(route);
        shapes.extend(shape.map(|shape| (shape, table)));
    }
    judge_together(shapes);
    if tables.is_empty() {
        root.problem_at("routes", "is missing: without a route every request is answered with 404");
    }
    complete.into_iter().collect()
}

/// What only shows when routes stand side by side: names and patterns that are there twice, paths that cannot be
/// told apart. `shapes` are routes of which at least name, host, path and methods could be read.
fn judge_together(shapes: Vec<(Route, &Table<'_, '_>)>) {
    let mut by_name: HashMap<Arc<str>, &Table<'_, '_>> = HashMap::new();
    let mut routes = Vec::new();
    for (shape, table) in shapes {
        if by_name.insert(shape.name.clone(), table).is_some() {
            table.problem_at("name", format!("`{}` is the name of two routes", shape.name));
        } else {
            routes.push(shape);
        }
    }
    let Err(errors) = RouteTable::new(routes, &[]) else { return };
    for RouteError { route, field, message } in errors {
        let Some(table) = by_name.get(&route) else { continue };
        match table.get(field) {
            Some(at) => at.problem(message),
            None => table.problem_at(field, message),
        }
    }
}

/// The shape alone, where no more than that could be read, and the route.
fn route(
    table: &Table<'_, '_>,
    named: &HashMap<String, Option<SecurityRequirement>>,
    around: &Around<'_>,
) -> (Option<Route>, Option<Route>) {
    let Around { plans, upstreams, external, tokens } = *around;
    let path = table.require("path").and_then(|field| {
        field.parsed(|text| {
            if !text.starts_with('/') {
                return Err(format!("`{text}` does not begin with `/`"));
            }
            if is_reserved(text) {
                return Err(format!(
                    "`{text}`: what is at or below `{RESERVED}` is served by Countersign itself"
                ));
            }
            Ok(text.to_owned())
        })
    });
    let host = table.get("host").map_or(Some(HostPattern::Any), |field| field.parsed(values::host));
    let methods = table.get("methods").map_or(Some(MethodSet::Any), |field| {
        let methods = field.list(values::method)?;
        if methods.is_empty() {
            field.problem("names no method; leave it out to let every method through");
            return None;
        }
        Some(MethodSet::Of(methods))
    });
    let upstream = table.require("upstream").and_then(|field| {
        field.parsed(|text| known(text, "upstream", upstreams.iter().map(|(name, _)| name.as_str())))
    });
    // PRODUCT: deny by default; a public route says so with `security = []`
    let security = match table.get("security") {
        Some(field) => security(&field, named),
        None => {
            table.problem_at(
                "security",
                "is missing: say what a caller must prove, such as `security = [{ api_key = [\"orders:read\"] }]`, \
                 or `security = []` for a public route",
            );
            None
        }
    };
    let limits = table.get("limits").map_or(Some(Vec::new()), |field| {
        field.array()?.iter().map(route_limit).collect::<Vec<_>>().into_iter().collect()
    });
    let plan = table.get("plan").map(|field| {
        field.parsed(|text| {
            known(text, "plan", plans.iter().map(|(name, _)| name.as_str()))?;
            plan_name(text)
        })
    });
    let resource = match table.get("resource") {
        Some(field) => field.parsed(values::resource).map(Some),
        // what its upstream has, if that is known
        None => external.and(upstream.as_ref()).and_then(|name| {
            let upstream = upstreams.iter().find(|(other, _)| other == name);
            Some(upstream?.1.as_ref()?.resource.clone())
        }),
    };
    let tokens = jwt::presentation(table, security.as_ref(), resource.as_ref().map(Option::as_deref), tokens);
    let presentations = presentations(table, tokens);
    let cors = table.get("cors").map(|field| {
        let table = field.table()?;
        let cors = cors(&table);
        table.finish();
        cors
    });
    let cache = table.get("cache").map_or(Some(CachePolicy::Private), |field| {
        field.choice(&[("private", CachePolicy::Private), ("shared", CachePolicy::Shared)])
    });
    let flag = |key| table.get(key).map_or(Some(false), |field: Field<'_, '_>| field.boolean());
    let (forward_credential, preserve_host) = (flag("forward_credential"), flag("preserve_host"));
    let prefix =
        |key| table.get(key).map_or(Some(Box::default()), |field| field.parsed(|text| Ok(text.into())));
    let (strip_prefix, add_prefix) = (prefix("strip_prefix"), prefix("add_prefix"));
    let name = table.get("name").map(|field| field.parsed(route_name));

    let shape = (|| {
        let (host, path, methods) = (host?, path?, methods?);
        let name = match name {
            Some(name) => name?,
            None => default_name(&host, &methods, &path),
        };
        // a route that lacks its requirement is refused anyway: any will do to see where it stands
        let any = security.clone().unwrap_or(SecurityRequirement::Public);
        let mut shape = Route::new(&path, upstream.as_deref().unwrap_or_default(), any);
        shape.name = name.into();
        shape.host = host;
        shape.methods = methods;
        shape.strip_prefix = strip_prefix.clone().unwrap_or_default();
        shape.add_prefix = add_prefix.clone().unwrap_or_default();
        Some(shape)
    })();
    let route = shape.clone().and_then(|shape| {
        Some(Route {
            security: security?,
            upstream: UpstreamName(upstream?.into()),
            resource: resource?,
            presentation: presentations?,
            limits: limits?,
            plan: transpose(plan)?,
            cors: transpose(cors)?,
            cache: cache?,
            forward_credential: forward_credential?,
            preserve_host: preserve_host?,
            strip_prefix: strip_prefix?,
            add_prefix: add_prefix?,
            ..shape
        })
    });
    (shape, route)
}

/// Absent is fine, unreadable is not.
pub(super) fn transpose<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
        None => Some(None),
    }
}

/// `GET /orders/{id}`, so that a list of routes and a log line say what they mean without being told.
fn default_name(host: &HostPattern, methods: &MethodSet, path: &str) -> String {
    let methods = match methods {
        MethodSet::Any => "*".to_owned(),
        MethodSet::Of(methods) => methods.iter().map(http::Method::as_str).collect::<Vec<_>>().join(","),
    };
    match host {
        HostPattern::Any => format!("{methods} {path}"),
        HostPattern::Exact(host) => format!("{methods} {host}{path}"),
        HostPattern::Below(host) => format!("{methods} *{host}{path}"),
    }
}

/// An OpenAPI `security` field, or the name of a default.
fn security(
    field: &Field<'_, '_>,
    named: &HashMap<String, Option<SecurityRequirement>>,
) -> Option<SecurityRequirement> {
    if field.is_string() {
        let text = field.string()?;
        let Some(requirement) = named.get(text.as_ref()) else {
            let hint = did_you_mean(&text, named.keys().map(String::as_str));
            field.problem(format!("`{text}` is not the name of a requirement in `[security]`{hint}"));
            return None;
        };
        return requirement.clone();
    }
    let items = field.array()?;
    if items.is_empty() {
        return Some(SecurityRequirement::Public);
    }
    let alternatives: Vec<Option<Alternative>> = items.iter().map(alternative).collect();
    Some(SecurityRequirement::AnyOf(alternatives.into_iter().collect::<Option<_>>()?))
}

fn alternative(field: &Field<'_, '_>) -> Option<Alternative> {
    let table = field.table()?;
    let mut methods: Vec<Option<(MethodName, ScopeSet)>> = Vec::new();
    for (name, field) in table.entries() {
        methods.push(method_rule(name, &field));
    }
    // RULES 2.1: `{}` would let everybody through beside alternatives that do not
    if methods.is_empty() {
        field.problem("is empty and would let everybody through; a public route says `security = []`");
        return None;
    }
    let methods: Vec<_> = methods.into_iter().collect::<Option<_>>()?;
    let bearers = methods
        .iter()
        .filter(|(m, _)| matches!(m, MethodName::OAuth | MethodName::Jwt | MethodName::Basic))
        .count();
    if bearers > 1 {
        field.problem("asks for two of `oauth`, `jwt` and `basic`, which share one header");
        return None;
    }
    Some(Alternative(methods))
}

fn method_rule(name: &str, field: &Field<'_, '_>) -> Option<(MethodName, ScopeSet)> {
    let scopes = field.list(|text| {
        Scope::parse(text).ok_or_else(|| format!("`{text}` is not a scope: no spaces, quotes or backslashes"))
    });
    let method = match MethodName::parse(name) {
        // RULES, style 19: bad policy refuses, it does not vanish
        Some(method) if !matches!(method, MethodName::ApiKey | MethodName::Basic | MethodName::Jwt) => {
            field.problem(format!("`{name}` is not in this release; `api_key`, `basic` and `jwt` are"));
            None
        }
        Some(method) => Some(method),
        None => {
            let hint = did_you_mean(name, MethodName::ALL.map(MethodName::as_str));
            field.problem(format!("`{name}` is not a method{hint}"));
            None
        }
    };
    let scopes = scopes?;
    if scopes.len() > ScopeSet::MAX_SCOPES {
        field.problem(format!("asks for more than {} scopes", ScopeSet::MAX_SCOPES));
        return None;
    }
    Some((method?, ScopeSet::new(scopes)))
}

/// How each method may be presented, where the route says so.
fn presentations(
    table: &Table<'_, '_>,
    tokens: Option<Option<MethodRule>>,
) -> Option<Vec<(MethodName, MethodRule)>> {
    let keys = transpose(table.get("api_key").map(|field| key_presentation(&field)));
    let passwords = transpose(table.get("basic").map(|field| password_presentation(&field)));
    let (mut keys, mut passwords) = (keys?, passwords?);
    if let Some(keys) = keys.as_mut().filter(|rule| rule.keys_as_passwords) {
        // both are asked for in one challenge
        let passwords = passwords.get_or_insert(MethodRule::DEFAULT);
        passwords.keys_as_passwords = true;
        keys.realm.clone_from(&passwords.realm);
        keys.asks_browsers = passwords.asks_browsers;
    }
    let said = [(MethodName::ApiKey, keys), (MethodName::Basic, passwords), (MethodName::Jwt, tokens?)];
    Some(said.into_iter().filter_map(|(method, rule)| Some((method, rule?))).collect())
}

/// `basic = { realm = "Orders", browsers = true, deprecated = "2027-01-31", sunset = "2027-07-31" }`.
fn password_presentation(field: &Field<'_, '_>) -> Option<MethodRule> {
    let table = field.table()?;
    let realm = table.get("realm").map(|field| {
        field.parsed(|text| {
            let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'));
            good.then(|| Box::from(text)).ok_or_else(|| "must be 1 to 64 printable ASCII characters".into())
        })
    });
    let browsers = table.get("browsers").map_or(Some(false), |field| field.boolean());
    let deprecated = table.get("deprecated").map(|field| field.parsed(values::day));
    let sunset = table.get("sunset").map(|field| field.parsed(values::day));
    if let (Some(Some(deprecated)), Some(Some(sunset))) = (deprecated, sunset)
        && sunset < deprecated
    {
        // RFC 9745 4
        table.problem_at("sunset", "is before `deprecated`");
    }
    table.finish();
    let (deprecated, sunset) = (transpose(deprecated)?, transpose(sunset)?);
    Some(MethodRule {
        realm: transpose(realm)?,
        asks_browsers: browsers?,
        farewell: farewell(deprecated, sunset),
        ..MethodRule::DEFAULT
    })
}

pub(super) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
pub(super) const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// RFC 9745 2.1: a date of structured fields. RFC 8594 3: a date of HTTP.
fn farewell(
    deprecated: Option<jiff::Timestamp>,
    sunset: Option<jiff::Timestamp>,
) -> Vec<(HeaderName, HeaderValue)> {
    let deprecated = deprecated.map(|at| (DEPRECATION, format!("@{}", at.as_second())));
    let sunset = sunset.map(|at| (SUNSET, at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()));
    let fields = deprecated.into_iter().chain(sunset);
    fields.filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
}

/// `api_key = { header = "X-Orders-Key", query = "api_key", basic = true }`.
fn key_presentation(field: &Field<'_, '_>) -> Option<MethodRule> {
    let table = field.table()?;
    let header = table.get("header").map(|field| field.parsed(credential_header));
    let query = table.get("query").map(|field| {
        field.parsed(|text| {
            let good = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
            good.then(|| Box::from(text))
                .ok_or_else(|| format!("`{text}` is not 1 to 64 of `A-Z a-z 0-9 _ - .`"))
        })
    });
    let basic = table.get("basic").map_or(Some(false), |field| field.boolean());
    table.finish();
    Some(MethodRule {
        header: transpose(header)?,
        query: transpose(query)?,
        keys_as_passwords: basic?,
        ..MethodRule::DEFAULT
    })
}

/// A header that nothing else reads.
fn credential_header(text: &str) -> Result<HeaderName, String> {
    let name = header(text)?;
    // `authorization` is read as scheme and credentials beside it (RULES 1.4); the rest frames or routes a message, or
    // says where it came from
    let taken = [
        "authorization",
        "proxy-authorization",
        "host",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "cookie",
        "origin",
        "referer",
        "range",
        "date",
        "via",
        "forwarded",
    ];
    let taken_below = ["countersign-", "content-", "x-forwarded-", "sec-", "access-control-", "proxy-"];
    if taken.contains(&name.as_str()) || taken_below.iter().any(|below| name.as_str().starts_with(below)) {
        return Err(format!("`{text}` means something else already"));
    }
    if name.as_str().contains('_') {
        return Err(format!(
            "`{text}`: fields with `_` are refused, since proxies disagree about them; use `-`"
        ));
    }
    Ok(name)
}

fn route_limit(field: &Field<'_, '_>) -> Option<RouteLimit> {
    let table = field.table()?;
    let by = table.require("by").and_then(|field| {
        field.choice(&[
            ("principal", LimitBy::Principal),
            ("credential", LimitBy::Credential),
            ("route", LimitBy::Route),
        ])
    });
    let limit = rate(&table);
    table.finish();
    Some(RouteLimit { by: by?, limit: limit? })
}

/// `requests = 100, per = "1m"`.
fn rate(table: &Table<'_, '_>) -> Option<RateLimit> {
    let requests = table.require("requests").and_then(|field| field.integer(1..=u64::from(u32::MAX)));
    let window = table.require("per").and_then(|field| field.duration());
    Some(RateLimit { quota: u32::try_from(requests?).ok()?, window: window? })
}

fn cors(table: &Table<'_, '_>) -> Option<Cors> {
    let origins = table.require("origins").and_then(|field| {
        let any = field.array()?.iter().any(|item| item.is_string() && item.string().as_deref() == Some("*"));
        if any { Some(CorsOrigins::Any) } else { Some(CorsOrigins::Of(field.list(origin)?)) }
    });
    let methods = table.get("methods").map_or(Some(Vec::new()), |field| field.list(values::method));
    let headers = table.get("headers").map_or(Some(Vec::new()), |field| field.list(header));
    let expose = table.get("expose").map_or(Some(Vec::new()), |field| field.list(header));
    let credentials = table.get("credentials").map_or(Some(false), |field| field.boolean());
    let max_age = table.get("max_age").map_or(Some(Duration::from_secs(600)), |field| field.duration());
    if credentials == Some(true) && origins == Some(CorsOrigins::Any) {
        table.problem_at("origins", "`*` never goes with `credentials = true`; name the origins");
        return None;
    }
    Some(Cors {
        origins: origins?,
        methods: methods?,
        headers: headers?,
        expose: expose?,
        credentials: credentials?,
        max_age: max_age?,
    })
}

/// As browsers serialise it (RFC 6454 6.2): scheme, host, a port that is not the default, nothing else.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || format!("`{text}` is not an origin such as `https://app.example.com`");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    if !matches!(url.scheme(), "http" | "https") || url.origin().ascii_serialization() != text {
        return Err(wrong());
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}

fn header(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| format!("`{text}` is not a header name"))
}

fn plan_name(text: &str) -> Result<PlanName, String> {
    PlanName::parse(text).ok_or_else(|| format!("`{text}` is not 1 to 64 of `a-z 0-9 _ -`"))
}

pub(super) fn name(text: &str) -> Result<String, String> {
    plan_name(text).map(|_| text.to_owned())
}

/// Printable, so that it can stand in a log line and a table.
fn route_name(text: &str) -> Result<String, String> {
    let good = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
        .ok_or_else(|| "must be 1 to 200 characters without control characters".into())
}

fn known<'a>(text: &str, what: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<String, String> {
    if names.clone().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    Err(format!("there is no {what} `{text}`{}", did_you_mean(text, names)))
}
