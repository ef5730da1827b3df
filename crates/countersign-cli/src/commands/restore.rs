//! `countersign restore`: a backup into the empty store that the configuration names (RULES 4.6).

use super::{
    Common,
    copies::{self, Bar, KeyArgs, failed, not_opened, rows, time, whoever},
    serve::control_runtime,
};
use crate::{
    audit_file,
    compose::{Rooms, World},
    config::Environment,
    output::{Exit, Failure, say},
    place::Place,
};
use clap::Args;
use countersign_core::audit::{AuditStore, ChainState};
use countersign_crypto::sealed_file::SealedReader;
use countersign_store::copy::{self, Newer};
use serde_json::json;
use std::{fs::File, io::BufReader, path::PathBuf};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign restore monday.backup --key-file /etc/countersign/backup.key
  countersign restore monday.backup --passphrase-file passphrase --audit trail.jsonl")]
pub struct Restore {
    /// What `countersign backup` wrote
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// The trail since, as `countersign audit export` wrote it: what ended after the backup ends again
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
}

pub fn run(command: Restore, common: &Common) -> Result<Exit, Failure> {
    control_runtime()?.block_on(restore(command, common))
}

async fn restore(command: Restore, common: &Common) -> Result<Exit, Failure> {
    let Restore { file, key, audit } = command;
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let settings = place.load(&Environment::of_process())?;
    let opened =
        File::open(&file).map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
    let newer = audit.as_deref().map(audit_file::open).transpose()?;
    let newer = newer.map(|records| Box::new(records) as Newer<'_>);
    let mut sealed =
        SealedReader::new(BufReader::new(opened), &key.read(false)?).map_err(|e| not_opened(&file, &e))?;
    let world = World::of_machine();
    let with = copy::Restore { now: world.clock.now(), by: whoever(), newer };
    let with_audit = with.newer.is_some();
    let bar = Bar::new(common);
    let watch = &mut |progress: copy::Progress<'_>| bar.show(progress);
    let restored = copy::restore(&settings.store_url.0, &mut sealed, with, watch).await;
    drop(bar);
    let (summary, restored) = restored.map_err(failed)?;
    let out = common.out();
    let lost: Vec<String> = restored.lost.iter().map(|(action, n)| format!("{action} {n}")).collect();
    out.record(
        &json!({
            "copy": summary.digest.map(copies::short),
            "made_at": time(summary.header.made_at),
            "rows": rows(&summary.header),
            "epoch": restored.epoch,
            "ended": restored.ended,
            "sessions": restored.sessions,
            "records": restored.records,
            "lost": lost,
        }),
        "copy",
    )?;
    if !with_audit {
        out.say("without `--audit` nothing is known of what ended after the backup: keys that were revoked since are good again");
    }
    if with_audit && restored.records == 0 {
        out.say(
            "`--audit` holds no record after the backup: if it was exported before it, keys that were revoked since are good \
             again; export the trail anew where that is still possible",
        );
    }
    if !lost.is_empty() {
        out.say(
            "`lost` happened after the backup and is not in the store: `countersign audit tail` shows it",
        );
    }
    // whoever serves next would be told; now is sooner
    match Rooms::open(&settings, world).await {
        Ok(rooms) => {
            let chain = rooms.store.verify().await;
            rooms.store.close().await;
            // the copy is what was backed up, to the letter; what was done to the trail before that is in it too
            if let Ok(ChainState::BrokenAt { number }) = chain {
                say(&format!(
                    "the audit chain in the backup does not hold: it breaks at record {number}; an older backup may be whole"
                ));
            }
            out.say("restored; start `countersign serve`");
            Ok(Exit::Ok)
        }
        Err(why) => {
            Err(Failure::failed(format!("the store is restored, but cannot be served yet: {}", why.what))
                .todo(why.todo.unwrap_or_default()))
        }
    }
}
