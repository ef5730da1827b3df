//! standards M.2 rule 4, RULES 2.2 and 2.3: one canonical form, or none.

use crate::check::path::{
    AuthorityError, MAX_PATH, MAX_QUERY, PathError, canonical_authority, canonical_target, host_and_port,
    is_canonical, spelled_host, without_parameters,
};
use http::uri::PathAndQuery;
use proptest::prelude::*;

fn canonical(target: &str) -> Result<String, PathError> {
    // http itself refuses what no target can hold
    let target = PathAndQuery::try_from(target).map_err(|_| PathError::Character)?;
    canonical_target(&target).map(|c| c.as_str().to_owned())
}

#[test]
fn m2_4_canonical_forms() {
    let rows = [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/A/b", "/A/b"),
        ("/a?b=c%2fd", "/a?b=c%2fd"),
        ("/a?", "/a?"),
        ("/a?b=/../c//d;e", "/a?b=/../c//d;e"),
        ("/%61%2D%7e", "/a-~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%3fb%20c", "/a%3Fb%20c"),
        ("//a///b//", "/a/b/"),
        ("/./a/./b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/%2e%2e/c", "/a/c"),
        ("/a/%2E/b", "/a/b"),
        ("/a//../b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/b..", "/..a/b.."),
        ("/...", "/..."),
        ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
    ];
    for (target, expected) in rows {
        assert_eq!(canonical(target).as_deref(), Ok(expected), "{target}");
    }
}

/// Every way that another reader could see another path.
#[test]
fn m2_4_corpus_of_attacks() {
    let rows = [
        // an encoded slash or backslash is data here and a delimiter upstream
        ("/n/public/..%2fadmin", PathError::Hidden),
        ("/public%2F..%2Fadmin", PathError::Hidden),
        ("/public%5c..%5cadmin", PathError::Hidden),
        ("/a\\b", PathError::Character),
        ("/..\\admin", PathError::Character),
        // decoded twice
        ("/%252e%252e/admin", PathError::Hidden),
        ("/%25%32%66", PathError::Hidden),
        ("/a%", PathError::Escape),
        ("/a%2", PathError::Escape),
        ("/a%zz", PathError::Escape),
        ("/%%30%30", PathError::Escape),
        ("/%u002e/", PathError::Escape),
        // NUL and control characters cut or split
        ("/admin%00.png", PathError::Hidden),
        ("/admin%0d%0aX:%20y", PathError::Hidden),
        ("/admin%09", PathError::Hidden),
        ("/admin%7f", PathError::Hidden),
        // path parameters
        ("/admin;x", PathError::Parameters),
        ("/admin;/", PathError::Parameters),
        ("/..;/admin", PathError::Parameters),
        ("/admin%3bx", PathError::Hidden),
        // above the root
        ("/..", PathError::Climbs),
        ("/a/../../admin", PathError::Climbs),
        ("/%2e%2e/admin", PathError::Climbs),
        // overlong and broken UTF-8
        ("/%c0%af", PathError::NotUtf8),
        ("/%c0%ae%c0%ae/", PathError::NotUtf8),
        ("/%e0%80%af", PathError::NotUtf8),
        ("/%ff", PathError::NotUtf8),
        ("/%ed%a0%80", PathError::NotUtf8),
        ("/%c3", PathError::NotUtf8),
        // beyond RFC 3986
        ("/é", PathError::Character),
        ("/a|b", PathError::Character),
        ("/a\"b", PathError::Character),
        ("/{a}", PathError::Character),
        ("/a^b", PathError::Character),
        // not a path
        ("*", PathError::NotOrigin),
        ("?a=b", PathError::NotOrigin),
        // the query keeps its grammar
        ("/a?b=%", PathError::Escape),
        ("/a?b=%g0", PathError::Escape),
        ("/a?b=é", PathError::Character),
    ];
    for (target, expected) in rows {
        assert_eq!(canonical(target), Err(expected), "{target}");
    }
    assert_eq!(canonical(&format!("/{}", "a".repeat(MAX_PATH))), Err(PathError::TooLong));
    assert_eq!(canonical(&format!("/?{}", "a".repeat(MAX_QUERY + 1))), Err(PathError::TooLong));
}

/// RULES 2.3: where somebody else forwards, only the canonical form may be judged.
#[test]
fn rule_2_3_tells_canonical_from_not() {
    for (target, expected) in [
        ("/a/b?c", true),
        ("/a//b", false),
        ("/%61", false),
        ("/%c3%a9", false),
        ("/%C3%A9", true),
        ("/..", false),
    ] {
        assert_eq!(is_canonical(&PathAndQuery::try_from(target).unwrap()), expected, "{target}");
    }
}

proptest! {
    /// Idempotent, and free of everything that it promises to be free of.
    #[test]
    fn m2_4_idempotent(target in r"/([a-zA-Z0-9./~_-]|%2[Ee]|%[0-9a-fA-F]{2}|//|\.\./|/\./|%c3%a9|;){0,24}(\?[ -~]{0,10})?") {
        let Ok(target) = PathAndQuery::try_from(target.as_str()) else { return Ok(()) };
        let Ok(once) = canonical_target(&target) else { return Ok(()) };
        let twice = canonical_target(&once).unwrap();
        prop_assert_eq!(twice.as_str(), once.as_str());
        let path = once.path();
        prop_assert!(!path.contains("//") && !path.contains("/./") && !path.contains("/../") && !path.contains(';'));
        prop_assert!(!path.ends_with("/..") && !path.ends_with("/."));
        prop_assert_eq!(once.query(), target.query());
    }

    /// Two spellings that a decoder reads alike are judged alike.
    #[test]
    fn m2_4_spellings_of_one_path_are_one(path in "(/[a-z0-9._~-]{1,6}){1,4}", escape in proptest::collection::vec(any::<bool>(), 32)) {
        let escaped: String = path.chars().zip(escape).map(|(c, escape)| {
            if escape && c != '/' { format!("%{:02x}", c as u32) } else { c.to_string() }
        }).collect();
        prop_assume!(escaped.len() >= path.len());
        prop_assert_eq!(canonical(&escaped), canonical(&path));
    }

    #[test]
    fn an_authority_is_read_alike_in_one_pass(
        authority in r"([a-z0-9A-Z_-]{0,3}[a-z0-9.]{0,5}\.?|[a-z.]{60,70}|\[[0-9a-f:]{0,5}\]|x@){0,5}(:[0-9a-z+@]{0,6})?",
    ) {
        prop_assert_eq!(host_and_port(&authority), spelled_host(&authority));
    }

    #[test]
    fn authority_idempotent(authority in r"[a-zA-Z0-9.:_\[\]@%-]{0,24}") {
        if let Ok(once) = canonical_authority(&authority) {
            prop_assert_eq!(canonical_authority(&once), Ok(once.clone()));
            prop_assert!(!once.contains('@') && !once.ends_with('.'));
        }
    }
}

/// RULES 2.2
#[test]
fn rule_2_2_authority() {
    let good = [
        ("example.com", "example.com", None),
        ("Example.COM.", "example.com", None),
        ("example.com:8443", "example.com", Some(8443)),
        ("example.com.:443", "example.com", Some(443)),
        ("127.0.0.1:1", "127.0.0.1", Some(1)),
        ("[::1]:8443", "[::1]", Some(8443)),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]", None),
        ("my_service", "my_service", None),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
    ];
    for (authority, host, port) in good {
        assert_eq!(host_and_port(authority), Ok((host.into(), port)), "{authority}");
    }
    let bad = [
        ("", AuthorityError::Empty),
        (".", AuthorityError::Host),
        ("a..b", AuthorityError::Host),
        ("example.com..", AuthorityError::Host),
        ("user@example.com", AuthorityError::Userinfo),
        ("example.com@evil.example", AuthorityError::Userinfo),
        ("example.com:", AuthorityError::Port),
        ("example.com:+80", AuthorityError::Port),
        ("example.com:65536", AuthorityError::Port),
        ("example.com:80:80", AuthorityError::Port),
        ("example.com/admin", AuthorityError::Host),
        ("exa mple.com", AuthorityError::Host),
        ("ex%61mple.com", AuthorityError::Host),
        ("a,b", AuthorityError::Host),
        ("::1", AuthorityError::Port),
        ("[::1", AuthorityError::Host),
        ("[::1]x", AuthorityError::Host),
        ("[fe80::1%25eth0]", AuthorityError::Host),
        ("127.1", AuthorityError::Host),
        ("0x7f.1", AuthorityError::Host),
        ("0x7f000001", AuthorityError::Host),
        ("2130706433", AuthorityError::Host),
        ("*.example.com", AuthorityError::Host),
    ];
    for (authority, expected) in bad {
        assert_eq!(host_and_port(authority), Err(expected), "{authority}");
    }
    assert_eq!(canonical_authority(&"a.".repeat(200)), Err(AuthorityError::Host));
    assert_eq!(canonical_authority(&"a".repeat(64)), Err(AuthorityError::Host));
}

/// RULES 3.2: the credential's parameter goes, whatever its spelling; the others stay as they were.
#[test]
fn rule_3_2_query_credentials_are_cut_out() {
    let rows = [
        ("/a?key=s", "/a"),
        ("/a?key=s&b=1", "/a?b=1"),
        ("/a?b=1&key=s&c=%2f", "/a?b=1&c=%2f"),
        ("/a?key=s&key=t", "/a"),
        ("/a?%6bey=s&b", "/a?b"),
        ("/a?key", "/a"),
        ("/a?keys=1&akey=2&Key=3", "/a?keys=1&akey=2&Key=3"),
        ("/a?b=key=s", "/a?b=key=s"),
        ("/a?", "/a?"),
        ("/a", "/a"),
    ];
    for (target, expected) in rows {
        let cut = without_parameters(PathAndQuery::try_from(target).unwrap(), &["key".into()]);
        assert_eq!(cut.as_str(), expected, "{target}");
    }
}
