//! `countersign dev` beyond the quick start (RULES 4.4).

use crate::support::{LONG, Process, binary, client, free_port, read, run, text};
use countersign_testkit::eventually;
use rustix::process::Signal;
use std::{os::unix::fs::MetadataExt, path::Path, process::Stdio};

struct Ports {
    gateway: u16,
    admin: u16,
    issuer: u16,
}

impl Ports {
    fn free() -> Self {
        Self { gateway: free_port(), admin: free_port(), issuer: free_port() }
    }

    async fn dev(&self, folder: &Path) -> Process {
        let address = |port: u16| format!("127.0.0.1:{port}");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let child = binary()
            .args(["dev", "--demo", "--listen", &address(self.gateway)])
            .args(["--admin-listen", &address(self.admin), "--issuer-listen", &address(self.issuer)])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = Process(child);
        let url = format!("https://127.0.0.1:{}/", self.gateway);
        eventually(LONG, || async {
            let ca = folder.join(".countersign/ca.pem");
            ca.exists() && client(&folder.join(".countersign")).get(&url).send().await.is_ok()
        })
        .await;
        process
    }
}

fn end(mut process: Process) {
    process.signal(Signal::INT);
    assert!(process.0.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_reuses_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (here, ports) = (folder.path(), Ports::free());
    let data = here.join(".countersign");
    let first = ports.dev(here).await;
    let made = run(here, &["key", "create", "demo", "--scope", "orders:read", "-q"]);
    let secret = text(&made.stdout).trim().to_owned();
    end(first);
    let look = || {
        let read = |name: &str| std::fs::read(data.join(name)).unwrap();
        ["ca.pem", "ca.key", "server.pem", "keyring.toml", "admin.key", "countersign.toml"].map(read)
    };
    let before = look();
    let second = ports.dev(here).await;
    assert_eq!(before, look());
    // an address that the file does not say would mislead the other commands
    let other = format!("127.0.0.1:{}", free_port());
    for option in ["--listen", "--admin-listen", "--issuer-listen"] {
        let output = run(here, &["dev", "--demo", option, &other]);
        assert_eq!(output.status.code(), Some(5), "{option}: {}", text(&output.stderr));
    }
    let again = run(here, &["dev", "--demo"]);
    let said = text(&again.stderr);
    assert!(again.status.code() == Some(5) && said.contains("in `.countersign/countersign.toml`"), "{said}");
    let url = format!("https://127.0.0.1:{}/orders/1", ports.gateway);
    let answer = read(client(&data).get(url).header("x-api-key", secret)).await;
    assert_eq!(answer.status, 200);
    end(second);
    // a person reads it, wherever it goes
    let said = std::fs::read_to_string(here.join("log")).unwrap();
    assert!(!said.contains("timestamp") && !said.contains("migration"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_folder_is_private_and_ignored_by_git_and_serve_refuses_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let (here, ports) = (folder.path(), Ports::free());
    let data = here.join(".countersign");
    end(ports.dev(here).await);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for secret in ["keyring.toml", "admin.key", "ca.key", "server.key", "countersign.db"] {
        assert_eq!(mode(secret), 0o600, "{secret}");
    }
    assert!(std::fs::read_to_string(data.join(".gitignore")).unwrap().lines().any(|l| l == "*"));
    let served = run(here, &["serve", "--dir", ".countersign"]);
    assert_eq!(served.status.code(), Some(5));
    assert!(text(&served.stderr).contains("made by `countersign dev`"), "{}", text(&served.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_dead_operators_key_is_made_again_and_so_is_a_broken_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (here, ports) = (folder.path(), Ports::free());
    let data = here.join(".countersign");
    end(ports.dev(here).await);
    std::fs::remove_file(data.join("admin.key")).unwrap();
    std::fs::write(data.join("ca.pem"), "no certificate").unwrap();
    let again = ports.dev(here).await;
    let listed = run(here, &["key", "list", "--output", "json"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    end(again);
}

#[test]
fn it_listens_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    for option in ["--listen", "--admin-listen", "--issuer-listen"] {
        let output = run(folder.path(), &["dev", "--demo", option, "0.0.0.0:0"]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(text(&output.stderr).contains("loopback only"), "{}", text(&output.stderr));
        assert!(!folder.path().join(".countersign").exists(), "{option}");
    }
}

#[test]
fn an_upstream_that_is_none_is_usage() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["ftp://127.0.0.1:3000", "http://u:p@127.0.0.1", "nonsense"] {
        let output = run(folder.path(), &["dev", "--upstream", url]);
        assert_eq!(output.status.code(), Some(2), "{url}: {}", text(&output.stderr));
    }
    let output = run(folder.path(), &["dev"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--demo"));
}

/// Where a port is taken, nothing is written yet that would hold the next try to it.
#[test]
fn a_taken_port_leaves_the_choice_open() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let free = || format!("127.0.0.1:{}", free_port());
    let (gateway, issuer) = (free(), free());
    let line =
        ["dev", "--demo", "--listen", &gateway, "--issuer-listen", &issuer, "--admin-listen", &address];
    let output = run(folder.path(), &line);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains(&format!("{address} is taken")) && said.contains("`--listen 127.0.0.1:9443"),
        "{said}"
    );
    assert!(!folder.path().join(".countersign/countersign.toml").exists());
}

/// What is edited while it runs counts, within the limits of `dev`: its upstream, and this machine (RULES 4.4).
#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (here, ports) = (folder.path(), Ports::free());
    let process = ports.dev(here).await;
    let file = here.join(".countersign/countersign.toml");
    let log = || std::fs::read_to_string(here.join("log")).unwrap();
    let content = std::fs::read_to_string(&file).unwrap();
    let http = client(&here.join(".countersign"));
    let get = || read(http.get(format!("https://127.0.0.1:{}/orders/1", ports.gateway)));
    assert_eq!(get().await.status, 401);
    let closed = "[{ api_key = [\"orders:read\"] }, { jwt = [\"orders:read\"] }]";
    let open = content.replacen(closed, "[]", 1);
    assert_ne!(open, content);
    std::fs::write(&file, open.replace(&format!("127.0.0.1:{}", ports.admin), "0.0.0.0:1")).unwrap();
    process.signal(Signal::HUP);
    eventually(LONG, || async { log().contains("the last good one stays in use") }).await;
    assert_eq!(get().await.status, 401);
    std::fs::write(&file, open).unwrap();
    eventually(LONG, || async { get().await.status == 200 }).await;
    // said after it is in use
    eventually(LONG, || async { log().contains("this reload opens a route: it is public") }).await;
    end(process);
}
