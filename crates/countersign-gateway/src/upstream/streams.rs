//! Bodies, either way, that outlive their decision. What was permitted when a stream began may have been revoked since; then the
//! stream ends, in less than a second (RULES 2.5, M.2 rule 8).

use countersign_core::check::{
    DecisionPoint,
    decision::Permit,
    revocation::{Look, Watch},
};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// For so long one round asks the store; the next one goes on where it ended.
const ROUND: Duration = Duration::from_millis(200);

/// The open streams of one worker.
#[derive(Default)]
pub(crate) struct Streams {
    open: RefCell<HashMap<u64, Open>>,
    next: Cell<u64>,
    /// The last one that the store was asked about.
    asked: Cell<u64>,
}

struct Open {
    permit: Rc<Permit>,
    watch: Watch,
    is_due: bool,
    cut: bool,
    waker: Option<Waker>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({} open)", self.open.borrow().len())
    }
}

impl Streams {
    /// Looks at every open stream; those that are over are cut. Waits for nobody.
    pub(crate) fn review(&self, point: &DecisionPoint) {
        let mut over = Vec::new();
        for (number, stream) in self.open.borrow_mut().iter_mut().filter(|(_, stream)| !stream.cut) {
            match point.look(&stream.permit, &stream.watch) {
                Look::Holds => stream.is_due = false,
                Look::Due => stream.is_due = true,
                Look::Over => over.push(*number),
            }
        }
        over.into_iter().for_each(|number| self.cut(number));
    }

    /// Asks the store about those of which memory does not know: first whose they are, then one after the other for a while.
    pub(crate) async fn ask(&self, point: &DecisionPoint) {
        let mut due: Vec<(u64, Rc<Permit>)> = (self.open.borrow().iter())
            .filter(|(_, stream)| stream.is_due && !stream.cut)
            .map(|(number, stream)| (*number, stream.permit.clone()))
            .collect();
        due.sort_unstable_by_key(|(number, _)| *number);
        let before = due.partition_point(|(number, _)| *number <= self.asked.get());
        due.rotate_left(before);
        for (_, permit) in &due {
            if point.recall(permit).await.is_err() {
                break;
            }
        }
        let began = Instant::now();
        for (number, permit) in due {
            let Some(mut watch) = self.open.borrow().get(&number).map(|stream| stream.watch) else {
                continue;
            };
            self.asked.set(number);
            match point.ask(&permit, &mut watch).await {
                Ok(Look::Over) => self.cut(number),
                Ok(_) => {
                    if let Some(stream) = self.open.borrow_mut().get_mut(&number) {
                        (stream.watch, stream.is_due) = (watch, false);
                    }
                }
                Err(_) => return,
            }
            if began.elapsed() >= ROUND {
                return;
            }
        }
    }

    fn cut(&self, number: u64) {
        let waker = self.open.borrow_mut().get_mut(&number).and_then(|stream| {
            stream.cut = true;
            stream.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What ties one body to its permit. Entered among the open streams only once the body turns out to be one: most are
/// over at their first frame.
#[derive(Debug)]
pub(crate) struct Tether {
    streams: Rc<Streams>,
    permit: Rc<Permit>,
    entered: Option<u64>,
}

impl Tether {
    /// `None` on a public route: nobody's permission, nothing to revoke.
    pub(crate) fn new(permit: &Rc<Permit>, streams: &Rc<Streams>) -> Option<Self> {
        permit.subject()?;
        Some(Self { streams: streams.clone(), permit: permit.clone(), entered: None })
    }

    /// Asked whenever the stream would go on; woken when the answer changes.
    pub(crate) fn is_cut(&mut self, cx: &Context<'_>) -> bool {
        let number = *self.entered.get_or_insert_with(|| {
            let number = self.streams.next.get();
            self.streams.next.set(number.wrapping_add(1));
            number
        });
        let mut open = self.streams.open.borrow_mut();
        let stream = open.entry(number).or_insert_with(|| Open {
            permit: self.permit.clone(),
            watch: Watch::of(&self.permit),
            is_due: false,
            cut: false,
            waker: None,
        });
        match &mut stream.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => stream.waker = Some(cx.waker().clone()),
        }
        stream.cut
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        if let Some(number) = self.entered {
            self.streams.open.borrow_mut().remove(&number);
        }
    }
}
