//! Where a claim stands: `scope`, `realm_access.roles`, `"https://example.com/roles"."read"`.

use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// At least one name, and at most eight.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimPath(Arc<[Box<str>]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimPathError {
    #[error("names no claim, or an empty one")]
    Empty,
    #[error("goes deeper than 8 names")]
    TooDeep,
    #[error("has a name that is longer than 256 bytes")]
    TooLong,
    #[error(
        "has a quotation mark that does not begin or end a name; names with full stops in them are said as `\"https://example.com/roles\".\"x\"`"
    )]
    Quote,
}

impl ClaimPath {
    pub fn parse(text: &str) -> Result<Self, ClaimPathError> {
        const DEEPEST: usize = 8;
        const LONGEST: usize = 256;
        let mut names: Vec<Box<str>> = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = next(rest)?;
            match name.len() {
                0 => return Err(ClaimPathError::Empty),
                1..=LONGEST => names.push(name.into()),
                _ => return Err(ClaimPathError::TooLong),
            }
            let Some(after) = after else { return Ok(Self(names.into())) };
            if names.len() == DEEPEST {
                return Err(ClaimPathError::TooDeep);
            }
            rest = after;
        }
    }

    /// One claim, by its name.
    pub(super) fn of(name: &str) -> Self {
        Self([name.into()].into())
    }

    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", |name| name)
    }

    /// What stands there. `null` is as good as nothing.
    pub fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let (first, rest) = self.0.split_first()?;
        let mut value = claims.get(&**first)?;
        for name in rest {
            value = value.as_object()?.get(&**name)?;
        }
        (!value.is_null()).then_some(value)
    }
}

/// The first name, and what comes after its full stop.
fn next(text: &str) -> Result<(&str, Option<&str>), ClaimPathError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, after) = quoted.split_once('"').ok_or(ClaimPathError::Quote)?;
        return match after.strip_prefix('.') {
            Some(after) => Ok((name, Some(after))),
            None if after.is_empty() => Ok((name, None)),
            None => Err(ClaimPathError::Quote),
        };
    }
    let (name, after) = match text.split_once('.') {
        Some((name, after)) => (name, Some(after)),
        None => (text, None),
    };
    if name.contains('"') { Err(ClaimPathError::Quote) } else { Ok((name, after)) }
}

/// As it is parsed.
impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            let dot = if n == 0 { "" } else { "." };
            let quote = if name.contains('.') { "\"" } else { "" };
            write!(f, "{dot}{quote}{name}{quote}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
