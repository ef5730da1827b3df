//! `countersign signing-key ...`

use super::Common;
use crate::output::{Column, Exit, Failure, cell, confirm, to_seconds};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum SigningKey {
    /// List the keys that tokens are signed with
    #[command(before_help = "Examples:
  countersign signing-key list
  countersign signing-key list --output json")]
    List,
    /// Have another key sign: published for a day first, or at once
    #[command(before_help = "Examples:
  countersign signing-key rotate session
  countersign signing-key rotate identity
  countersign signing-key rotate session --at-once")]
    Rotate {
        /// `session`: access tokens; `identity`: what upstreams are told
        #[arg(value_enum)]
        purpose: Purpose,
        /// It signs now; whoever keeps the key set refuses that until they fetch it anew, up to 15 minutes
        #[arg(long)]
        at_once: bool,
    },
    /// End a key, everywhere, within a second, and with it all that it signed; another signs in its place
    ///
    /// An upstream that verifies `Countersign-Identity` with PyJWT or jose may refuse what the other one signs until its library
    /// fetches the keys anew, up to 30 seconds.
    #[command(before_help = "Examples:
  countersign signing-key revoke kxliyHknn445n4FLqoNZVntyjpN5J6nUysrG1b7VfiM
  countersign signing-key revoke kxliyHknn445n4FLqoNZVntyjpN5J6nUysrG1b7VfiM --yes")]
    Revoke {
        /// Its `kid`
        // one in sixty-four begins with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Without being asked, as in a script
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    Session,
    Identity,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::Session => "session",
            Purpose::Identity => "identity",
        }
    }
}

const COLUMNS: [Column; 6] = [
    ("KID", "kid"),
    ("PURPOSE", "purpose"),
    ("ALGORITHM", "algorithm"),
    ("STATE", "state"),
    ("SINCE", "since"),
    ("CREATED", "created_at"),
];

pub async fn run(command: SigningKey, common: &Common) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    match command {
        SigningKey::List => {
            let mut found = client.get(&["signing-keys"], &[]).await?;
            let items = found.get_mut("items").map(Value::take);
            let items = items.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
            out.list(&items, &COLUMNS, "kid")?;
        }
        SigningKey::Rotate { purpose, at_once } => {
            let body = json!({"purpose": purpose.as_str(), "at_once": at_once});
            let rotated = client.post(&["signing-keys", "rotate"], body).await?;
            out.record(rotated.get("key").unwrap_or(&Value::Null), "kid")?;
            let from = rotated.get("signs_from").and_then(Value::as_str).unwrap_or("-");
            let from = to_seconds(from).unwrap_or_else(|| from.to_owned());
            out.say(&match rotated.pointer("/key/state").and_then(Value::as_str) {
                Some("active") => "it signs from now on; what the one before signed stays good".to_owned(),
                _ => format!("it signs once the one before is due, from {from} at the earliest; `--at-once` does not wait"),
            });
        }
        SigningKey::Revoke { kid, yes } => {
            if !yes {
                let about = about(&client.get_if_allowed(&["signing-keys"]).await?, &kid);
                confirm(&format!("end the signing key `{kid}`{about} and all that it signed, for good?"))?;
            }
            out.record(&client.post(&["signing-keys", &kid, "revoke"], json!({})).await?, "kid")?;
        }
    }
    Ok(Exit::Ok)
}

fn about(listed: &Option<Value>, kid: &str) -> String {
    let items = listed.as_ref().and_then(|listed| listed.get("items")).and_then(Value::as_array);
    let found =
        items.and_then(|items| items.iter().find(|key| key.get("kid").and_then(Value::as_str) == Some(kid)));
    found.map_or_else(String::new, |key| {
        format!(", {} for `{}`,", cell(key.get("state")), cell(key.get("purpose")))
    })
}
