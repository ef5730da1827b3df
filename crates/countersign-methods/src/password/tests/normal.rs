//! What is one password, and what is one name (RFC 8265).

use crate::password::normal::{Password, PasswordError, UserName, UserNameError};
use proptest::prelude::*;

#[test]
fn one_password_typed_in_several_ways() {
    for (typed, normal) in [
        ("correct horse battery staple", "correct horse battery staple"),
        // RFC 8265 4.3, examples 1 to 5
        ("Correct Horse Battery Staple", "Correct Horse Battery Staple"),
        ("\u{3c0}\u{df}\u{e5}", "\u{3c0}\u{df}\u{e5}"),
        ("Jack of \u{2666}s", "Jack of \u{2666}s"),
        ("foo\u{1680}bar", "foo bar"),
        // NFC, never NFKC: a ligature and a wide letter stay what they are
        ("e\u{301}", "\u{e9}"),
        ("\u{212b}", "\u{c5}"),
        ("\u{fb01}", "\u{fb01}"),
        ("\u{ff21}", "\u{ff21}"),
        ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
        ("a\u{3000}\u{a0}\u{2003}b", "a   b"),
        // nothing is trimmed, nothing folded
        (" Aa ", " Aa "),
        // younger than precis-core's Unicode 6.3
        ("\u{1f980} crab \u{1fae8}", "\u{1f980} crab \u{1fae8}"),
        // a joiner after a virama
        ("\u{915}\u{94d}\u{200d}\u{937}", "\u{915}\u{94d}\u{200d}\u{937}"),
        ("l\u{b7}l", "l\u{b7}l"),
        ("\u{661}\u{662}", "\u{661}\u{662}"),
    ] {
        let password = Password::parse(typed).unwrap();
        assert_eq!(password.expose(), normal, "{typed:?}");
        assert_eq!(password.code_points(), normal.chars().count());
    }
}

#[test]
fn what_is_no_password() {
    use PasswordError::{Control, Disallowed, Empty, TooLong, Unassigned};
    for (typed, error) in [
        ("", Empty),
        // RFC 8265 4.3, example 7
        ("my cat is a \u{9}by", Control),
        ("\0", Control),
        ("line\nbreak", Control),
        ("pass\u{85}word", Control),
        ("del\u{7f}", Control),
        ("\u{378}", Unassigned),
        ("\u{ffff}", Unassigned),
        ("soft\u{ad}hyphen", Disallowed),
        ("zero\u{200b}width", Disallowed),
        ("\u{feff}bom", Disallowed),
        ("turn\u{202e}ed", Disallowed),
        ("line\u{2028}", Disallowed),
        ("private\u{e000}", Disallowed),
        ("\u{1100}", Disallowed),
        ("joined a\u{200d}b", Disallowed),
        ("a\u{b7}b", Disallowed),
        ("\u{661}\u{6f1}", Disallowed),
        (&"a".repeat(257), TooLong),
        (&"a".repeat(5000), TooLong),
        (&"e\u{301}".repeat(257), TooLong),
    ] {
        assert_eq!(Password::parse(typed).unwrap_err(), error, "{typed:?}");
    }
}

#[test]
fn the_longest_passwords_are_whole() {
    for unit in ["a", "\u{e9}", "\u{1f980}", "e\u{301}"] {
        assert_eq!(Password::parse(&unit.repeat(256)).unwrap().code_points(), 256, "{unit}");
    }
}

#[test]
fn a_password_is_never_printed() {
    let password = Password::parse("a password that is secret").unwrap();
    assert_eq!(format!("{password:?}"), "Password(***)");
}

#[test]
fn one_name_spelt_in_several_ways() {
    for (typed, normal) in [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("ALICE@Example.COM", "alice@example.com"),
        ("\u{ff21}lice", "alice"),
        ("Ren\u{e9}", "ren\u{e9}"),
        ("Rene\u{301}", "ren\u{e9}"),
        ("\u{130}x", "i\u{307}x"),
        // RFC 8265 3.5
        ("juliet@example.com", "juliet@example.com"),
        ("fussball", "fussball"),
        ("fu\u{df}ball", "fu\u{df}ball"),
        ("\u{3c0}", "\u{3c0}"),
        ("\u{3a3}", "\u{3c3}"),
        ("\u{3c3}", "\u{3c3}"),
        ("\u{3c2}", "\u{3c2}"),
        // halfwidth katakana, the mark composed
        ("\u{ff76}\u{ff9e}", "\u{30ac}"),
        ("\u{5d0}\u{5d1}1", "\u{5d0}\u{5d1}1"),
    ] {
        assert_eq!(UserName::parse(typed).unwrap().as_str(), normal, "{typed:?}");
    }
}

#[test]
fn what_is_no_name() {
    use UserNameError::{Colon, Control, Direction, Disallowed, Empty, Space, TooLong};
    for (typed, error) in [
        ("", Empty),
        ("a:b", Colon),
        ("a\u{ff1a}b", Colon),
        ("foo bar", Space),
        (" alice", Space),
        ("a\u{3000}b", Space),
        ("a\u{a0}b", Space),
        ("a\0", Control),
        ("a\nb", Control),
        ("a\u{7f}", Control),
        ("a\u{200b}b", Disallowed('\u{200b}')),
        ("a\u{202e}b", Disallowed('\u{202e}')),
        // RFC 8265 3.5: a Roman numeral and a chess piece
        ("henry\u{2163}", Disallowed('\u{2163}')),
        ("\u{265a}", Disallowed('\u{265a}')),
        ("\u{378}", Disallowed('\u{378}')),
        ("\u{5d0}a", Direction),
        ("1\u{5d0}", Direction),
        (&"a".repeat(129), TooLong),
        (&"a".repeat(3000), TooLong),
    ] {
        assert_eq!(UserName::parse(typed).unwrap_err(), error, "{typed:?}");
    }
    assert_eq!(UserName::parse(&"\u{1e921}".repeat(128)).unwrap().as_str().chars().count(), 128);
    for error in [Colon, Disallowed('\u{202e}'), TooLong] {
        let said = error.to_string();
        assert!(!said.ends_with('.') && said.starts_with(char::is_lowercase), "{said}");
    }
    assert!(Disallowed('\u{202e}').to_string().ends_with("`U+202E`"));
}

proptest! {
    /// What was made normal once stays as it is: a hash that was made of it is found again.
    #[test]
    fn normal_is_normal(typed in "\\PC{1,40}") {
        if let Ok(password) = Password::parse(&typed) {
            let again = Password::parse(password.expose()).unwrap();
            prop_assert_eq!(again.expose(), password.expose());
        }
        if let Ok(name) = UserName::parse(&typed) {
            prop_assert_eq!(UserName::parse(name.as_str()).unwrap(), name);
        }
    }

    #[test]
    fn case_is_no_difference_between_names(typed in "[a-zA-Z0-9._@\u{e0}-\u{f6}\u{391}-\u{3a1}\u{410}-\u{44f}-]{1,40}") {
        let name = UserName::parse(&typed).unwrap();
        prop_assert_eq!(UserName::parse(&typed.to_uppercase().to_lowercase()).unwrap(), name);
    }

    /// Bytes of every kind are answered, never a panic.
    #[test]
    fn anything_is_answered(typed in any::<String>()) {
        let _ = Password::parse(&typed);
        let _ = UserName::parse(&typed);
    }
}
