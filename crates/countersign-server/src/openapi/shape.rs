//! JSON Schema (draft 2020-12) in the few words that our documents need. Objects are closed: what is not said is not there.

use serde_json::{Map, Value, json};

pub(crate) fn string() -> Value {
    json!({"type": "string"})
}

pub(crate) fn boolean() -> Value {
    json!({"type": "boolean"})
}

pub(crate) fn integer(least: i64) -> Value {
    json!({"type": "integer", "minimum": least})
}

pub(crate) fn words(all: &[&str]) -> Value {
    json!({"type": "string", "enum": all})
}

pub(crate) fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

pub(crate) fn array(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

/// A list that is sent, of at most `most`.
pub(crate) fn few(items: Value, most: usize) -> Value {
    json!({"type": "array", "items": items, "maxItems": most})
}

pub(crate) fn defined(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

pub(crate) fn nullable(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

pub(crate) fn object(says: &str, required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let members: Map<String, Value> =
        required.iter().chain(optional).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "description": says,
        "properties": members,
        "required": names,
        "additionalProperties": false,
    })
}

/// A body that is sent: what may be left out may be `null` as well.
pub(crate) fn request(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let optional: Vec<(&str, Value)> =
        optional.iter().map(|(name, schema)| (*name, nullable(schema.clone()))).collect();
    let mut schema = object("", required, &optional);
    if let Some(members) = schema.as_object_mut() {
        members.remove("description");
        if required.is_empty() {
            members.remove("required");
        }
    }
    schema
}

/// RFC 3339.
pub(crate) fn time() -> Value {
    json!({"type": "string", "format": "date-time", "examples": ["2027-01-31T12:00:00Z"]})
}

/// `30s 15m 24h 90d 1y`, up to a century.
pub(crate) fn duration() -> Value {
    let bounded =
        "^([1-9][0-9]{0,8}s|[1-9][0-9]{0,6}m|[1-9][0-9]{0,4}h|[1-9][0-9]{0,3}d|([1-9][0-9]?|100)y)$";
    json!({"type": "string", "pattern": bounded, "examples": ["90d"]})
}

/// RFC 6749 3.3, bounded.
pub(crate) fn scope() -> Value {
    json!({"type": "string", "pattern": r"^[!#-\[\]-~]{1,128}$", "examples": ["orders:read"]})
}

/// A principal by its id or its name.
pub(crate) fn id_or_name() -> Value {
    json!({"type": "string", "minLength": 1, "examples": ["billing", "svc_4fQ2kZ81mXpA0000000a"]})
}
