//! What was seen.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Latencies in microseconds; whatever took longer stands in the last.
const LONGEST: usize = 4_000_000;

#[derive(Default)]
pub struct Tally {
    pub sent: u64,
    done: u64,
    wrong: u64,
    first_wrong: Option<String>,
    /// Connections that the server closed where it was not asked to.
    pub closed: u64,
    statuses: BTreeMap<u16, u64>,
    histogram: Vec<u32>,
}

impl Tally {
    pub fn right(&mut self, status: u16, asked: Instant) {
        self.done += 1;
        *self.statuses.entry(status).or_default() += 1;
        if self.histogram.is_empty() {
            self.histogram = vec![0; LONGEST + 1];
        }
        let took = usize::try_from(asked.elapsed().as_micros()).unwrap_or(LONGEST).min(LONGEST);
        self.histogram[took] += 1;
    }

    pub fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.first_wrong.is_none() {
            self.first_wrong = Some(what());
        }
    }

    pub fn ready(&self) -> String {
        match &self.first_wrong {
            None => "ready".into(),
            Some(what) => format!("failed: {}", what.escape_default()),
        }
    }

    /// One line of JSON.
    pub fn report(&self, took: Duration, leaked: u64) -> String {
        let at = |share: f64| {
            let mut seen = 0;
            let enough = (share * self.done as f64).ceil() as u64;
            self.histogram.iter().position(|n| {
                seen += u64::from(*n);
                seen >= enough.max(1)
            })
        };
        let statuses: Vec<String> = self.statuses.iter().map(|(s, n)| format!("\"{s}\": {n}")).collect();
        let first = self.first_wrong.as_deref().unwrap_or("").replace(['"', '\\'], "'");
        let first: String = first.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!(
            "{{\"requests\": {}, \"seconds\": {:.6}, \"p50\": {}, \"p99\": {}, \"wrong\": {}, \"first_wrong\": \"{first}\", \
             \"closed\": {}, \"leaked\": {leaked}, \"statuses\": {{{}}}}}",
            self.done,
            took.as_secs_f64(),
            at(0.5).unwrap_or(0),
            at(0.99).unwrap_or(0),
            self.wrong,
            self.closed,
            statuses.join(", "),
        )
    }
}
