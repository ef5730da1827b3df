//! `/admin/v1/api-keys`: the life of keys. A secret leaves in the 201 that made it and nowhere else.

mod import;

pub(crate) use import::{describe_import, import};

use super::principal;
use crate::{
    call::{self, Answer, Call, Facts, Listed, created, ok},
    condition,
    input::{Members, Wrong},
    once::{Done, once, replayed},
    openapi::{
        Described, page_of,
        shape::{
            array, boolean, defined, duration as span, few, id_or_name, integer, nullable, object, pattern,
            request, scope, string, time as instant, words,
        },
    },
    problem::{Problem, quoted},
    words::{cursor, duration, read, time},
};
use countersign_core::{
    Node, PrincipalId, Refusal, ScopeSet,
    check::limit::{PlanName, RateLimit},
    directory::Standing,
};
use countersign_methods::api_key::{
    issue::{IssueError, Issued, KeyVerdict, Lifetime, NewKey, Rotate},
    record::{ApiKeyRecord, Environment, KeyId, KeyStanding, KeyState, RevocationReason},
    store::{ApiKeyQuery, KeySort},
    verify::Failure,
};
use http::StatusCode;
use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// By what a list may be sorted, the usual order first.
const SORTS: [(&str, KeySort); 3] = [
    ("created_at", KeySort::CreatedAt),
    ("expires_at", KeySort::ExpiresAt),
    ("last_used_at", KeySort::LastUsedAt),
];
const STANDINGS: [KeyStanding; 4] =
    [KeyStanding::Active, KeyStanding::Rotated, KeyStanding::Expired, KeyStanding::Revoked];
/// How long a rotated key stays good where the request does not say.
const GRACE: Duration = Duration::from_secs(86_400);

#[derive(Debug, Serialize)]
pub(super) struct Owner {
    id: String,
    /// `null` where it could not be found out.
    name: Option<String>,
    /// No key or app password of a disabled owner works, whatever its own state; `null` as above.
    enabled: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct ShownLimit {
    requests: u32,
    per: String,
}

impl From<&Standing> for Owner {
    fn from(standing: &Standing) -> Self {
        Self {
            id: standing.principal.to_string(),
            name: Some(standing.name.to_string()),
            enabled: Some(standing.active),
        }
    }
}

impl From<&RateLimit> for ShownLimit {
    fn from(limit: &RateLimit) -> Self {
        Self { requests: limit.quota, per: duration::format(limit.window) }
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    prefix: String,
    environment: &'static str,
    origin: &'static str,
    owner: Owner,
    label: String,
    scopes: Vec<String>,
    networks: Vec<String>,
    limit: Option<ShownLimit>,
    plan: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    version: i64,
}

/// The one document that holds a secret. Has no `Debug`.
#[derive(Serialize)]
struct ShownOnce<'a> {
    key: Shown,
    /// `null`: it was shown once.
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predecessor: Option<Shown>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Shown>,
}

/// A list in one order, to which its cursors belong.
fn in_order(sort: KeySort, descending: bool) -> String {
    format!("api-keys {sort:?} {descending}")
}

pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query()?;
    let owner = query.optional("owner", read::text);
    let usable = query.optional("usable", read::flag).unwrap_or(false);
    let standing = query.optional("state", |v| read::one_of(v, &STANDINGS, KeyStanding::as_str));
    let environment = query.optional("environment", |v| {
        read::one_of(v, &[Environment::Live, Environment::Test], Environment::as_str)
    });
    let expires_before = query.optional("expires_before", |v| read::point_or_span(v, call.now));
    let label = query.optional("label", read::label);
    let (sort, descending) = read::sort(&mut query, &SORTS);
    let page = read::page(&mut query, &in_order(sort, descending));
    query.finish(Some(()))?;

    let owner = match owner {
        Some(owner) => Some(principal::resolve(&call, &owner).await?.id),
        None => None,
    };
    let query = ApiKeyQuery {
        owner,
        usable_at: usable.then_some(call.now),
        standing: standing.map(|standing| (standing, call.now)),
        environment,
        expires_before,
        label,
        sort,
        descending,
        page,
    };
    let page = call.services.api_key_store.list(query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        items.push(shown(&call, record).await);
    }
    ok(&Listed { items, next: page.next.map(|after| cursor::encode(&in_order(sort, descending), &after)) })
}

pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let record = find(&call, &named(&call)?).await?;
    call::record(&shown(&call, &record).await, record.version)
}

pub(crate) async fn create(call: Call) -> Answer {
    let mut body = call.members()?;
    let wanted = Wanted::read(&mut body);
    let wanted = body.finish(wanted)?;
    let owner = principal::resolve(&call, &wanted.owner).await?.id;
    let new = wanted.of(owner);
    let made = once(&call, async |caller| Ok(call.services.api_keys.create(new, caller, call.now).await?));
    match made.await? {
        Done::Now(issued) => shown_once(&call, issued, None).await,
        Done::Before(id) => shown_again(&call, &id).await,
    }
}

/// A key that is to be, as it was asked for: the owner by id or name.
struct Wanted {
    owner: String,
    label: String,
    scopes: ScopeSet,
    lifetime: Lifetime,
    networks: Vec<IpNet>,
    limit: Option<RateLimit>,
    plan: Option<PlanName>,
}

impl Wanted {
    fn read(body: &mut Members) -> Option<Self> {
        let owner = body.required("owner", read::text);
        let label = body.optional("label", read::label).unwrap_or_default();
        let scopes = body.required("scopes", read::scopes);
        let lifetime = lifetime(body);
        let networks = body.optional("networks", read::networks).unwrap_or_default();
        let limit = body.optional("limit", read::limit);
        let plan = body.optional("plan", read::plan);
        let (owner, scopes) = owner.zip(scopes)?;
        Some(Self { owner, label, scopes, lifetime, networks, limit, plan })
    }

    fn of(self, owner: PrincipalId) -> NewKey {
        let Self { label, scopes, lifetime, networks, limit, plan, .. } = self;
        NewKey { owner, label, scopes, lifetime, networks, limit, plan }
    }
}

pub(crate) async fn rotate(call: Call) -> Answer {
    let mut body = call.members_if_any()?;
    let grace = body.optional("grace", read::grace).unwrap_or(GRACE);
    let lifetime = lifetime(&mut body);
    body.finish(Some(()))?;

    let id = named(&call)?;
    let made = once(&call, async |caller| {
        // asked only here: a repeat would find what it changed the first time
        let version = held(&call, &id).await?;
        let rotation = Rotate { grace, lifetime, version };
        let issued = call.services.api_keys.rotate(&id, rotation, caller, call.now).await;
        issued.map_err(|error| not_as_seen(version, error))
    });
    let issued = match made.await? {
        Done::Now(issued) => issued,
        Done::Before(successor) => return shown_again(&call, &successor).await,
    };
    // From here on a secret exists that is shown only once: nothing that merely decorates the answer may fail it.
    let predecessor = call.services.api_key_store.find(&id).await.ok().flatten();
    shown_once(&call, issued, predecessor).await
}

pub(crate) async fn revoke(call: Call) -> Answer {
    let mut body = call.members_if_any()?;
    let reason = body.optional("reason", |value| {
        let text = read::text(value)?;
        // `holder` is said by those who show the key, and by nobody else
        RevocationReason::parse(&text)
            .filter(|r| *r != RevocationReason::Holder)
            .ok_or_else(|| Wrong::from(format!("must be `operator` or `leaked`, not {}", quoted(&text))))
    });
    body.finish(Some(()))?;

    let id = named(&call)?;
    let reason = reason.unwrap_or(RevocationReason::Operator);
    let version = held(&call, &id).await?;
    // revoking what is revoked already is not an error: the caller has what it wanted
    let ended = call.services.api_keys.revoke(&id, version, reason, &call.caller, call.now).await;
    ended.map_err(|error| not_as_seen(version, error))?;
    let record = find(&call, &id).await?;
    call::record(&shown(&call, &record).await, record.version)
}

/// Is this key good, and if not, why? Says more than any caller is told, so it is for operators; it could serve for
/// guessing, so it is limited. The key is not logged, not counted as used, and not in the answer.
pub(crate) async fn verify(call: Call) -> Answer {
    let mut body = call.members()?;
    let key = body.required("key", read::text);
    let key = body.finish(key)?;
    charge(&call)?;

    let services = &call.services;
    let record = match services.api_keys.verify_presented(key.as_bytes(), call.now).await? {
        KeyVerdict::Good(record) => record,
        KeyVerdict::NoKey => return ok(&Verdict::bad("credential_invalid", None)),
        KeyVerdict::Bad(failure, record) => return refuted(&call, failure, record).await,
    };
    let owner = services.principal_store.find(&record.owner).await?;
    // what the judgement asks on every request, beside what credential and record establish (RULES 1.1)
    let mut lineage = record.parents.clone();
    lineage.extend([record.id.node(), Node::principal(&record.owner)]);
    let reason = if lineage.iter().any(|node| services.feed.is_revoked(node)) {
        Some("key_revoked")
    } else if !owner.is_some_and(|o| o.enabled) {
        Some("principal_disabled")
    } else {
        None
    };
    ok(&Verdict { valid: reason.is_none(), reason, key: Some(shown(&call, &record).await) })
}

async fn refuted(call: &Call, failure: Failure, record: Option<ApiKeyRecord>) -> Answer {
    let code = match failure.refusal() {
        Refusal::Unavailable => return Err(Problem::unavailable()),
        Refusal::Rejected(rejection) => rejection.code,
    };
    let shown = match &record {
        Some(record) => Some(shown(call, record).await),
        None => None,
    };
    ok(&Verdict::bad(code, shown))
}

impl Verdict {
    fn bad(reason: &'static str, key: Option<Shown>) -> Self {
        Self { valid: false, reason: Some(reason), key }
    }
}

/// `expires_in` or `expires_at`, not both.
fn lifetime(body: &mut Members) -> Lifetime {
    let span = body.optional("expires_in", read::lifetime);
    let until = body.optional("expires_at", read::point);
    match (span, until) {
        (Some(_), Some(_)) => {
            body.fault("expires_at", "stands beside `expires_in`; give one of them");
            Lifetime::Default
        }
        (Some(span), None) => span,
        (None, Some(until)) => Lifetime::Until(until),
        (None, None) => Lifetime::Default,
    }
}

/// The limit on what could serve for guessing, by the principal that asks: a second key of its
/// own gives it no second chance.
pub(super) fn charge(call: &Call) -> Result<(), Problem> {
    let who = match &call.caller.actor {
        countersign_core::audit::Actor::Principal { id, .. } => id.as_str(),
        _ => "",
    };
    call.services.charge("verifications", who.as_bytes(), &call.services.limits.verify)
}

/// The id in the URL. What cannot be an id names nothing: the store need not be asked.
fn named(call: &Call) -> Result<KeyId, Problem> {
    KeyId::parse(&call.id).ok_or_else(|| unknown(&call.id))
}

/// The version that the call depends on, if on any.
async fn held(call: &Call, id: &KeyId) -> Result<Option<i64>, Problem> {
    match call.condition()? {
        Some(condition) => condition.hold(find(call, id).await?.version),
        None => Ok(None),
    }
}

/// The write found another version than the one that it depends on.
fn not_as_seen(version: Option<i64>, error: IssueError) -> Problem {
    match error {
        IssueError::KeyChanged if version.is_some() => condition::failed(),
        error => error.into(),
    }
}

async fn find(call: &Call, id: &KeyId) -> Result<ApiKeyRecord, Problem> {
    call.services.api_key_store.find(id).await?.ok_or_else(|| unknown(id.as_str()))
}

fn unknown(id: &str) -> Problem {
    let detail = format!("there is no key with the id {}; `GET /admin/v1/api-keys` lists them", quoted(id));
    Problem::not_found("key_unknown", detail)
}

async fn shown_once(call: &Call, issued: Issued, predecessor: Option<ApiKeyRecord>) -> Answer {
    let (record, secret) = issued.reveal();
    let predecessor = match &predecessor {
        Some(record) => Some(shown(call, record).await),
        None => None,
    };
    let document = ShownOnce { key: shown(call, &record).await, secret: Some(secret.expose()), predecessor };
    let made = created(&document, &format!("/admin/v1/api-keys/{}", record.id))?;
    Ok(condition::tag(made, record.version))
}

/// To a repeat: everything but the secret (RULES 4.2).
async fn shown_again(call: &Call, id: &str) -> Answer {
    let id = KeyId::parse(id).ok_or_else(|| unknown(id))?;
    let record = find(call, &id).await?;
    let document = ShownOnce { key: shown(call, &record).await, secret: None, predecessor: None };
    replayed(call::record(&document, record.version))
}

async fn shown(facts: &Facts, record: &ApiKeyRecord) -> Shown {
    let (successor, revoked_at, reason) = match &record.state {
        KeyState::Active => (None, None, None),
        KeyState::Rotated { successor, .. } => (Some(successor.to_string()), None, None),
        KeyState::Revoked { at, reason } => (None, Some(time::format(*at)), Some(reason.as_str())),
    };
    Shown {
        id: record.id.to_string(),
        prefix: record.prefix.clone(),
        environment: record.environment.as_str(),
        origin: record.origin.as_str(),
        owner: owner(facts, &record.owner).await,
        label: record.label.clone(),
        scopes: record.scopes.iter().map(ToString::to_string).collect(),
        networks: record.networks.iter().map(ToString::to_string).collect(),
        limit: record.limit.as_ref().map(ShownLimit::from),
        plan: record.plan.as_ref().map(|p| p.as_str().to_owned()),
        created_at: time::format(record.created_at),
        expires_at: record.expires_at.map(time::format),
        last_used_at: record.last_used_at.map(time::format),
        state: record.standing(facts.now).as_str(),
        successor,
        revoked_at,
        reason,
        version: record.version,
    }
}

/// Local memory is as good as the judgement that reads it; a store that does not answer costs what it would say.
pub(super) async fn owner(facts: &Facts, owner: &PrincipalId) -> Owner {
    let directory = &facts.services.directory;
    let standing = match directory.standing(owner) {
        Some(standing) => Some(standing),
        None => directory.load(owner).await.ok().flatten(),
    };
    Owner {
        id: owner.to_string(),
        name: standing.as_ref().map(|s| s.name.to_string()),
        enabled: standing.map(|s| s.active),
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let (status, code, help) = match &error {
            IssueError::OwnerUnknown => {
                (StatusCode::NOT_FOUND, "principal_unknown", "`GET /admin/v1/principals` lists them")
            }
            IssueError::OwnerDisabled => {
                (StatusCode::CONFLICT, "principal_disabled", "enable it first, or name another owner")
            }
            IssueError::ScopesBeyondOwner(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "scopes_beyond_owner",
                "a key has at most its owner's scopes; give them to the owner first",
            ),
            IssueError::ScopesBeyondCaller(_) => (
                StatusCode::FORBIDDEN,
                "scopes_beyond_caller",
                "a credential passes on only what it has itself, unless it holds `countersign:grant`",
            ),
            IssueError::OutlivesCaller(end) => {
                let end = time::format(*end);
                let detail = format!(
                    "the key would outlive the credential that asks, which ends at {end}; \
                     ask for less, or with a credential that holds `countersign:grant`"
                );
                return Problem::new(StatusCode::FORBIDDEN, "outlives_caller", detail);
            }
            IssueError::LifetimeTooLong(longest) => {
                let longest = duration::format(*longest);
                let detail = format!("the longest lifetime here is {longest}; the configuration sets it");
                return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "lifetime_too_long", detail);
            }
            IssueError::NeverNotAllowed => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "never_not_allowed",
                "give `expires_in`, or allow such keys in the configuration",
            ),
            IssueError::LifetimeOver => {
                (StatusCode::UNPROCESSABLE_ENTITY, "lifetime_over", "give a time that is still to come")
            }
            IssueError::PlanUnknown => {
                (StatusCode::UNPROCESSABLE_ENTITY, "plan_unknown", "the configuration names the plans")
            }
            IssueError::KeyUnknown => {
                (StatusCode::NOT_FOUND, "key_unknown", "`GET /admin/v1/api-keys` lists them")
            }
            IssueError::KeyNotActive(_) => {
                (StatusCode::CONFLICT, "key_not_active", "only an active key can be rotated; make a new one")
            }
            IssueError::KeyChanged => {
                (StatusCode::CONFLICT, "key_changed", "look at what stands now and try again")
            }
            IssueError::Store(error) => return error.clone().into(),
        };
        Problem::new(status, code, format!("{error}; {help}"))
    }
}

const TAG: &str = "api-keys";

/// Of a body, with its schema.
type Member = (&'static str, Value);

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let owner = object(
        "A principal by id and name. No key or app password of a disabled one works, whatever its own state.",
        &[("id", string()), ("name", nullable(string())), ("enabled", nullable(boolean()))],
        &[],
    );
    let limit = object(
        "So many requests in so long.",
        &[("requests", json!({"type": "integer", "minimum": 1, "maximum": 1_000_000_000})), ("per", span())],
        &[],
    );
    let key = object(
        "What is kept of a key: never its secret.",
        &[
            ("id", key_id()),
            ("prefix", string()),
            ("environment", words(&["live", "test"])),
            ("origin", words(&["issued", "imported"])),
            ("owner", defined("Owner")),
            ("label", string()),
            ("scopes", array(scope())),
            ("networks", array(string())),
            ("limit", nullable(defined("Limit"))),
            ("plan", nullable(string())),
            ("created_at", instant()),
            ("expires_at", nullable(instant())),
            ("last_used_at", nullable(instant())),
            ("state", words(&["active", "rotated", "expired", "revoked"])),
            ("version", integer(1)),
        ],
        &[
            ("successor", key_id()),
            ("revoked_at", instant()),
            ("reason", words(&["operator", "holder", "leaked"])),
        ],
    );
    let issued = object(
        "A new key. The secret is shown this once: `null` where the same request made the key before.",
        &[("key", defined("Key")), ("secret", nullable(string()))],
        &[("predecessor", defined("Key"))],
    );
    let verdict = object(
        "Is it good? The record is shown only where the secret was right.",
        &[("valid", boolean())],
        &[("reason", string()), ("key", defined("Key"))],
    );
    vec![
        ("Owner", owner),
        ("Limit", limit),
        ("Key", key),
        ("IssuedKey", issued),
        ("KeyVerdict", verdict),
        ("KeyImport", import::schema()),
    ]
}

fn key_id() -> Value {
    pattern("^[0-9A-Za-z]{12}$")
}

/// `expires_in` and `expires_at`, of which one may be given.
fn lifetimes() -> [Member; 2] {
    [("expires_in", json!({"anyOf": [span(), {"const": "never"}]})), ("expires_at", instant())]
}

pub(crate) fn describe_list() -> Described {
    let states: Vec<&str> = STANDINGS.iter().map(|standing| standing.as_str()).collect();
    Described::new(TAG, "List keys, in the order of their making unless `sort` says otherwise")
        .query("owner", "only of this principal", id_or_name())
        .query("usable", "only those that are neither revoked nor expired", boolean())
        .query("state", "only in this state", words(&states))
        .query("environment", "only of this environment", words(&["live", "test"]))
        .query(
            "expires_before",
            "only those that end before this time, or within so long",
            json!({"anyOf": [instant(), span()]}),
        )
        .query("label", "only those whose label begins so", json!({"type": "string", "maxLength": 200}))
        .sort(&SORTS.map(|(name, _)| name))
        .page()
        .answer(200, "a page of keys", page_of("Key", string()))
        .problem(404, "principal_unknown")
}

/// What is said of a key that is to be: what must be, and what may be.
fn new_key() -> ([Member; 2], [Member; 6]) {
    let [expires_in, expires_at] = lifetimes();
    (
        [("owner", string()), ("scopes", few(scope(), ScopeSet::MAX_SCOPES))],
        [
            ("label", json!({"type": "string", "maxLength": 200})),
            expires_in,
            expires_at,
            ("networks", few(string(), 64)),
            ("limit", defined("Limit")),
            ("plan", pattern("^[a-z0-9_-]{1,64}$")),
        ],
    )
}

pub(crate) fn describe_create() -> Described {
    let (required, optional) = new_key();
    let body = request(&required, &optional);
    issuing(Described::new(TAG, "Make a key"))
        .body(body, json!({"owner": "billing", "scopes": ["orders:read"], "label": "nightly export", "expires_in": "30d"}))
        .problem(404, "principal_unknown")
        .problem(409, "principal_disabled")
        .problem(422, "scopes_beyond_owner")
        .problem(422, "plan_unknown")
}

pub(crate) fn describe_rotate() -> Described {
    let [expires_in, expires_at] = lifetimes();
    let grace = json!({"anyOf": [span(), {"const": "0s"}], "default": "24h"});
    let body = request(&[], &[("grace", grace), expires_in, expires_at]);
    issuing(Described::new(TAG, "Make a key's successor; the key stays good for the grace"))
        .id("the key's public id", key_id())
        .if_match(false)
        .optional_body(body, json!({"grace": "24h"}))
        .problem(404, "key_unknown")
        .problem(404, "principal_unknown")
        .problem(409, "principal_disabled")
        .problem(409, "key_not_active")
        .problem(409, "key_changed")
}

/// What making a key and making its successor have in common.
fn issuing(described: Described) -> Described {
    described
        .once()
        .answer(201, "the key and its secret", defined("IssuedKey"))
        .tagged()
        .located()
        .replayed(
            "it was made by the same request before; the secret is not shown again",
            defined("IssuedKey"),
        )
        .problem(403, "scopes_beyond_caller")
        .problem(403, "outlives_caller")
        .problem(422, "lifetime_too_long")
        .problem(422, "lifetime_over")
        .problem(422, "never_not_allowed")
}

pub(crate) fn describe_show() -> Described {
    Described::new(TAG, "Show a key, never its secret")
        .id("the key's public id", key_id())
        .answer(200, "the key", defined("Key"))
        .tagged()
        .problem(404, "key_unknown")
}

pub(crate) fn describe_revoke() -> Described {
    let body = request(&[], &[("reason", words(&["operator", "leaked"]))]);
    Described::new(TAG, "End a key, for good")
        .id("the key's public id", key_id())
        .if_match(false)
        .optional_body(body, json!({"reason": "leaked"}))
        .answer(200, "the key", defined("Key"))
        .tagged()
        .problem(404, "key_unknown")
}

pub(crate) fn describe_verify() -> Described {
    Described::new(TAG, "Is this key good, and if not, why?")
        .body(request(&[("key", string())], &[]), json!({"key": "cs_live_..."}))
        .answer(200, "the verdict", defined("KeyVerdict"))
}
