//! JSON (RFC 8259), narrower: valid UTF-8, no member twice, at most eight levels deep.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// No body of ours needs more than three.
const DEPTH: u8 = 8;

#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// Anything else that is a number; nothing here takes one.
    Fraction,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Bodies carry secrets: only the shape is shown.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

impl Json {
    /// For `must be .., not ..`.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Integer(_) => "a number",
            Json::Fraction => "a number with a fraction or out of range",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// The whole text, or why not: with line and column, never with the text itself.
pub(crate) fn parse(text: &[u8]) -> Result<Json, String> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err("the body is empty where a JSON object must stand".into());
    }
    let text = std::str::from_utf8(text)
        .map_err(|e| format!("the body is not UTF-8: byte {} breaks it", e.valid_up_to()))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed(DEPTH).deserialize(&mut deserializer).map_err(|e| told(&e))?;
    deserializer.end().map_err(|e| told(&e))?;
    Ok(value)
}

fn told(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof => {
            format!("the body ends in the middle of its JSON, at line {line} column {column}")
        }
        // only our own words reach this category: see `Tree`
        serde_json::error::Category::Data => format!("the body is refused: {error}"),
        _ => format!("the body is not JSON: line {line} column {column}"),
    }
}

struct Seed(u8);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Tree(self.0))
    }
}

/// The levels that may still open.
struct Tree(u8);

impl Tree {
    fn deeper<E: serde::de::Error>(&self) -> Result<u8, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom(format!("nested deeper than {DEPTH} levels")))
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Fraction, Json::Integer))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Json, E> {
        Ok(Json::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Seed(depth))? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let depth = self.deeper()?;
        let mut all: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            // RFC 8259 4: names within an object SHOULD be unique; two readers of one document must not differ
            if !seen.insert(name.clone()) {
                let shown = crate::problem::quoted(&name).to_string();
                return Err(A::Error::custom(format!("member {shown} stands twice")));
            }
            let value = entries.next_value_seed(Seed(depth))?;
            all.push((name, value));
        }
        Ok(Json::Object(all))
    }
}
