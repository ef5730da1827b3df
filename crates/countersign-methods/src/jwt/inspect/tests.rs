use super::*;
use crate::{
    fakes::{NOW, Sequence, scopes},
    jwt::{
        claims,
        config::JwtConfig,
        issue::JwtIssuer,
        record::AccessToken,
        store::{JwtStore, TokenRevoked},
        verify,
    },
    signing::{
        issue::{SigningConfig, SigningKeyIssuer},
        keys::SigningKeys,
        store::{SigningKeyChange, SigningKeyStore},
    },
};
use countersign_core::{BoxFuture, CredentialId, Place, PrincipalId, StoreError, audit::AuditEvent};
use countersign_crypto::{jose::Algorithm, key::SealKeys};
use serde_json::json;
use std::{future::ready, sync::Mutex};

const ISSUER: &str = "https://auth.example.com";

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<SigningKeyRecord>>);

impl SigningKeyStore for Kept {
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<SigningKeyRecord>, StoreError>> {
        Box::pin(ready(Ok(self.0.lock().unwrap().clone())))
    }

    fn change<'a>(&'a self, change: SigningKeyChange, _: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut kept = self.0.lock().unwrap();
        kept.retain(|record| change.updates.iter().all(|updated| updated.kid != record.kid));
        kept.extend(change.updates.into_iter().chain(change.inserts));
        Box::pin(ready(Ok(())))
    }
}

impl JwtStore for Kept {
    fn revoke_token<'a>(
        &'a self,
        _: &'a str,
        _: Timestamp,
        _: Timestamp,
        _: AuditEvent,
    ) -> BoxFuture<'a, Result<TokenRevoked, StoreError>> {
        Box::pin(ready(Ok(TokenRevoked::Now)))
    }
}

/// A deployment's keys, and who mints with them.
struct House {
    store: Arc<Kept>,
    signing: SigningKeyIssuer,
    tokens: JwtIssuer,
}

impl House {
    async fn new(issuer: Option<&str>) -> Self {
        let store = Arc::new(Kept::default());
        let entropy = Arc::new(Sequence::default());
        let keys = Arc::new(SigningKeys::new(Arc::new(SealKeys::new(vec![(1, [3; 32])]).unwrap())));
        let signing =
            SigningKeyIssuer::new(store.clone(), keys.clone(), SigningConfig::default(), entropy.clone());
        signing.advance(NOW).await.unwrap();
        let config = JwtConfig { issuer: issuer.map(Into::into), ..JwtConfig::default() };
        let tokens = JwtIssuer::new(keys, store.clone(), config, entropy);
        Self { store, signing, tokens }
    }

    fn sign(&self, purpose: KeyPurpose, typ: &str, claims: &Map<String, Value>) -> String {
        self.signing.keys().sign((purpose, Algorithm::Es256), typ, claims).unwrap()
    }

    /// Good but for what is changed.
    fn token(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = claims::write(&good());
        change(&mut claims);
        self.sign(KeyPurpose::Session, TYP, &claims)
    }

    fn look(&self, token: &str) -> Inspection {
        let kid = kid_of(token);
        let kept = self.store.0.lock().unwrap();
        let key = kept.iter().find(|record| Some(&*record.kid) == kid.as_deref());
        let verdict = self.tokens.read(token, NOW);
        let verdict = verdict.map(|(token, kid)| verify::of_token(token, &kid, Place::Authorization));
        Inspection::of(token, verdict, &Judge::Ours(self.tokens.config().issuer.clone()), key, NOW)
    }
}

fn good() -> AccessToken {
    let ago = |seconds| Timestamp::from_seconds(NOW.as_seconds() - seconds);
    AccessToken {
        issuer: ISSUER.into(),
        audiences: Arc::new(["https://api.example.com".into()]),
        principal: PrincipalId::parse("usr_00000000000000000ada").unwrap(),
        session: CredentialId::new("sessionid000"),
        jti: "jti0000000000000000000".into(),
        scopes: scopes("orders:read"),
        parents: vec![Node::new(NodeKind::Password, "p.1")],
        amr: "pwd".into(),
        authenticated_at: ago(48),
        issued_at: ago(48),
        expires_at: ago(-252),
    }
}

fn encoded(json: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in json.as_bytes().chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    text
}

#[tokio::test]
async fn every_check_of_a_good_token_is_passed_and_says_what_it_saw() {
    let house = House::new(Some(ISSUER)).await;
    let seen = house.look(&house.token(|_| ()));
    assert!(seen.verdict.is_ok() && seen.is_verified());
    let names: Vec<&str> = seen.checks.iter().map(|check| check.name).collect();
    assert_eq!(names, Step::OURS.map(Step::as_str));
    assert!(
        seen.checks.iter().all(|c| c.outcome == Outcome::Passed && c.fix.is_none() && !c.reason.is_empty())
    );
    let reason = |name| &*seen.checks.iter().find(|check| check.name == name).unwrap().reason;
    assert_eq!(reason("exp"), "ends in 4m 12s");
    assert_eq!(reason("iat"), "issued 48s ago");
    assert_eq!(reason("iss"), format!("`{ISSUER}`"));
    assert!(reason("kid").contains("active for 0s"), "{}", reason("kid"));
}

/// One row for each way in which a token is not good: which check fails, and a word of its reason.
#[tokio::test]
async fn the_check_that_fails_is_the_one_where_the_authenticator_stopped() {
    let house = House::new(Some(ISSUER)).await;
    let other = House::new(Some(ISSUER)).await;
    let good = house.token(|_| ());
    let [header, claims, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let with = |header: &str, claims: &str| format!("{}.{}.{signature}", encoded(header), encoded(claims));
    let identity =
        house.sign(KeyPurpose::Identity, "countersign-identity+jwt", &claims::write(&self::good()));
    let id_token = house.sign(KeyPurpose::Session, "JWT", &claims::write(&self::good()));
    let changed = {
        let payload = encoded(&json!({"iss": ISSUER, "sub": "usr_somebody"}).to_string());
        format!("{header}.{payload}.{signature}")
    };
    let seconds = |name: &'static str, at: i64| {
        house.token(move |claims| {
            claims.insert(name.into(), json!(NOW.as_seconds() + at));
        })
    };
    let rows: Vec<(&str, String, Step, &str)> = vec![
        ("nothing", String::new(), Step::Header, "three parts"),
        ("two parts", format!("{header}.{claims}"), Step::Header, "three parts"),
        ("encrypted", format!("{header}.a.b.c.d"), Step::Header, "five"),
        ("too long", format!("{header}.{}.x", "a".repeat(17_000)), Step::Header, "16384"),
        ("header is no base64url", format!("{header}=.{claims}.{signature}"), Step::Header, "base64url"),
        ("header twice", with(r#"{"alg":"ES256","alg":"ES256"}"#, "{}"), Step::Header, "twice"),
        ("crit", with(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, "{}"), Step::Header, "crit"),
        ("zip", with(r#"{"alg":"ES256","zip":"DEF"}"#, "{}"), Step::Header, "zip"),
        ("nested", with(r#"{"alg":"ES256","cty":"JWT"}"#, "{}"), Step::Header, "another token"),
        ("none", with(r#"{"alg":"none"}"#, "{}"), Step::Algorithm, "alg"),
        ("no alg", with("{}", "{}"), Step::Algorithm, "alg"),
        ("payload is no JSON", with(r#"{"alg":"ES256"}"#, "[]"), Step::Payload, "payload"),
        ("signature is no base64url", format!("{header}.{claims}.{signature}="), Step::Payload, "signature"),
        ("no kid", with(r#"{"alg":"ES256"}"#, "{}"), Step::Key, "no key"),
        ("another deployment's", other.token(|_| ()), Step::Key, "no key of ours"),
        ("an upstream's", identity, Step::Key, "lets nobody in"),
        ("changed", changed, Step::Signature, "signature"),
        ("an ID token", id_token, Step::Type, "`JWT`"),
        ("bound", house.token(|c| drop(c.insert("cnf".into(), json!({})))), Step::Confirmation, "bound"),
        ("no session", house.token(|c| drop(c.remove("sid"))), Step::Claims, "`sid`"),
        (
            "another's",
            house.token(|c| drop(c.insert("iss".into(), json!("https://evil")))),
            Step::Issuer,
            "evil",
        ),
        ("over", seconds("exp", 0), Step::Expiry, "ended 0s ago"),
        ("long over", seconds("exp", -90_000), Step::Expiry, "ended 1d 1h ago"),
        ("to come", seconds("iat", 61), Step::IssuedAt, "issued 1m 1s from now"),
    ];
    for (what, token, step, word) in rows {
        let seen = house.look(&token);
        let failure = seen.verdict.unwrap_err();
        assert_eq!(failure, house.tokens.read(&token, NOW).unwrap_err(), "{what}");
        for (check, own) in seen.checks.iter().zip(Step::OURS) {
            let place = |step: Step| Step::OURS.iter().position(|one| *one == step);
            let expected = match place(own).cmp(&place(step)) {
                std::cmp::Ordering::Less => Outcome::Passed,
                std::cmp::Ordering::Equal => Outcome::Failed,
                std::cmp::Ordering::Greater => Outcome::NotReached,
            };
            assert_eq!((check.name, check.outcome), (own.as_str(), expected), "{what}: {check:?}");
            assert_eq!(check.fix.is_some(), expected == Outcome::Failed, "{what}: {check:?}");
            if own == step {
                assert!(check.reason.contains(word), "{what}: {check:?}");
            }
        }
        // whoever reads the list could not show the token again
        let said = format!("{:?} {:?}", seen.checks, seen.outline);
        assert!(!said.contains(signature) && (token.is_empty() || !said.contains(&token)), "{what}: {said}");
    }
}

#[tokio::test]
async fn what_nobody_looked_at_is_repeated_and_not_judged() {
    let house = House::new(Some(ISSUER)).await;
    let other = House::new(Some(ISSUER)).await;
    let old = other.token(|claims| drop(claims.insert("exp".into(), json!(NOW.as_seconds() - 3600))));
    let seen = house.look(&old);
    assert!(!seen.is_verified());
    let exp = seen.checks.iter().find(|check| check.name == "exp").unwrap();
    assert_eq!(exp.outcome, Outcome::NotReached);
    assert_eq!(exp.reason, "`kid` comes before it; its text says: ended 1h ago");
}

#[tokio::test]
async fn a_key_that_was_called_back_is_told_apart_from_one_that_never_was() {
    let house = House::new(Some(ISSUER)).await;
    let token = house.token(|_| ());
    let kid = kid_of(&token).unwrap();
    house.signing.revoke(&kid, &crate::principal::caller::Caller::host(), NOW).await.unwrap();
    let seen = house.look(&token);
    let check = seen.checks.iter().find(|check| check.name == "kid").unwrap();
    assert!(check.reason.contains("was removed 0s ago"), "{check:?}");
}

#[tokio::test]
async fn who_signs_nothing_looks_no_further_than_the_key() {
    let nobody = House::new(None).await;
    let seen = nobody.look(&nobody.token(|_| ()));
    for check in &seen.checks {
        let expected = match check.name {
            "header" | "alg" | "payload" | "kid" => Outcome::Passed,
            "iss" => Outcome::Failed,
            _ => Outcome::NotReached,
        };
        assert_eq!(check.outcome, expected, "{check:?}");
    }
    assert!(!seen.is_verified());
}

#[test]
fn a_strangers_words_are_escaped_and_cut() {
    assert_eq!(quoted("a\u{1b}[2J\n"), "`a\\u{1b}[2J\\n`");
    assert_eq!(quoted(&"x".repeat(200)).len(), 128 + 5);
}

#[test]
fn lengths_have_their_two_largest_units() {
    let rows =
        [(0, "0s"), (59, "59s"), (60, "1m"), (252, "4m 12s"), (3600, "1h"), (3601, "1h"), (90_061, "1d 1h")];
    for (seconds, text) in rows {
        assert_eq!(span(Duration::from_secs(seconds)), text);
    }
}

#[test]
fn descent_goes_from_the_token_upward_and_each_end_has_its_words() {
    let nodes = descent(&good().lineage("kid"));
    let kinds: Vec<&str> = nodes.iter().map(|node| node.kind.as_str()).collect();
    assert_eq!(kinds, ["token", "session", "signing_key", "password", "principal"]);
    let mut said: Vec<String> = Vec::new();
    for kind in NodeKind::ALL {
        let node = Node::new(kind, "x");
        assert_eq!(revocation(&node, false).outcome, Outcome::Passed);
        let check = revocation(&node, true);
        assert_eq!((check.outcome, check.of), (Outcome::Failed, Some(node.to_string())));
        said.push(check.reason);
    }
    said.dedup();
    assert!(said.len() > 6, "{said:?}");
}
