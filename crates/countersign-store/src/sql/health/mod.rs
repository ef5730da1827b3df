//! What the log says about the store: one line when it goes, one when it is back, not one for every request between.

use super::dialect::Trouble;
use std::sync::{Mutex, PoisonError};

/// Of reading or of writing: a locked database still reads.
#[derive(Debug)]
pub(super) struct Health {
    /// The store as the log names it: a path, or a host and a database; never a password.
    store: String,
    work: &'static str,
    trouble: Mutex<Option<Trouble>>,
}

impl Health {
    pub(super) fn of_reading(store: &str) -> Self {
        Self { store: store.to_owned(), work: "reading", trouble: Mutex::new(None) }
    }

    pub(super) fn of_writing(store: &str) -> Self {
        Self { store: store.to_owned(), work: "writing", trouble: Mutex::new(None) }
    }

    pub(super) fn ill(&self, trouble: Trouble, error: &str) {
        let (store, work, advice) = (&self.store, self.work, trouble.advice());
        if trouble == Trouble::Other {
            // one statement's fault rather than the store's
            tracing::error!(%store, %error, "{work} failed; {advice}");
        } else if self.set(Some(trouble)) {
            tracing::error!(%store, %error, "{work} is unavailable; {advice}");
        }
    }

    pub(super) fn well(&self) {
        if self.set(None) {
            tracing::info!(store = %self.store, "{} is available again", self.work);
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Is this news?
    fn set(&self, trouble: Option<Trouble>) -> bool {
        let mut stands = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *stands != trouble;
        *stands = trouble;
        news
    }
}

#[cfg(test)]
mod tests;
