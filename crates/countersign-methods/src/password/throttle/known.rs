//! The places where an account succeeded since its password changed. Only a success adds one, so nobody who does not
//! know a password makes another forget.

use super::table::Entry;
use countersign_core::Timestamp;
use std::time::Duration;

/// Home, work, a telephone or two, and as many again: the least recently used makes room.
const PLACES: usize = 8;

#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The last used first; the empty ones last.
    places: [Place; PLACES],
    used: Timestamp,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// 0: none.
    mark: u64,
    /// In a row, here.
    failures: u32,
}

impl Known {
    pub(super) fn has(&self, mark: u64) -> bool {
        mark != 0 && self.places.iter().any(|p| p.mark == mark)
    }

    pub(super) fn succeeded(&mut self, mark: u64, now: Timestamp) {
        let at = self.places.iter().position(|p| p.mark == mark).unwrap_or(PLACES - 1);
        if let Some(before) = self.places.get_mut(..=at) {
            before.rotate_right(1);
        }
        let [first, ..] = &mut self.places;
        *first = Place { mark, failures: 0 };
        self.used = now;
    }

    /// With so many failures in a row a place is known no longer.
    pub(super) fn failed(&mut self, mark: u64, most: u32) {
        let Some(at) = self.places.iter().position(|p| p.mark == mark) else { return };
        let Some(after) = self.places.get_mut(at..) else { return };
        let Some(place) = after.first_mut() else { return };
        place.failures = place.failures.saturating_add(1);
        if place.failures >= most {
            *place = Place::default();
            after.rotate_left(1);
        }
    }
}

impl Entry for Known {
    fn new(now: Timestamp) -> Self {
        Self { places: [Place::default(); PLACES], used: now }
    }

    fn weight(&self, _: Duration, _: Timestamp) -> (u32, Timestamp) {
        (1, self.used)
    }

    fn is_empty(&self) -> bool {
        self.places.iter().all(|p| p.mark == 0)
    }
}
