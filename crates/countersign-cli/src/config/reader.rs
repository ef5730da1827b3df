//! A walk over the parsed document that knows where it stands. Every key that is asked for is a known key; what
//! nobody asked for is reported by [`Table::finish`].

use super::{
    environment::Environment,
    report::{MISSING, Report, UNKNOWN, Variable, did_you_mean},
    values,
};
use std::{
    borrow::Cow,
    cell::RefCell,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What every part of the walk needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'d> {
    pub(super) report: &'d Report,
    pub(super) environment: &'d Environment,
}

#[derive(Debug)]
pub(super) struct Table<'d, 'i> {
    table: &'d DeTable<'i>,
    path: String,
    span: Range<usize>,
    context: Context<'d>,
    known: RefCell<Vec<&'static str>>,
}

/// One value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Field<'d, 'i> {
    value: &'d DeValue<'i>,
    path: String,
    span: Range<usize>,
    context: Context<'d>,
}

impl<'d, 'i> Table<'d, 'i> {
    pub(super) fn root(table: &'d DeTable<'i>, context: Context<'d>) -> Self {
        Self { table, path: String::new(), span: 0..0, context, known: RefCell::default() }
    }

    pub(super) fn environment(&self) -> &'d Environment {
        self.context.environment
    }

    pub(super) fn get(&self, key: &'static str) -> Option<Field<'d, 'i>> {
        self.known.borrow_mut().push(key);
        self.entries().find(|(name, _)| *name == key).map(|(_, field)| field)
    }

    /// Reports the absence.
    pub(super) fn require(&self, key: &'static str) -> Option<Field<'d, 'i>> {
        let field = self.get(key);
        if field.is_none() {
            self.problem_at(key, MISSING);
        }
        field
    }

    /// A table of tables; absent is not an error, another kind is.
    pub(super) fn section(&self, key: &'static str) -> Option<Table<'d, 'i>> {
        self.get(key)?.table()
    }

    /// `[[key]]`.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Table<'d, 'i>> {
        let Some(field) = self.get(key) else { return Vec::new() };
        if field.value.is_table() {
            field.problem(format!("is a list; say `[[{key}]]`, once for each"));
            return Vec::new();
        }
        let fields = field.array().unwrap_or_default();
        fields.iter().filter_map(Field::table).collect()
    }

    /// Every key, whatever it is called; none of them is unknown then.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, Field<'d, 'i>)> {
        self.table.iter().map(|(key, value)| {
            let path = if self.path.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{}.{}", self.path, key.get_ref())
            };
            // a section's own span begins at its header, so does a key's
            let field = Field { value: value.get_ref(), path, span: key.span(), context: self.context };
            (key.get_ref().as_ref(), field)
        })
    }

    /// Something about a key that need not be there.
    pub(super) fn problem_at(&self, key: &str, message: impl Into<String>) {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.context.report.add(self.span.start, &path, message);
    }

    /// Of a table whose keys are anybody's to choose.
    pub(super) fn finish_any(&self) {
        for (_, field) in self.entries() {
            self.context.report.came_from(&field.path, field.span.start, field.reads_a_file());
        }
    }

    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        #[cfg(test)]
        self.context.report.shape(&self.path, &known);
        for (name, field) in self.entries() {
            self.context.report.came_from(&field.path, field.span.start, field.reads_a_file());
            if !known.contains(&name) {
                field.problem(format!("{UNKNOWN}{}", did_you_mean(name, known.iter().copied())));
            }
        }
    }
}

impl<'d, 'i> Field<'d, 'i> {
    /// Not read here, and still a part of the configuration.
    pub(super) fn note_file(&self, file: &Path) {
        self.context.report.sources.borrow_mut().note(file);
    }

    /// What stands in a file of its own, without its line end.
    pub(super) fn read_file(&self, file: &Path) -> Result<String, String> {
        self.context.report.sources.borrow_mut().value(file)
    }

    /// This and nothing else.
    pub(super) fn says(&self, text: &str) -> bool {
        self.value.as_str() == Some(text)
    }

    pub(super) fn problem(&self, message: impl Into<String>) {
        self.context.report.add(self.span.start, &self.path, message);
    }

    fn reads_a_file(&self) -> bool {
        match self.value {
            DeValue::String(text) => text.contains("${file:"),
            DeValue::Array(items) => {
                items.iter().any(|item| item.get_ref().as_str().is_some_and(|text| text.contains("${file:")))
            }
            _ => false,
        }
    }

    fn wrong_kind<T>(&self, wanted: &str) -> Option<T> {
        self.problem(format!("must be {wanted}, not {}", kind(self.value)));
        None
    }

    pub(super) fn is_url(&self) -> bool {
        self.value.as_str().is_some_and(|text| text.contains("://"))
    }

    pub(super) fn is_string(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    pub(super) fn string(&self) -> Option<Cow<'d, str>> {
        let Some(text) = self.value.as_str() else { return self.wrong_kind("a string") };
        // what the environment says is meant as it stands: a password may hold anything
        if !text.contains("${") || self.variable().is_some() {
            return Some(Cow::Borrowed(text));
        }
        match self.context.environment.expand(text, &self.folder(), self.context.report) {
            Ok(text) => Some(text),
            Err(why) => {
                self.problem(why);
                None
            }
        }
    }

    /// A string that `parse` understands; `Err` says why not.
    pub(super) fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.string()?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.problem(self.without_secrets(why, &text));
                None
            }
        }
    }

    /// What came from elsewhere may be a secret in the wrong place: errors show what the file says instead.
    fn without_secrets(&self, why: String, text: &str) -> String {
        let said = self.value.as_str().unwrap_or_default();
        let hidden = self.variable().is_some_and(|variable| variable.is_secret);
        let shown = if hidden { ".." } else { said };
        match text.len() {
            _ if text == shown => why,
            // so short that it would be found in any word
            0..4 => why.replace(&format!("`{text}`"), &format!("`{shown}`")),
            _ => why.replace(text, shown),
        }
    }

    fn variable(&self) -> Option<Variable> {
        self.context.report.variable(&self.path)
    }

    /// Of the file that it stands in.
    pub(super) fn folder(&self) -> PathBuf {
        self.context.report.folder(self.span.start)
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        self.parsed(|text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
                let hint = did_you_mean(text, choices.iter().map(|(name, _)| *name));
                format!("`{text}` is not one of {}{hint}", names.join(", "))
            })
        })
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        self.parsed(|text| {
            values::parse_duration(text).ok_or_else(|| {
                format!("`{text}` is not a duration such as `250ms`, `15m`, `24h`, `90d` or `1y`")
            })
        })
    }

    /// Within a range, both ends in it.
    pub(super) fn duration_within(&self, range: std::ops::RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.duration()?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let (least, most) = (values::show_duration(*range.start()), values::show_duration(*range.end()));
        self.problem(format!("is not from `{least}` to `{most}`"));
        None
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.as_bool() {
            Some(value) => Some(value),
            None => self.wrong_kind("true or false"),
        }
    }

    /// Within a range, both ends in it.
    pub(super) fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Some(integer) = self.value.as_integer() else { return self.wrong_kind("a whole number") };
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if value.is_none_or(|v| !range.contains(&v)) {
            self.problem(format!("must be from {} to {}", range.start(), range.end()));
            return None;
        }
        value
    }

    pub(super) fn table(&self) -> Option<Table<'d, 'i>> {
        let Some(table) = self.value.as_table() else { return self.wrong_kind("a table") };
        let (path, span, context) = (self.path.clone(), self.span.clone(), self.context);
        Some(Table { table, path, span, context, known: RefCell::default() })
    }

    pub(super) fn array(&self) -> Option<Vec<Field<'d, 'i>>> {
        let Some(array) = self.value.as_array() else { return self.wrong_kind("an array") };
        let item = |(n, value): (usize, &'d Spanned<DeValue<'i>>)| Field {
            value: value.get_ref(),
            path: format!("{}[{n}]", self.path),
            span: if value.span().is_empty() { self.span.clone() } else { value.span() },
            context: self.context,
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    /// An array of strings, each of which `parse` understands. All of them are looked at.
    pub(super) fn list<T>(&self, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let fields = self.array()?;
        let read: Vec<Option<T>> = fields.iter().map(|field| field.parsed(&parse)).collect();
        read.into_iter().collect()
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
