//! The environment: `COUNTERSIGN__SECTION__KEY` over the file, `.._FILE` for what should not stand in it, and
//! `${env:X}` and `${file:path}` inside values.

use super::report::Report;
use std::{borrow::Cow, collections::BTreeMap, path::Path};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

const PREFIX: &str = "COUNTERSIGN__";

/// The variables as they were when the process started.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Of this process; what is not UTF-8 is not ours.
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// What the environment sets. Only keys of sections: lists (routes, upstreams) come from the file.
    pub(super) fn overrides(&self, report: &Report) -> Vec<Override> {
        let mut overrides = Vec::new();
        for (variable, value) in &self.variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let (rest, from_file) = match rest.strip_suffix("_FILE") {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let path = rest.to_lowercase().replace("__", ".");
            let Some((section, key)) = path.split_once('.').filter(|(_, key)| !key.contains('.')) else {
                report.add_outside(&path, format!("`{variable}` is not of the form `{PREFIX}SECTION__KEY`"));
                continue;
            };
            let text = if from_file {
                match report.sources.borrow_mut().value(Path::new(value)) {
                    Ok(text) => text,
                    Err(e) => {
                        report.add_outside(&path, format!("`{variable}` names `{value}`: {e}"));
                        continue;
                    }
                }
            } else {
                value.clone()
            };
            let (section, key) = (section.to_owned(), key.to_owned());
            report.overridden(path, variable.clone());
            overrides.push(Override { section, key, text });
        }
        overrides
    }

    /// `${env:X}` and `${file:path}`; anything else after `${` is an error. File paths are relative to `folder`.
    pub(super) fn expand<'t>(
        &self,
        text: &'t str,
        folder: &Path,
        report: &Report,
    ) -> Result<Cow<'t, str>, String> {
        let Some((head, mut rest)) = text.split_once("${") else { return Ok(Cow::Borrowed(text)) };
        let mut expanded = head.to_owned();
        loop {
            let (inner, after) = rest.split_once('}').ok_or("`${` without `}`")?;
            match inner.split_once(':') {
                Some(("env", name)) => expanded.push_str(
                    self.get(name).ok_or_else(|| format!("the environment has no variable `{name}`"))?,
                ),
                Some(("file", path)) => {
                    let file = folder.join(path);
                    let content = report.sources.borrow_mut().value(&file);
                    expanded.push_str(&content.map_err(|e| format!("`{}`: {e}", file.display()))?);
                }
                _ => return Err(format!("`${{{inner}}}` is neither `${{env:NAME}}` nor `${{file:PATH}}`")),
            }
            match after.split_once("${") {
                Some((middle, next)) => {
                    expanded.push_str(middle);
                    rest = next;
                }
                None => {
                    expanded.push_str(after);
                    return Ok(Cow::Owned(expanded));
                }
            }
        }
    }
}

/// One key of one section, from the environment.
#[derive(Debug)]
pub(super) struct Override {
    section: String,
    key: String,
    text: String,
}

/// Put what the environment says in the place of what the file says.
pub(super) fn overlay<'i>(document: &mut DeTable<'i>, overrides: &'i [Override], report: &Report) {
    for Override { section, key, text } in overrides {
        // `true`, `8` and `["a"]` as TOML reads them; everything else is a string
        let value = match DeValue::parse(text).map(Spanned::into_inner) {
            Ok(value @ (DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Array(_))) => value,
            _ => DeValue::String(Cow::Borrowed(text)),
        };
        let name = Spanned::new(0..0, Cow::Borrowed(section.as_str()));
        let table = document
            .entry(name)
            .or_insert_with(|| Spanned::new(0..0, DeValue::Table(DeTable::new())))
            .get_mut();
        let DeValue::Table(table) = table else {
            report.add_outside(
                section,
                format!("the environment sets `{section}.{key}`, but `{section}` is not a section"),
            );
            continue;
        };
        let key = Spanned::new(0..0, Cow::Borrowed(key.as_str()));
        table.remove(&key);
        table.insert(key, Spanned::new(0..0, value));
    }
}
