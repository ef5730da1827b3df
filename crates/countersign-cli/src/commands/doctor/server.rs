//! The process that serves, where one does: is it this version, is it ready, what do its metrics say?

use super::{Findings, Patient};
use crate::admin_client::{AdminClient, Connection};
use countersign_core::Timestamp;
use std::time::Duration;

const AREA: &str = "server";

pub(super) async fn look(patient: &Patient<'_>, findings: &mut Findings) {
    let common = patient.common;
    let client = AdminClient::connect(&Connection {
        config: common.config.clone(),
        dir: common.dir.clone(),
        server: common.server.clone(),
        ca: common.ca.clone(),
        admin_key_file: common.admin_key_file.clone(),
    });
    let client = match client {
        Ok(client) => client,
        Err(failure) => {
            return findings.note(
                AREA,
                format!("not asked: {}", failure.what),
                "with an operator's key (`--admin-key-file`) that holds `countersign:metrics` more can be said",
            );
        }
    };
    let metrics = match client.text("/metrics").await {
        Ok(metrics) => metrics,
        Err(failure) => {
            return findings.note(
                AREA,
                format!("not asked: {}", failure.what),
                failure.todo.unwrap_or_else(|| "is `countersign serve` running?".to_owned()),
            );
        }
    };
    read(&Metrics(&metrics), patient.now, findings);
}

/// Prometheus' text, as this program writes it.
struct Metrics<'m>(&'m str);

impl Metrics<'_> {
    /// Of a family: what its labels say, and its value.
    fn all(&self, family: &str) -> impl Iterator<Item = (&str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(family)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_it = labels.is_empty() || labels.starts_with('{');
            is_it.then(|| Some((labels.trim_matches(['{', '}']), value.parse().ok()?)))?
        })
    }

    fn one(&self, family: &str) -> Option<f64> {
        self.all(family).next().map(|(_, value)| value)
    }

    fn sum(&self, family: &str) -> f64 {
        self.all(family).map(|(_, value)| value).sum()
    }
}

fn read(metrics: &Metrics<'_>, now: Timestamp, findings: &mut Findings) {
    let ours = env!("CARGO_PKG_VERSION");
    let version = metrics.all("countersign_build_info").next().map(|(labels, _)| labels.to_owned());
    match version.as_deref().and_then(|labels| labels.split('"').nth(1)) {
        Some(theirs) if theirs == ours => {
            findings.good("version", format!("the server and this command are {ours}"))
        }
        theirs => findings.warning(
            "version",
            format!("the server is {}, this command is {ours}", theirs.unwrap_or("another version")),
            "restart the server once the new binary is in place",
        ),
    }
    let is = |family: &str, value: f64| metrics.one(family).is_some_and(|found| found == value);
    if is("countersign_ready", 1.0) {
        findings.good(AREA, "it is ready");
    } else {
        findings.problem(AREA, "it is not ready", "what follows, and its log, say why");
    }
    if is("countersign_feed_blind", 1.0) {
        findings.problem(
            "feed",
            "it does not know what was revoked, and answers everything with 503",
            "it has not heard from the store for 5 s: is the database reachable?",
        );
    } else {
        findings.good("feed", "it knows what was revoked");
    }
    let slow = late(metrics);
    if slow > 0.0 {
        findings.warning(
            "feed",
            format!("{slow} changes were acted on later than a second after they were made"),
            "compare the clocks of the machines that share the store; then look at the store's load",
        );
    }
    if is("countersign_configuration_behind", 1.0) {
        findings.warning(
            "configuration",
            "the server read a configuration with an error and goes on with the one before",
            "`countersign config validate` says what is wrong",
        );
    }
    for (labels, up) in metrics.all("countersign_store_up") {
        if up == 0.0 {
            findings.problem(
                "store",
                format!("the server's store is not available ({labels})"),
                "its log says why",
            );
        }
    }
    for (labels, up) in metrics.all("countersign_upstream_up") {
        if up == 0.0 {
            findings.problem(
                "upstreams",
                format!("the server holds {labels} for down"),
                "is it reachable from there?",
            );
        }
    }
    issuers(metrics, now, findings);
    let silent = metrics.sum("countersign_workers_silent");
    if silent > 0.0 {
        findings.problem(
            AREA,
            format!("{silent} of its threads do not answer"),
            "restart it, and report what its log says",
        );
    }
    let lost =
        metrics.all("countersign_decision_records_total").filter(|(labels, _)| !labels.contains("written"));
    let lost: f64 = lost.map(|(_, count)| count).sum();
    if lost > 0.0 {
        findings.warning(
            "records",
            format!("{lost} records of decisions were lost since it started"),
            "its log says why; a smaller `[observe.decisions] sample` helps where the writer cannot keep up",
        );
    }
    let expiring = metrics.all("countersign_api_keys_expiring").find(|(labels, _)| labels.contains("7d"));
    if let Some((_, count)) = expiring.filter(|(_, count)| *count > 0.0) {
        findings.note(
            "keys",
            format!("{count} usable keys end within 7 days"),
            "`countersign key list` names them; `countersign key rotate ID` leaves their callers time",
        );
    }
}

/// RULES 5.3: keys are used for a day, and fetched again long before that.
fn issuers(metrics: &Metrics<'_>, now: Timestamp, findings: &mut Findings) {
    const AREA: &str = "issuers";
    const LATE: Duration = Duration::from_secs(21 * 3600);
    const STALE: Duration = Duration::from_secs(24 * 3600);
    const TODO: &str =
        "what is said of it above, or the server's log, says why; it is tried again every quarter of an hour";
    for (labels, keys) in metrics.all("countersign_issuer_keys") {
        let name = labels.split('"').nth(1).unwrap_or_default();
        let fetched = metrics.all("countersign_issuer_keys_fetched_timestamp_seconds");
        let fetched = fetched.filter(|(of, _)| *of == labels).map(|(_, at)| at).next();
        let age = fetched.map_or(Duration::ZERO, |at| now.since(Timestamp::from_seconds(at as i64)));
        let hours = age.as_secs() / 3600;
        if keys == 0.0 {
            let what = format!("the server holds no keys of `{name}`, and answers its tokens with 503");
            findings.problem(AREA, what, TODO);
        } else if age >= STALE {
            let what = format!(
                "the server's keys of `{name}` are {hours} h old, and it answers its tokens with 503"
            );
            findings.problem(AREA, what, TODO);
        } else if age >= LATE {
            let what = format!(
                "the server's keys of `{name}` are {hours} h old; after a day it answers its tokens with 503"
            );
            findings.warning(AREA, what, TODO);
        } else {
            findings.good(AREA, format!("the server holds keys of `{name}`"));
        }
    }
}

/// How many changes came after the bucket of one second.
fn late(metrics: &Metrics<'_>) -> f64 {
    let within = metrics
        .all("countersign_revocation_lag_seconds_bucket")
        .find(|(labels, _)| labels.contains("le=\"1\""))
        .map_or(0.0, |(_, count)| count);
    metrics.one("countersign_revocation_lag_seconds_count").unwrap_or(0.0) - within
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Level;

    fn levels(metrics: &str) -> Vec<(Level, &'static str)> {
        let mut findings = Findings::default();
        read(&Metrics(metrics), Timestamp::from_seconds(200_000), &mut findings);
        findings.0.iter().map(|finding| (finding.level, finding.area)).collect()
    }

    #[test]
    fn what_metrics_say_becomes_advice() {
        let version = env!("CARGO_PKG_VERSION");
        let well = format!(
            "countersign_build_info{{version=\"{version}\"}} 1\ncountersign_ready 1\ncountersign_feed_blind 0\n\
             countersign_revocation_lag_seconds_bucket{{le=\"1\"}} 7\ncountersign_revocation_lag_seconds_count 7\n\
             countersign_issuer_keys{{issuer=\"a\"}} 2\ncountersign_issuer_keys{{issuer=\"file\"}} 1\n\
             countersign_issuer_keys_fetched_timestamp_seconds{{issuer=\"a\"}} 199000\n\
             countersign_store_up{{work=\"read\"}} 1\ncountersign_decision_records_total{{outcome=\"written\"}} 5\n"
        );
        assert!(levels(&well).iter().all(|(level, _)| *level == Level::Good), "{:?}", levels(&well));
        let ill = "countersign_build_info{version=\"0.0.1\"} 1\ncountersign_ready 0\ncountersign_feed_blind 1\n\
             countersign_configuration_behind 1\ncountersign_workers_silent 1\n\
             countersign_revocation_lag_seconds_bucket{le=\"1\"} 7\ncountersign_revocation_lag_seconds_count 8\n\
             countersign_store_up{work=\"write\"} 0\ncountersign_upstream_up{upstream=\"api\",address=\"a\"} 0\n\
             countersign_decision_records_total{outcome=\"dropped\"} 5\n\
             countersign_api_keys_expiring{within=\"7d\"} 1\n";
        let found = levels(ill);
        // RULES 5.3
        let at = |keys: u64, fetched: i64| {
            let of = "{issuer=\"a\"}";
            levels(&format!(
                "countersign_issuer_keys{of} {keys}\ncountersign_issuer_keys_fetched_timestamp_seconds{of} {fetched}\n"
            ))
            .into_iter()
            .find(|(_, area)| *area == "issuers")
            .map(|(level, _)| level)
        };
        for (keys, age, level) in [
            (1, 75_599, Level::Good),
            (1, 75_600, Level::Warning),
            (1, 86_399, Level::Warning),
            (1, 86_400, Level::Problem),
            (0, 1, Level::Problem),
        ] {
            assert_eq!(at(keys, 200_000 - age), Some(level), "{keys} {age}");
        }
        assert_eq!(
            levels("countersign_issuer_keys{issuer=\"a\"} 0\n").last(),
            Some(&(Level::Problem, "issuers"))
        );
        for expected in [
            (Level::Warning, "version"),
            (Level::Problem, "server"),
            (Level::Problem, "feed"),
            (Level::Warning, "feed"),
            (Level::Warning, "configuration"),
            (Level::Problem, "store"),
            (Level::Problem, "upstreams"),
            (Level::Warning, "records"),
            (Level::Note, "keys"),
        ] {
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }
}
