//! Counts of failures: of one place or network, with a delay that doubles ([`Tally`]), and in a row ([`Run`]).

use super::{Because, Shut, table::Entry};
use countersign_core::Timestamp;
use std::time::Duration;

/// How failures slow down whoever makes them. `longest` is at most `halved_after`, so that no delay is cut short by
/// decay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Failures that cost nothing. Beyond them, one attempt at a time.
    pub free: u32,
    /// Attempts that may run at the same time before that, where `free` is less.
    pub at_once: u32,
    /// The first delay; every further failure doubles it.
    pub first: Duration,
    pub longest: Duration,
    /// After so long without a failure half of them are forgotten, and half of those after as long again.
    pub halved_after: Duration,
}

impl Pace {
    fn delay(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => self.first.saturating_mul(2_u32.saturating_pow(over.min(31))).min(self.longest),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Tally {
    failures: u32,
    /// Attempts that are not judged yet.
    running: u32,
    last: Timestamp,
}

impl Tally {
    /// Counts the attempt as running, or says why it may not.
    pub(super) fn enter(&mut self, pace: &Pace, because: Because, now: Timestamp) -> Result<(), Shut> {
        // a clock that was set back must not close this until it has caught up
        self.last = self.last.min(now);
        let failures = self.failures(pace, now);
        if failures < pace.free {
            if failures.saturating_add(self.running) >= pace.free.max(pace.at_once) {
                return Err(Shut::Delayed(now + pace.first, Because::Running));
            }
        } else {
            let until = self.last + pace.delay(failures);
            if now < until {
                return Err(Shut::Delayed(until, because));
            }
            if self.running > 0 {
                return Err(Shut::Delayed(now + pace.first, Because::Running));
            }
        }
        self.running = self.running.saturating_add(1);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub(super) fn fail(&mut self, pace: &Pace, now: Timestamp) {
        self.failures = self.failures(pace, now).saturating_add(1);
        self.last = self.last.max(now);
    }

    /// Forgets so many, and says how many there were.
    pub(super) fn forgive(&mut self, most: u32, pace: &Pace, now: Timestamp) -> u32 {
        let failures = self.failures(pace, now);
        let forgiven = failures.min(most);
        // as of `last`: what remains decays from where it was
        self.failures = if forgiven == failures { 0 } else { self.failures.saturating_sub(forgiven) };
        forgiven
    }

    pub(super) fn failures(&self, pace: &Pace, now: Timestamp) -> u32 {
        let halvings =
            now.since(self.last).as_micros().checked_div(pace.halved_after.as_micros()).unwrap_or(0);
        self.failures.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
    }

    pub(super) fn last(&self) -> Timestamp {
        self.last
    }
}

fn halved(failures: u32, elapsed: Duration, halved_after: Duration) -> u32 {
    let halvings = elapsed.as_micros().checked_div(halved_after.as_micros()).unwrap_or(0);
    failures.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
}

impl Entry for Tally {
    fn new(now: Timestamp) -> Self {
        Self { failures: 0, running: 0, last: now }
    }

    fn weight(&self, decay: Duration, now: Timestamp) -> (u32, Timestamp) {
        (halved(self.failures, now.since(self.last), decay).saturating_add(self.running), self.last)
    }

    fn is_empty(&self) -> bool {
        self.failures == 0 && self.running == 0
    }
}

/// Failures of an account in a row, from places that it does not know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    failures: u32,
    running: u32,
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
    /// A bit for each of 64 kinds of networks: no fewer networks than bits.
    pub(super) networks: u64,
}

/// When a row ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) closed_after: u32,
    pub(super) forgotten_after: Duration,
}

impl Run {
    pub(super) fn enter(&mut self, ends: Ends, now: Timestamp) -> Result<(), Shut> {
        self.last = self.last.min(now);
        let failures = self.failures(ends, now);
        if failures >= ends.closed_after {
            return Err(Shut::Closed(failures, self.last));
        }
        if failures.saturating_add(self.running) >= ends.closed_after {
            return Err(Shut::Delayed(now + Duration::from_secs(1), Because::Running));
        }
        self.running = self.running.saturating_add(1);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    pub(super) fn fail(&mut self, network: u64, ends: Ends, now: Timestamp) {
        let failures = self.failures(ends, now);
        if failures == 0 {
            self.since = now;
            self.networks = 0;
        }
        self.failures = failures.saturating_add(1);
        self.networks |= 1 << (network >> 58);
        self.last = self.last.max(now);
    }

    pub(super) fn end(&mut self) {
        self.failures = 0;
        self.networks = 0;
    }

    pub(super) fn failures(&self, ends: Ends, now: Timestamp) -> u32 {
        if now.since(self.last) >= ends.forgotten_after { 0 } else { self.failures }
    }
}

impl Entry for Run {
    fn new(now: Timestamp) -> Self {
        Self { failures: 0, running: 0, since: now, last: now, networks: 0 }
    }

    fn weight(&self, decay: Duration, now: Timestamp) -> (u32, Timestamp) {
        let failures = if now.since(self.last) >= decay { 0 } else { self.failures };
        (failures.saturating_add(self.running), self.last)
    }

    fn is_empty(&self) -> bool {
        self.failures == 0 && self.running == 0
    }
}
