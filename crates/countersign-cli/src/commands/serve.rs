//! `countersign serve`: the gateway, the admin API and the public face of one configuration.

use super::Common;
use crate::{
    compose::{self, GRACE, Rooms, Running, World},
    config::{Environment, FILE_NAME, Settings},
    logging::{self, Reader},
    operator,
    output::{Exit, Failure},
    place::{ADMIN_KEY, Place},
    reload::{Load, Reloader},
    service_manager::ServiceManager,
};
use clap::Args;
use countersign_gateway::Listening;
use std::{path::Path, sync::Arc};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign serve
  countersign serve --config /etc/countersign/countersign.toml
  countersign serve --config /etc/countersign/countersign.toml --dir /var/lib/countersign")]
pub struct Serve {}

pub fn run(_: Serve, common: &Common) -> Result<Exit, Failure> {
    // not the nearest development folder: what is served for others is named, or stands here
    let place = Place::named(common.config.as_deref(), common.dir.as_deref())
        .unwrap_or_else(|| Place::of_config(Path::new(FILE_NAME)));
    let environment = Environment::of_process();
    let (settings, sources) = place.read(&environment);
    let settings = settings?;
    let _log = logging::start(&environment, Reader::Operator, settings.observe.log);
    let manager = ServiceManager::of(&environment);
    let again = place.clone();
    let load: Load = Arc::new(move || again.read(&environment));
    control_runtime()?
        .block_on(async { serve(settings, &place, Reloader::new(load, &sources), &manager).await })
}

async fn serve(
    settings: Settings,
    place: &Place,
    reloader: Reloader,
    manager: &ServiceManager,
) -> Result<Exit, Failure> {
    let mut stop = Signals::new()?;
    let rooms = Rooms::open(&settings, World::of_machine()).await?;
    // RULES 4.4: what was made for one machine must not be opened to others
    if rooms.is_development().await? {
        return Err(Failure::new(
            Exit::Conflict,
            "this store was made by `countersign dev`, and its keys with it",
        )
        .todo("begin with an empty store: give `[store] url` another file"));
    }
    let key_file = place.file(ADMIN_KEY);
    if operator::ensure(&rooms, &key_file, rooms.now()).await? {
        tracing::info!(
            file = %key_file.display(),
            "made the first operator; its key is in the file, and ends after 24 hours or with the first other operator"
        );
    }
    let mut running = compose::start(&settings, rooms).await?;
    running.retire_first_operator(&place.folder);
    for Listening { address, tls } in running.gateway_listening() {
        tracing::info!(%address, tls, "gateway listens");
        if !tls && !address.is_local() {
            tracing::warn!(%address, "plain HTTP: credentials are refused here (`tls_required`)");
        }
    }
    if let Some(address) = running.admin_address() {
        tracing::info!(%address, "admin API listens");
    }
    if let Some(address) = running.watched_address() {
        tracing::info!(%address, "/live, /ready and /metrics");
    }
    if let Some(address) = running.issuer_address() {
        tracing::info!(%address, "public face listens");
    }
    until_stopped(running, &mut stop, reloader, manager).await;
    Ok(Exit::Ok)
}

/// Serves until a signal; a second one does not wait for what is under way. Meanwhile the configuration is read again
/// whenever it changes, and on SIGHUP.
pub(super) async fn until_stopped(
    mut running: Running,
    stop: &mut Signals,
    mut reloader: Reloader,
    manager: &ServiceManager,
) {
    manager.ready(running.generation());
    loop {
        let Signals { terminate, interrupt, hangup } = &mut *stop;
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            () = reloader.changed() => {}
        }
        manager.reloading();
        tokio::select! {
            biased;
            () = stop.recv() => break,
            () = reloader.reload(&mut running) => {}
        }
        manager.ready(running.generation());
    }
    manager.stopping();
    tracing::info!("stopping: what is under way is finished first");
    tokio::select! {
        () = running.stop(GRACE) => tracing::info!("stopped"),
        () = stop.recv() => tracing::warn!("stopped without waiting any longer"),
    }
}

/// SIGTERM and SIGINT end it, SIGHUP does not.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|e| Failure::failed(format!("cannot listen for signals: {e}")));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// The next one that ends it.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// For the store, the admin API and chores; the gateway's workers have runtimes of their own.
pub(super) fn control_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    raise_descriptor_limit();
    keep_memory_private();
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start a runtime: {e}")))
}

/// Keys pass through memory and peppers stay there: no core file holds them, no handler of core files gets them, and
/// no other process of this user looks in.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    // what the kernel does not let us do changes nothing about the rest
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A proxy holds two descriptors per request; the soft limit is there for programs that still use `select`.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // where it cannot be raised, the old limit still holds
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
