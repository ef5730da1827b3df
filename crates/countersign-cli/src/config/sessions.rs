//! `[sessions]`: how long people stay signed in, and what their tokens are for.

use super::{
    jwt,
    reader::{Field, Table},
    values,
};
use countersign_core::check::route::Route;
use countersign_methods::session::config::SessionConfig;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ACCESS: RangeInclusive<Duration> = MINUTE..=SessionConfig::LONGEST_ACCESS;
const SHORTEST: Duration = Duration::from_secs(5 * 60);
const IDLE: RangeInclusive<Duration> = SHORTEST..=Duration::from_secs(90 * DAY.as_secs());
const ABSOLUTE: RangeInclusive<Duration> = SHORTEST..=Duration::from_secs(365 * DAY.as_secs());
/// Tabs that are opened at once, each of which makes a step of the chain.
const LEAST_WITH_TABS: Duration = Duration::from_secs(5);
/// Every token carries all of them, and stands in a field.
const MOST_AUDIENCES: usize = 16;

/// What the section says before the routes have been read.
#[derive(Debug)]
pub(super) struct Sessions<'d, 'i> {
    section: Table<'d, 'i>,
    /// But for the audiences.
    config: Option<SessionConfig>,
    /// `None`: what the routes are.
    audiences: Option<Option<Vec<Arc<str>>>>,
}

/// `None`: people do not sign in here.
pub(super) fn read<'d, 'i>(root: &Table<'d, 'i>, word: &str) -> Option<Sessions<'d, 'i>> {
    let section = root.section("sessions")?;
    let config = config(&section, word);
    let audiences = section.get("audiences").map(|field| audiences(&field));
    section.finish();
    Some(Sessions { section, config, audiences })
}

impl Sessions<'_, '_> {
    /// `None`: what the routes are, or nothing that can be read.
    pub(super) fn audiences(&self) -> Option<&[Arc<str>]> {
        self.audiences.as_ref()?.as_deref()
    }

    /// `routes`: all of them.
    pub(super) fn settle(self, routes: Option<&[Route]>) -> Option<SessionConfig> {
        let audiences = match self.audiences {
            Some(said) => said?,
            None => of_routes(&self.section, routes?)?,
        };
        Some(SessionConfig { audiences: audiences.into(), ..self.config? })
    }
}

fn config(section: &Table<'_, '_>, word: &str) -> Option<SessionConfig> {
    let usual = SessionConfig::default();
    let time = |key, usual, range| {
        section.get(key).map_or(Some(usual), |field: Field<'_, '_>| field.duration_within(range))
    };
    let access = time("access_lifetime", usual.access, ACCESS);
    let idle = time("idle", usual.idle, IDLE);
    let absolute = time("absolute", usual.absolute, ABSOLUTE);
    if let (Some(idle), Some(absolute)) = (idle, absolute)
        && absolute < idle
    {
        let (absolute, idle) = (values::show_duration(absolute), values::show_duration(idle));
        section.problem_at("absolute", format!("`{absolute}` is shorter than `idle`, `{idle}`"));
    }
    let grace = section.get("grace").map_or(Some(usual.grace), |field| field.parsed(grace));
    let per_credential = section.get("per_credential").map_or(Some(usual.per_credential), |field| {
        field.integer(1..=10_000).and_then(|most| u32::try_from(most).ok())
    });
    let jwt_cookie = section
        .get("cookie")
        .map_or(Some(usual.jwt_cookie), |field| field.choice(&[("session", false), ("jwt", true)]));
    if let (Some(true), Some(grace)) = (jwt_cookie, grace)
        && grace < LEAST_WITH_TABS
    {
        section.problem_at(
            "grace",
            "is shorter than 5 s: with `cookie = \"jwt\"` tabs that open at once would sign each other out",
        );
    }
    Some(SessionConfig {
        word: word.to_owned(),
        audiences: usual.audiences,
        access: access?,
        idle: idle?,
        absolute: absolute?,
        grace: grace?,
        per_credential: per_credential?,
        jwt_cookie: jwt_cookie?,
    })
}

/// Also none at all, which no duration says.
fn grace(text: &str) -> Result<Duration, String> {
    let read = if text == "0s" { Some(Duration::ZERO) } else { values::parse_duration(text) };
    read.filter(|grace| *grace <= MINUTE)
        .ok_or_else(|| format!("`{text}` is not a duration from `0s` to `60s`"))
}

fn audiences(field: &Field<'_, '_>) -> Option<Vec<Arc<str>>> {
    let said = field.list(values::resource)?;
    if said.is_empty() {
        field.problem(
            "is empty; leave it out, and sessions are for the resources of the routes that take `jwt`",
        );
        return None;
    }
    if said.len() > MOST_AUDIENCES {
        field.problem(format!("names more than {MOST_AUDIENCES}"));
        return None;
    }
    if let Some((_, twice)) = said.iter().enumerate().find(|(n, one)| said.iter().take(*n).any(|o| o == *one))
    {
        field.problem(format!("names `{twice}` twice"));
        return None;
    }
    Some(said)
}

/// RULES 1.5: each once, in the order of the routes.
fn of_routes(section: &Table<'_, '_>, routes: &[Route]) -> Option<Vec<Arc<str>>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    for resource in routes.iter().filter(|r| jwt::is_named(&r.security)).filter_map(|r| r.resource.as_ref()) {
        if found.contains(resource) {
            continue;
        }
        if found.len() == MOST_AUDIENCES {
            section.problem_at(
                "audiences",
                format!(
                    "is missing: the routes that take `jwt` have more than {MOST_AUDIENCES} resources, and a token \
                     carries no more; say here which of them sessions are for"
                ),
            );
            return None;
        }
        found.push(resource.clone());
    }
    if found.is_empty() {
        section.problem_at(
            "audiences",
            "is missing: no route takes `jwt`, so no token would be for anything; name `jwt` in the `security` of a \
             route, or say here what sessions are for",
        );
        return None;
    }
    Some(found)
}
