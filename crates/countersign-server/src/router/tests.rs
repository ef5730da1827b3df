use super::*;
use crate::test_world::{World, request};
use std::collections::BTreeSet;

/// The URL of an operation with something in its parameters.
fn filled(path: &str) -> String {
    path.replace("{id}", "000000000000")
}

/// HOUSE, tests: what answers a stranger or a powerless caller with anything but 401, 403 or 404 is written down.
#[tokio::test]
async fn the_ledger_of_unprotected_endpoints_is_complete() {
    let world = World::new().await;
    let powerless = world.key("powerless", "orders:read").await;
    let listed = include_str!("../../unprotected-endpoints.txt");
    let listed: BTreeSet<String> = listed
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .map(Into::into)
        .collect();

    let all = OPERATOR.iter().map(|o| (o.method.clone(), o.path));
    let all = all.chain(PUBLIC.iter().map(|o| (o.method.clone(), o.path)));
    let mut open = BTreeSet::new();
    for (method, path) in all {
        for key in [None, Some(powerless.as_str())] {
            let asked =
                request(method.clone(), &filled(path), key).header("content-type", "application/json");
            let reply = world.send(asked.body(Body::from("{}")).unwrap()).await;
            if !matches!(reply.status.as_u16(), 401 | 403 | 404) {
                open.insert(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(open, listed);
}

/// Each operation asks for its own scope, and every other operator's scope together is not enough.
#[tokio::test]
async fn each_operation_needs_exactly_its_scope() {
    let world = World::new().await;
    for (n, operation) in OPERATOR.iter().enumerate() {
        let others: Vec<&str> =
            countersign_methods::operator::ALL.into_iter().filter(|s| *s != operation.scope).collect();
        let without = world.key(&format!("without{n}"), &others.join(" ")).await;
        let with = world.key(&format!("with{n}"), operation.scope).await;
        let ask = async |key: &str| {
            let asked = request(operation.method.clone(), &filled(operation.path), Some(key));
            let asked = asked.header("content-type", "application/json");
            world.send(asked.body(Body::from("{}")).unwrap()).await
        };
        let refused = ask(&without).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (403, "scope_missing"),
            "{}",
            operation.name
        );
        let let_in = ask(&with).await;
        assert!(!matches!(let_in.status.as_u16(), 401 | 403 | 405 | 500), "{} {let_in:?}", operation.name);
    }
}

#[tokio::test]
async fn no_scope_of_an_api_opens_the_admin_api() {
    // RULES 1.8: no wildcard covers an operator's scope
    let world = World::new().await;
    let key = world.key("star", "* countersign:* countersign").await;
    for operation in OPERATOR {
        let asked = request(operation.method.clone(), &filled(operation.path), Some(&key));
        let reply = world.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status.as_u16(), 403, "{}", operation.name);
    }
}

#[tokio::test]
async fn names_are_unique_and_routes_say_what_the_table_says() {
    let routes = admin_routes();
    let names: BTreeSet<&str> = routes.iter().map(|r| &*r.name).collect();
    assert_eq!(names.len(), OPERATOR.len());
    assert!(routes.iter().all(|r| r.security != SecurityRequirement::Public));
    assert!(OPERATOR.iter().all(|o| countersign_methods::operator::ALL.contains(&o.scope)));
}

#[tokio::test]
async fn a_wrong_method_is_405_and_told_what_is_right() {
    let world = World::new().await;
    for (path, allow) in [("/admin/v1/api-keys", "POST"), ("/admin/v1/api-keys/verify", "POST")] {
        for key in [None, Some(world.root.as_str())] {
            let reply = world.send(request(Method::DELETE, path, key).body(Body::empty()).unwrap()).await;
            reply.refused(405, "method_not_allowed");
            assert!(reply.headers["allow"].to_str().unwrap().contains(allow));
        }
    }
    let reply = world.send(request(Method::GET, "/revoke", None).body(Body::empty()).unwrap()).await;
    reply.refused(405, "method_not_allowed");
    assert_eq!(reply.headers["allow"], "POST");
    // `verify` is no id (RULES 2.2: the method chooses within the most specific pattern, never in a wider one)
    let get =
        request(Method::GET, "/admin/v1/api-keys/verify", Some(&world.root)).body(Body::empty()).unwrap();
    world.send(get).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_target_that_is_not_canonical_reaches_no_handler() {
    // RULES 2.3
    let world = World::new().await;
    let twisted = [
        "/admin/v1/%61pi-keys",
        "/admin/v1/./api-keys",
        "/admin//v1/api-keys",
        "/admin/v1/principals/..%2fapi-keys",
        "/admin/v1/api-keys/../audit",
        "/revoke/../admin/v1/audit",
    ];
    for path in twisted {
        let reply = world.get(&world.root, path).await;
        assert!(matches!(reply.status.as_u16(), 400 | 404), "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn without_the_layer_nothing_runs() {
    let world = World::new().await;
    // the operators' handlers, reached by a composition that forgot who judges
    for operation in OPERATOR {
        let mut asked = request(operation.method.clone(), &filled(operation.path), Some(&world.root));
        asked = asked.extension(Peer {
            address: "127.0.0.1".parse().unwrap(),
            transport: countersign_core::check::request::Transport::Tls,
        });
        let reply = operate(operation, world.services.clone(), asked.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status().as_u16(), 500, "{}", operation.name);
    }
    assert_eq!(world.store.actions().len(), 2, "nothing was done");
}

#[tokio::test]
async fn a_permit_for_something_else_opens_nothing() {
    // a composition whose decision point was given other routes than ours: names, requirements or both
    let renamed = |name: &'static str, security: Option<SecurityRequirement>| {
        let mut routes = admin_routes();
        for (n, route) in routes.iter_mut().enumerate() {
            if !name.is_empty() {
                route.name = format!("{name}{n}").into();
            }
            route.security = security.clone().unwrap_or_else(|| route.security.clone());
        }
        routes
    };
    let swapped = || {
        let mut routes = admin_routes();
        let mut names: Vec<_> = routes.iter().map(|r| r.name.clone()).collect();
        names.rotate_left(1);
        routes.iter_mut().zip(names).for_each(|(route, name)| route.name = name);
        routes
    };
    let tables = [renamed("other", None), renamed("", Some(SecurityRequirement::Public)), swapped()];
    for routes in tables {
        let world = World::judged_by(routes).await;
        for operation in OPERATOR {
            let asked = request(operation.method.clone(), &filled(operation.path), Some(&world.root));
            let reply = world.send(asked.body(Body::empty()).unwrap()).await;
            reply.refused(500, "internal");
        }
        assert_eq!(world.store.actions().len(), 2, "nothing was done");
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let world = World::new().await;
    let asked = request(Method::HEAD, "/admin/v1/routes", Some(&world.root)).body(Body::empty()).unwrap();
    let reply = world.send(asked).await;
    reply.expect(200);
    assert!(reply.body.is_empty());
    let stranger = request(Method::HEAD, "/admin/v1/routes", None).body(Body::empty()).unwrap();
    assert_eq!(world.send(stranger).await.status.as_u16(), 401);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let answer = settle("test", (RequestId([0; 16]), None), async { panic!("a test") }).await;
    assert_eq!(answer.status().as_u16(), 500);
}

/// docs/reference/admin-api.md lists what there is, in our order, each with its scope.
#[test]
fn the_reference_lists_every_operation_with_its_scope() {
    let reference = include_str!("../../../../docs/reference/admin-api.md");
    let cell = |row: &str, n: usize| {
        row.split(" | ").nth(n).unwrap_or_default().trim_matches(['|', ' ', '`']).to_owned()
    };
    let operations =
        reference.split("## Operations").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
    let listed: Vec<(String, String)> =
        operations.lines().filter(|l| l.starts_with("| `")).map(|row| (cell(row, 0), cell(row, 1))).collect();
    let ours = OPERATOR.iter().map(|o| (format!("{} {}", o.method, o.path), o.scope.to_owned()));
    let public = PUBLIC.iter().map(|o| (format!("{} {}", o.method, o.path), "none".to_owned()));
    // who may call without a scope is said in words
    let listed = listed.into_iter().map(|(operation, scope)| match scope.split_once(": ") {
        Some(("none", who)) if !who.is_empty() => (operation, "none".to_owned()),
        _ => (operation, scope),
    });
    assert_eq!(listed.collect::<Vec<_>>(), ours.chain(public).collect::<Vec<_>>());
}
