//! The API behind every proxy: 200 with a body of 100 bytes, or of 64 KiB below `/large`. It counts the requests in
//! which a credential reached it: a proxy is to keep that for itself.

use crate::{UPSTREAM, answer, wire::Wire};
use mio::{Interest, Registry, Token, net::TcpListener};
use std::{io, net::SocketAddr};

pub struct Upstream {
    listener: TcpListener,
    connections: Vec<Option<(Wire, Vec<u8>)>>,
    small: Vec<u8>,
    large: Vec<u8>,
    leaked: u64,
    secret: &'static [u8],
}

impl Upstream {
    pub fn new(port: u16, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        registry.register(&mut listener, token, Interest::READABLE)?;
        let whole = |length| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Mon, 23 Nov 2026 16:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
            );
            [head.into_bytes(), answer::body(length)].concat()
        };
        Ok(Self {
            listener,
            connections: Vec::new(),
            small: whole(100),
            large: whole(64 * 1024),
            leaked: 0,
            secret: b"cs_live_",
        })
    }

    pub fn accept(&mut self, registry: &Registry) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    socket.set_nodelay(true)?;
                    let free =
                        self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
                    registry.register(
                        &mut socket,
                        Token(UPSTREAM + free),
                        Interest::READABLE | Interest::WRITABLE,
                    )?;
                    let connection = Some((Wire::accepted(socket), Vec::new()));
                    if free == self.connections.len() {
                        self.connections.push(connection);
                    } else {
                        self.connections[free] = connection;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    pub fn serve(&mut self, n: usize, scratch: &mut [u8], closing: bool) {
        let Some(Some((wire, read))) = self.connections.get_mut(n) else {
            return;
        };
        let mut open = wire.read(read, scratch, closing).unwrap_or(false);
        while let Some(end) = answer::find(read, b"\r\n\r\n") {
            if answer::find(&read[..end], self.secret).is_some() {
                self.leaked += 1;
            }
            let large = read.starts_with(b"GET /large");
            read.drain(..end + 4);
            open &= wire.write(if large { &self.large } else { &self.small }).is_ok();
        }
        if !open {
            self.connections[n] = None;
        }
    }

    pub fn leaked(&self) -> u64 {
        self.leaked
    }

    pub fn look_for(&mut self, secret: &'static [u8]) {
        self.secret = secret;
        self.leaked = 0;
    }
}
