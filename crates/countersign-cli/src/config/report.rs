//! Everything that is wrong with a file, each with its line and dotted path.

use super::sources::Sources;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// From 1; 0 where it is not in the file at all.
    pub line: usize,
    /// `routes[2].security`; empty: the document itself.
    pub path: String,
    pub message: String,
}

/// A configuration that cannot be used, with every reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, why: &str) -> Self {
        Self::one(file, 0, &format!("cannot be read: {why}"))
    }

    pub(super) fn one(file: &Path, line: usize, message: &str) -> Self {
        let problem = Problem { line, path: String::new(), message: message.into() };
        Self { file: file.to_path_buf(), problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file.display())?;
            if problem.line > 0 {
                write!(f, "{}:", problem.line)?;
            }
            if !problem.path.is_empty() {
                write!(f, " {}:", problem.path)?;
            }
            write!(f, " {}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

pub(super) const MISSING: &str = "is missing";
pub(super) const UNKNOWN: &str = "no such key";

/// Collects while reading.
#[derive(Debug)]
pub(super) struct Report {
    file: PathBuf,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    /// Paths whose value came from the environment, and from which variable.
    overridden: RefCell<HashMap<String, String>>,
    broken: Cell<bool>,
    /// Every file that had a part in it.
    pub(super) sources: RefCell<Sources>,
}

impl Report {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self {
            file: file.to_path_buf(),
            line_starts: std::iter::once(0).chain(newlines).collect(),
            problems: RefCell::new(Vec::new()),
            overridden: RefCell::new(HashMap::new()),
            broken: Cell::new(false),
            sources: RefCell::default(),
        }
    }

    /// `offset`: the byte where it stands.
    pub(super) fn add(&self, offset: usize, path: &str, message: impl Into<String>) {
        let mut message = message.into();
        let mut line = self.line_starts.partition_point(|start| *start <= offset);
        if let Some(variable) = self.overridden.borrow().get(path) {
            line = 0;
            message = format!("{message} (from the environment, `{variable}`)");
        }
        self.problems.borrow_mut().push(Problem { line, path: path.into(), message });
    }

    /// The text is no TOML here; what follows may be read as something that nobody wrote.
    pub(super) fn broken(&self, offset: usize, message: &str) {
        self.broken.set(true);
        self.add(offset, "", message);
    }

    /// Of the environment, not of the file.
    pub(super) fn add_outside(&self, path: &str, message: String) {
        self.problems.borrow_mut().push(Problem { line: 0, path: path.into(), message });
    }

    pub(super) fn overridden(&self, path: String, variable: String) {
        self.overridden.borrow_mut().insert(path, variable);
    }

    /// Settings only where nothing at all was wrong.
    pub(super) fn into_result<T>(self, settings: Option<T>) -> Result<T, ConfigError> {
        let mut problems = self.problems.into_inner();
        if self.broken.get() {
            // of a document with holes nothing can be said about what is not there
            problems.retain(|p| !p.message.starts_with(MISSING) && !p.message.starts_with(UNKNOWN));
        }
        problems.sort();
        problems.dedup();
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            None if problems.is_empty() => {
                Err(ConfigError::one(&self.file, 0, "cannot be used, and no reason was found"))
            }
            _ => Err(ConfigError { file: self.file, problems }),
        }
    }
}

/// ``; did you mean `x`?`` where something similar is known, else nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let best = known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&word.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, k)| format!("; did you mean `{k}`?"))
}
