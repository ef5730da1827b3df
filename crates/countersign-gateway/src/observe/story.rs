//! One request, from its head to the head of its answer. However it ends, it is told: also where the caller goes away
//! and the task with it.

use super::{
    parcels::Share,
    record::{self, Facts},
    report::Ending,
    tally::Tally,
    trace::{Decided, Ended, Spans},
};
use crate::{generation::Generation, http1::fields::Fields, worker::Worker};
use countersign_core::{
    RequestId,
    check::decision::{Denial, Permit},
};
use countersign_tower::Head;
use http::{Method, StatusCode};
use std::{net::IpAddr, rc::Rc};
use tokio::time::Instant;

/// What permitted requests are counted under.
pub(crate) const ALLOWED: &str = "allowed";
/// As nginx writes it: closed by the caller before there was an answer.
const GONE: u16 = 499;

#[derive(Debug)]
pub(crate) struct Story<'w> {
    worker: &'w Worker,
    generation: &'w Generation,
    id: RequestId,
    began: Instant,
    sent: Option<Instant>,
    heard: Option<Instant>,
    tally: Option<Rc<Tally>>,
    ending: Ending,
    /// Why a permitted request got no answer of its upstream.
    failure: Option<&'static str>,
    line: Option<Vec<u8>>,
    spans: Option<Spans>,
}

/// What a decision was about, as far as the caller's own words go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'r> {
    pub(crate) head: &'r Head,
    pub(crate) method: &'r Method,
    pub(crate) fields: &'r Fields,
    pub(crate) peer: IpAddr,
}

impl<'w> Story<'w> {
    pub(crate) fn begin(worker: &'w Worker, generation: &'w Generation, id: RequestId) -> Self {
        Self {
            worker,
            generation,
            id,
            began: Instant::now(),
            sent: None,
            heard: None,
            tally: None,
            ending: Ending { method: None, code: "undecided", status: GONE },
            failure: None,
            line: None,
            spans: None,
        }
    }

    pub(crate) fn allowed(&mut self, permit: &Permit, asked: Asked<'_>) {
        self.tally = Some(self.generation.tally(permit.route(), &self.worker.observed));
        self.ending.method = permit.subject().map(|known| known.authentication.method);
        self.ending.code = ALLOWED;
        if self.is_recorded(self.generation.config.records.all) {
            self.line = record::begin(self.worker, self.id, &Facts::of_permit(permit, asked));
        }
        self.trace(|| Decided::allowed(permit, asked));
    }

    pub(crate) fn denied(&mut self, denial: &Denial, asked: Asked<'_>) {
        self.tally = denial.route.as_ref().map(|route| self.generation.tally(route, &self.worker.observed));
        self.ending.method = denial.known.first().map(|known| known.authentication.method);
        self.ending.code = denial.code;
        self.ending.status = denial.kind.status().as_u16();
        if self.is_recorded(self.generation.config.records.refused) {
            self.line = record::begin(self.worker, self.id, &Facts::of_denial(denial, asked));
        }
        self.trace(|| Decided::denied(denial, asked));
    }

    /// Before there was anything to judge.
    pub(crate) fn refused(
        &mut self,
        code: &'static str,
        reason: &'static str,
        status: StatusCode,
        peer: IpAddr,
    ) {
        self.ending.code = code;
        self.ending.status = status.as_u16();
        if self.is_recorded(self.generation.config.records.refused) {
            self.line = record::begin(self.worker, self.id, &Facts::of_refusal(code, reason, peer));
        }
        self.trace(|| Decided::refused(code, peer));
    }

    /// By the gateway itself, without anybody's decision: a preflight.
    pub(crate) fn answered_here(&mut self, code: &'static str, status: StatusCode) {
        self.ending.code = code;
        self.ending.status = status.as_u16();
    }

    /// From now on it is the upstream's turn.
    pub(crate) fn sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// The upstream answered, or there will be no answer.
    pub(crate) fn heard(&mut self) {
        self.heard = Some(Instant::now());
    }

    pub(crate) fn failed(&mut self, code: &'static str) {
        self.failure = Some(code);
    }

    pub(crate) fn ended(&mut self, status: StatusCode) {
        self.ending.status = status.as_u16();
    }

    /// What the upstream is told of the trace, where there is one.
    pub(crate) fn hand_on(&self, fields: &mut Fields) {
        if let Some(spans) = &self.spans {
            spans.hand_on(fields);
        }
    }

    fn is_recorded(&self, share: Share) -> bool {
        self.worker.observed.outboxes.records.is_some() && share.takes(self.id)
    }

    fn trace<'d>(&mut self, decided: impl FnOnce() -> Decided<'d>) {
        let Some(outbox) = &self.worker.observed.outboxes.spans else { return };
        if self.generation.config.records.spans.takes(self.id) {
            self.spans = Some(Spans::begin(self.id, self.worker.request_id(), &decided(), outbox.spare()));
        }
    }
}

impl Drop for Story<'_> {
    fn drop(&mut self) {
        // reading the clock costs as much as everything else here
        let over = self.heard.unwrap_or_else(Instant::now);
        let took = over.duration_since(self.began);
        let observed = &self.worker.observed;
        let tally = self.tally.as_ref().unwrap_or_else(|| observed.nowhere());
        tally.ended(self.ending, took);
        let upstream = self.sent.map(|sent| over.duration_since(sent));
        if let Some(upstream) = upstream {
            tally.answered(upstream);
        }
        let (status, failure) = (self.ending.status, self.failure);
        if let (Some(line), Some(outbox)) = (self.line.take(), &observed.outboxes.records) {
            record::end(line, status, failure, (took, upstream), outbox);
        }
        if let (Some(spans), Some(outbox)) = (self.spans.take(), &observed.outboxes.spans) {
            let at = self.worker.ports.point.clock().now();
            spans.end(Ended { at, status, failure, took, upstream }, outbox);
        }
    }
}
