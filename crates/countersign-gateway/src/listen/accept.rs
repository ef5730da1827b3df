//! One listener of one worker: connections in, each served until it ends, is swept or the gateway drains.

use super::{
    Face,
    caller::{Beginning, Caller, Origin, Present},
    connection::{Connection, IDLE_ENOUGH, Registry},
    multiplexed::Streams,
    proxy_protocol::{self, Source},
    settings::ListenAddress,
    socket::{BreakOff, Listener, Raw, Stream},
    tls::H2,
    watched::Watched,
};
use crate::{
    enforce::reverse_proxy::{self, Request},
    gateway::Phase,
    gathered::Gathered,
    generation::Generation,
    observe::DoorTally,
    worker::{Worker, after_the_others},
};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_local,
    time::Instant,
};

/// Connections this worker may have open. Past it one more waits here, and the others in the kernel's queue, while idle
/// ones make room.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Semaphore>);

impl Slots {
    pub(crate) fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))))
    }

    async fn take(&self, make_room: impl Fn()) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(slot) = self.0.clone().try_acquire_owned() {
                return Some(slot);
            }
            make_room();
            // again, because others become idle meanwhile
            if let Ok(slot) = tokio::time::timeout(IDLE_ENOUGH, self.0.clone().acquire_owned()).await {
                return slot.ok();
            }
        }
    }
}

/// Of its listener, and of all of them.
struct Slot {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// How long to leave a process alone that is out of descriptors or memory: trying again at once would only spin.
const OUT_OF_RESOURCES: Duration = Duration::from_millis(100);

/// `number`: of the listener, in the order of the configuration.
pub(crate) async fn run(
    worker: Rc<Worker>,
    number: usize,
    socket: Raw,
    slots: Slots,
    mut phases: watch::Receiver<Phase>,
) {
    let Some(face) = worker.generation().face(number).cloned() else { return };
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(address = %face.address, %error, "cannot listen");
            return;
        }
    };
    let own = Slots::new(face.limits.connections.div_ceil(worker.ports.workers).max(1));
    let door = Rc::new(Door {
        number: worker.connections.number(),
        worker,
        first: face,
        listener: number,
        phases: phases.clone(),
    });
    let mut draining = pin!(async move { phases.wait_for(|p| *p != Phase::Serving).await.is_ok() });
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut draining => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                survive(&door.first.address, &error).await;
                continue;
            }
        };
        let slot = tokio::select! {
            biased;
            _ = &mut draining => None,
            slot = door.slot(&own, &slots) => slot,
        };
        let is_last = slot.is_none();
        door.open(stream, from, slot);
        if is_last {
            break;
        }
    }
    // who is in the queue was accepted by the kernel: closing the socket would reset them. They need no slot, because
    // nobody comes after them
    match listener.empty() {
        Ok(queued) => queued.into_iter().for_each(|(stream, from)| door.open(stream, from, None)),
        Err(error) => tracing::warn!(address = %door.first.address, %error, "cannot empty the queue"),
    }
}

/// An error of accept is about one connection that is gone, or about this process; neither ends the listener.
async fn survive(address: &ListenAddress, error: &io::Error) {
    let ours = !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if ours {
        tracing::warn!(%address, %error, "cannot accept connections");
        tokio::time::sleep(OUT_OF_RESOURCES).await;
    }
}

pub(super) struct Door {
    pub(super) worker: Rc<Worker>,
    /// As it was at the start.
    first: Rc<Face>,
    listener: usize,
    number: u64,
    pub(super) phases: watch::Receiver<Phase>,
}

impl Door {
    /// One of the listener's own first: who waits for that holds none of all listeners'.
    async fn slot(&self, own: &Slots, all: &Slots) -> Option<Slot> {
        let own = own.take(|| self.registry().make_room(Some(self.number), Instant::now())).await?;
        let shared = all.take(|| self.registry().make_room(None, Instant::now())).await?;
        Some(Slot { _own: own, _shared: shared })
    }

    fn tally(&self) -> Option<&DoorTally> {
        self.worker.observed.door(self.listener)
    }

    fn face(&self) -> Rc<Face> {
        self.worker.generation().face(self.listener).unwrap_or(&self.first).clone()
    }

    fn open(self: &Rc<Self>, stream: Stream, from: IpAddr, slot: Option<Slot>) {
        let door = self.clone();
        let number = door.worker.connections.number();
        if let Some(tally) = self.tally() {
            tally.accepted();
        }
        let task = spawn_local(async move {
            let _entry = Entry { door: door.clone(), number, _slot: slot };
            stream.urgent();
            door.serve(stream, from, number).await;
        });
        // known to the sweeper from now on; what it may be doing is refined once the protocol is known
        self.worker.connections.enter(
            number,
            self.number,
            Connection::new(false, self.face().timeouts),
            task.abort_handle(),
        );
    }

    async fn serve(self: &Rc<Self>, mut stream: Stream, from: IpAddr, number: u64) {
        let face = self.face();
        let Some(origin) = self.origin(&face, &mut stream, from).await else {
            return;
        };
        let Some(tls) = &face.tls else {
            let beginning = Beginning { from, origin, tls: false, tenant: None };
            let caller = Present::new(beginning, face.clone());
            return self.http1(stream, caller, &face, number).await;
        };
        let patience = face.timeouts.tls_handshake;
        let Ok(Ok((stream, tenant))) =
            tokio::time::timeout(patience, tls.accept(Gathered::new(stream))).await
        else {
            if let Some(tally) = self.tally() {
                tally.failed_handshake();
            }
            return;
        };
        let beginning = Beginning { from, origin, tls: true, tenant: tenant.map(Rc::new) };
        let caller = Present::new(beginning, face.clone());
        if stream.get_ref().1.alpn_protocol() == Some(H2) {
            self.http2(stream, caller, &face, number).await;
        } else {
            self.http1(stream, caller, &face, number).await;
        }
    }

    /// Where the connection comes from, asked of a peer that forwards for others (RULES 3.1). `None`: it did not say.
    async fn origin(&self, face: &Face, stream: &mut Stream, from: IpAddr) -> Option<Origin> {
        let own = Origin::own(from);
        if !face.lists(&face.proxy_protocol, from) {
            return Some(own);
        }
        let patience = face.timeouts.head;
        let told = tokio::time::timeout(patience, proxy_protocol::read(stream)).await;
        let error = match told {
            Ok(Ok(Source::Own)) => return Some(own),
            Ok(Ok(Source::Named(address))) => {
                // a balancer on this machine forwards for strangers too
                let is_local = own.is_local && address.is_loopback();
                return Some(Origin { address, is_local, is_named: true });
            }
            Ok(Ok(Source::Unknown)) => return Some(Origin { is_local: false, is_named: true, ..own }),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        // an end before the first byte is how balancers look whether we are there
        if error.kind() != io::ErrorKind::UnexpectedEof
            && let Some(left_out) = self.worker.refusals.take(Instant::now())
        {
            tracing::warn!(peer = %from, %error, left_out, "closed: a listed peer sent no PROXY protocol header");
        }
        None
    }

    /// By what a request is judged that begins now, and who it is from.
    pub(super) fn asked(&self, caller: &Present, connection: &Connection) -> (Rc<Generation>, Rc<Caller>) {
        let generation = self.worker.generation();
        let caller = caller.of(generation.face(self.listener).unwrap_or(&self.first), connection);
        (generation, caller)
    }

    fn registry(&self) -> &Registry {
        &self.worker.connections
    }

    async fn http1<S: AsyncRead + AsyncWrite + BreakOff + Unpin + 'static>(
        self: &Rc<Self>,
        stream: S,
        caller: Present,
        face: &Face,
        number: u64,
    ) {
        let connection = Connection::new(false, face.timeouts);
        self.registry().refine(number, connection.clone());
        super::http1::serve(stream, self, &caller, &connection).await;
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + 'static>(
        self: &Rc<Self>,
        stream: S,
        caller: Present,
        face: &Face,
        number: u64,
    ) {
        let connection = Connection::new(true, face.timeouts);
        self.registry().refine(number, connection.clone());
        let io =
            TokioIo::new(Watched::new(stream, caller.address(), connection.clone(), self.worker.clone()));
        let service = self.service(caller, connection.clone());
        let serving = http2::Builder::new(Streams::new(&face.timeouts))
            .timer(TokioTimer::new())
            .max_concurrent_streams(face.limits.streams)
            .enable_connect_protocol()
            .max_header_list_size(HTTP2_HEAD)
            // CVE-2023-44487 (rapid reset) and CVE-2025-8671 (resets that we are made to send)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(64)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .keep_alive_interval(HTTP2_PING)
            .keep_alive_timeout(HTTP2_PING)
            .serve_connection(io, service);
        drive(serving, |c| c.graceful_shutdown(), &connection, self.phases.clone()).await;
    }

    fn service(
        self: &Rc<Self>,
        caller: Present,
        connection: Rc<Connection>,
    ) -> impl hyper::service::Service<
        http::Request<Incoming>,
        Response = http::Response<reverse_proxy::Reply>,
        Error = Infallible,
        Future = impl Future<Output = Result<http::Response<reverse_proxy::Reply>, Infallible>> + 'static,
    > + 'static {
        let door = self.clone();
        service_fn(move |request| {
            let in_flight = connection.begin();
            let door = door.clone();
            let (generation, caller) = door.asked(&caller, &connection);
            async move {
                let by = (&door.worker, &*generation);
                let response = reverse_proxy::handle(by, &caller, in_flight, Request::from(request)).await;
                after_the_others().await;
                Ok(response.into_http())
            }
        })
    }
}

const HTTP2_HEAD: u32 = 32 * 1024;
const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
const HTTP2_SEND_BUFFER: usize = 128 * 1024;
const HTTP2_PING: Duration = Duration::from_secs(20);

/// To the end; once the gateway drains or an HTTP/2 connection is old (RFC 9113 6.8), to the end of what is in flight.
async fn drive<C: Future>(
    serving: C,
    drain: impl Fn(Pin<&mut C>),
    connection: &Connection,
    mut phases: watch::Receiver<Phase>,
) {
    let mut serving = pin!(serving);
    let mut draining = pin!(async move { phases.wait_for(|p| *p != Phase::Serving).await.is_ok() });
    tokio::select! {
        biased;
        _ = &mut serving => return,
        () = connection.retires() => {}
        _ = &mut draining => {}
    }
    // hyper closes at once what it has read nothing from, also where a request is already on its way
    let mut patience = pin!(tokio::time::sleep(FIRST_WORD));
    let ended = poll_fn(|cx| {
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        if connection.has_read() { Poll::Ready(false) } else { patience.as_mut().poll(cx).map(|()| false) }
    });
    if ended.await {
        return;
    }
    drain(serving.as_mut());
    serving.await;
}

/// What a connection that said nothing yet may still begin to say when the gateway drains.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(1);

/// Leaves the registry and gives its slot back, however the connection ends.
struct Entry {
    door: Rc<Door>,
    number: u64,
    _slot: Option<Slot>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.door.worker.connections.leave(self.number);
        if let Some(tally) = self.door.tally() {
            tally.closed();
        }
    }
}
