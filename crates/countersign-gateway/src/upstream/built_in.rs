//! Endpoints of this process behind a route of the gateway, where others have an upstream: what sets a cookie of this host must
//! answer on it (RULES 3.6). Its requests were judged as all are; it sees what callers sent, credentials among it.

use super::{
    body::{Patience, Upload, UploadFault},
    forward::{Failure, Inbound},
    headers,
};
use crate::{generation::Generation, observe::story::Story, response::Response, worker::Worker};
use bytes::Bytes;
use countersign_core::{
    BoxFuture,
    check::{decision::Permit, path},
};
use futures_util::FutureExt;
use http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Full};
use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

/// What answers instead of an upstream.
///
/// The request is the permit's: its method, its canonical target, its authority as `Host`. `RequestId`, `Peer` and
/// `Arc<Permit>` are among its extensions. The answer goes to the caller as it is, cookies of ours included, but for what is
/// about one hop.
pub trait BuiltIn: fmt::Debug + Send + Sync {
    /// Awaited by a worker, which has other requests to serve: what waits for a store or computes is to be done elsewhere.
    fn answer(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>>;
}

/// Bytes of a body: forms, and nothing that is stored.
const MOST_BODY: u64 = 64 * 1024;

pub(super) async fn answer(
    (worker, generation): (&Worker, &Generation),
    built_in: Arc<dyn BuiltIn>,
    permit: Permit,
    inbound: Inbound,
    story: &mut Story<'_>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let Inbound { id, peer, mut fields, body, is_stream, terms, .. } = inbound;
    if is_stream {
        return Err(Failure::NoUpgrade);
    }
    let shown = headers::request_id(id).map_err(Failure::Identity)?;
    let waits = !http_body::Body::is_end_stream(&body);
    let (upload, _) = Upload::new(body, terms.most.min(MOST_BODY), Patience::new(terms.patience), || None)
        .ok_or(Failure::Upload(UploadFault::TooLarge))?;
    let body = upload.collect().await.map_err(Failure::Upload)?.to_bytes();
    // RULES 2.5: what is sent slowly enough would outlive any revocation
    if waits && !worker.ports.point.stands(&permit).await {
        return Err(Failure::Upload(UploadFault::Revoked));
    }
    headers::to_built_in(&mut fields, &permit, &generation.stripping).map_err(Failure::Identity)?;
    let target = path::without_parameters(permit.target().clone(), generation.stripping.parameters());

    let permit = Arc::new(permit);
    let mut request = http::Request::new(body);
    *request.method_mut() = permit.method().clone();
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = fields.to_map();
    let extensions = request.extensions_mut();
    extensions.insert(id);
    extensions.insert(peer);
    extensions.insert(permit.clone());
    story.sent();
    // a panic ends this request and not the worker
    let answering = AssertUnwindSafe(async move { built_in.answer(request).await }).catch_unwind();
    let answer = tokio::time::timeout(generation.config.timeouts.first_byte, answering).await;
    story.heard();
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => return Err(Failure::BuiltIn("ended by a panic")),
        Err(_) => return Err(Failure::BuiltIn("gave no answer in time")),
    };
    if answer.status().is_informational() {
        return Err(Failure::BuiltIn("gave an interim answer, and no other"));
    }
    let Response { status, mut fields, body } = Response::from(answer);
    headers::from_built_in(&mut fields, &permit, &shown);
    let bare = *permit.method() == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    if bare {
        // RFC 9110 8.6: what it would have been
        fields.insert(&CONTENT_LENGTH, &HeaderValue::from(body.len()));
    }
    let body = if bare || status == StatusCode::NO_CONTENT { Bytes::new() } else { body };
    Ok(Response { status, fields, body: Full::new(body) })
}
