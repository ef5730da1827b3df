//! The control plane's listener: TLS (or plain HTTP on loopback only), HTTP/1.1 and HTTP/2, on the runtime that it
//! is started from.
//!
//! Owns sockets, limits and timeouts, whom a request names as its host, and who the peer is. Believes no forwarded
//! header (RULES 3.8): the peer is whoever the socket says. Next: the router, through the layer that judges.

mod connection;
mod host;
#[cfg(test)]
mod tests;

pub use host::HostList;

use axum::Router;
use countersign_crypto::Entropy;
use countersign_tower::attributes::{MAX_FIELDS, MAX_HEAD};
use socket2::{Domain, Protocol, Socket, Type};
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Clone)]
pub struct ListenConfig {
    /// Port 0: any free one, see [`Listener::addresses`].
    pub listen: SocketAddr,
    /// `None`: plain HTTP, which only loopback may speak, unless `plain_anywhere`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The names under which this listener is called; any other is 421.
    pub hosts: HostList,
    /// Nothing secret is said here in plain HTTP: a credential is refused where it comes over a network (RULES 1.7).
    pub plain_anywhere: bool,
    pub max_connections: usize,
    pub limits: Limits,
}

/// What one connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Beyond these the connection ends with a bare 431. Twice what `countersign_tower::attributes` admits, so that
    /// who is only a little over gets a document that says so.
    pub max_header_bytes: usize,
    pub max_headers: usize,
    pub max_streams: u32,
    pub handshake: Duration,
    /// From the first byte of a request's head to its last, and between two requests.
    pub head: Duration,
    /// From the head to the answer.
    pub answer: Duration,
    /// After this a connection ends as soon as nothing is under way on it.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_bytes: 2 * MAX_HEAD,
            max_headers: 2 * MAX_FIELDS,
            max_streams: 64,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            age: Duration::from_secs(600),
        }
    }
}

impl ListenConfig {
    pub fn new(listen: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>, hosts: HostList) -> Self {
        Self { listen, tls, hosts, plain_anywhere: false, max_connections: 512, limits: Limits::default() }
    }
}

impl fmt::Debug for ListenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenConfig")
            .field("listen", &self.listen)
            .field("tls", &self.tls.is_some())
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("plain HTTP is for loopback only, and {0} is not; give the listener a certificate")]
    PlainBeyondLoopback(SocketAddr),
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
}

/// A listener that runs. Dropped without [`Listener::stop`], it stops without grace.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stopping: CancellationToken,
    tasks: TaskTracker,
    _aborts: AbortOnDrop,
}

/// Ends connections that outlast their grace.
#[derive(Debug)]
struct AbortOnDrop(CancellationToken, CancellationToken);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
        self.1.cancel();
    }
}

/// What every connection of one listener shares.
struct Shared {
    router: Router,
    tls: Option<TlsAcceptor>,
    hosts: HostList,
    limits: Limits,
    entropy: Arc<dyn Entropy>,
    /// Finish what is under way.
    stopping: CancellationToken,
    /// Finish nothing.
    aborting: CancellationToken,
}

/// Bind, and serve from now on. Must be called within a runtime; everything runs there.
pub fn serve(
    config: ListenConfig,
    router: Router,
    entropy: Arc<dyn Entropy>,
) -> Result<Listener, ListenError> {
    // RULES 1.7: no key over plain HTTP, loopback aside
    if config.tls.is_none() && !config.listen.ip().is_loopback() && !config.plain_anywhere {
        return Err(ListenError::PlainBeyondLoopback(config.listen));
    }
    let bound = bind(config.listen);
    let (listener, address) = bound.map_err(|source| ListenError::Bind { address: config.listen, source })?;
    let shared = Arc::new(Shared {
        router,
        tls: config.tls.map(TlsAcceptor::from),
        hosts: config.hosts,
        limits: config.limits,
        entropy,
        stopping: CancellationToken::new(),
        aborting: CancellationToken::new(),
    });
    let tasks = TaskTracker::new();
    let running = Listener {
        address,
        stopping: shared.stopping.clone(),
        tasks: tasks.clone(),
        _aborts: AbortOnDrop(shared.stopping.clone(), shared.aborting.clone()),
    };
    tasks.clone().spawn(accept(listener, shared, tasks, config.max_connections));
    Ok(running)
}

fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // a restart must not wait for the last life's connections; this is not SO_REUSEPORT, nobody can listen beside us
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker, most: usize) {
    let room = Arc::new(Semaphore::new(most));
    loop {
        // room first: over the cap, callers wait in the kernel's queue
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return,
            accepted = async {
                let place = room.clone().acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        let (Ok(place), accepted) = accepted else { return };
        match accepted {
            Ok((stream, peer)) => {
                let shared = shared.clone();
                tasks.spawn(async move {
                    connection::run(&shared, stream, peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                // out of file descriptors, mostly: let go of some before trying again
                tracing::warn!(%error, "cannot accept a connection; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Listener {
    /// Where it listens, the port chosen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.address]
    }

    /// Accept nothing more, finish what is under way for at most `grace`, then end the rest.
    pub async fn stop(self, grace: Duration) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("connections outlasted the grace of the stop and are ended");
        }
    }
}
