//! How a copy is written down, the same for both engines:
//!
//! ```text
//! H  the header, as JSON: what, when, of which schema; tables, columns, counts
//! T  a table begins: its place in the header
//! R  a row: a value for each column              E  the table ends: how many rows it had
//! Z  SHA-256 of everything before it: the name of the copy
//! ```
//!
//! Each frame is a letter, a length in four bytes, big-endian, and its content.

use super::{CopyError, Row};
use crate::sql::dialect::{Kind, Value};
use countersign_crypto::hash::Sha256;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};

/// Of the format, not of the release.
const VERSION: u32 = 1;
/// Far more than any row of ours.
const LONGEST: usize = 16 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Microseconds since 1970.
    pub made_at: i64,
    /// Of the store that was copied: `sqlite` or `postgres`.
    pub engine: String,
    pub schema: i64,
    pub epoch: i64,
    pub store: Option<String>,
    /// The feed's position.
    pub feed: i64,
    /// Number and hash of the last record of the trail.
    pub audit: i64,
    pub audit_hash: Vec<u8>,
    pub tables: Vec<TableHeader>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHeader {
    pub name: String,
    pub columns: Vec<Column>,
    pub rows: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: String,
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    format: u32,
    #[serde(flatten)]
    header: Header,
}

impl Header {
    /// Is nothing written since, as far as the trail and the feed tell?
    pub(super) fn is_where(&self, other: &Header) -> bool {
        (self.feed, self.audit, &self.audit_hash) == (other.feed, other.audit, &other.audit_hash)
    }
}

impl TableHeader {
    pub(super) fn column_names(&self) -> String {
        self.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn kinds(&self) -> Result<Vec<Kind>, CopyError> {
        let kind = |column: &Column| {
            Kind::parse(&column.kind)
                .ok_or_else(|| CopyError::NotWhole(format!("`{}` is of no known type", column.name)))
        };
        self.columns.iter().map(kind).collect()
    }
}

#[derive(Debug)]
pub(super) enum Frame {
    Table(usize),
    Row(Row),
    EndOfTable(u64),
    End([u8; 32]),
}

pub(super) struct FrameWriter<'w> {
    to: &'w mut dyn Write,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl<'w> FrameWriter<'w> {
    pub(super) fn begin(to: &'w mut dyn Write, header: &Header) -> Result<Self, CopyError> {
        let mut writer = Self { to, hash: Sha256::new(), buffer: Vec::new() };
        let versioned = Versioned { format: VERSION, header: header.clone() };
        let json = serde_json::to_vec(&versioned).map_err(|e| CopyError::Write(e.into()))?;
        writer.frame(b'H', &json)?;
        Ok(writer)
    }

    pub(super) fn table(&mut self, at: usize) -> Result<(), CopyError> {
        self.frame(b'T', &(at as u64).to_be_bytes())
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<(), CopyError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        row.iter().for_each(|value| put(&mut buffer, value));
        let written = self.frame(b'R', &buffer);
        self.buffer = buffer;
        written
    }

    pub(super) fn end_of_table(&mut self, rows: u64) -> Result<(), CopyError> {
        self.frame(b'E', &rows.to_be_bytes())
    }

    pub(super) fn finish(mut self) -> Result<[u8; 32], CopyError> {
        let digest = std::mem::take(&mut self.hash).finish();
        self.frame(b'Z', &digest)?;
        Ok(digest)
    }

    fn frame(&mut self, letter: u8, content: &[u8]) -> Result<(), CopyError> {
        let length = u32::try_from(content.len()).ok().filter(|n| *n as usize <= LONGEST);
        let length = length.ok_or_else(|| CopyError::NotWhole("a row is too long to be copied".into()))?;
        for part in [&[letter][..], &length.to_be_bytes(), content] {
            self.hash.update(part);
            self.to.write_all(part).map_err(CopyError::Write)?;
        }
        Ok(())
    }
}

fn put(to: &mut Vec<u8>, value: &Value) {
    let mut bytes = |bytes: Option<&[u8]>| match bytes {
        None => to.push(0),
        Some(bytes) => {
            to.push(1);
            to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            to.extend_from_slice(bytes);
        }
    };
    match value {
        Value::Int(value) => bytes(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
        Value::Bool(value) => bytes(value.map(|value| [u8::from(value)]).as_ref().map(<[u8; 1]>::as_slice)),
        Value::Text(value) => bytes(value.as_ref().map(String::as_bytes)),
        Value::Bytes(value) => bytes(value.as_deref()),
    }
}

pub(super) struct FrameReader<'r> {
    from: &'r mut dyn Read,
    hash: Sha256,
}

impl<'r> FrameReader<'r> {
    pub(super) fn begin(from: &'r mut dyn Read) -> Result<(Self, Header), CopyError> {
        let mut reader = Self { from, hash: Sha256::new() };
        let (letter, content) = reader.frame()?;
        let unknown = || CopyError::NotWhole("it does not begin as a copy does".into());
        if letter != b'H' {
            return Err(unknown());
        }
        let format: serde_json::Value = serde_json::from_slice(&content).map_err(|_| unknown())?;
        match format.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(VERSION) => {}
            Some(format) => {
                return Err(CopyError::NotWhole(format!(
                    "its format is {format}, and this release reads {VERSION}; use a newer one"
                )));
            }
            None => return Err(unknown()),
        }
        let Versioned { header, .. } = serde_json::from_slice(&content).map_err(|_| unknown())?;
        Ok((reader, header))
    }

    /// `kinds`: of the columns of the table whose rows may come; `None`: between two tables.
    pub(super) fn next(&mut self, kinds: Option<&[Kind]>) -> Result<Frame, CopyError> {
        let so_far = self.hash.clone();
        let (letter, content) = self.frame()?;
        let number = || content.as_slice().try_into().ok().map(u64::from_be_bytes);
        let frame = match (letter, kinds) {
            (b'T', None) => number().and_then(|at| usize::try_from(at).ok()).map(Frame::Table),
            (b'R', Some(kinds)) => row(&content, kinds).map(Frame::Row),
            (b'E', Some(_)) => number().map(Frame::EndOfTable),
            (b'Z', None) => {
                let digest: Option<[u8; 32]> = content.as_slice().try_into().ok();
                digest.filter(|digest| *digest == so_far.finish()).map(Frame::End)
            }
            _ => None,
        };
        frame.ok_or_else(|| CopyError::NotWhole("a part of it is not what it should be".into()))
    }

    /// Nothing stands behind the end.
    pub(super) fn finish(self) -> Result<(), CopyError> {
        let mut more = [0];
        match self.from.read(&mut more).map_err(CopyError::Read)? {
            0 => Ok(()),
            _ => Err(CopyError::NotWhole("it goes on behind its end".into())),
        }
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>), CopyError> {
        let mut head = [0; 5];
        self.exact(&mut head)?;
        let [letter, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            return Err(CopyError::NotWhole("a part of it is longer than any can be".into()));
        }
        let mut content = vec![0; length];
        self.exact(&mut content)?;
        self.hash.update(&head);
        self.hash.update(&content);
        Ok((letter, content))
    }

    fn exact(&mut self, to: &mut [u8]) -> Result<(), CopyError> {
        self.from.read_exact(to).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => CopyError::NotWhole("it ends too early".into()),
            _ => CopyError::Read(error),
        })
    }
}

fn row(content: &[u8], kinds: &[Kind]) -> Option<Row> {
    let mut rest = content;
    let mut row = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let (there, behind) = rest.split_first()?;
        rest = behind;
        let bytes = match there {
            0 => None,
            1 => {
                let (length, behind) = rest.split_first_chunk::<4>()?;
                let (bytes, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                rest = behind;
                Some(bytes)
            }
            _ => return None,
        };
        row.push(match (kind, bytes) {
            (Kind::Int, None) => Value::Int(None),
            (Kind::Bool, None) => Value::Bool(None),
            (Kind::Text, None) => Value::Text(None),
            (Kind::Bytes, None) => Value::Bytes(None),
            (Kind::Int, Some(bytes)) => Value::Int(Some(i64::from_be_bytes(bytes.try_into().ok()?))),
            (Kind::Bool, Some([bit @ (0 | 1)])) => Value::Bool(Some(*bit == 1)),
            (Kind::Bool, Some(_)) => return None,
            (Kind::Text, Some(bytes)) => Value::Text(Some(String::from_utf8(bytes.to_vec()).ok()?)),
            (Kind::Bytes, Some(bytes)) => Value::Bytes(Some(bytes.to_vec())),
        });
    }
    rest.is_empty().then_some(row)
}
