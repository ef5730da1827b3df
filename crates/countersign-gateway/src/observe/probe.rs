//! A request that shows a token which an operator just asked for is answered with what arrived: so that somebody can look
//! through their own proxy from its far side. Nothing is judged and nothing forwarded; who has the token learns what
//! they sent.

use crate::enforce::reverse_proxy::Request;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use countersign_core::{
    Timestamp,
    check::request::{Peer, Transport},
};
use countersign_crypto::constant_time;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;
use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Carries the token.
pub const PROBE: HeaderName = HeaderName::from_static("countersign-probe");

#[derive(Default)]
pub struct Probe {
    /// Asked on every request, so that it must cost nothing while nobody probes.
    is_armed: AtomicBool,
    armed: ArcSwapOption<Armed>,
}

struct Armed {
    token: Box<str>,
    until: Timestamp,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("is_armed", &self.is_armed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// What arrived, before anything of it was dropped.
#[derive(Serialize)]
struct Arrived<'r> {
    probe: bool,
    peer: IpAddr,
    transport: &'static str,
    method: &'r str,
    target: String,
    headers: Vec<(Cow<'r, str>, Cow<'r, str>)>,
}

impl Probe {
    /// In the place of the token before.
    pub fn arm(&self, token: &str, until: Timestamp) {
        self.armed.store(Some(Arc::new(Armed { token: token.into(), until })));
        self.is_armed.store(true, Ordering::Release);
    }

    /// `now` is asked for only where somebody probes.
    pub(crate) fn answer(
        &self,
        request: &Request,
        peer: Peer,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Response<Full<Bytes>>> {
        if !self.is_armed.load(Ordering::Acquire) {
            return None;
        }
        let shown = request.fields.get(&PROBE)?;
        let armed = self.armed.load_full()?;
        if now() >= armed.until {
            self.is_armed.store(false, Ordering::Release);
            return None;
        }
        constant_time::equal(shown, armed.token.as_bytes()).then(|| arrived(request, peer))
    }
}

fn arrived(request: &Request, peer: Peer) -> Response<Full<Bytes>> {
    let arrived = Arrived {
        probe: true,
        peer: peer.address,
        transport: match peer.transport {
            Transport::Tls => "tls",
            Transport::PlainTrusted => "plain, on this machine",
            Transport::Plain => "plain",
        },
        method: request.method.as_str(),
        target: request.uri.to_string(),
        headers: request
            .fields
            .iter()
            .filter(|(name, _)| *name != PROBE.as_str().as_bytes())
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
            .collect(),
    };
    let body = serde_json::to_vec(&arrived).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
