use crate::{
    IdentityPreset,
    enforce::trusted::{X_FAMILIES, is_reserved},
    upstream::origin::Origin,
};

/// What an API may be sent is not ours to drop.
/// What the search among them rests on.
#[test]
fn no_family_begins_another() {
    for family in X_FAMILIES {
        assert!(family.starts_with("x-"), "{family}");
        let others = X_FAMILIES.iter().filter(|other| other.starts_with(family));
        assert_eq!(others.count(), 1, "{family}");
        assert!(is_reserved(family) && is_reserved(format!("{family}z")), "{family}");
    }
}

#[test]
fn ordinary_fields_are_not_reserved() {
    for name in [
        "accept",
        "authorization",
        "cache-control",
        "client",
        "content-type",
        "cookie",
        "forward",
        "from",
        "host",
        "if-match",
        "origin",
        "range",
        "referer",
        "remote",
        "server",
        "traceparent",
        "user-agent",
        "x-api-key",
        "x-app-request-id",
        "x-csrf-token",
        "x-custom",
        "x-requested-with",
        "xforwarded-for",
        "a",
        "x",
        "idempotency-key",
        "sec-fetch-site",
        "proxy-status",
        "countersigned",
    ] {
        assert!(!is_reserved(name), "{name}");
    }
}

/// M.2 rule 2: one name, however spelled.
#[test]
fn m2_2_every_spelling_is_the_same_name() {
    for name in
        ["countersign-principal", "remote-user", "x-forwarded-for", "x-auth-request-user", "client-cert"]
    {
        for separator in ['-', '_', '.', '+', '~', '!', '|'] {
            let spelled = name.replace('-', &separator.to_string());
            assert!(is_reserved(&spelled), "{spelled}");
            assert!(is_reserved(spelled.to_uppercase()), "{spelled}");
        }
    }
}

#[test]
fn origins_say_host_and_port() {
    for (url, authority) in [
        ("http://127.0.0.1:3000", "127.0.0.1:3000"),
        ("http://localhost", "localhost"),
        ("http://localhost/", "localhost"),
        ("http://[::1]:80/", "[::1]:80"),
    ] {
        assert_eq!(
            Origin::parse(url).map(|o| o.authority().clone()),
            Ok(authority.parse().unwrap()),
            "{url}"
        );
    }
}

#[test]
fn presets_are_called_as_in_the_configuration() {
    for name in ["countersign", "oauth2-proxy", "authelia", "consumer", "client-cert", "xfcc"] {
        assert!(IdentityPreset::parse(name).is_some(), "{name}");
    }
    assert_eq!(IdentityPreset::parse("Countersign"), None);
}
