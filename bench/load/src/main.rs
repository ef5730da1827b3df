//! What `bench/run` measures with. `serve` is load generator and upstream in one thread, so that one core carries both
//! and nothing is scheduled between them. `keys` makes API keys through the admin API, `tokens` signed ones.
//!
//! `serve UPSTREAM_PORT` reads commands from stdin, one per line, and answers each with one line:
//! `prepare name=value ...` connects and has every connection answer once; `go SECONDS` measures. After `prepare` the
//! caller reads the CPU clocks; what connecting costs is in no figure. `flood name=value ...` sets others going beside that,
//! at once and without end; `calm` ends them and says what they saw.

mod answer;
mod client;
mod crowd;
mod http2;
mod keys;
mod plan;
mod result;
mod tokens;
mod upstream;
mod wire;

use crowd::Crowd;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use plan::Mode;
use std::{
    error::Error,
    io::{Read, Write},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};
use upstream::Upstream;

const STDIN: Token = Token(0);
const LISTENER: Token = Token(1);
/// Those who are measured stand from here on, those who flood from the second, the upstream's connections from the third.
const CLIENTS: usize = 1 << 20;
const FLOOD: usize = 1 << 22;
const UPSTREAM: usize = 1 << 24;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", port] => Generator::new(port.parse()?)?.run(),
        ["keys", port, admin_key, owner, scope, count, file] => {
            keys::make(port.parse()?, admin_key, owner, scope, count.parse()?, file)
        }
        ["tokens", key, claims, run, count, file] => tokens::make(key, claims, run, count.parse()?, file),
        _ => Err("usage: bench-load serve PORT | keys PORT ADMIN_KEY_FILE OWNER SCOPE COUNT FILE | tokens KEY_FILE CLAIMS RUN COUNT FILE".into()),
    }
}

struct Generator {
    poll: Poll,
    upstream: Upstream,
    measured: Crowd,
    flood: Crowd,
    /// When the flood began.
    since: Instant,
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
            measured: Crowd::new(CLIENTS),
            flood: Crowd::new(FLOOD),
            since: Instant::now(),
            commands: String::new(),
            phase: Phase::Idle,
            scratch: vec![0; 128 * 1024],
        })
    }

    fn run(mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Events::with_capacity(1024);
        loop {
            let paced = self.measured.plan.rate > 0.0 && matches!(self.phase, Phase::Measuring { .. });
            let patience = match self.phase {
                Phase::Idle => None,
                // a timer of the kernel's is too coarse for ten thousand a second
                _ if paced => Some(Duration::from_millis(self.measured.plan.patience)),
                _ => Some(Duration::from_millis(20)),
            };
            match self.poll.poll(&mut events, patience) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let mut told = false;
            for event in &events {
                let closing = event.is_read_closed();
                match event.token() {
                    STDIN => told = true,
                    LISTENER => self.upstream.accept(self.poll.registry())?,
                    Token(n) if n >= UPSTREAM => {
                        self.upstream.serve(n - UPSTREAM, &mut self.scratch, closing)
                    }
                    Token(n) => {
                        let crowd = if n >= FLOOD { &mut self.flood } else { &mut self.measured };
                        crowd.step(n, self.poll.registry(), &mut self.scratch, closing)?;
                    }
                }
            }
            self.tick()?;
            if told && !self.commands()? {
                return Ok(());
            }
        }
    }

    fn tick(&mut self) -> Result<(), Box<dyn Error>> {
        let now = Instant::now();
        match self.phase {
            Phase::Idle => {}
            Phase::Preparing(begun) => {
                let late = now.duration_since(begun) > Duration::from_secs(20);
                if self.measured.has_answered() || late {
                    self.phase = Phase::Idle;
                    say(&if late {
                        "failed: not every connection answered".into()
                    } else {
                        self.measured.tally.ready()
                    })?;
                }
            }
            Phase::Measuring { from, until } => {
                if now >= until {
                    say(&self.measured.tally.report(now.duration_since(from), self.upstream.leaked()))?;
                    self.measured.leave();
                    self.phase = Phase::Idle;
                } else if self.measured.plan.rate > 0.0 {
                    self.measured.send_due(from, now)?;
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
        let registry = self.poll.registry();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("prepare", words) => {
                self.measured.plan.take(words)?;
                self.upstream.look_for(self.measured.plan.secret());
                self.measured.come(false, registry)?;
                self.phase = Phase::Preparing(Instant::now());
            }
            ("go", seconds) => {
                let from = Instant::now();
                self.measured.plan.going = true;
                self.measured.tally = Default::default();
                self.phase =
                    Phase::Measuring { from, until: from + Duration::from_secs_f64(seconds.parse()?) };
                if self.measured.plan.mode == Mode::Connect {
                    self.measured.come(true, registry)?;
                } else if self.measured.plan.rate == 0.0 {
                    self.measured.begin()?;
                }
            }
            ("flood", words) => {
                self.flood.plan.take(words)?;
                self.since = Instant::now();
                self.flood.come(true, registry)?;
                say("ready")?;
            }
            ("calm", _) => {
                self.flood.leave();
                say(&self.flood.tally.report(self.since.elapsed(), self.upstream.leaked()))?;
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
