//! The trail as a file: one record as JSON on each line, whole, with its hash, as `countersign audit export` writes it.
//! Read without a store, line by line, however long it is.

use crate::output::Failure;
use countersign_core::{
    Timestamp,
    audit::{AuditRecord, StoredEvent},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

/// Far longer than any record.
const LONGEST: u64 = 1 << 20;

#[derive(Deserialize)]
struct Line {
    number: i64,
    hash: String,
    at: String,
    actor: String,
    credential: String,
    action: String,
    subject: String,
    source: String,
    request: String,
    /// As it was kept, to the letter: the hash covers it.
    detail: Box<RawValue>,
}

/// Its records, in their order.
#[derive(Debug)]
pub struct AuditFile<R> {
    from: BufReader<R>,
    line: u64,
    ended: bool,
}

pub fn open(path: &Path) -> Result<AuditFile<File>, Failure> {
    let file =
        File::open(path).map_err(|e| Failure::failed(format!("cannot read `{}`: {e}", path.display())))?;
    Ok(AuditFile::new(file))
}

impl<R: Read> AuditFile<R> {
    pub fn new(from: R) -> Self {
        Self { from: BufReader::new(from), line: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<AuditRecord>, String> {
        let mut text = Vec::new();
        self.line += 1;
        let read = self.from.by_ref().take(LONGEST).read_until(b'\n', &mut text);
        if read.map_err(|e| e.to_string())? == 0 {
            return Ok(None);
        }
        if text.last() != Some(&b'\n') {
            return Err("it does not end where a line does; was it cut short?".into());
        }
        record(&text).map(Some)
    }
}

impl<R: Read> Iterator for AuditFile<R> {
    type Item = Result<AuditRecord, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read.map(|read| read.map_err(|why| format!("line {}: {why}", self.line)))
    }
}

impl Line {
    fn into_record(self) -> Result<AuditRecord, String> {
        let Line { number, hash, at, actor, credential, action, subject, source, request, detail } = self;
        let hash = hash_of(&hash).ok_or("its hash is none")?;
        let at: jiff::Timestamp = at.parse().map_err(|_| "its time is none")?;
        // what was no object when it was kept stands as text
        let detail = match detail.get() {
            text if text.starts_with('{') => text.to_owned(),
            text => serde_json::from_str(text).map_err(|_| "its detail is none")?,
        };
        let at = Timestamp::from_micros(at.as_microsecond());
        let event = StoredEvent { at, actor, credential, action, subject, source, request, detail };
        Ok(AuditRecord { number, hash, event })
    }
}

/// One line.
pub fn record(text: &[u8]) -> Result<AuditRecord, String> {
    let line: Line = serde_json::from_slice(text).map_err(|_| "it is no record of an exported trail")?;
    line.into_record()
}

/// 64 hexadecimal digits.
pub fn hash_of(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests;
