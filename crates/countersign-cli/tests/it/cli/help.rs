//! Strangers read `--help` first: it begins with examples, and what it says is looked at before it changes.

use crate::support::{binary, text};
use clap::Command;

/// Every command and its path from the top.
fn leaves(command: &Command, path: &[String], found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    for inner in command.get_subcommands() {
        leaves(inner, &[path, &[inner.get_name().to_owned()]].concat(), found);
    }
}

#[test]
fn every_help_is_as_it_was() {
    let mut all = Vec::new();
    leaves(&countersign_cli::commands::grammar(), &[], &mut all);
    let mut whole = String::new();
    for path in all {
        let output = binary().args(&path).arg("--help").env("COLUMNS", "100").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{path:?}");
        let help = text(&output.stdout);
        let heading = format!("countersign {}", path.join(" "));
        // where all commands share options, they are shown once, at the top
        let help = if path.is_empty() { help.as_str() } else { help.split("Everywhere:").next().unwrap() };
        whole.push_str(&format!("$ {} --help\n{}\n\n", heading.trim(), help.trim()));
    }
    insta::assert_snapshot!("help", whole);
}

#[test]
fn the_help_of_every_command_that_does_something_begins_with_examples() {
    let mut all = Vec::new();
    let grammar = countersign_cli::commands::grammar();
    leaves(&grammar, &[], &mut all);
    for path in all {
        let command = path.iter().fold(&grammar, |c, name| c.find_subcommand(name).unwrap());
        if command.has_subcommands() && !path.is_empty() {
            continue;
        }
        let output = binary().args(&path).arg("--help").output().unwrap();
        assert!(text(&output.stdout).starts_with("Examples:\n  countersign "), "{path:?}");
    }
}

#[test]
fn a_mistyped_line_is_usage() {
    for line in [
        &["kye"][..],
        &["key", "create"],
        &["key", "create", "demo", "--expires", "soon"],
        &["--colour"],
        &[],
    ] {
        let output = binary().args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(output.stdout.is_empty(), "talk goes to stderr: {line:?}");
    }
}
