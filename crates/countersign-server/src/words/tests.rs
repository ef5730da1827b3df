use super::{cursor, duration, read, time};
use crate::input::json::Json;
use countersign_core::Timestamp;
use countersign_methods::operator;
use std::time::Duration;

#[test]
fn durations_go_there_and_back() {
    let rows =
        [("1s", 1), ("90s", 90), ("15m", 900), ("24h", 86_400), ("90d", 7_776_000), ("1y", 31_536_000)];
    for (text, seconds) in rows {
        assert_eq!(duration::parse(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for (seconds, text) in [(90, "90s"), (3600, "1h"), (86_400, "1d"), (7_776_000, "90d"), (61, "61s")] {
        assert_eq!(duration::format(Duration::from_secs(seconds)), text);
        assert_eq!(duration::parse(text), Ok(Duration::from_secs(seconds)));
    }
    assert_eq!(duration::format(Duration::from_millis(1500)), "1500ms");
}

#[test]
fn what_is_no_duration_is_refused() {
    let rows = [
        "",
        "s",
        "1",
        "-1s",
        "+1s",
        "1 s",
        "1S",
        "1w",
        "1.5h",
        "0s",
        "1h30m",
        "101y",
        "9999999999y",
        "99999999999s",
        "1ß",
        "٣s",
        "1s ",
    ];
    for text in rows {
        assert!(duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn times_are_rfc_3339_and_nothing_more() {
    let at = Timestamp::from_seconds(1_800_000_000);
    assert_eq!(time::format(at), "2027-01-15T08:00:00Z");
    assert_eq!(time::format(at + Duration::from_micros(1500)), "2027-01-15T08:00:00.0015Z");
    let rows = [
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T10:30:00+02:30",
        "2027-01-15T08:00:00-00:00",
    ];
    for text in rows {
        assert_eq!(time::parse(text), Ok(at), "{text}");
    }
    // the ends of what a row can hold do not panic
    for micros in [i64::MIN, -1, 0, i64::MAX] {
        assert!(time::format(Timestamp::from_micros(micros)).ends_with('Z'));
    }
}

#[test]
fn what_is_no_time_is_refused() {
    let rows = [
        "",
        "2027-01-15",
        "2027-01-15 08:00:00Z",
        "2027-01-15T08:00:00",
        "2027-01-15t08:00:00z",
        "2027-02-30T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-01-15T25:00:00Z",
        "2027-01-15T08:00Z",
        "2027-01-15T08:00:00.Z",
        "2027-01-15T08:00:00+0200",
        "2027-01-15T08:00:00Z[UTC]",
        "20270115T080000Z",
        "2027-01-15T08:00:00.1234567890Z",
        "1800000000",
        "+002027-01-15T08:00:00Z",
        "2027-01-15T08:00:00+99:99",
    ];
    for text in rows {
        assert!(time::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_cursor_is_good_for_its_own_list_only() {
    let given = cursor::encode("api-keys", "0001.abc def");
    assert_eq!(cursor::decode("api-keys", &given).as_deref(), Some("0001.abc def"));
    assert_eq!(cursor::decode("principals", &given), None);
    assert_eq!(cursor::decode("api", &given), None);
    let raw = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    let rows = [
        String::new(),
        "6".into(),
        "zz".into(),
        "6É".into(),
        given.to_uppercase(),
        raw("api-keys:"),
        raw("api-keys:a\0b"),
        raw("api-keys:ä"),
        "ff".into(),
        raw(&format!("api-keys:{}", "x".repeat(300))),
    ];
    for row in rows {
        assert_eq!(cursor::decode("api-keys", &row), None, "{row}");
    }
}

// RULES 1.8: operators' scopes come from our own store; one that nothing asks for would only look like a right
#[test]
fn an_operators_scope_that_does_not_exist_is_refused() {
    let scopes = |name: &str| read::scopes(Json::Array(vec![Json::Text(name.into())]));
    for name in operator::ALL {
        assert!(scopes(name).is_ok(), "{name}");
    }
    assert!(scopes("orders:read").is_ok());
    for name in ["countersign:everything", "countersign:", "countersign:*", "countersign:Keys"] {
        assert!(scopes(name).is_err(), "{name}");
    }
}
