//! `[observe]`: where this process says how it is, and where records of decisions go.

use super::{
    reader::{Field, Table},
    sections,
    settings::{DecisionSettings, LogFormat, ObserveSettings, RecordTarget, Share},
    values,
};
use std::path::Path;

/// Where syslog listens on every machine that has one.
const SYSLOG: &str = "/dev/log";

pub(super) fn read(root: &Table<'_, '_>, folder: &Path) -> Option<ObserveSettings> {
    let Some(section) = root.section("observe") else { return Some(ObserveSettings::default()) };
    let listen = section.get("listen").map(|field| field.parsed(values::address));
    let tls = section.get("tls").map(|field| sections::tls(&field, folder));
    let hosts = section.get("hosts").map(|field| field.list(values::one_host));
    let log = section.get("log").map(|field| {
        field.choice(&[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("text", LogFormat::Text)])
    });
    let decisions = section.section("decisions").map(|table| {
        let decisions = decisions(&table, folder);
        table.finish();
        decisions
    });
    for (key, is_said) in [("tls", tls.is_some()), ("hosts", hosts.is_some())] {
        if is_said && listen.is_none() {
            section.problem_at(key, "goes with `listen`, which is missing");
        }
    }
    section.finish();
    Some(ObserveSettings {
        listen: listen.map_or(Some(None), |listen| listen.map(Some))?,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        hosts: hosts.unwrap_or_else(|| Some(Vec::new()))?,
        log: log.unwrap_or(Some(LogFormat::Auto))?,
        decisions: decisions.map_or(Some(None), |decisions| decisions.map(Some))?,
    })
}

fn decisions(table: &Table<'_, '_>, folder: &Path) -> Option<DecisionSettings> {
    let to = table.require("to").and_then(|field| field.parsed(|text| target(text, folder)));
    let share =
        |key| table.get(key).map_or(Some(Share::ALL), |field: Field<'_, '_>| field.parsed(values::share));
    let (sample, refused) = (share("sample"), share("refused"));
    Some(DecisionSettings { to: to?, sample: sample?, refused: refused? })
}

fn target(text: &str, folder: &Path) -> Result<RecordTarget, String> {
    match text.split_once(':') {
        None if text == "stdout" => Ok(RecordTarget::Stdout),
        None if text == "syslog" => Ok(RecordTarget::Syslog(SYSLOG.into())),
        Some(("syslog", socket)) if !socket.is_empty() => Ok(RecordTarget::Syslog(folder.join(socket))),
        Some(("file", file)) if !file.is_empty() => Ok(RecordTarget::File(folder.join(file))),
        _ => Err(format!("`{text}` is none of `stdout`, `file:PATH`, `syslog` and `syslog:SOCKET`")),
    }
}
