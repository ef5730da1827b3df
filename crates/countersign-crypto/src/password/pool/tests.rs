use super::{Full, HashPool, PoolCounts, PoolLimits, Turns, Waiting};
use crate::{
    SystemEntropy,
    password::{Argon2Parameters, hash, verify},
};
use proptest::prelude::*;
use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    num::NonZeroUsize,
    pin::pin,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn answer<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(60));
    }
}

fn pool(threads: usize, waiting: usize, waiting_per_key: usize) -> HashPool<u64> {
    let n = |n| NonZeroUsize::new(n).unwrap();
    let limits = PoolLimits { threads: n(threads), waiting: n(waiting), waiting_per_key: n(waiting_per_key) };
    HashPool::new(limits).unwrap()
}

/// Keeps a thread busy until it is opened or dropped.
struct Gate {
    open: Sender<()>,
    waiting: Waiting<u64, &'static str>,
}

impl Gate {
    /// Returns once the thread has taken it.
    fn shut(pool: &HashPool<u64>) -> Self {
        let (open, opened) = mpsc::channel::<()>();
        let (taken, has_taken) = mpsc::channel();
        let work = move || {
            taken.send(()).unwrap();
            let _dropped = opened.recv();
            "opened"
        };
        let waiting = pool.submit(u64::MAX, work).unwrap();
        has_taken.recv_timeout(Duration::from_secs(60)).unwrap();
        Self { open, waiting }
    }

    fn open(self) {
        self.open.send(()).unwrap();
        assert_eq!(answer(self.waiting), Some("opened"));
    }
}

/// Which pieces of work ran, in their order.
#[derive(Clone)]
struct Log(Sender<&'static str>);

impl Log {
    fn new() -> (Self, Receiver<&'static str>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    fn note(&self, what: &'static str) -> impl FnOnce() -> &'static str + Send + use<> {
        let log = self.0.clone();
        move || {
            log.send(what).unwrap();
            what
        }
    }
}

/// The counts follow the answer by a moment.
fn settled(pool: &HashPool<u64>) -> PoolCounts {
    loop {
        let counts = pool.counts();
        if counts.running == 0 && counts.waiting == 0 {
            return counts;
        }
        thread::yield_now();
    }
}

#[test]
fn work_is_done_on_a_named_thread() {
    let pool = pool(2, 8, 4);
    let name = answer(pool.submit(1, || thread::current().name().unwrap().to_owned()).unwrap()).unwrap();
    assert!(["password-0", "password-1"].contains(&name.as_str()), "{name}");
    assert_eq!(settled(&pool), PoolCounts { waiting: 0, running: 0, refused: 0, done: 1 });
    fn sent<T: Send + 'static>(_: &T) {}
    sent(&pool.submit(1, || ()).unwrap());
}

#[test]
fn a_password_is_hashed_and_verified_there() {
    let pool = pool(2, 8, 4);
    let parameters = Argon2Parameters::new(8192, 1, 2).unwrap();
    for password in ["one", "two", "three"] {
        let made =
            pool.submit(1, move || hash(password.as_bytes(), &parameters, &SystemEntropy).unwrap()).unwrap();
        let made = answer(made).unwrap();
        let other = made.clone();
        assert_eq!(answer(pool.submit(1, move || verify(password.as_bytes(), &made)).unwrap()), Some(true));
        assert_eq!(answer(pool.submit(1, move || verify(b"four", &other)).unwrap()), Some(false));
    }
}

#[test]
fn the_queue_and_each_key_are_bounded() {
    let pool = pool(1, 4, 2);
    let gate = Gate::shut(&pool);
    let (log, ran) = Log::new();
    let submit = |key, what| pool.submit(key, log.note(what));
    let _kept = [submit(1, "a1").unwrap(), submit(1, "a2").unwrap(), submit(2, "b1").unwrap()];
    assert_eq!(submit(1, "a3").unwrap_err(), Full::Key);
    let _last = submit(3, "c1").unwrap();
    assert_eq!(pool.counts(), PoolCounts { waiting: 4, running: 1, refused: 1, done: 0 });
    // `b` would have as many as the longest has
    assert_eq!(submit(2, "b2").unwrap_err(), Full::Pool);
    // `d` has none and `a` two
    let _newcomer = submit(4, "d1").unwrap();
    assert_eq!(submit(5, "e1").unwrap_err(), Full::Pool, "everybody has one");
    assert_eq!(pool.counts(), PoolCounts { waiting: 4, running: 1, refused: 4, done: 0 });
    gate.open();
    let counts = settled(&pool);
    assert_eq!((counts.refused, counts.done), (4, 5));
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), ["a1", "b1", "c1", "d1"]);
}

#[test]
fn who_is_displaced_is_told() {
    let pool = pool(1, 2, 2);
    let gate = Gate::shut(&pool);
    let first = pool.submit(1, || "first").unwrap();
    let second = pool.submit(1, || "second").unwrap();
    let newcomer = pool.submit(2, || "newcomer").unwrap();
    assert_eq!(answer(second), None);
    gate.open();
    assert_eq!((answer(first), answer(newcomer)), (Some("first"), Some("newcomer")));
}

#[test]
fn keys_take_turns() {
    let pool = pool(1, 16, 8);
    let gate = Gate::shut(&pool);
    let (log, ran) = Log::new();
    let _all: Vec<_> = [(1, "a1"), (1, "a2"), (1, "a3"), (1, "a4"), (2, "b1"), (2, "b2"), (3, "c1")]
        .map(|(key, what)| pool.submit(key, log.note(what)).unwrap())
        .into();
    gate.open();
    settled(&pool);
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
}

#[test]
fn work_that_nobody_waits_for_is_skipped() {
    let pool = pool(1, 4, 4);
    let gate = Gate::shut(&pool);
    let (log, ran) = Log::new();
    let held = Arc::new(());
    let holds = held.clone();
    let mut all: Vec<_> = ["a1", "a2", "a3"].map(|what| pool.submit(1, log.note(what)).unwrap()).into();
    let given_up = pool
        .submit(2, move || {
            drop(holds);
            panic!("ran")
        })
        .unwrap();
    assert_eq!(pool.counts().waiting, 4);
    drop(all.remove(1));
    drop::<Waiting<u64, ()>>(given_up);
    assert_eq!(pool.counts().waiting, 2, "and makes room at once");
    assert_eq!(Arc::strong_count(&held), 1, "and lets go of what it held");
    let again = pool.submit(2, log.note("b1")).unwrap();
    gate.open();
    assert_eq!(answer(again), Some("b1"));
    assert_eq!(all.into_iter().map(answer).collect::<Vec<_>>(), [Some("a1"), Some("a3")]);
    let counts = settled(&pool);
    assert_eq!((counts.done, counts.refused), (4, 0));
    assert_eq!(ran.try_iter().collect::<Vec<_>>(), ["a1", "b1", "a3"]);
}

#[test]
fn work_that_has_begun_goes_on_without_its_waiter() {
    let pool = pool(1, 4, 4);
    let Gate { open, waiting } = Gate::shut(&pool);
    drop(waiting);
    assert_eq!(pool.counts().running, 1);
    open.send(()).unwrap();
    assert_eq!(settled(&pool).done, 1);
}

#[test]
fn a_panic_is_its_own_jobs() {
    let pool = pool(1, 8, 8);
    for n in 0..3u32 {
        assert_eq!(answer(pool.submit(1, || -> u32 { panic!("on purpose") }).unwrap()), None);
        assert_eq!(answer(pool.submit(1, move || n).unwrap()), Some(n));
    }
    assert_eq!(settled(&pool), PoolCounts { waiting: 0, running: 0, refused: 0, done: 6 });
}

#[test]
fn the_end_waits_for_what_runs_and_drops_what_waits() {
    let pool = pool(1, 8, 8);
    let gate = Gate::shut(&pool);
    let (log, ran) = Log::new();
    let queued = pool.submit(1, log.note("a1")).unwrap();
    let (ended, has_ended) = mpsc::channel();
    let ending = thread::spawn(move || {
        drop(pool);
        ended.send(()).unwrap();
    });
    assert_eq!(answer(queued), None);
    assert!(has_ended.try_recv().is_err(), "while one runs");
    gate.open();
    has_ended.recv_timeout(Duration::from_secs(60)).unwrap();
    ending.join().unwrap();
    assert_eq!(ran.try_iter().count(), 0);
}

#[test]
fn a_job_may_hold_the_last_handle_to_its_pool() {
    let pool = Arc::new(pool(2, 8, 8));
    let (open, opened) = mpsc::channel::<()>();
    let handle = pool.clone();
    let work = move || {
        opened.recv().unwrap();
        drop(handle);
        "dropped"
    };
    let waiting = pool.submit(1, work).unwrap();
    drop(pool);
    open.send(()).unwrap();
    assert_eq!(answer(waiting), Some("dropped"));
}

#[test]
fn many_come_from_many_threads() {
    let pool = pool(2, 64, 16);
    let (done, refused) = (Mutex::new(0u64), Mutex::new(0u64));
    thread::scope(|scope| {
        for key in 0..8 {
            let (pool, done, refused) = (&pool, &done, &refused);
            scope.spawn(move || {
                for n in 0..500u64 {
                    match pool.submit(key, move || n * 2) {
                        Ok(waiting) if n % 3 == 0 => drop(waiting),
                        Ok(waiting) => {
                            assert_eq!(answer(waiting), Some(n * 2));
                            *done.lock().unwrap() += 1;
                        }
                        Err(_) => *refused.lock().unwrap() += 1,
                    }
                }
            });
        }
    });
    let counts = settled(&pool);
    assert_eq!(counts.refused, *refused.lock().unwrap());
    assert!(counts.done >= *done.lock().unwrap() && counts.done + counts.refused <= 4000);
}

#[test]
fn this_machine_has_half_its_cores_for_it() {
    let limits = PoolLimits::for_this_machine();
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(limits.threads.get(), (cores / 2).max(1));
    assert!(limits.waiting_per_key < limits.waiting);
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Pop,
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..6).prop_map(Step::Push),
        2 => Just(Step::Pop),
        1 => any::<usize>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever happens: within the bounds, nothing lost, and nobody twice before another who waits.
    #[test]
    fn turns_are_fair(steps in steps()) {
        let mut turns = Turns::new(10, 4);
        let order = Arc::new(Mutex::new(VecDeque::new()));
        let mut known: Vec<(u8, u64)> = Vec::new();
        let mut model = 0usize;
        // who waits since before each key's last turn
        let mut since: std::collections::HashMap<u8, HashSet<u8>> = Default::default();
        for step in steps {
            match step {
                Step::Push(key) => {
                    let log = order.clone();
                    let job = Box::new(move || log.lock().unwrap().push_back(key));
                    if let Ok((number, displaced)) = turns.push(key, job) {
                        known.push((key, number));
                        model += 1;
                        if displaced.is_some() {
                            prop_assert_eq!(model, 11);
                            model -= 1;
                        }
                    }
                }
                Step::Pop => match turns.pop() {
                    None => prop_assert_eq!(model, 0),
                    Some(job) => {
                        model -= 1;
                        job();
                        let key = order.lock().unwrap().pop_front().unwrap();
                        if let Some(others) = since.get(&key) {
                            prop_assert!(others.is_empty(), "{key} again before {others:?}");
                        }
                        since.values_mut().for_each(|others| { others.remove(&key); });
                        since.insert(key, turns.queues.keys().copied().filter(|other| *other != key).collect());
                    }
                },
                Step::Remove(at) if !known.is_empty() => {
                    let (key, number) = known.swap_remove(at % known.len());
                    if turns.remove(key, number).is_some() {
                        model -= 1;
                    }
                    prop_assert!(turns.remove(key, number).is_none());
                }
                Step::Remove(_) => {}
            }
            // whoever does not wait any more has no claim
            since.values_mut().for_each(|others| others.retain(|key| turns.queues.contains_key(key)));
            prop_assert_eq!(turns.waiting(), model);
            prop_assert!(model <= 10);
            prop_assert!(turns.queues.values().all(|queue| (1..=4).contains(&queue.len())));
            let round: HashSet<u8> = turns.round.iter().copied().collect();
            prop_assert_eq!(round.len(), turns.round.len());
            prop_assert_eq!(round, turns.queues.keys().copied().collect::<HashSet<u8>>());
        }
    }
}
