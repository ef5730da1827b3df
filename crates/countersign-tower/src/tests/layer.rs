use crate::{AuthLayer, respond::Options};
use bytes::Bytes;
use countersign_core::{
    MethodName, MethodRule, RequestId, ScopeSet,
    check::{
        decision::Permit,
        request::{Peer, Transport},
        route::{Alternative, Route, SecurityRequirement},
    },
};
use countersign_testkit::{Fixture, SeededEntropy, principal};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::{Layer, Service, ServiceExt, service_fn};

/// What the service behind the layer saw.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

async fn ask(request: Request<()>, peer: bool) -> (Response<Full<Bytes>>, Seen) {
    let needs = Alternative(vec![(MethodName::ApiKey, ScopeSet::default())]);
    let mut route = Route::new("/*", "none", SecurityRequirement::AnyOf(vec![needs]));
    let rule = MethodRule { header: None, query: Some("key".into()), ..MethodRule::DEFAULT };
    route.presentation = vec![(MethodName::ApiKey, rule)];
    let open = Route::new("/open", "none", SecurityRequirement::Public);
    let fixture = Fixture::builder().route(route).route(open).build();
    let robot = principal("robot", "");
    fixture.directory.set(&robot);
    fixture.room(MethodName::ApiKey).good("good", &robot.id, "");

    let seen = Seen::default();
    let seeing = seen.clone();
    let service = service_fn(move |request: Request<()>| {
        let permit = request.extensions().get::<Arc<Permit>>().expect("a permit");
        assert!(request.extensions().get::<RequestId>().is_some());
        let subject = permit.subject().map(|k| k.standing.name.to_string());
        seeing.lock().unwrap().push((request.uri().to_string(), subject));
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("in"))) }
    });
    let layer = AuthLayer::new(fixture.point.clone(), Arc::new(SeededEntropy::new(1)), Options::default());
    let mut service = layer.layer(service);
    let mut request = request;
    if peer {
        let address = "192.0.2.1".parse().unwrap();
        request.extensions_mut().insert(Peer { address, transport: Transport::Tls });
    }
    (service.ready().await.unwrap().call(request).await.unwrap(), seen)
}

fn get(target: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().uri(target).header("host", "api.example");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

async fn code(response: Response<Full<Bytes>>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    (status, document["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_permitted_reach_the_service_with_their_permit() {
    let (response, seen) = ask(get("/a?b=c", &[("x-api-key", "good")]), true).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("countersign-request-id"));
    assert_eq!(*seen.lock().unwrap(), [("/a?b=c".to_owned(), Some("robot".to_owned()))]);
    let (response, seen) = ask(get("/open", &[]), true).await;
    assert_eq!(response.status(), 200);
    assert_eq!(*seen.lock().unwrap(), [("/open".to_owned(), None)]);
}

#[tokio::test]
async fn a_credential_in_the_query_does_not_reach_the_service() {
    let (response, seen) = ask(get("/a?key=good&b=c", &[]), true).await;
    assert_eq!(response.status(), 200);
    assert_eq!(seen.lock().unwrap()[0].0, "/a?b=c");
}

#[tokio::test]
async fn nobody_else_does() {
    for (request, peer, expected, problem) in [
        (get("/a", &[]), true, 401, "credential_missing"),
        (get("/a", &[("x-api-key", "bad")]), true, 401, "credential_invalid"),
        (get("/a", &[("x-api-key", "good"), ("remote_user", "x")]), true, 400, "request_malformed"),
        // RULES 2.3: nobody writes the request line anew behind the layer
        (get("/./open", &[]), true, 400, "request_malformed"),
        (get("//open", &[]), true, 400, "request_malformed"),
        (get("/%6fpen", &[]), true, 400, "request_malformed"),
        // a listener that does not say who called is our fault, and lets nobody in
        (get("/open", &[]), false, 500, "internal"),
    ] {
        let told = format!("{request:?}");
        let (response, seen) = ask(request, peer).await;
        assert_eq!(code(response).await, (expected, problem.to_owned()), "{told}");
        assert!(seen.lock().unwrap().is_empty(), "{told}");
    }
}
