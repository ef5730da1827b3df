//! What went wrong, told to a stranger: a problem document (RFC 9457), flat, with a `code` that programs read and a
//! `detail` that says what, why and what to do. The operator's reason goes to the log under the request id, never
//! into the document.

use bytes::Bytes;
use countersign_core::{RequestId, StoreError};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::{fmt, time::Duration};

/// Our request id, also outside the body.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("countersign-request-id");

/// One thing that is wrong with what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Fault {
    /// Where: `limit.per`, `scopes[2]`, a query parameter; empty: the whole.
    pub(crate) member: String,
    pub(crate) detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) faults: Vec<Fault>,
    pub(crate) retry_after: Option<Duration>,
    /// A token was shown and is not good (RFC 6750 3.1).
    pub(crate) challenge: bool,
    /// For the operator's log, under the request id; never sent.
    pub(crate) reason: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'static str,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, faults: Vec::new(), retry_after: None, challenge: false, reason: None }
    }

    /// 400: the request breaks a grammar.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request_malformed", detail)
    }

    /// 400 with every fault named.
    pub(crate) fn faults(faults: Vec<Fault>) -> Self {
        let mut detail = String::new();
        for (n, fault) in faults.iter().take(8).enumerate() {
            detail.push_str(if n == 0 { "" } else { "; " });
            if !fault.member.is_empty() {
                detail.push_str(&format!("`{}`: ", fault.member));
            }
            detail.push_str(&fault.detail);
        }
        Self { faults, ..Self::malformed(detail) }
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Ours, not the caller's: an outage never reads as anything else.
    pub(crate) fn unavailable() -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "the store did not answer; if this was to change something, look whether it did before you try again; \
             the server's log has the reason under this request id",
        );
        problem.retry_after = Some(Duration::from_secs(2));
        problem
    }

    /// A mistake of ours. Says nothing: what there is to say is in the log.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something is wrong with the server, not with the request; the server's log has it under this request id",
        )
    }

    pub(crate) fn too_many(retry_after: Duration, what: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "limit_exceeded",
            format!("too many {what}; wait as long as `Retry-After` says"),
        );
        problem.retry_after = Some(retry_after);
        problem
    }

    /// RFC 9457 3.1.3: one title for one type, also where the layer in front of us answers with the same code.
    fn title(&self) -> String {
        match self.code {
            "request_malformed" | "head_too_large" | "target_too_long" | "transfer_coding_unsupported" => {
                "malformed request".into()
            }
            "route_unknown" => "not found".into(),
            "limit_exceeded" => "too many requests".into(),
            "store_unavailable" => "unavailable".into(),
            "tls_required" => "TLS required".into(),
            "misdirected" => "misdirected request".into(),
            "internal" => "internal error".into(),
            code => code.replace('_', " "),
        }
    }

    /// The document. Always `no-store`: it answers a request that may have carried a credential (RFC 9111 3.5).
    pub(crate) fn render<B: From<Bytes>>(&self, request: RequestId) -> Response<B> {
        let document = Document {
            r#type: format!("https://countersign.dev/problems/{}", self.code),
            title: self.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: request.to_string(),
            code: self.code,
            errors: &self.faults,
        };
        let mut body = serde_json::to_vec(&document).unwrap_or_default();
        body.push(b'\n');
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            // RFC 9110 10.2.3: whole seconds, rounded up so that who waits that long is let in
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.challenge {
            let bad = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, bad);
        }
        mark(headers, request);
        response
    }
}

/// What every answer of ours carries, good or bad; what may be kept has said so.
pub(crate) fn mark(headers: &mut http::HeaderMap, request: RequestId) {
    let entry = headers.entry(header::CACHE_CONTROL);
    entry.or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::try_from(request.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => Problem { reason: Some(reason), ..Problem::unavailable() },
            StoreError::Conflict(code) => {
                let text = "somebody else changed it first; look at what stands now and try again";
                Problem::conflict(code, text)
            }
        }
    }
}

/// User input in a message: in backticks, without control characters, and not for ever.
pub(crate) fn quoted(text: &str) -> impl fmt::Display + '_ {
    struct Quoted<'a>(&'a str);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut kept = self.0.chars();
            let shown: String = kept.by_ref().take(64).flat_map(char::escape_default).collect();
            let more = if kept.next().is_some() { "..." } else { "" };
            write!(f, "`{shown}{more}`")
        }
    }
    Quoted(text)
}
