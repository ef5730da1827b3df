//! What depends on this request and this route, judged on every request, cached or not: time, audience, network, and
//! whatever this use must prove. (Transport was judged before anything was looked up, RULES 1.7.)

use super::{
    Case,
    decision::{Denial, DenialKind, Known, Refused, first_of},
};
use crate::{MethodName, Refusal, authenticator::Confirmation};

/// Every credential that was presented must hold, not only those that turn out to be needed.
pub(super) async fn hold(case: &Case<'_>, known: &[Known]) -> Result<(), Refused> {
    let mut refused = None;
    for known in known {
        for failed in
            [time(case, known), audience(case, known), network(case, known), proof(case, known).await]
        {
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
