//! `jwt` on a route: whose tokens can be for it, and whether the cookie of a session counts there.

use super::{
    reader::{Field, Table},
    report::MISSING,
    routes::transpose,
};
use countersign_core::{
    MethodName, MethodRule,
    check::route::{Alternative, SecurityRequirement},
};
use std::sync::Arc;

/// Whose tokens there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'s> {
    /// There is `[sessions]`.
    pub(super) sessions: bool,
    /// What it says that its own are for; `None`: what the routes are.
    pub(super) audiences: Option<&'s [Arc<str>]>,
    /// There are `[[issuers]]`.
    pub(super) issuers: bool,
}

pub(super) fn is_named(security: &SecurityRequirement) -> bool {
    let SecurityRequirement::AnyOf(alternatives) = security else { return false };
    alternatives
        .iter()
        .any(|Alternative(methods)| methods.iter().any(|(method, _)| *method == MethodName::Jwt))
}

/// How tokens may be shown on a route; `Some(None)`: as they are where a route says nothing. `security` and `resource`
/// are `None` where they could not be read.
pub(super) fn presentation(
    table: &Table<'_, '_>,
    security: Option<&SecurityRequirement>,
    resource: Option<Option<&str>>,
    tokens: Tokens<'_>,
) -> Option<Option<MethodRule>> {
    let field = table.get("jwt");
    let said = transpose(field.as_ref().map(said));
    if !is_named(security?) {
        let Some(field) = field else { return Some(None) };
        field.problem("says how `jwt` is shown here, and `security` does not name it");
        return None;
    }
    let sessions = taken(table, resource, tokens)?;
    let Some(Said { cookies, sign_in }) = said? else {
        return Some(sessions.then(|| rule(true, true)));
    };
    let counts = cookies.unwrap_or(sessions);
    let leads = sign_in.unwrap_or(counts);
    let mut good = true;
    let mut wrong = |key: &str, why: &str| {
        good = false;
        if let Some(table) = field.as_ref().and_then(Field::table) {
            table.problem_at(key, why);
        }
    };
    for (key, is_said) in [("cookies", cookies), ("sign_in", sign_in)] {
        match (is_said, sessions, tokens.sessions) {
            (Some(true), false, false) => wrong(key, "goes with `[sessions]`, which is missing"),
            (Some(true), false, true) => {
                wrong(key, "goes with a `resource` among `audiences` of `[sessions]`")
            }
            _ => {}
        }
    }
    // whoever signed in would be asked to again and again
    if leads && !counts {
        wrong("sign_in", "goes with `cookies`: signing in sets one");
    }
    good.then(|| Some(rule(counts, leads)))
}

fn rule(cookies: bool, sign_in: bool) -> MethodRule {
    MethodRule { cookies, sign_in, ..MethodRule::DEFAULT }
}

/// `jwt = { cookies = true, sign_in = true }`.
struct Said {
    cookies: Option<bool>,
    sign_in: Option<bool>,
}

fn said(field: &Field<'_, '_>) -> Option<Said> {
    let table = field.table()?;
    let flag = |key| transpose(table.get(key).map(|field| field.boolean()));
    let (cookies, sign_in) = (flag("cookies"), flag("sign_in"));
    table.finish();
    Some(Said { cookies: cookies?, sign_in: sign_in? })
}

/// Can a session's token be for this route? `None`: nobody's can, or it is not known.
fn taken(table: &Table<'_, '_>, resource: Option<Option<&str>>, tokens: Tokens<'_>) -> Option<bool> {
    if !tokens.sessions && !tokens.issuers {
        let why = "names `jwt`, and nobody's tokens are believed: add `[sessions]`, so that people sign in here, or \
                   `[[issuers]]`, for tokens that others sign";
        wrong_at(table, "security", why);
        return None;
    }
    let Some(resource) = resource? else {
        table.problem_at(
            "resource",
            format!(
                "{MISSING}: without it no token is for this route; say it here, on the upstream, or for all of them \
                 with `url` of `[gateway]`"
            ),
        );
        return None;
    };
    let sessions =
        tokens.sessions && tokens.audiences.is_none_or(|all| all.iter().any(|one| **one == *resource));
    if !sessions && !tokens.issuers {
        let why =
            format!("`{resource}` is not among `audiences` of `[sessions]`: no token is for this route");
        wrong_at(table, "resource", &why);
        return None;
    }
    Some(sessions)
}

/// At the key's own line where it is said.
fn wrong_at(table: &Table<'_, '_>, key: &'static str, why: &str) {
    match table.get(key) {
        Some(field) => field.problem(why),
        None => table.problem_at(key, why),
    }
}
