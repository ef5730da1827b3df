//! Other settings while serving: what can change does, all of it at one moment; what cannot is named.

use super::{Running, gateway_config, start_failed, table};
use crate::{
    config::{GatewaySettings, ListenerSettings, Settings},
    output::Failure,
};
use countersign_core::check::{
    limit::PlanName,
    route::{Difference, RouteStore},
};
use countersign_methods::api_key::config::ApiKeyConfig;
use std::sync::Arc;

/// What a reload did.
#[derive(Debug)]
pub struct Reloaded {
    /// Counted from 1, the start.
    pub generation: u64,
    pub routes: usize,
    pub difference: Difference,
    /// Plans that are there no more: keys and principals that name one are answered with 503.
    pub plans_gone: Vec<PlanName>,
    /// Settings that changed and are in use only after a restart.
    pub restart: Vec<String>,
}

impl Running {
    pub fn generation(&self) -> u64 {
        self.serving.generation
    }

    /// Nothing changes where anything is wrong.
    pub async fn reload(&mut self, settings: Settings) -> Result<Reloaded, Failure> {
        let serving = &mut self.serving;
        let (settings, restart) = settled(&serving.settings, settings);
        let routes = table(settings.routes.clone(), &serving.authenticators)?;
        let routes = Arc::new(routes.with_plans(settings.plans.clone()));
        let config = gateway_config(&settings, &mut serving.loaded)?;
        self.gateway.reload(config, routes.clone()).await.map_err(start_failed)?;
        // from here on nothing can fail
        let before = serving.routes.table();
        serving.routes.swap(routes.clone());
        self.rooms.api_keys.set_plans(settings.plans.keys().cloned().collect());
        serving.loaded.keep(&settings);
        serving.settings = settings;
        serving.generation += 1;
        let gone = before.plans().keys().filter(|plan| !routes.plans().contains_key(plan));
        Ok(Reloaded {
            generation: serving.generation,
            routes: routes.routes().len(),
            difference: Difference::between(&before, &routes),
            plans_gone: gone.cloned().collect(),
            restart,
        })
    }
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
    let Settings { folder, gateway, admin, issuer, store_url, api_keys, plans, upstreams, routes } = new;
    keep("admin.listen", admin.listen == old.admin.listen);
    keep("admin.tls", admin.tls == old.admin.tls);
    keep("admin.hosts", admin.hosts == old.admin.hosts);
    match (&issuer, &old.issuer) {
        (Some(issuer), Some(old)) => {
            keep("issuer.listen", issuer.listen == old.listen);
            keep("issuer.url", issuer.url == old.url);
            keep("issuer.tls", issuer.tls == old.tls);
        }
        (issuer, old) => keep("issuer", issuer.is_none() && old.is_none()),
    }
    keep("store.url", store_url.0 == old.store_url.0);
    let ApiKeyConfig { word, environment, default_lifetime, max_lifetime, allow_never, realm } = &api_keys;
    let was = &old.api_keys;
    keep("api_keys.word", *word == was.word);
    keep("api_keys.environment", *environment == was.environment);
    keep("api_keys.default_lifetime", *default_lifetime == was.default_lifetime);
    keep("api_keys.max_lifetime", *max_lifetime == was.max_lifetime);
    keep("api_keys.allow_never", *allow_never == was.allow_never);
    keep("api_keys.realm", *realm == was.realm);
    let gateway = gateway_settings(&old.gateway, gateway, &mut keep);
    let settings = Settings {
        folder,
        gateway,
        admin: old.admin.clone(),
        issuer: old.issuer.clone(),
        store_url: old.store_url.clone(),
        api_keys: old.api_keys.clone(),
        plans,
        upstreams,
        routes,
    };
    (settings, restart)
}

fn gateway_settings(
    old: &GatewaySettings,
    new: GatewaySettings,
    keep: &mut impl FnMut(&str, bool),
) -> GatewaySettings {
    let GatewaySettings { listeners, workers, identity, timeouts, mut limits } = new;
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
    GatewaySettings { listeners, workers: old.workers, identity, timeouts, limits }
}

#[cfg(test)]
mod tests;
