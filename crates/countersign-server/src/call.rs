//! One request to us, as a handler gets it: read as far as every handler needs it, with whoever called.

use crate::{
    condition::{self, Condition},
    input::{Members, form, json, json::Json},
    problem::Problem,
    services::Services,
};
use axum::body::Body;
use bytes::Bytes;
use countersign_core::{
    RequestId, Timestamp,
    check::{decision::Permit, request::Peer},
};
use countersign_methods::principal::caller::Caller;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// No body of ours needs more, but for lists of what is brought from elsewhere.
pub(crate) const MAX_BODY: usize = 64 * 1024;
pub(crate) const MAX_IMPORT: usize = 1024 * 1024;
/// Who cannot send so little in so long is not sending.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) type Answer = Result<Response<Body>, Problem>;

/// What is known of every request, on either face.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) services: Arc<Services>,
    pub(crate) request: RequestId,
    pub(crate) peer: Peer,
    pub(crate) now: Timestamp,
    parts: Parts,
    body: Bytes,
}

/// A request to the operators' face: it has a caller, or there is no call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) facts: Facts,
    pub(crate) caller: Caller,
    /// What stood in the URL's `{id}`; empty where the URL has none. Not yet validated.
    pub(crate) id: String,
}

impl std::ops::Deref for Call {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}

impl Facts {
    pub(crate) async fn read(
        services: Arc<Services>,
        request: RequestId,
        peer: Peer,
        parts: Parts,
        (body, most): (Body, usize),
    ) -> Result<Self, Problem> {
        let body = match parts.method {
            Method::POST | Method::PATCH | Method::PUT => read_body(&parts, body, most).await?,
            _ => Bytes::new(),
        };
        let now = services.clock.now();
        Ok(Self { services, request, peer, now, parts, body })
    }

    /// The query, to be read to its end.
    pub(crate) fn query(&self) -> Result<Members, Problem> {
        let query = self.parts.uri.query().unwrap_or_default();
        form::pairs(query.as_bytes()).map(Members::of_query).map_err(Problem::malformed)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    pub(crate) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// As what the gateway judged; `None`: it did not come that way.
    pub(crate) fn permit(&self) -> Option<Arc<Permit>> {
        self.parts.extensions.get::<Arc<Permit>>().cloned()
    }

    /// The host that was asked, with its port if it has one of its own: as it was judged, or as it was written.
    pub(crate) fn authority(&self) -> Option<&str> {
        if let Some(permit) = self.parts.extensions.get::<Arc<Permit>>() {
            return Some(permit.authority());
        }
        self.parts.headers.get(header::HOST)?.to_str().ok()
    }

    /// A person's browser sends what stands in a form of a page.
    pub(crate) fn is_form(&self) -> bool {
        matches!(self.media_type(), Ok(Some("application/x-www-form-urlencoded")))
    }

    /// As it came.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// What the request depends on, if on anything.
    pub(crate) fn condition(&self) -> Result<Option<Condition>, Problem> {
        Condition::read(&self.parts.headers)
    }

    /// The body as a JSON object, and no query.
    pub(crate) fn members(&self) -> Result<Members, Problem> {
        self.query()?.finish(Some(()))?;
        match self.media_type()? {
            Some("application/json") => self.object(),
            _ => Err(unsupported("application/json")),
        }
    }

    /// As [`Facts::members`]; no body at all counts as an empty object.
    pub(crate) fn members_if_any(&self) -> Result<Members, Problem> {
        if self.body.is_empty() {
            self.query()?.finish(Some(()))?;
            return Ok(Members::of_body(Vec::new()));
        }
        self.members()
    }

    /// The body as a form or a JSON object, and no query.
    pub(crate) fn members_of_form_or_json(&self) -> Result<Members, Problem> {
        self.query()?.finish(Some(()))?;
        match self.media_type()? {
            Some("application/json") => self.object(),
            Some("application/x-www-form-urlencoded") => {
                let pairs = form::pairs(&self.body).map_err(Problem::malformed)?;
                Ok(Members::of_query(pairs))
            }
            _ => Err(unsupported("application/x-www-form-urlencoded` or `application/json")),
        }
    }

    fn object(&self) -> Result<Members, Problem> {
        match json::parse(&self.body).map_err(Problem::malformed)? {
            Json::Object(entries) => Ok(Members::of_body(entries)),
            other => Err(Problem::malformed(format!("the body must be a JSON object, not {}", other.what()))),
        }
    }

    /// The one media type of the body, if it is one that can be read here: UTF-8, without a coding.
    fn media_type(&self) -> Result<Option<&'static str>, Problem> {
        if self.parts.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_encoding_unsupported",
                "bodies are taken as they are; leave `Content-Encoding` out",
            ));
        }
        let mut values = self.parts.headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Ok(None);
        };
        let mut pieces = value.to_str().unwrap_or_default().split(';').map(str::trim);
        let essence = pieces.next().unwrap_or_default();
        let known = ["application/json", "application/x-www-form-urlencoded"]
            .into_iter()
            .find(|k| essence.eq_ignore_ascii_case(k));
        let utf8 = |p: &str| {
            p.is_empty()
                || p.eq_ignore_ascii_case("charset=utf-8")
                || p.eq_ignore_ascii_case("charset=\"utf-8\"")
        };
        Ok(known.filter(|_| pieces.all(utf8)))
    }
}

fn unsupported(wanted: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content_type_unsupported",
        format!("send the body once as `{wanted}`, in UTF-8, and say so in one `Content-Type`"),
    )
}

async fn read_body(parts: &Parts, body: Body, most: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {most} bytes; nothing here needs so much"),
        )
    };
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::malformed("the body broke off, or its framing is broken")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_timeout",
            format!("the body did not arrive within {} s; send it again", BODY_TIMEOUT.as_secs()),
        )),
    }
}

/// 200 with a document.
pub(crate) fn ok(document: &impl Serialize) -> Answer {
    answer(StatusCode::OK, document)
}

/// 200 with one record, at this version.
pub(crate) fn record(document: &impl Serialize, version: i64) -> Answer {
    Ok(condition::tag(ok(document)?, version))
}

/// 201 with a document and where it stands.
pub(crate) fn created(document: &impl Serialize, location: &str) -> Answer {
    let mut response = answer(StatusCode::CREATED, document)?;
    if let Ok(value) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    Ok(response)
}

/// 204: it is done, and there is nothing to say.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn answer(status: StatusCode, document: &impl Serialize) -> Answer {
    let mut body = serde_json::to_vec(document).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::internal()
    })?;
    body.push(b'\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T, N = String> {
    pub(crate) items: Vec<T>,
    /// `null`: this is the last page.
    pub(crate) next: Option<N>,
}
