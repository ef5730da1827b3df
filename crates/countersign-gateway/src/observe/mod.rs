//! What requests leave behind: counts, times and, where they are asked for, records of decisions.
//!
//! A worker writes in its own memory, without a lock and without an atomic: [`tally`] counts, [`story`] follows one
//! request to its end, [`record`] writes its line and [`trace`] its spans. Whoever wants to know asks every worker
//! ([`report`]); records and spans leave in parcels for threads of their own ([`parcels`]), and are dropped and counted
//! when those cannot keep up. Nothing here ever holds up a request.

pub mod parcels;
pub mod probe;
pub(crate) mod record;
pub mod report;
pub(crate) mod story;
pub(crate) mod tally;
pub(crate) mod trace;

pub use parcels::{Delivery, RecordSink, Sampling, Share};
pub use probe::Probe;
pub use report::{DoorReport, Ending, Report, Reporter, RouteReport, TIME_BOUNDS, Times, UpstreamReport};

use countersign_core::check::route::RouteTable;
use parcels::Outbox;
use report::WorkerReport;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    rc::Rc,
    sync::Arc,
};
use tally::Tally;

/// What a gateway is watched by.
#[derive(Default)]
pub struct Observing {
    /// Where records of decisions go; `None`: there are none.
    pub records: Option<Box<dyn RecordSink>>,
    /// Where spans go.
    pub spans: Option<Box<dyn RecordSink>>,
    pub probe: Arc<Probe>,
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing")
            .field("records", &self.records.is_some())
            .field("spans", &self.spans.is_some())
            .finish_non_exhaustive()
    }
}

/// One worker's.
#[derive(Debug)]
pub(crate) struct Observed {
    /// By route; a route that left the table leaves here too.
    routes: RefCell<BTreeMap<Arc<str>, Rc<Tally>>>,
    /// Of requests that found no route.
    nowhere: Rc<Tally>,
    doors: Vec<DoorTally>,
    pub(crate) outboxes: Outboxes,
}

/// What leaves a worker; `None`: nobody wants it.
#[derive(Debug, Default)]
pub(crate) struct Outboxes {
    pub(crate) records: Option<Outbox>,
    pub(crate) spans: Option<Outbox>,
}

impl Outboxes {
    pub(crate) fn each(&self) -> impl Iterator<Item = &Outbox> {
        self.records.iter().chain(&self.spans)
    }
}

/// One listener's connections.
#[derive(Debug, Default)]
pub(crate) struct DoorTally {
    accepted: Cell<u64>,
    closed: Cell<u64>,
    failed_handshakes: Cell<u64>,
}

impl DoorTally {
    pub(crate) fn accepted(&self) {
        add(&self.accepted, 1);
    }

    pub(crate) fn closed(&self) {
        add(&self.closed, 1);
    }

    pub(crate) fn failed_handshake(&self) {
        add(&self.failed_handshakes, 1);
    }
}

pub(crate) fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get().wrapping_add(more));
}

impl Observed {
    pub(crate) fn new(doors: usize, outboxes: Outboxes) -> Self {
        Self {
            routes: RefCell::default(),
            nowhere: Rc::default(),
            doors: (0..doors).map(|_| DoorTally::default()).collect(),
            outboxes,
        }
    }

    pub(crate) fn door(&self, number: usize) -> Option<&DoorTally> {
        self.doors.get(number)
    }

    pub(crate) fn nowhere(&self) -> &Rc<Tally> {
        &self.nowhere
    }

    pub(crate) fn route(&self, name: &Arc<str>) -> Rc<Tally> {
        self.routes.borrow_mut().entry(name.clone()).or_default().clone()
    }

    pub(crate) fn keep(&self, table: &RouteTable) {
        let names: Vec<&Arc<str>> = table.routes().iter().map(|route| &route.name).collect();
        self.routes.borrow_mut().retain(|name, _| names.contains(&name));
    }

    pub(crate) fn report(&self) -> WorkerReport {
        let mut routes: BTreeMap<Option<Arc<str>>, RouteReport> =
            self.routes.borrow().iter().map(|(name, tally)| (Some(name.clone()), tally.report())).collect();
        routes.insert(None, self.nowhere.report());
        let door = |door: &DoorTally| DoorReport {
            accepted: door.accepted.get(),
            open: door.accepted.get().saturating_sub(door.closed.get()),
            failed_handshakes: door.failed_handshakes.get(),
        };
        WorkerReport {
            routes,
            doors: self.doors.iter().map(door).collect(),
            records_dropped: self.outboxes.records.as_ref().map_or(0, Outbox::dropped),
            spans_dropped: self.outboxes.spans.as_ref().map_or(0, Outbox::dropped),
            ..WorkerReport::default()
        }
    }
}

#[cfg(test)]
mod tests;
