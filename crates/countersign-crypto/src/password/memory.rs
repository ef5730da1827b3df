//! The memory that Argon2 fills: wiped after each hash, and kept by the threads whose only work it is.

use argon2::Block;
use std::cell::RefCell;
use zeroize::Zeroize;

/// What a thread keeps at most, in blocks of one KiB: an imported hash that wants more gives it back.
const KEPT: usize = 64 * 1024;

thread_local! {
    /// `None`: this thread does other work too, and keeps nothing.
    static MINE: RefCell<Option<Vec<Block>>> = const { RefCell::new(None) };
}

pub(super) fn keep_on_this_thread() {
    MINE.with_borrow_mut(|mine| *mine = Some(Vec::new()));
}

/// `None`: there is no memory to be had.
pub(super) fn lend<T>(blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> Option<T> {
    let mut lent = Lent(MINE.with_borrow_mut(|mine| mine.as_mut().map(std::mem::take)).unwrap_or_default());
    let missing = blocks.saturating_sub(lent.0.len());
    lent.0.try_reserve_exact(missing).ok()?;
    lent.0.resize(blocks.max(lent.0.len()), Block::new());
    lent.0.get_mut(..blocks).map(work)
}

/// Wiped also where the work panics.
struct Lent(Vec<Block>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Block::zeroize);
        let blocks = std::mem::take(&mut self.0);
        if blocks.len() <= KEPT {
            MINE.with_borrow_mut(|mine| {
                if let Some(mine) = mine {
                    *mine = blocks;
                }
            });
        }
    }
}
