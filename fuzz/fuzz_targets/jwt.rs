//! What a request shows to the room of signed tokens, what a token says, and the tokens of a session: no panic, nothing is found
//! that has another form, nothing is ours that bears no mark, and what is read is written again as it was.
#![no_main]

use countersign_core::{
    Place,
    check::request::{CheckRequest, Peer, Transport},
};
use countersign_crypto::{
    jose::{Algorithm, UnverifiedJwt},
    key::SigningKey,
    token::mark::MarkKeys,
};
use countersign_methods::{
    jwt::{
        claims,
        credential::{find, is_compact},
    },
    session::token::{SessionTokens, TokenKind},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, COOKIE},
    uri::PathAndQuery,
};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static TOKENS: LazyLock<SessionTokens> = LazyLock::new(|| {
    let marks = MarkKeys::new(vec![(1, [7; 32])]).expect("one key");
    SessionTokens::new("cs", Arc::new(marks)).expect("a word")
});

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519).expect("a key"));

fuzz_target!(|data: &[u8]| {
    let bearer = [b"Bearer ".as_slice(), data].concat();
    let cookie = [b"__Host-session=".as_slice(), data].concat();
    judge(&[(AUTHORIZATION, data)]);
    judge(&[(AUTHORIZATION, &bearer)]);
    judge(&[(COOKIE, data)]);
    judge(&[(COOKIE, &cookie)]);
    // two fields, one of which may be the other's end
    let (one, two) = data.split_at(data.len() / 2);
    judge(&[(COOKIE, &cookie), (COOKIE, one)]);
    judge(&[(COOKIE, &cookie), (AUTHORIZATION, two)]);

    for kind in [TokenKind::Cookie, TokenKind::Refresh] {
        let word: &[u8] = match kind {
            TokenKind::Cookie => b"cs_session_",
            TokenKind::Refresh => b"cs_refresh_",
        };
        assert!(TOKENS.read(kind, data).is_none(), "nobody marked this");
        assert!(TOKENS.read(kind, &[word, data].concat()).is_none(), "nobody marked this");
    }

    say(data);
});

/// Claims that our own key signed, whatever they are.
fn say(claims: &[u8]) {
    let signed = format!("{}.{}", base64url(br#"{"alg":"Ed25519","typ":"at+jwt"}"#), base64url(claims));
    let signature = KEY.sign(signed.as_bytes()).expect("it signs");
    let text = format!("{signed}.{}", base64url(&signature));
    let Ok(unverified) = UnverifiedJwt::parse(&text) else { return };
    let verified = unverified.verify(KEY.verifying_key()).expect("it was signed");
    if let Ok(token) = claims::read(verified.claims()) {
        assert!(!token.audiences.is_empty());
        assert_eq!(claims::read(&claims::write(&token)), Ok(token));
    }
}

fn judge(fields: &[(HeaderName, &[u8])]) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(name, value);
    }
    let request = CheckRequest {
        method: &Method::GET,
        authority: "localhost",
        target: &PathAndQuery::from_static("/"),
        headers: &headers,
        peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
    };
    let without = find(&request, false);
    assert!(without.is_none_or(|shown| shown.place == Place::Authorization));
    let Some(shown) = find(&request, true) else {
        assert!(without.is_none());
        return;
    };
    assert!(shown.value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)));
    match shown.place {
        Place::Authorization => assert!(is_compact(shown.value) && without == Some(shown)),
        _ => {
            assert!(shown.place == Place::Cookie && shown.value.len() <= 4096);
            assert!(!headers.contains_key(AUTHORIZATION), "a cookie beside `Authorization` (RULES 1.6)");
        }
    }
}

/// RFC 4648 5 without padding, written anew: the decoder under test is not asked.
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for n in 0..=chunk.len() as u32 {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]));
        }
    }
    out
}
