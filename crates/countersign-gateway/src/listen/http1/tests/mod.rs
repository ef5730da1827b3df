//! A connection over two ends of a pipe: requests cut at every byte, answers to callers of every pace, bodies that nobody
//! wants. What needs a judgement and an upstream is tested in `tests/gateway/http1.rs`.

mod answers;
mod bodies;
mod requests;

use super::{Own, begin, line::Line};
use crate::{
    config::Timeouts,
    http1::{Malformed, head::RequestHead},
    listen::{connection::Connection, inlet::Broken},
};
use http_body_util::BodyExt;
use std::{cell::RefCell, future::poll_fn, rc::Rc};
use tokio::io::{DuplexStream, duplex};

type Shared = Rc<RefCell<Line<DuplexStream>>>;

/// Our end of a connection that takes so many bytes at once, and the caller's.
fn connected(size: usize) -> (Own<DuplexStream>, Shared, DuplexStream) {
    let (ours, theirs) = duplex(size);
    let line = Line::new(ours, Connection::new(false, Timeouts::default()));
    let own = Own(Rc::new(RefCell::new(line)));
    let line = own.0.clone();
    (own, line, theirs)
}

async fn head(line: &Shared) -> Result<Option<RequestHead>, Malformed> {
    poll_fn(|cx| line.borrow_mut().poll_head(cx)).await
}

/// Every request that comes in, with its body, until there is no other or what comes is none.
async fn requests(line: &Shared) -> (Vec<(String, String)>, Option<Malformed>) {
    let mut got = Vec::new();
    loop {
        let head = match head(line).await {
            Ok(Some(head)) => head,
            Ok(None) => return (got, None),
            Err(malformed) => return (got, Some(malformed)),
        };
        let body = begin(line, head.framing, false, true);
        let line = format!("{} {}", head.method, head.uri);
        match body.collect().await {
            Ok(body) => got.push((line, String::from_utf8_lossy(&body.to_bytes()).into_owned())),
            Err(Broken) => {
                got.push((line, "broken".into()));
                return (got, None);
            }
        }
    }
}
