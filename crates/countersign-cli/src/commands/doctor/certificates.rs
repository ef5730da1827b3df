//! Certificates of the listeners: do they fit their keys, whom do they serve, how long do they last?

use super::{Findings, Patient};
use crate::{
    certificates::Certificates,
    config::{CertificateSettings, TlsSettings},
};
use countersign_core::check::route::HostPattern;
use countersign_crypto::x509;
use std::path::Path;

const AREA: &str = "certificates";
/// Whoever renews by itself does so a month before; when this little is left it has stopped.
const SOON: i64 = 14 * 86_400;

pub(super) fn look(patient: &Patient<'_>, findings: &mut Findings) {
    let settings = patient.settings;
    let gateway: Vec<&TlsSettings> =
        settings.gateway.listeners.iter().filter_map(|listener| listener.tls.as_ref()).collect();
    let control = [
        settings.admin.tls.as_ref(),
        settings.observe.tls.as_ref(),
        settings.issuer.as_ref().and_then(|issuer| issuer.tls.as_ref()),
    ];
    let mut seen: Vec<&Path> = Vec::new();
    for tls in gateway.iter().copied().chain(control.into_iter().flatten()) {
        if let Err(failure) = Certificates::default().load(tls) {
            findings.problem(
                AREA,
                failure.what,
                "put a chain in PEM and the key that belongs to it where the configuration says",
            );
        }
        for CertificateSettings { certificate, .. } in &tls.certificates {
            if !seen.contains(&certificate.as_path()) {
                seen.push(certificate);
                lifetime(certificate, patient.now.as_seconds(), findings);
            }
        }
    }
    for tls in gateway {
        names(patient, tls, findings);
    }
}

fn lifetime(file: &Path, now: i64, findings: &mut Findings) {
    let shown = file.display();
    let Some(ends) = std::fs::read(file).ok().and_then(|pem| x509::not_after(&pem)) else { return };
    let until = jiff::Timestamp::from_second(ends).map(|t| t.to_string()).unwrap_or_default();
    let renew = "renew it; the new files serve within a second, without a restart";
    if ends <= now {
        findings.problem(AREA, format!("`{shown}` ended {until}"), renew);
    } else if ends - now < SOON {
        findings.warning(AREA, format!("`{shown}` ends {until}"), renew);
    } else {
        findings.good(AREA, format!("`{shown}` is good until {until}"));
    }
}

/// Hosts that routes name and no certificate does.
fn names(patient: &Patient<'_>, tls: &TlsSettings, findings: &mut Findings) {
    let Ok(live) = Certificates::default().load(tls) else { return };
    let set = live.current();
    let mut hosts: Vec<&str> = patient
        .settings
        .routes
        .iter()
        .filter_map(|route| match &route.host {
            HostPattern::Exact(host) => Some(&**host),
            HostPattern::Any | HostPattern::Below(_) => None,
        })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    let lacking: Vec<String> =
        hosts.into_iter().filter(|host| !set.names(host)).map(|host| format!("`{host}`")).collect();
    if !lacking.is_empty() {
        let files: Vec<String> =
            tls.certificates.iter().map(|c| format!("`{}`", c.certificate.display())).collect();
        findings.warning(
            AREA,
            format!("{} names no {}, which routes do", files.join(", "), lacking.join(", ")),
            "callers that verify will refuse it: have the names put into a certificate of this listener",
        );
    }
}
