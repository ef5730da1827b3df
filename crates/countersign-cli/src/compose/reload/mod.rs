//! Other settings while serving: what can change does, all of it at one moment; what cannot is named.

use super::{Running, door_table, gateway_config, gateway_table, start_failed};
use crate::{
    config::{
        DecisionSettings, GatewaySettings, KeyringPlace, ListenerSettings, ObserveSettings, Settings,
        TraceSettings,
    },
    output::Failure,
    place::KEYRING,
};
use countersign_core::{
    audit::{Actor, AuditEvent, AuditStore},
    check::{
        limit::PlanName,
        route::{Difference, RouteStore},
    },
};
use countersign_methods::api_key::config::ApiKeyConfig;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Some of very many are enough to know where to look.
pub(crate) fn brief(places: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = places.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match places.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What a reload did.
#[derive(Debug)]
pub struct Reloaded {
    /// Counted from 1, the start.
    pub generation: u64,
    pub routes: usize,
    pub difference: Difference,
    /// Plans that are there no more: keys and principals that name one are answered with 503.
    pub plans_gone: Vec<PlanName>,
    /// Listeners that believe or take more than they did.
    pub listeners: Vec<String>,
    /// Settings that changed and are in use only after a restart.
    pub restart: Vec<String>,
}

impl Running {
    pub fn generation(&self) -> u64 {
        self.serving.state.generation()
    }

    /// For whoever watches this process.
    pub fn configuration(&self) -> Arc<ConfigurationState> {
        self.serving.state.clone()
    }

    /// Nothing changes where anything is wrong.
    pub async fn reload(&mut self, settings: Settings) -> Result<Reloaded, Failure> {
        let reloaded = self.exchange(settings).await;
        self.serving.state.failed.store(reloaded.is_err(), Ordering::Relaxed);
        if let Ok(reloaded) = &reloaded {
            self.note(reloaded).await;
        }
        reloaded
    }

    /// In the trail. The configuration is in use, whether or not that can be written down.
    async fn note(&self, reloaded: &Reloaded) {
        let Reloaded { generation, routes, difference, plans_gone, listeners, restart } = reloaded;
        let opened = difference.opened.iter().map(|opened| opened.route.name.to_string()).collect::<Vec<_>>();
        let mut detail = vec![
            ("routes", routes.to_string()),
            ("added", difference.added.len().to_string()),
            ("removed", difference.removed.len().to_string()),
        ];
        let lists = [("opened", &opened), ("listeners_opened", listeners), ("waits_for_restart", restart)];
        for (name, list) in lists {
            if !list.is_empty() {
                detail.push((name, brief(list)));
            }
        }
        if !plans_gone.is_empty() {
            detail.push(("plans_gone", plans_gone.len().to_string()));
        }
        let event = AuditEvent {
            at: self.rooms.now(),
            actor: Actor::Host,
            action: "configuration.reload",
            subject: format!("generation {generation}"),
            source: None,
            request: None,
            detail,
            once: None,
        };
        if let Err(error) = AuditStore::note(&*self.rooms.store, event).await {
            tracing::warn!(%error, generation, "that the configuration was read again is not in the audit trail");
        }
    }

    async fn exchange(&mut self, settings: Settings) -> Result<Reloaded, Failure> {
        let serving = &mut self.serving;
        let (settings, mut restart) = settled(&serving.settings, settings);
        if KeyringFile::of(&settings.keyring) != serving.keyring {
            restart.push(KEYRING.to_owned());
        }
        let routes = gateway_table(&settings, &serving.authenticators)?;
        let routes = Arc::new(routes.with_plans(settings.plans.clone()));
        let door = door_table(&settings, &serving.authenticators)?;
        let config = gateway_config(&settings, &mut serving.loaded)?;
        self.gateway.reload(config, routes.clone()).await.map_err(start_failed)?;
        // from here on nothing can fail
        let before = serving.routes.table();
        serving.routes.swap(routes.clone());
        let plans = settings.plans.keys().cloned().collect();
        self.rooms.api_keys.set_terms(settings.api_keys.terms(plans));
        serving.door.swap(Arc::new(door));
        serving.loaded.keep(&settings);
        let listeners = more_believed(&serving.settings.gateway, &settings.gateway);
        serving.settings = settings;
        let generation = serving.state.generation.fetch_add(1, Ordering::Relaxed) + 1;
        // of thousands of routes this takes a while
        let (old, new) = (before.clone(), routes.clone());
        let compared = tokio::task::spawn_blocking(move || Difference::between(&old, &new));
        // it is in use, whatever can be said of it
        let difference = compared.await.unwrap_or_default();
        let gone = before.plans().keys().filter(|plan| !routes.plans().contains_key(plan));
        Ok(Reloaded {
            generation,
            routes: routes.routes().len(),
            difference,
            plans_gone: gone.cloned().collect(),
            listeners,
            restart,
        })
    }
}

/// How the configuration in use came to be.
#[derive(Debug)]
pub struct ConfigurationState {
    generation: AtomicU64,
    failed: AtomicBool,
}

impl Default for ConfigurationState {
    fn default() -> Self {
        Self { generation: AtomicU64::new(1), failed: AtomicBool::new(false) }
    }
}

impl ConfigurationState {
    /// Counted from 1, the start.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// What was read last is not in use, because something is wrong with it.
    pub fn is_behind(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }
}

/// Which file the peppers were read from, without reading them again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyringFile(Option<(u64, u64, u64, i64, i64)>);

impl KeyringFile {
    pub(super) fn of(keyring: &KeyringPlace) -> Self {
        let said = fs::metadata(&keyring.path).ok();
        Self(said.map(|said| (said.dev(), said.ino(), said.size(), said.mtime(), said.mtime_nsec())))
    }
}

/// RULES 4.5, for what is believed of callers rather than asked of them.
fn more_believed(old: &GatewaySettings, new: &GatewaySettings) -> Vec<String> {
    let mut found = Vec::new();
    for (old, new) in old.listeners.iter().zip(&new.listeners) {
        let mut note = |what: &str| found.push(format!("`{}` {what}", new.listen));
        if new.trusted.iter().any(|entry| !old.trusted.contains(entry)) {
            note("believes forwarded headers of more peers, or more of them (`trusted`)");
        }
        let named = |peer| old.proxy_protocol.networks.contains(peer);
        let (was, is) = (&old.proxy_protocol, &new.proxy_protocol);
        if is.unix && !was.unix || !is.networks.iter().all(named) {
            note("is told by more peers who calls (`proxy_protocol`)");
        }
        if old.tls.is_some() && new.tls.is_none() {
            note("is plain HTTP, and was TLS");
        }
    }
    found
}

/// The new settings, with the old ones in the place of what only a restart can change, and the names of those.
fn settled(old: &Settings, new: Settings) -> (Settings, Vec<String>) {
    let mut restart = Vec::new();
    let mut keep = |name: &str, same: bool| {
        if !same {
            restart.push(name.to_owned());
        }
    };
    // whole, so that a new setting is not forgotten here
    let Settings {
        folder,
        keyring,
        gateway,
        admin,
        issuer,
        observe,
        egress,
        audit,
        store_url,
        api_keys,
        passwords,
        issuers,
        sessions,
        signing,
        // of the other sections
        jwt: _,
        plans,
        upstreams,
        routes,
    } = new;
    keep("admin.listen", admin.listen == old.admin.listen);
    keep("admin.tls", admin.tls == old.admin.tls);
    keep("admin.hosts", admin.hosts == old.admin.hosts);
    keep("admin.limit", admin.limit == old.admin.limit);
    match (&issuer, &old.issuer) {
        (Some(issuer), Some(old)) => {
            keep("issuer.listen", issuer.listen == old.listen);
            keep("issuer.url", issuer.url == old.url);
            keep("issuer.tls", issuer.tls == old.tls);
        }
        (issuer, old) => keep("issuer", issuer.is_none() && old.is_none()),
    }
    let observe = observe_settings(&old.observe, observe, &mut keep);
    keep("egress", egress == old.egress);
    keep("audit.keep", audit == old.audit);
    keep("passwords", passwords == old.passwords);
    keep("issuers", issuers == old.issuers);
    keep("sessions", sessions == old.sessions);
    keep("signing", signing == old.signing);
    keep("store.url", store_url.0 == old.store_url.0);
    let ApiKeyConfig {
        word,
        environment,
        default_lifetime,
        max_lifetime,
        allow_never,
        realm,
        imported_prefixes,
    } = &api_keys;
    let was = &old.api_keys;
    keep("api_keys.word", *word == was.word);
    keep("api_keys.environment", *environment == was.environment);
    keep("api_keys.realm", *realm == was.realm);
    keep("api_keys.imported_prefixes", *imported_prefixes == was.imported_prefixes);
    let api_keys = ApiKeyConfig {
        default_lifetime: *default_lifetime,
        max_lifetime: *max_lifetime,
        allow_never: *allow_never,
        ..old.api_keys.clone()
    };
    let gateway = gateway_settings(&old.gateway, gateway, &mut keep);
    let settings = Settings {
        folder,
        keyring,
        gateway,
        admin: old.admin.clone(),
        issuer: old.issuer.clone(),
        observe,
        egress: old.egress.clone(),
        audit: old.audit.clone(),
        store_url: old.store_url.clone(),
        api_keys,
        passwords: old.passwords.clone(),
        issuers: old.issuers.clone(),
        sessions: old.sessions.clone(),
        signing: old.signing.clone(),
        jwt: old.jwt.clone(),
        plans,
        upstreams,
        routes,
    };
    (settings, restart)
}

fn observe_settings(
    old: &ObserveSettings,
    new: ObserveSettings,
    keep: &mut impl FnMut(&str, bool),
) -> ObserveSettings {
    let ObserveSettings { listen, tls, hosts, log, decisions, traces } = new;
    keep("observe.listen", listen == old.listen);
    keep("observe.tls", tls == old.tls);
    keep("observe.hosts", hosts == old.hosts);
    keep("observe.log", log == old.log);
    let decisions = match (decisions, &old.decisions) {
        (Some(DecisionSettings { to, sample, refused }), Some(old)) => {
            keep("observe.decisions.to", to == old.to);
            Some(DecisionSettings { to: old.to.clone(), sample, refused })
        }
        (new, old) => {
            keep("observe.decisions", new.is_none() && old.is_none());
            old.clone()
        }
    };
    let traces = match (traces, &old.traces) {
        (Some(TraceSettings { to, sample }), Some(old)) => {
            keep("observe.traces.to", to == old.to);
            Some(TraceSettings { to: old.to.clone(), sample })
        }
        (new, old) => {
            keep("observe.traces", new.is_none() && old.is_none());
            old.clone()
        }
    };
    ObserveSettings { decisions, traces, ..old.clone() }
}

fn gateway_settings(
    old: &GatewaySettings,
    new: GatewaySettings,
    keep: &mut impl FnMut(&str, bool),
) -> GatewaySettings {
    let GatewaySettings {
        url,
        listeners,
        workers,
        identity,
        timeouts,
        mut limits,
        revoke_exposed,
        blind_after,
    } = new;
    keep("gateway.revoke_exposed", revoke_exposed == old.revoke_exposed);
    keep("gateway.blind_after", blind_after == old.blind_after);
    keep("gateway.workers", workers == old.workers);
    keep("gateway.limits.connections", limits.connections == old.limits.connections);
    limits.connections = old.limits.connections;
    for new in &listeners {
        let known = old.listeners.iter().any(|old| old.listen == new.listen);
        keep(&format!("gateway: the listener `{}`, which is new", new.listen), known);
    }
    let listener = |old: &ListenerSettings| {
        let Some(new) = listeners.iter().find(|new| new.listen == old.listen) else {
            keep(&format!("gateway: the listener `{}`, which is gone", old.listen), false);
            return old.clone();
        };
        let mut new = new.clone();
        let same = new.limits.connections == old.limits.connections;
        keep(&format!("gateway: limits.connections of the listener `{}`", old.listen), same);
        new.limits.connections = old.limits.connections;
        new
    };
    let listeners = old.listeners.iter().map(listener).collect();
    GatewaySettings {
        url,
        listeners,
        workers: old.workers,
        identity,
        timeouts,
        limits,
        revoke_exposed: old.revoke_exposed,
        blind_after: old.blind_after,
    }
}

#[cfg(test)]
mod tests;
