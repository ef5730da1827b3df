//! A gateway between a raw client and an upstream that records what it gets.

use countersign_core::{
    MethodName, ScopeSet,
    check::route::{Alternative, Route, SecurityRequirement},
};
use countersign_gateway::{Gateway, GatewayConfig, ListenerConfig, Observing, StartError, UpstreamConfig};
use countersign_testkit::{Fixture, FixtureBuilder, SeededEntropy, eventually, principal};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A key that is good for everything here, as the scripted method reads it.
pub(crate) const KEY: &str = "x-api-key: good\r\n";

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the upstream does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Answer(Vec<u8>),
    /// Answer, then close.
    Close(Vec<u8>),
    /// The first piece, and the second with one more permit of [`Upstream::held`].
    Pieces(Vec<u8>, Vec<u8>),
    /// Say nothing until the other side goes away.
    Silence,
}

impl Act {
    pub(crate) fn answer(text: &str) -> Self {
        Act::Answer(text.as_bytes().to_vec())
    }

    pub(crate) fn close(text: &str) -> Self {
        Act::Close(text.as_bytes().to_vec())
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) connection: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    /// Every value of a field, in order.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        fields(&self.text(), name)
    }

    pub(crate) fn body(&self) -> &[u8] {
        let end = head_end(&self.bytes).unwrap();
        &self.bytes[end..]
    }
}

pub(crate) fn fields(message: &str, name: &str) -> Vec<String> {
    message
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim().to_owned())
        .collect()
}

type Script = Arc<dyn Fn(&Got) -> Act + Send + Sync>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) got: Arc<Mutex<Vec<Got>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    /// Of [`Upstream::held`]: one permit, one answer.
    pub(crate) hold: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    pub(crate) async fn start(script: impl Fn(&Got) -> Act + Send + Sync + 'static) -> Self {
        Self::with_hold(script, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))).await
    }

    /// Behind TLS.
    pub(crate) async fn secured(
        tls: rustls::ServerConfig,
        script: impl Fn(&Got) -> Act + Send + Sync + 'static,
    ) -> Self {
        let hold = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self::on(Some(tokio_rustls::TlsAcceptor::from(Arc::new(tls))), script, hold).await
    }

    /// Reads every request, and answers one for each permit that it is given.
    pub(crate) async fn held(answer: &'static str) -> Self {
        Self::with_hold(move |_| Act::answer(answer), Arc::new(Semaphore::new(0))).await
    }

    pub(crate) async fn with_hold(
        script: impl Fn(&Got) -> Act + Send + Sync + 'static,
        hold: Arc<Semaphore>,
    ) -> Self {
        Self::on(None, script, hold).await
    }

    async fn on(
        tls: Option<tokio_rustls::TlsAcceptor>,
        script: impl Fn(&Got) -> Act + Send + Sync + 'static,
        hold: Arc<Semaphore>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (got, connections) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::new(AtomicUsize::new(0)));
        let script: Script = Arc::new(script);
        let (seen, count) = (got.clone(), connections.clone());
        let open = Arc::new(AtomicUsize::new(0));
        let (opened, held) = (open.clone(), hold.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::SeqCst);
                let (script, seen, opened) = (script.clone(), seen.clone(), opened.clone());
                let (held, tls) = (held.clone(), tls.clone());
                opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, connection, script, seen, held).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, connection, script, seen, held).await;
                            }
                        }
                    }
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, got, connections, open, hold, task }
    }

    /// Answers as soon as it has a head, and reads no further than the other side sends.
    pub(crate) async fn eager(answer: &'static str) -> Self {
        let mut upstream = Self::start(|_| Act::Silence).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        upstream.address = listener.local_addr().unwrap();
        let opened = upstream.open.clone();
        upstream.task.abort();
        upstream.task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                let opened = opened.clone();
                tokio::spawn(async move {
                    let mut buffer = Vec::new();
                    while head_end(&buffer).is_none() {
                        if !matches!(stream.read_buf(&mut buffer).await, Ok(n) if n > 0) {
                            break;
                        }
                    }
                    let _ = stream.write_all(answer.as_bytes()).await;
                    while matches!(stream.read_buf(&mut buffer).await, Ok(n) if n > 0) {}
                    opened.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        upstream
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The one request that arrived.
    pub(crate) fn only(&self) -> Got {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request upstream: {requests:?}");
        requests[0].clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    script: Script,
    seen: Arc<Mutex<Vec<Got>>>,
    hold: Arc<Semaphore>,
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = message_end(&buffer) {
                break end;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => {
                    if !buffer.is_empty() {
                        seen.lock().unwrap().push(Got { connection, bytes: buffer });
                    }
                    return;
                }
                Ok(_) => {}
            }
        };
        let bytes: Vec<u8> = buffer.drain(..end).collect();
        let got = Got { connection, bytes };
        let act = script(&got);
        seen.lock().unwrap().push(got);
        hold.acquire().await.unwrap().forget();
        match act {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Pieces(first, second) => {
                if stream.write_all(&first).await.is_err() {
                    return;
                }
                hold.acquire().await.unwrap().forget();
                if stream.write_all(&second).await.is_err() {
                    return;
                }
            }
            Act::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Silence => {
                while matches!(stream.read_buf(&mut buffer).await, Ok(n) if n > 0) {}
                return;
            }
        }
    }
}

pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// Where the first message ends, by the framing that its head declares.
pub(crate) fn message_end(bytes: &[u8]) -> Option<usize> {
    let head = head_end(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    if !fields(&text, "transfer-encoding").is_empty() {
        let mut at = head;
        loop {
            let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
            let size = String::from_utf8_lossy(&bytes[at..at + line]).into_owned();
            let size = usize::from_str_radix(size.split(';').next().unwrap().trim(), 16).unwrap();
            at += line + 2;
            if size == 0 {
                let rest = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
                if rest == 0 {
                    return Some(at + 2);
                }
                return head_end(&bytes[at..]).map(|end| at + end);
            }
            at += size + 2;
            if bytes.len() < at {
                return None;
            }
        }
    }
    let length: usize = fields(&text, "content-length").first().map_or(0, |v| v.parse().unwrap_or_default());
    (bytes.len() >= head + length).then_some(head + length)
}

/// The gateway, what is behind it, and what it asks.
pub(crate) struct Rig {
    pub(crate) gateway: Option<Gateway>,
    pub(crate) address: SocketAddr,
    pub(crate) upstream: Upstream,
    pub(crate) fixture: Fixture,
    config: GatewayConfig,
}

pub(crate) fn needs(scopes: &str) -> SecurityRequirement {
    SecurityRequirement::AnyOf(vec![Alternative(vec![(
        MethodName::ApiKey,
        ScopeSet::parse(scopes).unwrap(),
    )])])
}

/// `/open/*` public, `/*` with an API key.
pub(crate) fn routes() -> Vec<Route> {
    vec![Route::new("/open/*", "api", SecurityRequirement::Public), Route::new("/*", "api", needs(""))]
}

impl Rig {
    /// Two routes, an upstream that says ok, and every default.
    pub(crate) async fn plain() -> Self {
        Self::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |_| {}).await
    }

    pub(crate) async fn scripted(script: impl Fn(&Got) -> Act + Send + Sync + 'static) -> Self {
        Self::with(Upstream::start(script).await, routes(), |_| {}).await
    }

    pub(crate) async fn with(
        upstream: Upstream,
        routes: Vec<Route>,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        Self::built(upstream, Fixture::builder().routes(routes), change).await
    }

    pub(crate) async fn built(
        upstream: Upstream,
        builder: FixtureBuilder,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let fixture = builder.build();
        let mut robot = principal("robot", "orders:read");
        robot.groups = vec![countersign_core::principal::Group::parse("crew").unwrap()];
        fixture.directory.set(&robot);
        fixture.room(MethodName::ApiKey).good("good", &robot.id, "orders:read");
        let mut config = GatewayConfig {
            listeners: vec![ListenerConfig::new("127.0.0.1:0".parse::<SocketAddr>().unwrap())],
            workers: 1,
            upstreams: vec![UpstreamConfig::new("api", format!("http://{}", upstream.address))],
            ..GatewayConfig::default()
        };
        change(&mut config);
        let gateway = Gateway::start(
            config.clone(),
            fixture.point.clone(),
            fixture.routes.clone(),
            Arc::new(SeededEntropy::new(7)),
            Observing::default(),
        )
        .unwrap();
        let address = gateway.addresses()[0];
        Self { gateway: Some(gateway), address, upstream, fixture, config }
    }

    /// What serves is changed; nothing of it where that is refused.
    pub(crate) async fn reload(
        &mut self,
        routes: Vec<Route>,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Result<(), StartError> {
        let mut config = self.config.clone();
        change(&mut config);
        let table = Arc::new(self.fixture.table(routes));
        self.gateway.as_mut().unwrap().reload(config.clone(), table).await?;
        self.config = config;
        Ok(())
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    /// One request on a connection of its own; the one answer.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.write(request).await;
        client.answer().await
    }

    /// A GET with the good key and these fields (each with its line end).
    pub(crate) async fn get(&self, target: &str, fields: &str) -> String {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: api.example\r\n{KEY}{fields}\r\n")).await
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // the other side may have answered and closed before it read everything
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// The next answer, without the ones after it. Empty: the connection ended first.
    pub(crate) async fn answer(&mut self) -> String {
        String::from_utf8_lossy(&self.answer_to(false).await).into_owned()
    }

    pub(crate) async fn answer_to(&mut self, head: bool) -> Vec<u8> {
        let reading = async {
            loop {
                let end = if head { head_end(&self.buffer) } else { message_end(&self.buffer) };
                if let Some(end) = end {
                    return self.buffer.drain(..end).collect();
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return std::mem::take(&mut self.buffer),
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap()
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let reading =
            async { while matches!(self.stream.read_buf(&mut self.buffer).await, Ok(n) if n > 0) {} };
        tokio::time::timeout(PATIENCE, reading).await.unwrap();
        std::mem::take(&mut self.buffer)
    }
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

pub(crate) fn code(answer: &str) -> String {
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    body.split("\"code\":\"").nth(1).and_then(|c| c.split('"').next()).unwrap_or_default().to_owned()
}

/// Sends it again and again, slowly, until the other side closes; what came lies in the buffer.
pub(crate) async fn drip(client: &mut Client, bytes: &[u8]) {
    let Client { stream, buffer } = client;
    eventually(PATIENCE, || {
        let _ = stream.try_write(bytes);
        let mut came = [0; 4096];
        let closed = match stream.try_read(&mut came) {
            Ok(n) => {
                buffer.extend_from_slice(&came[..n]);
                n == 0
            }
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        async move { closed }
    })
    .await;
}
