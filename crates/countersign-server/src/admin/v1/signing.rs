//! `/admin/v1/signing-keys`: the keys that tokens are signed with, as anybody may know them. The private half leaves nowhere.

use crate::{
    call::{self, Answer, Call, Facts, Listed, ok},
    condition,
    input::{Wrong, json::Json},
    openapi::{
        Described, page_of,
        shape::{boolean, defined, integer, object, pattern, request, string, time as instant, words},
    },
    problem::{Problem, quoted},
    words::{read, time},
};
use countersign_core::Timestamp;
use countersign_methods::signing::{
    issue::{RotatedKey, SigningError},
    record::{KeyPurpose, SigningKeyRecord, SigningKeyState},
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Serialize)]
struct Shown {
    kid: String,
    purpose: &'static str,
    algorithm: &'static str,
    state: &'static str,
    since: String,
    created_at: String,
    version: i64,
}

impl From<&SigningKeyRecord> for Shown {
    fn from(record: &SigningKeyRecord) -> Self {
        Self {
            kid: record.kid.to_string(),
            purpose: record.purpose.as_str(),
            algorithm: record.algorithm.name(),
            state: record.state.as_str(),
            since: time::format(record.since),
            created_at: time::format(record.created_at),
            version: record.version,
        }
    }
}

#[derive(Debug, Serialize)]
struct Rotated {
    key: Shown,
    signs_from: String,
}

pub(crate) async fn list(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    // all of them: there are a few a year
    let records = call.services.signing.list().await?;
    ok(&Listed::<_> { items: records.iter().map(Shown::from).collect(), next: None::<String> })
}

pub(crate) async fn rotate(call: Call) -> Answer {
    let mut body = call.members()?;
    let purpose = body.required("purpose", purpose);
    let at_once = body.optional("at_once", read::boolean).unwrap_or(false);
    let purpose = body.finish(purpose)?;

    let rotated = call.services.signing.rotate(purpose, at_once, &call.caller, call.now).await?;
    let (key, from): (SigningKeyRecord, Timestamp) = match rotated {
        RotatedKey::Active(key) => (key, call.now),
        RotatedKey::Published(key, from) => (key, from),
    };
    ok(&Rotated { key: Shown::from(&key), signs_from: time::format(from) })
}

pub(crate) async fn revoke(call: Call) -> Answer {
    call.members_if_any()?.finish(Some(()))?;
    let version = match call.condition()? {
        Some(condition) => condition.hold(find(&call, &call.id).await?.version)?,
        None => None,
    };
    let revoked = call.services.signing.revoke_seen(&call.id, version, &call.caller, call.now).await;
    let record = match revoked {
        Ok(record) => record,
        // revoking what is removed already is not an error: the caller has what it wanted
        Err(SigningError::Removed) => find(&call, &call.id).await?,
        Err(SigningError::Unknown) => return Err(unknown(&call.id)),
        Err(SigningError::Changed) if version.is_some() => return Err(condition::failed()),
        Err(error) => return Err(error.into()),
    };
    call::record(&Shown::from(&record), record.version)
}

/// Also one that is removed.
pub(super) async fn find(facts: &Facts, kid: &str) -> Result<SigningKeyRecord, Problem> {
    let records = facts.services.signing.list().await?;
    records.into_iter().find(|record| &*record.kid == kid).ok_or_else(|| unknown(kid))
}

pub(super) fn unknown(kid: &str) -> Problem {
    let what = quoted(kid);
    let detail =
        format!("there is no signing key with the `kid` {what}; `GET /admin/v1/signing-keys` lists them");
    Problem::not_found("signing_key_unknown", detail)
}

fn purpose(value: Json) -> Result<KeyPurpose, Wrong> {
    read::one_of(value, &KeyPurpose::ALL, KeyPurpose::as_str)
}

impl From<SigningError> for Problem {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Unknown => {
                Problem::not_found("signing_key_unknown", "there is no such signing key")
            }
            SigningError::Removed => {
                Problem::conflict("signing_key_changed", "the signing key is removed already")
            }
            SigningError::Changed => Problem::conflict(
                "signing_key_changed",
                "somebody else changed the signing keys at the same time; look at what stands now and try again",
            ),
            SigningError::Store(error) => error.into(),
            error @ (SigningError::Algorithm(_)
            | SigningError::Keys(_)
            | SigningError::Key(_)
            | SigningError::Seal(_)) => Problem { reason: Some(error.to_string()), ..Problem::internal() },
        }
    }
}

const TAG: &str = "signing-keys";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let key = object(
        "A key that tokens are signed with: never its private half.",
        &[
            ("kid", string()),
            ("purpose", purposes()),
            ("algorithm", string()),
            ("state", words(&SigningKeyState::ALL.map(SigningKeyState::as_str))),
            ("since", instant()),
            ("created_at", instant()),
            ("version", integer(1)),
        ],
        &[],
    );
    let rotated = object(
        "The key that signs next, and from when on.",
        &[("key", defined("SigningKey")), ("signs_from", instant())],
        &[],
    );
    vec![("SigningKey", key), ("RotatedSigningKey", rotated)]
}

fn purposes() -> Value {
    words(&KeyPurpose::ALL.map(KeyPurpose::as_str))
}

pub(super) fn kid() -> Value {
    pattern("^[A-Za-z0-9_-]{43}$")
}

pub(crate) fn describe_list() -> Described {
    Described::new(TAG, "List the keys that tokens are signed with, the oldest first").answer(
        200,
        "all of them, also those that are removed",
        page_of("SigningKey", string()),
    )
}

pub(crate) fn describe_rotate() -> Described {
    let body = request(&[("purpose", purposes())], &[("at_once", boolean())]);
    Described::new(TAG, "Have another key sign: published first, or at once")
        .body(body, json!({"purpose": "session"}))
        .answer(200, "the key, and from when on it signs", defined("RotatedSigningKey"))
        .problem(409, "signing_key_changed")
}

pub(crate) fn describe_revoke() -> Described {
    Described::new(TAG, "End a signing key, for good: all that it signed is refused within a second")
        .id("the `kid`", kid())
        .if_match(false)
        .optional_body(request(&[], &[]), json!({}))
        .answer(200, "the key", defined("SigningKey"))
        .tagged()
        .problem(404, "signing_key_unknown")
        .problem(409, "signing_key_changed")
}
