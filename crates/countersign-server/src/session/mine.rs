//! `/.countersign/session/`: who am I, which sessions have I, and the end of one or all of them.

use super::cookies;
use crate::{
    call::{Answer, Facts, no_content, ok},
    problem::Problem,
    services::Sessions,
    words::{read, time},
};
use countersign_core::{
    CredentialId, Node, NodeKind, PrincipalId, Timestamp,
    check::decision::{Known, Permit},
    page::PageRequest,
};
use countersign_methods::{
    principal::caller::Caller,
    session::{
        record::{EndReason, SessionRecord},
        store::SessionQuery,
    },
};
use http::StatusCode;
use serde::Serialize;
use std::sync::Arc;

/// More than anybody has; the newest are shown.
const MOST: u32 = 100;

#[derive(Serialize)]
struct Mine<'m> {
    principal: &'m str,
    name: &'m str,
    kind: &'static str,
    scopes: Vec<&'m str>,
    groups: Vec<&'m str>,
    /// The one that asks.
    session: &'m str,
    authenticated_at: String,
    sessions: Vec<Shown>,
}

#[derive(Serialize)]
pub(crate) struct Shown {
    id: String,
    kind: &'static str,
    host: String,
    agent: String,
    address: Option<String>,
    created_at: String,
    last_used_at: String,
    ends_at: String,
    current: bool,
}

impl Shown {
    fn of(record: &SessionRecord, current: &CredentialId) -> Self {
        let last_used_at = to_the_hour(record.last_used_at);
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            host: record.host.clone(),
            agent: record.agent.clone(),
            address: record.address.map(|address| address.to_string()),
            created_at: time::format(record.created_at),
            last_used_at: time::format(last_used_at),
            ends_at: time::format((last_used_at + record.idle).min(record.expires_at)),
            current: record.id == *current,
        }
    }
}

/// Whoever has a copy of a refresh token would see from it when it was used, and come right after.
fn to_the_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.as_seconds().div_euclid(3600) * 3600)
}

pub(crate) async fn show(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    facts.query()?.finish(Some(()))?;
    let permit = permit(&facts)?;
    let known = permit.subject().ok_or_else(Problem::internal)?;
    let current = &known.authentication.credential;
    let standing = &known.standing;
    let mut found = open(&sessions, &standing.principal, facts.now).await?;
    if is_alone(known) {
        found.retain(|record| record.id == *current);
    }
    ok(&Mine {
        principal: standing.principal.as_str(),
        name: standing.name.as_str(),
        kind: standing.kind.as_str(),
        scopes: known.scopes.iter().map(|scope| scope.as_str()).collect(),
        groups: standing.groups.iter().map(|group| group.as_str()).collect(),
        session: current.as_str(),
        authenticated_at: time::format(known.authentication.authenticated_at),
        sessions: found.iter().map(|record| Shown::of(record, current)).collect(),
    })
}

/// All of them; with `others=true` the one that asks stays.
pub(crate) async fn end_all(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut query = facts.query()?;
    let others = query.optional("others", read::flag);
    query.finish(Some(()))?;
    let (caller, principal, current) = asks(&facts, None)?;
    if others == Some(true) {
        sessions.issuer.end_others(&principal, &current, &caller, facts.now).await?;
        return ended(false);
    }
    sessions.issuer.end_everything(&principal, &caller, facts.now).await?;
    ended(true)
}

/// One of one's own; another's is as unknown as none.
pub(crate) async fn end(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    facts.query()?.finish(Some(()))?;
    let id = facts.path().rsplit('/').next().unwrap_or_default();
    let id = CredentialId::new(id);
    let (caller, principal, current) = asks(&facts, Some(&id))?;
    let found = sessions.issuer.find(&id).await?.filter(|record| record.principal == principal);
    if found.is_none() {
        return Err(Problem::not_found("session_unknown", "you have no such session"));
    }
    sessions.issuer.end(&id, EndReason::Revoked, &caller, facts.now).await?;
    ended(id == current)
}

async fn open(
    sessions: &Sessions,
    principal: &PrincipalId,
    now: Timestamp,
) -> Result<Vec<SessionRecord>, Problem> {
    let page = PageRequest { after: None, limit: MOST };
    let query = SessionQuery { principal: Some(principal.clone()), open_at: Some(now), page };
    let mut found = sessions.issuer.list(query).await?.items;
    found.retain(|record| !sessions.issuer.is_called_back(record));
    Ok(found)
}

/// Of a session of ours: whoever another issuer's token says they are, it was not given for this.
fn permit(facts: &Facts) -> Result<Arc<Permit>, Problem> {
    let permit = facts.permit().ok_or_else(|| {
        tracing::error!(request = %facts.request, "reached without a decision; nothing was done");
        Problem::internal()
    })?;
    if permit.subject().is_none_or(|known| known.authentication.is_foreign()) {
        let detail = "another issuer's token shows and ends no session: sign in here and use what that gives";
        return Err(Problem::new(StatusCode::FORBIDDEN, "session_required", detail));
    }
    Ok(permit)
}

/// RULES 2.6: what a key or an app password was exchanged for does not reach beyond itself, as they would not.
fn is_alone(known: &Known) -> bool {
    let narrow = |node: &Node| matches!(node.kind, NodeKind::ApiKey | NodeKind::AppPassword);
    known.authentication.lineage.iter().any(narrow)
}

/// Who may end this session, or all of them.
fn asks(facts: &Facts, ends: Option<&CredentialId>) -> Result<(Caller, PrincipalId, CredentialId), Problem> {
    let permit = permit(facts)?;
    let known = permit.subject().ok_or_else(Problem::internal)?;
    if is_alone(known) && ends != Some(&known.authentication.credential) {
        let detail = "what a key or an app password was exchanged for ends itself and no other session: \
                      sign in with the password, or ask an operator";
        return Err(Problem::new(StatusCode::FORBIDDEN, "session_required", detail));
    }
    let caller = Caller::from_permit(&permit, facts.peer.address, facts.request);
    let authentication = &known.authentication;
    let (principal, session) = (authentication.principal.clone(), authentication.credential.clone());
    Ok((caller.ok_or_else(Problem::internal)?, principal, session))
}

fn ended(own: bool) -> Answer {
    let mut response = no_content();
    if own {
        cookies::clear(&mut response)?;
    }
    Ok(response)
}
