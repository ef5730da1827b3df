//! The store and the keyring that belongs to it.

use super::{Findings, Patient, issuers};
use crate::keyring::{self, Needs};
use countersign_core::principal::PrincipalName;
use countersign_store::{Inspection, inspect};
use std::{net::Ipv4Addr, time::Duration};
use tokio::net::TcpStream;

const AREA: &str = "store";
/// Clocks further apart than this make tokens and keys end at other times than they say.
const APART: Duration = Duration::from_secs(2);

pub(super) async fn look(patient: &Patient<'_>, findings: &mut Findings) {
    let url = &patient.settings.store_url.0;
    let file = url.strip_prefix("sqlite:");
    if let Some(file) = file.filter(|file| !std::path::Path::new(file).exists()) {
        if somebody_serves(patient).await {
            findings.problem(
                AREA,
                format!("`{file}` is gone, and a server of this configuration runs"),
                "what it writes is lost with it: stop it, look for the file, or `countersign restore` a backup",
            );
        } else {
            findings.note(
                AREA,
                format!("there is no `{file}` yet"),
                "`countersign serve` makes it, with the first operator",
            );
        }
        return;
    }
    let asked = patient.now;
    let local = patient.settings.issuers.iter().flat_map(|issuer| issuer.local.values());
    let names: Vec<&str> = local.map(PrincipalName::as_str).collect();
    let looked = match inspect(url, asked, &names).await {
        Ok(looked) => looked,
        Err(error) => {
            findings.problem(
                AREA,
                format!("it does not answer: {error}"),
                "while it does not, everything is answered with 503 after 5 s; is `[store] url` right, does the \
                 database run, may this user open it?",
            );
            return;
        }
    };
    findings.good(AREA, format!("{} answers{}", looked.engine, size(&looked)));
    schema(&looked, findings);
    match file {
        Some(file) => sqlite(file, &looked, findings),
        None => postgres(&looked, findings),
    }
    if let Some(clock) = looked.clock {
        let apart = clock.since(asked).max(asked.since(clock));
        if apart > APART + Duration::from_secs(5) {
            findings.problem(
                "clock",
                format!("the database's clock is {} s off this machine's", apart.as_secs()),
                "have both follow the same time servers (chrony, systemd-timesyncd): what expires is judged by clocks",
            );
        } else {
            findings.good("clock", "the database's clock and this machine's agree");
        }
    }
    keys(patient, &looked, findings);
    issuers::local(patient, &looked, findings);
}

/// Does anybody listen where this configuration's admin API would?
async fn somebody_serves(patient: &Patient<'_>) -> bool {
    let mut address = patient.settings.admin.listen;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let connect = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address));
    connect.await.is_ok_and(|connected| connected.is_ok())
}

fn size(looked: &Inspection) -> String {
    looked.size.map_or_else(String::new, |size| format!(", {} MiB", size >> 20))
}

fn schema(looked: &Inspection, findings: &mut Findings) {
    let newest = looked.newest;
    match looked.schema {
        None => findings.note(AREA, "nothing was ever stored in it", "`countersign serve` begins it"),
        Some(at) if at > newest => findings.problem(
            "version",
            format!(
                "the store was made by a newer release: its schema is at {at}, this one knows up to {newest}"
            ),
            "run that release or a newer one; this one refuses to start",
        ),
        Some(at) if at < newest => findings.note(
            "version",
            format!("the store's schema is at {at}, this release brings it to {newest} at its start"),
            "take a backup first; an older release can then no longer open it",
        ),
        Some(at) => findings.good("version", format!("schema {at}, the newest")),
    }
}

fn sqlite(file: &str, looked: &Inspection, findings: &mut Findings) {
    if !looked.damage.is_empty() {
        findings.problem(
            AREA,
            format!("`{file}` is damaged: {}", looked.damage.join("; ")),
            "stop writing to it, keep a copy, and restore a backup",
        );
    }
    if looked.schema.is_some() && looked.setting("journal_mode") != Some("wal") {
        findings.warning(
            AREA,
            format!("`{file}` has no write-ahead log"),
            "something opened it that changed `journal_mode`; `countersign serve` sets it again at its start",
        );
    }
}

fn postgres(looked: &Inspection, findings: &mut Findings) {
    let off = |name: &str| looked.setting(name) == Some("off");
    // RULES 4.7
    for (name, why) in [
        ("fsync", "a crash of the machine loses or destroys what was acknowledged"),
        (
            "synchronous_commit",
            "a crash loses the last changes that were acknowledged, revocations among them",
        ),
        ("full_page_writes", "a crash can leave pages half written"),
    ] {
        if off(name) {
            findings.problem(
                AREA,
                format!("PostgreSQL runs with `{name} = off`: {why}"),
                format!("`ALTER SYSTEM SET {name} = on`, then `SELECT pg_reload_conf()`"),
            );
        }
    }
    if ["fsync", "synchronous_commit", "full_page_writes"].iter().all(|name| !off(name)) {
        findings.good(AREA, "what is acknowledged is on disk (`fsync`, `synchronous_commit`)");
    }
    if looked.setting("is_replica") == Some("on") {
        findings.problem(
            AREA,
            "this is a replica: nothing can be written, and revocations arrive late",
            "point `[store] url` at the primary (`target_session_attrs=read-write`)",
        );
    }
    if looked.setting("is_remote") == Some("on") && looked.setting("ssl") != Some("on") {
        findings.warning(
            AREA,
            "the connection to PostgreSQL crosses a network without TLS",
            "add `?sslmode=verify-full&sslrootcert=FILE` to `[store] url`",
        );
    }
    let most: Option<u32> = looked.setting("max_connections").and_then(|text| text.parse().ok());
    if most.is_some_and(|most| most < 40) {
        findings.note(
            AREA,
            format!(
                "PostgreSQL takes {} connections, and each process of Countersign up to 9",
                most.unwrap_or(0)
            ),
            "raise `max_connections` where you run several",
        );
    }
}

/// Read, never made.
fn keys(patient: &Patient<'_>, looked: &Inspection, findings: &mut Findings) {
    let place = &patient.settings.keyring;
    if looked.schema.is_none() && !place.path.exists() {
        return;
    }
    let named = looked.peppers.iter().filter_map(|pepper| u32::try_from(*pepper).ok()).collect();
    let needs = Needs { named, empty: false };
    match keyring::open(place, &needs, &countersign_crypto::SystemEntropy) {
        Ok(keyring::Keyring { peppers, attest, .. }) => {
            if attest.is_none() {
                findings.note(
                    "keyring",
                    "has no key to sign the head of the audit trail".to_owned(),
                    "add one: `countersign keyring rotate audit`",
                );
            }
            let numbers: Vec<u32> = peppers.numbers().collect();
            let idle: Vec<String> = numbers
                .iter()
                .filter(|number| **number != peppers.current() && !needs.named.contains(number))
                .map(ToString::to_string)
                .collect();
            findings.good("keyring", format!("has all {} peppers that keys in use need", needs.named.len()));
            if !idle.is_empty() {
                findings.note(
                    "keyring",
                    format!("no key in use names pepper {}", idle.join(", ")),
                    "it can be taken out; the one with the highest number stays",
                );
            }
        }
        Err(failure) => findings.problem("keyring", failure.what, failure.todo.unwrap_or_default()),
    }
}
