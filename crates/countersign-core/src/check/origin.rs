//! Whose page asks (RULES 1.6)? What browsers say of it: `Sec-Fetch-Site` (Fetch Metadata) and `Origin` (RFC 6454 7). Pure; asked by
//! the judgement, and by whatever sets a cookie or reads one itself.

use super::request::{HeaderView, One, Transport};
use http::{HeaderName, header::ORIGIN};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request as far as that hangs on it.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'r> {
    pub headers: &'r dyn HeaderView,
    /// Canonical.
    pub authority: &'r str,
    pub transport: Transport,
}

/// A person's browser on its way to a page, from a page of this host, or because they typed it or have it among their bookmarks.
pub fn is_own_navigation(headers: &dyn HeaderView) -> bool {
    is_navigation(headers) && matches!(headers.one(&SEC_FETCH_SITE), One::Single(b"same-origin" | b"none"))
}

pub(super) fn is_navigation(headers: &dyn HeaderView) -> bool {
    headers.one(&SEC_FETCH_MODE) == One::Single(b"navigate")
}

impl Asking<'_> {
    /// The browser says that it is another's.
    pub fn is_foreign(&self, is_listed: impl Fn(&[u8]) -> bool) -> bool {
        let from_elsewhere = match self.headers.one(&SEC_FETCH_SITE) {
            One::Absent => false,
            One::Single(site) => !matches!(site, b"same-origin" | b"none"),
            One::Doubled => true,
        };
        match self.headers.one(&ORIGIN) {
            One::Absent => from_elsewhere,
            One::Single(origin) if is_listed(origin) => false,
            One::Single(origin) => from_elsewhere || !self.is_own(origin),
            One::Doubled => true,
        }
    }

    /// The browser says that it is ours, or listed: by a listed origin, or by ours where nothing else in the request says
    /// otherwise. Saying nothing is not enough.
    pub fn is_vouched_for(&self, is_listed: impl Fn(&[u8]) -> bool) -> bool {
        let site = self.headers.one(&SEC_FETCH_SITE);
        let is_same = site == One::Single(b"same-origin");
        match self.headers.one(&ORIGIN) {
            One::Absent => is_same,
            One::Single(origin) if is_listed(origin) => site != One::Doubled,
            One::Single(origin) => self.is_own(origin) && (is_same || site == One::Absent),
            One::Doubled => false,
        }
    }

    fn is_own(&self, origin: &[u8]) -> bool {
        let schemes: &[&[u8]] = match self.transport {
            Transport::Tls => &[b"https://"],
            // behind a trusted peer the caller came by TLS, and on this machine by either
            Transport::PlainTrusted => &[b"https://", b"http://"],
            Transport::Plain => &[b"http://"],
        };
        // neither has a default port: RFC 6454 6.2, and the canonical authority
        let authority = self.authority.as_bytes();
        schemes.iter().any(|scheme| origin.strip_prefix(*scheme) == Some(authority))
    }
}
