//! Where each value came from: a line of a file, a variable of the environment, or nowhere, so that it is the default.

use super::show::MASK;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::PathBuf,
};

#[derive(Debug, Clone, Default)]
pub struct Origins {
    by_path: HashMap<String, Origin>,
    /// What came out of a file of its own, as secrets do.
    hidden: HashSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File { file: PathBuf, line: usize },
    Environment { variable: String },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { file, line } => write!(f, "{}:{line}", file.display()),
            Origin::Environment { variable } => write!(f, "environment: {variable}"),
            Origin::Default => f.write_str("default"),
        }
    }
}

impl Origins {
    pub(super) fn note(&mut self, path: String, origin: Origin, hidden: bool) {
        if hidden {
            self.hidden.insert(path.clone());
        }
        self.by_path.insert(path, origin);
    }

    pub fn of(&self, path: &str) -> &Origin {
        self.by_path.get(path).unwrap_or(&Origin::Default)
    }

    /// `listen` and `tls` of `[gateway]` say the first of all listeners; those with a section of their own follow.
    pub(super) fn settle(&mut self, listeners: usize) {
        let place = |path: &str| -> Option<(usize, String)> {
            let (number, rest) = path.strip_prefix("gateway.listeners[")?.split_once(']')?;
            Some((number.parse().ok()?, rest.to_owned()))
        };
        let long = self.by_path.keys().filter_map(|path| place(path)).map(|(n, _)| n + 1).max().unwrap_or(0);
        let short = listeners.saturating_sub(long);
        let shifted = |path: String| match place(&path) {
            Some((n, rest)) => format!("gateway.listeners[{}]{rest}", n + short),
            None => path,
        };
        self.by_path = std::mem::take(&mut self.by_path).into_iter().map(|(p, o)| (shifted(p), o)).collect();
        self.hidden = std::mem::take(&mut self.hidden).into_iter().map(shifted).collect();
        for (n, key) in (0..short).flat_map(|n| [(n, "listen"), (n, "tls")]) {
            let said = format!("gateway.{key}");
            if let Some(origin) = self.by_path.get(&said).cloned() {
                let hidden = self.hidden.contains(&said);
                self.note(format!("gateway.listeners[{n}].{key}"), origin, hidden);
            }
        }
    }

    /// Puts a mask in the place of what nobody should see.
    pub(super) fn mask(&self, value: &mut Value, path: &str) {
        if self.hidden.contains(path) {
            *value = Value::String(MASK.to_owned());
            return;
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members.iter_mut() {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.mask(value, &path);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter_mut().enumerate() {
                    self.mask(item, &format!("{path}[{n}]"));
                }
            }
            _ => {}
        }
    }
}
