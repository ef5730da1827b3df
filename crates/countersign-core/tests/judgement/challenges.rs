//! What a 401 asks for, and of whom (RFC 9110 11.6.1, 15.5.2; RULES 1.6): a browser that navigates is asked for a password only
//! where the route says so.

use crate::support::{route, told};
use countersign_core::{
    Authentication, Authenticator, Found, MethodName, MethodRule, Presented, Timestamp,
    authenticator::{Confirmation, Verification},
    challenge::Challenge,
    check::{
        DecisionPoint, Parts, Settings,
        decision::{Decision, Denial},
        request::{CheckRequest, Peer, Transport},
        route::{Route, RouteTable},
    },
};
use countersign_testkit::{
    Headers, ManualClock, MemoryCounter, MemoryDirectory, MemoryFeed, ScriptedAuthenticator, StaticRoutes,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, uri::PathAndQuery};
use std::sync::Arc;

/// Challenges as the room of Basic does; everything else is scripted.
#[derive(Debug)]
struct Asking(ScriptedAuthenticator);

impl Authenticator for Asking {
    fn method(&self) -> MethodName {
        self.0.method()
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r> {
        self.0.find(request, accepts)
    }

    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        accepts: &'a MethodRule,
        now: Timestamp,
    ) -> Verification<'a> {
        self.0.verify(presented, accepts, now)
    }

    fn confirm<'a>(
        &'a self,
        known: &'a Authentication,
        request: &'a CheckRequest<'_>,
        now: Timestamp,
    ) -> Confirmation<'a> {
        self.0.confirm(known, request, now)
    }

    fn challenge(&self, route: &Route) -> Option<Challenge> {
        let rule = route.rule(self.method());
        let realm = rule.realm.as_deref().unwrap_or("test");
        let challenge = Challenge::new("Basic", &[("realm", realm)])?;
        Some(if rule.asks_browsers { challenge } else { challenge.not_to_browsers() })
    }
}

fn point() -> DecisionPoint {
    let mut asks = route("/asks", "basic");
    let rule = MethodRule { asks_browsers: true, realm: Some("Orders".into()), ..MethodRule::DEFAULT };
    asks.presentation = vec![(MethodName::Basic, rule)];
    let routes = vec![
        asks,
        route("/basic", "basic"),
        route("/either", "basic | api_key"),
        route("/both", "basic & api_key"),
        route("/mtls", "mtls"),
        route("/mtls-or-basic", "mtls | basic"),
    ];
    let rooms: Vec<Arc<dyn Authenticator>> = MethodName::ALL
        .map(|method| match method {
            MethodName::Basic => {
                Arc::new(Asking(ScriptedAuthenticator::new(method))) as Arc<dyn Authenticator>
            }
            _ => Arc::new(ScriptedAuthenticator::new(method)),
        })
        .into();
    DecisionPoint::new(Parts {
        routes: Arc::new(StaticRoutes::new(RouteTable::new(routes, &rooms).unwrap())),
        authenticators: rooms,
        feed: Arc::new(MemoryFeed::default()),
        directory: Arc::new(MemoryDirectory::default()),
        counter: Arc::new(MemoryCounter::default()),
        clock: Arc::new(ManualClock::default()),
        settings: Settings::default(),
    })
}

async fn denied(path: &'static str, headers: Headers<'_>) -> Denial {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let request = CheckRequest {
        method: &Method::GET,
        authority: "api.example",
        target: &PathAndQuery::from_static(path),
        headers: &map,
        peer: Peer { address: [192, 0, 2, 1].into(), transport: Transport::Tls },
    };
    match point().check(&request).await {
        Decision::Allow(permit) => panic!("`{path}` was allowed: {permit:?}"),
        Decision::Deny(denial) => denial,
    }
}

#[tokio::test]
async fn who_is_asked_for_what() {
    const BASIC: &str = r#"Basic realm="test""#;
    const ORDERS: &str = r#"Basic realm="Orders""#;
    const BEARER: &str = r#"Bearer realm="test""#;
    const PAGE: &str = r#"Countersign realm="countersign""#;
    // path, what a program is asked for, what a browser is
    let rows: &[(&str, &[&str], &[&str])] = &[
        ("/asks", &[ORDERS], &[ORDERS]),
        // RFC 9110 15.5.2: a challenge there is, of a scheme that opens no window
        ("/basic", &[BASIC], &[PAGE]),
        // strongest first
        ("/either", &[BEARER, BASIC], &[BEARER]),
        ("/both", &[BEARER, BASIC], &[BEARER]),
        ("/mtls-or-basic", &[BASIC], &[PAGE]),
    ];
    for (path, program, browser) in rows {
        for bad in [None, Some(("x-basic", "nobody"))] {
            let code = if bad.is_some() { "credential_invalid" } else { "credential_missing" };
            for (mode, expected) in [
                (None, program),
                (Some("cors"), program),
                (Some("same-origin"), program),
                (Some("websocket"), program),
                (Some("Navigate"), program),
                (Some("navigate"), browser),
            ] {
                let mode = mode.map(|mode| ("sec-fetch-mode", mode));
                let headers: Vec<_> = bad.into_iter().chain(mode).collect();
                let denial = denied(path, &headers).await;
                assert_eq!(told(&denial), (401, code), "{path} {headers:?}");
                let asked: Vec<_> = denial.challenges.iter().map(|c| c.value().to_str().unwrap()).collect();
                assert_eq!(asked, *expected, "{path} {headers:?}");
            }
        }
    }
}

/// RULES 1.9: where there is nothing to ask for it is a 403, browser or not.
#[tokio::test]
async fn a_certificate_cannot_be_asked_for() {
    for headers in [&[][..], &[("sec-fetch-mode", "navigate")]] {
        let denial = denied("/mtls", headers).await;
        assert_eq!(told(&denial), (403, "certificate_required"));
        assert!(denial.challenges.is_empty());
    }
}
