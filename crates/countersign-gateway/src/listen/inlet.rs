//! The body of a request as it comes in, whatever the protocol that carries it.

use super::http1::body::{Inbody, Interims};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use thiserror::Error;

#[derive(Debug)]
pub(crate) enum Inlet {
    Http1(Inbody),
    Http2(Incoming),
}

impl Inlet {
    /// `None`: this caller gets no interim answers.
    pub(crate) fn interims(&self) -> Option<Interims> {
        match self {
            Inlet::Http1(body) => body.interims(),
            // the library below sends none
            Inlet::Http2(_) => None,
        }
    }
}

/// The caller went away or broke the framing of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the request body did not reach its end")]
pub(crate) struct Broken;

impl Body for Inlet {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Inlet::Http1(body) => Pin::new(body).poll_frame(cx),
            Inlet::Http2(body) => match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                // RFC 9113 8.1: hyper takes a reset that names no error for the end, which it is only with END_STREAM
                None if !body.is_end_stream() => Poll::Ready(Some(Err(Broken))),
                frame => Poll::Ready(frame.map(|frame| frame.map_err(|_| Broken))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Inlet::Http1(body) => body.is_end_stream(),
            Inlet::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Inlet::Http1(body) => body.size_hint(),
            Inlet::Http2(body) => body.size_hint(),
        }
    }
}
