//! `countersign.toml`, from text to plain, already valid settings in one pass that reports everything that is wrong.
//!
//! Owns the file's grammar, the environment's overlay and the defaults. Does not open listeners, stores or
//! certificates: a path stays a path here. Next: `compose`, which builds the process from [`Settings`].

mod environment;
mod include;
mod issuers;
mod jwt;
mod listeners;
mod observe;
mod origins;
mod passwords;
mod reader;
mod report;
mod routes;
pub mod schema;
mod sections;
mod sessions;
mod settings;
pub mod show;
mod signing;
mod sources;
mod upstreams;
mod values;

#[cfg(test)]
mod tests;

pub use environment::Environment;
pub use include::matches;
pub use origins::{Origin, Origins};
pub use report::{ConfigError, Problem};
pub use settings::{
    AdminSettings, AuditSettings, CertificateSettings, DecisionSettings, EgressSettings, GatewaySettings,
    IssuerSettings, KeyringPlace, ListenerSettings, LogFormat, ObserveSettings, PasswordSettings,
    RecordTarget, Settings, Share, Timeouts, TlsSettings, TraceSettings, UpstreamSettings,
    UpstreamTlsSettings, Webhook,
};
pub use sources::{Mark, Sources, mark};
pub use values::{parse_duration, parse_limit, show_duration};

use reader::{Context, Table};
use report::{Report, folder_of};
use std::path::Path;

/// The file's usual name.
pub const FILE_NAME: &str = "countersign.toml";
/// The data folder that the command line looks for, from the working folder upward.
pub const FOLDER_NAME: &str = ".countersign";

/// Read and check one file. Every relative path in it is relative to its folder.
pub fn load(file: &Path, environment: &Environment) -> Result<Settings, ConfigError> {
    read(file, environment).0
}

/// The same, and what it was read from: known also where something is wrong, so that whoever mends it is noticed.
pub fn read(file: &Path, environment: &Environment) -> (Result<Settings, ConfigError>, Sources) {
    let mut sources = Sources::default();
    match text(file, &mut sources) {
        Ok(text) => understand(file, &text, environment, sources),
        Err(error) => (Err(error), sources),
    }
}

fn text(file: &Path, sources: &mut Sources) -> Result<String, ConfigError> {
    let bytes = sources.bytes(file).map_err(|e| ConfigError::unreadable(file, &e))?;
    String::from_utf8(bytes).map_err(|e| {
        let line =
            e.as_bytes().iter().take(e.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        ConfigError::one(file, line, "is not UTF-8 from here on")
    })
}

/// Check a text as if it stood in `file`.
pub fn parse(file: &Path, text: &str, environment: &Environment) -> Result<Settings, ConfigError> {
    understand(file, text, environment, Sources::default()).0
}

/// The configuration that is in effect, without secrets, and where each value came from.
pub fn explain(file: &Path, environment: &Environment) -> Result<(serde_json::Value, Origins), ConfigError> {
    let text = text(file, &mut Sources::default())?;
    let report = Report::new(file, &text).with_origins();
    let settings = walk(file, &text, environment, &report);
    let mut origins = report.origins.take().unwrap_or_default();
    let settings = report.into_result(settings)?;
    origins.settle(settings.gateway.listeners.len());
    let mut effective = show::effective(&settings);
    origins.mask(&mut effective, "");
    Ok((effective, origins))
}

fn understand(
    file: &Path,
    text: &str,
    environment: &Environment,
    sources: Sources,
) -> (Result<Settings, ConfigError>, Sources) {
    let report = Report::new(file, text);
    report.sources.replace(sources);
    let settings = walk(file, text, environment, &report);
    let sources = report.sources.take();
    (report.into_result(settings), sources)
}

fn walk(file: &Path, text: &str, environment: &Environment, report: &Report) -> Option<Settings> {
    let overrides = environment.overrides(report);
    let folder = folder_of(file);
    let included = include::read(file, text, &folder, report);
    let (mut document, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in errors {
        report.broken(error.span().map_or(0, |s| s.start), error.message());
    }
    include::merge(document.get_mut(), &included, report);
    environment::overlay(document.get_mut(), &overrides, report);
    let context = Context { report, environment };
    let root = Table::root(document.get_ref(), context);
    let settings = sections::read(&root, &folder);
    root.finish();
    settings
}
