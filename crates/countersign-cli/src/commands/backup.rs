//! `countersign backup`: everything that is kept into one sealed file, while the server serves.
//!
//! Opens the store itself, for whoever sits at the machine: no key of an operator is worth a copy of everything.

use super::{
    Common,
    copies::{self, Bar, KeyArgs, failed, rows, time},
    serve::control_runtime,
};
use crate::{
    compose::World,
    config::Environment,
    output::{Exit, Failure},
    place::Place,
    private_file::{self, NewFile},
};
use clap::Args;
use countersign_crypto::sealed_file::{SealKey, SealedWriter};
use countersign_store::copy;
use serde_json::json;
use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign backup --new-key /etc/countersign/backup.key
  countersign backup --to monday.backup --key-file /etc/countersign/backup.key
  countersign backup --to monday.backup --passphrase-file passphrase")]
pub struct Backup {
    /// The file to write; nothing may be there yet
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    to: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    /// Only make a key, in a file of its own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "key_file", "passphrase_file"])]
    new_key: Option<PathBuf>,
}

pub fn run(command: Backup, common: &Common) -> Result<Exit, Failure> {
    let Backup { to, key, new_key } = command;
    match (new_key, to) {
        (Some(file), _) => make_key(&file, common),
        (None, Some(to)) => control_runtime()?.block_on(back_up(&to, &key, common)),
        (None, None) => Err(Failure::usage("name the file with `--to`")),
    }
}

fn make_key(file: &Path, common: &Common) -> Result<Exit, Failure> {
    let text = SealKey::generate(&*World::of_machine().entropy);
    if !private_file::create(file, text.expose().as_bytes())? {
        return Err(Failure::new(Exit::Conflict, format!("`{}` is there already", file.display()))
            .todo("name another file; a key that is written over opens nothing any more"));
    }
    common.out().say(&format!(
        "the key is in `{}`: keep a copy apart from the backups; without it they cannot be opened",
        file.display()
    ));
    Ok(Exit::Ok)
}

async fn back_up(to: &Path, key: &KeyArgs, common: &Common) -> Result<Exit, Failure> {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let settings = place.load(&Environment::of_process())?;
    let World { clock, entropy } = World::of_machine();
    let mut file = NewFile::create(to)?;
    let key = key.read(true)?;
    let cannot = |e: &dyn std::fmt::Display| Failure::failed(format!("cannot write `{}`: {e}", to.display()));
    let bar = Bar::new(common);
    let written = {
        let mut sealed =
            SealedWriter::new(BufWriter::new(&mut file), &key, &*entropy).map_err(|e| cannot(&e))?;
        let watch = &mut |progress: copy::Progress<'_>| bar.show(progress);
        let written =
            copy::write(&settings.store_url.0, clock.now(), &mut sealed, watch).await.map_err(failed)?;
        sealed.finish().map_err(|e| cannot(&e))?;
        written
    };
    drop(bar);
    file.publish()?;
    let bytes = std::fs::metadata(to).map_or(0, |about| about.len());
    let header = written.header;
    let out = common.out();
    out.record(
        &json!({
            "file": to.display().to_string(),
            "copy": written.digest.map(copies::short),
            "made_at": time(header.made_at),
            "rows": rows(&header),
            "bytes": bytes,
            "schema": header.schema,
            "epoch": header.epoch,
            "audit": header.audit,
        }),
        "copy",
    )?;
    out.say(&format!(
        "the keyring `{}` is not in it: keep a copy of that apart from this one; a store without its keyring refuses every key",
        settings.keyring.path.display()
    ));
    Ok(Exit::Ok)
}
