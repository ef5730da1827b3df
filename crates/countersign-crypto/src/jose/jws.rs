//! A token of our own: compact, with `alg`, `kid` and `typ` in its header and nothing else.

use super::base64url_of;
use crate::key::{SigningKey, SigningKeyError};
use serde_json::{Map, Value, json};

/// The `kid` is the key's thumbprint.
pub fn sign(key: &SigningKey, typ: &str, claims: &Map<String, Value>) -> Result<String, SigningKeyError> {
    let public = key.verifying_key();
    let header = json!({ "alg": public.algorithm().name(), "kid": public.thumbprint(), "typ": typ });
    let mut token = base64url_of(header.to_string().as_bytes());
    token.push('.');
    token.push_str(&base64url_of(&serde_json::to_vec(claims).map_err(|_| SigningKeyError::Library)?));
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url_of(&signature));
    Ok(token)
}
