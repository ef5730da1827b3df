//! An answer on its way to a caller, whatever the protocol that carries it.

use crate::http1::fields::Fields;
use countersign_tower::respond;
use http::{HeaderName, StatusCode};

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

impl respond::Told for Fields {
    fn tell(&mut self, name: &HeaderName, value: &[u8]) {
        // what is told by us has no control characters
        let _ = self.try_append(name, value);
    }
}

impl<B> From<http::Response<B>> for Response<B> {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, fields: Fields::from(&parts.headers), body }
    }
}
