//! Finding a key in a request (RULES 2.1, 4.3; RFC 6750 2).

use super::{House, formats, stranger};
use crate::api_key::record::Environment;
use base64::{Engine, engine::general_purpose::STANDARD};
use countersign_core::{
    Authenticator, Found, MethodRule, Place,
    authenticator::{CacheKey, Fault},
    check::request::{CheckRequest, Peer, Transport},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use proptest::prelude::*;

fn rule(header: Option<&'static str>, query: Option<&str>) -> MethodRule {
    MethodRule {
        header: header.map(HeaderName::from_static),
        query: query.map(Into::into),
        ..MethodRule::DEFAULT
    }
}

type Fields<'a> = &'a [(&'static str, &'a [u8])];

enum Answer {
    Absent,
    Bad(Fault, &'static str),
    Good(Place, Vec<u8>, CacheKey),
}

fn ask(house: &House, headers: Fields<'_>, target: &str, rule: &MethodRule) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let target: PathAndQuery = target.parse().unwrap();
    let request = CheckRequest {
        method: &Method::GET,
        authority: "localhost",
        target: &target,
        headers: &map,
        peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
    };
    match house.authenticator.find(&request, rule) {
        Found::Absent => Answer::Absent,
        Found::Bad(r) => Answer::Bad(r.fault, r.code),
        Found::Present(p) => Answer::Good(p.place, p.credential.to_vec(), p.cache_key.unwrap()),
    }
}

#[track_caller]
fn bad(house: &House, headers: Fields<'_>, target: &str, rule: &MethodRule, status: u16, code: &str) {
    let expected = if status == 400 { Fault::Malformed } else { Fault::Invalid };
    match ask(house, headers, target, rule) {
        Answer::Bad(fault, got) => assert_eq!((fault, got), (expected, code)),
        Answer::Absent => panic!("absent instead of {status} {code}"),
        Answer::Good(..) => panic!("good instead of {status} {code}"),
    }
}

/// RULES 2.1: well-formed and not good is 401, before anybody is asked.
#[test]
fn a_bad_shape_is_invalid_without_a_lookup() {
    let house = House::new();
    let (_, key) = house.key();
    let reads = house.store.reads.load(std::sync::atomic::Ordering::Relaxed);
    let mut wrong_sum = key.clone().into_bytes();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let long = vec![b'a'; 8000];
    let other = stranger(Environment::Test);
    let longer = [key.as_bytes(), b"0"].concat();
    let renamed = [&b"xy"[..], &key.as_bytes()[2..]].concat();
    let shapes: [&[u8]; 9] = [
        b"",
        b"x",
        b"cs_live_",
        &key.as_bytes()[..key.len() - 1],
        &longer,
        &wrong_sum,
        &long,
        &renamed,
        other.as_bytes(),
    ];
    for shape in &shapes {
        bad(&house, &[("x-api-key", shape)], "/", &rule(None, None), 401, "credential_invalid");
        bad(&house, &[("x-mine", shape)], "/", &rule(Some("x-mine"), None), 401, "credential_invalid");
    }
    for shape in &shapes[2..6] {
        let bearer = [b"Bearer ", *shape].concat();
        bad(&house, &[("authorization", &bearer)], "/", &rule(None, None), 401, "credential_invalid");
    }
    assert_eq!(house.store.reads.load(std::sync::atomic::Ordering::Relaxed), reads);
}

/// RULES 2.1: a field that breaks its grammar is 400.
#[test]
fn what_is_no_text_is_malformed() {
    let house = House::new();
    let (_, key) = house.key();
    for byte in [0xff_u8, 0x80, b'\t', b' '] {
        let mut value = key.clone().into_bytes();
        value[30] = byte;
        bad(&house, &[("x-api-key", &value)], "/", &rule(None, None), 400, "credential_malformed");
    }
    for value in [&b"\xff\xfe"[..], b"Bearer \xff", b"cs_live_abc", b"Bearer"] {
        bad(&house, &[("authorization", value)], "/", &rule(None, None), 400, "credential_malformed");
    }
}

/// RULES 4.3: one environment per gateway; the other's keys are bad, not absent.
#[test]
fn the_other_environment_is_bad_everywhere() {
    let house = House::new();
    let other = stranger(Environment::Test);
    let bearer = format!("Bearer {other}");
    bad(&house, &[("authorization", bearer.as_bytes())], "/", &rule(None, None), 401, "credential_invalid");
    bad(&house, &[], &format!("/?key={other}"), &rule(None, Some("key")), 401, "credential_invalid");
    let reason = formats().parse(other.as_bytes()).unwrap_err().reason;
    assert_eq!(reason, "the key is of the other environment");
}

/// RFC 6750 2: one way of sending it. Two of anything are 400, also where they are equal.
#[test]
fn two_are_none() {
    let house = House::new();
    let (_, key) = house.key();
    let (key, bearer) = (key.as_bytes(), format!("Bearer {key}"));
    let bearer = bearer.as_bytes();
    let query = format!("/?key={}", std::str::from_utf8(key).unwrap());
    let all = rule(Some("x-mine"), Some("key"));
    let doubled: [(Fields<'_>, &str); 10] = [
        (&[("x-api-key", key), ("x-api-key", key)], "/"),
        (&[("x-api-key", b""), ("x-api-key", key)], "/"),
        (&[("authorization", bearer), ("authorization", bearer)], "/"),
        (&[("authorization", b"Basic eDp5"), ("authorization", bearer)], "/"),
        (&[("x-mine", key), ("x-mine", key)], "/"),
        (&[("authorization", bearer), ("x-api-key", key)], "/"),
        (&[("authorization", bearer), ("x-api-key", b"")], "/"),
        (&[("x-api-key", key), ("x-mine", key)], "/"),
        (&[("x-api-key", key)], &query),
        (&[("authorization", bearer)], &query),
    ];
    for (headers, target) in doubled {
        bad(&house, headers, target, &all, 400, "credential_doubled");
    }
    let twice = format!("{query}&key=x");
    bad(&house, &[], &twice, &all, 400, "credential_doubled");
    let hidden = format!("{query}&k%65y=x");
    bad(&house, &[], &hidden, &all, 400, "credential_doubled");
}

/// Whatever reads the URL after us must find the key under the same spelling.
#[test]
fn an_escaped_query_is_malformed() {
    let house = House::new();
    let (_, key) = house.key();
    let rule = rule(None, Some("key"));
    let escaped = format!("%63{}", &key[1..]);
    for target in [
        format!("/?key={escaped}"),
        format!("/?key={key}%"),
        format!("/?key=+{key}"),
        format!("/?k%65y={key}"),
        format!("/?%6B%65%79={key}"),
        "/?key=%ff".to_string(),
    ] {
        bad(&house, &[], &target, &rule, 400, "credential_malformed");
    }
    for target in ["/?key=", "/?key", "/?a=b&key=x", "/?key=x=y"] {
        bad(&house, &[], target, &rule, 401, "credential_invalid");
    }
}

#[test]
fn what_is_not_for_this_room_is_absent() {
    let house = House::new();
    let (_, key) = house.key();
    let absent: [(Fields<'_>, &str, MethodRule); 9] = [
        (&[], "/", rule(None, None)),
        (&[("authorization", b"Basic eDp5")], "/", rule(None, None)),
        (&[("authorization", b"Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln")], "/", rule(None, None)),
        // RULES 1.4: an access token of ours is oauth's
        (&[("authorization", b"Bearer cs_at_abc")], "/", rule(None, None)),
        (&[("authorization", b"Digest cs_live_abc")], "/", rule(None, None)),
        // a header and a parameter that this route does not name
        (&[("x-mine", key.as_bytes())], "/", rule(None, None)),
        (&[], "/?key=cs_live_x", rule(None, None)),
        (&[], "/?other=1&keys=2&ke=3", rule(None, Some("key"))),
        (&[], "/key=1", rule(None, Some("key"))),
    ];
    for (n, (headers, target, rule)) in absent.iter().enumerate() {
        assert!(matches!(ask(&house, headers, target, rule), Answer::Absent), "row {n}");
    }
}

#[test]
fn a_good_key_is_found_in_every_place() {
    let house = House::new();
    let (_, key) = house.key();
    let all = rule(Some("x-mine"), Some("key"));
    let spaced = format!("bEaReR   {key}");
    let bearer = format!("Bearer {key}");
    let query = format!("/a?x=1&key={key}&y=%20");
    let found: [(Fields<'_>, &str, Place); 5] = [
        (&[("authorization", bearer.as_bytes())], "/", Place::Authorization),
        (&[("authorization", spaced.as_bytes())], "/", Place::Authorization),
        (&[("x-api-key", key.as_bytes())], "/?key2=1", Place::Header),
        (&[("x-mine", key.as_bytes())], "/", Place::Header),
        (&[("authorization", b"Basic eDp5")], &query, Place::Query),
    ];
    let mut keys = Vec::new();
    for (headers, target, place) in found {
        let Answer::Good(at, credential, cache_key) = ask(&house, headers, target, &all) else {
            panic!("not found at {place:?}")
        };
        assert_eq!((at, credential.as_slice()), (place, key.as_bytes()));
        keys.push((place, cache_key));
    }
    // RULES 1.1: the place is part of the cache key, and nothing but place and credential tells two apart here.
    for (a, b) in keys.iter().flat_map(|a| keys.iter().map(move |b| (a, b))) {
        assert_eq!(a.0 == b.0, a.1 == b.1);
    }
}

/// RULES 1.1: other credentials, other processes and other configurations have other cache keys.
#[test]
fn cache_keys_differ() {
    let (house, other_process) = (House::new(), House::new());
    let (_, one) = house.key();
    let (_, two) = house.key();
    let of =
        |house: &House, key: &str| match ask(house, &[("x-api-key", key.as_bytes())], "/", &rule(None, None))
        {
            Answer::Good(_, _, cache_key) => cache_key,
            _ => panic!("not found"),
        };
    assert_eq!(of(&house, &one), of(&house, &one));
    assert_ne!(of(&house, &one), of(&house, &two));
    // the fakes' entropy is a sequence: the same process key, and so the same fingerprints
    assert_eq!(of(&house, &one), of(&other_process, &one));
}

/// `Authorization` as a route's own header would be read twice; it is read once, as `Authorization`.
#[test]
fn the_usual_places_are_not_read_twice() {
    let house = House::new();
    let (_, key) = house.key();
    let bearer = format!("Bearer {key}");
    for (own, name, value) in
        [("authorization", "authorization", bearer.as_str()), ("x-api-key", "x-api-key", key.as_str())]
    {
        let answer = ask(&house, &[(name, value.as_bytes())], "/", &rule(Some(own), None));
        assert!(matches!(answer, Answer::Good(..)), "{own}");
    }
}

fn in_password(user: &str, password: &str) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes()
}

fn as_password() -> MethodRule {
    MethodRule { keys_as_passwords: true, ..MethodRule::DEFAULT }
}

/// For clients that know nothing but a user name and a password: only where the route says so.
#[test]
fn a_key_in_a_passwords_place() {
    let house = House::new();
    let (_, key) = house.key();
    let rule = as_password();
    for user in ["", "x", "alice", "älice"] {
        let field = in_password(user, &key);
        match ask(&house, &[("authorization", &field)], "/", &rule) {
            Answer::Good(place, credential, _) => {
                assert_eq!((place, credential.as_slice()), (Place::Password, &field[6..]), "`{user}`");
            }
            _ => panic!("no key for `{user}`"),
        }
        let unasked = ask(&house, &[("authorization", &field)], "/", &MethodRule::DEFAULT);
        assert!(matches!(unasked, Answer::Absent), "`{user}`");
    }
    // a person's password is none of this room's, nor is a key that stands as the user name
    for (user, password) in
        [("alice", "pw"), ("alice", ""), (&*key, ""), (&*key, "x"), ("", &*format!("x{key}"))]
    {
        let field = in_password(user, password);
        let found = ask(&house, &[("authorization", &field)], "/", &rule);
        assert!(matches!(found, Answer::Absent), "{user}:{password}");
    }
}

#[test]
fn a_bad_key_in_a_passwords_place() {
    let house = House::new();
    let (_, key) = house.key();
    let rule = as_password();
    let mut mistyped = key.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == 'a' { 'b' } else { 'a' });
    let other = stranger(Environment::Test);
    let spaced = format!("{key} ");
    for password in [&mistyped, &other, "cs_live_", &key[..30], &format!("{key}{key}"), &format!("{key}:x")] {
        let field = in_password("x", password);
        bad(&house, &[("authorization", &field)], "/", &rule, 401, "credential_invalid");
    }
    bad(&house, &[("authorization", &in_password("x", &spaced))], "/", &rule, 400, "credential_malformed");
    // two of them
    let field = in_password("x", &key);
    let twice: [Fields<'_>; 3] = [
        &[("authorization", &field), ("x-api-key", key.as_bytes())],
        &[("authorization", &field), ("x-api-key", b"rubbish")],
        &[("authorization", &field), ("authorization", &field)],
    ];
    for fields in twice {
        bad(&house, fields, "/", &rule, 400, "credential_doubled");
    }
    let with_query = MethodRule { query: Some("key".into()), ..rule.clone() };
    let target = format!("/?key={key}");
    bad(&house, &[("authorization", &field)], &target, &with_query, 400, "credential_doubled");
    // RFC 7617 2 is this room's grammar, too
    for broken in ["Basic !", "Basic YQ==", "Basic Y", "Basic YWxpY2U6cABw", "Basic YWxpY2U65A=="] {
        let fields: Fields<'_> = &[("authorization", broken.as_bytes())];
        bad(&house, fields, "/", &rule, 400, "credential_malformed");
    }
}

/// RULES 1.1: the yes of one place is none of another; the user name says nothing and is no part of it.
#[test]
fn a_key_in_a_passwords_place_is_remembered_as_that() {
    let house = House::new();
    let (_, key) = house.key();
    let rule = as_password();
    let of = |name: &'static str, value: &[u8]| match ask(&house, &[(name, value)], "/", &rule) {
        Answer::Good(_, _, key) => key,
        _ => panic!("no key in {name}"),
    };
    let bearer = format!("Bearer {key}");
    let password = of("authorization", &in_password("x", &key));
    assert_ne!(password, of("x-api-key", key.as_bytes()));
    assert_ne!(password, of("authorization", bearer.as_bytes()));
    assert_eq!(password, of("authorization", &in_password("y", &key)));
    let (_, other) = house.key();
    assert_ne!(password, of("authorization", &in_password("x", &other)));
}

proptest! {
    /// Whatever stands in the three places: an answer, and never a good one without the checksum.
    #[test]
    fn finding_never_panics(
        authorization in proptest::collection::vec(any::<u8>(), 0..80),
        own in proptest::collection::vec(any::<u8>(), 0..80),
        query in "[ -~]{0,60}",
    ) {
        let house = House::new();
        let clean = |v: &[u8]| v.iter().map(|b| if *b < 0x20 || *b == 0x7f { b'x' } else { *b }).collect::<Vec<u8>>();
        let target = format!("/?{query}");
        prop_assume!(target.parse::<PathAndQuery>().is_ok());
        let answer = ask(
            &house,
            &[("authorization", &clean(&authorization)), ("x-api-key", &clean(&own))],
            &target,
            &rule(None, Some("key")),
        );
        prop_assert!(!matches!(answer, Answer::Good(..)));
    }
}
