//! The configuration that is in effect, in the shape of the file: every default said, every layer applied, nothing
//! secret in it. What this says is itself a configuration with the same meaning, but for what is masked.
//!
//! Every structure is taken apart whole here, so that a new setting cannot be forgotten.

mod text;

#[cfg(test)]
mod tests;

pub use text::to_toml;

use super::{
    AdminSettings, AuditSettings, CertificateSettings, DecisionSettings, EgressSettings, GatewaySettings,
    IssuerSettings, ListenerSettings, LogFormat, ObserveSettings, PasswordSettings, RecordTarget, Settings,
    TlsSettings, TraceSettings, UpstreamSettings, UpstreamTlsSettings, Webhook, issuers,
    routes::{DEPRECATION, SUNSET},
    values::{show_duration, show_share},
};
use countersign_core::{
    MethodName, MethodRule,
    check::route::{
        Alternative, CachePolicy, Cors, CorsOrigins, HostPattern, LimitBy, MethodSet, Route, RouteLimit,
        SecurityRequirement,
    },
};
use countersign_gateway::{
    ForwardedHeader, HealthCheck, IdentityPreset, Limits, ListenAddress, ListenerLimits, ListenerTimeouts,
    Peers, Protocol, Timeouts, Trusted, UpstreamLimits,
};
use countersign_methods::{
    api_key::{config::ApiKeyConfig, record::Environment},
    basic::config::BasicConfig,
    jwt::foreign::{ClaimNames, ClaimPath, ExpectedTyp, ForeignIssuer, KeyOrigin},
    session::config::SessionConfig,
    signing::{
        issue::SigningConfig,
        record::{KeyPurpose, KeyTimes},
    },
};
use serde_json::{Map, Value, json};
use std::{fmt::Display, path::Path, time::Duration};

pub const MASK: &str = "***";

/// Without secrets.
pub fn effective(settings: &Settings) -> Value {
    let Settings {
        folder: _,
        keyring: _,
        gateway,
        admin,
        issuer,
        observe,
        egress,
        audit: AuditSettings { keep },
        store_url,
        api_keys,
        passwords,
        issuers,
        sessions,
        signing,
        // of the other sections
        jwt: _,
        plans,
        upstreams,
        routes,
    } = settings;
    let mut plans: Vec<_> = plans.iter().collect();
    plans.sort_by_key(|(name, _)| name.as_str());
    let plan = |(name, limit): (&countersign_core::check::limit::PlanName, &_)| {
        let mut plan = object([("name", json!(name.as_str()))]);
        plan.extend(rate(limit));
        Value::Object(plan)
    };
    table([
        ("gateway", gateway_table(gateway)),
        ("issuer", issuer.as_ref().map_or(Value::Null, issuer_table)),
        ("admin", admin_table(admin)),
        ("observe", observe_table(observe)),
        ("egress", egress_table(egress)),
        ("audit", table([("keep", keep.map_or(Value::Null, |keep| json!(show_duration(keep))))])),
        ("store", json!({ "url": masked_url(&store_url.0) })),
        ("api_keys", api_keys_table(api_keys)),
        ("passwords", passwords_table(passwords)),
        ("issuers", none_if_empty(issuers.iter().map(external_issuer).collect())),
        ("sessions", sessions.as_ref().map_or(Value::Null, sessions_table)),
        ("signing", signing_table(signing)),
        ("plans", plans.into_iter().map(plan).collect()),
        ("upstreams", upstreams.iter().map(upstream).collect()),
        ("routes", routes.iter().map(route).collect()),
    ])
}

/// Members without a value are left out.
fn table<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(object(members))
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let said = |(name, value): (&str, Value)| (!value.is_null()).then(|| (name.to_owned(), value));
    members.into_iter().filter_map(said).collect()
}

fn gateway_table(gateway: &GatewaySettings) -> Value {
    let GatewaySettings { url, listeners, workers, identity, timeouts, limits, revoke_exposed, blind_after } =
        gateway;
    let mut all = Timeouts::default();
    all.connect = timeouts.connect.unwrap_or(all.connect);
    all.first_byte = timeouts.first_byte.unwrap_or(all.first_byte);
    let all = timeouts.listeners.over(all);
    let granted = limits.over(Limits::default());
    table([
        ("url", json!(url.as_deref())),
        ("workers", json!(workers)),
        ("revoke_exposed", json!(revoke_exposed)),
        ("blind_after", json!(time(*blind_after))),
        ("identity", json!(preset(*identity))),
        (
            "limits",
            json!({
                "connections": granted.connections, "head": granted.head.head, "fields": granted.head.fields,
                "body": granted.body, "streams": granted.streams,
            }),
        ),
        (
            "timeouts",
            json!({
                "connect": time(all.connect), "first_byte": time(all.first_byte),
                "tls_handshake": time(all.tls_handshake), "head": time(all.head), "idle": time(all.idle),
                "body": time(all.body), "connection_age": time(all.connection_age),
            }),
        ),
        ("listeners", listeners.iter().map(listener).collect()),
    ])
}

fn preset(identity: IdentityPreset) -> &'static str {
    match identity {
        IdentityPreset::Countersign => "countersign",
        IdentityPreset::OAuth2Proxy => "oauth2-proxy",
        IdentityPreset::Authelia => "authelia",
        IdentityPreset::Consumer => "consumer",
        IdentityPreset::ClientCert => "client-cert",
        IdentityPreset::Xfcc => "xfcc",
    }
}

fn listener(listener: &ListenerSettings) -> Value {
    let ListenerSettings { listen, tls, proxy_protocol, trusted, limits, timeouts } = listener;
    let ListenerLimits { connections, head, fields, body, streams } = *limits;
    let limits = object([
        ("connections", json!(connections)),
        ("head", json!(head)),
        ("fields", json!(fields)),
        ("body", json!(body)),
        ("streams", json!(streams)),
    ]);
    let ListenerTimeouts { tls_handshake, head, idle, body, connection_age } = *timeouts;
    let maybe = |duration: Option<Duration>| json!(duration.map(time));
    let timeouts = object([
        ("tls_handshake", maybe(tls_handshake)),
        ("head", maybe(head)),
        ("idle", maybe(idle)),
        ("body", maybe(body)),
        ("connection_age", maybe(connection_age)),
    ]);
    let mode = match listen {
        ListenAddress::Unix(unix) => json!(format!("{:04o}", unix.mode)),
        ListenAddress::Tcp(_) => Value::Null,
    };
    let entry = |Trusted { peers, headers }: &Trusted| {
        let headers: Vec<_> = headers.iter().map(|header| forwarded(*header)).collect();
        json!({ "networks": networks(peers), "headers": headers })
    };
    let own =
        |members: Map<String, Value>| if members.is_empty() { Value::Null } else { Value::Object(members) };
    table([
        ("listen", words(listen)),
        ("mode", mode),
        ("tls", tls.as_ref().map_or(Value::Null, several)),
        ("proxy_protocol", none_if_empty(networks(proxy_protocol))),
        ("trusted", none_if_empty(trusted.iter().map(entry).collect())),
        ("limits", own(limits)),
        ("timeouts", own(timeouts)),
    ])
}

fn forwarded(header: ForwardedHeader) -> &'static str {
    match header {
        ForwardedHeader::For => "x-forwarded-for",
        ForwardedHeader::Proto => "x-forwarded-proto",
        ForwardedHeader::RequestId => "x-request-id",
    }
}

fn networks(Peers { networks, unix }: &Peers) -> Value {
    let unix = unix.then(|| json!("unix"));
    networks.iter().map(words).chain(unix).collect()
}

/// Of a listener, which chooses.
fn several(TlsSettings { certificates }: &TlsSettings) -> Value {
    let one = |CertificateSettings { certificate, key, default }: &CertificateSettings| json!({ "certificate": file(certificate), "key": file(key), "default": default });
    json!({ "certificates": certificates.iter().map(one).collect::<Vec<_>>() })
}

/// Of operators and the public face, which have one.
fn only(tls: Option<&TlsSettings>) -> Value {
    let first = tls.and_then(|tls| tls.certificates.first());
    first.map_or(Value::Null, |CertificateSettings { certificate, key, default: _ }| {
        json!({ "certificate": file(certificate), "key": file(key) })
    })
}

fn admin_table(AdminSettings { listen, tls, hosts, limit }: &AdminSettings) -> Value {
    let limit = format!("{}/{}", limit.quota, show_duration(limit.window));
    table([
        ("listen", words(listen)),
        ("tls", only(tls.as_ref())),
        ("hosts", json!(hosts)),
        ("limit", json!(limit)),
    ])
}

fn issuer_table(IssuerSettings { listen, url, tls }: &IssuerSettings) -> Value {
    table([("listen", words(listen)), ("url", json!(url)), ("tls", only(tls.as_ref()))])
}

fn observe_table(ObserveSettings { listen, tls, hosts, log, decisions, traces }: &ObserveSettings) -> Value {
    let log = match log {
        LogFormat::Auto => "auto",
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    let decisions = decisions.as_ref().map(|DecisionSettings { to, sample, refused }| {
        let mut secret = Value::Null;
        let to = match to {
            RecordTarget::Webhook(Webhook { url, secret: _ }) => {
                secret = json!(MASK);
                url.to_string()
            }
            RecordTarget::Stdout => "stdout".to_owned(),
            RecordTarget::File(file) => format!("file:{}", file.display()),
            RecordTarget::Syslog(socket) => format!("syslog:{}", socket.display()),
        };
        table([
            ("to", json!(to)),
            ("secret", secret),
            ("sample", json!(show_share(*sample))),
            ("refused", json!(show_share(*refused))),
        ])
    });
    let traces = traces
        .as_ref()
        .map(|TraceSettings { to, sample }| json!({ "to": to.as_str(), "sample": show_share(*sample) }));
    table([
        ("listen", listen.map_or(Value::Null, words)),
        ("tls", only(tls.as_ref())),
        // goes with a listener
        ("hosts", listen.map_or(Value::Null, |_| json!(hosts))),
        ("log", json!(log)),
        ("decisions", decisions.unwrap_or(Value::Null)),
        ("traces", traces.unwrap_or(Value::Null)),
    ])
}

fn egress_table(EgressSettings { allow, ca }: &EgressSettings) -> Value {
    if allow.is_empty() && ca.is_none() {
        return Value::Null;
    }
    let allow: Value = allow.iter().map(words).collect();
    table([("allow", allow), ("ca", ca.as_ref().map_or(Value::Null, |ca| json!(file(ca))))])
}

/// A URL as people know it again, without what opens anything.
fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{MASK}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let parameter = |parameter: &str| match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}={MASK}"),
        _ => parameter.to_owned(),
    };
    let query =
        query.map(|query| format!("?{}", query.split('&').map(parameter).collect::<Vec<_>>().join("&")));
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

fn api_keys_table(config: &ApiKeyConfig) -> Value {
    let ApiKeyConfig {
        word,
        environment,
        default_lifetime,
        max_lifetime,
        allow_never,
        realm,
        imported_prefixes,
    } = config;
    let environment = match environment {
        Environment::Live => "live",
        Environment::Test => "test",
    };
    json!({
        "word": word, "environment": environment, "default_lifetime": time(*default_lifetime),
        "max_lifetime": time(*max_lifetime), "allow_never": allow_never, "realm": realm,
        "imported_prefixes": imported_prefixes,
    })
}

/// As it was written, from what answers carry.
fn day(value: &http::HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let at = match text.strip_prefix('@') {
        Some(seconds) => jiff::Timestamp::from_second(seconds.parse().ok()?).ok()?,
        None => jiff::fmt::rfc2822::parse(text).ok()?.timestamp(),
    };
    Some(at.strftime("%Y-%m-%d").to_string())
}

fn passwords_table(PasswordSettings { config, threads, waiting, breached }: &PasswordSettings) -> Value {
    // word and realm are those of `[api_keys]`
    let BasicConfig { word: _, realm: _, argon2, policy, default_lifetime, max_lifetime } = config;
    table([
        ("min_length", json!(policy.least_alone)),
        ("refused", json!(policy.refused)),
        ("breached", json!(breached)),
        ("memory_kib", json!(argon2.memory_kib())),
        ("passes", json!(argon2.passes())),
        ("lanes", json!(argon2.lanes())),
        ("threads", json!(threads)),
        ("waiting", json!(waiting)),
        ("app_default_lifetime", json!(time(*default_lifetime))),
        ("app_max_lifetime", json!(time(*max_lifetime))),
    ])
}

fn sessions_table(sessions: &SessionConfig) -> Value {
    // the word is that of `[api_keys]`
    let SessionConfig { word: _, audiences, access, idle, absolute, grace, per_credential, jwt_cookie } =
        sessions;
    json!({
        "access_lifetime": time(*access), "idle": time(*idle), "absolute": time(*absolute), "per_credential": per_credential,
        "grace": or_none(*grace),
        "cookie": if *jwt_cookie { "jwt" } else { "session" },
        "audiences": audiences.iter().map(words).collect::<Value>(),
    })
}

fn signing_table(signing: &SigningConfig) -> Value {
    let SigningConfig { algorithms: _, times: KeyTimes { active, published, retired }, longest: _ } = signing;
    let algorithm =
        |purpose: &KeyPurpose| (purpose.as_str().to_owned(), json!(signing.algorithm(*purpose).name()));
    let mut members: Map<String, Value> = KeyPurpose::ALL.iter().map(algorithm).collect();
    members.extend(object([
        ("rotate_every", json!(time(*active))),
        ("publish_ahead", json!(time(*published))),
        ("retire_after", json!(time(*retired))),
    ]));
    Value::Object(members)
}

fn upstream(upstream: &UpstreamSettings) -> Value {
    let UpstreamSettings {
        name,
        urls,
        protocol,
        tls,
        limits,
        health,
        slow_start,
        upgrades,
        stream_idle,
        signed_identity,
        resource,
    } = upstream;
    let url = |url: &url::Url| words(url.as_str().trim_end_matches('/'));
    let (one, more) = match urls.as_slice() {
        [only] => (url(only), Value::Null),
        several => (Value::Null, several.iter().map(url).collect()),
    };
    let protocol = match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    };
    let UpstreamLimits { connections, queue, queue_time } = limits;
    let limits = table([
        ("connections", json!(connections)),
        ("queue", json!(queue)),
        ("queue_time", json!(time(*queue_time))),
    ]);
    let (ca, server_name) = match tls {
        Some(UpstreamTlsSettings { ca, server_name }) => {
            (file(ca), json!(server_name.as_ref().map(|name| name.to_str())))
        }
        None => (Value::Null, Value::Null),
    };
    let health =
        health.as_ref().map(|HealthCheck { path, every }| json!({ "path": path, "every": time(*every) }));
    table([
        ("name", json!(name)),
        ("url", one),
        ("urls", more),
        ("protocol", json!(protocol)),
        ("ca", ca),
        ("server_name", server_name),
        ("limits", limits),
        ("health", json!(health)),
        ("upgrades", json!(upgrades)),
        ("stream_idle", json!(time(*stream_idle))),
        ("signed_identity", json!(signed_identity)),
        // zero cannot be said, and is what nothing says
        ("slow_start", if slow_start.is_zero() { Value::Null } else { json!(time(*slow_start)) }),
        ("resource", json!(resource.as_deref())),
    ])
}

fn route(route: &Route) -> Value {
    let Route {
        name,
        host,
        path,
        methods,
        security,
        upstream,
        resource,
        presentation,
        limits,
        plan,
        cors,
        cache,
        forward_credential,
        preserve_host,
        strip_prefix,
        add_prefix,
    } = route;
    let methods = match methods {
        MethodSet::Any => Value::Null,
        MethodSet::Of(methods) => methods.iter().map(words).collect(),
    };
    let some = |prefix: &str| if prefix.is_empty() { Value::Null } else { json!(prefix) };
    let cache = match cache {
        CachePolicy::Private => "private",
        CachePolicy::Shared => "shared",
    };
    let limit = |RouteLimit { by, limit }: &RouteLimit| {
        let by = match by {
            LimitBy::Principal => "principal",
            LimitBy::Credential => "credential",
            LimitBy::Route => "route",
        };
        let mut members = object([("by", json!(by))]);
        members.extend(rate(limit));
        Value::Object(members)
    };
    let key = presentation.iter().find(|(method, _)| *method == MethodName::ApiKey);
    let key = key.map(|(_, MethodRule { header, query, keys_as_passwords, .. })| {
        table([
            ("header", json!(header.as_ref().map(http::HeaderName::as_str))),
            ("query", json!(query)),
            ("basic", json!(keys_as_passwords.then_some(true))),
        ])
    });
    let basic = presentation.iter().find(|(method, _)| *method == MethodName::Basic);
    let basic = basic.map(|(_, rule)| {
        let MethodRule { realm, asks_browsers, farewell, .. } = rule;
        let day = |name| farewell.iter().find(|(field, _)| *field == name).and_then(|(_, value)| day(value));
        table([
            ("realm", json!(realm)),
            ("browsers", json!(asks_browsers.then_some(true))),
            ("deprecated", json!(day(DEPRECATION))),
            ("sunset", json!(day(SUNSET))),
        ])
    });
    let jwt = presentation.iter().find(|(method, _)| *method == MethodName::Jwt);
    let jwt =
        jwt.map(|(_, MethodRule { cookies, sign_in, .. })| json!({ "cookies": cookies, "sign_in": sign_in }));
    let host = match host {
        HostPattern::Any => "*".to_owned(),
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    };
    table([
        ("name", words(name)),
        ("host", json!(host)),
        ("path", json!(path)),
        ("methods", methods),
        ("upstream", words(&upstream.0)),
        ("security", requirement(security)),
        ("api_key", json!(key)),
        ("basic", json!(basic)),
        ("jwt", json!(jwt)),
        ("limits", none_if_empty(limits.iter().map(limit).collect())),
        ("plan", json!(plan.as_ref().map(|plan| plan.as_str()))),
        ("resource", json!(resource.as_deref())),
        ("cache", json!(cache)),
        ("forward_credential", json!(forward_credential)),
        ("preserve_host", json!(preserve_host)),
        ("strip_prefix", some(strip_prefix)),
        ("add_prefix", some(add_prefix)),
        ("cors", cors.as_ref().map_or(Value::Null, cors_table)),
    ])
}

fn requirement(security: &SecurityRequirement) -> Value {
    let alternative = |Alternative(methods): &Alternative| {
        let one = |(method, scopes): &(MethodName, countersign_core::ScopeSet)| {
            let scopes: Value = scopes.iter().map(|scope| words(scope.as_str())).collect();
            (method.as_str().to_owned(), scopes)
        };
        Value::Object(methods.iter().map(one).collect())
    };
    match security {
        SecurityRequirement::Public => json!([]),
        SecurityRequirement::AnyOf(alternatives) => alternatives.iter().map(alternative).collect(),
    }
}

fn cors_table(cors: &Cors) -> Value {
    let Cors { origins, methods, headers, expose, credentials, max_age } = cors;
    let origins: Value = match origins {
        CorsOrigins::Any => json!(["*"]),
        CorsOrigins::Of(origins) => origins.iter().filter_map(|o| o.to_str().ok()).map(words).collect(),
    };
    table([
        ("origins", origins),
        ("methods", methods.iter().map(words).collect()),
        ("headers", headers.iter().map(words).collect()),
        ("expose", expose.iter().map(words).collect()),
        ("credentials", json!(credentials)),
        ("max_age", json!(time(*max_age))),
    ])
}

fn rate(limit: &countersign_core::check::limit::RateLimit) -> Map<String, Value> {
    object([("requests", json!(limit.quota)), ("per", json!(time(limit.window)))])
}

fn or_none(duration: Duration) -> Value {
    if duration.is_zero() { json!("0s") } else { json!(time(duration)) }
}

fn external_issuer(issuer: &ForeignIssuer) -> Value {
    let ForeignIssuer {
        name,
        issuer,
        keys,
        algorithms,
        audiences,
        typ,
        leeway,
        longest,
        stream_grace,
        claims: ClaimNames { subject, name: said, scopes: scope_claim, groups, client },
        scopes,
        scope_map,
        local,
    } = issuer;
    let keys = match keys {
        KeyOrigin::Discovery => json!(issuers::DISCOVERY),
        KeyOrigin::Url(url) => json!({ "url": url }),
        KeyOrigin::File(path) => json!({ "file": file(path) }),
        KeyOrigin::Secret(_) => json!({ "secret_file": MASK }),
    };
    let (typ, required_claim) = match typ {
        ExpectedTyp::AccessToken => (issuers::AT_JWT, Value::Null),
        ExpectedTyp::Jwt { absent_ok: false, required_claim } => (issuers::JWT, words(required_claim)),
        ExpectedTyp::Jwt { absent_ok: true, required_claim } => (issuers::JWT_OR_NONE, words(required_claim)),
    };
    let maybe = |path: &Option<ClaimPath>| path.as_ref().map_or(Value::Null, words);
    let claims = table([
        ("subject", words(subject)),
        ("name", maybe(said)),
        ("scopes", words(scope_claim)),
        ("groups", maybe(groups)),
        ("client", words(client)),
    ]);
    let scope_map: Map<String, Value> =
        scope_map.iter().map(|(word, scope)| (word.to_string(), words(scope))).collect();
    let local: Map<String, Value> =
        local.iter().map(|(subject, name)| (subject.to_string(), words(name))).collect();
    table([
        ("name", words(name)),
        ("issuer", json!(&**issuer)),
        ("jwks", keys),
        ("algorithms", algorithms.iter().map(|algorithm| json!(algorithm.name())).collect()),
        ("audiences", audiences.iter().map(words).collect()),
        ("typ", json!(typ)),
        ("required_claim", required_claim),
        ("leeway", or_none(*leeway)),
        ("longest", json!(time(*longest))),
        ("stream_grace", or_none(*stream_grace)),
        ("claims", claims),
        ("scopes", scopes.iter().map(words).collect()),
        ("scope_map", json!(scope_map)),
        ("local", json!(local)),
    ])
}

fn none_if_empty(list: Value) -> Value {
    if list.as_array().is_some_and(Vec::is_empty) { Value::Null } else { list }
}

fn words(value: impl Display) -> Value {
    Value::String(value.to_string())
}

fn file(path: &Path) -> Value {
    words(path.display())
}

fn time(duration: Duration) -> String {
    show_duration(duration)
}
