//! The use of Basic: what is hashed and when, what is counted, and what is never said.

use super::{
    DAY, HOME, House, RIGHT, WRONG, alice, basic, cheap, code, config, encoded, made, network,
    new_app_password,
};
use crate::{
    basic::{authenticator::BasicAuthenticator, config::BasicConfig, verify::Failure},
    fakes::{Hook, NOW, Sequence},
    password::{normal::NORMAL_VERSION, throttle::ThrottleSettings},
    principal::caller::Caller,
};
use countersign_core::{
    Authenticator, Found, MethodName, MethodRule, Refusal,
    authenticator::Confirmation,
    check::route::{Route, SecurityRequirement},
};
use countersign_crypto::password::{Argon2Parameters, PasswordHash, imported};
use std::{sync::atomic::Ordering, time::Duration};

const HORSE: &str = "correct horse battery staple";
const GREETING: &str = "Grüße, 世界";

#[tokio::test]
async fn right_wrong_and_nobody_cost_one_hash_each() {
    let house = House::new();
    let record = house.right();
    let known = house.sign_in("alice", RIGHT).await.unwrap();
    assert_eq!((known.principal, known.method), (alice().id, MethodName::Basic));
    assert_eq!(*known.credential.as_str(), *record.node().id);
    assert_eq!(house.hashed().await, 1);
    assert_eq!(code(house.sign_in("alice", WRONG).await), "credential_invalid");
    assert_eq!(house.hashed().await, 2);
    for nobody in ["nobody", "bob", "demo", "älice", "alice@example.com"] {
        assert_eq!(code(house.sign_in(nobody, RIGHT).await), "credential_invalid");
    }
    assert_eq!(house.hashed().await, 7, "nobody costs what somebody does");
    assert_eq!(house.pauses(), 0);
    assert_eq!(house.actions(), [""; 0], "a use explains nothing");
}

/// RULES 5.1: no hash for whoever failed too often, also of the right one; and the answer takes as long.
#[tokio::test]
async fn throttled_is_not_hashed() {
    let house = House::new();
    house.right();
    for _ in 0..5 {
        assert_eq!(code(house.sign_in("alice", WRONG).await), "credential_invalid");
    }
    let before = house.hashed().await;
    for password in [WRONG, RIGHT] {
        assert_eq!(code(house.sign_in("alice", password).await), "credential_invalid");
    }
    assert_eq!(house.hashed().await, before);
    assert_eq!(house.pauses(), 2);
    // later, or from elsewhere, it is looked at
    assert!(house.use_it(&basic("alice", RIGHT), "198.51.100.1", &MethodRule::DEFAULT).await.is_ok());
    house.clock.advance(Duration::from_secs(3600));
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
    assert_eq!(house.hashed().await, before + 2);
}

/// A thousand spellings are one account: no more guesses for whoever writes the name otherwise.
#[tokio::test]
async fn spellings_of_a_name_are_counted_together() {
    let house = House::new();
    house.right();
    for name in ["alice", "Alice", "ALICE", "Ａlice", "ａｌｉｃｅ"] {
        assert_eq!(code(house.sign_in(name, WRONG).await), "credential_invalid");
    }
    assert_eq!((house.hashed().await, house.pauses()), (5, 0));
    assert_eq!(code(house.sign_in("aLiCe", RIGHT).await), "credential_invalid");
    assert_eq!((house.hashed().await, house.pauses()), (5, 1));
    house.clock.advance(DAY);
    assert_eq!(house.sign_in("aLiCe", RIGHT).await.unwrap().principal, alice().id);
}

/// RFC 8265 4.2: two keyboards, one password.
#[tokio::test]
async fn spellings_of_a_password_are_one() {
    let house = House::new();
    let (composed, apart) = ("grüne bäume und tassen", "gru\u{308}ne ba\u{308}ume und tassen");
    house.issuer.set_password(&alice().id, (apart, None), &Caller::host(), NOW).await.unwrap();
    for password in [composed, apart, "grüne\u{a0}bäume\u{3000}und tassen"] {
        assert!(house.sign_in("alice", password).await.is_ok(), "{password:?}");
    }
    // and no more than that
    for password in ["grune baume und tassen", "GRÜNE BÄUME UND TASSEN", "grüne bäume und tassen "] {
        assert_eq!(code(house.sign_in("alice", password).await), "credential_invalid", "{password:?}");
    }
}

/// Another product hashed what was typed, however it was composed.
#[tokio::test]
async fn an_imported_hash_of_what_was_typed() {
    let house = House::new();
    let apart = "gru\u{308}ne ba\u{308}ume und tassen";
    // base64(SHA-1(the bytes as they are))
    house.give(&alice(), import("{SHA}CL0+YBAmoZBfAleH1k9/atxIVok="), 0);
    assert!(house.sign_in("alice", "grüne bäume und tassen").await.is_err(), "they hashed other bytes");
    assert!(house.sign_in("alice", apart).await.is_ok());
    // from now on it is ours, and normal
    let kept = house.kept(&alice().id).unwrap();
    assert_eq!((kept.hash.scheme(), kept.normal), ("argon2id", NORMAL_VERSION));
    assert!(house.sign_in("alice", "grüne bäume und tassen").await.is_ok());
}

/// Also where it is Argon2id already, of these very parameters: whose it is says the record, not the scheme.
#[tokio::test]
async fn an_argon2id_hash_of_another_product() {
    let house = House::new();
    let apart = "gru\u{308}ne ba\u{308}ume und tassen";
    house.give(&alice(), import(made(apart, cheap()).as_str()), 0);
    assert!(house.sign_in("alice", apart).await.is_ok());
    assert_eq!(house.kept(&alice().id).unwrap().normal, NORMAL_VERSION);
    for password in [apart, "grüne bäume und tassen"] {
        assert!(house.sign_in("alice", password).await.is_ok(), "{password:?}");
    }
    assert_eq!(house.actions(), ["password.rehash"]);
    // of ours nothing but what is normal is right, and a wrong one costs one hash
    house.give(&alice(), made(apart, cheap()), NORMAL_VERSION);
    let before = house.hashed().await;
    assert_eq!(code(house.sign_in("alice", apart).await), "credential_invalid");
    assert_eq!(house.hashed().await - before, 1);
}

fn import(hash: &str) -> PasswordHash {
    imported(hash, &cheap(), &Sequence::default()).unwrap()
}

/// RULES 5.2: every scheme is taken over, and replaced at the first success alone.
#[tokio::test]
async fn imported_hashes_become_ours() {
    for (scheme, password, hash) in FOREIGN {
        let house = House::new();
        let before = house.give(&alice(), import(hash), 0);
        assert_eq!(before.hash.scheme(), *scheme);
        assert_eq!(code(house.sign_in("alice", WRONG).await), "credential_invalid", "{hash}");
        assert_eq!(house.kept(&alice().id).as_ref(), Some(&before), "{hash}: a wrong one changes nothing");
        let first = house.sign_in("alice", password).await.unwrap();
        let kept = house.kept(&alice().id).unwrap();
        assert!(kept.hash.is_current(&cheap()), "{hash}");
        assert_eq!((kept.normal, kept.version, kept.set_at), (NORMAL_VERSION, before.version, before.set_at));
        assert_eq!(house.actions(), ["password.rehash"], "{hash}");
        let [event] = &*house.store.events() else { panic!() };
        assert_eq!(event.detail, [("before", scheme.to_string()), ("scheme", "argon2id".to_owned())]);
        assert_eq!(event.subject, alice().id.as_str());
        // once, and what was signed in stays signed in
        let second = house.sign_in("alice", password).await.unwrap();
        assert_eq!((first.credential, first.lineage), (second.credential, second.lineage), "{hash}");
        assert_eq!(house.actions().len(), 1, "{hash}");
        assert!(house.sign_in("alice", WRONG).await.is_err(), "{hash}");
    }
}

#[tokio::test]
async fn other_parameters_are_hashed_anew() {
    for parameters in [Argon2Parameters::new(8192, 2, 1), Argon2Parameters::new(9216, 1, 1)] {
        let house = House::new();
        house.give(&alice(), made(RIGHT, parameters.unwrap()), NORMAL_VERSION);
        assert!(house.sign_in("alice", RIGHT).await.is_ok());
        assert_eq!(house.actions(), ["password.rehash"]);
        assert_eq!(house.hashed().await, 2);
        assert!(house.kept(&alice().id).unwrap().hash.is_current(&cheap()));
        assert!(house.sign_in("alice", RIGHT).await.is_ok());
        assert_eq!((house.actions().len(), house.hashed().await), (1, 3));
    }
}

/// That a better hash could not be kept is no reason to refuse who was right.
#[tokio::test]
async fn a_store_that_dies_before_the_rehash() {
    let house = House::new();
    let (_, password, hash) = FOREIGN[0];
    let before = house.give(&alice(), import(hash), 0);
    let store = house.store.clone();
    *house.store.after_read.lock().unwrap() =
        Some(Hook(Box::new(move || store.down.store(true, Ordering::Relaxed))));
    assert!(house.sign_in("alice", password).await.is_ok());
    house.store.down.store(false, Ordering::Relaxed);
    assert_eq!(house.kept(&alice().id), Some(before));
}

/// A password that was changed while the old one was hashed is not overwritten by a better hash of the old one.
#[tokio::test]
async fn a_rehash_never_brings_an_old_password_back() {
    let house = House::new();
    let (_, password, hash) = FOREIGN[0];
    let before = house.give(&alice(), import(hash), 0);
    let (store, new) = (house.store.clone(), made(RIGHT, cheap()));
    *house.store.after_read.lock().unwrap() = Some(Hook(Box::new(move || {
        let mut passwords = store.passwords.lock().unwrap();
        let record = passwords.get_mut(&alice().id).unwrap();
        (record.hash, record.version) = (new, record.version + 1);
    })));
    // what this says is of the record as it was read; the feed denies it (RULES 1.2)
    assert_eq!(house.sign_in("alice", password).await.unwrap().credential.as_str(), &*before.node().id);
    assert!(house.actions().is_empty());
    assert!(house.sign_in("alice", password).await.is_err());
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
}

/// An outage is ours: nobody is refused for it, and nobody's failures are counted.
#[tokio::test]
async fn an_outage_is_never_the_callers_fault() {
    let house = House::new();
    house.right();
    let (_, app_password) = house.app_password().await;
    house.store.down.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        assert_eq!(house.sign_in("alice", WRONG).await, Err(Refusal::Unavailable));
    }
    assert_eq!(house.sign_in("alice", &app_password).await, Err(Refusal::Unavailable));
    assert_eq!((house.hashed().await, house.parts.throttle.figures().failed), (0, 0));
    house.store.down.store(false, Ordering::Relaxed);
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
    assert_eq!(house.pauses(), 0);
}

/// RULES 5.1: a queue without room says so, and that is no failure of whoever found it so.
#[tokio::test]
async fn a_full_queue_is_no_failure() {
    let house = House::new();
    house.right();
    let (open, shut) = std::sync::mpsc::channel::<()>();
    let (began, running) = std::sync::mpsc::channel();
    let pool = &house.parts.pool;
    // the one thread is held, and the one place of this network is taken
    let held = pool.submit(network("203.0.113.1"), move || {
        began.send(()).unwrap();
        shut.recv().unwrap();
    });
    running.recv().unwrap();
    let waits = pool.submit(network(HOME), || ()).unwrap();
    for _ in 0..100 {
        for (user, password) in [("alice", RIGHT), ("alice", WRONG), ("nobody", WRONG)] {
            assert_eq!(house.sign_in(user, password).await, Err(Refusal::Unavailable));
        }
    }
    assert_eq!(house.parts.throttle.figures().failed, 0);
    let new = "nine otters borrow umbrellas";
    let changed = house
        .issuer
        .change_password(
            "alice",
            (RIGHT, new),
            HOME.parse().unwrap(),
            countersign_core::RequestId([0; 16]),
            NOW,
        )
        .await;
    assert_eq!(changed, Err(crate::basic::issue::BasicError::Busy));
    open.send(()).unwrap();
    held.unwrap().await.unwrap();
    waits.await.unwrap();
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
    assert_eq!(house.pauses(), 0);
}

/// Whoever hangs up while the hash is made has had a guess (RULES 5.1).
#[tokio::test]
async fn who_hangs_up_is_not_forgiven() {
    let house = House::new();
    house.right();
    let (open, shut) = std::sync::mpsc::channel::<()>();
    let (began, running) = std::sync::mpsc::channel();
    let held = house.parts.pool.submit(network("203.0.113.1"), move || {
        began.send(()).unwrap();
        shut.recv().unwrap();
    });
    running.recv().unwrap();
    for _ in 0..5 {
        let guess = house.sign_in("alice", WRONG);
        assert!(futures_util::FutureExt::now_or_never(guess).is_none());
    }
    assert_eq!(house.parts.throttle.figures().failed, 5);
    open.send(()).unwrap();
    held.unwrap().await.unwrap();
    assert_eq!(code(house.sign_in("alice", WRONG).await), "credential_invalid");
    assert_eq!(house.pauses(), 1);
}

/// RULES 1.4: what begins as a key does is the other room's, where the route says so; no hash is spent on it anywhere.
#[tokio::test]
async fn keys_in_a_passwords_place() {
    let house = House::new();
    house.right();
    let taken = MethodRule { keys_as_passwords: true, ..MethodRule::DEFAULT };
    for key in ["cs_live_0123456789ab", "cs_test_0123456789ab", "cs_live_"] {
        let fields = super::Fields(vec![basic("alice", key)]);
        let request = super::request(&fields, HOME);
        assert!(matches!(house.authenticator.find(&request, &taken), Found::Absent), "{key}");
        let Found::Bad(rejection) = house.authenticator.find(&request, &MethodRule::DEFAULT) else {
            panic!("{key}");
        };
        assert_eq!(Refusal::Rejected(rejection), Failure::Key.refusal());
    }
    assert_eq!((house.hashed().await, house.parts.throttle.figures().opened), (0, 0));
    // a person's password is one on both, also where it only resembles a key
    for password in ["cs_live", "CS_LIVE_0123456789ab", " cs_live_0123456789ab", "xcs_live_"] {
        assert_eq!(code(house.use_it(&basic("bob", password), HOME, &taken).await), "credential_invalid");
    }
    assert_eq!(house.hashed().await, 4);
    assert!(house.use_it(&basic("alice", RIGHT), HOME, &taken).await.is_ok());
}

/// Full entropy needs no slow hash; and whoever guesses at a person does not lock their mail out.
#[tokio::test]
async fn app_passwords_are_never_hashed_slowly() {
    let house = House::new();
    house.right();
    let (record, secret) = house.app_password().await;
    let known = house.sign_in("Alice", &secret).await.unwrap();
    assert_eq!((&known.credential, known.expires_at), (&record.id, Some(record.expires_at)));
    assert_eq!(code(house.sign_in("bob", &secret).await), "credential_invalid");
    assert_eq!(code(house.sign_in("nobody", &secret).await), "credential_invalid");
    let host = Caller::host();
    house.issuer.revoke_app_password(&record.id, &host, NOW).await.unwrap();
    assert_eq!(code(house.sign_in("alice", &secret).await), "app_password_revoked");
    assert_eq!(code(house.sign_in("bob", &secret).await), "credential_invalid");
    let (_, secret) = house.app_password().await;
    house.clock.advance(DAY * 365);
    assert_eq!(code(house.sign_in("alice", &secret).await), "app_password_expired");
    let figures = house.parts.throttle.figures();
    assert_eq!((house.hashed().await, figures.opened, house.pauses()), (0, 0, 0));
}

#[tokio::test]
async fn a_throttled_person_keeps_their_app_passwords() {
    let house = House::new();
    house.right();
    let (_, secret) = house.app_password().await;
    for _ in 0..6 {
        assert!(house.sign_in("alice", WRONG).await.is_err());
    }
    assert_eq!(house.pauses(), 1);
    assert!(house.sign_in("alice", &secret).await.is_ok());
}

/// Plain concatenation made one account's answer another's elsewhere (Okta 2024; RULES 1.1).
#[test]
fn cache_keys_are_of_both_halves() {
    let house = House::new();
    assert_ne!(house.cache_key("a", "bc"), house.cache_key("ab", "c"));
    assert_ne!(house.cache_key("a", "b:c"), house.cache_key("a", "bc"));
    assert_ne!(house.cache_key("a", ""), house.cache_key("", "a"));
    assert_ne!(house.cache_key("alice", RIGHT), house.cache_key("alice", WRONG));
    assert_ne!(house.cache_key("alice", "pw"), house.cache_key("alice", "pw\u{20}"));
    assert_eq!(house.cache_key("alice", RIGHT), house.cache_key("alice", RIGHT));
    // bcrypt looks at 72 bytes: the key looks at all of them
    let long = "x".repeat(72);
    assert_ne!(house.cache_key("alice", &long), house.cache_key("alice", &format!("{long}y")));
    // another process, another key
    let mut parts = house.parts.clone();
    let bytes = Sequence::default();
    countersign_crypto::Entropy::fill(&bytes, &mut [0; 1024]);
    parts.fingerprint = std::sync::Arc::new(countersign_crypto::FingerprintKey::new(&bytes));
    let other = BasicAuthenticator::new(parts).unwrap();
    let fields = super::Fields(vec![basic("alice", RIGHT)]);
    let Found::Present(presented) = other.find(&super::request(&fields, HOME), &MethodRule::DEFAULT) else {
        panic!();
    };
    assert_ne!(presented.cache_key, Some(house.cache_key("alice", RIGHT)));
}

/// Nothing that is longer than its scheme can see is the right one (bcrypt: 72 bytes, and no NUL).
#[tokio::test]
async fn bcrypt_is_not_cut_short() {
    let house = House::new();
    let long = "a".repeat(72);
    house.give(&alice(), import("$2b$04$p0K56edans.9qQ3G.ciIQevBfJF799diPGunHtnyhujCTA.PTL0vW"), 0);
    assert!(house.sign_in("alice", &format!("{long}x")).await.is_err());
    assert!(house.sign_in("alice", &long[..71]).await.is_err());
    assert!(house.sign_in("alice", &long).await.is_ok());
    // from now on all of it counts
    assert!(house.sign_in("alice", &format!("{long}x")).await.is_err());
}

/// Last use is noted, per route and per app password, and nothing is written for it on the request path.
#[tokio::test]
async fn a_use_is_only_remembered() {
    let house = House::new();
    house.right();
    let route = Route::new("/orders", "up", SecurityRequirement::Public);
    let (record, secret) = house.app_password().await;
    let known = house.sign_in("alice", RIGHT).await.unwrap();
    let reads = house.store.reads.load(Ordering::Relaxed);
    house.authenticator.used(&known, &route, NOW);
    let (uses, app_passwords) = house.parts.uses.take();
    assert_eq!(uses.len(), 1);
    assert!(app_passwords.is_empty());
    assert_eq!(house.store.reads.load(Ordering::Relaxed), reads);
    let known = house.sign_in("alice", &secret).await.unwrap();
    house.authenticator.used(&known, &route, NOW + DAY);
    house.authenticator.used(&known, &route, NOW);
    let (uses, app_passwords) = house.parts.uses.take();
    assert_eq!(app_passwords, [(record.id, NOW + DAY)]);
    let [used] = uses.as_slice() else { panic!("{uses:?}") };
    assert_eq!((&used.principal, &*used.route), (&alice().id, "/orders"));
    assert_eq!((used.uses, used.last_used_at), (2, NOW + DAY), "never backwards");
    assert_eq!(house.parts.uses.take(), (Vec::new(), Vec::new()));
}

#[test]
fn what_is_challenged_and_confirmed() {
    let house = House::with(BasicConfig { realm: r#"a "b""#.into(), ..config() });
    let mut route = Route::new("/", "up", SecurityRequirement::Public);
    let challenge = house.authenticator.challenge(&route).unwrap();
    assert_eq!(challenge.value(), r#"Basic realm="a \"b\"", charset="UTF-8""#);
    let rule = MethodRule { realm: Some("Orders".into()), ..MethodRule::DEFAULT };
    route.presentation = vec![(MethodName::Basic, rule)];
    let challenge = house.authenticator.challenge(&route).unwrap();
    assert_eq!(challenge.value(), r#"Basic realm="Orders", charset="UTF-8""#);
    let known = crate::basic::verify::signed_in(&alice(), &house.right(), NOW);
    let fields = super::Fields(Vec::new());
    let request = super::request(&fields, HOME);
    assert!(matches!(house.authenticator.confirm(&known, &request, NOW), Confirmation::Done(Ok(()))));
    assert_eq!(house.authenticator.method(), MethodName::Basic);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let house = House::new();
    let record = house.right();
    let issued = house.issuer.create_app_password(new_app_password(), &Caller::host(), NOW).await.unwrap();
    let issued_shown = format!("{issued:?}");
    let (app, secret) = issued.reveal();
    let fields = super::Fields(vec![basic("alice", RIGHT)]);
    let presented = house.authenticator.find(&super::request(&fields, HOME), &MethodRule::DEFAULT);
    let foreign = crate::basic::issue::import::ForeignPerson {
        name: "carol".into(),
        hash: FOREIGN[0].2.to_owned().into(),
    };
    let shown = format!(
        "{presented:?} {record:?} {app:?} {issued_shown} {:?} {:?} {:?} {foreign:?} {:?}",
        house.authenticator,
        house.issuer,
        house.parts,
        Failure::ALL,
    );
    let digest = format!("{:?}", app.digest.hash);
    let encoded = String::from_utf8(encoded(format!("alice:{RIGHT}").as_bytes())).unwrap();
    for hidden in [
        RIGHT,
        &encoded[6..],
        &secret.expose()[19..51],
        &*digest,
        record.hash.as_str(),
        FOREIGN[0].2,
        "1, 1, 1, 1",
    ] {
        assert!(!shown.contains(hidden), "`{hidden}` in {shown}");
    }
    assert!(shown.contains(app.id.as_str()));
}

/// A person who was closed to strangers (RULES 5.1) is not closed at home.
#[tokio::test]
async fn home_stays_open() {
    let house = House::new();
    house.right();
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
    let closed_after = ThrottleSettings::default().closed_after;
    for n in 0..closed_after {
        let from = format!("10.{}.{}.1", n / 200, n % 200);
        assert!(house.use_it(&basic("alice", WRONG), &from, &MethodRule::DEFAULT).await.is_err());
    }
    let before = house.hashed().await;
    let abroad = house.use_it(&basic("alice", RIGHT), "203.0.113.50", &MethodRule::DEFAULT).await;
    assert_eq!(code(abroad), "credential_invalid");
    assert_eq!((house.hashed().await, house.pauses()), (before, 1));
    assert!(house.sign_in("alice", RIGHT).await.is_ok());
}

/// argon2-cffi, htpasswd, passlib, bcrypt, openssl: the same vectors as those of `countersign-crypto`.
#[rustfmt::skip]
const FOREIGN: &[(&str, &str, &str)] = &[
    ("bcrypt", HORSE, "$2a$04$KvUPSlufYGljsHzEUSwt.OXqa1omVf7bQPh07CzWwgjej2ayBur1K"),
    ("bcrypt", HORSE, "$2b$04$ZWXkgNWfjkdCtjwVmF/8se0lplOqk9QA8KWJui0WNs0DdTNk3d7IK"),
    ("bcrypt", HORSE, "$2y$05$k50.qe4McDZKDVBA/njZ4uvq1lCjpLbiF7lhsV9dGnwTPeYx8Q3K6"),
    ("argon2id(apr1)", HORSE, "$apr1$SyyyVOL4$lMG1r8cX1cqE61QNWZENR/"),
    ("argon2id(sha1)", HORSE, "{SHA}q/eq1kOINtvlJqojGr3i0O73TUI="),
    ("sha256-crypt", HORSE, "$5$rounds=1000$A/InHvHzzPC3ROxF$FFu.fr2kjMMeNohIkMV.3ANOKTYcacqSq2gHBaJ4Gq7"),
    ("sha512-crypt", HORSE, "$6$rounds=1234$wlU0Z/4EvtjOB3EI$oBLNDKzBulO08RUH.cfusM69UZ6UZebXkYHxDi6rFx58IMnkvSsmCl0N6yLBCWrhC5V1ih4S4raJIYY87Z3fQ0"),
    ("pbkdf2-sha1", HORSE, "$pbkdf2$1000$mdPauzeGcC7l/P.f856T0g$4qL5pKxapkqT693VkXI6SKRkxB0"),
    ("pbkdf2-sha256", HORSE, "$pbkdf2-sha256$1000$pbSWkjLGWCsFICREiLG21g$elSMfVPZEPagxqob4eKxv37is8BeRYihHflMFlRurJ8"),
    ("pbkdf2-sha512", HORSE, "$pbkdf2-sha512$1000$EYKw9h6jFAJgjHGuVSpFSA$yjZMeQ8olnba6sNH19usA2J7bNZePUQGTSXsHyLJkJbYi73SwT8xrYzHVSqsKbdWG8AFcsComFFfJrMy02qrkQ"),
    ("scrypt", HORSE, "$scrypt$ln=12,r=8,p=1$u/feW6s1JkTo/R/j/P9f6w$ubuKZZbB0iJvvy6vwP6j9VKEES+UybDgxXg3X1J0fjo"),
    ("argon2i", HORSE, "$argon2i$v=19$m=8192,t=2,p=1$FMwsrzfJgYPiVYQDLNUnBw$PMGngJCBEqX9cBZ28+0WiJTnWxNPWuws6hdSpcEbqU0"),
    ("argon2id", HORSE, "$argon2id$v=19$m=8192,t=2,p=1$ac2hOzxYnz+YrTxgAgY+lg$gZzC8Kf0lFeNBvw53riYrDHmXZ4EsQuNysyyNVsASM4"),
    ("bcrypt", GREETING, "$2y$05$ukErVHCc3vYNOSZQLIMcketpwca03D3RMv6SDDdeNKXGXYVIOiRb2"),
    ("argon2id(apr1)", GREETING, "$apr1$pE/JGTIW$3tAR118B4WL8C1P4ZwAro1"),
    ("argon2id(sha1)", GREETING, "{SHA}PlchUpvOsYA5fTCLH89N3NE1Utk="),
    ("sha256-crypt", GREETING, "$5$rounds=1000$ckfFPrUtqJeZ7PCx$4CyOqaRMUORxIJEVeQgwmYI7jCVo2pefDY49ep85Eg7"),
    ("scrypt", GREETING, "$scrypt$ln=12,r=8,p=1$vheilPKe09obQ4jx/v//Hw$Vydo67aMi5vtBmYN8/s70GjeYboBJfD0aqQ07ShAqXg"),
];
