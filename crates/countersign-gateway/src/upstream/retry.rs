//! One request to one of the upstream's addresses, and to another one when it certainly never reached the first.

use super::{
    balance::Upstream,
    body::{Exchange, Progress, Upload},
    config::Protocol,
    forward::Failure,
    health::Fault,
    pool::{Lease, Pool},
};
use http::{HeaderValue, Request, Response, Uri, Version, header::HOST, uri::Authority};
use hyper::body::Incoming;
use std::{net::SocketAddr, pin::pin, rc::Rc};
use tokio::time::{Instant, sleep_until};

/// Addresses tried for one request: whoever calls has waited for each of them.
const MOST_ADDRESSES: usize = 3;

/// On a connection that was used before, or else on a new one. What hyper hands back unsent is sent once more; what
/// may have reached an upstream never is.
pub(crate) async fn send(
    upstream: &Rc<Upstream>,
    mut request: Request<Upload>,
    exchange: &Exchange,
    own_name: bool,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let slot = upstream.enter().await?;
    upstream.resolve().await.map_err(Failure::Connect)?;
    let given = request.headers().get(HOST).cloned();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = Failure::Unsent;
    while tried.len() < MOST_ADDRESSES {
        let Some(mut chosen) = upstream.choose(&tried) else { break };
        let pool = chosen.pool().clone();
        let name = match &given {
            Some(given) if !own_name => given.clone(),
            _ => pool.authority().clone(),
        };
        address(&mut request, &pool, name);
        chosen = match chosen.reuse() {
            Err(chosen) => chosen,
            Ok(lease) => match attempt(lease, request, exchange).await {
                Ok(answer) => return Ok(keep(answer, slot)),
                // it was closed while it was idle, which says nothing about the address
                Err(Attempt::Unsent(back)) => {
                    request = *back;
                    pool.choose()
                }
                Err(Attempt::Failed(failure)) => return Err(failure),
            },
        };
        tried.push(pool.address());
        let lease = match chosen.connect().await {
            Ok(lease) => lease,
            Err(error) => {
                last = Failure::Connect(error);
                continue;
            }
        };
        match attempt(lease, request, exchange).await {
            Ok(answer) => return Ok(keep(answer, slot)),
            Err(Attempt::Unsent(back)) => {
                pool.health().failed(Fault::Exchange, Instant::now());
                request = *back;
                last = Failure::Unsent;
            }
            Err(Attempt::Failed(failure)) => {
                if matches!(failure, Failure::Exchange(_) | Failure::FirstByte) {
                    pool.health().failed(Fault::Exchange, Instant::now());
                }
                return Err(failure);
            }
        }
    }
    Err(last)
}

/// Whom the request names: the Host field, or in HTTP/2 scheme and authority of the target (RFC 9113 8.3.1).
pub(crate) fn address(request: &mut Request<Upload>, pool: &Pool, name: HeaderValue) {
    if pool.protocol() == Protocol::Http1 {
        request.headers_mut().insert(HOST, name);
        return;
    }
    request.headers_mut().remove(HOST);
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(pool.scheme().clone());
    parts.authority = Authority::try_from(name.as_bytes()).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = Version::HTTP_2;
}

fn keep(
    (response, mut lease): (Response<Incoming>, Lease),
    slot: super::gate::Slot,
) -> (Response<Incoming>, Lease) {
    lease.hold(slot);
    (response, lease)
}

enum Attempt {
    Unsent(Box<Request<Upload>>),
    Failed(Failure),
}

async fn attempt(
    mut lease: Lease,
    request: Request<Upload>,
    exchange: &Exchange,
) -> Result<(Response<Incoming>, Lease), Attempt> {
    let patience = lease.pool().timeouts().first_byte;
    let outcome = {
        let Some(link) = lease.link() else { return Err(Attempt::Unsent(Box::new(request))) };
        let mut sending = pin!(link.send(request));
        let mut deadline = exchange.moved() + patience;
        loop {
            tokio::select! {
                biased;
                outcome = &mut sending => break outcome,
                () = sleep_until(deadline) => {}
            }
            // a caller that is slow to send has its own clock, in its body; the upstream's starts after the last move
            let moved = match exchange.progress() {
                Progress::AwaitsCaller => Instant::now(),
                _ => exchange.moved(),
            };
            if moved + patience <= deadline {
                return Err(Attempt::Failed(Failure::FirstByte));
            }
            deadline = moved + patience;
        }
    };
    match outcome {
        Ok(response) => Ok((response, lease)),
        Err(mut error) => Err(match (exchange.progress(), error.take_message()) {
            (Progress::Failed(fault), _) => Attempt::Failed(Failure::Upload(fault)),
            (_, Some(request)) => Attempt::Unsent(Box::new(request)),
            (_, None) => Attempt::Failed(Failure::Exchange(error.into_error())),
        }),
    }
}
