//! What a stranger sent, read strictly: nothing unknown, nothing twice, nothing of the wrong type, and every fault
//! named in one answer.
//!
//! Owns the grammars (JSON, form, query) and [`Members`], through which handlers read them. What a member means is
//! said in [`crate::words`]. Next: the handler that asked.

pub(crate) mod form;
pub(crate) mod json;
#[cfg(test)]
mod tests;

use crate::problem::{Fault, Problem, quoted};
use json::Json;

/// Why a value is not what it should be: faults with paths below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) Vec<Fault>);

impl From<String> for Wrong {
    fn from(detail: String) -> Self {
        Wrong(vec![Fault { member: String::new(), detail }])
    }
}

impl From<&str> for Wrong {
    fn from(detail: &str) -> Self {
        detail.to_owned().into()
    }
}

impl Wrong {
    /// The same, seen from one level up.
    pub(crate) fn below(mut self, parent: &str) -> Self {
        for fault in &mut self.0 {
            let dot = if fault.member.is_empty() || fault.member.starts_with('[') { "" } else { "." };
            fault.member = format!("{parent}{dot}{}", fault.member);
        }
        self
    }
}

/// Named values, each taken at most once; what is left at the end was not asked for and is refused.
#[derive(Debug)]
pub(crate) struct Members {
    /// `member` of a body, `parameter` of a query.
    noun: &'static str,
    entries: Vec<(String, Json)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Members {
    pub(crate) fn of_body(entries: Vec<(String, Json)>) -> Self {
        Self { noun: "member", entries, known: Vec::new(), faults: Vec::new() }
    }

    pub(crate) fn of_query(pairs: Vec<(String, String)>) -> Self {
        let entries = pairs.into_iter().map(|(name, value)| (name, Json::Text(value))).collect();
        Self { noun: "parameter", entries, known: Vec::new(), faults: Vec::new() }
    }

    /// `None`: absent, `null`, or wrong (which `finish` reports).
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Json) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.known.push(name);
        let at = self.entries.iter().position(|(n, _)| n == name)?;
        let (_, value) = self.entries.swap_remove(at);
        if matches!(value, Json::Null) {
            return None;
        }
        match read(value) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.faults.extend(wrong.below(name).0);
                None
            }
        }
    }

    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Json) -> Result<T, Wrong>,
    ) -> Option<T> {
        let before = self.faults.len();
        let value = self.optional(name, read);
        if value.is_none() && self.faults.len() == before {
            self.fault(name, format!("this {} is required", self.noun));
        }
        value
    }

    /// Nothing was wrong so far.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// For what no single member can know: two that exclude each other.
    pub(crate) fn fault(&mut self, member: &str, detail: impl Into<String>) {
        self.faults.push(Fault { member: member.into(), detail: detail.into() });
    }

    /// What was read, if nothing was wrong and nothing is left.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        match (self.close(), read) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(Problem::malformed("the request lacks something that it needs")),
            (Err(wrong), _) => Err(Problem::faults(wrong.0)),
        }
    }

    /// As [`Members::finish`], for an object inside another.
    pub(crate) fn close(mut self) -> Result<(), Wrong> {
        for (name, _) in &self.entries {
            let meant = nearest(name, &self.known);
            let detail = match meant {
                Some(meant) => format!("unknown {}; did you mean `{meant}`?", self.noun),
                None if self.known.is_empty() => format!("unknown {}; none is taken here", self.noun),
                None => format!("unknown {}; known are `{}`", self.noun, self.known.join("`, `")),
            };
            // the name is a stranger's: shown as any other input
            let shown = quoted(name).to_string();
            self.faults.push(Fault { member: shown.trim_matches('`').to_owned(), detail });
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Wrong(self.faults)) }
    }
}

/// The known name that was probably meant: at most a third of its letters wrong.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&name, k), *k))
        .min()
        .filter(|(distance, k)| *distance <= (k.len() / 3).max(1))
        .map(|(_, k)| k)
}
