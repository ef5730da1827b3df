//! What the upstream sees of the path: fixed when the route is read, and as canonical as what was judged (RULES 2.3).

use crate::check::{
    path::{canonical_target, is_canonical},
    route::{Route, RouteTable, SecurityRequirement},
};
use http::uri::PathAndQuery;
use proptest::prelude::*;

fn route(path: &str, strip: &str, add: &str) -> Route {
    let mut route = Route::new(path, "api", SecurityRequirement::Public);
    (route.strip_prefix, route.add_prefix) = (strip.into(), add.into());
    route
}

fn seen(path: &str, strip: &str, add: &str, judged: &str) -> String {
    let judged = PathAndQuery::try_from(judged).unwrap();
    route(path, strip, add).upstream_target(&judged).unwrap().to_string()
}

#[test]
fn the_upstream_sees_the_rest_behind_what_is_added() {
    for (path, strip, add, judged, expected) in [
        ("/api/*", "", "", "/api/a?b", "/api/a?b"),
        ("/api/*", "/api", "", "/api/a/b?c=d", "/a/b?c=d"),
        ("/api/*", "/api", "", "/api/", "/"),
        ("/api/*", "/api", "", "/api", "/"),
        ("/api/*", "/api", "", "/api?a", "/?a"),
        ("/api/*", "/api", "/v2", "/api/a/", "/v2/a/"),
        ("/api/*", "/api", "/v2/x", "/api", "/v2/x"),
        ("/api/*", "/api", "/v2", "/api/?", "/v2/?"),
        ("/api/*", "", "/v2", "/api/a", "/v2/api/a"),
        ("/api/v1/{id}", "/api/v1", "", "/api/v1/7", "/7"),
        ("/api/v1/{id}", "/api", "/in", "/api/v1/7", "/in/v1/7"),
        ("/*", "", "/v2", "/", "/v2/"),
    ] {
        assert_eq!(seen(path, strip, add, judged), expected, "{path} -{strip} +{add} {judged}");
    }
}

#[test]
fn prefixes_that_could_lead_elsewhere_are_refused() {
    let long = format!("/{}", "a".repeat(1024));
    for (path, strip, add, field) in [
        ("/api/*", "/ap", "", "strip_prefix"),
        ("/api/*", "/API", "", "strip_prefix"),
        ("/api/*", "/api/v1", "", "strip_prefix"),
        ("/api/*", "/other", "", "strip_prefix"),
        ("/api/*", "/api/", "", "strip_prefix"),
        ("/api/*", "api", "", "strip_prefix"),
        ("/api/{id}", "/api/{id}", "", "strip_prefix"),
        ("/api/*", "/api/*", "", "strip_prefix"),
        ("/api/*", "/", "", "strip_prefix"),
        ("/api/*", "", "/", "add_prefix"),
        ("/api/*", "", "v2", "add_prefix"),
        ("/api/*", "", "/v2/", "add_prefix"),
        ("/api/*", "", "/a//b", "add_prefix"),
        ("/api/*", "", "/../a", "add_prefix"),
        ("/api/*", "", "/a/..", "add_prefix"),
        ("/api/*", "", "/a/.", "add_prefix"),
        ("/api/*", "", "/%2e%2e", "add_prefix"),
        ("/api/*", "", "/a%2fb", "add_prefix"),
        ("/api/*", "", "/a?b", "add_prefix"),
        ("/api/*", "", "/a#b", "add_prefix"),
        ("/api/*", "", "/a b", "add_prefix"),
        ("/api/*", "", "/a;b", "add_prefix"),
        ("/api/*", "", "/{id}", "add_prefix"),
        ("/api/*", "", "http://x/a", "add_prefix"),
        ("/api/*", "", &long, "add_prefix"),
    ] {
        let errors = RouteTable::new(vec![route(path, strip, add)], &[]).unwrap_err();
        assert!(errors.iter().any(|e| e.field == field), "{path} -{strip} +{add}: {errors:?}");
    }
    for (path, strip, add) in [("/api/*", "/api", "/v2"), ("/api", "/api", ""), ("/a/b/{c}", "/a/b", "/x/y")]
    {
        RouteTable::new(vec![route(path, strip, add)], &[]).unwrap();
    }
}

proptest! {
    #[test]
    fn rule_2_3_what_comes_out_is_canonical_again(
        rest in "(/[a-zA-Z0-9%._~;:@-]{0,6}){0,5}",
        query in proptest::option::of("[a-z=&/.%0-9]{0,12}"),
        strip in proptest::sample::select(vec!["", "/api", "/api/v1"]),
        add in proptest::sample::select(vec!["", "/v2", "/v2/deep"]),
    ) {
        let query = query.map(|q| format!("?{q}")).unwrap_or_default();
        let Ok(asked) = PathAndQuery::try_from(format!("/api/v1{rest}{query}")) else { return Ok(()) };
        let Ok(judged) = canonical_target(&asked) else { return Ok(()) };
        // what `..` led out of the pattern is another route's
        prop_assume!(judged.path() == "/api/v1" || judged.path().starts_with("/api/v1/"));
        let seen = route("/api/v1/*", strip, add).upstream_target(&judged).unwrap();
        prop_assert!(is_canonical(&seen), "{judged} -> {seen}");
        prop_assert_eq!(seen.query(), judged.query());
        let kept = judged.path().strip_prefix(strip).unwrap();
        let whole = format!("{add}{kept}");
        prop_assert_eq!(seen.path(), if whole.is_empty() { "/" } else { &whole });
    }
}
