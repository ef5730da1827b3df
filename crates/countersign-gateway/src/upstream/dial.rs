//! One new connection to one address: TCP, TLS where the URL says `https`, and the handshake of HTTP.

use super::{
    body::Upload,
    config::UpstreamTls,
    origin::{Origin, OriginError},
};
use crate::gathered::Gathered;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};
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
    patience: Duration,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial").field("server_name", &self.tls.as_ref().map(|(_, name)| name)).finish()
    }
}

/// One connection: the end to send on, and the task that drives it.
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Upload>,
    pub(crate) driver: AbortHandle,
}

const RESPONSE_BUFFER: usize = 128 * 1024;
const HTTP_1_1: &[u8] = b"http/1.1";

impl Dial {
    /// `patience` is for TCP and TLS together.
    pub(crate) fn new(
        origin: &Origin,
        tls: Option<&UpstreamTls>,
        patience: Duration,
    ) -> Result<Self, OriginError> {
        let tls = match (origin.is_tls(), tls) {
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
                config.alpn_protocols = vec![HTTP_1_1.to_vec()];
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        Ok(Self { tls, patience })
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> Result<Link, ConnectError> {
        tokio::time::timeout(self.patience, self.open(address)).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn open(&self, address: SocketAddr) -> Result<Link, ConnectError> {
        let stream = TcpStream::connect(address).await.map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        let stream = Gathered::new(stream);
        match &self.tls {
            None => http1(stream).await,
            Some((tls, name)) => {
                http1(tls.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?).await
            }
        }
    }
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
    Ok(Link { sender, driver })
}
