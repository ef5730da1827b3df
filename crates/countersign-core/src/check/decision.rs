//! What the judgement leaves behind. A [`Permit`] cannot be built outside this folder, and the forwarder takes
//! nothing else.

use super::{
    Case,
    limit::RateLimit,
    path,
    request::{One, Transport},
    revocation::Position,
    route::{Cors, Route},
};
use crate::{
    MethodName,
    authentication::Authentication,
    authenticator::{Fault, Rejection},
    challenge::Challenge,
    directory::Standing,
};
use http::{Method, header::AUTHORIZATION, uri::PathAndQuery};
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
pub enum Decision {
    Allow(Permit),
    Deny(Denial),
}

impl From<Result<Permit, Refused>> for Decision {
    fn from(judged: Result<Permit, Refused>) -> Self {
        judged.map_or_else(|denial| Decision::Deny(*denial), Decision::Allow)
    }
}

/// A good credential as this request may use it: what it established, and its owner as of now.
#[derive(Debug, Clone)]
pub struct Known {
    pub authentication: Arc<Authentication>,
    pub standing: Arc<Standing>,
    /// The credential's scopes cut to the principal's present ones (RULES 1.1).
    pub scopes: crate::ScopeSet,
}

/// The state of the tightest limit that was charged, for the `RateLimit` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitState {
    pub limit: RateLimit,
    pub remaining: u32,
    pub reset_after: Duration,
}

/// Proof that every step of the check was taken. It holds method, authority and canonical target; the request line
/// that goes upstream is written from it (RULES 2.3).
#[derive(Debug)]
pub struct Permit {
    pub(super) route: Arc<Route>,
    /// Those of the first satisfied alternative; the subject first, then the actors (RULES 2.1). Empty: public route.
    pub(super) known: Vec<Known>,
    pub(super) method: Method,
    /// Canonical: lower case, no trailing dot, no userinfo, no default port.
    pub(super) authority: Box<str>,
    /// Canonical, and without a credential in the query.
    pub(super) target: PathAndQuery,
    pub(super) limit: Option<LimitState>,
    /// The feed's floor before anything was read: what changed above it may have changed since.
    pub(super) floor: Position,
}

impl Permit {
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// `None` on a public route.
    pub fn subject(&self) -> Option<&Known> {
        self.known.first()
    }

    pub fn actors(&self) -> &[Known] {
        self.known.get(1..).unwrap_or_default()
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn target(&self) -> &PathAndQuery {
        &self.target
    }

    pub fn limit(&self) -> Option<&LimitState> {
        self.limit.as_ref()
    }
}

/// Why not. One status and one default code each; the code may be narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DenialKind {
    /// 400: the request breaks a grammar.
    Malformed,
    /// 401: no credential, or a bad one.
    Unauthenticated,
    /// 503: a store did not answer, the feed is blind, a plan is unknown.
    Unavailable,
    /// 403: authenticated and not allowed, or not here.
    Forbidden,
    /// 404
    NoRoute,
    /// 405
    MethodNotAllowed,
    /// 421
    Misdirected,
    /// 429
    TooMany,
}

impl DenialKind {
    pub fn status(self) -> http::StatusCode {
        match self {
            DenialKind::Malformed => http::StatusCode::BAD_REQUEST,
            DenialKind::Unauthenticated => http::StatusCode::UNAUTHORIZED,
            DenialKind::Unavailable => http::StatusCode::SERVICE_UNAVAILABLE,
            DenialKind::Forbidden => http::StatusCode::FORBIDDEN,
            DenialKind::NoRoute => http::StatusCode::NOT_FOUND,
            DenialKind::MethodNotAllowed => http::StatusCode::METHOD_NOT_ALLOWED,
            DenialKind::Misdirected => http::StatusCode::MISDIRECTED_REQUEST,
            DenialKind::TooMany => http::StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// For the caller: `kind`, `code`, `challenges`, `retry_after`, `allow`. For the operator, by request id: `reason`
/// and `known`.
#[derive(Debug)]
pub struct Denial {
    pub kind: DenialKind,
    /// RFC 9457 extension member `code`: `credential_missing`, `scope_missing`, ...
    pub code: &'static str,
    /// The true reason, never sent.
    pub reason: &'static str,
    /// One `WWW-Authenticate` line each, strongest first; filled where the status is 401.
    pub challenges: Arc<[Challenge]>,
    /// RFC 6750 3.1: on 403 `scope_missing` the scopes that the nearest alternative needs.
    pub needs: Option<crate::ScopeSet>,
    pub retry_after: Option<Duration>,
    pub limit: Option<LimitState>,
    /// 405: what the pattern takes.
    pub allow: Vec<Method>,
    /// 401, and a person who came by a browser can get a session: what they asked for, as a permit would hold it.
    pub sign_in: Option<PathAndQuery>,
    /// `None`: no route was found.
    pub route: Option<Arc<Route>>,
    /// Whom we knew when we refused, if anybody.
    pub known: Vec<Known>,
}

/// A denial on its way out of a step.
pub(super) type Refused = Box<Denial>;

impl Case<'_> {
    /// Canonical, and without a credential in the query.
    fn target(&self) -> PathAndQuery {
        path::without_parameters(self.asked.target.clone(), &self.compiled.secret_parameters)
    }
}

impl Denial {
    pub(super) fn refused(kind: DenialKind, code: &'static str, reason: &'static str) -> Refused {
        Box::new(Self::new(kind, code, reason))
    }

    pub(super) fn rejected(rejection: &Rejection) -> Refused {
        let kind = match rejection.fault {
            Fault::Malformed => DenialKind::Malformed,
            Fault::Invalid => DenialKind::Unauthenticated,
            Fault::Forbidden => DenialKind::Forbidden,
        };
        Self::refused(kind, rejection.code, rejection.reason)
    }

    pub(super) fn unavailable(reason: &'static str) -> Refused {
        Self::refused(DenialKind::Unavailable, "store_unavailable", reason)
    }

    /// Says which route, and what it challenges with. A 401 needs a challenge (RFC 9110 15.5.2): where the route has
    /// none it is a 403 (RULES 1.9).
    pub(super) fn about(mut self: Box<Self>, case: &Case<'_>) -> Refused {
        let (compiled, request) = (case.compiled, &case.request);
        self.route = Some(compiled.route.clone());
        if self.kind == DenialKind::Unauthenticated {
            if compiled.challenges.is_empty() {
                self.kind = DenialKind::Forbidden;
                self.code = "certificate_required";
            }
            self.challenges = if request.is_navigation() {
                compiled.challenges_to_browsers.clone()
            } else {
                compiled.challenges.clone()
            };
            if self.kind == DenialKind::Unauthenticated && self.is_mended_by_login(case) {
                self.sign_in = Some(case.target());
            }
        }
        self
    }

    /// A person who came here without a session, and for whom one would count: who has one already, or sends what counts
    /// before it (RULES 1.6), would be sent to log in again and again.
    fn is_mended_by_login(&self, case: &Case<'_>) -> bool {
        let request = &case.request;
        matches!(*request.method, Method::GET | Method::HEAD)
            && case.compiled.signs_in()
            // RULES 1.7: nobody could sign in there
            && request.peer.transport != Transport::Plain
            && request.takes_the_window()
            && request.headers.one(&AUTHORIZATION) == One::Absent
            && !self.known.iter().any(|known| known.authentication.method == MethodName::Jwt)
    }

    pub fn new(kind: DenialKind, code: &'static str, reason: &'static str) -> Self {
        Self {
            kind,
            code,
            reason,
            challenges: Arc::new([]),
            needs: None,
            retry_after: None,
            limit: None,
            allow: Vec::new(),
            sign_in: None,
            route: None,
            known: Vec::new(),
        }
    }

    pub fn cors(&self) -> Option<&Cors> {
        self.route.as_ref()?.cors.as_ref()
    }
}

/// Of several failures the first of 400, 401, 503, 403, 429 (RULES 2.1); the earlier of two that are alike.
pub(super) fn first_of(one: Option<Refused>, other: Refused) -> Option<Refused> {
    match one {
        Some(one) if one.kind <= other.kind => Some(one),
        _ => Some(other),
    }
}

/// What the last three steps left, made into a permit where all of them agreed.
pub(super) fn conclude(
    case: &Case<'_>,
    known: Vec<Known>,
    conditions: Result<(), Refused>,
    authorized: Result<(), Refused>,
    charged: Result<Option<LimitState>, Refused>,
) -> Result<Permit, Refused> {
    match (conditions, authorized, charged) {
        (Ok(()), Ok(()), Ok(limit)) => Ok(Permit {
            route: case.compiled.route.clone(),
            known,
            method: case.request.method.clone(),
            authority: case.asked.authority.as_ref().into(),
            target: case.target(),
            limit,
            floor: case.floor,
        }),
        (conditions, authorized, charged) => {
            let failed = [conditions.err(), authorized.err(), charged.err()];
            let first = failed.into_iter().flatten().fold(None, first_of);
            let mut denial = first.unwrap_or_else(|| Denial::unavailable("no step said why"));
            denial.known = known;
            Err(denial)
        }
    }
}
