//! Ask every method that the route names; absent, good and bad stay apart (RULES 2.1). A bad credential is 401 even
//! where another is good, so nothing is looked up once one is known to be bad.

use super::{
    Case, Mode,
    admit::Admission,
    decision::{Denial, DenialKind, Refused, first_of},
    request::{One, Transport},
    revocation::{self, Descent},
    verified::{Cached, Entry},
};
use crate::{
    Authenticator, Found, MethodName, MethodRule, Place, Presented, Refusal, authentication::Authentication,
    authorization_header,
};
use http::header::AUTHORIZATION;
use std::sync::Arc;

/// At most one per method, in the order in which a subject is chosen.
pub(super) type Good = [Option<Arc<Authentication>>; MethodName::ALL.len()];

type Presentations<'r> = [Option<Presented<'r>>; MethodName::ALL.len()];

/// How often a record is read again because it changed while it was read.
const ATTEMPTS: usize = 3;

pub(super) async fn authenticate(case: &mut Case<'_>, admission: Admission) -> Result<Good, Refused> {
    let presented = match find(case) {
        Ok(presented) => presented,
        Err(Bad::Credential(denial)) => return Err(refuse_bad(case, admission, denial)),
        Err(Bad::Place(denial)) => return Err(denial),
    };
    if presented.iter().any(Option::is_some) {
        revocation::hear(case).await;
    }
    let mut good = Good::default();
    let mut refused = None;
    let compiled = case.compiled;
    let slots = presented.into_iter().zip(&mut good);
    for ((method, rule), (presented, slot)) in compiled.asks.iter().zip(slots) {
        let (Some(presented), Some(room)) = (presented, case.point.room(*method)) else { continue };
        match one(case, admission, room, presented, rule).await {
            Ok(authentication) => *slot = Some(authentication),
            Err(denial) if is_stale(presented.place, &denial) => {}
            Err(denial) if denial.kind <= DenialKind::Unauthenticated => {
                admission.failed(case);
                return Err(denial);
            }
            Err(denial) => refused = first_of(refused, denial),
        }
    }
    match refused {
        Some(denial) => Err(denial),
        None => Ok(good),
    }
}

/// RULES 1.6: a browser sends its cookie until it is told otherwise, so one that is bad counts as absent and is no failure of
/// its network. An outage is none of the cookie's.
pub(super) fn is_stale(place: Place, denial: &Denial) -> bool {
    place == Place::Cookie && denial.kind <= DenialKind::Unauthenticated
}

enum Bad {
    /// Counts as a failure of its network.
    Credential(Refused),
    /// Nothing was looked at.
    Place(Refused),
}

/// Pure: what is there, without looking anything up.
fn find<'r>(case: &Case<'r>) -> Result<Presentations<'r>, Bad> {
    let mut presented = Presentations::default();
    let mut bad: Option<Refused> = None;
    // the room that a Bearer value belongs to has claimed it
    let mut claimed = false;
    let mut reads_authorization = false;
    for ((method, rule), slot) in case.compiled.asks.iter().zip(&mut presented) {
        reads_authorization |= *method != MethodName::Mtls;
        let Some(room) = case.point.room(*method) else {
            // a route that asks for what is not there is closed, not open
            return Err(Bad::Place(Denial::unavailable("no authenticator for a method of the route")));
        };
        match room.find(&case.request, rule) {
            Found::Absent => {}
            Found::Bad(rejection) => {
                claimed = true;
                bad = first_of(bad, Denial::rejected(&rejection));
            }
            Found::Present(found) => {
                claimed |= matches!(found.place, Place::Authorization | Place::Password);
                *slot = Some(found);
            }
        }
    }
    // RULES 1.4: one field, one room. Only the room of keys knows which values of other products are keys
    if presented.iter().flatten().any(|found| found.place == Place::Password) {
        for ((method, _), slot) in case.compiled.asks.iter().zip(&mut presented) {
            slot.take_if(|_| *method == MethodName::Basic);
        }
    }
    if reads_authorization
        && !claimed
        && let Err(denial) = unclaimed(case)
    {
        bad = first_of(bad, denial);
    }
    let plain = case.request.peer.transport == Transport::Plain;
    match bad {
        Some(denial) if denial.kind == DenialKind::Malformed => Err(Bad::Credential(denial)),
        // RULES 1.7: before any lookup, and whether it is good is not said
        bad if plain && (bad.is_some() || presented.iter().any(Option::is_some)) => {
            expose(case, &presented);
            let reason = "a credential over plain http";
            Err(Bad::Place(Denial::refused(DenialKind::Forbidden, "tls_required", reason)))
        }
        Some(denial) => Err(Bad::Credential(denial)),
        None => Ok(without_cookies(case, presented)),
    }
}

/// RULES 1.6: one beside `Authorization` counts as absent. Over plain HTTP it was seen all the same (RULES 1.7).
fn without_cookies<'r>(case: &Case<'r>, mut presented: Presentations<'r>) -> Presentations<'r> {
    let is_cookie = |found: &Presented<'_>| found.place == Place::Cookie;
    if presented.iter().flatten().any(is_cookie) && case.request.headers.one(&AUTHORIZATION) != One::Absent {
        for slot in &mut presented {
            slot.take_if(|found| is_cookie(found));
        }
    }
    presented
}

fn expose(case: &Case<'_>, presented: &Presentations<'_>) {
    if case.mode == Mode::Rehearse {
        return;
    }
    for ((method, _), presented) in case.compiled.asks.iter().zip(presented) {
        if let (Some(presented), Some(room)) = (presented, case.point.room(*method)) {
            room.exposed(presented, case.now);
        }
    }
}

/// `Authorization` that no room took for its own: broken, for nobody here, or a Bearer value that is a bad credential
/// of the first Bearer method that the route names (RULES 1.4, 2.1).
fn unclaimed(case: &Case<'_>) -> Result<(), Refused> {
    let malformed = |code, reason| Err(Denial::refused(DenialKind::Malformed, code, reason));
    let value = match case.request.headers.one(&AUTHORIZATION) {
        One::Absent => return Ok(()),
        One::Doubled => return malformed("credential_doubled", "two authorization fields"),
        One::Single(value) => value,
    };
    let header = match authorization_header::parse(value) {
        Ok(header) => header,
        Err(error) => return malformed("credential_malformed", error.reason()),
    };
    if header.scheme_is("bearer") && case.compiled.first_bearer.is_some() {
        let reason = "bearer value that no method of the route knows";
        return Err(Denial::refused(DenialKind::Unauthenticated, "credential_invalid", reason));
    }
    Ok(())
}

fn refuse_bad(case: &Case<'_>, admission: Admission, denial: Refused) -> Refused {
    // over budget a guess learns nothing; what breaks a grammar is no guess
    let over = if denial.kind == DenialKind::Malformed { None } else { admission.may_work(case).err() };
    admission.failed(case);
    over.unwrap_or(denial)
}

/// From the cache, or verified now.
async fn one(
    case: &mut Case<'_>,
    admission: Admission,
    room: &dyn Authenticator,
    presented: Presented<'_>,
    rule: &MethodRule,
) -> Result<Arc<Authentication>, Refused> {
    let cache = case.point.cache_of(room.method());
    let feed = &*case.point.parts.feed;
    let mut _lead = None;
    if let Some(key) = &presented.cache_key {
        let mut cached = cache.get(key, case.now, feed);
        if let Cached::Miss = cached {
            admission.may_work(case)?;
            // one of many first requests looks it up; the others look here again when it is done, whatever became
            // of it (RULES 1.2)
            _lead = cache.lead(key).await;
            case.now = case.point.parts.clock.now();
            cached = cache.get(key, case.now, feed);
        }
        match cached {
            Cached::Hit(known) if fits(&known, room.method(), &presented) => return Ok(known),
            Cached::Revoked(kind) => return Err(revocation::revoked(room.method(), kind)),
            Cached::Hit(_) | Cached::Miss => {}
        }
    }
    admission.may_work(case)?;
    for _ in 0..ATTEMPTS {
        // before the record is read (RULES 1.2)
        let read_at = feed.position();
        let answer = room.verify(presented, rule, case.now).await;
        case.now = case.point.parts.clock.now();
        let mut authentication = match answer {
            Ok(authentication) => authentication,
            Err(Refusal::Rejected(rejection)) => return Err(Denial::rejected(&rejection)),
            Err(Refusal::Unavailable) => {
                return Err(Denial::unavailable("a credential could not be looked up"));
            }
        };
        if !fits(&authentication, room.method(), &presented) {
            return Err(Denial::unavailable("an authenticator answered for another method or place"));
        }
        if let Some(standing) = case.point.parts.directory.standing(&authentication.principal) {
            authentication.share(&standing);
        }
        let entry = Entry::new(authentication, read_at);
        match entry.descent(feed) {
            Descent::Holds => {
                let known = entry.authentication.clone();
                if let Some(key) = presented.cache_key {
                    cache.insert(key, entry, case.now);
                }
                return Ok(known);
            }
            Descent::Revoked(kind) => return Err(revocation::revoked(room.method(), kind)),
            Descent::Stale => {}
        }
    }
    Err(Denial::unavailable("a record changed faster than it could be read"))
}

/// RULES 1.1: method and place are part of the key; an answer for others is none.
fn fits(known: &Authentication, method: MethodName, presented: &Presented<'_>) -> bool {
    known.method == method && known.place == presented.place
}
