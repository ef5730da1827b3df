//! `Authorization: Basic`: no panic, one spelling for one pair, and nothing in it that RFC 7617 forbids.
#![no_main]

use countersign_core::check::request::{CheckRequest, Peer, Transport};
use countersign_methods::basic::credential::{LONGEST, decode, find};
use http::{HeaderMap, HeaderValue, Method, header::AUTHORIZATION, uri::PathAndQuery};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    judge(data);
    // whatever it is, encoded it must come back or be refused for what is in it
    let encoded = base64(data);
    let mut buffer = [0; LONGEST];
    if let Ok(found) = decode(encoded.as_bytes(), &mut buffer) {
        assert_eq!([found.user, found.password].join(":").as_bytes(), data);
    }
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_bytes(data).map(|value| (AUTHORIZATION, value)));
    let target = PathAndQuery::from_static("/");
    let request = CheckRequest {
        method: &Method::GET,
        authority: "localhost",
        target: &target,
        headers: &headers,
        peer: Peer { address: [127, 0, 0, 1].into(), transport: Transport::Tls },
    };
    if let Ok(Some(encoded)) = find(&request) {
        judge(encoded);
    }
});

fn judge(encoded: &[u8]) {
    let mut buffer = [0; LONGEST];
    let Ok(found) = decode(encoded, &mut buffer) else { return };
    let whole = [found.user, found.password].join(":");
    assert!(!found.user.contains(':') && !whole.bytes().any(|b| b < 0x20 || b == 0x7f));
    assert_eq!(base64(whole.as_bytes()).as_bytes(), encoded, "two spellings of one pair");
}

/// RFC 4648 4, written anew: the decoder under test is not asked.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for n in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * n) & 63) as usize];
            text.push(if n > chunk.len() as u32 { '=' } else { char::from(digit) });
        }
    }
    text
}
