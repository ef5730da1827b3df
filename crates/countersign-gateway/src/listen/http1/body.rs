//! The body of one request, read from its connection as somebody asks for it.

use crate::{http1::fields::Fields, listen::inlet::Broken};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use std::{
    cell::RefCell,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// The connection, whatever its stream is. It has many requests in its life, so each of these says which one it means.
pub(super) trait Source {
    fn poll_frame(
        &mut self,
        request: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>>;
    fn is_over(&self, request: u64) -> bool;
    fn size_hint(&self, request: u64) -> SizeHint;
    /// Nobody will ask for more.
    fn leave(&mut self, request: u64);
    /// An interim answer to this request, which has no final one yet.
    fn say(&mut self, request: u64, status: StatusCode, fields: &Fields);
}

pub(crate) struct Inbody {
    /// `None`: it is over.
    source: Option<Rc<RefCell<dyn Source>>>,
    request: u64,
    /// Nothing of it is left, or there never was anything.
    over: bool,
    takes_interims: bool,
}

impl Inbody {
    /// Of a request to which it says something, whether or not it has a body.
    pub(super) fn of(
        source: Rc<RefCell<dyn Source>>,
        request: u64,
        over: bool,
        takes_interims: bool,
    ) -> Self {
        Self { source: Some(source), request, over, takes_interims }
    }

    /// Where interim answers go (RFC 9110 15.2: on, but not to a caller over HTTP/1.0).
    pub(crate) fn interims(&self) -> Option<Interims> {
        let source = self.source.as_ref().filter(|_| self.takes_interims)?;
        Some(Interims { source: source.clone(), request: self.request })
    }
}

/// What an upstream says before it answers, on its way to the caller.
pub(crate) struct Interims {
    source: Rc<RefCell<dyn Source>>,
    request: u64,
}

impl Interims {
    pub(crate) fn say(&self, status: StatusCode, fields: &Fields) {
        self.source.borrow_mut().say(self.request, status, fields);
    }
}

impl fmt::Debug for Interims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interims").field("request", &self.request).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inbody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbody").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Body for Inbody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(source) = self.source.as_ref().filter(|_| !self.over) else { return Poll::Ready(None) };
        let (polled, over) = {
            let mut source = source.borrow_mut();
            (source.poll_frame(self.request, cx), source.is_over(self.request))
        };
        if over {
            self.source = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.source.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Some(source) => source.borrow().size_hint(self.request),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Inbody {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            source.borrow_mut().leave(self.request);
        }
    }
}
