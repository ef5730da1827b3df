//! `countersign doctor`: looks at everything that a deployment rests on, changes nothing, and says of each finding what
//! to do about it. One file for each kind of thing that is looked at.

mod certificates;
mod files;
mod issuers;
mod network;
mod server;
mod store;
mod through;

use super::Common;
use crate::{
    compose::World,
    config::{Environment, Settings},
    output::{Exit, Failure, Format},
    place::Place,
};
use clap::Args;
use countersign_core::Timestamp;
use serde_json::{Value, json};
use std::fmt;
use url::Url;

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign doctor
  countersign doctor --config /etc/countersign/countersign.toml
  countersign doctor --through https://api.example.com
  countersign doctor --output json")]
pub struct Doctor {
    /// Your own proxy in front of the gateway: what it lets through of forged headers and crooked paths
    #[arg(long, value_name = "URL")]
    through: Option<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Good,
    /// Worth knowing.
    Note,
    /// It works, and somebody will regret it.
    Warning,
    /// It does not work, or lets somebody in.
    Problem,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Good => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Problem => "problem",
        })
    }
}

#[derive(Debug)]
struct Finding {
    level: Level,
    area: &'static str,
    what: String,
    todo: Option<String>,
}

/// What was found, in the order in which it was looked at.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, area: &'static str, what: impl Into<String>) {
        self.0.push(Finding { level: Level::Good, area, what: what.into(), todo: None });
    }

    fn found(&mut self, level: Level, area: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.0.push(Finding { level, area, what: what.into(), todo: Some(todo.into()) });
    }

    fn note(&mut self, area: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.found(Level::Note, area, what, todo);
    }

    fn warning(&mut self, area: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.found(Level::Warning, area, what, todo);
    }

    fn problem(&mut self, area: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.found(Level::Problem, area, what, todo);
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

/// What is looked at.
struct Patient<'p> {
    place: &'p Place,
    settings: &'p Settings,
    common: &'p Common,
    now: Timestamp,
}

pub async fn run(doctor: Doctor, common: &Common) -> Result<Exit, Failure> {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let settings = place.load(&Environment::of_process())?;
    let patient =
        Patient { place: &place, settings: &settings, common, now: World::of_machine().clock.now() };
    let mut findings = Findings::default();
    findings.good("configuration", format!("`{}` is read without an error", place.config.display()));
    network::routes(&patient, &mut findings);
    network::listeners(&patient, &mut findings);
    certificates::look(&patient, &mut findings);
    files::look(&patient, &mut findings);
    store::look(&patient, &mut findings).await;
    network::upstreams(&patient, &mut findings).await;
    issuers::keys(&patient, &mut findings).await;
    server::look(&patient, &mut findings).await;
    if let Some(url) = &doctor.through {
        through::look(&patient, url, &mut findings).await?;
    }
    show(&findings, common)
}

fn show(findings: &Findings, common: &Common) -> Result<Exit, Failure> {
    let out = common.out();
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    if out.format == Format::Table {
        for Finding { level, area, what, todo } in &findings.0 {
            if common.quiet && *level < Level::Warning {
                continue;
            }
            out.line(&format!("{level:<8} {area:<14} {what}"))?;
            if let Some(todo) = todo {
                out.line(&format!("{:<8} {:<14} {todo}", "", ""))?;
            }
        }
    } else {
        let all: Vec<Value> = findings
            .0
            .iter()
            .map(|Finding { level, area, what, todo }| {
                json!({"level": level.to_string(), "area": area, "what": what, "todo": todo})
            })
            .collect();
        out.list(&all, &[], "what")?;
    }
    let counted = |n: usize, word: &str| if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") };
    out.say(&format!("\n{}, {}", counted(problems, "problem"), counted(warnings, "warning")));
    Ok(if problems > 0 { Exit::Failed } else { Exit::Ok })
}
