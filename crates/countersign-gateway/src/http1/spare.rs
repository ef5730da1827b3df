//! Memory that was used before: of field lines, of which a request needs those that came and those of its answer.

use super::fields::Line;
use std::cell::RefCell;

type Memory = (Vec<u8>, Vec<Line>);

/// More than this many at once are not worth keeping.
const MOST: usize = 64;
/// What grew larger than any ordinary head is let go.
const LARGEST_TEXT: usize = 8 * 1024;
const MOST_LINES: usize = 128;

thread_local! {
    static SPARE: RefCell<Vec<Memory>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn take() -> Memory {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(super) fn give(mut text: Vec<u8>, mut lines: Vec<Line>) {
    if text.capacity() == 0 || text.capacity() > LARGEST_TEXT || lines.capacity() > MOST_LINES {
        return;
    }
    text.clear();
    lines.clear();
    // an error: the thread ends, and its memory with it
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MOST {
            spare.push((text, lines));
        }
    });
}
