//! What depends on this request and this route, judged on every request, cached or not: time, audience, network, and
//! whatever this use must prove. (Transport was judged before anything was looked up, RULES 1.7.)

use super::{
    Case,
    decision::{Denial, DenialKind, Known, Refused, first_of},
    request::{One, Transport},
    route::CorsOrigins,
};
use crate::{MethodName, Refusal, authenticator::Confirmation};
use http::{
    HeaderName, Method,
    header::{ORIGIN, UPGRADE},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Every credential that was presented must hold, not only those that turn out to be needed.
pub(super) async fn hold(case: &Case<'_>, known: &[Known]) -> Result<(), Refused> {
    let mut refused = None;
    for known in known {
        for failed in [
            time(case, known),
            audience(case, known),
            network(case, known),
            origin(case, known),
            proof(case, known).await,
        ] {
            if let Err(denial) = failed {
                refused = first_of(refused, denial);
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

fn time(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    let authentication = &known.authentication;
    if authentication.not_before.is_some_and(|at| case.now < at) {
        return Err(Denial::refused(DenialKind::Unauthenticated, "credential_invalid", "not valid yet"));
    }
    if authentication.expires_at.is_some_and(|at| case.now >= at) {
        let code =
            if authentication.method == MethodName::ApiKey { "key_expired" } else { "credential_invalid" };
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
/// changes something is refused.
fn origin(case: &Case<'_>, known: &Known) -> Result<(), Refused> {
    if !matches!(known.authentication.method, MethodName::Basic | MethodName::Mtls) {
        return Ok(());
    }
    let request = &case.request;
    let safe = matches!(*request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if safe && request.headers.one(&UPGRADE) == One::Absent {
        return Ok(());
    }
    let foreign = match request.headers.one(&ORIGIN) {
        One::Absent => match request.headers.one(&SEC_FETCH_SITE) {
            One::Absent => false,
            One::Single(site) => !matches!(site, b"same-origin" | b"none"),
            One::Doubled => true,
        },
        One::Single(origin) => !is_own(case, origin) && !is_listed(case, origin),
        One::Doubled => true,
    };
    if !foreign {
        return Ok(());
    }
    Err(Denial::refused(DenialKind::Forbidden, "origin_not_allowed", "from a page of a foreign origin"))
}

fn is_own(case: &Case<'_>, origin: &[u8]) -> bool {
    let scheme: &[u8] = if case.request.peer.transport == Transport::Tls { b"https://" } else { b"http://" };
    let default: &[u8] = if case.request.peer.transport == Transport::Tls { b":443" } else { b":80" };
    let authority = case.asked.authority.as_bytes();
    let authority = authority.strip_suffix(default).unwrap_or(authority);
    origin.strip_prefix(scheme) == Some(authority)
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
