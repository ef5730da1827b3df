//! Is an address to be asked? Judged by what requests met there, and by checks where the configuration wants them.
//!
//! ```text
//! in --a connect that failed, or three exchanges in a row--> out --its time over--> on trial, one request at a time
//! on trial --an answer--> in            on trial --another failure--> out, for twice as long
//! ```

use std::{cell::Cell, time::Duration};
use tokio::time::Instant;

/// What went wrong with an address. An answer with a status is none of these: 503 is the upstream's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Connect,
    /// Connected, and then no answer that is one. A single request can bring that about, so one alone counts little.
    Exchange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    In,
    /// It was out; one request at a time finds out whether it still is.
    OnTrial,
    Out {
        until: Instant,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    /// In a row.
    faults: Cell<u32>,
    last: Cell<Option<Fault>>,
    /// How often it was taken out since it last answered.
    times_out: Cell<u32>,
    out_until: Cell<Option<Instant>>,
    checks_failed: Cell<u32>,
    /// What the checks say, until the next one.
    down_until: Cell<Option<Instant>>,
    /// When it came back.
    back_since: Cell<Option<Instant>>,
}

/// One request may meet a bug; three in a row meet an address that does not work.
const EXCHANGES_IN_A_ROW: u32 = 3;
const CHECKS_IN_A_ROW: u32 = 2;
const OUT_FIRST: Duration = Duration::from_secs(1);
const OUT_LONGEST: Duration = Duration::from_secs(30);

impl Health {
    pub(crate) fn standing(&self, now: Instant) -> Standing {
        if let Some(until) = self.down_until.get() {
            return Standing::Out { until: self.out_until.get().map_or(until, |out| out.max(until)) };
        }
        match self.out_until.get() {
            None => Standing::In,
            Some(until) if now < until => Standing::Out { until },
            Some(_) => Standing::OnTrial,
        }
    }

    pub(crate) fn failed(&self, fault: Fault, now: Instant) {
        let faults = self.faults.get().saturating_add(1);
        self.faults.set(faults);
        self.last.set(Some(fault));
        if fault == Fault::Exchange && faults < EXCHANGES_IN_A_ROW && self.out_until.get().is_none() {
            return;
        }
        // requests that were under way when it went out say nothing new
        if self.out_until.get().is_some_and(|until| now < until) {
            return;
        }
        let times = self.times_out.get();
        self.times_out.set(times.saturating_add(1));
        let while_out = OUT_FIRST.saturating_mul(1 << times.min(10)).min(OUT_LONGEST);
        self.out_until.set(Some(now + while_out));
    }

    /// The head of an answer came. On every request, so that without a fault before there is nothing to it.
    pub(crate) fn answered(&self, now: impl FnOnce() -> Instant) {
        if self.faults.get() > 0 {
            self.clear(now());
        }
    }

    fn clear(&self, now: Instant) {
        self.faults.set(0);
        self.times_out.set(0);
        if self.out_until.take().is_some() {
            self.back_since.set(Some(now));
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down_until.get().is_none()
    }

    /// A check came to an end; the next one is due at `next`.
    pub(crate) fn checked(&self, well: bool, now: Instant, next: Instant) {
        if !well {
            let failed = self.checks_failed.get().saturating_add(1);
            self.checks_failed.set(failed);
            if failed >= CHECKS_IN_A_ROW {
                self.down_until.set(Some(next));
            }
            return;
        }
        self.checks_failed.set(0);
        if self.down_until.take().is_some() {
            self.back_since.set(Some(now));
        }
        // an address that connects again needs no trial; one whose exchanges fail may still answer its check
        if self.last.get() == Some(Fault::Connect) {
            self.clear(now);
        }
    }

    /// How much heavier than it is one request counts here: 100 as it is, more within `slow_start` of coming back.
    pub(crate) fn weight(&self, now: Instant, slow_start: Duration) -> u128 {
        let Some(since) = self.back_since.get() else { return 100 };
        let elapsed = now.duration_since(since);
        if elapsed >= slow_start {
            self.back_since.set(None);
            return 100;
        }
        (slow_start.as_millis() * 100 / elapsed.as_millis().max(1)).min(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::ZERO;

    #[test]
    fn a_failed_connect_takes_an_address_out_for_a_growing_while() {
        let (health, mut now) = (Health::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            health.failed(Fault::Connect, now);
            let until = now + Duration::from_secs(seconds);
            assert_eq!(health.standing(now), Standing::Out { until });
            // failures of requests that were under way do not stretch it
            health.failed(Fault::Connect, now);
            assert_eq!(health.standing(now), Standing::Out { until });
            now = until;
            assert_eq!(health.standing(now), Standing::OnTrial);
        }
        health.answered(|| now);
        assert_eq!(health.standing(now), Standing::In);
        health.failed(Fault::Connect, now);
        assert_eq!(health.standing(now), Standing::Out { until: now + OUT_FIRST }, "from the beginning");
    }

    /// Whoever finds one request that an upstream dies of must not be able to take it away from everybody.
    #[test]
    fn exchanges_count_only_in_a_row() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..5 {
            health.failed(Fault::Exchange, now);
            health.failed(Fault::Exchange, now);
            assert_eq!(health.standing(now), Standing::In);
            health.answered(|| now);
        }
        for _ in 0..3 {
            health.failed(Fault::Exchange, now);
        }
        assert_eq!(health.standing(now), Standing::Out { until: now + OUT_FIRST });
        // on trial one is enough
        let later = now + OUT_FIRST;
        health.failed(Fault::Exchange, later);
        assert_eq!(health.standing(later), Standing::Out { until: later + OUT_FIRST * 2 });
    }

    #[test]
    fn two_failed_checks_take_it_out_and_one_good_one_brings_it_back() {
        let (health, now) = (Health::default(), Instant::now());
        let next = now + Duration::from_secs(5);
        health.checked(false, now, next);
        assert_eq!(health.standing(now), Standing::In);
        health.checked(false, now, next);
        assert_eq!(health.standing(now), Standing::Out { until: next });
        // an answer does not overrule the check
        health.answered(|| now);
        assert_eq!(health.standing(now), Standing::Out { until: next });
        health.checked(true, now, next);
        assert_eq!(health.standing(now), Standing::In);
    }

    #[test]
    fn a_good_check_ends_what_a_failed_connect_began_and_nothing_else() {
        let (health, now) = (Health::default(), Instant::now());
        health.failed(Fault::Connect, now);
        health.checked(true, now, now);
        assert_eq!(health.standing(now), Standing::In);
        for _ in 0..3 {
            health.failed(Fault::Exchange, now);
        }
        health.checked(true, now, now);
        assert_ne!(health.standing(now), Standing::In);
    }

    #[test]
    fn who_comes_back_starts_slowly_where_that_is_wanted() {
        let (health, now) = (Health::default(), Instant::now());
        let slow = Duration::from_secs(10);
        assert_eq!(health.weight(now, slow), 100, "nobody came back");
        health.failed(Fault::Connect, now);
        health.answered(|| now);
        assert_eq!(health.weight(now, slow), 1000);
        assert_eq!(health.weight(now + slow / 2, slow), 200);
        assert_eq!(health.weight(now, NEVER), 100);
        assert_eq!(health.weight(now + slow, slow), 100);
    }
}
