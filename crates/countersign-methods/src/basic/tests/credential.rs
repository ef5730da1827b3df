//! What stands in `Authorization: Basic` (RFC 7617 2), as an attacker would write it.

use super::{Fields, HOME, House, basic, encoded, request};
use crate::basic::credential::{Buffer, LONGEST, UserPass, decode};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use countersign_core::{Authenticator, Found, MethodRule, Refusal, authenticator::Fault};
use proptest::prelude::*;

/// What becomes of a field where nobody has a password.
#[derive(Debug, PartialEq)]
enum Told {
    Absent,
    Malformed,
    /// 401, by its look alone.
    Bad,
    /// 401 once it was asked for, and no hash was spent on it.
    Impossible,
    /// 401 at the price of a hash.
    Unknown,
}
use Told::{Absent, Bad, Impossible, Malformed, Unknown};

async fn told(house: &House, fields: Vec<Vec<u8>>) -> Told {
    let fields = Fields(fields);
    let request = request(&fields, HOME);
    let rule = MethodRule::DEFAULT;
    let presented = match house.authenticator.find(&request, &rule) {
        Found::Absent => return Absent,
        Found::Bad(rejection) if rejection.fault == Fault::Malformed => return Malformed,
        Found::Bad(rejection) => {
            assert_eq!((rejection.fault, rejection.code), (Fault::Invalid, "credential_invalid"));
            return Bad;
        }
        Found::Present(presented) => presented,
    };
    // so that nobody's failures slow the next row down
    house.clock.advance(super::DAY);
    let before = house.hashed().await;
    let answer =
        house.authenticator.verify(presented, &rule, countersign_core::Clock::now(&*house.clock)).await;
    let Err(Refusal::Rejected(rejection)) = answer else { panic!("{answer:?}") };
    assert_eq!((rejection.fault, rejection.code), (Fault::Invalid, "credential_invalid"));
    if house.hashed().await > before { Unknown } else { Impossible }
}

/// The field's grammar: scheme, separator, and base64 as RFC 4648 4 writes it.
#[tokio::test]
async fn odd_fields() {
    let house = House::new();
    // alice:pw
    const GOOD: &str = "YWxpY2U6cHc=";
    let plus = STANDARD.encode("alice:~~~>>>???");
    assert!(plus.contains('/') || plus.contains('+'));
    let rows: &[(&str, Told)] = &[
        ("", Malformed),
        (" ", Malformed),
        ("Basic", Malformed),
        ("Basic ", Malformed),
        ("Basic\t", Malformed),
        ("Basic    ", Malformed),
        // RFC 9110 11.1: schemes are case-insensitive; 11.4: one space or more
        ("Basic YWxpY2U6cHc=", Unknown),
        ("basic YWxpY2U6cHc=", Unknown),
        ("bAsIc YWxpY2U6cHc=", Unknown),
        ("BASIC YWxpY2U6cHc=", Unknown),
        ("Basic  YWxpY2U6cHc=", Unknown),
        (" \tBasic YWxpY2U6cHc= \t", Unknown),
        ("Basic\tYWxpY2U6cHc=", Malformed),
        ("Basic \tYWxpY2U6cHc=", Malformed),
        ("Basic\u{a0}YWxpY2U6cHc=", Malformed),
        ("Basic:YWxpY2U6cHc=", Malformed),
        ("Basic=YWxpY2U6cHc=", Malformed),
        ("Basic: YWxpY2U6cHc=", Malformed),
        ("Basic, YWxpY2U6cHc=", Malformed),
        ("\"Basic\" YWxpY2U6cHc=", Malformed),
        ("YWxpY2U6cHc=", Malformed),
        // somebody else's scheme
        ("Basi YWxpY2U6cHc=", Absent),
        ("Basic2 YWxpY2U6cHc=", Absent),
        ("xBasic YWxpY2U6cHc=", Absent),
        ("Bearer YWxpY2U6cHc=", Absent),
        ("Digest username=\"alice\"", Absent),
        ("Negotiate YWxpY2U6cHc=", Absent),
        // padding: none, too little, too much, in the middle, before
        ("Basic YWxpY2U6cHc", Malformed),
        ("Basic YWxpY2U6cA=", Malformed),
        ("Basic YWxpY2U6cHc==", Malformed),
        ("Basic YWxpY2U6cHc=====", Malformed),
        ("Basic YWxp=Y2U6cHc=", Malformed),
        ("Basic =YWxpY2U6cHc=", Malformed),
        ("Basic ====", Malformed),
        ("Basic =", Malformed),
        ("Basic Y", Malformed),
        // bits that no byte has
        ("Basic YWxpY2U6cHd=", Malformed),
        ("Basic YWxpY2U6cH==", Malformed),
        ("Basic YWxpY2U6cHc=YWxpY2U6cHc=", Malformed),
        // white space within, lists, quotes, parameters, escapes
        ("Basic YWxp Y2U6cHc=", Malformed),
        ("Basic YWxpY2U6cHc= =", Malformed),
        ("Basic YWxpY2U6cHc=,", Malformed),
        ("Basic ,YWxpY2U6cHc=", Malformed),
        ("Basic YWxpY2U6cHc=, Basic YWxpY2U6cHc=", Malformed),
        ("Basic YWxpY2U6cHc=, Bearer abc", Malformed),
        ("Basic Basic YWxpY2U6cHc=", Malformed),
        ("Basic \"YWxpY2U6cHc=\"", Malformed),
        ("Basic 'YWxpY2U6cHc='", Malformed),
        ("Basic YWxpY2U6cHc=;", Malformed),
        ("Basic YWxpY2U6cHc%3D", Malformed),
        ("Basic realm=\"x\"", Malformed),
        ("Basic YWxpY2U6cHc=, charset=\"UTF-8\"", Malformed),
        ("Basic token68=YWxpY2U6cHc=", Malformed),
        ("Basic alice:pw", Malformed),
        // what no field may hold (RFC 9110 5.5)
        ("Basic YWxpY2U6cHc=\r\nX-Role: admin", Malformed),
        ("Basic YWxpY2U6cHc=\n", Malformed),
        ("Basic YWxpY2U6cHc=\0", Malformed),
        ("Basic YWxpY2U6cHc=\u{7f}", Malformed),
        ("Basic ＹＷxpY2U6cHc=", Malformed),
    ];
    for (field, expected) in rows {
        assert_eq!(told(&house, vec![field.as_bytes().to_vec()]).await, *expected, "`{field}`");
    }
    // the other alphabet (RFC 4648 5)
    let url_safe = URL_SAFE.encode("alice:~~~>>>???");
    assert_eq!(told(&house, vec![format!("Basic {url_safe}").into_bytes()]).await, Malformed);
    assert_eq!(told(&house, vec![format!("Basic {plus}").into_bytes()]).await, Unknown);
    // two fields, alike or not
    let good = format!("Basic {GOOD}").into_bytes();
    for second in [good.clone(), b"Bearer abc".to_vec(), Vec::new()] {
        assert_eq!(told(&house, vec![good.clone(), second]).await, Malformed);
    }
    assert_eq!(told(&house, Vec::new()).await, Absent);
}

/// What is in it: RFC 7617 2, RFC 3629 3.
#[tokio::test]
async fn odd_pairs() {
    let house = House::new();
    let rows: &[(&[u8], Told)] = &[
        // no colon
        (b"a", Malformed),
        (b"alice", Malformed),
        (b"alice;pw", Malformed),
        ("alice：pw".as_bytes(), Malformed),
        // nobody's name, nobody's password
        (b":", Impossible),
        (b"::", Impossible),
        (b":pw", Impossible),
        (b"alice:", Impossible),
        (b" alice:pw", Impossible),
        (b"alice :pw", Impossible),
        (b"al ice:pw", Impossible),
        // the first colon parts them
        (b"alice:a:b:c", Unknown),
        (b"alice::", Unknown),
        (b"alice: pw ", Unknown),
        // RFC 5234: CTL is 0x00-1F and 7F
        (b"alice:p\0w", Malformed),
        (b"al\0ice:pw", Malformed),
        (b"alice:pw\0", Malformed),
        (b"alice:pw\n", Malformed),
        (b"alice:pw\r\n", Malformed),
        (b"alice:p\tw", Malformed),
        (b"alice:p\x1bw", Malformed),
        (b"alice:p\x1fw", Malformed),
        (b"alice:p\x7fw", Malformed),
        (b"ali\x7fce:pw", Malformed),
        // C1 controls are none of those, and in nobody's password either (RFC 8264 9.11)
        ("alice:p\u{80}w".as_bytes(), Impossible),
        ("alice:p\u{85}w".as_bytes(), Impossible),
        ("alice:p\u{9f}w".as_bytes(), Impossible),
        ("al\u{85}ice:pw".as_bytes(), Impossible),
        // other code points that nobody can send again
        ("alice:p\u{200b}w".as_bytes(), Impossible),
        ("alice:p\u{2028}w".as_bytes(), Impossible),
        ("alice:p\u{fdd0}w".as_bytes(), Impossible),
        ("alice:p\u{10ffff}w".as_bytes(), Impossible),
        ("ali\u{202e}ce:pw".as_bytes(), Impossible),
        ("ali\u{200d}ce:pw".as_bytes(), Impossible),
        // a byte order mark is part of the name
        ("\u{feff}alice:pw".as_bytes(), Impossible),
        (b"\xff\xfea\0l\0i\0c\0e\0:\0p\0w\0", Malformed),
        // not UTF-8: Latin-1, overlong, surrogates, cut short, beyond the last, a stray tail
        (b"alice:p\xe4ss", Malformed),
        (b"\xe4lice:pass", Malformed),
        (b"alice\xc0\xbapw", Malformed),
        (b"alice:p\xc0\x80w", Malformed),
        (b"alice:p\xe0\x80\xafw", Malformed),
        (b"alice:p\xf0\x80\x80\xafw", Malformed),
        (b"alice:\xed\xa0\x80", Malformed),
        (b"alice:\xed\xb0\x80", Malformed),
        (b"alice:\xed\xa0\xbd\xed\xb8\x80", Malformed),
        (b"alice:\xe2\x82", Malformed),
        (b"alice:\xf0\x9f\xa6", Malformed),
        (b"alice:\xf4\x90\x80\x80", Malformed),
        (b"alice:\xf8\x88\x80\x80\x80", Malformed),
        (b"alice:\x80", Malformed),
        (b"alice:\xfe", Malformed),
        // Unicode that is fine, of nobody
        ("älice:pässword".as_bytes(), Unknown),
        ("Ａlice:🦀".as_bytes(), Unknown),
        // letters that fold into ascii elsewhere name nobody here, and lookalikes nobody else (RFC 8264 4.2)
        ("\u{212a}ate:pw".as_bytes(), Impossible),
        ("ali\u{17f}e:pw".as_bytes(), Impossible),
        ("\u{fb01}ona:pw".as_bytes(), Impossible),
        ("\u{2460}:pw".as_bytes(), Impossible),
        ("al\u{131}ce:pw".as_bytes(), Unknown),
        ("al\u{130}ce:pw".as_bytes(), Unknown),
        ("\u{430}lice:pw".as_bytes(), Unknown),
        ("\u{5d0}lice:pw".as_bytes(), Impossible),
        // of somebody who is a service: no password is right
        (b"demo:pw", Unknown),
        // of somebody who is there and has none
        (b"bob:pw", Unknown),
    ];
    for (pair, expected) in rows {
        let shown = String::from_utf8_lossy(pair);
        assert_eq!(told(&house, vec![encoded(pair)]).await, *expected, "{shown:?}");
    }
}

#[tokio::test]
async fn at_and_beyond_the_limits() {
    let house = House::new();
    let long = |user: usize, password: usize| basic(&"a".repeat(user), &"p".repeat(password));
    for (field, expected) in [
        (long(128, 256), Unknown),
        (long(129, 256), Impossible),
        (long(128, 257), Impossible),
        // four bytes each, and not one too many
        (basic(&"a".repeat(128), &"🦀".repeat(256)), Unknown),
        (basic("alice", &"🦀".repeat(257)), Impossible),
        // the last that is decoded, and the first that is not
        (long(1000, LONGEST / 3 * 3 - 1001), Impossible),
        (long(1000, LONGEST / 3 * 3 - 1000), Bad),
        (long(4000, 2000), Bad),
        // a field beyond 8 KiB is not read, whatever it is
        (long(4000, 2100), Bad),
        (long(4000, 3000), Malformed),
        (long(100_000, 100_000), Malformed),
        // long rubbish is not decoded
        (format!("Basic {}", "!".repeat(LONGEST / 3 * 4 + 1)).into_bytes(), Bad),
    ] {
        let length = field.len();
        assert_eq!(told(&house, vec![field]).await, expected, "{length} bytes");
    }
}

#[test]
fn debug_shows_neither_half() {
    let shown = format!("{:?}", UserPass { user: "alice", password: "hunter2" });
    assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    let mut buffer: Buffer = [0; LONGEST];
    let rejection = decode(b"aHVudGVyMg==", &mut buffer).unwrap_err();
    assert!(!format!("{rejection:?}").contains("hunter2"));
}

/// RFC 4648 3.5: a text that decodes is the one spelling of its pair, so that no pair has two entries in the cache.
fn one_spelling(text: &[u8]) {
    let mut buffer: Buffer = [0; LONGEST];
    if let Ok(UserPass { user, password }) = decode(text, &mut buffer) {
        assert_eq!(STANDARD.encode(format!("{user}:{password}")).as_bytes(), text);
        assert!(!user.contains(':'));
        assert!(!format!("{user}{password}").bytes().any(|b| b.is_ascii_control()));
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_not(text in prop::collection::vec(any::<u8>(), 0..4000)) {
        one_spelling(&text);
    }

    #[test]
    fn what_looks_like_base64(text in "[A-Za-z0-9+/=_\\- ]{0,64}") {
        one_spelling(text.as_bytes());
    }

    #[test]
    fn any_bytes_encoded(pair in prop::collection::vec(any::<u8>(), 0..2000), at in any::<prop::sample::Index>()) {
        let mut text = STANDARD.encode(&pair).into_bytes();
        one_spelling(&text);
        if !text.is_empty() {
            let place = at.index(text.len());
            text[place] ^= 1;
            one_spelling(&text);
        }
    }

    #[test]
    fn a_pair_comes_back(user in "[^:\\x00-\\x1f\\x7f]{0,40}", password in "[^\\x00-\\x1f\\x7f]{0,80}") {
        let text = STANDARD.encode(format!("{user}:{password}"));
        let mut buffer: Buffer = [0; LONGEST];
        let found = decode(text.as_bytes(), &mut buffer).unwrap();
        prop_assert_eq!(found, UserPass { user: &user, password: &password });
    }
}
