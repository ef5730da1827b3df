//! Have the files of a configuration changed, and is whoever changes them done?
//!
//! A file that was moved into place is whole. One that is written in place may be half written, so it is left alone
//! until nothing moved for a second. A file that is gone may be on its way back.

use crate::config::{Mark, Sources, mark, matches};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Interval, MissedTickBehavior};

/// Also how long is quiet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    state: Arc<Mutex<State>>,
    ticks: Interval,
}

impl Watch {
    pub(super) fn new(sources: &Sources) -> Self {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { state: Arc::new(Mutex::new(State::new(sources))), ticks }
    }

    /// From now on these. Whoever still looks at the old ones looks at nothing that counts.
    pub(super) fn follow(&mut self, state: State) {
        self.state = Arc::new(Mutex::new(state));
    }

    /// Returns when there is something new to read. Nothing is lost by not waiting for it.
    pub(super) async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let state = self.state.clone();
            let look = move || state.lock().unwrap_or_else(PoisonError::into_inner).look();
            // a file system that hangs must hold up nobody else
            if tokio::task::spawn_blocking(look).await.unwrap_or(false) {
                return;
            }
        }
    }
}

/// What a path leads to, and what stands there; nothing where nothing can be read.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    mark: Option<Mark>,
    stamp: Option<Stamp>,
    /// The stamp was the same a look before.
    settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// Device and number: another file by the same name has another.
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Through links: a change of where one leads is a change of the file.
    fn of(path: &Path) -> Option<Self> {
        let said = fs::metadata(path).ok()?;
        Some(Self {
            file: (said.dev(), said.ino()),
            size: said.size(),
            modified: (said.mtime(), said.mtime_nsec()),
            changed: (said.ctime(), said.ctime_nsec()),
        })
    }
}

impl Seen {
    /// Read only where the stamp is new, and once more a look later: two writes may fall into one tick of the clock
    /// that stamps are made with.
    fn again(path: &Path, before: Option<&Self>) -> Self {
        let stamp = Stamp::of(path);
        let same = before.filter(|before| before.stamp == stamp);
        match same {
            Some(before) if before.settled => *before,
            _ => Self { mark: mark(path), stamp, settled: same.is_some() },
        }
    }

    fn file(&self) -> Option<(u64, u64)> {
        self.stamp.map(|stamp| stamp.file)
    }
}

/// What was read, and what stood there at the last look.
#[derive(Debug)]
pub(super) struct State {
    read: BTreeMap<PathBuf, Seen>,
    last: BTreeMap<PathBuf, Seen>,
    /// Files that come later belong to it too.
    patterns: Vec<PathBuf>,
}

impl State {
    pub(super) fn new(sources: &Sources) -> Self {
        let seen = |(path, mark): (&Path, Option<Mark>)| {
            (path.to_path_buf(), Seen { mark, stamp: Stamp::of(path), settled: false })
        };
        let read: BTreeMap<PathBuf, Seen> = sources.files().map(seen).collect();
        Self { last: read.clone(), read, patterns: sources.patterns().map(Path::to_path_buf).collect() }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.read.keys().cloned().chain(self.patterns.iter().flat_map(|pattern| matches(pattern)))
    }

    fn look(&mut self) -> bool {
        let now: BTreeMap<PathBuf, Seen> = self
            .files()
            .map(|path| {
                let seen = Seen::again(&path, self.last.get(&path));
                (path, seen)
            })
            .collect();
        let place = |seen: &BTreeMap<PathBuf, Seen>| -> Vec<_> {
            seen.iter().map(|(path, seen)| (path.clone(), seen.mark, seen.file())).collect()
        };
        let quiet = place(&now) == place(&self.last);
        let changed = || {
            now.iter().filter(|(path, seen)| self.read.get(*path).map(|read| read.mark) != Some(seen.mark))
        };
        // what was not there before may have just been begun
        let moved = |(path, seen): (&PathBuf, &Seen)| {
            let before = self.read.get(path).and_then(Seen::file);
            seen.mark.is_some() && before.is_some_and(|before| seen.file() != Some(before))
        };
        let due = changed().next().is_some() && (quiet || changed().all(moved));
        self.last = now;
        due
    }
}

#[cfg(test)]
mod tests;
