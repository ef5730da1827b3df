//! A decision point over fakes, and requests for it.

use crate::{ManualClock, MemoryCounter, MemoryDirectory, MemoryFeed, ScriptedAuthenticator, StaticRoutes};
use countersign_core::{
    Authenticator, MethodName, PrincipalId, ScopeSet, Timestamp,
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Denial, Permit},
        limit::{PlanName, RateLimit},
        request::{CheckRequest, Peer, Transport},
        route::{Route, RouteTable},
    },
    principal::{Principal, PrincipalKind, PrincipalName},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// A service of this name, enabled, with these scopes. The same name gives the same id.
pub fn principal(name: &str, scopes: &str) -> Principal {
    let body: String =
        name.chars().filter(char::is_ascii_alphanumeric).chain(std::iter::repeat('0')).take(20).collect();
    Principal {
        id: PrincipalId::parse(&format!("svc_{body}")).unwrap(),
        kind: PrincipalKind::Service,
        name: PrincipalName::parse(name).unwrap(),
        scopes: ScopeSet::parse(scopes).unwrap(),
        groups: Vec::new(),
        enabled: true,
        version: 1,
        created_at: Timestamp::EPOCH,
    }
}

/// Header fields by name and value, in one line.
pub type Headers<'a> = &'a [(&'a str, &'a str)];

/// Begins with all five methods scripted and no route.
#[derive(Debug)]
pub struct FixtureBuilder {
    routes: Vec<Route>,
    plans: HashMap<PlanName, RateLimit>,
    settings: Settings,
    rooms: Vec<Arc<ScriptedAuthenticator>>,
}

impl FixtureBuilder {
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    pub fn plan(mut self, name: &str, limit: RateLimit) -> Self {
        self.plans.insert(PlanName::parse(name).unwrap(), limit);
        self
    }

    pub fn settings(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// Instead of the one that stands there for its method.
    pub fn room(mut self, room: ScriptedAuthenticator) -> Self {
        self.rooms.retain(|r| r.method() != room.method());
        self.rooms.push(Arc::new(room));
        self
    }

    pub fn build(self) -> Fixture {
        let authenticators: Vec<Arc<dyn Authenticator>> =
            self.rooms.iter().map(|room| room.clone() as Arc<dyn Authenticator>).collect();
        let table = RouteTable::new(self.routes, &authenticators).unwrap().with_plans(self.plans);
        let routes = Arc::new(StaticRoutes::new(table));
        let (feed, directory) = (Arc::new(MemoryFeed::default()), Arc::new(MemoryDirectory::default()));
        let (counter, clock) = (Arc::new(MemoryCounter::default()), Arc::new(ManualClock::default()));
        let point = DecisionPoint::new(Parts {
            routes: routes.clone(),
            authenticators,
            feed: feed.clone(),
            directory: directory.clone(),
            counter: counter.clone(),
            clock: clock.clone(),
            settings: self.settings,
        });
        Fixture { point: Arc::new(point), routes, feed, directory, counter, clock, rooms: self.rooms }
    }
}

/// A decision point, and a hand on everything around it.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub point: Arc<DecisionPoint>,
    pub routes: Arc<StaticRoutes>,
    pub feed: Arc<MemoryFeed>,
    pub directory: Arc<MemoryDirectory>,
    pub counter: Arc<MemoryCounter>,
    pub clock: Arc<ManualClock>,
    rooms: Vec<Arc<ScriptedAuthenticator>>,
}

impl Fixture {
    pub fn builder() -> FixtureBuilder {
        let rooms = MethodName::ALL.map(ScriptedAuthenticator::new).map(Arc::new).into();
        FixtureBuilder { routes: Vec::new(), plans: HashMap::new(), settings: Settings::default(), rooms }
    }

    /// Other routes, as a reload would bring them.
    pub fn table(&self, routes: impl IntoIterator<Item = Route>) -> RouteTable {
        let authenticators: Vec<Arc<dyn Authenticator>> =
            self.rooms.iter().map(|room| room.clone() as Arc<dyn Authenticator>).collect();
        RouteTable::new(routes.into_iter().collect(), &authenticators).unwrap()
    }

    pub fn room(&self, method: MethodName) -> &ScriptedAuthenticator {
        self.rooms.iter().find(|room| room.method() == method).unwrap()
    }

    /// GET over TLS from 192.0.2.1 to `api.example`.
    pub async fn get(&self, target: &str, headers: Headers<'_>) -> Decision {
        self.ask(Method::GET, target, headers, "192.0.2.1", Transport::Tls).await
    }

    pub async fn ask(
        &self,
        method: Method,
        target: &str,
        headers: Headers<'_>,
        from: &str,
        transport: Transport,
    ) -> Decision {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let target = PathAndQuery::try_from(target).unwrap();
        let address: IpAddr = from.parse().unwrap();
        let peer = Peer { address, transport };
        self.point
            .check(&CheckRequest {
                method: &method,
                authority: "api.example",
                target: &target,
                headers: &map,
                peer,
            })
            .await
    }

    /// The permit of [`Fixture::get`], or the test ends.
    pub async fn allowed(&self, target: &str, headers: Headers<'_>) -> Permit {
        match self.get(target, headers).await {
            Decision::Allow(permit) => permit,
            Decision::Deny(denial) => panic!("`{target}` was denied: {denial:?}"),
        }
    }

    /// The denial of [`Fixture::get`], or the test ends.
    pub async fn denied(&self, target: &str, headers: Headers<'_>) -> Denial {
        match self.get(target, headers).await {
            Decision::Allow(permit) => panic!("`{target}` was allowed: {permit:?}"),
            Decision::Deny(denial) => denial,
        }
    }
}
