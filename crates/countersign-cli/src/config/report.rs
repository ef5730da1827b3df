//! Everything that is wrong with a file, each with its line and dotted path.

use super::{
    origins::{Origin, Origins},
    sources::Sources,
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The main file first, then included ones in their order.
    order: usize,
    pub file: PathBuf,
    /// From 1; 0 where it is not in the file at all.
    pub line: usize,
    /// `routes[2].security`; empty: the document itself.
    pub path: String,
    pub message: String,
}

/// A configuration that cannot be used, with every reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn unreadable(file: &Path, why: &str) -> Self {
        Self::one(file, 0, &format!("cannot be read: {why}"))
    }

    pub(super) fn one(file: &Path, line: usize, message: &str) -> Self {
        let (file, path) = (file.to_path_buf(), String::new());
        Self { problems: vec![Problem { order: 0, file, line, path, message: message.into() }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", problem.file.display())?;
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

/// A file among those that are read, each after the one before it.
#[derive(Debug)]
struct Text {
    file: PathBuf,
    start: usize,
    end: usize,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Text {
    fn new(file: &Path, text: &str, start: usize) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| start + at + 1);
        let lines = std::iter::once(start).chain(newlines).collect();
        Self { file: file.to_path_buf(), start, end: start + text.len(), lines }
    }
}

pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// An environment variable that says what a setting is.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    /// It names a file that holds the value, which is nobody's to see then.
    pub(super) is_secret: bool,
}

/// Collects while reading.
#[derive(Debug)]
pub(super) struct Report {
    texts: RefCell<Vec<Text>>,
    problems: RefCell<Vec<Problem>>,
    /// Paths whose value came from the environment.
    overridden: RefCell<HashMap<String, Variable>>,
    broken: Cell<bool>,
    /// Every file that had a part in it.
    pub(super) sources: RefCell<Sources>,
    /// Kept where somebody asks for them.
    pub(super) origins: RefCell<Option<Origins>>,
    /// What each table may hold, by its path without numbers: what the schema is held against.
    #[cfg(test)]
    pub(super) shapes: RefCell<std::collections::BTreeMap<String, std::collections::BTreeSet<String>>>,
}

impl Report {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        Self {
            texts: RefCell::new(vec![Text::new(file, text, 0)]),
            problems: RefCell::new(Vec::new()),
            overridden: RefCell::new(HashMap::new()),
            broken: Cell::new(false),
            sources: RefCell::default(),
            origins: RefCell::default(),
            #[cfg(test)]
            shapes: RefCell::default(),
        }
    }

    pub(super) fn with_origins(self) -> Self {
        self.origins.replace(Some(Origins::default()));
        self
    }

    /// `hidden`: nobody is to see what it says.
    pub(super) fn came_from(&self, path: &str, offset: usize, hidden: bool) {
        let mut origins = self.origins.borrow_mut();
        let Some(origins) = origins.as_mut() else { return };
        let variable = self.variable(path);
        let hidden = hidden || variable.as_ref().is_some_and(|variable| variable.is_secret);
        let origin = match variable {
            Some(variable) => Origin::Environment { variable: variable.name },
            None => {
                let (_, file, line) = self.place(offset);
                Origin::File { file, line }
            }
        };
        origins.note(path.to_owned(), origin, hidden);
    }

    /// One more file; returns what is to be added to its own offsets.
    pub(super) fn also(&self, file: &Path, text: &str) -> usize {
        let mut texts = self.texts.borrow_mut();
        let base = texts.last().map_or(0, |last| last.end + 1);
        texts.push(Text::new(file, text, base));
        base
    }

    /// `offset`: the byte where it stands, counted over all files.
    pub(super) fn add(&self, offset: usize, path: &str, message: impl Into<String>) {
        let mut message = message.into();
        let (order, file, mut line) = self.place(offset);
        if let Some(Variable { name, .. }) = self.variable(path) {
            line = 0;
            message = format!("{message} (from the environment, `{name}`)");
        }
        self.problems.borrow_mut().push(Problem { order, file, line, path: path.into(), message });
    }

    fn place(&self, offset: usize) -> (usize, PathBuf, usize) {
        let texts = self.texts.borrow();
        let order = texts.partition_point(|text| text.start <= offset).saturating_sub(1);
        match texts.get(order) {
            Some(text) => (order, text.file.clone(), text.lines.partition_point(|start| *start <= offset)),
            None => (order, PathBuf::new(), 0),
        }
    }

    /// Of the file that holds this byte: what is relative in it is relative to this.
    pub(super) fn folder(&self, offset: usize) -> PathBuf {
        folder_of(&self.place(offset).1)
    }

    /// The text is no TOML here; what follows may be read as something that nobody wrote.
    pub(super) fn broken(&self, offset: usize, message: &str) {
        self.broken.set(true);
        self.add(offset, "", message);
    }

    /// Of the environment, not of the file.
    pub(super) fn add_outside(&self, path: &str, message: String) {
        let (order, file, _) = self.place(0);
        self.problems.borrow_mut().push(Problem { order, file, line: 0, path: path.into(), message });
    }

    pub(super) fn overridden(&self, path: String, variable: Variable) {
        self.overridden.borrow_mut().insert(path, variable);
    }

    /// Which variable said this, or the list or table that it stands in.
    pub(super) fn variable(&self, path: &str) -> Option<Variable> {
        let overridden = self.overridden.borrow();
        if overridden.is_empty() {
            return None;
        }
        let above = path.match_indices(['.', '[']).filter_map(|(at, _)| path.get(..at));
        std::iter::once(path).chain(above).find_map(|path| overridden.get(path).cloned())
    }

    #[cfg(test)]
    pub(super) fn shape(&self, path: &str, known: &[&'static str]) {
        let path = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
        let path = path.collect::<Vec<_>>().join("");
        self.shapes.borrow_mut().entry(path).or_default().extend(known.iter().map(|key| (*key).to_owned()));
    }

    /// Settings only where nothing at all was wrong.
    pub(super) fn into_result<T>(self, settings: Option<T>) -> Result<T, ConfigError> {
        let file = self.place(0).1;
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
                Err(ConfigError::one(&file, 0, "cannot be used, and no reason was found"))
            }
            _ => Err(ConfigError { problems }),
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
