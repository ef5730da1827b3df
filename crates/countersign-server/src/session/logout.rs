//! `/.countersign/session/logout`: whoever holds a session ends it, by its cookie, its refresh token or an access token of it. One
//! that is over already is no error: they wanted it gone.

use super::{cookies, login, page};
use crate::{
    call::{Answer, Facts, no_content},
    services::Sessions,
    words::read,
};
use countersign_core::authorization_header;
use countersign_methods::session::{
    issue::{SessionError, from_network},
    record::EndReason,
    token::TokenKind,
};
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
    // a browser may add a password that it remembers: it signs out by its cookies all the same
    let field = facts.headers().get(AUTHORIZATION).filter(|_| !is_form);
    let header = field.and_then(|field| authorization_header::parse(field.as_bytes()).ok());
    if let Some(header) = header.filter(|header| header.scheme_is("bearer")) {
        sessions.sign_out_by_access_token(&facts, header.credentials).await?;
        return Ok(no_content());
    }
    facts.demand_own_page()?;
    cookies::sign_out(&facts, &sessions).await?;
    let mut response = if is_form { login::see_other(None)? } else { no_content() };
    cookies::clear(&mut response)?;
    Ok(response)
}

impl Sessions {
    /// The session of one that is still good, wherever it stood. Any other text ends nothing.
    pub(super) async fn sign_out_by_access_token(
        &self,
        facts: &Facts,
        shown: &[u8],
    ) -> Result<(), SessionError> {
        let Some((token, _)) = self.access_token(shown, facts.now) else { return Ok(()) };
        let caller =
            from_network(facts.peer.address, facts.request).signed_in(&token.principal, &token.session);
        self.issuer.end(&token.session, EndReason::SignedOut, &caller, facts.now).await.map(|_| ())
    }
}
