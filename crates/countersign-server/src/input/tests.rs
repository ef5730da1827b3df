use super::{Members, form, json, json::Json};

#[test]
fn a_form_is_read_as_it_was_written() {
    let pairs = form::pairs(b"a=1&b=x+y%20z&c&&d=%C3%A4=").unwrap();
    let want = [("a", "1"), ("b", "x y z"), ("c", ""), ("d", "ä=")];
    assert_eq!(pairs, want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert!(form::pairs(b"").unwrap().is_empty());
}

#[test]
fn a_form_that_breaks_its_grammar_is_refused() {
    let rows: [&[u8]; 8] =
        [b"a=%", b"a=%4", b"a=%4g", b"a=%ff", b"a=\xff", b"a=%00", b"a=1&a=1", b"%61=1&a=2"];
    for row in rows {
        assert!(form::pairs(row).is_err(), "{}", String::from_utf8_lossy(row));
    }
    let many = (0..33).map(|n| format!("k{n}=")).collect::<Vec<_>>().join("&");
    assert!(form::pairs(many.as_bytes()).is_err());
}

#[test]
fn a_name_is_doubled_however_it_is_spelled() {
    // two readers of one document must not differ (RFC 8259 4)
    assert!(json::parse(br#"{"owner": 1, "\u006fwner": 2}"#).is_err());
    assert!(json::parse(br#"[{"a": 1}, {"a": 2}]"#).is_ok());
}

#[test]
fn depth_is_counted_and_never_overflows() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(json::parse(nested(8).as_bytes()).is_ok());
    assert!(json::parse(nested(9).as_bytes()).is_err());
    assert!(json::parse("[".repeat(65_000).as_bytes()).is_err());
    assert!(json::parse("{\"a\":".repeat(10_000).as_bytes()).is_err());
}

#[test]
fn numbers_are_whole_or_refused_by_whoever_asks() {
    for (text, want) in [("1", Json::Integer(1)), ("-9223372036854775808", Json::Integer(i64::MIN))] {
        assert!(json::parse(text.as_bytes()).unwrap() == want, "{text}");
    }
    for text in ["1.0", "1e3", "9223372036854775808", "18446744073709551616"] {
        assert!(json::parse(text.as_bytes()).unwrap() == Json::Fraction, "{text}");
    }
    assert!(json::parse(b"1e999").is_err());
}

#[test]
fn no_value_is_ever_printed() {
    // bodies carry keys
    let value = json::parse(br#"{"key": "cs_live_secret"}"#).unwrap();
    assert!(!format!("{value:?}").contains("secret"));
    let Json::Object(entries) = value else { panic!("an object was parsed") };
    assert!(!format!("{:?}", Members::of_body(entries)).contains("secret"));
}

#[test]
fn what_was_meant_is_guessed_and_a_strangers_name_is_tamed() {
    let unknown = |name: &str| {
        let mut members = Members::of_body(vec![(name.to_owned(), Json::Null)]);
        let _: Option<()> = members.optional("expires_in", |_| Ok(()));
        let _: Option<()> = members.optional("networks", |_| Ok(()));
        members.close().unwrap_err().0.remove(0)
    };
    for (name, meant) in [("expiresin", "expires_in"), ("expires-in", "expires_in"), ("network", "networks")]
    {
        assert!(unknown(name).detail.ends_with(&format!("did you mean `{meant}`?")), "{name}");
    }
    assert!(unknown("zzz").detail.contains("known are"));
    let long = unknown(&"\u{1b}[31m".repeat(100));
    assert!(long.member.len() < 400 && !long.member.contains('\u{1b}'), "{}", long.member);
}

#[test]
fn null_is_as_good_as_absent_and_not_good_enough() {
    let mut members = Members::of_body(vec![("a".into(), Json::Null), ("b".into(), Json::Null)]);
    let optional: Option<()> = members.optional("a", |_| Err("was read".into()));
    let required: Option<()> = members.required("b", |_| Err("was read".into()));
    assert!(optional.is_none() && required.is_none());
    let faults = members.close().unwrap_err().0;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].member, "b");
}
