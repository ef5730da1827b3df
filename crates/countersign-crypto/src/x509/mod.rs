//! Certificates. So far only those of development; the authority of a deployment comes with mutual TLS.

pub mod development;
mod validity;

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// When the first certificate of a chain in PEM ends, in Unix seconds. For advice: what it is good for is judged where it is
/// used. `None`: it cannot be told.
pub fn not_after(pem: &[u8]) -> Option<i64> {
    let first = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    validity::facts(&first).map(|facts| facts.not_after)
}

#[cfg(test)]
mod tests;
