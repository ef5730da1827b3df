//! `/admin/v1/sessions`: who is signed in, from where, and the end of it. Says nothing of a session's tokens.

use super::{
    api_key::{Owner, owner},
    principal,
};
use crate::{
    call::{Answer, Call, Facts, Listed, ok},
    openapi::{
        Described, page_of,
        shape::{
            array, boolean, defined, id_or_name, nullable, object, pattern, request, scope, string,
            time as instant, words,
        },
    },
    problem::{Problem, quoted},
    services::Sessions,
    session::off,
    words::{cursor, read, time},
};
use countersign_core::CredentialId;
use countersign_methods::session::{
    record::{EndReason, SessionKind, SessionRecord, SessionState},
    store::{SessionEnded, SessionQuery},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

const LIST: &str = "sessions";

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    principal: Owner,
    kind: &'static str,
    state: &'static str,
    host: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    amr: String,
    agent: String,
    address: Option<String>,
    authenticated_at: String,
    created_at: String,
    last_used_at: String,
    ends_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// How a session stands, with the clock and with what it hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Open,
    /// The password changed, the key that was exchanged ended, the principal was revoked: its record knows nothing of it.
    CalledBack,
    Expired,
    Ended,
}

impl Standing {
    const ALL: [Standing; 4] = [Standing::Open, Standing::CalledBack, Standing::Expired, Standing::Ended];

    pub(super) fn of(facts: &Facts, sessions: &Sessions, record: &SessionRecord) -> Self {
        match record.state {
            SessionState::Ended { .. } => Standing::Ended,
            SessionState::Open if !record.is_open(facts.now) => Standing::Expired,
            SessionState::Open if is_called_back(facts, sessions, record) => Standing::CalledBack,
            SessionState::Open => Standing::Open,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Standing::Open => "open",
            Standing::CalledBack => "called_back",
            Standing::Expired => "expired",
            Standing::Ended => "ended",
        }
    }
}

fn is_called_back(facts: &Facts, sessions: &Sessions, record: &SessionRecord) -> bool {
    let principal = countersign_core::Node::principal(&record.principal);
    sessions.issuer.is_called_back(record) || facts.services.feed.is_revoked(&principal)
}

/// An operator's own way to them: the door has judged how the request came.
pub(super) fn sessions(facts: &Facts) -> Result<Arc<Sessions>, Problem> {
    facts.services.sessions.clone().ok_or_else(off)
}

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query()?;
    let principal = query.optional("principal", read::text);
    let open = query.optional("open", read::flag).unwrap_or(false);
    let page = read::page(&mut query, LIST);
    query.finish(Some(()))?;

    let sessions = sessions(&call)?;
    let principal = match principal {
        Some(principal) => Some(principal::resolve(&call, &principal).await?.id),
        None => None,
    };
    let query = SessionQuery { principal, open_at: open.then_some(call.now), page };
    let page = sessions.issuer.list(query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        // what was called back is no column of a session's: a page may have fewer than it could
        if !open || Standing::of(&call, &sessions, record) == Standing::Open {
            items.push(shown(&call, &sessions, record).await);
        }
    }
    ok(&Listed { items, next: page.next.map(|after| cursor::encode(LIST, &after)) })
}

pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let sessions = sessions(&call)?;
    let record = find(&sessions, &call.id).await?;
    ok(&shown(&call, &sessions, &record).await)
}

pub(crate) async fn end(call: Call) -> Answer {
    call.members_if_any()?.finish(Some(()))?;
    let sessions = sessions(&call)?;
    end_one(&call, &sessions, &call.id).await?;
    let record = find(&sessions, &call.id).await?;
    ok(&shown(&call, &sessions, &record).await)
}

/// Ending what is over already is not an error: the caller has what it wanted. `false`: it was.
pub(super) async fn end_one(call: &Call, sessions: &Sessions, id: &str) -> Result<bool, Problem> {
    let id = find(sessions, id).await?.id;
    match sessions.issuer.end(&id, EndReason::Revoked, &call.caller, call.now).await? {
        SessionEnded::Now => Ok(true),
        SessionEnded::Already => Ok(false),
        SessionEnded::Unknown => Err(unknown(id.as_str())),
    }
}

async fn find(sessions: &Sessions, id: &str) -> Result<SessionRecord, Problem> {
    // what cannot be an id names nothing: the store need not be asked
    let found = match id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        true => sessions.issuer.find(&CredentialId::new(id)).await?,
        false => None,
    };
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    let detail =
        format!("there is no session with the id {}; `GET /admin/v1/sessions` lists them", quoted(id));
    Problem::not_found("session_unknown", detail)
}

async fn shown(facts: &Facts, sessions: &Sessions, record: &SessionRecord) -> Shown {
    let (ended_at, reason) = match record.state {
        SessionState::Open => (None, None),
        SessionState::Ended { at, reason } => (Some(time::format(at)), Some(reason.as_str())),
    };
    Shown {
        id: record.id.to_string(),
        principal: owner(facts, &record.principal).await,
        kind: record.kind.as_str(),
        state: Standing::of(facts, sessions, record).as_str(),
        host: record.host.clone(),
        scopes: record.scopes.iter().map(ToString::to_string).collect(),
        audiences: record.audiences.iter().map(ToString::to_string).collect(),
        amr: record.amr.clone(),
        agent: record.agent.clone(),
        address: record.address.map(|address| address.to_string()),
        authenticated_at: time::format(record.authenticated_at),
        created_at: time::format(record.created_at),
        last_used_at: time::format(record.last_used_at),
        ends_at: time::format(record.ends_at()),
        ended_at,
        reason,
    }
}

const TAG: &str = "sessions";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let session = object(
        "Somebody who signed in: never with what they come back.",
        &[
            ("id", session_id()),
            ("principal", defined("Owner")),
            ("kind", words(&SessionKind::ALL.map(SessionKind::as_str))),
            ("state", words(&Standing::ALL.map(Standing::as_str))),
            ("host", string()),
            ("scopes", array(scope())),
            ("audiences", array(string())),
            ("amr", string()),
            ("agent", string()),
            ("address", nullable(string())),
            ("authenticated_at", instant()),
            ("created_at", instant()),
            ("last_used_at", instant()),
            ("ends_at", instant()),
        ],
        &[("ended_at", instant()), ("reason", words(&EndReason::ALL.map(EndReason::as_str)))],
    );
    vec![("Session", session)]
}

pub(super) fn session_id() -> Value {
    pattern("^[0-9A-Za-z]{12}$")
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List sessions, the newest first")
        .query("principal", "only of this principal", id_or_name())
        .query("open", "only those that are open", boolean())
        .page()
        .answer(
            200,
            "a page of sessions; of open ones it may hold fewer than `limit` and go on",
            page_of("Session", string()),
        )
        .problem(404, "principal_unknown")
        .problem(404, "sessions_off")
}

pub(crate) fn describe_show() -> Described {
    Described::new(TAG, "Show a session")
        .id("the session's public id", session_id())
        .answer(200, "the session", defined("Session"))
        .problem(404, "session_unknown")
        .problem(404, "sessions_off")
}

pub(crate) fn describe_end() -> Described {
    Described::new(TAG, "End a session: its tokens are refused within a second")
        .id("the session's public id", session_id())
        .optional_body(request(&[], &[]), json!({}))
        .answer(200, "the session", defined("Session"))
        .problem(404, "session_unknown")
        .problem(404, "sessions_off")
}
