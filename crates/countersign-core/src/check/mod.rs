//! One request, from facts to decision; the files stand in the order in which they run.

pub mod decision;
pub mod limit;
pub mod request;
pub mod revocation;
pub mod route;

use crate::{authenticator::Authenticator, clock::Clock, directory::Directory};
use decision::Decision;
use limit::{Counter, PlanName, RateLimit};
use request::CheckRequest;
use revocation::RevocationFeed;
use route::RouteStore;
use std::{collections::HashMap, sync::Arc, time::Duration};

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
    /// Failures per source network before only cached credentials pass (RULES 2.4).
    pub failures: RateLimit,
    pub plans: HashMap<PlanName, RateLimit>,
}

/// Where a request is judged.
#[derive(Debug)]
pub struct DecisionPoint {
    parts: Parts,
}

impl DecisionPoint {
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The whole path, counted and remembered.
    pub async fn check(&self, _request: &CheckRequest<'_>) -> Decision {
        unimplemented!("{:?}", self.parts)
    }

    /// The same decision, without charging a limit or noting a use: for `countersign check`.
    pub async fn rehearse(&self, _request: &CheckRequest<'_>) -> Decision {
        unimplemented!()
    }
}
