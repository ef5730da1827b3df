//! `/admin/v1/principals`: users and services.

use crate::{
    call::{Answer, Call, Facts, Listed, created, ok, record},
    condition,
    input::{Wrong, json::Json},
    once::{Done, once, replayed},
    openapi::{
        Described, page_of,
        shape::{
            array, boolean, defined, few, id_or_name, integer, object, pattern, request, scope, string, time,
            words,
        },
    },
    problem::{Problem, quoted},
    words::{cursor, read, time},
};
use countersign_core::{
    Node, PrincipalId, ScopeSet,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::principal::{
    issue::{NewPrincipal, PrincipalError},
    store::{PrincipalChange, PrincipalQuery, PrincipalSort},
};
use serde::Serialize;
use serde_json::{Value, json};

/// By what a list may be sorted, the usual order first.
const SORTS: [(&str, PrincipalSort); 2] =
    [("name", PrincipalSort::Name), ("created_at", PrincipalSort::CreatedAt)];

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    kind: &'static str,
    name: String,
    scopes: Vec<String>,
    groups: Vec<String>,
    enabled: bool,
    version: i64,
    created_at: String,
}

impl From<&Principal> for Shown {
    fn from(p: &Principal) -> Self {
        Self {
            id: p.id.to_string(),
            kind: p.kind.as_str(),
            name: p.name.to_string(),
            scopes: p.scopes.iter().map(ToString::to_string).collect(),
            groups: p.groups.iter().map(ToString::to_string).collect(),
            enabled: p.enabled,
            version: p.version,
            created_at: time::format(p.created_at),
        }
    }
}

/// A list in one order, to which its cursors belong.
fn in_order(sort: PrincipalSort, descending: bool) -> String {
    format!("principals {sort:?} {descending}")
}

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query()?;
    let kind = query.optional("kind", kind);
    let enabled = query.optional("enabled", read::flag);
    let name = query.optional("name", read::name_prefix);
    let (sort, descending) = read::sort(&mut query, &SORTS);
    let page = read::page(&mut query, &in_order(sort, descending));
    query.finish(Some(()))?;

    let query = PrincipalQuery { kind, enabled, name, sort, descending, page };
    let page = call.services.principal_store.list(query).await?;
    ok(&Listed {
        items: page.items.iter().map(Shown::from).collect(),
        next: page.next.map(|after| cursor::encode(&in_order(sort, descending), &after)),
    })
}

pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let principal = resolve(&call, &call.id).await?;
    record(&Shown::from(&principal), principal.version)
}

pub(crate) async fn create(call: Call) -> Answer {
    let mut body = call.members()?;
    let kind = body.required("kind", kind);
    let name = body.required("name", read::principal_name);
    let scopes = body.optional("scopes", read::scopes).unwrap_or_default();
    let groups = body.optional("groups", read::groups).unwrap_or_default();
    let new = kind.zip(name).map(|(kind, name)| NewPrincipal { kind, name, scopes, groups });
    let new = body.finish(new)?;

    let made = once(&call, async |caller| Ok(call.services.principals.create(new, caller, call.now).await?));
    let principal = match made.await? {
        Done::Now(principal) => principal,
        Done::Before(id) => {
            let principal = resolve(&call, &id).await?;
            return replayed(record(&Shown::from(&principal), principal.version));
        }
    };
    let made = created(&Shown::from(&principal), &format!("/admin/v1/principals/{}", principal.id))?;
    Ok(condition::tag(made, principal.version))
}

pub(crate) async fn change(call: Call) -> Answer {
    let condition = call.condition()?.ok_or_else(condition::required)?;
    let mut body = call.members()?;
    let change = PrincipalChange {
        scopes: body.optional("scopes", read::scopes),
        groups: body.optional("groups", read::groups),
        enabled: body.optional("enabled", read::boolean),
    };
    if change == PrincipalChange::default() {
        body.fault("", "nothing to change: give at least one of `scopes`, `groups`, `enabled`");
    }
    let change = body.finish(Some(change))?;

    let principal = resolve(&call, &call.id).await?;
    let version = condition.hold(principal.version)?;
    // What was revoked never comes back (RULES 2.5): enabled it would let nobody in, and count as an operator all the
    // same when another one goes.
    if change.enabled == Some(true) && call.services.feed.is_revoked(&Node::principal(&principal.id)) {
        let detail = "the principal was revoked, which is for good; make another one";
        return Err(Problem::conflict("principal_revoked", detail));
    }
    let changed =
        call.services.principals.change(&principal.id, version, change, &call.caller, call.now).await;
    let changed = changed.map_err(|error| match error {
        PrincipalError::Changed if version.is_some() => condition::failed(),
        error => error.into(),
    })?;
    record(&Shown::from(&changed), changed.version)
}

fn kind(value: Json) -> Result<PrincipalKind, Wrong> {
    let text = read::text(value)?;
    PrincipalKind::parse(&text)
        .ok_or_else(|| format!("must be `user` or `service`, not {}", quoted(&text)).into())
}

/// By id, and where it is none by name. A name never reads as an id (`read::principal_name`).
pub(crate) async fn resolve(facts: &Facts, id_or_name: &str) -> Result<Principal, Problem> {
    let store = &facts.services.principal_store;
    let found = match (PrincipalId::parse(id_or_name), PrincipalName::parse(id_or_name)) {
        (Some(id), _) => store.find(&id).await?,
        (None, Some(name)) => store.find_by_name(&name).await?,
        // what is neither cannot be there: the store need not be asked
        (None, None) => None,
    };
    found.ok_or_else(|| unknown(id_or_name))
}

fn unknown(id_or_name: &str) -> Problem {
    let what = quoted(id_or_name);
    let detail = format!("there is no principal {what}; `GET /admin/v1/principals` lists them");
    Problem::not_found("principal_unknown", detail)
}

impl From<PrincipalError> for Problem {
    fn from(error: PrincipalError) -> Self {
        let detail = match &error {
            PrincipalError::NameTaken => "another principal has this name; names are unique, choose another",
            PrincipalError::Unknown => "there is no such principal",
            PrincipalError::Changed => {
                "somebody else changed the principal at the same time; look at what stands now and repeat the change"
            }
            PrincipalError::ScopesBeyondCaller(_) => {
                "a credential passes on only what it has itself, unless it holds `countersign:grant`"
            }
            PrincipalError::LastOperator => {
                "this is the last enabled operator; make another first, or nobody could get in"
            }
            PrincipalError::Store(error) => return error.clone().into(),
        };
        match error {
            PrincipalError::NameTaken => Problem::conflict("name_taken", detail),
            PrincipalError::Unknown => Problem::not_found("principal_unknown", detail),
            PrincipalError::Changed => Problem::conflict("principal_changed", detail),
            PrincipalError::ScopesBeyondCaller(_) => {
                let why = format!("{error}; {detail}");
                Problem::new(http::StatusCode::FORBIDDEN, "scopes_beyond_caller", why)
            }
            PrincipalError::LastOperator => Problem::conflict("last_operator", detail),
            PrincipalError::Store(error) => error.into(),
        }
    }
}

const TAG: &str = "principals";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let principal = object(
        "A user or a service, whom every credential belongs to.",
        &[
            ("id", string()),
            ("kind", kinds()),
            ("name", string()),
            ("scopes", array(scope())),
            ("groups", array(string())),
            ("enabled", boolean()),
            ("version", integer(1)),
            ("created_at", time()),
        ],
        &[],
    );
    vec![("Principal", principal)]
}

fn kinds() -> Value {
    words(&["user", "service"])
}

fn scopes_asked() -> Value {
    few(scope(), ScopeSet::MAX_SCOPES)
}

fn groups_asked() -> Value {
    few(pattern("^[A-Za-z0-9._:-]{1,64}$"), 64)
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List principals, by name unless `sort` says otherwise")
        .query("kind", "only of this kind", kinds())
        .query("enabled", "only those that are, or are not", boolean())
        .query("name", "only those whose name begins so", pattern("^[a-z0-9][a-z0-9._@-]{0,63}$"))
        .sort(&SORTS.map(|(name, _)| name))
        .page()
        .answer(200, "a page of principals", page_of("Principal", string()))
}

pub(crate) fn describe_create() -> Described {
    let name = pattern("^[a-z0-9][a-z0-9._@-]{0,63}$");
    let body = request(
        &[("kind", kinds()), ("name", name)],
        &[("scopes", scopes_asked()), ("groups", groups_asked())],
    );
    Described::new(TAG, "Make a principal")
        .body(
            body,
            json!({"kind": "service", "name": "billing", "scopes": ["orders:read"], "groups": ["finance"]}),
        )
        .once()
        .answer(201, "the principal", defined("Principal"))
        .tagged()
        .located()
        .replayed("it was made by the same request before", defined("Principal"))
        .problem(403, "scopes_beyond_caller")
        .problem(409, "name_taken")
}

pub(crate) fn describe_show() -> Described {
    Described::new(TAG, "Show a principal")
        .id("id or name", id_or_name())
        .answer(200, "the principal", defined("Principal"))
        .tagged()
        .problem(404, "principal_unknown")
}

pub(crate) fn describe_change() -> Described {
    let body =
        request(&[], &[("scopes", scopes_asked()), ("groups", groups_asked()), ("enabled", boolean())]);
    Described::new(TAG, "Give a principal other scopes or groups, disable it or enable it")
        .id("id or name", id_or_name())
        .if_match(true)
        .body(body, json!({"scopes": ["orders:read", "orders:write"]}))
        .answer(200, "the principal as it now stands", defined("Principal"))
        .tagged()
        .problem(403, "scopes_beyond_caller")
        .problem(404, "principal_unknown")
        .problem(409, "principal_changed")
        .problem(409, "principal_revoked")
        .problem(409, "last_operator")
}
