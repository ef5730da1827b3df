//! `/admin/v1/revocations`: the feed of changes, and revoking by node.

use super::principal;
use crate::{
    call::{Answer, Call, Listed, ok},
    input::{Wrong, json::Json},
    openapi::{
        Described, page_of,
        shape::{
            boolean, defined, integer, nullable, object, pattern, request, string, time as instant, words,
        },
    },
    problem::{Problem, quoted},
    words::{read, time},
};
use countersign_core::{Node, PrincipalId, audit::AuditEvent, check::revocation::Position};
use countersign_methods::{
    api_key::{
        issue::Ended,
        record::{KeyId, RevocationReason},
    },
    principal::store::PrincipalChange,
    revocation::store::{Change, ChangeKind},
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Serialize)]
struct Shown {
    position: i64,
    kind: &'static str,
    node: String,
    at: String,
    until: Option<String>,
}

impl From<Change> for Shown {
    fn from(change: Change) -> Self {
        Self {
            position: change.position.0,
            kind: match change.kind {
                ChangeKind::Changed => "changed",
                ChangeKind::Revoked => "revoked",
            },
            node: change.node.to_string(),
            at: time::format(change.at),
            until: change.until.map(time::format),
        }
    }
}

#[derive(Debug, Serialize)]
struct Done {
    node: String,
    /// `false`: it already was.
    changed: bool,
}

/// What can be revoked by its node.
#[derive(Debug)]
enum Target {
    ApiKey(KeyId),
    Principal(PrincipalId),
}

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query()?;
    let after = query.optional("after", |v| read::number(v, 0, i64::MAX)).unwrap_or(0);
    let limit = read::page_limit(&mut query);
    query.finish(Some(()))?;

    let changes = call.services.feed_store.since(Position(after), limit).await?;
    let full = changes.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next = changes.last().filter(|_| full).map(|c| c.position.0);
    ok(&Listed { items: changes.into_iter().map(Shown::from).collect(), next })
}

/// Everything that descends from the node is denied from here on, for good: a principal that may come back is
/// disabled instead (`PATCH /principals/{id}`).
pub(crate) async fn create(call: Call) -> Answer {
    let mut body = call.members()?;
    let target = body.required("node", target);
    let target = body.finish(target)?;

    let (node, changed) = match target {
        // a key has a record: it is revoked there, and the feed follows
        Target::ApiKey(id) => {
            let reason = RevocationReason::Operator;
            let ended = call.services.api_keys.revoke(&id, None, reason, &call.caller, call.now).await?;
            (id.node(), ended == Ended::Now)
        }
        Target::Principal(id) => (Node::principal(&id), revoke_principal(&call, &id).await?),
    };
    ok(&Done { node: node.to_string(), changed })
}

async fn revoke_principal(call: &Call, id: &PrincipalId) -> Result<bool, Problem> {
    // Another issuer's (RULES 1.8) has no record: whoever it is, nothing here could say that it is not.
    let ours = match id.is_foreign() {
        true => None,
        false => Some(principal::resolve(call, id.as_str()).await?),
    };
    let node = Node::principal(id);
    if call.services.feed.is_revoked(&node) {
        return Ok(false);
    }
    // Disabled first: so it counts as an operator no more, and the last one is protected by the same guard that
    // protects it everywhere.
    if let Some(principal) = ours {
        let change = PrincipalChange { enabled: Some(false), ..PrincipalChange::default() };
        call.services.principals.change(&principal.id, None, change, &call.caller, call.now).await?;
    }
    let event = AuditEvent {
        at: call.now,
        actor: call.caller.actor.clone(),
        action: "revocation.create",
        subject: node.to_string(),
        source: call.caller.source,
        request: call.caller.request,
        detail: Vec::new(),
        once: None,
    };
    // principal ids are never used twice, and another issuer's subject keeps its own, so there is no end after which it could be forgotten
    call.services.feed_store.revoke(node, call.now, None, event).await?;
    Ok(true)
}

fn target(value: Json) -> Result<Target, Wrong> {
    let text = read::text(value)?;
    let target = match text.split_once(':') {
        Some(("api_key", id)) => KeyId::parse(id).map(Target::ApiKey),
        Some(("principal", id)) => PrincipalId::parse(id).map(Target::Principal),
        _ => None,
    };
    target.ok_or_else(|| {
        let what = quoted(&text);
        format!("must be `api_key:<id>` or `principal:<id>`, not {what}").into()
    })
}

const TAG: &str = "revocations";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let change = object(
        "One change that denies or narrows.",
        &[
            ("position", integer(1)),
            ("kind", words(&["changed", "revoked"])),
            ("node", string()),
            ("at", instant()),
            ("until", nullable(instant())),
        ],
        &[],
    );
    let done = object(
        "`changed` is false where it was revoked already.",
        &[("node", string()), ("changed", boolean())],
        &[],
    );
    vec![("Change", change), ("Revoked", done)]
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List the feed of changes")
        .query("after", "only beyond this position: the `next` of the page before", integer(0))
        .limit()
        .answer(200, "a page of changes", page_of("Change", integer(1)))
}

pub(crate) fn describe_create() -> Described {
    let node = pattern("^(api_key:[0-9A-Za-z]{12}|principal:(usr|svc|cli|ext)_[0-9A-Za-z]+)$");
    Described::new(TAG, "Deny everything that descends from a node, for good")
        .body(request(&[("node", node)], &[]), json!({"node": "api_key:4fQ2kZ81mXpA"}))
        .answer(200, "whether that changed anything", defined("Revoked"))
        .problem(404, "key_unknown")
        .problem(404, "principal_unknown")
        .problem(409, "principal_changed")
        .problem(409, "last_operator")
}
