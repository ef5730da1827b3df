use super::*;
use crate::config::{ConfigError, Environment, parse, report::Report, walk};
use crate::private_file;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const MAXIMAL: &str = include_str!("maximal.toml");

/// A folder with a configuration `c.toml` that says everything, and the files that it names.
pub(in crate::config) fn maximal() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pem", "a.key", "b.pem", "b.key", "more.toml"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    std::fs::write(folder.path().join("keys.json"), "{}").unwrap();
    private_file::write(&folder.path().join("hs256.secret"), b"a secret of 32 bytes, or of more\n").unwrap();
    std::fs::write(folder.path().join("c.toml"), MAXIMAL).unwrap();
    folder
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// Follows references.
fn resolved<'s>(schema: &'s Value, root: &'s Value) -> &'s Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolved(root.pointer(reference.strip_prefix('#').unwrap()).unwrap(), root),
        None => schema,
    }
}

/// The part of draft 2020-12 that the schema uses, and nothing else.
fn accepts(schema: &Value, root: &Value, value: &Value) -> bool {
    let known = [
        "$schema",
        "$id",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "type",
        "enum",
        "pattern",
        "minLength",
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
        "items",
        "minItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
    ];
    schema.as_object().unwrap().iter().all(|(keyword, says)| {
        assert!(known.contains(&keyword.as_str()), "{keyword}");
        let object = value.as_object();
        let list = |says: &Value| says.as_array().unwrap().clone();
        let passing = |says: &Value| list(says).iter().filter(|one| accepts(one, root, value)).count();
        let number = value.as_i64().map(i128::from);
        let bound = || says.as_i64().map(i128::from).unwrap();
        match keyword.as_str() {
            "$ref" => accepts(resolved(schema, root), root, value),
            "type" => match says.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                other => panic!("{other}"),
            },
            "enum" => list(says).contains(value),
            // the only one
            "pattern" => value.as_str().is_none_or(|text| text.contains("${")),
            "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
            "properties" => object.is_none_or(|object| {
                says.as_object()
                    .unwrap()
                    .iter()
                    .all(|(key, of)| object.get(key).is_none_or(|v| accepts(of, root, v)))
            }),
            "required" => object
                .is_none_or(|object| list(says).iter().all(|key| object.contains_key(key.as_str().unwrap()))),
            "additionalProperties" => object.is_none_or(|object| {
                let named = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
                object.iter().filter(|(key, _)| !named.contains_key(*key)).all(|(_, value)| match says {
                    Value::Bool(taken) => *taken,
                    of => accepts(of, root, value),
                })
            }),
            "minProperties" => object.is_none_or(|object| !object.is_empty()),
            "items" => {
                value.as_array().is_none_or(|items| items.iter().all(|item| accepts(says, root, item)))
            }
            "minItems" => value.as_array().is_none_or(|items| !items.is_empty()),
            "minimum" => number.is_none_or(|number| number >= bound()),
            "maximum" => number.is_none_or(|number| number <= bound()),
            "anyOf" => passing(says) > 0,
            "oneOf" => passing(says) == 1,
            _ => true,
        }
    })
}

fn is_good(value: &Value) -> bool {
    let root = schema();
    accepts(&root, &root, value)
}

fn toml(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Value>(text).unwrap()).unwrap()
}

/// As the program reads it.
fn read(folder: &Path, value: &Value) -> Result<(), ConfigError> {
    let text = toml::to_string(value).unwrap();
    parse(&folder.join("c.toml"), &text, &Environment::default()).map(drop)
}

/// Every table that the reader knows, with its keys, is one of the schema with the same keys: no more and no less.
#[test]
fn the_schema_has_the_keys_that_the_reader_knows() {
    let folder = maximal();
    let file = folder.path().join("c.toml");
    // one certificate here and several there, and the other way about
    let one = "certificate = \"a.pem\", key = \"a.key\"";
    let other = MAXIMAL.replacen(
        &format!("{{ {one}, client_"),
        &format!("{{ certificates = [{{ {one} }}], client_"),
        1,
    );
    let (head, rest) = other.split_once("certificates = [\n").unwrap();
    let other =
        format!("{head}certificate = \"a.pem\"\nkey = \"a.key\"\n{}", rest.split_once("]\n").unwrap().1);
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for text in [MAXIMAL, &other] {
        let report = Report::new(&file, text);
        assert!(walk(&file, text, &Environment::default(), &report).is_some(), "{text}");
        for (path, keys) in report.shapes.take() {
            known.entry(path).or_default().extend(keys);
        }
    }
    // read before the walk
    known.get_mut("").unwrap().insert("include".to_owned());
    // alternatives have the names of methods, the requirements whatever names they are given
    known.retain(|path, _| !path.starts_with("security."));
    let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    collect(&schema(), &schema(), "", &mut said);
    assert_eq!(known, said);
}

/// The tables with fixed keys.
fn collect(part: &Value, root: &Value, path: &str, said: &mut BTreeMap<String, BTreeSet<String>>) {
    let part = resolved(part, root);
    if let Some(properties) = part.get("properties").and_then(Value::as_object) {
        if path != "routes.security" {
            assert_eq!(part.get("additionalProperties"), Some(&json!(false)), "{path}");
            said.entry(path.to_owned()).or_default().extend(properties.keys().cloned());
        }
        for (key, of) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            collect(of, root, &path, said);
        }
    }
    for inner in
        part.get("items").into_iter().chain(part.get("anyOf").and_then(Value::as_array).into_iter().flatten())
    {
        collect(inner, root, path, said);
    }
}

/// A pointer to everything in a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, v)| pointers(v, &format!("{at}/{key}"), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, v)| pointers(v, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// Whatever is put in whatever place: what the reader takes the schema takes, and what is of another kind, unknown or
/// missing neither does.
#[test]
fn the_schema_has_the_kinds_that_the_reader_takes() {
    let folder = maximal();
    let mut whole = toml(MAXIMAL);
    // read before the walk, and proved elsewhere
    whole.as_object_mut().unwrap().remove("include");
    read(folder.path(), &whole).unwrap();
    assert!(is_good(&whole));
    let mut all = Vec::new();
    pointers(&whole, "", &mut all);
    let (mut good, mut bad) = (0, 0);
    let mut compare = |value: &Value, what: &str| {
        let (read, said) = (read(folder.path(), value), is_good(value));
        match read {
            Ok(()) => {
                good += 1;
                assert!(said, "the reader takes {what}, the schema does not");
            }
            Err(error) => {
                let shape = |problem: &crate::config::Problem| {
                    let said = &problem.message;
                    said.starts_with("must be ") && !said.starts_with("must be 1 to")
                        || said.starts_with("no such key")
                        || said.as_str() == "is missing"
                        || said.starts_with("is a list")
                };
                if error.problems.iter().any(shape) {
                    bad += 1;
                    assert!(!said, "the reader does not take {what}, the schema does: {error}");
                }
            }
        }
    };
    for pointer in all.iter().filter(|pointer| !pointer.is_empty()) {
        for other in [
            json!(true),
            json!(7),
            json!("text"),
            json!([]),
            json!({}),
            json!(["text"]),
            json!([{}]),
            json!(-1),
        ] {
            let mut value = whole.clone();
            *value.pointer_mut(pointer).unwrap() = other.clone();
            compare(&value, &format!("{other} at {pointer}"));
        }
        let (above, key) = pointer.rsplit_once('/').unwrap();
        let mut value = whole.clone();
        if let Some(Value::Object(members)) = value.pointer_mut(above) {
            members.remove(key);
            compare(&value, &format!("no {pointer}"));
        }
        let mut value = whole.clone();
        if let Some(Value::Object(members)) = value.pointer_mut(pointer) {
            members.insert("colour".to_owned(), json!("red"));
            compare(&value, &format!("a colour at {pointer}"));
        }
    }
    assert!(good > 100 && bad > 500, "{good} {bad}");
}

/// What we hand out and document.
#[test]
fn what_is_good_is_good_for_the_schema() {
    for text in [
        crate::config::tests::SMALL.to_owned(),
        crate::config::tests::signed_in(),
        include_str!("../../commands/starter.toml").to_owned(),
        include_str!("../../../../../docs/reference/configuration.md")
            .split("```toml")
            .nth(1)
            .unwrap()
            .split("```")
            .next()
            .unwrap()
            .to_owned(),
        crate::config::tests::SMALL.replace("[\"GET\"]", "[\"GET\"]\ncache = \"${env:CACHE}\""),
    ] {
        assert!(is_good(&toml(&text)), "{text}");
    }
    assert!(!is_good(&Value::Object(Map::new())));
    let wrong = toml(include_str!("../../../tests/it/config/bad.toml"));
    assert!(!is_good(&wrong));
}

/// What the schema says of the place that a pointer into a configuration names, alternatives side by side.
fn located<'s>(part: &'s Value, root: &'s Value, path: &[&str]) -> Vec<&'s Value> {
    let part = resolved(part, root);
    let inner = part.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<&Value> = inner.flat_map(|one| located(one, root, path)).collect();
    match path {
        [] => found.push(part),
        [first, rest @ ..] => {
            let named = part.get("properties").and_then(|properties| properties.get(*first));
            let item = part.get("items").filter(|_| first.parse::<usize>().is_ok());
            found.extend(named.into_iter().chain(item).flat_map(|next| located(next, root, rest)));
        }
    }
    found
}

/// Choices and ranges: the reader lists them where it refuses something, and the schema has the same.
#[test]
fn the_schema_has_the_choices_and_ranges_of_the_reader() {
    let folder = maximal();
    let mut whole = toml(MAXIMAL);
    whole.as_object_mut().unwrap().remove("include");
    let root = schema();
    let mut all = Vec::new();
    pointers(&whole, "", &mut all);
    let (mut choices, mut ranges) = (0, 0);
    for pointer in all.iter().filter(|pointer| !pointer.is_empty()) {
        let path: Vec<&str> = pointer.split('/').skip(1).collect();
        let at = located(&root, &root, &path);
        for odd in [json!("no-such-choice"), json!(-1)] {
            let mut value = whole.clone();
            if std::mem::discriminant(value.pointer(pointer).unwrap()) != std::mem::discriminant(&odd) {
                continue;
            }
            *value.pointer_mut(pointer).unwrap() = odd;
            let Err(error) = read(folder.path(), &value) else { continue };
            for problem in &error.problems {
                if let Some((_, listed)) = problem.message.split_once("` is not one of ") {
                    let listed: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
                    let said = at.iter().find_map(|part| part.get("enum")?.as_array());
                    let said: Vec<&str> =
                        said.unwrap().iter().map(|choice| choice.as_str().unwrap()).collect();
                    assert_eq!(listed, said, "{pointer}");
                    choices += 1;
                }
                if let Some((least, most)) =
                    problem.message.strip_prefix("must be from ").and_then(|range| range.split_once(" to "))
                {
                    let said = |bound| at.iter().find_map(|part| part.get(bound)?.as_u64());
                    assert_eq!(said("minimum"), least.parse().ok(), "{pointer}");
                    // where it is no limit but the number's own
                    let most: u64 = most.parse().unwrap();
                    assert_eq!(said("maximum"), Some(most).filter(|most| *most < u64::MAX >> 1), "{pointer}");
                    ranges += 1;
                }
            }
        }
    }
    assert!(choices >= 15 && ranges >= 16, "{choices} {ranges}");
}

/// The methods that a route may ask for.
#[test]
fn the_schema_has_the_methods_of_this_release() {
    for method in countersign_core::MethodName::ALL {
        let text = crate::config::tests::signed_in().replace("jwt", method.as_str());
        let text = text.replace("[sessions]", "[sessions]\naudiences = [\"https://api.example.com\"]");
        let taken = parse(Path::new("c.toml"), &text, &Environment::default()).is_ok();
        assert_eq!(is_good(&toml(&text)), taken, "{}", method.as_str());
    }
}
