//! Where records of decisions go.

use crate::{config::RecordTarget, output::Failure};
use countersign_gateway::RecordSink;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
};

/// Opened here, so that what cannot work is said at the start.
pub(crate) fn sink(target: &RecordTarget) -> Result<Box<dyn RecordSink>, Failure> {
    let failed = |path: &Path, error: io::Error| {
        Failure::failed(format!("cannot write records of decisions to `{}`: {error}", path.display()))
            .todo("may this user write there? `[observe.decisions] to` says where")
    };
    Ok(match target {
        RecordTarget::Stdout => Box::new(Stdout),
        RecordTarget::File(path) => Box::new(Appended::open(path).map_err(|error| failed(path, error))?),
        RecordTarget::Syslog(path) => Box::new(Syslog::open(path).map_err(|error| failed(path, error))?),
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
mod tests {
    use super::*;

    fn write(sink: &mut dyn RecordSink, line: &str) {
        sink.write(line.as_bytes(), 1).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("d.jsonl"), folder.path().join("d.1"));
        let mut sink = sink(&RecordTarget::File(path.clone())).unwrap();
        write(&mut *sink, "{\"n\":1}\n");
        std::fs::rename(&path, &old).unwrap();
        write(&mut *sink, "{\"n\":2}\n");
        write(&mut *sink, "{\"n\":3}\n");
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "{\"n\":1}\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":2}\n{\"n\":3}\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o007, 0, "not for everybody");
    }

    #[test]
    fn what_cannot_be_written_is_said_at_the_start() {
        for target in [
            RecordTarget::File("/nonexistent/folder/d.jsonl".into()),
            RecordTarget::Syslog("/nonexistent/log".into()),
        ] {
            let failure = sink(&target).err().unwrap();
            assert!(failure.to_string().contains("/nonexistent/"), "{failure}");
        }
    }

    /// RFC 5424 6: PRI, version, time, host, name, process, kind, structured data, message.
    #[test]
    fn syslog_gets_one_message_for_each_record_also_after_its_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let receive = |socket: &UnixDatagram| {
            let mut message = [0; 256];
            let length = socket.recv(&mut message).unwrap();
            String::from_utf8(message[..length].to_vec()).unwrap()
        };
        let first = UnixDatagram::bind(&path).unwrap();
        let mut sink = sink(&RecordTarget::Syslog(path.clone())).unwrap();
        write(&mut *sink, "{\"n\":1}\n{\"n\":2}\n");
        let head = format!("<134>1 - - countersign {} decision - ", std::process::id());
        assert_eq!(receive(&first), format!("{head}{{\"n\":1}}"));
        assert_eq!(receive(&first), format!("{head}{{\"n\":2}}"));
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        write(&mut *sink, "{\"n\":3}\n");
        assert_eq!(receive(&second), format!("{head}{{\"n\":3}}"));
    }
}
