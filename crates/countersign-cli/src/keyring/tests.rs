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
    let made = open(&beside(&path), &needs(&[], true), &SystemEntropy).unwrap();
    assert_eq!(made.current(), 1);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let parts =
        countersign_crypto::token::digest::TokenParts { kind: "k", prefix: "p", id: "i", secret: b"s" };
    let again = open(&beside(&path), &needs(&[1], false), &SystemEntropy).unwrap();
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
        let refused = parse(&text).unwrap_err();
        assert!(refused.contains(why) && !refused.contains("5ec2e7"), "{refused}");
    }
}

#[test]
fn a_pepper_stands_once() {
    let entry = "[[peppers]]\nnumber = 1\nsecret = \"5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2\"\n";
    let refused = parse(&format!("current = 1\n{entry}{entry}")).unwrap_err();
    assert!(refused.contains("stands twice"), "{refused}");
}

#[test]
fn another_pepper_under_the_same_number_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let make =
        |name: &str| open(&beside(&folder.path().join(name)), &needs(&[], true), &SystemEntropy).unwrap();
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
