//! One request, from facts to decision; the files stand in the order in which they run: `path`, `route`, `admit`,
//! `authenticate` (with `verified` in front of every method), `revocation`, `conditions`, `authorize`, `limit`,
//! `decision`. Nothing here reads a socket, a store or a clock but through the ports in [`Parts`].

pub mod cookie;
pub mod decision;
pub mod limit;
pub mod origin;
pub mod path;
pub mod request;
pub mod revocation;
pub mod route;

mod admit;
mod authenticate;
mod authorize;
mod conditions;
mod verified;

#[cfg(test)]
mod tests;

use crate::{MethodName, Timestamp, authenticator::Authenticator, clock::Clock, directory::Directory};
use decision::{Decision, Permit, Refused};
use limit::{Counter, RateLimit};
use request::CheckRequest;
use revocation::{Position, RevocationFeed};
use route::{Asked, Compiled, RouteStore, RouteTable};
use std::{sync::Arc, time::Duration};
pub use verified::CacheFigures;
use verified::VerifiedCache;

/// Everything the judgement asks of the world.
#[derive(Debug)]
pub struct Parts {
    pub routes: Arc<dyn RouteStore>,
    pub authenticators: Vec<Arc<dyn Authenticator>>,
    pub feed: Arc<dyn RevocationFeed>,
    pub directory: Arc<dyn Directory>,
    pub counter: Arc<dyn Counter>,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// Entries the verified-credential cache keeps, and for how long.
    pub cache_capacity: usize,
    pub cache_lifetime: Duration,
    /// The same of passwords.
    pub passwords_capacity: usize,
    pub passwords_lifetime: Duration,
    /// Failures per source network before only cached credentials pass (RULES 2.4).
    pub failures: RateLimit,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_capacity: 32_768,
            cache_lifetime: Duration::from_secs(30),
            passwords_capacity: 8192,
            passwords_lifetime: Duration::from_secs(60),
            failures: RateLimit { quota: 60, window: Duration::from_secs(60) },
        }
    }
}

/// Where a request is judged.
#[derive(Debug)]
pub struct DecisionPoint {
    parts: Parts,
    /// By the method's place in [`MethodName::ALL`].
    rooms: [Option<Arc<dyn Authenticator>>; MethodName::ALL.len()],
    verified: VerifiedCache,
    /// RULES 1.2: what took a hash to verify is not pushed out by what took none.
    passwords: VerifiedCache,
    seeds: limit::Seeds,
}

/// Does this judgement leave a trace?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Count,
    /// No limit is charged, no failure counted, no use noted.
    Rehearse,
}

/// One request on its way through the steps.
struct Case<'c> {
    point: &'c DecisionPoint,
    request: CheckRequest<'c>,
    asked: Asked<'c>,
    table: &'c RouteTable,
    compiled: &'c Compiled,
    mode: Mode,
    floor: Position,
    /// Read once; again only after something was waited for.
    now: Timestamp,
}

impl DecisionPoint {
    pub fn new(parts: Parts) -> Self {
        let rooms = MethodName::ALL
            .map(|method| parts.authenticators.iter().find(|room| room.method() == method).cloned());
        let verified = VerifiedCache::new(parts.settings.cache_capacity, parts.settings.cache_lifetime);
        let settings = &parts.settings;
        let passwords = VerifiedCache::new(settings.passwords_capacity, settings.passwords_lifetime);
        Self { parts, rooms, verified, passwords, seeds: limit::Seeds::new() }
    }

    /// The whole path, counted and remembered.
    pub async fn check(&self, request: &CheckRequest<'_>) -> Decision {
        self.check_by(&self.parts.routes.table(), request).await
    }

    /// The same by this table: for whoever also forwards by what it was made with.
    pub async fn check_by(&self, table: &RouteTable, request: &CheckRequest<'_>) -> Decision {
        self.judge(table, request, Mode::Count).await.into()
    }

    /// The same decision, without charging a limit or noting a use: for `countersign check`.
    pub async fn rehearse(&self, request: &CheckRequest<'_>) -> Decision {
        self.judge(&self.parts.routes.table(), request, Mode::Rehearse).await.into()
    }

    /// Of the verified-credential cache, both of its segments.
    pub fn cache(&self) -> CacheFigures {
        let (one, other) = (self.verified.figures(), self.passwords.figures());
        CacheFigures {
            entries: one.entries + other.entries,
            capacity: one.capacity + other.capacity,
            misses: one.misses + other.misses,
        }
    }

    /// Of the feed: while it stands still, nothing became known that could end what was permitted.
    pub fn revision(&self) -> i64 {
        self.parts.feed.revision()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The order is the rule (RULES 2.4). On a cached yes nothing here waits.
    async fn judge(
        &self,
        table: &RouteTable,
        request: &CheckRequest<'_>,
        mode: Mode,
    ) -> Result<Permit, Refused> {
        // what is forwarded is what is judged
        let asked = route::canonical(request)?;
        // deny by default: no pattern, no way in
        let compiled = route::choose(table, &asked, request.method)?;
        let now = self.parts.clock.now();
        let floor = self.parts.feed.floor();
        let mut case = Case { point: self, request: *request, asked, table, compiled, mode, floor, now };
        let judged = case.steps().await;
        judged.map_err(|denial| denial.about(&case))
    }

    fn cache_of(&self, method: MethodName) -> &VerifiedCache {
        if method == MethodName::Basic { &self.passwords } else { &self.verified }
    }

    fn room(&self, method: MethodName) -> Option<&dyn Authenticator> {
        // the methods are numbered as they stand in `ALL`
        self.rooms.get(method as usize).and_then(Option::as_deref)
    }
}

impl Case<'_> {
    async fn steps(&mut self) -> Result<Permit, Refused> {
        // who may still make us work
        let admission = admit::admission(self);
        // absent, good and bad, for every method that the route names
        let good = authenticate::authenticate(self, admission).await?;
        // nothing it descends from revoked, its principal active; scopes cut to the principal's present ones
        let mut known = revocation::present(self, good).await?;
        // good here and now
        let conditions = conditions::hold(self, &mut known).await;
        // enough for one alternative
        let authorized = authorize::authorize(self, &mut known);
        // counted whether allowed or denied
        let charged = limit::charge(self, &known, &conditions);
        // of several failures the first of 400, 401, 503, 403, 429
        let permit = decision::conclude(self, known, conditions, authorized, charged)?;
        self.note_use(&permit);
        Ok(permit)
    }

    fn note_use(&self, permit: &Permit) {
        if self.mode == Mode::Rehearse {
            return;
        }
        for known in permit.subject().into_iter().chain(permit.actors()) {
            if let Some(room) = self.point.room(known.authentication.method) {
                room.used(&known.authentication, &self.compiled.route, self.now);
            }
        }
    }
}
