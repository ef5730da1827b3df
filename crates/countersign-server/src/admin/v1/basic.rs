//! `/admin/v1/principals/{id}/password`, `/admin/v1/passwords/import` and `/admin/v1/app-passwords`: how people sign in with
//! HTTP Basic. A password is taken and never shown; an app password leaves in the 201 that made it and nowhere else.

use super::{
    api_key::{Owner, owner},
    principal,
};
use crate::{
    call::{self, Answer, Call, Facts, Listed, created, ok},
    condition::{self, Condition},
    input::{Members, Wrong, json::Json},
    once::{Done, once, replayed},
    openapi::{
        Described, page_of,
        shape::{
            array, boolean, defined, duration as span, few, id_or_name, integer, nullable, object, pattern,
            request, scope, string, time as instant, words,
        },
    },
    problem::{Fault, Problem, quoted},
    words::{cursor, duration, read, time},
};
use countersign_core::{CredentialId, PrincipalId, ScopeSet};
use countersign_methods::basic::{
    app_password::{AppPasswordRecord, AppPasswordState},
    issue::{
        BasicError,
        app_password::{IssuedAppPassword, NewAppPassword},
        import::{ForeignPerson, ImportPeople, ImportPeopleError, Outcome, RowError},
    },
    record::PasswordRecord,
    store::{AppPasswordQuery, UseQuery},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

/// People of one request: each weak hash takes a hash of ours to import.
const MOST: usize = 250;

#[derive(Debug, Serialize)]
struct ShownPassword {
    set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_at: Option<String>,
}

impl From<&PasswordRecord> for ShownPassword {
    fn from(record: &PasswordRecord) -> Self {
        Self { set: true, scheme: Some(record.hash.scheme()), set_at: Some(time::format(record.set_at)) }
    }
}

const NONE: ShownPassword = ShownPassword { set: false, scheme: None, set_at: None };

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    owner: Owner,
    service: String,
    scopes: Vec<String>,
    created_at: String,
    expires_at: String,
    last_used_at: Option<String>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    version: i64,
}

#[derive(Debug, Serialize)]
struct ShownUse {
    principal: Owner,
    route: String,
    uses: u64,
    last_used_at: String,
}

/// The one document that holds a secret. Has no `Debug`.
#[derive(Serialize)]
struct ShownOnce<'a> {
    app_password: Shown,
    /// `null`: it was shown once.
    secret: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Report {
    imported: usize,
    existed: usize,
    dry_run: bool,
    people: Vec<Reported>,
}

#[derive(Debug, Serialize)]
struct Reported {
    row: usize,
    outcome: &'static str,
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
}

const MADE: &str = "made";
const GIVEN: &str = "given";
const EXISTED: &str = "existed";

pub(crate) async fn show_password(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let principal = principal::resolve(&call, &call.id).await?;
    password(call.services.basic.password(&principal.id).await?.as_ref())
}

pub(crate) async fn set_password(call: Call) -> Answer {
    let mut body = call.members()?;
    let typed = body.required("password", read::password);
    let typed = body.finish(typed)?;
    let principal = principal::resolve(&call, &call.id).await?;
    let seen = match call.condition()? {
        Some(condition) => held(&call, &condition, &principal.id).await?,
        None => None,
    };
    let set = call.services.basic.set_password(&principal.id, (&typed, seen), &call.caller, call.now).await;
    let set = set.map_err(|error| not_as_seen(seen, error))?;
    password(Some(&set))
}

pub(crate) async fn remove_password(call: Call) -> Answer {
    let condition = call.condition()?.ok_or_else(condition::required)?;
    call.query()?.finish(Some(()))?;
    let principal = principal::resolve(&call, &call.id).await?;
    let seen = held(&call, &condition, &principal.id).await?;
    // that there was none is what was wanted
    let removed = call.services.basic.remove_password(&principal.id, seen, &call.caller, call.now).await;
    removed.map_err(|error| not_as_seen(seen, error))?;
    password(None)
}

/// The version that the call depends on, 0 where there is no password; `None`: whatever stands.
async fn held(call: &Call, condition: &Condition, principal: &PrincipalId) -> Result<Option<i64>, Problem> {
    let standing = call.services.basic.password(principal).await?;
    condition.hold(standing.map_or(0, |record| record.version))
}

/// The write found another version than the one that it depends on.
fn not_as_seen(seen: Option<i64>, error: BasicError) -> Problem {
    match error {
        BasicError::Changed if seen.is_some() => condition::failed(),
        error => error.into(),
    }
}

fn password(record: Option<&PasswordRecord>) -> Answer {
    let shown = record.map_or(NONE, ShownPassword::from);
    call::record(&shown, record.map_or(0, |record| record.version))
}

pub(crate) async fn import_people(call: Call) -> Answer {
    let mut body = call.members()?;
    let people = body.required("people", |value| read::list(value, MOST, person));
    let scopes = body.optional("scopes", read::scopes).unwrap_or_default();
    let groups = body.optional("groups", read::groups).unwrap_or_default();
    let skip_existing = body.optional("skip_existing", read::boolean).unwrap_or(false);
    let dry_run = body.optional("dry_run", read::boolean).unwrap_or(false);
    let people = body.finish(people)?;

    let how = ImportPeople { scopes, groups, skip_existing, dry_run };
    let outcomes = call.services.basic.import_people(people, how, &call.caller, call.now).await?;
    let people: Vec<Reported> = outcomes.into_iter().enumerate().map(|o| Reported::of(o, dry_run)).collect();
    let existed = people.iter().filter(|person| person.outcome == EXISTED).count();
    ok(&Report { imported: people.len() - existed, existed, dry_run, people })
}

impl Reported {
    fn of((row, outcome): (usize, Outcome), dry_run: bool) -> Self {
        match outcome {
            Outcome::Made(id, scheme) => {
                let id = (!dry_run).then(|| id.to_string());
                Self { row, outcome: MADE, id, scheme: Some(scheme) }
            }
            Outcome::Given(id, scheme) => {
                Self { row, outcome: GIVEN, id: Some(id.to_string()), scheme: Some(scheme) }
            }
            Outcome::Existed(id) => Self { row, outcome: EXISTED, id: Some(id.to_string()), scheme: None },
        }
    }
}

fn person(value: Json) -> Result<ForeignPerson, Wrong> {
    let Json::Object(entries) = value else {
        return Err(format!("must be an object, not {}", value.what()).into());
    };
    let mut person = Members::of_body(entries);
    let name = person.required("name", read::text);
    let hash = person.required("hash", read::text);
    person.close()?;
    let (name, hash) = name.zip(hash).ok_or("is incomplete")?;
    Ok(ForeignPerson { name, hash: hash.into() })
}

pub(crate) async fn list(call: Call) -> Answer {
    const LIST: &str = "app-passwords";
    let mut query = call.query()?;
    let owner = query.optional("owner", read::text);
    let usable = query.optional("usable", read::flag).unwrap_or(false);
    let page = read::page(&mut query, LIST);
    query.finish(Some(()))?;

    let owner = match owner {
        Some(owner) => Some(principal::resolve(&call, &owner).await?.id),
        None => None,
    };
    let query = AppPasswordQuery { owner, usable_at: usable.then_some(call.now), page };
    let page = call.services.basic_store.list_app_passwords(query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for record in &page.items {
        items.push(shown(&call, record).await);
    }
    ok(&Listed { items, next: page.next.map(|after| cursor::encode(LIST, &after)) })
}

pub(crate) async fn create(call: Call) -> Answer {
    let mut body = call.members()?;
    let owner = body.required("owner", read::text);
    let service = body.required("service", service);
    let scopes = body.required("scopes", read::scopes);
    let lifetime = body.optional("expires_in", read::span);
    let (owner, (service, scopes)) = body.finish(owner.zip(service.zip(scopes)))?;

    let owner = principal::resolve(&call, &owner).await?.id;
    let new = NewAppPassword { owner, service, scopes, lifetime };
    let made = once(&call, async |caller| {
        Ok(call.services.basic.create_app_password(new, caller, call.now).await?)
    });
    match made.await? {
        Done::Now(issued) => shown_once(&call, issued).await,
        Done::Before(id) => {
            let record = find(&call, &id).await?;
            let document = ShownOnce { app_password: shown(&call, &record).await, secret: None };
            replayed(call::record(&document, record.version))
        }
    }
}

pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    let record = find(&call, &call.id).await?;
    call::record(&shown(&call, &record).await, record.version)
}

pub(crate) async fn revoke(call: Call) -> Answer {
    call.members_if_any()?.finish(Some(()))?;
    let record = find(&call, &call.id).await?;
    if let Some(condition) = call.condition()? {
        condition.hold(record.version)?;
    }
    call.services.basic.revoke_app_password(&record.id, &call.caller, call.now).await?;
    let record = find(&call, &call.id).await?;
    call::record(&shown(&call, &record).await, record.version)
}

/// Who still uses Basic, and where: what has to move before a route can do without it.
pub(crate) async fn uses(call: Call) -> Answer {
    let mut query = call.query()?;
    let principal = query.optional("principal", read::text);
    let route = query.optional("route", read::text);
    let since = query.optional("since", |v| read::point_or_span_before(v, call.now));
    let limit = read::page_limit(&mut query);
    query.finish(Some(()))?;

    let principal = match principal {
        Some(principal) => Some(principal::resolve(&call, &principal).await?.id),
        None => None,
    };
    let uses = call.services.basic_store.uses(UseQuery { principal, route, since, limit }).await?;
    let mut items = Vec::with_capacity(uses.len());
    for used in uses {
        items.push(ShownUse {
            principal: owner(&call, &used.principal).await,
            route: used.route.to_string(),
            uses: used.uses,
            last_used_at: time::format(used.last_used_at),
        });
    }
    ok(&Listed::<_, String> { items, next: None })
}

/// Which service it is for.
fn service(value: Json) -> Result<String, Wrong> {
    let text = read::label(value)?;
    if text.is_empty() { Err("must name the service that it is for".into()) } else { Ok(text) }
}

async fn find(facts: &Facts, id: &str) -> Result<AppPasswordRecord, Problem> {
    // what cannot be an id names nothing: the store need not be asked
    let plausible = id.len() == 12 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let found = match plausible {
        true => facts.services.basic_store.find_app_password(&CredentialId::new(id)).await?,
        false => None,
    };
    found.map(|(record, _)| record).ok_or_else(|| {
        let detail = format!(
            "there is no app password with the id {}; `GET /admin/v1/app-passwords` lists them",
            quoted(id)
        );
        Problem::not_found("app_password_unknown", detail)
    })
}

async fn shown_once(call: &Call, issued: IssuedAppPassword) -> Answer {
    let (record, secret) = issued.reveal();
    let document = ShownOnce { app_password: shown(call, &record).await, secret: Some(secret.expose()) };
    let made = created(&document, &format!("/admin/v1/app-passwords/{}", record.id))?;
    Ok(condition::tag(made, record.version))
}

async fn shown(facts: &Facts, record: &AppPasswordRecord) -> Shown {
    let revoked_at = match record.state {
        AppPasswordState::Active => None,
        AppPasswordState::Revoked { at } => Some(time::format(at)),
    };
    Shown {
        id: record.id.to_string(),
        owner: owner(facts, &record.owner).await,
        service: record.service.clone(),
        scopes: record.scopes.iter().map(ToString::to_string).collect(),
        created_at: time::format(record.created_at),
        expires_at: time::format(record.expires_at),
        last_used_at: record.last_used_at.map(time::format),
        state: record.standing(facts.now).as_str(),
        revoked_at,
        version: record.version,
    }
}

impl From<BasicError> for Problem {
    fn from(error: BasicError) -> Self {
        const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        let (status, code, help) = match &error {
            BasicError::Unknown => {
                (StatusCode::NOT_FOUND, "principal_unknown", "`GET /admin/v1/principals` lists them")
            }
            BasicError::Disabled => {
                (StatusCode::CONFLICT, "principal_disabled", "enable it first, or name another owner")
            }
            BasicError::NotAUser => {
                (UNPROCESSABLE, "not_a_user", "a service shows a key, also as the password of Basic")
            }
            // both say what to do themselves
            BasicError::Form(_) | BasicError::Weak(_) => {
                return Problem::new(UNPROCESSABLE, "password_weak", error.to_string());
            }
            BasicError::Wrong => (
                StatusCode::FORBIDDEN,
                "password_wrong",
                "an operator can set a new one: `countersign user set-password NAME`",
            ),
            BasicError::Changed => {
                (StatusCode::CONFLICT, "password_changed", "look at what stands now and try again")
            }
            BasicError::GrantNeeded => (
                StatusCode::FORBIDDEN,
                "grant_needed",
                "a password does not end with the key that set it; that needs `countersign:grant`",
            ),
            BasicError::ScopesBeyondOwner(_) => (
                UNPROCESSABLE,
                "scopes_beyond_owner",
                "an app password has at most its owner's scopes; give them to the owner first",
            ),
            BasicError::ScopesBeyondCaller(_) => (
                StatusCode::FORBIDDEN,
                "scopes_beyond_caller",
                "a credential passes on only what it has itself, unless it holds `countersign:grant`",
            ),
            BasicError::OutlivesCaller(end) => {
                let end = time::format(*end);
                let detail = format!(
                    "it would outlive the credential that asks, which ends at {end}; ask for less, or with a \
                     credential that holds `countersign:grant`"
                );
                return Problem::new(StatusCode::FORBIDDEN, "outlives_caller", detail);
            }
            BasicError::LifetimeTooLong(longest) => {
                let longest = duration::format(*longest);
                let detail = format!("the longest lifetime here is {longest}; the configuration sets it");
                return Problem::new(UNPROCESSABLE, "lifetime_too_long", detail);
            }
            BasicError::LifetimeOver => (UNPROCESSABLE, "lifetime_over", "give a time that is still to come"),
            BasicError::AppPasswordUnknown => {
                (StatusCode::NOT_FOUND, "app_password_unknown", "`GET /admin/v1/app-passwords` lists them")
            }
            BasicError::Busy => {
                let mut problem = Problem::unavailable();
                problem.detail = "too many passwords are being hashed; try again in a moment".into();
                problem.code = "passwords_busy";
                return problem;
            }
            BasicError::Store(error) => return error.clone().into(),
        };
        Problem::new(status, code, format!("{error}; {help}"))
    }
}

impl From<ImportPeopleError> for Problem {
    fn from(error: ImportPeopleError) -> Self {
        let rows = match error {
            ImportPeopleError::Refused(error) => return error.into(),
            ImportPeopleError::Rows(rows) => rows,
        };
        let what = if rows.len() == 1 {
            "one of the people".into()
        } else {
            format!("{} of the people", rows.len())
        };
        let detail = format!("{what} cannot be imported, so nobody was; `errors` names each with the reason");
        let faults = rows.into_iter().map(|(row, error)| {
            let member = match &error {
                RowError::Hash(_) => ".hash",
                RowError::Name(_) | RowError::Alphabet => ".name",
                RowError::Doubled(_) | RowError::NotAUser | RowError::Exists => "",
            };
            let detail = match &error {
                RowError::Doubled(first) => format!("is the same name as `people[{first}]`"),
                RowError::Exists => format!("{error}; `skip_existing` leaves such people as they are"),
                _ => error.to_string(),
            };
            Fault { member: format!("people[{row}]{member}"), detail }
        });
        let faults = faults.collect();
        Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "import_refused", detail) }
    }
}

const TAG: &str = "basic";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let password = object(
        "Is there a password, and how is it kept? Never the password.",
        &[("set", boolean())],
        &[("scheme", string()), ("set_at", instant())],
    );
    let app_password = object(
        "What is kept of an app password: never its secret.",
        &[
            ("id", app_password_id()),
            ("owner", defined("Owner")),
            ("service", string()),
            ("scopes", array(scope())),
            ("created_at", instant()),
            ("expires_at", instant()),
            ("last_used_at", nullable(instant())),
            ("state", words(&["active", "expired", "revoked"])),
            ("version", integer(1)),
        ],
        &[("revoked_at", instant())],
    );
    let issued = object(
        "A new app password. The secret is shown this once: `null` where the same request made it before.",
        &[("app_password", defined("AppPassword")), ("secret", nullable(string()))],
        &[],
    );
    let person = object(
        "What became of one of them.",
        &[("row", integer(0)), ("outcome", words(&[MADE, GIVEN, EXISTED])), ("id", nullable(string()))],
        &[("scheme", string())],
    );
    let import = object(
        "What became of them, in the order in which they were sent.",
        &[
            ("imported", integer(0)),
            ("existed", integer(0)),
            ("dry_run", boolean()),
            ("people", array(person)),
        ],
        &[],
    );
    let used = object(
        "That somebody uses Basic on a route.",
        &[
            ("principal", defined("Owner")),
            ("route", string()),
            ("uses", integer(1)),
            ("last_used_at", instant()),
        ],
        &[],
    );
    vec![
        ("Password", password),
        ("AppPassword", app_password),
        ("IssuedAppPassword", issued),
        ("PeopleImport", import),
        ("BasicUse", used),
    ]
}

fn app_password_id() -> Value {
    pattern("^[0-9A-Za-z]{12}$")
}

fn of_a_principal(summary: &'static str) -> Described {
    Described::new(TAG, summary)
        .id("the principal's id or name", id_or_name())
        .answer(200, "how the password stands", defined("Password"))
        .tagged()
        .problem(404, "principal_unknown")
}

pub(crate) fn describe_show_password() -> Described {
    of_a_principal("Is there a password?")
}

pub(crate) fn describe_set_password() -> Described {
    let body = request(&[("password", json!({"type": "string", "maxLength": 4096}))], &[]);
    of_a_principal("Set a user's password; what was signed in with the one before ends")
        .if_match(false)
        .body(body, json!({"password": "seven unrelated words are long enough"}))
        .problem(403, "grant_needed")
        .problem(403, "scopes_beyond_caller")
        .problem(409, "password_changed")
        .problem(422, "password_weak")
        .problem(422, "not_a_user")
        .problem(503, "passwords_busy")
}

pub(crate) fn describe_remove_password() -> Described {
    of_a_principal("Take a user's password away").if_match(true)
}

pub(crate) fn describe_import_people() -> Described {
    let person = request(&[("name", string()), ("hash", json!({"type": "string", "maxLength": 512}))], &[]);
    let body = request(
        &[("people", few(person, MOST))],
        &[
            ("scopes", few(scope(), ScopeSet::MAX_SCOPES)),
            ("groups", few(string(), 64)),
            ("skip_existing", boolean()),
            ("dry_run", boolean()),
        ],
    );
    let example = json!({"people": [
        {"name": "ada", "hash": "$2y$05$pIbZD4x9dUVzkC8D9Lc6sOmgG/CYb1s0WjvkbWeRiR4C1hYAqyUv2"},
    ], "scopes": ["orders:read"], "skip_existing": true});
    Described::new(TAG, "Import people with password hashes of another product, all of them or none")
        .body(body, example)
        .answer(200, "what became of each", defined("PeopleImport"))
        .problem(403, "grant_needed")
        .problem(403, "scopes_beyond_caller")
        .problem(409, "password_changed")
        .problem(422, "import_refused")
        .problem(503, "passwords_busy")
}

pub(crate) fn describe_uses() -> Described {
    Described::new(TAG, "Who still uses Basic, and on which route, the most recent use first")
        .query("principal", "only this one", id_or_name())
        .query("route", "only the route of this name", string())
        .query(
            "since",
            "only what was used at this time or later, or within so long",
            json!({"anyOf": [instant(), span()]}),
        )
        .limit()
        .answer(200, "principals and routes", page_of("BasicUse", string()))
        .problem(404, "principal_unknown")
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List app passwords, in the order of their making")
        .query("owner", "only of this principal", id_or_name())
        .query("usable", "only those that are neither revoked nor expired", boolean())
        .page()
        .answer(200, "a page of app passwords", page_of("AppPassword", string()))
        .problem(404, "principal_unknown")
}

pub(crate) fn describe_create() -> Described {
    let body = request(
        &[
            ("owner", string()),
            ("service", json!({"type": "string", "minLength": 1, "maxLength": 200})),
            ("scopes", few(scope(), ScopeSet::MAX_SCOPES)),
        ],
        &[("expires_in", span())],
    );
    Described::new(TAG, "Make an app password")
        .once()
        .body(
            body,
            json!({"owner": "ada", "service": "calendar", "scopes": ["orders:read"], "expires_in": "90d"}),
        )
        .answer(201, "the app password and its secret", defined("IssuedAppPassword"))
        .tagged()
        .located()
        .replayed(
            "it was made by the same request before; the secret is not shown again",
            defined("IssuedAppPassword"),
        )
        .problem(403, "scopes_beyond_caller")
        .problem(403, "outlives_caller")
        .problem(404, "principal_unknown")
        .problem(409, "principal_disabled")
        .problem(422, "not_a_user")
        .problem(422, "scopes_beyond_owner")
        .problem(422, "lifetime_too_long")
        .problem(422, "lifetime_over")
}

pub(crate) fn describe_show() -> Described {
    Described::new(TAG, "Show an app password, never its secret")
        .id("its public id", app_password_id())
        .answer(200, "the app password", defined("AppPassword"))
        .tagged()
        .problem(404, "app_password_unknown")
}

pub(crate) fn describe_revoke() -> Described {
    Described::new(TAG, "End an app password, for good")
        .id("its public id", app_password_id())
        .if_match(false)
        .optional_body(request(&[], &[]), json!({}))
        .answer(200, "the app password", defined("AppPassword"))
        .tagged()
        .problem(404, "app_password_unknown")
}
