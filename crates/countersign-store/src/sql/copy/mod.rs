//! Copies of everything that is kept: into a file, out of one into an empty store, and from one engine to the other.
//!
//! ```text
//! Snapshot (one read transaction) ── rows ──> frames ──> a file            write
//!                                 └─ rows ──> Loading (one transaction)    transfer
//! a file ──> frames ── rows ──> Loading ──> the next epoch (RULES 4.6)     restore
//! ```
//!
//! A copy is logical: rows, table by table, the same for both engines. Owns the order of the tables, what a restore
//! leaves out, and that a store is either whole or refuses to be opened. What seals a file is not known here.

mod connection;
mod epoch;
mod frames;
mod load;
mod snapshot;
mod tables;

pub use epoch::Newer;
pub use frames::{Column, Header, TableHeader};

use super::dialect::{Conn, Failed, Value, sql};
use countersign_core::{StoreError, Timestamp};
use frames::{Frame, FrameReader, FrameWriter};
use load::Loading;
use snapshot::Snapshot;
use std::{
    fmt,
    io::{self, Read, Write},
};

/// Why there is no copy, or nothing out of one.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("the store to copy into is not empty: {0}")]
    NotEmpty(String),
    #[error("the copy is of schema {copy}, and this release knows up to {newest}")]
    Newer { copy: i64, newest: i64 },
    #[error("the copy is not whole: {0}")]
    NotWhole(String),
    #[error("the copy cannot be read: {0}")]
    Read(io::Error),
    #[error("the copy cannot be written: {0}")]
    Write(io::Error),
    #[error("the exported audit trail does not go on where the copy ends: {0}")]
    Audit(String),
    #[error("somebody wrote to the store while it was read, and that is not in the copy")]
    WrittenMeanwhile,
    #[error("{0}")]
    Store(StoreError),
}

impl From<Failed> for CopyError {
    fn from(failed: Failed) -> Self {
        CopyError::Store(failed.into())
    }
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Failed::Sql(error).into()
    }
}

/// How far it is, for whoever waits.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'t> {
    pub table: &'t str,
    pub rows: u64,
    /// Of all tables.
    pub done: u64,
    pub total: u64,
}

/// What went over.
#[derive(Debug, Clone)]
pub struct Summary {
    pub header: Header,
    /// The name of a copy: SHA-256 over all of it. `None` where no file was written or read.
    pub digest: Option<[u8; 32]>,
}

/// What a restore did beside bringing back rows.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    pub epoch: i64,
    /// Keys and principals that ended after the copy, or lost scopes, and did so again.
    pub ended: u64,
    /// Sessions that were open in the copy: none goes on.
    pub sessions: u64,
    /// Records that came back from the exported trail.
    pub records: u64,
    /// What happened after the copy and is not in the store: an action, and how often.
    pub lost: Vec<(String, u64)>,
}

/// What a restore needs to know beside the copy.
pub struct Restore<'a> {
    pub now: Timestamp,
    /// Who sits at the machine, for the trail.
    pub by: String,
    /// The exported trail, from the copy's last record or before it to the end.
    pub newer: Option<Newer<'a>>,
}

impl fmt::Debug for Restore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restore").field("now", &self.now).field("by", &self.by).finish_non_exhaustive()
    }
}

type Watch<'a> = &'a mut dyn FnMut(Progress<'_>);

/// Everything in the store, as it is at one moment, to `to`. Others go on reading and writing meanwhile.
pub async fn write(
    url: &str,
    now: Timestamp,
    to: &mut dyn Write,
    watch: Watch<'_>,
) -> Result<Summary, CopyError> {
    let mut snapshot = Snapshot::open(url, now).await?;
    let header = snapshot.header().clone();
    let mut frames = FrameWriter::begin(to, &header)?;
    let mut counter = Counter::new(&header, watch);
    for (at, table) in header.tables.iter().enumerate() {
        frames.table(at)?;
        let rows = snapshot
            .each(table, async |row| {
                counter.row(&table.name);
                frames.row(&row)
            })
            .await?;
        frames.end_of_table(rows)?;
    }
    snapshot.close().await;
    let digest = frames.finish()?;
    Ok(Summary { header, digest: Some(digest) })
}

/// What a copy says of itself.
pub fn header(from: &mut dyn Read) -> Result<Header, CopyError> {
    FrameReader::begin(from).map(|(_, header)| header)
}

/// A copy into a store that has nothing in it. Either everything came over and counts, or nothing did, and the store
/// refuses to be opened until it was done again.
pub async fn restore(
    url: &str,
    from: &mut dyn Read,
    restore: Restore<'_>,
    watch: Watch<'_>,
) -> Result<(Summary, Restored), CopyError> {
    let (mut frames, header) = FrameReader::begin(from)?;
    let mut loading = Loading::begin(url, &header, restore.now).await?;
    let mut counter = Counter::new(&header, watch);
    let mut next = frames.next(None)?;
    for (at, table) in header.tables.iter().enumerate() {
        if !matches!(next, Frame::Table(begun) if begun == at) {
            return Err(CopyError::NotWhole(format!("`{}` does not begin where it should", table.name)));
        }
        let (keep, kinds) = (tables::is_kept(&table.name), table.kinds()?);
        let mut rows = 0;
        let counted = loop {
            match frames.next(Some(&kinds))? {
                Frame::Row(row) => {
                    rows += 1;
                    counter.row(&table.name);
                    if keep {
                        loading.row(at, row).await?;
                    }
                }
                Frame::EndOfTable(counted) => break counted,
                _ => return Err(CopyError::NotWhole(format!("`{}` does not end", table.name))),
            }
        };
        loading.end_of_table().await?;
        if rows != counted || rows != table.rows {
            return Err(CopyError::NotWhole(format!(
                "`{}` has {rows} rows, and should have {}",
                table.name, table.rows
            )));
        }
        next = frames.next(None)?;
    }
    let Frame::End(digest) = next else {
        return Err(CopyError::NotWhole("it goes on behind its last table".into()));
    };
    frames.finish()?;
    loading.check_counts(tables::is_kept).await?;
    // before the next epoch begins: what ends with it may stand in tables that the copy did not know
    loading.bring_up().await?;
    let restored = epoch::begin(&mut loading.conn(), &header, &digest, restore).await?;
    loading.commit().await?;
    Ok((Summary { header, digest: Some(digest) }, restored))
}

/// From one store into another one that has nothing in it, all of it. It stays the same store: no new epoch.
pub async fn transfer(
    from: &str,
    to: &str,
    now: Timestamp,
    by: String,
    watch: Watch<'_>,
) -> Result<Summary, CopyError> {
    let mut snapshot = Snapshot::open(from, now).await?;
    let header = snapshot.header().clone();
    let mut loading = Loading::begin(to, &header, now).await?;
    let mut counter = Counter::new(&header, watch);
    for (at, table) in header.tables.iter().enumerate() {
        let rows = snapshot
            .each(table, async |row| {
                counter.row(&table.name);
                loading.row(at, row).await
            })
            .await?;
        loading.end_of_table().await?;
        if rows != table.rows {
            return Err(CopyError::NotWhole(format!(
                "`{}` gave {rows} rows, and should have {}",
                table.name, table.rows
            )));
        }
    }
    snapshot.close().await;
    loading.check_counts(|_| true).await?;
    // what is written to the source from here on would be lost without a word
    let again = Snapshot::open(from, now).await?;
    let moved = !again.header().is_where(&header);
    again.close().await;
    if moved {
        return Err(CopyError::WrittenMeanwhile);
    }
    loading.bring_up().await?;
    epoch::moved(&mut loading.conn(), &header, now, by).await?;
    loading.commit().await?;
    Ok(Summary { header, digest: None })
}

struct Counter<'w> {
    watch: Watch<'w>,
    rows: u64,
    done: u64,
    total: u64,
    table: String,
}

impl<'w> Counter<'w> {
    fn new(header: &Header, watch: Watch<'w>) -> Self {
        let total = header.tables.iter().map(|table| table.rows).sum();
        Self { watch, rows: 0, done: 0, total, table: String::new() }
    }

    fn row(&mut self, table: &str) {
        if self.table != table {
            table.clone_into(&mut self.table);
            self.rows = 0;
        }
        self.rows += 1;
        self.done += 1;
        (self.watch)(Progress { table, rows: self.rows, done: self.done, total: self.total });
    }
}

/// In `meta` while a copy is brought in: since when, in seconds. Goes with the same commit that brings everything else.
const UNFINISHED: &str = "copying_since";

/// Is a copy being brought into this store, or was it broken off?
pub(super) async fn is_unfinished(conn: &mut Conn<'_>) -> Result<bool, Failed> {
    let row: Option<(String,)> =
        sql("SELECT value FROM meta WHERE key = $1").bind(UNFINISHED).optional(conn).await?;
    Ok(row.is_some())
}

type Row = Vec<Value>;

#[cfg(test)]
mod tests;
