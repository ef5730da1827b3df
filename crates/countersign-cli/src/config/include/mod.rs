//! `include = ["routes/*.toml"]`: files that bring more routes, upstreams, plans and named requirements. What is one for
//! the whole process (listeners, the store, operators) stands in the main file, and only that one includes: whoever may
//! write a file of routes can change nothing else.

use super::report::Report;
use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

pub(super) const KEY: &str = "include";
/// What an included file may bring; `security` is a table, the others are lists.
const LISTS: [&str; 3] = ["plans", "upstreams", "routes"];
const NAMED: &str = "security";
/// More are a mistake in a pattern.
const MOST: usize = 1000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// One file beside the main one.
#[derive(Debug)]
pub(super) struct Included {
    text: String,
    /// Where its text begins among all of them, as the report counts.
    base: usize,
}

/// Every file that the main one names, in the order of its patterns and of their names below each.
pub(super) fn read(main: &Path, text: &str, folder: &Path, report: &Report) -> Vec<Included> {
    let (document, _) = DeTable::parse_recoverable(text);
    let Some(value) = document.get_ref().get(KEY) else { return Vec::new() };
    let Some(patterns) = value.get_ref().as_array() else {
        report.add(value.span().start, KEY, "must be an array of patterns such as `[\"routes/*.toml\"]`");
        return Vec::new();
    };
    let mut seen: Vec<PathBuf> = fs::canonicalize(main).into_iter().collect();
    let mut included = Vec::new();
    let mut bytes = 0;
    for (n, pattern) in patterns.iter().enumerate() {
        let (at, path) = (pattern.span().start, format!("{KEY}[{n}]"));
        let Some(said) = pattern.get_ref().as_str().filter(|said| !said.is_empty()) else {
            report.add(at, &path, "must be a pattern such as `routes/*.toml`");
            continue;
        };
        let pattern = folder.join(said);
        report.sources.borrow_mut().pattern(&pattern);
        let files = matches(&pattern);
        // a folder that is being replaced must not take its routes with it
        if files.is_empty() {
            report.add(at, &path, format!("`{said}` matches no file; leave it out where there is none"));
        }
        for file in files {
            let known = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
            if seen.first() == Some(&known) {
                report.add(at, &path, format!("`{said}` is this file too; keep included files in a folder"));
                continue;
            }
            if seen.contains(&known) {
                continue;
            }
            seen.push(known);
            if included.len() >= MOST || bytes > MOST_BYTES {
                report.add(at, &path, format!("includes more than {MOST} files or {MOST_BYTES} bytes"));
                return included;
            }
            let content = report.sources.borrow_mut().bytes(&file);
            match content.and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())) {
                Ok(text) => {
                    bytes += text.len();
                    let base = report.also(&file, &text);
                    included.push(Included { text, base });
                }
                Err(why) => report.add(at, &path, format!("`{}`: {why}", file.display())),
            }
        }
    }
    included
}

/// Puts them behind what the main file says.
pub(super) fn merge<'i>(document: &mut DeTable<'i>, included: &'i [Included], report: &Report) {
    document.remove(KEY);
    for Included { text, base } in included {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            report.broken(base + error.span().map_or(0, |s| s.start), error.message());
        }
        for (key, value) in table.into_inner() {
            let (key, value) = (shifted(key, *base), moved(value, *base));
            let name = key.get_ref().clone();
            let problem = |message: String| report.add(key.span().start, &name, message);
            if name == NAMED {
                match value.get_ref() {
                    DeValue::Table(_) => name_too(document, key, value, report),
                    _ => problem("must be a table".into()),
                }
            } else if LISTS.contains(&name.as_ref()) {
                match value.get_ref() {
                    DeValue::Array(_) => append(document, key, value),
                    _ => problem(format!("is a list; say `[[{name}]]`, once for each")),
                }
            } else if name == KEY {
                problem("stands in the main file only: an included file includes no others".into());
            } else {
                problem(
                    "stands in the main file only: an included file brings `[[routes]]`, `[[upstreams]]`, \
                         `[[plans]]` and `[security]`"
                        .into(),
                );
            }
        }
    }
}

fn append<'i>(document: &mut DeTable<'i>, key: Spanned<Cow<'i, str>>, value: Spanned<DeValue<'i>>) {
    let there =
        document.entry(key).or_insert_with(|| Spanned::new(value.span(), DeValue::Array(DeArray::new())));
    // of another kind: the reader says so
    if let (DeValue::Array(all), DeValue::Array(more)) = (there.get_mut(), value.into_inner()) {
        more.into_iter().for_each(|item| all.push(item));
    }
}

fn name_too<'i>(
    document: &mut DeTable<'i>,
    key: Spanned<Cow<'i, str>>,
    value: Spanned<DeValue<'i>>,
    report: &Report,
) {
    let there =
        document.entry(key).or_insert_with(|| Spanned::new(value.span(), DeValue::Table(DeTable::new())));
    if let (DeValue::Table(all), DeValue::Table(more)) = (there.get_mut(), value.into_inner()) {
        for (name, value) in more {
            if all.contains_key(name.get_ref().as_ref()) {
                let path = format!("{NAMED}.{}", name.get_ref());
                report.add(name.span().start, &path, "is said in another file already");
            } else {
                all.insert(name, value);
            }
        }
    }
}

fn shifted<T>(at: Spanned<T>, base: usize) -> Spanned<T> {
    let span = at.span();
    Spanned::new(span.start + base..span.end + base, at.into_inner())
}

/// With all that is in it. No deeper than the parser went.
fn moved<'i>(value: Spanned<DeValue<'i>>, base: usize) -> Spanned<DeValue<'i>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            let mut all = DeArray::new();
            items.into_iter().for_each(|item| all.push(moved(item, base)));
            DeValue::Array(all)
        }
        DeValue::Table(table) => {
            DeValue::Table(table.into_iter().map(|(k, v)| (shifted(k, base), moved(v, base))).collect())
        }
        scalar => scalar,
    };
    Spanned::new(span.start + base..span.end + base, value)
}

/// A path, or one with `*` and `?` in its last part. Sorted; hidden files only where the pattern says their dot.
pub fn matches(pattern: &Path) -> Vec<PathBuf> {
    let Some(name) = pattern.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if !name.contains(['*', '?']) {
        return if pattern.is_file() { vec![pattern.to_path_buf()] } else { Vec::new() };
    }
    let folder = pattern.parent().unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let fits = |entry: &fs::DirEntry| {
        let file = entry.file_name();
        let hidden = file.as_encoded_bytes().starts_with(b".") && !name.starts_with('.');
        !hidden && file.to_str().is_some_and(|file| is_like(file, name)) && entry.path().is_file()
    };
    let mut found: Vec<PathBuf> = entries.flatten().filter(fits).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// `*`: any rest, also none; `?`: one character. Looks at each character of the name at most once per `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut n, mut p) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || name.get(n) == Some(c) => (n, p) = (n + 1, p + 1),
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (n, p) = (from + 1, star + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
