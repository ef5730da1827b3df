//! `POST /.countersign/session/exchange`: a password, an app password or a key once, for a session below it (RULES 2.6): it has no
//! more scopes, ends no later, and dies with what was exchanged.

use super::{login, tokens};
use crate::{
    call::{Answer, Facts},
    problem::Problem,
};
use countersign_core::{Authentication, CredentialId, Node, NodeKind};
use countersign_methods::session::{issue::SignedIn, record::SessionKind};
use http::StatusCode;

pub(crate) async fn exchange(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut body = facts.members_if_any()?;
    let scope = body.optional("scope", login::scope);
    body.finish(Some(()))?;
    let permit = facts.permit().ok_or_else(Problem::internal)?;
    let known = permit.subject().ok_or_else(Problem::internal)?;
    let authentication = &known.authentication;
    let shown = shown(authentication).ok_or_else(Problem::internal)?;
    if let Some(what) = held_to(authentication) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "exchange_refused",
            format!("the key has {what} of its own, which a session would not have; use the key itself"),
        ));
    }
    let services = &facts.services;
    services.charge(
        "exchanges of this credential",
        shown.to_string().as_bytes(),
        &services.limits.exchange,
    )?;
    let others = authentication.lineage.iter().filter(|node| *node != shown);
    let who = SignedIn {
        principal: authentication.principal.clone(),
        scopes: known.scopes.clone(),
        parents: std::iter::once(shown).chain(others).cloned().collect(),
        amr: match shown.kind {
            NodeKind::Password => "pwd",
            NodeKind::AppPassword => "app_password",
            _ => "key",
        },
        ends_at: authentication.expires_at,
        at: authentication.authenticated_at,
    };
    let begun = login::begin(&facts, &sessions, who, SessionKind::Native, scope).await?;
    let refresh = begun.refresh.ok_or_else(Problem::internal)?;
    tokens::native(&sessions, &begun.record, &refresh, facts.now)
}

/// The node of the credential itself, among all that it descends from.
fn shown(authentication: &Authentication) -> Option<&Node> {
    let own = |node: &&Node| node.kind.is_given() && CredentialId::of(node) == authentication.credential;
    authentication.lineage.iter().find(own)
}

/// What narrows the credential and would narrow no session (RULES 2.6).
fn held_to(authentication: &Authentication) -> Option<&'static str> {
    if !authentication.networks.is_empty() {
        return Some("networks");
    }
    if authentication.limit.is_some() {
        return Some("a limit");
    }
    authentication.plan.is_some().then_some("a plan")
}
