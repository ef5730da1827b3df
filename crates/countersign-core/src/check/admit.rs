//! Failures per source network: who may still make us work. Over budget only cached credentials pass; the others get
//! 429 before any lookup or hash (RULES 2.4).

use super::{
    Case, Mode,
    decision::{Denial, DenialKind, Refused},
    limit::{Charge, LimitKey},
};

/// Asked for before any work that a stranger can cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    network: LimitKey,
}

pub(super) fn admission(case: &Case<'_>) -> Admission {
    Admission { network: LimitKey::network(case.request.peer.address) }
}

impl Admission {
    /// Peeked at only where a credential is not cached: a cached yes has no use for it.
    pub(super) fn may_work(self, case: &Case<'_>) -> Result<(), Refused> {
        let parts = &case.point.parts;
        match parts.counter.peek(self.network, &parts.settings.failures, case.now) {
            Charge::Within { .. } => Ok(()),
            Charge::Over { retry_after } => {
                let reason = "source network is over its budget of failures";
                let mut denial = Denial::refused(DenialKind::TooMany, "too_many_failures", reason);
                denial.retry_after = Some(retry_after);
                Err(denial)
            }
        }
    }

    /// A presented credential was bad.
    pub(super) fn failed(self, case: &Case<'_>) {
        if case.mode == Mode::Count {
            let parts = &case.point.parts;
            parts.counter.charge(self.network, &parts.settings.failures, case.now);
        }
    }
}
