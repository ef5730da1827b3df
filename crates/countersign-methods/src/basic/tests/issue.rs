//! The life of passwords and app passwords: what is refused, what is kept, and what is written down about it.

use super::{DAY, HOME, House, RIGHT, WRONG, alice, cheap, code, config, new_app_password};
use crate::{
    basic::{
        config::BasicConfig,
        issue::{
            BasicError,
            app_password::NewAppPassword,
            import::{ForeignPerson, ImportPeople, ImportPeopleError, Outcome, RowError},
        },
        record::PasswordRecord,
    },
    fakes::{Hook, NOW, person, principal, scopes},
    operator,
    password::{
        normal::{NORMAL_VERSION, Password, PasswordError, UserNameError},
        policy::{PasswordPolicy, Weak},
    },
    principal::caller::{Bound, Caller},
};
use countersign_core::{
    Node, NodeKind, PrincipalId, RequestId, StoreError, audit::Actor, principal::PrincipalKind,
};
use countersign_crypto::password::ImportError;
use std::{sync::atomic::Ordering, time::Duration};

const NEW: &str = "nine otters borrow umbrellas";
const SECOND: Duration = Duration::from_secs(1);

fn caller(held: &str) -> Caller {
    let held = scopes(held);
    let may_grant = held.iter().any(|s| s.as_str() == operator::GRANT);
    let lineage = vec![Node::new(NodeKind::ApiKey, "caller000000")];
    let bound = Bound { scopes: held, expires_at: Some(NOW + DAY), lineage, may_grant };
    Caller { bound: Some(bound), ..Caller::host() }
}

async fn set(
    house: &House,
    who: &PrincipalId,
    password: &str,
    by: &Caller,
) -> Result<PasswordRecord, BasicError> {
    house.issuer.set_password(who, (password, None), by, NOW).await
}

async fn change(house: &House, user: &str, passwords: (&str, &str)) -> Result<PasswordRecord, BasicError> {
    let now = NOW + SECOND;
    house.issuer.change_password(user, passwords, HOME.parse().unwrap(), RequestId([7; 16]), now).await
}

#[tokio::test]
async fn who_gets_no_password() {
    let house = House::new();
    let host = Caller::host();
    let nobody = person("nobody", "").id;
    assert_eq!(set(&house, &nobody, RIGHT, &host).await, Err(BasicError::Unknown));
    assert_eq!(set(&house, &principal("demo", "").id, RIGHT, &host).await, Err(BasicError::NotAUser));
    // RULES 2.6: it stands longer than the credential that asks
    for held in ["", "countersign:principals", "orders:read orders:write"] {
        let refused = set(&house, &alice().id, RIGHT, &caller(held)).await;
        assert_eq!(refused, Err(BasicError::GrantNeeded), "{held}");
    }
    house.store.down.store(true, Ordering::Relaxed);
    let refused = set(&house, &alice().id, RIGHT, &host).await;
    assert!(matches!(refused, Err(BasicError::Store(StoreError::Unavailable(_)))));
    house.store.down.store(false, Ordering::Relaxed);
    assert!(house.actions().is_empty() && house.store.passwords.lock().unwrap().is_empty());
    assert_eq!(house.hashed().await, 0, "whoever may not, costs nothing");
    assert!(set(&house, &alice().id, RIGHT, &caller("countersign:grant")).await.is_ok());
}

/// RULES 1.8: whoever may grant does not sign in as an operator by giving one a password.
#[tokio::test]
async fn operators_are_not_taken_over() {
    let house = House::new();
    let root = person("root", "countersign:principals countersign:keys");
    house.store.principals.lock().unwrap().insert(root.id.clone(), root.clone());
    let asks = caller("countersign:grant countersign:keys");
    let beyond = BasicError::ScopesBeyondCaller(scopes("countersign:principals"));
    assert_eq!(set(&house, &root.id, RIGHT, &asks).await, Err(beyond.clone()));
    // nor by importing one
    let rows = vec![foreign("root", SHA)];
    let refused = house.issuer.import_people(rows, ImportPeople::default(), &asks, NOW).await;
    assert_eq!(refused, Err(ImportPeopleError::Refused(beyond)));
    assert!(house.kept(&root.id).is_none());
    let equal = caller("countersign:grant countersign:keys countersign:principals");
    assert!(set(&house, &root.id, RIGHT, &equal).await.is_ok());
}

/// Every reason is told, and nothing is hashed or written for a bad one.
#[tokio::test]
async fn weak_ones_are_refused() {
    let policy = PasswordPolicy { refused: vec!["Acme Rockets".into()], most: 64, ..Default::default() };
    let house = House::with(BasicConfig { policy, realm: "Orders Desk".into(), ..config() });
    house.right();
    let long = "nine otters borrow umbrellas and paint the town hall in bright yellow";
    let too_long = "x".repeat(Password::MAX + 1);
    let rows: &[(&str, BasicError)] = &[
        ("", PasswordError::Empty.into()),
        (&too_long, PasswordError::TooLong.into()),
        ("nine otters borrow\numbrellas", PasswordError::Control.into()),
        ("nine otters borrow\0umbrellas", PasswordError::Control.into()),
        ("nine otters borrow \u{378} umbrellas", PasswordError::Unassigned.into()),
        ("nine otters borrow \u{200b} umbrellas", PasswordError::Disallowed.into()),
        ("nine otters", Weak::TooShort { length: 11, least: 15 }.into()),
        (long, Weak::TooLong { most: 64 }.into()),
        ("aaaaaaaaaaaaaaa", Weak::OneCharacter.into()),
        ("abcabcabcabcabc", Weak::Repeated.into()),
        ("abcdefghijklmno", Weak::Sequence.into()),
        ("alice.alice.2026.!", Weak::UserName.into()),
        ("Orders Desk 2026", Weak::ServiceName.into()),
        ("ACME-Rockets-2026", Weak::RefusedWord.into()),
        ("MyPassword12345!", Weak::RefusedWord.into()),
        ("correct horse battery staple", Weak::Breached.into()),
    ];
    let before = house.hashed().await;
    for (password, expected) in rows {
        let refused = set(&house, &alice().id, password, &Caller::host()).await;
        assert_eq!(refused.as_ref(), Err(expected), "{password:?}");
    }
    assert_eq!(house.hashed().await, before);
    for (password, expected) in rows {
        house.clock.advance(DAY);
        let refused = change(&house, "alice", (RIGHT, password)).await;
        assert_eq!(refused.as_ref(), Err(expected), "{password:?}");
        assert!(password.is_empty() || !format!("{expected:?} {expected}").contains(password));
    }
    assert!(house.actions().is_empty());
    assert!(house.sign_in("alice", RIGHT).await.is_ok(), "the old one stands");
}

#[tokio::test]
async fn set_and_set_again() {
    let house = House::new();
    let first = set(&house, &alice().id, RIGHT, &Caller::host()).await.unwrap();
    assert_eq!((first.normal, first.version, first.set_at), (NORMAL_VERSION, NOW.as_micros(), NOW));
    assert!(first.hash.is_current(&cheap()));
    let second = set(&house, &alice().id, NEW, &Caller::host()).await.unwrap();
    assert!(second.version > first.version, "in the same microsecond");
    assert_eq!(house.kept(&alice().id).as_ref(), Some(&second));
    assert_eq!(house.issuer.password(&alice().id).await.unwrap().as_ref(), Some(&second));
    assert_eq!(code(house.sign_in("alice", RIGHT).await), "credential_invalid");
    assert!(house.sign_in("alice", NEW).await.is_ok());
    assert_eq!(house.actions(), ["password.set", "password.set"]);
    let events = house.store.events();
    assert!(events.iter().all(|e| e.subject == alice().id.as_str() && e.actor == Actor::Host));
    let shown = format!("{events:?}");
    assert!(!shown.contains(NEW) && !shown.contains(second.hash.as_str()), "{shown}");
}

/// Somebody else changed it while the old one was hashed: theirs stands.
#[tokio::test]
async fn who_comes_second_changes_nothing() {
    let house = House::new();
    let record = house.right();
    let (store, theirs) = (house.store.clone(), super::made("quiet harbour sells turnips", cheap()));
    *house.store.after_read.lock().unwrap() = Some(Hook(Box::new(move || {
        let mut passwords = store.passwords.lock().unwrap();
        let record = passwords.get_mut(&alice().id).unwrap();
        (record.hash, record.version) = (theirs, record.version + 1);
    })));
    assert_eq!(change(&house, "alice", (RIGHT, NEW)).await, Err(BasicError::Changed));
    assert_eq!(house.kept(&alice().id).unwrap().version, record.version + 1);
    assert!(house.actions().is_empty());
    assert!(house.sign_in("alice", "quiet harbour sells turnips").await.is_ok());
}

#[tokio::test]
async fn changed_by_who_knows_it() {
    let house = House::new();
    let before = house.right();
    for (user, current) in
        [("alice", WRONG), ("alice", ""), ("nobody", RIGHT), ("bob", RIGHT), ("", RIGHT), ("demo", RIGHT)]
    {
        assert_eq!(change(&house, user, (current, NEW)).await, Err(BasicError::Wrong), "{user}");
    }
    // app passwords create and change nothing (RULES 2.6)
    let (_, secret) = house.app_password().await;
    assert_eq!(change(&house, "alice", (&secret, NEW)).await, Err(BasicError::Wrong));
    let after = change(&house, "Alice", (RIGHT, NEW)).await.unwrap();
    assert!(after.version > before.version);
    assert!(house.sign_in("alice", NEW).await.is_ok());
    assert_eq!(code(house.sign_in("alice", RIGHT).await), "credential_invalid");
    let events = house.store.events();
    let event = events.last().unwrap();
    assert_eq!((event.action, &*event.subject), ("password.change", alice().id.as_str()));
    let credential = format!("basic:{}", before.node().id);
    assert_eq!(event.actor, Actor::Principal { id: alice().id, credential });
    assert_eq!((event.source, event.request), (HOME.parse().ok(), Some(RequestId([7; 16]))));
    house.store.down.store(true, Ordering::Relaxed);
    assert_eq!(change(&house, "alice", (NEW, RIGHT)).await, Err(BasicError::Busy));
}

/// A change is a way to guess, and slowed down as every other (RULES 5.1).
#[tokio::test]
async fn a_change_is_counted() {
    let house = House::new();
    house.right();
    for _ in 0..5 {
        assert_eq!(change(&house, "alice", (WRONG, NEW)).await, Err(BasicError::Wrong));
    }
    let before = house.hashed().await;
    assert_eq!(change(&house, "alice", (RIGHT, NEW)).await, Err(BasicError::Wrong));
    assert_eq!((house.hashed().await, house.pauses()), (before, 1));
    assert_eq!(code(house.sign_in("alice", RIGHT).await), "credential_invalid", "the same count");
    assert_eq!(house.pauses(), 2);
    // an operator sets another, and whoever guessed at the old one begins anew at most
    set(&house, &alice().id, NEW, &Caller::host()).await.unwrap();
    house.clock.advance(DAY);
    assert!(house.sign_in("alice", NEW).await.is_ok());
}

/// Who is disabled changes nothing, and is not told why.
#[tokio::test]
async fn a_disabled_person_changes_nothing() {
    let house = House::new();
    let before = house.right();
    house.store.principals.lock().unwrap().get_mut(&alice().id).unwrap().enabled = false;
    assert_eq!(change(&house, "alice", (RIGHT, NEW)).await, Err(BasicError::Wrong));
    assert_eq!(house.kept(&alice().id), Some(before));
    assert!(house.actions().is_empty());
}

#[tokio::test]
async fn removed() {
    let house = House::new();
    let host = Caller::host();
    assert_eq!(house.issuer.remove_password(&alice().id, None, &host, NOW).await, Ok(false));
    assert!(house.actions().is_empty(), "what changes nothing explains nothing");
    house.right();
    // only what was seen is taken away, or replaced
    let other = house.issuer.remove_password(&alice().id, Some(7), &host, NOW).await;
    assert_eq!(other, Err(BasicError::Changed));
    for seen in [0, 7] {
        let replaced = house.issuer.set_password(&alice().id, (NEW, Some(seen)), &host, NOW).await;
        assert_eq!(replaced, Err(BasicError::Changed));
    }
    assert_eq!(house.issuer.remove_password(&alice().id, None, &host, NOW).await, Ok(true));
    assert_eq!(house.actions(), ["password.remove"]);
    assert_eq!(code(house.sign_in("alice", RIGHT).await), "credential_invalid");
    assert_eq!(house.hashed().await, 1, "who has none costs what who has one does");
    assert_eq!(house.issuer.remove_password(&alice().id, None, &host, NOW).await, Ok(false));
}

/// How many wrong ones are looked at from home, one after the other, before one waits: more where home is known.
async fn guesses(house: &House) -> usize {
    let before = house.pauses();
    for n in 0..100 {
        assert!(house.sign_in("alice", WRONG).await.is_err());
        if house.pauses() > before {
            return n;
        }
    }
    panic!("nobody is slowed down")
}

/// RULES 5.1: a place that knew the old password need not know the new one; the one that changed it does.
#[tokio::test]
async fn places_are_forgotten_with_the_password() {
    let host = Caller::host();
    for (what, expected) in [("nothing", 10), ("set", 5), ("removed", 5), ("changed", 10)] {
        let house = House::new();
        house.right();
        assert!(house.sign_in("alice", RIGHT).await.is_ok(), "home is known");
        match what {
            "set" => drop(set(&house, &alice().id, NEW, &host).await.unwrap()),
            "removed" => {
                assert_eq!(house.issuer.remove_password(&alice().id, None, &host, NOW).await, Ok(true))
            }
            "changed" => drop(change(&house, "alice", (RIGHT, NEW)).await.unwrap()),
            _ => {}
        }
        assert_eq!(guesses(&house).await, expected, "{what}");
    }
}

async fn app(
    house: &House,
    new: NewAppPassword,
    by: &Caller,
) -> Result<super::AppPasswordRecord, BasicError> {
    house.issuer.create_app_password(new, by, NOW).await.map(|issued| issued.reveal().0)
}

#[tokio::test]
async fn app_passwords_that_are_not_made() {
    let house = House::new();
    let host = Caller::host();
    let new = new_app_password;
    let of = |owner: PrincipalId| NewAppPassword { owner, ..new() };
    let with = |held: &str| NewAppPassword { scopes: scopes(held), ..new() };
    assert_eq!(app(&house, of(person("nobody", "").id), &host).await, Err(BasicError::Unknown));
    assert_eq!(app(&house, of(principal("demo", "").id), &host).await, Err(BasicError::NotAUser));
    let beyond = Err(BasicError::ScopesBeyondOwner(scopes("admin:all")));
    assert_eq!(app(&house, with("orders:read admin:all"), &host).await, beyond);
    let beyond = Err(BasicError::ScopesBeyondCaller(scopes("orders:write")));
    assert_eq!(app(&house, with("orders:read orders:write"), &caller("orders:read")).await, beyond);
    let beyond = Err(BasicError::ScopesBeyondCaller(scopes("countersign:keys")));
    let asks = caller("countersign:grant");
    assert_eq!(app(&house, with("countersign:keys"), &asks).await, beyond, "RULES 1.8");
    house.store.principals.lock().unwrap().get_mut(&alice().id).unwrap().enabled = false;
    assert_eq!(app(&house, new(), &host).await, Err(BasicError::Disabled));
    house.store.down.store(true, Ordering::Relaxed);
    assert!(matches!(app(&house, new(), &host).await, Err(BasicError::Store(_))));
    assert!(house.actions().is_empty() && house.store.app_passwords.lock().unwrap().is_empty());
}

#[tokio::test]
async fn lifetimes_are_bounded() {
    let house = House::new();
    let (host, bound, grants) = (Caller::host(), caller("orders:read"), caller("countersign:grant"));
    let longest = DAY * 365;
    let too_long = Err(BasicError::LifetimeTooLong(longest));
    for (lifetime, by, expected) in [
        (None, &host, Ok(NOW + longest)),
        (Some(longest), &host, Ok(NOW + longest)),
        (Some(longest + Duration::from_micros(1)), &host, too_long.clone()),
        (Some(Duration::MAX), &host, too_long.clone()),
        (Some(Duration::MAX), &bound, too_long),
        (Some(Duration::ZERO), &host, Err(BasicError::LifetimeOver)),
        // RULES 2.6
        (None, &bound, Ok(NOW + DAY)),
        (Some(DAY), &bound, Ok(NOW + DAY)),
        (Some(DAY + SECOND), &bound, Err(BasicError::OutlivesCaller(NOW + DAY))),
        (Some(DAY * 2), &grants, Ok(NOW + DAY * 2)),
    ] {
        let new = NewAppPassword { lifetime, ..new_app_password() };
        let made = app(&house, new, by).await.map(|record| record.expires_at);
        assert_eq!(made, expected, "{lifetime:?}");
    }
    // a caller that is over already
    let late = house.issuer.create_app_password(new_app_password(), &bound, NOW + DAY).await;
    assert_eq!(late.unwrap_err(), BasicError::LifetimeOver);
}

/// RULES 2.6: it dies with what made it, unless that may grant.
#[tokio::test]
async fn app_passwords_hang_on_their_maker() {
    let house = House::new();
    let parent = Node::new(NodeKind::ApiKey, "caller000000");
    assert_eq!(app(&house, new_app_password(), &caller("orders:read")).await.unwrap().parents, [parent]);
    assert_eq!(app(&house, new_app_password(), &caller("countersign:grant")).await.unwrap().parents, []);
    assert_eq!(app(&house, new_app_password(), &Caller::host()).await.unwrap().parents, []);
}

#[tokio::test]
async fn an_app_password_is_made_and_ended() {
    let house = House::new();
    let host = Caller::host();
    let (record, secret) = house.app_password().await;
    assert!(secret.starts_with("cs_app_") && secret.contains(record.id.as_str()));
    assert_eq!((record.owner.clone(), &*record.service), (alice().id, "mail"));
    let events = house.store.events();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.action, &*event.subject), ("app_password.create", record.id.as_str()));
    assert!(!format!("{event:?}").contains(&secret[19..51]));
    for _ in 0..2 {
        // what is revoked already is no error
        assert_eq!(house.issuer.revoke_app_password(&record.id, &host, NOW).await, Ok(()));
    }
    assert_eq!(house.actions(), ["app_password.create", "app_password.revoke"]);
    let unknown = countersign_core::CredentialId::new("000000000000");
    let refused = house.issuer.revoke_app_password(&unknown, &host, NOW).await;
    assert_eq!(refused, Err(BasicError::AppPasswordUnknown));
}

/// An id that is taken is not overwritten, and nobody is asked for ever.
#[tokio::test]
async fn an_id_is_never_used_twice() {
    let house = House::new();
    house.store.taken.store(2, Ordering::Relaxed);
    assert!(app(&house, new_app_password(), &Caller::host()).await.is_ok());
    house.store.taken.store(u64::MAX, Ordering::Relaxed);
    let refused = app(&house, new_app_password(), &Caller::host()).await;
    assert!(matches!(refused, Err(BasicError::Store(StoreError::Unavailable(_)))));
    assert_eq!(house.store.app_passwords.lock().unwrap().len(), 1);
}

const SHA: &str = "{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=";
const BCRYPT: &str = "$2b$04$ZWXkgNWfjkdCtjwVmF/8se0lplOqk9QA8KWJui0WNs0DdTNk3d7IK";
const HORSE: &str = "correct horse battery staple";

fn foreign(name: &str, hash: &str) -> ForeignPerson {
    ForeignPerson { name: name.into(), hash: hash.to_owned().into() }
}

async fn import(
    house: &House,
    rows: &[(&str, &str)],
    how: ImportPeople,
) -> Result<Vec<Outcome>, ImportPeopleError> {
    let rows = rows.iter().map(|(name, hash)| foreign(name, hash)).collect();
    house.issuer.import_people(rows, how, &Caller::host(), NOW).await
}

/// All of them are named at once, and nobody is imported.
#[tokio::test]
async fn bad_rows_are_named() {
    let house = House::new();
    house.right();
    let rows = [
        ("carol", BCRYPT),
        ("", BCRYPT),
        ("da:ve", BCRYPT),
        ("da ve", BCRYPT),
        ("ünal", BCRYPT),
        ("-erin", BCRYPT),
        ("Carol", SHA),
        ("demo", BCRYPT),
        ("alice", BCRYPT),
        ("frank", ""),
        ("grace", "hunter2"),
        ("heidi", "rEK1ecacw.7.c"),
        ("ivan", "$1$abcdefgh$4/U5.w6NPtLkJ2WyrTwm91"),
        ("judy", "$2b$04$short"),
        ("bob", SHA),
    ];
    let faults = match import(&house, &rows, ImportPeople::default()).await {
        Err(ImportPeopleError::Rows(faults)) => faults,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        faults,
        [
            (1, RowError::Name(UserNameError::Empty)),
            (2, RowError::Name(UserNameError::Colon)),
            (3, RowError::Name(UserNameError::Space)),
            (4, RowError::Alphabet),
            (5, RowError::Alphabet),
            (6, RowError::Doubled(0)),
            (7, RowError::NotAUser),
            (8, RowError::Exists),
            (9, RowError::Hash(ImportError::Empty)),
            (10, RowError::Hash(ImportError::PlainText)),
            (11, RowError::Hash(ImportError::DesCrypt)),
            (12, RowError::Hash(ImportError::Md5Crypt)),
            (13, RowError::Hash(ImportError::Malformed { scheme: "bcrypt" })),
        ]
    );
    assert!(!format!("{faults:?}").contains("hunter2"));
    assert!(house.actions().is_empty());
    assert_eq!(house.store.principals.lock().unwrap().len(), 3);
    assert_eq!(house.store.passwords.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn people_are_imported() {
    let house = House::new();
    let before = house.right();
    let how = ImportPeople { scopes: scopes("orders:read"), skip_existing: true, ..Default::default() };
    let rows = [("Carol", BCRYPT), ("alice", SHA), ("bob", SHA)];
    // looked at, and nothing written
    let dry = import(&house, &rows, ImportPeople { dry_run: true, ..how.clone() }).await.unwrap();
    assert!(matches!(dry.as_slice(), [Outcome::Made(..), Outcome::Existed(_), Outcome::Given(..)]));
    assert!(house.actions().is_empty());
    assert_eq!(house.store.principals.lock().unwrap().len(), 3);
    assert_eq!(house.store.passwords.lock().unwrap().len(), 1);

    let outcomes = import(&house, &rows, how).await.unwrap();
    let [Outcome::Made(carol, "bcrypt"), Outcome::Existed(existed), Outcome::Given(bob, "argon2id(sha1)")] =
        outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    assert_eq!((existed, bob), (&alice().id, &person("bob", "").id));
    let made = house.store.principals.lock().unwrap()[carol].clone();
    assert_eq!((made.kind, made.name.as_str(), made.enabled), (PrincipalKind::User, "carol", true));
    assert_eq!(made.scopes, scopes("orders:read"));
    assert_eq!(house.actions(), ["principal.create", "password.import", "password.import"]);
    assert_eq!(house.kept(&alice().id), Some(before), "who has a password keeps it");
    assert_eq!(house.kept(carol).unwrap().normal, 0);
    // RULES 5.2: what is guessed in an afternoon is wrapped, not kept
    assert!(house.kept(bob).unwrap().hash.as_str().starts_with("$argon2id-sha1$"));
    let shown = format!("{:?}", house.store.events());
    assert!(!shown.contains(BCRYPT) && !shown.contains("q/eq1kOINtvlJqojGr3i0O73TUI="), "{shown}");
    for user in ["carol", "bob"] {
        assert!(house.sign_in(user, HORSE).await.is_ok(), "{user}");
    }
}

#[tokio::test]
async fn who_imports_nobody() {
    let house = House::new();
    let rows = || vec![foreign("carol", BCRYPT)];
    let how = |held: &str| ImportPeople { scopes: scopes(held), ..Default::default() };
    for (by, how, expected) in [
        (caller("orders:read"), how("orders:read"), BasicError::GrantNeeded),
        (caller(""), how(""), BasicError::GrantNeeded),
        (
            caller("countersign:grant"),
            how("countersign:keys"),
            BasicError::ScopesBeyondCaller(scopes("countersign:keys")),
        ),
    ] {
        let refused = house.issuer.import_people(rows(), how, &by, NOW).await;
        assert_eq!(refused, Err(ImportPeopleError::Refused(expected)));
    }
    house.store.down.store(true, Ordering::Relaxed);
    let refused = house.issuer.import_people(rows(), how(""), &Caller::host(), NOW).await;
    assert!(matches!(refused, Err(ImportPeopleError::Refused(BasicError::Store(_)))));
    assert_eq!(house.hashed().await, 0);
    house.store.down.store(false, Ordering::Relaxed);
    assert!(house.actions().is_empty());
    assert_eq!(import(&house, &[], ImportPeople::default()).await, Ok(Vec::new()));
}

/// Somebody of that name came between the look and the write.
#[tokio::test]
async fn an_import_that_comes_second() {
    let house = House::new();
    let store = house.store.clone();
    *house.store.after_read.lock().unwrap() = Some(Hook(Box::new(move || {
        let carol = person("carol", "");
        store.principals.lock().unwrap().insert(carol.id.clone(), carol);
    })));
    let refused = import(&house, &[("carol", BCRYPT)], ImportPeople::default()).await;
    assert_eq!(refused, Err(ImportPeopleError::Refused(BasicError::Changed)));
    assert!(house.store.passwords.lock().unwrap().is_empty());
}
