use super::*;
use crate::config::{Origin, explain, load, parse, schema::tests::maximal};
use std::path::PathBuf;

fn environment(variables: &[(&str, &str)]) -> crate::config::Environment {
    crate::config::Environment::new(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

/// What is shown means what was read, whatever was left to defaults.
#[test]
fn what_is_shown_is_a_configuration_with_the_same_meaning() {
    let folder = maximal();
    for text in [
        std::fs::read_to_string(folder.path().join("c.toml")).unwrap(),
        crate::config::tests::SMALL.to_owned(),
        crate::config::tests::signed_in(),
    ] {
        let file = folder.path().join("c.toml");
        std::fs::write(&file, &text).unwrap();
        let none = environment(&[]);
        let (effective, origins) = explain(&file, &none).unwrap();
        let shown = to_toml(&effective, &origins);
        // as nobody can read it again, it is said again
        let secret = "secret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"";
        assert!(!shown.contains(secret));
        let again = shown.replace(&format!("secret = \"{MASK}\""), secret);
        assert!(!shown.contains("a secret of 32 bytes"));
        let again = again.replace(&format!("secret_file = \"{MASK}\""), "secret_file = \"hs256.secret\"");
        let (read, again) = (load(&file, &none).unwrap(), parse(&file, &again, &none));
        let again = again.unwrap_or_else(|error| panic!("{shown}\n{error}"));
        // defaults are said, so they are no longer left out
        assert_eq!(effective, super::effective(&again), "{shown}");
        assert_eq!(format!("{:?}", read.routes), format!("{:?}", again.routes));
        assert_eq!(format!("{:?}", read.upstreams), format!("{:?}", again.upstreams));
        assert_eq!(read.issuers, again.issuers);
        assert_eq!(format!("{:?}", read.gateway.listeners), format!("{:?}", again.gateway.listeners));
        assert_eq!(
            (read.store_url.0, read.api_keys, read.plans, read.sessions, read.signing, read.jwt),
            (again.store_url.0, again.api_keys, again.plans, again.sessions, again.signing, again.jwt)
        );
        assert_eq!(
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                read.admin, read.issuer, read.observe, read.egress, read.audit
            ),
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                again.admin, again.issuer, again.observe, again.egress, again.audit
            )
        );
    }
}

#[test]
fn every_value_says_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let small = crate::config::tests::SMALL;
    let more = "[[gateway.listeners]]\nlisten = \"unix:a\"\n";
    std::fs::write(path("c.toml"), format!("include = [\"r.toml\"]\n{small}\n{more}")).unwrap();
    std::fs::write(path("r.toml"), "\n[[routes]]\npath = \"/b\"\nupstream = \"orders\"\nsecurity = []\n")
        .unwrap();
    let variables =
        environment(&[("COUNTERSIGN__STORE__URL", "sqlite:x.db"), ("COUNTERSIGN__GATEWAY__WORKERS", "3")]);
    let (effective, origins) = explain(&path("c.toml"), &variables).unwrap();
    let file = |name: &str, line| Origin::File { file: path(name), line };
    let variable = |name: &str| Origin::Environment { variable: name.to_owned() };
    for (path, origin) in [
        ("gateway.workers", variable("COUNTERSIGN__GATEWAY__WORKERS")),
        ("gateway.identity", Origin::Default),
        ("gateway.listeners[0].listen", file("c.toml", 4)),
        ("gateway.listeners[1].listen", file("c.toml", 17)),
        ("store.url", variable("COUNTERSIGN__STORE__URL")),
        ("upstreams[0].url", file("c.toml", 8)),
        ("routes[0].path", file("c.toml", 11)),
        ("routes[0].cache", Origin::Default),
        ("routes[1].security", file("r.toml", 5)),
    ] {
        assert_eq!(*origins.of(path), origin, "{path}");
    }
    let shown = to_toml(&effective, &origins);
    for line in [
        "workers = 3  # environment: COUNTERSIGN__GATEWAY__WORKERS".to_owned(),
        format!("path = \"/b\"  # {}:3", path("r.toml").display()),
        "cache = \"private\"  # default".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let text = crate::config::tests::SMALL.replace("127.0.0.1:3000", "${file:host}");
    std::fs::write(path("c.toml"), format!("{text}\n[api_keys]\nrealm = \"a ${{file:realm}}\"\n")).unwrap();
    std::fs::write(path("host"), "hunter2.internal").unwrap();
    std::fs::write(path("realm"), "hunter2").unwrap();
    std::fs::write(path("listen"), "127.0.0.1:1234").unwrap();
    let listen = path("listen").display().to_string();
    for url in [
        "postgres://me:hunter2@db:5432/x?sslmode=require",
        "postgres://me:hunt@er2:hunter2@db/x",
        "postgres://db/x?user=me&PASSWORD=hunter2&sslpassword=hunter2",
    ] {
        let variables =
            environment(&[("COUNTERSIGN__STORE__URL", url), ("COUNTERSIGN__GATEWAY__LISTEN_FILE", &listen)]);
        let (effective, origins) = explain(&path("c.toml"), &variables).unwrap();
        for shown in [to_toml(&effective, &origins), effective.to_string()] {
            assert!(!shown.contains("hunter2") && !shown.contains("1234"), "{shown}");
            assert!(
                shown.contains("db") && shown.contains("me") && shown.matches(MASK).count() >= 4,
                "{shown}"
            );
        }
    }
}
