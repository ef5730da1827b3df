use super::*;

const LINE: &str = r#"{"number":7,"hash":"abababababababababababababababababababababababababababababababab","at":"2027-01-15T08:00:00.123456Z","actor":"host","credential":"","action":"api_key.create","subject":"k","source":"","request":"","detail":{"b":"1","a":"\u0000 \"x\""}}"#;

fn records(text: &str) -> Vec<Result<AuditRecord, String>> {
    AuditFile::new(text.as_bytes()).collect()
}

#[test]
fn a_record_is_read_to_the_letter() {
    let read = records(&format!("{LINE}\n"));
    let record = read[0].as_ref().unwrap();
    assert_eq!((record.number, record.hash), (7, [0xab; 32]));
    assert_eq!(record.event.at, Timestamp::from_micros(1_800_000_000_123_456));
    assert_eq!(record.event.detail, r#"{"b":"1","a":"\u0000 \"x\""}"#);
    // what is no object was kept as text
    let read = records(&format!("{}\n", LINE.replace(r#"{"b":"1","a":"\u0000 \"x\""}"#, r#""{\"a\":1""#)));
    assert_eq!(read[0].as_ref().unwrap().event.detail, "{\"a\":1");
}

#[test]
fn what_is_no_record_ends_it_with_its_line() {
    for (text, why) in [
        (format!("{LINE}\n{LINE}"), "line 2: it does not end"),
        (format!("{LINE}\n\n{LINE}\n"), "line 2: it is no record"),
        (format!("{}\n", LINE.replace("abab\"", "aba\"")), "line 1: its hash"),
        (format!("{}\n", LINE.replace("2027-", "x")), "line 1: its time"),
        (format!("{}\n", LINE.replace("\"number\":7", "\"number\":\"7\"")), "line 1: it is no record"),
        ("x".repeat(3 << 20), "line 1: it does not end"),
    ] {
        let read = records(&text);
        let last = read.last().unwrap().as_ref().unwrap_err();
        assert!(last.starts_with(why), "{last}");
    }
    assert!(records("").is_empty());
}
