//! The TLS provider that every socket of ours uses, and the configurations of both sides made from it. rustls stands behind this
//! module; whoever else names one of its types does so with this provider.

mod certificates;

pub use certificates::{CertificatePair, CertificateSet, LiveCertificates};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TlsError {
    #[error("no certificate in the chain file")]
    NoCertificate,
    #[error("the chain file is not PEM")]
    ChainUnreadable,
    #[error("no private key in the key file")]
    NoKey,
    #[error("the key file is not PEM")]
    KeyUnreadable,
    #[error("no certificate in the CA file")]
    NoRoots,
    #[error("the CA file is not PEM")]
    RootsUnreadable,
    #[error("a certificate of the CA file cannot be used: {0}")]
    RootUnusable(rustls::Error),
    #[error("the certificate names no host: it has no DNS name among its subject alternative names")]
    NoName,
    #[error("certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// aws-lc-rs, with X25519MLKEM768 preferred among the key exchanges. Given explicitly wherever a configuration is
/// built: a process-wide default would be whatever a dependency switched on.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// TLS 1.2 and 1.3, no client certificates. `alpn` strongest first: `[b"h2", b"http/1.1"]`.
pub fn server_config(
    cert_chain_pem: &[u8],
    key_pem: &[u8],
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = (chain(cert_chain_pem)?, key(key_pem)?);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// The same, with certificates that are chosen by name and may be replaced while it serves.
pub fn live_server_config(
    certificates: Arc<LiveCertificates>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Unusable)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// TLS 1.2 and 1.3 towards servers whose certificates one of these roots vouches for, and no other.
pub fn client_config(roots_pem: &[u8]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem) {
        roots.add(root.map_err(|_| TlsError::RootsUnreadable)?).map_err(TlsError::RootUnusable)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Unusable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::ChainUnreadable)?;
    if chain.is_empty() { Err(TlsError::NoCertificate) } else { Ok(chain) }
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        _ => TlsError::KeyUnreadable,
    })
}
