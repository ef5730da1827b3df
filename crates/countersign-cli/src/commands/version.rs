//! `countersign version`: what this binary is. Asks no server and no network.

use super::Common;
use crate::output::{Exit, Failure, Format};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign version
  countersign version --json")]
pub struct Version {
    /// The same as `--output json`
    #[arg(long)]
    json: bool,
}

pub fn run(command: Version, common: &Common) -> Result<Exit, Failure> {
    let mut out = common.out();
    if command.json {
        out.format = Format::Json;
    }
    out.record(&about(), "version")?;
    Ok(Exit::Ok)
}

fn about() -> Value {
    // empty: nobody said so when it was built
    let known = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": known(env!("COUNTERSIGN_BUILD_COMMIT")),
        "target": known(env!("COUNTERSIGN_BUILD_TARGET")),
        "rustc": known(env!("COUNTERSIGN_BUILD_RUSTC")),
        "engines": countersign_store::ENGINES,
        "schema": countersign_store::newest_schema(),
    })
}
