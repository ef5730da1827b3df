//! The seam between the judgement and the rooms: what every method is asked, and its three answers.

use crate::{
    StoreError,
    authentication::{Authentication, Place},
    challenge::Challenge,
    check::{request::CheckRequest, route::Route},
    clock::Timestamp,
};
use http::{HeaderName, HeaderValue};
use std::{fmt, future::Future, net::IpAddr, pin::Pin};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The five methods, in the order in which the subject is chosen among several (RULES 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MethodName {
    OAuth,
    Jwt,
    Basic,
    ApiKey,
    Mtls,
}

impl MethodName {
    pub const ALL: [MethodName; 5] =
        [MethodName::OAuth, MethodName::Jwt, MethodName::Basic, MethodName::ApiKey, MethodName::Mtls];

    pub fn as_str(self) -> &'static str {
        match self {
            MethodName::OAuth => "oauth",
            MethodName::Jwt => "jwt",
            MethodName::Basic => "basic",
            MethodName::ApiKey => "api_key",
            MethodName::Mtls => "mtls",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == text)
    }

    /// Does it read `Authorization: Bearer` (RULES 1.4)?
    pub fn reads_bearer(self) -> bool {
        matches!(self, MethodName::OAuth | MethodName::Jwt | MethodName::ApiKey)
    }
}

/// What a route says about how a method may be presented there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MethodRule {
    /// A header of the route's choice, beside the method's usual places.
    pub header: Option<HeaderName>,
    /// The query parameter that may carry the credential; `None`: none may.
    pub query: Option<Box<str>>,
    /// Keys may stand as the password of `Authorization: Basic`: `api_key` reads them there, and `basic` leaves them.
    pub keys_as_passwords: bool,
    /// What the challenge names; `None`: what the room usually does.
    pub realm: Option<Box<str>>,
    /// A browser that navigates is asked for a password, too.
    pub asks_browsers: bool,
    /// The session cookie of this host counts here.
    pub cookies: bool,
    /// A browser that navigates here without a good credential is sent to the login page, which sets that cookie.
    pub sign_in: bool,
    /// What answers carry where the method was used: when it was given up here, and when it ends (RFC 9745, RFC 8594).
    pub farewell: Vec<(HeaderName, HeaderValue)>,
}

impl MethodRule {
    /// What holds where a route says nothing.
    pub const DEFAULT: MethodRule = MethodRule {
        header: None,
        query: None,
        keys_as_passwords: false,
        realm: None,
        asks_browsers: false,
        cookies: false,
        sign_in: false,
        farewell: Vec::new(),
    };
}

/// The key under which the verified-credential cache keeps an answer: a keyed hash over method, configuration of the
/// room, place and length-prefixed parts (RULES 1.1). Made by a room; opaque here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey(pub [u8; 32]);

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(..)")
    }
}

/// A well-formed credential, found and not yet believed. Never printed.
#[derive(Clone, Copy)]
pub struct Presented<'r> {
    /// `None`: never cached.
    pub cache_key: Option<CacheKey>,
    pub place: Place,
    /// The credential as it stood in the request; its room parses it again when the cache has no answer.
    pub credential: &'r [u8],
    /// Who showed it.
    pub from: IpAddr,
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("place", &self.place).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub enum Found<'r> {
    Absent,
    Bad(Rejection),
    Present(Presented<'r>),
}

/// How a caller's credential failed, and so which status it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The field breaks its grammar, or there are two: 400.
    Malformed,
    /// Well-formed and not good: 401.
    Invalid,
    /// Good, but nothing may be taken here (plain HTTP, a network it is not for): 403.
    Forbidden,
}

/// The caller's fault. `code` is for the caller (RFC 9457 `code`), `reason` for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    pub fault: Fault,
    pub code: &'static str,
    pub reason: &'static str,
}

/// A credential that failed is the caller's fault; a store that did not answer is ours, and never reads as the former.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Rejected(Rejection),
    Unavailable,
}

impl From<crate::StoreError> for Refusal {
    fn from(_: crate::StoreError) -> Self {
        Refusal::Unavailable
    }
}

pub type Verification<'a> = BoxFuture<'a, Result<Authentication, Refusal>>;

/// `None`: no time of its own.
pub type Ending<'a> = BoxFuture<'a, Result<Option<Timestamp>, StoreError>>;

/// What this use must prove, cached or not.
pub enum Confirmation<'a> {
    Done(Result<(), Rejection>),
    Wait(BoxFuture<'a, Result<(), Refusal>>),
}

impl fmt::Debug for Confirmation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Confirmation::Done(result) => f.debug_tuple("Done").field(result).finish(),
            Confirmation::Wait(_) => f.write_str("Wait(..)"),
        }
    }
}

/// One room, as the judgement sees it.
pub trait Authenticator: fmt::Debug + Send + Sync {
    fn method(&self) -> MethodName;
    /// Pure, allocates nothing: absent, malformed, or present with its key for the verified cache. A cookie that cannot be
    /// good is absent (RULES 1.6), and one that is found is judged as absent where it turns out to be bad.
    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r>;
    /// Only when the cache has no answer: look up and verify what credential and record establish.
    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        accepts: &'a MethodRule,
        now: Timestamp,
    ) -> Verification<'a>;
    /// On every request, cached or not: what this use must prove (DPoP proof, certificate thumbprint).
    fn confirm<'a>(
        &'a self,
        known: &'a Authentication,
        request: &'a CheckRequest<'_>,
        now: Timestamp,
    ) -> Confirmation<'a>;
    /// Is what was begun with this credential over, a stream that is still open, whatever a store would say? Allocates nothing.
    fn is_over(&self, known: &Authentication, now: Timestamp) -> bool {
        known.expires_at.is_some_and(|end| end <= now)
    }
    /// When it is over, by what is written now; a time that has come: it is. Asked when the end that was known has come, or
    /// something that it descends from has changed.
    fn ends<'a>(&'a self, known: &'a Authentication, _now: Timestamp) -> Ending<'a> {
        Box::pin(std::future::ready(Ok(known.expires_at)))
    }
    /// The `WWW-Authenticate` value for a route that accepts this method. Asked when a route table is built.
    fn challenge(&self, route: &Route) -> Option<Challenge>;
    /// It came over plain HTTP and was refused unseen (RULES 1.7). Must only remember it: whose it is is found out later.
    fn exposed(&self, _presented: &Presented<'_>, _now: Timestamp) {}
    /// This credential was used (a decision allowed it). Must only remember it: written later, in bulk.
    fn used(&self, _known: &Authentication, _route: &Route, _now: Timestamp) {}
}
