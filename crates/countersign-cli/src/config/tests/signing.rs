use super::{SMALL, problems, read};
use countersign_crypto::jose::Algorithm;
use countersign_methods::signing::{
    issue::SigningConfig,
    record::{JWKS_MAX_AGE, KeyPurpose, KeyTimes},
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn with(lines: &str) -> String {
    format!("{SMALL}\n[signing]\n{lines}\n")
}

#[test]
fn what_is_left_out_is_as_usual() {
    for text in [SMALL.to_owned(), with("")] {
        let settings = read(&text).unwrap();
        assert_eq!(settings.signing, SigningConfig::default());
        assert_eq!(settings.jwt.algorithm, Algorithm::Es256);
    }
}

#[test]
fn each_purpose_has_its_algorithm_and_each_state_its_time() {
    let settings = read(&with(
        "session = \"PS256\"\nidentity = \"Ed25519\"\nrotate_every = \"2h\"\npublish_ahead = \"1h\"\n\
         retire_after = \"90d\"",
    ))
    .unwrap();
    let signing = settings.signing;
    assert_eq!(signing.algorithm(KeyPurpose::Session), Algorithm::Ps256);
    assert_eq!(signing.algorithm(KeyPurpose::Identity), Algorithm::Ed25519);
    assert_eq!(signing.times, KeyTimes { active: 2 * HOUR, published: HOUR, retired: 90 * 24 * HOUR });
    // what ours are judged by is what they are signed with
    assert_eq!(settings.jwt.algorithm, Algorithm::Ps256);
    assert!(signing.times.published > JWKS_MAX_AGE && signing.times.retired > signing.longest);
}

#[test]
fn what_is_no_algorithm_or_too_short_is_an_error() {
    let listed = "is not one of `ES256`, `PS256`, `RS256`, `Ed25519`";
    for (lines, expected) in [
        ("session = \"es256\"", format!("16 signing.session: `es256` {listed}; did you mean `ES256`?")),
        ("identity = \"HS256\"", format!("16 signing.identity: `HS256` {listed}; did you mean `RS256`?")),
        ("session = \"none\"", format!("16 signing.session: `none` {listed}")),
        ("session = \"EdDSA\"", format!("16 signing.session: `EdDSA` {listed}")),
        ("rotate_every = \"59m\"", "16 signing.rotate_every: is shorter than `1h`".into()),
        ("publish_ahead = \"15m\"", "16 signing.publish_ahead: is shorter than `1h`".into()),
        ("retire_after = \"20m\"", "16 signing.retire_after: is shorter than `1h`".into()),
        ("retire_after = \"0s\"", "16 signing.retire_after: `0s` is not a duration such as".into()),
        (
            "rotate_every = \"12h\"",
            "15 signing.publish_ahead: `1d` is not shorter than `rotate_every`, `12h`".into(),
        ),
        (
            "rotate_every = \"2d\"\npublish_ahead = \"48h\"",
            "15 signing.publish_ahead: `2d` is not shorter than `rotate_every`, `2d`".into(),
        ),
        ("rotate = \"2d\"", "16 signing.rotate: no such key; did you mean `rotate_every`?".into()),
    ] {
        let found = problems(&with(lines));
        assert!(found.len() == 1 && found[0].starts_with(&expected), "{lines}: {found:?}");
    }
}
