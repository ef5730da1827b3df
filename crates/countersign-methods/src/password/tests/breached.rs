//! The lists of known passwords.

use crate::password::{
    breached::{
        AnyOf, Breached, BuildError, COMMON, CommonPasswords, CompactFilter, FilterBuilder, LineFault,
        LoadError,
    },
    normal::{Password, fold},
};
use proptest::prelude::*;
use std::sync::Arc;

/// No SHA-1 is linked here: twenty bytes that differ as those would.
fn digest(bytes: &[u8]) -> [u8; 20] {
    let mut state = 0x6a09_e667_f3bc_c908_u64;
    let mut out = [0; 20];
    for round in 0..3_u8 {
        for byte in bytes.iter().chain(&[round]) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state ^= state >> 29;
        }
        let word = state.to_be_bytes();
        let at = usize::from(round) * 8;
        out[at..(at + 8).min(20)].copy_from_slice(&word[..(20 - at).min(8)]);
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

fn filter(passwords: impl Iterator<Item = String>) -> CompactFilter {
    let mut builder = FilterBuilder::new(10_000_000);
    for (n, password) in passwords.enumerate() {
        let hash = hex(&digest(password.as_bytes()));
        let line = if n % 2 == 0 { format!("{hash}:{n}") } else { hash };
        builder.line(&line).unwrap();
    }
    builder.finish(digest).unwrap()
}

#[test]
fn the_list_is_as_it_is_searched() {
    let text = include_str!("../common.txt");
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert!(text.split("\n\n").next().unwrap().lines().all(|l| l.starts_with('#')));
    assert!((2_000..=10_000).contains(&COMMON.len()), "{} lines", COMMON.len());
    for pair in COMMON.windows(2) {
        assert!(pair[0] < pair[1], "{:?} before {:?}", pair[0], pair[1]);
    }
    for word in COMMON.iter() {
        assert!(word.chars().count() >= 8, "{word}");
        assert_eq!(*fold(word), **word);
        assert!(Password::parse(word).is_ok_and(|p| p.expose() == *word), "{word} is no password");
    }
    assert!(COMMON.iter().filter(|w| w.chars().count() >= 15).count() > 400);
}

#[test]
fn common_passwords_are_found_however_they_are_written() {
    for word in [
        "password",
        "PassWord",
        "iloveyou",
        "1qaz2wsx3edc4rfv",
        "correct horse battery staple",
        "Correct-Horse-Battery-Staple",
        "May The Force Be With You",
        "maytheforcebewithyou",
        "passwordpassword",
        "\u{ff50}assword",
    ] {
        assert!(CommonPasswords.contains(word), "{word}");
    }
    for word in ["", "passwor", "zwei hühner legen drei eier", "4Kq!vT0pz#Lm9wXe"] {
        assert!(!CommonPasswords.contains(word), "{word}");
    }
}

#[test]
fn a_filter_never_misses_and_seldom_errs() {
    const N: u32 = 100_000;
    let known = filter((0..N).map(|n| format!("known {n}")));
    assert_eq!(known.entries(), u64::from(N));
    assert!((0..N).all(|n| known.contains(&format!("known {n}"))));
    let wrong = (0..N).filter(|n| known.contains(&format!("unknown {n}"))).count();
    assert!(wrong <= 12, "{wrong} of {N} by mistake, expected 1.5");
    let bits = known.size() as f64 * 8.0 / f64::from(N);
    println!("{bits:.2} bits an entry at {N}, {wrong} by mistake");
    assert!(bits < 20.0, "{bits} bits an entry");
}

#[test]
fn filters_of_few_and_of_the_same() {
    for n in [0_usize, 1, 2, 3, 10, 100] {
        let known = filter((0..n).chain(0..n).map(|n| format!("known {n}")));
        assert_eq!(known.entries(), n as u64);
        assert!((0..n).all(|n| known.contains(&format!("known {n}"))));
        let again = CompactFilter::from_bytes(&known.to_bytes(), digest).unwrap();
        assert!((0..n).all(|n| again.contains(&format!("known {n}"))));
    }
    let none = filter(std::iter::empty());
    assert!((0..200_000).all(|n| !none.contains(&n.to_string())));
}

#[test]
fn a_line_that_is_none_is_named() {
    use LineFault::{Count, Digit, Length};
    const HASH: &str = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
    for good in [
        HASH,
        "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "5BAA61E4C9B93F3F",
        "5BAA61E4C9B93F3F06:1",
        &format!("{HASH}:9545824"),
        &format!("{HASH}:9545824\r\n"),
        &format!("{HASH}\n"),
    ] {
        FilterBuilder::new(1).line(good).unwrap();
    }
    for (bad, fault) in [
        ("", Length),
        ("\n", Length),
        ("5BAA61E4C9B93F3", Length),
        (&format!("{HASH}0"), Length),
        (&format!(" {HASH}"), Length),
        ("5BAA61E4C9B93F3G", Digit),
        ("+BAA61E4C9B93F3F", Digit),
        ("5BAA61E4C9B93F3\u{e9}", Digit),
        (&format!("{HASH}:"), Count),
        (&format!("{HASH}:many"), Count),
        (&format!("{HASH}:1:2"), Count),
        (&format!("{HASH}:-1"), Count),
        (&format!("{HASH}:{}", "9".repeat(20)), Count),
    ] {
        let mut builder = FilterBuilder::new(10);
        builder.line(HASH).unwrap();
        builder.line(HASH).unwrap();
        assert_eq!(builder.line(bad), Err(BuildError::Line { line: 3, fault }), "{bad:?}");
    }
    let mut builder = FilterBuilder::new(1);
    builder.line(HASH).unwrap();
    assert_eq!(builder.line(HASH), Err(BuildError::TooMany { line: 2, limit: 1 }));
    assert_eq!(
        BuildError::Line { line: 3, fault: Digit }.to_string(),
        "line 3: a digest has hex digits only"
    );
}

#[test]
fn a_file_that_is_none_is_refused() {
    let whole = filter((0..1000).map(|n| n.to_string())).to_bytes();
    let load = |bytes: &[u8]| CompactFilter::from_bytes(bytes, digest).map(|f| f.entries());
    assert_eq!(load(&whole), Ok(1000));
    assert_eq!(load(b""), Err(LoadError::NoFilter));
    assert_eq!(load(b"not a filter at all"), Err(LoadError::NoFilter));
    for cut in [5, 8, 20, 35, 36, 37, whole.len() - 1] {
        assert_eq!(load(&whole[..cut]), Err(LoadError::Length), "cut at {cut}");
    }
    assert_eq!(load(&[&whole[..], &[0, 0]].concat()), Err(LoadError::Length));
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(load(&with(4, 2)), Err(LoadError::Version(2)));
    assert_eq!(load(&with(6, 8)), Err(LoadError::Version(1)));
    assert_eq!(load(&with(9, 77)), Err(LoadError::Checksum));
    let last = whole.len() - 1;
    assert_eq!(load(&with(last, !whole[last])), Err(LoadError::Checksum));

    // whoever makes a checksum fit makes no filter that reaches out of its own bytes
    for (segment, segments, places) in [(3_u32, 9_u32, 15_usize), (4, 0, 8), (0, 0, 0), (0, 8, 8), (4, 6, 14)]
    {
        let mut bytes = whole[..16].to_vec();
        bytes.extend([0; 8]);
        bytes.extend(segment.to_le_bytes());
        bytes.extend(segments.to_le_bytes());
        let body = vec![0_u8; places * 2];
        let sum = crc32fast::hash(&[&bytes[..], &body].concat());
        bytes.extend(sum.to_le_bytes());
        bytes.extend(body);
        assert_eq!(load(&bytes), Err(LoadError::Shape), "{segment} {segments}");
    }
}

#[test]
fn on_any_list() {
    let both = AnyOf(vec![
        Arc::new(CommonPasswords),
        Arc::new(filter(std::iter::once("zwei hühner legen".to_owned()))),
    ]);
    assert!(
        both.contains("zwei hühner legen")
            && both.contains("password")
            && !both.contains("drei hühner legen")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(flips in prop::collection::vec((0_usize..300, any::<u8>()), 0..4), cut in 0_usize..300) {
        let mut bytes = filter((0..20).map(|n| n.to_string())).to_bytes();
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        if let Ok(filter) = CompactFilter::from_bytes(&bytes, digest) {
            filter.contains("anything");
        }
    }
}
