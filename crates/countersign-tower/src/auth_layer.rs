//! The check as a tower layer: judges every request, lets the permitted ones through with their `Permit` in the
//! extensions, and answers the others itself. Used in front of a service in the same process, the admin API for one.

use crate::{
    attributes::admit_head,
    respond::{self, Options, REQUEST_ID},
};
use bytes::Bytes;
use countersign_core::{
    RequestId,
    authenticator::BoxFuture,
    check::{
        DecisionPoint,
        decision::{Decision, Permit},
        path,
        request::Peer,
    },
};
use countersign_crypto::Entropy;
use http::{HeaderValue, Request, Response, StatusCode, Uri, request::Parts};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Layer, Service};

#[derive(Clone)]
pub struct AuthLayer {
    judge: Arc<Judge>,
}

#[derive(Clone, Debug)]
pub struct AuthService<S> {
    inner: S,
    judge: Arc<Judge>,
}

#[derive(Debug)]
struct Judge {
    point: Arc<DecisionPoint>,
    entropy: Arc<dyn Entropy>,
    options: Options,
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("options", &self.judge.options).finish_non_exhaustive()
    }
}

impl AuthLayer {
    pub fn new(point: Arc<DecisionPoint>, entropy: Arc<dyn Entropy>, options: Options) -> Self {
        Self { judge: Arc::new(Judge { point, entropy, options }) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> AuthService<S> {
        AuthService { inner, judge: self.judge.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for AuthService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // the service that said it is ready is the one to call; the clone takes its place
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let judge = self.judge.clone();
        Box::pin(async move {
            let mut id = [0; 16];
            judge.entropy.fill(&mut id);
            let id = RequestId(id);
            let (mut parts, body) = request.into_parts();
            let permit = match judge.judge(&parts, id).await {
                Ok(permit) => permit,
                Err(refused) => return Ok(*refused),
            };
            // the credential is gone from the target that was judged, and so from every log behind us
            if let Ok(uri) = Uri::builder().path_and_query(permit.target().clone()).build() {
                parts.uri = uri;
            }
            parts.extensions.insert(id);
            parts.extensions.insert(Arc::new(permit));
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            if let Ok(value) = HeaderValue::try_from(id.to_string()) {
                response.headers_mut().insert(&REQUEST_ID, value);
            }
            Ok(response)
        })
    }
}

impl Judge {
    async fn judge<R: From<Bytes>>(&self, parts: &Parts, id: RequestId) -> Result<Permit, Box<Response<R>>> {
        let head = match admit_head(parts) {
            Ok(head) => head,
            Err(error) => return Err(Box::new(respond::head_error(error, parts.version, id))),
        };
        // whoever listens says who called; nobody is assumed
        let Some(peer) = parts.extensions.get::<Peer>().copied() else {
            tracing::error!(request = %id, "no `Peer` in the request's extensions");
            let detail = "the listener did not say who called";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(Box::new(respond::problem(status, "internal", "internal error", detail, id)));
        };
        // RULES 2.3: nobody writes the request line anew behind us, so a target that is not canonical is refused
        if !path::is_canonical(head.target()) {
            let detail = "the request target is not in canonical form";
            let status = StatusCode::BAD_REQUEST;
            let problem = respond::problem(status, "request_malformed", "malformed request", detail, id);
            return Err(Box::new(problem));
        }
        match self.point.check(&head.check_request(&parts.method, &parts.headers, peer)).await {
            Decision::Allow(permit) => Ok(permit),
            Decision::Deny(denial) => {
                tracing::debug!(request = %id, code = denial.code, reason = denial.reason, "denied");
                Err(Box::new(respond::denial(&denial, id, &self.options)))
            }
        }
    }
}
