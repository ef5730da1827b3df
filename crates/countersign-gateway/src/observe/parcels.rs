//! Records on their way out. A worker gathers lines and hands them over a parcel at a time; one thread takes them all and
//! writes. Between them is room for [`QUEUE`] parcels: when it is full records are dropped and counted, and nobody waits.

use countersign_core::RequestId;
use std::{
    cell::{Cell, RefCell},
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A parcel leaves when it is as large as this, or after [`EVERY`].
const PARCEL: usize = 32 * 1024;
const QUEUE: usize = 64;
pub(crate) const EVERY: Duration = Duration::from_millis(200);
/// Lines begun and not ended that are kept for the next, and how large one may be.
const SPARES: usize = 64;
const SPARE: usize = 4096;

/// Where records, or spans, go. Runs on a thread of its own and may block there.
pub trait RecordSink: Send {
    /// Whole lines of JSON, `count` of them.
    fn write(&mut self, lines: &[u8], count: u64) -> io::Result<()>;
}

/// How many of all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(Option<u64>);

impl Share {
    pub const NONE: Share = Share(None);
    pub const ALL: Share = Share(Some(u64::MAX));

    /// From 0, none, to 1, all.
    pub fn new(share: f64) -> Self {
        if share >= 1.0 {
            return Self::ALL;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share needs no more digits than a double has, and a cast from a double saturates"
        )]
        let most = (share * u64::MAX as f64) as u64;
        Self((share > 0.0).then_some(most))
    }

    /// By the id, which is random: whoever has it can tell whether there is a record.
    pub(crate) fn takes(self, RequestId([a, b, c, d, e, f, g, h, ..]): RequestId) -> bool {
        self.0.is_some_and(|most| u64::from_le_bytes([a, b, c, d, e, f, g, h]) <= most)
    }
}

/// Which requests are recorded, and which leave spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    pub all: Share,
    /// Of those that were refused.
    pub refused: Share,
    pub spans: Share,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { all: Share::ALL, refused: Share::ALL, spans: Share::ALL }
    }
}

#[derive(Debug)]
pub(crate) struct Parcel {
    lines: Vec<u8>,
    count: u64,
}

/// A worker's end.
pub(crate) struct Outbox {
    gathering: RefCell<Vec<u8>>,
    count: Cell<u64>,
    dropped: Cell<u64>,
    spares: RefCell<Vec<Vec<u8>>>,
    queue: SyncSender<Parcel>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("count", &self.count.get()).finish_non_exhaustive()
    }
}

impl Outbox {
    pub(crate) fn spare(&self) -> Vec<u8> {
        self.spares.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(512))
    }

    pub(crate) fn put(&self, mut line: Vec<u8>) {
        self.gathering.borrow_mut().extend_from_slice(&line);
        self.count.set(self.count.get() + 1);
        let mut spares = self.spares.borrow_mut();
        if spares.len() < SPARES && line.capacity() <= SPARE {
            line.clear();
            spares.push(line);
        }
        drop(spares);
        if self.gathering.borrow().len() >= PARCEL {
            self.send();
        }
    }

    /// What was gathered leaves now, or is dropped.
    pub(crate) fn send(&self) {
        let count = self.count.take();
        if count == 0 {
            return;
        }
        // all the room at once: growing would copy the parcel several times over
        let lines = self.gathering.replace(Vec::with_capacity(PARCEL + SPARE));
        match self.queue.try_send(Parcel { lines, count }) {
            Ok(()) => {}
            Err(TrySendError::Full(parcel) | TrySendError::Disconnected(parcel)) => {
                super::add(&self.dropped, count);
                // its memory serves the next ones
                let mut lines = parcel.lines;
                lines.clear();
                self.gathering.replace(lines);
            }
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.send();
    }
}

/// What became of records, or of spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    pub written: u64,
    /// They found no room on their way to the sink.
    pub dropped: u64,
    /// The sink could not write them.
    pub failed: u64,
}

/// What became of those that were taken.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    written: AtomicU64,
    failed: AtomicU64,
}

impl Delivered {
    pub(crate) fn read(&self, dropped: u64) -> Delivery {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Delivery { written: read(&self.written), dropped, failed: read(&self.failed) }
    }
}

/// The thread that writes. It ends when the last outbox is gone.
pub(crate) struct Post {
    pub(crate) queue: SyncSender<Parcel>,
    pub(crate) delivered: Arc<Delivered>,
    pub(crate) thread: JoinHandle<()>,
}

impl Post {
    /// `what` it carries, for its name and its log.
    pub(crate) fn start(what: &'static str, sink: Box<dyn RecordSink>) -> io::Result<Self> {
        let (queue, parcels) = sync_channel(QUEUE);
        let delivered = Arc::<Delivered>::default();
        let counts = delivered.clone();
        let thread = std::thread::Builder::new()
            .name(what.into())
            .spawn(move || deliver(what, &parcels, sink, &counts))?;
        Ok(Self { queue, delivered, thread })
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox {
            gathering: RefCell::default(),
            count: Cell::new(0),
            dropped: Cell::new(0),
            spares: RefCell::default(),
            queue: self.queue.clone(),
        }
    }
}

fn deliver(what: &str, parcels: &Receiver<Parcel>, mut sink: Box<dyn RecordSink>, delivered: &Delivered) {
    let mut is_well = true;
    while let Ok(Parcel { lines, count }) = parcels.recv() {
        let written = sink.write(&lines, count);
        match &written {
            Ok(()) => delivered.written.fetch_add(count, Ordering::Relaxed),
            Err(_) => delivered.failed.fetch_add(count, Ordering::Relaxed),
        };
        // one line when it goes and one when it is back
        match written {
            Ok(()) if !is_well => tracing::info!(what, "written again"),
            Err(error) if is_well => {
                tracing::error!(what, %error, "cannot be written: lost and counted until that is mended");
            }
            _ => continue,
        }
        is_well = !is_well;
    }
}
