//! The errors that people meet first, word by word: what, why, and what to do.

use crate::support::{Served, run, text};
use countersign_cli::private_file;
use std::{fmt::Write, fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

/// What was typed, how it ended, and what was said.
struct Transcript(String);

impl Transcript {
    fn on(&mut self, folder: &Path, line: &str) {
        let output = run(folder, &line.split(' ').collect::<Vec<_>>());
        assert!(output.stdout.is_empty(), "{line}: {}", text(&output.stdout));
        let (code, said) = (output.status.code().unwrap(), text(&output.stderr));
        writeln!(self.0, "$ countersign {line}\n{said}[{code}]\n").unwrap();
    }
}

fn snapshot(name: &str, transcript: &Transcript) {
    insta::with_settings!({filters => vec![
        // the log of what went well before
        (r#"(?m)^\{"timestamp".*\n"#, ""),
        (r"/tmp/\.tmp[A-Za-z0-9]+", "[FOLDER]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
    ]}, {
        insta::assert_snapshot!(name, transcript.0);
    });
}

#[test]
fn without_a_server() {
    let mut told = Transcript(String::new());
    let elsewhere = tempfile::tempdir().unwrap();
    told.on(elsewhere.path(), "kye list");
    told.on(elsewhere.path(), "key list --ownr demo");
    told.on(elsewhere.path(), "key list");
    told.on(elsewhere.path(), "serve");
    told.on(elsewhere.path(), "key list --server http://192.0.2.1:8445");

    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    told.on(folder, "key list");
    let key = folder.join("admin.key");
    private_file::write(&key, b"cs_live_x\n").unwrap();
    told.on(folder, "key list");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    told.on(folder, "key list");
    let taken = TcpListener::bind(("127.0.0.1", served.gateway)).unwrap();
    told.on(folder, "serve");
    drop(taken);
    let good = fs::read_to_string(folder.join("countersign.toml")).unwrap();
    served.put(&format!("{good}\n[store]\nurl = \"sqlite:nowhere/countersign.db\"\n"));
    told.on(folder, "serve");
    served.put(&good.replace("workers", "wrokers"));
    told.on(folder, "serve");
    snapshot("without_a_server", &told);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_server() {
    let mut told = Transcript(String::new());
    let served = Served::prepare("http://127.0.0.1:9");
    let _process = served.start().await;
    let folder = served.folder.path();
    // of the right shape, and nobody's
    let wrong = served.operator().replace(|c: char| c.is_ascii_digit(), "a");
    private_file::write(&folder.join("wrong.key"), wrong.as_bytes()).unwrap();
    let reader = run(folder, &["key", "create", "bootstrap", "--scope", "countersign:read", "-q"]);
    private_file::write(&folder.join("reader.key"), &reader.stdout).unwrap();

    told.on(folder, "key list --admin-key-file wrong.key");
    told.on(folder, "service create demo --admin-key-file reader.key");
    told.on(folder, "key show 4fQ2kZ81mXpA");
    told.on(folder, "key revoke 4fQ2kZ81mXpA --yes");
    told.on(folder, "key create nobody");
    told.on(folder, "service create bootstrap");
    told.on(folder, "service create Demo!");
    told.on(folder, "route test GET /nowhere");
    told.on(folder, "session list");
    told.on(folder, "signing-key revoke nothing --yes");
    told.on(folder, "token revoke --jti nothing");
    told.on(folder, "token revoke --principal demo");
    snapshot("with_a_server", &told);
}
