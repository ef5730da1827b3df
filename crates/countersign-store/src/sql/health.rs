//! What the log says about the store: one line when it goes, one when it is back, not one for every request between.

use super::dialect::Trouble;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Health {
    /// The store as the log names it: a path, or a host and a database; never a password.
    name: String,
    trouble: Mutex<Option<Trouble>>,
}

impl Health {
    pub(super) fn new(name: String) -> Self {
        Self { name, trouble: Mutex::new(None) }
    }

    pub(super) fn ill(&self, trouble: Trouble, error: &str) {
        let (store, advice) = (&self.name, trouble.advice());
        if trouble == Trouble::Other {
            // one statement's fault rather than the store's
            tracing::error!(%store, %error, "the store refused a statement; {advice}");
        } else if self.set(Some(trouble)) {
            tracing::error!(%store, %error, "store unavailable; {advice}");
        }
    }

    pub(super) fn well(&self) {
        if self.set(None) {
            tracing::info!(store = %self.name, "store available again");
        }
    }

    /// Is this news?
    fn set(&self, trouble: Option<Trouble>) -> bool {
        let mut stands = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *stands != trouble;
        *stands = trouble;
        news
    }
}
