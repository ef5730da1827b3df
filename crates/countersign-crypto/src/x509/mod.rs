//! Certificates. So far only those of development; the authority of a deployment comes with mutual TLS.

pub mod development;
mod validity;

#[cfg(test)]
mod tests;
