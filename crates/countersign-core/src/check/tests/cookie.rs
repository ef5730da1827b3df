use crate::check::{
    cookie::{self, MAX_COOKIES, SESSION},
    request::One,
};
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, HOST},
};

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("__Host-session=elsewhere"));
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

/// RULES 1.6: one value or none.
#[test]
fn rule_1_6_the_one_value_of_a_name() {
    let rows: &[(&[&[u8]], One<'_>)] = &[
        (&[], One::Absent),
        (&[b""], One::Absent),
        (&[b"__Host-session=a"], One::Single(b"a")),
        (&[b"x=1; __Host-session=a; y=2"], One::Single(b"a")),
        // RFC 9113 8.2.3: in as many lines as HTTP/2 likes
        (&[b"x=1", b"__Host-session=a", b"y=2"], One::Single(b"a")),
        (&[b"x=1;__Host-session=a;y=2"], One::Single(b"a")),
        (&[b" \t__Host-session \t=\t a \t; y=2"], One::Single(b"a")),
        (&[b";;; __Host-session=a;"], One::Single(b"a")),
        // the first `=` ends the name
        (&[b"__Host-session=a=b=="], One::Single(b"a=b==")),
        (&[b"x=__Host-session=a"], One::Absent),
        // a quoted value is another one
        (&[b"__Host-session=\"a\""], One::Single(b"\"a\"")),
        (&[b"x=\"; __Host-session=a; \""], One::Single(b"a")),
        (&[b"__Host-session=a\xff"], One::Single(b"a\xff")),
        (&[b"__Host-session="], One::Single(b"")),
        (&[b"__Host-session"], One::Single(b"")),
        // other names
        (&[b"__host-session=a"], One::Absent),
        (&[b"__Host-sessions=a"], One::Absent),
        (&[b"_Host-session=a"], One::Absent),
        (&[b"$__Host-session=a"], One::Absent),
        (&[b"\"__Host-session\"=a"], One::Absent),
        (&[b"x=1, __Host-session=a"], One::Absent),
        (&[b"=__Host-session=a"], One::Absent),
        (&[b"__Host-session\xa0=a"], One::Absent),
        // tossed by somebody else
        (&[b"__Host-session=a; __Host-session=b"], One::Doubled),
        (&[b"__Host-session=a; __Host-session=a"], One::Doubled),
        (&[b"__Host-session=a", b"__Host-session=b"], One::Doubled),
        (&[b"__Host-session=a; x=1; __Host-session =b; __Host-session=c"], One::Doubled),
        (&[b"__Host-session; __Host-session=a"], One::Doubled),
        (&[b"__Host-session=; __Host-session=a"], One::Doubled),
    ];
    for (lines, expected) in rows {
        let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
        assert_eq!(cookie::one(&headers(lines), SESSION), *expected, "{shown:?}");
    }
}

/// The work is bounded, over all lines together; what is beyond it hides neither a good one nor a second one.
#[test]
fn more_than_the_most_is_none() {
    let session = b"__Host-session=a; ";
    for (before, behind, expected) in [
        (0, MAX_COOKIES - session.len(), One::Single(&b"a"[..])),
        (0, MAX_COOKIES - session.len() + 1, One::Absent),
        (MAX_COOKIES - session.len(), 0, One::Single(b"a")),
        (MAX_COOKIES - session.len() + 1, 0, One::Absent),
        (MAX_COOKIES, MAX_COOKIES, One::Absent),
    ] {
        let (before, behind) = (vec![b'x'; before], vec![b'x'; behind]);
        let together = [&b"__Host-session=a; "[..], &behind].concat();
        for lines in [&[&before[..], &together][..], &[&before, session, &behind]] {
            assert_eq!(cookie::one(&headers(lines), SESSION), expected, "{}, {}", before.len(), behind.len());
        }
    }
}

#[test]
fn what_sets_one_of_ours() {
    let rows: &[(&[u8], bool)] = &[
        (b"__Host-session=a; Path=/; Secure", true),
        (b"__Host-session=", true),
        (b"__Host-session", true),
        (b"\t __Host-session =a", true),
        (b"__Host-countersign-csrf=a", true),
        (b"__Host-refresh=a; Max-Age=0", true),
        // what has no name is sent back as if its value began with one
        (b"=__Host-session=a", true),
        (b" = __Host-session=a", true),
        (b"=__Host-refresh", true),
        (b"a=b; __Host-session=c", false),
        (b"a=__Host-session", false),
        (b"__Host-sessions=a", false),
        (b"__host-session=a", false),
        (b"__Host-other=a", false),
        (b"", false),
        (b"=", false),
        (b";__Host-session=a", false),
    ];
    for (line, expected) in rows {
        assert_eq!(cookie::sets_ours(line), *expected, "{}", String::from_utf8_lossy(line));
    }
}
