//! Where the gateway listens: `listen` and `tls` of `[gateway]`, and `[[gateway.listeners]]` beside or in place of them.

pub(super) mod terms;
#[cfg(test)]
mod tests;

use super::{
    reader::{Field, Table},
    sections,
    settings::{CertificateSettings, ListenerSettings, TlsSettings},
    values,
};
use countersign_gateway::{ForwardedHeader, ListenAddress, ListenerLimits, ListenerTimeouts, Peers, Trusted};
use std::{net::SocketAddr, path::Path};

pub(super) fn read(gateway: &Table<'_, '_>, folder: &Path) -> Option<Vec<ListenerSettings>> {
    let short = short(gateway, folder);
    let tables = gateway.sections("listeners");
    if gateway.get("listen").is_none() && gateway.get("listeners").is_none() {
        gateway.problem_at("listen", "is missing: `listen = \"127.0.0.1:8443\"`, or `[[gateway.listeners]]`");
    }
    let long: Vec<Option<ListenerSettings>> = tables
        .iter()
        .map(|table| {
            let listener = listener(table, folder);
            table.finish();
            listener
        })
        .collect();
    let mut all = short.clone().unwrap_or_default();
    for (table, listener) in tables.iter().zip(&long) {
        let Some(listener) = listener else { continue };
        if all.iter().any(|other| same(&other.listen, &listener.listen)) {
            table.problem_at("listen", format!("`{}` is another listener's", listener.listen));
        }
        all.push(listener.clone());
    }
    (short.is_some() && long.iter().all(Option::is_some)).then_some(all)
}

/// `listen`, one or several, with the one `tls` of all of them. Empty where there is none.
fn short(gateway: &Table<'_, '_>, folder: &Path) -> Option<Vec<ListenerSettings>> {
    let tls_field = gateway.get("tls");
    let tls = tls_field.as_ref().map(|field| tls(field, folder));
    let Some(field) = gateway.get("listen") else {
        if let Some(field) = tls_field {
            field.problem("has no `listen` beside it; a listener of `[[gateway.listeners]]` has its own");
            return None;
        }
        return Some(Vec::new());
    };
    let parse = |text: &str| values::listen(text, folder);
    let addresses =
        if field.is_array() { field.list(parse) } else { field.parsed(parse).map(|one| vec![one]) };
    if addresses.as_ref().is_some_and(Vec::is_empty) {
        field.problem("names no address");
    }
    let tls = optional(tls)?;
    let listener = |listen| ListenerSettings {
        listen,
        tls: tls.clone(),
        proxy_protocol: Peers::default(),
        trusted: Vec::new(),
        // those of all listeners
        limits: ListenerLimits::default(),
        timeouts: ListenerTimeouts::default(),
    };
    Some(addresses?.into_iter().map(listener).collect())
}

fn listener(table: &Table<'_, '_>, folder: &Path) -> Option<ListenerSettings> {
    let listen = table.require("listen").and_then(|field| field.parsed(|text| values::listen(text, folder)));
    let mode_field = table.get("mode");
    let mode = mode_field.as_ref().map(|field| field.parsed(values::mode));
    let tls = table.get("tls").map(|field| tls(&field, folder));
    let proxy_protocol = table.get("proxy_protocol").map(|field| peers(&field));
    let trusted = table.get("trusted").map(|field| {
        let read: Vec<Option<Trusted>> = field.array()?.iter().map(trusted).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let limits = table.get("limits").map(|field| terms::limits(&field));
    let timeouts = table.get("timeouts").map(|field| {
        let table = field.table()?;
        let timeouts = terms::timeouts(&table);
        table.finish();
        timeouts
    });
    let mut listen = listen?;
    match (&mut listen, optional(mode)?) {
        (_, None) => {}
        (ListenAddress::Unix(unix), Some(mode)) => unix.mode = mode,
        (ListenAddress::Tcp(_), Some(_)) => {
            mode_field?.problem("is for Unix sockets; a port has none");
        }
    }
    let proxy_protocol = optional(proxy_protocol)?.unwrap_or_default();
    let trusted = optional(trusted)?.unwrap_or_default();
    let limits = optional(limits)?.unwrap_or_default();
    let timeouts = optional(timeouts)?.unwrap_or_default();
    let tls = optional::<TlsSettings>(tls)?;
    Some(ListenerSettings { listen, tls, proxy_protocol, trusted, limits, timeouts })
}

/// Networks and addresses; `unix` is whoever may open the file of a Unix socket.
fn peers(field: &Field<'_, '_>) -> Option<Peers> {
    let listed =
        field.list(|text| if text == "unix" { Ok(None) } else { values::network(text).map(Some) })?;
    if listed.is_empty() {
        field.problem("lists nobody");
    }
    Some(Peers { unix: listed.contains(&None), networks: listed.into_iter().flatten().collect() })
}

/// `{ networks = [..], headers = [..] }`
fn trusted(field: &Field<'_, '_>) -> Option<Trusted> {
    let table = field.table()?;
    let peers = table.require("networks").and_then(|field| peers(&field));
    let headers = table.require("headers").and_then(|field| {
        let fields = field.array()?;
        let known = [
            ("x-forwarded-for", ForwardedHeader::For),
            ("x-forwarded-proto", ForwardedHeader::Proto),
            ("x-request-id", ForwardedHeader::RequestId),
        ];
        let read: Vec<_> = fields.iter().map(|field| field.choice(&known)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    table.finish();
    Some(Trusted { peers: peers?, headers: headers? })
}

/// One certificate for whatever name is asked for, or `certificates` that are chosen from by name.
fn tls(field: &Field<'_, '_>, folder: &Path) -> Option<TlsSettings> {
    let table = field.table()?;
    sections::client_certificates(&table);
    let Some(list) = table.get("certificates") else {
        let certificate = sections::certificate(&table, folder);
        table.finish();
        return Some(TlsSettings {
            certificates: vec![CertificateSettings { default: true, ..certificate? }],
        });
    };
    table.finish();
    let fields = list.array()?;
    if fields.is_empty() {
        list.problem("names no certificate");
    }
    let mut has_default = false;
    let read = |field: &Field<'_, '_>| {
        let table = field.table()?;
        let certificate = sections::certificate(&table, folder);
        let default = table.get("default").map_or(Some(false), |field| {
            let default = field.boolean()?;
            if default && std::mem::replace(&mut has_default, true) {
                field.problem("is said of another certificate already");
            }
            Some(default)
        });
        table.finish();
        Some(CertificateSettings { default: default?, ..certificate? })
    };
    let read: Vec<Option<CertificateSettings>> = fields.iter().map(read).collect();
    Some(TlsSettings { certificates: read.into_iter().collect::<Option<_>>()? })
}

/// Absent is good; there and unreadable is not.
#[expect(clippy::option_option, reason = "absent, unreadable and read are three things")]
fn optional<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(None) => None,
        Some(read) => Some(read),
    }
}

fn same(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => meet(*one, *other),
        (ListenAddress::Unix(one), ListenAddress::Unix(other)) => one.path == other.path,
        _ => false,
    }
}

/// Would both be asked for one connection? Port 0 becomes a port of its own.
pub(super) fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same = one.ip() == other.ip() || (any && one.is_ipv4() == other.is_ipv4());
    same && one.port() == other.port() && one.port() != 0
}
