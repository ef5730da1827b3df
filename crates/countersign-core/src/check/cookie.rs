//! Cookies, as far as a session needs them: the one value of a name over all `Cookie` lines (RFC 6265bis 4.2), and the
//! names that are ours on every host that takes sessions. Pure; allocates nothing.

use super::request::{HeaderView, One};
use http::header::COOKIE;

/// The first-party session of this host.
pub const SESSION: &str = "__Host-session";
/// What a form of a signed-in person must repeat.
pub const CSRF: &str = "__Host-countersign-csrf";
/// The refresh token. By its prefix no sibling host can set it, as it could with `__Secure-` (RFC 6265bis 4.1.3.2): whose it
/// is decides who is signed in.
pub const REFRESH: &str = "__Host-refresh";

/// What neither an upstream gets to see nor an answer of one may set (RULES 3.2, 3.4).
pub const OURS: [&str; 3] = [SESSION, CSRF, REFRESH];

/// What no upstream gets to see, also where a route shows it the credential: these are shown to us alone.
pub const NEVER_SHOWN: [&str; 2] = [CSRF, REFRESH];

/// RFC 6265bis 5.6: name and value together. No browser keeps a longer one, so whoever sends it is none.
pub const MAX_COOKIE: usize = 4096;

/// Bytes of cookies that are looked at. Who sends more has none.
pub const MAX_COOKIES: usize = 16 * 1024;

/// Two of one name are told apart by nobody: one of them may have been set by a sibling host (RULES 1.6), so to every caller
/// [`One::Doubled`] is as good as absent.
pub fn one<'r>(headers: &'r dyn HeaderView, name: &str) -> One<'r> {
    let mut found = One::Absent;
    let mut left = Some(MAX_COOKIES);
    headers.each(&COOKIE, &mut |line| {
        left = left.and_then(|left| left.checked_sub(line.len()));
        if left.is_none() {
            return;
        }
        for (_, value) in pairs(line).filter(|(own, _)| *own == name.as_bytes()) {
            found = match found {
                One::Absent => One::Single(value),
                One::Single(_) | One::Doubled => One::Doubled,
            };
        }
    });
    if left.is_some() { found } else { One::Absent }
}

/// Names and values of one line. Quotes are part of a value (RFC 6265bis 5.6). What has no `=` is a name without a value:
/// servers disagree about it, and so it counts beside one that has.
pub fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').map(pair)
}

/// `name=value`, with the space around either that browsers leave out and servers ignore.
pub fn pair(text: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = text.splitn(2, |byte| *byte == b'=');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (trimmed(name), trimmed(value))
}

/// Is this pair of one of those names? Case counts in the name of a cookie. A browser may store what has no name and send it back
/// as its value alone, which then reads as a cookie of the name that it begins with (RFC 6265bis 5.7, step 20).
pub fn is_one_of(names: &[&str], text: &[u8]) -> bool {
    let is_named = |name: &[u8]| names.iter().any(|own| own.as_bytes() == name);
    let (name, value) = pair(text);
    is_named(name) || (name.is_empty() && is_named(pair(value).0))
}

/// Does this `Set-Cookie` set one of ours?
pub fn sets_ours(line: &[u8]) -> bool {
    line.split(|byte| *byte == b';').next().is_some_and(|pair| is_one_of(&OURS, pair))
}

/// RFC 9110 5.6.3: optional white space.
fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}
