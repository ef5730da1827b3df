//! Who calls: users and services. What they may do are scopes; groups are labels that go upstream and grant nothing.

use crate::word::word;
use crate::{Timestamp, identifiers::PrincipalId, scope::ScopeSet};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    User,
    Service,
}

impl PrincipalKind {
    pub fn as_str(self) -> &'static str {
        match self {
            PrincipalKind::User => "user",
            PrincipalKind::Service => "service",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(PrincipalKind::User),
            "service" => Some(PrincipalKind::Service),
            _ => None,
        }
    }

    /// The prefix of the ids of this kind.
    pub fn prefix(self) -> &'static str {
        match self {
            PrincipalKind::User => "usr_",
            PrincipalKind::Service => "svc_",
        }
    }
}

/// What people call it: unique per store, 1 to 64 of `a-z 0-9 . _ -` and `@`, first a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrincipalName(Arc<str>);

/// A label: 1 to 64 of `A-Z a-z 0-9 . _ : -`, so that every header preset carries it unchanged (RULES 3.3).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(Arc<str>);

impl PrincipalName {
    pub fn parse(text: &str) -> Option<Self> {
        let first = text.bytes().next()?;
        let word = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@');
        let fits = text.len() <= 64 && (first.is_ascii_lowercase() || first.is_ascii_digit());
        (fits && text.bytes().all(word)).then(|| Self(text.into()))
    }
}

impl PrincipalName {
    /// Of one whom nobody gave a name: its id in lower case.
    pub fn of_id(id: &PrincipalId) -> Self {
        Self(id.as_str().to_ascii_lowercase().into())
    }
}

impl Group {
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(word)).then(|| Self(text.into()))
    }
}

word!(PrincipalName, Group);

/// What the store keeps of a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub id: PrincipalId,
    pub kind: PrincipalKind,
    pub name: PrincipalName,
    pub scopes: ScopeSet,
    pub groups: Vec<Group>,
    pub enabled: bool,
    /// Raised by every change; a write names the version it read.
    pub version: i64,
    pub created_at: Timestamp,
}
