//! Starts that must not happen, and what is said instead.

use crate::support::{Served, free_port, run, text};
use countersign_cli::private_file;
use std::os::unix::fs::PermissionsExt;

fn refused(served: &Served, line: &[&str]) -> (i32, String) {
    let output = run(served.folder.path(), line);
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    (output.status.code().unwrap(), text(&output.stderr))
}

#[test]
fn a_configuration_with_errors_is_not_served_and_every_error_is_named() {
    let served = Served::prepare("http://127.0.0.1:9");
    let file = served.folder.path().join("countersign.toml");
    let broken = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        broken
            .replace("workers = 2", "workers = \"two\"")
            .replace("upstream = \"api\"", "upstream = \"apii\""),
    )
    .unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("countersign.toml:3: gateway.workers: must be a whole number"), "{said}");
    assert_eq!(said.matches("did you mean `api`?").count(), 4, "{said}");
    assert!(said.contains("the configuration has 5 errors"), "{said}");
    assert!(!served.folder.path().join("countersign.db").exists(), "nothing was opened");
}

#[tokio::test]
async fn rules_4_3_a_missing_keyring_stops_the_start() {
    let served = Served::prepare("http://127.0.0.1:9");
    drop(served.start().await);
    let keyring = served.folder.path().join("keyring.toml");
    let kept = private_file::read(&keyring).unwrap().unwrap();
    std::fs::remove_file(&keyring).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("keyring.toml` is missing, and the store is not empty"), "{said}");
    assert!(!keyring.exists(), "another one would make every key useless");

    // the first operator's key names pepper 1
    private_file::write(&keyring, kept.replace("= 1\n", "= 2\n").as_bytes()).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("lacks pepper 1, which keys in the store need"), "{said}");

    // the right number, another secret
    let other = kept.replacen("secret = \"", "secret = \"00", 1);
    private_file::write(&keyring, other.as_bytes()).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("keyring.toml` is not the one of this store"), "{said}");

    private_file::write(&keyring, kept.as_bytes()).unwrap();
    std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("can be read or written by others") && said.contains("chmod 600"), "{said}");

    std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o600)).unwrap();
    drop(served.start().await);
}

/// As systemd and containers hand secrets over.
#[tokio::test]
async fn a_keyring_may_be_kept_elsewhere() {
    let served = Served::prepare("http://127.0.0.1:9");
    drop(served.start().await);
    let (beside, elsewhere) =
        (served.folder.path().join("keyring.toml"), served.folder.path().join("peppers"));
    std::fs::rename(&beside, &elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o440)).unwrap();
    let recover = |variable: &str, value: &std::path::Path| {
        let mut command = crate::support::binary();
        command.args(["admin", "recover", "--config", "countersign.toml"]).current_dir(served.folder.path());
        command.env(variable, value).output().unwrap()
    };
    let done = recover("COUNTERSIGN_KEYRING_FILE", &elsewhere);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(!beside.exists());
    let none = recover("COUNTERSIGN_KEYRING_FILE", &served.folder.path().join("none"));
    assert!(!none.status.success() && text(&none.stderr).contains("none`, the keyring, is missing"));
    let credentials = served.folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::rename(&elsewhere, credentials.join("keyring.toml")).unwrap();
    assert!(recover("CREDENTIALS_DIRECTORY", &credentials).status.success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let served = Served::prepare("http://127.0.0.1:9");
    let taken = std::net::TcpListener::bind(("127.0.0.1", served.gateway)).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 5);
    assert!(said.contains(&format!("127.0.0.1:{} is taken by another program", served.gateway)), "{said}");
    drop(taken);
}

#[test]
fn a_certificate_that_is_none_is_named() {
    let served = Served::prepare("http://127.0.0.1:9");
    std::fs::write(served.folder.path().join("server.pem"), "no certificate").unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("server.pem") && said.contains("no certificate"), "{said}");
}

#[test]
fn a_store_that_is_none_is_named() {
    let served = Served::prepare("http://127.0.0.1:9");
    std::fs::write(served.folder.path().join("countersign.db"), "no database ".repeat(1000)).unwrap();
    let (code, said) = refused(&served, &["serve"]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot open the store"), "{said}");
}

#[test]
fn without_a_server_the_commands_say_what_to_do() {
    let served = Served::prepare("http://127.0.0.1:9");
    let (code, said) = refused(&served, &["key", "list"]);
    assert_eq!(code, 3);
    assert!(said.contains("there is no operator's key in"), "{said}");
    private_file::write(&served.folder.path().join("admin.key"), b"cs_live_x\n").unwrap();
    let (code, said) = refused(&served, &["key", "list"]);
    assert_eq!(code, 1);
    assert!(said.contains("cannot reach the admin API") && said.contains("is it running?"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    let output = run(elsewhere.path(), &["key", "list"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("no `.countersign/` and no `countersign.toml`"));
}

#[test]
fn an_operators_key_does_not_go_out_in_the_open() {
    let served = Served::prepare("http://127.0.0.1:9");
    let (code, said) = refused(&served, &["key", "list", "--server", "http://192.0.2.1:8445"]);
    assert_eq!(code, 2);
    assert!(said.contains("is not `https://`"), "{said}");
    let port = free_port().to_string();
    private_file::write(&served.folder.path().join("admin.key"), b"cs_live_x\n").unwrap();
    std::fs::set_permissions(served.folder.path().join("admin.key"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let (code, said) = refused(&served, &["key", "list", "--server", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(code, 1);
    assert!(said.contains("can be read or written by others"), "{said}");
}

#[test]
fn without_a_configuration_there_is_a_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["serve"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("`countersign config init > countersign.toml`"));
}
