//! The path that the upstream is asked for, where it is not the one that was judged: leading segments taken off, a prefix
//! put on. Both are fixed when the route is read, and whole canonical segments, so that what comes out is as canonical as
//! what went in (RULES 2.3).

use super::Route;
use crate::check::path::is_canonical;
use http::uri::PathAndQuery;

/// Bytes of a prefix.
const LONGEST: usize = 1024;

impl Route {
    /// What the upstream is asked for. `None`: it cannot be said, which no admitted route leads to.
    pub fn upstream_target(&self, judged: &PathAndQuery) -> Option<PathAndQuery> {
        if self.strip_prefix.is_empty() && self.add_prefix.is_empty() {
            return Some(judged.clone());
        }
        // counted, not compared: the same segment may be written in more than one way
        let off = self.strip_prefix.bytes().filter(|b| *b == b'/').count();
        let path = judged.path();
        let mut slashes = path.match_indices('/').map(|(at, _)| at).skip(off);
        let rest = slashes.next().map_or("", |at| path.get(at..).unwrap_or_default());
        let rest = if rest.is_empty() && self.add_prefix.is_empty() { "/" } else { rest };
        let query = judged.query().map(|query| ["?", query].concat()).unwrap_or_default();
        PathAndQuery::try_from([&*self.add_prefix, rest, &*query].concat()).ok()
    }
}

pub(super) fn check(route: &Route, wrong: &mut dyn FnMut(&'static str, String)) {
    let (strip, add) = (&*route.strip_prefix, &*route.add_prefix);
    for (field, prefix) in [("strip_prefix", strip), ("add_prefix", add)] {
        if !prefix.is_empty()
            && let Err(message) = canonical(prefix)
        {
            wrong(field, message);
        }
    }
    let behind = route.path.strip_prefix(strip);
    if !behind.is_some_and(|rest| strip.is_empty() || rest.is_empty() || rest.starts_with('/')) {
        wrong("strip_prefix", format!("`{strip}` is not how the path `{}` begins", route.path));
    }
}

fn canonical(prefix: &str) -> Result<(), String> {
    if prefix.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    if !prefix.starts_with('/') || prefix.ends_with('/') {
        return Err(format!("`{prefix}` must begin with `/` and end without one, such as `/v2`"));
    }
    let plain = !prefix.contains(['{', '}', '*', '?', '#']);
    let target = PathAndQuery::try_from(prefix).ok().filter(|target| plain && is_canonical(target));
    match target {
        Some(_) => Ok(()),
        None => Err(format!("`{prefix}` is not a canonical path of fixed segments, such as `/v2`")),
    }
}
