use super::development::{AuthorityError, DevelopmentAuthority, LIFETIME};
use super::validity;
use crate::{SystemEntropy, tls};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::sync::Arc;

const NOW: i64 = 1_800_000_000;

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A whole handshake in memory, judged at `NOW` by webpki.
fn handshake(root: &str, chain: &str, key: &str, name: &str) -> Result<(), rustls::Error> {
    #[derive(Debug)]
    struct Fixed;
    impl rustls::time_provider::TimeProvider for Fixed {
        fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
            let now = std::time::Duration::from_secs(u64::try_from(NOW).unwrap());
            Some(rustls::pki_types::UnixTime::since_unix_epoch(now))
        }
    }
    let mut roots = RootCertStore::empty();
    roots.add(der(root)).unwrap();
    let client = ClientConfig::builder_with_details(tls::provider(), Arc::new(Fixed))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = Arc::new(tls::server_config(chain.as_bytes(), key.as_bytes(), &[]).unwrap());
    let mut client =
        ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_string()).unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
    }
    panic!("the handshake does not end")
}

/// RULES 4.4: good for this machine ...
#[test]
fn the_root_vouches_for_localhost() {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let server = authority.issue_server(NOW, &SystemEntropy).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        handshake(authority.certificate(), &server.certificate, server.key.expose(), name).unwrap();
    }
    assert!(
        handshake(authority.certificate(), &server.certificate, server.key.expose(), "example.com").is_err()
    );
    let other = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    assert!(handshake(other.certificate(), &server.certificate, server.key.expose(), "localhost").is_err());
}

/// RULES 4.4: ... and for nothing else, even by its own key.
#[test]
fn the_root_cannot_vouch_for_others() {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    for foreign in ["example.com", "192.0.2.1", "127.0.0.2"] {
        let key = rcgen::KeyPair::generate().unwrap();
        let root_key = rcgen::KeyPair::from_pem(authority.key().expose()).unwrap();
        let mut params = rcgen::CertificateParams::new(vec![foreign.to_string()]).unwrap();
        params.not_before = time::OffsetDateTime::from_unix_timestamp(NOW - 60).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(NOW + 60).unwrap();
        let issuer = rcgen::Issuer::new(super::development::root_params(), root_key);
        let chain = params.signed_by(&key, &issuer).unwrap().pem();
        let error = handshake(authority.certificate(), &chain, &key.serialize_pem(), foreign).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("NameConstraint"), "{foreign}: {text}");
    }
}

#[test]
fn a_loaded_root_goes_on_issuing() {
    let made = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let loaded = DevelopmentAuthority::load(made.certificate(), made.key().expose()).unwrap();
    assert_eq!(loaded.not_after(), NOW + LIFETIME);
    let server = loaded.issue_server(NOW, &SystemEntropy).unwrap();
    handshake(made.certificate(), &server.certificate, server.key.expose(), "localhost").unwrap();
}

/// Never past the root's end, also late in its life, and nothing at all after it.
#[test]
fn a_server_certificate_ends_with_its_root() {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    for later in [0, LIFETIME / 2, LIFETIME - 1] {
        let server = authority.issue_server(NOW + later, &SystemEntropy).unwrap();
        assert_eq!(server.not_after, NOW + LIFETIME);
        assert_eq!(validity::facts(&der(&server.certificate)).unwrap().not_after, NOW + LIFETIME);
    }
    let over = authority.issue_server(NOW + LIFETIME, &SystemEntropy).unwrap_err();
    assert_eq!(over, AuthorityError::Over);
}

#[test]
fn what_is_no_root_of_ours_is_not_loaded() {
    let one = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let other = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let load = |certificate: &str, key: &str| DevelopmentAuthority::load(certificate, key).unwrap_err();
    assert_eq!(load("", one.key().expose()), AuthorityError::CertificateUnreadable);
    assert_eq!(load(one.key().expose(), one.key().expose()), AuthorityError::CertificateUnreadable);
    assert_eq!(load(one.certificate(), ""), AuthorityError::KeyUnreadable);
    assert_eq!(load(one.certificate(), one.certificate()), AuthorityError::KeyUnreadable);
    assert_eq!(load(one.certificate(), other.key().expose()), AuthorityError::KeyDiffers);
}

#[test]
fn a_certificate_cut_anywhere_is_refused_without_panic() {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let whole = der(authority.certificate());
    for end in 0..whole.len() {
        assert!(validity::facts(&whole[..end]).is_none(), "{end}");
    }
}

#[test]
fn debug_shows_no_key() {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let server = authority.issue_server(NOW, &SystemEntropy).unwrap();
    let shown = format!("{authority:?} {server:?}");
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
