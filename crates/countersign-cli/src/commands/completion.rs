//! `countersign completion`: what a shell wants to know of the grammar.

use super::Common;
use crate::output::{Exit, Failure};
use clap::{Args, ValueEnum};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign completion bash > /etc/bash_completion.d/countersign
  countersign completion zsh > ~/.zfunc/_countersign
  countersign completion fish > ~/.config/fish/completions/countersign.fish
  source <(countersign completion bash)")]
pub struct Completion {
    shell: Known,
}

/// Those that are tested.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

pub fn run(command: Completion, common: &Common) -> Result<Exit, Failure> {
    let shell = match command.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::grammar(), "countersign", &mut script);
    let script =
        String::from_utf8(script).map_err(|_| Failure::failed("the completion that was made is not text"))?;
    common.out().line(script.trim_end())?;
    Ok(Exit::Ok)
}
