//! A token as somebody looks at it who asks what is wrong with it: of each part what can be read, whatever the others are.
//! Nothing is judged by it, and its signature is no part of it.

use super::{LONGEST_TOKEN, base64url, json};
use serde_json::{Map, Value};
use std::fmt;

/// Debug shows none of it.
#[derive(Clone, PartialEq, Default)]
pub struct Outline {
    /// `None`: not one JSON object in base64url.
    pub header: Option<Map<String, Value>>,
    pub claims: Option<Map<String, Value>>,
}

impl Outline {
    /// Of the first two parts. An encrypted token has no second one that says anything.
    pub fn of(token: &str) -> Self {
        if token.len() > LONGEST_TOKEN {
            return Self::default();
        }
        let part = |text: &str| json::object(&base64url(text)?).ok();
        let mut parts = token.splitn(3, '.');
        Self { header: parts.next().and_then(part), claims: parts.next().and_then(part) }
    }
}

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outline(..)")
    }
}
