//! The field lines of one head (RFC 9110 5), as places in the text that they were read from. A head has about a dozen of
//! them, and each name is asked for a few times: to look along the list costs less than to hash every name, and a value
//! that is handed on is copied once, from the text that came into the text that goes.

use super::spare;
use bytes::BytesMut;
use countersign_core::check::request::{FieldLines, HeaderView, One};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{fmt, ops::Range};
use thiserror::Error;

/// In the order in which they came; what we add stands last.
///
/// INVARIANT (made in [`Fields::read`] and [`Fields::put`]): each line stands in the text as it is written, `name: value`
/// and CRLF, its name a token in lower case, its value without a control character but tab.
#[derive(Default)]
pub struct Fields {
    text: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    name: Range<usize>,
    value: Range<usize>,
    /// RFC 7541 6.2.3: not to be remembered by whoever compresses it.
    is_sensitive: bool,
}

const BETWEEN: &[u8] = b": ";
const END: &[u8] = b"\r\n";

/// A value that no field can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("holds a control character")]
pub struct Unwritable;

impl Fields {
    pub fn new() -> Self {
        let (text, lines) = spare::take();
        Self { text, lines }
    }

    /// What the parser found in this head, and vouches for.
    pub(super) fn read(head: &[u8], found: &[httparse::Header<'_>]) -> Self {
        let mut fields = Self::new();
        fields.text.extend_from_slice(head);
        fields.lines.reserve(found.len());
        for field in found {
            let (name, value) = (place(head, field.name.as_bytes()), place(head, field.value));
            let line = Line { name, value, is_sensitive: false };
            if let Some(name) = fields.text.get_mut(line.name.clone()) {
                name.make_ascii_lowercase();
            }
            if fields.is_as_written(&line) {
                fields.lines.push(line);
            } else {
                // other space around the value than we write
                fields.put(&field.name.to_ascii_lowercase(), field.value, false);
            }
        }
        fields
    }

    fn is_as_written(&self, line: &Line) -> bool {
        self.part(&(line.name.end..line.value.start)) == BETWEEN
            && self.text.get(line.value.end..).is_some_and(|behind| behind.starts_with(END))
    }

    fn put(&mut self, name: &str, value: &[u8], is_sensitive: bool) {
        self.text.reserve(name.len() + BETWEEN.len() + value.len() + END.len());
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        let name = start..self.text.len();
        self.text.extend_from_slice(BETWEEN);
        let start = self.text.len();
        self.text.extend_from_slice(value);
        let value = start..self.text.len();
        self.text.extend_from_slice(END);
        self.lines.push(Line { name, value, is_sensitive });
    }

    fn part(&self, place: &Range<usize>) -> &[u8] {
        self.text.get(place.clone()).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (self.part(&line.name), self.part(&line.value)))
    }

    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| self.part(&line.name))
    }

    /// The values of all lines of this name, in their order.
    pub fn all(&self, name: &HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> {
        let lines = self.lines.iter().filter(move |line| is_named(&self.text, line, name));
        lines.map(|line| self.part(&line.value))
    }

    /// The value of the first.
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.all(name).next()
    }

    pub fn contains(&self, name: &HeaderName) -> bool {
        self.lines.iter().any(|line| is_named(&self.text, line, name))
    }

    /// Instead of all lines of this name, in the place of the first.
    pub fn insert(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.replace(name, value.as_bytes(), value.is_sensitive());
    }

    /// The same with a value that is yet to be looked at.
    pub fn try_insert(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Unwritable> {
        writable(value)?;
        self.replace(name, value, false);
        Ok(())
    }

    fn replace(&mut self, name: &HeaderName, value: &[u8], is_sensitive: bool) {
        let first = self.lines.iter().position(|line| is_named(&self.text, line, name));
        self.put(name.as_str(), value, is_sensitive);
        let Some(first) = first else { return };
        // the last is the new one
        self.lines.swap_remove(first);
        self.keep_first(name);
    }

    /// Beside the lines of this name, and what `HeaderValue` would read.
    pub fn try_append(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), Unwritable> {
        writable(value)?;
        self.put(name.as_str(), value, false);
        Ok(())
    }

    /// Beside the lines of this name.
    pub fn append(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.put(name.as_str(), value.as_bytes(), value.is_sensitive());
    }

    pub fn remove(&mut self, name: &HeaderName) {
        let text = &self.text;
        self.lines.retain(|line| !is_named(text, line, name));
    }

    /// Of the lines of this name those with such a value.
    pub fn remove_where(&mut self, name: &HeaderName, mut goes: impl FnMut(&[u8]) -> bool) {
        let text = &self.text;
        let value = |line: &Line| text.get(line.value.clone()).unwrap_or_default();
        self.lines.retain(|line| !is_named(text, line, name) || !goes(value(line)));
    }

    /// Of several lines of this name one.
    pub(super) fn keep_first(&mut self, name: &HeaderName) {
        let (text, mut is_first) = (&self.text, true);
        self.lines.retain(|line| !is_named(text, line, name) || std::mem::take(&mut is_first));
    }

    /// Those whose name is to stay.
    pub fn retain(&mut self, mut stays: impl FnMut(&[u8]) -> bool) {
        let text = &self.text;
        self.lines.retain(|line| stays(text.get(line.name.clone()).unwrap_or_default()));
    }

    /// Does this field list the option, in any letters?
    pub fn lists(&self, name: &HeaderName, option: &[u8]) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|b| *b == b','))
            .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(option))
    }

    /// Lines that stand together in the text go out together.
    pub fn write(&self, out: &mut BytesMut) {
        let mut run = 0..0;
        for Line { name, value, .. } in &self.lines {
            let end = value.end + END.len();
            if name.start != run.end {
                out.extend_from_slice(self.part(&run));
                run.start = name.start;
            }
            run.end = end;
        }
        out.extend_from_slice(self.part(&run));
    }

    /// What writing it takes, at most.
    pub(super) fn room(&self) -> usize {
        self.text.len()
    }

    /// For whoever speaks HTTP/2.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.len());
        for line in &self.lines {
            let name = HeaderName::from_bytes(self.part(&line.name));
            let value = HeaderValue::from_bytes(self.part(&line.value));
            // never otherwise: the invariant
            let (Ok(name), Ok(mut value)) = (name, value) else { continue };
            value.set_sensitive(line.is_sensitive);
            map.append(name, value);
        }
        map
    }
}

/// A value as text, where it is visible ASCII.
pub fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// RFC 9110 5.5, as `HeaderValue` reads it.
fn writable(value: &[u8]) -> Result<(), Unwritable> {
    let is_control = |byte: &u8| (*byte < 0x20) & (*byte != b'\t') | (*byte == 0x7f);
    // all of it is looked at, because that takes many bytes at once
    let any = value.iter().fold(false, |any, byte| any | is_control(byte));
    if any { Err(Unwritable) } else { Ok(()) }
}

fn is_named(text: &[u8], line: &Line, name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    line.name.len() == name.len() && text.get(line.name.clone()) == Some(name)
}

/// Where a part stands in the text that it was borrowed from. An empty one may be borrowed from anywhere.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(part.len()) {
        Some(end) if end <= whole.len() => start..end,
        _ => 0..0,
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.text), std::mem::take(&mut self.lines));
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let mut fields = Self::new();
        for (name, value) in map {
            fields.put(name.as_str(), value.as_bytes(), value.is_sensitive());
        }
        fields
    }
}

/// Names alone: a value may be a credential.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names().map(String::from_utf8_lossy)).finish()
    }
}

/// The same lines in the same order.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl HeaderView for Fields {
    fn one(&self, name: &HeaderName) -> One<'_> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => One::Absent,
            (Some(value), None) => One::Single(value),
            (Some(_), Some(_)) => One::Doubled,
        }
    }

    fn each<'r>(&'r self, name: &HeaderName, visit: &mut dyn FnMut(&'r [u8])) {
        self.all(name).for_each(visit);
    }
}

impl FieldLines for Fields {
    fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter()
    }
}
