//! `countersign key import`: a file of keys that were made elsewhere. Everything is looked at before the first is written.

use super::{lifetime, limit};
use crate::{
    commands::{Common, scope},
    config::show_duration,
    output::{Column, Exit, Failure},
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fmt::Display,
    fs::File,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

/// Of one request.
const MOST: usize = 1000;
/// Half a million keys or so.
const LONGEST: u64 = 128 << 20;

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

        let client = common.client()?;
        let send = async |rows: &[Row], imported: usize, dry_run: bool| {
            let keys: Vec<&Map<String, Value>> = rows.iter().map(|row| &row.key).collect();
            let body = json!({"keys": keys, "skip_existing": self.skip_existing, "dry_run": dry_run});
            match client.post_or_told(&["api-keys", "import"], &body).await? {
                Ok(report) => Ok(report),
                Err(problem) => Err(refused(&problem, rows, imported)),
            }
        };
        if rows.len() > MOST {
            for part in rows.chunks(MOST) {
                send(part, 0, true).await?;
            }
        }
        let mut reported = Vec::with_capacity(rows.len());
        for (n, part) in rows.chunks(MOST).enumerate() {
            let report = send(part, n * MOST, self.dry_run).await?;
            let keys = report.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
            reported.extend(keys.into_iter().zip(part).map(|(mut key, row)| {
                if let Some(members) = key.as_object_mut() {
                    members.remove("row");
                    members.insert("at".into(), json!(row.at));
                }
                key
            }));
        }
        let out = common.out();
        out.list(&reported, &COLUMNS, "id")?;
        let existed = reported.iter().filter(|key| key.get("outcome") == Some(&json!("existed"))).count();
        let (imported, did) =
            (reported.len() - existed, if self.dry_run { "would be imported" } else { "imported" });
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

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let shown = file.display();
    let mut text = Vec::new();
    let read = match file == Path::new("-") {
        true => stdin().lock().take(LONGEST + 1).read_to_end(&mut text),
        false => File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text)),
    };
    read.map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    if text.len() as u64 > LONGEST {
        let todo = "import it in parts; each is all there or not at all";
        return Err(Failure::failed(format!("`{shown}` is larger than {} MiB", LONGEST >> 20)).todo(todo));
    }
    Ok(text)
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
    if wrong.is_empty() { Ok(rows) } else { Err(nothing(&wrong)) }
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
    if wrong.is_empty() { Ok(()) } else { Err(nothing(&wrong)) }
}

/// RFC 9457 with `errors`, each by its place in the file.
fn refused(problem: &Value, rows: &[Row], imported: usize) -> Failure {
    let text = |value: &Value, member: &str| {
        value
            .get(member)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .collect()
    };
    let line = |error: &Value| {
        let (member, detail): (String, String) = (text(error, "member"), text(error, "detail"));
        let place = member.strip_prefix("keys[").and_then(|rest| rest.split_once(']'));
        let Some((n, member)) = place.and_then(|(n, rest)| Some((n.parse::<usize>().ok()?, rest))) else {
            return format!("{member}: {detail}");
        };
        let at = rows.get(n).map_or("", |row| &row.at);
        let member = member.trim_start_matches('.');
        // which row of the request another one stands in means nothing to whoever wrote a file
        let detail = detail.split("; `GET /admin/v1/").next().unwrap_or_default();
        let detail = detail.replace("`skip_existing`", "`--skip-existing`");
        if member.is_empty() { format!("{at}: {detail}") } else { format!("{at}: {member}: {detail}") }
    };
    let errors = problem.get("errors").and_then(Value::as_array);
    let wrong: Vec<String> = errors.into_iter().flatten().map(line).collect();
    if wrong.is_empty() {
        return Failure::failed(text(problem, "detail"));
    }
    let failure = nothing(&wrong);
    match imported {
        0 => failure,
        // only where somebody else imported meanwhile: everything was looked at before
        _ => failure
            .todo(format!("the {imported} before them are imported; say it again with `--skip-existing`")),
    }
}

fn nothing(wrong: &[String]) -> Failure {
    let what = if wrong.len() == 1 { "one of the keys" } else { "some of the keys" };
    Failure::failed(format!("{what} cannot be imported, so none was:\n  {}", wrong.join("\n  ")))
}
