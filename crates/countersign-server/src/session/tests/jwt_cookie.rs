//! The access token in a cookie and the refresh token in another: whose they are decides who is signed in, so nobody may put
//! theirs in the place of somebody else's (RULES 1.6, session fixation).

use super::*;
use countersign_core::CredentialId;
use countersign_methods::principal::store::PrincipalChange;
use countersign_methods::session::{
    issue::{Begin, SignedIn, from_network},
    record::SessionKind,
};

/// Both cookies of a session of ada's at that host, as a browser keeps them.
pub(super) struct Kept {
    id: CredentialId,
    session: String,
    pub(super) refresh: String,
}

pub(super) async fn kept(world: &World, host: &str, kind: SessionKind) -> Kept {
    let ada = principal(world, "ada").await;
    let now = world.clock.now();
    let who = SignedIn {
        principal: ada.id,
        scopes: ada.scopes,
        parents: Vec::new(),
        amr: "pwd",
        ends_at: None,
        at: now,
    };
    let asked = Begin { kind, host: host.into(), scopes: None, agent: String::new() };
    let sessions = world.services.sessions.as_ref().unwrap();
    let caller = from_network([192, 0, 2, 9].into(), countersign_core::RequestId([7; 16]));
    let begun = sessions.issuer.begin(who, asked, &caller, now).await.unwrap();
    Kept {
        session: sessions.tokens.mint(&begun.record, now).unwrap().token.expose().to_owned(),
        refresh: begun.refresh.unwrap().expose().to_owned(),
        id: begun.record.id,
    }
}

async fn is_open(world: &World, kept: &Kept) -> bool {
    let sessions = world.services.sessions.as_ref().unwrap();
    sessions.issuer.find(&kept.id).await.unwrap().unwrap().is_open(world.clock.now())
}

/// What `POST refresh` and the login page make of these cookies: both set a session, or neither.
async fn sets(world: &World, cookie: &str) -> bool {
    let page = send(world, Method::GET, "session/login?return_to=%2Fa", &[("cookie", cookie)], "").await;
    let posted = send(world, Method::POST, "session/refresh", &[OWN, ("cookie", cookie)], "").await;
    let set = !cookies(&page).is_empty();
    assert_eq!(page.status, if set { 303 } else { 200 });
    assert_eq!(!cookies(&posted).is_empty(), set, "{cookie}");
    set
}

#[tokio::test]
async fn a_refresh_token_counts_in_its_own_place_alone() {
    let world = World::new().await;
    person(&world, "ada").await;
    let rows = [
        ("api.example.com", SessionKind::JwtCookie, true),
        // cookies know no ports
        ("api.example.com:8443", SessionKind::JwtCookie, true),
        ("www.example.com", SessionKind::JwtCookie, false),
        ("example.com", SessionKind::JwtCookie, false),
        ("api.example.com", SessionKind::Native, false),
    ];
    for (host, kind, good) in rows {
        let kept = kept(&world, host, kind).await;
        assert_eq!(sets(&world, &format!("__Host-refresh={}", kept.refresh)).await, good, "{host} {kind:?}");
        assert!(is_open(&world, &kept).await);
    }
    let kept = kept(&world, "api.example.com", SessionKind::JwtCookie).await;
    // a name that a sibling host could set as well, and two of the right one
    assert!(!sets(&world, &format!("__Secure-refresh={}", kept.refresh)).await);
    assert!(!sets(&world, &format!("__Host-refresh={0}; __Host-refresh={0}", kept.refresh)).await);
    // a browser's gives no token to a script
    refresh(&world, &json!(kept.refresh)).await.refused(401, "session_over");
    assert!(is_open(&world, &kept).await);
}

#[tokio::test]
async fn no_page_changes_who_is_signed_in() {
    let world = World::new().await;
    person(&world, "ada").await;
    let (own, other) = (
        kept(&world, "api.example.com", SessionKind::JwtCookie).await,
        kept(&world, "api.example.com", SessionKind::JwtCookie).await,
    );
    let cookie = format!("__Host-session={}; __Host-refresh={}", own.session, other.refresh);
    let page = send(&world, Method::GET, "session/login", &[("cookie", &cookie)], "").await;
    assert!(cookies(&page).is_empty());
    assert!(String::from_utf8(page.body.to_vec()).unwrap().contains("You are signed in"));
    // over, it is refreshed by what is there
    world.advance(Duration::from_secs(300));
    let page = send(&world, Method::GET, "session/login?return_to=%2Fa", &[("cookie", &cookie)], "").await;
    assert_eq!((page.status.as_u16(), cookies(&page).len()), (303, 1));
    assert!(cookies(&page)[0].starts_with("__Host-session=ey"), "{:?}", cookies(&page));
    let posted = send(&world, Method::POST, "session/refresh", &[OWN, ("cookie", &cookie)], "").await;
    assert_eq!((posted.status.as_u16(), cookies(&posted).len()), (200, 2));
    for set in cookies(&posted) {
        assert!(set.starts_with("__Host-"), "{set}");
        assert!(set.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="), "{set}");
    }
}

/// Any page may send the browser there, and need not wait for the answer; a step of the chain that the browser never hears of
/// would make a thief of it.
#[tokio::test]
async fn looking_at_the_page_uses_no_refresh_token_up() {
    let world = World::new().await;
    person(&world, "ada").await;
    let kept = kept(&world, "api.example.com", SessionKind::JwtCookie).await;
    let cookie = format!("__Host-refresh={}", kept.refresh);
    let site = |site| ("sec-fetch-site", site);
    const GOES: (&str, &str) = ("sec-fetch-mode", "navigate");
    let table: &[(Method, &[(&str, &str)])] = &[
        (Method::GET, &[]),
        (Method::GET, &[GOES]),
        (Method::GET, &[OWN]),
        (Method::GET, &[GOES, site("cross-site")]),
        (Method::GET, &[GOES, site("same-site")]),
        (Method::GET, &[GOES, site("cross-site"), OWN]),
        (Method::GET, &[("sec-fetch-mode", "no-cors"), OWN]),
        (Method::GET, &[GOES, OWN, ("sec-purpose", "prefetch;prerender")]),
        (Method::HEAD, &[GOES, OWN]),
    ];
    for (method, said) in table {
        let fields: Vec<_> = said.iter().copied().chain([("cookie", &*cookie)]).collect();
        let page = send(&world, method.clone(), "session/login?return_to=%2Fa", &fields, "").await;
        assert_eq!((page.status.as_u16(), cookies(&page).len()), (303, 1), "{method} {said:?}");
        world.advance(Duration::from_secs(11));
    }
    let posted = send(&world, Method::POST, "session/refresh", &[OWN, ("cookie", &cookie)], "").await;
    assert_eq!(posted.status, 200);
    // the one before counts for as long as it does elsewhere
    let page = async || send(&world, Method::GET, "session/login", &[("cookie", &cookie)], "").await;
    assert_eq!(cookies(&page().await).len(), 1);
    assert!(is_open(&world, &kept).await);
}

/// RFC 9700 4.14.2: of two who have the same refresh token one is found out, also where neither ever posts one.
#[tokio::test]
async fn going_to_the_page_is_a_refresh() {
    for site in ["same-origin", "none"] {
        let world = World::new().await;
        person(&world, "ada").await;
        let kept = kept(&world, "api.example.com", SessionKind::JwtCookie).await;
        let stolen = format!("__Host-refresh={}", kept.refresh);
        let goes = async |cookie: &str, site| {
            let fields = [("sec-fetch-mode", "navigate"), ("sec-fetch-site", site), ("cookie", cookie)];
            send(&world, Method::GET, "session/login?return_to=%2Fa", &fields, "").await
        };
        let first = goes(&stolen, site).await;
        assert_eq!((first.status.as_u16(), cookies(&first).len()), (303, 2), "{site}");
        // a second tab, or an answer that was lost
        assert_eq!(cookies(&goes(&stolen, site).await)[1], cookies(&first)[1]);
        world.advance(Duration::from_secs(301));
        let own = sent_back(&cookies(&first)[1]);
        let next = goes(&own, site).await;
        assert_eq!(cookies(&next).len(), 2);
        // whoever has the copy stays out of every chain, and is heard of all the same
        world.advance(Duration::from_secs(11));
        assert!(cookies(&goes(&stolen, "cross-site").await).is_empty());
        assert!(!is_open(&world, &kept).await);
        assert!(world.store.actions().contains(&"session.reuse".to_owned()));
        assert!(cookies(&goes(&sent_back(&cookies(&next)[1]), site).await).is_empty());
    }
}

#[tokio::test]
async fn a_token_that_no_browser_would_keep_is_none() {
    let world = World::with_jwt_cookie().await;
    let body = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
    let login = async || send(&world, Method::POST, "session/login", &[FORM, OWN], &body).await;
    person(&world, "ada").await;
    let reply = login().await;
    assert_eq!(cookies(&reply).len(), 2);
    assert!(cookies(&reply)[0].starts_with("__Host-session=ey"));
    let many: String = (0..63).map(|n| format!("orders:{n:053} ")).collect();
    let ada = principal(&world, "ada").await;
    let scopes = Some(ScopeSet::parse(many.trim()).unwrap());
    let change = PrincipalChange { scopes, ..PrincipalChange::default() };
    let (host, now) = (Caller::host(), world.clock.now());
    world.services.principals.change(&ada.id, None, change, &host, now).await.unwrap();
    let reply = login().await;
    assert_eq!((reply.status.as_u16(), cookies(&reply).len()), (303, 1));
    let set = &cookies(&reply)[0];
    assert!(set.starts_with("__Host-session=cs_session_"), "{set}");
    assert_eq!(mine(&world, ("cookie", &sent_back(set))).await, "ok");
    let shown = send(&world, Method::GET, "session/", &[("cookie", &sent_back(set))], "").await.expect(200);
    assert_eq!(
        shown["sessions"].as_array().unwrap().len(),
        2,
        "what was begun for nothing has ended: {shown}"
    );
}

#[tokio::test]
async fn signing_out_ends_a_session_by_whatever_is_left_of_it() {
    let world = World::new().await;
    person(&world, "ada").await;
    let session = |kept: &Kept| format!("__Host-session={}", kept.session);
    let refresh = |kept: &Kept| format!("__Host-refresh={}", kept.refresh);
    for (has_session, refreshes) in [(true, 1), (true, 0), (false, 1), (true, 2)] {
        let kept = kept(&world, "api.example.com", SessionKind::JwtCookie).await;
        let left = has_session.then(|| session(&kept)).into_iter();
        let cookie = left.chain(vec![refresh(&kept); refreshes]).collect::<Vec<_>>().join("; ");
        let out = send(&world, Method::POST, "session/logout", &[OWN, ("cookie", &cookie)], "").await;
        assert_eq!((out.status.as_u16(), is_open(&world, &kept).await), (204, false), "{cookie}");
    }
    // and so does signing in again
    let kept = kept(&world, "api.example.com", SessionKind::JwtCookie).await;
    let body = format!("username=ada&password={}", PASSWORD.replace(' ', "+"));
    let before = session(&kept);
    send(&world, Method::POST, "session/login", &[FORM, OWN, ("cookie", &before)], &body).await;
    assert!(!is_open(&world, &kept).await);
}
