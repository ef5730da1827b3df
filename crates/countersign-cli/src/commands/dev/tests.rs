use super::*;
use countersign_crypto::SystemEntropy;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn files(place: &Place) -> [Vec<u8>; 4] {
    [AUTHORITY, AUTHORITY_KEY, CERTIFICATE, CERTIFICATE_KEY]
        .map(|name| std::fs::read(place.file(name)).unwrap())
}

#[test]
fn rules_4_4_certificates_are_kept_until_their_last_day_and_then_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of_folder(folder.path());
    let start = Timestamp::from_seconds(1_800_000_000);
    certify(&place, start, &SystemEntropy).unwrap();
    let first = files(&place);
    certify(&place, start + DAY * 28, &SystemEntropy).unwrap();
    assert_eq!(first, files(&place));
    certify(&place, start + DAY * 29, &SystemEntropy).unwrap();
    let second = files(&place);
    assert!(first.iter().zip(&second).all(|(a, b)| a != b));
    certify(&place, start + DAY * 30, &SystemEntropy).unwrap();
    assert_eq!(second, files(&place));
}

#[test]
fn a_lost_server_certificate_is_issued_by_the_same_authority() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of_folder(folder.path());
    let now = Timestamp::from_seconds(1_800_000_000);
    certify(&place, now, &SystemEntropy).unwrap();
    let [authority, key, certificate, _] = files(&place);
    std::fs::remove_file(place.file(CERTIFICATE)).unwrap();
    certify(&place, now, &SystemEntropy).unwrap();
    let [same, same_key, other, _] = files(&place);
    assert!(authority == same && key == same_key && certificate != other);
}

#[test]
fn an_authority_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of_folder(folder.path());
    let now = Timestamp::from_seconds(1_800_000_000);
    certify(&place, now, &SystemEntropy).unwrap();
    std::fs::set_permissions(place.file(AUTHORITY_KEY), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(certify(&place, now, &SystemEntropy).unwrap_err().to_string().contains("chmod 600"));
}

/// RULES 1.5: what tokens are for and who signs them is where this run listens.
#[test]
fn the_urls_of_its_file_have_the_ports_that_were_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of_folder(folder.path());
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let [gateway, admin, issuer] = [free(), free(), free()].map(|held| held.local_addr().unwrap());
    let dev = Dev {
        upstream: None,
        demo: true,
        listen: Some(gateway),
        admin_listen: Some(admin),
        issuer_listen: Some(issuer),
    };
    prepare(&dev, &place, Some("http://127.0.0.1:1"), &World::of_machine()).unwrap();
    let settings = crate::config::load(&place.config, &Environment::default()).unwrap();
    let at = |address: SocketAddr| format!("https://localhost:{}", address.port());
    assert_eq!(settings.gateway.url.as_deref(), Some(at(gateway).as_str()));
    assert_eq!(settings.jwt.issuer.as_deref(), Some(at(issuer).as_str()));
    let audiences = settings.sessions.unwrap().audiences;
    assert_eq!(audiences.iter().map(|audience| &**audience).collect::<Vec<_>>(), [at(gateway)]);
    // a browser is asked to sign in wherever a key would do
    let rules = settings.routes.iter().map(|route| route.rule(countersign_core::MethodName::Jwt));
    assert!(rules.into_iter().all(|rule| rule.cookies && rule.sign_in));
}
