//! What is reachable, and by whom: listeners, routes that ask nobody, upstreams and the ways around the gateway.

use super::{Findings, Patient};
use crate::config::UpstreamSettings;
use countersign_core::check::route::SecurityRequirement;
use countersign_gateway::Protocol;
use reqwest::{Certificate, Client, redirect};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn routes(patient: &Patient<'_>, findings: &mut Findings) {
    let routes = &patient.settings.routes;
    let public: Vec<String> = routes
        .iter()
        .filter(|route| route.security == SecurityRequirement::Public)
        .map(|route| format!("`{}`", route.name))
        .collect();
    if public.is_empty() {
        findings.good("routes", format!("{} routes, each asks for a credential", routes.len()));
    } else {
        findings.note(
            "routes",
            format!("{} of {} routes let anybody in: {}", public.len(), routes.len(), public.join(", ")),
            "is that meant for each of them? say `security = [{ api_key = [..] }]` where it is not",
        );
    }
}

pub(super) fn listeners(patient: &Patient<'_>, findings: &mut Findings) {
    const AREA: &str = "listeners";
    let settings = patient.settings;
    for listener in &settings.gateway.listeners {
        let listen = &listener.listen;
        if listener.tls.is_none() && !listen.is_local() {
            findings.warning(
                AREA,
                format!("`{listen}` speaks plain HTTP to other machines: every credential is refused there (`tls_required`)"),
                "give it `tls`; or, where a proxy of yours ends TLS in front of it, bind it to where only that reaches and list the proxy in `trusted` with `x-forwarded-proto`",
            );
        } else {
            let how = if listener.tls.is_some() { "TLS" } else { "plain HTTP, on this machine only" };
            findings.good(AREA, format!("gateway: `{listen}`, {how}"));
        }
    }
    let admin = settings.admin.listen;
    if admin.ip().is_loopback() {
        findings.good(AREA, format!("admin API: `{admin}`, this machine only"));
    } else {
        findings.note(
            AREA,
            format!("the admin API listens to other machines on `{admin}`"),
            "it asks everybody for an operator's key; let a firewall say which networks may try",
        );
    }
    if let Some(observe) = settings.observe.listen.filter(|listen| !listen.ip().is_loopback()) {
        findings.note(
            AREA,
            format!("probes answer other machines on `{observe}`; `/metrics` asks for a key there"),
            "let a firewall say which networks may ask",
        );
    }
    if settings.observe.listen.is_none() {
        findings.note(
            AREA,
            "nothing answers `/live` and `/ready`",
            "say `[observe] listen = \"127.0.0.1:8446\"` where something should watch this process",
        );
    }
}

pub(super) async fn upstreams(patient: &Patient<'_>, findings: &mut Findings) {
    for upstream in &patient.settings.upstreams {
        for url in &upstream.urls {
            one(patient, upstream, url, findings).await;
        }
    }
}

async fn one(patient: &Patient<'_>, upstream: &UpstreamSettings, url: &url::Url, findings: &mut Findings) {
    const AREA: &str = "upstreams";
    let name = &upstream.name;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return };
    let bare = host.trim_matches(['[', ']']);
    let looking = tokio::net::lookup_host((bare, port));
    let addresses: Vec<SocketAddr> = match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let todo = "is the name right, and does this machine's resolver know it?";
            return findings.problem(AREA, format!("`{name}`: `{host}` has no address: {error}"), todo);
        }
        Err(_) => {
            let todo = "look at this machine's resolver (`/etc/resolv.conf`)";
            return findings.problem(AREA, format!("`{name}`: nobody says where `{host}` is"), todo);
        }
    };
    for address in addresses.into_iter().take(8) {
        let connecting = tokio::net::TcpStream::connect(address);
        if let Some(failed) = match tokio::time::timeout(PATIENCE, connecting).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer".to_owned()),
        } {
            findings.problem(
                AREA,
                format!("`{name}`: {address} cannot be reached: {failed}"),
                "callers get 502 or 504; does the service run there, and does a firewall let this machine in?",
            );
            continue;
        }
        let answered = match upstream.protocol {
            Protocol::Http1 => answer(patient, upstream, url, host, address).await,
            // that it takes connections is all that is known
            Protocol::Http2 => Ok(None),
        };
        let answered = match answered {
            Ok(answered) => answered,
            Err(why) => {
                findings.problem(
                    AREA,
                    format!("`{name}`: {address} takes connections and does not answer: {why}"),
                    "is it HTTP there (`http://` or `https://`), and does `ca` vouch for its certificate?",
                );
                continue;
            }
        };
        if let Some(apart) =
            answered.and_then(|(_, date)| date).map(|date| (date - patient.now.as_seconds()).abs())
            && apart > 5
        {
            findings.warning(
                "clock",
                format!("the clock of `{name}` at {address} is {apart} s off this machine's"),
                "have both follow the same time servers (chrony, systemd-timesyncd)",
            );
        }
        let status = answered.map_or_else(String::new, |(status, _)| format!(" with {status}"));
        around(name, address, &status, findings);
    }
}

/// Whoever reaches an upstream past the gateway is asked for nothing.
fn around(name: &str, address: SocketAddr, status: &str, findings: &mut Findings) {
    const AREA: &str = "upstreams";
    let todo = "bind the service to loopback or a private network, or let a firewall take connections to it from the \
                gateway alone";
    let whom = match address.ip().to_canonical() {
        ip if ip.is_loopback() && listens_everywhere(address.port()) => {
            return findings.warning(
                AREA,
                format!("`{name}` answers{status} on every address of this machine, port {}: whoever reaches that is asked for no credential", address.port()),
                todo,
            );
        }
        ip if ip.is_loopback() => {
            return findings.good(AREA, format!("`{name}`: {address} answers{status}, to this machine only"));
        }
        IpAddr::V4(four) if four.is_private() || four.is_link_local() => "its private network",
        IpAddr::V6(six) if six.is_unique_local() || six.is_unicast_link_local() => "its private network",
        _ => {
            return findings.warning(
                AREA,
                format!("`{name}`: {address} is a public address and answers{status} without the gateway"),
                todo,
            );
        }
    };
    findings.note(
        AREA,
        format!("`{name}`: {address} answers{status} to all of {whom} without the gateway"),
        todo,
    );
}

/// As Linux tells it: a socket that listens on no particular address.
fn listens_everywhere(port: u16) -> bool {
    const LISTENS: &str = "0A";
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, state) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            let Some((address, at)) = local.split_once(':') else { return false };
            state == LISTENS
                && u16::from_str_radix(at, 16) == Ok(port)
                && address.bytes().all(|digit| digit == b'0')
        })
    })
}

/// Status and date of the answer to `GET /`; any status will do.
async fn answer(
    patient: &Patient<'_>,
    upstream: &UpstreamSettings,
    url: &url::Url,
    host: &str,
    address: SocketAddr,
) -> Result<Option<(u16, Option<i64>)>, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION"), " (doctor)"))
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none())
        .no_proxy();
    let mut url = url.clone();
    let mut named = host.to_owned();
    if let Some(tls) = &upstream.tls {
        let pem = std::fs::read(patient.settings.folder.join(&tls.ca)).map_err(|e| e.to_string())?;
        let roots = Certificate::from_pem_bundle(&pem).map_err(|e| e.to_string())?;
        builder = builder.tls_certs_only(roots);
        if let Some(name) = &tls.server_name {
            named = name.to_str().into_owned();
            url.set_host(Some(&named)).map_err(|e| e.to_string())?;
        }
    }
    let http = builder.resolve(&named, address).build().map_err(|e| e.to_string())?;
    let answer = http.get(url).send().await.map_err(|error| root(&error))?;
    let date = answer.headers().get("date").and_then(|value| value.to_str().ok());
    let date =
        date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|date| date.timestamp().as_second());
    Ok(Some((answer.status().as_u16(), date)))
}

/// What is at the bottom of it: the layers above only say that something failed.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
