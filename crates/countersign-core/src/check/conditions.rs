//! What depends on this request and this route, judged on every request, cached or not: time, audience, network, and
//! whatever this use must prove. (Transport was judged before anything was looked up, RULES 1.7.)

use super::{
    Case,
    authenticate::is_stale,
    decision::{Denial, DenialKind, Known, Refused, first_of},
    origin::Asking,
    request::{CheckRequest, One},
    route::CorsOrigins,
};
use crate::{Authentication, MethodName, Place, Refusal, authenticator::Confirmation};
use http::{
    Method,
    header::{SEC_WEBSOCKET_VERSION, UPGRADE},
};

/// Every credential that was presented must hold, not only those that turn out to be needed; but a stale cookie was not
/// presented, and goes (RULES 1.6).
pub(super) async fn hold(case: &Case<'_>, known: &mut Vec<Known>) -> Result<(), Refused> {
    let mut refused = None;
    let mut at = 0;
    while let Some(one) = known.get(at) {
        match failed(case, one).await {
            Some(denial) if is_stale(one.authentication.place, &denial) => {
                known.remove(at);
                continue;
            }
            Some(denial) => refused = first_of(refused, denial),
            None => {}
        }
        at += 1;
    }
    refused.map_or(Ok(()), Err)
}

async fn failed(case: &Case<'_>, known: &Known) -> Option<Refused> {
    let conditions = [
        time(case, known),
        audience(case, known),
        network(case, known),
        origin(case, known),
        proof(case, known).await,
    ];
    conditions.into_iter().filter_map(Result::err).fold(None, first_of)
}

fn time(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let authentication = &known.authentication;
    if authentication.not_before.is_some_and(|at| case.now < at) {
        return Err(Denial::refused(DenialKind::Unauthenticated, "credential_invalid", "not valid yet"));
    }
    if authentication.expires_at.is_some_and(|at| case.now >= at) {
        let code = match authentication.method {
            MethodName::ApiKey => "key_expired",
            // a person's own has no end
            MethodName::Basic => "app_password_expired",
            MethodName::Jwt => "token_expired",
            _ => "credential_invalid",
        };
        return Err(Denial::refused(DenialKind::Unauthenticated, code, "expired"));
    }
    Ok(())
}

/// RULES 1.5: good for another resource is not good here (RFC 6750 3.1: invalid_token).
fn audience(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let Some(audiences) = &known.authentication.audiences else { return Ok(()) };
    let resource = case.compiled.route.resource.as_ref();
    if resource.is_some_and(|resource| audiences.contains(resource)) {
        return Ok(());
    }
    Err(Denial::refused(DenialKind::Unauthenticated, "credential_invalid", "for another audience"))
}

fn network(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let networks = &known.authentication.networks;
    let address = case.request.peer.address.to_canonical();
    if networks.is_empty() || networks.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    Err(Denial::refused(DenialKind::Forbidden, "network_not_allowed", "from a network it is not for"))
}

/// RULES 1.6: a browser sends a password that it remembers, whoever's page asks. Where it says that a foreign one does, what
/// changes something is refused. A session needs the browser's word that the page is ours: every browser that keeps our
/// cookies gives it.
fn origin(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let request = &case.request;
    let authentication = &known.authentication;
    let safe = matches!(*request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_ambient(authentication) || (safe && !is_upgrade(request)) {
        return Ok(());
    }
    let asking = Asking {
        headers: request.headers,
        authority: &case.asked.authority,
        transport: request.peer.transport,
    };
    let is_listed = |origin: &[u8]| is_listed(case, origin);
    let (refused, reason) = if authentication.place == Place::Cookie {
        (!asking.is_vouched_for(is_listed), "a session, and nothing says that the page is of this origin")
    } else {
        (asking.is_foreign(is_listed), "from a page of a foreign origin")
    };
    if !refused {
        return Ok(());
    }
    Err(Denial::refused(DenialKind::Forbidden, "origin_not_allowed", reason))
}

/// Does a browser add it by itself? It remembers a key in a password's place as it does any password.
fn is_ambient(known: &Authentication) -> bool {
    matches!(known.method, MethodName::Basic | MethodName::Mtls)
        || matches!(known.place, Place::Password | Place::Cookie)
}

/// A WebSocket over HTTP/2 has no `Upgrade` (RFC 8441 5), and a proxy that only asks for a decision does not pass it on; the
/// version is always there (RFC 6455 4.1).
fn is_upgrade(request: &CheckRequest<'_>) -> bool {
    [&UPGRADE, &SEC_WEBSOCKET_VERSION].into_iter().any(|name| request.headers.one(name) != One::Absent)
}

fn is_listed(case: &Case<'_>, origin: &[u8]) -> bool {
    match case.compiled.route.cors.as_ref().map(|cors| &cors.origins) {
        Some(CorsOrigins::Of(origins)) => origins.iter().any(|listed| listed.as_bytes() == origin),
        // whoever lets any page read lets none act
        Some(CorsOrigins::Any) | None => false,
    }
}

async fn proof(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let Some(room) = case.point.room(known.authentication.method) else { return Ok(()) };
    let answer = match room.confirm(&known.authentication, &case.request, case.now) {
        Confirmation::Done(answer) => answer.map_err(Refusal::Rejected),
        Confirmation::Wait(answer) => answer.await,
    };
    answer.map_err(|refusal| match refusal {
        Refusal::Rejected(rejection) => Denial::rejected(&rejection),
        Refusal::Unavailable => Denial::unavailable("a proof could not be checked"),
    })
}
