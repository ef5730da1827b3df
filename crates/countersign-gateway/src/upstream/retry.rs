//! One request to one of the upstream's addresses, and to another one when it certainly never reached the first.

use super::{
    balance::Upstream,
    body::{Answer, Exchange, ExchangeError, Progress, Upload},
    config::Protocol,
    dial::Link,
    forward::Failure,
    health::Fault,
    http1,
    pool::{Lease, Pool},
};
use crate::worker::after_the_others;
use http::{HeaderValue, Request, Response, Uri, Version, header::HOST, uri::Authority};
use std::{future::Future, net::SocketAddr, pin::pin, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Addresses tried for one request: whoever calls has waited for each of them.
const MOST_ADDRESSES: usize = 3;

/// On a connection that was used before, or else on a new one. What comes back unsent is sent once more; what may have
/// reached an upstream never is.
pub(crate) async fn send(
    upstream: &Rc<Upstream>,
    request: &mut Option<Request<Upload>>,
    exchange: &Exchange,
    own_name: bool,
) -> Result<(Response<Answer>, Lease), Failure> {
    let slot = upstream.enter().await?;
    upstream.resolve().await.map_err(Failure::Connect)?;
    let given = request.as_ref().and_then(|request| request.headers().get(HOST)).cloned();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = Failure::Unsent;
    while tried.len() < MOST_ADDRESSES {
        let Some(mut chosen) = upstream.choose(&tried) else { break };
        let pool = chosen.pool().clone();
        let name = match &given {
            Some(given) if !own_name => given.clone(),
            _ => pool.authority().clone(),
        };
        if let Some(request) = request {
            address(request, &pool, name);
        }
        chosen = match chosen.reuse() {
            Err(chosen) => chosen,
            Ok(lease) => match attempt(lease, request, exchange).await {
                Ok(answer) => return Ok(keep(answer, slot)),
                // it was closed while it was idle, which says nothing about the address
                Err(Attempt::Unsent) => pool.choose(),
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
            Err(Attempt::Unsent) => {
                pool.health().failed(Fault::Exchange, Instant::now());
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
    (response, mut lease): (Response<Answer>, Lease),
    slot: super::gate::Slot,
) -> (Response<Answer>, Lease) {
    lease.hold(slot);
    (response, lease)
}

/// Unsent, the request is back where it was taken from.
enum Attempt {
    Unsent,
    Failed(Failure),
}

async fn attempt(
    mut lease: Lease,
    request: &mut Option<Request<Upload>>,
    exchange: &Exchange,
) -> Result<(Response<Answer>, Lease), Attempt> {
    let Some(link) = lease.link() else { return Err(Attempt::Unsent) };
    let sent = in_time(lease.pool().timeouts().first_byte, exchange, send_on(link, request)).await;
    match sent {
        Some(Ok(response)) => Ok((response, lease)),
        Some(Err(unanswered)) => Err(match (exchange.progress(), unanswered) {
            (Progress::Failed(fault), _) => Attempt::Failed(Failure::Upload(fault)),
            (_, Unanswered::Unsent) => Attempt::Unsent,
            (_, Unanswered::Failed(error)) => Attempt::Failed(Failure::Exchange(error)),
        }),
        None => Err(Attempt::Failed(Failure::FirstByte)),
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    Unsent,
    Failed(ExchangeError),
}

/// Takes the request out of its place, and puts it back if nothing of it was sent.
pub(crate) async fn send_on(
    link: Link,
    place: &mut Option<Request<Upload>>,
) -> Result<Response<Answer>, Unanswered> {
    let Some(request) = place.take() else { return Err(Unanswered::Unsent) };
    match link {
        Link::Http1(mut wire) => {
            wire.begin(request);
            after_the_others().await;
            match wire.answer().await {
                Ok(parts) => Ok(Response::from_parts(parts, Answer::Http1(http1::Answer(wire)))),
                Err(http1::Ended::Unsent(request)) => {
                    *place = Some(*request);
                    Err(Unanswered::Unsent)
                }
                Err(http1::Ended::Failed(fault)) => Err(Unanswered::Failed(ExchangeError::Http1(fault))),
            }
        }
        Link::Http2(mut sender) => match sender.try_send_request(request).await {
            Ok(response) => Ok(response.map(|body| Answer::Http2 { body, _sender: sender })),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => {
                    *place = Some(request);
                    Unanswered::Unsent
                }
                None => Unanswered::Failed(ExchangeError::Http2(error.into_error())),
            }),
        },
    }
}

/// `None`: the upstream moved nothing for so long.
async fn in_time<F: Future>(patience: Duration, exchange: &Exchange, sending: F) -> Option<F::Output> {
    let mut sending = pin!(sending);
    let mut deadline = exchange.moved() + patience;
    loop {
        tokio::select! {
            biased;
            outcome = &mut sending => return Some(outcome),
            () = sleep_until(deadline) => {}
        }
        // a caller that is slow to send has its own clock, in its body; the upstream's starts after the last move
        let moved = match exchange.progress() {
            Progress::AwaitsCaller => Instant::now(),
            _ => exchange.moved(),
        };
        if moved + patience <= deadline {
            return None;
        }
        deadline = moved + patience;
    }
}
