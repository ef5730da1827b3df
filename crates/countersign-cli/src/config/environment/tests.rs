use super::*;
use crate::config::{ConfigError, Settings, parse, tests::SMALL};
use std::{fs, time::Duration};

fn with(variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    read(SMALL, variables)
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(Path::new("c.toml"), text, &Environment::new(variables))
}

#[track_caller]
fn refused(text: &str, variables: &[(&str, &str)], expected: &str) -> String {
    let said = read(text, variables).unwrap_err().to_string();
    assert!(said.lines().count() == 1 && said.contains(expected), "{said}");
    said
}

#[test]
fn keys_of_tables_within_sections_are_set_too() {
    let settings = with(&[
        ("COUNTERSIGN__GATEWAY__LIMITS__BODY", "7"),
        ("COUNTERSIGN__GATEWAY__TIMEOUTS__CONNECT", "3s"),
        ("COUNTERSIGN__GATEWAY__LISTEN", "[\"127.0.0.1:1\", \"127.0.0.1:2\"]"),
    ]);
    let gateway = settings.unwrap().gateway;
    assert_eq!((gateway.limits.body, gateway.timeouts.connect), (Some(7), Some(Duration::from_secs(3))));
    assert_eq!(gateway.addresses().count(), 2);
}

#[test]
fn what_cannot_be_set_says_so() {
    for (variable, value, expected) in [
        ("COUNTERSIGN__LISTEN", "x", "is not of the form"),
        ("COUNTERSIGN__", "x", "is not of the form"),
        ("COUNTERSIGN____X", "x", "is not of the form"),
        ("COUNTERSIGN__GATEWAY__", "x", "is not of the form"),
        ("COUNTERSIGN__GATEWAY__LISTEN__X", "x", "a key of `gateway.listen`, which is not a table"),
        ("COUNTERSIGN__ROUTES__PATH", "x", "a key of `routes`, which is not a table"),
        ("COUNTERSIGN__GATEWAY__LIMITS__BODY", "x", "gateway.limits.body: must be a whole number"),
        ("COUNTERSIGN__GATEWAY__LIMITS__BODIES", "1", "no such key; did you mean `body`?"),
        ("COUNTERSIGN__GATEWAY__LISTEN", "[\"127.0.0.1:1\", \"x\"]", "`COUNTERSIGN__GATEWAY__LISTEN`"),
        ("COUNTERSIGN__STORE__URL", "", "store.url"),
    ] {
        refused(SMALL, &[(variable, value)], expected);
    }
}

#[test]
fn a_file_stands_for_a_value_and_is_nobodys_to_see() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("url"), "postgres://u:${p}@db/x\r\n").unwrap();
    let settings = with(&[("COUNTERSIGN__STORE__URL_FILE", &path("url"))]).unwrap();
    assert_eq!(settings.store_url.0, "postgres://u:${p}@db/x", "as it stands");
    fs::write(path("listen"), "hunter2-hunter2").unwrap();
    let said = refused(SMALL, &[("COUNTERSIGN__GATEWAY__LISTEN_FILE", &path("listen"))], "gateway.listen");
    assert!(!said.contains("hunter2") && said.contains("COUNTERSIGN__GATEWAY__LISTEN_FILE"), "{said}");
    let twice = [("COUNTERSIGN__STORE__URL_FILE", &*path("url")), ("COUNTERSIGN__STORE__URL", "sqlite:a")];
    refused(SMALL, &twice, "`COUNTERSIGN__STORE__URL` and `COUNTERSIGN__STORE__URL_FILE` are both set");
    fs::write(path("latin"), b"caf\xe9").unwrap();
    fs::File::create(path("huge")).unwrap().set_len(65 * 1024).unwrap();
    for (name, expected) in [
        ("latin", "is not UTF-8"),
        ("huge", "is longer than 65536 bytes"),
        ("", "is not a file"),
        ("none", "No such file"),
    ] {
        refused(SMALL, &[("COUNTERSIGN__STORE__URL_FILE", &path(name))], expected);
    }
}

#[test]
fn what_came_from_elsewhere_is_not_shown_in_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "hunter2-hunter2").unwrap();
    let text = |value: &str| SMALL.replace("127.0.0.1:8443", value);
    let said = refused(&text(&format!("${{file:{}}}", file.display())), &[], "gateway.listen: `${file:");
    assert!(!said.contains("hunter2"), "{said}");
    let said = refused(&text("${env:SECRET}"), &[("SECRET", "hunter2")], "`${env:SECRET}` is not an address");
    assert!(!said.contains("hunter2"), "{said}");
    refused(&text("${env:SECRET}"), &[("SECRET", "a")], "`${env:SECRET}` is not an address with a port");
    refused(&text("${env:SECRET}"), &[("SECRET", "")], "gateway.listen: ");
    refused(&text(&format!("${{file:{}}}", folder.path().display())), &[], "is not a file");
    refused(&text("${file:none}"), &[], "`./none`: No such file");
}

#[test]
fn a_dollar_can_be_said() {
    let realm = |said: &str| {
        let text = format!("{SMALL}\n[api_keys]\nrealm = \"{said}\"\n");
        read(&text, &[("X", "x${env:X}")]).map(|settings| settings.api_keys.realm)
    };
    for (said, meant) in [
        ("$${env:X}", "${env:X}"),
        ("a$${b", "a${b"),
        ("$", "$"),
        ("$$", "$$"),
        ("{}", "{}"),
        ("${env:X}!", "x${env:X}!"),
        ("$${${env:X}", "${x${env:X}"),
    ] {
        assert_eq!(realm(said).unwrap(), meant, "{said}");
    }
    for wrong in ["${", "${}", "${env}", "${env:}", "${env:Y}", "${ENV:X}", "${file:}"] {
        assert!(realm(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_not_utf_8_is_not_left_out() {
    let mut environment = Environment::default();
    environment.unreadable.insert("COUNTERSIGN__STORE__URL".to_owned());
    environment.unreadable.insert("X".to_owned());
    let said = parse(Path::new("c.toml"), SMALL, &environment).unwrap_err().to_string();
    assert_eq!(said, "c.toml: `COUNTERSIGN__STORE__URL` in the environment is not UTF-8");
    let environment = Environment { unreadable: ["X".to_owned()].into(), ..Environment::default() };
    let text = SMALL.replace("127.0.0.1:8443", "${env:X}");
    let said = parse(Path::new("c.toml"), &text, &environment).unwrap_err().to_string();
    assert!(said.contains("the variable `X` of the environment is not UTF-8"), "{said}");
}

#[test]
fn the_keyring_is_named_handed_over_or_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().display().to_string();
    let keyring = |variables: &[(&str, &str)]| {
        let keyring = with(variables).unwrap().keyring;
        (keyring.path, keyring.given)
    };
    let named = ("COUNTERSIGN_KEYRING_FILE", "/run/secrets/peppers");
    let handed = ("CREDENTIALS_DIRECTORY", &*credentials);
    assert_eq!(keyring(&[]), (PathBuf::from("./keyring.toml"), false));
    assert_eq!(keyring(&[named]), (PathBuf::from("/run/secrets/peppers"), true));
    // a service with other credentials than this one
    assert_eq!(keyring(&[handed]), (PathBuf::from("./keyring.toml"), false));
    fs::write(folder.path().join("keyring.toml"), "").unwrap();
    assert_eq!(keyring(&[handed]), (folder.path().join("keyring.toml"), true));
    assert_eq!(keyring(&[handed, named]).0, PathBuf::from("/run/secrets/peppers"));
}
