//! The configuration read again, on SIGHUP and when its files change, and what the log says of it.
//!
//! Owns when, and the words. What a reload changes is [`compose`](crate::compose)'s.

mod watch;

use crate::{
    compose::{Reloaded, Running, brief},
    config::{Settings, Sources},
    output::Failure,
};
use countersign_core::check::route::{Opened, Removed};
use std::{fmt, sync::Arc};
use watch::{State, Watch};

/// Reads everything again: the settings, or what is wrong with them, and the files that they came from.
pub type Load = Arc<dyn Fn() -> (Result<Settings, Failure>, Sources) + Send + Sync>;

pub struct Reloader {
    load: Load,
    watch: Watch,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("watch", &self.watch).finish_non_exhaustive()
    }
}

impl Reloader {
    /// `sources`: of the settings that are in use.
    pub fn new(load: Load, sources: &Sources) -> Self {
        Self { load, watch: Watch::new(sources) }
    }

    /// Returns when a file changed.
    pub async fn changed(&mut self) {
        self.watch.changed().await;
    }

    /// What is wrong stays out: the last good configuration goes on.
    pub async fn reload(&mut self, running: &mut Running) {
        let load = self.load.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (settings, sources) = load();
            (settings, State::new(&sources))
        });
        let Ok((settings, state)) = read.await else {
            return kept(running, &Failure::failed("the configuration could not be read"));
        };
        self.watch.follow(state);
        let reloaded = match settings {
            Ok(settings) => running.reload(settings).await,
            Err(failure) => Err(failure),
        };
        match reloaded {
            Ok(reloaded) => tell(&reloaded),
            Err(failure) => kept(running, &failure),
        }
    }
}

/// Line by line, as `config validate` says it.
fn kept(running: &Running, failure: &Failure) {
    for line in failure.to_string().lines() {
        tracing::error!("{line}");
    }
    running.configuration().failed();
    let generation = running.generation();
    tracing::error!(generation, "configuration not read again, the last good one stays in use");
}

fn tell(reloaded: &Reloaded) {
    let Reloaded { generation, routes, difference, plans_gone, listeners, restart } = reloaded;
    for Removed { route, instead } in &difference.removed {
        match instead {
            None => tracing::info!(route = %route.name, "route removed: nothing answers there any more"),
            Some(instead) => {
                tracing::info!(route = %route.name, instead = %instead.name, "route removed: another answers there");
            }
        }
    }
    for route in &difference.added {
        tracing::info!(route = %route.name, "route added");
    }
    for Opened { route, what, at } in &difference.opened {
        tracing::warn!(route = %route.name, at = brief(at), "this reload opens a route: it {what}");
    }
    for listener in listeners {
        tracing::warn!("this reload opens a listener: {listener}");
    }
    for plan in plans_gone {
        tracing::warn!(
            plan = plan.as_str(),
            "plan removed: keys that name it are answered with 503 `plan_unknown`"
        );
    }
    for setting in restart {
        tracing::warn!(setting, "changed, and in use only after a restart");
    }
    tracing::info!(generation, routes, "configuration read again, in use from now on");
}
