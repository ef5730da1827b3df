//! A WebSocket over one stream of HTTP/2 (RFC 8441). It is judged as the GET that asks for the same over HTTP/1.1 (RULES
//! 2.2); to the upstream it is one.

use bytes::Bytes;
use countersign_core::RequestId;
use countersign_tower::respond;
use http::{Method, Request, StatusCode, Version};
use http_body_util::Full;
use hyper::{
    ext::Protocol,
    upgrade::{OnUpgrade, on},
};

/// A protocol that nobody here carries.
#[derive(Debug)]
pub(crate) struct Unsupported;

/// `None`: an ordinary request, or a CONNECT without a protocol, which is refused with its head. What is found is a GET
/// from now on, and the stream that it becomes.
pub(crate) fn take<B>(request: &mut Request<B>) -> Option<Result<OnUpgrade, Unsupported>> {
    if request.method() != Method::CONNECT || request.version() != Version::HTTP_2 {
        return None;
    }
    let protocol = request.extensions().get::<Protocol>()?;
    if !protocol.as_str().eq_ignore_ascii_case("websocket") {
        return Some(Err(Unsupported));
    }
    let stream = on(&mut *request);
    *request.method_mut() = Method::GET;
    Some(Ok(stream))
}

pub(crate) fn unsupported(id: RequestId) -> http::Response<Full<Bytes>> {
    let detail = "of the protocols that CONNECT can ask for, only `websocket` is carried here";
    respond::problem(StatusCode::NOT_IMPLEMENTED, "upgrade_unsupported", "protocol not carried", detail, id)
}
