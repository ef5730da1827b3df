//! The life of a session (RULES 2.5, 2.6, 4.2), attacked.

use crate::house::{BLIND_AFTER, DAY, House, MICRO, RESOURCE, password, person, scopes, tokens};
use countersign_core::{CredentialId, Node, PrincipalId, StoreError, check::revocation::RevocationFeed};
use countersign_crypto::SystemEntropy;
use countersign_methods::{
    principal::{caller::Caller, store::PrincipalChange},
    session::{
        config::SessionConfig,
        issue::{Begin, RefreshPlace, SessionError, SignedIn},
        record::{EndReason, SessionKind, SessionRecord, SessionState, session_node},
        store::SessionStore,
        token::{SessionTokens, TokenKind},
    },
};
use futures_util::future::join_all;
use std::{collections::BTreeSet, time::Duration};

const GRACE: Duration = Duration::from_secs(10);

async fn kept(house: &House, id: &CredentialId) -> SessionRecord {
    SessionStore::find(&*house.store, id).await.unwrap().unwrap()
}

fn count(house: &House, action: &str) -> usize {
    house.store.actions().iter().filter(|known| *known == action).count()
}

/// A session of a program, and its first refresh token.
async fn native(house: &House) -> (CredentialId, String) {
    let begun = house.begin(SessionKind::Native).await;
    (begun.record.id, begun.refresh.unwrap().expose().to_owned())
}

async fn browser(house: &House) -> (CredentialId, String) {
    let begun = house.begin(SessionKind::Cookie).await;
    assert!(begun.refresh.is_none());
    (begun.record.id, begun.cookie.unwrap().expose().to_owned())
}

async fn sign_out(house: &House, kind: TokenKind, token: &str) {
    house.sessions.sign_out(kind, token.as_bytes(), &Caller::host(), house.now()).await.unwrap();
}

#[tokio::test]
async fn a_session_has_what_was_asked_for_and_never_more() {
    let house = House::new().await;
    // RULES 1.8: ada holds `countersign:read`, and no session does
    let rows = [
        (None, Ok("orders:read orders:write")),
        (Some("orders:read"), Ok("orders:read")),
        (Some(""), Ok("")),
        (Some("orders:delete"), Err("orders:delete")),
        (Some("orders:read orders:delete"), Err("orders:delete")),
        (Some("countersign:read"), Err("countersign:read")),
        (Some("countersign:keys orders:read"), Err("countersign:keys")),
    ];
    for (asked, expected) in rows {
        let begun = house.begin_as(house.signed_in(), SessionKind::Native, asked.map(scopes)).await;
        match expected {
            Ok(granted) => assert_eq!(begun.unwrap().record.scopes, scopes(granted), "{asked:?}"),
            Err(beyond) => {
                assert_eq!(begun.unwrap_err(), SessionError::ScopesBeyondOwner(scopes(beyond)), "{asked:?}");
            }
        }
    }
    assert_eq!(count(&house, "session.create"), 3);
}

#[tokio::test]
async fn each_kind_has_its_own_tokens() {
    let house = House::new().await;
    for (kind, cookie, refresh) in [
        (SessionKind::Cookie, true, false),
        (SessionKind::JwtCookie, false, true),
        (SessionKind::Native, false, true),
    ] {
        let begun = house.begin(kind).await;
        assert_eq!((begun.cookie.is_some(), begun.refresh.is_some()), (cookie, refresh), "{kind:?}");
        let record = kept(&house, &begun.record.id).await;
        assert_eq!(record, begun.record);
        assert_eq!((record.cookie.is_some(), record.refresh.is_some()), (cookie, refresh));
        assert_eq!((&*record.audiences[0], record.host.as_str()), (RESOURCE, "api.example.com"));
        // RULES 2.5: it dies with the password, and with everything before now
        let nodes: BTreeSet<String> = record.parents.iter().map(ToString::to_string).collect();
        let expected = [password(&house.ada.id), Node::generation(&house.ada.id, 0)];
        assert_eq!(nodes, expected.iter().map(ToString::to_string).collect());
    }
}

#[tokio::test]
async fn nobody_and_who_may_not_come_begin_none() {
    let house = House::new().await;
    let nobody = PrincipalId::parse("usr_00000000000000000000").unwrap();
    let who = SignedIn { principal: nobody, ..house.signed_in() };
    assert_eq!(house.begin_as(who, SessionKind::Native, None).await.unwrap_err(), SessionError::Over);
    house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
    let refused = house.begin_as(house.signed_in(), SessionKind::Native, None).await;
    assert_eq!(refused.unwrap_err(), SessionError::Over);
    house.change(PrincipalChange { enabled: Some(true), ..Default::default() }).await;
    // called back while they signed in
    let (host, now) = (Caller::host(), house.now());
    let begin = house.begin_as(house.signed_in(), SessionKind::Native, None);
    let (begun, ended) = tokio::join!(begin, house.sessions.end_everything(&house.ada.id, &host, now));
    assert_eq!((begun.unwrap_err(), ended), (SessionError::Over, Ok(0)));
    // and so is disabled
    let change = PrincipalChange { enabled: Some(false), ..Default::default() };
    let begin = house.begin_as(house.signed_in(), SessionKind::Native, None);
    let (begun, ()) = tokio::join!(begin, house.change(change));
    assert_eq!(begun.unwrap_err(), SessionError::Over);
    assert_eq!(count(&house, "session.create"), 0);
}

#[tokio::test]
async fn what_is_exchanged_ends_no_later() {
    let house = House::new().await;
    let end = house.now() + DAY;
    let who = SignedIn { ends_at: Some(end), ..house.signed_in() };
    let begun = house.begin_as(who, SessionKind::Native, None).await.unwrap();
    assert_eq!((begun.record.expires_at, begun.record.ends_at()), (end, end));
    let minted = house.tokens.mint(&begun.record, end.saturating_sub(Duration::from_secs(7))).unwrap();
    assert_eq!(minted.expires_in, Duration::from_secs(7));
    let refresh = begun.refresh.unwrap();
    house.advance(DAY - MICRO);
    let next = house.refresh(refresh.expose()).await.unwrap();
    house.advance(MICRO);
    assert_eq!(house.refresh(&next).await, Err(SessionError::Over));
    // later than a session lasts is no longer
    let who = SignedIn { ends_at: Some(house.now() + DAY * 1000), ..house.signed_in() };
    let begun = house.begin_as(who, SessionKind::Native, None).await.unwrap();
    assert_eq!(begun.record.expires_at, house.now() + DAY * 30);
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_cut_and_printable() {
    let house = House::new().await;
    let agent = format!("a\r\nb\u{1b}[31m\u{7f}\u{85}{}", "é".repeat(500));
    let asked = Begin { kind: SessionKind::Native, host: "h".into(), scopes: None, agent };
    let begun = house.sessions.begin(house.signed_in(), asked, &Caller::host(), house.now()).await.unwrap();
    let agent = begun.record.agent;
    assert!(agent.starts_with("ab[31mé") && agent.chars().count() == 160, "{agent}");
    assert!(!agent.chars().any(char::is_control));
}

/// RULES 4.2. Keycloak's CVE-2026-1035: who looked first and wrote later made as many successors as there were requests.
#[tokio::test]
async fn of_fifty_refreshes_at_once_there_is_one_successor() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let answers = join_all((0..50).map(|_| house.refresh(&first))).await;
    let successors: BTreeSet<String> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(successors.len(), 1);
    let record = kept(&house, &id).await;
    assert_eq!(record.refresh.unwrap().generation, 1);
    assert_eq!(count(&house, "session.refresh"), 1);
    assert_eq!(count(&house, "session.reuse"), 0);
    // and that one is good
    let successor = successors.first().unwrap();
    assert_ne!(*successor, first);
    house.refresh(successor).await.unwrap();
}

/// A chain of rounds, each of them a race: never two living ends.
#[tokio::test]
async fn a_race_in_every_generation_leaves_one_chain() {
    let house = House::new().await;
    let (id, mut token) = native(&house).await;
    for generation in 1..=20 {
        house.advance(Duration::from_secs(3600));
        let answers = join_all((0..5).map(|_| house.refresh(&token))).await;
        let successors: BTreeSet<String> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(successors.len(), 1);
        token = successors.into_iter().next().unwrap();
        assert_eq!(kept(&house, &id).await.refresh.unwrap().generation, generation);
    }
}

/// Old and new at once: whatever comes of it, there is no second chain.
#[tokio::test]
async fn a_thief_and_an_owner_at_once_do_not_both_get_on() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let second = house.refresh(&first).await.unwrap();
    let both = (0..50).map(|n| house.refresh(if n % 2 == 0 { &first } else { &second }));
    let answers = join_all(both).await;
    let got: BTreeSet<String> = answers.iter().flatten().cloned().collect();
    // `first` was good for `second` while it was the one before; `second` gave one successor
    assert!(got.len() <= 2, "{}", got.len());
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(SessionError::Over))), "{answers:?}");
    assert_eq!(kept(&house, &id).await.refresh.unwrap().generation, 2);
    // the second is used, so whoever still shows the first one ends it for both
    assert_eq!(house.refresh(&first).await, Err(SessionError::Over));
    assert!(matches!(kept(&house, &id).await.state, SessionState::Ended { reason: EndReason::Reuse, .. }));
    for token in got.iter().chain([&first, &second]) {
        assert_eq!(house.refresh(token).await, Err(SessionError::Over));
    }
}

#[tokio::test]
async fn without_a_grace_the_second_of_two_ends_the_session() {
    let house = House::with(SessionConfig { grace: Duration::ZERO, ..SessionConfig::default() }).await;
    let (id, first) = native(&house).await;
    let answers = join_all((0..50).map(|_| house.refresh(&first))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(SessionError::Over))));
    assert!(matches!(kept(&house, &id).await.state, SessionState::Ended { reason: EndReason::Reuse, .. }));
}

#[tokio::test]
async fn the_grace_ends_to_the_microsecond() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let second = house.refresh(&first).await.unwrap();
    let record = kept(&house, &id).await;
    house.advance(GRACE - MICRO);
    for _ in 0..3 {
        assert_eq!(house.refresh(&first).await.as_ref(), Ok(&second));
    }
    assert_eq!(house.sessions.counts().repeated, 3);
    // it was no use: nothing moved, also not when the grace began
    assert_eq!(kept(&house, &id).await, record);
    house.advance(MICRO);
    assert_eq!(house.refresh(&first).await, Err(SessionError::Over));
    assert!(matches!(kept(&house, &id).await.state, SessionState::Ended { reason: EndReason::Reuse, .. }));
    assert_eq!(house.refresh(&second).await, Err(SessionError::Over));
    assert!(house.memory.is_revoked(&session_node(&id)));
    assert_eq!(count(&house, "session.reuse"), 1);
}

#[tokio::test]
async fn any_older_one_is_reuse_also_within_the_grace() {
    let house = House::new().await;
    for back in 2..=4 {
        let (id, first) = native(&house).await;
        let mut chain = vec![first];
        for _ in 0..4 {
            chain.push(house.refresh(chain.last().unwrap()).await.unwrap());
        }
        let old = &chain[chain.len() - 1 - back];
        assert_eq!(house.refresh(old).await, Err(SessionError::Over));
        assert!(matches!(
            kept(&house, &id).await.state,
            SessionState::Ended { reason: EndReason::Reuse, .. }
        ));
        assert_eq!(house.refresh(chain.last().unwrap()).await, Err(SessionError::Over));
    }
}

/// A made-up one ends nobody's session: it bears no mark of ours.
#[tokio::test]
async fn a_token_of_somebody_elses_making_asks_nobody_and_ends_nothing() {
    let house = House::new().await;
    let (id, good) = native(&house).await;
    let (_, other) = native(&house).await;
    let strangers =
        std::sync::Arc::new(countersign_crypto::token::mark::MarkKeys::new(vec![(1, [9; 32])]).unwrap());
    let strangers = SessionTokens::new("cs", strangers).unwrap();
    let forged = strangers.generate(TokenKind::Refresh, &id, &SystemEntropy).token.expose().to_owned();
    let (body, mark) = good.rsplit_once('.').unwrap();
    let (other_body, other_mark) = other.rsplit_once('.').unwrap();
    let cookie = tokens().generate(TokenKind::Cookie, &id, &SystemEntropy).token.expose().to_owned();
    house.store.set_down(true);
    for shown in [
        "",
        "cs_refresh_",
        body,
        mark,
        &forged,
        &format!("{body}.{other_mark}"),
        &format!("{other_body}.{mark}"),
        &format!("{good}."),
        &format!(" {good}"),
        &good.to_uppercase(),
        &cookie,
        &cookie.replacen("cs_session_", "cs_refresh_", 1),
        &"a".repeat(1 << 20),
    ] {
        assert_eq!(house.refresh(shown).await, Err(SessionError::Over), "{shown:.40}");
        sign_out(&house, TokenKind::Refresh, shown).await;
        let found = house.sessions.of_cookie(shown.as_bytes(), house.now()).await;
        assert!(shown == cookie || found == Ok(None), "{shown:.40}");
    }
    house.store.set_down(false);
    assert_eq!(kept(&house, &id).await.state, SessionState::Open);
    house.refresh(&good).await.unwrap();
    // marked by us, and of no session that we know
    let unknown = CredentialId::new("000000000000");
    let lost = tokens().generate(TokenKind::Refresh, &unknown, &SystemEntropy).token;
    assert_eq!(house.refresh(lost.expose()).await, Err(SessionError::Over));
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error_and_costs_nobody_a_session() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let (_, cookie) = browser(&house).await;
    let unavailable = |error: &SessionError| matches!(error, SessionError::Store(StoreError::Unavailable(_)));
    house.store.set_down(true);
    assert!(unavailable(&house.refresh(&first).await.unwrap_err()));
    assert!(house.sessions.of_cookie(cookie.as_bytes(), house.now()).await.is_err());
    let begin = house.begin_as(house.signed_in(), SessionKind::Native, None).await;
    assert!(unavailable(&begin.unwrap_err()));
    let (host, now) = (Caller::host(), house.now());
    let out = house.sessions.sign_out(TokenKind::Refresh, first.as_bytes(), &host, now).await;
    assert!(unavailable(&out.unwrap_err()), "who wants it gone must hear that it is not");
    house.store.set_down(false);
    assert_eq!(kept(&house, &id).await.refresh.unwrap().generation, 0);
    house.refresh(&first).await.unwrap();
    // down between what was read and what is written
    let (id, first) = native(&house).await;
    let (refreshed, ()) = tokio::join!(house.refresh(&first), async { house.store.set_down(true) });
    assert!(unavailable(&refreshed.unwrap_err()));
    house.store.set_down(false);
    assert_eq!(kept(&house, &id).await.refresh.unwrap().generation, 0);
    house.refresh(&first).await.unwrap();
}

/// RULES 2.5.
#[tokio::test]
async fn whoever_does_not_hear_of_the_store_refreshes_nothing() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    house.clock.advance(BLIND_AFTER + MICRO);
    assert_eq!(house.refresh(&first).await, Err(SessionError::Blind));
    assert_eq!(kept(&house, &id).await.refresh.unwrap().generation, 0);
    house.memory.heard(house.now());
    house.refresh(&first).await.unwrap();
}

/// RULES 2.5, 5.2: what it hangs on, each by itself. None of them is reuse: nobody has a copy.
#[tokio::test]
async fn a_session_ends_with_each_of_its_parents() {
    type Of = fn(&House, &CredentialId) -> Node;
    let parents: [(&str, Of); 4] = [
        ("password", |house, _| password(&house.ada.id)),
        ("generation", |house, _| Node::generation(&house.ada.id, 0)),
        ("principal", |house, _| Node::principal(&house.ada.id)),
        ("itself", |_, id| session_node(id)),
    ];
    for (what, node) in parents {
        let house = House::new().await;
        let (id, first) = native(&house).await;
        let second = house.refresh(&first).await.unwrap();
        house.revoke(node(&house, &id));
        // the one before is no way around it
        for token in [&first, &second] {
            assert_eq!(house.refresh(token).await, Err(SessionError::Over), "{what}");
        }
        assert_eq!(count(&house, "session.reuse"), 0, "{what}");
    }
}

#[tokio::test]
async fn a_principal_that_is_disabled_refreshes_nothing() {
    let house = House::new().await;
    let (_, first) = native(&house).await;
    house.change(PrincipalChange { enabled: Some(false), ..Default::default() }).await;
    assert_eq!(house.refresh(&first).await, Err(SessionError::Over));
    house.change(PrincipalChange { enabled: Some(true), ..Default::default() }).await;
    house.refresh(&first).await.unwrap();
}

#[tokio::test]
async fn it_rests_and_ends_to_the_microsecond() {
    let house = House::new().await;
    let config = house.sessions.config().clone();
    let (_, first) = native(&house).await;
    let (id, cookie) = browser(&house).await;
    house.advance(config.idle - MICRO);
    let second = house.refresh(&first).await.unwrap();
    assert!(house.sessions.of_cookie(cookie.as_bytes(), house.now()).await.unwrap().is_some());
    house.advance(MICRO);
    assert!(house.sessions.of_cookie(cookie.as_bytes(), house.now()).await.unwrap().is_none());
    house.advance(config.idle - MICRO * 2);
    let mut token = house.refresh(&second).await.unwrap();
    // used all the time, it ends all the same
    let end = kept(&house, &id).await.expires_at;
    while house.now() + config.idle < end {
        house.advance(config.idle / 2);
        token = house.refresh(&token).await.unwrap();
    }
    house.advance(end.since(house.now()) - MICRO);
    let last = house.refresh(&token).await.unwrap();
    house.advance(MICRO);
    assert_eq!(house.refresh(&last).await, Err(SessionError::Over));
    assert_eq!(house.refresh(&token).await, Err(SessionError::Over));
    // what is over is no reuse
    assert_eq!(count(&house, "session.reuse"), 0);
    assert_eq!(kept(&house, &id).await.state, SessionState::Open);
}

#[tokio::test]
async fn a_clock_that_is_set_back_neither_ends_nor_lengthens() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let second = house.refresh(&first).await.unwrap();
    let before = kept(&house, &id).await;
    house.clock.set(house.now().saturating_sub(DAY));
    house.memory.heard(house.now());
    assert_eq!(house.refresh(&first).await.as_ref(), Ok(&second));
    house.refresh(&second).await.unwrap();
    let after = kept(&house, &id).await;
    assert_eq!((after.last_used_at, after.expires_at), (before.last_used_at, before.expires_at));
    // the one before the present one's predecessor is reuse at any time
    assert_eq!(house.refresh(&first).await, Err(SessionError::Over));
}

#[tokio::test]
async fn a_cookie_opens_its_own_session_alone() {
    let house = House::new().await;
    let (id, cookie) = browser(&house).await;
    let (other, _) = browser(&house).await;
    let (of_program, refresh) = native(&house).await;
    let find = async |shown: &str| {
        let found = house.sessions.of_cookie(shown.as_bytes(), house.now()).await.unwrap();
        found.map(|record| record.id)
    };
    assert_eq!(find(&cookie).await, Some(id.clone()));
    // ours by its mark, and never given out for that session
    for session in [&id, &other, &of_program, &CredentialId::new("000000000000")] {
        let made = tokens().generate(TokenKind::Cookie, session, &SystemEntropy).token;
        assert_eq!(find(made.expose()).await, None, "{session}");
    }
    assert_eq!(find(&refresh).await, None);
    assert_eq!(house.refresh(&cookie).await, Err(SessionError::Over));
    sign_out(&house, TokenKind::Cookie, &cookie).await;
    assert_eq!(find(&cookie).await, None);
    assert!(matches!(
        kept(&house, &id).await.state,
        SessionState::Ended { reason: EndReason::SignedOut, .. }
    ));
    assert_eq!(kept(&house, &other).await.state, SessionState::Open);
}

#[tokio::test]
async fn whoever_signs_out_ends_their_own() {
    let house = House::new().await;
    let (id, first) = native(&house).await;
    let (other, _) = native(&house).await;
    let (of_browser, cookie) = browser(&house).await;
    // a cookie's place takes no refresh token, and the other way round
    sign_out(&house, TokenKind::Cookie, &first).await;
    sign_out(&house, TokenKind::Refresh, &cookie).await;
    // ours by its mark, of a session that has no such token
    for (kind, session) in
        [(TokenKind::Refresh, &of_browser), (TokenKind::Cookie, &id), (TokenKind::Cookie, &of_browser)]
    {
        let made = tokens().generate(kind, session, &SystemEntropy).token;
        sign_out(&house, kind, made.expose()).await;
    }
    for session in [&id, &other, &of_browser] {
        assert_eq!(kept(&house, session).await.state, SessionState::Open, "{session}");
    }
    // by an old one of the chain: robbed or slow, they want it gone
    let mut token = first.clone();
    for _ in 0..3 {
        token = house.refresh(&token).await.unwrap();
    }
    sign_out(&house, TokenKind::Refresh, &first).await;
    assert!(matches!(
        kept(&house, &id).await.state,
        SessionState::Ended { reason: EndReason::SignedOut, .. }
    ));
    assert!(house.memory.is_revoked(&session_node(&id)));
    assert_eq!(house.refresh(&token).await, Err(SessionError::Over));
    // what is over is no error
    sign_out(&house, TokenKind::Refresh, &token).await;
    assert_eq!(count(&house, "session.end"), 1);
    assert_eq!(kept(&house, &other).await.state, SessionState::Open);
}

#[tokio::test]
async fn everything_before_now_ends_and_nothing_after_it() {
    let house = House::new().await;
    let bob = person(&house.principals, "bob", house.now()).await;
    let who = SignedIn { principal: bob.id.clone(), ..house.signed_in() };
    let of_bob = house.begin_as(who, SessionKind::Native, None).await.unwrap();
    let (one, first) = native(&house).await;
    let (two, _) = browser(&house).await;
    let (host, now) = (Caller::host(), house.now());
    assert_eq!(house.sessions.end_others(&house.ada.id, &one, &host, now).await, Ok(1));
    assert_eq!(kept(&house, &one).await.state, SessionState::Open);
    assert!(house.memory.is_revoked(&session_node(&two)));
    assert_eq!(house.sessions.end_everything(&house.ada.id, &host, now).await, Ok(1));
    assert_eq!(house.refresh(&first).await, Err(SessionError::Over));
    let (after, token) = native(&house).await;
    assert!(kept(&house, &after).await.parents.contains(&Node::generation(&house.ada.id, 1)));
    house.refresh(&token).await.unwrap();
    house.refresh(of_bob.refresh.unwrap().expose()).await.unwrap();
    let nobody = PrincipalId::parse("usr_00000000000000000000").unwrap();
    let unknown = house.sessions.end_everything(&nobody, &host, now).await;
    assert_eq!(unknown, Err(SessionError::Unknown));
}

/// Neither in a log nor in an error: whoever reads them would be signed in.
#[tokio::test]
async fn debug_shows_no_token() {
    let house = House::new().await;
    let cookie = house.begin(SessionKind::Cookie).await;
    let begun = house.begin(SessionKind::Native).await;
    let first = begun.refresh.clone().unwrap();
    let host = Caller::host();
    let refreshed = house
        .sessions
        .refresh(first.expose().as_bytes(), RefreshPlace::Body, &host, house.now())
        .await
        .unwrap();
    let made = tokens().generate(TokenKind::Refresh, &begun.record.id, &SystemEntropy);
    let read = tokens().read(TokenKind::Refresh, first.expose().as_bytes()).unwrap();
    let minted = house.tokens.mint(&begun.record, house.now()).unwrap();
    let kept = kept(&house, &begun.record.id).await;
    let shown = format!(
        "{cookie:?} {begun:?} {refreshed:?} {made:?} {read:?} {minted:?} {kept:?} {:?} {:?} {:?} {:?}",
        house.signed_in(),
        house.sessions,
        house.tokens,
        tokens()
    );
    let texts = [cookie.cookie.as_ref().unwrap(), &first, &refreshed.refresh, &made.token];
    for text in texts.map(|token| token.expose().to_owned()) {
        let (body, mark) = text.rsplit_once('.').unwrap();
        let secret: String = body.chars().skip("cs_refresh_".len() + 12).take(12).collect();
        assert!(!shown.contains(&secret) && !shown.contains(mark), "{shown}");
    }
    for part in minted.token.expose().split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
    // nor what is kept instead
    let family = kept.refresh.unwrap();
    let (digest, sealed) = family.previous.unwrap();
    for bytes in [&family.current.0[..8], &digest.0[..8], &sealed[..8]] {
        let listed = format!("{bytes:?}");
        assert!(!shown.contains(listed.trim_matches(['[', ']'])), "{shown}");
    }
}
