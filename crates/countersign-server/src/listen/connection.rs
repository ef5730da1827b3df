//! One connection, from the handshake to its end.

use super::{Limits, Shared};
use crate::problem::Problem;
use axum::body::Body;
use countersign_core::{
    RequestId,
    check::request::{Peer, Transport},
};
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tower::ServiceExt;

pub(super) async fn run(shared: &Arc<Shared>, stream: TcpStream, address: SocketAddr) {
    let _ = stream.set_nodelay(true);
    let address = address.ip().to_canonical();
    let Some(tls) = &shared.tls else {
        // Plain HTTP is bound to loopback; that the peer is there too is what the credential rests on (RULES 1.7).
        let transport = if address.is_loopback() { Transport::PlainTrusted } else { Transport::Plain };
        // HTTP/2 without TLS is nobody's need here
        let builder = builder(&shared.limits).http1_only();
        return serve(shared, builder, stream, Peer { address, transport }).await;
    };
    let handshake = tokio::select! {
        () = shared.stopping.cancelled() => return,
        handshake = tokio::time::timeout(shared.limits.handshake, tls.accept(stream)) => handshake,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%address, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
    };
    let builder = builder(&shared.limits);
    // What ALPN agreed on is what is spoken (RFC 9113 3.2): no guessing from the first bytes.
    let builder = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => builder.http2_only(),
        _ => builder.http1_only(),
    };
    serve(shared, builder, stream, Peer { address, transport: Transport::Tls }).await;
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head)
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX));
    builder
}

async fn serve<S>(shared: &Arc<Shared>, builder: auto::Builder<TokioExecutor>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Arc::new(Requests::default());
    let service = service_fn(|request| {
        let under_way = requests.begin();
        let answering = answer(shared.clone(), request, peer);
        async move {
            let answered = answering.await;
            drop(under_way);
            answered
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut age = pin!(tokio::time::sleep(shared.limits.age));
    // HTTP/1.1 has hyper's timer for this; HTTP/2 has none, and a caller that answers pings would keep its place
    let mut quiet =
        tokio::time::interval_at(tokio::time::Instant::now() + shared.limits.head, shared.limits.head);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(address = %peer.address, %error, "a connection ended badly");
                }
                return;
            }
            () = shared.aborting.cancelled() => return,
            () = shared.stopping.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
                age.as_mut().reset(tokio::time::Instant::now() + shared.limits.answer);
            }
            _ = quiet.tick(), if !leaving => {
                if requests.were_none() {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                    age.as_mut().reset(tokio::time::Instant::now() + shared.limits.answer);
                }
            }
            () = age.as_mut() => {
                if leaving {
                    return;
                }
                leaving = true;
                connection.as_mut().graceful_shutdown();
                age.as_mut().reset(tokio::time::Instant::now() + shared.limits.answer);
            }
        }
    }
}

/// The requests of one connection: those under way, and whether any came since it was last asked.
#[derive(Debug, Default)]
struct Requests {
    under_way: AtomicUsize,
    came: AtomicBool,
}

impl Requests {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.came.store(true, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn were_none(&self) -> bool {
        let came = self.came.swap(false, Ordering::Relaxed);
        !came && self.under_way.load(Ordering::Relaxed) == 0
    }
}

struct UnderWay(Arc<Requests>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        // the wait for the next begins now
        self.0.came.store(true, Ordering::Relaxed);
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Response<Body>, Infallible> {
    let mut bits = [0; 16];
    shared.entropy.fill(&mut bits);
    let id = RequestId(bits);
    let (parts, body) = request.into_parts();
    if let Err(refused) = super::host::admit(&shared.hosts, &parts, id) {
        let status = refused.status().as_u16();
        tracing::info!(request = %id, address = %peer.address, status, "refused at the door");
        return Ok(*refused);
    }
    let mut request = Request::from_parts(parts, Body::new(body));
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(peer);
    let answered = tokio::time::timeout(shared.limits.answer, shared.router.clone().oneshot(request)).await;
    Ok(match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(request = %id, "a request took too long and was given up");
            Problem::unavailable().render(id)
        }
    })
}
