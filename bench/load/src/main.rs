//! What `bench/run` measures with. `serve` is load generator and upstream in one thread, so that one core carries both
//! and nothing is scheduled between them. `keys` makes API keys through the admin API.
//!
//! `serve UPSTREAM_PORT` reads commands from stdin, one per line, and answers each with one line:
//! `prepare name=value ...` connects and has every connection answer once; `go SECONDS` measures. After `prepare` the
//! caller reads the CPU clocks; what connecting costs is in no figure.

mod answer;
mod client;
mod http2;
mod keys;
mod plan;
mod result;
mod upstream;
mod wire;

use client::Client;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use plan::{Mode, Plan};
use result::Tally;
use std::{
    error::Error,
    io::{Read, Write},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};
use upstream::Upstream;

const STDIN: Token = Token(0);
const LISTENER: Token = Token(1);
/// Clients stand from here on, the upstream's connections from the second.
const CLIENTS: usize = 1 << 20;
const UPSTREAM: usize = 1 << 24;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", port] => Generator::new(port.parse()?)?.run(),
        ["keys", port, admin_key, owner, scope, count, file] => {
            keys::make(port.parse()?, admin_key, owner, scope, count.parse()?, file)
        }
        _ => Err("usage: bench-load serve PORT | keys PORT ADMIN_KEY_FILE OWNER SCOPE COUNT FILE".into()),
    }
}

struct Generator {
    poll: Poll,
    upstream: Upstream,
    clients: Vec<Client>,
    plan: Plan,
    tally: Tally,
    commands: String,
    phase: Phase,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Idle,
    /// Every connection answers once.
    Preparing(Instant),
    Measuring {
        from: Instant,
        until: Instant,
    },
}

impl Generator {
    fn new(port: u16) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let upstream = Upstream::new(port, poll.registry(), LISTENER)?;
        let stdin = std::io::stdin().as_raw_fd();
        poll.registry().register(&mut SourceFd(&stdin), STDIN, Interest::READABLE)?;
        Ok(Self {
            poll,
            upstream,
            clients: Vec::new(),
            plan: Plan::default(),
            tally: Tally::default(),
            commands: String::new(),
            phase: Phase::Idle,
            scratch: vec![0; 128 * 1024],
        })
    }

    fn run(mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Events::with_capacity(1024);
        loop {
            let paced = self.plan.rate > 0.0 && matches!(self.phase, Phase::Measuring { .. });
            let patience = match self.phase {
                Phase::Idle => None,
                // a timer of the kernel's is too coarse for ten thousand a second: this core is ours
                _ if paced => Some(Duration::ZERO),
                _ => Some(Duration::from_millis(20)),
            };
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let mut told = false;
            for event in &events {
                match event.token() {
                    STDIN => told = true,
                    LISTENER => self.upstream.accept(self.poll.registry())?,
                    Token(n) if n >= UPSTREAM => {
                        self.upstream.serve(n - UPSTREAM, &mut self.scratch, event.is_read_closed())
                    }
                    Token(n) => self.step(n - CLIENTS, event.is_read_closed())?,
                }
            }
            self.tick()?;
            if told && !self.commands()? {
                return Ok(());
            }
        }
    }

    fn step(&mut self, n: usize, closing: bool) -> Result<(), Box<dyn Error>> {
        let Some(client) = self.clients.get_mut(n) else {
            return Ok(());
        };
        client.step(&mut self.plan, &mut self.tally, &mut self.scratch, closing)?;
        // one that answered before the measuring began has done its part
        if client.is_over() && (self.plan.going || !client.has_answered()) {
            *client = Client::connect(&self.plan, self.poll.registry(), n)?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        match self.phase {
            Phase::Idle => {}
            Phase::Preparing(begun) => {
                let late = now.duration_since(begun) > Duration::from_secs(20);
                if self.clients.iter().all(Client::has_answered) || late {
                    self.phase = Phase::Idle;
                    say(&if late {
                        "failed: not every connection answered".into()
                    } else {
                        self.tally.ready()
                    })?;
                }
            }
            Phase::Measuring { from, until } => {
                if now >= until {
                    say(&self.tally.report(now.duration_since(from), self.upstream.leaked()))?;
                    self.clients.clear();
                    self.phase = Phase::Idle;
                } else if self.plan.rate > 0.0 {
                    let due = (now.duration_since(from).as_secs_f64() * self.plan.rate) as u64;
                    while self.tally.sent < due {
                        let at = from + Duration::from_secs_f64(self.tally.sent as f64 / self.plan.rate);
                        let Some(client) = self.clients.iter_mut().find(|c| c.is_free()) else {
                            break;
                        };
                        client.send(&mut self.plan, &mut self.tally, at)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// `false`: no more will come.
    fn commands(&mut self) -> Result<bool, Box<dyn Error>> {
        let mut bytes = [0; 4096];
        let read = std::io::stdin().lock().read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        self.commands.push_str(std::str::from_utf8(&bytes[..read])?);
        while let Some((line, rest)) =
            self.commands.split_once('\n').map(|(l, r)| (l.to_owned(), r.to_owned()))
        {
            self.commands = rest;
            self.command(&line)?;
        }
        Ok(true)
    }

    fn command(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        match line.split_once(' ') {
            Some(("prepare", words)) => {
                self.plan.take(words)?;
                self.tally = Tally::default();
                self.upstream.forget();
                self.clients = (0..self.plan.connections)
                    .map(|n| Client::connect(&self.plan, self.poll.registry(), n))
                    .collect::<Result<_, _>>()?;
                self.plan.going = false;
                self.phase = Phase::Preparing(Instant::now());
            }
            Some(("go", seconds)) => {
                let from = Instant::now();
                self.plan.going = true;
                self.tally = Tally::default();
                self.phase =
                    Phase::Measuring { from, until: from + Duration::from_secs_f64(seconds.parse()?) };
                if self.plan.mode == Mode::Connect {
                    for (n, client) in self.clients.iter_mut().enumerate() {
                        *client = Client::connect(&self.plan, self.poll.registry(), n)?;
                    }
                } else if self.plan.rate == 0.0 {
                    for client in &mut self.clients {
                        client.begin(&mut self.plan, &mut self.tally)?;
                    }
                }
            }
            _ => return Err(format!("unknown command: {line}").into()),
        }
        Ok(())
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
