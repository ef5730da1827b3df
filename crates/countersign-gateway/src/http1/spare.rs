//! Field maps that were used before: each of them keeps its memory, and a request needs two.

use http::HeaderMap;
use std::cell::RefCell;

/// More than this many at once are not worth keeping.
const MOST: usize = 64;
/// A map that grew larger than any ordinary head is let go.
const LARGEST: usize = 128;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn take() -> HeaderMap {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(super) fn give(mut headers: HeaderMap) {
    if headers.capacity() == 0 || headers.capacity() > LARGEST {
        return;
    }
    headers.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < MOST {
            spare.push(headers);
        }
    });
}
