//! Through somebody's own proxy: forged headers and crooked paths are sent to its front, and the gateway behind it says
//! what arrived.

use super::{Findings, Level, Patient};
use crate::{
    admin_client::{AdminClient, Connection},
    output::Failure,
    place::AUTHORITY,
};
use bytes::Bytes;
use countersign_crypto::tls;
use countersign_gateway::ForwardedHeader;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::Url;

const AREA: &str = "proxy";
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: usize = 256 * 1024;
/// RFC 5737: nobody's address.
const FORGED_ADDRESS: &str = "203.0.113.99";
const FORGED: &str = "forged-by-doctor";
/// Where a Debian keeps whom everybody trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// As the gateway says it.
#[derive(Debug, Deserialize)]
struct Arrived {
    peer: IpAddr,
    transport: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Arrived {
    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).iter().any(|found| found.contains(value))
    }
}

/// What became of one request.
enum Outcome {
    Arrived(Box<Arrived>),
    /// Somebody before the gateway, or the gateway itself, answered.
    Answered(StatusCode),
}

struct Proxy<'p> {
    url: &'p Url,
    roots: Option<Arc<rustls::ClientConfig>>,
    probe: (String, String),
}

pub(super) async fn look(patient: &Patient<'_>, url: &Url, findings: &mut Findings) -> Result<(), Failure> {
    let common = patient.common;
    let client = AdminClient::connect(&Connection {
        config: common.config.clone(),
        dir: common.dir.clone(),
        server: common.server.clone(),
        ca: common.ca.clone(),
        admin_key_file: common.admin_key_file.clone(),
    })?;
    let armed = client.post(&["probes"], serde_json::json!({})).await?;
    let text =
        |member: &str| armed.get(member).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let roots = match url.scheme() {
        "https" => Some(roots(patient)?),
        "http" => None,
        _ => return Err(Failure::usage(format!("`{url}` is neither `http://` nor `https://`"))),
    };
    let proxy = Proxy { url, roots, probe: (text("header"), text("token")) };
    let plain = match proxy.send(&proxy.path(""), &[]).await? {
        Outcome::Arrived(arrived) => arrived,
        Outcome::Answered(status) => {
            findings.problem(
                AREA,
                format!("a request to `{url}` was answered with {status} and did not reach this gateway"),
                "does the proxy hand this path to it, and to this process of several? does it let unknown header \
                 fields through?",
            );
            return Ok(());
        }
    };
    findings.good(
        AREA,
        format!("`{url}` leads here: from {}, {}, as `{}`", plain.peer, plain.transport, plain.target),
    );
    who_calls(patient, &proxy, &plain, findings).await?;
    credentials(&proxy, findings).await?;
    identities(&proxy, findings).await?;
    paths(&proxy, findings).await
}

fn roots(patient: &Patient<'_>) -> Result<Arc<rustls::ClientConfig>, Failure> {
    let beside = patient.place.file(AUTHORITY);
    let file: PathBuf = match &patient.common.ca {
        Some(file) => file.clone(),
        None if beside.is_file() => beside,
        None => SYSTEM_ROOTS.into(),
    };
    let shown = file.display();
    let pem = std::fs::read(&file).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    let config = tls::client_config(&pem).map_err(|e| Failure::failed(format!("`{shown}`: {e}")))?;
    Ok(Arc::new(config))
}

/// The address that limits, networks and records go by.
async fn who_calls(
    patient: &Patient<'_>,
    proxy: &Proxy<'_>,
    plain: &Arrived,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let believed = |header: ForwardedHeader| {
        patient.settings.gateway.listeners.iter().flat_map(|listener| &listener.trusted).any(|trusted| {
            trusted.headers.contains(&header)
                && trusted.peers.networks.iter().any(|network| network.contains(&plain.peer))
        })
    };
    let says = !plain.all("x-forwarded-for").is_empty();
    match (says, believed(ForwardedHeader::For)) {
        (true, true) => findings.good(AREA, "it names its caller in `X-Forwarded-For`, and is believed"),
        (true, false) => findings.warning(
            AREA,
            "it names its caller in `X-Forwarded-For`, and is not believed: for limits, networks and records every \
             caller is the proxy",
            format!(
                "if nobody else can reach the gateway from there: `trusted = [{{ networks = [\"{}\"], headers = \
                 [\"x-forwarded-for\", \"x-forwarded-proto\"] }}]`",
                plain.peer
            ),
        ),
        (false, true) => findings.problem(
            AREA,
            "it is believed what `X-Forwarded-For` says, and does not set it",
            "whoever writes it decides who calls: have the proxy set it (nginx: `proxy_set_header X-Forwarded-For \
             $proxy_add_x_forwarded_for`), or take it out of `trusted`",
        ),
        (false, false) => findings.note(
            AREA,
            "it does not say who calls: for limits, networks and records every caller is the proxy",
            "have it set `X-Forwarded-For`, and list it in `trusted`",
        ),
    }
    let forged =
        [("x-forwarded-for", FORGED_ADDRESS), ("x-forwarded-proto", FORGED), ("x-request-id", FORGED)];
    let Outcome::Arrived(arrived) = proxy.send(&proxy.path(""), &forged).await? else {
        findings.good(AREA, "it refuses forged forwarded headers");
        return Ok(());
    };
    let last = arrived.all("x-forwarded-for").join(",");
    let last = last.rsplit(',').next().unwrap_or_default().trim();
    for (header, name, untouched) in [
        (ForwardedHeader::For, "X-Forwarded-For", last == FORGED_ADDRESS),
        (ForwardedHeader::Proto, "X-Forwarded-Proto", arrived.has("x-forwarded-proto", FORGED)),
        (ForwardedHeader::RequestId, "X-Request-Id", arrived.has("x-request-id", FORGED)),
    ] {
        let (level, todo) = match (untouched, believed(header)) {
            (false, _) => {
                findings.good(AREA, format!("a forged `{name}` does not arrive as the last word"));
                continue;
            }
            (true, true) => {
                (Level::Problem, "have the proxy set it itself, always; until then take it out of `trusted`")
            }
            (true, false) => (
                Level::Note,
                "it is not believed; have the proxy set it before it is ever listed in `trusted`",
            ),
        };
        findings.found(level, AREA, format!("it passes on `{name}` as its caller wrote it"), todo);
    }
    Ok(())
}

async fn credentials(proxy: &Proxy<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let bearer = format!("Bearer {FORGED}");
    let shown = [("authorization", bearer.as_str()), ("x-api-key", FORGED), ("cookie", "doctor=forged")];
    let Outcome::Arrived(arrived) = proxy.send(&proxy.path(""), &shown).await? else {
        let todo =
            "does the proxy ask for credentials of its own? then callers cannot show theirs to the gateway";
        findings.problem(AREA, "a request with credentials does not arrive", todo);
        return Ok(());
    };
    for (name, value) in shown {
        if arrived.all(name) != [value] {
            findings.problem(
                AREA,
                format!("`{name}` does not arrive as it was sent"),
                "callers cannot show their credential: have the proxy leave the field alone",
            );
        }
    }
    if shown.iter().all(|(name, value)| arrived.all(name) == [*value]) {
        findings.good(AREA, "credentials arrive as they were sent");
    }
    Ok(())
}

async fn identities(proxy: &Proxy<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let forged =
        ["countersign-principal", "remote-user", "x-forwarded-user", "x-auth-request-user", "remote_user"]
            .map(|name| (name, FORGED));
    match proxy.send(&proxy.path(""), &forged).await? {
        Outcome::Answered(status) => {
            findings.good(AREA, format!("forged identity headers are refused ({status})"))
        }
        Outcome::Arrived(arrived) => {
            let through: Vec<&str> =
                forged.iter().map(|(name, _)| *name).filter(|name| arrived.has(name, FORGED)).collect();
            findings.good(
                AREA,
                match through.as_slice() {
                    [] => "forged identity headers do not arrive".to_owned(),
                    some => {
                        format!("forged identity headers arrive ({}) and are dropped here", some.join(", "))
                    }
                },
            );
        }
    }
    Ok(())
}

/// Paths that two servers read in two ways.
const CROOKED: [(&str, &str); 10] = [
    ("a/../doctor", "dot segments"),
    ("./doctor", "a dot segment"),
    ("%2e%2e/doctor", "encoded dot segments"),
    ("/doctor", "a doubled slash"),
    ("a%2fdoctor", "an encoded slash"),
    ("a%5cdoctor", "an encoded backslash"),
    ("%64octor", "a letter that needs no encoding"),
    ("doctor;a=b", "a path parameter"),
    ("doctor%00", "an encoded NUL"),
    ("DOCTOR", "capital letters"),
];

async fn paths(proxy: &Proxy<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let (mut as_sent, mut changed) = (0, Vec::new());
    for (path, what) in CROOKED {
        let sent = proxy.path(path);
        match proxy.send(&sent, &[]).await? {
            Outcome::Answered(_) => {}
            // what it always puts before or takes away is no change
            Outcome::Arrived(arrived) if arrived.target.ends_with(path) => as_sent += 1,
            Outcome::Arrived(arrived) => changed.push(format!("{what}: `{sent}` as `{}`", arrived.target)),
        }
    }
    let refused = CROOKED.len() - as_sent - changed.len();
    let summary =
        format!("of {} crooked paths {as_sent} arrive as sent and {refused} are refused", CROOKED.len());
    if changed.is_empty() {
        findings.good(AREA, format!("{summary}; none is rewritten on the way"));
    } else {
        findings.note(
            AREA,
            format!("{summary}; rewritten are {}", changed.join(", ")),
            "the gateway judges and forwards what arrives, so nothing slips by it; where the proxy itself decides by \
             path, it decides about another one (nginx: `proxy_pass` without a URI passes the path as it came)",
        );
    }
    Ok(())
}

impl Proxy<'_> {
    /// Below the path that was named.
    fn path(&self, more: &str) -> String {
        if more.is_empty() {
            return self.url.path().to_owned();
        }
        format!("{}/{more}", self.url.path().trim_end_matches('/'))
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)]) -> Result<Outcome, Failure> {
        let sending = self.exchange(path, headers);
        let failed = |why: String| {
            Failure::failed(format!("`{}` cannot be asked: {why}", self.url))
                .todo("is it the address of your proxy, and does this machine reach it? `--ca FILE` vouches for its certificate")
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(outcome) => outcome.map_err(failed),
            Err(_) => Err(failed("no answer".to_owned())),
        }
    }

    async fn exchange(&self, path: &str, headers: &[(&str, &str)]) -> Result<Outcome, String> {
        let host = self.url.host_str().ok_or("it names no host")?;
        let port = self.url.port_or_known_default().ok_or("it names no port")?;
        let bare = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((bare, port)).await.map_err(|e| e.to_string())?;
        let authority = self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let mut request =
            Request::builder().method(Method::GET).uri(path.parse::<Uri>().map_err(|e| e.to_string())?);
        let (name, token) = &self.probe;
        for (name, value) in
            [("host", authority.as_str()), (name, token)].into_iter().chain(headers.iter().copied())
        {
            request = request.header(name, HeaderValue::from_str(value).map_err(|e| e.to_string())?);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
        match &self.roots {
            None => ask(stream, request).await,
            Some(roots) => {
                let name =
                    rustls::pki_types::ServerName::try_from(bare.to_owned()).map_err(|e| e.to_string())?;
                let connector = TlsConnector::from(roots.clone());
                let stream = connector.connect(name, stream).await.map_err(|e| super::network::root(&e))?;
                ask(stream, request).await
            }
        }
    }
}

/// On a connection of its own: what one request leads to says nothing about the next.
async fn ask<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Outcome, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let driving = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.map_err(|e| super::network::root(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|e| e.to_string())?;
        let arrived = serde_json::from_slice::<Arrived>(&body.to_bytes()).ok();
        Ok(arrived.map_or(Outcome::Answered(status), |arrived| Outcome::Arrived(Box::new(arrived))))
    }
    .await;
    driving.abort();
    answer
}
