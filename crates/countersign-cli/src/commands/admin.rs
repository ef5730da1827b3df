//! `countersign admin ...`: for whoever sits at the machine and can open the store.

use super::{Common, serve::control_runtime};
use crate::{
    compose::{Rooms, World},
    config::Environment,
    operator,
    output::{Exit, Failure},
    place::{ADMIN_KEY, Place},
};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Make a new operator's key, good for 24 hours, in `admin.key`; audited
    #[command(before_help = "Examples:
  countersign admin recover
  countersign admin recover --config /etc/countersign/countersign.toml")]
    Recover,
}

pub fn run(command: Admin, common: &Common) -> Result<Exit, Failure> {
    match command {
        Admin::Recover => control_runtime()?.block_on(recover(common)),
    }
}

/// Opens the store itself: it must work when no operator can get in, and when no server runs.
async fn recover(common: &Common) -> Result<Exit, Failure> {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let settings = place.load(&Environment::of_process())?;
    let rooms = Rooms::open(&settings, World::of_machine()).await?;
    let file = common.admin_key_file.clone().unwrap_or_else(|| place.file(ADMIN_KEY));
    let recovered = operator::recover(&rooms, &file, rooms.now()).await;
    rooms.store.close().await;
    let id = recovered?;
    // RULES 4.4: the key goes into its file, never to output
    common.out().say(&format!("key {id}, good for 24 hours, is in `{}`", file.display()));
    if common.quiet {
        common.out().line(id.as_str())?;
    }
    Ok(Exit::Ok)
}
