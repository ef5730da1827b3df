//! `countersign user ...` and `countersign service ...`: the same nouns' two kinds.

use super::{
    Common,
    basic::{RemovePassword, SetPassword, show_password},
    scope,
};
use crate::{
    admin_client::AdminClient,
    output::{Column, Exit, Failure},
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

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
    /// Give a user other scopes or groups, in place of those it has
    #[command(before_help = "Examples:
  countersign user change ada --scope orders:read --scope orders:write
  countersign user change ada --no-groups")]
    Change(Change),
    /// Set a user's password; you are asked for it, or it comes from a file
    #[command(before_help = "Examples:
  countersign user set-password ada
  countersign user set-password ada --password-file ada.password
  pwgen 20 1 | countersign user set-password ada --password-file -")]
    SetPassword(SetPassword),
    /// Is there a password, and how is it kept?
    #[command(before_help = "Examples:
  countersign user show-password ada")]
    ShowPassword(One),
    /// Take a user's password away
    #[command(before_help = "Examples:
  countersign user remove-password ada
  countersign user remove-password ada --yes")]
    RemovePassword(RemovePassword),
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
    /// Give a service other scopes or groups, in place of those it has
    #[command(before_help = "Examples:
  countersign service change billing --scope orders:read
  countersign service change billing --no-scopes --group finance")]
    Change(Change),
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
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub struct Change {
    /// Name or id
    name: String,
    /// What it may do from now on, and nothing else; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, group = "change")]
    scopes: Vec<String>,
    /// It may do nothing any more
    #[arg(long, conflicts_with = "scopes", group = "change")]
    no_scopes: bool,
    /// Its labels from now on, and no others; repeat for more
    #[arg(long = "group", value_name = "GROUP", group = "change")]
    groups: Vec<String>,
    /// No labels any more
    #[arg(long, conflicts_with = "groups", group = "change")]
    no_groups: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those that are enabled, or with `false` those that are not
    #[arg(long)]
    enabled: Option<bool>,
    /// Only those whose name begins so
    #[arg(long, value_name = "PREFIX")]
    name: Option<String>,
    /// By what; with `-` the greatest first
    #[arg(long, allow_hyphen_values = true, value_parser = ["name", "-name", "created_at", "-created_at"])]
    sort: Option<String>,
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
    Change(Change),
    Enable(One, bool),
    SetPassword(SetPassword),
    ShowPassword(One),
    RemovePassword(RemovePassword),
}

impl From<User> for Principal {
    fn from(command: User) -> Self {
        let verb = match command {
            User::Create(create) => Verb::Create(create),
            User::List(list) => Verb::List(list),
            User::Show(one) => Verb::Show(one),
            User::Change(change) => Verb::Change(change),
            User::Disable(one) => Verb::Enable(one, false),
            User::SetPassword(set) => Verb::SetPassword(set),
            User::ShowPassword(one) => Verb::ShowPassword(one),
            User::RemovePassword(remove) => Verb::RemovePassword(remove),
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
            Service::Change(change) => Verb::Change(change),
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
        Verb::List(List { enabled, name, sort, limit }) => {
            let most = usize::try_from(limit).unwrap_or(usize::MAX);
            let mut query = vec![("kind", kind.to_owned())];
            query.extend(enabled.map(|enabled| ("enabled", enabled.to_string())));
            query.extend(name.map(|name| ("name", name)));
            query.extend(sort.map(|sort| ("sort", sort)));
            let items = client.all(&["principals"], &query, most).await?;
            out.list(&items, &COLUMNS, "id")?;
        }
        Verb::Show(One { name }) => {
            let found = client.get(&["principals", &name], &[]).await?;
            out.record(of_kind(&found, kind, &name)?, "id")?;
        }
        Verb::Change(change) => {
            let mut body = Map::new();
            if change.no_scopes || !change.scopes.is_empty() {
                body.insert("scopes".into(), json!(change.scopes));
            }
            if change.no_groups || !change.groups.is_empty() {
                body.insert("groups".into(), json!(change.groups));
            }
            out.record(&patch(&client, kind, &change.name, Value::Object(body)).await?, "id")?;
        }
        Verb::Enable(One { name }, enabled) => {
            out.record(&patch(&client, kind, &name, json!({"enabled": enabled})).await?, "id")?;
        }
        Verb::SetPassword(set) => return set.run(common).await,
        Verb::ShowPassword(One { name }) => return show_password(&name, common).await,
        Verb::RemovePassword(remove) => return remove.run(common).await,
    }
    Ok(Exit::Ok)
}

/// Changes the one of this kind: `user disable billing` must not stop the service `billing`.
async fn patch(client: &AdminClient, kind: &str, name: &str, body: Value) -> Result<Value, Failure> {
    let found = client.get(&["principals", name], &[]).await?;
    let found = of_kind(&found, kind, name)?;
    let id = found.get("id").and_then(Value::as_str).unwrap_or(name);
    let version = found.get("version").and_then(Value::as_i64).unwrap_or_default();
    client.patch(&["principals", id], version, body).await
}

fn of_kind<'v>(found: &'v Value, kind: &str, name: &str) -> Result<&'v Value, Failure> {
    match found.get("kind").and_then(Value::as_str) {
        Some(other) if other != kind => {
            Err(Failure::new(Exit::NotFound, format!("`{name}` is a {other}, not a {kind}"))
                .todo(format!("say `countersign {other} ...`")))
        }
        _ => Ok(found),
    }
}
