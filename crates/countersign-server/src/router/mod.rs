//! Every URL of the control plane. From these two tables come the routers, the routes by which requests are judged
//! and the ledger of unprotected endpoints: one cannot drift from another.

use crate::{
    admin::v1::{
        api_key, audit, basic, jwt, openapi as described, principal, probe, revocation, route, session,
        signing,
    },
    call::{Answer, Call, Facts, MAX_BODY, MAX_IMPORT},
    observe,
    openapi::{self, Described},
    problem::{self, Problem},
    public::{password, revoke},
    services::Services,
    session::{exchange, jwks, login, logout, mine, refresh},
};
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, RawPathParams},
    handler::Handler,
    routing::{MethodFilter, MethodRouter, get},
};
use bytes::Bytes;
use countersign_core::{
    BoxFuture, MethodName, MethodRule, RequestId, Scope, ScopeSet,
    check::{
        decision::Permit,
        limit::PlanName,
        request::Peer,
        route::{Alternative, HostPattern, MethodSet, Route, SecurityRequirement},
    },
};
use countersign_methods::{
    operator::{AUDIT, KEYS, METRICS, PRINCIPALS, READ, REVOCATIONS, SIGNING_KEYS},
    principal::caller::Caller,
};
use countersign_tower::AuthLayer;
use futures_util::FutureExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use std::{panic::AssertUnwindSafe, sync::Arc};
use tower::{Layer, ServiceExt};

/// One operation of the admin API: what it needs stands beside where it is.
struct Operation {
    /// `noun.verb`; also the name of its route.
    name: &'static str,
    method: Method,
    path: &'static str,
    scope: &'static str,
    handler: fn(Call) -> BoxFuture<'static, Answer>,
    describe: fn() -> Described,
    /// Bytes of a body.
    most: usize,
}

/// One operation that anybody may call.
struct PublicOperation {
    name: &'static str,
    method: Method,
    path: &'static str,
    handler: fn(Facts) -> BoxFuture<'static, Answer>,
    describe: fn() -> Described,
    most: usize,
}

/// One operation under `/.countersign/`, on every host of the gateway that takes sessions (RULES 3.6).
struct SessionOperation {
    name: &'static str,
    method: Method,
    path: &'static str,
    /// Any one of them; none: anybody.
    needs: &'static [MethodName],
    handler: fn(Facts) -> BoxFuture<'static, Answer>,
}

macro_rules! operations { ($($kind:ident: $name:literal $method:ident $path:literal $($scope:ident)? => $file:ident::$handler:ident, $describe:ident $(up to $most:ident)?;)*) => {
    &[$($kind {
        name: $name,
        method: Method::$method,
        path: $path,
        $(scope: $scope,)?
        handler: |call| Box::pin($file::$handler(call)),
        describe: $file::$describe,
        most: [$($most,)? MAX_BODY][0],
    }),*]
} }

#[rustfmt::skip]
static OPERATOR: &[Operation] = operations! {
    Operation: "principal.list"     GET   "/admin/v1/principals"             READ        => principal::list, describe_list;
    Operation: "principal.create"   POST  "/admin/v1/principals"             PRINCIPALS  => principal::create, describe_create;
    Operation: "principal.show"     GET   "/admin/v1/principals/{id}"        READ        => principal::show, describe_show;
    Operation: "principal.change"   PATCH "/admin/v1/principals/{id}"        PRINCIPALS  => principal::change, describe_change;
    Operation: "password.import"    POST  "/admin/v1/passwords/import"       PRINCIPALS  => basic::import_people, describe_import_people up to MAX_IMPORT;
    Operation: "password.show"      GET   "/admin/v1/principals/{id}/password" READ      => basic::show_password, describe_show_password;
    Operation: "password.set"       PUT   "/admin/v1/principals/{id}/password" PRINCIPALS => basic::set_password, describe_set_password;
    Operation: "password.remove"    DELETE "/admin/v1/principals/{id}/password" PRINCIPALS => basic::remove_password, describe_remove_password;
    Operation: "app_password.list"  GET   "/admin/v1/app-passwords"          READ        => basic::list, describe_list;
    Operation: "app_password.create" POST "/admin/v1/app-passwords"          KEYS        => basic::create, describe_create;
    Operation: "app_password.show"  GET   "/admin/v1/app-passwords/{id}"     READ        => basic::show, describe_show;
    Operation: "app_password.revoke" POST "/admin/v1/app-passwords/{id}/revoke" KEYS     => basic::revoke, describe_revoke;
    Operation: "basic.uses"         GET   "/admin/v1/basic-uses"             READ        => basic::uses, describe_uses;
    Operation: "api_key.list"       GET   "/admin/v1/api-keys"               READ        => api_key::list, describe_list;
    Operation: "api_key.create"     POST  "/admin/v1/api-keys"               KEYS        => api_key::create, describe_create;
    Operation: "api_key.import"     POST  "/admin/v1/api-keys/import"        KEYS        => api_key::import, describe_import up to MAX_IMPORT;
    Operation: "api_key.verify"     POST  "/admin/v1/api-keys/verify"        READ        => api_key::verify, describe_verify;
    Operation: "api_key.show"       GET   "/admin/v1/api-keys/{id}"          READ        => api_key::show, describe_show;
    Operation: "api_key.rotate"     POST  "/admin/v1/api-keys/{id}/rotate"   KEYS        => api_key::rotate, describe_rotate;
    Operation: "api_key.revoke"     POST  "/admin/v1/api-keys/{id}/revoke"   KEYS        => api_key::revoke, describe_revoke;
    Operation: "signing_key.list"   GET   "/admin/v1/signing-keys"           READ        => signing::list, describe_list;
    Operation: "signing_key.rotate" POST  "/admin/v1/signing-keys/rotate"    SIGNING_KEYS => signing::rotate, describe_rotate;
    Operation: "signing_key.revoke" POST  "/admin/v1/signing-keys/{id}/revoke" SIGNING_KEYS => signing::revoke, describe_revoke;
    Operation: "session.list"       GET   "/admin/v1/sessions"               READ        => session::list, describe_list;
    Operation: "session.show"       GET   "/admin/v1/sessions/{id}"          READ        => session::show, describe_show;
    Operation: "session.end"        POST  "/admin/v1/sessions/{id}/end"      REVOCATIONS => session::end, describe_end;
    Operation: "token.inspect"      POST  "/admin/v1/tokens/inspect"         READ        => jwt::inspect, describe_inspect;
    Operation: "token.revoke"       POST  "/admin/v1/tokens/revoke"          REVOCATIONS => jwt::revoke, describe_revoke;
    Operation: "route.list"         GET   "/admin/v1/routes"                 READ        => route::list, describe_list;
    Operation: "route.check"        POST  "/admin/v1/routes/check"           READ        => route::check, describe_check;
    Operation: "audit.list"         GET   "/admin/v1/audit"                  AUDIT       => audit::list, describe_list;
    Operation: "audit.head"         GET   "/admin/v1/audit/head"             AUDIT       => audit::head, describe_head;
    Operation: "audit.verify"       GET   "/admin/v1/audit/verify"           AUDIT       => audit::verify, describe_verify;
    Operation: "revocation.list"    GET   "/admin/v1/revocations"            READ        => revocation::list, describe_list;
    Operation: "revocation.create"  POST  "/admin/v1/revocations"            REVOCATIONS => revocation::create, describe_create;
    Operation: "probe.create"       POST  "/admin/v1/probes"                 READ        => probe::create, describe_create;
    Operation: "openapi.show"       GET   "/admin/v1/openapi.json"           READ        => described::show, describe_show;
    Operation: "metrics.show"       GET   "/metrics"                         METRICS     => observe::show, describe_show;
};

#[rustfmt::skip]
static PUBLIC: &[PublicOperation] = operations! {
    // whoever holds a key can kill it by showing it (RULES 5.7)
    PublicOperation: "revoke"       POST  "/revoke"                                      => revoke::revoke, describe_revoke;
    // whoever knows a password may put another in its place
    PublicOperation: "password"     POST  "/password"                                    => password::change, describe_change;
    // public keys
    PublicOperation: "session.jwks" GET   "/.well-known/jwks.json"                       => jwks::session, describe_session;
    PublicOperation: "identity.jwks" GET  "/.well-known/countersign-identity/jwks.json"  => jwks::identity, describe_identity;
};

const SESSION: &[MethodName] = &[MethodName::Jwt];
const EXCHANGED: &[MethodName] = &[MethodName::Basic, MethodName::ApiKey];

macro_rules! session_operations { ($($name:literal $method:ident $path:literal $needs:expr => $file:ident::$handler:ident;)*) => {
    &[$(SessionOperation {
        name: $name,
        method: Method::$method,
        path: concat!("/.countersign/", $path),
        needs: $needs,
        handler: |facts| Box::pin($file::$handler(facts)),
    }),*]
} }

#[rustfmt::skip]
static SESSIONS: &[SessionOperation] = session_operations! {
    "session.login_page"   GET    "session/login"      &[]        => login::show;
    "session.login"        POST   "session/login"      &[]        => login::login;
    // each proves itself: by a refresh token, by a cookie, or by an access token that may be over
    "session.refresh"      POST   "session/refresh"    &[]        => refresh::refresh;
    "session.logout_page"  GET    "session/logout"     &[]        => logout::show;
    "session.logout"       POST   "session/logout"     &[]        => logout::logout;
    "session.exchange"     POST   "session/exchange"   EXCHANGED  => exchange::exchange;
    "session.mine"         GET    "session/"           SESSION    => mine::show;
    "session.end_all"      DELETE "session/"           SESSION    => mine::end_all;
    "session.end"          DELETE "session/{id}"       SESSION    => mine::end;
    "session.jwks"         GET    "jwks.json"          &[]        => jwks::session;
    "identity.jwks"        GET    "identity/jwks.json" &[]        => jwks::identity;
};

/// Of the routes below, in the configuration of the gateway.
pub const BUILT_IN: &str = "countersign:sessions";

/// The routes under `/.countersign/` of each of these hosts, for the gateway's own table. Nothing there is ever forwarded: what no
/// operation is at is nowhere. `resource`: one that every session is for.
pub fn session_routes(hosts: &[HostPattern], resource: Option<&Arc<str>>) -> Vec<Route> {
    let mut routes = Vec::new();
    for host in hosts {
        let mut add = |name: String, path: &str, methods, security| {
            let mut route = Route::new(path, BUILT_IN, security);
            route.name = format!("{name} {}", shown(host)).into();
            route.host = host.clone();
            route.methods = methods;
            route.resource = resource.cloned();
            route.presentation = vec![(MethodName::Jwt, MethodRule { cookies: true, ..MethodRule::DEFAULT })];
            routes.push(route);
        };
        for operation in SESSIONS {
            let one = |method: &MethodName| Alternative(vec![(*method, ScopeSet::default())]);
            let security = match operation.needs {
                [] => SecurityRequirement::Public,
                needs => SecurityRequirement::AnyOf(needs.iter().map(one).collect()),
            };
            let methods = MethodSet::Of(vec![operation.method.clone()]);
            add(operation.name.to_owned(), operation.path, methods, security);
        }
        add("reserved".into(), "/.countersign/*", MethodSet::Any, SecurityRequirement::Public);
    }
    routes
}

fn shown(host: &HostPattern) -> String {
    match host {
        HostPattern::Any => "*".into(),
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    }
}

/// What every URL of the admin API demands, as ordinary routes for an ordinary decision point: no operation without
/// a credential that holds its `countersign:` scope. Whoever judges by them has the plan that they name.
pub fn admin_routes() -> Vec<Route> {
    OPERATOR
        .iter()
        .map(|operation| {
            let scopes = ScopeSet::new(Scope::parse(operation.scope));
            let security = SecurityRequirement::AnyOf(vec![Alternative(vec![(MethodName::ApiKey, scopes)])]);
            let mut route = Route::new(operation.path, "admin", security);
            route.name = operation.name.into();
            route.methods = MethodSet::Of(vec![operation.method.clone()]);
            route.plan = Some(admin_plan());
            route
        })
        .collect()
}

/// What each principal that calls the admin API is limited by, over all its operations.
pub fn admin_plan() -> PlanName {
    PlanName::of_ours("the admin API")
}

/// All of this as an OpenAPI 3.1 document.
pub fn description() -> Value {
    let operator =
        OPERATOR.iter().map(|o| (o.path, &o.method, (o.describe)().operation(o.name, Some(o.scope))));
    let public = PUBLIC.iter().map(|o| (o.path, &o.method, (o.describe)().operation(o.name, None)));
    let mut paths: Map<String, Value> = Map::new();
    for (path, method, operation) in operator.chain(public) {
        let at = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        if let Some(methods) = at.as_object_mut() {
            methods.insert(method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let nouns = [
        principal::schemas(),
        api_key::schemas(),
        basic::schemas(),
        signing::schemas(),
        session::schemas(),
        jwt::schemas(),
        route::schemas(),
        audit::schemas(),
        revocation::schemas(),
        probe::schemas(),
    ];
    let schemas = nouns.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect();
    openapi::document(Value::Object(paths), schemas)
}

/// The operators' face, judged by [`Services::door`]: the layer is part of it. Nothing in it runs without a [`Permit`]
/// for that very operation.
pub fn operator(services: Arc<Services>) -> Router {
    judged(services, |_| true)
}

/// What is said of the process itself. `open`: metrics need no credential here (RULES 3.8: on loopback).
pub fn watched(services: Arc<Services>, open: bool) -> Router {
    let ready = services.watched.clone();
    let router = Router::new().route("/live", get(|| async { observe::word(true, "live", "") })).route(
        "/ready",
        get(move || async move { observe::word(ready.is_ready().await, "ready", "unready") }),
    );
    if open {
        let watched = services.watched.clone();
        let metrics = get(move || async move { observe::metrics(watched.metrics().await) });
        return frame(router.route("/metrics", metrics), services);
    }
    frame(router, services.clone()).fallback_service(judged(services, |path| path == "/metrics"))
}

/// One more operation, beside those that stand at its path already.
fn with<H: Handler<T, ()>, T: 'static>(router: Router, method: &Method, path: &str, handler: H) -> Router {
    match MethodFilter::try_from(method.clone()) {
        Ok(filter) => router.route(path, MethodRouter::new().on(filter, handler)),
        Err(_) => router,
    }
}

/// The operations at some of the paths; any other is nowhere.
fn judged(services: Arc<Services>, stands: fn(&str) -> bool) -> Router {
    let mut router = Router::new();
    for operation in OPERATOR.iter().filter(|o| stands(o.path)) {
        let services = services.clone();
        let handler = move |request: Request<Body>| operate(operation, services, request);
        router = with(router, &operation.method, operation.path, handler);
    }
    // judged first, routed after: by the very target that was judged
    let layer = AuthLayer::new(services.door.clone(), services.entropy.clone(), services.answers.clone());
    Router::new().fallback_service(layer.layer(frame(router, services)))
}

/// The public face. What stands here is listed in `unprotected-endpoints.txt`.
pub fn public(services: Arc<Services>) -> Router {
    let mut router = Router::new();
    for operation in PUBLIC {
        let services = services.clone();
        let open = Open { name: operation.name, handler: operation.handler, most: operation.most };
        let handler = move |request: Request<Body>| serve(open, services, request);
        router = with(router, &operation.method, operation.path, handler);
    }
    frame(router, services)
}

/// What stands behind [`session_routes`]. The gateway has judged each request and hands its permit along.
#[derive(Debug, Clone)]
pub struct SessionFace(Router);

impl SessionFace {
    pub fn new(services: Arc<Services>) -> Self {
        Self(sessions(services))
    }

    pub async fn answer(self, request: Request<Bytes>) -> Response<Bytes> {
        let answer = self.0.oneshot(request.map(Body::from)).await;
        let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        // ours, and whole already
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::from_parts(parts, body)
    }
}

fn sessions(services: Arc<Services>) -> Router {
    let mut router = Router::new();
    for operation in SESSIONS {
        let services = services.clone();
        let handler = move |request: Request<Body>| attend(operation, services, request);
        router = with(router, &operation.method, operation.path, handler);
    }
    frame(router, services)
}

/// Both on one listener: the public URLs, and everything else by the operators' face.
pub fn both(services: Arc<Services>) -> Router {
    public(services.clone()).fallback_service(operator(services))
}

/// Method, path and scope of each operation: what tests hold other things against.
#[cfg(test)]
pub(crate) fn table() -> Vec<(Method, &'static str, Option<&'static str>)> {
    let operator = OPERATOR.iter().map(|o| (o.method.clone(), o.path, Some(o.scope)));
    operator.chain(PUBLIC.iter().map(|o| (o.method.clone(), o.path, None))).collect()
}

/// 404 and 405 as problem documents.
fn frame(router: Router, services: Arc<Services>) -> Router {
    let (here, there) = (services.clone(), services);
    router
        .fallback(move |request: Request<Body>| async move {
            let detail = "there is nothing at this URL; the API's URLs are in its reference";
            Problem::not_found("route_unknown", detail).render::<Body>(request_id(&here, &request))
        })
        .method_not_allowed_fallback(move |request: Request<Body>| async move {
            let detail = "this URL does not take this method; `Allow` says which it takes";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
                .render::<Body>(request_id(&there, &request))
        })
}

/// Ours, never the caller's (RULES 3.8). The layer in front has made one where it judged.
fn request_id(services: &Services, request: &Request<Body>) -> RequestId {
    request.extensions().get::<RequestId>().copied().unwrap_or_else(|| {
        let mut bits = [0; 16];
        services.entropy.fill(&mut bits);
        RequestId(bits)
    })
}

fn peer(request: &Request<Body>) -> Option<Peer> {
    request.extensions().get::<Peer>().copied()
}

async fn operate(
    operation: &'static Operation,
    services: Arc<Services>,
    request: Request<Body>,
) -> Response<Body> {
    let (id, from) = (request_id(&services, &request), peer(&request));
    let work = async {
        let (mut parts, body) = request.into_parts();
        let permit = parts.extensions.get::<Arc<Permit>>().cloned();
        // The decision point that judged may have been given other routes than ours, or none may have judged: then
        // nothing runs. A permit for one operation is no permit for another.
        let (Some(permit), Some(peer)) = (permit, from) else {
            tracing::error!(operation = operation.name, "reached without a decision; nothing was done");
            return Err(Problem::internal());
        };
        if &*permit.route().name != operation.name {
            tracing::error!(operation = operation.name, route = %permit.route().name, "judged as another operation");
            return Err(Problem::internal());
        }
        let Some(caller) = Caller::from_permit(&permit, peer.address, id) else {
            tracing::error!(operation = operation.name, "judged as public; nothing was done");
            return Err(Problem::internal());
        };
        let named = RawPathParams::from_request_parts(&mut parts, &())
            .await
            .map_err(|_| Problem::malformed("the URL's path is not UTF-8"))?;
        let subject = named.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
        let facts = Facts::read(services, id, peer, parts, (body, operation.most)).await?;
        (operation.handler)(Call { facts, caller, id: subject.unwrap_or_default() }).await
    };
    settle(operation.name, (id, from), work).await
}

/// What runs for whoever was let through to it.
#[derive(Clone, Copy)]
struct Open {
    name: &'static str,
    handler: fn(Facts) -> BoxFuture<'static, Answer>,
    most: usize,
}

async fn serve(operation: Open, services: Arc<Services>, request: Request<Body>) -> Response<Body> {
    let Open { name, handler, most } = operation;
    let (id, from) = (request_id(&services, &request), peer(&request));
    let work = async {
        let (parts, body) = request.into_parts();
        let Some(peer) = from else {
            tracing::error!(operation = name, "reached without a peer; nothing was done");
            return Err(Problem::internal());
        };
        let facts = Facts::read(services, id, peer, parts, (body, most)).await?;
        handler(facts).await
    };
    settle(name, (id, from), work).await
}

/// A permit for one operation is no permit for another.
async fn attend(
    operation: &'static SessionOperation,
    services: Arc<Services>,
    request: Request<Body>,
) -> Response<Body> {
    let name = operation.name;
    let permit = request.extensions().get::<Arc<Permit>>();
    if permit.and_then(|permit| permit.route().name.split(' ').next()) != Some(name) {
        let id = request_id(&services, &request);
        tracing::error!(operation = name, "reached without a decision for it; nothing was done");
        return settle(name, (id, peer(&request)), async { Err(Problem::internal()) }).await;
    }
    serve(Open { name, handler: operation.handler, most: MAX_BODY }, services, request).await
}

/// Whatever became of it, there is one answer: a document, a problem, or a problem in place of a panic.
async fn settle(
    operation: &'static str,
    (id, from): (RequestId, Option<Peer>),
    work: impl Future<Output = Answer>,
) -> Response<Body> {
    let answer = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(operation, request = %id, "a handler panicked; report this with the lines before");
        Err(Problem::internal())
    });
    match answer {
        Ok(mut response) => {
            tracing::debug!(operation, request = %id, status = response.status().as_u16(), "answered");
            problem::mark(response.headers_mut(), id);
            response
        }
        Err(problem) => {
            if let Some(reason) = &problem.reason {
                tracing::error!(operation, request = %id, reason, "the store did not answer");
            }
            let peer = from.map(|peer| tracing::field::display(peer.address));
            tracing::info!(operation, request = %id, peer, status = problem.status.as_u16(), code = problem.code, "refused");
            problem.render(id)
        }
    }
}

#[cfg(test)]
mod tests;
