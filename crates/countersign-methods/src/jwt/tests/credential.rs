use super::super::credential::{find, is_compact};
use countersign_core::{
    Place,
    check::request::{CheckRequest, Peer, Transport},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use proptest::prelude::*;

fn found(fields: &[(&str, &[u8])], cookies: bool) -> Option<(Place, Vec<u8>)> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    let request = CheckRequest {
        method: &Method::GET,
        authority: "api.example",
        target: &PathAndQuery::from_static("/?access_token=eyJ.a.b"),
        headers: &headers,
        peer: Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls },
    };
    find(&request, cookies).map(|shown| (shown.place, shown.value.to_vec()))
}

/// Also where there are so many parts that a byte could not count them, and for every byte that could stand there.
#[test]
fn three_parts_are_three_however_long() {
    for dots in [0, 1, 2, 3, 257, 258, 259, 512, 514] {
        let value = format!("ey{}", ".".repeat(dots));
        assert_eq!(is_compact(value.as_bytes()), dots == 2, "{dots}");
        let long = format!("ey{}{}", "a".repeat(600), ".b".repeat(dots));
        assert_eq!(is_compact(long.as_bytes()), dots == 2, "{dots}");
    }
    for byte in 0..=u8::MAX {
        let fits = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        assert_eq!(is_compact(&[b'e', b'y', byte, b'.', b'.']), fits, "{byte}");
    }
}

/// RULES 1.4: by its form, and nothing of another room's.
#[test]
fn a_bearer_value_is_ours_by_its_form() {
    let rows: [(&[u8], bool); 24] = [
        (b"Bearer eyJhbGciOiJub25lIn0.e30.", true),
        (b"bearer eyJ.a.b", true),
        (b"Bearer   eyJ.a.b", true),
        (b"Bearer ew0.a.b", true),
        (b"Bearer ey-_.-_.-_", true),
        (b"Bearer ey..", true),
        (b"Bearer eyJ", false),
        (b"Bearer eyJ.a", false),
        (b"Bearer eyJ.a.b.c", false),
        (b"Bearer eyJ.a.b.c.d", false),
        (b"Bearer eyJ.a.b=", false),
        (b"Bearer eyJ.a+.b", false),
        (b"Bearer eyJ.a/.b", false),
        (b"Bearer eyJ.a .b", false),
        (b"Bearer eZJ.a.b", false),
        (b"Bearer .eyJ.a", false),
        (b"Bearer {\"payload\":\"\"}", false),
        (b"Bearer cs_live_abc", false),
        (b"Bearer cs_at_abc", false),
        (b"Bearer cs_session_abc.mark", false),
        (b"Basic eyJ.a.b", false),
        (b"DPoP eyJ.a.b", false),
        (b"eyJ.a.b", false),
        (b"Bearer \xff\xff.a.b", false),
    ];
    for (field, ours) in rows {
        let shown = found(&[("authorization", field)], true);
        assert_eq!(shown.is_some(), ours, "{}", String::from_utf8_lossy(field));
        assert!(shown.is_none_or(|(place, _)| place == Place::Authorization));
    }
    assert_eq!(
        found(&[("authorization", b"Bearer eyJ.a.b"), ("authorization", b"Bearer eyJ.a.b")], true),
        None
    );
    assert_eq!(found(&[], true), None, "never in the query");
}

/// RULES 1.6: beside `Authorization`, doubled, or where the route takes none: absent.
#[test]
fn a_cookie_is_ours_alone_once_and_where_it_counts() {
    let cookie = |value: &str| format!("__Host-session={value}").into_bytes();
    let (long, longest) = ("a".repeat(257), "a".repeat(256));
    let rows = [
        ("cs_session_abc.mark-_", true),
        ("eyJ.a.b", true),
        (&longest, true),
        (&long, false),
        ("", false),
        ("\"eyJ.a.b\"", false),
        ("eyJ.a.b c", false),
        ("eyJ.a.b=", false),
        ("cs_session_%41", false),
    ];
    for (value, ours) in rows {
        let field = cookie(value);
        assert_eq!(found(&[("cookie", &field)], true).is_some(), ours, "{value:.30}");
        assert_eq!(found(&[("cookie", &field)], false), None, "the route takes none");
        for other in [b"Bearer x".as_slice(), b"Basic eA==", b"x", b""] {
            assert_eq!(found(&[("cookie", &field), ("authorization", other)], true), None, "{other:?}");
        }
        assert_eq!(found(&[("cookie", &field), ("cookie", &field)], true), None);
    }
    // RFC 6265bis: what no browser keeps no browser sends
    for (length, ours) in [(4096, true), (4097, false)] {
        let value = format!("eyJ.{}.b", "a".repeat(length - 6));
        assert_eq!(found(&[("cookie", &cookie(&value))], true).is_some(), ours, "{length}");
    }
}

#[test]
fn debug_shows_none_of_it() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer eyJzZWNyZXQ.a.b"));
    let request = CheckRequest {
        method: &Method::GET,
        authority: "api.example",
        target: &PathAndQuery::from_static("/"),
        headers: &headers,
        peer: Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls },
    };
    let shown = find(&request, true).unwrap();
    assert!(!format!("{shown:?}").contains("eyJ"), "{shown:?}");
}

proptest! {
    #[test]
    fn finding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100), cookies in any::<bool>()) {
        let field = [b"Bearer ".as_slice(), &bytes].concat();
        let cookie = [b"__Host-session=".as_slice(), &bytes].concat();
        if HeaderValue::from_bytes(&field).is_ok() {
            for fields in [[("authorization", field.as_slice())], [("cookie", cookie.as_slice())]] {
                if let Some((place, value)) = found(&fields, cookies) {
                    prop_assert!(place == Place::Cookie || is_compact(&value));
                }
            }
        }
    }
}
