//! `countersign user ...` and `countersign service ...`: the same nouns' two kinds.

use super::{Common, scope};
use crate::output::{Column, Exit, Failure};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user
    #[command(before_help = "Examples:
  countersign user create ada --scope orders:read
  countersign user create ada --scope countersign:read --scope countersign:keys --group staff")]
    Create(Create),
    /// List users
    #[command(before_help = "Examples:
  countersign user list
  countersign user list --output json")]
    List(List),
    /// Show one user
    #[command(before_help = "Examples:
  countersign user show ada")]
    Show(One),
    /// Stop everything that belongs to the user, at once
    #[command(before_help = "Examples:
  countersign user disable ada")]
    Disable(One),
    /// Let what belongs to the user work again
    #[command(before_help = "Examples:
  countersign user enable ada")]
    Enable(One),
}

#[derive(Debug, Subcommand)]
pub enum Service {
    /// Make a service
    #[command(before_help = "Examples:
  countersign service create billing --scope orders:read --scope orders:write
  countersign service create billing --scope orders:read --group finance")]
    Create(Create),
    /// List services
    #[command(before_help = "Examples:
  countersign service list
  countersign service list --output json")]
    List(List),
    /// Show one service
    #[command(before_help = "Examples:
  countersign service show billing")]
    Show(One),
    /// Stop everything that belongs to the service, at once
    #[command(before_help = "Examples:
  countersign service disable billing")]
    Disable(One),
    /// Let what belongs to the service work again
    #[command(before_help = "Examples:
  countersign service enable billing")]
    Enable(One),
}

#[derive(Debug, Args)]
pub struct Create {
    /// 1 to 64 of `a-z 0-9 . _ - @`
    name: String,
    /// What it may do; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// A label that goes upstream and grants nothing; repeat for more
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, Args)]
pub struct One {
    /// Name or id
    name: String,
}

/// Either noun's command, with the kind that it speaks of.
#[derive(Debug)]
pub struct Principal {
    kind: &'static str,
    verb: Verb,
}

#[derive(Debug)]
enum Verb {
    Create(Create),
    List(List),
    Show(One),
    Enable(One, bool),
}

impl From<User> for Principal {
    fn from(command: User) -> Self {
        let verb = match command {
            User::Create(create) => Verb::Create(create),
            User::List(list) => Verb::List(list),
            User::Show(one) => Verb::Show(one),
            User::Disable(one) => Verb::Enable(one, false),
            User::Enable(one) => Verb::Enable(one, true),
        };
        Self { kind: "user", verb }
    }
}

impl From<Service> for Principal {
    fn from(command: Service) -> Self {
        let verb = match command {
            Service::Create(create) => Verb::Create(create),
            Service::List(list) => Verb::List(list),
            Service::Show(one) => Verb::Show(one),
            Service::Disable(one) => Verb::Enable(one, false),
            Service::Enable(one) => Verb::Enable(one, true),
        };
        Self { kind: "service", verb }
    }
}

const COLUMNS: [Column; 6] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("ENABLED", "enabled"),
    ("SCOPES", "scopes"),
    ("GROUPS", "groups"),
    ("CREATED", "created_at"),
];

pub async fn run(Principal { kind, verb }: Principal, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let client = common.client()?;
    match verb {
        Verb::Create(Create { name, scopes, groups }) => {
            let body = json!({"kind": kind, "name": name, "scopes": scopes, "groups": groups});
            out.record(&client.post(&["principals"], body).await?, "id")?;
        }
        Verb::List(List { limit }) => {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let items = client.all(&["principals"], &[("kind", kind.to_owned())], most).await?;
            out.list(&items, &COLUMNS, "id")?;
        }
        Verb::Show(One { name }) => {
            let found = client.get(&["principals", &name], &[]).await?;
            out.record(of_kind(&found, kind, &name)?, "id")?;
        }
        Verb::Enable(One { name }, enabled) => {
            let found = client.get(&["principals", &name], &[]).await?;
            let found = of_kind(&found, kind, &name)?;
            let id = found.get("id").and_then(Value::as_str).unwrap_or(&name);
            out.record(&client.patch(&["principals", id], json!({"enabled": enabled})).await?, "id")?;
        }
    }
    Ok(Exit::Ok)
}

/// `user disable billing` must not stop the service `billing`.
fn of_kind<'v>(found: &'v Value, kind: &str, name: &str) -> Result<&'v Value, Failure> {
    match found.get("kind").and_then(Value::as_str) {
        Some(other) if other != kind => {
            Err(Failure::new(Exit::NotFound, format!("`{name}` is a {other}, not a {kind}"))
                .todo(format!("say `countersign {other} ...`")))
        }
        _ => Ok(found),
    }
}
