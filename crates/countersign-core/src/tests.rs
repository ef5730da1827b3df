//! `authorization_header`: every way to break the grammar, and what keeps it.

use crate::authorization_header::*;
use proptest::prelude::*;

/// RULES 2.1: what breaks the grammar, and how.
#[test]
fn rule_2_1_refuses_what_breaks_the_grammar() {
    let long = [b"Bearer ".as_slice(), &[b'a'; MAX_LENGTH]].concat();
    let rows: &[(&[u8], Malformed)] = &[
        (b"", Malformed::NoScheme),
        (b" \t ", Malformed::NoScheme),
        (b"cs_live_0123456789", Malformed::NoCredentials),
        (b"Bearer", Malformed::NoCredentials),
        (b"Bearer  \t", Malformed::NoCredentials),
        (b"Bea(rer x", Malformed::NoScheme),
        (b"\"Bearer\" x", Malformed::NoScheme),
        (b"Bearer a\tb", Malformed::Character),
        (b"Bearer a\0b", Malformed::Character),
        (b"Bearer a\x7fb", Malformed::Character),
        (b"Bearer\tabc", Malformed::Character),
        (b"Bearer a\r\nX: y", Malformed::Character),
        (b"Bearer \xff\xfe", Malformed::Character),
        ("Bearer schlüssel".as_bytes(), Malformed::Character),
        (&long, Malformed::TooLong),
    ];
    for (value, expected) in rows {
        assert_eq!(parse(value), Err(*expected), "{:?}", String::from_utf8_lossy(value));
    }
}

/// RFC 9110 11.4, 5.5: surrounding whitespace is no part of the value, several spaces may part scheme and credentials.
#[test]
fn rule_2_1_splits_scheme_and_credentials() {
    let rows: &[(&[u8], &str, &[u8])] = &[
        (b"Bearer abc", "Bearer", b"abc"),
        (b" \tbEaReR   abc \t", "bEaReR", b"abc"),
        (b"Basic dXNlcjpwYXNz", "Basic", b"dXNlcjpwYXNz"),
        (b"Digest a=\"b c\", d=e", "Digest", b"a=\"b c\", d=e"),
    ];
    for (value, scheme, credentials) in rows {
        let header = parse(value).unwrap();
        assert_eq!((header.scheme, header.credentials), (*scheme, *credentials));
    }
    assert!(parse(b"BEARER x").unwrap().scheme_is("bearer"));
    assert!(!parse(b"Bearers x").unwrap().scheme_is("bearer"));
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", parse(b"cs_live_secret more").unwrap()).contains("secret"));
}

#[test]
fn rules_3_8_a_request_id_is_its_128_bits_in_hex() {
    let bytes = std::array::from_fn(|n| [0x00, 0x09, 0x0a, 0x9f, 0xa0, 0xf9, 0xff, 0x5b][n % 8]);
    let id = crate::RequestId(bytes);
    assert_eq!(id.to_string(), "00090a9fa0f9ff5b00090a9fa0f9ff5b");
    assert_eq!(format!("{id:?}"), id.to_string());
}

proptest! {
    /// Never a panic, and never empty halves.
    #[test]
    fn any_bytes(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(header) = parse(&value) {
            prop_assert!(!header.scheme.is_empty() && !header.credentials.is_empty());
            prop_assert!(header.credentials.iter().all(|b| matches!(b, b' '..=b'~')));
        }
    }
}
