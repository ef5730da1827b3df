//! Refusals are counted and sampled (RULES 3.9): whoever is asked about one finds its reason in the log by the request
//! id, and a flood of them does not fill it.

use std::{cell::Cell, time::Duration};
use tokio::time::Instant;

/// So many lines of one worker in a second.
const MOST: u32 = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// Lets through the first lines of every second; what came beyond is counted in the next line let through.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    began: Cell<Option<Instant>>,
    lines: Cell<u32>,
    left_out: Cell<u64>,
}

impl Sampler {
    /// `Some`: write it, and that so many were left out before it.
    pub(crate) fn take(&self, now: Instant) -> Option<u64> {
        if self.began.get().is_none_or(|began| now.duration_since(began) >= WINDOW) {
            self.began.set(Some(now));
            self.lines.set(0);
        }
        if self.lines.get() >= MOST {
            self.left_out.set(self.left_out.get().saturating_add(1));
            return None;
        }
        self.lines.set(self.lines.get() + 1);
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_3_9_a_flood_of_refusals_is_counted_and_not_written() {
        let (sampler, begun) = (Sampler::default(), Instant::now());
        let written = (0..1000).filter(|_| sampler.take(begun).is_some()).count();
        assert_eq!(written, 50);
        assert_eq!(sampler.take(begun + WINDOW / 2), None);
        assert_eq!(sampler.take(begun + WINDOW), Some(951), "the next second says how many were left out");
        assert_eq!(sampler.take(begun + WINDOW), Some(0));
    }
}
