//! Connections that all follow one plan.

use crate::{client::Client, plan::Plan, result::Tally};
use mio::{Registry, Token};
use std::{
    error::Error,
    time::{Duration, Instant},
};

pub struct Crowd {
    pub plan: Plan,
    pub tally: Tally,
    clients: Vec<Client>,
    first: usize,
}

impl Crowd {
    /// `first`: the token of the first of them.
    pub fn new(first: usize) -> Self {
        Self { plan: Plan::default(), tally: Tally::default(), clients: Vec::new(), first }
    }

    /// As many connections as the plan says, new ones. `going`: they do not wait for each other.
    pub fn come(&mut self, going: bool, registry: &Registry) -> Result<(), Box<dyn Error>> {
        self.plan.going = going;
        self.tally = Tally::default();
        // the old ones first: they hold the tokens
        self.clients.clear();
        for n in 0..self.plan.connections {
            let client = Client::connect(&mut self.plan, registry, Token(self.first + n))?;
            self.clients.push(client);
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.clients.clear();
    }

    pub fn has_answered(&self) -> bool {
        self.clients.iter().all(Client::has_answered)
    }

    /// From a standstill.
    pub fn begin(&mut self) -> Result<(), Box<dyn Error>> {
        for client in &mut self.clients {
            client.begin(&mut self.plan, &mut self.tally)?;
        }
        Ok(())
    }

    pub fn step(
        &mut self,
        token: usize,
        registry: &Registry,
        scratch: &mut [u8],
        closing: bool,
    ) -> Result<(), Box<dyn Error>> {
        let Some(client) = self.clients.get_mut(token - self.first) else {
            return Ok(());
        };
        client.step(&mut self.plan, &mut self.tally, scratch, closing)?;
        // one that answered before the measuring began has done its part
        if client.is_over() && (self.plan.going || !client.has_answered()) {
            *client = Client::connect(&mut self.plan, registry, Token(token))?;
        }
        Ok(())
    }

    /// What is due by now, as far as there is somebody to ask it.
    pub fn send_due(&mut self, from: Instant, now: Instant) -> Result<(), Box<dyn Error>> {
        let due = (now.duration_since(from).as_secs_f64() * self.plan.rate) as u64;
        while self.tally.sent < due {
            let at = from + Duration::from_secs_f64(self.tally.sent as f64 / self.plan.rate);
            let Some(client) = self.clients.iter_mut().find(|c| c.is_free()) else {
                break;
            };
            client.send(&mut self.plan, &mut self.tally, at)?;
        }
        Ok(())
    }
}
