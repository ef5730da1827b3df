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

    /// From now on these, as they were read.
    pub(super) fn follow(&mut self, sources: &Sources) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::new(sources);
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

/// What a path leads to, and what stands there; both `None` where nothing can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    mark: Option<Mark>,
    /// Device and number: another file by the same name has another.
    file: Option<(u64, u64)>,
}

impl Seen {
    fn of(path: &Path) -> Self {
        // through links: a change of where one leads is a change of the file
        let file = fs::metadata(path).ok().map(|said| (said.dev(), said.ino()));
        Self { mark: mark(path), file }
    }
}

#[derive(Debug)]
struct State {
    /// As it was read.
    read: BTreeMap<PathBuf, Seen>,
    /// At the last look.
    last: BTreeMap<PathBuf, Seen>,
    /// Files that come later belong to it too.
    patterns: Vec<PathBuf>,
}

impl State {
    fn new(sources: &Sources) -> Self {
        let seen = |(path, mark): (&Path, Option<Mark>)| {
            (path.to_path_buf(), Seen { mark, file: Seen::of(path).file })
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
                let seen = Seen::of(&path);
                (path, seen)
            })
            .collect();
        let quiet = now == self.last;
        let changed =
            || now.iter().filter(|(path, seen)| self.read.get(*path).map(|r| r.mark) != Some(seen.mark));
        // what was not there before may have just been begun
        let moved = |(path, seen): (&PathBuf, &Seen)| {
            let before = self.read.get(path).and_then(|read| read.file);
            seen.mark.is_some() && before.is_some_and(|before| seen.file != Some(before))
        };
        let due = changed().next().is_some() && (quiet || changed().all(moved));
        self.last = now;
        due
    }
}

#[cfg(test)]
mod tests;
