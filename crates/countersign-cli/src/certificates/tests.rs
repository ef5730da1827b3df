use super::*;
use countersign_crypto::{SystemEntropy, x509::development::DevelopmentAuthority};

const NOW: i64 = 1_800_000_000;

struct Files {
    folder: tempfile::TempDir,
    settings: TlsSettings,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
        let certificates = vec![CertificateSettings { certificate, key, default: true }];
        let this = Self { folder, settings: TlsSettings { certificates } };
        let (certificate, key) = fresh();
        this.write("server.pem", &certificate);
        this.write("server.key", &key);
        this
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }
}

fn fresh() -> (String, String) {
    let authority = DevelopmentAuthority::generate(NOW, &SystemEntropy).unwrap();
    let server = authority.issue_server(NOW, &SystemEntropy).unwrap();
    (server.certificate.clone(), server.key.expose().to_owned())
}

#[test]
fn a_certificate_is_read_again_once_it_fits_its_key() {
    let files = Files::new();
    let all = Certificates::default();
    let live = all.load(&files.settings).unwrap();
    let first = live.current();
    let kept = |live: &LiveCertificates| Arc::ptr_eq(&live.current(), &first);
    assert_eq!(all.look(), 0, "nothing changed");

    let (certificate, key) = fresh();
    files.write("server.pem", &certificate);
    assert_eq!(all.look(), 0, "the key is the old one");
    files.write("server.pem", "nonsense");
    assert_eq!(all.look(), 0);
    std::fs::remove_file(files.folder.path().join("server.pem")).unwrap();
    assert_eq!(all.look(), 0);
    assert!(kept(&live), "the last good one stays");

    files.write("server.pem", &certificate);
    files.write("server.key", &key);
    assert_eq!(all.look(), 1);
    assert!(!kept(&live));
    assert_eq!(all.look(), 0, "once");
}

#[test]
fn a_start_says_which_file_is_wrong() {
    let files = Files::new();
    files.write("server.key", &fresh().1);
    let said = Certificates::default().load(&files.settings).unwrap_err().to_string();
    assert!(said.contains("server.pem") && said.contains("server.key"), "{said}");
}
