//! One request to one of the upstream's addresses, and to another one when it certainly never reached the first.

use super::{
    balance::Upstream,
    body::{Answer, Exchange, ExchangeError, Progress},
    dial::Link,
    forward::Failure,
    health::Fault,
    http1,
    outbound::Outbound,
    pool::Lease,
};
use crate::{response::Response, worker::after_the_others};
use http::{header::HOST, uri::Scheme};
use std::{future::Future, net::SocketAddr, pin::pin, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Addresses tried for one request: whoever calls has waited for each of them.
const MOST_ADDRESSES: usize = 3;

/// On a connection that was used before, or else on a new one. What comes back unsent is sent once more; what may have
/// reached an upstream never is.
pub(crate) async fn send(
    upstream: &Rc<Upstream>,
    request: &mut Option<Outbound>,
    exchange: &Exchange,
    own_name: bool,
) -> Result<(Response<Answer>, Lease), Failure> {
    let slot = upstream.enter().await?;
    upstream.resolve().await.map_err(Failure::Connect)?;
    // otherwise whom the request names is the address that was chosen for it
    let is_named = !own_name && request.as_ref().is_some_and(|request| request.fields.contains(&HOST));
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut last = Failure::Unsent;
    while tried.len() < MOST_ADDRESSES {
        let Some(mut chosen) = upstream.choose(&tried) else { break };
        let pool = chosen.pool().clone();
        if let (Some(request), false) = (&mut *request, is_named)
            && request.fields.get(&HOST) != Some(pool.authority().as_bytes())
        {
            request.fields.insert(&HOST, pool.authority());
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
    request: &mut Option<Outbound>,
    exchange: &Exchange,
) -> Result<(Response<Answer>, Lease), Attempt> {
    let Some(link) = lease.link() else { return Err(Attempt::Unsent) };
    let pool = lease.pool();
    let sent = in_time(pool.timeouts().first_byte, exchange, send_on(link, pool.scheme(), request)).await;
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
    scheme: &Scheme,
    place: &mut Option<Outbound>,
) -> Result<Response<Answer>, Unanswered> {
    let Some(request) = place.take() else { return Err(Unanswered::Unsent) };
    match link {
        Link::Http1(mut wire) => {
            wire.begin(request);
            after_the_others().await;
            match wire.answer().await {
                Ok((status, fields)) => {
                    Ok(Response { status, fields, body: Answer::Http1(http1::Answer(wire)) })
                }
                Err(http1::Ended::Unsent(request)) => {
                    *place = Some(*request);
                    Err(Unanswered::Unsent)
                }
                Err(http1::Ended::Failed(fault)) => Err(Unanswered::Failed(ExchangeError::Http1(fault))),
            }
        }
        Link::Http2(mut sender) => match sender.try_send_request(request.into_http2(scheme)).await {
            Ok(response) => Ok(Response::from(response).map(|body| Answer::Http2 { body, _sender: sender })),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => {
                    *place = Some(Outbound::from_http2(request));
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
