//! `POST /.countersign/session/refresh`: the next refresh token in the place of this one, and an access token (RULES 4.2). By the
//! body, or by the cookie of a page of ours.

use super::tokens;
use crate::{
    call::{Answer, Facts},
    problem::Problem,
    services::{Sessions, network_of},
    words::read,
};
use countersign_core::check::cookie;
use countersign_crypto::SecretString;
use countersign_methods::session::{
    issue::{RefreshPlace, Refreshed, from_network},
    record::SessionRecord,
};

pub(crate) async fn refresh(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut body = facts.members_if_any()?;
    let token = body.optional("refresh_token", read::text);
    body.finish(Some(()))?;
    if let Some(token) = token {
        let refreshed = of(&facts, &sessions, token.as_bytes(), RefreshPlace::Body).await?;
        return tokens::native(&sessions, &refreshed.record, &refreshed.refresh, facts.now);
    }
    let Some((token, place)) = in_cookie(&facts) else {
        let (services, network) = (&facts.services, network_of(facts.peer.address));
        services.charge("refreshes without a token from this network", &network, &services.limits.login)?;
        return Err(Problem::malformed(
            "there is no `refresh_token` in the body and no cookie that holds one; sign in first",
        ));
    };
    facts.demand_own_page()?;
    let refreshed = of(&facts, &sessions, token, place).await?;
    let mut response = tokens::opened(&refreshed.record)?;
    tokens::set(&mut response, &sessions, &refreshed.record, (None, Some(&refreshed.refresh)), facts.now)?;
    Ok(response)
}

/// Of a browser that comes to the login page with a refresh token; `None`: it has none. On its own way there that is a refresh
/// like any other, so that of two who have the token one is found out (RFC 9700 4.14.2). Where another site sent it, or nobody may
/// be waiting for the answer, it gets a new access token and keeps what it has.
pub(super) async fn on_the_way(
    facts: &Facts,
    sessions: &Sessions,
) -> Option<Result<(SessionRecord, Option<SecretString>), Problem>> {
    let (token, place) = in_cookie(facts)?;
    Some(if facts.is_own_navigation() {
        of(facts, sessions, token, place).await.map(|of| (of.record, Some(of.refresh)))
    } else {
        renewed(facts, sessions, token, place).await.map(|record| (record, None))
    })
}

async fn renewed(
    facts: &Facts,
    sessions: &Sessions,
    token: &[u8],
    place: RefreshPlace<'_>,
) -> Result<SessionRecord, Problem> {
    charge(facts, sessions, token)?;
    let caller = from_network(facts.peer.address, facts.request);
    Ok(sessions.issuer.renew(token, place, &caller, facts.now).await?)
}

fn in_cookie(facts: &Facts) -> Option<(&[u8], RefreshPlace<'_>)> {
    let token = facts.cookie(cookie::REFRESH)?;
    Some((token, RefreshPlace::Cookie { host: facts.authority().unwrap_or_default() }))
}

/// Made-up tokens never reach the store, and what bears our mark was given out: there is nothing to guess. But each refresh is
/// written down, and so a session has a number of them.
fn charge(facts: &Facts, sessions: &Sessions, token: &[u8]) -> Result<(), Problem> {
    let Some((_, Some(session))) = sessions.issuer.recognise(token) else { return Ok(()) };
    let services = &facts.services;
    services.charge("refreshes of this session", session.as_str().as_bytes(), &services.limits.refresh)
}

async fn of(
    facts: &Facts,
    sessions: &Sessions,
    token: &[u8],
    place: RefreshPlace<'_>,
) -> Result<Refreshed, Problem> {
    charge(facts, sessions, token)?;
    let caller = from_network(facts.peer.address, facts.request);
    let refreshed = sessions.issuer.refresh(token, place, &caller, facts.now).await;
    Ok(refreshed.inspect_err(|_| {
        tracing::info!(request = %facts.request, peer = %facts.peer.address, "a refresh was refused");
    })?)
}
