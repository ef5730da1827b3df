//! Whose page asks (RULES 1.6)? At every door that a cookie opens, or that sets one, only a page of this very host counts.

use crate::{call::Facts, problem::Problem};
use countersign_core::check::request::{HeaderView, One, Transport};
use http::{HeaderName, StatusCode, header::ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Facts {
    /// The browser says that its own page asks: by `Sec-Fetch-Site`, or, where that is missing, by `Origin`.
    pub(crate) fn demand_own_page(&self) -> Result<(), Problem> {
        let own = match self.headers().one(&SEC_FETCH_SITE) {
            One::Single(site) => site == b"same-origin" && self.origin_is_own().unwrap_or(true),
            One::Absent => self.origin_is_own() == Some(true),
            One::Doubled => false,
        };
        if own {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "a cookie is set, and counts, only where a page of this very host asks: the browser must say \
             `Sec-Fetch-Site: same-origin`, or an `Origin` that is this host; a program leaves cookies out",
        ))
    }

    /// `None`: it does not say.
    fn origin_is_own(&self) -> Option<bool> {
        let origin = match self.headers().one(&ORIGIN) {
            One::Absent => return None,
            One::Doubled => return Some(false),
            One::Single(origin) => origin,
        };
        let schemes: &[&[u8]] = match self.peer.transport {
            Transport::Tls => &[b"https://"],
            Transport::PlainTrusted => &[b"https://", b"http://"],
            Transport::Plain => &[],
        };
        let authority = self.authority().unwrap_or_default().as_bytes();
        Some(schemes.iter().any(|scheme| origin.strip_prefix(*scheme) == Some(authority)))
    }
}
