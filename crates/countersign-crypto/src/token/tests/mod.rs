//! Formats, digests and marks.

mod mark;

use super::{
    digest::{Pepper, PepperError, Peppers, TokenParts, UnknownPepper},
    format::{FormatError, TokenFormat},
};
use crate::SystemEntropy;
use proptest::prelude::*;

fn format() -> TokenFormat {
    TokenFormat::new("cs", "live").unwrap()
}

fn token() -> String {
    format().generate(&SystemEntropy).token.expose().to_string()
}

fn refused(bytes: &[u8]) -> FormatError {
    format().parse(bytes).unwrap_err()
}

#[test]
fn a_word_is_short_and_plain() {
    for word in ["", "CS", "c_s", "c-s", "é", "abcdefghijklmnopq", "cs "] {
        assert!(TokenFormat::new(word, "live").is_err(), "`{word}`");
    }
    for word in ["c", "cs", "acme2", "abcdefghijklmnop", "0"] {
        assert!(TokenFormat::new(word, "live").is_ok(), "`{word}`");
    }
}

#[test]
fn every_truncation_is_refused() {
    let token = token();
    for end in 0..token.len() {
        let expected = if end < 8 { FormatError::Prefix } else { FormatError::Length };
        assert_eq!(refused(&token.as_bytes()[..end]), expected, "{end}");
    }
}

#[test]
fn what_is_added_is_refused() {
    let token = token();
    for extra in ["0", " ", "\n", "\0", &token] {
        assert_eq!(refused(format!("{token}{extra}").as_bytes()), FormatError::Length);
        assert!(format().parse(format!("{extra}{token}").as_bytes()).is_err());
    }
    assert_eq!(refused(&vec![b'0'; 1 << 20]), FormatError::Prefix);
    assert_eq!(refused(&[b"cs_live_".as_slice(), &vec![b'0'; 1 << 20]].concat()), FormatError::Length);
}

/// CRC-32 finds every error in a single character.
#[test]
fn every_single_change_is_refused() {
    let token = token();
    for at in 0..token.len() {
        for other in 0..=255u8 {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] == other {
                continue;
            }
            bytes[at] = other;
            assert!(format().parse(&bytes).is_err(), "{at} {other}");
        }
    }
}

#[test]
fn non_utf8_is_refused_by_its_alphabet() {
    let mut bytes = token().into_bytes();
    bytes[20] = 0xff;
    assert_eq!(refused(&bytes), FormatError::Alphabet);
    bytes[20] = b'_';
    assert_eq!(refused(&bytes), FormatError::Alphabet);
}

/// RULES 4.3: the checksum covers the prefix too.
#[test]
fn a_token_of_another_prefix_does_not_fit() {
    let token = token();
    let renamed = token.replacen("cs_live_", "cs_test_", 1);
    let test = TokenFormat::new("cs", "test").unwrap();
    assert_eq!(test.parse(renamed.as_bytes()).unwrap_err(), FormatError::Checksum);
    assert_eq!(test.parse(token.as_bytes()).unwrap_err(), FormatError::Prefix);
}

#[test]
fn what_is_generated_is_parsed() {
    let made = format().generate(&SystemEntropy);
    let token = made.token.expose();
    assert_eq!(token.len(), format().token_length());
    assert_eq!(format().name(), "cs_live");
    let parsed = format().parse(token.as_bytes()).unwrap();
    assert_eq!(parsed.id(), made.id);
    assert_eq!(&token.as_bytes()[20..52], parsed.secret());
    assert_ne!(token, format().generate(&SystemEntropy).token.expose());
}

/// Fixed for ever: scanners and other languages compute it too.
#[test]
fn the_checksum_is_crc32_in_base62() {
    // CRC-32 of the covered part is computed independently (zlib).
    let covered = "cs_live_000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let token = format!("{covered}{}", KNOWN_SUM);
    assert!(format().parse(token.as_bytes()).is_ok());
}
const KNOWN_SUM: &str = "0zn6i1";

/// 256 bits: 43 characters of base62.
#[test]
fn a_long_one_is_another_format() {
    let long = TokenFormat::long("cs", "refresh").unwrap();
    let short = TokenFormat::new("cs", "refresh").unwrap();
    let made = long.generate_for("0aB3dE6gH9jK".to_owned(), &SystemEntropy);
    let token = made.token.expose();
    assert_eq!((token.len(), long.token_length()), (11 + 12 + 43 + 6, 11 + 12 + 43 + 6));
    let parsed = long.parse(token.as_bytes()).unwrap();
    assert_eq!((parsed.id(), parsed.secret().len()), ("0aB3dE6gH9jK", 43));
    assert_eq!(short.parse(token.as_bytes()).unwrap_err(), FormatError::Length);
    let short = short.generate(&SystemEntropy).token;
    assert_eq!(long.parse(short.expose().as_bytes()).unwrap_err(), FormatError::Length);
    for end in 0..token.len() {
        let expected = if end < 11 { FormatError::Prefix } else { FormatError::Length };
        assert_eq!(long.parse(&token.as_bytes()[..end]).unwrap_err(), expected, "{end}");
    }
    assert!(TokenFormat::long("CS", "refresh").is_err() && TokenFormat::long("cs", "").is_err());
}

#[test]
fn debug_shows_no_secret() {
    let made = format().generate(&SystemEntropy);
    let token = made.token.expose();
    let parsed = format().parse(token.as_bytes()).unwrap();
    let pepper = Pepper::new(1, &[7; 32]).unwrap();
    let parts = TokenParts { kind: "k", prefix: "cs_live", id: parsed.id(), secret: parsed.secret() };
    let peppers = Peppers::new(pepper.clone(), Vec::new()).unwrap();
    let shown = format!("{made:?} {parsed:?} {parts:?} {pepper:?} {peppers:?}");
    let secret = std::str::from_utf8(parsed.secret()).unwrap();
    assert!(shown.contains(parsed.id()) && !shown.contains(secret) && !shown.contains("7, 7"), "{shown}");
}

#[test]
fn a_pepper_is_long_and_stands_once() {
    assert_eq!(Pepper::new(3, &[0; 31]).unwrap_err(), PepperError::Short(3));
    let pepper = |n| Pepper::new(n, &[9; 32]).unwrap();
    assert_eq!(Peppers::new(pepper(1), vec![pepper(2), pepper(1)]).unwrap_err(), PepperError::Doubled(1));
    assert_eq!(Peppers::new(pepper(1), vec![pepper(2), pepper(2)]).unwrap_err(), PepperError::Doubled(2));
}

/// RULES 4.3: retired peppers still verify, an unknown one is an error and not a `no`.
#[test]
fn digests_verify_under_the_pepper_they_name() {
    let pepper = |n: u32, b: u8| Pepper::new(n, &[b; 32]).unwrap();
    let old = Peppers::new(pepper(1, 1), Vec::new()).unwrap();
    let new = Peppers::new(pepper(2, 2), vec![pepper(1, 1)]).unwrap();
    let parts = TokenParts { kind: "api_key", prefix: "cs_live", id: "abc", secret: b"s3cret" };
    let stored = old.digest(&parts);
    assert_eq!((old.current(), new.current()), (1, 2));
    assert_eq!(old.verify(1, &stored, &parts), Ok(true));
    assert_eq!(new.verify(1, &stored, &parts), Ok(true));
    assert_eq!(new.verify(2, &stored, &parts), Ok(false));
    assert_eq!(old.verify(2, &stored, &parts), Err(UnknownPepper(2)));
    assert!(new.has(1) && !new.has(3));
    assert_eq!(new.numbers().collect::<Vec<_>>(), [2, 1]);
    assert!(!new.verify_dummy(&parts));
}

/// RULES 4.3: length-prefixed, so that no part can lend a byte to its neighbour.
#[test]
fn digests_keep_parts_apart() {
    let peppers = Peppers::new(Pepper::new(1, &[1; 32]).unwrap(), Vec::new()).unwrap();
    let of =
        |kind, prefix, id, secret: &'static [u8]| peppers.digest(&TokenParts { kind, prefix, id, secret });
    let base = of("api_key", "cs_live", "ab", b"cd");
    for other in [
        of("api_ke", "ycs_live", "ab", b"cd"),
        of("api_key", "cs_test", "ab", b"cd"),
        of("api_key", "cs_live", "abc", b"d"),
        of("api_key", "cs_live", "a", b"bcd"),
        of("app_password", "cs_live", "ab", b"cd"),
    ] {
        assert_ne!(base, other);
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = format().parse(&bytes);
        let _ = format().parse(&[b"cs_live_".as_slice(), &bytes].concat());
    }
}
