//! The environment: `COUNTERSIGN__SECTION__KEY` over the file, `.._FILE` for what should not stand in it, and
//! `${env:X}` and `${file:path}` inside values.

use super::{
    report::{Report, Variable},
    settings::KeyringPlace,
};
use crate::place::KEYRING;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

const PREFIX: &str = "COUNTERSIGN__";
const KEYRING_FILE: &str = "COUNTERSIGN_KEYRING_FILE";
/// Of systemd (`LoadCredential=keyring.toml:/path`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The variables as they were when the process started.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Those whose value is not UTF-8.
    unreadable: BTreeSet<String>,
}

impl Environment {
    /// Of this process.
    pub fn of_process() -> Self {
        let mut this = Self::default();
        for (name, value) in std::env::vars_os() {
            // what has a name that is not UTF-8 is not ours
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => _ = this.variables.insert(name, value),
                Err(_) => _ = this.unreadable.insert(name),
            }
        }
        this
    }

    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), unreadable: BTreeSet::new() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Named by a variable, handed over as a credential, or beside the configuration.
    pub(super) fn keyring(&self, folder: &Path) -> KeyringPlace {
        let credential =
            || Some(Path::new(self.get(CREDENTIALS)?).join(KEYRING)).filter(|path| path.is_file());
        match self.get(KEYRING_FILE).map(PathBuf::from).or_else(credential) {
            Some(path) => KeyringPlace { path, given: true },
            None => KeyringPlace { path: folder.join(KEYRING), given: false },
        }
    }

    /// What the environment sets. Only keys of tables: lists (routes, upstreams) come from the file.
    pub(super) fn overrides(&self, report: &Report) -> Vec<Override> {
        for name in self.unreadable.iter().filter(|name| name.starts_with(PREFIX)) {
            report.add_outside("", format!("`{name}` in the environment is not UTF-8"));
        }
        let mut overrides: Vec<Override> = Vec::new();
        for (variable, value) in &self.variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
            let (rest, from_file) = match rest.strip_suffix("_FILE") {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let keys: Vec<String> = rest.to_lowercase().split("__").map(str::to_owned).collect();
            let path = keys.join(".");
            if keys.len() < 2 || keys.iter().any(String::is_empty) {
                let message = format!("`{variable}` is not of the form `{PREFIX}SECTION__KEY`");
                report.add_outside(&path, message);
                continue;
            }
            if overrides.iter().any(|other| other.keys == keys) {
                // which of the two is meant nobody can tell
                let plain = variable.strip_suffix("_FILE").unwrap_or(variable);
                report
                    .add_outside(&path, format!("`{plain}` and `{plain}_FILE` are both set; leave one out"));
                continue;
            }
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
            report.overridden(path, Variable { name: variable.clone(), is_secret: from_file });
            overrides.push(Override { keys, text });
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
        if !text.contains("${") {
            return Ok(Cow::Borrowed(text));
        }
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((head, after)) = rest.split_once("${") {
            // `$${` is how `${` itself is said
            if let Some(head) = head.strip_suffix('$') {
                expanded.push_str(head);
                expanded.push_str("${");
                rest = after;
                continue;
            }
            expanded.push_str(head);
            let (inner, after) = after.split_once('}').ok_or("`${` without `}`")?;
            match inner.split_once(':') {
                Some(("env", name)) => expanded.push_str(self.variable(name)?),
                Some(("file", path)) => {
                    let file = folder.join(path);
                    let content = report.sources.borrow_mut().value(&file);
                    expanded.push_str(&content.map_err(|e| format!("`{}`: {e}", file.display()))?);
                }
                _ => return Err(format!("`${{{inner}}}` is neither `${{env:NAME}}` nor `${{file:PATH}}`")),
            }
            rest = after;
        }
        expanded.push_str(rest);
        Ok(Cow::Owned(expanded))
    }

    fn variable(&self, name: &str) -> Result<&str, String> {
        if self.unreadable.contains(name) {
            return Err(format!("the variable `{name}` of the environment is not UTF-8"));
        }
        self.get(name).ok_or_else(|| format!("the environment has no variable `{name}`"))
    }
}

/// One key, from the environment.
#[derive(Debug)]
pub(super) struct Override {
    /// The tables above it, and itself.
    keys: Vec<String>,
    text: String,
}

/// Put what the environment says in the place of what the file says.
pub(super) fn overlay<'i>(document: &mut DeTable<'i>, overrides: &'i [Override], report: &Report) {
    for Override { keys, text } in overrides {
        let Some((key, above)) = keys.split_last() else { continue };
        let Some(table) = descend(document, above, report) else { continue };
        // `true`, `8` and `["a"]` as TOML reads them; everything else is a string
        let value = match DeValue::parse(text).map(Spanned::into_inner) {
            Ok(value @ (DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Array(_))) => value,
            _ => DeValue::String(Cow::Borrowed(text)),
        };
        let key = Spanned::new(0..0, Cow::Borrowed(key.as_str()));
        table.remove(&key);
        table.insert(key, Spanned::new(0..0, value));
    }
}

fn descend<'d, 'i>(
    mut table: &'d mut DeTable<'i>,
    above: &'i [String],
    report: &Report,
) -> Option<&'d mut DeTable<'i>> {
    for (n, name) in above.iter().enumerate() {
        let key = Spanned::new(0..0, Cow::Borrowed(name.as_str()));
        let entry = table.entry(key).or_insert_with(|| Spanned::new(0..0, DeValue::Table(DeTable::new())));
        let DeValue::Table(next) = entry.get_mut() else {
            let path = above.iter().take(n + 1).map(String::as_str).collect::<Vec<_>>().join(".");
            report
                .add_outside(&path, format!("the environment sets a key of `{path}`, which is not a table"));
            return None;
        };
        table = next;
    }
    Some(table)
}

#[cfg(test)]
mod tests;
