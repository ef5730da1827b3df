//! How the binary behaves between other programs: pipes, terminals, shells and manual pages.

use crate::support::{LONG, ROUTES, Served, binary, free_port, run, text};
use countersign_testkit::{eventually, has_program};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// On a terminal of its own, where somebody types `answer`.
pub(super) fn at_a_terminal(folder: &Path, line: &str, answer: &str) -> Output {
    let typed = folder.join("typed");
    fs::write(&typed, answer).unwrap();
    let program = env!("CARGO_BIN_EXE_countersign");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{program} {line}"), "/dev/null"]).current_dir(folder);
    command.env("NO_COLOR", "1").stdin(fs::File::open(typed).unwrap()).output().unwrap()
}

#[test]
fn the_name_alone_says_what_to_begin_with() {
    let output = binary().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = text(&output.stderr);
    for line in ["  countersign dev --upstream ", "  countersign key create demo ", "  curl --cacert "] {
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
    assert!(said.contains("`countersign --help`") && said.lines().count() < 12, "{said}");
}

#[test]
fn version_says_what_the_binary_is() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["version", "--json"]);
    assert!(output.status.success() && output.stderr.is_empty());
    let about: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text_of = |member: &str| about[member].as_str().unwrap().to_owned();
    assert_eq!(text_of("version"), env!("CARGO_PKG_VERSION"));
    assert!(text_of("target").contains(std::env::consts::ARCH), "{about}");
    assert!(text_of("rustc").starts_with("rustc 1."), "{about}");
    assert_eq!(about["engines"], serde_json::json!(["sqlite", "postgres"]));
    assert_eq!(about["schema"], countersign_store::newest_schema());
    assert!(about["commit"].as_str().is_none_or(|commit| commit.len() >= 7), "{about}");
    assert_eq!(run(folder.path(), &["version", "--output", "json"]).stdout, output.stdout);
    assert_eq!(
        text(&run(folder.path(), &["version", "-q"]).stdout),
        format!("{}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(text(&run(folder.path(), &["version"]).stdout).starts_with("version "));
    assert!(text(&run(folder.path(), &["version", "--output", "yaml"]).stdout).starts_with("\"version\": "));
}

#[test]
fn what_is_close_is_offered() {
    for (line, offered) in [
        (&["kye", "list"][..], "'key'"),
        (&["key", "lst"], "'list'"),
        (&["key", "list", "--ownr", "demo"], "'--owner'"),
        (&["key", "list", "--output", "jsn"], "'json'"),
    ] {
        let output = binary().args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(text(&output.stderr).contains(offered), "{line:?}: {}", text(&output.stderr));
    }
}

/// <https://no-color.org>, <https://bixense.com/clicolors>
#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let coloured = |variables: &[(&str, &str)]| {
        let mut command = binary();
        command.env_remove("NO_COLOR").env("TERM", "xterm").envs(variables.iter().copied());
        command.arg("--help").output().unwrap().stdout.contains(&0x1b)
    };
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
    if has_program("script", "colour") {
        let folder = tempfile::tempdir().unwrap();
        let there = |variable: &str| {
            let mut command = Command::new("script");
            let line = format!("{} --help", env!("CARGO_BIN_EXE_countersign"));
            command.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).stdin(Stdio::null());
            command
                .env_remove("NO_COLOR")
                .env("TERM", "xterm")
                .env(variable, if variable == "CLICOLOR" { "0" } else { "1" });
            command.output().unwrap().stdout.contains(&0x1b)
        };
        assert!(there("OTHER"));
        assert!(!there("NO_COLOR"));
        assert!(!there("CLICOLOR"));
    }
}

/// `countersign config schema | head -1`.
#[test]
fn whoever_stops_reading_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    for line in [&["config", "schema"][..], &["--help"], &["completion", "bash"], &["version", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = binary().args(line).current_dir(folder.path()).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{line:?}: {:?}", output.status);
        assert!(output.stderr.is_empty(), "{line:?}: {}", text(&output.stderr));
    }
}

/// The trail that somebody follows ends with whoever reads it.
#[tokio::test(flavor = "multi_thread")]
async fn following_ends_with_the_reader() {
    let served = Served::prepare("http://127.0.0.1:9");
    let _process = served.start().await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = binary();
    command.args(["audit", "tail", "--follow"]).current_dir(served.folder.path()).stdout(writer);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_asked_for() {
    let served = Served::prepare("http://127.0.0.1:9");
    let _process = served.start().await;
    let folder = served.folder.path();
    assert!(run(folder, &["service", "create", "demo"]).status.success());
    let id = |label: &str| {
        let made = run(folder, &["key", "create", "demo", "--label", label, "-q"]);
        text(&made.stdout)[8..20].to_owned()
    };
    let state = |id: &str| {
        let shown = run(folder, &["key", "show", id, "--output", "json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown["state"].as_str().unwrap().to_owned()
    };
    let one = id("night");
    let output = run(folder, &["key", "revoke", &one]);
    assert_eq!((output.status.code(), state(&one).as_str()), (Some(2), "active"));
    assert!(text(&output.stderr).contains("say `--yes`"), "{}", text(&output.stderr));
    assert!(run(folder, &["key", "revoke", &one, "--yes"]).status.success());
    assert_eq!(state(&one), "revoked");

    if !has_program("script", "what_cannot_be_taken_back_is_asked_for") {
        return;
    }
    let two = id("day");
    let line = format!("key revoke {two}");
    for answer in ["n\n", "\n", "yesterday\n"] {
        let output = at_a_terminal(folder, &line, answer);
        assert_eq!((output.status.code(), state(&two).as_str()), (Some(1), "active"), "{answer:?}");
        let said = text(&output.stdout);
        assert!(
            said.contains(&format!("end the key `{two}` of `demo`, label day, for good? [y/N]")),
            "{said}"
        );
        assert!(said.contains("nothing was done"), "{said}");
    }
    let output = at_a_terminal(folder, &line, "y\n");
    assert_eq!(
        (output.status.code(), state(&two).as_str()),
        (Some(0), "revoked"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn bash_completes_what_is_typed() {
    let folder = tempfile::tempdir().unwrap();
    let script = run(folder.path(), &["completion", "bash"]);
    assert!(script.status.success() && script.stderr.is_empty());
    let file = folder.path().join("countersign.bash");
    fs::write(&file, &script.stdout).unwrap();
    let completed = |words: &[&str]| {
        let typed = format!(
            "set -eu; source {}; COMP_WORDS=({}); COMP_CWORD={}; _countersign countersign '{}' ''; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.join(" "),
            words.len() - 1,
            words.last().unwrap(),
        );
        let output = Command::new("bash").args(["--norc", "-c", &typed]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(completed(&["countersign", "ver"]), "version");
    assert_eq!(completed(&["countersign", "key", "rev"]), "revoke");
    assert_eq!(completed(&["countersign", "key", "revoke", "--rea"]), "--reason");
}

#[test]
fn zsh_and_fish_read_their_completions() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, known) in [("zsh", "#compdef countersign"), ("fish", "complete -c countersign")] {
        let script = run(folder.path(), &["completion", shell]);
        assert!(script.status.success() && text(&script.stdout).contains(known), "{shell}");
        if has_program(shell, "zsh_and_fish_read_their_completions") {
            let file = folder.path().join(shell);
            fs::write(&file, &script.stdout).unwrap();
            let output = Command::new(shell).arg("-n").arg(&file).output().unwrap();
            assert!(output.status.success(), "{shell}: {}", text(&output.stderr));
        }
    }
    assert_eq!(run(folder.path(), &["completion", "tcsh"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_manual_page() {
    fn names(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        found.push(format!("{name}.1"));
        for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
            names(inner, &format!("{name}-{}", inner.get_name()), found);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["man", "--to", "pages"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    let mut expected = Vec::new();
    names(&countersign_cli::commands::grammar(), "countersign", &mut expected);
    expected.sort();
    let mut written: Vec<String> = fs::read_dir(folder.path().join("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, expected);
    let man = has_program("man", "every_command_has_a_manual_page");
    for name in &expected {
        let file = folder.path().join("pages").join(name);
        let page = fs::read_to_string(&file).unwrap();
        for heading in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH \"EXIT STATUS\""] {
            assert!(page.lines().any(|line| line.starts_with(heading)), "{name} has no {heading}");
        }
        if !page.contains(".SH SUBCOMMANDS") {
            assert!(page.contains(".SH EXAMPLES\n.nf\n\\&  countersign "), "{name} has no examples");
        }
        if man {
            let mut command = Command::new("man");
            command
                .args(["--warnings=all", "--encoding=UTF-8", "-l"])
                .arg(&file)
                .env("MANPAGER", "cat")
                .env("MANWIDTH", "100");
            let read = command.output().unwrap();
            assert!(read.status.success() && read.stderr.is_empty(), "{name}: {}", text(&read.stderr));
            assert!(read.stdout.len() > 200, "{name}: {}", text(&read.stdout));
        }
    }
}

/// Without a key, as a container's health check asks.
#[tokio::test(flavor = "multi_thread")]
async fn ready_is_asked_without_a_key() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let said = || {
        let output = run(folder, &["ready"]);
        (output.status.code().unwrap(), text(&output.stderr))
    };
    assert!(said().0 == 2 && said().1.contains("`[observe] listen`"), "{:?}", said());
    let observe = format!("{ROUTES}\n[observe]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    served.put(&served.configuration("http://127.0.0.1:9", &observe));
    assert!(said().0 == 1 && said().1.contains("nobody answers"), "{:?}", said());
    let _process = served.start().await;
    fs::remove_file(folder.join("admin.key")).unwrap();
    eventually(LONG, || async { said() == (0, "ready\n".to_owned()) }).await;
}
