use crate::token::mark::MarkKeys;

const TOKEN: &str = "cs_refresh_0aB3dE6gH9jKsecret";

fn keys(numbered: &[(u32, u8)]) -> MarkKeys {
    MarkKeys::new(numbered.iter().map(|(number, byte)| (*number, [*byte; 32])).collect()).unwrap()
}

#[test]
fn what_we_marked_is_ours() {
    let marks = keys(&[(1, 1)]);
    let marked = marks.marked("refresh", TOKEN);
    assert_eq!(marked.len(), TOKEN.len() + 1 + 22);
    assert_eq!(marks.token("refresh", marked.as_bytes()), Some(TOKEN.as_bytes()));
}

#[test]
fn what_we_did_not_mark_is_not() {
    let marks = keys(&[(1, 1)]);
    let marked = marks.marked("refresh", TOKEN);
    let (_, mark) = marked.split_once('.').unwrap();
    let rows = [
        ("nothing", String::new()),
        ("no mark", TOKEN.to_owned()),
        ("an empty mark", format!("{TOKEN}.")),
        ("a mark alone", mark.to_owned()),
        ("a mark of nothing", format!(".{mark}")),
        ("made up", format!("{TOKEN}.{}", "A".repeat(22))),
        ("of another token", format!("x{marked}")),
        ("twice", format!("{marked}.{mark}")),
        ("another full stop", format!("{TOKEN}..{mark}")),
        ("another separator", format!("{TOKEN}:{mark}")),
        ("padded", format!("{marked}==")),
        ("a line feed behind", format!("{marked}\n")),
        ("the other case", format!("{TOKEN}.{}", mark.to_uppercase())),
    ];
    for (what, shown) in rows {
        assert_eq!(marks.token("refresh", shown.as_bytes()), None, "{what}");
    }
    for end in 0..marked.len() {
        assert_eq!(marks.token("refresh", &marked.as_bytes()[..end]), None, "{end}");
    }
    // also in the bits that base64url has to spare: a token has one form
    for at in 0..marked.len() {
        for other in b"AZaz09-_.\0\xff" {
            let mut bytes = marked.clone().into_bytes();
            if bytes[at] != *other {
                bytes[at] = *other;
                assert_eq!(marks.token("refresh", &bytes), None, "{at} {other}");
            }
        }
    }
}

#[test]
fn a_mark_is_for_one_kind() {
    let marks = keys(&[(1, 1)]);
    let marked = marks.marked("refresh", TOKEN);
    for other in ["session", "Refresh", "refres", ""] {
        assert_eq!(marks.token(other, marked.as_bytes()), None, "{other}");
    }
    // nor does a kind lend its last letter to the token
    assert_eq!(marks.token("refres", format!("h{marked}").as_bytes()), None);
}

#[test]
fn a_keyring_that_was_rotated_still_believes_what_it_marked() {
    let (old, both, new) = (keys(&[(1, 1)]), keys(&[(1, 1), (2, 2)]), keys(&[(2, 2)]));
    let before = old.marked("refresh", TOKEN);
    assert!(both.token("refresh", before.as_bytes()).is_some());
    assert!(new.token("refresh", before.as_bytes()).is_none());
    let after = both.marked("refresh", TOKEN);
    assert_eq!(after, new.marked("refresh", TOKEN), "the highest number marks");
    assert!(old.token("refresh", after.as_bytes()).is_none());
    assert!(MarkKeys::new(Vec::new()).is_none());
    assert_eq!(format!("{both:?}"), "MarkKeys(2, ..)");
}
