//! Configuration -> store -> rooms -> decision points -> gateway and server: the only place that knows them all.
//!
//! Owns nothing of what it puts together. [`Rooms`] is what the host itself needs (`admin recover`, `dev`);
//! [`start`] puts listeners in front of them, [`gateway`] says what the data plane is told, [`reload`] what changes while
//! it serves.

mod exposed;
mod gateway;
mod issuers;
mod observe;
mod reload;
mod retention;
mod rooms;
mod sessions;

pub(crate) use issuers::look as look_at_issuers;
pub(crate) use reload::brief;
pub use reload::{ConfigurationState, Reloaded};
pub use rooms::{DEVELOPMENT, Rooms, World, store_failed};

use gateway::{Loaded, gateway_config};
use observe::{Sinks, Watch, sinks};
use reload::KeyringFile;
use sessions::Signed;

use crate::{
    certificates::Certificates,
    config::{ObserveSettings, Settings, TlsSettings, show_duration},
    descriptors::Shares,
    operator,
    output::{Exit, Failure},
    place::ADMIN_KEY,
};
use countersign_core::{
    Authenticator,
    check::{DecisionPoint, Parts, Settings as CheckSettings, route::RouteTable},
};
use countersign_crypto::tls;
use countersign_gateway::{Gateway, Listening, Observing, RouteTableCell, StartError};
use countersign_methods::{
    api_key::store::ApiKeyStore, basic::store::BasicStore, principal::directory::LocalDirectory,
    revocation::memory::ChangeMemory, session::store::SessionStore,
};
use countersign_server::{
    Limits, Services, admin_plan, admin_routes,
    listen::{HostList, ListenConfig, ListenError, Listener, serve},
    router,
};
use countersign_store::{FollowerHandle, local::LocalCounter};
use countersign_tower::respond;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DIRECTORY_CAPACITY: usize = 100_000;
const COUNTER_CAPACITY: usize = 200_000;
const DOOR_COUNTER_CAPACITY: usize = 20_000;
/// Last uses are written this often; a crash loses no more of them.
const FLUSH_EVERY: Duration = Duration::from_secs(3);
const RETIRE_EVERY: Duration = Duration::from_secs(1);
/// What is under way when we are told to stop may take this long.
pub const GRACE: Duration = Duration::from_secs(20);
/// A process that serves. Dropped without [`Running::stop`] it ends at once.
#[derive(Debug)]
pub struct Running {
    rooms: Rooms,
    gateway: Gateway,
    admin: Listener,
    issuer: Option<Listener>,
    watched: Option<Listener>,
    watch: Arc<Watch>,
    follower: FollowerHandle,
    chores: Vec<JoinHandle<()>>,
    stopping: CancellationToken,
    serving: Serving,
}

/// What a reload begins with.
#[derive(Debug)]
struct Serving {
    settings: Settings,
    routes: Arc<RouteTableCell>,
    door: Arc<RouteTableCell>,
    authenticators: Vec<Arc<dyn Authenticator>>,
    loaded: Loaded,
    keyring: KeyringFile,
    state: Arc<ConfigurationState>,
}

/// Put listeners in front of the rooms: everything that can be wrong is found before the first of them opens.
pub async fn start(settings: &Settings, rooms: Rooms) -> Result<Running, Failure> {
    let World { clock, entropy } = rooms.world.clone();
    let directory = Arc::new(LocalDirectory::new(rooms.store.clone(), DIRECTORY_CAPACITY));
    let memory = Arc::new(ChangeMemory::new(directory.clone(), settings.gateway.blind_after, &*entropy));
    if let Some(price) = price_of_blindness(settings.gateway.blind_after) {
        tracing::warn!("{price}");
    }
    let counter = Arc::new(LocalCounter::new(COUNTER_CAPACITY));
    sessions::first_keys(settings, &rooms).await?;
    let issuers = issuers::issuers(settings, &rooms.world)?;
    let Signed { authenticator, sessions } =
        sessions::signed(settings, &rooms, memory.clone(), directory.clone(), issuers.trusted.clone())?;
    let authenticators: Vec<Arc<dyn Authenticator>> =
        vec![authenticator.clone(), rooms.passwords.clone(), rooms.authenticator.clone()];

    let point = |routes: &Arc<RouteTableCell>, counter: &Arc<LocalCounter>| {
        Arc::new(DecisionPoint::new(Parts {
            routes: routes.clone(),
            authenticators: authenticators.clone(),
            feed: memory.clone(),
            directory: directory.clone(),
            counter: counter.clone(),
            clock: clock.clone(),
            settings: CheckSettings::default(),
        }))
    };
    let routes = gateway_table(settings, &authenticators)?;
    let routes = cell(routes.with_plans(settings.plans.clone()));
    let gateway_point = point(&routes, &counter);
    let door_table = cell(door_table(settings, &authenticators)?);
    // RULES 2.4: whoever fails at the gateway keeps no operator of their network from revoking
    let door = point(&door_table, &Arc::new(LocalCounter::new(DOOR_COUNTER_CAPACITY)));

    let mut loaded = Loaded::default();
    loaded.identity = sessions::identity(settings, &rooms);
    let mut gateway_config = gateway_config(settings, &mut loaded)?;
    let certificates = loaded.certificates.clone();
    let admin_tls = settings.admin.tls.as_ref().map(|tls| server_tls(tls, &certificates)).transpose()?;
    let names = settings.admin.hosts.iter().cloned();
    let hosts = host_list(settings.admin.listen, names)?;
    let issuer_config = settings.issuer.as_ref().map(|issuer| {
        let tls = issuer.tls.as_ref().map(|tls| server_tls(tls, &certificates)).transpose()?;
        let url = issuer.url.as_deref().and_then(|url| url::Url::parse(url).ok());
        let name = url.and_then(|url| url.host_str().map(str::to_owned));
        let hosts = host_list(issuer.listen, name)?;
        Ok::<_, Failure>(control_listener(issuer.listen, tls, hosts))
    });
    let issuer_config = issuer_config.transpose()?;
    let watched_config = watched_listener(&settings.observe, &certificates)?;
    let Sinks { records, spans } = sinks(&settings.observe, &settings.egress, &rooms.world)?;

    // no request is judged before what was revoked is known
    let mut follower = rooms.store.clone().follow(memory.clone(), clock.clone());
    let mut known = 0;
    while tokio::time::timeout(Duration::from_secs(10), follower.caught_up()).await.is_err() {
        // millions take their time
        let read = memory.revoked_count();
        if read == known {
            return Err(Failure::failed("the store does not say what was revoked")
                .todo("is its database reachable, and not locked by another process?"));
        }
        known = read;
    }

    let state = Arc::<ConfigurationState>::default();
    let signers = (sessions.clone(), issuers.keys.clone());
    let watch = Watch::new(&rooms, memory.clone(), gateway_point.clone(), signers, state.clone());
    let services = Arc::new(Services {
        api_keys: rooms.api_keys.clone(),
        principals: rooms.principals.clone(),
        basic: rooms.basic.clone(),
        signing: rooms.signing.clone(),
        jwt: authenticator.clone(),
        sessions: sessions.clone(),
        api_key_store: rooms.store.clone(),
        principal_store: rooms.store.clone(),
        basic_store: rooms.store.clone(),
        feed_store: rooms.store.clone(),
        audit: rooms.store.clone(),
        idempotency: rooms.store.clone(),
        feed: memory,
        directory,
        door,
        gateway: gateway_point.clone(),
        gateway_routes: routes.clone(),
        watched: watch.clone(),
        probing: watch.clone(),
        counter,
        limits: Limits::default(),
        answers: respond::Options { realm: rooms.config.realm.clone() },
        fingerprint: rooms.fingerprint.clone(),
        attest: rooms.attest.clone(),
        kept_fingerprint: rooms.kept_fingerprint.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    });
    gateway_config.built_in = sessions::built_in(&services);
    loaded.built_in.clone_from(&gateway_config.built_in);
    // where the public face has no listener of its own it stands beside the operators': whoever holds a key can
    // always kill it (RULES 5.7)
    let face = match issuer_config {
        Some(_) => router::operator(services.clone()),
        None => router::both(services.clone()),
    };
    let admin_config = control_listener(settings.admin.listen, admin_tls, hosts);
    let admin = serve(admin_config, face, entropy.clone()).map_err(listen_failed)?;
    let issuer = match issuer_config {
        Some(config) => {
            Some(serve(config, router::public(services.clone()), entropy.clone()).map_err(listen_failed)?)
        }
        None => None,
    };
    let watched = match watched_config {
        Some(config) => {
            let face = router::watched(services, config.listen.ip().is_loopback());
            Some(serve(config, face, entropy.clone()).map_err(listen_failed)?)
        }
        None => None,
    };
    let observing = Observing { records, spans, probe: watch.probe.clone() };
    let gateway = Gateway::start(gateway_config, gateway_point, routes.clone(), entropy, observing)
        .map_err(start_failed)?;
    watch.serves(&gateway);

    let stopping = CancellationToken::new();
    let mut chores = vec![
        tokio::spawn(flush(rooms.clone(), stopping.clone())),
        tokio::spawn(certificates.follow(stopping.clone())),
        tokio::spawn(exposed::watch(
            rooms.clone(),
            (authenticator, sessions.clone()),
            settings.gateway.revoke_exposed,
            stopping.clone(),
        )),
        tokio::spawn(sessions::follow_keys(rooms.clone(), sessions::signs(settings), stopping.clone())),
        tokio::spawn(sessions::forget(rooms.clone(), stopping.clone())),
        tokio::spawn(retention::keep(rooms.clone(), settings.audit.keep, stopping.clone())),
    ];
    chores.extend(issuers.follow(&stopping));
    let serving = Serving {
        settings: settings.clone(),
        routes,
        door: door_table,
        authenticators,
        loaded,
        keyring: KeyringFile::of(&settings.keyring),
        state,
    };
    Ok(Running { rooms, gateway, admin, issuer, watched, watch, follower, chores, stopping, serving })
}

/// RULES 2.5: what it costs to go on without the store for longer than is usual.
fn price_of_blindness(blind_after: Duration) -> Option<String> {
    let usual = ChangeMemory::BLIND_AFTER;
    (blind_after > usual).then(|| {
        let (after, usual) = (show_duration(blind_after), show_duration(usual));
        format!(
            "gateway.blind_after is `{after}`: while the store does not answer, what was revoked or disabled elsewhere \
             may be let in for `{after}`; `{usual}` is the default"
        )
    })
}

impl Running {
    pub fn gateway_addresses(&self) -> Vec<SocketAddr> {
        self.gateway.addresses()
    }

    pub fn gateway_listening(&self) -> &[Listening] {
        self.gateway.listening()
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.addresses().first().copied()
    }

    pub fn issuer_address(&self) -> Option<SocketAddr> {
        self.issuer.as_ref()?.addresses().first().copied()
    }

    /// Of `/live`, `/ready` and `/metrics`.
    pub fn watched_address(&self) -> Option<SocketAddr> {
        self.watched.as_ref()?.addresses().first().copied()
    }

    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// End the first operator's key as soon as somebody else can let others in (RULES 4.4).
    pub fn retire_first_operator(&mut self, folder: &Path) {
        let file = folder.join(ADMIN_KEY);
        let (rooms, stopping) = (self.rooms.clone(), self.stopping.clone());
        self.chores.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(RETIRE_EVERY);
            loop {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                match operator::retire(&rooms, &file, rooms.now()).await {
                    Ok(true) => tracing::info!("another operator can let others in: the first key has ended"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot tell whether the first operator's key must end")
                    }
                }
            }
        }));
    }

    /// What is under way is finished, for at most `grace`; then last uses are written and the store is closed.
    pub async fn stop(self, grace: Duration) {
        let Self { rooms, gateway, admin, issuer, watched, watch, follower, chores, stopping, serving: _ } =
            self;
        watch.stops();
        let issuer = async {
            if let Some(issuer) = issuer {
                issuer.stop(grace).await;
            }
        };
        futures_util::future::join3(gateway.stop(grace), admin.stop(grace), issuer).await;
        // to the end, so that whoever watches sees it
        if let Some(watched) = watched {
            watched.stop(Duration::from_secs(1)).await;
        }
        stopping.cancel();
        for chore in chores {
            let _ = chore.await;
        }
        drop(follower);
        rooms.store.close().await;
    }
}

/// Writes down when keys were used, late and in bulk; once more at the end.
async fn flush(rooms: Rooms, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(FLUSH_EVERY);
    loop {
        let last = tokio::select! {
            () = stopping.cancelled() => true,
            _ = ticks.tick() => false,
        };
        for upgrade in rooms.uses.take_upgrades() {
            if let Err(error) = rooms.api_keys.upgrade(upgrade, rooms.now()).await {
                tracing::warn!(%error, "an imported key is kept as it was; its next use tries again");
            }
        }
        let uses = rooms.uses.take();
        if !uses.is_empty()
            && let Err(error) = ApiKeyStore::used(&*rooms.store, uses).await
        {
            tracing::warn!(%error, "last uses of keys were not written");
        }
        let (uses, app_passwords) = rooms.basic_uses.take();
        if !app_passwords.is_empty()
            && let Err(error) = BasicStore::app_passwords_used(&*rooms.store, app_passwords).await
        {
            tracing::warn!(%error, "last uses of app passwords were not written");
        }
        if !uses.is_empty()
            && let Err(error) = BasicStore::used(&*rooms.store, uses).await
        {
            tracing::warn!(%error, "who uses basic was not written");
        }
        let uses = rooms.session_uses.take(rooms.now());
        if !uses.is_empty()
            && let Err(error) = SessionStore::used(&*rooms.store, uses).await
        {
            tracing::warn!(%error, "last uses of sessions were not written");
        }
        if last {
            return;
        }
    }
}

/// What the configuration says, and what stands under `/.countersign/` beside it.
fn gateway_table(
    settings: &Settings,
    authenticators: &[Arc<dyn Authenticator>],
) -> Result<RouteTable, Failure> {
    let routes = settings.routes.iter().cloned().chain(sessions::routes(settings)).collect();
    table(routes, authenticators)
}

fn table(
    routes: Vec<countersign_core::check::route::Route>,
    authenticators: &[Arc<dyn Authenticator>],
) -> Result<RouteTable, Failure> {
    RouteTable::new(routes, authenticators).map_err(|errors| {
        let lines: Vec<_> =
            errors.iter().map(|e| format!("route `{}`: {}: {}", e.route, e.field, e.message)).collect();
        Failure::failed(lines.join("\n"))
    })
}

/// What operators' requests are judged by: with the plans that their keys may name.
fn door_table(settings: &Settings, authenticators: &[Arc<dyn Authenticator>]) -> Result<RouteTable, Failure> {
    let mut plans = settings.plans.clone();
    plans.insert(admin_plan(), settings.admin.limit);
    Ok(table(admin_routes(), authenticators)?.with_plans(plans))
}

fn cell(table: RouteTable) -> Arc<RouteTableCell> {
    Arc::new(RouteTableCell::new(table))
}

/// The names that a listener is called by: this machine's, those given, and the address itself.
fn host_list(listen: SocketAddr, names: impl IntoIterator<Item = String>) -> Result<HostList, Failure> {
    let address = match listen.ip() {
        ip if ip.is_unspecified() => None,
        IpAddr::V4(four) => Some(four.to_string()),
        IpAddr::V6(six) => Some(format!("[{six}]")),
    };
    let names: Vec<String> = names.into_iter().chain(address).collect();
    HostList::new(names.iter().map(String::as_str)).map_err(Failure::failed)
}

fn control_listener(
    listen: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    hosts: HostList,
) -> ListenConfig {
    let mut config = ListenConfig::new(listen, tls, hosts);
    config.max_connections = config.max_connections.min(Shares::of_process().control);
    config
}

/// Of whoever watches this process.
fn watched_listener(
    observe: &ObserveSettings,
    certificates: &Certificates,
) -> Result<Option<ListenConfig>, Failure> {
    let Some(listen) = observe.listen else { return Ok(None) };
    let tls = observe.tls.as_ref().map(|tls| server_tls(tls, certificates)).transpose()?;
    // Elsewhere probes call it by whatever address they have, and without a credential learn one word. On loopback
    // metrics are open, so that a page of a foreign origin must not be able to ask for them.
    let hosts = match listen.ip().is_loopback() {
        true => host_list(listen, observe.hosts.iter().cloned())?,
        false => HostList::any(),
    };
    let mut config = control_listener(listen, tls, hosts);
    config.plain_anywhere = true;
    Ok(Some(config))
}

fn server_tls(
    files: &TlsSettings,
    certificates: &Certificates,
) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let live = certificates.load(files)?;
    let config = tls::live_server_config(live, &[b"h2", b"http/1.1"]);
    config.map(Arc::new).map_err(|e| Failure::failed(e.to_string()))
}

fn listen_failed(error: ListenError) -> Failure {
    match error {
        ListenError::Bind { address, source } => bind_failed(address, &source),
        other => Failure::failed(other.to_string()),
    }
}

fn start_failed(error: StartError) -> Failure {
    match error {
        StartError::Listen { address, source } => bind_failed(address, &source),
        other => Failure::failed(other.to_string()),
    }
}

fn bind_failed(address: impl fmt::Display, source: &std::io::Error) -> Failure {
    if source.kind() == std::io::ErrorKind::AddrInUse {
        return Failure::new(Exit::Conflict, format!("{address} is taken by another program"))
            .todo("is Countersign running already? stop it, or change the address in the configuration");
    }
    Failure::failed(format!("cannot listen on {address}: {source}"))
}

#[cfg(test)]
mod tests;
