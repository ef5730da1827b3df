//! What the commands say: data to stdout, talk to stderr, and a failure's exit code.
//!
//! Owns formats (table, JSON, YAML, quiet) and [`Failure`]. Colour and `NO_COLOR` are anstream's.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use std::{
    fmt,
    io::{BufRead, IsTerminal, Read, Write},
};

/// Exit codes of every command (PRODUCT: command line).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    /// A credential is invalid, or a request would be denied.
    Denied = 3,
    NotFound = 4,
    Conflict = 5,
}

/// What went wrong, why, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub what: String,
    pub todo: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), todo: None }
    }

    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    #[must_use]
    pub fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.todo {
            Some(todo) => write!(f, "\n  {todo}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        let n = error.problems.len();
        let errors = if n == 1 { "1 error".to_owned() } else { format!("{n} errors") };
        Self::failed(format!("the configuration has {errors}\n{error}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
    /// What only a configuration is printed as.
    #[value(hide = true)]
    Toml,
}

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    pub format: Format,
    /// Only the id or secret.
    pub quiet: bool,
}

/// How many characters of a list of words stand in one column.
const WORDS: usize = 36;

/// A column: its heading, and the member of the item that stands in it.
pub type Column = (&'static str, &'static str);

impl Output {
    /// A list: one row per item; quiet: one `id` member per line.
    pub fn list(&self, items: &[Value], columns: &[Column], id: &str) -> Result<(), Failure> {
        if self.quiet {
            return items.iter().try_for_each(|item| self.line(&cell(item.get(id))));
        }
        match self.format {
            Format::Json => self.json(&Value::Array(items.to_vec())),
            Format::Yaml => self.yaml(&Value::Array(items.to_vec())),
            Format::Toml => Err(no_toml()),
            Format::Table => {
                // a line per item, however narrow the terminal: an id that is broken in two cannot be copied
                let mut table = new_table(ContentArrangement::Disabled);
                table.set_header(columns.iter().map(|(heading, _)| *heading));
                for item in items {
                    table.add_row(columns.iter().map(|(_, member)| brief(item.get(*member))));
                }
                self.line(&trimmed(&table))
            }
        }
    }

    /// One thing: a row per member; quiet: its `id` member.
    pub fn record(&self, item: &Value, id: &str) -> Result<(), Failure> {
        if self.quiet {
            return self.line(&cell(item.get(id)));
        }
        match self.format {
            Format::Json => self.json(item),
            Format::Yaml => self.yaml(item),
            Format::Toml => Err(no_toml()),
            Format::Table => {
                // a line per member, so that `grep` and `awk` find it whole
                let mut table = new_table(ContentArrangement::Disabled);
                for (member, value) in item.as_object().into_iter().flatten() {
                    table.add_row([member.replace('_', " "), cell(Some(value))]);
                }
                self.line(&trimmed(&table))
            }
        }
    }

    /// Something that is no record and no list, such as a schema: JSON unless YAML was asked for.
    pub fn document(&self, value: &Value) -> Result<(), Failure> {
        match self.format {
            Format::Yaml => self.yaml(value),
            Format::Toml => Err(no_toml()),
            Format::Json | Format::Table => self.json(value),
        }
    }

    fn json(&self, value: &Value) -> Result<(), Failure> {
        self.line(&format!("{value:#}"))
    }

    fn yaml(&self, value: &Value) -> Result<(), Failure> {
        let mut text = String::new();
        yaml(value, 0, &mut text);
        self.line(text.trim_end())
    }

    /// One line of data.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // whoever reads has read enough
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Failure::failed(format!("cannot write to stdout: {e}"))),
            Ok(()) => Ok(()),
        }
    }

    /// Did whoever reads our data close its end? What goes on until it is stopped stops then.
    pub fn is_unread(&self) -> bool {
        let stdout = std::io::stdout();
        let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
        let answered = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        answered.is_ok() && asked.iter().any(|fd| fd.revents().contains(PollFlags::ERR))
    }

    /// Talk: never data, and silent with `-q`.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }
}

fn no_toml() -> Failure {
    Failure::usage("this is not printed as TOML").todo("`--output` is `table`, `json` or `yaml` here")
}

/// Before what cannot be taken back, unless `--yes` was said: asked on a terminal. Where nobody sits at one, nothing
/// waits for an answer.
pub fn confirm(question: &str) -> Result<(), Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Failure::usage("this cannot be taken back, and nobody is there to ask")
            .todo("say `--yes` if it is meant"));
    }
    let _ = write!(anstream::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    // an answer is a word; whatever is longer is none
    let read = std::io::stdin().lock().take(64).read_line(&mut answer);
    read.map_err(|e| Failure::failed(format!("cannot read the answer: {e}")))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::failed("nothing was done")),
    }
}

/// To stderr; a closed stderr is nobody's failure.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn new_table(arrangement: ContentArrangement) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(arrangement);
    table
}

/// Without the blanks that a table without borders has around its lines.
fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> =
        text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
    lines.join("\n")
}

/// How a value stands in a table. Control characters cannot move the cursor of whoever looks.
pub fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => to_seconds(text).unwrap_or_else(|| text.clone()),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|i| cell(Some(i))).collect::<Vec<_>>().join(" "),
        Some(Value::Object(members)) => {
            let member = |name| members.get(name);
            match (member("id"), member("name"), member("requests"), member("per")) {
                // an owner, a limit: what people call it
                (Some(_), Some(name), ..) => cell(Some(name)),
                (.., Some(requests), Some(per)) => format!("{}/{}", cell(Some(requests)), cell(Some(per))),
                _ => {
                    let pairs = members.iter().map(|(name, value)| format!("{name}={}", cell(Some(value))));
                    pairs.collect::<Vec<_>>().join(" ")
                }
            }
        }
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// As [`cell`], where a line is all there is: of many words the first ones and how many more there are.
pub fn brief(value: Option<&Value>) -> String {
    let words = |text: &str| {
        let all: Vec<&str> = text.split(' ').collect();
        let mut length = 0;
        let fits = |word: &&&str| {
            length += word.chars().count() + 1;
            length <= WORDS
        };
        match all.iter().take_while(fits).count().max(1) {
            shown if shown < all.len() => {
                format!(
                    "{} +{}",
                    all.iter().take(shown).copied().collect::<Vec<_>>().join(" "),
                    all.len() - shown
                )
            }
            _ => text.to_owned(),
        }
    };
    match value {
        Some(Value::Array(_)) => words(&cell(value)),
        // of the audit trail: what changed, by name
        Some(Value::Object(members))
            if members.values().all(Value::is_string) && !members.contains_key("id") =>
        {
            let pair = |(name, value): (&String, &Value)| {
                let text = cell(Some(value));
                let seconds = text.parse().ok().filter(|_| name.ends_with("_at"));
                let time = seconds.and_then(|s| jiff::Timestamp::from_second(s).ok());
                let text = time.map_or_else(|| words(&text), |time| time.to_string());
                format!("{}={text}", cell(Some(&Value::String(name.clone()))))
            };
            if members.is_empty() {
                "-".into()
            } else {
                members.iter().map(pair).collect::<Vec<_>>().join(" ")
            }
        }
        _ => cell(value),
    }
}

/// A time, without the fraction that only programs want.
pub fn to_seconds(text: &str) -> Option<String> {
    let (seconds, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let time = seconds.len() == 19 && seconds.as_bytes().get(10) == Some(&b'T');
    (time && fraction.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{seconds}Z"))
}

/// Block style; scalars as JSON writes them, which YAML 1.2 reads as the same values.
fn yaml(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&indent);
                text.push_str("- ");
                nested(item, depth, text);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (name, item) in members {
                text.push_str(&indent);
                text.push_str(&Value::String(name.clone()).to_string());
                text.push_str(": ");
                nested(item, depth, text);
            }
        }
        scalar => {
            text.push_str(&indent);
            text.push_str(&scalar.to_string());
            text.push('\n');
        }
    }
}

fn nested(item: &Value, depth: usize, text: &mut String) {
    let block = match item {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    };
    if block {
        text.push('\n');
        yaml(item, depth + 1, text);
    } else {
        yaml(item, 0, text);
    }
}

#[cfg(test)]
mod tests;
