use super::*;
use crate::compose::World;

fn sink(target: &RecordTarget) -> Result<Box<dyn RecordSink>, Failure> {
    records(target, &EgressSettings::default(), &World::of_machine())
}

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
