//! One new connection to one address: TCP, TLS where the URL says `https`, and the handshake of HTTP.

use super::{
    body::Upload,
    config::{Protocol, UpstreamConfig},
    http1::{Socket, Wire},
    origin::{Origin, OriginError},
};
use crate::gathered::Gathered;
use hyper::{client::conn::http2, rt::Executor};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::spawn_local,
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

/// One connection, as much of it as one request needs.
pub(crate) enum Link {
    /// All of it, for one request at a time.
    Http1(Box<Wire>),
    /// One of many ends of the same connection, which drives itself until the last of them is gone.
    Http2(http2::SendRequest<Upload>),
}

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
        match (&self.tls, self.protocol) {
            (None, Protocol::Http1) => Ok(Link::Http1(Wire::new(Socket::Plain(stream)))),
            (None, Protocol::Http2) => http2(Gathered::new(stream)).await,
            (Some((tls, name)), protocol) => {
                let stream = tls.connect(name.clone(), Gathered::new(stream)).await;
                let stream = stream.map_err(ConnectError::Tls)?;
                match protocol {
                    Protocol::Http1 => Ok(Link::Http1(Wire::new(Socket::Tls(Box::new(stream))))),
                    Protocol::Http2 if stream.get_ref().1.alpn_protocol() == Some(H2) => http2(stream).await,
                    Protocol::Http2 => Err(ConnectError::NotHttp2),
                }
            }
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
