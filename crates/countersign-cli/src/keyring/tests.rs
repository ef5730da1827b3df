use super::*;
use countersign_crypto::SystemEntropy;
use std::os::unix::fs::PermissionsExt;

fn beside(path: &Path) -> KeyringPlace {
    KeyringPlace { path: path.to_path_buf(), given: false }
}

fn needs(named: &[u32], empty: bool) -> Needs {
    Needs { named: named.to_vec(), empty }
}

#[test]
fn rules_4_3_one_is_generated_only_for_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let refused = open(&beside(&path), &needs(&[1], false), &SystemEntropy).unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");
    let refused = open(&beside(&path), &needs(&[], false), &SystemEntropy).unwrap_err();
    assert!(refused.to_string().contains("not empty") && !path.exists(), "{refused}");
    let made = open(&beside(&path), &needs(&[], true), &SystemEntropy).unwrap().peppers;
    assert_eq!(made.current(), 1);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let parts =
        countersign_crypto::token::digest::TokenParts { kind: "k", prefix: "p", id: "i", secret: b"s" };
    let again = open(&beside(&path), &needs(&[1], false), &SystemEntropy).unwrap().peppers;
    assert_eq!(made.digest(&parts), again.digest(&parts), "the second start reads the first one's");
}

#[test]
fn rules_4_3_a_pepper_that_a_live_row_names_and_the_keyring_lacks_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    open(&beside(&path), &needs(&[], true), &SystemEntropy).unwrap();
    let refused = open(&beside(&path), &needs(&[1, 2, 7], false), &SystemEntropy).unwrap_err();
    assert!(refused.to_string().contains("lacks pepper 2, 7"), "{refused}");
}

#[test]
fn a_keyring_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    open(&beside(&path), &needs(&[], true), &SystemEntropy).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = open(&beside(&path), &needs(&[1], false), &SystemEntropy).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}

#[test]
fn what_is_no_keyring_is_refused_without_repeating_it() {
    let secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
    for (text, why) in [
        (format!("current = 1\n[[peppers]]\nnumber = 1\nsecret = {secret}\n"), "line 4"),
        (
            format!("current = 2\n[[peppers]]\nnumber = 1\nsecret = \"{secret}\"\n"),
            "pepper 2, the current one",
        ),
        (format!("current = 1\n[[peppers]]\nnumber = 1\nsecret = \"{secret}zz\"\n"), "not hexadecimal"),
        ("current = 1\n[[peppers]]\nnumber = 1\nsecret = \"5ec2e7\"\n".to_owned(), "shorter"),
        ("current = 1\npeppers = []\n".to_owned(), "not in it"),
        (String::new(), "cannot be read"),
        (
            format!("current = 1\n[[peppers]]\nnumber = 1\nsecret = \"{secret}\"\n")
                .repeat(2)
                .replacen("current = 1\n", "", 1)
                .replacen("current = 1\n", "", 1)
                + "\n",
            "cannot be read",
        ),
    ] {
        let refused = read_file(&text).and_then(|file| file.keyring()).unwrap_err();
        assert!(refused.contains(why) && !refused.contains("5ec2e7"), "{refused}");
    }
}

#[test]
fn a_pepper_stands_once() {
    let entry = "[[peppers]]\nnumber = 1\nsecret = \"5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2\"\n";
    let refused =
        read_file(&format!("current = 1\n{entry}{entry}")).and_then(|file| file.keyring()).unwrap_err();
    assert!(refused.contains("stands twice"), "{refused}");
}

#[test]
fn another_pepper_under_the_same_number_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        open(&beside(&folder.path().join(name)), &needs(&[], true), &SystemEntropy).unwrap().peppers
    };
    let (one, other) = (make("one"), make("other"));
    assert!(fits(&one, 1, &mark(&one)));
    assert!(!fits(&other, 1, &mark(&one)));
    assert!(!fits(&one, 2, &mark(&one)));
    for nonsense in ["", "zz", "00"] {
        assert!(!fits(&one, 1, nonsense));
    }
}

/// What somebody else keeps is read as they give it, and never made here.
#[test]
fn a_keyring_that_is_given_is_not_made_and_may_belong_to_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peppers");
    let given = KeyringPlace { path: path.clone(), given: true };
    let refused = open(&given, &needs(&[], true), &SystemEntropy).unwrap_err();
    assert!(refused.to_string().contains("is missing") && !path.exists(), "{refused}");
    open(&beside(&path), &needs(&[], true), &SystemEntropy).unwrap();
    for (mode, good) in
        [(0o400, true), (0o440, true), (0o640, true), (0o660, false), (0o444, false), (0o604, false)]
    {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(open(&given, &needs(&[1], false), &SystemEntropy).is_ok(), good, "{mode:o}");
    }
}

/// RULES 4.3: what was hashed under the old one is verified under it, what is new is hashed under the new one.
#[test]
fn rules_4_3_a_new_pepper_hashes_and_the_old_one_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let place = beside(&path);
    let before = open(&place, &needs(&[], true), &SystemEntropy).unwrap();
    let parts = TokenParts { kind: "k", prefix: "p", id: "i", secret: b"s" };
    let old = before.peppers.digest(&parts);
    assert_eq!(add(&place, Purpose::Pepper, true, &SystemEntropy).unwrap(), 2);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let after = open(&place, &needs(&[1], false), &SystemEntropy).unwrap();
    assert_eq!(after.peppers.current(), 2);
    assert_eq!(after.peppers.verify(1, &old, &parts), Ok(true));
    let new = after.peppers.digest(&parts);
    assert_ne!(new, old);
    assert_eq!(after.peppers.verify(2, &new, &parts), Ok(true));
    assert_eq!(after.peppers.verify(2, &old, &parts), Ok(false));
    // the key of the trail is what it was
    let public = |keyring: &Keyring| keyring.attest.as_ref().unwrap().public().to_vec();
    assert_eq!(public(&before), public(&after));
}

#[test]
fn a_pepper_can_be_added_first_and_made_current_later() {
    let folder = tempfile::tempdir().unwrap();
    let place = beside(&folder.path().join("keyring.toml"));
    assert_eq!(add(&place, Purpose::Pepper, true, &SystemEntropy).unwrap_err().exit, Exit::NotFound);
    open(&place, &needs(&[], true), &SystemEntropy).unwrap();
    assert_eq!(add(&place, Purpose::Pepper, false, &SystemEntropy).unwrap(), 2);
    let current = || open(&place, &needs(&[], false), &SystemEntropy).unwrap().peppers.current();
    assert_eq!(current(), 1);
    assert_eq!(make_current(&place, 3).unwrap_err().exit, Exit::NotFound);
    make_current(&place, 2).unwrap();
    assert_eq!(current(), 2);
    assert_eq!(add(&place, Purpose::Audit, true, &SystemEntropy).unwrap(), 2);
    let listed: Vec<_> = list(&place).unwrap().iter().map(|l| (l.purpose, l.number, l.current)).collect();
    let (pepper, audit) = (Purpose::Pepper, Purpose::Audit);
    let others = [Purpose::Fingerprint, Purpose::Seal, Purpose::Cookie].map(|purpose| (purpose, 1, true));
    assert_eq!(listed[..4], [(pepper, 1, false), (pepper, 2, true), (audit, 1, false), (audit, 2, true)]);
    assert_eq!(listed[4..], others);
    for (purpose, _, _) in others {
        assert_eq!(add(&place, purpose, true, &SystemEntropy).unwrap(), 2);
    }
    let listed: Vec<_> = list(&place).unwrap().iter().map(|l| (l.number, l.current)).collect();
    assert_eq!(listed[4..], [(1, false), (2, true)].repeat(3));
}

/// What nothing uses yet must be whole on the day when something does.
#[test]
fn a_secret_of_any_purpose_that_is_none_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let (good, short) = ("5e".repeat(32), "5e".repeat(31));
    for purpose in ["fingerprint", "seal", "cookie"] {
        let entry =
            |number, secret: &str| format!("[[{purpose}]]\nnumber = {number}\nsecret = \"{secret}\"\n");
        let bad = [entry(1, &short), entry(1, "x"), entry(1, &good) + &entry(1, &good)];
        for bad in bad {
            let text = format!("current = 1\n[[peppers]]\nnumber = 1\nsecret = \"{good}\"\n{bad}");
            private_file::write(&path, text.as_bytes()).unwrap();
            let refused = open(&beside(&path), &needs(&[1], false), &SystemEntropy).unwrap_err().to_string();
            assert!(refused.contains(purpose) && !refused.contains("5e5e"), "{refused}");
        }
    }
}

/// As the releases before wrote it.
#[test]
fn a_keyring_without_a_key_for_the_trail_is_whole_and_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let secret = "5e".repeat(32);
    private_file::write(
        &path,
        format!("current = 1\n[[peppers]]\nnumber = 1\nsecret = \"{secret}\"\n").as_bytes(),
    )
    .unwrap();
    let place = beside(&path);
    assert!(open(&place, &needs(&[1], false), &SystemEntropy).unwrap().attest.is_none());
    assert_eq!(add(&place, Purpose::Audit, true, &SystemEntropy).unwrap(), 1);
    let keyring = open(&place, &needs(&[1], false), &SystemEntropy).unwrap();
    assert_eq!(keyring.attest.unwrap().current(), 1);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(&secret), "the pepper is still the same");
    // what somebody else keeps is not written
    let given = KeyringPlace { path, given: true };
    assert!(
        add(&given, Purpose::Pepper, true, &SystemEntropy).unwrap_err().to_string().contains("somebody else")
    );
}
