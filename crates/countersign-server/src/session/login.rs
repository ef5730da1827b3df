//! `/.countersign/session/login`: the page, and what it sends. A browser gets cookies and goes where it wanted; a script of our own
//! page may ask for cookies too; whoever is no browser gets tokens. A wrong password, nobody's name and too many of either are
//! one answer (RULES 5.1).

use super::{cookies, page, refresh, tokens};
use crate::{
    call::{Answer, Facts},
    problem::Problem,
    services::Sessions,
    words::read,
};
use axum::body::Body;
use countersign_core::{Lineage, ScopeSet, check::cookie};
use countersign_methods::{
    basic::issue::BasicError,
    session::{
        issue::{Begin, Begun, SignedIn, from_network},
        record::{EndReason, SessionKind},
    },
};
use http::{
    HeaderValue, Response, StatusCode,
    header::{LOCATION, USER_AGENT},
};

/// The page. A browser whose access token ran out while its refresh token lives is sent on at once; whoever is signed in and comes
/// here all the same is told so.
pub(crate) async fn show(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let mut query = facts.query()?;
    let back = query.optional("return_to", read::text);
    query.finish(Some(()))?;
    let back = back.filter(|back| is_here(back));
    // first: a session that stands is not exchanged for another one by looking at a page
    if is_signed_in(&facts, &sessions).await {
        return signed_in_page(&facts, back.as_deref());
    }
    if let Some(Ok((record, refresh))) = refresh::on_the_way(&facts, &sessions).await {
        let mut response = match &back {
            Some(back) => see_other(Some(back))?,
            None => signed_in_page(&facts, None)?,
        };
        match refresh {
            None => tokens::set_access(&mut response, &sessions, &record, facts.now)?,
            next => tokens::set(&mut response, &sessions, &record, (None, next.as_ref()), facts.now)?,
        }
        return Ok(response);
    }
    page::login(&*facts.services.entropy, &facts.services.answers.realm, back.as_deref(), None)
}

pub(crate) async fn login(facts: Facts) -> Answer {
    let sessions = facts.sessions()?;
    let is_form = facts.is_form();
    let mut body = facts.members_of_form_or_json()?;
    let user = body.required("username", read::text);
    let password = body.required("password", read::password);
    let scope = body.optional("scope", scope);
    let (mut wants_cookie, mut back) = (is_form, None);
    if is_form {
        back = body.optional("return_to", read::text);
    } else {
        wants_cookie = body.optional("cookie", read::boolean).unwrap_or_default();
    }
    let (user, password) = body.finish(user.zip(password))?;
    // login CSRF: a cookie of somebody else's account is set by nobody else's page
    if wants_cookie {
        facts.demand_own_page()?;
    }
    let services = &facts.services;
    let from = facts.peer.address;
    let back = back.filter(|back: &String| is_here(back));
    let signed_in = services.basic.sign_in(&user, &password, from, facts.now).await;
    let (principal, password) = match signed_in {
        Ok(signed_in) => signed_in,
        Err(BasicError::Wrong | BasicError::Busy) if is_form => {
            let failed = match signed_in {
                Err(BasicError::Busy) => (StatusCode::SERVICE_UNAVAILABLE, page::BUSY),
                _ => (StatusCode::FORBIDDEN, page::WRONG),
            };
            let failed = page::Failed { status: failed.0, says: failed.1, user: &user };
            return page::login(&*services.entropy, &services.answers.realm, back.as_deref(), Some(failed));
        }
        Err(BasicError::Wrong) => {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "password_wrong",
                "user name and password do not fit, or too many that do not were tried; look at them, wait a while, try again",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    // those that fail are slowed down by whoever knows whose place this is (RULES 5.1)
    services.charge("sign-ins of this person", principal.id.as_str().as_bytes(), &services.limits.login)?;
    let kind = if wants_cookie { sessions.browser_kind() } else { SessionKind::Native };
    let who = SignedIn {
        scopes: principal.scopes.clone(),
        principal: principal.id,
        parents: vec![password.node()],
        amr: "pwd",
        ends_at: None,
        at: facts.now,
    };
    let mut begun = begin(&facts, &sessions, who.clone(), kind, scope.clone()).await?;
    if kind == SessionKind::JwtCookie && !tokens::fits_a_cookie(&sessions, &begun.record, facts.now)? {
        let caller = from_network(facts.peer.address, facts.request);
        sessions.issuer.end(&begun.record.id, EndReason::Displaced, &caller, facts.now).await?;
        begun = begin(&facts, &sessions, who, SessionKind::Cookie, scope).await?;
    }
    if !wants_cookie {
        let refresh = begun.refresh.ok_or_else(Problem::internal)?;
        return tokens::native(&sessions, &begun.record, &refresh, facts.now);
    }
    // ASVS 7.2.4: what the browser had before is over
    if let Err(error) = cookies::sign_out(&facts, &sessions).await {
        tracing::warn!(%error, request = %facts.request, "the session before could not be ended; it ends by itself");
    }
    let mut response = if is_form { see_other(back.as_deref())? } else { tokens::opened(&begun.record)? };
    let cookies = (begun.cookie.as_ref(), begun.refresh.as_ref());
    tokens::set(&mut response, &sessions, &begun.record, cookies, facts.now)?;
    Ok(response)
}

/// By a cookie that the judgement would let in. An outage says no: the form is of use to whoever is signed in, too.
async fn is_signed_in(facts: &Facts, sessions: &Sessions) -> bool {
    let Some(shown) = facts.cookie(cookie::SESSION) else { return false };
    let stands = if sessions.issuer.is_cookie(shown) {
        let Ok(Some(record)) = sessions.issuer.of_cookie(shown, facts.now).await else { return false };
        sessions.issuer.stands(&record.id, &Lineage::new([record.node()]), facts.now).await
    } else {
        let Some((token, kid)) = sessions.access_token(shown, facts.now) else { return false };
        sessions.issuer.stands(&token.session, &token.lineage(&kid), facts.now).await
    };
    stands.unwrap_or(false)
}

fn signed_in_page(facts: &Facts, back: Option<&str>) -> Answer {
    page::signed_in(&*facts.services.entropy, &facts.services.answers.realm, back)
}

pub(super) async fn begin(
    facts: &Facts,
    sessions: &Sessions,
    who: SignedIn,
    kind: SessionKind,
    scopes: Option<ScopeSet>,
) -> Result<Begun, Problem> {
    let agent = facts.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let host = facts.authority().unwrap_or_default().to_owned();
    let asked = Begin { kind, host, scopes, agent: agent.to_owned() };
    let caller = from_network(facts.peer.address, facts.request);
    Ok(sessions.issuer.begin(who, asked, &caller, facts.now).await?)
}

/// RFC 6749 3.3: words with one space between them.
pub(super) fn scope(value: crate::input::json::Json) -> Result<ScopeSet, crate::input::Wrong> {
    let text = read::text(value)?;
    ScopeSet::parse(&text).ok_or_else(|| "must be scopes with one space between them".into())
}

/// RFC 9110 15.4.4: what was posted is not posted again.
pub(super) fn see_other(back: Option<&str>) -> Result<Response<Body>, Problem> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::try_from(back.unwrap_or("/")).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(LOCATION, to);
    Ok(response)
}

/// A path of this host, and nothing that a browser could take for another one: `//`, `/\`, a scheme.
pub(super) fn is_here(back: &str) -> bool {
    let mut bytes = back.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && back.len() <= 2000
        && back.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && !back.starts_with("/.countersign/")
}
