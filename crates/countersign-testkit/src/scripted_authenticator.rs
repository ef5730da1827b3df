//! A method whose answers are written down beforehand: all five can be had before one of them is built.

use countersign_core::{
    Authentication, Authenticator, CredentialId, Found, Lineage, MethodName, MethodRule, Node, NodeKind,
    Noted, Place, Presented, PrincipalId, Refusal, Rejection, ScopeSet, StoreError, Timestamp,
    authenticator::{CacheKey, Confirmation, Ending, Fault, Verification},
    challenge::Challenge,
    check::{
        cookie,
        request::{CheckRequest, One},
        route::Route,
    },
};
use http::{HeaderName, header::AUTHORIZATION};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Semaphore;

/// What a credential gets.
#[derive(Debug, Clone)]
pub enum Answer {
    Good(Box<Authentication>),
    Rejected(Rejection),
    /// The store does not answer.
    Unavailable,
    /// Refused by its look alone, in `find`.
    Bad(Rejection),
}

/// Holds [`Authenticator::verify`] until it is opened. Every verification that reaches it is counted.
#[derive(Debug)]
pub struct Gate {
    opened: Semaphore,
    reached: AtomicU64,
}

impl Gate {
    /// Lets `n` of those that wait, or will, go on.
    pub fn open(&self, n: usize) {
        self.opened.add_permits(n);
    }

    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }
}

/// Reads `x-<method>` (`x-oauth`, `x-api-key`, ...), or the header or query parameter of the route's choice,
/// `Authorization: Bearer <method>.<value>` where the method reads Bearer, and the session cookie where it counts, whatever
/// else is there. What is not in the script is rejected as unknown.
#[derive(Debug)]
pub struct ScriptedAuthenticator {
    method: MethodName,
    header: HeaderName,
    bearer: String,
    answers: Mutex<HashMap<Vec<u8>, Answer>>,
    confirmations: Mutex<HashMap<CredentialId, Result<(), Rejection>>>,
    ends: Mutex<HashMap<CredentialId, Result<Option<Timestamp>, StoreError>>>,
    silent: AtomicBool,
    asked: AtomicU64,
    gate: Mutex<Option<Arc<Gate>>>,
    cached: bool,
    verified: AtomicU64,
    used: AtomicU64,
}

impl ScriptedAuthenticator {
    pub fn new(method: MethodName) -> Self {
        let name = method.as_str().replace('_', "-");
        Self {
            method,
            header: HeaderName::try_from(format!("x-{name}")).unwrap(),
            bearer: format!("{}.", method.as_str()),
            answers: Mutex::default(),
            confirmations: Mutex::default(),
            ends: Mutex::default(),
            silent: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            gate: Mutex::default(),
            cached: true,
            verified: AtomicU64::new(0),
            used: AtomicU64::new(0),
        }
    }

    /// Its credentials carry no cache key.
    pub fn uncached(mut self) -> Self {
        self.cached = false;
        self
    }

    /// The header that it reads where the route names no other.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// From now on `value` gets this answer.
    pub fn script(&self, value: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(value.into(), answer);
    }

    /// `value` is good: of this principal, with these scopes, below its principal and the credential `value`.
    pub fn good(&self, value: &str, principal: &PrincipalId, scopes: &str) -> Authentication {
        let authentication = self.authentication(value, principal, scopes);
        self.script(value, Answer::Good(Box::new(authentication.clone())));
        authentication
    }

    /// As [`ScriptedAuthenticator::good`] would script it, to be changed first.
    pub fn authentication(&self, value: &str, principal: &PrincipalId, scopes: &str) -> Authentication {
        Authentication {
            principal: principal.clone(),
            method: self.method,
            credential: CredentialId::new(value),
            lineage: Lineage::new([Node::principal(principal), self.node(value)]),
            issuer: None,
            audiences: None,
            scopes: ScopeSet::parse(scopes).unwrap(),
            authenticated_at: Timestamp::EPOCH,
            networks: Arc::new([]),
            place: Place::Header,
            not_before: None,
            expires_at: None,
            limit: None,
            plan: None,
            foreign: None,
            noted: Noted::default(),
        }
    }

    /// What the credential `value` is in the feed.
    pub fn node(&self, value: &str) -> Node {
        let kind = match self.method {
            MethodName::OAuth => NodeKind::Consent,
            MethodName::Jwt => NodeKind::Session,
            MethodName::Basic => NodeKind::Password,
            MethodName::ApiKey => NodeKind::ApiKey,
            MethodName::Mtls => NodeKind::Certificate,
        };
        Node::new(kind, value)
    }

    /// What `confirm` says of the credential `value`; yes where nothing is scripted.
    pub fn confirm_with(&self, value: &str, answer: Result<(), Rejection>) {
        self.confirmations.lock().unwrap().insert(CredentialId::new(value), answer);
    }

    /// What `ends` says of the credential `value`; what it said of itself where nothing is scripted.
    pub fn ends_with(&self, value: &str, answer: Result<Option<Timestamp>, StoreError>) {
        self.ends.lock().unwrap().insert(CredentialId::new(value), answer);
    }

    /// `ends` says nothing of anything for ever, as a store that hangs.
    pub fn never_says_when_it_ends(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// How often `ends` was asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on every verification waits: first it reads its answer, then it stops, as one that has read its record
    /// and is slow afterwards.
    pub fn hold(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate { opened: Semaphore::new(0), reached: AtomicU64::new(0) });
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    /// New verifications wait no more.
    pub fn release(&self) {
        *self.gate.lock().unwrap() = None;
    }

    /// How often `verify` was called.
    pub fn verified(&self) -> u64 {
        self.verified.load(Ordering::SeqCst)
    }

    /// How often a use was noted.
    pub fn uses(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    fn answer(&self, value: &[u8]) -> Answer {
        let unknown =
            Rejection { fault: Fault::Invalid, code: "credential_invalid", reason: "not in the script" };
        self.answers.lock().unwrap().get(value).cloned().unwrap_or(Answer::Rejected(unknown))
    }

    fn present<'r>(&self, request: &CheckRequest<'r>, place: Place, value: &'r [u8]) -> Found<'r> {
        if let Answer::Bad(rejection) = self.answer(value) {
            return Found::Bad(rejection);
        }
        let mut key = [0; 32];
        for (n, chunk) in key.chunks_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (n, self.method, place, value).hash(&mut hasher);
            chunk.copy_from_slice(&hasher.finish().to_le_bytes());
        }
        Found::Present(Presented {
            cache_key: self.cached.then_some(CacheKey(key)),
            place,
            credential: value,
            from: request.peer.address,
        })
    }
}

fn query_value<'r>(query: &'r str, name: &str) -> Option<&'r str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, value)| value)
}

impl Authenticator for ScriptedAuthenticator {
    fn method(&self) -> MethodName {
        self.method
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r> {
        match request.headers.one(accepts.header.as_ref().unwrap_or(&self.header)) {
            One::Absent => {}
            One::Single(value) => return self.present(request, Place::Header, value),
            One::Doubled => {
                let reason = "doubled";
                return Found::Bad(Rejection { fault: Fault::Malformed, code: "credential_doubled", reason });
            }
        }
        if self.method.reads_bearer()
            && let One::Single(value) = request.headers.one(&AUTHORIZATION)
            && let Some(value) =
                value.strip_prefix(b"Bearer ").and_then(|v| v.strip_prefix(self.bearer.as_bytes()))
        {
            return self.present(request, Place::Authorization, value);
        }
        if let (Some(name), Some(query)) = (&accepts.query, request.target.query())
            && let Some(value) = query_value(query, name)
        {
            return self.present(request, Place::Query, value.as_bytes());
        }
        if accepts.cookies
            && let One::Single(value) = cookie::one(request.headers, cookie::SESSION)
        {
            return self.present(request, Place::Cookie, value);
        }
        Found::Absent
    }

    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        _accepts: &'a MethodRule,
        _now: Timestamp,
    ) -> Verification<'a> {
        Box::pin(async move {
            self.verified.fetch_add(1, Ordering::SeqCst);
            let answer = self.answer(presented.credential);
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.reached.fetch_add(1, Ordering::SeqCst);
                gate.opened.acquire().await.unwrap().forget();
            }
            match answer {
                Answer::Good(authentication) => {
                    Ok(Authentication { place: presented.place, ..*authentication })
                }
                Answer::Rejected(rejection) | Answer::Bad(rejection) => Err(Refusal::Rejected(rejection)),
                Answer::Unavailable => Err(Refusal::Unavailable),
            }
        })
    }

    fn confirm<'a>(
        &'a self,
        known: &'a Authentication,
        _request: &'a CheckRequest<'_>,
        _now: Timestamp,
    ) -> Confirmation<'a> {
        Confirmation::Done(
            self.confirmations.lock().unwrap().get(&known.credential).copied().unwrap_or(Ok(())),
        )
    }

    /// Where something is scripted only the store knows.
    fn is_over(&self, known: &Authentication, now: Timestamp) -> bool {
        let is_scripted = self.ends.lock().unwrap().contains_key(&known.credential);
        !is_scripted && known.expires_at.is_some_and(|end| end <= now)
    }

    fn ends<'a>(&'a self, known: &'a Authentication, _now: Timestamp) -> Ending<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        let scripted = self.ends.lock().unwrap().get(&known.credential).cloned();
        Box::pin(std::future::ready(scripted.unwrap_or(Ok(known.expires_at))))
    }

    fn challenge(&self, _route: &Route) -> Option<Challenge> {
        match self.method {
            MethodName::Basic => Challenge::new("Basic", &[("realm", "test"), ("charset", "UTF-8")]),
            MethodName::Mtls => None,
            _ => Challenge::new("Bearer", &[("realm", "test")]),
        }
    }

    fn used(&self, _known: &Authentication, _route: &Route, _now: Timestamp) {
        self.used.fetch_add(1, Ordering::SeqCst);
    }
}
