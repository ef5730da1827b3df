//! One new connection to one address: TCP, TLS where the URL says `https`, and the handshake of HTTP.

use super::{
    body::Upload,
    config::{Protocol, UpstreamConfig},
    origin::{Origin, OriginError},
};
use crate::gathered::Gathered;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{AbortHandle, spawn_local},
};
use tokio_rustls::TlsConnector;

#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("connect: {0}")]
    Io(std::io::Error),
    #[error("connect timed out")]
    Timeout,
    /// It does not prove to be who it should be, or speaks no TLS that we do.
    #[error("tls: {0}")]
    Tls(std::io::Error),
    #[error("it does not speak HTTP/2")]
    NotHttp2,
    #[error("handshake: {0}")]
    Http(hyper::Error),
    #[error("its name cannot be resolved: {0}")]
    Name(std::io::Error),
    #[error("its name has no address")]
    NoAddress,
}

/// How the addresses of one origin are connected.
#[derive(Clone)]
pub(crate) struct Dial {
    tls: Option<(TlsConnector, ServerName<'static>)>,
    protocol: Protocol,
    patience: Duration,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("server_name", &self.tls.as_ref().map(|(_, name)| name)).finish()
    }
}

/// One connection: the end to send on, and the task that drives it.
pub(crate) enum Link {
    /// For one request at a time.
    Http1 { sender: http1::SendRequest<Upload>, driver: AbortHandle },
    /// One of many ends of the same connection, which drives itself until the last of them is gone.
    Http2(http2::SendRequest<Upload>),
}

impl Link {
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Link::Http1 { sender, .. } => sender.is_closed(),
            Link::Http2(sender) => sender.is_closed(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Link::Http1 { sender, .. } => sender.is_ready(),
            Link::Http2(sender) => sender.is_ready(),
        }
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        match self {
            Link::Http1 { sender, .. } => sender.try_send_request(request).await,
            Link::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    /// Nobody reads what may still come on it.
    pub(crate) fn end(self) {
        match self {
            Link::Http1 { driver, .. } => driver.abort(),
            // the others of the connection go on; this one's stream was reset when its body was dropped
            Link::Http2(_) => {}
        }
    }
}

const RESPONSE_BUFFER: usize = 128 * 1024;
const HTTP_1_1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";
const HTTP2_STREAM_WINDOW: u32 = 256 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 1024 * 1024;
const HTTP2_SEND_BUFFER: usize = 128 * 1024;
const HTTP2_HEAD: u32 = 64 * 1024;
const HTTP2_PING: Duration = Duration::from_secs(20);

impl Dial {
    /// `patience` is for TCP and TLS together.
    pub(crate) fn new(
        origin: &Origin,
        upstream: &UpstreamConfig,
        patience: Duration,
    ) -> Result<Self, OriginError> {
        let protocol = upstream.protocol;
        let tls = match (origin.is_tls(), &upstream.tls) {
            (false, None) => None,
            (false, Some(_)) => return Err(OriginError::NotTls),
            (true, None) => return Err(OriginError::NoAuthority),
            (true, Some(tls)) => {
                let name = match &tls.server_name {
                    Some(name) => name.clone(),
                    None => {
                        ServerName::try_from(origin.host().to_owned()).map_err(|_| OriginError::ServerName)?
                    }
                };
                let mut config = rustls::ClientConfig::clone(&tls.config);
                config.alpn_protocols = match protocol {
                    Protocol::Http1 => vec![HTTP_1_1.to_vec()],
                    Protocol::Http2 => vec![H2.to_vec()],
                };
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Ok(Self { tls, protocol, patience })
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<Link, ConnectError> {
        tokio::time::timeout(self.patience, self.open(address)).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self, address: SocketAddr) -> Result<Link, ConnectError> {
        let stream = TcpStream::connect(address).await.map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        let stream = Gathered::new(stream);
        match &self.tls {
            None => self.speak(stream).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?;
                if self.protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(H2) {
                    return Err(ConnectError::NotHttp2);
                }
                self.speak(stream).await
            }
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Link, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.protocol {
            Protocol::Http1 => http1(stream).await,
            Protocol::Http2 => http2(stream).await,
        }
    }
}

/// Runs what belongs to a connection on this worker's thread.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

async fn http2<S>(stream: S) -> Result<Link, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .max_send_buf_size(HTTP2_SEND_BUFFER)
        .max_header_list_size(HTTP2_HEAD)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PING)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ConnectError::Http)?;
    spawn_local(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    Ok(Link::Http2(sender))
}

async fn http1<S>(stream: S) -> Result<Link, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(RESPONSE_BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ConnectError::Http)?;
    let driver = spawn_local(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
    let driver = driver.abort_handle();
    sender.ready().await.map_err(ConnectError::Http)?;
    Ok(Link::Http1 { sender, driver })
}
