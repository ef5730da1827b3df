use super::*;
use crate::config::{Environment, parse};
use std::path::Path;

fn settings(text: &str) -> Settings {
    let rest = "[[upstreams]]\nname = \"api\"\nurl = \"http://127.0.0.1:1\"\n\
                [[routes]]\npath = \"/\"\nupstream = \"api\"\nsecurity = []\n";
    parse(Path::new("/x/c.toml"), &format!("{text}\n{rest}"), &Environment::default()).unwrap()
}

const OLD: &str = "[gateway]\nlisten = \"127.0.0.1:8443\"\nlimits = { body = 10 }\n";

/// Everything that only a restart can change is named, and stays.
#[test]
fn what_needs_a_restart_is_named_and_not_applied() {
    let gateway = "[gateway]\nlisten = \"127.0.0.1:8443\"";
    let issuer = "[issuer]\nlisten = \"127.0.0.1:8444\"\n";
    let sessions = "[sessions]\naudiences = [\"https://api.example.com\"]";
    for (new, named) in [
        ("[gateway]\nlisten = \"127.0.0.1:9443\"", "the listener `127.0.0.1:9443`, which is new"),
        ("[gateway]\nlisten = \"127.0.0.1:9443\"", "the listener `127.0.0.1:8443`, which is gone"),
        (&format!("{gateway}\nworkers = 7"), "gateway.workers"),
        (&format!("{gateway}\nblind_after = \"9s\""), "gateway.blind_after"),
        (&format!("{gateway}\nlimits = {{ connections = 7 }}"), "gateway.limits.connections"),
        (&format!("{gateway}\n[admin]\nlisten = \"127.0.0.1:7\""), "admin.listen"),
        (&format!("{gateway}\n[admin]\nhosts = [\"a\"]"), "admin.hosts"),
        (&format!("{gateway}\n{issuer}"), "issuer"),
        (&format!("{gateway}\n[store]\nurl = \"postgres://u:secret@h/d\""), "store.url"),
        (&format!("{gateway}\n[api_keys]\nword = \"xx\""), "api_keys.word"),
        (&format!("{gateway}\n[api_keys]\nenvironment = \"test\""), "api_keys.environment"),
        (&format!("{gateway}\n[signing]\nsession = \"Ed25519\""), "signing"),
        (&format!("{gateway}\n{issuer}url = \"https://auth.example.com\"\n{sessions}"), "sessions"),
        (&format!("{gateway}\n[api_keys]\nrealm = \"r\""), "api_keys.realm"),
    ] {
        let old = settings(OLD);
        let (settled, restart) = settled(&old, settings(new));
        assert!(restart.iter().any(|name| name.contains(named)), "{new}: {restart:?}");
        assert!(!format!("{restart:?}").contains("secret"));
        // the other way about nothing is left to say: what was kept is what was
        let (_, rest) = super::settled(&old, settled);
        assert!(rest.is_empty(), "{new}: {rest:?}");
    }
    let with_issuer = |port: u16| format!("{gateway}\n[issuer]\nlisten = \"127.0.0.1:{port}\"");
    let (_, restart) = settled(&settings(&with_issuer(1)), settings(&with_issuer(2)));
    assert_eq!(restart, ["issuer.listen"]);
}

#[test]
fn what_can_change_does() {
    let old = settings("[gateway]\n[[gateway.listeners]]\nlisten = \"127.0.0.1:8443\"\n");
    let new = settings(
        "[gateway]\nurl = \"https://api.example.com\"\nidentity = \"consumer\"\nlimits = { body = 5 }\ntimeouts = { connect = \"1s\" }\n\
         [[gateway.listeners]]\nlisten = \"127.0.0.1:8443\"\nlimits = { head = 2048 }\ntimeouts = { idle = \"9s\" }\n\
         proxy_protocol = [\"10.0.0.0/8\"]\ntrusted = [{ networks = [\"10.0.0.0/8\"], headers = [\"x-forwarded-for\"] }]\n\
         [api_keys]\ndefault_lifetime = \"1d\"\nmax_lifetime = \"2d\"\nallow_never = true\n",
    );
    let (settled, restart) = settled(&old, new.clone());
    assert!(restart.is_empty(), "{restart:?}");
    assert_eq!(format!("{settled:?}"), format!("{new:?}"));
}

#[test]
fn a_listener_that_believes_more_says_so() {
    let with = |said: &str| {
        settings(&format!("[gateway]\n[[gateway.listeners]]\nlisten = \"127.0.0.1:8443\"\n{said}\n")).gateway
    };
    let entry = |network: &str| {
        format!("trusted = [{{ networks = [\"{network}\"], headers = [\"x-forwarded-for\"] }}]")
    };
    for (old, new, expected) in [
        ("", &*entry("10.0.0.0/8"), Some("(`trusted`)")),
        (&entry("10.0.0.0/8"), &entry("0.0.0.0/0"), Some("(`trusted`)")),
        (&entry("10.0.0.0/8"), "", None),
        ("", "proxy_protocol = [\"10.0.0.0/8\"]", Some("(`proxy_protocol`)")),
        (
            "proxy_protocol = [\"10.0.0.0/8\"]",
            "proxy_protocol = [\"10.0.0.0/8\", \"unix\"]",
            Some("(`proxy_protocol`)"),
        ),
        ("proxy_protocol = [\"10.0.0.0/8\", \"unix\"]", "proxy_protocol = [\"unix\"]", None),
    ] {
        let found = more_believed(&with(old), &with(new));
        assert_eq!(found.len(), usize::from(expected.is_some()), "{new}: {found:?}");
        assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
    }
}
