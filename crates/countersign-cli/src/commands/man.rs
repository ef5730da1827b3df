//! `countersign man`: a manual page for every command. Hidden: for whoever packages the binary.

use super::Common;
use crate::output::{Exit, Failure};
use clap::{Args, Command};
use clap_mangen::Man as Page;
use std::{
    fmt::Display,
    io,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign man --to /usr/share/man/man1")]
pub struct Man {
    /// The folder to write to
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

pub fn run(Man { to }: Man, common: &Common) -> Result<Exit, Failure> {
    let cannot =
        |path: &Path, e: &dyn Display| Failure::failed(format!("cannot write `{}`: {e}", path.display()));
    std::fs::create_dir_all(&to).map_err(|e| cannot(&to, &e))?;
    let mut grammar = super::grammar();
    grammar.build();
    let mut commands = Vec::new();
    collect(&grammar, &mut commands);
    for command in &commands {
        let page = Page::new((*command).clone()).source(concat!("countersign ", env!("CARGO_PKG_VERSION")));
        let file = to.join(page.get_filename());
        let text = written(&page, command).map_err(|e| cannot(&file, &e))?;
        std::fs::write(&file, text).map_err(|e| cannot(&file, &e))?;
    }
    common.out().say(&format!("{} pages in `{}`", commands.len(), to.display()));
    Ok(Exit::Ok)
}

/// Not what `--help` hides.
fn collect<'c>(command: &'c Command, commands: &mut Vec<&'c Command>) {
    commands.push(command);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        collect(inner, commands);
    }
}

fn written(page: &Page, command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    if let Some(examples) = command.get_before_help() {
        text.extend(section(&examples.to_string()).into_bytes());
    }
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    text.extend(EXIT_STATUS.as_bytes());
    Ok(text)
}

const EXIT_STATUS: &str = ".SH \"EXIT STATUS\"
.nf
0  done; \\fBcheck\\fR: it would be let through
1  failed
2  the line, or a value in it, is wrong
3  a credential is not good, or the request would be denied
4  not found
5  conflict: changed meanwhile, there already, or a port that is taken
.fi
";

/// What `--help` begins with: `Examples:`, then commands, line by line.
fn section(examples: &str) -> String {
    let mut text = ".SH EXAMPLES\n.nf\n".to_owned();
    for line in examples.lines().skip_while(|line| *line == "Examples:") {
        // a line that begins with a dot or a quote would be a command of roff's; `\&` is nothing, and keeps it text
        text.push_str("\\&");
        for character in line.chars() {
            match character {
                '\\' => text.push_str("\\e"),
                '-' => text.push_str("\\-"),
                other => text.push(other),
            }
        }
        text.push('\n');
    }
    text.push_str(".fi\n");
    text
}
