//! Whose page asks (RULES 1.6)? At every door that a cookie opens, or that sets one, only a page of this very host counts.

use crate::{call::Facts, problem::Problem};
use countersign_core::check::origin::{self, Asking};
use http::{HeaderName, Method, StatusCode};

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

impl Facts {
    /// Its person goes there, from a page of this very host or by themselves, and the browser keeps what it is answered: no other
    /// site sent it, it does not look ahead, and it asks for more than the head.
    pub(super) fn is_own_navigation(&self) -> bool {
        self.method() == Method::GET
            && !self.headers().contains_key(SEC_PURPOSE)
            && origin::is_own_navigation(self.headers())
    }

    /// As the judgement asks it of a session; here no other origin is listed.
    pub(crate) fn demand_own_page(&self) -> Result<(), Problem> {
        let authority = self.authority().unwrap_or_default();
        let asking = Asking { headers: self.headers(), authority, transport: self.peer.transport };
        if asking.is_vouched_for(|_| false) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "a cookie is set, and counts, only where a page of this very host asks: the browser must say \
             `Sec-Fetch-Site: same-origin`, or an `Origin` that is this host; a program leaves cookies out",
        ))
    }
}
