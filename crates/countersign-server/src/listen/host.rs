//! The names a listener is called by (RULES 3.8): a page of a foreign origin whose name was pointed at us sends its
//! own name, and is refused before anything else is read.

use crate::problem::Problem;
use axum::body::Body;
use countersign_core::{RequestId, check::path::canonical_authority};
use countersign_tower::{attributes::admit_head, respond};
use http::{Response, StatusCode, request::Parts};
use std::sync::Arc;

/// Host names without port, canonical: lower case, no trailing dot, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostList(Option<Arc<[Box<str>]>>);

impl HostList {
    /// This machine's own names and those given. A name that cannot be one is the error.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut all: Vec<Box<str>> = Vec::new();
        for name in ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(names) {
            let canonical = canonical_authority(name).map_err(|_| format!("`{name}` is not a host name"))?;
            all.push(canonical.as_ref().into());
        }
        all.sort();
        all.dedup();
        Ok(Self(Some(all.into())))
    }

    /// Whatever it is called: for what says nothing that a page of a foreign origin must not read.
    pub fn any() -> Self {
        Self(None)
    }

    /// `authority` as received, with or without a port.
    fn contains(&self, authority: &str) -> bool {
        let Some(names) = &self.0 else { return true };
        canonical_authority(authority).is_ok_and(|host| names.iter().any(|h| **h == *host))
    }
}

/// What can be said of a request by its head alone; the answer, where it is refused. The layer that judges looks again;
/// the public face has none.
pub(super) fn admit(hosts: &HostList, parts: &Parts, id: RequestId) -> Result<(), Box<Response<Body>>> {
    let head = admit_head(parts).map_err(|error| Box::new(respond::head_error(error, parts.version, id)))?;
    if hosts.contains(head.authority()) {
        return Ok(());
    }
    let detail =
        "this listener is not called by that name; the configuration lists the names that it answers to";
    Err(Box::new(Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).render(id)))
}
