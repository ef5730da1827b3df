//! The file as people write it, and everything that is wrong with it.

use super::*;

mod jwt;
mod sessions;
mod signing;

use countersign_core::check::route::{HostPattern, MethodSet, SecurityRequirement};
use std::time::Duration;

pub(super) fn read(text: &str) -> Result<Settings, ConfigError> {
    parse(Path::new("/etc/countersign/countersign.toml"), text, &Environment::default())
}

pub(super) fn problems(text: &str) -> Vec<String> {
    match read(text) {
        Ok(settings) => panic!("nothing wrong was found: {settings:?}"),
        Err(error) => {
            error.problems.iter().map(|p| format!("{} {}: {}", p.line, p.path, p.message)).collect()
        }
    }
}

pub(super) const SMALL: &str = r#"
[gateway]
listen = "127.0.0.1:8443"

[[upstreams]]
name = "orders"
url = "http://127.0.0.1:3000"

[[routes]]
path = "/orders/{id}"
methods = ["GET"]
upstream = "orders"
security = [{ api_key = ["orders:read"] }]
"#;

/// The smallest file whose people sign in.
pub(super) fn signed_in() -> String {
    let text = SMALL.replace("api_key", "jwt").replacen("]\n", "]\nurl = \"https://api.example.com\"\n", 1);
    format!(
        "{text}\n[issuer]\nlisten = \"127.0.0.1:8444\"\nurl = \"https://auth.example.com\"\n\n[sessions]\n"
    )
}

#[test]
fn the_smallest_file_has_every_default() {
    let settings = read(SMALL).unwrap();
    assert_eq!(settings.admin.listen, "127.0.0.1:8445".parse().unwrap());
    assert_eq!(settings.store_url.0, "sqlite:/etc/countersign/countersign.db");
    assert_eq!(settings.api_keys.default_lifetime, Duration::from_secs(90 * 86_400));
    let route = &settings.routes[0];
    assert_eq!(&*route.name, "GET /orders/{id}");
    assert_eq!(route.host, HostPattern::Any);
    assert_eq!(route.methods, MethodSet::Of(vec![http::Method::GET]));
    assert!(!route.forward_credential && !route.preserve_host);
    assert!(matches!(&route.security, SecurityRequirement::AnyOf(any) if any.len() == 1));
}

/// RULES 2.5: for how long a revocation may go unheard has an end.
#[test]
fn rules_2_5_blind_after_is_a_second_to_an_hour() {
    let with = |text: &str| SMALL.replace("[gateway]", &format!("[gateway]\nblind_after = \"{text}\""));
    assert_eq!(read(SMALL).unwrap().gateway.blind_after, Duration::from_secs(5));
    for (text, seconds) in [("1s", 1), ("5s", 5), ("90s", 90), ("1h", 3600)] {
        assert_eq!(read(&with(text)).unwrap().gateway.blind_after, Duration::from_secs(seconds), "{text}");
    }
    for text in ["999ms", "61m", "2h", "1d"] {
        assert_eq!(problems(&with(text)), ["3 gateway.blind_after: must be from 1s to 1h"], "{text}");
    }
    for text in ["never", "-1s", "0s", ""] {
        assert!(problems(&with(text))[0].starts_with("3 gateway.blind_after: "), "{text}");
    }
}

#[test]
fn a_missing_security_is_an_error_and_an_empty_list_is_a_public_route() {
    let without = SMALL.replace("security = [{ api_key = [\"orders:read\"] }]", "");
    let found = problems(&without);
    assert!(found.len() == 1 && found[0].starts_with("9 routes[0].security: is missing"), "{found:?}");
    let public = read(&SMALL.replace("[{ api_key = [\"orders:read\"] }]", "[]")).unwrap();
    assert_eq!(public.routes[0].security, SecurityRequirement::Public);
}

#[test]
fn rules_2_1_an_empty_alternative_is_an_error() {
    let found = problems(&SMALL.replace("{ api_key = [\"orders:read\"] }", "{ api_key = [] }, {}"));
    assert!(found.len() == 1 && found[0].starts_with("13 routes[0].security[1]: is empty"), "{found:?}");
}

#[test]
fn rules_2_1_security_may_come_from_a_named_default() {
    let named = SMALL.replace("[{ api_key = [\"orders:read\"] }]", "\"readers\"");
    let settings =
        read(&format!("{named}\n[security]\nreaders = [{{ api_key = [\"orders:read\"] }}]\n")).unwrap();
    assert!(matches!(&settings.routes[0].security, SecurityRequirement::AnyOf(any) if any.len() == 1));
    let found = problems(&format!("{named}\n[security]\nreader = []\n"));
    assert!(found[0].contains("did you mean `reader`?"), "{found:?}");
}

#[test]
fn everything_wrong_is_found_in_one_pass_with_its_line() {
    let found = problems(
        "[gateway]\nlisten = \"everywhere\"\nworker = 3\n\n[store]\nurl = \"mysql://root:secret@db/x\"\n\n\
         [[upstreams]]\nname = \"orders\"\nurl = \"http://u:p@127.0.0.1:3000/base\"\n\n\
         [[routes]]\npath = \"orders\"\nupstream = \"order\"\nsecurity = [{ api_keys = [] }]\n",
    );
    let starts = [
        "2 gateway.listen: ",
        "3 gateway.worker: no such key; did you mean `workers`?",
        "6 store.url: ",
        "10 upstreams[0].url: holds credentials",
        "13 routes[0].path: ",
        "14 routes[0].upstream: there is no upstream `order`; did you mean `orders`?",
        "15 routes[0].security[0].api_keys: `api_keys` is not a method; did you mean `api_key`?",
    ];
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
    }
    assert_eq!(found.len(), starts.len(), "{found:?}");
    assert!(!found.join(" ").contains("secret"), "a password of a mistyped URL is not repeated");
}

#[test]
fn syntax_errors_stand_beside_the_others() {
    let found = problems(&SMALL.replace("methods = [\"GET\"]", "methods = [\"GET\"\ncolour = \"red\""));
    assert!(found.iter().any(|p| p.starts_with("11 ") || p.starts_with("12 ")), "{found:?}");
}

#[test]
fn a_key_written_twice_is_an_error() {
    let found =
        problems(&SMALL.replace("upstream = \"orders\"", "upstream = \"orders\"\nupstream = \"orders\""));
    assert!(found.iter().any(|p| p.starts_with("13 ") && p.contains("duplicate")), "{found:?}");
}

#[test]
fn operators_beyond_loopback_need_tls() {
    let found = problems(&format!("{SMALL}\n[admin]\nlisten = \"192.0.2.1:8445\"\n"));
    assert!(found.len() == 1 && found[0].contains("admin.tls: is missing"), "{found:?}");
}

#[test]
fn rules_3_8_a_listener_on_every_address_says_by_which_names_it_is_called() {
    let sections = "[admin]\nlisten = \"0.0.0.0:8445\"\n[issuer]\nlisten = \"[::]:8444\"\n";
    let found = problems(&format!("{SMALL}\n{sections}"));
    for missing in ["admin.hosts: is missing", "issuer.url: is missing"] {
        assert!(found.iter().any(|p| p.contains(missing)), "{found:?}");
    }
}

/// RULES 1.4: a header that something else reads too would be two credentials, or none.
#[test]
fn a_key_stands_in_a_header_that_nothing_else_reads() {
    let with =
        |name: &str| SMALL.replace("methods =", &format!("api_key = {{ header = \"{name}\" }}\nmethods ="));
    let taken = [
        "Authorization",
        "proxy-authorization",
        "host",
        "Cookie",
        "transfer-encoding",
        "content-length",
        "X-Forwarded-For",
        "forwarded",
        "sec-fetch-site",
        "countersign-principal",
        "trailer",
        "x_key",
        "a b",
    ];
    for name in taken {
        let found = problems(&with(name));
        assert!(found.len() == 1 && found[0].contains("routes[0].api_key.header"), "{name}: {found:?}");
    }
    for name in ["X-Api-Key", "x-orders-token"] {
        assert!(read(&with(name)).is_ok(), "{name}");
    }
}

#[test]
fn names_are_given_once() {
    let twice = format!("{SMALL}\n[[upstreams]]\nname = \"orders\"\nurl = \"http://127.0.0.1:3001\"\n");
    assert!(problems(&twice)[0].contains("`orders` is the name of two upstreams"));
}

#[test]
fn the_environment_wins_over_the_file_and_is_named_in_errors() {
    let with = |name: &str, value: &str| {
        let environment = Environment::new([(name.to_owned(), value.to_owned())]);
        parse(Path::new("c.toml"), SMALL, &environment)
    };
    let settings = with("COUNTERSIGN__GATEWAY__LISTEN", "127.0.0.1:9443").unwrap();
    assert!(settings.gateway.addresses().eq(["127.0.0.1:9443".parse().unwrap()]));
    assert_eq!(with("COUNTERSIGN__GATEWAY__WORKERS", "3").unwrap().gateway.workers, Some(3));
    assert!(with("COUNTERSIGN__API_KEYS__ALLOW_NEVER", "true").unwrap().api_keys.allow_never);
    let error = with("COUNTERSIGN__GATEWAY__LISTEN", "nowhere").unwrap_err();
    assert!(error.to_string().contains("`COUNTERSIGN__GATEWAY__LISTEN`"), "{error}");
    let error = with("COUNTERSIGN__GATEWAY__LISTN", "127.0.0.1:1").unwrap_err();
    assert!(error.to_string().contains("did you mean `listen`?"), "{error}");
}

#[test]
fn values_reach_the_environment_and_files() {
    let text = SMALL.replace("http://127.0.0.1:3000", "http://${env:ORDERS_HOST}:3000");
    let environment = Environment::new([("ORDERS_HOST".to_owned(), "127.0.0.9".to_owned())]);
    let settings = parse(Path::new("c.toml"), &text, &environment).unwrap();
    assert_eq!(settings.upstreams[0].urls[0].host_str(), Some("127.0.0.9"));
    assert!(problems(&text)[0].contains("no variable `ORDERS_HOST`"));
    assert!(problems(&text.replace("${env:ORDERS_HOST}", "${ORDERS_HOST}"))[0].contains("neither"));
    assert!(problems(&text.replace("${env:ORDERS_HOST}", "${env:ORDERS_HOST"))[0].contains("without `}`"));
}

#[test]
fn durations_have_one_number_and_one_unit() {
    for (text, seconds) in
        [("15m", 900), ("24h", 86_400), ("90d", 7_776_000), ("1y", 31_536_000), ("2w", 1_209_600)]
    {
        assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for text in [
        "",
        "0s",
        "15",
        "m",
        "-1h",
        "1h30m",
        " 1h",
        "1 h",
        "1H",
        "99999999999999999999d",
        "1000000y",
        "9999999999999999999ms",
        "١h",
    ] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    for (duration, text) in [(86_400, "1d"), (90, "90s"), (3_600, "1h"), (604_800, "7d")] {
        assert_eq!(show_duration(Duration::from_secs(duration)), text);
    }
}

#[test]
fn limits_are_a_quota_over_a_window() {
    let limit = parse_limit("100/1m").unwrap();
    assert_eq!((limit.quota, limit.window), (100, Duration::from_secs(60)));
    assert_eq!(parse_limit("100/m"), Some(limit));
    for text in ["", "100", "/1m", "0/1m", "100/", "100/0m", "-1/1m", "1/1m/1m", "4294967296/1m"] {
        assert_eq!(parse_limit(text), None, "{text}");
    }
}

/// RULES 3.6: nobody else answers where a host's sessions are given.
#[test]
fn rules_3_6_what_is_ours_is_no_route() {
    for (path, expected) in [
        ("/.countersign", true),
        ("/.countersign/*", true),
        ("/.countersign/session/login", true),
        ("/%2ecountersign/{any}", true),
        ("/%2E%63ountersign/session", true),
        ("/.countersign.txt", false),
        ("/a/.countersign", false),
        ("/*", false),
    ] {
        let read = read(&SMALL.replace("/orders/{id}", path));
        let told: Vec<String> = read
            .err()
            .iter()
            .flat_map(|e| &e.problems)
            .map(|p| format!("{}: {}", p.path, p.message))
            .collect();
        let ours = told.iter().any(|p| p.contains("routes[0].path") && p.contains("`/.countersign`"));
        assert_eq!((ours, told.is_empty()), (expected, !expected), "{path}: {told:?}");
    }
    // other ways to write it can never match
    for path in ["//.countersign", "/./.countersign", "/a/../.countersign", "/.countersign;a"] {
        assert!(!problems(&SMALL.replace("/orders/{id}", path)).is_empty(), "{path}");
    }
}

#[test]
fn hosts_and_upstreams_have_a_grammar() {
    for host in ["", "a b", "api.example.com:443", "-a.example", "*.", "a*.example", "[::1", "user@host"] {
        assert!(values::host(host).is_err(), "{host}");
    }
    assert_eq!(values::host("API.Example.com"), Ok(HostPattern::Exact("api.example.com".into())));
    assert_eq!(values::host("*.example.com"), Ok(HostPattern::Below(".example.com".into())));
    for url in ["orders", "ftp://a", "http://", "http://a/b", "http://a?b", "http://a#b", "http://u@a"] {
        assert!(values::upstream_url(url).is_err(), "{url}");
    }
}

#[test]
fn an_upstream_has_one_address_or_several() {
    let with = |upstream: &str| SMALL.replace("url = \"http://127.0.0.1:3000\"", upstream);
    let several = with(
        "urls = [\"http://10.0.0.5:3000\", \"http://api.internal:3000\"]\nslow_start = \"10s\"\n\
         limits = { connections = 200, queue = 50, queue_time = \"2s\" }\nhealth = { path = \"/healthz\" }",
    );
    let upstream = read(&several).unwrap().upstreams.remove(0);
    assert_eq!(upstream.urls.len(), 2);
    assert_eq!((upstream.limits.connections, upstream.limits.queue), (Some(200), 50));
    assert_eq!(upstream.limits.queue_time, Duration::from_secs(2));
    assert_eq!(upstream.health.unwrap().every, Duration::from_secs(5));
    assert_eq!(upstream.slow_start, Duration::from_secs(10));
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let secured = with(&format!("url = \"https://10.0.0.5\"\nca = \"{ca}\"\nserver_name = \"api.internal\""));
    let tls = read(&secured).unwrap().upstreams.remove(0).tls.unwrap();
    assert_eq!(tls.ca, Path::new(ca));
    assert_eq!(tls.server_name.unwrap().to_str(), "api.internal");
    for (wrong, expected) in [
        ("", "8 upstreams[0].url: is missing"),
        ("urls = []", "8 upstreams[0].urls: is empty"),
        ("urls = [\"http://a\", \"http://a/\"]", "8 upstreams[0].urls: names `http://a/` twice"),
        ("urls = [\"http://a\", \"http://b/c\"]", "8 upstreams[0].urls[1]: `http://b/c` has a path"),
        ("url = \"http://a\"\nurls = [\"http://b\"]", "9 upstreams[0].urls: stands beside `url`"),
        (
            "url = \"http://a\"\nlimits = { connections = 0 }",
            "upstreams[0].limits.connections: must be from 1",
        ),
        ("url = \"http://a\"\nlimits = { connection = 5 }", "did you mean `connections`"),
        ("url = \"http://a\"\nhealth = { every = \"5s\" }", "upstreams[0].health.path: is missing"),
        ("url = \"http://a\"\nhealth = { path = \"ok\" }", "`ok` is not a path"),
        ("url = \"http://a\"\nhealth = { path = \"/ok\", every = \"1ms\" }", "is too short"),
    ] {
        let found = problems(&with(wrong).replace("\"CA\"", &format!("\"{ca}\"")));
        let at = expected.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        assert!(found.len() == 1 && found[0].contains(at), "{wrong}: {found:?}");
    }
}
