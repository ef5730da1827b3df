//! RULES 4.5: a reload that opens a route says which, and what.

use crate::{
    MethodName, MethodRule, ScopeSet,
    check::{
        limit::RateLimit,
        route::{
            Alternative, CachePolicy, Cors, CorsOrigins, Difference, HostPattern, LimitBy, MethodSet, Route,
            RouteLimit, RouteTable, SecurityRequirement,
        },
    },
};
use http::Method;
use std::time::Duration;

fn keys(scopes: &str) -> SecurityRequirement {
    SecurityRequirement::AnyOf(vec![key(scopes)])
}

fn key(scopes: &str) -> Alternative {
    Alternative(vec![(MethodName::ApiKey, ScopeSet::parse(scopes).unwrap())])
}

fn route(path: &str, security: SecurityRequirement) -> Route {
    Route::new(path, "api", security)
}

fn with(path: &str, scopes: &str, change: impl FnOnce(&mut Route)) -> Route {
    let mut route = route(path, keys(scopes));
    change(&mut route);
    route
}

fn get(route: &mut Route) {
    route.methods = MethodSet::Of(vec![Method::GET]);
}

fn difference(before: Vec<Route>, after: Vec<Route>) -> Difference {
    let table = |routes| RouteTable::new(routes, &[]).unwrap();
    Difference::between(&table(before), &table(after))
}

/// `name: what (at, at)`.
fn opened(before: Vec<Route>, after: Vec<Route>) -> Vec<String> {
    let said = difference(before, after).opened;
    said.iter().map(|o| format!("{}: {} ({})", o.route.name, o.what, o.at.join(", "))).collect()
}

#[track_caller]
fn opens(before: Route, after: Route, what: &str) {
    let found = opened(vec![before.clone()], vec![after.clone()]);
    assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
    let back: Vec<String> = opened(vec![after], vec![before]);
    assert!(back.is_empty(), "the other way it is narrower: {back:?}");
}

#[test]
fn what_is_said_of_a_route() {
    let plain = || with("/a", "read", |_| {});
    opens(plain(), route("/a", SecurityRequirement::Public), "is public");
    opens(plain(), with("/a", "", |_| {}), "lets in whoever has `api_key` with any scope");
    opens(with("/a", "read write", |_| {}), plain(), "lets in whoever has `api_key` with `read`");
    let more = SecurityRequirement::AnyOf(vec![key("read"), key("admin")]);
    opens(plain(), route("/a", more), "lets in whoever has `api_key` with `admin`");
    let query = MethodRule { header: None, query: Some("token".into()), ..MethodRule::DEFAULT };
    opens(
        plain(),
        with("/a", "read", |r| r.presentation = vec![(MethodName::ApiKey, query)]),
        "from the query parameter `token`",
    );
    let session = MethodRule { cookies: true, ..MethodRule::DEFAULT };
    let jwt = || {
        let needs = Alternative(vec![(MethodName::Jwt, ScopeSet::default())]);
        route("/a", SecurityRequirement::AnyOf(vec![needs]))
    };
    let with_session = Route { presentation: vec![(MethodName::Jwt, session)], ..jwt() };
    opens(jwt(), with_session, "takes the session cookie");
    opens(plain(), with("/a", "read", |r| r.forward_credential = true), "shows the credential");
    opens(plain(), with("/a", "read", |r| r.cache = CachePolicy::Shared), "shared caches");
    opens(
        with("/a", "read", get),
        plain(),
        "answers more than it did (POST,PUT,PATCH,DELETE,OPTIONS,ANY-OTHER /a)",
    );
    let wider = |r: &mut Route| {
        get(r);
        r.path = "/a/*".into();
    };
    let narrow = |r: &mut Route| {
        get(r);
        r.path = "/a/{id}".into();
    };
    opens(with("/a", "read", narrow), with("/a", "read", wider), "answers more than it did (GET /a/*)");
}

#[test]
fn who_may_ask_from_where() {
    let cors = |origins: CorsOrigins, credentials| {
        let cors = Cors {
            origins,
            methods: Vec::new(),
            headers: Vec::new(),
            expose: Vec::new(),
            credentials,
            max_age: Duration::ZERO,
        };
        with("/a", "read", |r| r.cors = Some(cors))
    };
    let of = |names: &[&'static str]| {
        CorsOrigins::Of(names.iter().map(|n| http::HeaderValue::from_static(n)).collect())
    };
    opens(with("/a", "read", |_| {}), cors(of(&["https://a"]), false), "pages of other origins");
    opens(cors(of(&["https://a"]), false), cors(of(&["https://a", "https://b"]), false), "more pages");
    opens(cors(of(&["https://a"]), false), cors(CorsOrigins::Any, false), "more pages");
    opens(cors(of(&["https://a"]), false), cors(of(&["https://a"]), true), "more pages");
}

#[test]
fn limits_that_go_or_rise() {
    let limited = |quota, seconds| {
        with("/a", "read", |r| {
            let limit = RateLimit { quota, window: Duration::from_secs(seconds) };
            r.limits = vec![RouteLimit { by: LimitBy::Principal, limit }];
        })
    };
    opens(limited(10, 60), with("/a", "read", |_| {}), "has a limit less");
    opens(limited(10, 60), limited(11, 60), "has a limit less, or a higher one");
    opens(limited(10, 60), limited(10, 59), "has a limit less, or a higher one");
}

/// What no route says of itself: who answers where it stood.
#[test]
fn a_narrow_route_that_goes_opens_what_a_wider_one_takes() {
    let wide = || route("/*", SecurityRequirement::Public);
    let found = difference(vec![with("/admin/*", "admin", |_| {}), wide()], vec![wide()]);
    assert_eq!(&*found.removed[0].route.name, "/admin/*");
    assert_eq!(found.removed[0].instead.as_ref().map(|route| &*route.name), Some("/*"));
    assert_eq!(found.opened.len(), 1, "{found:?}");
    assert_eq!(&*found.opened[0].route.name, "/*");
    assert!(found.opened[0].what.contains("is public, and asked"), "{found:?}");
    assert!(found.opened[0].at.iter().any(|at| at == "/admin/*"), "{found:?}");
}

#[test]
fn a_narrow_route_that_comes_may_open_too() {
    let wide = || with("/*", "read", |_| {});
    let found = opened(vec![wide()], vec![wide(), route("/health", SecurityRequirement::Public)]);
    assert!(found.len() == 1 && found[0].starts_with("/health: is public, and asked"), "{found:?}");
    // a host of its own hides what every host had
    let own = with("/a/*", "", |r| r.host = HostPattern::Exact("api.example".into()));
    let found = opened(vec![with("/a/b", "admin", |_| {})], vec![with("/a/b", "admin", |_| {}), own]);
    assert!(
        found.len() == 1 && found[0].contains("lets in whoever has `api_key` with any scope"),
        "{found:?}"
    );
    assert!(found[0].contains("/a/b"), "{found:?}");
}

#[test]
fn what_is_new_beside_the_others_opens_only_when_it_is_public() {
    let before = || vec![with("/a", "read", |_| {})];
    let after = |security| vec![with("/a", "read", |_| {}), route("/b", security)];
    let found = difference(before(), after(keys("read")));
    assert!(found.opened.is_empty() && found.removed.is_empty(), "{found:?}");
    assert_eq!(found.added.iter().map(|route| &*route.name).collect::<Vec<_>>(), ["/b"]);
    let found = opened(before(), after(SecurityRequirement::Public));
    assert!(found.len() == 1 && found[0].starts_with("/b: is public, where nothing answered"), "{found:?}");
}

#[test]
fn what_stays_says_nothing() {
    let routes = || {
        vec![
            with("/a/{id}", "read", get),
            route("/a/*", keys("write")),
            with("/", "read", |r| r.host = HostPattern::Below(".example".into())),
        ]
    };
    let found = difference(routes(), routes());
    assert!(found.opened.is_empty() && found.removed.is_empty() && found.added.is_empty(), "{found:?}");
    // another name, another upstream, another order: nothing that lets anybody in
    let mut other = routes();
    other.reverse();
    for route in &mut other {
        route.name = format!("the {}", route.name).into();
        route.upstream = upstream("elsewhere");
    }
    assert!(difference(routes(), other).opened.is_empty());
}

fn upstream(name: &str) -> crate::check::route::UpstreamName {
    crate::check::route::UpstreamName(name.into())
}

/// As many routes as anybody has are compared before anybody notices.
#[test]
fn many_routes_are_compared_by_what_each_says_of_itself() {
    let many = |scopes: &str| {
        let route = |n: usize| {
            with(&format!("/r{n}/{{id}}"), scopes, |r| {
                r.host = HostPattern::Exact(format!("h{}.example", n % 100).into());
            })
        };
        (0..5_000).map(route).collect::<Vec<_>>()
    };
    let found = difference(many("read"), many(""));
    assert_eq!(found.opened.len(), 5_000);
}

/// Where patterns cross: neither of them says by itself who answers there.
#[test]
fn what_two_patterns_have_in_common_is_asked_too() {
    let strict = || with("/users/{id}", "admin", |_| {});
    let public = || route("/{any}/health", SecurityRequirement::Public);
    let found = opened(vec![strict(), public()], vec![public()]);
    assert!(found.len() == 1 && found[0].starts_with("/{any}/health: is public, and asked"), "{found:?}");
    assert!(found[0].contains("(/users/health)"), "{found:?}");
    // and the rest of a wider one
    let wide = || route("/users/{id}/*", SecurityRequirement::Public);
    let narrow = || with("/users/me/keys/{key}", "admin", |_| {});
    let found = opened(vec![narrow(), wide()], vec![wide()]);
    assert!(found.len() == 1 && found[0].contains("(/users/me/keys/{key})"), "{found:?}");
    // methods that no route lists
    let every = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let every = every.iter().map(|name| Method::from_bytes(name.as_bytes()).unwrap()).collect();
    let listed = with("/a", "read", |r| r.methods = MethodSet::Of(every));
    let found = opened(vec![listed], vec![with("/a", "read", |_| {})]);
    assert!(found.len() == 1 && found[0].contains("(ANY-OTHER /a)"), "{found:?}");
}

/// Whatever tables there are: a request that is let in now and was not is among what was said.
#[test]
fn nothing_opens_unsaid() {
    let mut patterns = Vec::new();
    for first in ["a", "b", "{x}"] {
        patterns.push(format!("/{first}"));
        patterns.extend(["a", "b", "{y}", "*", "{y}/d"].map(|second| format!("/{first}/{second}")));
    }
    patterns.push("/*".to_owned());
    // every other subset of a few of them, by a walk that repeats itself after all of them
    let table = |seed: usize| -> Vec<Route> {
        let bit = |n: usize| (seed.wrapping_mul(2_654_435_761) >> (n % 31)) & 3;
        let chosen = patterns.iter().enumerate().filter(|(n, _)| bit(*n) > 0);
        chosen
            .map(|(n, path)| match bit(n) {
                1 => route(path, SecurityRequirement::Public),
                2 => with(path, "read", |_| {}),
                _ => with(path, "admin", |_| {}),
            })
            .collect()
    };
    let strictness = |table: &RouteTable, path: &str| match table.find("h", path, &Method::GET) {
        crate::check::route::Matched::Route(route) => match &route.security {
            SecurityRequirement::Public => 0,
            SecurityRequirement::AnyOf(any)
                if any[0].0[0].1.contains(&crate::Scope::parse("read").unwrap()) =>
            {
                1
            }
            SecurityRequirement::AnyOf(_) => 2,
        },
        _ => 3,
    };
    let segments = ["a", "b", "c"];
    let mut asked = vec![];
    for first in segments {
        asked.push(format!("/{first}"));
        for second in segments {
            asked.push(format!("/{first}/{second}"));
            asked.push(format!("/{first}/{second}/d"));
        }
    }
    let mut openings = 0;
    for seed in 1..400 {
        let (before, after) = (table(seed), table(seed + 1));
        let said = difference(before.clone(), after.clone()).opened;
        let (before, after) = (RouteTable::new(before, &[]).unwrap(), RouteTable::new(after, &[]).unwrap());
        for path in &asked {
            let (was, is) = (strictness(&before, path), strictness(&after, path));
            // a way in with other scopes opens as one with fewer does; what answered nothing is said where it is public
            let opens = is == 0 && was > 0 || is < 3 && was < 3 && is != was && was > 0;
            if opens {
                openings += 1;
                let crate::check::route::Matched::Route(route) = after.find("h", path, &Method::GET) else {
                    panic!()
                };
                assert!(said.iter().any(|opened| opened.route.name == route.name), "{seed} {path}: {said:?}");
            }
        }
    }
    assert!(openings > 1000, "{openings}");
}
