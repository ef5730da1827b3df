//! `countersign audit verify`: of the running server, or of an exported file without any server; and whether the trail
//! still has the record that a signed head names.

use super::super::Common;
use super::head::{PublicKey, SignedHead};
use crate::{
    admin_client::AdminClient,
    audit_file,
    output::{Exit, Failure},
};
use clap::Args;
use countersign_core::audit::AuditHead;
use countersign_store::chain::{START, follows};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Verify {
    /// What `countersign audit export` wrote; nothing is asked of a server
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What `countersign audit head --sign --output json` printed: does the trail still have it?
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// The public key that must have signed the head; otherwise the server's, or with `--file` the one that the head names
    #[arg(long, value_name = "HEX", requires = "head", value_parser = public_key)]
    key: Option<String>,
}

fn public_key(text: &str) -> Result<String, String> {
    audit_file::hash_of(text)
        .map(|_| text.to_ascii_lowercase())
        .ok_or_else(|| "not a public key: 64 hexadecimal digits".into())
}

pub(super) async fn run(Verify { file, head, key }: Verify, common: &Common) -> Result<Exit, Failure> {
    let head = head.as_deref().map(SignedHead::read).transpose()?;
    match file {
        Some(file) => of_file(&file, head.as_ref(), key.as_deref(), common),
        None => of_server(head.as_ref(), key.as_deref(), common).await,
    }
}

async fn of_server(head: Option<&SignedHead>, key: Option<&str>, common: &Common) -> Result<Exit, Failure> {
    let (client, out) = (common.client()?, common.out());
    let mut state = client.get(&["audit", "verify"], &[]).await?;
    if state.get("whole").and_then(Value::as_bool) != Some(true) {
        out.record(&state, "head")?;
        let number = state.get("broken_at").map_or_else(|| "?".to_owned(), Value::to_string);
        return Err(broken(&number));
    }
    if let Some(head) = head {
        let removed = state.get("removed").and_then(Value::as_i64).unwrap_or(0);
        let found = still_there(&client, head, key, removed).await?;
        if let Some(members) = state.as_object_mut() {
            members.insert("kept_head".into(), found.into());
        }
    }
    out.record(&state, "head")?;
    Ok(Exit::Ok)
}

fn broken(number: &str) -> Failure {
    Failure::failed(format!("the audit chain is broken at record {number}"))
        .todo("somebody changed the store outside Countersign; compare with an exported head or a backup")
}

/// What the admin API says of its end.
#[derive(Deserialize)]
struct Present {
    store: String,
    epoch: i64,
    number: i64,
    keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    number: i64,
    hash: String,
}

async fn still_there(
    client: &AdminClient,
    signed: &SignedHead,
    key: Option<&str>,
    removed: i64,
) -> Result<&'static str, Failure> {
    let present: Present = client.get_as(&["audit", "head"], &[]).await?;
    let keys = key.map_or(present.keys, |key| vec![PublicKey::pinned(key, signed)]);
    let head = signed.verified(&keys)?;
    if head.store != present.store {
        return Err(Failure::failed("the head is of another store"));
    }
    if head.number <= removed {
        return Ok("older than what is kept");
    }
    if head.number == 0 {
        return Ok("there: nothing was written yet");
    }
    let query =
        [("after", (head.number - 1).to_string()), ("order", "asc".to_owned()), ("limit", "1".to_owned())];
    let page: Page = client.get_as(&["audit"], &query).await?;
    let found = page.items.iter().find(|found| found.number == head.number);
    match found.map(|found| audit_file::hash_of(&found.hash)) {
        Some(hash) if hash == Some(head.hash) => Ok("there"),
        Some(_) => Err(rewritten(&head)),
        None if present.epoch > head.epoch => Err(gone(&head).todo(format!(
            "the store was restored since (it is in epoch {}): what happened after the backup is lost unless \
             `restore --audit` brought it back",
            present.epoch
        ))),
        None => Err(gone(&head).todo(format!(
            "the trail ends at number {}; somebody cut it off: compare with an export or a backup",
            present.number
        ))),
    }
}

fn gone(head: &AuditHead) -> Failure {
    Failure::failed(format!("record {} was there when the head was signed, and is not", head.number))
}

fn rewritten(head: &AuditHead) -> Failure {
    Failure::failed(format!("record {} is another one than when the head was signed", head.number))
        .todo("the trail was written anew up to there, or further: compare with an export or a backup")
}

fn of_file(
    file: &Path,
    head: Option<&SignedHead>,
    key: Option<&str>,
    common: &Common,
) -> Result<Exit, Failure> {
    let shown = file.display();
    let head = head.map(|signed| {
        let keys = key.map_or_else(|| signed.keys().to_vec(), |key| vec![PublicKey::pinned(key, signed)]);
        signed.verified(&keys)
    });
    let head = head.transpose()?;
    let (mut records, mut first) = (0_u64, None);
    let mut last: Option<(i64, [u8; 32])> = None;
    let mut met = None;
    for record in audit_file::open(file)? {
        let record = record.map_err(|why| Failure::failed(format!("`{shown}`: {why}")))?;
        let whole = match last {
            Some((number, hash)) => follows(number, &hash, &record),
            // the first of all follows nothing; another one is vouched for by those that follow it, or by a head
            None => record.number != 1 || follows(0, &START, &record),
        };
        if !whole {
            let number = last.map_or(record.number, |(number, _)| number.saturating_add(1));
            return Err(broken(&number.to_string()));
        }
        first.get_or_insert(record.number);
        if head.as_ref().is_some_and(|head| head.number == record.number) {
            met = Some(record.hash);
        }
        last = Some((record.number, record.hash));
        records += 1;
    }
    let Some((last, hash)) = last else {
        return Err(Failure::failed(format!("`{shown}` has no records")));
    };
    let kept = match (&head, met) {
        (None, _) => None,
        (Some(head), Some(hash)) if hash == head.hash => Some("there"),
        (Some(head), Some(_)) => return Err(rewritten(head)),
        (Some(head), None) => {
            return Err(
                gone(head).todo(format!("the file goes from record {} to {last}", first.unwrap_or(last)))
            );
        }
    };
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let out = common.out();
    let mut state = json!({ "whole": true, "records": records, "first": first, "last": last, "head": hash });
    if let (Some(kept), Some(members)) = (kept, state.as_object_mut()) {
        members.insert("kept_head".into(), kept.into());
    }
    out.record(&state, "head")?;
    if first != Some(1) {
        out.say("it does not begin with the first record: what its own first one says is vouched for by nothing before it");
    }
    Ok(Exit::Ok)
}
