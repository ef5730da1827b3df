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

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/command-line.md");
const FOREWORD: &str = "# Command line

What `countersign --help` and `--help` of every command say. Data goes to stdout and talk to stderr; `--output json` is for programs.

| exit code | meaning |
|---|---|
| 0 | done; `check`: it would be let through |
| 1 | failed |
| 2 | the line, or a value in it, is wrong |
| 3 | a credential is not good, or the request would be denied |
| 4 | not found |
| 5 | conflict: changed meanwhile, there already, or a port that is taken |
";

/// docs/reference/command-line.md is what the program says of itself.
#[test]
fn the_reference_is_what_every_help_says() {
    let mut all = Vec::new();
    leaves(&countersign_cli::commands::grammar(), &[], &mut all);
    let mut whole = FOREWORD.to_owned();
    for path in all {
        let output = binary().args(&path).arg("--help").env("COLUMNS", "100").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{path:?}");
        let help = text(&output.stdout);
        let heading = format!("countersign {}", path.join(" "));
        // where all commands share options, they are shown once, at the top
        let help = if path.is_empty() { help.as_str() } else { help.split("Everywhere:").next().unwrap() };
        whole.push_str(&format!("\n## {}\n\n```\n{}\n```\n", heading.trim(), help.trim()));
    }
    if countersign_cli::config::Environment::of_process().get("COUNTERSIGN_WRITE_REFERENCE").is_some() {
        std::fs::write(REFERENCE, &whole).unwrap();
    }
    let written = std::fs::read_to_string(REFERENCE).unwrap_or_default();
    let first = whole.lines().zip(written.lines()).find(|(says, stands)| says != stands);
    assert!(
        whole == written,
        "docs/reference/command-line.md does not say what the program says, first at {first:?}; write it anew with \
         `COUNTERSIGN_WRITE_REFERENCE=1 cargo test -p countersign-cli --test it the_reference`"
    );
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
