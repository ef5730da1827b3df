//! Where records of decisions go, and spans.

mod posted;

use crate::{
    compose::World,
    config::{EgressSettings, ObserveSettings, RecordTarget},
    output::Failure,
};
use countersign_gateway::RecordSink;
use countersign_server::egress::{Egress, EgressConfig};
use posted::spans;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
};

/// What leaves this process on its own account.
#[derive(Default)]
pub(crate) struct Sinks {
    pub(crate) records: Option<Box<dyn RecordSink>>,
    pub(crate) spans: Option<Box<dyn RecordSink>>,
}

/// What cannot work is said at the start.
pub(crate) fn sinks(
    observe: &ObserveSettings,
    egress: &EgressSettings,
    world: &World,
) -> Result<Sinks, Failure> {
    // authorities that cannot be read are said also where nobody is called yet
    if egress.ca.is_some() {
        way_out(egress)?;
    }
    let records = observe.decisions.as_ref().map(|decisions| records(&decisions.to, egress, world));
    let spans = observe.traces.as_ref().map(|traces| Ok::<_, Failure>(spans(&traces.to, way_out(egress)?)));
    Ok(Sinks { records: records.transpose()?, spans: spans.transpose()? })
}

fn records(
    target: &RecordTarget,
    egress: &EgressSettings,
    world: &World,
) -> Result<Box<dyn RecordSink>, Failure> {
    let failed = |path: &Path, error: io::Error| {
        Failure::failed(format!("cannot write records of decisions to `{}`: {error}", path.display()))
            .todo("may this user write there? `[observe.decisions] to` says where")
    };
    Ok(match target {
        RecordTarget::Stdout => Box::new(Stdout),
        RecordTarget::File(path) => Box::new(Appended::open(path).map_err(|error| failed(path, error))?),
        RecordTarget::Syslog(path) => Box::new(Syslog::open(path).map_err(|error| failed(path, error))?),
        RecordTarget::Webhook(webhook) => posted::records(webhook, way_out(egress)?, world.clone()),
    })
}

/// Reads the machine's authorities: made only where somebody is called.
pub(in crate::compose) fn way_out(EgressSettings { allow, ca }: &EgressSettings) -> Result<Egress, Failure> {
    let failed = |file: &Path, error: &dyn std::fmt::Display| {
        Failure::failed(format!("`[egress] ca`, `{}`: {error}", file.display()))
    };
    let authorities = ca.as_ref().map(|file| std::fs::read(file).map_err(|error| failed(file, &error)));
    let config = EgressConfig { allow: allow.clone(), authorities: authorities.transpose()? };
    Egress::new(config).map_err(|error| match ca {
        Some(file) => failed(file, &error),
        None => Failure::failed(error.to_string()),
    })
}

struct Stdout;

impl RecordSink for Stdout {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(lines)?;
        out.flush()
    }
}

/// Whole parcels at its end. Where it was moved away or removed, as `logrotate` does, a new one is begun.
struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    fn open(path: &Path) -> io::Result<Self> {
        // who called what is not for everybody on this machine
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn is_in_place(&self) -> bool {
        let at = |said: std::fs::Metadata| (said.dev(), said.ino());
        let (here, there) = (self.file.metadata().map(at), std::fs::metadata(&self.path).map(at));
        matches!((here, there), (Ok(here), Ok(there)) if here == there)
    }
}

impl RecordSink for Appended {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        if !self.is_in_place() {
            *self = Self::open(&self.path)?;
        }
        self.file.write_all(lines)
    }
}

/// RFC 5424 over the machine's own socket, a datagram for each record.
struct Syslog {
    path: PathBuf,
    socket: UnixDatagram,
    message: Vec<u8>,
}

/// RFC 5424 6.2.1: facility 16, `local0`, severity 6, informational. Time and host are the receiver's to say.
const SYSLOG_HEAD: &str = "<134>1 - - countersign";

impl Syslog {
    fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { path: path.to_owned(), socket, message: Vec::new() })
    }

    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        self.message.clear();
        write!(self.message, "{SYSLOG_HEAD} {} decision - ", std::process::id())?;
        self.message.extend_from_slice(line);
        self.socket.send(&self.message).map(drop)
    }
}

impl RecordSink for Syslog {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            if self.send(line).is_err() {
                // it was restarted, and has another socket of the same name
                *self = Self::open(&self.path)?;
                self.send(line)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
