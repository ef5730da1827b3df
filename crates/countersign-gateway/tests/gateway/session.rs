//! What a browser's session is at the data plane: a cookie that only we set, read and pass by.

use crate::support::{Act, KEY, OK, Rig, Upstream, code, fields, needs, routes, status};
use countersign_core::{
    MethodName, MethodRule, ScopeSet,
    check::route::{Alternative, Route, SecurityRequirement},
};

/// `/page/*` with a session.
fn page() -> Route {
    let session = Alternative(vec![(MethodName::Jwt, ScopeSet::default())]);
    let mut page = Route::new("/page/*", "api", SecurityRequirement::AnyOf(vec![session]));
    let rule = MethodRule { cookies: true, sign_in: true, ..MethodRule::DEFAULT };
    page.presentation = vec![(MethodName::Jwt, rule)];
    page
}

/// RULES 3.2: on every route, also where the route did not name the method; the others go on as they came.
#[tokio::test]
async fn rules_3_2_our_cookies_stay_here() {
    let mut forwarding = Route::new("/forward/*", "api", needs(""));
    forwarding.forward_credential = true;
    let mut all = routes();
    all.push(forwarding);
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, all, |_| {}).await;
    let rows: &[(&[&str], &[&str])] = &[
        (&["a=b"], &["a=b"]),
        (&["a=\"b c\",;  d;=e; f=__Host-session"], &["a=\"b c\",;  d;=e; f=__Host-session"]),
        (&["__Host-session=secret"], &[]),
        (&["__Host-session=secret; a=b"], &["a=b"]),
        (&["a=b; __Host-session=secret"], &["a=b"]),
        (&["a=b; __Host-session=secret; c=\"d\";e=f"], &["a=b; c=\"d\";e=f"]),
        (&["__Host-refresh=secret; a=b; __Host-countersign-csrf=secret"], &["a=b"]),
        (&["__Host-session=secret; __Host-session=secret"], &[]),
        (&["a=b", "__Host-session=secret", "c=d; __Host-refresh=secret"], &["a=b; c=d"]),
        (&[" __Host-session = secret ;a=b"], &["a=b"]),
        (&["a=b; =__Host-session=secret"], &["a=b"]),
        (&["__host-session=a; __Host-sessions=b"], &["__host-session=a; __Host-sessions=b"]),
    ];
    for target in ["/a", "/open/a"] {
        for (lines, expected) in rows {
            let cookies: String = lines.iter().map(|line| format!("Cookie: {line}\r\n")).collect();
            assert_eq!(status(&rig.get(target, &cookies).await), 200, "{lines:?}");
            let got = rig.upstream.requests().pop().unwrap();
            assert_eq!(got.field("cookie"), *expected, "{target} {lines:?}");
            assert!(!got.text().contains("secret"), "{target} {lines:?}");
        }
    }
    // where the credential is shown, what is for us alone is not
    let cookies = "Cookie: __Host-session=a; __Host-refresh=secret; b=c; __Host-countersign-csrf=secret\r\n";
    assert_eq!(status(&rig.get("/forward/a", cookies).await), 200);
    let got = rig.upstream.requests().pop().unwrap();
    assert_eq!(got.field("cookie"), ["__Host-session=a; b=c"]);
    assert!(!got.text().contains("secret"));
}

/// RULES 3.4: no upstream gives or takes a session, whichever part of its answer it says so in.
#[tokio::test]
async fn rules_3_4_no_upstream_sets_a_cookie_of_ours() {
    let planted = "Set-Cookie: __Host-session=evil; Path=/; Secure\r\nSet-Cookie: own=1; Path=/\r\n\
                   set-cookie: __Host-refresh=evil; Max-Age=0\r\nSet-Cookie: =__Host-session=evil\r\n\
                   Set-Cookie: __Host-countersign-csrf=evil\r\nSet-Cookie: __Host-other=2; Path=/; Secure\r\n";
    let head = "Transfer-Encoding: chunked\r\nTrailer: set-cookie\r\n";
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n{planted}\r\n\
         HTTP/1.1 200 OK\r\n{head}{planted}\r\n2\r\nok\r\n0\r\n{planted}X-Trailer: 1\r\n\r\n"
    );
    let rig = Rig::scripted(move |_| Act::answer(&answer)).await;
    for target in ["/a", "/open/a"] {
        let mut client = rig.connect().await;
        client.write(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{KEY}TE: trailers\r\n\r\n")).await;
        let (early, answer) = (client.answer().await, client.answer().await);
        assert_eq!((status(&early), status(&answer)), (103, 200), "{early}{answer}");
        for told in [&early, &answer] {
            assert!(!told.contains("evil"), "{told}");
            assert_eq!(fields(told, "set-cookie"), ["own=1; Path=/", "__Host-other=2; Path=/; Secure"]);
        }
        assert!(answer.contains("x-trailer: 1"), "{answer}");
    }
}

#[tokio::test]
async fn a_person_is_sent_to_the_login_page() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, vec![page()], |_| {}).await;
    let browser = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let answer = rig.get("/page/./a?b=c", browser).await;
    assert_eq!(status(&answer), 303, "{answer}");
    let login = "/.countersign/session/login?return_to=%2Fpage%2Fa%3Fb%3Dc";
    assert_eq!(fields(&answer, "location"), [login]);
    assert_eq!(fields(&answer, "cache-control"), ["no-store"]);
    assert!(fields(&answer, "www-authenticate").is_empty(), "{answer}");
    assert_eq!(fields(&answer, "countersign-request-id").len(), 1);
    let program = rig.get("/page/a", "").await;
    assert_eq!((status(&program), &*code(&program)), (401, "credential_missing"));
    assert!(rig.upstream.requests().is_empty());

    let alice = countersign_testkit::principal("robot", "");
    rig.fixture.room(MethodName::Jwt).good("alice", &alice.id, "");
    let answer = rig.get("/page/a", &format!("{browser}Cookie: a=b; __Host-session=alice\r\n")).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(fields(&answer, "vary"), ["cookie"]);
    assert_eq!(rig.upstream.only().field("cookie"), ["a=b"]);
}
