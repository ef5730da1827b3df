//! The certificates of all listeners: read at the start, and read again while they serve, because whoever renews them
//! writes files and tells nobody.
//!
//! Owns the files' contents. What cannot be used is never put in place: the last good set goes on, and the log says why.

#[cfg(test)]
mod tests;

use crate::{
    config::{CertificateSettings, TlsSettings},
    output::Failure,
};
use countersign_crypto::{
    hash::sha256,
    tls::{CertificatePair, CertificateSet, LiveCertificates},
};
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// A renewed certificate serves this soon.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Every set that was loaded, to be followed together.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    watched: Arc<Mutex<Vec<Watched>>>,
}

#[derive(Debug)]
struct Watched {
    files: Vec<CertificateSettings>,
    live: Arc<LiveCertificates>,
    /// Of what was last read, used or not. Contents, not times: files are small, and a time may stand still over two
    /// writes.
    seen: Mark,
}

type Mark = [u8; 32];

impl Certificates {
    /// What was loaded before is live already.
    pub fn load(&self, settings: &TlsSettings) -> Result<Arc<LiveCertificates>, Failure> {
        let files = settings.certificates.clone();
        if let Some(known) = self.all().iter().find(|watched| watched.files == files) {
            return Ok(known.live.clone());
        }
        let read = Contents::read(&files).map_err(Failure::failed)?;
        let live = Arc::new(LiveCertificates::new(read.set(&files).map_err(Failure::failed)?));
        self.all().push(Watched { files, live: live.clone(), seen: read.mark() });
        Ok(live)
    }

    /// Nobody serves the others any more.
    pub fn keep(&self, used: &[&TlsSettings]) {
        self.all().retain(|watched| used.iter().any(|settings| settings.certificates == watched.files));
    }

    fn all(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look once at everything. Returns how many sets were replaced.
    fn look(&self) -> usize {
        self.all().iter_mut().filter_map(|watched| watched.look().then_some(())).count()
    }

    pub async fn follow(self, stopping: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let all = self.clone();
            if tokio::task::spawn_blocking(move || all.look()).await.is_err() {
                return;
            }
        }
    }
}

impl Watched {
    fn look(&mut self) -> bool {
        // a file that is being replaced may be missing for a moment, or its key be older than its certificate
        let read = match Contents::read(&self.files) {
            Ok(read) => read,
            Err(why) => return self.keep(sha256(&[why.as_bytes()]), &why),
        };
        let mark = read.mark();
        if mark == self.seen {
            return false;
        }
        match read.set(&self.files) {
            Ok(set) => {
                self.seen = mark;
                self.live.replace(set);
                tracing::info!(certificate = %names(&self.files), "certificate read again, in use from now on");
                true
            }
            Err(why) => self.keep(mark, &why),
        }
    }

    /// Once for each content.
    fn keep(&mut self, mark: Mark, why: &str) -> bool {
        if std::mem::replace(&mut self.seen, mark) != mark {
            tracing::warn!(why, "certificate not read again, the last good one stays in use");
        }
        false
    }
}

/// Certificate and key of each.
struct Contents(Vec<(Vec<u8>, Vec<u8>)>);

impl Contents {
    fn read(files: &[CertificateSettings]) -> Result<Self, String> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|e| format!("cannot read `{}`: {e}", path.display()));
        let pair = |files: &CertificateSettings| Ok((read(&files.certificate)?, read(&files.key)?));
        files.iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn mark(&self) -> Mark {
        let each: Vec<Mark> = self
            .0
            .iter()
            .flat_map(|(chain, key)| [sha256(&[chain.as_slice()]), sha256(&[key.as_slice()])])
            .collect();
        let each: Vec<&[u8]> = each.iter().map(<[u8; 32]>::as_slice).collect();
        sha256(&each)
    }

    fn set(&self, files: &[CertificateSettings]) -> Result<CertificateSet, String> {
        let pairs: Vec<CertificatePair<'_>> = self
            .0
            .iter()
            .zip(files)
            .map(|((chain, key), files)| CertificatePair { chain, key, default: files.default })
            .collect();
        CertificateSet::new(&pairs).map_err(|(n, error)| match files.get(n) {
            Some(files) => {
                format!("`{}` with `{}`: {error}", files.certificate.display(), files.key.display())
            }
            None => error.to_string(),
        })
    }
}

fn names(files: &[CertificateSettings]) -> String {
    let names: Vec<String> = files.iter().map(|f| f.certificate.display().to_string()).collect();
    names.join(", ")
}
