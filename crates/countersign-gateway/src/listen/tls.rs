//! TLS by rustls, with the certificates that the composition root keeps: which of them answers, and whether a request is
//! for the one that did.

use super::settings::ListenerTls;
use countersign_core::check::path::canonical_authority;
use countersign_crypto::tls::{CertificateSet, LiveCertificates};
use rustls::server::Acceptor;
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, server::TlsStream};

pub(crate) const H2: &[u8] = b"h2";
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<LiveCertificates>,
}

/// The certificate that a handshake was made with, where there are others.
#[derive(Debug)]
pub(crate) struct Tenant {
    set: Arc<CertificateSet>,
    certificate: usize,
}

impl Tenant {
    /// RULES 2.2, standards L.1: a request for a name of another certificate went astray. What is no authority at all is
    /// refused later, and says why.
    pub(crate) fn owns(&self, authority: &str) -> bool {
        canonical_authority(authority)
            .map_or(true, |name| self.set.serves(Some(&name)) == Some(self.certificate))
    }
}

/// RFC 8446 6: a fatal alert in a record of its own; rustls has no way to say this one. RFC 6066 3: a server that
/// understood the name and does not know it.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

impl Tls {
    pub(crate) fn new(tls: &ListenerTls) -> Self {
        Self { acceptor: TlsAcceptor::from(tls.config.clone()), certificates: tls.certificates.clone() }
    }

    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, Option<Tenant>)> {
        let set = self.certificates.current();
        let stream = if set.is_closed() {
            let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            if set.serves(start.client_hello().server_name()).is_none() {
                start.io.write_all(&UNRECOGNIZED_NAME).await?;
                start.io.shutdown().await?;
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "no certificate has the name"));
            }
            start.into_stream(self.acceptor.config().clone()).await?
        } else {
            self.acceptor.accept(stream).await?
        };
        if set.is_one_for_all() {
            return Ok((stream, None));
        }
        let certificate = set.serves(stream.get_ref().1.server_name());
        let tenant = certificate.map(|certificate| Tenant { set, certificate });
        // a set that was replaced meanwhile may know the name no more: nothing is served in doubt
        let tenant = tenant.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok((stream, Some(tenant)))
    }
}
