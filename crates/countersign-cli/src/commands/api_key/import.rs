//! `countersign key import`: a file of keys that were made elsewhere. Everything is looked at before the first is written.

use super::{lifetime, limit};
use crate::{
    commands::{
        Common,
        brought::{To, existed, read},
        scope,
    },
    config::show_duration,
    output::{Column, Exit, Failure},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{collections::HashMap, fmt::Display, path::PathBuf};

const KEYS: To = To {
    path: ["api-keys", "import"],
    list: "keys",
    most: 1000,
    dry_run: false,
    nothing: [
        "one of the keys cannot be imported, so none was",
        "some of the keys cannot be imported, so none was",
    ],
};

const KNOWN: [&str; 9] =
    ["owner", "scopes", "key", "sha256", "label", "expires", "networks", "limit", "plan"];

const COLUMNS: [Column; 3] = [("AT", "at"), ("ID", "id"), ("OUTCOME", "outcome")];

#[derive(Debug, Args)]
pub struct Import {
    /// A CSV or JSON file; `-`: stdin
    file: PathBuf,
    /// The owner of keys that name none
    #[arg(long)]
    owner: Option<String>,
    /// A scope of keys that name none; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    scopes: Vec<String>,
    /// When keys end that do not say
    #[arg(long, value_name = "DURATION", value_parser = lifetime)]
    expires: Option<String>,
    /// Leave keys that are here already as they are
    #[arg(long)]
    skip_existing: bool,
    /// Look at everything, write nothing
    #[arg(long)]
    dry_run: bool,
}

/// One key, and where it stands in the file. Has no `Debug`: it holds a secret.
struct Row {
    at: String,
    key: Map<String, Value>,
}

impl Import {
    pub(super) async fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let text = read(&self.file)?;
        let begins = text.iter().find(|b| !b.is_ascii_whitespace());
        let mut rows = if matches!(begins, Some(b'[' | b'{')) { of_json(&text)? } else { of_csv(&text)? };
        if rows.is_empty() {
            return Err(Failure::usage(format!("`{}` holds no keys", self.file.display())));
        }
        rows.iter_mut().for_each(|row| self.complete(&mut row.key));
        no_key_twice(&rows)?;

        let body = |rows: &[Row], dry_run| {
            let keys: Vec<&Map<String, Value>> = rows.iter().map(|row| &row.key).collect();
            json!({"keys": keys, "skip_existing": self.skip_existing, "dry_run": dry_run})
        };
        let place = |row: &Row, member: &str| match member {
            "" => row.at.clone(),
            member => format!("{}: {member}", row.at),
        };
        let to = To { dry_run: self.dry_run, ..KEYS };
        let mut outcomes = to.send(&common.client()?, &rows, body, place).await?;
        for (outcome, row) in outcomes.iter_mut().zip(&rows) {
            if let Some(members) = outcome.as_object_mut() {
                members.insert("at".into(), json!(row.at));
            }
        }
        let out = common.out();
        out.list(&outcomes, &COLUMNS, "id")?;
        let existed = existed(&outcomes);
        let (imported, did) =
            (outcomes.len() - existed, if self.dry_run { "would be imported" } else { "imported" });
        out.say(&format!("{imported} {did}, {existed} were here already"));
        if !self.dry_run && imported > 0 {
            out.say("the file still holds what they were: delete it, or keep it as you keep secrets");
        }
        Ok(Exit::Ok)
    }

    fn complete(&self, key: &mut Map<String, Value>) {
        if let Some(owner) = &self.owner {
            key.entry("owner").or_insert_with(|| json!(owner));
        }
        key.entry("scopes").or_insert_with(|| json!(self.scopes));
        if let Some(expires) = self.expires.as_ref().filter(|_| !key.contains_key("expires_at")) {
            key.entry("expires_in").or_insert_with(|| json!(expires));
        }
    }
}

/// An array of objects, or an object with that as its `keys`.
fn of_json(text: &[u8]) -> Result<Vec<Row>, Failure> {
    let broken = |why: &dyn Display| Failure::usage(format!("the file is no list of keys in JSON: {why}"));
    let document: Value = serde_json::from_slice(text).map_err(|error| {
        broken(&format!("line {} column {} breaks its grammar", error.line(), error.column()))
    })?;
    let keys = match document {
        Value::Object(mut members) => match members.remove("keys") {
            Some(keys) if members.is_empty() => keys,
            _ => return Err(broken(&"it is an object without `keys`, or with more than that")),
        },
        other => other,
    };
    let Value::Array(keys) = keys else { return Err(broken(&"it is no array")) };
    let row = |(n, key): (usize, Value)| match key {
        Value::Object(key) => Ok(Row { at: format!("key {}", n + 1), key }),
        _ => Err(broken(&format!("key {} is no object", n + 1))),
    };
    keys.into_iter().enumerate().map(row).collect()
}

fn of_csv(text: &[u8]) -> Result<Vec<Row>, Failure> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    // never the error's own text: it may show a part of the file
    let broken = |error: &csv::Error| {
        let line = error.position().map_or_else(String::new, |at| format!(" at line {}", at.line()));
        let why = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} fields, and the first line names {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".into(),
            _ => "it cannot be read".into(),
        };
        Failure::usage(format!("the file is no CSV{line}: {why}"))
    };
    let columns: Vec<String> =
        reader.headers().map_err(|e| broken(&e))?.iter().map(str::to_ascii_lowercase).collect();
    for (n, column) in columns.iter().enumerate() {
        if !KNOWN.contains(&column.as_str()) || columns.iter().take(n).any(|other| other == column) {
            let known = KNOWN.join(", ");
            // what stands there may be a key, where the line with the names is missing
            return Err(Failure::usage(format!("the name of column {} is unknown, or stands twice", n + 1))
                .todo(format!("the first line names the columns, of these: {known}")));
        }
    }
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| broken(&e))?;
        let at = format!("line {}", record.position().map_or(0, csv::Position::line));
        let mut key = Map::new();
        for (column, text) in columns.iter().zip(&record).filter(|(_, text)| !text.is_empty()) {
            if let Err(why) = member(&mut key, column, text) {
                wrong.push(format!("{at}: {column}: {why}"));
            }
        }
        rows.push(Row { at, key });
    }
    if wrong.is_empty() { Ok(rows) } else { Err(KEYS.nothing(&wrong)) }
}

/// A field as the API takes it.
fn member(key: &mut Map<String, Value>, column: &str, text: &str) -> Result<(), String> {
    let words = || json!(text.split([' ', ';']).filter(|word| !word.is_empty()).collect::<Vec<_>>());
    let (name, value) = match column {
        "scopes" => ("scopes", words()),
        "networks" => ("networks", words()),
        "limit" => {
            let limit = limit(text)?;
            ("limit", json!({"requests": limit.quota, "per": show_duration(limit.window)}))
        }
        "expires" if text.contains(':') => ("expires_at", json!(text)),
        "expires" => ("expires_in", json!(lifetime(text)?)),
        column => (column, json!(text)),
    };
    key.insert(name.into(), value);
    Ok(())
}

/// One request would be told so by the server; of several it could not know.
fn no_key_twice(rows: &[Row]) -> Result<(), Failure> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let mut wrong = Vec::new();
    for row in rows {
        let brought = row.key.get("key").or_else(|| row.key.get("sha256")).and_then(Value::as_str);
        if let Some(first) = brought.and_then(|brought| seen.insert(brought, &row.at)) {
            wrong.push(format!("{}: is the same key as {first}", row.at));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(KEYS.nothing(&wrong)) }
}
