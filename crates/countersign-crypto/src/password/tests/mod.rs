//! One file per file of the folder that has something to get wrong; vectors were made by other programs.

mod vectors;

use super::{
    Argon2Parameters, HashError, ImportError, LONGEST_HASH, LONGEST_PASSWORD, ParametersError, PasswordHash,
    UnknownHash, dummy, hash, imported, verify,
};
use crate::{SystemEntropy, hash::sha1_for_breached_password_lists, tests::Counting};
use proptest::prelude::*;
use vectors::VECTORS;

/// The cheapest there are.
fn cheap() -> Argon2Parameters {
    Argon2Parameters::new(8192, 1, 1).unwrap()
}

fn import(text: &str) -> Result<PasswordHash, ImportError> {
    imported(text, &cheap(), &SystemEntropy)
}

fn refused(text: &str) -> ImportError {
    import(text).unwrap_err()
}

fn made(password: &str) -> PasswordHash {
    hash(password.as_bytes(), &cheap(), &SystemEntropy).unwrap()
}

// ------------------------------------------------------------------------------------------------ our own

#[test]
fn parameters_have_bounds() {
    let now = Argon2Parameters::default();
    assert_eq!((now.memory_kib(), now.passes(), now.lanes()), (19_456, 2, 1));
    assert_eq!(Argon2Parameters::new(19_456, 2, 1), Ok(now));
    use ParametersError::{Lanes, Memory, Passes};
    for (memory, passes, lanes, expected) in [
        (8192, 1, 1, Ok(())),
        (1_048_576, 16, 8, Ok(())),
        (8191, 1, 1, Err(Memory)),
        (1_048_577, 1, 1, Err(Memory)),
        (u32::MAX, 1, 1, Err(Memory)),
        (8192, 0, 1, Err(Passes)),
        (8192, 17, 1, Err(Passes)),
        (8192, 1, 0, Err(Lanes)),
        (8192, 1, 9, Err(Lanes)),
    ] {
        let made = Argon2Parameters::new(memory, passes, lanes).map(|_| ());
        assert_eq!(made, expected, "{memory} {passes} {lanes}");
    }
}

/// Computed by argon2-cffi from the salt that the test's entropy gives.
#[test]
fn a_hash_is_the_one_that_others_compute() {
    let made =
        hash(b"correct horse battery staple", &Argon2Parameters::default(), &Counting::default()).unwrap();
    assert_eq!(
        made.as_str(),
        "$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$gYJZtjEAJqjg26xdLmknq8/bB7MiWPrE9hsYuA+SkIU"
    );
}

#[test]
fn what_is_made_is_read_back_and_verified() {
    for password in
        ["correct horse battery staple", "", "Grüße, 世界", "a\0b", "\0", &"x".repeat(LONGEST_PASSWORD)]
    {
        let made = made(password);
        let read = PasswordHash::parse(made.as_str()).unwrap();
        assert_eq!((read.scheme(), &read), ("argon2id", &made));
        assert!(verify(password.as_bytes(), &read), "{password:?}");
        for wrong in [format!("{password}x"), format!("{password}\0"), format!(" {password}")] {
            assert!(!verify(wrong.as_bytes(), &read), "{wrong:?}");
        }
    }
    let made = made("a\0b");
    assert!(!verify(b"a", &made) && !verify(b"a\0c", &made));
    assert_ne!(self::made("a"), self::made("a"), "two salts");
}

#[test]
fn a_hash_is_current_with_its_own_parameters_alone() {
    let made = made("a");
    assert!(made.is_current(&cheap()));
    for other in [(8193, 1, 1), (8192, 2, 1), (8192, 1, 2)] {
        assert!(!made.is_current(&Argon2Parameters::new(other.0, other.1, other.2).unwrap()), "{other:?}");
    }
    // shorter salt, shorter tag, and the other variant
    for text in [
        "$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8",
        "$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw",
        "$argon2i$v=19$m=8192,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8",
    ] {
        assert!(!PasswordHash::parse(text).unwrap().is_current(&cheap()), "{text}");
    }
}

#[test]
fn nobody_has_the_password_of_the_dummy() {
    let nobody = dummy(&cheap());
    assert!(!verify(b"", &nobody) && !verify(b"password", &nobody));
    assert!(nobody.is_current(&cheap()), "the same work as a current one");
    assert_eq!(PasswordHash::parse(nobody.as_str()).unwrap(), nobody);
}

#[test]
fn a_password_has_an_end() {
    let long = "x".repeat(LONGEST_PASSWORD + 1);
    assert_eq!(hash(long.as_bytes(), &cheap(), &SystemEntropy), Err(HashError::TooLong));
    assert!(!verify(long.as_bytes(), &made(long.strip_prefix('x').unwrap())));
}

#[test]
fn debug_shows_the_scheme_alone() {
    assert_eq!(format!("{:?}", made("a")), "PasswordHash(argon2id)");
    for vector in VECTORS {
        assert_eq!(format!("{:?}", import(vector.hash).unwrap()), format!("PasswordHash({})", vector.scheme));
    }
}

#[test]
fn memory_is_wiped_and_kept_by_its_thread() {
    use super::memory::{keep_on_this_thread, lend};
    let fill = |blocks: usize| {
        lend(blocks, |lent| {
            assert_eq!(lent.len(), blocks);
            assert!(
                lent.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)),
                "of whoever was before"
            );
            lent.iter_mut().for_each(|block| block.as_mut().fill(7));
            lent.as_ptr() as usize
        })
        .unwrap()
    };
    std::thread::spawn(move || {
        keep_on_this_thread();
        let first = fill(9000);
        for blocks in [9000, 10, 8999] {
            assert_eq!(fill(blocks), first, "{blocks}");
        }
        fill(9001);
        assert!(
            std::panic::catch_unwind(|| lend(20, |lent| {
                lent[0].as_mut().fill(7);
                panic!("on purpose")
            }))
            .is_err()
        );
        fill(9001);
        // more than is kept, and more than there is
        fill(70_000);
        fill(10);
        assert!(lend(usize::MAX / 2048, |_| ()).is_none());
        fill(10);
    })
    .join()
    .unwrap();
}

// ------------------------------------------------------------------------------------------------ of others

#[test]
fn what_others_made_is_verified() {
    for vector in VECTORS {
        let taken = import(vector.hash).unwrap_or_else(|error| panic!("{}: {error}", vector.hash));
        assert_eq!(taken.scheme(), vector.scheme, "{}", vector.hash);
        assert!(verify(vector.password.as_bytes(), &taken), "{}", vector.hash);
        for wrong in [format!("{}x", vector.password), format!("x{}", vector.password), "Wrong".to_owned()] {
            assert!(!verify(wrong.as_bytes(), &taken), "{}", vector.hash);
        }
        if !vector.password.is_empty() {
            assert!(!verify(&vector.password.as_bytes()[1..], &taken), "{}", vector.hash);
            assert!(!verify(b"", &taken), "{}", vector.hash);
        }
        assert!(!taken.is_current(&cheap()), "{}", vector.hash);
        // as it will stand in the store
        let stored = PasswordHash::parse(taken.as_str()).unwrap();
        assert_eq!((stored.scheme(), &stored), (vector.scheme, &taken));
        assert!(verify(vector.password.as_bytes(), &stored), "{}", vector.hash);
    }
}

/// RULES 5.2
#[test]
fn of_a_weak_hash_nothing_is_left() {
    let sha1 = import("{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=").unwrap();
    let apr1 = import("$apr1$SyyyVOL4$lMG1r8cX1cqE61QNWZENR/").unwrap();
    assert!(sha1.as_str().starts_with("$argon2id-sha1$v=19$m=8192,t=1,p=1$"), "{}", sha1.as_str());
    assert!(apr1.as_str().starts_with("$argon2id-apr1$v=19$m=8192,t=1,p=1,s=SyyyVOL4$"), "{}", apr1.as_str());
    for digest in ["q/eq1kOINtvlJqojGr3i0O73TUI", "lMG1r8cX1cqE61QNWZENR/"] {
        assert!(!sha1.as_str().contains(digest) && !apr1.as_str().contains(digest));
    }
    // Who stole the digest cannot log in with it.
    let digest = sha1_for_breached_password_lists(b"correct horse battery staple");
    assert!(!verify(&digest, &sha1));
    assert_ne!(import("{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=").unwrap(), sha1, "two salts");
    // and they are never read from a store unwrapped
    for weak in ["{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=", "$apr1$SyyyVOL4$lMG1r8cX1cqE61QNWZENR/"] {
        assert_eq!(PasswordHash::parse(weak), Err(UnknownHash), "{weak}");
    }
    // from another Countersign
    assert_eq!(import(apr1.as_str()).unwrap(), apr1);
}

#[test]
fn bcrypt_sees_72_bytes_and_no_nul() {
    let of_72 = VECTORS.iter().find(|vector| vector.password.len() == 72).unwrap();
    let taken = import(of_72.hash).unwrap();
    assert!(verify(&[b'a'; 72], &taken));
    assert!(!verify(&[b'a'; 73], &taken), "the 73rd would be ignored");
    assert!(!verify(&[b'a'; 71], &taken));
    let empty = import("$2b$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.").unwrap();
    assert!(verify(b"", &empty));
    // bcrypt repeats the key with its NUL, so that these are the same to it
    for nul in [&b"\0"[..], b"\0\0", b"\0x"] {
        assert!(!verify(nul, &empty), "{nul:?}");
    }
}

#[test]
fn sha_crypt_sees_512_bytes() {
    // passlib, of 512 times `x`
    let taken = import(
        "$6$abcdefgh$P9Q0WZp/vpbXbhJ.taKonaM29rMNxNBxHDMZkO1K5coW9gZMdaj1WtNdzRoeAFvxPMvcuZZ7RcUZtxwVgWnnq/",
    )
    .unwrap();
    assert!(verify(&[b'x'; 512], &taken));
    assert!(!verify(&[b'x'; 513], &taken) && !verify(&[b'x'; 511], &taken));
}

#[test]
fn bits_that_mean_nothing_to_bcrypt_are_borne() {
    // the last digit of the salt, here `/` for `.`, has four of them
    let hash = "$2b$05$QnlMhzqs7R1DGZA2xzniG/v/zsCcj0VFatWOrvSUFC9SorVgqrEl.";
    assert!(verify(b"", &import(hash).unwrap()));
}

#[test]
fn absurd_costs_are_refused() {
    const SALT: &str = "AAECAwQFBgcICQoLDA0ODw";
    const TAG: &str = "AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8";
    let bcrypt = |cost: &str| format!("$2b${cost}$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.");
    let argon2 = |costs: &str| format!("$argon2id$v=19${costs}${SALT}${TAG}");
    let scrypt = |costs: &str| format!("$scrypt${costs}${SALT}${TAG}");
    let pbkdf2 = |rounds: &str| format!("$pbkdf2-sha256${rounds}${SALT}${TAG}");
    let sha =
        |rounds: &str| format!("$5$rounds={rounds}$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0");
    let huge = "99999999999999999999999999";
    for (text, expected) in [
        (bcrypt("04"), None),
        (bcrypt("15"), None),
        (bcrypt("03"), Some(("cost", false))),
        (bcrypt("16"), Some(("cost", true))),
        (bcrypt("31"), Some(("cost", true))),
        (bcrypt("99"), Some(("cost", true))),
        (argon2("m=1024,t=1,p=1"), None),
        (argon2("m=262144,t=8,p=16"), None),
        (argon2("m=1023,t=1,p=1"), Some(("memory in KiB", false))),
        (argon2("m=262145,t=1,p=1"), Some(("memory in KiB", true))),
        (argon2("m=4294967295,t=1,p=1"), Some(("memory in KiB", true))),
        (argon2("m=4294967296,t=1,p=1"), Some(("memory in KiB", true))),
        (argon2(&format!("m={huge},t=1,p=1")), Some(("memory in KiB", true))),
        (argon2("m=262144,t=9,p=1"), Some(("memory in KiB times passes", true))),
        (argon2("m=8192,t=0,p=1"), Some(("number of passes", false))),
        (argon2("m=8192,t=17,p=1"), Some(("number of passes", true))),
        (argon2("m=8192,t=1,p=0"), Some(("number of lanes", false))),
        (argon2("m=8192,t=1,p=17"), Some(("number of lanes", true))),
        (scrypt("ln=10,r=1,p=1"), None),
        (scrypt("ln=17,r=8,p=4"), None),
        (scrypt("ln=18,r=8,p=1"), None),
        (scrypt("ln=9,r=8,p=1"), Some(("cost `ln`", false))),
        (scrypt("ln=21,r=8,p=1"), Some(("cost `ln`", true))),
        (scrypt("ln=63,r=8,p=1"), Some(("cost `ln`", true))),
        (scrypt("ln=14,r=33,p=1"), Some(("block size `r`", true))),
        (scrypt("ln=14,r=0,p=1"), Some(("block size `r`", false))),
        (scrypt("ln=14,r=8,p=17"), Some(("parallelism `p`", true))),
        (scrypt("ln=20,r=32,p=1"), Some(("memory in KiB", true))),
        (scrypt("ln=17,r=8,p=5"), Some(("work, N times `r` times `p`,", true))),
        (pbkdf2("1000"), None),
        (pbkdf2("2000000"), None),
        (pbkdf2("i=2000000"), None),
        (pbkdf2("999"), Some(("number of rounds", false))),
        (pbkdf2("0"), Some(("number of rounds", false))),
        (pbkdf2("2000001"), Some(("number of rounds", true))),
        (pbkdf2("i=2000001,l=32"), Some(("number of rounds", true))),
        (pbkdf2(huge), Some(("number of rounds", true))),
        (sha("1000"), None),
        (sha("1000000"), None),
        (sha("999"), Some(("number of rounds", false))),
        (sha("1000001"), Some(("number of rounds", true))),
        (sha("999999999"), Some(("number of rounds", true))),
        (sha(huge), Some(("number of rounds", true))),
    ] {
        let found = match import(&text) {
            Ok(_) => None,
            Err(ImportError::TooCheap { what, .. }) => Some((what, false)),
            Err(ImportError::TooCostly { what, .. }) => Some((what, true)),
            Err(other) => panic!("{text}: {other}"),
        };
        assert_eq!(found, expected, "{text}");
    }
    // Somebody's own choice is taken, and is read from their store.
    let own = Argon2Parameters::new(1_048_576, 16, 8).unwrap();
    let text = argon2("m=1048576,t=16,p=8");
    assert!(imported(&text, &own, &SystemEntropy).is_ok_and(|hash| hash.is_current(&own)));
    assert!(PasswordHash::parse(&text).is_ok() && import(&text).is_err());
    assert!(PasswordHash::parse(&argon2("m=1048577,t=1,p=1")).is_err());
}

#[test]
fn every_refusal_says_why() {
    let malformed = |scheme| ImportError::Malformed { scheme };
    for (text, expected) in [
        ("", ImportError::Empty),
        ("hunter2", ImportError::PlainText),
        ("correct horse battery staple", ImportError::PlainText),
        ("I.JDZkjkC9Dts", ImportError::DesCrypt),
        ("$1$abcdefgh$4/U5.w6NPtLkJ2WyrTwm91", ImportError::Md5Crypt),
        ("$1$", ImportError::Md5Crypt),
        ("_J9..rasmBYk8r9AiWNc", ImportError::UnknownScheme),
        ("{SSHA}q/eq1kOINtvlJqojGr3i0O73TUI=", ImportError::UnknownScheme),
        ("{CLEARTEXT}hunter2", ImportError::UnknownScheme),
        (
            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
            ImportError::UnknownScheme,
        ),
        ("$", ImportError::UnknownScheme),
        ("$$", ImportError::UnknownScheme),
        ("$argon2$", ImportError::UnknownScheme),
        ("$ARGON2ID$v=19$", ImportError::UnknownScheme),
        ("$2$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.", ImportError::BcryptVariant),
        ("$2x$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.", ImportError::BcryptVariant),
        ("$2b$05$", malformed("bcrypt")),
        ("$2b$5$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.", malformed("bcrypt")),
        ("$2b$+5$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl.", malformed("bcrypt")),
        ("$2b$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl", malformed("bcrypt")),
        ("$2b$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl..", malformed("bcrypt")),
        ("$2b$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl+", malformed("bcrypt")),
        // RUSTSEC-2026-0199
        ("$2b$05$QnlMhzqs7R1DGZA2xzniév/zsCcj0VFatWOrvSUFC9SorVgqrEl.", ImportError::NotAscii),
        ("$2b$0é$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrE.", ImportError::NotAscii),
        ("$argon2d$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", ImportError::Argon2d),
        ("$argon2id$v=16$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", ImportError::Argon2Version),
        ("$argon2i$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", ImportError::Argon2Version),
        ("$argon2id$v=19$t=1,m=8192,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", malformed("argon2id")),
        ("$argon2id$v=19$m=08192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", malformed("argon2id")),
        ("$argon2id$v=19$m=8192,t=1,p=1,data=AA$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", malformed("argon2id")),
        ("$argon2id$v=19$m=8192,t=1,p=1,s=abc$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw", malformed("argon2id")),
        ("$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw$", malformed("argon2id")),
        ("$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgc=$AAECAwQFBgcICQoLDA0ODw", malformed("argon2id")),
        ("$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODx", malformed("argon2id")),
        (
            "$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBg$AAECAwQFBgcICQoLDA0ODw",
            ImportError::SaltLength { scheme: "argon2id" },
        ),
        (
            "$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0O",
            ImportError::TagLength { scheme: "argon2id" },
        ),
        (
            "$argon2id-apr1$v=19$m=8192,t=1,p=1$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw",
            malformed("argon2id(apr1)"),
        ),
        (
            "$argon2id-apr1$v=19$m=8192,t=1,p=1,s=123456789$AAECAwQFBgc$AAECAwQFBgcICQoLDA0ODw",
            malformed("argon2id(apr1)"),
        ),
        (
            "$pbkdf2-sha256$i=1500,l=33$AAECAwQFBgcICQoLDA0ODw$U+PauGw0DZrfVLPQxlAbs/IcTDeWkBnkqq57P68MLPs",
            malformed("pbkdf2-sha256"),
        ),
        (
            "$pbkdf2-sha256$1000$$elSMfVPZEPagxqob4eKxv37is8BeRYihHflMFlRurJ8",
            ImportError::SaltLength { scheme: "pbkdf2-sha256" },
        ),
        ("$5$rounds=1000", malformed("sha256-crypt")),
        ("$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE", malformed("sha256-crypt")),
        ("$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbEz", malformed("sha256-crypt")),
        ("$5$$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0", malformed("sha256-crypt")),
        ("$5$12345678901234567$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0", malformed("sha256-crypt")),
        ("$6$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0", malformed("sha512-crypt")),
        ("$apr1$SyyyVOL4$lMG1r8cX1cqE61QNWZENR", malformed("apr1")),
        ("$apr1$SyyyVOL4x$lMG1r8cX1cqE61QNWZENR/", malformed("apr1")),
        ("$apr1$SyyyVOL4", malformed("apr1")),
        ("{SHA}", malformed("{SHA}")),
        ("{SHA}q/eq1kOINtvlJqojGr3i0O73TUI", malformed("{SHA}")),
        ("{SHA}q/eq1kOINtvlJqojGr3i0O73", malformed("{SHA}")),
    ] {
        assert_eq!(import(text).map(|hash| hash.scheme()), Err(expected), "{text}");
        assert_eq!(PasswordHash::parse(text), Err(UnknownHash), "{text}");
    }
}

#[test]
fn no_message_repeats_what_was_refused() {
    for text in
        ["hunter2", "hunter2hunter", "$hunter2$hunter2", "{hunter2}hunter2", "$2b$hunter2", "$5$hunter2"]
    {
        let error = refused(text);
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
        assert!(error.to_string().is_ascii() && !error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn a_text_has_an_end() {
    assert_eq!(refused(&"x".repeat(LONGEST_HASH + 1)), ImportError::TooLong);
    assert_eq!(refused(&format!("$argon2id$v=19${}", "1".repeat(1 << 20))), ImportError::TooLong);
    assert_eq!(refused(&"x".repeat(LONGEST_HASH)), ImportError::PlainText);
    assert_eq!(PasswordHash::parse(&format!("$argon2id$v=19${}", "1".repeat(1 << 20))), Err(UnknownHash));
}

#[test]
fn every_truncation_and_addition_is_refused() {
    for vector in VECTORS {
        for end in 0..vector.hash.len() {
            let cut = vector.hash.get(..end).unwrap();
            // A tag of these may be shorter, down to 16 bytes; all others have one length.
            if let Ok(hash) = PasswordHash::parse(cut) {
                assert!(["argon2", "scrypt", "pbkdf2"].iter().any(|s| hash.scheme().starts_with(s)), "{cut}");
            }
        }
        for extra in [" ", "\n", "\r\n", "\0", ":", "=", "$"] {
            assert!(import(&format!("{}{extra}", vector.hash)).is_err(), "{}{extra:?}", vector.hash);
            assert!(import(&format!("{extra}{}", vector.hash)).is_err(), "{extra:?}{}", vector.hash);
        }
    }
}

#[test]
fn sha1_is_the_standards() {
    // FIPS 180-4, the example of one block
    let hex: String = sha1_for_breached_password_lists(b"abc").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

fn no_panic(text: &str) {
    if let Ok(hash) = PasswordHash::parse(text) {
        assert_eq!(hash.as_str(), text);
        assert!(text.is_ascii() && text.len() <= LONGEST_HASH);
    }
    // what is wrapped costs a hash each
    if !text.starts_with("{SHA}") && !text.starts_with("$apr1$") {
        let _refused = import(text);
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), like in "[$,=.{}a-z0-9/+é]{0,120}") {
        no_panic(&text);
        no_panic(&like);
        no_panic(&format!("${like}"));
    }

    #[test]
    fn a_changed_hash_never_panics(which in 0..VECTORS.len(), at in 0usize..200, to in any::<char>(), cut in 0usize..200) {
        let mut chars: Vec<char> = VECTORS[which].hash.chars().collect();
        let at = at % chars.len();
        chars[at] = to;
        no_panic(&chars.iter().collect::<String>());
        chars.truncate(cut);
        no_panic(&chars.iter().collect::<String>());
    }
}
