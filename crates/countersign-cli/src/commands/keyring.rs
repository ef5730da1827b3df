//! `countersign keyring ...`: the file of peppers and keys, for whoever sits at the machine. No secret is ever printed.

use super::{Common, wait};
use crate::{
    compose::World,
    config::Environment,
    keyring::{self, Listed, Purpose},
    output::{Exit, Failure},
    place::Place,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Keyring {
    /// What is in it, which is current, and which peppers live keys still need
    #[command(before_help = "Examples:
  countersign keyring list
  countersign keyring list --config /etc/countersign/countersign.toml")]
    List,
    /// Add a pepper under which new keys are hashed; the old ones stay
    #[command(before_help = "Examples:
  countersign keyring rotate
  countersign keyring rotate --later
  countersign keyring rotate audit
  countersign keyring rotate seal")]
    Rotate(Rotate),
    /// Make a pepper that is there the current one
    #[command(before_help = "Examples:
  countersign keyring use 2")]
    Use(Use),
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// What for
    #[arg(value_enum, default_value = "pepper")]
    purpose: Purpose,
    /// Only add the pepper: where several gateways serve, all must have it before one uses it
    #[arg(long)]
    later: bool,
}

#[derive(Debug, Args)]
pub struct Use {
    /// The pepper's number
    number: u32,
}

pub fn run(command: Keyring, common: &Common) -> Result<Exit, Failure> {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let settings = place.load(&Environment::of_process())?;
    let out = common.out();
    let World { clock, entropy } = World::of_machine();
    match command {
        Keyring::List => {
            let listed = keyring::list(&settings.keyring)?;
            let needed = async {
                // the store may be elsewhere or not there yet: then it is not known
                let looked = countersign_store::inspect(&settings.store_url.0, clock.now(), &[]).await;
                let needed = looked.ok().map(|looked| looked.peppers);
                let items: Vec<Value> = listed.iter().map(|one| shown(one, needed.as_deref())).collect();
                out.list(&items, &COLUMNS, "number")?;
                Ok(Exit::Ok)
            };
            wait(needed)
        }
        Keyring::Rotate(Rotate { purpose, later }) => {
            if later && purpose != Purpose::Pepper {
                return Err(Failure::usage(
                    "`--later` is for peppers: of everything else the newest is used",
                ));
            }
            let number = keyring::add(&settings.keyring, purpose, !later, &*entropy)?;
            let path = settings.keyring.path.display();
            out.say(&match (purpose, later) {
                (Purpose::Pepper, false) => format!(
                    "pepper {number} is in `{path}` and current: restart `countersign serve`; keys that are there go on under theirs"
                ),
                (Purpose::Pepper, true) => format!(
                    "pepper {number} is in `{path}`: bring the file to every gateway, restart them all, then `countersign keyring use {number}`"
                ),
                (Purpose::Fingerprint | Purpose::Seal | Purpose::Cookie, _) => format!(
                    "{} {number} is in `{path}`: bring the file to every gateway, and restart them",
                    purpose.as_str()
                ),
                (Purpose::Audit, _) => format!(
                    "audit key {number} is in `{path}`: restart `countersign serve`, and keep its public half (`countersign audit head`)"
                ),
            });
            if common.quiet {
                out.line(&number.to_string())?;
            }
            Ok(Exit::Ok)
        }
        Keyring::Use(Use { number }) => {
            keyring::make_current(&settings.keyring, number)?;
            out.say(&format!("pepper {number} is current: restart `countersign serve`"));
            Ok(Exit::Ok)
        }
    }
}

const COLUMNS: [(&str, &str); 4] =
    [("PURPOSE", "purpose"), ("NUMBER", "number"), ("CURRENT", "current"), ("NEEDED", "needed")];

fn shown(one: &Listed, needed: Option<&[i64]>) -> Value {
    let Listed { purpose, number, current } = one;
    let needed = match purpose {
        Purpose::Pepper => needed.map(|needed| needed.contains(&i64::from(*number)) || *current),
        // what it recognised is forgotten after a day
        Purpose::Fingerprint => Some(*current),
        // heads that it signed are still about, and what was sealed stays sealed
        Purpose::Audit | Purpose::Seal | Purpose::Cookie => Some(true),
    };
    json!({ "purpose": purpose.as_str(), "number": number, "current": current, "needed": needed })
}
