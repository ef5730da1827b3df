//! `[observe]`: where this process says how it is, and where records of decisions and traces go; `[egress]`: what it may
//! call for that.

use super::{
    reader::{Field, Table},
    sections,
    settings::{
        DecisionSettings, EgressSettings, LogFormat, ObserveSettings, RecordTarget, Share, TraceSettings,
        Webhook,
    },
    values,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_crypto::SecretBytes;
use std::path::Path;
use url::Url;

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
    let traces = section.section("traces").map(|table| {
        let traces = traces(&table);
        table.finish();
        traces
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
        traces: traces.map_or(Some(None), |traces| traces.map(Some))?,
    })
}

pub(super) fn egress(root: &Table<'_, '_>, folder: &Path) -> Option<EgressSettings> {
    let Some(section) = root.section("egress") else { return Some(EgressSettings::default()) };
    let allow = section.get("allow").map_or(Some(Vec::new()), |field| field.list(values::network));
    let ca = section.get("ca").map(|field| field.parsed(|text| Ok(folder.join(text))));
    section.finish();
    Some(EgressSettings { allow: allow?, ca: ca.map_or(Some(None), |ca| ca.map(Some))? })
}

fn decisions(table: &Table<'_, '_>, folder: &Path) -> Option<DecisionSettings> {
    let to = table.require("to").and_then(|field| field.parsed(|text| target(text, folder)));
    let secret = table.get("secret").map(|field| field.parsed(secret));
    let (sample, refused) = (share(table, "sample"), share(table, "refused"));
    let to = match (to?, secret) {
        (Said::Url(url), Some(secret)) => RecordTarget::Webhook(Webhook { url, secret: secret? }),
        (Said::Url(_), None) => {
            let why = "is missing: with it the receiver can tell our records from anybody's; \
                       make one with `echo whsec_$(openssl rand -base64 32)`";
            table.problem_at("secret", why);
            return None;
        }
        (Said::Here(target), None) => target,
        (Said::Here(_), Some(_)) => {
            table.problem_at("secret", "goes with a URL in `to`");
            return None;
        }
    };
    Some(DecisionSettings { to, sample: sample?, refused: refused? })
}

fn traces(table: &Table<'_, '_>) -> Option<TraceSettings> {
    let to = table.require("to").and_then(|field| field.parsed(called));
    let sample = share(table, "sample");
    Some(TraceSettings { to: to?, sample: sample? })
}

fn share(table: &Table<'_, '_>, key: &'static str) -> Option<Share> {
    table.get(key).map_or(Some(Share::ALL), |field: Field<'_, '_>| field.parsed(values::share))
}

/// What is posted to. Over plain HTTP only within networks that `[egress]` allows, which is seen when it is called.
fn called(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| {
        format!("`{text}` is not a URL such as `https://collector.example.com/v1/traces`: {e}")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        // the value itself is a secret then
        return Err("holds credentials; a URL is shown and logged, so they cannot stand in it".into());
    }
    let good = matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
    good.then_some(url).ok_or_else(|| format!("`{text}` is not an `https://` URL without a fragment"))
}

/// `whsec_` and base64. The value is not repeated.
fn secret(text: &str) -> Result<SecretBytes, String> {
    let bytes = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok()).map(SecretBytes::new);
    let long = |secret: &SecretBytes| (24..=64).contains(&secret.expose().len());
    bytes.filter(long).ok_or_else(|| "is not `whsec_` and 24 to 64 bytes in base64".into())
}

/// What a target is before the rest is read.
enum Said {
    Here(RecordTarget),
    Url(Url),
}

fn target(text: &str, folder: &Path) -> Result<Said, String> {
    let target = match text.split_once(':') {
        None if text == "stdout" => RecordTarget::Stdout,
        None if text == "syslog" => RecordTarget::Syslog(SYSLOG.into()),
        Some(("syslog", socket)) if !socket.is_empty() => RecordTarget::Syslog(folder.join(socket)),
        Some(("file", file)) if !file.is_empty() => RecordTarget::File(folder.join(file)),
        Some(("http" | "https", _)) => return called(text).map(Said::Url),
        _ => {
            return Err(format!(
                "`{text}` is none of `stdout`, `file:PATH`, `syslog`, `syslog:SOCKET` and a URL"
            ));
        }
    };
    Ok(Said::Here(target))
}
