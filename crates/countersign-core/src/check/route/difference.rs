//! What one table lets through that another one did not. Both are asked the same questions: a sample of every host,
//! path and method that either of them knows. So it also shows what no route says of itself, as when a narrow route goes
//! and a wider, weaker one answers in its place.

use super::{
    Alternative, CachePolicy, Cors, CorsOrigins, HostPattern, MethodSet, Route, RouteLimit, RouteTable,
    SecurityRequirement, table::Hit,
};
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
    /// Patterns where it is so.
    pub at: Vec<Box<str>>,
}

/// Past so many questions only what each route says of itself is asked.
const MOST_QUESTIONS: usize = 1_000_000;
/// What no pattern is likely to say literally.
const WORD: &str = "~any~";

impl Difference {
    pub fn between(before: &RouteTable, after: &RouteTable) -> Self {
        let mut opened = Openings::default();
        let questions = questions(before, after);
        let ask = |table: &RouteTable, question: &Question<'_>| match table.lookup(
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
            let question =
                Question { host: host(&route.host), path: path(&route.path), method, at: &route.path };
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
struct Question<'r> {
    host: Box<str>,
    path: Box<str>,
    method: Method,
    /// The pattern that it is a sample of.
    at: &'r str,
}

fn questions<'r>(before: &'r RouteTable, after: &'r RouteTable) -> Vec<Question<'r>> {
    let routes = || before.routes().iter().chain(after.routes());
    let hosts: BTreeSet<Box<str>> = routes().map(|route| host(&route.host)).collect();
    let paths: BTreeSet<&str> = routes().map(|route| &*route.path).collect();
    let mut all = usual();
    for method in routes().flat_map(|route| methods(route)) {
        if !all.contains(&method) {
            all.push(method);
        }
    }
    let question = |host: &str, at: &'r str, method: &Method| Question {
        host: host.into(),
        path: path(at),
        method: method.clone(),
        at,
    };
    if hosts.len().saturating_mul(paths.len()).saturating_mul(all.len()) <= MOST_QUESTIONS {
        let places = hosts.iter().flat_map(|name| paths.iter().map(move |at| (&**name, *at)));
        let each = |(name, at): (&str, &'r str)| {
            all.iter().map(|method| question(name, at, method)).collect::<Vec<_>>()
        };
        return places.flat_map(each).collect();
    }
    let of_each = |route: &'r Arc<Route>| {
        let methods = methods(route);
        methods
            .into_iter()
            .map(|method| question(&host(&route.host), &route.path, &method))
            .collect::<Vec<_>>()
    };
    routes().flat_map(of_each).collect()
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
        parameter if parameter.starts_with('{') => WORD.to_owned(),
        literal => literal.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/").into()
}

#[derive(Default)]
struct Openings(BTreeMap<(Arc<str>, String), Opened>);

impl Openings {
    fn note(&mut self, route: &Arc<Route>, what: String, question: &Question<'_>) {
        let opened = self.0.entry((route.name.clone(), what.clone())).or_insert_with(|| Opened {
            route: route.clone(),
            what,
            at: Vec::new(),
        });
        let at = format!("{} {}", question.method, question.at);
        if !opened.at.iter().any(|known| **known == *at) {
            opened.at.push(at.into());
        }
    }

    fn into_list(self) -> Vec<Opened> {
        self.0.into_values().collect()
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
