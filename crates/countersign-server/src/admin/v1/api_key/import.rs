//! `POST /admin/v1/api-keys/import`: keys that were made elsewhere, all of a list or none, every bad one named.

use super::{TAG, Wanted, key_id, new_key, principal};
use crate::{
    call::{Answer, Call, ok},
    input::{Members, Wrong, json::Json},
    openapi::{
        Described,
        shape::{array, boolean, few, integer, nullable, object, pattern, request, words},
    },
    problem::{Fault, Problem},
    words::read,
};
use base64::{
    Engine,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use countersign_core::PrincipalId;
use countersign_methods::api_key::{
    foreign::{Brought, Sha256Of},
    issue::{
        IssueError,
        import::{ForeignKey, Import, ImportError, Outcome, RowError},
    },
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Of one request. A longer list takes several.
const MOST: usize = 1000;

struct Row {
    wanted: Wanted,
    brought: Brought,
}

#[derive(Debug, Serialize)]
struct Report {
    imported: usize,
    existed: usize,
    dry_run: bool,
    keys: Vec<Reported>,
}

#[derive(Debug, Serialize)]
struct Reported {
    row: usize,
    outcome: &'static str,
    /// `null`: it was only tried.
    id: Option<String>,
}

pub(crate) async fn import(call: Call) -> Answer {
    let mut body = call.members()?;
    let rows = body.required("keys", |value| read::list(value, MOST, row));
    let skip_existing = body.optional("skip_existing", read::boolean).unwrap_or(false);
    let dry_run = body.optional("dry_run", read::boolean).unwrap_or(false);
    let rows = body.finish(rows)?;

    let owners = owners(&call, &rows).await?;
    let keys = rows.into_iter().filter_map(|Row { wanted, brought }| {
        let owner = owners.get(&wanted.owner)?.clone();
        Some(ForeignKey { key: wanted.of(owner), brought })
    });
    let how = Import { skip_existing, dry_run };
    let outcomes = call.services.api_keys.import(keys.collect(), how, &call.caller, call.now).await?;
    let keys: Vec<Reported> = outcomes.into_iter().enumerate().map(|o| Reported::of(o, dry_run)).collect();
    let existed = keys.iter().filter(|key| key.outcome == EXISTED).count();
    ok(&Report { imported: keys.len() - existed, existed, dry_run, keys })
}

const IMPORTED: &str = "imported";
const EXISTED: &str = "existed";

impl Reported {
    fn of((row, outcome): (usize, Outcome), dry_run: bool) -> Self {
        match outcome {
            Outcome::Imported(id) => Self { row, outcome: IMPORTED, id: (!dry_run).then(|| id.to_string()) },
            Outcome::Existed(id) => Self { row, outcome: EXISTED, id: Some(id.to_string()) },
        }
    }
}

fn row(value: Json) -> Result<Row, Wrong> {
    let Json::Object(entries) = value else {
        return Err(format!("must be an object, not {}", value.what()).into());
    };
    let mut row = Members::of_body(entries);
    let wanted = Wanted::read(&mut row);
    let key = row.optional("key", read::text);
    let hash = row.optional("sha256", |value| sha256(&read::text(value)?));
    let brought = match (key, hash) {
        (Some(_), Some(_)) => {
            row.fault("sha256", "stands beside `key`; give one of them");
            None
        }
        (Some(key), None) => Some(Brought::Value(key.into())),
        (None, Some(hash)) => Some(Brought::Sha256(hash)),
        (None, None) => {
            row.fault("key", "is missing: give `key`, or `sha256` where only its hash is known");
            None
        }
    };
    row.close()?;
    let (wanted, brought) = wanted.zip(brought).ok_or("is incomplete")?;
    Ok(Row { wanted, brought })
}

/// In hexadecimal, or in base64 of either alphabet, with or without its padding: how other products keep it.
fn sha256(text: &str) -> Result<Sha256Of, Wrong> {
    const EITHER: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, EITHER);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, EITHER);
    let bytes = match text.len() {
        64 => hex(text),
        _ => STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok(),
    };
    let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let wrong = "is not a SHA-256: 64 hexadecimal digits, or 32 bytes in base64";
    hash.map(Sha256Of).ok_or_else(|| wrong.into())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    digits?.chunks_exact(2).map(|pair| u8::try_from(pair.iter().fold(0, |n, d| n << 4 | d)).ok()).collect()
}

/// Each owner once; every row of one that is not there is named.
async fn owners(call: &Call, rows: &[Row]) -> Result<HashMap<String, PrincipalId>, Problem> {
    let mut owners: HashMap<String, PrincipalId> = HashMap::new();
    let mut unknown: HashMap<&str, String> = HashMap::new();
    let mut faults = Vec::new();
    for (n, Row { wanted: Wanted { owner, .. }, .. }) in rows.iter().enumerate() {
        if !owners.contains_key(owner) && !unknown.contains_key(owner.as_str()) {
            match principal::resolve(call, owner).await {
                Ok(principal) => {
                    owners.insert(owner.clone(), principal.id);
                }
                Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                    unknown.insert(owner, problem.detail);
                }
                Err(problem) => return Err(problem),
            }
        }
        if let Some(why) = unknown.get(owner.as_str()) {
            faults.push(Fault { member: format!("keys[{n}].owner"), detail: why.clone() });
        }
    }
    if faults.is_empty() { Ok(owners) } else { Err(refused(faults)) }
}

/// Well-formed rows that cannot be imported.
fn refused(faults: Vec<Fault>) -> Problem {
    let what =
        if faults.len() == 1 { "one of the keys".into() } else { format!("{} of the keys", faults.len()) };
    let detail = format!("{what} cannot be imported, so none was; `errors` names each with its reason");
    Problem { faults, ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "import_refused", detail) }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Off => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "import_off",
                "keys from elsewhere are not taken here; say what they begin with, `[api_keys] imported_prefixes = \
                 [\"acme_\"]`, or `[\"\"]` where they begin with anything, and restart",
            ),
            ImportError::Rows(rows) => refused(rows.into_iter().map(fault).collect()),
            ImportError::Changed => Problem::conflict(
                "key_exists",
                "one of the keys was imported by somebody else meanwhile, so none of these was; try again, with \
                 `skip_existing` to leave what is there as it is",
            ),
            ImportError::Store(error) => error.into(),
        }
    }
}

fn fault((row, error): (usize, RowError)) -> Fault {
    let (member, detail) = match error {
        RowError::Foreign(error) => (".key", error.to_string()),
        RowError::Doubled(first) => ("", format!("is the same key as `keys[{first}]`")),
        RowError::Exists(id) => {
            ("", format!("is here already, as `{id}`; `skip_existing` leaves such keys as they are"))
        }
        RowError::Issue(error) => (member(&error), Problem::from(error).detail),
    };
    Fault { member: format!("keys[{row}]{member}"), detail }
}

fn member(error: &IssueError) -> &'static str {
    match error {
        IssueError::OwnerUnknown | IssueError::OwnerDisabled => ".owner",
        IssueError::ScopesBeyondOwner(_) | IssueError::ScopesBeyondCaller(_) => ".scopes",
        IssueError::OutlivesCaller(_)
        | IssueError::LifetimeTooLong(_)
        | IssueError::NeverNotAllowed
        | IssueError::LifetimeOver => ".expires_in",
        IssueError::PlanUnknown => ".plan",
        IssueError::KeyUnknown
        | IssueError::KeyNotActive(_)
        | IssueError::KeyChanged
        | IssueError::Store(_) => "",
    }
}

pub(super) fn schema() -> Value {
    let key = object(
        "What became of one of them.",
        &[("row", integer(0)), ("outcome", words(&[IMPORTED, EXISTED])), ("id", nullable(key_id()))],
        &[],
    );
    object(
        "What became of them, in the order in which they were sent.",
        &[("imported", integer(0)), ("existed", integer(0)), ("dry_run", boolean()), ("keys", array(key))],
        &[],
    )
}

pub(crate) fn describe_import() -> Described {
    let (required, optional) = new_key();
    let brought = [
        ("key", json!({"type": "string", "minLength": 16, "maxLength": 256, "pattern": "^[!-~]+$"})),
        ("sha256", pattern("^([0-9A-Fa-f]{64}|[0-9A-Za-z+/_-]{43}=?)$")),
    ];
    let optional: Vec<(&str, Value)> = optional.into_iter().chain(brought).collect();
    let key = request(&required, &optional);
    let body = request(&[("keys", few(key, MOST))], &[("skip_existing", boolean()), ("dry_run", boolean())]);
    let example = json!({"keys": [
        {"owner": "billing", "scopes": ["orders:read"], "key": "acme_4cf1d2f0b9e84c7b"},
        {"owner": "billing", "scopes": ["orders:read"], "expires_in": "1y",
         "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
    ], "skip_existing": true});
    Described::new(TAG, "Import keys that were made elsewhere, all of them or none")
        .body(body, example)
        .answer(200, "what became of each", crate::openapi::shape::defined("KeyImport"))
        .problem(409, "key_exists")
        .problem(422, "import_refused")
        .problem(422, "import_off")
}
