//! Which passwords may be chosen (NIST SP 800-63B-4 3.1.1.2).

use crate::password::{
    breached::{Breached, CommonPasswords},
    normal::{Password, UserName},
    policy::{About, PasswordPolicy, Weak},
};
use proptest::prelude::*;

fn judge(password: &str, with_second_factor: bool) -> Result<(), Weak> {
    let name = UserName::parse("alice.smith@example.com").unwrap();
    let policy = PasswordPolicy { refused: vec!["Acme Rockets".into()], ..PasswordPolicy::default() };
    let about = About {
        user_name: Some(&name),
        display_name: Some("Alice B. Smith-Jones"),
        services: &["Countersign", "portal.example.org"],
        with_second_factor,
    };
    policy.judge(&Password::parse(password).unwrap(), &about, &CommonPasswords)
}

#[test]
fn good_ones_are_taken() {
    for password in [
        "zwei hühner legen drei eier",
        "verdant kettle orbits mildly",
        "tulpen blühen nachts",
        "thiswasmyfirstcat1987",
        "4Kq!vT0pz#Lm9wXe",
        "alice went fishing with bob",
        "acme sells some rockets",
        "my password manager made",
        "a secret about penguins",
        "0483 7261 9940 5518",
        "🦀 walks sideways home",
        "我的密码是一个很长的句子没有人知道",
    ] {
        assert_eq!(judge(password, false), Ok(()), "{password}");
    }
    for password in ["Kq!vT0pz", "rainy fox", "x9-tulip", "5tulips!"] {
        assert_eq!(judge(password, true), Ok(()), "{password}");
    }
}

#[test]
fn weak_ones_are_told_why() {
    use Weak::{
        Breached, DisplayName, OneCharacter, RefusedWord, Repeated, Sequence, ServiceName, TooShort, UserName,
    };
    for (password, weak) in [
        ("x", TooShort { length: 1, least: 15 }),
        ("short and swee", TooShort { length: 14, least: 15 }),
        ("🦀🦀🦀🦀", TooShort { length: 4, least: 15 }),
        ("aaaaaaaaaaaaaaa", OneCharacter),
        ("AaAaAaAaAaAaAaA", OneCharacter),
        ("               ", OneCharacter),
        ("abcabcabcabcabc", Repeated),
        ("tulpetulpetulpe", Repeated),
        ("Tulpe1tulpe1Tulpe1", Repeated),
        ("12341234123412341", Repeated),
        ("passwordpassword", Repeated),
        ("abcdefghijklmno", Sequence),
        ("ABCDEFGHIJKLMNO", Sequence),
        ("zyxwvutsrqponml", Sequence),
        ("123456789012345", Sequence),
        ("098765432109876", Sequence),
        ("567890123456789", Sequence),
        ("123456789987654321", Sequence),
        ("qwertyuiopasdfgh", Sequence),
        ("qwertyuiop12345", Sequence),
        ("poiuytrewqlkjhg", Sequence),
        ("QWERTZuiopü1234", Sequence),
        ("azertyuiopqsdfgh", Sequence),
        ("йцукенгшщзфывап", Sequence),
        ("1qaz2wsx3edc4rfv", Sequence),
        ("!QAZ@WSX#EDC$RFV", Sequence),
        ("1q2w3e4r5t6y7u8i", Sequence),
        ("q1w2e3r4t5y6u7i8", Sequence),
        ("aabbccddeeffgghh", Sequence),
        ("1a2b3c4d5e6f7g8h", Sequence),
        ("aaaaabbbbbccccc", Sequence),
        ("111222333444555", Sequence),
        ("12345678901234!", Sequence),
        ("x12345678901234", Sequence),
        ("abcdefg12345678", Sequence),
        ("alice.smith@example.com", UserName),
        ("ALICE.SMITH@EXAMPLE.COM", UserName),
        ("alicesmith12345678", UserName),
        ("smith.alice.2024", UserName),
        ("xxxx4l1ce_5m1th!!", UserName),
        ("!!!Alice!Alice!", UserName),
        ("a-l-i-c-e-1990-05", UserName),
        ("aliceeeeeeeeeeee", UserName),
        ("smith 19.05.1990", UserName),
        ("alice19900519alice", UserName),
        ("Jones Jones 1990", DisplayName),
        ("jones1987654321!", DisplayName),
        ("portal2024202420", ServiceName),
        ("Countersign2026!", ServiceName),
        ("countersign-countersign", ServiceName),
        ("ACME-Rockets-2026", RefusedWord),
        ("rockets rockets 1", RefusedWord),
        ("MyPassword12345!", RefusedWord),
        ("P@ssw0rd!P@ssw0rd1", RefusedWord),
        ("welcome admin 1!", RefusedWord),
        ("Passwort20202021", RefusedWord),
        ("$ecret$ecret123", RefusedWord),
        ("correct horse battery staple", Breached),
        ("MayTheForceBeWithYou", Breached),
        ("thisismypassword", Breached),
        ("michaeljackson michaeljackson ", Breached),
    ] {
        assert_eq!(judge(password, false), Err(weak), "{password}");
    }
    for (password, weak) in [
        ("seven 7", TooShort { length: 7, least: 8 }),
        ("iloveyou", RefusedWord),
        ("sunshine", Breached),
        ("FOOTBALL", Breached),
        ("alice123", UserName),
        ("12345678", Sequence),
        ("qwertyui", Sequence),
        ("asdf1234", Sequence),
        ("abcd1234", Sequence),
        ("abababab", Repeated),
    ] {
        assert_eq!(judge(password, true), Err(weak), "{password}");
    }
}

#[test]
fn the_policy_has_its_own_bounds() {
    let policy = PasswordPolicy {
        least_alone: 20,
        least_with_second_factor: 10,
        most: 30,
        ..PasswordPolicy::default()
    };
    let ask = |text: &str, with_second_factor| {
        let about = About { with_second_factor, ..About::default() };
        policy.judge(&Password::parse(text).unwrap(), &about, &CommonPasswords)
    };
    assert_eq!(ask("zwei hühner legen", false), Err(Weak::TooShort { length: 17, least: 20 }));
    assert_eq!(ask("zwei hühner legen", true), Ok(()));
    assert_eq!(ask("zwei hühner legen drei bis vier eier", true), Err(Weak::TooLong { most: 30 }));
}

/// A short name is a part of many words: alone it refuses only itself.
#[test]
fn short_names_refuse_little() {
    let (name, li) = (UserName::parse("li").unwrap(), Some("李 Li"));
    let about =
        About { user_name: Some(&name), display_name: li, services: &["x"], with_second_factor: false };
    let ask = |text: &str| {
        PasswordPolicy::default().judge(&Password::parse(text).unwrap(), &about, &CommonPasswords)
    };
    assert_eq!(ask("lilac and limes in line"), Ok(()));
    assert_eq!(ask("li 1234 5678 9012"), Err(Weak::UserName));
}

#[test]
fn messages_say_what_to_do() {
    for weak in [
        Weak::TooShort { length: 3, least: 15 },
        Weak::TooLong { most: 256 },
        Weak::OneCharacter,
        Weak::Repeated,
        Weak::Sequence,
        Weak::UserName,
        Weak::DisplayName,
        Weak::ServiceName,
        Weak::RefusedWord,
        Weak::Breached,
    ] {
        let said = weak.to_string();
        assert!(said.contains(": ") && !said.ends_with('.'), "{said}");
        assert_eq!(said, said.to_lowercase());
    }
}

#[derive(Debug)]
struct Nothing;

impl Breached for Nothing {
    fn contains(&self, _: &str) -> bool {
        false
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random letters are never mistaken for a pattern.
    #[test]
    fn what_is_random_is_taken(text in "[a-z0-9]{20}") {
        let password = Password::parse(&text).unwrap();
        prop_assert_eq!(PasswordPolicy::default().judge(&password, &About::default(), &Nothing), Ok(()));
    }

    /// The longest of everything is answered in good time.
    #[test]
    fn anything_is_answered(text in "\\PC{0,256}", name in "\\PC{0,40}") {
        if let Ok(password) = Password::parse(&text) {
            let about = About { display_name: Some(&name), services: &[&name], ..About::default() };
            let _ = PasswordPolicy::default().judge(&password, &about, &CommonPasswords);
        }
    }

    /// Whatever digits and signs stand around a name, it is still the name.
    #[test]
    fn a_name_with_trifles_is_the_name(before in "[0-9!.?_-]{0,12}", after in "[0-9!.?_-]{12}") {
        let found = judge(&format!("{before}Alice{after}"), false);
        prop_assert!(found.is_err(), "{found:?}");
    }
}
