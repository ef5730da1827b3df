//! What stands in `packaging/`: the package is built, the unit is read, and a service manager hears of us.

use crate::support::{LONG, Process, Served, binary, certify, client, text};
use countersign_cli::config::{self, Environment};
use countersign_testkit::{eventually, has_program};
use rustix::process::Signal;
use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::Command,
};

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").canonicalize().unwrap()
}

#[test]
fn what_is_installed_is_a_configuration() {
    let text = fs::read_to_string(packaging().join("countersign.toml")).unwrap();
    // its certificate is the operator's to bring
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let file = folder.path().join("countersign.toml");
    let settings = config::parse(&file, &text, &Environment::default()).unwrap();
    assert_eq!(settings.store_url.0, "sqlite:/var/lib/countersign/countersign.db");
}

#[test]
fn the_unit_is_one_that_systemd_reads_and_shuts_in() {
    let unit = packaging().join("systemd/countersign.service");
    if !has_program("systemd-analyze", "the_unit_is_one_that_systemd_reads_and_shuts_in") {
        return;
    }
    // a program that is there: what is installed is not, where this runs
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("countersign.service");
    let text_of = fs::read_to_string(&unit).unwrap();
    let program = env!("CARGO_BIN_EXE_countersign");
    let without_man = text_of.replace("/usr/bin/countersign", program).replace("Documentation=", "#");
    fs::write(&here, without_man).unwrap();
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&here).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && !said.contains("countersign.service:"), "{said}");
    let security = |most: &str| {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=yes", "--threshold", most]).arg(&unit).output().unwrap()
    };
    let output = security("16");
    assert!(output.status.success(), "more than 1.6: {}", text(&output.stdout));
    assert!(!security("5").status.success(), "the threshold is looked at");
}

/// From a stand-in that is as small as a script: what is in a package does not depend on what the binary weighs.
#[test]
fn a_package_holds_what_it_should() {
    if !has_program("dpkg-deb", "a_package_holds_what_it_should") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let stand_in = folder.path().join("stand-in");
    fs::write(&stand_in, format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_countersign"))).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let build = |to: &str| {
        let mut command = Command::new(packaging().join("deb/build.sh"));
        let output = command.arg(&stand_in).arg(folder.path().join(to)).env("DEB_ARCH", "amd64").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        folder.path().join(to).join(format!("countersign_{}_amd64.deb", env!("CARGO_PKG_VERSION")))
    };
    let package = build("one");
    let ask = |arguments: &[&str]| {
        let output = Command::new("dpkg-deb").args(arguments).arg(&package).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let listing = ask(&["--contents"]);
    let mode = |path: &str| {
        let line = listing.lines().find(|line| line.ends_with(&format!(" .{path}")));
        let line = line.unwrap_or_else(|| panic!("{path} is not in it:\n{listing}"));
        assert!(line.contains(" root/root "), "{line}");
        line[..10].to_owned()
    };
    for (path, expected) in [
        ("/usr/bin/countersign", "-rwxr-xr-x"),
        ("/lib/systemd/system/countersign.service", "-rw-r--r--"),
        ("/etc/countersign/", "drwxr-x---"),
        ("/etc/countersign/countersign.toml", "-rw-r-----"),
        ("/usr/share/man/man1/countersign.1.gz", "-rw-r--r--"),
        ("/usr/share/man/man1/countersign-key-create.1.gz", "-rw-r--r--"),
        ("/usr/share/bash-completion/completions/countersign", "-rw-r--r--"),
        ("/usr/share/zsh/vendor-completions/_countersign", "-rw-r--r--"),
        ("/usr/share/fish/vendor_completions.d/countersign.fish", "-rw-r--r--"),
        ("/usr/share/doc/countersign/copyright", "-rw-r--r--"),
        ("/usr/share/doc/countersign/changelog.gz", "-rw-r--r--"),
        ("/usr/share/doc/countersign/examples/credentials.conf", "-rw-r--r--"),
    ] {
        assert_eq!(mode(path), expected, "{path}");
    }
    let control = ask(&["--field"]);
    assert!(
        control.contains("\nArchitecture: amd64\n") && control.contains("\nDepends: passwd\n"),
        "{control}"
    );
    let folder_of_control = folder.path().join("control");
    let unpacked =
        Command::new("dpkg-deb").arg("--control").arg(&package).arg(&folder_of_control).output().unwrap();
    assert!(unpacked.status.success());
    let of = |name: &str| fs::read_to_string(folder_of_control.join(name)).unwrap();
    assert_eq!(of("conffiles"), "/etc/countersign/countersign.toml\n");
    assert_eq!(of("md5sums").lines().count(), listing.lines().filter(|line| line.starts_with('-')).count());
    for script in ["postinst", "prerm", "postrm"] {
        let file = folder_of_control.join(script);
        assert!(Command::new("sh").arg("-n").arg(&file).output().unwrap().status.success(), "{script}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o755, "{script}");
    }
    assert_eq!(
        fs::read(&package).unwrap(),
        fs::read(build("two")).unwrap(),
        "the same sources, another package"
    );
}

/// As the unit starts it: configuration in one place, data in another, and the manager told of every step.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_hears_of_every_step() {
    let served = Served::prepare("http://127.0.0.1:9");
    let folder = served.folder.path();
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let heard = || {
        let mut bytes = [0; 256];
        // a child of another test may end meanwhile, and its signal interrupts a receive that has a time limit
        let n = loop {
            match socket.recv(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                heard => break heard.unwrap(),
            }
        };
        String::from_utf8(bytes[..n].to_vec()).unwrap()
    };
    let mut command = binary();
    command.args(["serve", "--config", "countersign.toml", "--dir", "data"]).current_dir(folder);
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut process = Process(command.env("NOTIFY_SOCKET", &path).stderr(log).spawn().unwrap());
    assert_eq!(heard(), "READY=1\nSTATUS=generation 1 of the configuration is in use");
    // ready means ready: the first request is answered
    let url = format!("https://127.0.0.1:{}/admin/v1/routes", served.admin);
    assert_eq!(client(folder).get(url).send().await.unwrap().status(), 401);
    assert!(data.join("keyring.toml").exists() && data.join("admin.key").exists());
    assert!(!folder.join("keyring.toml").exists() && !folder.join("admin.key").exists());
    process.signal(Signal::HUP);
    assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(heard(), "READY=1\nSTATUS=generation 2 of the configuration is in use");
    let operators = binary()
        .args(["route", "list", "-q", "--config", "countersign.toml", "--dir", "data", "--ca", "ca.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(operators.status.success(), "{}", text(&operators.stderr));
    process.signal(Signal::TERM);
    assert!(heard().starts_with("STOPPING=1\n"));
    eventually(LONG, || {
        let gone = process.0.try_wait().unwrap();
        async move { gone.is_some_and(|status| status.success()) }
    })
    .await;
}
