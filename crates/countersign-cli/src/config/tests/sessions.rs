use super::{SMALL, problems, read, signed_in};
use countersign_methods::session::config::SessionConfig;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// `[sessions]` is the last section, and its header stands in this line.
const HEAD: usize = 20;

fn with(lines: &str) -> String {
    format!("{}{lines}\n", signed_in())
}

fn sessions(lines: &str) -> SessionConfig {
    read(&with(lines)).unwrap().sessions.unwrap()
}

/// Further routes that take `jwt`, each with a resource of its own.
fn routes(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "\n[[routes]]\npath = \"/more/{n}\"\nupstream = \"orders\"\nsecurity = [{{ jwt = [] }}]\n\
                 resource = \"https://api.example.com/{n}\"\n"
            )
        })
        .collect()
}

#[test]
fn people_sign_in_only_where_the_section_is() {
    let settings = read(SMALL).unwrap();
    assert!(settings.sessions.is_none() && settings.jwt.issuer.is_none());
    let settings = read(&with("")).unwrap();
    let usual =
        SessionConfig { audiences: ["https://api.example.com".into()].into(), ..SessionConfig::default() };
    assert_eq!(settings.sessions, Some(usual));
    assert_eq!(settings.jwt.issuer.as_deref(), Some("https://auth.example.com"));
    assert_eq!((settings.jwt.access, &*settings.jwt.realm), (5 * MINUTE, "countersign"));
}

#[test]
fn everything_can_be_said() {
    let keys = "[api_keys]\nword = \"acme\"\nrealm = \"Acme\"\n";
    let lines = "per_credential = 7\naccess_lifetime = \"15m\"\nidle = \"5m\"\nabsolute = \"5m\"\ngrace = \"5s\"\ncookie = \"jwt\"\n\
                 audiences = [\"https://api.example.com\", \"https://b.example.com\"]\n";
    let settings = read(&with(&format!("{lines}{keys}"))).unwrap();
    let expected = SessionConfig {
        word: "acme".into(),
        audiences: ["https://api.example.com".into(), "https://b.example.com".into()].into(),
        access: 15 * MINUTE,
        idle: 5 * MINUTE,
        absolute: 5 * MINUTE,
        per_credential: 7,
        grace: Duration::from_secs(5),
        jwt_cookie: true,
    };
    assert_eq!(settings.sessions, Some(expected));
    assert_eq!((settings.jwt.access, &*settings.jwt.realm), (15 * MINUTE, "Acme"));
    assert_eq!(sessions("grace = \"0s\"\n").grace, Duration::ZERO);
    let most = sessions("access_lifetime = \"1m\"\nidle = \"90d\"\nabsolute = \"1y\"\ngrace = \"60s\"\n");
    assert_eq!((most.access, most.idle, most.absolute, most.grace), (MINUTE, 90 * DAY, 365 * DAY, MINUTE));
    assert!(!sessions("cookie = \"session\"").jwt_cookie);
}

#[test]
fn what_is_too_long_or_too_short_is_an_error() {
    let many: Vec<_> = (0..17).map(|n| format!("\"https://api.example.com/{n}\"")).collect();
    for (lines, line, expected) in [
        ("access_lifetime = \"59s\"", 1, "sessions.access_lifetime: is not from `1m` to `15m`"),
        ("access_lifetime = \"16m\"", 1, "sessions.access_lifetime: is not from `1m` to `15m`"),
        ("access_lifetime = 5", 1, "sessions.access_lifetime: must be a string, not a number"),
        ("idle = \"4m\"", 1, "sessions.idle: is not from `5m` to `90d`"),
        ("idle = \"91d\"", 1, "sessions.idle: is not from `5m` to `90d`"),
        ("per_credential = 0", 1, "sessions.per_credential: must be from 1 to 10000"),
        ("per_credential = 10001", 1, "sessions.per_credential: must be from 1 to 10000"),
        ("absolute = \"366d\"", 1, "sessions.absolute: is not from `5m` to `365d`"),
        ("absolute = \"1d\"", 0, "sessions.absolute: `1d` is shorter than `idle`, `7d`"),
        ("idle = \"31d\"", 0, "sessions.absolute: `30d` is shorter than `idle`, `31d`"),
        ("grace = \"61s\"", 1, "sessions.grace: `61s` is not a duration from `0s` to `60s`"),
        ("grace = \"4s\"\ncookie = \"jwt\"", 0, "sessions.grace: is shorter than 5 s"),
        ("grace = \"-1s\"", 1, "sessions.grace: `-1s` is not a duration from `0s` to `60s`"),
        ("cookie = \"token\"", 1, "sessions.cookie: `token` is not one of `session`, `jwt`"),
        ("audiences = []", 1, "sessions.audiences: is empty; leave it out"),
        (
            "audiences = [\"http://a.example\"]",
            1,
            "sessions.audiences[0]: `http://a.example` is not an `https://` URL",
        ),
        (
            "audiences = [\"https://api.example.com\", \"https://api.example.com\"]",
            1,
            "sessions.audiences: names `https://api.example.com` twice",
        ),
        (&format!("audiences = [{}]", many.join(", ")), 1, "sessions.audiences: names more than 16"),
        ("life = \"1d\"", 1, "sessions.life: no such key"),
        (
            "access_lifetimes = \"5m\"",
            1,
            "sessions.access_lifetimes: no such key; did you mean `access_lifetime`?",
        ),
    ] {
        let found = problems(&with(lines));
        let expected = format!("{} {expected}", HEAD + line);
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{lines}: {found:?}");
    }
}

/// RULES 1.5
#[test]
fn rules_1_5_sessions_are_for_what_the_routes_are_each_once() {
    let twice = "\n[[routes]]\npath = \"/again\"\nupstream = \"orders\"\nsecurity = [{ jwt = [] }]\n";
    let public = "\n[[routes]]\npath = \"/p\"\nupstream = \"orders\"\nsecurity = []\nresource = \"https://p.example\"\n";
    let settings = sessions(&format!("{twice}{public}{}", routes(1)));
    let found: Vec<&str> = settings.audiences.iter().map(|audience| &**audience).collect();
    assert_eq!(found, ["https://api.example.com", "https://api.example.com/0"]);
    assert_eq!(sessions(&routes(15)).audiences.len(), 16);
    let found = problems(&with(&routes(16)));
    let expected =
        "20 sessions.audiences: is missing: the routes that take `jwt` have more than 16 resources";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    let none = signed_in().replace("jwt", "api_key");
    let found = problems(&none);
    let expected = "20 sessions.audiences: is missing: no route takes `jwt`";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    assert!(read(&format!("{none}audiences = [\"https://api.example.com\"]\n")).is_ok());
}

#[test]
fn tokens_name_who_signed_them() {
    let url = "url = \"https://auth.example.com\"\n";
    let said = "issuer.url: is missing: it is the `iss` of every token of `[sessions]`";
    let without_url = signed_in().replace(url, "");
    let found = problems(&without_url);
    assert!(found.len() == 1 && found[0].starts_with(&format!("16 {said}")), "{found:?}");
    let without = without_url.replace("[issuer]\nlisten = \"127.0.0.1:8444\"\n", "");
    let found = problems(&without);
    assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
    // said once, and what is there and wrong is not missing
    let found = problems(&without_url.replace("127.0.0.1:8444", "0.0.0.0:8444"));
    assert_eq!(found.iter().filter(|problem| problem.contains("issuer.url")).count(), 1, "{found:?}");
    let found = problems(&signed_in().replace("https://auth", "http://auth"));
    assert!(
        found.len() == 1 && found[0].contains("issuer.url: `http://auth.example.com` is not"),
        "{found:?}"
    );
}
