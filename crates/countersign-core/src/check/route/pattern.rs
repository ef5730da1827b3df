//! The path patterns of one host as a tree of segments. At every segment a static one goes before a `{parameter}` and
//! that before a trailing `*`; where a branch leads nowhere the next is tried. Every node is reached by one pattern
//! alone, so a search sees no node twice, and goes no deeper than the longest pattern.

use super::super::path::{as_read, canonical_target};
use crate::word_hash::WordHasher;
use http::{Method, uri::PathAndQuery};
use std::{collections::HashMap, hash::BuildHasherDefault};

/// Bounds the recursion of a search.
pub(super) const MAX_SEGMENTS: usize = 64;

/// The index of a route in its table.
pub(super) type Index = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// As an upstream reads it, see [`as_read`].
    Static(Box<str>),
    Parameter,
    /// Any rest, an empty one included: `/files/*` takes `/files/a/b`, `/files/` and `/files`.
    Rest,
}

/// `/`, then segments: canonical text, `{name}` or, last, `*`. The message says what to write instead.
pub(super) fn parse(pattern: &str) -> Result<Vec<Segment>, String> {
    let Some(rest) = pattern.strip_prefix('/') else {
        return Err(format!("`{pattern}` must begin with `/`"));
    };
    let raw: Vec<&str> = rest.split('/').collect();
    if raw.len() > MAX_SEGMENTS {
        return Err(format!("more than {MAX_SEGMENTS} segments"));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut segments = Vec::with_capacity(raw.len());
    // the text with parameters and rest replaced by a word: as canonical as its static segments are
    let mut text = String::new();
    for (n, segment) in raw.iter().enumerate() {
        text.push('/');
        let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
        if *segment == "*" {
            if n + 1 != raw.len() {
                return Err("`*` may only stand at the end".into());
            }
            segments.push(Segment::Rest);
        } else if let Some(name) = name {
            if !is_name(name) {
                return Err(format!(
                    "`{{{name}}}` is not a parameter: a letter or `_`, then letters, digits, `_`"
                ));
            }
            if names.contains(&name) {
                return Err(format!("the parameter `{{{name}}}` stands twice"));
            }
            names.push(name);
            segments.push(Segment::Parameter);
            text.push('p');
        } else if segment.contains(['{', '}', '*']) {
            return Err(format!("`{segment}`: a parameter or `*` takes a whole segment"));
        } else if segment.is_empty() && n + 1 != raw.len() {
            return Err("an empty segment can never match: requests have none".into());
        } else {
            segments.push(Segment::Static(as_read(segment).into()));
            text.push_str(segment);
        }
    }
    if text.contains('?') {
        return Err("a path has no query".into());
    }
    let canonical = PathAndQuery::try_from(text.as_str())
        .ok()
        .and_then(|target| canonical_target(&target).ok())
        .ok_or_else(|| format!("`{pattern}` can never match: requests like it are refused"))?;
    if canonical.as_str() != text {
        return Err(format!("`{pattern}` can never match: the canonical form is like `{canonical}`"));
    }
    Ok(segments)
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.len() <= 64
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The routes of one pattern, by method.
#[derive(Debug, Default)]
pub(super) struct Endpoint {
    pub(super) by_method: Vec<(Method, Index)>,
    pub(super) any: Option<Index>,
}

impl Endpoint {
    /// HEAD goes with GET (RULES 2.2); a listed method before any.
    pub(super) fn find(&self, method: &Method) -> Option<Index> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.by_method.iter().find(|(m, _)| m == method).map(|(_, index)| *index).or(self.any)
    }

    /// What `Allow` says.
    pub(super) fn allow(&self) -> Vec<Method> {
        let mut allow: Vec<Method> = self.by_method.iter().map(|(m, _)| m.clone()).collect();
        if self.any.is_some() {
            let usual =
                [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
            let missing: Vec<Method> = usual.into_iter().filter(|m| !allow.contains(m)).collect();
            allow.extend(missing);
        }
        if allow.contains(&Method::GET) {
            allow.push(Method::HEAD);
        }
        allow.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        allow
    }
}

/// By words of the configuration.
pub(super) type Words<V> = HashMap<Box<str>, V, BuildHasherDefault<WordHasher>>;

#[derive(Debug, Default)]
pub(super) struct Node {
    fixed: Words<Node>,
    parameter: Option<Box<Node>>,
    /// Of the pattern that ends here.
    here: Option<Endpoint>,
    /// Of the pattern that ends here with `*`.
    rest: Option<Endpoint>,
}

impl Node {
    /// Where the routes of this pattern are kept; made on first use.
    pub(super) fn endpoint(&mut self, segments: &[Segment]) -> &mut Endpoint {
        match segments {
            [] => self.here.get_or_insert_default(),
            [Segment::Rest, ..] => self.rest.get_or_insert_default(),
            [Segment::Static(text), more @ ..] => self.fixed.entry(text.clone()).or_default().endpoint(more),
            [Segment::Parameter, more @ ..] => self.parameter.get_or_insert_default().endpoint(more),
        }
    }

    /// The most specific pattern for this canonical path.
    ///
    /// A trailing slash never leads to a wider pattern: `/orders/7/` is judged by `/orders/{id}` where no pattern of
    /// its own ends in a slash, and the other way about. Upstreams that ignore the slash would else serve one
    /// resource under two requirements.
    pub(super) fn find(&self, path: &str) -> Option<&Endpoint> {
        self.descend(path.strip_prefix('/'))
    }

    fn descend(&self, left: Option<&str>) -> Option<&Endpoint> {
        let with_slash = || self.fixed.get("").and_then(|node| node.here.as_ref());
        let found = match left {
            None => self.here.as_ref().or_else(with_slash),
            Some("") => with_slash().or(self.here.as_ref()),
            Some(left) => {
                // segments are short: a plain walk is quicker than a searcher
                let slash = left.bytes().position(|b| b == b'/');
                let (segment, left) = match slash.and_then(|at| left.split_at_checked(at)) {
                    Some((segment, rest)) => (segment, rest.strip_prefix('/')),
                    None => (left, None),
                };
                let fixed = self.fixed.get(&*as_read(segment)).and_then(|node| node.descend(left));
                fixed.or_else(|| self.parameter.as_ref().and_then(|node| node.descend(left)))
            }
        };
        found.or(self.rest.as_ref())
    }
}
