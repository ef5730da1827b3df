//! `POST /.countersign/session/refresh`: the next refresh token in the place of this one, and an access token (RULES 4.2). By the
//! body, or by the cookie of a page of ours.

use super::tokens;
use crate::{
    call::{Answer, Facts},
    problem::Problem,
    services::network_of,
    words::read,
};
use countersign_core::check::cookie;
use countersign_methods::session::issue::from_network;

pub(crate) async fn refresh(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut body = facts.members_if_any()?;
    let token = body.optional("refresh_token", read::text);
    body.finish(Some(()))?;
    let services = &facts.services;
    let caller = from_network(facts.peer.address, facts.request);
    if let Some(token) = token {
        let refreshed = sessions.issuer.refresh(token.as_bytes(), &caller, facts.now).await;
        let refreshed = refreshed.inspect_err(|_| note_refused(&facts))?;
        return tokens::native(&sessions, &refreshed.record, &refreshed.refresh, facts.now);
    }
    let network = network_of(facts.peer.address);
    let Some(token) = facts.cookie(cookie::REFRESH) else {
        services.charge("refreshes without a token from this network", &network, &services.limits.login)?;
        return Err(Problem::malformed(
            "there is no `refresh_token` in the body and no cookie that holds one; sign in first",
        ));
    };
    facts.demand_own_page()?;
    let refreshed = sessions.issuer.refresh(token, &caller, facts.now).await;
    let refreshed = refreshed.inspect_err(|_| note_refused(&facts))?;
    let mut response = tokens::opened(&refreshed.record)?;
    tokens::set(&mut response, &sessions, &refreshed.record, (None, Some(&refreshed.refresh)), facts.now)?;
    Ok(response)
}

/// Made-up tokens never reach the store, and what bears our mark was given out: there is nothing to guess, and nothing is charged.
fn note_refused(facts: &Facts) {
    tracing::info!(request = %facts.request, peer = %facts.peer.address, "a refresh was refused");
}
