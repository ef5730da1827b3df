//! The facts of one request, borrowed. A door (reverse proxy, forward-auth, tower layer) fills it in.

use super::origin::is_navigation;
use http::{HeaderName, Method, uri::PathAndQuery};
use std::{fmt, net::IpAddr};

/// What must stand once, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum One<'r> {
    Absent,
    Single(&'r [u8]),
    /// More than one.
    Doubled,
}

/// Headers as the judgement reads them: from an `http::HeaderMap`, from Envoy's map, or from a parse buffer.
pub trait HeaderView: fmt::Debug + Sync {
    fn one(&self, name: &HeaderName) -> One<'_>;
    /// Shows every field line of this name, in order: for a field that may come in several (`Cookie`, RFC 9113 8.2.3).
    fn each<'r>(&'r self, name: &HeaderName, visit: &mut dyn FnMut(&'r [u8]));
}

impl HeaderView for http::HeaderMap {
    fn one(&self, name: &HeaderName) -> One<'_> {
        let mut values = self.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => One::Absent,
            (Some(value), None) => One::Single(value.as_bytes()),
            (Some(_), Some(_)) => One::Doubled,
        }
    }

    fn each<'r>(&'r self, name: &HeaderName, visit: &mut dyn FnMut(&'r [u8])) {
        self.get_all(name).iter().for_each(|value| visit(value.as_bytes()));
    }
}

/// All field lines of a head, names in lower case: as bytes, because that is how they come.
pub trait FieldLines {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

impl FieldLines for http::HeaderMap {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
    }
}

/// How the request reached us, which decides whether a credential in it may be looked at (RULES 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tls,
    /// Plain, but it never left this machine; or a trusted peer says it came in by TLS.
    PlainTrusted,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Of the caller, mapped addresses unmapped; behind a trusted peer the one it names.
    pub address: IpAddr,
    pub transport: Transport,
}

#[derive(Debug, Clone, Copy)]
pub struct CheckRequest<'r> {
    pub method: &'r Method,
    /// As received: the one Host field or `:authority`. Made canonical by the check.
    pub authority: &'r str,
    /// As received, in origin-form. Made canonical by the check.
    pub target: &'r PathAndQuery,
    pub headers: &'r dyn HeaderView,
    pub peer: Peer,
}

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

impl CheckRequest<'_> {
    /// A person's browser on its way to a page (Fetch Metadata).
    pub fn is_navigation(&self) -> bool {
        is_navigation(self.headers)
    }

    /// The same, and the page takes the window's place: no frame, in which nobody should be asked for a password.
    pub(super) fn takes_the_window(&self) -> bool {
        let dest = self.headers.one(&SEC_FETCH_DEST);
        self.is_navigation() && matches!(dest, One::Absent | One::Single(b"document"))
    }
}
