//! `countersign audit ...`: the trail, as a list, as a file, and whether it holds. All of it asks the admin API, but for
//! what verifies a file.

mod export;
mod head;
mod ocsf;
mod verify;

use super::Common;
use crate::output::{Exit, Failure, Format, brief};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// The newest records, oldest of them first
    #[command(before_help = "Examples:
  countersign audit tail
  countersign audit tail -n 100 --action api_key.revoke
  countersign audit tail --follow --output json")]
    Tail(Tail),
    /// Whole records with their hashes, a line of JSON each, oldest first
    #[command(before_help = "Examples:
  countersign audit export --to trail.jsonl
  countersign audit export --since 24h
  countersign audit export --since 2027-01-01T00:00:00Z --until 2027-02-01T00:00:00Z --format ocsf --to january.jsonl")]
    Export(export::Export),
    /// The end of the trail, signed, to be kept elsewhere
    #[command(before_help = "Examples:
  countersign audit head
  countersign audit head --sign --output json > head.json")]
    Head(head::Head),
    /// Does the chain hold from the first record to the last?
    #[command(before_help = "Examples:
  countersign audit verify
  countersign audit verify --head head.json
  countersign audit verify --file trail.jsonl --head head.json")]
    Verify(verify::Verify),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    number: u32,
    /// Only this action: `api_key.create`
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to this: an id
    #[arg(long)]
    subject: Option<String>,
    /// Only what this one did: a principal's id, `host`, `holder` or `system`
    #[arg(long)]
    actor: Option<String>,
    /// Go on until interrupted
    #[arg(short, long)]
    follow: bool,
}

const COLUMNS: [(&str, &str); 7] = [
    ("NUMBER", "number"),
    ("AT", "at"),
    ("ACTOR", "actor"),
    ("ACTION", "action"),
    ("SUBJECT", "subject"),
    ("SOURCE", "source"),
    ("DETAIL", "detail"),
];

pub async fn run(command: Audit, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let tail = match command {
        Audit::Tail(tail) => tail,
        Audit::Export(export) => return export::run(export, common).await,
        Audit::Head(head) => return head::run(head, common).await,
        Audit::Verify(verify) => return verify::run(verify, common).await,
    };
    let client = common.client()?;
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(tail.action.map(|action| ("action", action)));
    query.extend(tail.subject.map(|subject| ("subject", subject)));
    query.extend(tail.actor.map(|actor| ("actor", actor)));
    let newest = [query.clone(), vec![("order", "desc".into()), ("limit", tail.number.to_string())]].concat();
    let mut records = items(&client.get(&["audit"], &newest).await?);
    records.reverse();
    out.list(&records, &COLUMNS, "number")?;
    let mut last = records.last().and_then(number).unwrap_or(0);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    if !tail.follow {
        return Ok(Exit::Ok);
    }
    // `| head` has what it wanted
    while !out.is_unread() {
        ticks.tick().await;
        let after = [query.clone(), vec![("order", "asc".into()), ("after", last.to_string())]].concat();
        let records = items(&client.get(&["audit"], &after).await?);
        last = records.last().and_then(number).unwrap_or(last);
        for record in &records {
            // one line each: a heading per second would be talk
            match out.format {
                Format::Table if !out.quiet => out.line(&line(record))?,
                _ => out.list(std::slice::from_ref(record), &COLUMNS, "number")?,
            }
        }
    }
    Ok(Exit::Ok)
}

fn items(answer: &Value) -> Vec<Value> {
    answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn number(record: &Value) -> Option<i64> {
    record.get("number").and_then(Value::as_i64)
}

fn line(record: &Value) -> String {
    COLUMNS.map(|(_, member)| brief(record.get(member))).join("  ")
}
