//! `countersign key ...`

mod import;

use super::{Common, duration, scope};
use crate::{
    config::{Environment, parse_limit, show_duration},
    output::{Column, Exit, Failure, cell, confirm, to_seconds},
    place::{AUTHORITY, Place},
    private_file,
};
use clap::{Args, Subcommand, ValueEnum};
use countersign_core::check::limit::RateLimit;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a key; its secret is shown once
    #[command(before_help = "Examples:
  countersign key create demo --scope orders:read
  countersign key create demo --scope orders:read --header > key
  countersign key create billing --scope orders:read --expires 30d --limit 100/1m
  countersign key create billing --scope orders:read --network 10.0.0.0/8
  KEY=$(countersign key create demo --scope orders:read -q)")]
    Create(Create),
    /// List keys
    #[command(before_help = "Examples:
  countersign key list
  countersign key list --owner demo --usable --output json")]
    List(List),
    /// Show one key; never its secret
    #[command(before_help = "Examples:
  countersign key show 4fQ2kZ81mXpA")]
    Show {
        /// The public id of the key
        id: String,
    },
    /// Make a successor; the old key stays good for a while
    #[command(before_help = "Examples:
  countersign key rotate 4fQ2kZ81mXpA --grace 24h
  countersign key rotate 4fQ2kZ81mXpA --grace 1h --header > key")]
    Rotate(Rotate),
    /// End a key, everywhere, within a second
    #[command(before_help = "Examples:
  countersign key revoke 4fQ2kZ81mXpA
  countersign key revoke 4fQ2kZ81mXpA --reason leaked --yes")]
    Revoke {
        /// The public id of the key
        id: String,
        /// Why
        #[arg(long, value_enum, default_value_t = Reason::Operator)]
        reason: Reason,
        /// Without being asked, as in a script
        #[arg(short, long)]
        yes: bool,
    },
    /// Take in keys that were made elsewhere, all of a file or none
    #[command(before_help = "Examples:
  countersign key import keys.csv --dry-run
  countersign key import keys.csv --owner billing --scope orders:read
  countersign key import keys.json --skip-existing

A CSV file begins with the names of its columns, of these:
  owner,scopes,key,sha256,label,expires,networks,limit,plan
Each line has a `key`, or the `sha256` of one. A JSON file is an array of objects with the members that
`POST /admin/v1/api-keys` takes, and `key` or `sha256`.")]
    Import(import::Import),
    /// Is this key good, and what does it carry? Read from stdin or a file, never from the line
    #[command(before_help = "Examples:
  countersign key verify < key
  countersign key verify --key-file key --output json")]
    Verify {
        /// A file with the key in its first line; `-`: stdin
        #[arg(long, value_name = "FILE", default_value = "-")]
        key_file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// The user or service that it belongs to: name or id
    owner: String,
    /// A scope of the owner that the key may use; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// `90d`, or `never` where the configuration allows it
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<String>,
    /// A word for people
    #[arg(long)]
    label: Option<String>,
    /// Where it may be used from, `10.0.0.0/8`; repeat for more
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<ipnet::IpNet>,
    /// A limit of its own: `100/1m`
    #[arg(long, value_name = "REQUESTS/DURATION", value_parser = limit)]
    limit: Option<RateLimit>,
    /// A plan of the configuration
    #[arg(long, conflicts_with = "limit")]
    plan: Option<String>,
    /// Print exactly `X-API-Key: <key>`, for `curl -H @file`
    #[arg(long)]
    header: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Only keys of this user or service
    #[arg(long)]
    owner: Option<String>,
    /// Only keys that are neither revoked nor expired
    #[arg(long)]
    usable: bool,
    /// Only keys in this state
    #[arg(long, value_parser = ["active", "rotated", "expired", "revoked"])]
    state: Option<String>,
    /// Only keys of this environment
    #[arg(long, value_parser = ["live", "test"])]
    environment: Option<String>,
    /// Only keys that end within so long, or before a time such as `2027-01-31T12:00:00Z`
    #[arg(long, value_name = "DURATION")]
    expires_before: Option<String>,
    /// Only keys whose label begins so
    #[arg(long)]
    label: Option<String>,
    /// By what; with `-` the greatest first
    #[arg(long, allow_hyphen_values = true, value_parser = ["created_at", "-created_at", "expires_at", "-expires_at", "last_used_at", "-last_used_at"])]
    sort: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, Args)]
pub struct Rotate {
    /// The public id of the key
    id: String,
    /// How long the old key stays good beside the new one
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    grace: String,
    /// When the new key ends
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<String>,
    /// Print exactly `X-API-Key: <key>`, for `curl -H @file`
    #[arg(long)]
    header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    Operator,
    Leaked,
}

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("OWNER", "owner"),
    ("STATE", "state"),
    ("SCOPES", "scopes"),
    ("LABEL", "label"),
    ("CREATED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

pub async fn run(command: Key, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    match command {
        Key::Create(create) => {
            let mut body = Map::new();
            body.insert("owner".into(), json!(create.owner));
            body.insert("scopes".into(), json!(create.scopes));
            let mut put = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    body.insert(name.into(), value);
                }
            };
            put("expires_in", create.expires.map(Value::String));
            put("label", create.label.map(Value::String));
            put("plan", create.plan.map(Value::String));
            put("limit", create.limit.map(|l| json!({"requests": l.quota, "per": show_duration(l.window)})));
            if !create.networks.is_empty() {
                let networks: Vec<String> = create.networks.iter().map(ToString::to_string).collect();
                put("networks", Some(json!(networks)));
            }
            let issued = common.client()?.post(&["api-keys"], Value::Object(body)).await?;
            show_secret(&issued, create.header, common)
        }
        Key::List(list) => {
            let mut query = Vec::new();
            query.extend(list.owner.map(|owner| ("owner", owner)));
            query.extend(list.usable.then(|| ("usable", "true".to_owned())));
            query.extend(list.state.map(|state| ("state", state)));
            query.extend(list.environment.map(|environment| ("environment", environment)));
            query.extend(list.expires_before.map(|end| ("expires_before", end)));
            query.extend(list.label.map(|label| ("label", label)));
            query.extend(list.sort.map(|sort| ("sort", sort)));
            let most = usize::try_from(list.limit).unwrap_or(usize::MAX);
            let mut items = common.client()?.all(&["api-keys"], &query, most).await?;
            if out.format == crate::output::Format::Table {
                items.iter_mut().for_each(owner_stops);
            }
            out.list(&items, &COLUMNS, "id")?;
            Ok(Exit::Ok)
        }
        Key::Show { id } => {
            let key = common.client()?.get(&["api-keys", &id], &[]).await?;
            out.record(&key, "id")?;
            Ok(Exit::Ok)
        }
        Key::Rotate(rotate) => {
            let mut body = json!({"grace": rotate.grace});
            if let (Some(expires), Some(members)) = (rotate.expires, body.as_object_mut()) {
                members.insert("expires_in".into(), Value::String(expires));
            }
            let issued = common.client()?.post(&["api-keys", &rotate.id, "rotate"], body).await?;
            out.say(&format!("`{}` stays good for {} at most", rotate.id, rotate.grace));
            show_secret(&issued, rotate.header, common)
        }
        Key::Revoke { id, reason, yes } => {
            let client = common.client()?;
            if !yes {
                let about = client
                    .get_if_allowed(&["api-keys", &id])
                    .await?
                    .map(|key| {
                        format!(
                            " of `{}`, label {}",
                            cell(key.pointer("/owner/name")),
                            cell(key.get("label"))
                        )
                    })
                    .unwrap_or_default();
                confirm(&format!("end the key `{id}`{about}, for good?"))?;
            }
            let reason = match reason {
                Reason::Operator => "operator",
                Reason::Leaked => "leaked",
            };
            let key = client.post(&["api-keys", &id, "revoke"], json!({"reason": reason})).await?;
            out.record(&key, "id")?;
            Ok(Exit::Ok)
        }
        Key::Import(import) => import.run(common).await,
        Key::Verify { key_file } => {
            let key = private_file::secret_from(&key_file)?;
            let mut answer = common.client()?.post(&["api-keys", "verify"], json!({"key": key})).await?;
            let valid = answer.get("valid").and_then(Value::as_bool).unwrap_or(false);
            if out.quiet || out.format != crate::output::Format::Table {
                let id = answer.pointer("/key/id").cloned().unwrap_or(Value::Null);
                if let Some(members) = answer.as_object_mut().filter(|_| out.quiet) {
                    members.insert("id".into(), id);
                }
                out.record(&answer, "id")?;
            } else if let Some(record) = answer.get("key").filter(|record| !record.is_null()) {
                out.record(record, "id")?;
            }
            if valid {
                out.say("the key is good");
                return Ok(Exit::Ok);
            }
            let reason = answer.get("reason").and_then(Value::as_str).unwrap_or("unknown");
            Err(Failure::new(Exit::Denied, format!("the key is not good: {reason}")))
        }
    }
}

/// A usable key of a disabled owner works as little as a revoked one: in a table its state says so.
fn owner_stops(key: &mut Value) {
    let usable = matches!(key.get("state").and_then(Value::as_str), Some("active" | "rotated"));
    let disabled = key.pointer("/owner/enabled").and_then(Value::as_bool) == Some(false);
    if let Some(state) = key.get_mut("state").filter(|_| usable && disabled) {
        *state = "owner disabled".into();
    }
}

/// The one chance to read it: as a header, bare, or with the exact `curl` that uses it.
fn show_secret(issued: &Value, header: bool, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let Some(secret) = issued.get("secret").and_then(Value::as_str) else {
        return Err(Failure::failed(
            "the server made a key and did not say its secret; revoke it and make another",
        ));
    };
    if header {
        out.line(&format!("X-API-Key: {secret}"))?;
    } else if out.quiet {
        out.line(secret)?;
    } else if out.format == crate::output::Format::Table {
        out.line(secret)?;
        let record = issued.get("key").unwrap_or(&Value::Null);
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        let ends = record.get("expires_at").and_then(Value::as_str).unwrap_or("never");
        let ends = to_seconds(ends).unwrap_or_else(|| ends.to_owned());
        let none = record.get("scopes").and_then(Value::as_array).is_some_and(Vec::is_empty);
        let none = if none { " It has no scopes: only routes that ask for none let it through." } else { "" };
        out.say(&format!(
            "\nkey {} of {}, ends {ends}.{none} The secret is shown this once. Use it:\n\n  {}\n",
            text("/id"),
            text("/owner/name"),
            curl(secret, common)
        ));
    } else {
        out.record(issued, "secret")?;
    }
    Ok(Exit::Ok)
}

/// As the caller's host reaches the gateway, where that can be told.
fn curl(secret: &str, common: &Common) -> String {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref()).ok();
    let settings = place.as_ref().and_then(|place| place.load(&Environment::of_process()).ok());
    let authority = place.map(|place| place.file(AUTHORITY)).filter(|file| file.is_file());
    let cacert = authority.map_or_else(String::new, |file| format!("--cacert {} ", shown_path(&file)));
    let base = settings.and_then(|settings| {
        let mut listeners = settings.gateway.listeners.iter();
        let (port, tls) = listeners.find_map(|l| Some((l.listen.tcp()?.port(), l.tls.is_some())))?;
        let scheme = if tls { "https" } else { "http" };
        Some(format!("{scheme}://localhost:{port}"))
    });
    let base = base.unwrap_or_else(|| "https://localhost:8443".into());
    format!("curl {cacert}-H 'X-API-Key: {secret}' {base}/")
}

/// From the working folder where that is shorter.
fn shown_path(file: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = file.strip_prefix(&here).unwrap_or(file).display().to_string();
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'));
    if plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

fn lifetime(text: &str) -> Result<String, String> {
    if text == "never" { Ok(text.to_owned()) } else { duration(text) }
}

fn limit(text: &str) -> Result<RateLimit, String> {
    parse_limit(text).ok_or_else(|| "not a limit such as `100/1m`".into())
}
