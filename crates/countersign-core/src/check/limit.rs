//! Rate limits: GCRA, one pure function, counted wherever the [`Counter`] keeps it.

use super::{
    Case, Mode,
    decision::{Denial, DenialKind, Known, LimitState, Refused},
    route::{LimitBy, Route},
};
use crate::{Authentication, clock::Timestamp};
use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

/// `quota` requests per `window`, all of which may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    pub quota: u32,
    pub window: Duration,
}

/// The name of a plan in the configuration: 1 to 64 of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlanName(Arc<str>);

impl PlanName {
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(word)).then(|| Self(text.into()))
    }

    /// One that no configuration can name, as long as it holds a space.
    pub fn of_ours(name: &'static str) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is counted: the route limit of a route, a plan's of a principal, a credential's own, a network's failures.
/// Two 64-bit hashes of what it names, so that a counter keeps no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitKey(pub u64, pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    Within { remaining: u32, reset_after: Duration },
    Over { retry_after: Duration },
}

/// When a bucket will be empty again, in nanoseconds since 1970; 0: it is. All the state that a count needs.
pub type Arrival = i64;

/// The generic cell rate algorithm: one request against a bucket that was last left at `arrival`. Returns the state to
/// keep, which is `arrival` itself where the request is over: what is refused does not prolong the wait.
pub fn gcra(arrival: Arrival, limit: &RateLimit, now: Timestamp) -> (Arrival, Charge) {
    let now = now.as_micros().saturating_mul(1000);
    let window = i64::try_from(limit.window.as_nanos()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    let Some(interval) = window.checked_div(i64::from(limit.quota)) else {
        return (arrival, Charge::Over { retry_after: limit.window }); // a quota of none
    };
    let interval = interval.max(1);
    // not the window: what the division lost would let more than the quota through
    let burst = interval.saturating_mul(i64::from(limit.quota));
    // no bucket is fuller than full: a clock that was set back must not close it for long
    let from = arrival.clamp(now, now.saturating_add(burst));
    let next = from.saturating_add(interval);
    let filled = next.saturating_sub(now);
    if filled > burst {
        return (from, Charge::Over { retry_after: nanos(filled - burst) });
    }
    let remaining = u32::try_from((burst - filled) / interval).unwrap_or(u32::MAX);
    (next, Charge::Within { remaining, reset_after: nanos(filled) })
}

fn nanos(n: i64) -> Duration {
    Duration::from_nanos(u64::try_from(n).unwrap_or(0))
}

/// Port: where the counts are kept. Synchronous, over local memory.
pub trait Counter: fmt::Debug + Send + Sync {
    /// Count one.
    fn charge(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge;
    /// What [`Counter::charge`] would say, without counting.
    fn peek(&self, key: LimitKey, limit: &RateLimit, now: Timestamp) -> Charge;
}

/// What counts are keyed by before the caller is known. SipHash twice, over different beginnings.
#[derive(Debug, Clone)]
pub(super) struct Seed(DefaultHasher, DefaultHasher);

impl Seed {
    fn new(kind: &str) -> Self {
        let (mut first, mut second) = (DefaultHasher::new(), DefaultHasher::new());
        (0_u8, kind).hash(&mut first);
        (1_u8, kind).hash(&mut second);
        Self(first, second)
    }

    /// By everything that tells one route from another: names may repeat where none was given.
    pub(super) fn of_route(route: &Route) -> Self {
        let methods = match &route.methods {
            super::route::MethodSet::Any => None,
            super::route::MethodSet::Of(methods) => Some(methods),
        };
        Self::new("route").with(&(&route.name, &route.host, &route.path, methods))
    }

    fn with(&self, what: &impl Hash) -> Self {
        let mut seed = self.clone();
        what.hash(&mut seed.0);
        what.hash(&mut seed.1);
        seed
    }

    fn key(&self, what: &impl Hash) -> LimitKey {
        let seed = self.with(what);
        LimitKey(seed.0.finish(), seed.1.finish())
    }
}

impl LimitKey {
    /// Failures of a source network: /32 or /64, mapped addresses unmapped (RULES 2.4). Exact, no hash: whoever
    /// chooses addresses chooses no collision.
    pub fn network(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => LimitKey(0x6e65_7477_6f72_6b34, u64::from(u32::from(v4))),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let prefix = [a, b, c, d].into_iter().fold(0, |n, s| n << 16 | u64::from(s));
                LimitKey(0x6e65_7477_6f72_6b36, prefix)
            }
        }
    }
}

/// Keys of what is counted wherever it calls.
#[derive(Debug)]
pub(super) struct Seeds {
    plan: Seed,
    credential: Seed,
}

impl Seeds {
    pub(super) fn new() -> Self {
        Self { plan: Seed::new("plan"), credential: Seed::new("credential") }
    }
}

/// Counts an authenticated request, allowed or denied (RULES 2.4), against every limit that bears on it: those of the
/// route, its plan, and each credential's own limit and plan. A public route has only its own count. Returns the
/// tightest.
///
/// An expired credential authenticates nobody: whoever found one cannot spend its owner's quota.
pub(super) fn charge(
    case: &Case<'_>,
    known: &[Known],
    conditions: &Result<(), Refused>,
) -> Result<Option<LimitState>, Refused> {
    if conditions.as_ref().is_err_and(|denial| denial.kind != DenialKind::Forbidden) {
        return Ok(None);
    }
    let mut tally = Tally { case, tightest: None, over: None };
    let route = &case.compiled.route;
    let seed = &case.compiled.limit_seed;
    let seeds = &case.point.seeds;
    if known.is_empty() && !case.compiled.is_public() {
        return Ok(None);
    }
    for limit in &route.limits {
        let key = match (limit.by, known.first()) {
            (LimitBy::Route, _) => seed.key(&"route"),
            (LimitBy::Principal, Some(k)) => seed.key(&("principal", k.authentication.principal.as_str())),
            (LimitBy::Credential, Some(k)) => seed.key(&("credential", Shown(&k.authentication))),
            (_, None) => continue,
        };
        tally.charge(key, &limit.limit);
    }
    let plan_of_route = known.first().and_then(|k| Some((route.plan.as_ref()?, k)));
    let plans = known.iter().filter_map(|k| Some((k.authentication.plan.as_ref()?, k)));
    for (plan, k) in plan_of_route.into_iter().chain(plans) {
        let Some(limit) = case.table.plans().get(plan) else {
            let reason = "a plan that the configuration does not have";
            return Err(Denial::refused(DenialKind::Unavailable, "plan_unknown", reason));
        };
        tally.charge(seeds.plan.key(&(plan.as_str(), k.authentication.principal.as_str())), limit);
    }
    for k in known {
        if let Some(limit) = &k.authentication.limit {
            tally.charge(seeds.credential.key(&Shown(&k.authentication)), limit);
        }
    }
    match tally.over {
        Some((state, retry_after)) => {
            let mut denial = Denial::refused(DenialKind::TooMany, "limit_exceeded", "over a limit");
            denial.limit = Some(state);
            denial.retry_after = Some(retry_after);
            Err(denial)
        }
        None => Ok(tally.tightest),
    }
}

/// A credential as it is counted: what was given out for a key or a password counts as these do, since whoever has them gets
/// another one whenever they like. So does whoever an issuer signs for.
struct Shown<'k>(&'k Authentication);

impl Hash for Shown<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut given = self.0.lineage.iter().filter(|node| node.kind.is_given()).peekable();
        if given.peek().is_some() {
            given.for_each(|node| node.hash(state));
        } else if self.0.is_foreign() {
            self.0.principal.as_str().hash(state);
        } else {
            (self.0.method.as_str(), self.0.credential.as_str()).hash(state);
        }
    }
}

struct Tally<'a> {
    case: &'a Case<'a>,
    tightest: Option<LimitState>,
    over: Option<(LimitState, Duration)>,
}

impl Tally<'_> {
    fn charge(&mut self, key: LimitKey, limit: &RateLimit) {
        let counter = &self.case.point.parts.counter;
        let charge = match self.case.mode {
            Mode::Count => counter.charge(key, limit, self.case.now),
            Mode::Rehearse => counter.peek(key, limit, self.case.now),
        };
        match charge {
            Charge::Within { remaining, reset_after } => {
                let state = LimitState { limit: *limit, remaining, reset_after };
                let tighter =
                    |t: &LimitState| (state.remaining, t.reset_after) < (t.remaining, state.reset_after);
                if self.tightest.as_ref().is_none_or(tighter) {
                    self.tightest = Some(state);
                }
            }
            Charge::Over { retry_after } => {
                if self.over.as_ref().is_none_or(|(_, longest)| retry_after > *longest) {
                    let state = LimitState { limit: *limit, remaining: 0, reset_after: retry_after };
                    self.over = Some((state, retry_after));
                }
            }
        }
    }
}
