//! The body of one request, read from its connection as somebody asks for it.

use crate::listen::inlet::Broken;
use bytes::Bytes;
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
}

pub(crate) struct Inbody {
    /// `None`: it was or is over.
    source: Option<Rc<RefCell<dyn Source>>>,
    request: u64,
}

impl Inbody {
    pub(super) fn empty() -> Self {
        Self { source: None, request: 0 }
    }

    pub(super) fn of(source: Rc<RefCell<dyn Source>>, request: u64) -> Self {
        Self { source: Some(source), request }
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
        let Some(source) = &self.source else { return Poll::Ready(None) };
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
        self.source.is_none()
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
