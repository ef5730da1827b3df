//! `/.countersign/session/logout`: whoever holds a session ends it, by its cookie, its refresh token or an access token of it. One
//! that is over already is no error: they wanted it gone.

use super::{cookies, login, page};
use crate::{
    call::{Answer, Facts, no_content},
    problem::Problem,
    services::Sessions,
    words::read,
};
use countersign_core::authorization_header;
use countersign_methods::session::{issue::from_network, record::EndReason, token::TokenKind};
use http::header::AUTHORIZATION;

pub(crate) async fn show(facts: Facts) -> Answer {
    facts.sessions()?;
    facts.query()?.finish(Some(()))?;
    page::logout(&*facts.services.entropy, &facts.services.answers.realm)
}

pub(crate) async fn logout(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let is_form = facts.is_form();
    let token = if is_form {
        facts.members_of_form_or_json()?.finish(Some(()))?;
        None
    } else {
        let mut body = facts.members_if_any()?;
        let token = body.optional("refresh_token", read::text);
        body.finish(Some(()))?;
        token
    };
    let caller = from_network(facts.peer.address, facts.request);
    if let Some(token) = token {
        sessions.issuer.sign_out(TokenKind::Refresh, token.as_bytes(), &caller, facts.now).await?;
        return Ok(no_content());
    }
    if facts.headers().contains_key(AUTHORIZATION) {
        by_access_token(&facts, &sessions).await?;
        return Ok(no_content());
    }
    facts.demand_own_page()?;
    for (kind, name) in cookies::TOKENS {
        if let Some(token) = facts.cookie(name) {
            sessions.issuer.sign_out(kind, token, &caller, facts.now).await?;
        }
    }
    let mut response = if is_form { login::see_other(None)? } else { no_content() };
    cookies::clear(&mut response)?;
    Ok(response)
}

async fn by_access_token(facts: &Facts, sessions: &Sessions) -> Result<(), Problem> {
    let field = facts.headers().get(AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let header = authorization_header::parse(field).ok().filter(|header| header.scheme_is("bearer"));
    let text = header.and_then(|header| std::str::from_utf8(header.credentials).ok());
    let read = text.and_then(|text| sessions.tokens.read(text, facts.now).ok());
    let Some((token, _)) = read else { return Ok(()) };
    let caller = from_network(facts.peer.address, facts.request).signed_in(&token.principal, &token.session);
    sessions.issuer.end(&token.session, EndReason::SignedOut, &caller, facts.now).await?;
    Ok(())
}
