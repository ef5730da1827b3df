//! The authority of `countersign dev`: a root that can vouch for this machine and nothing else (RULES 4.4), so that
//! trusting it by mistake costs little. Times come in by argument, as unix seconds.

use super::validity;
use crate::{entropy::Entropy, secret::SecretString};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use time::OffsetDateTime;

const DAY: i64 = 86_400;
/// How long a root lives (RULES 4.4).
pub const LIFETIME: i64 = 30 * DAY;
/// Clocks differ, also on one machine: a virtual one beside its host.
const SKEW: i64 = 5 * 60;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    #[error("the root certificate cannot be read")]
    CertificateUnreadable,
    #[error("the root's key cannot be read")]
    KeyUnreadable,
    #[error("the root's key is not the one in its certificate")]
    KeyDiffers,
    #[error("the root is over")]
    Over,
    #[error("a certificate could not be made: {0}")]
    Failed(String),
}

/// A root and its key.
pub struct DevelopmentAuthority {
    certificate: String,
    key: KeyPair,
    not_after: i64,
}

/// PEM of a certificate and its key.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    pub certificate: String,
    pub key: SecretString,
    /// Unix seconds.
    pub not_after: i64,
}

impl DevelopmentAuthority {
    pub fn generate(now: i64, entropy: &dyn Entropy) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let not_after = now.saturating_add(LIFETIME);
        let mut params = root_params();
        params.serial_number = Some(serial(entropy));
        params.not_before = at(now.saturating_sub(SKEW))?;
        params.not_after = at(not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // RFC 5280 4.2.1.10. rcgen marks it critical: what does not understand it must refuse the root.
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![
                GeneralSubtree::DnsName("localhost".into()),
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv4Addr::LOCALHOST.into(), 32)),
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128)),
            ],
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { certificate, key, not_after })
    }

    /// From the PEM that [`DevelopmentAuthority::certificate`] and [`DevelopmentAuthority::key`] gave.
    pub fn load(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| AuthorityError::CertificateUnreadable)?;
        let facts = validity::facts(&der).ok_or(AuthorityError::CertificateUnreadable)?;
        let key = KeyPair::from_pem(key).map_err(|_| AuthorityError::KeyUnreadable)?;
        if rcgen::PublicKeyData::subject_public_key_info(&key) != facts.public_key {
            return Err(AuthorityError::KeyDiffers);
        }
        Ok(Self { certificate: certificate.into(), not_after: facts.not_after, key })
    }

    /// PEM, to be trusted by clients.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// PEM (PKCS #8), for a 0600 file.
    pub fn key(&self) -> SecretString {
        SecretString::new(self.key.serialize_pem())
    }

    /// Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// For `localhost`, `127.0.0.1` and `::1`. Ends with the root: a chain is never better than its shortest part.
    pub fn issue_server(&self, now: i64, entropy: &dyn Entropy) -> Result<ServerCertificate, AuthorityError> {
        let names = [
            SanType::DnsName("localhost".try_into().map_err(failed)?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        self.issue(names.to_vec(), now, entropy)
    }

    /// For names below `localhost`, which is all that the root may speak for.
    pub fn issue_named(
        &self,
        names: &[&str],
        now: i64,
        entropy: &dyn Entropy,
    ) -> Result<ServerCertificate, AuthorityError> {
        let names = names.iter().map(|name| Ok(SanType::DnsName((*name).try_into().map_err(failed)?)));
        self.issue(names.collect::<Result<_, _>>()?, now, entropy)
    }

    fn issue(
        &self,
        names: Vec<SanType>,
        now: i64,
        entropy: &dyn Entropy,
    ) -> Result<ServerCertificate, AuthorityError> {
        if now >= self.not_after {
            return Err(AuthorityError::Over);
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name("localhost");
        params.serial_number = Some(serial(entropy));
        params.not_before = at(now.saturating_sub(SKEW))?;
        params.not_after = at(self.not_after)?;
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(root_params(), &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?.pem();
        let key = SecretString::new(key.serialize_pem());
        Ok(ServerCertificate { certificate, key, not_after: self.not_after })
    }
}

impl fmt::Debug for DevelopmentAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentAuthority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

/// What an issuer must repeat of its certificate: name, usages, and how its key is named (by hash, from the key).
pub(super) fn root_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Countersign development root (this machine only)");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// RFC 5280 4.1.2.2: positive, at most 20 octets; 127 bits of it random.
fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = [0u8; 16];
    entropy.fill(&mut bytes);
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}

fn at(seconds: i64) -> Result<OffsetDateTime, AuthorityError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|e| AuthorityError::Failed(e.to_string()))
}

fn failed(error: impl fmt::Display) -> AuthorityError {
    AuthorityError::Failed(error.to_string())
}
