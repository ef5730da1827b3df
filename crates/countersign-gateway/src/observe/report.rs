//! What all workers know together, asked for when somebody wants to know.

use super::parcels::{Delivered, Delivery};
use crate::worker::Order;
use countersign_core::MethodName;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};

/// Upper bounds of the times that are told apart.
pub const TIME_BOUNDS: [Duration; 15] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(10),
];

/// A worker that says nothing for so long is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ending {
    /// Of the subject; `None`: nobody was known, or nobody needed to be.
    pub method: Option<MethodName>,
    /// `allowed`, or the code of the refusal.
    pub code: &'static str,
    /// Of the answer; 499: the caller went before there was one.
    pub status: u16,
}

/// How long something took, by [`TIME_BOUNDS`]; the last count is of what took longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    pub counts: [u64; TIME_BOUNDS.len() + 1],
    pub sum: Duration,
}

impl Times {
    fn add(&mut self, other: &Times) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.wrapping_add(more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[derive(Debug, Clone, Default)]
pub struct RouteReport {
    pub endings: BTreeMap<Ending, u64>,
    /// From a request's head to the head of its answer.
    pub whole: Times,
    /// From handing it to the upstream to the head of its answer.
    pub upstream: Times,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct DoorReport {
    pub accepted: u64,
    pub open: u64,
    pub failed_handshakes: u64,
}

/// One address of an upstream.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpstreamReport {
    pub pending: u64,
    pub idle: u64,
    pub connects: u64,
    pub failed_connects: u64,
    /// Workers that hold it for well, of those that know it.
    pub well: u64,
    pub known: u64,
}

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct WorkerReport {
    pub(crate) routes: BTreeMap<Option<Arc<str>>, RouteReport>,
    pub(crate) doors: Vec<DoorReport>,
    pub(crate) upstreams: BTreeMap<(Arc<str>, SocketAddr), UpstreamReport>,
    pub(crate) records_dropped: u64,
    pub(crate) spans_dropped: u64,
}

#[derive(Debug, Clone, Default)]
pub struct Report {
    pub workers: usize,
    /// Those that did not answer in time; nothing of theirs is in here.
    pub silent: usize,
    /// By name; `None`: requests that found no route.
    pub routes: BTreeMap<Option<Arc<str>>, RouteReport>,
    /// In the order of the configuration.
    pub doors: Vec<DoorReport>,
    pub upstreams: BTreeMap<(Arc<str>, SocketAddr), UpstreamReport>,
    pub records: Delivery,
    pub spans: Delivery,
}

impl Report {
    fn add(&mut self, worker: WorkerReport) {
        for (name, route) in worker.routes {
            let sum = self.routes.entry(name).or_default();
            for (ending, count) in route.endings {
                let known = sum.endings.entry(ending).or_default();
                *known = known.wrapping_add(count);
            }
            sum.whole.add(&route.whole);
            sum.upstream.add(&route.upstream);
        }
        self.doors.resize(self.doors.len().max(worker.doors.len()), DoorReport::default());
        for (sum, door) in self.doors.iter_mut().zip(worker.doors) {
            sum.accepted += door.accepted;
            sum.open += door.open;
            sum.failed_handshakes += door.failed_handshakes;
        }
        for (address, upstream) in worker.upstreams {
            let sum = self.upstreams.entry(address).or_default();
            sum.pending += upstream.pending;
            sum.idle += upstream.idle;
            sum.connects += upstream.connects;
            sum.failed_connects += upstream.failed_connects;
            sum.well += upstream.well;
            sum.known += upstream.known;
        }
        self.records.dropped += worker.records_dropped;
        self.spans.dropped += worker.spans_dropped;
    }
}

/// Asks the workers of a gateway.
#[derive(Debug, Clone)]
pub struct Reporter {
    pub(crate) orders: Vec<mpsc::UnboundedSender<Order>>,
    pub(crate) records: Option<Arc<Delivered>>,
    pub(crate) spans: Option<Arc<Delivered>>,
}

impl Reporter {
    pub async fn report(&self) -> Report {
        let mut asked = Vec::new();
        for order in &self.orders {
            let (answer, answered) = oneshot::channel();
            let sent = order.send(Order::Report(answer)).is_ok();
            asked.push(sent.then_some(answered));
        }
        let mut report = Report { workers: self.orders.len(), ..Report::default() };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for answered in asked {
            let answer = match answered {
                Some(answered) => tokio::time::timeout_at(deadline, answered).await.ok().and_then(Result::ok),
                None => None,
            };
            match answer {
                Some(worker) => report.add(worker),
                None => report.silent += 1,
            }
        }
        for (sum, delivered) in [(&mut report.records, &self.records), (&mut report.spans, &self.spans)] {
            if let Some(delivered) = delivered {
                *sum = delivered.read(sum.dropped);
            }
        }
        report
    }
}
