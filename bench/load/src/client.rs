//! One connection of a caller.

use crate::{
    answer::{self, Seen},
    http2::Session,
    plan::{Mode, Plan},
    result::Tally,
    wire::Wire,
};
use mio::{Interest, Registry, Token};
use std::{error::Error, time::Instant};

pub struct Client {
    wire: Wire,
    read: Vec<u8>,
    body: Vec<u8>,
    /// HTTP/1.1: when the request under way was asked.
    asked: Option<Instant>,
    /// HTTP/2 speaks in here.
    session: Option<Session>,
    answered: bool,
    over: bool,
    /// The connection stands, and the first request on it is asked.
    greeted: bool,
    begun: Instant,
}

impl Client {
    pub fn connect(plan: &mut Plan, registry: &Registry, token: Token) -> Result<Self, Box<dyn Error>> {
        let mut wire = Wire::connect(plan.next_source(), plan.port, plan.tls.as_ref())?;
        registry.register(&mut wire.socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            wire,
            read: Vec::with_capacity(16 * 1024),
            body: answer::body(plan.body),
            asked: None,
            session: (plan.mode == Mode::Http2).then(Session::default),
            answered: plan.going,
            over: false,
            greeted: false,
            begun: Instant::now(),
        })
    }

    pub fn has_answered(&self) -> bool {
        self.answered
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn is_free(&self) -> bool {
        self.answered && self.asked.is_none() && self.wire.is_open()
    }

    /// From a standstill.
    pub fn begin(&mut self, plan: &mut Plan, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
        for _ in 0..plan.streams {
            self.send(plan, tally, Instant::now())?;
        }
        Ok(())
    }

    pub fn send(&mut self, plan: &mut Plan, tally: &mut Tally, at: Instant) -> Result<(), Box<dyn Error>> {
        tally.sent += 1;
        match &mut self.session {
            Some(session) => session.ask(plan.request_bytes(), at, &mut self.wire)?,
            None => {
                self.asked = Some(at);
                self.wire.write(plan.request_bytes())?;
            }
        }
        Ok(())
    }

    pub fn step(
        &mut self,
        plan: &mut Plan,
        tally: &mut Tally,
        scratch: &mut [u8],
        closing: bool,
    ) -> Result<(), Box<dyn Error>> {
        if self.over {
            return Ok(());
        }
        let open = match self.wire.read(&mut self.read, scratch, closing) {
            Ok(open) => open,
            Err(error) => {
                tally.wrong(|| format!("connection: {error}"));
                false
            }
        };
        if !self.greeted && self.wire.is_open() {
            self.greeted = true;
            if let Some(session) = &mut self.session {
                session.greet(&mut self.wire)?;
            }
            if !plan.going || plan.mode == Mode::Connect {
                let at = if plan.mode == Mode::Connect { self.begun } else { Instant::now() };
                self.send(plan, tally, at)?;
            } else if plan.rate == 0.0 {
                self.begin(plan, tally)?;
            }
        }
        match self.session.take() {
            Some(mut session) => {
                let done = session.take_in(&mut self.read, &self.body, tally, &mut self.wire)?;
                self.session = Some(session);
                self.answered |= done > 0;
                if plan.going && plan.rate == 0.0 {
                    for _ in 0..done {
                        self.send(plan, tally, Instant::now())?;
                    }
                    if let Some(session) = &mut self.session {
                        session.flush(&mut self.wire)?;
                    }
                }
            }
            None => self.http1(plan, tally)?,
        }
        if !open {
            self.over = true;
            if self.asked.is_some() {
                tally.wrong(|| "closed before it answered".into());
            } else if plan.mode != Mode::Connect {
                tally.closed += 1;
            }
        }
        Ok(())
    }

    fn http1(&mut self, plan: &mut Plan, tally: &mut Tally) -> Result<(), Box<dyn Error>> {
        let Some(asked) = self.asked else { return Ok(()) };
        match answer::check(&self.read, &plan.statuses, &self.body) {
            Seen::Part => return Ok(()),
            Seen::Right(status, length) => {
                tally.right(status, asked);
                self.read.drain(..length);
                if !self.read.is_empty() {
                    tally.wrong(|| "bytes beyond the answer".into());
                    self.read.clear();
                }
            }
            Seen::Wrong(what) => {
                tally.wrong(|| what);
                // nobody knows where the next one begins
                self.over = true;
            }
        }
        self.asked = None;
        self.answered = true;
        if plan.going && plan.rate == 0.0 && plan.mode != Mode::Connect && !self.over {
            self.send(plan, tally, Instant::now())?;
        }
        Ok(())
    }
}
