//! What HTTP/2 callers send beside requests and bodies: counted as it comes in, below the HTTP/2 library, which answers
//! every PING and every SETTINGS for as long as somebody asks.
//!
//! A connection has an allowance of such frames. Work that it does (bodies of requests, answers that were written) and
//! time fill it up again; a connection that has used it up is closed. Costs a comparison per frame, and reads the clock
//! only when the allowance is gone.

#[cfg(test)]
mod tests;

use std::time::Duration;
use tokio::time::Instant;

/// As many at once as need no reason: the windows of many streams are granted in one burst.
const ALLOWANCE: u32 = 1024;
/// Filled up again after this long, whatever was done: about a hundred a second without any work is no caller.
const RENEWED: Duration = Duration::from_secs(10);
/// Bytes of work that earn one frame: there are callers that grant two windows for every small message.
const EARNS: usize = 16;
/// A reset undoes work that was begun for it, here and at the upstream (CVE-2023-44487).
const RESET: u32 = 4;

const HEAD: usize = 9;
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

#[derive(Debug)]
pub(crate) struct Frames {
    /// Of the preface or of a payload: bytes that are no frame's head.
    skip: usize,
    head: [u8; HEAD],
    /// How much of `head` is there.
    filled: usize,
    left: u32,
    renewed: Instant,
    /// Bytes of work that have earned nothing yet.
    earned: usize,
    /// Bytes that will be written as acknowledgements, which are no work.
    owed: usize,
}

/// More frames than anybody needs for what the connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flood;

impl Frames {
    pub(crate) fn new(now: Instant) -> Self {
        Self { skip: PREFACE, head: [0; HEAD], filled: 0, left: ALLOWANCE, renewed: now, earned: 0, owed: 0 }
    }

    pub(crate) fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = HEAD - self.filled;
            let (piece, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(place) = self.head.get_mut(self.filled..self.filled + piece.len()) {
                place.copy_from_slice(piece);
            }
            self.filled += piece.len();
            bytes = rest;
            if self.filled == HEAD {
                self.filled = 0;
                self.frame(&now)?;
            }
        }
        Ok(())
    }

    pub(crate) fn wrote(&mut self, bytes: usize) {
        let acknowledged = self.owed.min(bytes);
        self.owed -= acknowledged;
        self.earn(bytes - acknowledged);
    }

    fn frame(&mut self, now: impl Fn() -> Instant) -> Result<(), Flood> {
        // RFC 9113 4.1
        let [a, b, c, kind, flags, ..] = self.head;
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.skip = length;
        match kind {
            // bounded by the library: streams at once, fields of a head
            HEADERS => Ok(()),
            DATA if length > 0 => {
                self.earn(length);
                Ok(())
            }
            DATA if flags & END_STREAM != 0 => Ok(()),
            RST_STREAM => self.spend(RESET, now),
            SETTINGS | PING => {
                if flags & ACK == 0 {
                    self.owed += HEAD + if kind == PING { length } else { 0 };
                }
                self.spend(1, now)
            }
            // empty DATA, CONTINUATION, PRIORITY, WINDOW_UPDATE, and kinds that nobody knows
            _ => self.spend(1, now),
        }
    }

    fn earn(&mut self, bytes: usize) {
        self.earned += bytes;
        if self.earned >= EARNS {
            let frames = u32::try_from(self.earned / EARNS).unwrap_or(u32::MAX);
            self.earned %= EARNS;
            self.left = self.left.saturating_add(frames).min(ALLOWANCE);
        }
    }

    fn spend(&mut self, frames: u32, now: impl Fn() -> Instant) -> Result<(), Flood> {
        if self.left < frames {
            let now = now();
            if now.duration_since(self.renewed) < RENEWED {
                return Err(Flood);
            }
            self.renewed = now;
            self.left = ALLOWANCE;
        }
        self.left -= frames;
        Ok(())
    }
}
