//! What `backup`, `restore` and `migrate` share: the key, the bar, and how a refusal of the store is said.

use super::Common;
use crate::{
    output::{Exit, Failure},
    private_file,
};
use clap::Args;
use countersign_crypto::{
    SecretString,
    sealed_file::{SealKey, SealedError},
};
use countersign_store::copy::{CopyError, Header, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// With which a file is sealed and opened.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// A key that `countersign backup --new-key` made
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    /// A passphrase: the first line of a file, `-` for stdin; without either it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyArgs {
    /// `new`: asked for twice.
    pub(super) fn read(&self, new: bool) -> Result<SealKey, Failure> {
        let passphrase = match (&self.key_file, &self.passphrase_file) {
            (Some(file), _) => return key_from(file),
            (None, Some(file)) => private_file::passphrase_from(file)?,
            (None, None) => asked(new)?,
        };
        SealKey::passphrase(passphrase).ok_or_else(|| {
            Failure::usage(format!("the passphrase is shorter than {} characters", SealKey::SHORTEST_PASSPHRASE))
                .todo("whoever has the file can guess as fast as they like: take several words, or a key of its own (`--new-key`)")
        })
    }
}

fn key_from(file: &Path) -> Result<SealKey, Failure> {
    let shown = file.display();
    let text = private_file::read_given(file)?.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no `{shown}`"))
            .todo("name the key of your backups; `countersign backup --new-key FILE` makes the first")
    })?;
    let text = SecretString::new(text);
    SealKey::parse(text.expose()).ok_or_else(|| {
        Failure::failed(format!("`{shown}` is no key for backups")).todo(
            "make one with `countersign backup --new-key FILE`; a passphrase goes in `--passphrase-file`",
        )
    })
}

fn asked(new: bool) -> Result<SecretString, Failure> {
    if !std::io::stderr().is_terminal() {
        return Err(Failure::usage("nobody is there to ask for the passphrase")
            .todo("name it with `--passphrase-file FILE`, or a key with `--key-file FILE`"));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(SecretString::new)
            .map_err(|e| Failure::failed(format!("cannot ask for the passphrase: {e}")))
    };
    let passphrase = ask("passphrase: ")?;
    // both were typed by the same person; nothing is learned from how long the comparison takes
    if new && ask("again: ")?.expose() != passphrase.expose() {
        return Err(Failure::usage("the two are not the same"));
    }
    Ok(passphrase)
}

/// On a terminal, unless quiet.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(common: &Common) -> Self {
        let target = if common.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {human_pos}/{human_len} rows, {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress<'_>) {
        // a look at the clock for every row would cost more than the row
        if progress.done.is_multiple_of(256) || progress.rows == 1 || progress.done == progress.total {
            self.0.set_length(progress.total);
            self.0.set_message(progress.table.to_owned());
            self.0.set_position(progress.done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

pub(super) fn rows(header: &Header) -> u64 {
    header.tables.iter().map(|table| table.rows).sum()
}

pub(super) fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |at| at.to_string())
}

/// Who sits at the machine, for the trail.
pub(super) fn whoever() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

pub(super) fn not_opened(file: &Path, error: &SealedError) -> Failure {
    let failure = Failure::failed(format!("cannot open `{}`: {error}", file.display()));
    match error {
        SealedError::NeedsPassphrase => {
            failure.todo("give it with `--passphrase-file FILE`, or leave both out to be asked")
        }
        SealedError::NeedsKey => failure.todo("name it with `--key-file FILE`"),
        _ => failure,
    }
}

pub(super) fn failed(error: CopyError) -> Failure {
    let exit = match error {
        CopyError::NotEmpty(_) | CopyError::WrittenMeanwhile => Exit::Conflict,
        _ => Exit::Failed,
    };
    let todo = match &error {
        CopyError::NotEmpty(_) => "a copy goes only into a new file or database: name one in `[store] url`",
        CopyError::Newer { .. } => "use the release that made it, or a newer one",
        CopyError::NotWhole(_) | CopyError::Read(_) => "nothing of it counts; take another copy",
        CopyError::Write(_) => "nothing was left behind; is there room, and may this user write there?",
        CopyError::Audit(_) => {
            "nothing counts yet; export the trail whole (`countersign audit export`), from the store that was copied, or \
             leave `--audit` out and what ended since the copy is good again"
        }
        CopyError::WrittenMeanwhile => "nothing counts yet; stop what serves from it, and do it again",
        CopyError::Store(_) => "is the database there and reachable, and may this user use it?",
    };
    Failure::new(exit, error.to_string()).todo(todo)
}

/// The name of a copy, as the trail has it.
pub(super) fn short(digest: [u8; 32]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
