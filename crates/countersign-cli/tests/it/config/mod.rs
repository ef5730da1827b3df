//! What an operator reads when the configuration is wrong, and the files that we hand out.

use crate::support::{certify, run, text};
use std::path::Path;

/// stdout, stderr and the exit code of `config validate`.
fn validate(folder: &Path, content: &str) -> (Option<i32>, String) {
    std::fs::write(folder.join("countersign.toml"), content).unwrap();
    let output = run(folder, &["config", "validate", "countersign.toml"]);
    assert!(output.stdout.is_empty());
    (output.status.code(), text(&output.stderr))
}

#[test]
fn every_error_of_a_bad_file_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = validate(folder.path(), include_str!("bad.toml"));
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("bad", said);
}

#[test]
fn what_is_no_toml() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = validate(folder.path(), "[gateway\nlisten = 127.0.0.1:8443\n[[routes]\npath = \"/\n");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("syntax", said);
}

#[test]
fn a_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["config", "validate", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(4));
    insta::assert_snapshot!("unreadable", text(&output.stderr));
    std::fs::write(folder.path().join("latin.toml"), b"[gateway]\n# caf\xe9\n").unwrap();
    let output = run(folder.path(), &["config", "validate", "latin.toml"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!("encoding", text(&output.stderr));
}

#[test]
fn the_file_that_init_prints_is_good() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let init = run(folder.path(), &["config", "init", "--upstream", "http://10.0.0.5:3000"]);
    assert!(init.status.success() && init.stderr.is_empty());
    let content = text(&init.stdout);
    assert!(content.contains("url = \"http://10.0.0.5:3000\""), "{content}");
    let (code, said) = validate(folder.path(), &content);
    assert_eq!(code, Some(0), "{said}");
    let wrong = run(folder.path(), &["config", "init", "--upstream", "https://u:p@10.0.0.5"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn the_environment_is_part_of_what_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let init = run(folder.path(), &["config", "init"]);
    std::fs::write(folder.path().join("countersign.toml"), &init.stdout).unwrap();
    let output = crate::support::binary()
        .args(["config", "validate"])
        .current_dir(folder.path())
        .env("COUNTERSIGN__STORE__URL", "mysql://root:secret@db/x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("store.url") && said.contains("COUNTERSIGN__STORE__URL") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn no_input_makes_it_panic() {
    let good = include_str!("bad.toml");
    let environment = countersign_cli::config::Environment::default();
    for end in (0..good.len()).filter(|end| good.is_char_boundary(*end)) {
        let _ = countersign_cli::config::parse(Path::new("c.toml"), &good[..end], &environment);
        let _ = countersign_cli::config::parse(Path::new("c.toml"), &good[end..], &environment);
    }
    for odd in [
        "",
        "\0",
        "a",
        "[",
        "[[routes]]",
        "routes = 1",
        "routes = [1]",
        "gateway = []",
        "[security]\na = 1",
        "[[routes]]\nsecurity = [[]]",
        "[[routes]]\nlimits = [1]\ncors = 1\napi_key = 1",
        "[gateway]\nlisten = []\ntls = 1",
    ] {
        let _ = countersign_cli::config::parse(Path::new("c.toml"), odd, &environment).unwrap_err();
    }
}

#[test]
fn two_faces_at_one_address_are_an_error_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let starter = text(&run(folder.path(), &["config", "init"]).stdout);
    for admin in ["127.0.0.1:8443", "0.0.0.0:8443"] {
        let (code, said) = validate(folder.path(), &starter.replace("127.0.0.1:8445", admin));
        assert!(code == Some(1) && said.contains("countersign.toml:19: admin.listen: "), "{said}");
        assert!(said.contains(&format!("`{admin}` is where `gateway` listens")), "{said}");
    }
    // whatever port the system gives is a port of its own
    let free = starter.replace("0.0.0.0:8443", "127.0.0.1:0").replace("127.0.0.1:8445", "127.0.0.1:0");
    assert_eq!(validate(folder.path(), &free).0, Some(0));
}

#[test]
fn a_list_written_as_a_table_is_told_how_to_write_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = validate(
        folder.path(),
        "[gateway]\nlisten = \"127.0.0.1:8443\"\n[upstreams]\nname = \"api\"\nurl = \"127.0.0.1:3000\"\n",
    );
    assert!(
        code == Some(1) && said.contains("upstreams: is a list; say `[[upstreams]]`, once for each"),
        "{said}"
    );
}

/// In the folder of a quick start two files stand, and `serve` reads the other one.
#[test]
fn a_file_that_was_not_looked_at_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(".countersign");
    std::fs::create_dir(&data).unwrap();
    certify(&data);
    let starter = text(&run(folder.path(), &["config", "init"]).stdout);
    std::fs::write(data.join("countersign.toml"), &starter).unwrap();
    let said = || text(&run(folder.path(), &["config", "validate"]).stderr);
    assert!(said().contains("is good") && !said().contains("not looked at"), "{}", said());
    std::fs::write(folder.path().join("countersign.toml"), "nonsense").unwrap();
    assert!(said().contains("not looked at: `countersign.toml` in this folder"), "{}", said());
}

/// Of all layers, without secrets; and a broken file is told as `validate` tells it.
#[test]
fn show_says_what_is_in_effect() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let init = run(folder.path(), &["config", "init"]);
    std::fs::write(folder.path().join("countersign.toml"), &init.stdout).unwrap();
    let show = |arguments: &[&str]| {
        crate::support::binary()
            .args([&["config", "show"], arguments].concat())
            .current_dir(folder.path())
            .env("COUNTERSIGN__STORE__URL", "postgres://me:hunter2@db/x")
            .output()
            .unwrap()
    };
    let (toml, json, yaml) = (show(&[]), show(&["--output", "json"]), show(&["--output", "yaml"]));
    assert!(toml.status.success() && toml.stderr.is_empty(), "{toml:?}");
    let shown = text(&toml.stdout);
    let line = "url = \"postgres://me:***@db/x\"  # environment: COUNTERSIGN__STORE__URL";
    assert!(shown.lines().any(|shown| shown == line), "{shown}");
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["store"]["url"], "postgres://me:***@db/x");
    assert_eq!(value["gateway"]["limits"]["streams"], 128);
    assert!(text(&yaml.stdout).contains("\"url\": \"postgres://me:***@db/x\""));
    assert_eq!(show(&["--output", "toml"]).stdout, toml.stdout);
    // what is shown can be read again
    std::fs::write(folder.path().join("again.toml"), &toml.stdout).unwrap();
    assert!(run(folder.path(), &["config", "validate", "again.toml"]).status.success());

    std::fs::write(folder.path().join("countersign.toml"), "[gatway]\n").unwrap();
    let (shown, validated) =
        (show(&["countersign.toml"]), run(folder.path(), &["config", "validate", "countersign.toml"]));
    assert_eq!((shown.status.code(), text(&shown.stderr)), (Some(1), text(&validated.stderr)));
    assert_eq!(show(&["none.toml"]).status.code(), Some(4));
}

#[test]
fn the_schema_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(run(folder.path(), &["config", "schema", "--output", "yaml"]).status.success());
    let toml = run(folder.path(), &["config", "schema", "--output", "toml"]);
    assert_eq!(toml.status.code(), Some(2), "{}", text(&toml.stderr));
}
