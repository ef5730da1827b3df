use super::{Signer, base64url_of};
use crate::jose::{LONGEST_TOKEN, Outline};
use serde_json::json;

#[test]
fn what_can_be_read_is_shown_whatever_the_rest_is() {
    let good = Signer::new().sign(r#"{"alg":"Ed25519","kid":"k"}"#, r#"{"iss":"a"}"#);
    let outline = Outline::of(&good);
    assert_eq!(outline.header.unwrap()["kid"], "k");
    assert_eq!(json!(outline.claims.unwrap()), json!({"iss": "a"}));
    let (header, claims) = (base64url_of(br#"{"alg":"none","crit":["x"]}"#), base64url_of(br#"{"sub":1}"#));
    let rows = [
        (format!("{header}.{claims}."), true, true),
        (format!("{header}.{claims}"), true, true),
        (format!("{header}.rubbish.x"), true, false),
        (format!("rubbish.{claims}.x"), false, true),
        (format!("{header}..a.b.c"), true, false),
        (header.clone(), true, false),
        (String::new(), false, false),
        // what a reader might take two ways is not shown one way
        (format!("{}.{claims}.x", base64url_of(br#"{"alg":"a","alg":"b"}"#)), false, true),
        (format!("{header}=.{claims}.x"), false, true),
        (format!("{header}.{claims}.{}", "x".repeat(LONGEST_TOKEN)), false, false),
    ];
    for (token, shows_header, shows_claims) in rows {
        let outline = Outline::of(&token);
        let shown = (outline.header.is_some(), outline.claims.is_some());
        assert_eq!(shown, (shows_header, shows_claims), "{token}");
        assert_eq!(format!("{outline:?}"), "Outline(..)");
    }
}
