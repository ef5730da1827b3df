//! What the settings mean to the data plane: listeners with their certificates, upstreams with their authorities.

use crate::{
    certificates::Certificates,
    config::{ListenerSettings, Settings, TlsSettings, UpstreamSettings},
    descriptors::Shares,
    output::Failure,
};
use countersign_crypto::{hash::sha256, tls};
use countersign_gateway::{
    BuiltIn, GatewayConfig, Identity, ListenerConfig, ListenerTls, Share, UpstreamConfig, UpstreamTls,
};
use rustls::ClientConfig;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What files gave. As long as they say the same it is the same object, so that a reload ends no session and no
/// connection that it need not.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) certificates: Certificates,
    /// Of this process, whatever the files say.
    pub(super) identity: Option<Identity>,
    pub(super) built_in: Vec<(Arc<str>, Arc<dyn BuiltIn>)>,
    listeners: Vec<(TlsSettings, ListenerTls)>,
    authorities: HashMap<PathBuf, ([u8; 32], Arc<ClientConfig>)>,
}

impl Loaded {
    fn listener(&mut self, files: &TlsSettings) -> Result<ListenerTls, Failure> {
        if let Some((_, known)) = self.listeners.iter().find(|(known, _)| known == files) {
            return Ok(known.clone());
        }
        let live = self.certificates.load(files)?;
        let tls = ListenerTls::new(live).map_err(|e| Failure::failed(e.to_string()))?;
        self.listeners.push((files.clone(), tls.clone()));
        Ok(tls)
    }

    fn authorities(&mut self, file: &Path) -> Result<Arc<ClientConfig>, Failure> {
        let roots = std::fs::read(file)
            .map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", file.display())))?;
        let mark = sha256(&[&roots]);
        if let Some((_, known)) = self.authorities.get(file).filter(|(known, _)| *known == mark) {
            return Ok(known.clone());
        }
        let config = tls::client_config(&roots)
            .map(Arc::new)
            .map_err(|e| Failure::failed(format!("`{}`: {e}", file.display())))?;
        self.authorities.insert(file.to_path_buf(), (mark, config.clone()));
        Ok(config)
    }

    /// What these settings do not name is looked at no more.
    pub(super) fn keep(&mut self, settings: &Settings) {
        let gateway: Vec<&TlsSettings> =
            settings.gateway.listeners.iter().filter_map(|listener| listener.tls.as_ref()).collect();
        self.listeners.retain(|(known, _)| gateway.contains(&known));
        let control = [&settings.admin.tls, &settings.observe.tls];
        let issuer = settings.issuer.iter().flat_map(|issuer| &issuer.tls);
        let control = control.into_iter().flatten().chain(issuer);
        let all: Vec<&TlsSettings> = gateway.iter().copied().chain(control).collect();
        self.certificates.keep(&all);
        let named = |file: &PathBuf| {
            settings.upstreams.iter().any(|upstream| upstream.tls.as_ref().is_some_and(|tls| tls.ca == *file))
        };
        self.authorities.retain(|file, _| named(file));
    }
}

pub(super) fn gateway_config(settings: &Settings, loaded: &mut Loaded) -> Result<GatewayConfig, Failure> {
    let mut listener = |listener: &ListenerSettings| {
        let tls = listener.tls.as_ref().map(|files| loaded.listener(files)).transpose()?;
        let proxy_protocol = listener.proxy_protocol.clone();
        let config = ListenerConfig::new(listener.listen.clone());
        let trusted = listener.trusted.clone().into();
        let (limits, timeouts) = (listener.limits, listener.timeouts);
        Ok::<_, Failure>(ListenerConfig { tls, proxy_protocol, trusted, limits, timeouts, ..config })
    };
    let mut config = GatewayConfig {
        listeners: settings.gateway.listeners.iter().map(&mut listener).collect::<Result<_, _>>()?,
        workers: settings.gateway.workers.unwrap_or(0),
        identity: settings.gateway.identity,
        signed: loaded.identity.clone(),
        built_in: loaded.built_in.clone(),
        ..GatewayConfig::default()
    };
    config.upstreams = settings
        .upstreams
        .iter()
        .map(|upstream| upstream_config(upstream, loaded))
        .collect::<Result<_, _>>()?;
    let timeouts = settings.gateway.timeouts;
    config.timeouts.connect = timeouts.connect.unwrap_or(config.timeouts.connect);
    config.timeouts.first_byte = timeouts.first_byte.unwrap_or(config.timeouts.first_byte);
    config.timeouts = timeouts.listeners.over(config.timeouts);
    config.limits = settings.gateway.limits.over(config.limits);
    config.limits.connections = config.limits.connections.min(Shares::of_process().gateway);
    config.answers.realm.clone_from(&settings.api_keys.realm);
    let share = |crate::config::Share(millionths)| Share::new(f64::from(millionths) / 1e6);
    if let Some(decisions) = &settings.observe.decisions {
        config.records.all = share(decisions.sample);
        config.records.refused = share(decisions.refused);
    }
    if let Some(traces) = &settings.observe.traces {
        config.records.spans = share(traces.sample);
    }
    // RULES 3.2: stripped on every route, also where the route did not name it
    for (_, rule) in settings.routes.iter().flat_map(|route| &route.presentation) {
        config.key_headers.extend(rule.header.clone());
        config.query_parameters.extend(rule.query.clone());
    }
    config.key_headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    config.key_headers.dedup();
    config.query_parameters.sort();
    config.query_parameters.dedup();
    Ok(config)
}

fn upstream_config(upstream: &UpstreamSettings, loaded: &mut Loaded) -> Result<UpstreamConfig, Failure> {
    let tls = upstream.tls.as_ref().map(|of| -> Result<_, Failure> {
        Ok(UpstreamTls { config: loaded.authorities(&of.ca)?, server_name: of.server_name.clone() })
    });
    Ok(UpstreamConfig {
        name: upstream.name.as_str().into(),
        audience: upstream.resource.clone(),
        urls: upstream.urls.iter().map(|url| url.as_str().trim_end_matches('/').to_owned()).collect(),
        protocol: upstream.protocol,
        tls: tls.transpose()?,
        limits: upstream.limits,
        health: upstream.health.clone(),
        slow_start: upstream.slow_start,
        upgrades: upstream.upgrades.clone(),
        stream_idle: upstream.stream_idle,
        signed_identity: upstream.signed_identity,
    })
}
