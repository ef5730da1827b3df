//! The threads on which passwords are hashed: so many at once, so many waiting, and turns for each network.
//!
//! One hash takes tens of milliseconds and many MiB, and anybody may ask for one. So there are few threads and a short
//! queue; every network (or whatever the caller's key stands for) has a queue of its own and the threads go round them,
//! one piece of work from each; and where all is full, a newcomer takes the place of the last one of the network with
//! the most. Who floods waits for himself.
//!
//! ```text
//! submit --> [ a network's queue, bounded ] --turn--> thread --> Waiting resolves
//!              |                                        '-- panics:            None
//!              |-- displaced by another network, or the pool ends:             None
//!              '-- Waiting dropped: taken out, never run
//! ```
//!
//! Owns the threads, the order and the counts. Does not know what the work is. Next: `turns`, the order itself.

mod turns;

use super::memory;
use futures_channel::oneshot;
use std::{
    fmt,
    future::Future,
    hash::Hash,
    io,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread::{self, JoinHandle},
};
use turns::{Job, Turns};

/// How much of it there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    pub threads: NonZeroUsize,
    /// Waiting, of all keys together.
    pub waiting: NonZeroUsize,
    /// Waiting, of one key.
    pub waiting_per_key: NonZeroUsize,
}

impl PoolLimits {
    /// Half the cores, so that the other half serves those who are known already. A queue that takes about a second to
    /// work off: whoever would wait longer has given up.
    pub fn for_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        let per_thread = |n: usize| threads.saturating_mul(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN));
        Self { threads, waiting: per_thread(64), waiting_per_key: per_thread(8) }
    }
}

/// Why work was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("too many password checks of this network are waiting")]
    Key,
    #[error("too many password checks are waiting")]
    Pool,
}

/// For metrics; `refused` and `done` since the pool began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolCounts {
    pub waiting: usize,
    pub running: usize,
    /// By [`Full`], or displaced.
    pub refused: u64,
    /// To its end or to its panic.
    pub done: u64,
}

/// `K` is what takes turns: small and cheap, such as the caller's network.
pub struct HashPool<K> {
    shared: Arc<Shared<K>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    /// There is work, or the end.
    changed: Condvar,
}

struct State<K> {
    turns: Turns<K>,
    counts: PoolCounts,
    ended: bool,
}

impl<K: Copy + Eq + Hash + Send + 'static> HashPool<K> {
    /// An error where the system gives no threads.
    pub fn new(limits: PoolLimits) -> io::Result<Self> {
        let turns = Turns::new(limits.waiting.get(), limits.waiting_per_key.get());
        let state = Mutex::new(State { turns, counts: PoolCounts::default(), ended: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        // so that the threads that did begin are ended where a later one does not
        let mut pool = Self { shared, threads: Vec::new() };
        for n in 0..limits.threads.get() {
            let shared = pool.shared.clone();
            let thread =
                thread::Builder::new().name(format!("password-{n}")).spawn(move || shared.serve())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    pub fn submit<T: Send + 'static>(
        &self,
        key: K,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Waiting<K, T>, Full> {
        let (sender, receiver) = oneshot::channel();
        // A panic drops the sender, and so does whoever drops the job.
        let job: Job = Box::new(move || {
            if !sender.is_canceled() {
                let _nobody_waits = sender.send(work());
            }
        });
        let mut state = self.shared.lock();
        let taken = state.turns.push(key, job);
        if !matches!(taken, Ok((_, None))) {
            state.counts.refused += 1;
        }
        // out of the lock: what a job holds is dropped, and its waiter woken
        drop(state);
        let (number, displaced) = taken?;
        self.shared.changed.notify_one();
        drop(displaced);
        Ok(Waiting { receiver, place: Some((self.shared.clone(), key, number)) })
    }

    pub fn counts(&self) -> PoolCounts {
        let state = self.shared.lock();
        PoolCounts { waiting: state.turns.waiting(), ..state.counts }
    }
}

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // no foreign code runs under the lock
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Shared<K> {
    fn serve(&self) {
        memory::keep_on_this_thread();
        give_way();
        while let Some(job) = self.next() {
            // What a panic leaves half done is the job's own, and goes with it; its message went to the panic hook.
            let _panicked = catch_unwind(AssertUnwindSafe(job));
            let mut state = self.lock();
            state.counts.running -= 1;
            state.counts.done += 1;
        }
    }

    /// `None`: the pool ended.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.ended {
                return None;
            }
            if let Some(job) = state.turns.pop() {
                state.counts.running += 1;
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where threads that serve and threads that hash share a core, those that serve go first: on Linux each thread has a
/// priority of its own. That it could not be lowered costs nothing but that.
fn give_way() {
    const NICE: i32 = 10;
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE);
}

/// Waits for what is running; what has not begun never does. Blocks for as long as one hash takes.
impl<K> Drop for HashPool<K> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.shared.lock();
            state.ended = true;
            state.turns.clear()
        };
        self.shared.changed.notify_all();
        drop(left);
        let this = thread::current().id();
        for thread in self.threads.drain(..) {
            // A job may hold the last handle to its own pool: a thread cannot wait for itself.
            if thread.thread().id() != this {
                let _panicked = thread.join();
            }
        }
    }
}

impl<K> fmt::Debug for HashPool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashPool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

/// `None` where there is no answer: the work panicked, had to make room, or the pool ended. Dropped before the work
/// began, the work never begins.
#[must_use = "work that nobody waits for is not done"]
pub struct Waiting<K: Copy + Eq + Hash, T> {
    receiver: oneshot::Receiver<T>,
    /// Until it resolved.
    place: Option<(Arc<Shared<K>>, K, u64)>,
}

impl<K: Copy + Eq + Hash + Unpin, T> Future for Waiting<K, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = Pin::new(&mut self.receiver).poll(cx);
        if polled.is_ready() {
            self.place = None;
        }
        polled.map(Result::ok)
    }
}

impl<K: Copy + Eq + Hash, T> Drop for Waiting<K, T> {
    fn drop(&mut self) {
        self.receiver.close();
        if let Some((shared, key, number)) = self.place.take() {
            let given_up = shared.lock().turns.remove(key, number);
            drop(given_up);
        }
    }
}

impl<K: Copy + Eq + Hash, T> fmt::Debug for Waiting<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting(..)")
    }
}

#[cfg(test)]
mod tests;
