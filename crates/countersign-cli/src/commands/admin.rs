//! `countersign admin ...`: for whoever sits at the machine and can open the store.

use super::Common;
use crate::output::{Exit, Failure};
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
        Admin::Recover => Err(Failure::failed(format!("{:?}", common.dir))),
    }
}
