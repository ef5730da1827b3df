//! A deployment of our own for every test: folder, store, certificates, ports and clock.

use countersign_cli::{
    compose::{self, Rooms, Running, World},
    config::{self, Environment, Settings},
    echo::Echo,
    operator, output, private_file,
};
use countersign_core::{Clock, Timestamp};
use countersign_crypto::{SystemEntropy, x509::development::DevelopmentAuthority};
use countersign_testkit::ManualClock;
use reqwest::{Certificate, Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

/// Longer than anything here takes; a test that waits for it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) const RESOURCE: &str = "https://api.example.com";
pub(crate) const ISSUER: &str = "https://auth.example.com";

pub(crate) const ROUTES: &str = r#"
[[routes]]
path = "/orders/{id}"
methods = ["GET"]
upstream = "api"
security = [{ api_key = ["orders:read"] }]

[[routes]]
path = "/orders"
methods = ["POST"]
upstream = "api"
security = [{ api_key = ["orders:write"] }]

[[routes]]
path = "/feed"
upstream = "api"
security = [{ api_key = ["orders:read"] }]
api_key = { header = "x-feed-token", query = "token" }

[[routes]]
path = "/open"
upstream = "api"
security = []
"#;

/// Certificates that vouch for this machine, in `folder`.
pub(crate) fn certify(folder: &Path) {
    let now = countersign_store::local::SystemClock.now().as_seconds();
    let authority = DevelopmentAuthority::generate(now, &SystemEntropy).unwrap();
    let server = authority.issue_server(now, &SystemEntropy).unwrap();
    private_file::write(&folder.join("ca.pem"), authority.certificate().as_bytes()).unwrap();
    private_file::write(&folder.join("server.pem"), server.certificate.as_bytes()).unwrap();
    private_file::write(&folder.join("server.key"), server.key.expose().as_bytes()).unwrap();
}

/// A whole configuration: listeners, the upstream, then `rest`.
pub(crate) fn configuration(gateway: u16, admin: u16, issuer: u16, upstream: &str, rest: &str) -> String {
    let tls = "tls = { certificate = \"server.pem\", key = \"server.key\" }";
    format!(
        "[gateway]\nlisten = \"127.0.0.1:{gateway}\"\nworkers = 2\n{tls}\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n{tls}\n\
         [issuer]\nlisten = \"127.0.0.1:{issuer}\"\n{tls}\n\
         [[upstreams]]\nname = \"api\"\nurl = \"{upstream}\"\n{rest}"
    )
}

/// A client that trusts what [`certify`] made, one connection per request: nothing hides behind keep-alive.
pub(crate) fn client(folder: &Path) -> Client {
    let pem = std::fs::read(folder.join("ca.pem")).unwrap();
    Client::builder()
        .tls_certs_only(Certificate::from_pem_bundle(&pem).unwrap())
        .no_proxy()
        .timeout(LONG)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// In process, with a clock that stands still until it is moved.
pub(crate) struct Deployment {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) running: Running,
    pub(crate) http: Client,
    operator: String,
    echo: Echo,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// RFC 9457 `code`.
    pub(crate) fn code(&self) -> String {
        self.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(crate) async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        Self::with(ROUTES).await
    }

    pub(crate) async fn with(rest: &str) -> Self {
        Self::with_gateway("", rest).await
    }

    /// `more` stands in `[gateway]`.
    pub(crate) async fn with_gateway(more: &str, rest: &str) -> Self {
        Self::with_faces((more, ""), rest).await
    }

    /// With the URLs that what is signed here is for ([`RESOURCE`]) and comes from ([`ISSUER`]).
    pub(crate) async fn signing(rest: &str) -> Self {
        let url = |url| format!("url = \"{url}\"");
        Self::with_faces((&url(RESOURCE), &url(ISSUER)), rest).await
    }

    async fn with_faces((gateway, issuer): (&str, &str), rest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let echo = Echo::start(0).await.unwrap();
        let text = configuration(0, 0, 0, &echo.url(), rest);
        let text = text.replacen("[admin]", &format!("{gateway}\n[admin]"), 1);
        let text = text.replacen("[[upstreams]]", &format!("{issuer}\n[[upstreams]]"), 1);
        let file = folder.path().join("countersign.toml");
        let settings: Settings = config::parse(&file, &text, &Environment::default()).unwrap();
        // the certificates are judged by the machine's clock: begin where it stands
        let clock = Arc::new(ManualClock::new(countersign_store::local::SystemClock.now()));
        let world = World { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
        let rooms = Rooms::open(&settings, world).await.unwrap();
        let key_file = folder.path().join("admin.key");
        assert!(operator::ensure(&rooms, &key_file, rooms.now()).await.unwrap());
        let operator = private_file::read(&key_file).unwrap().unwrap().trim().to_owned();
        let running = compose::start(&settings, rooms).await.unwrap();
        let http = client(folder.path());
        let this = Self { folder, clock, running, http, operator, echo };
        let made = this.admin(Method::POST, "principals", Some(json!({
            "kind": "service", "name": "demo", "scopes": ["orders:read", "orders:write"], "groups": ["staff"],
        })));
        assert_eq!(made.await.status, 201);
        this
    }

    /// The file says `rest` after its listeners from now on.
    pub(crate) async fn reload(&mut self, rest: &str) -> compose::Reloaded {
        self.try_reload(rest).await.unwrap()
    }

    pub(crate) async fn try_reload(&mut self, rest: &str) -> Result<compose::Reloaded, output::Failure> {
        let text = configuration(0, 0, 0, &self.echo.url(), rest);
        let file = self.folder.path().join("countersign.toml");
        let settings = config::parse(&file, &text, &Environment::default()).unwrap();
        self.running.reload(settings).await
    }

    pub(crate) async fn stop(self) {
        self.running.stop(Duration::from_secs(5)).await;
        self.echo.stop().await;
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn gateway(&self, method: Method, path: &str) -> RequestBuilder {
        let address = self.running.gateway_addresses()[0];
        self.http.request(method, format!("https://{address}{path}"))
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Answer {
        self.settled(self.gateway(Method::GET, path).header("x-api-key", key)).await
    }

    /// After the clock was moved far the feed counts as blind (RULES 2.5) until the store is heard of again.
    pub(crate) async fn settled(&self, request: RequestBuilder) -> Answer {
        let mut answer = read(request.try_clone().unwrap()).await;
        let deadline = tokio::time::Instant::now() + LONG;
        while answer.code() == "feed_blind" {
            assert!(tokio::time::Instant::now() < deadline, "the feed stays blind");
            tokio::task::yield_now().await;
            answer = read(request.try_clone().unwrap()).await;
        }
        answer
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.admin_with(&self.operator, method, path, body).await
    }

    pub(crate) async fn admin_with(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let address = self.running.admin_address().unwrap();
        let mut request =
            self.http.request(method.clone(), format!("https://{address}/admin/v1/{path}")).bearer_auth(key);
        if method == Method::PATCH {
            request = request.header("if-match", "*");
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.settled(request).await
    }

    /// Record and secret of a new key of `demo`.
    pub(crate) async fn key(&self, more: Value) -> (Value, String) {
        let mut body = json!({"owner": "demo", "scopes": ["orders:read"]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.admin(Method::POST, "api-keys", Some(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        issued(&made)
    }
}

pub(crate) fn issued(answer: &Answer) -> (Value, String) {
    let json = answer.json();
    (json["key"].clone(), json["secret"].as_str().unwrap().to_owned())
}

/// A process of the binary; ended with the test, whatever became of it.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.stdin(Stdio::null()).env_remove("COUNTERSIGN_LOG").env("NO_COLOR", "1");
    command
}

/// Runs to its end in `folder`.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    binary().args(arguments).current_dir(folder).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The ports that the documentation prints cannot be chosen: one test at a time has them, whichever process it is in.
/// Until what is returned is dropped.
pub(crate) async fn fixed_ports() -> std::fs::File {
    let file = std::fs::File::create(std::env::temp_dir().join("countersign-fixed-ports.lock")).unwrap();
    countersign_testkit::eventually(LONG * 12, || async { file.try_lock().is_ok() }).await;
    // and whoever else tries the quick start on this machine is waited for
    countersign_testkit::eventually(LONG * 3, || async {
        [8443, 8444, 8445].iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
    })
    .await;
    file
}

/// A port that nobody else will be given: below those that the kernel hands out by itself, and each once per process.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 1000).unwrap() * 20;
    for _ in 0..2000 {
        let port = 10_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free")
}

/// The binary's `serve` on ports of its own, in a folder of its own.
pub(crate) struct Served {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) gateway: u16,
    pub(crate) admin: u16,
    pub(crate) issuer: u16,
}

impl Served {
    pub(crate) fn prepare(upstream: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let (gateway, admin, issuer) = (free_port(), free_port(), free_port());
        let this = Self { folder, gateway, admin, issuer };
        this.put(&this.configuration(upstream, ROUTES));
        this
    }

    pub(crate) fn configuration(&self, upstream: &str, rest: &str) -> String {
        configuration(self.gateway, self.admin, self.issuer, upstream, rest)
    }

    /// Moves it into place, as whoever means well does.
    pub(crate) fn put(&self, text: &str) {
        let new = self.folder.path().join("countersign.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join("countersign.toml")).unwrap();
    }

    pub(crate) async fn start(&self) -> Process {
        self.start_with(&["serve"], self.admin).await
    }

    /// Until its gateway and admin API answer.
    pub(crate) async fn start_with(&self, arguments: &[&str], admin: u16) -> Process {
        let mut command = binary();
        command.args(arguments);
        self.spawn(command, admin).await
    }

    /// The same of a command that is prepared already.
    pub(crate) async fn spawn(&self, mut command: Command, admin: u16) -> Process {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let output = log.try_clone().unwrap();
        let child = command.current_dir(self.folder.path()).stdout(output).stderr(log).spawn().unwrap();
        let process = Process(child);
        let http = client(self.folder.path());
        let url = format!("https://127.0.0.1:{admin}/admin/v1/routes");
        countersign_testkit::eventually(LONG, || async {
            http.get(&url).send().await.is_ok_and(|answer| answer.status() == 401)
                && tokio::net::TcpStream::connect(self.address()).await.is_ok()
        })
        .await;
        process
    }

    pub(crate) fn operator(&self) -> String {
        private_file::read(&self.folder.path().join("admin.key")).unwrap().unwrap().trim().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.gateway))
    }
}
