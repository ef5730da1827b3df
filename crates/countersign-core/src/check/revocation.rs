//! Lineage against what has changed or been revoked, and: is the principal active?

use super::{
    Case, DecisionPoint,
    authenticate::{Good, is_stale},
    decision::{Denial, DenialKind, Known, Permit, Refused},
};
use crate::{
    BoxFuture, MethodName, NodeKind, Scope, ScopeSet, StoreError,
    authentication::{Authentication, Lineage, Node},
    clock::Timestamp,
    directory::Standing,
};
use std::{fmt, sync::Arc};

/// A place in the feed of changes: numbered from a row locked in the writing transaction, so that positions become
/// visible in order (RULES 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub i64);

/// Port: the feed as this process knows it. Local memory, fed by the store.
pub trait RevocationFeed: fmt::Debug + Send + Sync {
    /// The highest position applied here. A write of this process may run ahead of what another one wrote just before
    /// it and is still to come; so this says what a record read from now on contains, not that all of it is known.
    fn position(&self) -> Position;
    /// Moves whenever anything becomes known here, late or not. Published last: whoever reads it finds the change
    /// itself, a floor that rose with it, and a directory that forgot what changed.
    fn revision(&self) -> i64 {
        self.position().0
    }
    /// Where this node last changed or was revoked; `None`: not within memory. Memory reaches back further than any
    /// cache entry lives; where it was lost it starts anew and [`RevocationFeed::floor`] rises.
    fn changed_at(&self, node: &Node) -> Option<Position>;
    /// Everything derived from this node is denied.
    fn is_revoked(&self, node: &Node) -> bool;
    /// Entries filled before this position cannot be judged any more and die.
    fn floor(&self) -> Position;
    /// The store has not been heard of for longer than the configuration bears (5 s): answer 503.
    fn is_blind(&self, now: Timestamp) -> bool;
    /// What is known here was true of the store a moment ago, less than a second: nobody needs to wait for more.
    fn is_fresh(&self, now: Timestamp) -> bool;
    /// Until the store was asked once more, whatever came of it; counted from the call.
    fn next_word(&self) -> BoxFuture<'static, ()>;
}

/// What has become of what an authentication descends from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Descent {
    Holds,
    /// Something changed since, or memory does not reach back: verify again.
    Stale,
    Revoked(NodeKind),
}

/// `read_at`: the feed position before the record was read (RULES 1.2).
pub(super) fn descent(lineage: &Lineage, read_at: Position, feed: &dyn RevocationFeed) -> Descent {
    if let Some(node) = lineage.iter().find(|node| feed.is_revoked(node)) {
        return Descent::Revoked(node.kind);
    }
    let changed = |node: &Node| feed.changed_at(node).is_some_and(|at| at > read_at);
    if read_at < feed.floor() || lineage.iter().any(changed) { Descent::Stale } else { Descent::Holds }
}

/// Of what outlives its decision, a stream that is still open: what is known of its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// What changed above this place in the feed may have changed since.
    read_at: Position,
    /// The first of their ends; `None`: they have none.
    end: Option<Timestamp>,
}

impl Watch {
    pub fn of(permit: &Permit) -> Self {
        let ends = every(permit).filter_map(|known| known.authentication.expires_at);
        Self { read_at: permit.floor, end: ends.min() }
    }
}

/// What memory says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Holds,
    /// It may be over; [`DecisionPoint::ask`] finds out.
    Due,
    Over,
}

/// RULES 2.5: may it go on? Has nothing that it descends from been revoked, is every principal active, and does each credential
/// last, by what is written now?
impl DecisionPoint {
    /// From memory alone: what was revoked waits for no store.
    pub fn look(&self, permit: &Permit, watch: &Watch) -> Look {
        let feed = &*self.parts.feed;
        let now = self.parts.clock.now();
        let mut is_due = watch.end.is_some_and(|end| end <= now);
        for known in every(permit) {
            let authentication = &known.authentication;
            let room = self.room(authentication.method);
            if room.is_none_or(|room| room.is_over(authentication, now)) {
                return Look::Over;
            }
            match descent(&authentication.lineage, watch.read_at, feed) {
                Descent::Holds => {}
                Descent::Stale => is_due = true,
                Descent::Revoked(_) => return Look::Over,
            }
            // also what changed before the record was read and was heard of after: the directory forgot it then
            match self.standing_of(authentication) {
                Some(standing) if standing.active => {}
                Some(_) => return Look::Over,
                None => is_due = true,
            }
        }
        if is_due { Look::Due } else { Look::Holds }
    }

    /// Who is not remembered: of all that are due first, because the next look finds whoever is disabled. `false`: one of them
    /// is.
    pub async fn recall(&self, permit: &Permit) -> Result<bool, StoreError> {
        for known in every(permit) {
            let authentication = &known.authentication;
            let standing = match self.standing_of(authentication) {
                None => self.parts.directory.load(&authentication.principal).await?,
                known => known,
            };
            if !standing.is_some_and(|standing| standing.active) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Of what is due: the store. An error is no reason to close, and it is asked again.
    pub async fn ask(&self, permit: &Permit, watch: &mut Watch) -> Result<Look, StoreError> {
        let now = self.parts.clock.now();
        let read_at = self.parts.feed.position();
        if !self.recall(permit).await? {
            return Ok(Look::Over);
        }
        let mut first: Option<Timestamp> = None;
        for known in every(permit) {
            let authentication = &known.authentication;
            let Some(room) = self.room(authentication.method) else { return Ok(Look::Over) };
            first = [first, room.ends(authentication, now).await?].into_iter().flatten().min();
        }
        *watch = Watch { read_at, end: first };
        Ok(if first.is_none_or(|end| now < end) { Look::Holds } else { Look::Over })
    }

    /// Both, for whoever looks once.
    pub async fn stands(&self, permit: &Permit) -> bool {
        let mut watch = Watch::of(permit);
        let look = match self.look(permit, &watch) {
            Look::Due => self.ask(permit, &mut watch).await.unwrap_or(Look::Holds),
            look => look,
        };
        look != Look::Over
    }

    /// As it is remembered; as its issuer said it, who is in no store of ours.
    fn standing_of(&self, authentication: &Authentication) -> Option<Arc<Standing>> {
        let foreign = authentication.foreign.clone();
        foreign.or_else(|| self.parts.directory.standing(&authentication.principal))
    }
}

fn every(permit: &Permit) -> impl Iterator<Item = &Known> {
    permit.subject().into_iter().chain(permit.actors())
}

/// RULES 2.5: what was revoked a second ago is refused, also by a process that was stopped, starved or kept waiting by its
/// store. It hears of the store before it believes anything; where it cannot, it is blind, and says so below.
pub(super) async fn hear(case: &mut Case<'_>) {
    let feed = &case.point.parts.feed;
    while !feed.is_fresh(case.now) && !feed.is_blind(case.now) {
        let word = feed.next_word();
        // it may have come in between
        if feed.is_fresh(case.now) {
            return;
        }
        word.await;
        case.now = case.point.parts.clock.now();
    }
}

/// Revoked after the secret verified. Only the end of the key, app password or token itself is told to its holder; what happened
/// to its owner is not. A token ends with whatever it hangs on.
pub(super) fn revoked(method: MethodName, kind: NodeKind) -> Refused {
    match kind {
        kind if method == MethodName::Jwt && kind != NodeKind::Principal => {
            Denial::refused(DenialKind::Unauthenticated, "token_revoked", "token, session or parent revoked")
        }
        NodeKind::ApiKey => Denial::refused(DenialKind::Unauthenticated, "key_revoked", "key revoked"),
        NodeKind::AppPassword => {
            Denial::refused(DenialKind::Unauthenticated, "app_password_revoked", "app password revoked")
        }
        NodeKind::Principal => {
            Denial::refused(DenialKind::Unauthenticated, "credential_invalid", "principal revoked")
        }
        _ => Denial::refused(DenialKind::Unauthenticated, "credential_invalid", "parent credential revoked"),
    }
}

/// Is the feed heard, is every principal active, and what may each do now?
pub(super) async fn present(case: &mut Case<'_>, good: Good) -> Result<Vec<Known>, Refused> {
    let count = good.iter().flatten().count();
    let mut known = Vec::with_capacity(count);
    if count == 0 {
        return Ok(known);
    }
    // RULES 2.5: what we do not hear of may be revoked
    if case.point.parts.feed.is_blind(case.now) {
        return Err(Denial::refused(
            DenialKind::Unavailable,
            "feed_blind",
            "store not heard of for too long",
        ));
    }
    for authentication in good.into_iter().flatten() {
        let place = authentication.place;
        let standing = match standing(case, &authentication).await {
            Err(denial) if is_stale(place, &denial) => continue,
            standing => standing?,
        };
        let one = cut(authentication, standing);
        if !one.standing.active {
            let reason = "principal disabled";
            let mut denial = Denial::refused(DenialKind::Unauthenticated, "credential_invalid", reason);
            if is_stale(place, &denial) {
                continue;
            }
            known.push(one);
            denial.known = known;
            return Err(denial);
        }
        known.push(one);
    }
    Ok(known)
}

async fn standing(case: &mut Case<'_>, of: &Authentication) -> Result<Arc<Standing>, Refused> {
    // RULES 1.8: its issuer says what it is; that it was ended is in the feed
    if let Some(foreign) = &of.foreign {
        if of.principal.is_foreign() && foreign.principal == of.principal {
            return Ok(foreign.clone());
        }
        return Err(Denial::refused(
            DenialKind::Unauthenticated,
            "credential_invalid",
            "an issuer described a principal that is not its own",
        ));
    }
    let directory = &case.point.parts.directory;
    if let Some(standing) = directory.standing(&of.principal) {
        return Ok(standing);
    }
    let loaded = directory.load(&of.principal).await;
    case.now = case.point.parts.clock.now();
    match loaded {
        Ok(Some(standing)) => Ok(standing),
        Ok(None) => Err(Denial::refused(
            DenialKind::Unauthenticated,
            "credential_invalid",
            "principal does not exist",
        )),
        Err(_) => Err(Denial::unavailable("directory did not answer")),
    }
}

/// RULES 1.1: scopes cut to the principal's present ones. RULES 1.8: what acts on Countersign itself comes from our own store
/// alone, whatever an issuer or its entry says.
fn cut(authentication: Arc<Authentication>, standing: Arc<Standing>) -> Known {
    let scopes = if authentication.scopes.is_subset(&standing.scopes) {
        authentication.scopes.clone() // nearly always; costs no allocation
    } else {
        authentication.scopes.intersection(&standing.scopes)
    };
    let scopes = if authentication.is_foreign() && scopes.iter().any(Scope::is_operators) {
        ScopeSet::new(scopes.iter().filter(|scope| !scope.is_operators()).cloned())
    } else {
        scopes
    };
    Known { authentication, standing, scopes }
}
