//! Bodies, either way, that outlive their decision. What was permitted when a stream began may have been revoked since; then the
//! stream ends, in less than a second (RULES 2.5, M.2 rule 8).

use countersign_core::check::{DecisionPoint, decision::Permit, revocation::Watch};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    rc::Rc,
    task::{Context, Waker},
};

/// How often one review asks a store: what is revoked is not kept waiting by many whose end is due.
const ASKS: u32 = 256;

/// The open streams of one worker.
#[derive(Default)]
pub(crate) struct Streams {
    open: RefCell<HashMap<u64, Open>>,
    next: Cell<u64>,
}

struct Open {
    permit: Rc<Permit>,
    /// None: it was not looked at yet.
    watch: Option<Watch>,
    cut: bool,
    waker: Option<Waker>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Streams({} open)", self.open.borrow().len())
    }
}

impl Streams {
    /// Asks again about every open stream; those whose permit no longer stands are cut.
    pub(crate) async fn review(&self, point: &DecisionPoint) {
        let open: Vec<_> =
            self.open.borrow().iter().map(|(n, stream)| (*n, stream.permit.clone(), stream.watch)).collect();
        let mut asks = ASKS;
        for (number, permit, watch) in open {
            let mut watch = watch.unwrap_or_else(|| point.watch(&permit));
            if point.stands(&permit, &mut watch, &mut asks).await {
                if let Some(stream) = self.open.borrow_mut().get_mut(&number) {
                    stream.watch = Some(watch);
                }
            } else {
                self.cut(number);
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
            watch: None,
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
