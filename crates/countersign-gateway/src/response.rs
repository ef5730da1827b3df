//! An answer on its way to a caller, whatever the protocol that carries it.

use crate::http1::fields::Fields;
use http::StatusCode;

#[derive(Debug)]
pub(crate) struct Response<B> {
    pub(crate) status: StatusCode,
    pub(crate) fields: Fields,
    pub(crate) body: B,
}

impl<B> Response<B> {
    pub(crate) fn new(status: StatusCode, body: B) -> Self {
        Self { status, fields: Fields::new(), body }
    }

    pub(crate) fn map<C>(self, to: impl FnOnce(B) -> C) -> Response<C> {
        let Self { status, fields, body } = self;
        Response { status, fields, body: to(body) }
    }

    /// For HTTP/2.
    pub(crate) fn into_http(self) -> http::Response<B> {
        let Self { status, fields, body } = self;
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = fields.to_map();
        response
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, fields: Fields::from(&parts.headers), body }
    }
}
