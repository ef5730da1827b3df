//! `countersign session ...`

use super::Common;
use crate::output::{Column, Exit, Failure, cell, confirm};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub enum Session {
    /// List sessions, the newest first
    #[command(before_help = "Examples:
  countersign session list
  countersign session list --principal ada --open --output json")]
    List(List),
    /// Show one session; never what its holder comes back with
    #[command(before_help = "Examples:
  countersign session show pmtXomPawLjX")]
    Show {
        /// Its public id
        id: String,
    },
    /// End a session, everywhere, within a second
    #[command(before_help = "Examples:
  countersign session end pmtXomPawLjX
  countersign session end pmtXomPawLjX --yes")]
    End {
        /// Its public id
        id: String,
        /// Without being asked, as in a script
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct List {
    /// Only of this user or service
    #[arg(long)]
    principal: Option<String>,
    /// Only those that are open
    #[arg(long)]
    open: bool,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("PRINCIPAL", "principal"),
    ("STATE", "state"),
    ("KIND", "kind"),
    ("ADDRESS", "address"),
    ("CREATED", "created_at"),
    ("LAST USED", "last_used_at"),
    ("ENDS", "ends_at"),
];

pub async fn run(command: Session, common: &Common) -> Result<Exit, Failure> {
    let (out, client) = (common.out(), common.client()?);
    match command {
        Session::List(List { principal, open, limit }) => {
            let mut query = Vec::new();
            query.extend(principal.map(|principal| ("principal", principal)));
            query.extend(open.then(|| ("open", "true".to_owned())));
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            out.list(&client.all(&["sessions"], &query, most).await?, &COLUMNS, "id")?;
        }
        Session::Show { id } => {
            out.record(&client.get(&["sessions", &id], &[]).await?, "id")?;
        }
        Session::End { id, yes } => {
            if !yes {
                let about = client
                    .get_if_allowed(&["sessions", &id])
                    .await?
                    .map(|shown| {
                        format!(
                            " of `{}` at `{}`",
                            cell(shown.pointer("/principal/name")),
                            cell(shown.get("host"))
                        )
                    })
                    .unwrap_or_default();
                confirm(&format!("end the session `{id}`{about}?"))?;
            }
            out.record(&client.post(&["sessions", &id, "end"], json!({})).await?, "id")?;
        }
    }
    Ok(Exit::Ok)
}
