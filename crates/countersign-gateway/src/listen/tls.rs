//! TLS by rustls, with what the composition root configured; ALPN offers HTTP/2 and HTTP/1.1.

use rustls::ServerConfig;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

pub(crate) const H2: &[u8] = b"h2";
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

pub(crate) fn acceptor(config: &Arc<ServerConfig>) -> TlsAcceptor {
    if !config.alpn_protocols.is_empty() {
        return TlsAcceptor::from(config.clone());
    }
    let mut config = ServerConfig::clone(config);
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
