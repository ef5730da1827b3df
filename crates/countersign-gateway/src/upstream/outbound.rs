//! A request on its way to an upstream, whatever the protocol that carries it.

use super::body::Upload;
use crate::http1::fields::Fields;
use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};

#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    /// Host among them.
    pub(crate) fields: Fields,
    pub(crate) body: Upload,
}

impl Outbound {
    /// RFC 9113 8.3.1: in HTTP/2 scheme and authority of the target stand for Host.
    pub(crate) fn into_http2(mut self, scheme: &Scheme) -> Request<Upload> {
        let authority = self.fields.get(&HOST).and_then(|host| Authority::try_from(host).ok());
        self.fields.remove(&HOST);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.fields.to_map();
        let mut parts = Uri::from(self.target.clone()).into_parts();
        (parts.scheme, parts.authority) = (Some(scheme.clone()), authority);
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(self.target));
        request
    }

    /// Back from where nobody took it.
    pub(crate) fn from_http2(request: Request<Upload>) -> Self {
        let (parts, body) = request.into_parts();
        let mut fields = Fields::from(&parts.headers);
        let authority = parts.uri.authority();
        if let Some(host) = authority.and_then(|named| HeaderValue::from_str(named.as_str()).ok()) {
            fields.insert(&HOST, &host);
        }
        let target = parts.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Self { method: parts.method, target, fields, body }
    }
}
