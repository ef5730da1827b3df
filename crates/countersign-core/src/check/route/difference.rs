//! What one table lets through that another one did not. Both are asked the same questions: a sample of every host,
//! path and method that either of them knows. So it also shows what no route says of itself, as when a narrow route goes
//! and a wider, weaker one answers in its place.

use super::{
    Alternative, CachePolicy, Cors, CorsOrigins, HostPattern, MethodSet, Route, RouteLimit, RouteTable,
    SecurityRequirement, table::Hit,
};
use crate::MethodName;
use http::Method;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// From one table to the next.
#[derive(Debug, Default)]
pub struct Difference {
    pub added: Vec<Arc<Route>>,
    pub removed: Vec<Removed>,
    /// One for each route and what it opens.
    pub opened: Vec<Opened>,
}

#[derive(Debug)]
pub struct Removed {
    pub route: Arc<Route>,
    /// What answers there from now on; `None`: 404 or 405.
    pub instead: Option<Arc<Route>>,
}

#[derive(Debug)]
pub struct Opened {
    pub route: Arc<Route>,
    /// What is let through that was not, for people.
    pub what: String,
    /// Where it is so: patterns, with their methods where it is not all of them.
    pub at: Vec<String>,
}

/// Past so many questions only what each route says of itself is asked.
const MOST_QUESTIONS: usize = 1_000_000;
const MOST_MEETINGS: usize = 4_000_000;
/// A method that no route lists, for those that take every one.
const OTHER: &[u8] = b"ANY-OTHER";
/// What no pattern is likely to say literally.
const WORD: &str = "~any~";

impl Difference {
    pub fn between(before: &RouteTable, after: &RouteTable) -> Self {
        let mut opened = Openings::default();
        let questions = questions(before, after);
        let ask = |table: &RouteTable, question: &Question| match table.lookup(
            &question.host,
            &question.path,
            &question.method,
        ) {
            Hit::Route(compiled) => Some(compiled.route.clone()),
            Hit::MethodNotAllowed(_) | Hit::None => None,
        };
        let answers: Vec<_> = questions
            .iter()
            .map(|q| (q, ask(before, q), ask(after, q)))
            .filter(|(_, was, is)| was != is)
            .collect();
        // a route that answers where another stood has taken its place; a new one beside it has not
        let place = |route: &Route| (host(&route.host), route.path.clone());
        let places: BTreeSet<_> = after.routes().iter().map(|route| place(route)).collect();
        let successors: BTreeSet<&str> = answers
            .iter()
            .filter_map(|(_, was, is)| Some((was.as_ref()?, is.as_ref()?)))
            .filter(|(was, is)| place(was) == place(is) || !places.contains(&place(was)))
            .map(|(_, is)| &*is.name)
            .collect();
        let named: BTreeSet<&str> = before.routes().iter().map(|route| &*route.name).collect();
        for (question, was, is) in &answers {
            let Some(is) = is else { continue };
            match was {
                Some(was) => {
                    for what in weaker(was, is) {
                        opened.note(is, what, question);
                    }
                }
                None if is.security == SecurityRequirement::Public => {
                    opened.note(is, "is public, where nothing answered".into(), question);
                }
                None if successors.contains(&*is.name) || named.contains(&*is.name) => {
                    opened.note(is, "answers more than it did".into(), question);
                }
                None => {}
            }
        }
        let instead = |route: &Arc<Route>| {
            let method = methods(route).into_iter().next().unwrap_or(Method::GET);
            let question = Question::new(&host(&route.host), &route.path, method);
            ask(after, &question)
        };
        let gone = missing(before, after);
        Self {
            added: missing(after, before),
            removed: gone.into_iter().map(|route| Removed { instead: instead(&route), route }).collect(),
            opened: opened.into_list(),
        }
    }
}

/// Of `one`, what has no counterpart at the same place in `other`.
fn missing(one: &RouteTable, other: &RouteTable) -> Vec<Arc<Route>> {
    let mut places: BTreeMap<(Box<str>, &str), Vec<&Arc<Route>>> = BTreeMap::new();
    for route in other.routes() {
        places.entry((host(&route.host), &route.path)).or_default().push(route);
    }
    let stays = |route: &&Arc<Route>| {
        let here = places.get(&(host(&route.host), &*route.path));
        !here.is_some_and(|here| here.iter().any(|other| meet(&route.methods, &other.methods)))
    };
    one.routes().iter().filter(stays).cloned().collect()
}

fn meet(one: &MethodSet, other: &MethodSet) -> bool {
    match (one, other) {
        (MethodSet::Of(one), MethodSet::Of(other)) => one.iter().any(|method| other.contains(method)),
        _ => true,
    }
}

#[derive(Debug)]
struct Question {
    host: Box<str>,
    path: Box<str>,
    method: Method,
    /// The pattern that it is a sample of.
    at: Box<str>,
}

impl Question {
    fn new(host: &str, at: &str, method: Method) -> Self {
        Self { host: host.into(), path: path(at), method, at: at.into() }
    }
}

/// A path is answered by one pattern before and by another one after; which goes first among those that match never
/// depends on the path. So what both of them match, and as little else as can be, stands for it: one question for each
/// two patterns that meet.
fn questions(before: &RouteTable, after: &RouteTable) -> Vec<Question> {
    let routes = || before.routes().iter().chain(after.routes());
    let hosts: BTreeSet<Box<str>> = routes().map(|route| host(&route.host)).collect();
    let mut all = usual();
    all.extend(Method::from_bytes(OTHER));
    for method in routes().flat_map(|route| methods(route)) {
        if !all.contains(&method) {
            all.push(method);
        }
    }
    if let Some(meetings) = meetings(before, after)
        && hosts.len().saturating_mul(meetings.len()).saturating_mul(all.len()) <= MOST_QUESTIONS
    {
        let places = hosts.iter().flat_map(|host| meetings.iter().map(move |at| (&**host, &**at)));
        let each = |(host, at): (&str, &str)| -> Vec<Question> {
            all.iter().map(|method| Question::new(host, at, method.clone())).collect()
        };
        return places.flat_map(each).collect();
    }
    let own = |route: &Arc<Route>| -> Vec<Question> {
        let host = host(&route.host);
        methods(route).into_iter().map(|method| Question::new(&host, &route.path, method)).collect()
    };
    routes().flat_map(own).collect()
}

/// Patterns of what two patterns, one of each table, have in common; a pattern meets itself. `None`: too many to ask.
fn meetings(before: &RouteTable, after: &RouteTable) -> Option<BTreeSet<Box<str>>> {
    let paths = |table: &RouteTable| -> BTreeSet<Box<str>> {
        table.routes().iter().map(|route| route.path.clone()).collect()
    };
    let (before, after) = (paths(before), paths(after));
    if before.len().saturating_mul(after.len()) > MOST_MEETINGS {
        return None;
    }
    let split = |path: &'_ str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let after_split: Vec<Vec<String>> = after.iter().map(|path| split(path)).collect();
    let mut found: BTreeSet<Box<str>> = before.union(&after).cloned().collect();
    for path in &before {
        let segments = split(path);
        found.extend(after_split.iter().filter_map(|other| meet_at(&segments, other)));
    }
    Some(found)
}

fn meet_at(one: &[String], other: &[String]) -> Option<Box<str>> {
    let mut met: Vec<&str> = Vec::new();
    let (mut one, mut other) = (one, other);
    loop {
        match (one.split_first(), other.split_first()) {
            (None, None) => break,
            (None, Some((rest, _))) | (Some((rest, _)), None) if rest == "*" => break,
            (None, _) | (_, None) => return None,
            (Some((rest, _)), _) if rest == "*" => {
                met.extend(other.iter().map(String::as_str));
                break;
            }
            (_, Some((rest, _))) if rest == "*" => {
                met.extend(one.iter().map(String::as_str));
                break;
            }
            (Some((a, more)), Some((b, others))) => {
                met.push(match (is_parameter(a), is_parameter(b)) {
                    (true, true) => a,
                    // an empty segment is none
                    (true, false) if !b.is_empty() => b,
                    (false, true) if !a.is_empty() => a,
                    (false, false) if a == b => a,
                    _ => return None,
                });
                (one, other) = (more, others);
            }
        }
    }
    Some(met.join("/").into())
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

fn usual() -> Vec<Method> {
    vec![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
}

/// Those that a route lists; of one that takes every method the usual ones.
fn methods(route: &Route) -> Vec<Method> {
    match &route.methods {
        MethodSet::Any => usual(),
        MethodSet::Of(methods) => methods.clone(),
    }
}

fn host(pattern: &HostPattern) -> Box<str> {
    match pattern {
        HostPattern::Any => WORD.into(),
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(suffix) => format!("{WORD}{suffix}").into(),
    }
}

/// A path that this pattern takes, and none that is narrower.
fn path(pattern: &str) -> Box<str> {
    let segments = pattern.split('/').map(|segment| match segment {
        "*" => format!("{WORD}/{WORD}"),
        parameter if is_parameter(parameter) => WORD.to_owned(),
        literal => literal.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/").into()
}

/// By route and what it opens: where.
#[derive(Default)]
struct Openings(BTreeMap<(Arc<str>, String), (Arc<Route>, Places)>);

type Places = BTreeMap<Box<str>, Vec<Method>>;

impl Openings {
    fn note(&mut self, route: &Arc<Route>, what: String, question: &Question) {
        let (_, at) =
            self.0.entry((route.name.clone(), what)).or_insert_with(|| (route.clone(), BTreeMap::new()));
        let methods = at.entry(question.at.clone()).or_default();
        if !methods.contains(&question.method) {
            methods.push(question.method.clone());
        }
    }

    fn into_list(self) -> Vec<Opened> {
        let place = |(pattern, methods): (Box<str>, Vec<Method>)| {
            let every =
                methods.contains(&Method::GET) && methods.iter().any(|m| m.as_str().as_bytes() == OTHER);
            let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
            if every { pattern.into() } else { format!("{} {pattern}", methods.join(",")) }
        };
        let opened = |((_, what), (route, at)): ((_, String), (_, Places))| Opened {
            route,
            what,
            at: at.into_iter().map(place).collect(),
        };
        self.0.into_iter().map(opened).collect()
    }
}

/// What gets through by `is` and did not by `was`, each in words.
fn weaker(was: &Route, is: &Route) -> Vec<String> {
    let mut found = Vec::new();
    match (&was.security, &is.security) {
        (SecurityRequirement::Public, _) => {}
        (SecurityRequirement::AnyOf(_), SecurityRequirement::Public) => {
            found.push("is public, and asked for a credential".into());
        }
        (SecurityRequirement::AnyOf(was), SecurityRequirement::AnyOf(is)) => {
            let new = is.iter().filter(|is| !was.iter().any(|was| implies(is, was)));
            found.extend(new.map(|alternative| format!("lets in whoever has {}", words(alternative))));
        }
    }
    for (method, rule) in &is.presentation {
        let query = rule.query.as_ref().filter(|query| was.rule(*method).query.as_ref() != Some(query));
        if let Some(query) = query {
            found.push(format!("takes `{}` from the query parameter `{query}`", method.as_str()));
        }
    }
    if is.rule(MethodName::ApiKey).keys_as_passwords && !was.rule(MethodName::ApiKey).keys_as_passwords {
        found.push("takes keys as the password of `Authorization: Basic`".into());
    }
    if is.rule(MethodName::Jwt).cookies && !was.rule(MethodName::Jwt).cookies {
        found.push("takes the session cookie".into());
    }
    if is.forward_credential && !was.forward_credential {
        found.push("shows the credential to its upstream".into());
    }
    if is.cache == CachePolicy::Shared && was.cache == CachePolicy::Private {
        found.push("lets shared caches keep its answers".into());
    }
    if let Some(cors) = &is.cors {
        found.extend(origins(was.cors.as_ref(), cors));
    }
    let kept =
        |limit: &RouteLimit| is.limits.iter().any(|other| other.by == limit.by && at_most(other, limit));
    if !was.limits.iter().all(kept) {
        found.push("has a limit less, or a higher one".into());
    }
    if let (Some(plan), None) = (&was.plan, &is.plan) {
        found.push(format!("is no longer limited by the plan `{}`", plan.as_str()));
    }
    found
}

/// Whoever satisfies `is` would have satisfied `was`.
fn implies(is: &Alternative, was: &Alternative) -> bool {
    was.0.iter().all(|(method, scopes)| is.0.iter().any(|(m, more)| m == method && scopes.is_subset(more)))
}

fn words(alternative: &Alternative) -> String {
    let one = |(method, scopes): &(crate::MethodName, crate::ScopeSet)| {
        if scopes.is_empty() {
            format!("`{}` with any scope", method.as_str())
        } else {
            format!("`{}` with `{scopes}`", method.as_str())
        }
    };
    alternative.0.iter().map(one).collect::<Vec<_>>().join(" and ")
}

fn origins(was: Option<&Cors>, is: &Cors) -> Option<String> {
    let Some(was) = was else { return Some("answers pages of other origins (`cors`)".into()) };
    let wider = match (&was.origins, &is.origins) {
        (CorsOrigins::Any, _) => false,
        (CorsOrigins::Of(_), CorsOrigins::Any) => true,
        (CorsOrigins::Of(was), CorsOrigins::Of(is)) => is.iter().any(|origin| !was.contains(origin)),
    };
    let more = is.methods.iter().any(|method| !was.methods.contains(method))
        || is.headers.iter().any(|name| !was.headers.contains(name))
        || is.credentials && !was.credentials;
    (wider || more).then(|| "answers more pages of other origins, or more of what they ask (`cors`)".into())
}

/// No more at once, and no more in the long run.
fn at_most(one: &RouteLimit, other: &RouteLimit) -> bool {
    let rate = |a: &RouteLimit, b: &RouteLimit| u128::from(a.limit.quota) * b.limit.window.as_nanos();
    one.limit.quota <= other.limit.quota && rate(one, other) <= rate(other, one)
}
