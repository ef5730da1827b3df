//! `countersign audit export`: a page at a time, so that a long trail needs no more memory than a short one.

use super::super::Common;
use super::ocsf;
use crate::{
    audit_file,
    config::parse_duration,
    output::{Exit, Failure},
    private_file::NewFile,
};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

#[derive(Debug, Args)]
pub struct Export {
    /// From the first record of this time on (RFC 3339), or of so long ago: `24h`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<jiff::Timestamp>,
    /// Up to before the first record of this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<jiff::Timestamp>,
    /// Only records with a higher number: where the last export ended
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// `ocsf`: for a SIEM; only `jsonl` can be verified and given to `restore`
    #[arg(long, value_enum, default_value = "jsonl")]
    format: As,
    /// The file to write, for its owner alone; nothing may be there yet. Otherwise stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// Every field and the hash
    Jsonl,
    /// Open Cybersecurity Schema Framework 1.5.0
    Ocsf,
}

/// A page of the admin API, its records to the letter.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next: Option<i64>,
}

const PAGE: u32 = 500;

fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    if let Some(ago) = parse_duration(text) {
        let ago = jiff::SignedDuration::try_from(ago).map_err(|e| e.to_string())?;
        return jiff::Timestamp::now().checked_sub(ago).map_err(|e| e.to_string());
    }
    text.parse().map_err(|_| "not a time such as `2027-01-31T12:00:00Z`, or `24h` for so long ago".into())
}

pub(super) async fn run(export: Export, common: &Common) -> Result<Exit, Failure> {
    let client = common.client()?;
    let mut query = vec![("order", "asc".to_owned()), ("limit", PAGE.to_string())];
    query.extend(export.since.map(|at| ("since", at.to_string())));
    query.extend(export.until.map(|at| ("until", at.to_string())));
    let mut to = match &export.to {
        Some(path) => Destination::File(BufWriter::new(NewFile::create(path)?)),
        None => Destination::Stdout(BufWriter::new(io::stdout())),
    };
    let mut after = export.after;
    let (mut records, mut last) = (0_u64, None);
    loop {
        let mut query = query.clone();
        query.extend(after.map(|after| ("after", after.to_string())));
        let Page { items, next } = client.get_as(&["audit"], &query).await?;
        for item in &items {
            let record = audit_file::record(item.get().as_bytes()).map_err(|why| {
                Failure::failed(format!("the admin API gave a record that cannot be read: {why}"))
            })?;
            let written = match export.format {
                As::Jsonl => to.line(item.get()),
                As::Ocsf => to.line(&ocsf::event(&record).to_string()),
            };
            match written {
                // whoever reads has read enough
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
                written => written.map_err(|e| cannot(&e))?,
            }
            records += 1;
            last = Some(record.number);
        }
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    to.finish()?;
    let upto = last.map_or_else(String::new, |last| format!(", up to number {last}"));
    common.out().say(&format!("{records} records{upto}"));
    Ok(Exit::Ok)
}

enum Destination {
    File(BufWriter<NewFile>),
    Stdout(BufWriter<io::Stdout>),
}

impl Destination {
    fn line(&mut self, text: &str) -> io::Result<()> {
        let to: &mut dyn Write = match self {
            Self::File(file) => file,
            Self::Stdout(stdout) => stdout,
        };
        to.write_all(text.as_bytes())?;
        to.write_all(b"\n")
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::File(file) => file.into_inner().map_err(|e| cannot(e.error()))?.publish(),
            Self::Stdout(mut stdout) => match stdout.flush() {
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                flushed => flushed.map_err(|e| cannot(&e)),
            },
        }
    }
}

fn cannot(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write the export: {error}"))
}
