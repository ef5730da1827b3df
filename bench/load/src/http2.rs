//! As much of HTTP/2 as a caller needs that asks the same thing again and again. The peer is told to keep no dynamic
//! table (RFC 7541 4.2), so every field block can be read by itself.

use crate::{result::Tally, wire::Wire};
use std::{io, time::Instant};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

#[derive(Default)]
pub struct Session {
    next: u32,
    out: Vec<u8>,
    open: Vec<Stream>,
}

struct Stream {
    id: u32,
    asked: Instant,
    ok: bool,
    body: usize,
}

/// Literals without a name in the table and without Huffman coding, but for what the static table has whole.
pub fn field_block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    fn text(block: &mut Vec<u8>, text: &str) {
        // one octet of length: all of ours are shorter than 127
        block.push(u8::try_from(text.len()).unwrap_or(0).min(126));
        block.extend_from_slice(text.as_bytes());
    }
    let mut block = vec![0x82, 0x87, 0x04];
    text(&mut block, path);
    block.push(0x01);
    text(&mut block, "localhost");
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

impl Session {
    pub fn greet(&mut self, wire: &mut Wire) -> io::Result<()> {
        self.out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut settings = Vec::new();
        // no dynamic table, no push, a window that never closes
        for (name, value) in [(1u16, 0u32), (2, 0), (4, 0x7fff_ffff)] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(&mut self.out, SETTINGS, 0, 0, &settings);
        frame(&mut self.out, WINDOW_UPDATE, 0, 0, &(0x7fff_ffffu32 - 65_535).to_be_bytes());
        self.next = 1;
        self.flush(wire)
    }

    /// Written out at once only where nothing else was waiting to be.
    pub fn ask(&mut self, block: &[u8], at: Instant, wire: &mut Wire) -> io::Result<()> {
        frame(&mut self.out, HEADERS, END_HEADERS | END_STREAM, self.next, block);
        self.open.push(Stream { id: self.next, asked: at, ok: false, body: 0 });
        self.next += 2;
        if self.open.len() == 1 { self.flush(wire) } else { Ok(()) }
    }

    pub fn flush(&mut self, wire: &mut Wire) -> io::Result<()> {
        if !self.out.is_empty() {
            wire.write(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// How many answers are complete.
    pub fn take_in(
        &mut self,
        read: &mut Vec<u8>,
        body: &[u8],
        tally: &mut Tally,
        wire: &mut Wire,
    ) -> io::Result<usize> {
        let (mut at, mut done) = (0, 0);
        while let Some(head) = read.get(at..at + 9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let Some(payload) = read.get(at + 9..at + 9 + length) else {
                break;
            };
            at += 9 + length;
            match kind {
                SETTINGS if flags & ACK == 0 => frame(&mut self.out, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, payload),
                SETTINGS | PING | WINDOW_UPDATE => {}
                HEADERS | DATA => {
                    let Some(n) = self.open.iter().position(|s| s.id == stream) else {
                        tally.wrong(|| "an answer to nothing".into());
                        continue;
                    };
                    let of = &mut self.open[n];
                    if kind == HEADERS {
                        of.ok = flags & END_HEADERS != 0 && is_200(payload, flags);
                    } else {
                        let padded = flags & PADDED != 0;
                        let wanted = body.get(of.body..of.body + payload.len());
                        of.ok &= !padded && wanted == Some(payload);
                        of.body += payload.len();
                    }
                    if flags & END_STREAM != 0 {
                        let of = self.open.swap_remove(n);
                        if of.ok && of.body == body.len() {
                            tally.right(200, of.asked);
                        } else {
                            tally.wrong(|| format!("HTTP/2 answer, {} bytes of body", of.body));
                        }
                        done += 1;
                    }
                }
                _ => {
                    tally.wrong(|| format!("HTTP/2 frame of type {kind}: {payload:?}"));
                    self.open.retain(|s| s.id != stream);
                }
            }
        }
        read.drain(..at);
        if done == 0 {
            self.flush(wire)?;
        }
        Ok(done)
    }
}

/// `:status: 200` is entry 8 of the static table, and must come first but for changes of the table's size.
fn is_200(payload: &[u8], flags: u8) -> bool {
    let skip = usize::from(flags & PADDED != 0) + if flags & PRIORITY != 0 { 5 } else { 0 };
    let block = payload.get(skip..).unwrap_or_default();
    block.iter().find(|b| **b & 0xe0 != 0x20) == Some(&0x88)
}
