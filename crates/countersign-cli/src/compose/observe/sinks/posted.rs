//! What is posted to somebody: records as a signed webhook, spans as OTLP. Both leave by `server/egress` (RULES 3.7), from a
//! thread that may wait.

use crate::{compose::World, config::Webhook};
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_crypto::{SecretBytes, hash::hmac_sha256, random_id};
use countersign_gateway::RecordSink;
use countersign_server::egress::Egress;
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use std::{io, time::Duration};
use tokio::{runtime::Handle, time::Instant};
use url::Url;

/// Before the second try and the third.
const AGAIN: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// A receiver that failed is left alone for so long, and longer each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) fn records(webhook: &Webhook, egress: Egress, world: World) -> Box<dyn RecordSink> {
    let Webhook { url, secret } = webhook.clone();
    Box::new(Records { secret, world, receiver: Receiver::new(url, egress) })
}

pub(super) fn spans(to: &Url, egress: Egress) -> Box<dyn RecordSink> {
    Box::new(Spans { receiver: Receiver::new(to.clone(), egress) })
}

/// One party, and how it is.
struct Receiver {
    url: Url,
    egress: Egress,
    runtime: Handle,
    /// Not before then.
    rests_until: Option<Instant>,
    pause: Duration,
}

impl Receiver {
    fn new(url: Url, egress: Egress) -> Self {
        Self { url, egress, runtime: Handle::current(), rests_until: None, pause: PAUSE }
    }

    fn deliver(&mut self, headers: &HeaderMap, body: &[u8]) -> io::Result<()> {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return Err(io::Error::other("it failed a moment ago"));
        }
        let delivered = self.runtime.block_on(self.attempts(headers, body));
        match delivered {
            Ok(()) => (self.rests_until, self.pause) = (None, PAUSE),
            Err(_) => {
                self.rests_until = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
        delivered.map_err(io::Error::other)
    }

    async fn attempts(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
        let mut pauses = AGAIN.into_iter();
        loop {
            let why = match self.egress.post(&self.url, headers.clone(), body.to_vec()).await {
                Ok(status) if status.is_success() => return Ok(()),
                Ok(status) => {
                    let why = format!("it answers {status}");
                    if !is_passing(status) {
                        return Err(why);
                    }
                    why
                }
                Err(error) => error.to_string(),
            };
            let Some(pause) = pauses.next() else { return Err(why) };
            tokio::time::sleep(pause).await;
        }
    }
}

/// What may be otherwise in a moment.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// As <https://www.standardwebhooks.com> has it.
struct Records {
    secret: SecretBytes,
    world: World,
    receiver: Receiver,
}

impl RecordSink for Records {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        let now = self.world.clock.now().as_seconds();
        let written = jiff::Timestamp::from_second(now).unwrap_or_default();
        let head = format!("{{\"type\":\"countersign.decisions\",\"timestamp\":\"{written}\",\"data\":[");
        let body = list(head.as_bytes(), lines, b"]}");
        let id = format!("msg_{}", random_id(&*self.world.entropy, 24));
        let seconds = now.to_string();
        let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", &body];
        let signature = format!("v1,{}", STANDARD.encode(hmac_sha256(self.secret.expose(), &signed)));
        let mut headers = of_json();
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", seconds), ("webhook-signature", signature)]
        {
            headers.insert(name, HeaderValue::try_from(value).map_err(io::Error::other)?);
        }
        self.receiver.deliver(&headers, &body)
    }
}

/// OTLP 1.x over HTTP, in JSON.
struct Spans {
    receiver: Receiver,
}

const RESOURCE: &str = concat!(
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"countersign"}},"#,
    r#"{"key":"service.version","value":{"stringValue":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}]},"scopeSpans":[{"scope":{"name":"countersign"},"spans":["#,
);

impl RecordSink for Spans {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        let body = list(RESOURCE.as_bytes(), lines, b"]}]}]}");
        self.receiver.deliver(&of_json(), &body)
    }
}

fn of_json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// Each line is an object.
fn list(head: &[u8], lines: &[u8], tail: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(head.len() + lines.len() + tail.len());
    body.extend_from_slice(head);
    for (n, line) in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).enumerate() {
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(line);
    }
    body.extend_from_slice(tail);
    body
}
