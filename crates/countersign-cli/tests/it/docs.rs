//! The documentation, run: every ```` ```sh ```` block of the README and the guides as it stands, in order, in a fresh
//! folder; every ```` ```toml ```` block read as configuration; every link followed to its file.

use crate::support::{LONG, Process, certify, fixed_ports, text};
use countersign_cli::config::{self, Environment};
use countersign_testkit::{eventually, has_program};
use rustix::process::Signal;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

/// The two commands that set everything up. They build; whoever runs this test has done it already.
const SET_UP: [&str; 2] =
    ["cargo install --locked --path crates/countersign-cli", "cargo test --workspace --locked"];
const UPSTREAM: &str = "127.0.0.1:3000";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// README and everything below `docs/`.
fn documents() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    let mut found = vec![root().join("README.md")];
    below(&root().join("docs"), &mut found);
    found
}

/// The fenced blocks: their word and their text.
pub(crate) fn blocks(markdown: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(word), None) => open = Some((word.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    found
}

/// Somebody at a terminal, with a second one for what goes on running.
struct Person {
    home: tempfile::TempDir,
    here: PathBuf,
    server: Option<Process>,
}

impl Person {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        // an answer that is not good fails the command
        fs::write(home.path().join(".curlrc"), "fail\nsilent\nshow-error\n").unwrap();
        let here = home.path().join("work");
        fs::create_dir(&here).unwrap();
        Self { home, here, server: None }
    }

    fn shell(&self, script: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap();
        let mut command = Command::new("sh");
        command.args(["-e", "-c", script]).current_dir(&self.here).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("CURL_HOME", self.home.path()).env("NO_COLOR", "1").env_remove("COUNTERSIGN_LOG");
        command
    }

    async fn type_in(&mut self, block: &str) {
        let mut script = String::new();
        for line in block.lines() {
            if ["countersign dev", "countersign serve"].iter().any(|start| line.starts_with(start)) {
                self.run(&std::mem::take(&mut script));
                self.serve(line).await;
            } else if line.starts_with("cargo ") {
                assert!(SET_UP.contains(&line), "`{line}` is not one of the two commands that set up");
            } else {
                script.push_str(line);
                script.push('\n');
            }
        }
        self.run(&script);
    }

    fn run(&mut self, script: &str) {
        if script.trim().is_empty() {
            return;
        }
        let left = self.home.path().join("pwd");
        let whole = format!("{script}pwd > '{}'", left.display());
        let output = self.shell(&whole).output().unwrap();
        assert!(output.status.success(), "{script}{}{}", text(&output.stdout), text(&output.stderr));
        self.here = fs::read_to_string(left).unwrap().trim_end().into();
        // the guide says: put the certificate and its key beside the configuration
        if self.here.join("countersign.toml").exists() && !self.here.join("server.pem").exists() {
            certify(&self.here);
        }
    }

    /// In the second terminal; what ran there is stopped first.
    async fn serve(&mut self, line: &str) {
        self.stop();
        let log = self.home.path().join("log");
        let child = self
            .shell(&format!("exec {line}"))
            // what is printed listens everywhere; a test does not
            .envs(line.contains(" serve").then_some(("COUNTERSIGN__GATEWAY__LISTEN", "127.0.0.1:8443")))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut process = Process(child);
        eventually(LONG, || {
            let gone = process.0.try_wait().unwrap();
            assert!(gone.is_none(), "{line}: {}", fs::read_to_string(&log).unwrap());
            let up = [8443, 8445].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok());
            async move { up }
        })
        .await;
        self.server = Some(process);
    }

    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.signal(Signal::TERM);
        assert!(server.0.wait().unwrap().success());
    }
}

/// The service that the documentation protects: says 200 to everything.
async fn upstream() -> JoinHandle<()> {
    eventually(LONG, || async { TcpListener::bind(UPSTREAM).is_ok() }).await;
    let listener = tokio::net::TcpListener::bind(UPSTREAM).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";
                let _ = stream.write_all(answer).await;
            });
        }
    })
}

/// `before`: what stands in the document that this one goes on from.
async fn follow(document: &str, before: &str) {
    if !has_program("curl", document) {
        return;
    }
    let _alone = fixed_ports().await;
    let upstream = upstream().await;
    let markdown = fs::read_to_string(root().join(document)).unwrap();
    let mut person = Person::new();
    person.type_in(before).await;
    let mut typed = 0;
    for (word, block) in blocks(&markdown) {
        if word == "sh" {
            person.type_in(&block).await;
            typed += 1;
        }
    }
    assert!(typed > 0, "{document} shows no command");
    person.stop();
    upstream.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn readme() {
    let markdown = fs::read_to_string(root().join("README.md")).unwrap();
    for line in SET_UP {
        assert!(markdown.lines().any(|l| l == line), "the README does not say `{line}`");
    }
    follow("README.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_protect_an_api() {
    follow("docs/guides/protect-an-api.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_install() {
    follow("docs/guides/install.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_keys() {
    follow("docs/guides/keys.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_audit() {
    follow("docs/guides/audit.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_basic() {
    follow("docs/guides/basic.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_backup() {
    follow("docs/guides/backup.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_production() {
    follow("docs/guides/production.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_operate() {
    follow("docs/guides/operate.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_observe() {
    follow("docs/guides/observe.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guide_sessions() {
    follow("docs/guides/sessions.md", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_admin_api() {
    follow("docs/reference/admin-api.md", "countersign dev --demo").await;
}

/// A guide that no test above follows would go stale; a command that needs no placeholder has no reason not to run.
#[test]
fn every_guide_is_followed_and_what_can_run_does() {
    let mut guides: Vec<String> = fs::read_dir(root().join("docs/guides"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    guides.sort();
    assert_eq!(
        guides,
        [
            "audit.md",
            "backup.md",
            "basic.md",
            "install.md",
            "keys.md",
            "observe.md",
            "operate.md",
            "production.md",
            "protect-an-api.md",
            "sessions.md"
        ]
    );
    let generated = root().join("docs/reference/command-line.md");
    for document in documents().into_iter().filter(|path| *path != generated) {
        for (word, block) in blocks(&fs::read_to_string(&document).unwrap()) {
            for line in block.lines().filter(|_| word.is_empty()) {
                let command = ["countersign ", "curl "].iter().any(|start| line.starts_with(start));
                let placeholder = line.split([' ', '=']).any(|w| w == "ID" || w.ends_with("..."));
                assert!(!command || placeholder, "{}: `{line}` could run: say ```sh", document.display());
            }
        }
    }
}

#[test]
fn every_toml_block_is_a_configuration() {
    let head = "[gateway]\nlisten = \"127.0.0.1:8443\"\n[[upstreams]]\nname = \"demo\"\nurl = \"http://127.0.0.1:1\"\n\
                [[upstreams]]\nname = \"orders\"\nurl = \"http://127.0.0.1:2\"\n";
    let route = "[[routes]]\npath = \"/\"\nupstream = \"demo\"\nsecurity = [{ api_key = [] }]\n";
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    fs::write(folder.path().join("webhook.secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n").unwrap();
    let file = folder.path().join("countersign.toml");
    let mut read = 0;
    for document in documents() {
        for (word, block) in blocks(&fs::read_to_string(&document).unwrap()) {
            if word != "toml" {
                continue;
            }
            let whole = match &block {
                whole if whole.contains("[gateway]") => whole.clone(),
                sections if sections.contains("[[routes]]") => format!("{head}{sections}"),
                sections if sections.starts_with('[') => format!("{head}{route}{sections}"),
                of_a_route => format!("{head}{route}{of_a_route}"),
            };
            if let Err(error) = config::parse(&file, &whole, &Environment::default()) {
                panic!("{}:\n{whole}\n{error}", document.display());
            }
            read += 1;
        }
    }
    assert!(read >= 4, "only {read} blocks of configuration");
}

#[test]
fn every_link_leads_to_a_file() {
    for document in documents() {
        let markdown = fs::read_to_string(&document).unwrap();
        for (at, _) in markdown.match_indices("](") {
            let target = markdown[at + 2..].split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let path = document.parent().unwrap().join(file);
            assert!(file.is_empty() || path.exists(), "{}: `{target}` leads nowhere", document.display());
        }
    }
}
