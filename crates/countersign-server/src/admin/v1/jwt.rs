//! `/admin/v1/tokens`: why is this token good or not, and the end of one, of a session's, of a principal's, of a key's. None is
//! kept, none is logged, and no answer holds one.

use super::{
    api_key::{Owner, owner},
    principal, session, signing,
};
use crate::{
    call::{Answer, Call, ok},
    input::{Members, Wrong, json::Json},
    openapi::{
        Described,
        shape::{
            array, boolean, defined, integer, nullable, object, pattern, request, string, time as instant,
            words,
        },
    },
    problem::{Problem, quoted},
    words::{duration, read, time},
};
use countersign_core::{
    Authentication, CredentialId, MethodName, Node, NodeKind, PrincipalId, Timestamp,
    check::route::SecurityRequirement, directory::Standing,
};
use countersign_methods::{
    jwt::{
        foreign::{ForeignIssuer, IssuerName},
        inspect::{self as look, Check, Inspection, Outcome},
        issue::TokenError,
        store::TokenRevoked,
        verify::Failure,
    },
    operator,
    principal::caller::{Bound, Caller},
    session::{config::SessionConfig, record::SessionState, token::TokenKind},
    signing::issue::SigningError,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    SessionCookie,
    RefreshToken,
    ApiKey,
    AppPassword,
    Unknown,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Signed,
        Kind::SessionCookie,
        Kind::RefreshToken,
        Kind::ApiKey,
        Kind::AppPassword,
        Kind::Unknown,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Signed => "signed_token",
            Kind::SessionCookie => "session_cookie",
            Kind::RefreshToken => "refresh_token",
            Kind::ApiKey => "api_key",
            Kind::AppPassword => "app_password",
            Kind::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    kind: &'static str,
    /// `null`: nobody asked, since another command does.
    good: Option<bool>,
    /// `jti` of a signed token that its key verified.
    id: Option<String>,
    /// The command that says more.
    see: Option<String>,
    principal: Option<Owner>,
    session: Option<String>,
    expires_at: Option<String>,
    /// Is what `header` and `claims` say what its key signed?
    verified: bool,
    header: Option<Map<String, Value>>,
    claims: Option<Map<String, Value>>,
    checks: Vec<ShownCheck>,
}

#[derive(Debug, Serialize)]
struct ShownCheck {
    check: &'static str,
    of: Option<String>,
    outcome: &'static str,
    reason: String,
    fix: Option<&'static str>,
}

impl From<Check> for ShownCheck {
    fn from(Check { name, of, outcome, reason, fix }: Check) -> Self {
        Self { check: name, of, outcome: outcome.as_str(), reason, fix }
    }
}

/// Says more than any caller is told, so it is for operators. A signed token cannot be guessed, and what is opaque is not looked
/// up: there is nothing here to try.
pub(crate) async fn inspect(call: Call) -> Answer {
    let mut body = call.members()?;
    let token = body.required("token", read::text);
    let token = body.finish(token)?;

    let (kind, see, session) = recognised(&call, &token);
    if !matches!(kind, Kind::Signed | Kind::Unknown) {
        return ok(&Shown {
            kind: kind.as_str(),
            good: None,
            id: None,
            see,
            principal: None,
            session,
            expires_at: None,
            verified: false,
            header: None,
            claims: None,
            checks: Vec::new(),
        });
    }
    let key = match look::kid_of(&token) {
        Some(kid) => call.services.signing.list().await?.into_iter().find(|key| *key.kid == *kid),
        None => None,
    };
    let seen = call.services.jwt.inspect(&token, key.as_ref(), call.now).await;
    let verified = seen.is_verified();
    let Inspection { outline, verdict, mut checks } = seen;
    // ours, and no fault of the token's
    if verdict == Err(Failure::Store) {
        return Err(Problem::unavailable());
    }
    checks.extend(present(&call, verdict.as_ref()).await?);
    let good = checks.iter().all(|check| check.outcome != Outcome::Failed);
    let known = verdict.ok();
    let principal = match &known {
        Some(known) => Some(match &known.foreign {
            Some(standing) => Owner::from(&**standing),
            None => owner(&call, &known.principal).await,
        }),
        None => None,
    };
    let of = |kind: NodeKind| {
        let node = known.as_ref()?.lineage.iter().find(|node| node.kind == kind)?;
        Some(node.id.to_string())
    };
    ok(&Shown {
        kind: kind.as_str(),
        good: Some(good),
        id: of(NodeKind::Token),
        see: None,
        principal,
        session: of(NodeKind::Session),
        expires_at: known.as_ref().and_then(|known| known.expires_at).map(time::format),
        verified,
        header: outline.header,
        claims: outline.claims,
        checks: checks.into_iter().map(ShownCheck::from).collect(),
    })
}

/// By its beginning alone, with the session whose it is where it bears our mark.
fn recognised(call: &Call, token: &str) -> (Kind, Option<String>, Option<String>) {
    let services = &call.services;
    let opaque = services.sessions.as_ref().and_then(|sessions| sessions.issuer.recognise(token.as_bytes()));
    if let Some((kind, session)) = opaque {
        let kind = match kind {
            TokenKind::Cookie => Kind::SessionCookie,
            TokenKind::Refresh => Kind::RefreshToken,
        };
        let see = session.as_ref().map(|session| format!("countersign session show {session}"));
        return (kind, see, session.map(|session| session.to_string()));
    }
    if services.basic.is_app_password(token.as_bytes()) {
        return (Kind::AppPassword, Some("countersign app-password list".into()), None);
    }
    if services.api_keys.is_prefix_of(token.as_bytes()) {
        return (Kind::ApiKey, Some("countersign key verify".into()), None);
    }
    (if token.contains('.') { Kind::Signed } else { Kind::Unknown }, None, None)
}

/// What every request asks beside what a token establishes (RULES 1.1): whom it is for, whether anything that it descends from
/// was called back, and whether its principal is active.
async fn present(call: &Call, verdict: Result<&Authentication, &Failure>) -> Result<Vec<Check>, Problem> {
    let Ok(known) = verdict else {
        const WHY: &str = "a check before it failed";
        return Ok(["aud", "revocation", "principal", "scope", "session"]
            .map(|name| Check::not_reached(name, WHY))
            .into());
    };
    let mut checks = vec![audience(call, known)];
    let feed = &call.services.feed;
    let descent = look::descent(&known.lineage);
    checks.extend(descent.iter().map(|node| look::revocation(node, feed.is_revoked(node))));
    let standing = standing(call, known).await?;
    checks.push(active(known, standing.as_deref()));
    checks.push(scope(known, standing.as_deref()));
    if let Some(node) = descent.iter().find(|node| node.kind == NodeKind::Session) {
        checks.push(its_session(call, node).await?);
    }
    Ok(checks)
}

/// RULES 1.5: a route compares with its own resource; here with those of all routes that take such a token.
fn audience(call: &Call, known: &Authentication) -> Check {
    let Some(audiences) = &known.audiences else {
        return Check::passed("aud", "its issuer's entry says that it is for all of this gateway");
    };
    let takes = |security: &SecurityRequirement| match security {
        SecurityRequirement::Public => false,
        SecurityRequirement::AnyOf(all) => {
            all.iter().any(|one| one.0.iter().any(|(method, _)| *method == MethodName::Jwt))
        }
    };
    let table = call.services.gateway_routes.table();
    let mut found: Vec<&str> = Vec::new();
    for route in table.routes().iter().filter(|route| takes(&route.security)) {
        if let Some(resource) = route.resource.as_deref()
            && audiences.iter().any(|audience| **audience == *resource)
            && !found.contains(&resource)
        {
            found.push(resource);
        }
    }
    let list = |all: &[&str]| all.iter().map(|one| quoted(one).to_string()).collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        let named: Vec<&str> = audiences.iter().map(|audience| &**audience).collect();
        let reason = format!("it is for {}, the resource of no route that takes `jwt`", list(&named));
        return Check::failed(
            "aud",
            reason,
            "give a route that `resource`, or get a token for one of those there are",
        );
    }
    Check::passed("aud", format!("for {}", list(&found)))
}

/// Of the principal that it speaks for: as its issuer describes it, or ours.
async fn standing(call: &Call, known: &Authentication) -> Result<Option<Arc<Standing>>, Problem> {
    if let Some(foreign) = &known.foreign {
        return Ok(Some(foreign.clone()));
    }
    let directory = &call.services.directory;
    match directory.standing(&known.principal) {
        Some(standing) => Ok(Some(standing)),
        None => Ok(directory.load(&known.principal).await?),
    }
}

fn active(known: &Authentication, standing: Option<&Standing>) -> Check {
    const NAME: &str = "principal";
    match standing {
        Some(standing) if known.foreign.is_some() => {
            Check::passed(NAME, format!("{} is its issuer's", quoted(standing.name.as_str())))
        }
        Some(standing) if standing.active => {
            Check::passed(NAME, format!("{} is enabled", quoted(standing.name.as_str())))
        }
        Some(standing) => Check::failed(
            NAME,
            format!("{} is disabled", quoted(standing.name.as_str())),
            "`countersign user enable NAME` lets everything of theirs work again",
        ),
        None => Check::failed(NAME, "there is no such principal", "sign in as somebody who is here"),
    }
    .of(known.principal.to_string())
}

/// What is left of what it says, by its issuer's entry and by what its principal may do now (RULES 1.1, 1.8). A token without
/// scopes is good for routes that ask for none.
fn scope(known: &Authentication, standing: Option<&Standing>) -> Check {
    let counts = match standing {
        Some(standing) if known.foreign.is_none() => known.scopes.intersection(&standing.scopes),
        _ => known.scopes.clone(),
    };
    let says =
        if counts.is_empty() { "none counts here".to_owned() } else { format!("what counts here: {counts}") };
    Check::passed("scope", says)
}

/// Only its end counts, which the feed tells every gateway: that a session rested too long stops no token of it before its time.
async fn its_session(call: &Call, node: &Node) -> Result<Check, Problem> {
    const NAME: &str = "session";
    let Some(sessions) = &call.services.sessions else {
        return Ok(Check::not_reached(NAME, "the configuration has no `[sessions]`").of(&*node.id));
    };
    let check = match sessions.issuer.find(&CredentialId::of(node)).await? {
        None => Check::passed(NAME, "nothing is kept of it any more; its token lasts until its own end"),
        Some(record) => match record.state {
            SessionState::Ended { at, reason } => {
                let why = format!("it ended at {}: {}", time::format(at), reason.as_str());
                Check::failed(NAME, why, "sign in again")
            }
            SessionState::Open => {
                Check::passed(NAME, session::Standing::of(call, sessions, &record).as_str().replace('_', " "))
            }
        },
    };
    Ok(check.of(&*node.id))
}

/// What is to end.
#[derive(Debug)]
enum Target {
    Token(String),
    /// By its `jti`, for as long as it would last.
    Id(String, Timestamp),
    Session(String),
    Principal(String),
    SigningKey(String),
}

#[derive(Debug, Serialize)]
struct Ended {
    what: &'static str,
    id: String,
    /// `false`: it was over already.
    changed: bool,
    /// How many, where a principal's ended.
    sessions: Option<u64>,
}

pub(crate) async fn revoke(call: Call) -> Answer {
    let mut body = call.members()?;
    let target = target(&mut body, call.now);
    let target = body.finish(target)?;

    let (services, caller, now) = (&call.services, &call.caller, call.now);
    let ended = match target {
        Target::Token(token) => {
            let (id, until) = signed(&call, &token).await?;
            let until = remembered(&call, &id, until);
            let revoked = services.jwt.issuer().revoke_id(&id, until, caller, now).await?;
            one("token", id, revoked == TokenRevoked::Now)
        }
        // it is over, and what was begun with it: nothing would be refused that is not
        Target::Id(jti, until) if remembered(&call, &jti, until) <= now => one("token", jti, false),
        Target::Id(jti, until) => {
            known_issuer(&call, &jti)?;
            let until = remembered(&call, &jti, until);
            let revoked = services.jwt.issuer().revoke_id(&jti, until, caller, now).await?;
            one("token", jti, revoked == TokenRevoked::Now)
        }
        Target::Session(id) => {
            let sessions = session::sessions(&call)?;
            let changed = session::end_one(&call, &sessions, &id).await?;
            one("session", id, changed)
        }
        Target::Principal(name) => {
            ours(&name)?;
            let sessions = session::sessions(&call)?;
            let id = principal::resolve(&call, &name).await?.id;
            let ended = sessions.issuer.end_everything(&id, caller, now).await?;
            Ended { what: "principal", id: id.to_string(), changed: true, sessions: Some(ended) }
        }
        Target::SigningKey(kid) => {
            may_end_signing_keys(caller)?;
            let changed = match services.signing.revoke(&kid, caller, now).await {
                Ok(_) => true,
                Err(SigningError::Removed) => false,
                Err(SigningError::Unknown) => return Err(signing::unknown(&kid)),
                Err(error) => return Err(error.into()),
            };
            one("signing_key", kid, changed)
        }
    };
    ok(&ended)
}

/// Streams that were begun with a token of an issuer may go on after it.
fn remembered(call: &Call, jti: &str, until: Timestamp) -> Timestamp {
    let issuer = jti.split_once(':').and_then(|(name, _)| call.services.jwt.issuers().named(name));
    issuer.map_or(until, |trusted| trusted.config.stream_end(until))
}

/// A name that is mistyped would call back nothing, and be told that it did.
fn known_issuer(call: &Call, jti: &str) -> Result<(), Problem> {
    let Some((name, _)) = jti.split_once(':') else { return Ok(()) };
    if call.services.jwt.issuers().named(name).is_some() {
        return Ok(());
    }
    let detail = format!("{} is the name of no entry of `[[issuers]]`", quoted(name));
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "issuer_unknown", detail))
}

/// RULES 2.5: "everything until now" is a generation, which only tokens of ours carry.
fn ours(id_or_name: &str) -> Result<(), Problem> {
    let Some(id) = PrincipalId::parse(id_or_name).filter(PrincipalId::is_foreign) else { return Ok(()) };
    let detail = format!(
        "`{id}` is a principal of another issuer, which signs for it whenever it likes; `POST /admin/v1/revocations` with the \
         node `principal:{id}` refuses all of it for good, `token` or `jti` here one token"
    );
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "principal_foreign", detail))
}

/// Everybody's tokens end with a signing key, so it takes what ending one by its own URL takes.
fn may_end_signing_keys(caller: &Caller) -> Result<(), Problem> {
    let holds = |bound: &Bound| bound.scopes.iter().any(|scope| scope.as_str() == operator::SIGNING_KEYS);
    if caller.bound.as_ref().is_some_and(holds) {
        return Ok(());
    }
    let detail =
        format!("ending a signing key needs `{}`; ask for a credential that has it", operator::SIGNING_KEYS);
    Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
}

fn one(what: &'static str, id: String, changed: bool) -> Ended {
    Ended { what, id, changed, sessions: None }
}

/// By which node a token that is still good is called back, and until when. What is no signed token is ended in another way,
/// which is said.
async fn signed(call: &Call, token: &str) -> Result<(String, Timestamp), Problem> {
    let (kind, see, session) = recognised(call, token);
    let what = match kind {
        Kind::Signed | Kind::Unknown => {
            let judged = call.services.jwt.judge(token, call.now).await;
            let known = match judged {
                Err(Failure::Store) => return Err(Problem::unavailable()),
                judged => judged.map_err(TokenError::NotOurs)?,
            };
            let node = known.lineage.iter().find(|node| node.kind == NodeKind::Token);
            return node.map(|node| node.id.to_string()).zip(known.expires_at).ok_or_else(Problem::internal);
        }
        Kind::SessionCookie => "a session's cookie",
        Kind::RefreshToken => "a refresh token",
        Kind::ApiKey => "an API key",
        Kind::AppPassword => "an app password",
    };
    let how = match (session, see) {
        (Some(session), _) => format!("; `countersign session end {session}` ends it"),
        (None, Some(_)) => "; revoke it by its id".to_owned(),
        (None, None) => ", and none that was given out here".to_owned(),
    };
    let detail = format!("it is {what}, not a signed token{how}");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "token_not_ours", detail))
}

/// Exactly one of them.
fn target(body: &mut Members, now: Timestamp) -> Option<Target> {
    let token = body.optional("token", read::text).map(Target::Token);
    let jti = body.optional("jti", jti);
    let expires_at = body.optional("expires_at", read::point);
    let session = body.optional("session", read::text).map(Target::Session);
    let principal = body.optional("principal", read::text).map(Target::Principal);
    let signing_key = body.optional("signing_key", read::text).map(Target::SigningKey);
    // what is wrong with one of them is said already
    if body.is_good() && jti.is_some() != expires_at.is_some() {
        body.fault("jti", "stands with `expires_at`, the token's `exp`: so long it is remembered");
    }
    if let Some((jti, until)) = jti.as_ref().zip(expires_at)
        && let Err(why) = lasts(jti, until, now)
    {
        body.fault("expires_at", why);
    }
    let id = jti.zip(expires_at).map(|(jti, until)| Target::Id(jti, until));
    let mut named = [token, id, session, principal, signing_key].into_iter().flatten();
    let first = named.next();
    if body.is_good() && (first.is_none() || named.next().is_some()) {
        body.fault("", "give one of `token`, `jti` with `expires_at`, `session`, `principal`, `signing_key`");
    }
    first
}

/// Ours is letters and digits; of an issuer that is trusted its name stands before it (`staff:...`).
fn jti(value: Json) -> Result<String, Wrong> {
    let text = read::text(value)?;
    let own = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let good = match text.split_once(':') {
        None => (1..=64).contains(&text.len()) && own(&text),
        Some((name, id)) => {
            IssuerName::parse(name).is_some()
                && (1..=128).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_graphic())
        }
    };
    if good {
        return Ok(text);
    }
    let why =
        "is no `jti` of ours, which is letters and digits, and none with the name of its issuer before it";
    Err(format!("{} {why}", quoted(&text)).into())
}

/// What ends later than any such token does would be remembered for nothing.
fn lasts(jti: &str, until: Timestamp, now: Timestamp) -> Result<(), String> {
    let longest = match jti.contains(':') {
        true => ForeignIssuer::MOST_LONGEST,
        false => SessionConfig::LONGEST_ACCESS,
    };
    if until > now + longest {
        return Err(format!("is further away than {}, which no such token lasts", duration::format(longest)));
    }
    Ok(())
}

const TAG: &str = "tokens";

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let check = object(
        "One check, in the order in which they are made.",
        &[
            ("check", string()),
            ("of", nullable(string())),
            ("outcome", words(&Outcome::ALL.map(Outcome::as_str))),
            ("reason", string()),
            ("fix", nullable(string())),
        ],
        &[],
    );
    let anything = || nullable(json!({"type": "object"}));
    let inspected = object(
        "What was shown, and why it is good or not: never the token, never its signature.",
        &[
            ("kind", words(&Kind::ALL.map(Kind::as_str))),
            ("good", nullable(boolean())),
            ("id", nullable(string())),
            ("see", nullable(string())),
            ("principal", nullable(defined("Owner"))),
            ("session", nullable(string())),
            ("expires_at", nullable(instant())),
            ("verified", boolean()),
            ("header", anything()),
            ("claims", anything()),
            ("checks", array(defined("TokenCheck"))),
        ],
        &[],
    );
    let ended = object(
        "`changed` is false where it was over already.",
        &[
            ("what", words(&["token", "session", "principal", "signing_key"])),
            ("id", string()),
            ("changed", boolean()),
            ("sessions", nullable(integer(0))),
        ],
        &[],
    );
    vec![("TokenCheck", check), ("InspectedToken", inspected), ("RevokedToken", ended)]
}

pub(crate) fn describe_inspect() -> Described {
    Described::new(TAG, "Why is this token good, or not? Every check, in order")
        .body(request(&[("token", string())], &[]), json!({"token": "eyJ..."}))
        .answer(200, "what it is, and the checks", defined("InspectedToken"))
}

pub(crate) fn describe_revoke() -> Described {
    let body = request(
        &[],
        &[
            ("token", string()),
            ("jti", pattern("^([0-9A-Za-z]{1,64}|[a-z0-9_-]{1,64}:[!-~]{1,128})$")),
            ("expires_at", instant()),
            ("session", session::session_id()),
            ("principal", crate::openapi::shape::id_or_name()),
            ("signing_key", signing::kid()),
        ],
    );
    Described::new(
        TAG,
        "End a token, a session, everything of a principal's until now, or all that a key signed",
    )
    .body(body, json!({"principal": "ada"}))
    .answer(200, "what ended", defined("RevokedToken"))
    .problem(404, "session_unknown")
    .problem(404, "sessions_off")
    .problem(404, "principal_unknown")
    .problem(404, "signing_key_unknown")
    .problem(409, "signing_key_changed")
    .problem(422, "issuer_unknown")
    .problem(422, "principal_foreign")
    .problem(422, "token_not_ours")
}
