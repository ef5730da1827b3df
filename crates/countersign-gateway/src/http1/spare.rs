//! Memory that was used before: field maps, of which a request needs two, and the places of field lines.

use super::head::Place;
use http::HeaderMap;
use std::cell::RefCell;

/// More than this many at once are not worth keeping.
const MOST: usize = 64;
/// A map that grew larger than any ordinary head is let go.
const LARGEST: usize = 128;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
    static LINES: RefCell<Vec<(Place, Place)>> = const { RefCell::new(Vec::new()) };
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

pub(super) fn take_lines() -> Vec<(Place, Place)> {
    LINES.take()
}

pub(super) fn give_lines(mut lines: Vec<(Place, Place)>) {
    lines.clear();
    LINES.set(lines);
}
