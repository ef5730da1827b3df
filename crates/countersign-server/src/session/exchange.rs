//! `POST /.countersign/session/exchange`: a password, an app password or a key once, for a session below it (RULES 2.6): it has no
//! more scopes, ends no later, and dies with what was exchanged.

use super::{login, tokens};
use crate::{
    call::{Answer, Facts},
    problem::Problem,
};
use countersign_core::MethodName;
use countersign_methods::session::{issue::SignedIn, record::SessionKind};

pub(crate) async fn exchange(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut body = facts.members_if_any()?;
    let scope = body.optional("scope", login::scope);
    body.finish(Some(()))?;
    let permit = facts.permit().ok_or_else(Problem::internal)?;
    let known = permit.subject().ok_or_else(Problem::internal)?;
    let authentication = &known.authentication;
    let who = SignedIn {
        principal: authentication.principal.clone(),
        scopes: known.scopes.clone(),
        parents: authentication.lineage.iter().cloned().collect(),
        amr: if authentication.method == MethodName::Basic { "pwd" } else { "key" },
        ends_at: authentication.expires_at,
        at: authentication.authenticated_at,
    };
    let begun = login::begin(&facts, &sessions, who, SessionKind::Native, scope).await?;
    let refresh = begun.refresh.ok_or_else(Problem::internal)?;
    tokens::native(&sessions, &begun.record, &refresh, facts.now)
}
