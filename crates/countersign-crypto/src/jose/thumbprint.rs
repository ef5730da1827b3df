//! The name that a key has by itself (RFC 7638, RFC 8037 2): SHA-256 over its required members, in the order of their
//! names and without a space.

use super::base64url_of;
use crate::hash::sha256;

/// The values are base64url or names of curves: nothing in them is escaped in JSON.
pub(super) fn thumbprint(members: &[(&str, &str)]) -> String {
    let mut json = String::from("{");
    for (name, value) in members {
        if json.len() > 1 {
            json.push(',');
        }
        json.extend(["\"", name, "\":\"", value, "\""]);
    }
    json.push('}');
    base64url_of(&sha256(&[json.as_bytes()]))
}
