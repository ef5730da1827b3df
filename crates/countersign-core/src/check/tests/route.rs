//! RULES 2.2: the most specific pattern, then the method within it; and what may not be a route.

use crate::{
    MethodName, ScopeSet,
    authenticator::MethodRule,
    check::{
        limit::RateLimit,
        route::{
            Alternative, Cors, CorsOrigins, HostPattern, LimitBy, Matched, MethodSet, Route, RouteLimit,
            RouteTable, SecurityRequirement,
        },
    },
};
use http::{HeaderName, Method};
use std::time::Duration;

fn public(name: &str, host: &str, path: &str, methods: &[Method]) -> Route {
    let mut route = Route::new(path, "orders", SecurityRequirement::Public);
    route.name = name.into();
    route.host = match host.strip_prefix('*') {
        Some("") => HostPattern::Any,
        Some(suffix) => HostPattern::Below(suffix.into()),
        None => HostPattern::Exact(host.into()),
    };
    if !methods.is_empty() {
        route.methods = MethodSet::Of(methods.to_vec());
    }
    route
}

fn table(routes: &[(&str, &str)]) -> RouteTable {
    let named = |(host, path): &(&str, &str)| public(&format!("{host}{path}"), host, path, &[]);
    RouteTable::new(routes.iter().map(named).collect(), &[]).unwrap()
}

/// The name of the route, `405 ...`, or `404`.
fn found(table: &RouteTable, host: &str, path: &str, method: &Method) -> String {
    match table.find(host, path, method) {
        Matched::Route(route) => route.name.to_string(),
        Matched::MethodNotAllowed { allow } => {
            let allow: Vec<&str> = allow.iter().map(Method::as_str).collect();
            format!("405 {}", allow.join(","))
        }
        Matched::None => "404".into(),
    }
}

#[test]
fn rule_2_2_most_specific_path() {
    let table = table(&[
        ("*", "/"),
        ("*", "/orders"),
        ("*", "/orders/{id}"),
        ("*", "/orders/new"),
        ("*", "/orders/{id}/items/*"),
        ("*", "/orders/new/lines/{n}"),
        ("*", "/files/*"),
        ("*", "/files/{a}/{b}"),
        ("*", "/slash/"),
        ("*", "/{tenant}/audit"),
    ]);
    let rows = [
        ("/", "*/"),
        ("/orders", "*/orders"),
        ("/orders/7", "*/orders/{id}"),
        ("/orders/new", "*/orders/new"),
        // backtracking: `new` leads nowhere further, the parameter does
        ("/orders/new/items/1", "*/orders/{id}/items/*"),
        ("/orders/new/lines/1", "*/orders/new/lines/{n}"),
        ("/orders/7/lines/1", "404"),
        // any rest, an empty one included
        ("/orders/7/items/1/2/3", "*/orders/{id}/items/*"),
        ("/orders/7/items/", "*/orders/{id}/items/*"),
        ("/orders/7/items", "*/orders/{id}/items/*"),
        ("/files", "*/files/*"),
        ("/files/a", "*/files/*"),
        ("/files/a/b", "*/files/{a}/{b}"),
        ("/files/a/b/c", "*/files/*"),
        ("/orders/audit", "*/orders/{id}"),
        ("/acme/audit", "*/{tenant}/audit"),
        // a trailing slash leads to no wider pattern
        ("/orders/", "*/orders"),
        ("/orders/7/", "*/orders/{id}"),
        ("/slash", "*/slash/"),
        ("/slash/", "*/slash/"),
        // a parameter is never empty
        ("/x", "404"),
        ("/Orders", "404"),
    ];
    for (path, expected) in rows {
        assert_eq!(found(&table, "any.example", path, &Method::GET), expected, "{path}");
    }
}

/// M.2 rule 4: RFC 3986 calls `%40` and `@` two paths, upstreams call them one. An escape leads to no wider pattern.
#[test]
fn m2_4_an_escaped_delimiter_leads_to_no_wider_pattern() {
    let table = table(&[
        ("*", "/*"),
        ("*", "/@admin"),
        ("*", "/users:delete"),
        ("*", "/a!$&'()+,=b"),
        ("*", "/caf%C3%A9"),
        ("*", "/x%20y"),
    ]);
    let rows = [
        ("/@admin", "*/@admin"),
        ("/%40admin", "*/@admin"),
        ("/users%3Adelete", "*/users:delete"),
        ("/a%21%24%26%27%28%29%2B%2C%3Db", "*/a!$&'()+,=b"),
        ("/caf%C3%A9", "*/caf%C3%A9"),
        ("/x%20y", "*/x%20y"),
        ("/%40other", "*/*"),
    ];
    for (path, expected) in rows {
        assert_eq!(found(&table, "any.example", path, &Method::GET), expected, "{path}");
    }
}

/// Two spellings of one path are one pattern.
#[test]
fn m2_4_spellings_of_one_pattern_are_doubled_routes() {
    let routes = vec![public("one", "*", "/@a", &[]), public("two", "*", "/%40a", &[])];
    let errors = RouteTable::new(routes, &[]).unwrap_err();
    assert!(
        errors.iter().any(|e| e.field == "path" && e.message.contains("same host and pattern")),
        "{errors:?}"
    );
}

#[test]
fn rule_2_2_most_specific_host() {
    let table = table(&[
        ("api.example.com", "/a"),
        ("*.example.com", "/a"),
        ("*.example.com", "/b"),
        ("*.eu.example.com", "/a"),
        ("*", "/a"),
        ("*", "/c"),
        ("[::1]", "/a"),
    ]);
    let rows = [
        ("api.example.com", "/a", "api.example.com/a"),
        ("api.example.com", "/b", "*.example.com/b"),
        ("api.example.com", "/c", "*/c"),
        ("x.y.example.com", "/a", "*.example.com/a"),
        ("x.eu.example.com", "/a", "*.eu.example.com/a"),
        ("x.eu.example.com", "/b", "*.example.com/b"),
        // one label or more
        ("example.com", "/a", "*/a"),
        ("badexample.com", "/a", "*/a"),
        ("[::1]", "/a", "[::1]/a"),
        ("other", "/b", "404"),
    ];
    for (host, path, expected) in rows {
        assert_eq!(found(&table, host, path, &Method::GET), expected, "{host}{path}");
    }
}

#[test]
fn rule_2_2_the_method_chooses_within_the_pattern_and_never_in_a_wider_one() {
    let routes = vec![
        public("read", "*", "/orders/{id}", &[Method::GET]),
        public("write", "*", "/orders/{other}", &[Method::PUT, Method::DELETE]),
        public("all", "*", "/*", &[]),
        public("special", "*", "/mixed", &[Method::POST]),
        public("mixed", "*", "/mixed", &[]),
    ];
    let table = RouteTable::new(routes, &[]).unwrap();
    let rows = [
        ("/orders/7", Method::GET, "read"),
        ("/orders/7", Method::HEAD, "read"),
        ("/orders/7", Method::PUT, "write"),
        ("/orders/7", Method::POST, "405 DELETE,GET,HEAD,PUT"),
        ("/orders/7", Method::OPTIONS, "405 DELETE,GET,HEAD,PUT"),
        ("/orders/7/", Method::POST, "405 DELETE,GET,HEAD,PUT"),
        ("/other", Method::OPTIONS, "all"),
        ("/other", Method::from_bytes(b"PURGE").unwrap(), "all"),
        ("/mixed", Method::POST, "special"),
        ("/mixed", Method::GET, "mixed"),
        // refused everywhere
        ("/other", Method::TRACE, "405 DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT"),
        ("/other", Method::CONNECT, "405 DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT"),
    ];
    for (path, method, expected) in rows {
        assert_eq!(found(&table, "h", path, &method), expected, "{method} {path}");
    }
}

/// The field and a word of the message of every error.
fn errors(routes: Vec<Route>) -> Vec<(&'static str, String)> {
    RouteTable::new(routes, &[]).unwrap_err().into_iter().map(|e| (e.field, e.message)).collect()
}

#[test]
fn rule_2_2_path_and_host_grammar() {
    let paths = [
        "", "orders", "//", "/a//b", "/a/*/b", "/*a", "/{}", "/{1}", "/{a}{b}", "/a{b}", "/{a}/{a}", "/{a",
        "/a?b", "/a#b", "/%61", "/a/../b", "/.", "/a%2fb", "/a;b", "/a b", "/é", "/a\\b", "/**",
    ];
    for path in paths {
        let errors = errors(vec![public("r", "*", path, &[])]);
        assert_eq!(errors.iter().map(|e| e.0).collect::<Vec<_>>(), ["path"], "{path}: {errors:?}");
    }
    let deep = "/a".repeat(65);
    assert_eq!(errors(vec![public("r", "*", &deep, &[])])[0].0, "path");
    for host in [
        "",
        "Example.com",
        "example.com.",
        "example.com:80",
        "a@b",
        "*example.com",
        "*.",
        "*.Example.com",
        "[::1",
    ] {
        assert_eq!(errors(vec![public("r", host, "/", &[])])[0].0, "host", "{host}");
    }
}

#[test]
fn rule_2_2_two_routes_for_one_host_pattern_and_method() {
    let clash = |a: Route, b: Route| RouteTable::new(vec![a, b], &[]).err().map_or(0, |errors| errors.len());
    assert_eq!(clash(public("a", "*", "/x", &[]), public("b", "*", "/x", &[])), 1);
    assert_eq!(
        clash(public("a", "*", "/{x}", &[]), public("b", "*", "/{y}", &[])),
        1,
        "names make no difference"
    );
    let both = [Method::GET, Method::PUT];
    assert_eq!(
        clash(public("a", "*", "/{x}/*", &both), public("b", "*", "/{y}/*", &both)),
        2,
        "each is named"
    );
    assert_eq!(clash(public("a", "h.example", "/x", &[]), public("b", "*", "/x", &[])), 0);
    assert_eq!(clash(public("a", "*", "/x", &[Method::GET]), public("b", "*", "/x", &[Method::PUT])), 0);
    assert_eq!(clash(public("a", "*", "/x", &[]), public("a", "*", "/y", &[])), 1, "names are unique");
}

#[test]
fn rule_2_2_methods_that_no_route_may_list() {
    let rows: &[&[Method]] =
        &[&[Method::HEAD], &[Method::TRACE], &[Method::CONNECT], &[Method::GET, Method::GET]];
    for methods in rows {
        assert_eq!(errors(vec![public("r", "*", "/", methods)])[0].0, "methods", "{methods:?}");
    }
    let mut none = public("r", "*", "/", &[]);
    none.methods = MethodSet::Of(Vec::new());
    assert_eq!(errors(vec![none])[0].0, "methods");
}

/// RULES 2.1: a requirement that can never be met, or always is, does not get in.
#[test]
fn rule_2_1_requirements_that_are_mistakes() {
    use MethodName::{ApiKey, Basic, Jwt, OAuth};
    let rows: &[&[&[MethodName]]] = &[
        &[],
        &[&[]],
        &[&[ApiKey], &[]],
        &[&[OAuth, Jwt]],
        &[&[Jwt, Basic]],
        &[&[ApiKey, OAuth, Basic]],
        &[&[ApiKey, ApiKey]],
    ];
    for alternatives in rows {
        let of = |methods: &&[MethodName]| {
            Alternative(methods.iter().map(|m| (*m, ScopeSet::default())).collect())
        };
        let requirement = SecurityRequirement::AnyOf(alternatives.iter().map(of).collect());
        let errors = errors(vec![Route::new("/", "orders", requirement)]);
        assert_eq!(
            errors.iter().map(|e| e.0).collect::<Vec<_>>(),
            ["security"],
            "{alternatives:?}: {errors:?}"
        );
    }
}

#[test]
fn other_mistakes_all_in_one_pass() {
    let mut route = public("r", "Bad.Host", "bad", &[Method::TRACE]);
    route.presentation = vec![
        (
            MethodName::ApiKey,
            MethodRule {
                header: Some(HeaderName::from_static("authorization")),
                query: None,
                ..MethodRule::DEFAULT
            },
        ),
        (MethodName::ApiKey, MethodRule { header: None, query: Some("".into()), ..MethodRule::DEFAULT }),
    ];
    let limit = RateLimit { quota: 0, window: Duration::from_secs(1) };
    route.limits = vec![RouteLimit { by: LimitBy::Route, limit }];
    route.cors = Some(Cors {
        origins: CorsOrigins::Any,
        methods: Vec::new(),
        headers: Vec::new(),
        expose: Vec::new(),
        credentials: true,
        max_age: Duration::ZERO,
    });
    let fields: Vec<&str> = errors(vec![route]).into_iter().map(|e| e.0).collect();
    let all = ["host", "methods", "presentation", "presentation", "presentation", "limits", "cors", "path"];
    assert_eq!(fields, all);
}

/// A login where no session counts would be asked for again and again.
#[test]
fn sessions_are_for_jwt_and_logins_for_sessions() {
    let rule = |cookies, sign_in| MethodRule { cookies, sign_in, ..MethodRule::DEFAULT };
    for (method, rule, wrong) in [
        (MethodName::Jwt, rule(true, true), 0),
        (MethodName::Jwt, rule(true, false), 0),
        (MethodName::Jwt, rule(false, true), 1),
        (MethodName::Basic, rule(true, false), 1),
        (MethodName::ApiKey, rule(true, true), 1),
        (MethodName::OAuth, rule(false, true), 2),
    ] {
        let mut route = public("r", "*", "/", &[]);
        route.presentation = vec![(method, rule.clone())];
        let found = RouteTable::new(vec![route], &[]).err().unwrap_or_default();
        assert_eq!(found.len(), wrong, "{method:?} {rule:?}: {found:?}");
        assert!(found.iter().all(|error| error.field == "presentation"), "{found:?}");
    }
}

/// RULES 3.6: however it is written.
#[test]
fn rule_3_6_what_is_ours() {
    for (pattern, expected) in [
        ("/.countersign", true),
        ("/.countersign/", true),
        ("/.countersign/*", true),
        ("/.countersign/session/login", true),
        ("/.countersign/{any}", true),
        ("/%2ecountersign/*", true),
        ("/%2E%63ountersign", true),
        ("/.countersign.txt", false),
        ("/.countersigns", false),
        ("/countersign", false),
        ("/a/.countersign", false),
        // wider: what is ours goes first
        ("/{any}/session", false),
        ("/*", false),
        ("/", false),
    ] {
        assert_eq!(crate::check::route::is_reserved(pattern), expected, "{pattern}");
    }
}

/// 10,000 routes: every one of them is found, and so is none for what is beside them.
#[test]
fn rule_2_2_ten_thousand_routes() {
    let mut routes = Vec::new();
    for n in 0..10_000 {
        let path = match n % 4 {
            0 => format!("/s{n}"),
            1 => format!("/s{n}/{{id}}"),
            2 => format!("/v{}/s{n}/{{id}}/items/*", n % 7),
            _ => format!("/{{tenant}}/s{n}"),
        };
        let host = if n % 3 == 0 { format!("h{}.example", n % 50) } else { "*".into() };
        routes.push(public(&format!("r{n}"), &host, &path, &[]));
    }
    let table = RouteTable::new(routes, &[]).unwrap();
    assert_eq!(table.routes().len(), 10_000);
    for (n, route) in table.routes().iter().enumerate() {
        let host = match &route.host {
            HostPattern::Exact(host) => host.to_string(),
            _ => "other.example".into(),
        };
        let path = route.path.replace("{id}", "7").replace("{tenant}", "acme").replace('*', "a/b");
        assert_eq!(found(&table, &host, &path, &Method::GET), format!("r{n}"), "{path}");
        assert_eq!(
            found(&table, &host, &format!("{path}x/y/z/{n}"), &Method::GET).as_str() == "404",
            n % 4 != 2
        );
    }
}
