//! Whose page asks (RULES 1.6)? At every door that a cookie opens, or that sets one, only a page of this very host counts.

use crate::{call::Facts, problem::Problem};
use countersign_core::check::origin::Asking;
use http::StatusCode;

impl Facts {
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
