use super::{SMALL, problems, read, signed_in};
use countersign_core::{MethodName, MethodRule, check::route::Route};

const URL: &str = "url = \"https://api.example.com\"\n";
/// One whose tokens are believed.
const OTHERS: &str = "\n[[issuers]]\nname = \"staff\"\nissuer = \"https://idp.example.com\"\naudiences = [\"https://api.example.com\"]\n";

/// With `lines` in the only route.
fn with(lines: &str) -> String {
    signed_in().replace("methods =", &format!("{lines}\nmethods ="))
}

fn route(text: &str) -> Route {
    read(text).unwrap().routes.remove(0)
}

fn shown(text: &str) -> Option<(bool, bool)> {
    let route = route(text);
    let rule = route.presentation.iter().find(|(method, _)| *method == MethodName::Jwt);
    rule.map(|(_, rule)| {
        let (cookies, sign_in) = (rule.cookies, rule.sign_in);
        assert_eq!(*rule, MethodRule { cookies, sign_in, ..MethodRule::DEFAULT });
        (cookies, sign_in)
    })
}

#[test]
fn where_people_sign_in_their_cookie_counts_unless_a_route_says_otherwise() {
    for (lines, expected) in [
        ("", (true, true)),
        ("jwt = {}", (true, true)),
        ("jwt = { cookies = true }", (true, true)),
        ("jwt = { sign_in = false }", (true, false)),
        ("jwt = { cookies = false }", (false, false)),
        ("jwt = { cookies = false, sign_in = false }", (false, false)),
        ("jwt = { cookies = true, sign_in = true }", (true, true)),
    ] {
        assert_eq!(shown(&with(lines)), Some(expected), "{lines}");
        // what stands in the cookie changes nothing here
        assert_eq!(shown(&format!("{}cookie = \"jwt\"\n", with(lines))), Some(expected), "{lines}");
    }
    let unnamed = signed_in().replace("{ jwt = [\"orders:read\"] }", "{ api_key = [] }");
    assert_eq!(shown(&format!("{unnamed}audiences = [\"https://api.example.com\"]\n")), None);
    assert_eq!(shown(SMALL), None);
}

#[test]
fn other_methods_of_the_route_are_shown_as_they_are() {
    let mixed = with("api_key = { header = \"x-key\", basic = true }\nbasic = { realm = \"Orders\" }")
        .replace("[{ jwt", "[{ api_key = [] }, { basic = [] }, { jwt");
    let route = route(&mixed);
    let methods: Vec<_> = route.presentation.iter().map(|(method, _)| *method).collect();
    assert_eq!(methods, [MethodName::ApiKey, MethodName::Basic, MethodName::Jwt]);
    assert!(route.rule(MethodName::ApiKey).header.is_some() && route.rule(MethodName::Jwt).cookies);
    assert_eq!(route.rule(MethodName::Basic).realm.as_deref(), Some("Orders"));
}

#[test]
fn a_named_requirement_names_it_too() {
    let named = signed_in().replace("[{ jwt = [\"orders:read\"] }]", "\"people\"");
    let named = named.replace("[issuer]", "[security]\npeople = [{ jwt = [] }]\n\n[issuer]");
    assert_eq!(shown(&named), Some((true, true)));
}

/// RULES 1.5: the route's own, its upstream's, that of the gateway.
#[test]
fn rules_1_5_the_nearest_resource_counts() {
    assert_eq!(route(&signed_in()).resource.as_deref(), Some("https://api.example.com"));
    let upstream =
        signed_in().replace("127.0.0.1:3000\"", "127.0.0.1:3000\"\nresource = \"https://o.example\"");
    assert_eq!(route(&upstream).resource.as_deref(), Some("https://o.example"));
    let own = upstream.replace("methods =", "resource = \"https://own.example\"\nmethods =");
    assert_eq!(route(&own).resource.as_deref(), Some("https://own.example"));
    let settings = read(&signed_in()).unwrap();
    assert_eq!(settings.gateway.url.as_deref(), Some("https://api.example.com"));
    assert_eq!(settings.upstreams[0].resource.as_deref(), Some("https://api.example.com"));
    let small = read(SMALL).unwrap();
    assert!(small.gateway.url.is_none() && small.routes[0].resource.is_none());
}

#[test]
fn what_no_token_could_satisfy_is_an_error() {
    let no_sessions = SMALL.replace("api_key", "jwt");
    let nobody = "routes[0].security: names `jwt`, and nobody's tokens are believed: add `[sessions]`, so that people \
                  sign in here, or `[[issuers]]`, for tokens that others sign";
    let no_resource = "routes[0].resource: is missing: without it no token is for this route; say it here, on the \
                       upstream, or for all of them with `url` of `[gateway]`";
    let elsewhere = "routes[0].resource: `https://api.example.com` is not among `audiences` of `[sessions]`";
    for (text, expected) in [
        (no_sessions.clone(), format!("13 {nobody}")),
        (format!("issuers = []\n{no_sessions}"), format!("14 {nobody}")),
        (signed_in().replace(URL, ""), format!("9 {no_resource}")),
        (format!("{}audiences = [\"https://b.example\"]\n", signed_in()), format!("10 {elsewhere}")),
        (
            with("jwt = { sign_in = true, cookies = false }"),
            "12 routes[0].jwt.sign_in: goes with `cookies`: signing in sets one".into(),
        ),
        (
            with("jwt = { cookie = true }"),
            "12 routes[0].jwt.cookie: no such key; did you mean `cookies`?".into(),
        ),
        (with("jwt = { cookies = \"yes\" }"), "12 routes[0].jwt.cookies: must be true or false".into()),
        (with("jwt = true"), "12 routes[0].jwt: must be a table, not true or false".into()),
        (
            format!("{}audiences = [\"https://a.example\"]\n", with("jwt = {}"))
                .replace("{ jwt =", "{ api_key ="),
            "12 routes[0].jwt: says how `jwt` is shown here, and `security` does not name it".into(),
        ),
    ] {
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{expected}\n{found:?}");
    }
}

/// Of what could not be read nothing follows.
#[test]
fn what_cannot_be_read_is_said_once() {
    for (text, expected) in [
        (
            signed_in().replace("url = \"https://api", "url = \"http://api"),
            "3 gateway.url: `http://api.example.com` is not",
        ),
        (with("resource = \"a\""), "12 routes[0].resource: `a` is not a URL"),
        (
            signed_in().replace(URL, "").replace("127.0.0.1:3000\"", "127.0.0.1:3000\"\nresource = \"a\""),
            "8 upstreams[0].resource: `a` is not a URL",
        ),
        (format!("{}audiences = [\"a\"]\n", signed_in()), "21 sessions.audiences[0]: `a` is not a URL"),
    ] {
        let found = problems(&text);
        assert!(
            found.len() == 1 && found[0].contains(expected.split_once(' ').unwrap().1),
            "{expected}\n{found:?}"
        );
    }
}

/// Tokens of others come in the header alone.
#[test]
fn a_cookie_is_of_a_session_of_ours() {
    let others = |lines: &str| {
        let text = SMALL.replace("api_key", "jwt").replacen("]\n", &format!("]\n{URL}"), 1);
        format!("{}{OTHERS}", text.replace("methods =", &format!("{lines}\nmethods =")))
    };
    let of_route = |text: &str| -> Vec<String> {
        let found = match read(text) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect(),
        };
        found.into_iter().filter(|problem| problem.starts_with("routes")).collect()
    };
    for lines in ["", "jwt = {}", "jwt = { cookies = false, sign_in = false }"] {
        assert!(of_route(&others(lines)).is_empty(), "{lines}");
    }
    for (key, more) in [("cookies", ", sign_in = false"), ("sign_in", ", cookies = false")] {
        let found = of_route(&others(&format!("jwt = {{ {key} = true{more} }}")));
        let expected = format!("routes[0].jwt.{key}: goes with `[sessions]`, which is missing");
        assert_eq!(found.first(), Some(&expected), "{found:?}");
    }
    // a session that is not for this route signs nobody in to it
    let elsewhere =
        format!("{}audiences = [\"https://b.example\"]\n{OTHERS}", with("jwt = { cookies = true }"));
    let found = of_route(&elsewhere);
    assert_eq!(found, ["routes[0].jwt.cookies: goes with a `resource` among `audiences` of `[sessions]`"]);
}
