//! How this process is, for whoever watches it: `/live`, `/ready`, `/metrics` (RULES 3.8).
//!
//! Owns the three answers and how metrics are written ([`exposition`]). Knows no figures: they come from [`Watched`],
//! which the composition root makes of everything that counts.

pub mod exposition;

use crate::{
    call::{Answer, Call},
    openapi::{Described, shape::string},
};
use axum::body::Body;
use countersign_core::{BoxFuture, Timestamp};
use http::{HeaderValue, Response, StatusCode, header};
use std::fmt;

/// Port: what is watched.
pub trait Watched: fmt::Debug + Send + Sync {
    /// Can it serve? Its log and its metrics say why not.
    fn is_ready(&self) -> BoxFuture<'_, bool>;
    /// In the exposition format.
    fn metrics(&self) -> BoxFuture<'_, String>;
}

/// Port: for a while a request to the gateway that shows a token is answered with what arrived.
pub trait Probing: fmt::Debug + Send + Sync {
    fn arm(&self, token: &str, until: Timestamp);
}

/// To whoever may read them.
pub(crate) async fn show(call: Call) -> Answer {
    call.query()?.finish(Some(()))?;
    Ok(metrics(call.services.watched.metrics().await))
}

pub(crate) fn describe_show() -> Described {
    Described::new("metrics", "Read what is counted, in Prometheus' format").media(
        200,
        "the figures",
        exposition::MEDIA_TYPE,
        string(),
    )
}

pub(crate) fn metrics(text: String) -> Response<Body> {
    said(StatusCode::OK, exposition::MEDIA_TYPE, text)
}

/// One word and nothing else: whoever asks shows no credential.
pub(crate) fn word(is_so: bool, yes: &'static str, no: &'static str) -> Response<Body> {
    let (status, word) = if is_so { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    said(status, "text/plain; charset=utf-8", format!("{word}\n"))
}

fn said(status: StatusCode, media_type: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
