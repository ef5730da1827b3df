use crate::config::tests::{SMALL, problems, read};
use countersign_crypto::jose::Algorithm;
use countersign_methods::jwt::foreign::{ClaimNames, ExpectedTyp, ForeignIssuer, KeyOrigin};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LEAST: &str =
    "[[issuers]]\nname = \"staff\"\nissuer = \"https://idp.example.com\"\naudiences = [\"us\"]\n";

/// What is wrong with these lines after the least that there must be, without their place.
fn wrong(more: &str) -> Vec<String> {
    let found = problems(&format!("{SMALL}\n{LEAST}{more}"));
    let without_line = |problem: String| problem.split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap();
    found.into_iter().map(without_line).collect()
}

fn good(more: &str) -> ForeignIssuer {
    read(&format!("{SMALL}\n{LEAST}{more}")).unwrap().issuers.remove(0)
}

#[test]
fn the_least_has_every_default() {
    assert!(read(SMALL).unwrap().issuers.is_empty());
    let issuer = good("");
    assert_eq!((issuer.name.as_str(), &*issuer.issuer), ("staff", "https://idp.example.com"));
    assert_eq!((&issuer.keys, &issuer.typ), (&KeyOrigin::Discovery, &ExpectedTyp::AccessToken));
    assert_eq!(issuer.algorithms, [Algorithm::Es256, Algorithm::Rs256]);
    assert_eq!((issuer.leeway, issuer.longest), (Duration::from_secs(30), Duration::from_secs(86_400)));
    assert_eq!(issuer.stream_grace, Duration::from_secs(3600));
    assert_eq!(issuer.claims, ClaimNames::default());
    assert!(issuer.scopes.is_empty() && issuer.scope_map.is_empty() && issuer.local.is_empty());
}

#[test]
fn what_it_says_is_what_is_meant() {
    let issuer = good(
        "typ = \"JWT or none\"\nrequired_claim = \"realm_access.roles\"\nleeway = \"0s\"\nlongest = \"7d\"\nstream_grace = \"0s\"\n\
         claims = { subject = \"oid\", scopes = '\"https://x.y/roles\"' }\nscopes = [\"b\", \"a\"]\n\
         scope_map = { \"x y\" = \"a\" }\nlocal = { \"auth0|ada\" = \"ada\" }\nalgorithms = [\"PS256\"]\n",
    );
    let ExpectedTyp::Jwt { absent_ok: true, required_claim } = &issuer.typ else {
        panic!("{:?}", issuer.typ)
    };
    assert_eq!(required_claim.to_string(), "realm_access.roles");
    assert_eq!((issuer.leeway, issuer.longest), (Duration::ZERO, Duration::from_secs(7 * 86_400)));
    assert_eq!(issuer.stream_grace, Duration::ZERO);
    assert_eq!(issuer.claims.subject.to_string(), "oid");
    assert_eq!(issuer.claims.scopes.to_string(), "\"https://x.y/roles\"");
    assert_eq!((issuer.scopes.to_string().as_str(), issuer.algorithms), ("a b", vec![Algorithm::Ps256]));
    assert_eq!(issuer.scope_map["x y"].as_str(), "a");
    assert_eq!(issuer.local["auth0|ada"].as_str(), "ada");
}

#[test]
fn each_mistake_is_named_where_it_stands() {
    for (more, expected) in [
        ("jwks = \"elsewhere\"", "issuers[0].jwks: `elsewhere` is not one of `discovery`"),
        ("jwks = {}", "issuers[0].jwks: names one of"),
        ("jwks = { url = \"https://a\", file = \"b\" }", "issuers[0].jwks: names one of"),
        ("jwks = { uri = \"https://a\" }", "issuers[0].jwks: names one of"),
        (
            "jwks = { url = \"http://idp.example.com/jwks\" }",
            "issuers[0].jwks.url: `http://idp.example.com/jwks` is not an `https://`",
        ),
        (
            "jwks = { url = \"http://10.0.0.1/jwks\" }",
            "issuers[0].jwks.url: `http://10.0.0.1/jwks` is not an `https://`",
        ),
        ("jwks = { url = \"https://u:hunter2@a/\" }", "issuers[0].jwks.url: holds credentials"),
        ("jwks = { url = \"file:///etc/passwd\" }", "issuers[0].jwks.url: `file:///etc/passwd` is not"),
        ("jwks = { file = \"/nonexistent\" }", "issuers[0].jwks.file: there is no file"),
        (
            "jwks = \"https://idp.example.com/jwks\"",
            "issuers[0].jwks: is `\"discovery\"` or a table: a URL stands in",
        ),
        ("jwks = { secret_file = \"/nonexistent\" }", "issuers[0].jwks.secret_file: `/nonexistent`"),
        ("algorithms = [\"none\"]", "issuers[0].algorithms[0]: `none` is not one of"),
        ("algorithms = [\"RS512\"]", "issuers[0].algorithms[0]: `RS512` is not one of"),
        ("algorithms = [\"HS256\"]", "issuers[0].algorithms: HS256 goes with a secret"),
        ("algorithms = [\"ES256\", \"HS256\"]", "issuers[0].algorithms: HS256 goes with a secret"),
        ("algorithms = []", "issuers[0].algorithms: `algorithms` is empty"),
        ("typ = \"jwt\"", "issuers[0].typ: `jwt` is not one of"),
        ("typ = \"JWT\"", "issuers[0].required_claim: is missing: by it"),
        ("required_claim = \"scope\"", "issuers[0].required_claim: goes with `typ = \"JWT\"`"),
        (
            "typ = \"JWT\"\nrequired_claim = \"nonce\"",
            "issuers[0].required_claim: `required_claim` stands in ID tokens",
        ),
        ("typ = \"JWT\"\nrequired_claim = \"a..b\"", "issuers[0].required_claim: `a..b` names no claim"),
        ("leeway = \"2m\"", "issuers[0].leeway: `leeway` is longer"),
        ("longest = \"8d\"", "issuers[0].longest: `longest` is not"),
        ("stream_grace = \"25h\"", "issuers[0].stream_grace: `stream_grace` is longer"),
        ("claims = { subject = \"\" }", "issuers[0].claims.subject: `` names no claim"),
        ("claims = { sub = \"sub\" }", "issuers[0].claims.sub: no such key"),
        ("scopes = [\"a b\"]", "issuers[0].scopes[0]: `a b` is not a scope"),
        ("scopes = [\"countersign:admin\"]", "issuers[0].scopes: scopes that begin with `countersign:`"),
        ("scope_map = { x = \"a\" }", "issuers[0].scope_map: `scope_map` leads to a scope"),
        ("scope_map = { x = 1 }", "issuers[0].scope_map.x: must be a string"),
        ("local = { x = \"Ada\" }", "issuers[0].local.x: `Ada` is not the name of a principal"),
        ("local = { \"\" = \"ada\" }", "issuers[0].local: a subject in `local`"),
        ("colour = \"red\"", "issuers[0].colour: no such key"),
    ] {
        let found = wrong(more);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{more}: {found:?}");
        assert!(!found.join(" ").contains("hunter2"));
    }
    for (from, to, expected) in [
        ("\"staff\"", "\"Staff\"", "issuers[0].name: `Staff` is not 1 to 64"),
        ("name = \"staff\"\n", "", "issuers[0].name: is missing"),
        ("audiences = [\"us\"]\n", "", "issuers[0].audiences: is missing"),
        ("[\"us\"]", "[]", "issuers[0].audiences: `audiences` is empty"),
        ("https://idp", "http://idp", "issuers[0].issuer: `issuer` is not an `https://` URL"),
        ("[[issuers]]", "[issuers]", "issuers: is a list; say `[[issuers]]`"),
    ] {
        let found = problems(&format!("{SMALL}\n{}", LEAST.replace(from, to)));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn no_two_are_one() {
    let other = LEAST.replace("staff", "other");
    let found = wrong(&other);
    assert_eq!(found, ["issuers[1].issuer: is that of `staff` too"]);
    let found = wrong(&LEAST.replace("idp", "other"));
    assert_eq!(found, ["issuers[1].name: `staff` is the name of two issuers"]);
    assert_eq!(read(&format!("{SMALL}\n{LEAST}{}", other.replace("idp", "other"))).unwrap().issuers.len(), 2);
}

#[test]
fn a_secret_is_read_from_its_file_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let more = format!("jwks = {{ secret_file = \"{}\" }}\n", path.display());
    std::fs::write(&path, "hunter2 hunter2 hunter2 hunter2!\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = wrong(&more);
    assert!(found[0].contains("can be read or written by others (mode 0644)"), "{found:?}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let issuer = good(&more);
    assert_eq!(issuer.algorithms, [Algorithm::Hs256]);
    let KeyOrigin::Secret(secret) = &issuer.keys else { panic!("{issuer:?}") };
    assert_eq!(secret.expose(), b"hunter2 hunter2 hunter2 hunter2!");
    assert!(!format!("{issuer:?}").contains("hunter2"));
    assert!(wrong(&format!("{more}algorithms = [\"RS256\"]"))[0].contains("a secret is for HS256 alone"));
    std::fs::write(&path, "hunter2").unwrap();
    let found = wrong(&more);
    assert!(found[0].starts_with("issuers[0].jwks: a secret is shorter than 32 bytes"), "{found:?}");
    assert!(!found.join(" ").contains("hunter2"));
}
