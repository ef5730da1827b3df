//! As TOML, each line with where its value came from.

use crate::config::Origins;
use serde_json::{Map, Value};
use std::fmt::Write;

/// `configuration`: what [`effective`](super::effective) says.
pub fn to_toml(configuration: &Value, origins: &Origins) -> String {
    let mut text = String::new();
    for (name, value) in configuration.as_object().into_iter().flatten() {
        section(name, name, value, origins, &mut text);
    }
    text
}

/// `[name]`, or `[[name]]` for each; `path` is where the file would say it.
fn section(name: &str, path: &str, value: &Value, origins: &Origins, text: &mut String) {
    match value {
        Value::Object(members) => table(&format!("[{name}]"), name, path, members, origins, text),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                let Value::Object(members) = item else { continue };
                table(&format!("[[{name}]]"), name, &format!("{path}[{n}]"), members, origins, text);
            }
        }
        _ => {}
    }
}

fn table(
    head: &str,
    name: &str,
    path: &str,
    members: &Map<String, Value>,
    origins: &Origins,
    text: &mut String,
) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "{head}");
    let (tables, plain): (Vec<_>, Vec<_>) = members.iter().partition(|(key, _)| is_section(name, key));
    for (key, value) in plain {
        let origin = origins.of(&format!("{path}.{key}"));
        let _ = writeln!(text, "{key} = {}  # {origin}", inline(value));
    }
    for (key, value) in tables {
        section(&format!("{name}.{key}"), &format!("{path}.{key}"), value, origins, text);
    }
}

/// Long lists of tables get their own heads; what is small stands in one line, as people write it.
fn is_section(name: &str, key: &str) -> bool {
    name == "gateway" && key == "listeners"
}

/// In quotation marks where it must be (TOML, keys).
fn name(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { key.to_owned() } else { toml::Value::String(key.to_owned()).to_string() }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let pairs: Vec<String> =
                members.iter().map(|(key, value)| format!("{} = {}", name(key), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        // numbers and truth values are written alike
        other => other.to_string(),
    }
}
