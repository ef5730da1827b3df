//! `countersign audit head`: the end of the trail with a signature. Whoever keeps it can show later that nothing before it
//! was rewritten, and that nothing behind it was cut off.

use super::super::Common;
use crate::{
    audit_file::hash_of,
    output::{Exit, Failure},
};
use clap::Args;
use countersign_core::{Timestamp, audit::AuditHead};
use countersign_crypto::key::PublicAttestKey;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

#[derive(Debug, Args)]
pub struct Head {
    /// Refuse where it cannot be signed
    #[arg(long)]
    sign: bool,
}

pub(super) async fn run(Head { sign }: Head, common: &Common) -> Result<Exit, Failure> {
    let head = common.client()?.get(&["audit", "head"], &[]).await?;
    if sign && head.get("signature").is_none_or(Value::is_null) {
        return Err(Failure::failed("the server's keyring has no key to sign with")
            .todo("add one on its host with `countersign keyring rotate audit`, and restart it"));
    }
    common.out().record(&head, "hash")?;
    Ok(Exit::Ok)
}

/// A head as it was printed.
#[derive(Debug, Deserialize)]
pub(super) struct SignedHead {
    store: String,
    epoch: i64,
    number: i64,
    hash: String,
    at: String,
    signature: Option<Signature>,
    keys: Vec<PublicKey>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    key: u32,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PublicKey {
    number: u32,
    ed25519: String,
}

impl SignedHead {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        const LONGEST: u64 = 64 * 1024;
        let shown = path.display();
        let about =
            std::fs::metadata(path).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
        if about.len() > LONGEST {
            return Err(no_head(path));
        }
        let text = std::fs::read(path).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
        serde_json::from_slice(&text).map_err(|_| no_head(path))
    }

    pub(super) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// What it says, if one of these keys signed it.
    pub(super) fn verified(&self, keys: &[PublicKey]) -> Result<AuditHead, Failure> {
        let said = self.said().ok_or_else(|| Failure::failed("the head is not as Countersign prints it"))?;
        let Some(Signature { key: number, value }) = &self.signature else {
            return Err(Failure::failed("the head is not signed")
                .todo("print one with `countersign audit head --sign`"));
        };
        let (head, at) = said;
        let statement = head.statement(at);
        let signature = bytes(value).unwrap_or_default();
        let fits = |key: &&PublicKey| {
            hash_of(&key.ed25519)
                .is_some_and(|key| PublicAttestKey(key).verify(statement.as_bytes(), &signature))
        };
        if keys.iter().filter(|key| key.number == *number).any(|key| fits(&key)) {
            return Ok(head);
        }
        Err(Failure::failed(format!("the head's signature does not hold: key {number} did not make it"))
            .todo("it was altered, or is of another keyring"))
    }

    fn said(&self) -> Option<(AuditHead, Timestamp)> {
        let at: jiff::Timestamp = self.at.parse().ok()?;
        let head = AuditHead {
            store: self.store.clone(),
            epoch: self.epoch,
            number: self.number,
            hash: hash_of(&self.hash)?,
        };
        // one line each, or something else was signed than what is read here
        let plain = !head.store.is_empty() && head.store.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then_some((head, Timestamp::from_micros(at.as_microsecond())))
    }
}

impl PublicKey {
    /// One that somebody wrote down.
    pub(super) fn pinned(hex: &str, head: &SignedHead) -> Self {
        let number = head.signature.as_ref().map_or(0, |signature| signature.key);
        Self { number, ed25519: hex.to_owned() }
    }
}

fn no_head(path: &Path) -> Failure {
    Failure::failed(format!("`{}` is no head of a trail", path.display()))
        .todo("it is what `countersign audit head --sign --output json` prints")
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 128 || !hex.is_ascii() {
        return None;
    }
    (0..128).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
