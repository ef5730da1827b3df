//! `[[upstreams]]`.

use super::{
    reader::{Field, Table},
    report::MISSING,
    routes::{Named, name, transpose},
    settings::{UpstreamSettings, UpstreamTlsSettings},
    values,
};
use countersign_gateway::{HealthCheck, Protocol, STREAM_IDLE, UpstreamLimits, WEBSOCKET, is_upgrade};
use rustls::pki_types::ServerName;
use std::{sync::Arc, time::Duration};
use url::Url;

/// `external`: the `resource` of those that have none of their own.
pub(super) fn upstreams(
    root: &Table<'_, '_>,
    external: Option<&Arc<str>>,
) -> Named<String, UpstreamSettings> {
    let mut upstreams: Named<String, UpstreamSettings> = Vec::new();
    for table in root.sections("upstreams") {
        let name = table.require("name").and_then(|field| {
            let name = field.parsed(name)?;
            if upstreams.iter().any(|(other, _)| *other == name) {
                field.problem(format!("`{name}` is the name of two upstreams"));
            }
            Some(name)
        });
        let settings = upstream(&table, name.as_deref().unwrap_or_default(), external);
        table.finish();
        upstreams.extend(name.map(|name| (name, settings)));
    }
    upstreams
}

fn upstream(table: &Table<'_, '_>, name: &str, external: Option<&Arc<str>>) -> Option<UpstreamSettings> {
    let urls = urls(table);
    let tls = tls(table, urls.as_deref());
    let resource = transpose(table.get("resource").map(|field| field.parsed(values::resource)));
    let limits = table.get("limits").map_or(Some(UpstreamLimits::default()), |field| limits(&field));
    let health = transpose(table.get("health").map(|field| health(&field)));
    let slow_start = table.get("slow_start").map_or(Some(Duration::ZERO), |field| field.duration());
    let upgrades = table.get("upgrades").map_or_else(
        || Some(vec![WEBSOCKET.into()]),
        |field| {
            field.list(|text| {
                is_upgrade(text).then(|| text.into()).ok_or_else(|| {
                    format!("`{text}` is no protocol to switch to, or one that carries requests nobody would judge")
                })
            })
        },
    );
    let protocol = table.get("protocol").map_or(Some(Protocol::default()), |field| {
        field.choice(&[("http1", Protocol::Http1), ("http2", Protocol::Http2)])
    });
    let stream_idle = table.get("stream_idle").map_or(Some(STREAM_IDLE), |field| field.duration());
    let signed_identity = table.get("signed_identity").map_or(Some(true), |field| field.boolean());
    Some(UpstreamSettings {
        name: name.to_owned(),
        urls: urls?,
        protocol: protocol?,
        tls: tls?,
        resource: resource?.or_else(|| external.cloned()),
        limits: limits?,
        health: health?,
        slow_start: slow_start?,
        upgrades: upgrades?,
        stream_idle: stream_idle?,
        signed_identity: signed_identity?,
    })
}

/// `url`, or several as `urls`.
fn urls(table: &Table<'_, '_>) -> Option<Vec<Url>> {
    let several = match (table.get("url"), table.get("urls")) {
        (None, Some(several)) => several,
        (Some(only), None) => return Some(vec![only.parsed(values::upstream_url)?]),
        (Some(_), Some(several)) => {
            several.problem("stands beside `url`; say all addresses here, or the only one there");
            return None;
        }
        (None, None) => {
            table.problem_at("url", MISSING);
            return None;
        }
    };
    let urls = several.list(values::upstream_url)?;
    if urls.is_empty() {
        several.problem("is empty: an upstream has at least one address");
        return None;
    }
    if let Some(twice) = urls.iter().enumerate().find(|(n, url)| urls.iter().take(*n).any(|u| u == *url)) {
        several.problem(format!("names `{}` twice", twice.1));
        return None;
    }
    Some(urls)
}

/// `ca` and `server_name`: with `https://`, and only there. What they would promise beside `http://` nobody keeps.
fn tls(table: &Table<'_, '_>, urls: Option<&[Url]>) -> Option<Option<UpstreamTlsSettings>> {
    let (ca_field, name_field) = (table.get("ca"), table.get("server_name"));
    let ca = transpose(ca_field.as_ref().map(|field| {
        field.parsed(|text| {
            let path = field.folder().join(text);
            field.note_file(&path);
            if path.is_file() { Ok(path) } else { Err(format!("there is no file `{}`", path.display())) }
        })
    }));
    let server_name = transpose(name_field.as_ref().map(|field| {
        field.parsed(|text| {
            ServerName::try_from(text.to_owned())
                .map_err(|_| format!("`{text}` is not a name that a certificate can carry"))
        })
    }));
    let urls = urls?;
    let secure = urls.iter().filter(|url| url.scheme() == "https").count();
    if secure == 0 {
        let given: Vec<_> = ca_field.iter().chain(&name_field).collect();
        for field in &given {
            field.problem("stands beside `http://`, where nobody proves anything; say `https://`");
        }
        return given.is_empty().then_some(None);
    }
    if secure < urls.len() {
        table.problem_at("urls", "has `http://` beside `https://`: a request could go out either way");
        return None;
    }
    if ca_field.is_none() {
        table.problem_at(
            "ca",
            "is missing: the PEM file of the authorities that vouch for an `https://` upstream; for public ones \
             the system's, such as `/etc/ssl/certs/ca-certificates.crt`",
        );
        return None;
    }
    Some(Some(UpstreamTlsSettings { ca: ca??, server_name: server_name? }))
}

/// `{ connections = 200, queue = 100, queue_time = "5s" }`.
fn limits(field: &Field<'_, '_>) -> Option<UpstreamLimits> {
    let table = field.table()?;
    let default = UpstreamLimits::default();
    let count = |key, least| {
        let field = table.get(key)?;
        Some(field.integer(least..=1_000_000).and_then(|n| usize::try_from(n).ok()))
    };
    let connections = transpose(count("connections", 1));
    let queue = count("queue", 0).unwrap_or(Some(default.queue));
    let queue_time = table.get("queue_time").map_or(Some(default.queue_time), |field| field.duration());
    table.finish();
    Some(UpstreamLimits { connections: connections?, queue: queue?, queue_time: queue_time? })
}

/// `{ path = "/healthz", every = "5s" }`.
fn health(field: &Field<'_, '_>) -> Option<HealthCheck> {
    let table = field.table()?;
    let path = table.require("path").and_then(|field| {
        field.parsed(|text| {
            let good = text.starts_with('/') && text.parse::<http::Uri>().is_ok();
            good.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not a path such as `/healthz`"))
        })
    });
    let every = table.get("every").map_or(Some(Duration::from_secs(5)), |field| {
        let every = field.duration()?;
        if every < SHORTEST_CHECK {
            field.problem("is too short: every worker asks every address; at least `100ms`");
            return None;
        }
        Some(every)
    });
    table.finish();
    Some(HealthCheck { path: path?, every: every? })
}

const SHORTEST_CHECK: Duration = Duration::from_millis(100);
