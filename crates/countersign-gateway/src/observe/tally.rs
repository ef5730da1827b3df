//! Counts and times of one route, kept by one worker.

use super::{
    add,
    report::{Ending, RouteReport, TIME_BOUNDS, Times},
};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

/// Endings told apart on one route. An upstream may invent as many statuses as it likes; past this only their classes
/// are.
const MOST_ENDINGS: usize = 96;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    endings: RefCell<Vec<(Ending, u64)>>,
    whole: Histogram,
    upstream: Histogram,
}

impl Tally {
    pub(crate) fn ended(&self, ending: Ending, took: Duration) {
        self.whole.note(took);
        let mut endings = self.endings.borrow_mut();
        if let Some((_, count)) = endings.iter_mut().find(|(known, _)| *known == ending) {
            *count = count.wrapping_add(1);
            return;
        }
        let coarse = Ending { status: ending.status / 100 * 100, ..ending };
        let ending = if endings.len() < MOST_ENDINGS { ending } else { coarse };
        match endings.iter_mut().find(|(known, _)| *known == ending) {
            Some((_, count)) => *count = count.wrapping_add(1),
            None => endings.push((ending, 1)),
        }
    }

    pub(crate) fn answered(&self, took: Duration) {
        self.upstream.note(took);
    }

    pub(crate) fn report(&self) -> RouteReport {
        RouteReport {
            endings: self.endings.borrow().iter().copied().collect(),
            whole: self.whole.read(),
            upstream: self.upstream.read(),
        }
    }
}

#[derive(Debug, Default)]
struct Histogram {
    /// One more than there are bounds.
    counts: [Cell<u64>; TIME_BOUNDS.len() + 1],
    nanoseconds: Cell<u64>,
}

impl Histogram {
    fn note(&self, took: Duration) {
        let place = TIME_BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(place) {
            add(count, 1);
        }
        add(&self.nanoseconds, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    fn read(&self) -> Times {
        Times {
            counts: self.counts.each_ref().map(Cell::get),
            sum: Duration::from_nanos(self.nanoseconds.get()),
        }
    }
}
