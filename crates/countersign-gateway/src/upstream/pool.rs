//! Connections to one upstream, kept by one worker.
//!
//! A connection comes back only after its request went out whole and its answer was read to the end: bytes that are
//! still under way would be read as the next caller's answer. Everything else is closed.

use super::body::Upload;
use crate::config::Timeouts;
use http::HeaderValue;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    net::TcpStream,
    task::{AbortHandle, spawn_local},
    time::Instant,
};

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Without brackets, for the resolver.
    host: Arc<str>,
    port: u16,
    authority: HeaderValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    #[error("the url is not `http://host[:port]`")]
    Grammar,
    #[error("only http:// upstreams are supported")]
    Scheme,
    #[error("the url has a path or query; what is forwarded is exactly the target that was judged")]
    Path,
}

impl Origin {
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        let uri: http::Uri = url.parse().map_err(|_| OriginError::Grammar)?;
        let authority = uri.authority().ok_or(OriginError::Grammar)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::Grammar),
        }
        if uri.path_and_query().is_some_and(|p| p.as_str() != "/") {
            return Err(OriginError::Path);
        }
        let host = authority.host();
        // what is left of an authority besides host and port is userinfo, and a port that is no number
        let rest = authority.as_str().strip_prefix(host).ok_or(OriginError::Grammar)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or(OriginError::Grammar)?,
            None if rest.is_empty() && !host.is_empty() => 80,
            None => return Err(OriginError::Grammar),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let authority = HeaderValue::try_from(authority.as_str()).map_err(|_| OriginError::Grammar)?;
        Ok(Self { host: bare.into(), port, authority })
    }

    /// For the Host field.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }
}

pub(crate) struct Pool {
    origin: Origin,
    /// Newest last: the one used last is the one least likely to have gone stale.
    idle: RefCell<Vec<Idle>>,
    most_idle: usize,
    timeouts: Timeouts,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// One connection: the end to send on, and the task that drives it.
struct Link {
    sender: SendRequest<Upload>,
    driver: AbortHandle,
}

#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("connect: {0}")]
    Io(std::io::Error),
    #[error("connect timed out")]
    Timeout,
    #[error("handshake: {0}")]
    Http(hyper::Error),
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(origin: Origin, most_idle: usize, timeouts: Timeouts) -> Rc<Self> {
        Rc::new(Self { origin, idle: RefCell::default(), most_idle, timeouts })
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// A connection that was used before and is ready now.
    pub(crate) fn reuse(self: &Rc<Self>) -> Option<Lease> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        let mut busy = Vec::new();
        let found = loop {
            let Some(candidate) = idle.pop() else { break None };
            if candidate.link.sender.is_closed() || is_old(&candidate, now, self.timeouts.idle_upstream) {
                continue;
            }
            if candidate.link.sender.is_ready() {
                break Some(candidate.link);
            }
            // its driver has yet to see that the last exchange is over
            busy.push(candidate);
        };
        idle.append(&mut busy);
        drop(idle);
        found.map(|link| Lease { pool: self.clone(), link: Some(link) })
    }

    pub(crate) async fn connect(self: &Rc<Self>) -> Result<Lease, ConnectError> {
        let Origin { host, port, .. } = &self.origin;
        let connecting = TcpStream::connect((&**host, *port));
        let stream = tokio::time::timeout(self.timeouts.connect, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(ConnectError::Io)?;
        stream.set_nodelay(true).map_err(ConnectError::Io)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(RESPONSE_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Http)?;
        let driver = spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream connection ended");
            }
        });
        let driver = driver.abort_handle();
        sender.ready().await.map_err(ConnectError::Http)?;
        Ok(Lease { pool: self.clone(), link: Some(Link { sender, driver }) })
    }

    pub(crate) fn sweep(&self, now: Instant) {
        let patience = self.timeouts.idle_upstream;
        self.idle.borrow_mut().retain(|i| !i.link.sender.is_closed() && !is_old(i, now, patience));
    }

    fn take_back(&self, link: Link) {
        let mut idle = self.idle.borrow_mut();
        if link.sender.is_closed() || idle.len() >= self.most_idle {
            return;
        }
        idle.push(Idle { link, since: Instant::now() });
    }
}

const RESPONSE_BUFFER: usize = 128 * 1024;

fn is_old(idle: &Idle, now: Instant, patience: Duration) -> bool {
    now.duration_since(idle.since) >= patience
}

/// A connection in use. Dropped, it closes; only [`Lease::give_back`] keeps it.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    link: Option<Link>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn sender(&mut self) -> Option<&mut SendRequest<Upload>> {
        self.link.as_mut().map(|link| &mut link.sender)
    }

    /// Only after the exchange was read and written to its end.
    pub(crate) fn give_back(mut self) {
        if let Some(link) = self.link.take() {
            self.pool.take_back(link);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            link.driver.abort();
        }
    }
}
