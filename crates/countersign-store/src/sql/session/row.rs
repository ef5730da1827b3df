//! One row of a session, and the record that it is.

use crate::sql::{
    dialect::{Failed, row},
    revocation::parse_nodes,
};
use countersign_core::{CredentialId, PrincipalId, ScopeSet, Timestamp};
use countersign_methods::session::record::{
    EndReason, RefreshFamily, SessionKind, SessionRecord, SessionState, TokenDigest,
};
use std::{net::IpAddr, sync::Arc, time::Duration};

row! { pub(super) SessionRow {
    id: String, principal: String, kind: String, host: String, scopes: String, audiences: String, parents: String,
    amr: String, authenticated_at: i64, created_at: i64, last_used_at: i64, idle: i64, expires_at: i64, agent: String,
    address: Option<String>, cookie: Option<Vec<u8>>, refresh_current: Option<Vec<u8>>,
    refresh_previous: Option<Vec<u8>>, refresh_sealed: Option<Vec<u8>>, refresh_generation: Option<i64>,
    refresh_rotated_at: Option<i64>, ended_at: Option<i64>, end_reason: Option<String>,
} }

macro_rules! columns { () => {
    "id, principal, kind, host, scopes, audiences, parents, amr, authenticated_at, created_at, last_used_at, idle, expires_at, agent, address, cookie, refresh_current, refresh_previous, refresh_sealed, refresh_generation, refresh_rotated_at, ended_at, end_reason"
} }
pub(super) use columns;
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM session ", $rest)
    };
}
pub(super) use select;

impl SessionRow {
    pub(super) fn into_record(self) -> Result<SessionRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of session `{}`", self.id));
        Ok(SessionRecord {
            principal: PrincipalId::parse(&self.principal).ok_or_else(|| unreadable("principal"))?,
            kind: SessionKind::parse(&self.kind).ok_or_else(|| unreadable("kind"))?,
            scopes: ScopeSet::parse(&self.scopes).ok_or_else(|| unreadable("scopes"))?,
            audiences: parse_words(&self.audiences).ok_or_else(|| unreadable("audiences"))?,
            parents: parse_nodes(&self.parents).ok_or_else(|| unreadable("parents"))?,
            idle: u64::try_from(self.idle).map(Duration::from_micros).map_err(|_| unreadable("idle"))?,
            address: match &self.address {
                None => None,
                Some(address) => Some(address.parse::<IpAddr>().map_err(|_| unreadable("address"))?),
            },
            cookie: match &self.cookie {
                None => None,
                Some(bytes) => Some(digest(bytes).ok_or_else(|| unreadable("cookie"))?),
            },
            refresh: self.refresh().ok_or_else(|| unreadable("refresh token"))?,
            state: self.state().ok_or_else(|| unreadable("state"))?,
            id: CredentialId::new(&self.id),
            authenticated_at: Timestamp::from_micros(self.authenticated_at),
            created_at: Timestamp::from_micros(self.created_at),
            last_used_at: Timestamp::from_micros(self.last_used_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            host: self.host,
            amr: self.amr,
            agent: self.agent,
        })
    }

    /// All of its columns, or none of them.
    fn refresh(&self) -> Option<Option<RefreshFamily>> {
        let (previous, sealed) = (&self.refresh_previous, &self.refresh_sealed);
        let (current, generation, rotated_at) =
            match (&self.refresh_current, self.refresh_generation, self.refresh_rotated_at) {
                (None, None, None) => return (previous.is_none() && sealed.is_none()).then_some(None),
                (current, generation, rotated_at) => (current.as_deref()?, generation?, rotated_at?),
            };
        let previous = match (previous, sealed) {
            (None, None) => None,
            (previous, sealed) => Some((digest(previous.as_deref()?)?, sealed.clone()?)),
        };
        let rotated_at = Timestamp::from_micros(rotated_at);
        Some(Some(RefreshFamily { current: digest(current)?, previous, generation, rotated_at }))
    }

    fn state(&self) -> Option<SessionState> {
        match (self.ended_at, self.end_reason.as_deref()) {
            (None, None) => Some(SessionState::Open),
            (at, reason) => Some(SessionState::Ended {
                at: Timestamp::from_micros(at?),
                reason: EndReason::parse(reason?)?,
            }),
        }
    }
}

fn digest(bytes: &[u8]) -> Option<TokenDigest> {
    bytes.try_into().ok().map(TokenDigest)
}

/// A JSON array of strings.
fn parse_words(text: &str) -> Option<Arc<[Arc<str>]>> {
    let words: Vec<String> = serde_json::from_str(text).ok()?;
    Some(words.into_iter().map(Arc::from).collect())
}

pub(super) fn write_words(words: &[Arc<str>]) -> String {
    serde_json::Value::from(words.iter().map(|word| word.to_string()).collect::<Vec<_>>()).to_string()
}
