//! The keys of external issuers: fetched when [`Freshness`] says so, and kept where tokens are verified (RULES 5.3). One
//! task an issuer; what went wrong leaves what was known as it is, and is said.
//!
//! ```text
//! discovery: issuer ──> its metadata (`issuer` is the same to the letter) ──> `jwks_uri` ──> keys
//! url, file:                                                                                  keys
//! ```

mod fetch;

use super::Egress;
use countersign_core::{Clock, Timestamp};
use countersign_crypto::{
    Entropy,
    jose::{JwkSet, JwkSetError, LONGEST_JWK_SET},
};
use countersign_methods::jwt::foreign::{ForeignIssuer, Freshness, KeyOrigin, KeySource, KnownKeys};
use fetch::{FetchError, Found};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;

/// A file, whether or not it seems to have changed.
const READ_AGAIN: Duration = Duration::from_secs(60);

/// What the task of an issuer needs.
#[derive(Debug, Clone)]
pub struct Fetcher {
    egress: Egress,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// How often it is looked whether something is due, or a file has changed.
    tick: Duration,
    /// Of one attempt, with all that it takes.
    limit: Duration,
}

impl Fetcher {
    pub fn new(egress: Egress, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { egress, clock, entropy, tick: Duration::from_secs(5), limit: Duration::from_secs(5) }
    }
}

/// How the keys of an issuer do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysState {
    pub keys: usize,
    /// Members of the set that are no keys here.
    pub skipped: usize,
    /// None: never, or they stand on this machine.
    pub fetched_at: Option<Timestamp>,
    pub attempts: u64,
    /// Of the attempts, those that failed.
    pub failed: u64,
    /// Since the last that went well.
    pub failures: u32,
    /// Of the last attempt.
    pub error: Option<String>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct IssuerKeys {
    issuer: Arc<ForeignIssuer>,
    /// Swapped whole; held for as long as a pointer takes to be copied.
    known: RwLock<Option<Arc<KnownKeys>>>,
    state: Mutex<KeysState>,
    wanted: AtomicBool,
    nudge: Notify,
}

impl KeySource for IssuerKeys {
    fn keys(&self) -> Option<Arc<KnownKeys>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wanted(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel) {
            self.nudge.notify_one();
        }
    }
}

impl IssuerKeys {
    /// A secret is there at once; everything else when [`IssuerKeys::keep_fresh`] has found it.
    pub fn new(issuer: Arc<ForeignIssuer>) -> Self {
        let this = Self {
            issuer,
            known: RwLock::default(),
            state: Mutex::default(),
            wanted: AtomicBool::new(false),
            nudge: Notify::new(),
        };
        if let KeyOrigin::Secret(secret) = &this.issuer.keys {
            match JwkSet::secret(secret.clone()) {
                Ok(set) => this.publish(set, None),
                Err(error) => this.state().error = Some(error.to_string()),
            }
        }
        this
    }

    pub fn issuer(&self) -> &Arc<ForeignIssuer> {
        &self.issuer
    }

    /// For metrics and `doctor`.
    pub fn now_is(&self) -> KeysState {
        self.state().clone()
    }

    /// One attempt, whatever is due, for whoever asks how it goes: `doctor`.
    pub async fn look(&self, with: &Fetcher) -> KeysState {
        match &self.issuer.keys {
            KeyOrigin::Secret(_) => {}
            KeyOrigin::File(path) => match self.read(path.to_owned()).await {
                Ok(set) => self.publish(set, None),
                Err(error) => self.failed(&error),
            },
            KeyOrigin::Discovery | KeyOrigin::Url(_) => match self.fetch(with).await {
                Ok(Found { set, .. }) => self.publish(set, Some(with.clock.now())),
                Err(error) => self.failed(&error),
            },
        }
        self.now_is()
    }

    /// For as long as it is polled. Ends by itself only where there is nothing to fetch.
    pub async fn keep_fresh(&self, with: Fetcher) {
        match &self.issuer.keys {
            KeyOrigin::Secret(_) => {}
            KeyOrigin::File(path) => self.follow_file(path, &with).await,
            KeyOrigin::Discovery | KeyOrigin::Url(_) => self.follow_issuer(&with).await,
        }
    }

    async fn follow_issuer(&self, with: &Fetcher) {
        let mut freshness = Freshness::new(with.clock.now());
        loop {
            if self.wanted.swap(false, Ordering::AcqRel) {
                freshness.wanted(with.clock.now());
            }
            if freshness.is_due(with.clock.now()) {
                let found = self.fetch(with).await;
                let now = with.clock.now();
                match found {
                    Ok(Found { set, max_age }) => {
                        freshness.succeeded(now, max_age);
                        self.publish(set, Some(now));
                    }
                    Err(error) => {
                        let mut chance = [0];
                        with.entropy.fill(&mut chance);
                        freshness.failed(now, chance.iter().sum());
                        self.failed(&error);
                    }
                }
            }
            self.wait(with.tick).await;
        }
    }

    async fn fetch(&self, with: &Fetcher) -> Result<Found, FetchError> {
        let fetching = fetch::keys(&self.issuer, &with.egress);
        tokio::time::timeout(with.limit, fetching).await.unwrap_or(Err(FetchError::TooSlow))
    }

    /// A file is as good as it stands there; from when it cannot be read on, its keys grow old as those that were fetched do
    /// (RULES 5.3).
    async fn follow_file(&self, path: &Path, with: &Fetcher) {
        let mut seen = None;
        let mut is_good = false;
        let mut read_at = with.clock.now();
        loop {
            let mark = Mark::of(path);
            let changed = seen != Some(mark);
            let now = with.clock.now();
            // that it may be read no more, its mark does not say
            let is_old = now.since(read_at) >= READ_AGAIN || now < read_at;
            if changed || !is_good || is_old {
                read_at = now;
                match self.read(path.to_owned()).await {
                    Ok(set) => {
                        is_good = true;
                        self.publish(set, None);
                    }
                    Err(error) => {
                        // once for each that is bad
                        if changed || is_good {
                            self.failed(&error);
                            self.ages_from(now);
                        }
                        is_good = false;
                    }
                }
                seen = Some(mark);
            }
            self.wanted.store(false, Ordering::Release);
            self.wait(with.tick).await;
        }
    }

    async fn read(&self, path: PathBuf) -> Result<JwkSet, FetchError> {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            // one more than may be, so that it is seen to be too long
            let most = u64::try_from(LONGEST_JWK_SET).unwrap_or(u64::MAX).saturating_add(1);
            File::open(path)?.take(most).read_to_end(&mut bytes)?;
            std::io::Result::Ok(bytes)
        });
        let bytes = read.await.map_err(std::io::Error::other).flatten()?;
        Ok(JwkSet::parse(&bytes, &self.issuer.algorithms)?)
    }

    async fn wait(&self, tick: Duration) {
        let _ = tokio::time::timeout(tick, self.nudge.notified()).await;
    }

    fn publish(&self, set: JwkSet, fetched_at: Option<Timestamp>) {
        let said = set.to_string();
        let (keys, skipped) = (set.len(), set.skipped().len());
        let known = Arc::new(KnownKeys { set: Arc::new(set), fetched_at });
        let before = self.known.write().unwrap_or_else(PoisonError::into_inner).replace(known);
        let mut state = self.state();
        // what is as it was is not said every quarter of an hour
        if state.failures > 0 || before.is_none_or(|before| before.set.to_string() != said) {
            tracing::info!(issuer = %self.issuer.name, "keys of an external issuer: {said}");
        }
        let (attempts, failed) = (state.attempts + 1, state.failed);
        *state = KeysState { keys, skipped, fetched_at, attempts, failed, failures: 0, error: None };
    }

    fn failed(&self, error: &FetchError) {
        let mut state = self.state();
        state.attempts += 1;
        state.failed += 1;
        // it was reached, and said so: a key that its issuer took back is believed no longer
        if matches!(error, FetchError::Keys(JwkSetError::NoKey(_))) {
            self.known.write().unwrap_or_else(PoisonError::into_inner).take();
            state.keys = 0;
        }
        state.failures = state.failures.saturating_add(1);
        state.error = Some(error.to_string());
        let kept = if state.keys > 0 {
            "; what was known stays, for a day at most"
        } else {
            "; its tokens are answered with 503"
        };
        tracing::warn!(
            issuer = %self.issuer.name,
            failures = state.failures,
            "keys of an external issuer could not be taken: {error}{kept}"
        );
    }

    fn ages_from(&self, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(KnownKeys { set, fetched_at: None }) = known.as_deref() {
            *known = Some(Arc::new(KnownKeys { set: set.clone(), fetched_at: Some(now) }));
            self.state().fetched_at = Some(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, KeysState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what a file is seen to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Missing,
    At(Option<SystemTime>, u64),
}

impl Mark {
    fn of(path: &Path) -> Self {
        std::fs::metadata(path).map_or(Self::Missing, |found| Self::At(found.modified().ok(), found.len()))
    }
}

#[cfg(test)]
mod tests;
