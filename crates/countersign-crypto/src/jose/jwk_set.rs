//! Keys as an issuer publishes them (RFC 7517 5). Members that do not fit are left out, each with its reason (5: a set
//! may hold what a reader does not understand); what two keys could mean, none of them does.

use super::{Algorithm, JsonError, Jwk, JwkError, VerifyingKey, json};
use crate::secret::SecretBytes;
use serde_json::Value;
use std::fmt;

/// In bytes.
pub const LONGEST_JWK_SET: usize = 256 * 1024;
const MOST_KEYS: usize = 64;

/// At least one key.
#[derive(Debug)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    skipped: Vec<Skipped>,
    /// One secret between two: a `kid` says nothing then.
    is_secret: bool,
}

/// A member that is no key here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// As far as it is one.
    pub kid: Option<String>,
    pub why: WhySkipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhySkipped {
    #[error("{0}")]
    Key(#[from] JwkError),
    #[error("another key has the same `kid`, and which of them is meant cannot be told")]
    SameKeyId,
    #[error("{0} more than 64 keys, which is as many as are looked at")]
    Beyond(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    #[error("a set of keys is longer than 262144 bytes")]
    TooLong,
    #[error("a set of keys cannot be taken: {0}")]
    Json(#[from] JsonError),
    #[error("a set of keys has no list `keys` (RFC 7517 5.1)")]
    NoList,
    #[error("a set of keys holds none that can be used{}", told(.0))]
    NoKey(Vec<Skipped>),
}

/// Why a token's key was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// A new key may have come since.
    Unknown,
    /// The token has no `kid`, and not exactly one key is of its algorithm.
    Unnamed,
    /// The key of that name is of another algorithm.
    OtherAlgorithm,
}

impl JwkSet {
    /// Whatever a set of public keys holds, HS256 is never among them.
    pub fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, JwkSetError> {
        if bytes.len() > LONGEST_JWK_SET {
            return Err(JwkSetError::TooLong);
        }
        let set = json::object(bytes)?;
        let members = set.get("keys").and_then(Value::as_array).ok_or(JwkSetError::NoList)?;
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for member in members.iter().take(MOST_KEYS) {
            match of(member, allowed) {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(Skipped { kid: kid_of(member), why: why.into() }),
            }
        }
        if let Some(more) = members.len().checked_sub(MOST_KEYS).filter(|more| *more > 0) {
            skipped.push(Skipped { kid: None, why: WhySkipped::Beyond(more) });
        }
        let keys = without_same_names(keys, &mut skipped);
        if keys.is_empty() {
            return Err(JwkSetError::NoKey(skipped));
        }
        Ok(Self { keys, skipped, is_secret: false })
    }

    /// For HS256 alone: what was configured by hand.
    pub fn secret(secret: SecretBytes) -> Result<Self, JwkError> {
        let key = VerifyingKey::secret(secret)?;
        Ok(Self { keys: vec![Jwk { kid: None, key }], skipped: Vec::new(), is_secret: true })
    }

    /// The `kid` to the letter. Without one there must be no choice.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&VerifyingKey, NoKey> {
        let Some(kid) = kid.filter(|_| !self.is_secret) else {
            let mut fitting = self.keys.iter().filter(|jwk| jwk.key.algorithm() == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(jwk), None) => Ok(&jwk.key),
                _ => Err(NoKey::Unnamed),
            };
        };
        let jwk = self.keys.iter().find(|jwk| jwk.kid.as_deref() == Some(kid)).ok_or(NoKey::Unknown)?;
        if jwk.key.algorithm() == algorithm { Ok(&jwk.key) } else { Err(NoKey::OtherAlgorithm) }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

/// `3 keys, 1 skipped: ..`
impl fmt::Display for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = if self.keys.len() == 1 { "key" } else { "keys" };
        write!(f, "{} {keys}", self.keys.len())?;
        if !self.skipped.is_empty() {
            write!(f, ", {} skipped{}", self.skipped.len(), told(&self.skipped))?;
        }
        Ok(())
    }
}

fn of(member: &Value, allowed: &[Algorithm]) -> Result<Jwk, JwkError> {
    Jwk::of(member.as_object().ok_or(JwkError::Json(JsonError::NotAnObject))?, allowed)
}

fn kid_of(member: &Value) -> Option<String> {
    member.get("kid")?.as_str().filter(|kid| kid.len() <= super::LONGEST_KEY_ID).map(str::to_owned)
}

fn without_same_names(keys: Vec<Jwk>, skipped: &mut Vec<Skipped>) -> Vec<Jwk> {
    let names: Vec<Option<String>> = keys.iter().map(|jwk| jwk.kid.clone()).collect();
    let is_shared =
        |kid: &Option<String>| kid.is_some() && names.iter().filter(|name| *name == kid).count() > 1;
    let (shared, own): (Vec<Jwk>, Vec<Jwk>) = keys.into_iter().partition(|jwk| is_shared(&jwk.kid));
    skipped.extend(shared.into_iter().map(|jwk| Skipped { kid: jwk.kid, why: WhySkipped::SameKeyId }));
    own
}

/// The first few: a log has lines.
fn told(skipped: &[Skipped]) -> String {
    const SHOWN: usize = 4;
    let mut text = String::new();
    for (n, Skipped { kid, why }) in skipped.iter().take(SHOWN).enumerate() {
        text.push_str(if n == 0 { ": " } else { "; " });
        match kid {
            // escaped: it is the issuer's to choose
            Some(kid) => text.push_str(&format!("{kid:?}: {why}")),
            None => text.push_str(&why.to_string()),
        }
    }
    if skipped.len() > SHOWN {
        text.push_str("; ..");
    }
    text
}
