//! `countersign audit ...`

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
    /// Does the chain hold from the first record to the last?
    #[command(before_help = "Examples:
  countersign audit verify")]
    Verify,
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
    let client = common.client()?;
    let tail = match command {
        Audit::Tail(tail) => tail,
        Audit::Verify => {
            let state = client.get(&["audit", "verify"], &[]).await?;
            out.record(&state, "head")?;
            if state.get("whole").and_then(Value::as_bool) == Some(true) {
                return Ok(Exit::Ok);
            }
            let number = state.get("broken_at").map_or_else(|| "?".to_owned(), Value::to_string);
            return Err(Failure::failed(format!("the audit chain is broken at record {number}")).todo(
                "somebody changed the store outside Countersign; compare with an exported head or a backup",
            ));
        }
    };
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(tail.action.map(|action| ("action", action)));
    query.extend(tail.subject.map(|subject| ("subject", subject)));
    let newest = [query.clone(), vec![("order", "desc".into()), ("limit", tail.number.to_string())]].concat();
    let mut records = items(&client.get(&["audit"], &newest).await?);
    records.reverse();
    out.list(&records, &COLUMNS, "number")?;
    let mut last = records.last().and_then(number).unwrap_or(0);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    if !tail.follow {
        return Ok(Exit::Ok);
    }
    loop {
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
